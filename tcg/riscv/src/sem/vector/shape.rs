//! What vector instructions work on: registers as parts of 128 bits, and which of their lanes take part (31.3, 31.5).

use crate::cpu;
use crate::helpers;
use crate::mode::{self, Fs, Vectors};
use crate::sem::{Cx, fall};
use tcg_core::cpu::exit;
use tcg_core::ir::Op;
use tcg_core::sem::{Flow, Narrow, Next, Sem};
use tcg_core::ty::{I64, Ty};

/// Most parts that are translated one by one.
const MAX_PARTS: u16 = 16;

/// The configuration that an instruction is translated for.
#[derive(Clone, Copy)]
pub struct Shape {
    /// log2 of SEW in bytes.
    pub sew: u8,
    /// log2 of LMUL.
    lmul: i8,
    /// Parts of a register.
    per_register: u16,
    /// VLMAX.
    pub vlmax: u64,
    /// `vl` is VLMAX.
    pub whole: bool,
}

impl Shape {
    /// The present one; `None` if there is nothing to translate for.
    pub fn of(cx: &Cx) -> Option<Self> {
        let Vectors { sew, lmul, vlmax, whole } = mode::vectors(cx.at.mode)?;
        let shape = Self { sew, lmul, per_register: per_register(cx), vlmax, whole };
        (shape.parts(sew + 1) <= 2 * MAX_PARTS).then_some(shape)
    }

    /// How many parts the elements of `1 << eew` bytes fill.
    pub fn parts(&self, eew: u8) -> u16 {
        (self.vlmax << eew).div_ceil(16) as u16
    }

    /// Whether a group of elements of `1 << eew` bytes may begin at a register (31.5.2).
    pub fn is_group(&self, register: u8, eew: u8) -> bool {
        let emul = self.lmul + eew as i8 - self.sew as i8;
        eew <= 3 && (-3..=3).contains(&emul) && register & ((1 << emul.max(0)) - 1) == 0
    }

    /// How many registers a group of elements of `1 << eew` bytes has.
    pub fn registers(&self, eew: u8) -> u8 {
        1 << (self.lmul + eew as i8 - self.sew as i8).max(0)
    }

    /// Whether two groups have no register in common.
    pub fn apart(&self, (a, a_eew): (u8, u8), (b, b_eew): (u8, u8)) -> bool {
        a + self.registers(a_eew) <= b || b + self.registers(b_eew) <= a
    }

    /// Whether a group has nothing to do with a single register.
    pub fn apart_from_register(&self, (a, a_eew): (u8, u8), register: u8) -> bool {
        register < a || a + self.registers(a_eew) <= register
    }

    /// Part `n` of the group that begins at `register`.
    pub fn part(&self, register: u8, n: u16) -> tcg_core::cpu::RegId {
        cpu::v(u16::from(register) * self.per_register + n)
    }

    /// Lanes of `1 << eew` bytes of part `n` that are in the body: below `vl`. `None`: all.
    fn body<S: Sem>(&self, s: &mut S, eew: u8, n: u16) -> Option<S::W> {
        let ty = Ty::int_lanes(eew);
        let (lanes, first) = (u64::from(ty.lanes()), u64::from(n) * u64::from(ty.lanes()));
        if self.whole {
            let there = self.vlmax.saturating_sub(first);
            return (there < lanes).then(|| s.vector((1 << (there << (3 + eew))) - 1));
        }
        let vl = s.get::<I64>(cpu::VL);
        if eew > 0 || self.vlmax <= 127 {
            let numbers = numbers(s, ty, first);
            let vl = s.splat(ty, vl);
            return Some(s.v2(Op::LtS, ty, numbers, vl));
        }
        // Numbers that bytes have no room for.
        let vl = s.splat(Ty::I16x8, vl);
        let halves = [first, first + 8].map(|first| {
            let numbers = numbers(s, Ty::I16x8, first);
            s.v2(Op::LtS, Ty::I16x8, numbers, vl)
        });
        Some(s.lanes(Op::Narrow, Ty::I8x16, Narrow::SignedToSigned as u64, &halves))
    }

    /// Lanes of `1 << eew` bytes of part `n` that take part: in the body and, if `masked`, not masked off. `None`: all.
    pub fn active<S: Sem>(&self, s: &mut S, masked: bool, eew: u8, n: u16) -> Option<S::W> {
        let body = self.body(s, eew, n);
        if !masked {
            return body;
        }
        let mask = self.mask(s, eew, n);
        Some(match body {
            Some(body) => s.v2(Op::And, Ty::V128, mask, body),
            None => mask,
        })
    }

    /// Lanes of `1 << eew` bytes of part `n` whose bits in v0 are set.
    pub fn mask<S: Sem>(&self, s: &mut S, eew: u8, n: u16) -> S::W {
        self.bits(s, 0, eew, n)
    }

    /// The same of the mask in `register`.
    pub fn bits<S: Sem>(&self, s: &mut S, register: u8, eew: u8, n: u16) -> S::W {
        let ty = Ty::int_lanes(eew);
        let (size, first) = (1usize << eew, u32::from(n) * ty.lanes());
        let source = s.get_vector(self.part(register, (first / 128) as u16));
        let byte = (first / 8 % 16) as u8;
        // The lane's bit comes into its lowest byte, with others.
        let bytes = std::array::from_fn(|i| match i % size {
            0 => byte + ((first as usize % 8 + i / size) / 8) as u8,
            _ => 32,
        });
        let spread = s.shuffle(source, source, bytes);
        let bits = (0..ty.lanes())
            .fold(0, |all, lane| all | 1u128 << (lane * ty.lane_bits() + (first % 8 + lane) % 8));
        let bits = s.vector(bits);
        let set = s.v2(Op::And, Ty::V128, spread, bits);
        s.v2(Op::Eq, ty, set, bits)
    }
}

/// Lane numbers from `first` on.
pub fn numbers<S: Sem>(s: &mut S, ty: Ty, first: u64) -> S::W {
    let number = |lane: u32| u128::from((first + u64::from(lane)) & ty.mask());
    s.vector((0..ty.lanes()).fold(0, |all, lane| all | number(lane) << (lane * ty.lane_bits())))
}

/// How many parts of 128 bits a register has.
pub fn per_register(cx: &Cx) -> u16 {
    (mode::features(cx.at.mode).vlen() / 128) as u16
}

/// `new` where `active` has ones, else `old`.
pub fn blend<S: Sem>(s: &mut S, active: Option<S::W>, new: S::W, old: S::W) -> S::W {
    match active {
        Some(active) => s.bitselect(active, new, old),
        None => new,
    }
}

/// Runs `change`, which writes vector registers, with the unit's state dirty.
pub fn change<S: Sem>(s: &mut S, cx: &Cx, change: impl FnOnce(&mut S)) -> Flow<S> {
    if mode::vs(cx.at.mode) == Fs::Dirty {
        change(s);
        return fall::<S>();
    }
    s.call(helpers::SET_VS_DIRTY, &[])?;
    change(s);
    Ok(Next::Exit(exit::RESYNC))
}
