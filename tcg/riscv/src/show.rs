//! The state of a hart as text, in the form that QEMU's users and their scripts know.

use crate::cpu::{F_NAMES, Hart, X_NAMES};
use std::fmt::{Formatter, Result};

/// Registers on a line.
const COLUMNS: usize = 4;

/// Writes pc, the CSRs that traps and interrupts turn on, and the integer registers; `fcsr` and the float registers if
/// `float`.
pub fn registers(hart: &Hart, float: bool, to: &mut Formatter<'_>) -> Result {
    let csr = &hart.csr;
    let named = [
        ("mhartid", csr.mhartid),
        ("mstatus", csr.status_with_summary()),
        ("mip", csr.mip()),
        ("mie", csr.mie),
        ("mideleg", csr.mideleg),
        ("medeleg", csr.medeleg),
        ("mtvec", csr.mtvec),
        ("stvec", csr.stvec),
        ("mepc", csr.mepc),
        ("sepc", csr.sepc),
        ("mcause", csr.mcause),
        ("scause", csr.scause),
        ("mtval", csr.mtval),
        ("stval", csr.stval),
        ("mscratch", csr.mscratch),
        ("sscratch", csr.sscratch),
        ("satp", csr.satp),
    ];
    write!(to, " {:<8} {:016x}", "pc", hart.head.pc)?;
    named.iter().try_for_each(|(name, value)| write!(to, "\n {name:<8} {value:016x}"))?;
    numbered(to, 'x', &X_NAMES, &hart.x)?;
    if float {
        let fcsr = csr.frm << 5 | u64::from(hart.head.fp_flags);
        write!(to, "\n {:<8} {fcsr:016x}", "fcsr")?;
        numbered(to, 'f', &F_NAMES, &hart.f)?;
    }
    Ok(())
}

fn numbered(to: &mut Formatter<'_>, kind: char, names: &[&str; 32], values: &[u64; 32]) -> Result {
    for (n, (name, value)) in names.iter().zip(values).enumerate() {
        let start = if n % COLUMNS == 0 { "\n" } else { "" };
        write!(to, "{start} {:<8} {value:016x}", format!("{kind}{n}/{name}"))?;
    }
    Ok(())
}
