//! Loads and stores of one register or two: C4.1.94. Names end as the rows' do: mode, then kind of register.

use super::atomic::{BEFORE_LOADS, RELEASE};
use super::{Cx, Width, fall, set_x, set_x_sp, x, x_sp};
use crate::cpu;
use crate::helpers;
use crate::isa::{LdI, LdIQ, LdR, LdRQ, LdU, LdUQ, Literal, LiteralV, Pair, PairS, PairV};
use tcg_core::sem::{Flow, Lane, MemOp, Order, Sem, V};
use tcg_core::ty::{F32, F64, I32, I64, Ty};

/// What an instruction moves, and how.
#[derive(Clone, Copy)]
enum Access {
    /// Load to a general register, zeros above.
    Load(u8),
    /// Load with sign extension to 64 bits.
    LoadSigned(u8),
    /// Load with sign extension to 32 bits.
    LoadSignedW(u8),
    /// Store of a general register.
    Store(u8),
    /// Load to a SIMD register of up to 64 bits.
    LoadV(u8),
    /// Store of a SIMD register of up to 64 bits.
    StoreV(u8),
    /// Load of 128 bits.
    LoadQ,
    /// Store of 128 bits.
    StoreQ,
}

impl Access {
    fn size(self) -> u8 {
        match self {
            Self::Load(n) | Self::LoadSigned(n) | Self::LoadSignedW(n) | Self::Store(n) => n,
            Self::LoadV(n) | Self::StoreV(n) => n,
            Self::LoadQ | Self::StoreQ => 4,
        }
    }
}

/// A value on its way to a register.
enum Loaded<S: Sem> {
    General(V<S, I64>),
    Simd(S::W),
    Nothing,
}

/// Accesses memory; the register is set afterwards by [`put`].
fn access<S: Sem>(s: &mut S, rt: u8, addr: V<S, I64>, access: Access) -> Result<Loaded<S>, S::Stop> {
    Ok(match access {
        Access::Load(size) => Loaded::General(s.load(addr, MemOp::new(size))?),
        Access::LoadSigned(size) => Loaded::General(s.load(addr, MemOp::new(size).signed())?),
        Access::LoadSignedW(size) => {
            let v = s.load::<I32>(addr, MemOp::new(size).signed())?;
            Loaded::General(s.zextw(v))
        }
        Access::Store(size) => {
            let v = x(s, rt);
            s.store(addr, v, MemOp::new(size))?;
            Loaded::Nothing
        }
        Access::LoadV(size) => Loaded::Simd(load_lowest(s, addr, size)?),
        Access::StoreV(size) => {
            store_lowest(s, rt, addr, size)?;
            Loaded::Nothing
        }
        Access::LoadQ => Loaded::Simd(s.load_vector(addr, MemOp::new(4))?),
        Access::StoreQ => {
            let v = s.get_vector(cpu::v(rt));
            s.store_vector(addr, v, MemOp::new(4))?;
            Loaded::Nothing
        }
    })
}

/// `1 << size` bytes of memory with zeros above, as a vector.
fn load_lowest<S: Sem>(s: &mut S, addr: V<S, I64>, size: u8) -> Result<S::W, S::Stop> {
    let (op, zero) = (MemOp::new(size), s.vector(0));
    Ok(match size {
        3 => {
            let v = s.load::<F64>(addr, op)?;
            s.insert(Ty::F64x2, 0, zero, v)
        }
        2 => {
            let v = s.load::<F32>(addr, op)?;
            s.insert(Ty::F32x4, 0, zero, v)
        }
        _ => {
            let v = s.load::<I32>(addr, op)?;
            s.insert(Ty::I32x4, 0, zero, v)
        }
    })
}

/// Stores the lowest `1 << size` bytes of `v[rt]`.
fn store_lowest<S: Sem>(s: &mut S, rt: u8, addr: V<S, I64>, size: u8) -> Result<(), S::Stop> {
    let (op, v) = (MemOp::new(size), s.get_vector(cpu::v(rt)));
    match size {
        3 => {
            let v = s.extract::<F64>(Lane::new(3, 0), v);
            s.store(addr, v, op)
        }
        2 => {
            let v = s.extract::<F32>(Lane::new(2, 0), v);
            s.store(addr, v, op)
        }
        _ => {
            let v = s.extract::<I32>(Lane::new(size, 0), v);
            s.store(addr, v, op)
        }
    }
}

