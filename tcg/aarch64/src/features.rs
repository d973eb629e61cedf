//! The table of extensions and CPU models: what `-cpu` names, what decoding asks for, what the identification registers
//! say. Names and fields: A2.3 and D17.2 of the manual. Models: the cores' technical reference manuals.

use std::fmt::Write;

macro_rules! identification {
    ($($reg:ident $name:literal;)*) => {
        /// An identification register that extensions have fields in.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum IdReg { $(#[doc = concat!("`", $name, "`.")] $reg,)* }
        impl IdReg {
            /// How many there are.
            pub const COUNT: usize = [$($name),*].len();
            /// All of them, in order.
            const ALL: [Self; Self::COUNT] = [$(Self::$reg),*];
        }
    };
}

identification! {
    Pfr0 "ID_AA64PFR0_EL1";
    Pfr1 "ID_AA64PFR1_EL1";
    Isar0 "ID_AA64ISAR0_EL1";
    Isar1 "ID_AA64ISAR1_EL1";
    Isar2 "ID_AA64ISAR2_EL1";
    Mmfr0 "ID_AA64MMFR0_EL1";
    Mmfr1 "ID_AA64MMFR1_EL1";
    Mmfr2 "ID_AA64MMFR2_EL1";
    Dfr0 "ID_AA64DFR0_EL1";
    Mmfr3 "ID_AA64MMFR3_EL1";
}

struct Row {
    ext: Ext,
    name: &'static str,
    /// Register, lowest bit, value; the highest value of a field wins.
    field: (IdReg, u32, u64),
}

macro_rules! extensions {
    ($($ext:ident $name:literal $reg:ident[$at:literal] = $value:literal;)*) => {
        /// An extension.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Ext { $(#[doc = concat!("`FEAT_", $name, "`.")] $ext,)* }

        static TABLE: &[Row] = &[$(Row { ext: Ext::$ext, name: $name, field: (IdReg::$reg, $at, $value) },)*];
    };
}

// Those that instructions depend on come first: they have a bit in the mode of translations.
extensions! {
    Base "A64" Pfr0[0] = 1;
    Fp "FP" Pfr0[16] = 0;
    AdvSimd "AdvSIMD" Pfr0[20] = 0;
    Fp16 "FP16" Pfr0[16] = 1;
    Crc32 "CRC32" Isar0[16] = 1;
    Lse "LSE" Isar0[20] = 2;
    Lse2 "LSE2" Mmfr2[32] = 1;
    Lor "LOR" Mmfr1[16] = 1;
    Rcpc "LRCPC" Isar1[20] = 1;
    Rcpc2 "LRCPC2" Isar1[20] = 2;
    Rcpc3 "LRCPC3" Isar1[20] = 3;
    FlagM "FlagM" Isar0[52] = 1;
    FlagM2 "FlagM2" Isar0[52] = 2;
    FrintTs "FRINTTS" Isar1[32] = 1;
    Jscvt "JSCVT" Isar1[12] = 1;
    Pauth "PAuth" Isar1[4] = 5;
    Mops "MOPS" Isar2[16] = 1;
    Hbc "HBC" Isar2[20] = 1;
    Sb "SB" Isar1[36] = 1;
    Wfxt "WFxT" Isar2[0] = 2;
    Dpb "DPB" Isar1[0] = 1;
    Dpb2 "DPB2" Isar1[0] = 2;
    Aes "AES" Isar0[4] = 1;
    Pmull "PMULL" Isar0[4] = 2;
    Sha1 "SHA1" Isar0[8] = 1;
    Sha256 "SHA256" Isar0[12] = 1;
    Sha512 "SHA512" Isar0[12] = 2;
    Rdm "RDM" Isar0[28] = 1;
    Sha3 "SHA3" Isar0[32] = 1;
    Sm3 "SM3" Isar0[36] = 1;
    Sm4 "SM4" Isar0[40] = 1;
    DotProd "DotProd" Isar0[44] = 1;
    Fhm "FHM" Isar0[48] = 1;
    Fcma "FCMA" Isar1[16] = 1;
    Bf16 "BF16" Isar1[44] = 1;
    I8mm "I8MM" Isar1[52] = 1;

    PauthGeneric "PACQARMA5" Isar1[24] = 1;
    // A code of our own instead of QARMA5, under QEMU's name of the property.
    PauthImpdef "pauth-impdef" Isar1[28] = 0;
    Bti "BTI" Pfr1[0] = 1;
    Ssbs "SSBS" Pfr1[4] = 1;
    Ssbs2 "SSBS2" Pfr1[4] = 2;
    Dit "DIT" Pfr0[48] = 1;
    Dgh "DGH" Isar1[48] = 1;
    Ebf16 "EBF16" Isar1[44] = 2;
    Ecv "ECV" Mmfr0[60] = 1;
    Rng "RNG" Isar0[60] = 1;
}

