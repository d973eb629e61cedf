//! Fetching and decoding, and what the rows of the tables leave unallocated.

use crate::esr::{self, class};
use crate::features::Ext;
use crate::isa::{self, Op};
use crate::mode;
use crate::sem::Cx;
use tcg_core::guest::{Ctx, Fetch, Trap};
use tcg_core::sem::{Flow, Sem};

/// A decoded instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Insn {
    /// What it is; `None`: undefined.
    pub op: Option<Op>,
    /// Its 32 bits.
    pub bits: u32,
}

/// Decodes the instruction at `pc`; also gives its length in bytes.
pub fn fetch_insn(fetch: &mut impl Fetch, pc: u64, mode: u64) -> Result<(Insn, u64), Trap> {
    if pc & 3 != 0 {
        return Err(Trap { code: esr::syndrome(class::PC_ALIGNMENT, 0), value: pc });
    }
    let low = u32::from(fetch.u16(pc)?);
    let high = u32::from(fetch.u16(pc + 2)?);
    Ok((decode(high << 16 | low, mode), 4))
}

/// Decodes `bits`.
pub fn decode(bits: u32, mode: u64) -> Insn {
    let on = |ext| mode::has(mode, ext);
    let op = isa::decode32(bits, on).filter(|op| !is_unallocated(*op, bits));
    Insn { op: op.filter(|op| !needs_half(*op, bits) || on(Ext::Fp16)), bits }
}

/// Whether a field says that an instruction is of halves, of a row that has other types, too.
fn needs_half(op: Op, bits: u32) -> bool {
    match op {
        Op::Fcvt(_) => false,
        Op::ScvtfVfix(a) | Op::UcvtfVfix(a) | Op::FcvtzsVfix(a) | Op::FcvtzuVfix(a) => a.imm >> 5 == 0,
        Op::ScvtfSfix(a) | Op::UcvtfSfix(a) | Op::FcvtzsSfix(a) | Op::FcvtzuSfix(a) => a.imm >> 5 == 0,
        // The scalar float instructions with the type half in their `ftype` field.
        _ => bits & 0x5ec0_0000 == 0x1ec0_0000,
    }
}

/// Whether an instruction uses SIMD and floating point registers: C4.1.
fn uses_float(bits: u32) -> bool {
    let group = bits >> 25 & 15;
    group & 7 == 7 || group & 5 == 4 && bits >> 26 & 1 != 0
}

/// Values of fields that the manual's pages of these instructions reserve.
pub fn is_unallocated(op: Op, bits: u32) -> bool {
    match op {
        Op::AndImm(a) | Op::OrrImm(a) | Op::EorImm(a) => bitmask(a.sf, a.n, a.immr, a.imms).is_none(),
        Op::AndsImm(a) => bitmask(a.sf, a.n, a.immr, a.imms).is_none(),
        Op::Movn(a) | Op::Movz(a) | Op::Movk(a) => a.sf == 0 && a.hw > 1,
        Op::Sbfm(a) | Op::Bfm(a) | Op::Ubfm(a) => a.n != a.sf || a.sf == 0 && (a.immr | a.imms) > 31,
        Op::Extr(a) => a.n != a.sf || a.sf == 0 && a.imms > 31,
        Op::And(a) | Op::Bic(a) | Op::Orr(a) | Op::Orn(a) => a.sf == 0 && a.imm > 31,
        Op::Eor(a) | Op::Eon(a) | Op::Ands(a) | Op::Bics(a) => a.sf == 0 && a.imm > 31,
        Op::Add(a) | Op::Adds(a) | Op::Sub(a) | Op::Subs(a) => a.shift == 3 || a.sf == 0 && a.imm > 31,
        Op::AddExt(a) | Op::AddsExt(a) | Op::SubExt(a) | Op::SubsExt(a) => a.imm > 4,
        Op::StrR(a) | Op::LdrR(a) | Op::LdrsRS(a) | Op::LdrsRSw(a) => a.option & 2 == 0,
        Op::StrRV(a) | Op::LdrRV(a) => a.option & 2 == 0,
        Op::StrRQ(a) | Op::LdrRQ(a) | Op::PrfmR(a) => a.option & 2 == 0,
        Op::Fcvt(a) => a.ftype == a.opc,
        Op::ScvtfFix(a) | Op::UcvtfFix(a) => a.sf == 0 && a.scale < 32,
        Op::FcvtzsFix(a) | Op::FcvtzuFix(a) => a.sf == 0 && a.scale < 32,
        Op::Casp(a) => (a.rs | a.rt) & 1 != 0,
        _ => is_unallocated_memory(op) || is_unallocated_simd(op, bits),
    }
}

