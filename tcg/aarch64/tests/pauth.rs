//! Pointer authentication of user programs, in place, beside what machines do.

mod support;

use tcg_aarch64::cpu::Cpu;
use tcg_aarch64::features::{Ext, Features};
use tcg_aarch64::{Aarch64, decode, mode, pauth};
use tcg_core::guest::Ctx;
use tcg_core::ir::Left;
use tcg_core::testing::{Rig, Rng};

/// PACIA x0, x1, whose bits 10 and 11 are the key's number; bit 12 makes it AUTIA.
const PACIA: u32 = 0xdac1_0020;
const AUTIA: u32 = PACIA | 1 << 12;
const XPACI: u32 = 0xdac1_43e0;
const KEYS: [[u64; 2]; 5] = [[1, 2], [3, 4], [5, 6], [7, 8], [9, 10]];

fn user() -> Cpu {
    let mut cpu = Cpu::new(Features::max());
    cpu.system.keys = KEYS;
    cpu
}

/// How `word` leaves x0 of a user program.
fn run(word: u32, x: [u64; 2]) -> (u64, Left) {
    let mut rig = Rig::<Aarch64>::new(user(), (0x8000_0000, 0x1000), 16);
    let mode = mode::of(&rig.cpu().system);
    assert!(mode::signs_plainly(mode) && mode::has(mode, Ext::Pauth));
    rig.cpu().x[..2].copy_from_slice(&x);
    let left = rig.interpret(&[(Ctx { pc: 0, len: 4, mode }, decode::decode(word, mode))]).left;
    (rig.cpu().x[0], left)
}

#[test]
fn in_place_is_as_by_the_helpers() {
    let mut rng = Rng::new(1);
    for n in 0..400 {
        let (mut ptr, modifier) = (rng.bits(), rng.bits());
        if n % 2 != 0 {
            ptr = pauth::strip_for(&user(), ptr, true);
        }
        for key in 0..4 {
            let signed = pauth::sign(&mut user(), ptr, modifier, key).expect("nothing traps");
            assert_eq!(run(PACIA | (key as u32) << 10, [ptr, modifier]).0, signed, "{ptr:#x}, key {key}");
            for ptr in [ptr, signed] {
                let (value, left) = run(AUTIA | (key as u32) << 10, [ptr, modifier]);
                match pauth::check(&mut user(), ptr, modifier, key) {
                    Ok(plain) => assert_eq!((value, left.trap), (plain, None), "{ptr:#x}, key {key}"),
                    Err(trap) => assert_eq!((value, left.trap), (ptr, Some(trap)), "{ptr:#x}, key {key}"),
                }
            }
        }
        assert_eq!(run(XPACI, [ptr, 0]).0, pauth::strip_for(&user(), ptr, true), "{ptr:#x}");
    }
}