impl Ext {
    /// How many there are.
    pub const COUNT: u32 = Ext::Rng as u32 + 1;

    /// How many of the table's first rows instructions depend on.
    pub const INSTRUCTION_EXTS: u32 = Ext::I8mm as u32 + 1;

    /// The name as `-cpu` has it: the manual's without `FEAT_`, in lower case.
    pub fn name(self) -> String {
        TABLE[self as usize].name.to_lowercase()
    }
}

struct Model {
    name: &'static str,
    midr: u64,
    /// `None`: all.
    extensions: Option<&'static [Ext]>,
    ctr: u64,
    dczid: u64,
    /// What system software sees, where it is not what [`Features::id`] makes of extensions.
    ids: &'static [(IdReg, u64)],
    /// REVIDR_EL1.
    revidr: u64,
    /// CLIDR_EL1, and CCSIDR_EL1 of level 1 data, level 1 instruction and level 2.
    caches: [u64; 4],
    /// PMCEID1_EL0.
    pmceid1: u64,
    /// Bits 16 to 23 of PMCR_EL0.
    pmu: u64,
    /// SCTLR_ELx after a reset.
    sctlr: u64,
}

const MAX_CACHES: [u64; 4] = [0x0200_0023, 0x700f_e01a, 0x201f_e012, 0x70ff_e07a];
const A53_CACHES: [u64; 4] = [0x0a20_0023, 0x700f_e01a, 0x203f_e002, 0x707f_e07a];
const A57_CACHES: [u64; 4] = [0x0a20_0023, 0x700f_e01a, 0x201f_e012, 0x70ff_e07a];
const A72_CACHES: [u64; 4] = [0x0a20_0023, 0x700f_e01a, 0x201f_e012, 0x707f_e07a];
const A76_CACHES: [u64; 4] = [0x8200_0023, 0x701f_e01a, 0x201f_e01a, 0x707f_e03a];
const N1_CACHES: [u64; 4] = [0x8200_0023, 0x701f_e01a, 0x201f_e01a, 0x70ff_e03a];
const V8_0_SCTLR: u64 = 0x00c5_0838;
const V8_2_SCTLR: u64 = 0x30c5_0838;

/// Of Cortex-A53; the other cores of Armv8.0 differ in the size of addresses.
const A53_IDS: &[(IdReg, u64)] = &[(IdReg::Mmfr0, 0x1022), (IdReg::Dfr0, 0x1030_5106)];
const A57_IDS: &[(IdReg, u64)] = &[(IdReg::Mmfr0, 0x1024), (IdReg::Dfr0, 0x1030_5106)];
const A76_IDS: &[(IdReg, u64)] = &[
    (IdReg::Pfr0, 0x1100_0000_1011_0011),
    (IdReg::Mmfr0, 0x10_1022),
    (IdReg::Mmfr1, 0x1021_2122),
    (IdReg::Mmfr2, 0x1011),
    (IdReg::Dfr0, 0x1030_5408),
];
const N1_IDS: &[(IdReg, u64)] = &[
    (IdReg::Pfr0, 0x1100_0000_1011_0011),
    (IdReg::Mmfr0, 0x10_1025),
    (IdReg::Mmfr1, 0x1021_2122),
    (IdReg::Mmfr2, 0x1011),
    (IdReg::Dfr0, 0x1030_5408),
];
/// What `max` has beside instructions: RAS, CSV2 and CSV3; 52-bit addresses with every granule, ASIDs and VMIDs of 16 bits;
/// HAFDBS, VHE, HPDS2, PAN3, XNX, ETS2, HCX; CnP, UAO, IESB, LVA, TTST, IDST, S2FWB, TTL, BBM, E0PD; TLB maintenance of ranges
/// and of the Outer Shareable domain; PMUv3 of Armv8.5.
const MAX_IDS: &[(IdReg, u64)] = &[
    (IdReg::Pfr0, 0x1200_0000_1011_0011),
    (IdReg::Isar0, 2 << 56),
    (IdReg::Mmfr0, 0x0323_1020_1026),
    (IdReg::Mmfr1, 0x0120_1031_2122),
    (IdReg::Mmfr2, 0x1021_0111_1001_1011),
    (IdReg::Dfr0, 0x1030_5606),
];

