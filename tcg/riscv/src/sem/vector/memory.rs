//! Loads and stores of consecutive elements, and of whole registers: 31.7.
//!
//! Groups go by parts. Where not all elements take part, only their lanes of a part are accessed, and parts behind `vl` are passed
//! over. What faults leaves `vstart` zero: all of it is done again.

use super::by_element::{by_element, first_fault};
use super::segment::{self, Fields};
use super::shape::{Shape, change, per_register};
use crate::cpu;
use crate::helpers;
use crate::isa::{V2W, VMask, VMem, VMem8, VWhole, VWhole8};
use crate::mode::{self, Fs};
use crate::sem::{Cx, fall, x};
use tcg_core::ir::Op;
use tcg_core::sem::{Flow, MemOp, Sem, V};
use tcg_core::ty::{I64, Ty};

/// Consecutive elements and where they go.
#[derive(Clone, Copy)]
struct Group {
    shape: Shape,
    /// The first register.
    vd: u8,
    /// log2 of an element's bytes.
    eew: u8,
    masked: bool,
}

impl Group {
    /// The group of a unit-stride access, if it can be translated. Stores may store the mask.
    fn of(cx: &Cx, (vd, eew): (u8, u8), (vm, stores): (u8, bool)) -> Option<Self> {
        let (shape, masked) = (Shape::of(cx)?, vm == 0);
        let legal = shape.is_group(vd, eew) && (stores || !masked || vd != 0);
        let ready = mode::vs(cx.at.mode) == Fs::Dirty || shape.whole;
        (legal && ready).then_some(Self { shape, vd, eew, masked })
    }

    fn parts(self) -> u16 {
        self.shape.parts(self.eew)
    }

    fn register(self, n: u16) -> tcg_core::cpu::RegId {
        self.shape.part(self.vd, n)
    }

    /// Lanes of part `n` that take part.
    fn active<S: Sem>(self, s: &mut S, n: u16) -> Option<S::W> {
        self.shape.active(s, self.masked, self.eew, n)
    }

    /// Runs `f` for every part that has elements of the body.
    fn each<S: Sem>(
        self,
        s: &mut S,
        mut f: impl FnMut(&mut S, u16) -> Result<(), S::Stop>,
    ) -> Result<(), S::Stop> {
        f(s, 0)?;
        for n in 1..self.parts() {
            let (first, vl) = (s.k(u64::from(n) << (4 - self.eew)), s.get::<I64>(cpu::VL));
            let any = s.ltu(first, vl);
            s.when(any, |s| f(s, n))?;
        }
        Ok(())
    }

    /// What part `n` becomes by loading from `base`.
    fn loaded<S: Sem>(self, s: &mut S, base: V<S, I64>, n: u16) -> Result<S::W, S::Stop> {
        let addr = s.add_imm(base, 16 * i64::from(n));
        let Some(active) = self.active(s, n) else { return s.load_vector(addr, MemOp::new(4)) };
        let new = s.load_lanes(addr, active, MemOp::new(self.eew))?;
        let old = s.get_vector(self.register(n));
        let kept = s.v2(Op::AndNot, Ty::V128, old, active);
        Ok(s.v2(Op::Or, Ty::V128, new, kept))
    }

    fn load<S: Sem>(self, s: &mut S, cx: &Cx, rs1: u8) -> Flow<S> {
        let base = x(s, rs1);
        if !self.shape.whole {
            self.each(s, |s, n| {
                let value = self.loaded(s, base, n)?;
                s.set_vector(self.register(n), value);
                Ok(())
            })?;
            return fall::<S>();
        }
        let mut values = Vec::with_capacity(self.parts().into());
        for n in 0..self.parts() {
            values.push(self.loaded(s, base, n)?);
        }
        change(s, cx, |s| (0..).zip(&values).for_each(|(n, value)| s.set_vector(self.register(n), *value)))
    }

    fn store_part<S: Sem>(self, s: &mut S, base: V<S, I64>, n: u16) -> Result<(), S::Stop> {
        let addr = s.add_imm(base, 16 * i64::from(n));
        let active = self.active(s, n);
        let value = s.get_vector(self.register(n));
        match active {
            None => s.store_vector(addr, value, MemOp::new(4)),
            Some(active) => s.store_lanes(addr, [value, active], MemOp::new(self.eew)),
        }
    }

