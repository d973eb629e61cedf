//! Listings, in the assembler's notation without aliases.

use crate::decode::Insn;
use crate::isa;

mod simd;

/// The listing of an instruction that stands at `pc`.
pub fn print(insn: Insn, pc: u64) -> String {
    match insn.op {
        Some(op) => isa::print(op, pc),
        None => format!(".inst {:#010x}", insn.bits),
    }
}

/// How operands are printed: the functions that the tables name.
pub mod show {
    use crate::{decode, sysreg};

    pub use super::simd::*;

    /// A register of 32 or, with `sf`, 64 bits.
    pub fn r(n: i64, sf: i64, _: u64) -> String {
        let letter = if sf == 0 { 'w' } else { 'x' };
        if n == 31 { format!("{letter}zr") } else { format!("{letter}{n}") }
    }

    /// The register after `n`, of a pair.
    pub fn r_next(n: i64, sf: i64, pc: u64) -> String {
        r(n + 1, sf, pc)
    }

    /// The same with the stack pointer.
    pub fn rsp(n: i64, sf: i64, pc: u64) -> String {
        match (n, sf) {
            (31, 0) => "wsp".into(),
            (31, _) => "sp".into(),
            _ => r(n, sf, pc),
        }
    }

    /// A register of 32 bits.
    pub fn w(n: i64, pc: u64) -> String {
        r(n, 0, pc)
    }

    /// A register of 64 bits.
    pub fn x(n: i64, pc: u64) -> String {
        r(n, 1, pc)
    }

    /// A register of 64 bits or the stack pointer.
    pub fn xsp(n: i64, pc: u64) -> String {
        rsp(n, 1, pc)
    }

    /// A register as wide as an access of `1 << size` bytes needs.
    pub fn ws(n: i64, size: i64, pc: u64) -> String {
        r(n, i64::from(size == 3), pc)
    }

    /// The register that a bit is tested of.
    pub fn tested(n: i64, bit: i64, pc: u64) -> String {
        r(n, bit >> 5, pc)
    }

    /// A SIMD register of `1 << size` bytes.
    pub fn v(n: i64, size: i64, _: u64) -> String {
        format!("{}{n}", ['b', 'h', 's', 'd', 'q'][size as usize % 5])
    }

    /// A SIMD register of 128 bits.
    pub fn q(n: i64, pc: u64) -> String {
        v(n, 4, pc)
    }

    /// A SIMD register of a pair: 32 bits and more.
    pub fn v_pair(n: i64, opc: i64, pc: u64) -> String {
        v(n, opc + 2, pc)
    }

    /// A SIMD register that is loaded from beside the code.
    pub fn v_literal(n: i64, opc: i64, pc: u64) -> String {
        v(n, opc + 2, pc)
    }

    /// A float register of the type in field `ftype`.
    pub fn f(n: i64, ftype: i64, pc: u64) -> String {
        v(n, [2, 3, 4, 1][ftype as usize & 3], pc)
    }

    /// A register of 16 bits.
    pub fn h(n: i64, pc: u64) -> String {
        v(n, 1, pc)
    }

    /// A register of 32 bits.
    pub fn s(n: i64, pc: u64) -> String {
        v(n, 2, pc)
    }

    /// A register of 64 bits.
    pub fn d(n: i64, pc: u64) -> String {
        v(n, 3, pc)
    }

    /// The high half of a register.
    pub fn top(n: i64, _: u64) -> String {
        format!("v{n}.d[1]")
    }

    /// An address relative to the instruction.
    pub fn pc(offset: i64, pc: u64) -> String {
        format!("{:#x}", pc.wrapping_add(offset as u64))
    }

    /// A page relative to that of the instruction.
    pub fn page(pages: i64, pc: u64) -> String {
        format!("{:#x}", (pc & !0xfff).wrapping_add((pages as u64) << 12))
    }

    /// Hexadecimal.
    pub fn hex(value: i64, _: u64) -> String {
        format!("{value:#x}")
    }

    /// A constant of addition.
    pub fn imm12(value: i64, shifted: i64, _: u64) -> String {
        if shifted == 0 { format!("#{value:#x}") } else { format!("#{value:#x}, lsl #12") }
    }

    /// The place of a constant that is moved.
    pub fn lsl16(n: i64, _: u64) -> String {
        if n == 0 { String::new() } else { format!(", lsl #{}", n * 16) }
    }

    /// The constant of a logical instruction.
    pub fn bitmask(sf: i64, n: i64, immr: i64, imms: i64, _: u64) -> String {
        format!("#{:#x}", decode::bitmask(sf as u8, n as u8, immr as u8, imms as u8).unwrap_or(0))
    }

