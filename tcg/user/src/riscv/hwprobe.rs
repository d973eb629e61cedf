//! What `riscv_hwprobe` tells: `Documentation/arch/riscv/hwprobe.rst`, Linux 6.16.

use super::TIME_FREQUENCY;
use tcg_riscv::features::{Ext, Features};

/// Extensions by their bits in `RISCV_HWPROBE_KEY_IMA_EXT_0`; bit 0 is for F and D.
const EXTENSIONS: [(Ext, u32); 52] = [
    (Ext::D, 0),
    (Ext::C, 1),
    (Ext::V, 2),
    (Ext::Zba, 3),
    (Ext::Zbb, 4),
    (Ext::Zbs, 5),
    (Ext::Zicboz, 6),
    (Ext::Zbc, 7),
    (Ext::Zbkb, 8),
    (Ext::Zbkc, 9),
    (Ext::Zbkx, 10),
    (Ext::Zknd, 11),
    (Ext::Zkne, 12),
    (Ext::Zknh, 13),
    (Ext::Zksed, 14),
    (Ext::Zksh, 15),
    (Ext::Zkt, 16),
    (Ext::Zvbb, 17),
    (Ext::Zvbc, 18),
    (Ext::Zvkb, 19),
    (Ext::Zvkg, 20),
    (Ext::Zvkned, 21),
    (Ext::Zvknha, 22),
    (Ext::Zvknhb, 23),
    (Ext::Zvksed, 24),
    (Ext::Zvksh, 25),
    (Ext::Zvkt, 26),
    (Ext::Zfh, 27),
    (Ext::Zfhmin, 28),
    (Ext::Zihintntl, 29),
    (Ext::Zvfh, 30),
    (Ext::Zvfhmin, 31),
    (Ext::Zfa, 32),
    (Ext::Zicond, 35),
    (Ext::Zihintpause, 36),
    (Ext::Zve32x, 37),
    (Ext::Zve32f, 38),
    (Ext::Zve64x, 39),
    (Ext::Zve64f, 40),
    (Ext::Zve64d, 41),
    (Ext::Zimop, 42),
    (Ext::Zca, 43),
    (Ext::Zcb, 44),
    (Ext::Zcd, 45),
    (Ext::Zcmop, 47),
    (Ext::Zawrs, 48),
    (Ext::Zicntr, 50),
    (Ext::Zihpm, 51),
    (Ext::Zicbom, 55),
    (Ext::Zaamo, 56),
    (Ext::Zalrsc, 57),
    (Ext::Zabha, 58),
];

/// The value of a key; `None` if there is no such key.
pub fn value(features: &Features, key: i64) -> Option<u64> {
    Some(match key {
        // MVENDORID, MARCHID, MIMPID.
        0..=2 => 0,
        // BASE_BEHAVIOR: IMA.
        3 => [Ext::I, Ext::M, Ext::A].iter().all(|ext| features.has(*ext)).into(),
        // IMA_EXT_0.
        4 => {
            let present = EXTENSIONS.iter().filter(|(ext, _)| features.has(*ext));
            present.fold(0, |all, (_, bit)| all | 1u64 << bit)
        }
        // CPUPERF_0, MISALIGNED_SCALAR_PERF: fast.
        5 | 9 => 3,
        // ZICBOZ_BLOCK_SIZE, ZICBOM_BLOCK_SIZE.
        6 if features.has(Ext::Zicboz) => 64,
        12 if features.has(Ext::Zicbom) => 64,
        6 | 12 => 0,
        // TIME_CSR_FREQ.
        8 => TIME_FREQUENCY,
        // MISALIGNED_VECTOR_PERF: fast, or unsupported.
        10 if features.has(Ext::Zve32x) => 3,
        10 => 4,
        _ => return None,
    })
}