const V8_0: &[Ext] =
    &[Ext::Base, Ext::Fp, Ext::AdvSimd, Ext::Crc32, Ext::Aes, Ext::Pmull, Ext::Sha1, Ext::Sha256];
/// Of Cortex-A76.
const V8_2: &[Ext] = &[
    Ext::Base,
    Ext::Fp,
    Ext::AdvSimd,
    Ext::Fp16,
    Ext::Crc32,
    Ext::Lse,
    Ext::Lor,
    Ext::Rcpc,
    Ext::Dpb,
    Ext::Ssbs,
    Ext::Aes,
    Ext::Pmull,
    Ext::Sha1,
    Ext::Sha256,
    Ext::Rdm,
    Ext::DotProd,
];

/// Of Neoverse N1.
const N1: &[Ext] = &[
    Ext::Base,
    Ext::Fp,
    Ext::AdvSimd,
    Ext::Fp16,
    Ext::Crc32,
    Ext::Lse,
    Ext::Lor,
    Ext::Rcpc,
    Ext::Dpb,
    Ext::Ssbs,
    Ext::Ssbs2,
    Ext::Aes,
    Ext::Pmull,
    Ext::Sha1,
    Ext::Sha256,
    Ext::Rdm,
    Ext::DotProd,
];

static MODELS: [Model; 6] = [
    Model {
        name: "max",
        midr: 0x000f_0510,
        extensions: None,
        ctr: 0x8003_8003,
        dczid: 7,
        ids: MAX_IDS,
        revidr: 0,
        caches: MAX_CACHES,
        pmceid1: 0x1000_0018,
        pmu: 0x01,
        sctlr: V8_0_SCTLR,
    },
    Model {
        name: "cortex-a53",
        midr: 0x410f_d034,
        extensions: Some(V8_0),
        ctr: 0x8444_8004,
        dczid: 4,
        ids: A53_IDS,
        revidr: 0x100,
        caches: A53_CACHES,
        pmceid1: 0,
        pmu: 0x03,
        sctlr: V8_0_SCTLR,
    },
    Model {
        name: "cortex-a57",
        midr: 0x411f_d070,
        extensions: Some(V8_0),
        ctr: 0x8444_c004,
        dczid: 4,
        ids: A57_IDS,
        revidr: 0,
        caches: A57_CACHES,
        pmceid1: 0,
        pmu: 0x01,
        sctlr: V8_0_SCTLR,
    },
    Model {
        name: "cortex-a72",
        midr: 0x410f_d083,
        extensions: Some(V8_0),
        ctr: 0x8444_c004,
        dczid: 4,
        ids: A57_IDS,
        revidr: 0,
        caches: A72_CACHES,
        pmceid1: 0,
        pmu: 0x02,
        sctlr: V8_0_SCTLR,
    },
    Model {
        name: "cortex-a76",
        midr: 0x414f_d0b1,
        extensions: Some(V8_2),
        ctr: 0x8444_c004,
        dczid: 4,
        ids: A76_IDS,
        revidr: 0,
        caches: A76_CACHES,
        pmceid1: 0x18,
        pmu: 0x0b,
        sctlr: V8_2_SCTLR,
    },
    Model {
        name: "neoverse-n1",
        midr: 0x414f_d0c1,
        extensions: Some(N1),
        ctr: 0x8444_c004,
        dczid: 4,
        ids: N1_IDS,
        revidr: 0,
        caches: N1_CACHES,
        pmceid1: 0x18,
        pmu: 0x0c,
        sctlr: V8_2_SCTLR,
    },
];

