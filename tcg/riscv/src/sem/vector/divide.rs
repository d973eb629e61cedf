//! Division, 31.11.11: lane by lane, on scalars.

use super::by_element::by_element;
use super::lanes::{Operands, each, shape};
use crate::isa::{VV, VX};
use crate::sem::Cx;
use tcg_core::ir::Op;
use tcg_core::sem::{Flow, Lane, Sem};
use tcg_core::ty::{I32, I64, Int, Ty};

/// Most divisions that are translated one by one.
const MAX_LANES: u64 = 32;

fn divided<S: Sem, T: Int>(s: &mut S, (op, signed): (Op, bool), ty: Ty, [a, b]: [S::W; 2]) -> S::W {
    let size = (ty.lane_bits() / 8).trailing_zeros() as u8;
    let mut all = s.vector(0);
    for index in 0..ty.lanes() {
        let lane = Lane::new(size, index as u8);
        let lane = if signed { lane.signed() } else { lane };
        let (p, q) = (s.extract::<T>(lane, a), s.extract::<T>(lane, b));
        let value = s.op2::<T, T>(op, 0, p, q);
        all = s.insert(ty, index, all, value);
    }
    all
}

fn divide<S: Sem, A: Operands>(s: &mut S, cx: &Cx, a: A, how: (Op, bool)) -> Flow<S> {
    let Some(shape) = shape(cx, &a).filter(|shape| shape.vlmax <= MAX_LANES) else {
        return by_element(s, cx);
    };
    let ty = Ty::int_lanes(shape.sew);
    let scalar = a.splat(s, ty);
    each(s, cx, (a, shape, scalar), |s, e, _| match ty {
        Ty::I64x2 => divided::<S, I64>(s, how, ty, [e.a, e.b]),
        _ => divided::<S, I32>(s, how, ty, [e.a, e.b]),
    })
}

macro_rules! divisions {
    ($($($format:ident $name:ident),*: $op:ident $signed:literal;)*) => { $($(
        #[doc = concat!("`", stringify!($name), "`.")]
        pub fn $name<S: Sem>(s: &mut S, cx: &Cx, a: $format) -> Flow<S> {
            divide(s, cx, a, (Op::$op, $signed))
        }
    )*)* };
}

divisions! {
    VV vdivu_vv, VX vdivu_vx: DivU false;
    VV vdiv_vv, VX vdiv_vx: DivS true;
    VV vremu_vv, VX vremu_vx: RemU false;
    VV vrem_vv, VX vrem_vx: RemS true;
}
