//! The vector unit's part of a signal frame: the record `__sc_riscv_v_state` of `asm/sigcontext.h`, and the one that ends the
//! list.
//!
//! The first head of a record stands in the last bytes of the float state, what follows behind it. Left out: data of a
//! frame that a program has moved elsewhere by its `datap`.

use tcg_riscv::cpu::Hart;
use tcg_riscv::features::Features;
use tcg_riscv::vector::configure;

/// Bytes of a record's head: magic number and size.
pub const HEAD: usize = 8;
/// The same without its head as a note of a core file.
pub const NT_RISCV_VECTOR: u32 = 0x901;
/// `RISCV_V_MAGIC`.
const MAGIC: u32 = 0x5346_5457;
/// Bytes of `struct __riscv_v_ext_state`: vstart, vl, vtype, vcsr, vlenb, datap.
const STATE: usize = 48;

/// Bytes of v0 to v31.
fn data(features: &Features) -> usize {
    32 * features.vlenb()
}

/// Bytes of the record.
pub fn record(features: &Features) -> usize {
    HEAD + STATE + data(features)
}

/// Writes the record, which goes to guest address `at`, and the end of the list (zeros, which are there).
pub fn save(hart: &Hart, at: u64, to: &mut [u8]) {
    let size = record(&hart.csr.features);
    to[..4].copy_from_slice(&MAGIC.to_le_bytes());
    to[4..HEAD].copy_from_slice(&(size as u32).to_le_bytes());
    let csr = &hart.csr.vector;
    let (vcsr, vlenb) = (csr.vxsat | csr.vxrm << 1, hart.csr.features.vlenb() as u64);
    let words = [csr.vstart, csr.vl, csr.vtype, vcsr, vlenb, at + (HEAD + STATE) as u64];
    for (word, bytes) in words.iter().zip(to[HEAD..].chunks_exact_mut(8)) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    to[HEAD + STATE..size].copy_from_slice(&hart.v.bytes()[..data(&hart.csr.features)]);
}

/// Takes the record back, if it is there.
pub fn restore(hart: &mut Hart, from: &[u8]) {
    let half = |at: usize| u32::from_le_bytes(from[at..at + 4].try_into().expect("four bytes"));
    let features = hart.csr.features;
    let size = record(&features);
    if (half(0), half(4)) != (MAGIC, size as u32) {
        return;
    }
    let word = |n: usize| super::word(&from[HEAD..], n);
    // A legal state, whatever the frame says.
    configure(hart, word(1), word(2));
    let csr = &mut hart.csr.vector;
    csr.vstart = word(0) & (features.vlen() - 1);
    (csr.vxsat, csr.vxrm) = (word(3) & 1, word(3) >> 1 & 3);
    hart.v.bytes_mut()[..data(&features)].copy_from_slice(&from[HEAD + STATE..size]);
}
