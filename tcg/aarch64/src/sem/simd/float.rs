//! Advanced SIMD on lanes of floats: C4.1.96, arithmetic and comparisons. What an instruction does not use of a register are
//! numbers that raise no flags.

use super::{Part, alternate, get};
use crate::isa::{VB2, VB3, VD2, VD3, VDotE, VF2, VF3, VFE, VFES, VFS2, VFS3, VHES};
use crate::mode;
use crate::sem::Cx;
use tcg_core::fp::min_max;
use tcg_core::ir::Op;
use tcg_core::sem::{FloatMode, Flow, Lane, Rm, Sem, splat_bits};
use tcg_core::ty::{I64, Ty};

/// The floats that an instruction works on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Floats {
    /// log2 of the bytes of one.
    pub(super) size: u8,
    /// How many.
    pub(super) part: Part,
}

impl Floats {
    pub(super) const fn vector(size: u8, q: u8) -> Self {
        Self { size, part: Part::of(q) }
    }

    pub(super) const fn scalar(size: u8) -> Self {
        Self { size, part: Part::Scalar(size) }
    }

    /// How many there are.
    pub(super) const fn lanes(self) -> u8 {
        self.part.bytes() >> self.size
    }

    /// Lanes of them.
    pub(super) const fn ty(self) -> Ty {
        match self.size {
            1 => Ty::F16x8,
            2 => Ty::F32x4,
            _ => Ty::F64x2,
        }
    }

    /// Lanes of integers as wide.
    pub(super) const fn integers(self) -> Ty {
        Ty::int_lanes(self.size)
    }

    /// How operations that round by `rm` behave.
    pub(super) fn rounding_by(self, cx: &Cx, rm: Rm) -> FloatMode {
        mode::float(cx.at.mode, self.ty().float_lane(), rm)
    }

    /// How operations that round as FPCR says behave.
    pub(super) fn dynamic(self, cx: &Cx) -> FloatMode {
        self.rounding_by(cx, mode::rounding(cx.at.mode))
    }

    /// The immediate of operations that do not round.
    fn exact(self, cx: &Cx) -> u64 {
        self.rounding_by(cx, Rm::Rne).bits()
    }

    /// The operand in `v[n]`, with zeros above.
    pub(super) fn operand<S: Sem>(self, s: &mut S, n: u8) -> S::W {
        let v = get(s, n);
        self.part.of_vector(s, v)
    }

    /// An operation that rounds as FPCR says.
    pub(super) fn operate<S: Sem>(self, s: &mut S, cx: &Cx, op: Op, args: &[S::W]) -> S::W {
        s.lanes(op, self.ty(), self.dynamic(cx).bits(), args)
    }

    const fn sign(self) -> u64 {
        1 << ((8 << self.size) - 1)
    }

    pub(super) fn absolute<S: Sem>(self, s: &mut S, v: S::W) -> S::W {
        let mask = s.vector(splat_bits(self.integers(), self.sign() - 1));
        s.v2(Op::And, Ty::V128, v, mask)
    }

    pub(super) fn negative<S: Sem>(self, s: &mut S, v: S::W) -> S::W {
        let mask = s.vector(splat_bits(self.integers(), self.sign()));
        s.v2(Op::Xor, Ty::V128, v, mask)
    }

    /// Two to the power of `exponent`, a normal number.
    pub(super) const fn power_of_two(self, exponent: i64) -> u64 {
        let (bias, fraction_bits) = match self.size {
            1 => (15, 10),
            2 => (127, 23),
            _ => (1023, 52),
        };
        ((bias + exponent) as u64) << fraction_bits
    }
}

/// Operands of one form, as of any.
pub(super) trait Form: Copy {
    /// The floats.
    fn floats(self) -> Floats;
    /// Operands: first, second if there is one.
    fn sources(self) -> (u8, u8);
    /// The destination.
    fn destination(self) -> u8;
}

macro_rules! forms {
    ($($ty:ident |$a:ident| $floats:expr, $rm:expr;)*) => { $(
        impl Form for $ty {
            fn floats(self) -> Floats {
                let $a = self;
                $floats
            }
            fn sources(self) -> (u8, u8) {
                let $a = self;
                ($a.rn, $rm)
            }
            fn destination(self) -> u8 {
                self.rd
            }
        }
    )* };
}

