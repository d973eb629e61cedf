//! Repeatable random numbers, with a liking for values that break things.

use crate::eval::from_lanes;
use crate::ty::Ty;

/// What lanes of random vectors are.
const LANES: [Ty; 7] = [Ty::I8x16, Ty::I16x8, Ty::I32x4, Ty::I64x2, Ty::F32x4, Ty::F64x2, Ty::F16x8];

/// SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators).
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// The sequence of number `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// A number below `limit`, which is not zero.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.bits() % limit
    }

    /// True `percent` times in a hundred.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of `items`, which are not none.
    pub fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len() as u64) as usize]
    }

    /// A scalar of type `ty`: often one at an edge.
    pub fn value(&mut self, ty: Ty) -> u64 {
        let bits = match ty {
            Ty::F32 => self.float(8, 23),
            Ty::F64 => self.float(11, 52),
            Ty::F16 => self.float(5, 10),
            _ => self.int(ty.bits()),
        };
        bits & ty.mask()
    }

    /// A vector: of lanes of one type that [`Self::value`] gives, of few different ones now and then.
    pub fn vector(&mut self) -> u128 {
        let ty = self.pick(&LANES);
        let same = self.chance(20).then(|| self.lane(ty));
        from_lanes(ty.lane_bits(), |_| same.unwrap_or_else(|| self.lane(ty)))
    }

    fn lane(&mut self, ty: Ty) -> u64 {
        match ty {
            Ty::F32x4 => self.float(8, 23),
            Ty::F64x2 => self.float(11, 52),
            Ty::F16x8 => self.float(5, 10),
            _ => self.int(ty.lane_bits()),
        }
    }

    fn int(&mut self, width: u32) -> u64 {
        match self.below(8) {
            0 => 0,
            1 => u64::MAX,
            2 => 1 << self.below(width.max(1).into()),
            3 => (1u64 << self.below(width.max(1).into())).wrapping_sub(1),
            4 => self.below(256).wrapping_sub(128),
            5 => self.bits() as i32 as i64 as u64,
            _ => self.bits(),
        }
    }

    /// The bits of a float with fields of these widths: special values, subnormals, small integers, near ones.
    fn float(&mut self, exponent_bits: u32, fraction_bits: u32) -> u64 {
        let sign = self.below(2) << (exponent_bits + fraction_bits);
        let max_exponent = (1u64 << exponent_bits) - 1;
        let bias = max_exponent >> 1;
        let fraction = match self.below(5) {
            0 => 0,
            1 => 1,
            2 => (1 << fraction_bits) - 1,
            3 => 1 << (fraction_bits - 1),
            _ => self.bits() & ((1 << fraction_bits) - 1),
        };
        let exponent = match self.below(8) {
            0 => 0,
            1 => max_exponent,
            2 => max_exponent - 1,
            3 => 1,
            4 => self.below(max_exponent + 1),
            _ => bias - 4 + self.below(40.min(bias)),
        };
        sign | exponent << fraction_bits | fraction
    }
}