/// A CPU model and its set of extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Features {
    model: usize,
    extensions: u64,
    /// What [`Self::system_id`] gives, which page walks and pointer authentication ask for again and again.
    system_ids: [u64; IdReg::COUNT],
}

/// Why a `-cpu` value is not one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CpuError {
    /// No such model.
    #[error(
        "unable to find CPU model '{0}'; there are max, cortex-a53, cortex-a57, cortex-a72, cortex-a76, neoverse-n1"
    )]
    Model(String),
    /// No such extension.
    #[error("CPU model '{model}' has no property '{name}'; -cpu help lists them")]
    Property {
        /// The model.
        model: &'static str,
        /// What was asked for.
        name: String,
    },
    /// It cannot be switched.
    #[error("CPU property '{name}' can only be '{only}'")]
    Fixed {
        /// The property.
        name: &'static str,
        /// What it is.
        only: &'static str,
    },
    /// Neither on nor off.
    #[error("CPU property '{name}' is 'on' or 'off', not '{value}'")]
    Value {
        /// The property.
        name: String,
        /// What it was to be.
        value: String,
    },
}

/// Properties that QEMU has, and which are one way here.
const FIXED: &[(&str, bool)] = &[
    ("aarch64", true),
    ("cfgend", false),
    ("lpa2", false),
    ("pmu", false),
    ("sme", false),
    ("sme_fa64", false),
    ("sve", false),
    ("x-rme", false),
];

fn on_or_off(name: &str, value: &str) -> Result<bool, CpuError> {
    match value {
        "on" | "true" | "yes" => Ok(true),
        "off" | "false" | "no" => Ok(false),
        _ => Err(CpuError::Value { name: name.into(), value: value.into() }),
    }
}

impl Features {
    /// Everything there is.
    pub fn max() -> Self {
        Self::model(0)
    }

    fn model(model: usize) -> Self {
        let has = |row: &&Row| MODELS[model].extensions.is_none_or(|list| list.contains(&row.ext));
        let extensions = TABLE.iter().filter(has).fold(0, |bits, row| bits | 1 << row.ext as u32);
        Self { model, extensions, system_ids: [0; IdReg::COUNT] }.settled()
    }

    /// With what follows from its extensions.
    fn settled(self) -> Self {
        Self { system_ids: IdReg::ALL.map(|reg| self.make_system_id(reg)), ..self }
    }

    /// The set that `-cpu` names: a model and switches, as `max,pauth=off`.
    ///
    /// # Errors
    /// Names the model or property that is not there.
    pub fn parse(cpu: &str) -> Result<Self, CpuError> {
        let mut items = cpu.split(',');
        let name = items.next().unwrap_or_default();
        let Some(n) = MODELS.iter().position(|model| model.name == name) else {
            return Err(CpuError::Model(name.into()));
        };
        let mut set = Self::model(n);
        for item in items {
            let (name, value) = item.split_once('=').unwrap_or((item, "on"));
            let switchable = |row: &&Row| row.ext != Ext::Base && row.name.eq_ignore_ascii_case(name);
            let row = TABLE.iter().find(switchable);
            let fixed = FIXED.iter().find(|(fixed, _)| *fixed == name);
            match (row, fixed) {
                (Some(row), _) if on_or_off(name, value)? => set.extensions |= 1 << row.ext as u32,
                (Some(row), _) => set.extensions &= !(1 << row.ext as u32),
                (None, Some((_, only))) if on_or_off(name, value)? == *only => {}
                (None, Some((name, only))) => {
                    return Err(CpuError::Fixed { name, only: if *only { "on" } else { "off" } });
                }
                (None, None) => return Err(CpuError::Property { model: MODELS[n].name, name: name.into() }),
            }
        }
        Ok(set.settled())
    }

