//! Loads and stores: 31.7. Consecutive elements, all of them, go by parts; else elements go one by one.

use super::by_element::{by_element, first_fault};
use super::shape::{Shape, change, per_register};
use crate::cpu;
use crate::helpers;
use crate::isa::{V2W, VMem, VMem8, VWhole, VWhole8};
use crate::sem::{Cx, fall, x};
use tcg_core::sem::{Flow, MemOp, Sem};

/// The first part and the number of parts of a unit-stride access of elements of `1 << eew` bytes, if it is of whole parts.
fn parts(cx: &Cx, (vd, eew): (u8, u8), (nf, vm): (u8, u8)) -> Option<(u16, u16)> {
    let shape = Shape::of(cx)?;
    let full = (shape.vlmax << eew).is_multiple_of(16);
    let whole = shape.whole && full && nf == 0 && vm != 0 && shape.is_group(vd, eew);
    whole.then(|| (u16::from(vd) * per_register(cx), shape.parts(eew)))
}

fn load<S: Sem>(s: &mut S, cx: &Cx, rs1: u8, (first, count): (u16, u16)) -> Flow<S> {
    let base = x(s, rs1);
    let mut values = Vec::with_capacity(count.into());
    for n in 0..count {
        let addr = s.add_imm(base, 16 * i64::from(n));
        values.push(s.load_vector(addr, MemOp::new(4))?);
    }
    change(s, cx, |s| (first..).zip(&values).for_each(|(n, value)| s.set_vector(cpu::v(n), *value)))
}

fn store<S: Sem>(s: &mut S, rs1: u8, (first, count): (u16, u16)) -> Flow<S> {
    let base = x(s, rs1);
    for n in 0..count {
        let (addr, value) = (s.add_imm(base, 16 * i64::from(n)), s.get_vector(cpu::v(first + n)));
        s.store_vector(addr, value, MemOp::new(4))?;
    }
    fall::<S>()
}

macro_rules! unit {
    ($($name:ident $format:ident |$a:ident| $eew:expr, $how:ident;)*) => { $(
        #[doc = concat!("`", stringify!($name), "`.")]
        pub fn $name<S: Sem>(s: &mut S, cx: &Cx, $a: $format) -> Flow<S> {
            match parts(cx, ($a.vd, $eew), ($a.nf, $a.vm)) {
                Some(parts) => unit!(@$how s, cx, $a.rs1, parts),
                None => unit!(@else $how s, cx),
            }
        }
    )* };
    (@load $s:ident, $cx:ident, $rs1:expr, $parts:ident) => { load($s, $cx, $rs1, $parts) };
    (@store $s:ident, $cx:ident, $rs1:expr, $parts:ident) => { store($s, $rs1, $parts) };
    (@first $s:ident, $cx:ident, $rs1:expr, $parts:ident) => { load_first($s, $cx, $rs1, $parts) };
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

/// Where it crosses into the next page, a helper sees how far that goes.
fn load_first<S: Sem>(s: &mut S, cx: &Cx, rs1: u8, (first, count): (u16, u16)) -> Flow<S> {
    let base = x(s, rs1);
    let (offset, last) = (s.zext(base, base::PAGE_SHIFT), s.k(base::PAGE_SIZE - 16 * u64::from(count)));
    let crosses = s.ltu(last, offset);
    let (bits, vl) = (cx.bits_value(s), s.get(cpu::VL));
    s.when(crosses, |s| s.call(helpers::FIRST_FAULT, &[base, bits, vl]).map(|_| ()))?;
    load(s, cx, rs1, (first, count))
}

/// Parts of whole registers, whatever `vtype` says.
fn registers(cx: &Cx, vd: u8, count: u8) -> Option<(u16, u16)> {
    let starts = !crate::mode::resumes(cx.at.mode);
    let legal = starts && count.is_power_of_two() && vd.is_multiple_of(count);
    legal.then(|| (u16::from(vd) * per_register(cx), u16::from(count) * per_register(cx)))
}

/// Load whole registers.
pub fn vl_whole8<S: Sem>(s: &mut S, cx: &Cx, a: VWhole8) -> Flow<S> {
    match registers(cx, a.vd, a.nf + 1) {
        Some(parts) => load(s, cx, a.rs1, parts),
        None => by_element(s, cx),
    }
}

/// Load whole registers of wider elements.
pub fn vl_whole<S: Sem>(s: &mut S, cx: &Cx, a: VWhole) -> Flow<S> {
    match registers(cx, a.vd, a.nf + 1) {
        Some(parts) => load(s, cx, a.rs1, parts),
        None => by_element(s, cx),
    }
}

/// Store whole registers.
pub fn vs_whole<S: Sem>(s: &mut S, cx: &Cx, a: VWhole8) -> Flow<S> {
    match registers(cx, a.vd, a.nf + 1) {
        Some(parts) => store(s, a.rs1, parts),
        None => by_element(s, cx),
    }
}

fn move_registers<S: Sem>(s: &mut S, cx: &Cx, a: V2W, count: u8) -> Flow<S> {
    let (Some((to, parts)), Some((from, _))) = (registers(cx, a.vd, count), registers(cx, a.vs2, count))
    else {
        return by_element(s, cx);
    };
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
