//! The device tree, beside QEMU's.

use std::collections::BTreeSet;
use std::process::Stdio;

use crate::support::{Qemu, run};

/// Every node and property of QEMU 10's tree for the same command line, values in hexadecimal. Left out are
/// properties whose values are chosen freely (phandles and what refers to them), random, or about the CPU model,
/// and the platform bus.
const QEMUS: &str = include_str!("virt.tree");

const FREE: [&str; 10] = [
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
