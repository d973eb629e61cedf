//! Shuffles whose control is known: the one instruction that does it, or PSHUFB.

use super::compile::Emit;
use super::vector::{X0, X1, sse};
use crate::ir::{Inst, Value};
use dynasmrt::{DynasmApi, DynasmLabelApi, dynasm};

/// The control as bytes.
type Control = [u8; 16];

/// What gives zero.
const ZERO: u8 = 0x80;

/// Which interleaving of the lower or upper halves of two vectors, in lanes of `1 << size` bytes, the control is.
fn interleaving(control: Control) -> Option<(u8, bool)> {
    (0..4u8).flat_map(|size| [(size, false), (size, true)]).find(|(size, high)| {
        let lane = 1usize << size;
        let from = |i: usize| {
            let (n, byte) = (i / lane, i % lane);
            n / 2 * lane + byte + if n % 2 != 0 { 16 } else { 0 } + if *high { 8 } else { 0 }
        };
        (0..16).all(|i| usize::from(control[i]) == from(i))
    })
}

/// The words that the control takes in whole, by number (8 and more are of the second argument).
fn doublewords(control: Control) -> Option<[u8; 4]> {
    let mut words = [0; 4];
    for (n, bytes) in control.chunks(4).enumerate() {
        let first = bytes[0];
        if first % 4 != 0 || first == ZERO || (0..4).any(|i| bytes[i] != first + i as u8) {
            return None;
        }
        words[n] = first / 4;
    }
    Some(words)
}

/// The number of the byte that comes first when the control takes sixteen in a row.
fn run(control: Control) -> Option<i8> {
    let start = control[0];
    (start < 16 && (0..16).all(|i| control[i] == start + i as u8)).then_some(start as i8)
}

/// The control with the arguments exchanged.
fn exchanged(control: Control) -> Control {
    control.map(|from| if from == ZERO { ZERO } else { from ^ 16 })
}

impl Emit<'_> {
    /// A shuffle.
    pub fn shuffle(&mut self, v: Value, inst: &Inst) {
        let [mut a, mut b, _] = inst.args;
        let control = self.region.vectors[inst.imm as usize].to_le_bytes();
        let mut control = control.map(|from| if from < 32 { from } else { ZERO });
        if a == b {
            control = control.map(|from| if from == ZERO { ZERO } else { from & 15 });
        }
        if control.iter().all(|from| *from >= 16) {
            (a, b, control) = (b, a, exchanged(control));
        }
        if control.iter().all(|from| *from < 16 || *from == ZERO) {
            return self.shuffle_one(v, inst, a, control);
        }
        for (a, b, control) in [(a, b, control), (b, a, exchanged(control))] {
            if self.shuffle_two(v, Inst { args: [a, b, b], ..*inst }, control) {
                return;
            }
        }
        if !self.features.sse4 {
            return self.soft_lanes(v, inst);
        }
        for (to, arg, own) in [(X0, a, 0), (X1, b, 16)] {
            self.read_xmm(arg, to);
            let bytes = control.map(|from| if from & 0x90 == own { from & 15 } else { ZERO });
            self.with_constant(to, u128::from_le_bytes(bytes), |s, to, k| sse!(s, pshufb to, =k));
        }
        sse!(self, por X0, X1);
        self.write_xmm(X0, v);
    }

    /// A shuffle of `a` alone.
    fn shuffle_one(&mut self, v: Value, inst: &Inst, a: Value, control: Control) {
        if let Some(words) = doublewords(control) {
            let (from, to) = (self.xmm(a, X1), self.target_xmm(v, X0));
            let order = words.iter().rev().fold(0, |all, word| all << 2 | word);
            sse!(self, pshufd to, from, order as i8);
            return self.write_xmm(to, v);
        }
        let one = Inst { args: [a; 3], ..*inst };
        let kept = |shift: i8| {
            (0..16).all(|i: i8| match usize::try_from(i + shift) {
                Ok(from @ 0..16) => usize::from(control[i as usize]) == from,
                _ => control[i as usize] == ZERO,
            })
        };
        if let Some(shift) = (-15..16).find(|shift| kept(*shift)) {
            let to = self.one(v, &one);
            let ops = &mut self.ops;
            if shift >= 0 {
                dynasm!(ops ; .arch x64 ; psrldq Rx(to), shift);
            } else {
                dynasm!(ops ; .arch x64 ; pslldq Rx(to), -shift);
            }
            return self.write_xmm(to, v);
        }
        if !self.features.sse4 {
            return self.soft_lanes(v, inst);
        }
        let to = self.one(v, &one);
        self.with_constant(to, u128::from_le_bytes(control), |s, to, k| sse!(s, pshufb to, =k));
        self.write_xmm(to, v);
    }

    /// One instruction for a shuffle of two vectors; false if there is none.
    fn shuffle_two(&mut self, v: Value, inst: Inst, control: Control) -> bool {
        if let Some(form) = interleaving(control) {
            let (to, b) = self.two(v, &inst, false);
            match form {
                (0, false) => sse!(self, punpcklbw to, b),
                (0, true) => sse!(self, punpckhbw to, b),
                (1, false) => sse!(self, punpcklwd to, b),
                (1, true) => sse!(self, punpckhwd to, b),
                (2, false) => sse!(self, punpckldq to, b),
                (2, true) => sse!(self, punpckhdq to, b),
                (_, false) => sse!(self, punpcklqdq to, b),
                (_, true) => sse!(self, punpckhqdq to, b),
            }
            self.write_xmm(to, v);
            return true;
        }
        if let Some([p, q, r, s]) =
            doublewords(control).filter(|[p, q, r, s]| *p.max(q) < 4 && *r.min(s) >= 4)
        {
            let (to, b) = self.two(v, &inst, false);
            sse!(self, shufps to, b, (p | q << 2 | (r & 3) << 4 | (s & 3) << 6) as i8);
            self.write_xmm(to, v);
            return true;
        }
        if !self.features.sse4 {
            return false;
        }
        if let Some(start) = run(control) {
            let [a, b, _] = inst.args;
            let (to, low) = self.two(v, &Inst { args: [b, a, a], ..inst }, false);
            sse!(self, palignr to, low, start);
            self.write_xmm(to, v);
            return true;
        }
        let stays = |n: usize| {
            let [low, high] = [control[2 * n], control[2 * n + 1]];
            high == low + 1 && usize::from(low & 15) == 2 * n && low != ZERO
        };
        if (0..8).all(stays) {
            let second = (0..8).filter(|n| control[2 * n] >= 16).fold(0u8, |all, n| all | 1 << n);
            let (to, b) = self.two(v, &inst, false);
            sse!(self, pblendw to, b, second as i8);
            self.write_xmm(to, v);
            return true;
        }
        false
    }
}
