//! Fixed-point arithmetic, 31.12: rounding by `vxrm`, saturation noted in `vxsat`.

use super::integer::Element;
use super::sign;
use crate::csr::VectorCsrs;

/// `value >> by`, rounded as `vxrm` says (31.3.8).
fn round(value: i128, by: u32, vxrm: u64) -> i128 {
    if by == 0 {
        return value;
    }
    let (below, half) = (value & ((1 << by) - 1), 1i128 << (by - 1));
    let odd = value >> by & 1 != 0;
    let up = match vxrm {
        0 => below >= half,
        1 => below > half || below == half && odd,
        2 => false,
        _ => !odd && below != 0,
    };
    (value >> by) + i128::from(up)
}

/// `value` made to fit `1 << eew` bytes.
fn saturate(value: i128, signed: bool, eew: u32, v: &mut VectorCsrs) -> u64 {
    let bits = 8 << eew;
    let (least, most) =
        if signed { (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) } else { (0, (1 << bits) - 1) };
    let fits = value.clamp(least, most);
    v.vxsat |= u64::from(fits != value);
    fits as u64
}

/// The operations whose elements all have one width; `multiply`: those of OPM.
pub(super) fn element(multiply: bool, f6: u32, e: Element, eew: u32, v: &mut VectorCsrs) -> u64 {
    let (a, b) = (i128::from(e.a), i128::from(e.b));
    let (sa, sb) = (i128::from(sign(e.a, eew)), i128::from(sign(e.b, eew)));
    let by = e.b as u32 & ((8 << eew) - 1);
    match (multiply, f6) {
        (false, 0x20) => saturate(a + b, false, eew, v),
        (false, 0x21) => saturate(sa + sb, true, eew, v),
        (false, 0x22) => saturate(a - b, false, eew, v),
        (false, 0x23) => saturate(sa - sb, true, eew, v),
        (false, 0x27) => saturate(round(sa * sb, (8 << eew) - 1, v.vxrm), true, eew, v),
        (false, 0x2a) => round(a, by, v.vxrm) as u64,
        (false, _) => round(sa, by, v.vxrm) as u64,
        (true, 0x08) => round(a + b, 1, v.vxrm) as u64,
        (true, 0x09) => round(sa + sb, 1, v.vxrm) as u64,
        (true, 0x0a) => round(a - b, 1, v.vxrm) as u64,
        (true, _) => round(sa - sb, 1, v.vxrm) as u64,
    }
}

/// `vnclip`, `vnclipu`: `a` of twice `1 << sew` bytes.
pub(super) fn clip(signed: bool, a: u64, by: u32, sew: u32, v: &mut VectorCsrs) -> u64 {
    let wide = if signed { i128::from(sign(a, sew + 1)) } else { i128::from(a) };
    saturate(round(wide, by, v.vxrm), signed, sew, v)
}