    /// A shift of the last operand.
    pub fn shift(kind: i64, amount: i64, _: u64) -> String {
        match (kind, amount) {
            (0, 0) => String::new(),
            _ => format!(", {} #{amount}", ["lsl", "lsr", "asr", "ror"][kind as usize & 3]),
        }
    }

    const EXTENSIONS: [&str; 8] = ["uxtb", "uxth", "uxtw", "uxtx", "sxtb", "sxth", "sxtw", "sxtx"];

    fn extension(rm: i64, sf: i64, option: i64, amount: i64, shifts: bool) -> String {
        let wide = i64::from(option & 3 == 3 && sf != 0);
        let name = if shifts { "lsl" } else { EXTENSIONS[option as usize & 7] };
        let reg = r(rm, wide, 0);
        match (shifts, amount) {
            (true, 0) => reg,
            (false, 0) => format!("{reg}, {name}"),
            _ => format!("{reg}, {name} #{amount}"),
        }
    }

    /// An extended register; a shift is what extends to the full width where the stack pointer is used.
    pub fn extended(rd: i64, rn: i64, rm: i64, sf: i64, option: i64, amount: i64, _: u64) -> String {
        let shifts = (rd == 31 || rn == 31) && option == 2 + sf;
        extension(rm, sf, option, amount, shifts)
    }

    /// An extended register of an instruction that sets flags.
    pub fn extended_flags(rn: i64, rm: i64, sf: i64, option: i64, amount: i64, _: u64) -> String {
        extension(rm, sf, option, amount, rn == 31 && option == 2 + sf)
    }

    fn index_of(rm: i64, option: i64, s: i64, size: i64) -> String {
        let reg = r(rm, option & 1, 0);
        let shift = size * s;
        match (option, s) {
            (3, 0) => reg,
            (3, _) => format!("{reg}, lsl #{shift}"),
            (_, 0) => format!("{reg}, {}", EXTENSIONS[option as usize & 7]),
            _ => format!("{reg}, {} #{shift}", EXTENSIONS[option as usize & 7]),
        }
    }

    /// An index register.
    pub fn index(rm: i64, option: i64, s: i64, size: i64, _: u64) -> String {
        index_of(rm, option, s, size)
    }

    /// An index register of 128-bit accesses.
    pub fn index16(rm: i64, option: i64, s: i64, _: u64) -> String {
        index_of(rm, option, s, 4)
    }

    /// An index register of prefetches.
    pub fn index8(rm: i64, option: i64, s: i64, _: u64) -> String {
        index_of(rm, option, s, 3)
    }

    /// An offset in bytes, nothing for zero.
    pub fn offset(value: i64, _: u64) -> String {
        if value == 0 { String::new() } else { format!(", #{value}") }
    }

    /// An offset in units of the access.
    pub fn scaled(value: i64, size: i64, pc: u64) -> String {
        offset(value << size, pc)
    }

    /// An offset in units of 16 bytes.
    pub fn scaled16(value: i64, pc: u64) -> String {
        offset(value << 4, pc)
    }

    /// An offset in units of 8 bytes.
    pub fn scaled8(value: i64, pc: u64) -> String {
        offset(value << 3, pc)
    }

    /// An offset, and whether the base is changed.
    pub fn offset_pre(value: i64, w: i64, pc: u64) -> String {
        if w == 0 { format!("{}]", offset(value, pc)) } else { format!(", #{value}]!") }
    }

    /// An offset of a pair of general registers.
    pub fn pair_offset(value: i64, sf: i64, pc: u64) -> String {
        offset(value << (2 + sf), pc)
    }

    /// The same as a number.
    pub fn pair_scaled(value: i64, sf: i64, _: u64) -> i64 {
        value << (2 + sf)
    }

    /// An offset of a pair of SIMD registers.
    pub fn pair_offset_v(value: i64, opc: i64, pc: u64) -> String {
        offset(value << (2 + opc), pc)
    }

    /// The same as a number.
    pub fn pair_scaled_v(value: i64, opc: i64, _: u64) -> i64 {
        value << (2 + opc)
    }

    /// Bytes of a general register.
    pub fn word_bytes(sf: i64, _: u64) -> i64 {
        4 << sf
    }

    /// Bytes of a pair of general registers.
    pub fn pair_bytes(sf: i64, _: u64) -> i64 {
        8 << sf
    }

