//! The state of a hart as text, in the form that QEMU's users and their scripts know.

use crate::cpu::{F_NAMES, Hart, X_NAMES};
use crate::features::Ext;
use std::fmt::{Formatter, Result};
use tcg_core::guest::Units;

/// Registers on a line.
const COLUMNS: usize = 4;

/// Writes pc, the CSRs that traps and interrupts turn on, and the integer registers; of `units`, their CSRs and registers.
pub fn registers(hart: &Hart, units: Units, to: &mut Formatter<'_>) -> Result {
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
    if units.float {
        let fcsr = csr.frm << 5 | u64::from(hart.head.fp_flags);
        write!(to, "\n {:<8} {fcsr:016x}", "fcsr")?;
        numbered(to, 'f', &F_NAMES, &hart.f)?;
    }
    if units.vector && csr.features.has(Ext::Zve32x) {
        vectors(hart, to)?;
    }
    Ok(())
}

fn vectors(hart: &Hart, to: &mut Formatter<'_>) -> Result {
    let (vector, bytes) = (&hart.csr.vector, hart.csr.features.vlenb());
    let named = [
        ("vstart", vector.vstart),
        ("vxsat", vector.vxsat),
        ("vxrm", vector.vxrm),
        ("vcsr", vector.vxrm << 1 | vector.vxsat),
        ("vl", vector.vl),
        ("vtype", vector.vtype),
        ("vlenb", bytes as u64),
    ];
    named.iter().try_for_each(|(name, value)| write!(to, "\n {name:<8} {value:016x}"))?;
    for (n, register) in hart.v.bytes().chunks_exact(bytes).take(32).enumerate() {
        write!(to, "\n {:<8} ", format!("v{n}"))?;
        register.iter().rev().try_for_each(|byte| write!(to, "{byte:02x}"))?;
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
