//! What the host CPU has beyond the baseline.

/// Instruction sets that emitters ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostFeatures {
    /// SHLX and friends, RORX, ANDN.
    pub bmi: bool,
    /// LZCNT, TZCNT.
    pub lzcnt: bool,
    /// POPCNT.
    pub popcnt: bool,
    /// PCLMULQDQ.
    pub clmul: bool,
    /// FMA3.
    pub fma: bool,
    /// ROUNDSS, ROUNDSD.
    pub sse41: bool,
}

impl HostFeatures {
    /// What this CPU has.
    pub fn detect() -> Self {
        Self {
            bmi: is_x86_feature_detected!("bmi2") && is_x86_feature_detected!("bmi1"),
            lzcnt: is_x86_feature_detected!("lzcnt") && is_x86_feature_detected!("bmi1"),
            popcnt: is_x86_feature_detected!("popcnt"),
            clmul: is_x86_feature_detected!("pclmulqdq"),
            fma: is_x86_feature_detected!("fma"),
            sse41: is_x86_feature_detected!("sse4.1"),
        }
    }

    /// What every x86-64 CPU has.
    #[cfg(test)]
    pub const BASELINE: Self =
        Self { bmi: false, lzcnt: false, popcnt: false, clmul: false, fma: false, sse41: false };
}
