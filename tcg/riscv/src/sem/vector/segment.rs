//! Loads and stores of elements that are not consecutive, or of several fields: strided, indexed and segment accesses, 31.7.5 to
//! 31.7.8, where `vl` is VLMAX and nothing is masked off.
//!
//! Fields of consecutive segments are brought apart by shuffles; else every element is an access of its own.

use super::by_element::by_element;
use super::shape::{Shape, change};
use crate::isa::{VIdx, VIdx8, VStr, VStr8};
use crate::sem::{Cx, fall, x};
use tcg_core::sem::{Flow, Lane, MemOp, Sem, V};
use tcg_core::ty::{I64, Ty};

/// Most accesses that are translated one by one.
const MAX_ACCESSES: u64 = 32;
/// Most parts of segments.
const MAX_PARTS: u16 = 16;

/// Where the fields of segments go: from register `vd` on, a group for each.
#[derive(Clone, Copy)]
pub struct Fields {
    /// The first register.
    pub vd: u8,
    /// log2 of an element's bytes.
    pub eew: u8,
    /// How many fields.
    pub count: u8,
}

impl Fields {
    /// The configuration, if all takes part and the registers are there.
    fn shape(self, cx: &Cx, vm: u8) -> Option<Shape> {
        let shape =
            Shape::of(cx).filter(|shape| shape.whole && vm != 0 && shape.is_group(self.vd, self.eew))?;
        let registers = shape.registers(self.eew) * self.count;
        (registers <= 8 && self.vd + registers <= 32).then_some(shape)
    }

    /// Part `n` of field `field`.
    fn register(self, shape: &Shape, field: u8, n: u16) -> tcg_core::cpu::RegId {
        shape.part(self.vd + field * shape.registers(self.eew), n)
    }

    /// The configuration if segments fill whole parts, and how many a field has.
    fn filled(self, cx: &Cx, vm: u8) -> Option<(Shape, u16)> {
        let shape = self.shape(cx, vm).filter(|shape| (shape.vlmax << self.eew).is_multiple_of(16))?;
        let parts = shape.parts(self.eew);
        (parts * u16::from(self.count) <= MAX_PARTS).then_some((shape, parts))
    }
}

/// A vector whose byte `i` is a byte of one of `sources`: its number and the byte's.
fn assembled<S: Sem>(s: &mut S, sources: &[S::W], from: impl Fn(usize) -> (usize, usize)) -> S::W {
    let mut used: Vec<usize> = (0..16).map(|i| from(i).0).collect();
    used.sort_unstable();
    used.dedup();
    let mut all = None;
    for pair in used.chunks(2) {
        let (first, second) = (pair[0], *pair.get(1).unwrap_or(&pair[0]));
        let control = std::array::from_fn(|i| match from(i) {
            (source, byte) if source == first => byte as u8,
            (source, byte) if source == second => 16 + byte as u8,
            _ => 32,
        });
        let some = s.shuffle(sources[first], sources[second], control);
        all = Some(match all {
            None => some,
            Some(all) => s.v2(tcg_core::ir::Op::Or, Ty::V128, all, some),
        });
    }
    all.expect("a vector has bytes")
}

/// Load consecutive segments.
pub fn load<S: Sem>(s: &mut S, cx: &Cx, (rs1, vm): (u8, u8), fields: Fields) -> Flow<S> {
    let Some((shape, parts)) = fields.filled(cx, vm) else { return by_element(s, cx) };
    let (base, count, eew) = (x(s, rs1), usize::from(fields.count), fields.eew);
    let mut memory = Vec::new();
    for n in 0..parts * u16::from(fields.count) {
        let addr = s.add_imm(base, 16 * i64::from(n));
        memory.push(s.load_vector(addr, MemOp::new(4))?);
    }
    change(s, cx, |s| {
        for (field, n) in (0..fields.count).flat_map(|field| (0..parts).map(move |n| (field, n))) {
            let value = assembled(s, &memory, |i| {
                let byte = usize::from(n) * 16 + i;
                let at = ((byte >> eew) * count + usize::from(field)) << eew | byte & ((1 << eew) - 1);
                (at / 16, at % 16)
            });
            s.set_vector(fields.register(&shape, field, n), value);
        }
    })
}

/// Store consecutive segments.
pub fn store<S: Sem>(s: &mut S, cx: &Cx, (rs1, vm): (u8, u8), fields: Fields) -> Flow<S> {
    let Some((shape, parts)) = fields.filled(cx, vm) else { return by_element(s, cx) };
    let (base, count, eew) = (x(s, rs1), usize::from(fields.count), fields.eew);
    let places = (0..fields.count).flat_map(|field| (0..parts).map(move |n| (field, n)));
    let registers: Vec<_> =
        places.map(|(field, n)| s.get_vector(fields.register(&shape, field, n))).collect();
    for n in 0..parts * u16::from(fields.count) {
        let value = assembled(s, &registers, |i| {
            let byte = usize::from(n) * 16 + i;
            let (element, field) = ((byte >> eew) / count, (byte >> eew) % count);
            let at = element << eew | byte & ((1 << eew) - 1);
            (field * usize::from(parts) + at / 16, at % 16)
        });
        let addr = s.add_imm(base, 16 * i64::from(n));
        s.store_vector(addr, value, MemOp::new(4))?;
    }
    fall::<S>()
}

