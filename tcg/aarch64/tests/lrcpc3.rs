//! FEAT_LRCPC3, which the oracle does not have: what is stored comes back, and bases move.

mod support;

use tcg_aarch64::Aarch64;
use tcg_aarch64::cpu::Cpu;
use tcg_aarch64::decode;
use tcg_aarch64::features::Features;
use tcg_core::guest::Ctx;
use tcg_core::testing::Rig;

const RAM: u64 = 0x8000_0000;

/// A PE whose x1 points into memory, after these words.
fn after(words: &[u32], prepare: impl FnOnce(&mut Cpu)) -> (Rig<Aarch64>, Vec<u8>) {
    let mut rig = Rig::<Aarch64>::new(Cpu::new(Features::max()), (RAM, 0x4000), 16);
    let mode = support::mode(Features::max(), 0);
    rig.cpu().x[1] = RAM + 0x100;
    prepare(rig.cpu());
    for (n, word) in (0..).zip(words) {
        let insn = decode::decode(*word, mode);
        assert!(insn.op.is_some(), "{word:#x}");
        rig.interpret(&[(Ctx { pc: RAM + 4 * n, len: 4, mode }, insn)]);
    }
    let memory = rig.memory();
    (rig, memory)
}

#[test]
fn pairs() {
    let words = [
        0xd903_0822, // stilp x2, x3, [x1, #-16]!
        0xd945_1824, // ldiapp x4, x5, [x1]
        0x9947_0826, // ldiapp w6, w7, [x1], #8
    ];
    let (mut rig, memory) = after(&words, |cpu| (cpu.x[2], cpu.x[3]) = (0x1111_2222_3333_4444, 5));
    assert_eq!(memory[0xf0..0xf8], 0x1111_2222_3333_4444u64.to_le_bytes());
    assert_eq!(memory[0xf8..0x100], 5u64.to_le_bytes());
    let x = rig.cpu().x;
    assert_eq!(x[4..8], [0x1111_2222_3333_4444, 5, 0x3333_4444, 0x1111_2222]);
    assert_eq!(x[1], RAM + 0xf8);
}

#[test]
fn single_registers() {
    let words = [
        0xd980_0822, // stlr x2, [x1, #-8]!
        0x99c0_0823, // ldapr w3, [x1], #4
    ];
    let (mut rig, _) = after(&words, |cpu| cpu.x[2] = 0xffff_ffff_8765_4321);
    assert_eq!((rig.cpu().x[1], rig.cpu().x[3]), (RAM + 0xfc, 0x8765_4321));
}

#[test]
fn simd_registers() {
    let words = [
        0x1d9f_0822, // stlur q2, [x1, #-16]
        0x1ddf_0823, // ldapur q3, [x1, #-16]
        0xdd5f_8824, // ldapur d4, [x1, #-8]
        0x4d01_8422, // stl1 {v2.d}[1], [x1]
        0x0d41_8425, // ldap1 {v5.d}[0], [x1]
    ];
    let value = 0x0123_4567_89ab_cdef_1111_2222_3333_4444;
    let (mut rig, _) = after(&words, |cpu| (cpu.v[2], cpu.v[5]) = (value, u128::MAX));
    let v = rig.cpu().v;
    assert_eq!(v[3], value);
    assert_eq!(v[4], value >> 64);
    assert_eq!(v[5], u128::MAX << 64 | value >> 64);
}
