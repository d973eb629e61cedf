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

    /// A part of a name.
    pub fn number(n: i64, _: u64) -> i64 {
        n
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

    /// A vector register.
    pub fn v(n: i64, _: u64) -> &'static str {
        crate::cpu::V_NAMES[n as usize & 31]
    }

    /// What says that v0 is the mask.
    pub fn vm(unmasked: i64, _: u64) -> &'static str {
        if unmasked != 0 { "" } else { ", v0.t" }
    }

    /// A vector type; one that is reserved as a number.
    pub fn vtype(bits: i64, _: u64) -> String {
        if bits >> 8 != 0 || bits & 7 == 4 || bits >> 3 & 7 > 3 {
            return bits.to_string();
        }
        let policy = |bit: i64| if bits & bit != 0 { 'a' } else { 'u' };
        let lmul = ["m1", "m2", "m4", "m8", "?", "mf8", "mf4", "mf2"][bits as usize & 7];
        format!("e{}, {lmul}, t{}, m{}", 8 << (bits >> 3 & 7), policy(64), policy(128))
    }

    fn fields_of(nf: i64, prefix: &str, bits: u32, suffix: &str) -> String {
        match nf {
            0 => format!("{prefix}{bits}{suffix}.v"),
            n => format!("seg{}{prefix}{bits}{suffix}.v", n + 1),
        }
    }

    /// Fields and elements of a vector load or store.
    pub fn fields(nf: i64, w: i64, _: u64) -> String {
        fields_of(nf, "e", 8 << w, "")
    }

    /// The same for elements of 8 bits.
    pub fn fields8(nf: i64, _: u64) -> String {
        fields_of(nf, "e", 8, "")
    }

    /// Of a fault-only-first load.
    pub fn fields_ff(nf: i64, w: i64, _: u64) -> String {
        fields_of(nf, "e", 8 << w, "ff")
    }

    /// Of a fault-only-first load of 8 bits.
    pub fn fields_ff8(nf: i64, _: u64) -> String {
        fields_of(nf, "e", 8, "ff")
    }

    /// Fields and indices.
    pub fn fields_i(nf: i64, w: i64, _: u64) -> String {
        fields_of(nf, "ei", 8 << w, "")
    }

    /// The same for indices of 8 bits.
    pub fn fields_i8(nf: i64, _: u64) -> String {
        fields_of(nf, "ei", 8, "")
    }

    /// Registers of a load of whole ones.
    pub fn whole(nf: i64, w: i64, _: u64) -> String {
        format!("{}re{}.v", nf + 1, 8 << w)
    }

    /// The same for elements of 8 bits.
    pub fn whole8(nf: i64, pc: u64) -> String {
        whole(nf, 0, pc)
    }

    /// Registers of a store of whole ones.
    pub fn whole_store(nf: i64, _: u64) -> String {
        format!("{}r.v", nf + 1)
    }

    /// A control and status register.
    pub fn csr(number: i64, _: u64) -> String {
        csr::name(number as u16).unwrap_or_else(|| format!("{number:#x}"))
    }
}