/// Loads every element of every field: field 0 of element `i` is where `place` says.
fn gather<S: Sem>(
    s: &mut S,
    cx: &Cx,
    (fields, shape): (Fields, Shape),
    place: impl Fn(&mut S, u64) -> V<S, I64>,
) -> Flow<S> {
    let (ty, eew) = (Ty::int_lanes(fields.eew), fields.eew);
    let lanes = u64::from(ty.lanes());
    let mut values = Vec::new();
    for (field, n) in (0..fields.count).flat_map(|field| (0..shape.parts(eew)).map(move |n| (field, n))) {
        let register = fields.register(&shape, field, n);
        let first = u64::from(n) * lanes;
        let end = (first + lanes).min(shape.vlmax);
        let mut value = if end < first + lanes { s.get_vector(register) } else { s.vector(0) };
        for i in first..end {
            let addr = place(s, i);
            let addr = s.add_imm(addr, i64::from(field) << eew);
            let element = s.load::<I64>(addr, MemOp::new(eew))?;
            value = s.insert(ty, (i - first) as u32, value, element);
        }
        values.push((register, value));
    }
    change(s, cx, |s| values.iter().for_each(|(register, value)| s.set_vector(*register, *value)))
}

/// Stores every element of every field, element by element.
fn scatter<S: Sem>(
    s: &mut S,
    (fields, shape): (Fields, Shape),
    place: impl Fn(&mut S, u64) -> V<S, I64>,
) -> Flow<S> {
    let (lanes, eew) = (u64::from(Ty::int_lanes(fields.eew).lanes()), fields.eew);
    for i in 0..shape.vlmax {
        let addr = place(s, i);
        for field in 0..fields.count {
            let part = s.get_vector(fields.register(&shape, field, (i / lanes) as u16));
            let element = s.extract::<I64>(Lane::new(eew, (i % lanes) as u8), part);
            let addr = s.add_imm(addr, i64::from(field) << eew);
            s.store(addr, element, MemOp::new(eew))?;
        }
    }
    fall::<S>()
}

/// The configuration of accesses one by one.
fn single(cx: &Cx, fields: Fields, vm: u8) -> Option<(Fields, Shape)> {
    let shape = fields.shape(cx, vm)?;
    (shape.vlmax * u64::from(fields.count) <= MAX_ACCESSES).then_some((fields, shape))
}

/// Where the segments of a strided access are.
fn strided<S: Sem>(s: &mut S, (rs1, rs2): (u8, u8)) -> impl Fn(&mut S, u64) -> V<S, I64> + use<S> {
    let (base, stride) = (x(s, rs1), x(s, rs2));
    move |s, i| {
        let n = s.k(i);
        let offset = s.mul(stride, n);
        s.add(base, offset)
    }
}

/// Where those of an indexed access are, if the indices, of `1 << iew` bytes, stand apart from the elements.
fn indexed<S: Sem>(
    s: &mut S,
    (fields, shape): (Fields, Shape),
    (rs1, vs2, iew): (u8, u8, u8),
) -> Option<impl Fn(&mut S, u64) -> V<S, I64> + use<S>> {
    let all = shape.registers(fields.eew) * fields.count;
    let indices = shape.registers(iew);
    let apart = fields.vd + all <= vs2 || vs2 + indices <= fields.vd;
    if !shape.is_group(vs2, iew) || !apart {
        return None;
    }
    let base = x(s, rs1);
    let lanes = u64::from(Ty::int_lanes(iew).lanes());
    Some(move |s: &mut S, i: u64| {
        let part = s.get_vector(shape.part(vs2, (i / lanes) as u16));
        let index = s.extract::<I64>(Lane::new(iew, (i % lanes) as u8), part);
        s.add(base, index)
    })
}

macro_rules! strided {
    ($($name:ident $format:ident |$a:ident| $eew:expr, $load:literal;)*) => { $(
        #[doc = concat!("`", stringify!($name), "`.")]
        pub fn $name<S: Sem>(s: &mut S, cx: &Cx, $a: $format) -> Flow<S> {
            let fields = Fields { vd: $a.vd, eew: $eew, count: $a.nf + 1 };
            let Some(to) = single(cx, fields, $a.vm) else { return by_element(s, cx) };
            let place = strided(s, ($a.rs1, $a.rs2));
            if $load { gather(s, cx, to, place) } else { scatter(s, to, place) }
        }
    )* };
}

strided! {
    vls_8 VStr8 |a| 0, true;
    vls_w VStr |a| a.w, true;
    vss_8 VStr8 |a| 0, false;
    vss_w VStr |a| a.w, false;
}

macro_rules! indexed {
    ($($name:ident $format:ident |$a:ident| $iew:expr, $load:literal;)*) => { $(
        #[doc = concat!("`", stringify!($name), "`.")]
        pub fn $name<S: Sem>(s: &mut S, cx: &Cx, $a: $format) -> Flow<S> {
            let Some(shape) = Shape::of(cx) else { return by_element(s, cx) };
            let fields = Fields { vd: $a.vd, eew: shape.sew, count: $a.nf + 1 };
            let Some(to) = single(cx, fields, $a.vm) else { return by_element(s, cx) };
            let Some(place) = indexed(s, to, ($a.rs1, $a.vs2, $iew)) else { return by_element(s, cx) };
            if $load { gather(s, cx, to, place) } else { scatter(s, to, place) }
        }
    )* };
}

indexed! {
    vlux_8 VIdx8 |a| 0, true;
    vlux_w VIdx |a| a.w, true;
    vlox_8 VIdx8 |a| 0, true;
    vlox_w VIdx |a| a.w, true;
    vsux_8 VIdx8 |a| 0, false;
    vsux_w VIdx |a| a.w, false;
    vsox_8 VIdx8 |a| 0, false;
    vsox_w VIdx |a| a.w, false;
}