    fn store<S: Sem>(self, s: &mut S, rs1: u8) -> Flow<S> {
        let base = x(s, rs1);
        if self.shape.whole {
            for n in 0..self.parts() {
                self.store_part(s, base, n)?;
            }
        } else {
            self.each(s, |s, n| self.store_part(s, base, n))?;
        }
        fall::<S>()
    }

    /// Where it crosses into the next page, a helper sees how far that goes.
    fn load_first<S: Sem>(self, s: &mut S, cx: &Cx, rs1: u8) -> Flow<S> {
        let base = x(s, rs1);
        let last = base::PAGE_SIZE - 16 * u64::from(self.parts());
        let (offset, last) = (s.zext(base, base::PAGE_SHIFT), s.k(last));
        let crosses = s.ltu(last, offset);
        let (bits, vl) = (cx.bits_value(s), s.get(cpu::VL));
        s.when(crosses, |s| s.call(helpers::FIRST_FAULT, &[base, bits, vl]).map(|_| ()))?;
        self.load(s, cx, rs1)
    }
}

macro_rules! unit {
    ($($name:ident $format:ident |$a:ident| $eew:expr, $how:ident;)*) => { $(
        #[doc = concat!("`", stringify!($name), "`.")]
        pub fn $name<S: Sem>(s: &mut S, cx: &Cx, $a: $format) -> Flow<S> {
            if $a.nf != 0 {
                let fields = Fields { vd: $a.vd, eew: $eew, count: $a.nf + 1 };
                return unit!(@fields $how s, cx, $a, fields);
            }
            match Group::of(cx, ($a.vd, $eew), ($a.vm, unit!(@stores $how))) {
                Some(group) => unit!(@$how s, cx, $a, group),
                None => unit!(@else $how s, cx),
            }
        }
    )* };
    (@stores store) => { true };
    (@stores $how:ident) => { false };
    (@load $s:ident, $cx:ident, $a:ident, $group:ident) => { $group.load($s, $cx, $a.rs1) };
    (@store $s:ident, $cx:ident, $a:ident, $group:ident) => { $group.store($s, $a.rs1) };
    (@first $s:ident, $cx:ident, $a:ident, $group:ident) => {
        if $a.vm == 0 { first_fault($s, $cx) } else { $group.load_first($s, $cx, $a.rs1) }
    };
    (@fields load $s:ident, $cx:ident, $a:ident, $fields:ident) => {
        segment::load($s, $cx, ($a.rs1, $a.vm), $fields)
    };
    (@fields store $s:ident, $cx:ident, $a:ident, $fields:ident) => {
        segment::store($s, $cx, ($a.rs1, $a.vm), $fields)
    };
    (@fields first $s:ident, $cx:ident, $a:ident, $fields:ident) => {{
        let _ = $fields;
        first_fault($s, $cx)
    }};
    (@else first $s:ident, $cx:ident) => { first_fault($s, $cx) };
    (@else $how:ident $s:ident, $cx:ident) => { by_element($s, $cx) };
}

unit! {
    vl_unit8 VMem8 |a| 0, load;
    vl_unit VMem |a| a.w, load;
    vs_unit8 VMem8 |a| 0, store;
    vs_unit VMem |a| a.w, store;
    vl_first8 VMem8 |a| 0, first;
    vl_first VMem |a| a.w, first;
}

/// The bytes of a mask, a power of two, if `vl` is VLMAX and they are a part at most.
fn mask_bytes(cx: &Cx) -> Option<(Shape, u8)> {
    let shape = Shape::of(cx).filter(|shape| shape.whole && (8..=128).contains(&shape.vlmax))?;
    Some((shape, (shape.vlmax / 8).trailing_zeros() as u8))
}