/// Of memory copy and set instructions: registers that must differ, and must not be number 31.
fn is_unallocated_memory(op: Op) -> bool {
    match op {
        Op::Cpyfp(a) | Op::Cpyfm(a) | Op::Cpyfe(a) | Op::Cpyp(a) | Op::Cpym(a) | Op::Cpye(a) => {
            a.rd == a.rs || a.rs == a.rn || a.rd == a.rn || [a.rd, a.rs, a.rn].contains(&31)
        }
        Op::Setp(a) | Op::Setm(a) | Op::Sete(a) => {
            a.rd == a.rs || a.rs == a.rn || a.rd == a.rn || [a.rd, a.rn].contains(&31)
        }
        _ => false,
    }
}

/// Of Advanced SIMD: lanes that are as wide as half a register has bits, and element sizes that there are not.
fn is_unallocated_simd(op: Op, bits: u32) -> bool {
    let row = op.row();
    if !row.extensions.contains(&Ext::AdvSimd) {
        return false;
    }
    match op {
        Op::Addv(a)
        | Op::Smaxv(a)
        | Op::Sminv(a)
        | Op::Umaxv(a)
        | Op::Uminv(a)
        | Op::Saddlv(a)
        | Op::Uaddlv(a) => a.q == 0 && a.size == 2,
        Op::DupElement(a) | Op::DupGeneral(a) => a.imm5 & 15 == 0 || a.q == 0 && a.imm5.trailing_zeros() == 3,
        Op::Umov(a) => a.imm5 & 15 == 0 || (a.q == 1) != (a.imm5.trailing_zeros() == 3),
        Op::Smov(a) => a.imm5 & 7 == 0 || a.q == 0 && a.imm5.trailing_zeros() == 2,
        Op::InsGeneral(a) | Op::DupScalar(a) => a.imm5 & 15 == 0,
        Op::InsElement(a) => a.imm5 & 15 == 0,
        Op::ExtV(a) => a.q == 0 && a.imm4 > 7,
        Op::MoviV(a) => a.cmode == 15 && a.op == 1 && a.q == 0,
        Op::ShrnV(a) | Op::RshrnV(a) | Op::SshllV(a) | Op::UshllV(a) => is_no_narrow(a.imm),
        Op::SqshrunV(a) | Op::SqrshrunV(a) | Op::SqshrnV(a) | Op::SqrshrnV(a) => is_no_narrow(a.imm),
        Op::UqshrnV(a) | Op::UqrshrnV(a) => is_no_narrow(a.imm),
        Op::SqshrunS(a) | Op::SqrshrunS(a) | Op::SqshrnS(a) | Op::SqrshrnS(a) => is_no_narrow(a.imm),
        Op::UqshrnS(a) | Op::UqrshrnS(a) => is_no_narrow(a.imm),
        Op::SqshluS(a) | Op::SqshlSi(a) | Op::UqshlSi(a) => a.imm >> 3 == 0,
        Op::ScvtfVfix(a) | Op::UcvtfVfix(a) | Op::FcvtzsVfix(a) | Op::FcvtzuVfix(a) => {
            a.imm >> 4 == 0 || a.q == 0 && a.imm >> 6 == 1
        }
        Op::ScvtfSfix(a) | Op::UcvtfSfix(a) | Op::FcvtzsSfix(a) | Op::FcvtzuSfix(a) => a.imm >> 4 == 0,
        // The other shifts by constants.
        _ if row.has("q") && row.has("imm") => bits >> 19 & 15 == 0 || is_half(bits) && bits >> 22 & 1 == 1,
        Op::FmlaE(a) | Op::FmlsE(a) | Op::FmulE(a) | Op::FmulxE(a) => a.sz == 1 && (a.l == 1 || a.q == 0),
        Op::FmlaEs(a) | Op::FmlsEs(a) | Op::FmulEs(a) | Op::FmulxEs(a) => a.sz == 1 && a.l == 1,
        Op::FcmlaEh(a) => a.q == 0 && a.h == 1,
        Op::StMultiple(a) | Op::LdMultiple(a) => !is_multiple(a.opcode, a.size, a.q),
        Op::StMultiPost(a) | Op::LdMultiPost(a) => !is_multiple(a.opcode, a.size, a.q),
        Op::StSingle(a) => !is_single(a.opcode, a.s, a.size, false),
        Op::LdSingle(a) => !is_single(a.opcode, a.s, a.size, true),
        Op::StSinglePost(a) => !is_single(a.opcode, a.s, a.size, false),
        Op::LdSinglePost(a) => !is_single(a.opcode, a.s, a.size, true),
        // One doubleword is no vector.
        _ if row.has("q") && row.has("size") => is_half(bits) && bits >> 22 & 3 == 3,
        _ => row.has("q") && row.has("sz") && is_half(bits) && bits >> 22 & 1 == 1,
    }
}

