//! What the host CPU has beyond the baseline.

/// Instruction sets that emitters ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostFeatures {
    /// SHLX and friends, RORX, ANDN, BEXTR.
    pub bmi: bool,
    /// LZCNT, TZCNT.
    pub lzcnt: bool,
    /// POPCNT.
    pub popcnt: bool,
    /// PCLMULQDQ.
    pub clmul: bool,
    /// FMA3.
    pub fma: bool,
    /// F16C.
    pub f16c: bool,
    /// SSSE3, SSE4.1 and SSE4.2.
    pub sse4: bool,
    /// AVX2, whose 128-bit forms are used.
    pub avx2: bool,
    /// AES-NI.
    pub aes: bool,
    /// SHA-256's instructions.
    pub sha: bool,
}

impl HostFeatures {
    /// All of them: what golden listings are made for, on every CPU.
    #[cfg(any(test, feature = "testing"))]
    pub const ALL: Self = Self {
        bmi: true,
        lzcnt: true,
        popcnt: true,
        clmul: true,
        fma: true,
        f16c: true,
        sse4: true,
        avx2: true,
        aes: true,
        sha: true,
    };

    /// What this CPU has.
    pub fn detect() -> Self {
        Self {
            bmi: is_x86_feature_detected!("bmi2") && is_x86_feature_detected!("bmi1"),
            lzcnt: is_x86_feature_detected!("lzcnt") && is_x86_feature_detected!("bmi1"),
            popcnt: is_x86_feature_detected!("popcnt"),
            clmul: is_x86_feature_detected!("pclmulqdq"),
            fma: is_x86_feature_detected!("fma"),
            f16c: is_x86_feature_detected!("f16c"),
            sse4: is_x86_feature_detected!("sse4.2"),
            avx2: is_x86_feature_detected!("avx2"),
            aes: is_x86_feature_detected!("aes"),
            sha: is_x86_feature_detected!("sha") && is_x86_feature_detected!("sse4.2"),
        }
    }

    /// A part of it, chosen by the bits of `seed`: tests use it to reach the code for lesser CPUs.
    pub fn part(self, seed: u64) -> Self {
        let kept = |has: bool, bit: u32| has && seed >> bit & 1 != 0;
        Self {
            bmi: kept(self.bmi, 0),
            lzcnt: kept(self.lzcnt, 1),
            popcnt: kept(self.popcnt, 2),
            clmul: kept(self.clmul, 3),
            fma: kept(self.fma, 4),
            f16c: kept(self.f16c, 8),
            sse4: kept(self.sse4, 5),
            avx2: kept(self.avx2, 6) && kept(self.sse4, 5),
            aes: kept(self.aes, 7),
            sha: kept(self.sha, 9) && kept(self.sse4, 5),
        }
    }
}
