//! `AT_HWCAP` and `AT_HWCAP2`: what the identification registers say, as `Documentation/arch/arm64/elf_hwcaps.rst` puts it.
//! So they say what the feature table says.
//!
//! Left out: what user mode does not model (guarded pages, memory tagging), SVE and SME; and `HWCAP2_MOPS`, so that C libraries
//! do not choose the instructions for memory copies: their loops of vectors are ten times as fast here.

use tcg_aarch64::features::{Features, IdReg};

/// Bit of `AT_HWCAP`, name in `/proc/cpuinfo`; the field that it depends on: register, lowest bit, least value.
type Row = (u32, &'static str, IdReg, u32, u64);

/// `HWCAP_*` whose field is signed: all ones says that there is none.
const SIGNED: &[Row] = &[
    (0, "fp", IdReg::Pfr0, 16, 0),
    (1, "asimd", IdReg::Pfr0, 20, 0),
    (9, "fphp", IdReg::Pfr0, 16, 1),
    (10, "asimdhp", IdReg::Pfr0, 20, 1),
];

/// The other `HWCAP_*`.
const HWCAP: &[Row] = &[
    (3, "aes", IdReg::Isar0, 4, 1),
    (4, "pmull", IdReg::Isar0, 4, 2),
    (5, "sha1", IdReg::Isar0, 8, 1),
    (6, "sha2", IdReg::Isar0, 12, 1),
    (7, "crc32", IdReg::Isar0, 16, 1),
    (8, "atomics", IdReg::Isar0, 20, 2),
    (12, "asimdrdm", IdReg::Isar0, 28, 1),
    (13, "jscvt", IdReg::Isar1, 12, 1),
    (14, "fcma", IdReg::Isar1, 16, 1),
    (15, "lrcpc", IdReg::Isar1, 20, 1),
    (16, "dcpop", IdReg::Isar1, 0, 1),
    (17, "sha3", IdReg::Isar0, 32, 1),
    (18, "sm3", IdReg::Isar0, 36, 1),
    (19, "sm4", IdReg::Isar0, 40, 1),
    (20, "asimddp", IdReg::Isar0, 44, 1),
    (21, "sha512", IdReg::Isar0, 12, 2),
    (23, "asimdfhm", IdReg::Isar0, 48, 1),
    (24, "dit", IdReg::Pfr0, 48, 1),
    (25, "uscat", IdReg::Mmfr2, 32, 1),
    (26, "ilrcpc", IdReg::Isar1, 20, 2),
    (27, "flagm", IdReg::Isar0, 52, 1),
    (28, "ssbs", IdReg::Pfr1, 4, 2),
    (29, "sb", IdReg::Isar1, 36, 1),
    (30, "paca", IdReg::Isar1, 4, 1),
    (30, "paca", IdReg::Isar1, 8, 1),
    (31, "pacg", IdReg::Isar1, 24, 1),
    (31, "pacg", IdReg::Isar1, 28, 1),
];

/// `HWCAP2_*`.
const HWCAP2: &[Row] = &[
    (0, "dcpodp", IdReg::Isar1, 0, 2),
    (7, "flagm2", IdReg::Isar0, 52, 2),
    (8, "frint", IdReg::Isar1, 32, 1),
    (13, "i8mm", IdReg::Isar1, 52, 1),
    (14, "bf16", IdReg::Isar1, 44, 1),
    (15, "dgh", IdReg::Isar1, 48, 1),
    (16, "rng", IdReg::Isar0, 60, 1),
    (21, "rpres", IdReg::Isar2, 4, 1),
    (31, "wfxt", IdReg::Isar2, 0, 2),
    (32, "ebf16", IdReg::Isar1, 44, 2),
    (34, "cssc", IdReg::Isar2, 52, 1),
    (44, "hbc", IdReg::Isar2, 20, 1),
    (46, "lrcpc3", IdReg::Isar1, 20, 3),
    (47, "lse128", IdReg::Isar0, 20, 3),
];

/// `HWCAP_CPUID`: the kernel lets programs read identification registers.
const CPUID: u64 = 1 << 11;

/// The rows of `list` that hold; a field that is `none` says that there is nothing.
fn present(features: Features, list: &'static [Row], none: u64) -> impl Iterator<Item = &'static Row> {
    list.iter().filter(move |(_, _, reg, at, least)| {
        let field = features.id(*reg) >> at & 15;
        field != none && field >= *least
    })
}

/// No field reaches it.
const NEVER: u64 = 16;

/// Both words.
pub fn of(features: Features) -> [u64; 2] {
    let bits = |list, none| present(features, list, none).fold(0, |all, (bit, ..)| all | 1u64 << bit);
    [CPUID | bits(SIGNED, 15) | bits(HWCAP, NEVER), bits(HWCAP2, NEVER)]
}

/// The names in `/proc/cpuinfo`.
pub fn names(features: Features) -> String {
    let lists = [(SIGNED, 15), (HWCAP, NEVER), (HWCAP2, NEVER)];
    let rows = lists.into_iter().flat_map(|(list, none)| present(features, list, none));
    let mut names: Vec<&str> = rows.map(|(_, name, ..)| *name).collect();
    names.push("cpuid");
    names.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models() {
        let of = |cpu| of(Features::parse(cpu).expect("a model"));
        let a53 = of("cortex-a53");
        // FP, ASIMD, AES, PMULL, CRC32, CPUID.
        assert_eq!(a53[0] & 0x89b, 0x89b);
        // No LSE, no half precision.
        assert_eq!((a53[0] & 0x700, a53[1]), (0, 0));
        assert_eq!(of("cortex-a53,fp16=on")[0] & 0x600, 0x600);
        assert!(names(Features::max()).starts_with("fp asimd fphp"));
        assert_eq!(of("max,fp=off,fp16=off,advsimd=off")[0] & 0x603, 0);
    }
}