/// Whether field `q` says that half a register is used.
fn is_half(bits: u32) -> bool {
    bits >> 30 & 1 == 0
}

/// Whether `immh` names no lane that another of twice the width becomes.
fn is_no_narrow(imm: u8) -> bool {
    imm >> 3 == 0 || imm >> 6 == 1
}

/// Registers of a load or store of multiple structures, and elements of a structure.
pub fn multiple(opcode: u8) -> Option<(u8, u8)> {
    Some(match opcode {
        0b0000 => (4, 4),
        0b0010 => (4, 1),
        0b0100 => (3, 3),
        0b0110 => (3, 1),
        0b0111 => (1, 1),
        0b1000 => (2, 2),
        0b1010 => (2, 1),
        _ => return None,
    })
}

fn is_multiple(opcode: u8, size: u8, q: u8) -> bool {
    multiple(opcode).is_some_and(|(_, elements)| elements == 1 || size != 3 || q == 1)
}

fn is_single(opcode: u8, s: u8, size: u8, load: bool) -> bool {
    match opcode >> 1 {
        0 => true,
        1 => size & 1 == 0,
        2 => size == 0 || size == 1 && s == 0,
        _ => load && s == 0,
    }
}

/// The constant of a logical instruction: DecodeBitMasks of the manual, J1.1.3. `None` if it is reserved.
pub fn bitmask(sf: u8, n: u8, immr: u8, imms: u8) -> Option<u64> {
    if n == 1 && sf == 0 {
        return None;
    }
    let key = u32::from(n) << 6 | u32::from(!imms & 63);
    let len = 31 - key.leading_zeros().min(31);
    if key < 2 {
        return None;
    }
    let size = 1u32 << len;
    let (ones, rotate) = (u32::from(imms) & (size - 1), u32::from(immr) & (size - 1));
    if ones == size - 1 {
        return None;
    }
    let element = u64::MAX >> (63 - ones);
    let mask = u64::MAX >> (64 - size);
    let rotated = if rotate == 0 { element } else { (element >> rotate | element << (size - rotate)) & mask };
    let mut all = rotated;
    let mut width = size;
    while width < 64 {
        all |= all << width;
        width *= 2;
    }
    Some(if sf == 0 { all & 0xffff_ffff } else { all })
}

/// The meaning of an instruction.
#[inline]
pub fn exec<S: Sem>(s: &mut S, at: &Ctx, insn: Insn) -> Flow<S> {
    let cx = Cx { at: *at, bits: insn.bits };
    if mode::illegal(at.mode) {
        return cx.trap::<S>(esr::trap(class::ILLEGAL, 0));
    }
    match insn.op {
        Some(_) if !mode::fp_on(at.mode) && uses_float(insn.bits) => cx.trap::<S>(esr::FLOAT_OFF),
        Some(op) => isa::exec(s, &cx, op),
        None => cx.undefined::<S>(),
    }
}