// Formats without a size are of halves here.
forms! {
    VF3 |a| Floats::vector(2 + a.sz, a.q), a.rm;
    VFS3 |a| Floats::scalar(2 + a.sz), a.rm;
    VB3 |a| Floats::vector(1, a.q), a.rm;
    VD3 |_a| Floats::scalar(1), _a.rm;
    VF2 |a| Floats::vector(2 + a.sz, a.q), a.rn;
    VFS2 |a| Floats::scalar(2 + a.sz), a.rn;
    VB2 |a| Floats::vector(1, a.q), a.rn;
    VD2 |_a| Floats::scalar(1), _a.rn;
}

/// Operands of which the last is an element.
pub(super) trait ElementForm: Form {
    /// Number of the element.
    fn index(self) -> u8;
}

macro_rules! element_forms {
    ($($ty:ident |$a:ident| $floats:expr, $rm:expr, $index:expr;)*) => { $(
        forms! { $ty |$a| $floats, $rm; }
        impl ElementForm for $ty {
            fn index(self) -> u8 {
                let $a = self;
                $index
            }
        }
    )* };
}

element_forms! {
    VFE |a| Floats::vector(2 + a.sz, a.q), a.m << 4 | a.rm, if a.sz == 0 { a.h << 1 | a.l } else { a.h };
    VFES |a| Floats::scalar(2 + a.sz), a.m << 4 | a.rm, if a.sz == 0 { a.h << 1 | a.l } else { a.h };
    VDotE |a| Floats::vector(1, a.q), a.rm, a.h << 2 | a.l << 1 | a.m;
    VHES |_a| Floats::scalar(1), _a.rm, _a.h << 2 | _a.l << 1 | _a.m;
}

/// The element of the last operand, in every lane that is used.
fn element<A: ElementForm, S: Sem>(s: &mut S, a: A) -> S::W {
    let (f, v) = (a.floats(), get(s, a.sources().1));
    let v = s.extract::<I64>(Lane::new(f.size, a.index()), v);
    let v = s.splat(f.integers(), v);
    f.part.of_vector(s, v)
}

/// Gives each name the meaning, for its format.
macro_rules! each {
    ($(#[$doc:meta] $($name:ident: $form:ident),* = |$s:ident, $cx:ident, $f:ident, $n:ident, $m:ident, $d:ident| $body:expr;)*) => { $($(
        #[$doc]
        pub fn $name<S: Sem>($s: &mut S, $cx: &Cx, a: $form) -> Flow<S> {
            let $f = a.floats();
            let (rn, rm) = a.sources();
            let ($n, $m, $d) = ($f.operand($s, rn), $f.operand($s, rm), a.destination());
            let v = $body;
            $f.part.put($s, $d, v)
        }
    )*)* };
}
pub(super) use each;

/// The same of an operand and an element.
macro_rules! each_element {
    ($(#[$doc:meta] $($name:ident: $form:ident),* = |$s:ident, $cx:ident, $f:ident, $n:ident, $m:ident, $d:ident| $body:expr;)*) => { $($(
        #[$doc]
        pub fn $name<S: Sem>($s: &mut S, $cx: &Cx, a: $form) -> Flow<S> {
            let $f = a.floats();
            let ($n, $m, $d) = ($f.operand($s, a.rn), element($s, a), a.destination());
            let v = $body;
            $f.part.put($s, $d, v)
        }
    )*)* };
}

fn extreme<S: Sem>(s: &mut S, cx: &Cx, f: Floats, (op, kind): (Op, u64), n: S::W, m: S::W) -> S::W {
    s.lanes(op, f.ty(), f.dynamic(cx).bits() | kind, &[n, m])
}

const MAX: (Op, u64) = (Op::FMax, min_max::NAN);
const MIN: (Op, u64) = (Op::FMin, min_max::NAN);
const MAX_NUMBER: (Op, u64) = (Op::FMax, min_max::NUM_2008);
const MIN_NUMBER: (Op, u64) = (Op::FMin, min_max::NUM_2008);

/// `d` plus the product, or minus it.
fn fused<S: Sem>(s: &mut S, cx: &Cx, f: Floats, subtract: bool, [n, m]: [S::W; 2], rd: u8) -> S::W {
    let d = f.operand(s, rd);
    let n = if subtract { f.negative(s, n) } else { n };
    f.operate(s, cx, Op::FMulAdd, &[n, m, d])
}

/// Quotient: what is not used is divided by one, since nothing divided by nothing would be invalid.
fn quotient<S: Sem>(s: &mut S, cx: &Cx, f: Floats, n: S::W, m: S::W) -> S::W {
    let unused = splat_bits(f.integers(), f.power_of_two(0)) & !f.part.mask();
    let ones = s.vector(unused);
    let m = s.v2(Op::Or, Ty::V128, m, ones);
    f.operate(s, cx, Op::FDiv, &[n, m])
}

