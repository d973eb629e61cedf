//! Host code as text.

use crate::host::HostInsn;
use capstone::arch::BuildsCapstone;
use capstone::arch::x86::ArchMode;
use capstone::{Capstone, Error};

/// The instructions of `code`, which stands at host address `at`.
pub fn disassemble(code: &[u8], at: u64) -> Vec<HostInsn> {
    let lines = || -> Result<Vec<HostInsn>, Error> {
        let capstone = Capstone::new().x86().mode(ArchMode::Mode64).build()?;
        let insns = capstone.disasm_all(code, at)?;
        let line = |insn: &capstone::Insn<'_>| {
            let part = |text: Option<&str>| text.unwrap_or_default().to_owned();
            let text = format!("{} {}", part(insn.mnemonic()), part(insn.op_str()));
            HostInsn { at: insn.address(), bytes: insn.bytes().to_vec(), text: text.trim_end().to_owned() }
        };
        Ok(insns.iter().map(line).collect())
    };
    // It stops at what it does not know: the rest is shown as it is.
    let mut lines = lines().unwrap_or_default();
    let done: usize = lines.iter().map(|line| line.bytes.len()).sum();
    if let Some(rest @ [_, ..]) = code.get(done..) {
        lines.push(HostInsn { at: at + done as u64, bytes: rest.to_vec(), text: "(unknown)".to_owned() });
    }
    lines
}
