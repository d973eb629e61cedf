//! Programs without an operating system that make random accesses, run here and by QEMU: what they leave in memory must be alike.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Qemu, run};

/// Numbers that look random, from a seed.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        (self.next() >> 33) % n
    }

    pub fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }
}

/// Puts `value` into `register`.
pub fn constant(register: &str, value: u64) -> String {
    let part = |n: u64| value >> (16 * n) & 0xffff;
    let more = (1..4).map(|n| format!("movk {register}, #{}, lsl #{}\n", part(n), 16 * n));
    format!("movz {register}, #{}\n{}", part(0), more.collect::<String>())
}

/// Writes the results into the file and ends.
const END: &str = "
    ldr x0, =0x44000000
    sub x19, x20, x0
    adr x1, 1f
    mov x0, #1
    hlt #0xf000
    adr x1, 2f
    str x0, [x1]
    str x19, [x1, #16]
    mov x0, #5
    hlt #0xf000
    adr x1, 3f
    mov x0, #0x18
    hlt #0xf000
    b .
    .balign 8
1:  .quad name, 5, LENGTH
2:  .quad 0, 0x44000000, 0
3:  .quad 0x20026, 0
name: .asciz \"FILE\"
    .balign 2048
vectors:
    .skip 0x400
";

/// The results of a program on QEMU, or here.
fn results(mut command: Command, file: &Path) -> Vec<u64> {
    let end = run(&mut command);
    assert_eq!(end.status, Some(0), "{command:?}: {}", end.err);
    let bytes = std::fs::read(file).expect("the program wrote it");
    std::fs::remove_file(file).expect("it is ours");
    bytes.chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().expect("eight bytes"))).collect()
}

/// Assembles `text` for address `base` into a file of `qemu`'s folder.
pub fn assemble(qemu: &Qemu, text: &str, base: u64) -> PathBuf {
    let (source, object, image) = (qemu.path("a.s"), qemu.path("a.o"), qemu.path("a.elf"));
    std::fs::write(&source, text).expect("a scratch file");
    let tool = |name: &str, words: &[&OsStr]| {
        let output = Command::new(name).args(words).output().expect("binutils are there");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    tool("aarch64-linux-gnu-as", &["-o".as_ref(), object.as_ref(), source.as_ref()]);
    let place = format!("-Ttext={base:#x}");
    tool("aarch64-linux-gnu-ld", &[place.as_ref(), "-o".as_ref(), image.as_ref(), object.as_ref()]);
    image
}

/// A program.
pub struct Program<'a> {
    /// Options of the machine, beside `virt`.
    pub machine: &'a str,
    /// From where it starts to the first access. x20 is then the results' address.
    pub start: &'a str,
    /// The accesses; the results of each are written behind it.
    pub body: &'a str,
    /// What the highest level does when a lower one calls it.
    pub called: &'a str,
}

/// Runs the program here and by QEMU; `accesses` says what each access did and `after` what is written after each.
pub fn compare(program: &Program<'_>, (accesses, after): (&[String], &[&str])) {
    let Program { machine, start, body, called } = program;
    let qemu = Qemu::aarch64();
    let file = qemu.path("results");
    let name = file.to_str().expect("text");
    let end = END.replace("LENGTH", &name.len().to_string()).replace("FILE", name);
    let image = assemble(&qemu, &format!("{start}{body}{end}{called}"), 0x4008_0000);
    let words = format!(
        "-M virt,{machine} -cpu max -m 256 -nodefaults -display none -semihosting-config \
         enable=on,target=native -kernel {}",
        image.display()
    );
    let mut theirs = Command::new("qemu-system-aarch64");
    theirs.args(words.split_whitespace());
    let there = results(theirs, &file);
    let here = results(qemu.command(&words), &file);
    assert_eq!(here.len(), there.len());
    if let Some(n) = (0..here.len()).find(|n| here[*n] != there[*n]) {
        let (access, register) = (n / after.len(), after[n % after.len()]);
        let before = &accesses[access.saturating_sub(8)..=access];
        let at = |values: &[u64]| {
            let record = &values[access * after.len()..][..after.len()];
            after.iter().zip(record).map(|(name, value)| format!("{name}={value:x} ")).collect::<String>()
        };
        panic!("after {before:#?} {register} differs\nhere {}\nthere {}", at(&here), at(&there));
    }
}

pub fn peers() -> bool {
    let there = |tool: &str| Command::new(tool).arg("--version").output().is_ok();
    let all = there("aarch64-linux-gnu-as") && there("qemu-system-aarch64");
    assert!(all || std::env::var_os("MIMIC_PEERS").is_none(), "MIMIC_PEERS is set, and they are missing");
    if !all {
        eprintln!("skipped: qemu-system-aarch64 or binutils for aarch64 are not installed");
    }
    all
}