fn absolute_difference<S: Sem>(s: &mut S, cx: &Cx, f: Floats, n: S::W, m: S::W) -> S::W {
    let v = f.operate(s, cx, Op::FSub, &[n, m]);
    f.absolute(s, v)
}

/// Which comparison of the operands, or of their absolute values.
#[derive(Clone, Copy)]
enum Compare {
    Equal,
    GreaterEqual,
    Greater,
    AbsoluteGreaterEqual,
    AbsoluteGreater,
}

fn compared<S: Sem>(s: &mut S, cx: &Cx, f: Floats, compare: Compare, (n, m): (S::W, S::W)) -> S::W {
    let absolutes = matches!(compare, Compare::AbsoluteGreaterEqual | Compare::AbsoluteGreater);
    let (n, m) = if absolutes { (f.absolute(s, n), f.absolute(s, m)) } else { (n, m) };
    let (op, args) = match compare {
        Compare::Equal => (Op::FEq, [n, m]),
        Compare::GreaterEqual | Compare::AbsoluteGreaterEqual => (Op::FLe, [m, n]),
        Compare::Greater | Compare::AbsoluteGreater => (Op::FLt, [m, n]),
    };
    s.lanes(op, f.ty(), f.exact(cx), &args)
}

/// An operation on neighbours of both vectors, one after the other.
fn pairwise<S: Sem>(s: &mut S, cx: &Cx, f: Floats, (op, kind): (Op, u64), n: S::W, m: S::W) -> S::W {
    let q = u8::from(f.part == Part::All);
    let even = s.shuffle(n, m, alternate(f.size, q, 0));
    let odd = s.shuffle(n, m, alternate(f.size, q, 1));
    let (even, odd) = (f.part.of_vector(s, even), f.part.of_vector(s, odd));
    s.lanes(op, f.ty(), f.dynamic(cx).bits() | kind, &[even, odd])
}

each! {
    /// Sum.
    fadd_v: VF3, fadd_vh: VB3 = |s, cx, f, n, m, _d| f.operate(s, cx, Op::FAdd, &[n, m]);
    /// Difference.
    fsub_v: VF3, fsub_vh: VB3 = |s, cx, f, n, m, _d| f.operate(s, cx, Op::FSub, &[n, m]);
    /// Product.
    fmul_v: VF3, fmul_vh: VB3 = |s, cx, f, n, m, _d| f.operate(s, cx, Op::FMul, &[n, m]);
    /// Quotient.
    fdiv_v: VF3, fdiv_vh: VB3 = |s, cx, f, n, m, _d| quotient(s, cx, f, n, m);
    /// Maximum.
    fmax_v: VF3, fmax_vh: VB3 = |s, cx, f, n, m, _d| extreme(s, cx, f, MAX, n, m);
    /// Minimum.
    fmin_v: VF3, fmin_vh: VB3 = |s, cx, f, n, m, _d| extreme(s, cx, f, MIN, n, m);
    /// Maximum, a number if one is.
    fmaxnm_v: VF3, fmaxnm_vh: VB3 = |s, cx, f, n, m, _d| extreme(s, cx, f, MAX_NUMBER, n, m);
    /// Minimum, a number if one is.
    fminnm_v: VF3, fminnm_vh: VB3 = |s, cx, f, n, m, _d| extreme(s, cx, f, MIN_NUMBER, n, m);
    /// Product, added.
    fmla_v: VF3, fmla_vh: VB3 = |s, cx, f, n, m, d| fused(s, cx, f, false, [n, m], d);
    /// Product, subtracted.
    fmls_v: VF3, fmls_vh: VB3 = |s, cx, f, n, m, d| fused(s, cx, f, true, [n, m], d);
    /// Absolute difference.
    fabd_v: VF3, fabd_vh: VB3, fabd_s: VFS3, fabd_sh: VD3 =
        |s, cx, f, n, m, _d| absolute_difference(s, cx, f, n, m);
    /// Equal.
    fcmeq_v: VF3, fcmeq_vh: VB3, fcmeq_s: VFS3, fcmeq_sh: VD3 =
        |s, cx, f, n, m, _d| compared(s, cx, f, Compare::Equal, (n, m));
    /// Greater or equal.
    fcmge_v: VF3, fcmge_vh: VB3, fcmge_s: VFS3, fcmge_sh: VD3 =
        |s, cx, f, n, m, _d| compared(s, cx, f, Compare::GreaterEqual, (n, m));
    /// Greater.
    fcmgt_v: VF3, fcmgt_vh: VB3, fcmgt_s: VFS3, fcmgt_sh: VD3 =
        |s, cx, f, n, m, _d| compared(s, cx, f, Compare::Greater, (n, m));
    /// Greater or equal in magnitude.
    facge_v: VF3, facge_vh: VB3, facge_s: VFS3, facge_sh: VD3 =
        |s, cx, f, n, m, _d| compared(s, cx, f, Compare::AbsoluteGreaterEqual, (n, m));
    /// Greater in magnitude.
    facgt_v: VF3, facgt_vh: VB3, facgt_s: VFS3, facgt_sh: VD3 =
        |s, cx, f, n, m, _d| compared(s, cx, f, Compare::AbsoluteGreater, (n, m));
    /// Sum of neighbours.
    faddp_v: VF3, faddp_vh: VB3 = |s, cx, f, n, m, _d| pairwise(s, cx, f, (Op::FAdd, 0), n, m);
    /// Maximum of neighbours.
    fmaxp_v: VF3, fmaxp_vh: VB3 = |s, cx, f, n, m, _d| pairwise(s, cx, f, MAX, n, m);
    /// Minimum of neighbours.
    fminp_v: VF3, fminp_vh: VB3 = |s, cx, f, n, m, _d| pairwise(s, cx, f, MIN, n, m);
    /// Maximum of neighbours, a number if one is.
    fmaxnmp_v: VF3, fmaxnmp_vh: VB3 = |s, cx, f, n, m, _d| pairwise(s, cx, f, MAX_NUMBER, n, m);
    /// Minimum of neighbours, a number if one is.
    fminnmp_v: VF3, fminnmp_vh: VB3 = |s, cx, f, n, m, _d| pairwise(s, cx, f, MIN_NUMBER, n, m);
}

