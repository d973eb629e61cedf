//! The oracle: another implementation that runs a program for the guest on Linux. The program is the smallest static ELF
//! executable (System V ABI, ELF-64): one segment that may be read, written and executed.
//!
//! This proves the meaning of instructions, by an implementation that shares nothing with this one.

use super::program::Program;
use super::{Rng, setting};
use crate::guest::{Fetch, Guest, Trap};
use crate::run::{CodeCache, CodeConfig, Tiers, Vcpu, VcpuConfig};
use base::CpuLines;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use vm_memory::{Bytes, GuestAddress};

/// A guest whose programs the oracle runs as well.
pub trait Target {
    /// The guest.
    type Guest: Guest;
    /// The emulator's name.
    const EMULATOR: &'static str;
    /// `e_machine` and `e_flags`.
    const MACHINE: (u16, u32);
    /// The emulator's model of the CPU.
    const CPU: &'static str = "max";

    /// A CPU in the state that programs start in, but for the pc.
    fn cpu() -> <Self::Guest as Guest>::Cpu;
    /// Whether a trap is a system call; the first one ends a program.
    fn is_call(trap: Trap) -> bool;
    /// Name of the doubleword at offset `at` of a case's data.
    fn name(at: usize) -> String;
    /// Whether a report shows that doubleword although it came out right: the case's code is `code`.
    fn matters(code: &[u8], at: usize) -> bool;
}

/// How many cases a program has, and instructions a case at most.
pub const AMOUNT: (usize, u64) = (100, 12);

/// Runs programs here, by interpretation and by translation, and by the oracle: all data must come out alike, and each of
/// `rows` has to occur. `random` makes a program; there are `programs`, or `MIMIC_ORACLE_PROGRAMS`, from the seed
/// `MIMIC_ORACLE_SEED` on. Executables stand in `folder`, named after `family`. Does nothing without the emulator.
///
/// # Panics
/// With a report of the first difference.
pub fn agree<T: Target>(
    family: &str,
    folder: &Path,
    programs: u64,
    rows: &[&str],
    random: impl Fn(Rng) -> Program,
) {
    let first = setting("MIMIC_ORACLE_SEED", 1);
    let mut seen = BTreeSet::new();
    for seed in first..first + setting("MIMIC_ORACLE_PROGRAMS", programs) {
        let program = random(Rng::new(seed));
        let file = folder.join(format!("{family}-{seed}"));
        let base = program.layout.base;
        let Some(theirs) = output::<T>(base, &program.image, &file) else {
            eprintln!("skipped: {} is not installed", T::EMULATOR);
            return;
        };
        for (how, translate_after) in [("interpreted", u32::MAX), ("translated", 0)] {
            let ours = here::<T>(&program, Tiers { translate_after });
            assert_eq!(ours.len(), theirs.len());
            if let Some(text) = difference::<T>(&program, &ours, &theirs) {
                panic!("{family}, program {seed}, {how}, {text}");
            }
        }
        seen.extend(program.rows);
    }
    let missing: Vec<_> = rows.iter().filter(|name| !seen.contains(*name)).collect();
    assert!(missing.is_empty(), "never came up: {missing:?}");
}

/// What a program writes here.
fn here<T: Target>(program: &Program, tiers: Tiers) -> Vec<u8> {
    let base = program.layout.base;
    let size = (program.image.len() as u64).next_multiple_of(base::PAGE_SIZE);
    let ram = base::allocate_ram(&[(base, size)]).expect("little memory");
    let space = Arc::new(base::AddressSpace::new(ram));
    space.ram().write_slice(&program.image, GuestAddress(base)).expect("it fits");
    let mut cpu = T::cpu();
    cpu.as_mut().pc = base;
    let code = CodeCache::new(space.clone(), CodeConfig::default()).expect("code memory");
    let config = VcpuConfig { tiers, ..VcpuConfig::default() };
    let mut vcpu = Vcpu::<T::Guest>::new(cpu, Arc::new(CpuLines::default()), &code, config);
    let handle = vcpu.handle().clone();
    vcpu.set_trap_hook(Box::new(move |vcpu, trap| {
        assert!(T::is_call(trap), "{trap:x?} at {:#x}", vcpu.cpu().as_ref().pc);
        handle.stop();
        true
    }));
    vcpu.run();
    let range = program.output();
    let mut data = vec![0; (range.end - range.start) as usize];
    space.ram().read_slice(&mut data, GuestAddress(range.start)).expect("it was written there");
    data
}

