//! Instructions that a helper carries out element by element.

use crate::helpers;
use crate::isa::*;
use crate::sem::{Cx, fall};
use tcg_core::cpu::exit;
use tcg_core::sem::{Flow, Next, Sem};

/// Leaves the instruction to the helper.
pub(super) fn by_element<S: Sem>(s: &mut S, cx: &Cx) -> Flow<S> {
    let bits = cx.bits_value(s);
    s.call(helpers::VECTOR, &[bits])?;
    fall::<S>()
}

/// The same; `vl` may have become less.
pub(super) fn first_fault<S: Sem>(s: &mut S, cx: &Cx) -> Flow<S> {
    by_element(s, cx)?;
    Ok(Next::Exit(exit::RESYNC))
}

macro_rules! instructions {
    ($how:ident: $($format:ident { $($name:ident)* })*) => { $($(
        #[doc = concat!("`", stringify!($name), "`.")]
        pub fn $name<S: Sem>(s: &mut S, cx: &Cx, _: $format) -> Flow<S> {
            $how(s, cx)
        }
    )*)* };
}

instructions! { by_element:
    V3U {
        vsm4k_vi vsm3c_vi
    }
    VVM {
        vsm3me_vv
    }
    V1 {
        vfrsqrt7_v vfrec7_v
    }
    V2W {
        vsm4r_vv vsm4r_vs
    }
}