/// Register `rt` becomes what was loaded.
fn put<S: Sem>(s: &mut S, rt: u8, loaded: Loaded<S>) {
    match loaded {
        Loaded::General(v) => set_x(s, rt, v),
        Loaded::Simd(v) => s.set_vector(cpu::v(rt), v),
        Loaded::Nothing => {}
    }
}

/// How the base register and an offset make the address.
#[derive(Clone, Copy)]
enum Mode {
    Offset,
    Pre,
    Post,
}

fn at<S: Sem>(s: &mut S, (rt, rn): (u8, u8), mode: Mode, offset: i64, kind: Access) -> Flow<S> {
    let base = x_sp(s, rn);
    let moved = s.add_imm(base, offset);
    let addr = if matches!(mode, Mode::Post) { base } else { moved };
    let loaded = access(s, rt, addr, kind)?;
    if !matches!(mode, Mode::Offset) {
        set_x_sp(s, rn, moved);
    }
    put(s, rt, loaded);
    fall::<S>()
}

/// An index register, extended and shifted.
fn index<S: Sem>(s: &mut S, rm: u8, option: u8, shift: u8) -> V<S, I64> {
    let v = match option {
        2 => {
            let w = I32::get(s, rm);
            s.zextw(w)
        }
        6 => {
            let w = I32::get(s, rm);
            s.sextw(w)
        }
        _ => x(s, rm),
    };
    let k = s.k(shift.into());
    s.shl(v, k)
}

fn by_index<S: Sem>(s: &mut S, (rt, rn): (u8, u8), offset: V<S, I64>, kind: Access) -> Flow<S> {
    let base = x_sp(s, rn);
    let addr = s.add(base, offset);
    let loaded = access(s, rt, addr, kind)?;
    put(s, rt, loaded);
    fall::<S>()
}

