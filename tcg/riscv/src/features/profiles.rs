//! The RVA profiles as CPU models and properties: "RISC-V Profiles" (RVA22) and RVA23 1.0, what they mandate.
//!
//! Left out, because no hart here has it: H and its extensions (RVA23S64), pointer masking (Supm, Ssnpm, Smnpm).

use super::Ext;
use Ext::*;

/// A profile.
pub(super) struct Profile {
    pub name: &'static str,
    pub what: &'static str,
    /// The profile that it adds to.
    parent: Option<&'static Profile>,
    mandates: &'static [Ext],
}

impl Profile {
    /// All that it mandates.
    pub fn extensions(&self) -> Vec<Ext> {
        let inherited = self.parent.map(Self::extensions).unwrap_or_default();
        inherited.into_iter().chain(self.mandates.iter().copied()).collect()
    }
}

static RVA22U64: Profile = Profile {
    name: "rva22u64",
    what: "what profile RVA22U64 mandates, and nothing else",
    parent: None,
    mandates: &[
        I,
        M,
        A,
        F,
        D,
        C,
        B,
        Zicsr,
        Zihintpause,
        Zba,
        Zbb,
        Zbs,
        Zfhmin,
        Zkt,
        Zicntr,
        Zihpm,
        Zicbom,
        Zicbop,
        Zicboz,
        Zic64b,
        Za64rs,
        Ziccamoa,
        Ziccrse,
    ],
};

static RVA22S64: Profile = Profile {
    name: "rva22s64",
    what: "RVA22S64",
    parent: Some(&RVA22U64),
    mandates: &[Zifencei, Svpbmt, Svinval, Svade, Sv39],
};

static RVA23U64: Profile = Profile {
    name: "rva23u64",
    what: "RVA23U64, but for pointer masking",
    parent: Some(&RVA22U64),
    mandates: &[V, Zicond, Zimop, Zcmop, Zcb, Zfa, Zawrs, Zihintntl, Zvfhmin, Zvbb, Zvkt],
};

static RVA23S64: Profile = Profile {
    name: "rva23s64",
    what: "RVA23S64, but for pointer masking and H",
    parent: Some(&RVA23U64),
    mandates: &[Zifencei, Svpbmt, Svinval, Svade, Sv39, Svnapot, Sstc, Sscofpmf],
};

pub(super) static PROFILES: [&Profile; 4] = [&RVA22U64, &RVA22S64, &RVA23U64, &RVA23S64];