    /// End of the mnemonic of an access narrower than 32 bits.
    pub fn bh(size: i64, _: u64) -> &'static str {
        ["b", "h", "", ""][size as usize & 3]
    }

    /// End of the mnemonic of an access narrower than 64 bits.
    pub fn bhw(size: i64, _: u64) -> &'static str {
        ["b", "h", "w", "x"][size as usize & 3]
    }

    /// Acquire and release.
    pub fn al(a: i64, l: i64, _: u64) -> &'static str {
        ["", "l", "a", "al"][(a << 1 | l) as usize & 3]
    }

    /// Key A or B.
    pub fn ab(m: i64, _: u64) -> &'static str {
        if m == 0 { "a" } else { "b" }
    }

    const CONDITIONS: [&str; 16] =
        ["eq", "ne", "cs", "cc", "mi", "pl", "vs", "vc", "hi", "ls", "ge", "lt", "gt", "le", "al", "nv"];

    /// A condition.
    pub fn cond(n: i64, _: u64) -> &'static str {
        CONDITIONS[n as usize & 15]
    }

    /// A prefetch operation.
    pub fn prfop(n: i64, _: u64) -> String {
        let (kind, target, policy) = (n >> 3 & 3, n >> 1 & 3, n & 1);
        if kind == 3 || target == 3 {
            return format!("#{n:#04x}");
        }
        let policy = if policy == 0 { "keep" } else { "strm" };
        format!("{}l{}{policy}", ["pld", "pli", "pst"][kind as usize], target + 1)
    }

    /// A hint that does nothing here.
    pub fn hint(n: i64, _: u64) -> String {
        format!("#{n:#x}")
    }

    /// What a barrier orders.
    pub fn barrier(n: i64, _: u64) -> String {
        const NAMES: [&str; 16] = [
            "", "oshld", "oshst", "osh", "", "nshld", "nshst", "nsh", "", "ishld", "ishst", "ish", "", "ld",
            "st", "sy",
        ];
        match NAMES[n as usize & 15] {
            "" => format!("#{n:#04x}"),
            name => name.into(),
        }
    }

    /// Nothing for the only barrier of its kind there is.
    pub fn barrier_isb(n: i64, _: u64) -> String {
        if n == 15 { String::new() } else { format!("#{n:#x}") }
    }

    /// Where a return goes, if not where the link register says.
    pub fn ret(n: i64, pc: u64) -> String {
        if n == 30 { String::new() } else { format!(" {}", x(n, pc)) }
    }

    /// A field of PSTATE.
    pub fn pstate(op1: i64, op2: i64, _: u64) -> String {
        match (op1, op2) {
            (0, 5) => "spsel".into(),
            (3, 6) => "daifset".into(),
            (3, 7) => "daifclr".into(),
            (0, 3) => "uao".into(),
            (0, 4) => "pan".into(),
            (3, 1) => "ssbs".into(),
            (3, 2) => "dit".into(),
            (3, 4) => "tco".into(),
            _ => format!("s0_{op1}_c4_{op2}"),
        }
    }

    /// A system register.
    pub fn sysreg(reg: i64, _: u64) -> String {
        let reg = reg as u16;
        sysreg::find(reg).map_or_else(|| sysreg::generic_name(reg), |row| row.name.to_lowercase())
    }

    /// A system instruction.
    pub fn sys(reg: i64, rt: i64, pc: u64) -> String {
        let last = if rt == 31 { String::new() } else { format!(", {}", x(rt, pc)) };
        format!("#{}, C{}, C{}, #{}{last}", reg >> 11 & 7, reg >> 7 & 15, reg >> 3 & 15, reg & 7)
    }

    /// A system instruction with a result.
    pub fn sysl(reg: i64, _: u64) -> String {
        format!("#{}, C{}, C{}, #{}", reg >> 11 & 7, reg >> 7 & 15, reg >> 3 & 15, reg & 7)
    }

    /// End of the mnemonic of a memory copy: unprivileged and non-temporal accesses.
    pub fn cpy_options(n: i64, _: u64) -> &'static str {
        const NAMES: [&str; 16] = [
            "", "wt", "rt", "t", "wn", "wtwn", "rtwn", "twn", "rn", "wtrn", "rtrn", "trn", "n", "wtn", "rtn",
            "tn",
        ];
        NAMES[n as usize & 15]
    }

    /// End of the mnemonic of a memory set.
    pub fn set_options(n: i64, _: u64) -> &'static str {
        ["", "t", "n", "tn"][n as usize & 3]
    }

    /// A constant of FMOV.
    pub fn fp8(n: i64, _: u64) -> String {
        let value = f64::from_bits(crate::sem::expand_constant(n as u8, tcg_core::ty::Ty::F64));
        format!("#{value:.18e}")
    }

    /// Fraction bits of a fixed-point number.
    pub fn fbits(scale: i64, _: u64) -> i64 {
        64 - scale
    }
}