/// Rows of one addressing mode: `name(shape) = kind of access`.
macro_rules! rows {
    (unsigned: $($(#[$doc:meta])* $name:ident($shape:ident) = |$a:ident| $kind:expr;)*) => { $(
        $(#[$doc])*
        pub fn $name<S: Sem>(s: &mut S, _: &Cx, $a: $shape) -> Flow<S> {
            let kind = $kind;
            at(s, ($a.rt, $a.rn), Mode::Offset, i64::from($a.imm) << kind.size(), kind)
        }
    )* };
    ($mode:ident: $($(#[$doc:meta])* $name:ident($shape:ident) = |$a:ident| $kind:expr;)*) => { $(
        $(#[$doc])*
        pub fn $name<S: Sem>(s: &mut S, _: &Cx, $a: $shape) -> Flow<S> {
            at(s, ($a.rt, $a.rn), Mode::$mode, $a.imm.into(), $kind)
        }
    )* };
}

rows! { unsigned:
    /// Store.
    str_u(LdU) = |a| Access::Store(a.size);
    /// Load.
    ldr_u(LdU) = |a| Access::Load(a.size);
    /// Load signed.
    ldrs_u_s(LdU) = |a| Access::LoadSigned(a.size);
    /// Load signed to 32 bits.
    ldrs_u_sw(LdU) = |a| Access::LoadSignedW(a.size);
    /// Store SIMD register.
    str_u_v(LdU) = |a| Access::StoreV(a.size);
    /// Load SIMD register.
    ldr_u_v(LdU) = |a| Access::LoadV(a.size);
    /// Store 128 bits.
    str_u_q(LdUQ) = |a| Access::StoreQ;
    /// Load 128 bits.
    ldr_u_q(LdUQ) = |a| Access::LoadQ;
}

rows! { Offset:
    /// Store, unscaled offset.
    stur_i(LdI) = |a| Access::Store(a.size);
    /// Load, unscaled offset.
    ldur_i(LdI) = |a| Access::Load(a.size);
    /// Load signed, unscaled offset.
    ldurs_i_s(LdI) = |a| Access::LoadSigned(a.size);
    /// Load signed to 32 bits, unscaled offset.
    ldurs_i_sw(LdI) = |a| Access::LoadSignedW(a.size);
    /// Store SIMD register, unscaled offset.
    stur_i_v(LdI) = |a| Access::StoreV(a.size);
    /// Load SIMD register, unscaled offset.
    ldur_i_v(LdI) = |a| Access::LoadV(a.size);
    /// Store 128 bits, unscaled offset.
    stur_i_q(LdIQ) = |a| Access::StoreQ;
    /// Load 128 bits, unscaled offset.
    ldur_i_q(LdIQ) = |a| Access::LoadQ;
}

/// What a load or store that is made as EL0 would moves.
fn unprivileged<S: Sem>(s: &mut S, cx: &Cx, a: LdI, kind: Access) -> Flow<S> {
    if cx.el() == 0 {
        return at(s, (a.rt, a.rn), Mode::Offset, a.imm.into(), kind);
    }
    let base = x_sp(s, a.rn);
    let addr = s.add_imm(base, a.imm.into());
    let (op, narrow) = match kind {
        Access::LoadSigned(size) => (MemOp::new(size).signed(), false),
        Access::LoadSignedW(size) => (MemOp::new(size).signed(), true),
        kind => (MemOp::new(kind.size()), false),
    };
    let packed = s.k(op.pack());
    if let Access::Store(_) = kind {
        let v = x(s, a.rt);
        s.call(helpers::STORE_UNPRIVILEGED, &[addr, v, packed])?;
        return fall::<S>();
    }
    let mut v = s.call(helpers::LOAD_UNPRIVILEGED, &[addr, packed])?;
    if narrow {
        let w = s.trunc(v);
        v = s.zextw(w);
    }
    set_x(s, a.rt, v);
    fall::<S>()
}

/// Store as EL0 would.
pub fn sttr_t<S: Sem>(s: &mut S, cx: &Cx, a: LdI) -> Flow<S> {
    unprivileged(s, cx, a, Access::Store(a.size))
}

/// Load as EL0 would.
pub fn ldtr_t<S: Sem>(s: &mut S, cx: &Cx, a: LdI) -> Flow<S> {
    unprivileged(s, cx, a, Access::Load(a.size))
}

/// Load signed as EL0 would.
pub fn ldtrs_t_s<S: Sem>(s: &mut S, cx: &Cx, a: LdI) -> Flow<S> {
    unprivileged(s, cx, a, Access::LoadSigned(a.size))
}

/// Load signed to 32 bits as EL0 would.
pub fn ldtrs_t_sw<S: Sem>(s: &mut S, cx: &Cx, a: LdI) -> Flow<S> {
    unprivileged(s, cx, a, Access::LoadSignedW(a.size))
}

rows! { Pre:
    /// Store, pre-indexed.
    str_pre(LdI) = |a| Access::Store(a.size);
    /// Load, pre-indexed.
    ldr_pre(LdI) = |a| Access::Load(a.size);
    /// Load signed, pre-indexed.
    ldrs_pre_s(LdI) = |a| Access::LoadSigned(a.size);
    /// Load signed to 32 bits, pre-indexed.
    ldrs_pre_sw(LdI) = |a| Access::LoadSignedW(a.size);
    /// Store SIMD register, pre-indexed.
    str_pre_v(LdI) = |a| Access::StoreV(a.size);
    /// Load SIMD register, pre-indexed.
    ldr_pre_v(LdI) = |a| Access::LoadV(a.size);
    /// Store 128 bits, pre-indexed.
    str_pre_q(LdIQ) = |a| Access::StoreQ;
    /// Load 128 bits, pre-indexed.
    ldr_pre_q(LdIQ) = |a| Access::LoadQ;
}

rows! { Post:
    /// Store, post-indexed.
    str_post(LdI) = |a| Access::Store(a.size);
    /// Load, post-indexed.
    ldr_post(LdI) = |a| Access::Load(a.size);
    /// Load signed, post-indexed.
    ldrs_post_s(LdI) = |a| Access::LoadSigned(a.size);
    /// Load signed to 32 bits, post-indexed.
    ldrs_post_sw(LdI) = |a| Access::LoadSignedW(a.size);
    /// Store SIMD register, post-indexed.
    str_post_v(LdI) = |a| Access::StoreV(a.size);
    /// Load SIMD register, post-indexed.
    ldr_post_v(LdI) = |a| Access::LoadV(a.size);
    /// Store 128 bits, post-indexed.
    str_post_q(LdIQ) = |a| Access::StoreQ;
    /// Load 128 bits, post-indexed.
    ldr_post_q(LdIQ) = |a| Access::LoadQ;
}

macro_rules! indexed {
    ($($(#[$doc:meta])* $name:ident($shape:ident) = |$a:ident| $kind:expr;)*) => { $(
        $(#[$doc])*
        pub fn $name<S: Sem>(s: &mut S, _: &Cx, $a: $shape) -> Flow<S> {
            let kind = $kind;
            let offset = index(s, $a.rm, $a.option, $a.s * kind.size());
            by_index(s, ($a.rt, $a.rn), offset, kind)
        }
    )* };
}

indexed! {
    /// Store, register offset.
    str_r(LdR) = |a| Access::Store(a.size);
    /// Load, register offset.
    ldr_r(LdR) = |a| Access::Load(a.size);
    /// Load signed, register offset.
    ldrs_r_s(LdR) = |a| Access::LoadSigned(a.size);
    /// Load signed to 32 bits, register offset.
    ldrs_r_sw(LdR) = |a| Access::LoadSignedW(a.size);
    /// Store SIMD register, register offset.
    str_r_v(LdR) = |a| Access::StoreV(a.size);
    /// Load SIMD register, register offset.
    ldr_r_v(LdR) = |a| Access::LoadV(a.size);
    /// Store 128 bits, register offset.
    str_r_q(LdRQ) = |a| Access::StoreQ;
    /// Load 128 bits, register offset.
    ldr_r_q(LdRQ) = |a| Access::LoadQ;
}

fn literal<S: Sem>(s: &mut S, cx: &Cx, rt: u8, offset: i32, kind: Access) -> Flow<S> {
    let addr = s.code_addr(cx.relative(offset));
    let loaded = access(s, rt, addr, kind)?;
    put(s, rt, loaded);
    fall::<S>()
}

/// Load a word that stands beside the code.
pub fn ldr_lit_w<S: Sem>(s: &mut S, cx: &Cx, a: Literal) -> Flow<S> {
    literal(s, cx, a.rt, a.imm, Access::Load(2))
}

/// Load a doubleword that stands beside the code.
pub fn ldr_lit_x<S: Sem>(s: &mut S, cx: &Cx, a: Literal) -> Flow<S> {
    literal(s, cx, a.rt, a.imm, Access::Load(3))
}

/// Load a signed word that stands beside the code.
pub fn ldrsw_lit<S: Sem>(s: &mut S, cx: &Cx, a: Literal) -> Flow<S> {
    literal(s, cx, a.rt, a.imm, Access::LoadSigned(2))
}

/// Load a SIMD register that stands beside the code.
pub fn ldr_lit_v<S: Sem>(s: &mut S, cx: &Cx, a: LiteralV) -> Flow<S> {
    let kind = if a.size == 2 { Access::LoadQ } else { Access::LoadV(a.size + 2) };
    literal(s, cx, a.rt, a.imm, kind)
}

/// Prefetch: nothing to do.
pub fn prfm_lit<S: Sem>(_: &mut S, _: &Cx, _: Literal) -> Flow<S> {
    fall::<S>()
}

/// Prefetch: nothing to do.
pub fn prfm_u<S: Sem>(_: &mut S, _: &Cx, _: LdUQ) -> Flow<S> {
    fall::<S>()
}

/// Prefetch: nothing to do.
pub fn prfum_i<S: Sem>(_: &mut S, _: &Cx, _: LdIQ) -> Flow<S> {
    fall::<S>()
}

/// Prefetch: nothing to do.
pub fn prfm_r<S: Sem>(_: &mut S, _: &Cx, _: LdRQ) -> Flow<S> {
    fall::<S>()
}

/// Two registers, next to each other in memory; `rts` are the two and the base.
fn pair<S: Sem>(s: &mut S, [rt, rt2, rn]: [u8; 3], mode: Mode, offset: i64, kind: Access) -> Flow<S> {
    let base = x_sp(s, rn);
    let moved = s.add_imm(base, offset);
    let addr = if matches!(mode, Mode::Post) { base } else { moved };
    let above = s.add_imm(addr, 1 << kind.size());
    let first = access(s, rt, addr, kind)?;
    let second = access(s, rt2, above, kind)?;
    if !matches!(mode, Mode::Offset) {
        set_x_sp(s, rn, moved);
    }
    put(s, rt, first);
    put(s, rt2, second);
    fall::<S>()
}

fn general(a: Pair, store: bool) -> (i64, Access) {
    let size = 2 + a.sf;
    (i64::from(a.imm) << size, if store { Access::Store(size) } else { Access::Load(size) })
}

fn simd(a: PairV, store: bool) -> (i64, Access) {
    let size = 2 + a.opc;
    let kind = match (size, store) {
        (4, true) => Access::StoreQ,
        (4, false) => Access::LoadQ,
        (_, true) => Access::StoreV(size),
        (_, false) => Access::LoadV(size),
    };
    (i64::from(a.imm) << size, kind)
}

macro_rules! pairs {
    ($($(#[$doc:meta])* $name:ident($shape:ident) = $mode:ident, |$a:ident| $kind:expr;)*) => { $(
        $(#[$doc])*
        pub fn $name<S: Sem>(s: &mut S, _: &Cx, $a: $shape) -> Flow<S> {
            let (offset, kind) = $kind;
            pair(s, [$a.rt, $a.rt2, $a.rn], Mode::$mode, offset, kind)
        }
    )* };
}

pairs! {
    /// Store pair, non-temporal.
    stnp_n(Pair) = Offset, |a| general(a, true);
    /// Load pair, non-temporal.
    ldnp_n(Pair) = Offset, |a| general(a, false);
    /// Store pair.
    stp_i(Pair) = Offset, |a| general(a, true);
    /// Load pair.
    ldp_i(Pair) = Offset, |a| general(a, false);
    /// Store pair, pre-indexed.
    stp_pre(Pair) = Pre, |a| general(a, true);
    /// Load pair, pre-indexed.
    ldp_pre(Pair) = Pre, |a| general(a, false);
    /// Store pair, post-indexed.
    stp_post(Pair) = Post, |a| general(a, true);
    /// Load pair, post-indexed.
    ldp_post(Pair) = Post, |a| general(a, false);
    /// Load pair of signed words.
    ldpsw_i(PairS) = Offset, |a| (a.imm.into(), Access::LoadSigned(2));
    /// Load pair of signed words, pre-indexed.
    ldpsw_pre(PairS) = Pre, |a| (a.imm.into(), Access::LoadSigned(2));
    /// Load pair of signed words, post-indexed.
    ldpsw_post(PairS) = Post, |a| (a.imm.into(), Access::LoadSigned(2));
    /// Store pair of SIMD registers, non-temporal.
    stnp_n_v(PairV) = Offset, |a| simd(a, true);
    /// Load pair of SIMD registers, non-temporal.
    ldnp_n_v(PairV) = Offset, |a| simd(a, false);
    /// Store pair of SIMD registers.
    stp_i_v(PairV) = Offset, |a| simd(a, true);
    /// Load pair of SIMD registers.
    ldp_i_v(PairV) = Offset, |a| simd(a, false);
    /// Store pair of SIMD registers, pre-indexed.
    stp_pre_v(PairV) = Pre, |a| simd(a, true);
    /// Load pair of SIMD registers, pre-indexed.
    ldp_pre_v(PairV) = Pre, |a| simd(a, false);
    /// Store pair of SIMD registers, post-indexed.
    stp_post_v(PairV) = Post, |a| simd(a, true);
    /// Load pair of SIMD registers, post-indexed.
    ldp_post_v(PairV) = Post, |a| simd(a, false);
}

/// Store-release of a SIMD register, unscaled offset.
fn store_release<S: Sem>(s: &mut S, (rt, rn): (u8, u8), offset: i32, kind: Access) -> Flow<S> {
    s.fence(RELEASE);
    let flow = at(s, (rt, rn), Mode::Offset, offset.into(), kind)?;
    s.fence(BEFORE_LOADS);
    Ok(flow)
}

/// Load-acquire of a SIMD register, unscaled offset.
fn load_acquire<S: Sem>(s: &mut S, (rt, rn): (u8, u8), offset: i32, kind: Access) -> Flow<S> {
    let flow = at(s, (rt, rn), Mode::Offset, offset.into(), kind)?;
    s.fence(Order::ACQUIRE);
    Ok(flow)
}

/// Store-release of up to 64 bits.
pub fn stlur_v<S: Sem>(s: &mut S, _: &Cx, a: LdI) -> Flow<S> {
    store_release(s, (a.rt, a.rn), a.imm, Access::StoreV(a.size))
}

/// Load-acquire of up to 64 bits.
pub fn ldapur_v<S: Sem>(s: &mut S, _: &Cx, a: LdI) -> Flow<S> {
    load_acquire(s, (a.rt, a.rn), a.imm, Access::LoadV(a.size))
}

/// Store-release of 128 bits.
pub fn stlur_q<S: Sem>(s: &mut S, _: &Cx, a: LdIQ) -> Flow<S> {
    store_release(s, (a.rt, a.rn), a.imm, Access::StoreQ)
}

/// Load-acquire of 128 bits.
pub fn ldapur_q<S: Sem>(s: &mut S, _: &Cx, a: LdIQ) -> Flow<S> {
    load_acquire(s, (a.rt, a.rn), a.imm, Access::LoadQ)
}