    /// Whether an extension is there.
    pub fn has(self, ext: Ext) -> bool {
        self.extensions >> ext as u32 & 1 != 0
    }

    /// One bit an extension, by its number.
    pub fn bits(self) -> u64 {
        self.extensions
    }

    /// Name of the model.
    pub fn model_name(self) -> &'static str {
        MODELS[self.model].name
    }

    /// MIDR_EL1.
    pub fn midr(self) -> u64 {
        MODELS[self.model].midr
    }

    /// CTR_EL0.
    pub fn ctr(self) -> u64 {
        MODELS[self.model].ctr
    }

    /// DCZID_EL0: log2 of the words that DC ZVA clears.
    pub fn dczid(self) -> u64 {
        MODELS[self.model].dczid
    }

    /// An identification register: the fields of the extensions that are there, and what says that one is not.
    pub fn id(self, reg: IdReg) -> u64 {
        let mut value = match reg {
            // Without floating point the fields say so by all ones.
            IdReg::Pfr0 => 0x11 | if self.has(Ext::Fp) { 0 } else { 0xff << 16 },
            IdReg::Mmfr0 => 0xff00_0000,
            IdReg::Dfr0 => 6,
            IdReg::Isar0 => 0,
            _ => 0,
        };
        for row in TABLE.iter().filter(|row| self.has(row.ext) && row.field.0 == reg) {
            let (_, at, field) = row.field;
            if value >> at & 15 < field {
                value = value & !(15 << at) | field << at;
            }
        }
        if reg == IdReg::Isar1 && self.has(Ext::PauthImpdef) {
            // APA and GPA are those of QARMA5, API and GPI those of another code.
            let (address, generic) = (value >> 4 & 15, value >> 24 & 15);
            value = value & !(15 << 4 | 15 << 24) | address << 8 | generic << 28;
        }
        // The two fields of floating point agree.
        if reg == IdReg::Pfr0 { value & !(15 << 20) | (value >> 16 & 15) << 20 } else { value }
    }

    /// An identification register as system software sees it. It hides what is left out: AArch32, big-endian data, branch target
    /// identification, and of `max` SVE, SME, MTE, nested virtualization, Secure EL2 and AMU.
    pub fn system_id(&self, reg: IdReg) -> u64 {
        self.system_ids[reg as usize]
    }

    fn make_system_id(self, reg: IdReg) -> u64 {
        let listed = MODELS[self.model].ids.iter().find(|(of, _)| *of == reg).map_or(0, |(_, value)| *value);
        let mut value = self.id(reg);
        let known = TABLE.iter().filter(|row| row.field.0 == reg).fold(0, |all, row| all | 15 << row.field.1);
        let known = if reg == IdReg::Pfr0 { known | 0xff << 16 } else { known };
        value = value & known | listed & !known;
        if reg == IdReg::Pfr1 { value & !15 } else { value }
    }

    /// A field of an identification register of system software, [`Self::system_id`].
    pub fn field(&self, reg: IdReg, at: u32) -> u64 {
        self.system_id(reg) >> at & 15
    }

    /// REVIDR_EL1.
    pub fn revidr(self) -> u64 {
        MODELS[self.model].revidr
    }

    /// CLIDR_EL1.
    pub fn clidr(self) -> u64 {
        MODELS[self.model].caches[0]
    }

    /// CCSIDR_EL1 of what CSSELR_EL1 selects.
    pub fn ccsidr(self, selected: u64) -> u64 {
        MODELS[self.model].caches.get(1 + selected as usize).copied().unwrap_or(0)
    }

    /// CTR_EL0 and DCZID_EL0 as system software sees them.
    pub fn system_lines(self) -> (u64, u64) {
        // User mode's `max` has larger blocks.
        if self.model == 0 { (0xb444_c004, 4) } else { (self.ctr(), self.dczid()) }
    }

    /// PMCEID1_EL0.
    pub fn pmceid1(self) -> u64 {
        MODELS[self.model].pmceid1
    }

    /// PMCR_EL0.IDCODE.
    pub fn pmu(self) -> u64 {
        MODELS[self.model].pmu
    }

    /// SCTLR_ELx after a reset.
    pub fn sctlr(self) -> u64 {
        MODELS[self.model].sctlr
    }

    /// Whether the implementation defined registers of Cortex-A53, A57 and A72 are there.
    pub fn is_cortex_a5x(self) -> bool {
        matches!(self.model_name(), "cortex-a53" | "cortex-a57" | "cortex-a72" | "max")
    }

    /// Names of the models.
    pub fn models() -> impl Iterator<Item = &'static str> {
        MODELS.iter().map(|model| model.name)
    }

    /// The properties that are on or off.
    pub fn switches(self) -> Vec<(String, bool)> {
        let rows = TABLE.iter().filter(|row| row.ext != Ext::Base);
        let rows = rows.map(|row| (row.ext.name(), self.has(row.ext)));
        rows.chain(FIXED.iter().map(|(name, only)| ((*name).into(), *only))).collect()
    }

    /// What `-cpu help` prints.
    pub fn help() -> String {
        let mut text = String::from("Available CPUs:\n");
        for model in Self::models() {
            writeln!(text, "  {model}").expect("a string takes everything");
        }
        text.push_str("\nProperties, as in -cpu max,pauth=off:\n");
        let rows: Vec<_> = TABLE.iter().filter(|row| row.ext != Ext::Base).collect();
        for line in rows.chunks(6) {
            let cells: Vec<_> = line.iter().map(|row| format!("{:<12}", row.ext.name())).collect();
            writeln!(text, "  {}", cells.concat().trim_end()).expect("a string takes everything");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_found_and_switched() {
        let a57 = Features::parse("cortex-a57").expect("a model");
        assert!(!a57.has(Ext::Lse) && a57.has(Ext::Crc32));
        let n1 = Features::parse("neoverse-n1,lse=off,fp16=on").expect("a model");
        assert_eq!(n1.id(IdReg::Isar0), 0x1000_1001_1120);
        assert_eq!(n1.midr(), 0x414f_d0c1);
    }

    /// What user programs see of them under Linux.
    #[test]
    fn models_have_the_identification_of_the_cores() {
        let ids = |name| {
            let features = Features::parse(name).expect("a model");
            [IdReg::Pfr0, IdReg::Pfr1, IdReg::Isar0, IdReg::Isar1].map(|reg| features.id(reg))
        };
        let v8_0 = [0x11, 0, 0x1_1120, 0];
        assert_eq!(["cortex-a53", "cortex-a57", "cortex-a72"].map(ids), [v8_0; 3]);
        assert_eq!(ids("cortex-a76"), [0x11_0011, 0x10, 0x1000_1021_1120, 0x10_0001]);
        assert_eq!(ids("neoverse-n1"), [0x11_0011, 0x20, 0x1000_1021_1120, 0x10_0001]);
    }

    #[test]
    fn the_code_of_pointers_has_its_own_fields() {
        let id = |cpu| Features::parse(cpu).expect("a model").id(IdReg::Isar1) & 0xff00_0ff0;
        assert_eq!(id("max"), 0x1000_0500);
        assert_eq!(id("max,pauth-impdef=off"), 0x0100_0050);
    }

    #[test]
    fn what_is_not_there_can_be_switched_off() {
        let off = Features::parse("max,sve=off,sme=off,lpa2=off,aarch64=on,pmu=off").expect("so it is");
        assert!(off == Features::max());
    }

    #[test]
    fn mistakes_are_named() {
        let message = |cpu| Features::parse(cpu).map(|_| ()).expect_err("a mistake").to_string();
        assert!(message("cortex-a99").contains("'cortex-a99'"));
        assert!(message("max,zba=on").contains("'zba'"));
        assert!(message("max,lse=maybe").contains("'maybe'"));
        assert_eq!(message("max,sve=on"), "CPU property 'sve' can only be 'off'");
        assert_eq!(message("max,aarch64=off"), "CPU property 'aarch64' can only be 'on'");
        assert!(message("max,sve=128").contains("'128'"));
    }
}