/// Load a mask.
pub fn vlm_v<S: Sem>(s: &mut S, cx: &Cx, a: VMask) -> Flow<S> {
    let Some((shape, size)) = mask_bytes(cx) else { return by_element(s, cx) };
    let (base, part) = (x(s, a.rs1), shape.part(a.vd, 0));
    let value = if size == 4 {
        s.load_vector(base, MemOp::new(4))?
    } else {
        let bits = s.load::<I64>(base, MemOp::new(size))?;
        let old = s.get_vector(part);
        s.insert(Ty::int_lanes(size), 0, old, bits)
    };
    change(s, cx, |s| s.set_vector(part, value))
}

/// Store a mask.
pub fn vsm_v<S: Sem>(s: &mut S, cx: &Cx, a: VMask) -> Flow<S> {
    let Some((shape, size)) = mask_bytes(cx) else { return by_element(s, cx) };
    let (base, value) = (x(s, a.rs1), s.get_vector(shape.part(a.vd, 0)));
    if size == 4 {
        s.store_vector(base, value, MemOp::new(4))?;
    } else {
        let bits = s.extract::<I64>(tcg_core::sem::Lane::new(size, 0), value);
        s.store(base, bits, MemOp::new(size))?;
    }
    fall::<S>()
}

/// Parts of whole registers, whatever `vtype` says: the first, and how many.
fn registers(cx: &Cx, vd: u8, count: u8) -> Option<(u16, u16)> {
    let starts = !crate::mode::resumes(cx.at.mode);
    let legal = starts && count.is_power_of_two() && vd.is_multiple_of(count);
    legal.then(|| (u16::from(vd) * per_register(cx), u16::from(count) * per_register(cx)))
}

fn load_registers<S: Sem>(s: &mut S, cx: &Cx, (vd, count): (u8, u8), rs1: u8) -> Flow<S> {
    let Some((first, count)) = registers(cx, vd, count) else { return by_element(s, cx) };
    let base = x(s, rs1);
    let mut values = Vec::with_capacity(count.into());
    for n in 0..count {
        let addr = s.add_imm(base, 16 * i64::from(n));
        values.push(s.load_vector(addr, MemOp::new(4))?);
    }
    change(s, cx, |s| (first..).zip(&values).for_each(|(n, value)| s.set_vector(cpu::v(n), *value)))
}

/// Load whole registers.
pub fn vl_whole8<S: Sem>(s: &mut S, cx: &Cx, a: VWhole8) -> Flow<S> {
    load_registers(s, cx, (a.vd, a.nf + 1), a.rs1)
}

/// Load whole registers of wider elements.
pub fn vl_whole<S: Sem>(s: &mut S, cx: &Cx, a: VWhole) -> Flow<S> {
    load_registers(s, cx, (a.vd, a.nf + 1), a.rs1)
}

/// Store whole registers.
pub fn vs_whole<S: Sem>(s: &mut S, cx: &Cx, a: VWhole8) -> Flow<S> {
    let Some((first, count)) = registers(cx, a.vd, a.nf + 1) else { return by_element(s, cx) };
    let base = x(s, a.rs1);
    for n in 0..count {
        let (addr, value) = (s.add_imm(base, 16 * i64::from(n)), s.get_vector(cpu::v(first + n)));
        s.store_vector(addr, value, MemOp::new(4))?;
    }
    fall::<S>()
}

fn move_registers<S: Sem>(s: &mut S, cx: &Cx, a: V2W, count: u8) -> Flow<S> {
    // Other than loads and stores of whole registers they need a legal `vtype`.
    let known = || {
        mode::vectors(cx.at.mode)?;
        Some((registers(cx, a.vd, count)?, registers(cx, a.vs2, count)?))
    };
    let Some(((to, parts), (from, _))) = known() else { return by_element(s, cx) };
    change(s, cx, |s| {
        for n in 0..parts {
            let value = s.get_vector(cpu::v(from + n));
            s.set_vector(cpu::v(to + n), value);
        }
    })
}

macro_rules! moves {
    ($($name:ident $count:literal;)*) => { $(
        #[doc = concat!("`", stringify!($name), "`: 31.16.6.")]
        pub fn $name<S: Sem>(s: &mut S, cx: &Cx, a: V2W) -> Flow<S> {
            move_registers(s, cx, a, $count)
        }
    )* };
}

moves! {
    vmv1r_v 1;
    vmv2r_v 2;
    vmv4r_v 4;
    vmv8r_v 8;
}