each_element! {
    /// Product with an element.
    fmul_e: VFE, fmul_es: VFES, fmul_eh: VDotE, fmul_esh: VHES =
        |s, cx, f, n, m, _d| f.operate(s, cx, Op::FMul, &[n, m]);
    /// Product with an element, added.
    fmla_e: VFE, fmla_es: VFES, fmla_eh: VDotE, fmla_esh: VHES =
        |s, cx, f, n, m, d| fused(s, cx, f, false, [n, m], d);
    /// Product with an element, subtracted.
    fmls_e: VFE, fmls_es: VFES, fmls_eh: VDotE, fmls_esh: VHES =
        |s, cx, f, n, m, d| fused(s, cx, f, true, [n, m], d);
    /// Product with an element, two for zero times infinity.
    fmulx_e: VFE, fmulx_es: VFES, fmulx_eh: VDotE, fmulx_esh: VHES =
        |s, cx, f, n, m, _d| super::estimate::multiplied(s, cx, f, n, m);
}

fn compare_zero<S: Sem>(s: &mut S, cx: &Cx, f: Floats, op: Op, swapped: bool, n: S::W) -> S::W {
    let zero = s.vector(0);
    let args = if swapped { [zero, n] } else { [n, zero] };
    s.lanes(op, f.ty(), f.exact(cx), &args)
}

/// Gives each name the meaning, of one operand.
macro_rules! each_unary {
    ($(#[$doc:meta] $($name:ident: $form:ident),* = |$s:ident, $cx:ident, $f:ident, $n:ident| $body:expr;)*) => { $($(
        #[$doc]
        pub fn $name<S: Sem>($s: &mut S, $cx: &Cx, a: $form) -> Flow<S> {
            let $f = a.floats();
            let $n = $f.operand($s, a.sources().0);
            let v = $body;
            $f.part.put($s, a.destination(), v)
        }
    )*)* };
}
pub(super) use each_unary;

