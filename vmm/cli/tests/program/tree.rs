//! The device tree, beside QEMU's.

use std::collections::BTreeSet;
use std::process::Stdio;

use crate::support::{Qemu, run};

/// Every node and property of QEMU 10's tree for the same command line, values in hexadecimal. Left out are
/// properties whose values are chosen freely (phandles and what refers to them), random, or about the CPU model,
/// and the platform bus.
const QEMUS: &str = include_str!("virt.tree");

const FREE: [&str; 16] = [
    "phandle",
    "interrupt-parent",
    "interrupts-extended",
    "interrupt-map",
    "regmap",
    "cpu",
    "rng-seed",
    "riscv,isa",
    "riscv,isa-extensions",
    "riscv,event-to-mhpmcounters",
    "kaslr-seed",
    "clocks",
    "gpios",
    "msi-map",
    "aliases",
    "msi-parent",
];

/// The tree in the form of [`QEMUS`].
fn lines(blob: &[u8]) -> BTreeSet<String> {
    let word = |at: usize| u32::from_be_bytes(blob[at..at + 4].try_into().expect("four bytes")) as usize;
    let text = |at: usize| {
        let len = blob[at..].iter().position(|b| *b == 0).expect("texts end");
        std::str::from_utf8(&blob[at..at + len]).expect("texts are ASCII")
    };
    let (mut at, strings) = (word(8), word(12));
    let mut path: Vec<&str> = Vec::new();
    let mut lines = BTreeSet::new();
    loop {
        let token = word(at);
        at += 4;
        let here = |path: &[&str]| if path.len() < 2 { "/".to_string() } else { path.join("/") };
        match token {
            1 => {
                path.push(text(at));
                at = (at + path[path.len() - 1].len() + 4) & !3;
                lines.insert(here(&path));
            }
            2 => drop(path.pop()),
            3 => {
                let (len, name) = (word(at), text(strings + word(at + 4)));
                let value: String = blob[at + 8..at + 8 + len].iter().map(|b| format!("{b:02x}")).collect();
                at = (at + 8 + len + 3) & !3;
                if !FREE.contains(&name) {
                    lines.insert(format!("{} {name} {value}", here(&path)));
                }
            }
            4 => {}
            _ => return lines,
        }
    }
}

/// The tree that `qemu` gives its machine, from a real one or from us.
fn dumped(mut command: std::process::Command, file: &std::path::Path) -> BTreeSet<String> {
    let end = run(command.stdin(Stdio::null()));
    assert_eq!(end.status, Some(0), "{}", end.err);
    lines(&std::fs::read(file).expect("it was written"))
}

/// The platform bus is left out.
fn is_modelled(line: &str) -> bool {
    !line.contains("/platform-bus@")
}

#[test]
fn arms_is_qemus() {
    let peer = "qemu-system-aarch64";
    let installed = std::process::Command::new(peer).arg("--version").stdout(Stdio::null()).status();
    if installed.is_err() {
        return eprintln!("skipped: {peer} is not installed");
    }
    let machines = [
        "virt -cpu cortex-a57 -smp 1",
        "virt,gic-version=2 -cpu cortex-a72 -smp 4,sockets=2,cores=2",
        "virt,gic-version=3 -cpu max -smp 2,threads=2",
        "virt,gic-version=3,its=off,highmem=off -cpu cortex-a53,pmu=off -smp 8",
        "virt,gic-version=max,highmem-ecam=off -cpu neoverse-n1 -smp 3 -m 3G",
        "virt,virtualization=on,gic-version=2 -cpu max -smp 2",
        "virt,virtualization=on,gic-version=3 -cpu cortex-a57 -smp 4",
        "virt,virtualization=on,gic-version=3,its=off -cpu neoverse-n1",
        "virt,secure=on,acpi=off,gic-version=2 -cpu cortex-a57 -smp 2",
        "virt,secure=on,acpi=off,virtualization=on,gic-version=3 -cpu max -smp 2",
    ];
    for machine in machines {
        let (name, rest) = machine.split_once(' ').expect("a machine and its options");
        let ours = Qemu::aarch64();
        // What starts in EL3 is firmware.
        let firmware = if name.contains("secure=on") {
            format!("-bios {}", ours.file("firmware", &[0; 64]))
        } else {
            String::new()
        };
        let dump = |file: &std::path::Path| {
            format!("-M {name},dumpdtb={} {rest} {firmware} -nographic", file.display())
        };
        let file = ours.path("ours.dtb");
        let mine = dumped(ours.command(&dump(&file)), &file);
        let file = ours.path("qemus.dtb");
        let mut command = std::process::Command::new(peer);
        command.args(dump(&file).split_whitespace()).args(["-nic", "none"]);
        let qemus: BTreeSet<String> =
            dumped(command, &file).into_iter().filter(|line| is_modelled(line)).collect();
        let missing: Vec<_> = qemus.difference(&mine).collect();
        let more: Vec<_> = mine.difference(&qemus).collect();
        assert!(missing.is_empty() && more.is_empty(), "{machine}: missing {missing:#?}, more {more:#?}");
    }
}

#[test]
fn it_is_qemus() {
    let qemu = Qemu::new();
    let file = qemu.path("virt.dtb");
    let words = format!("-M virt,dumpdtb={} -m 256 -smp 2 -nographic", file.display());
    let end = run(qemu.command(&words).stdin(Stdio::null()));
    assert_eq!(end.status, Some(0), "{}", end.err);
    let ours = lines(&std::fs::read(file).expect("it was written"));
    let qemus: BTreeSet<String> = QEMUS.lines().map(String::from).collect();
    let missing: Vec<_> = qemus.difference(&ours).collect();
    let more: Vec<_> = ours.difference(&qemus).collect();
    assert!(missing.is_empty() && more.is_empty(), "missing {missing:#?}, more {more:#?}");
}
