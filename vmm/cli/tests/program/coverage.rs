//! `-coverage` and plugins on machines: counts of a program without an operating system, beside a hand's count.

use crate::support::{Qemu, run};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// Compiles `programs/covered.c` to run at `base`; `None` where there is no cross compiler.
fn compile(qemu: &Qemu, compiler: &str, options: &[&str], base: &str) -> Option<String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/program/programs/covered.c");
    let to = qemu.path("covered.elf");
    let mut command = Command::new(compiler);
    let script = format!(
        "ENTRY(_start) SECTIONS {{ . = {base}; .text : {{ *(.text.start) *(.text*) }} \
         .data : {{ *(.rodata*) *(.data*) }} .bss : {{ *(.bss*) }} }}"
    );
    let script = qemu.file("covered.ld", script.as_bytes());
    command.args(["-O0", "-g", "-static", "-nostdlib", "-fno-pic", "-Wl,--build-id=none", "-T", &script]);
    command.args(options);
    command.arg(source).arg("-o").arg(&to);
    let Ok(output) = command.output() else {
        eprintln!("skipped: {compiler} is not installed");
        return None;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(to.display().to_string())
}

/// How often each line of `covered.c` runs, as it says itself.
fn counted_by_hand() -> BTreeMap<usize, u64> {
    let text = include_str!("programs/covered.c");
    let count = |(n, line): (usize, &str)| Some((n + 1, line.split_once("// ")?.1.trim().parse().ok()?));
    text.lines().enumerate().filter_map(count).collect()
}

fn counts(info: &str) -> BTreeMap<usize, u64> {
    let line = |line: &str| {
        let (n, count) = line.strip_prefix("DA:")?.split_once(',')?;
        Some((n.parse().ok()?, count.parse().ok()?))
    };
    info.lines().filter_map(line).collect()
}

fn check(qemu: &Qemu, elf: &str, machine: &str) {
    for chaos in ["", "hot=1", "tlb=4,code=64K"] {
        let info = qemu.path("covered.info");
        let words = format!("{machine} -kernel {elf} -display none -serial none -monitor none");
        let mut command = qemu.command(&format!("{words} -coverage {}", info.display()));
        if !chaos.is_empty() {
            command.env("MIMIC_CHAOS", chaos);
        }
        let end = run(&mut command);
        assert_eq!((end.status, &*end.err), (Some(0), ""), "{chaos}");
        let info = std::fs::read_to_string(info).expect("a trace file");
        assert_eq!(counts(&info), counted_by_hand(), "{chaos}");
        let begin = "TN:\nSF:";
        assert!(info.starts_with(begin) && info.ends_with("LF:20\nLH:15\nend_of_record\n"), "{info}");
        for line in ["FNDA:10,classify", "FNDA:0,never", "FNDA:1,start", "FNF:3", "FNH:2"] {
            assert!(info.lines().any(|found| found == line), "{line}: {info}");
        }
        accepted_by_genhtml(&qemu.path("covered.info"), &qemu.path("html"));
    }
}

/// lcov's own reader takes the file, where it is installed.
fn accepted_by_genhtml(info: &Path, to: &Path) {
    let Ok(output) = Command::new("genhtml").arg("-o").arg(to).arg(info).output() else { return };
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("(15 of 20 lines)"), "{output:?}");
    assert!(to.join("index.html").is_file());
}

#[test]
fn coverage_of_a_riscv64_program_is_what_a_hand_counts() {
    let qemu = Qemu::new();
    let options = ["-march=rv64imac", "-mabi=lp64", "-mcmodel=medany"];
    let Some(elf) = compile(&qemu, "riscv64-linux-gnu-gcc", &options, "0x80000000") else { return };
    check(&qemu, &elf, "-M virt -bios none");
}

#[test]
fn coverage_of_an_aarch64_program_is_what_a_hand_counts() {
    let qemu = Qemu::aarch64();
    let Some(elf) = compile(&qemu, "aarch64-linux-gnu-gcc", &["-mgeneral-regs-only"], "0x40080000") else {
        return;
    };
    check(&qemu, &elf, "-M virt -cpu max");
}

#[test]
fn the_machine_has_plugins_too() {
    let qemu = Qemu::new();
    let options = ["-march=rv64imac", "-mabi=lp64", "-mcmodel=medany"];
    let Some(elf) = compile(&qemu, "riscv64-linux-gnu-gcc", &options, "0x80000000") else { return };
    let shown = |plugins: &str| {
        let words =
            format!("-bios none -kernel {elf} -display none -serial none -monitor none -d plugin {plugins}");
        let end = run(&mut qemu.command(&words));
        (end.status, end.err)
    };
    // The first instructions are the mask ROM's.
    let (status, log) = shown("-plugin libexeclog.so,afilter=0x80000000,ifilter=sw");
    assert!(
        status == Some(0) && log.contains("\n0, 0x80000000, ") || log.starts_with("0, 0x80000000, "),
        "{log}"
    );
    assert!(
        log.lines()
            .any(|line| line.ends_with(", store, 0x00100000, sifive_test") || line.contains("0x00100000")),
        "{log}"
    );
    let (status, log) = shown("-plugin insn -plugin stoptrigger,addr=0x80000000:42");
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!((status, lines[0]), (Some(42), "0x80000000 reached, exiting"));
    // Six instructions of the mask ROM.
    assert_eq!(lines[1..], ["cpu 0 insns: 6", "total insns: 6"]);
    let (status, log) = shown("-plugin mem,hwaddr=on,track=w");
    assert_eq!((status, &*log), (Some(0), "io accesses: 1\n"));
}