each_unary! {
    /// Equal to zero.
    fcmeq_vz: VF2, fcmeq_vhz: VB2, fcmeq_sz: VFS2, fcmeq_shz: VD2 =
        |s, cx, f, n| compare_zero(s, cx, f, Op::FEq, false, n);
    /// Greater than zero.
    fcmgt_vz: VF2, fcmgt_vhz: VB2, fcmgt_sz: VFS2, fcmgt_shz: VD2 =
        |s, cx, f, n| compare_zero(s, cx, f, Op::FLt, true, n);
    /// Not less than zero.
    fcmge_vz: VF2, fcmge_vhz: VB2, fcmge_sz: VFS2, fcmge_shz: VD2 =
        |s, cx, f, n| compare_zero(s, cx, f, Op::FLe, true, n);
    /// Less than zero.
    fcmlt_vz: VF2, fcmlt_vhz: VB2, fcmlt_sz: VFS2, fcmlt_shz: VD2 =
        |s, cx, f, n| compare_zero(s, cx, f, Op::FLt, false, n);
    /// Not greater than zero.
    fcmle_vz: VF2, fcmle_vhz: VB2, fcmle_sz: VFS2, fcmle_shz: VD2 =
        |s, cx, f, n| compare_zero(s, cx, f, Op::FLe, false, n);
    /// Absolute value.
    fabs_v: VF2, fabs_vh: VB2 = |s, _cx, f, n| f.absolute(s, n);
    /// Negative.
    fneg_v: VF2, fneg_vh: VB2 = |s, _cx, f, n| f.negative(s, n);
    /// Square root.
    fsqrt_v: VF2, fsqrt_vh: VB2 = |s, cx, f, n| f.operate(s, cx, Op::FSqrt, &[n]);
}

/// All lanes of `v[n]` combined, neighbours first, in the lowest.
fn folded<S: Sem>(s: &mut S, cx: &Cx, f: Floats, (op, kind): (Op, u64), rn: u8) -> S::W {
    let mut v = get(s, rn);
    let mut lanes = f.lanes();
    while lanes > 1 {
        // Those that are left, over and over: no other takes part.
        let pick = |odd: u8| {
            std::array::from_fn(|at| {
                let (at, lane) = (at as u8, at as u8 >> f.size);
                (2 * lane % lanes + odd) << f.size | at & ((1 << f.size) - 1)
            })
        };
        let (even, odd) = (s.shuffle(v, v, pick(0)), s.shuffle(v, v, pick(1)));
        v = s.lanes(op, f.ty(), f.dynamic(cx).bits() | kind, &[even, odd]);
        lanes /= 2;
    }
    v
}

/// Gives each name the combination of all lanes, of so many.
macro_rules! each_fold {
    ($(#[$doc:meta] $($name:ident: $form:ident |$a:ident| $floats:expr),* => $kind:expr;)*) => { $($(
        #[$doc]
        pub fn $name<S: Sem>(s: &mut S, cx: &Cx, $a: $form) -> Flow<S> {
            let f: Floats = $floats;
            let v = folded(s, cx, f, $kind, $a.rn);
            Part::Scalar(f.size).put(s, $a.rd, v)
        }
    )*)* };
}

/// Two of them.
const fn pair(size: u8) -> Floats {
    Floats { size, part: Part::Scalar(size + 1) }
}

const SINGLES: Floats = Floats::vector(2, 1);

each_fold! {
    /// Maximum of all lanes.
    fmaxv: VD2 |a| SINGLES, fmaxv_h: VB2 |a| Floats::vector(1, a.q) => MAX;
    /// Minimum of all lanes.
    fminv: VD2 |a| SINGLES, fminv_h: VB2 |a| Floats::vector(1, a.q) => MIN;
    /// Maximum of all lanes, a number if one is.
    fmaxnmv: VD2 |a| SINGLES, fmaxnmv_h: VB2 |a| Floats::vector(1, a.q) => MAX_NUMBER;
    /// Minimum of all lanes, a number if one is.
    fminnmv: VD2 |a| SINGLES, fminnmv_h: VB2 |a| Floats::vector(1, a.q) => MIN_NUMBER;
    /// Sum of two lanes.
    faddp_s: VFS2 |a| pair(2 + a.sz), faddp_sh: VD2 |a| pair(1) => (Op::FAdd, 0);
    /// Maximum of two lanes.
    fmaxp_s: VFS2 |a| pair(2 + a.sz), fmaxp_sh: VD2 |a| pair(1) => MAX;
    /// Minimum of two lanes.
    fminp_s: VFS2 |a| pair(2 + a.sz), fminp_sh: VD2 |a| pair(1) => MIN;
    /// Maximum of two lanes, a number if one is.
    fmaxnmp_s: VFS2 |a| pair(2 + a.sz), fmaxnmp_sh: VD2 |a| pair(1) => MAX_NUMBER;
    /// Minimum of two lanes, a number if one is.
    fminnmp_s: VFS2 |a| pair(2 + a.sz), fminnmp_sh: VD2 |a| pair(1) => MIN_NUMBER;
}
