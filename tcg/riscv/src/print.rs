//! Listings, in the assembler's notation without aliases.

use crate::decode::Insn;
use crate::isa;

/// The listing of an instruction that stands at `pc`.
pub fn print(insn: Insn, pc: u64) -> String {
    match insn.op {
        Some(op) => isa::print(op, pc),
        None if insn.bits & 3 == 3 => format!(".word {:#010x}", insn.bits),
        None => format!(".half {:#06x}", insn.bits),
    }
}

/// How operands are printed: the functions that the tables name.
pub mod show {
    use crate::csr;
    use crate::sem::FLI_TEXT;
    use tcg_core::cpu::RegId;

    fn register(id: RegId) -> &'static str {
        crate::cpu::REGS[usize::from(id.0)].name
    }

    /// An integer register.
    pub fn x(n: i64, _: u64) -> &'static str {
        register(crate::cpu::x(n as u8))
    }

    /// A float register.
    pub fn f(n: i64, _: u64) -> &'static str {
        register(crate::cpu::f(n as u8))
    }

    /// An address relative to the instruction.
    pub fn pc(offset: i64, pc: u64) -> String {
        format!("{:#x}", pc.wrapping_add(offset as u64))
    }

    /// The constant of `lui` and `auipc`: its upper 20 bits.
    pub fn upper(value: i64, pc: u64) -> String {
        hex(value as u32 as i64 >> 12, pc)
    }

    /// Hexadecimal.
    pub fn hex(value: i64, _: u64) -> String {
        format!("{value:#x}")
    }

    /// A set of kinds of access: input, output, read, write.
    pub fn order(set: i64, _: u64) -> String {
        let letters = ['w', 'r', 'o', 'i'].into_iter().enumerate().rev();
        let text: String = letters.filter(|(bit, _)| set >> bit & 1 != 0).map(|(_, letter)| letter).collect();
        if text.is_empty() { "unknown".into() } else { text }
    }

    /// The suffix of an atomic instruction.
    pub fn aqrl(bits: i64, _: u64) -> &'static str {
        ["", ".rl", ".aq", ".aqrl"][bits as usize & 3]
    }

    /// A static rounding mode; nothing for the dynamic one.
    pub fn rm(n: i64, _: u64) -> &'static str {
        [", rne", ", rtz", ", rdn", ", rup", ", rmm", ", unknown", ", unknown", ""][n as usize & 7]
    }

    /// A constant of `fli`.
    pub fn fli(n: i64, _: u64) -> &'static str {
        FLI_TEXT[n as usize & 31]
    }

    /// A control and status register.
    pub fn csr(number: i64, _: u64) -> String {
        csr::name(number as u16).unwrap_or_else(|| format!("{number:#x}"))
    }
}
