//! Loads and stores of elements that are not consecutive, or of several fields: strided, indexed and segment accesses, 31.7.5 to
//! 31.7.8.
//!
//! Fields of consecutive segments are brought apart by shuffles, if all segments take part; else every element is an access of
//! its own, passed over if it takes no part. What faults leaves `vstart` zero: all of it is done again.

use super::by_element::by_element;
use super::mask;
use super::shape::{Shape, change};
use crate::isa::{VIdx, VIdx8, VStr, VStr8};
use crate::mode::{self, Fs};
use crate::sem::{Cx, fall, x};
use tcg_core::sem::{Flow, Lane, MemOp, Sem, V};
use tcg_core::ty::{I64, Ty};

/// Most accesses that are translated one by one. With fewer than 64 elements, the bits that tell what takes part are a word.
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
    /// The configuration, if the registers are there.
    fn shape(self, cx: &Cx) -> Option<Shape> {
        let shape = Shape::of(cx).filter(|shape| shape.is_group(self.vd, self.eew))?;
        let registers = shape.registers(self.eew) * self.count;
        (registers <= 8 && self.vd + registers <= 32).then_some(shape)
    }

    /// Part `n` of field `field`.
    fn register(self, shape: &Shape, field: u8, n: u16) -> tcg_core::cpu::RegId {
        shape.part(self.vd + field * shape.registers(self.eew), n)
    }

    /// The configuration if all takes part and segments fill whole parts, and how many a field has.
    fn filled(self, cx: &Cx, vm: u8) -> Option<(Shape, u16)> {
        let filled = |shape: &Shape| shape.whole && (shape.vlmax << self.eew).is_multiple_of(16);
        let shape = self.shape(cx).filter(|shape| vm != 0 && filled(shape))?;
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
    let Some((shape, parts)) = fields.filled(cx, vm) else {
        let Some(single) = Single::of(cx, fields, (vm, false)) else { return by_element(s, cx) };
        let place = consecutive(s, rs1, fields);
        return single.load(s, cx, place);
    };
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
    let Some((shape, parts)) = fields.filled(cx, vm) else {
        let Some(single) = Single::of(cx, fields, (vm, true)) else { return by_element(s, cx) };
        let place = consecutive(s, rs1, fields);
        return single.store(s, place);
    };
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

/// Accesses one by one.
struct Single {
    fields: Fields,
    shape: Shape,
    masked: bool,
}

impl Single {
    /// Those of `fields`, if they can be translated. Stores without indices may store the mask.
    fn of(cx: &Cx, fields: Fields, (vm, may_be_mask): (u8, bool)) -> Option<Self> {
        let (shape, masked) = (fields.shape(cx)?, vm == 0);
        let few = shape.vlmax * u64::from(fields.count) <= MAX_ACCESSES;
        let ready = mode::vs(cx.at.mode) == Fs::Dirty || shape.whole && !masked;
        (few && ready && (may_be_mask || !masked || fields.vd != 0)).then_some(Self { fields, shape, masked })
    }

    /// Whether all elements take part.
    fn all(&self) -> bool {
        self.shape.whole && !self.masked
    }

    /// Runs `f` for every element that takes part.
    fn each<S: Sem>(&self, s: &mut S, f: impl Fn(&mut S, u64) -> Result<(), S::Stop>) -> Result<(), S::Stop> {
        let active = (!self.all()).then(|| mask::active(s, &self.shape, self.masked, 0));
        for i in 0..self.shape.vlmax {
            let Some(active) = active else {
                f(s, i)?;
                continue;
            };
            let (bit, zero) = (s.k(1 << i), s.k(0));
            let bit = s.and(active, bit);
            let takes_part = s.ne(bit, zero);
            s.when(takes_part, |s| f(s, i))?;
        }
        Ok(())
    }

    /// Where element `i` of field `field` is: register, lane.
    fn lane(&self, field: u8, i: u64) -> (tcg_core::cpu::RegId, u8) {
        let lanes = u64::from(Ty::int_lanes(self.fields.eew).lanes());
        (self.fields.register(&self.shape, field, (i / lanes) as u16), (i % lanes) as u8)
    }

    /// Loads: field 0 of element `i` is where `place` says.
    fn load<S: Sem>(&self, s: &mut S, cx: &Cx, place: impl Fn(&mut S, u64) -> V<S, I64>) -> Flow<S> {
        if self.all() {
            return self.load_all(s, cx, place);
        }
        let (ty, eew) = (Ty::int_lanes(self.fields.eew), self.fields.eew);
        self.each(s, |s, i| {
            let addr = place(s, i);
            for field in 0..self.fields.count {
                let addr = s.add_imm(addr, i64::from(field) << eew);
                let element = s.load::<I64>(addr, MemOp::new(eew))?;
                let (register, lane) = self.lane(field, i);
                let old = s.get_vector(register);
                let value = s.insert(ty, lane.into(), old, element);
                s.set_vector(register, value);
            }
            Ok(())
        })?;
        fall::<S>()
    }

    /// The same where all take part: parts are put together before they are written.
    fn load_all<S: Sem>(&self, s: &mut S, cx: &Cx, place: impl Fn(&mut S, u64) -> V<S, I64>) -> Flow<S> {
        let (Fields { eew, count, .. }, vlmax) = (self.fields, self.shape.vlmax);
        let ty = Ty::int_lanes(eew);
        let lanes = u64::from(ty.lanes());
        let mut values = Vec::new();
        for (field, n) in (0..count).flat_map(|field| (0..self.shape.parts(eew)).map(move |n| (field, n))) {
            let register = self.fields.register(&self.shape, field, n);
            let first = u64::from(n) * lanes;
            let end = (first + lanes).min(vlmax);
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

    /// Stores: field 0 of element `i` goes where `place` says.
    fn store<S: Sem>(&self, s: &mut S, place: impl Fn(&mut S, u64) -> V<S, I64>) -> Flow<S> {
        let eew = self.fields.eew;
        self.each(s, |s, i| {
            let addr = place(s, i);
            for field in 0..self.fields.count {
                let (register, lane) = self.lane(field, i);
                let part = s.get_vector(register);
                let element = s.extract::<I64>(Lane::new(eew, lane), part);
                let addr = s.add_imm(addr, i64::from(field) << eew);
                s.store(addr, element, MemOp::new(eew))?;
            }
            Ok(())
        })?;
        fall::<S>()
    }
}

/// Where consecutive segments are.
fn consecutive<S: Sem>(s: &mut S, rs1: u8, fields: Fields) -> impl Fn(&mut S, u64) -> V<S, I64> + use<S> {
    let (base, size) = (x(s, rs1), i64::from(fields.count) << fields.eew);
    move |s, i| s.add_imm(base, size * i as i64)
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
    single: &Single,
    (rs1, vs2, iew): (u8, u8, u8),
) -> Option<impl Fn(&mut S, u64) -> V<S, I64> + use<S>> {
    let Single { fields, shape, masked } = *single;
    let all = shape.registers(fields.eew) * fields.count;
    let indices = shape.registers(iew);
    let apart = fields.vd + all <= vs2 || vs2 + indices <= fields.vd;
    if !shape.is_group(vs2, iew) || !apart || masked && vs2 == 0 {
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
            let Some(single) = Single::of(cx, fields, ($a.vm, !$load)) else { return by_element(s, cx) };
            let place = strided(s, ($a.rs1, $a.rs2));
            if $load { single.load(s, cx, place) } else { single.store(s, place) }
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
            let Some(single) = Single::of(cx, fields, ($a.vm, false)) else { return by_element(s, cx) };
            let Some(place) = indexed(s, &single, ($a.rs1, $a.vs2, $iew)) else { return by_element(s, cx) };
            if $load { single.load(s, cx, place) } else { single.store(s, place) }
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