/// The image as code.
struct Image<'a>(&'a Program);

impl Fetch for Image<'_> {
    fn u16(&mut self, addr: u64) -> Result<u16, Trap> {
        let at = (addr - self.0.layout.base) as usize;
        Ok(u16::from_le_bytes([self.0.image[at], self.0.image[at + 1]]))
    }
}

/// The first case that differs: its listing, and its state before, here and there.
fn difference<T: Target>(program: &Program, ours: &[u8], theirs: &[u8]) -> Option<String> {
    let case = program.layout.case as usize;
    let n = (0..program.cases.len()).find(|n| ours[n * case..][..case] != theirs[n * case..][..case])?;
    let before = &program.image[program.layout.code as usize + n * case..][..case];
    let (ours, theirs) = (&ours[n * case..][..case], &theirs[n * case..][..case]);
    let mut text = format!("case {n}:\n");
    let mode = T::Guest::context(&T::cpu()).mode;
    let range = program.cases[n].clone();
    let mut at = range.start;
    while at < range.end {
        let pc = program.layout.base + at as u64;
        let (insn, len) = T::Guest::decode(&mut Image(program), pc, mode).expect("it is there");
        let bytes: String =
            program.image[at..at + len as usize].iter().rev().map(|byte| format!("{byte:02x}")).collect();
        text += &format!("  {pc:x}: {bytes}  {}\n", T::Guest::print(insn, pc));
        at += len as usize;
    }
    let word = |data: &[u8], at: usize| u64::from_le_bytes(data[at..at + 8].try_into().expect("eight bytes"));
    for at in (0..case).step_by(8) {
        let [before, a, b] = [before, ours, theirs].map(|data| word(data, at));
        if a != b {
            text += &format!("  {}: before {before:#x}, here {a:#x}, there {b:#x}\n", T::name(at));
        } else if T::matters(&program.image[range.clone()], at) {
            text += &format!("  {}: before {before:#x}, after {a:#x}\n", T::name(at));
        }
    }
    Some(text)
}

/// What the target's emulator has `image`, loaded at `base` (page-aligned) and entered there, write to its standard output;
/// `None` if the emulator is not installed. The executable is `file` while it runs.
///
/// # Panics
/// If the program fails, or the emulator is missing although `MIMIC_PEERS` is set.
fn output<T: Target>(base: u64, image: &[u8], file: &Path) -> Option<Vec<u8>> {
    let emulator = T::EMULATOR;
    fs::write(file, executable(T::MACHINE, base, image)).expect("a scratch file");
    fs::set_permissions(file, PermissionsExt::from_mode(0o755)).expect("a scratch file");
    let run = match Command::new(emulator).args(["-cpu", T::CPU]).arg(file).output() {
        Ok(run) => run,
        Err(error) => {
            let needed = std::env::var_os("MIMIC_PEERS").is_some();
            assert!(!needed, "{emulator} has to be there (MIMIC_PEERS is set): {error}");
            return None;
        }
    };
    assert!(run.status.success(), "the oracle: {} of {}", run.status, file.display());
    fs::remove_file(file).expect("a scratch file");
    Some(run.stdout)
}

fn executable((machine, flags): (u16, u32), base: u64, image: &[u8]) -> Vec<u8> {
    const HEADERS: u64 = 0x1000;
    let size = image.len() as u64;
    let mut elf = Vec::new();
    // Identification: 64-bit, little-endian, version 1, System V.
    elf.extend([0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    // ET_EXEC, machine, version; entry, program headers, no section headers.
    halves(&mut elf, &[2, machine]);
    words(&mut elf, &[1]);
    doubles(&mut elf, &[base, 64, 0]);
    // Flags, header sizes and counts.
    words(&mut elf, &[flags]);
    halves(&mut elf, &[64, 56, 1, 0, 0, 0]);
    // PT_LOAD, RWX.
    words(&mut elf, &[1, 7]);
    doubles(&mut elf, &[HEADERS, base, base, size, size, 0x1000]);
    elf.resize(HEADERS as usize, 0);
    elf.extend(image);
    elf
}

fn halves(elf: &mut Vec<u8>, values: &[u16]) {
    values.iter().for_each(|v| elf.extend(v.to_le_bytes()));
}

fn words(elf: &mut Vec<u8>, values: &[u32]) {
    values.iter().for_each(|v| elf.extend(v.to_le_bytes()));
}

fn doubles(elf: &mut Vec<u8>, values: &[u64]) {
    values.iter().for_each(|v| elf.extend(v.to_le_bytes()));
}
