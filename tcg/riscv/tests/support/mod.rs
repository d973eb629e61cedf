//! What the tests of this crate share.
#![allow(dead_code, reason = "each test uses some of it")]

pub mod bare;
pub mod program;

use std::path::PathBuf;
use tcg_riscv::csr::Csrs;
use tcg_riscv::csr::bits::mstatus;
use tcg_riscv::features::Features;
use tcg_riscv::mode;

/// Random numbers that are the same in every run: xorshift64*.
pub struct Rng(u64);

impl Rng {
    /// A sequence for each seed.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// One below `n`.
    pub fn below(&mut self, n: u64) -> u64 {
        (self.next() >> 16) % n
    }

    /// One of these.
    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }
}

/// The mode in M with the float unit dirty and this `frm`.
pub fn mode(features: Features, frm: u64) -> u64 {
    mode_with_fs(features, frm, 3)
}

/// The mode in M with the float unit in state `fs`, and vectors of whole registers of words.
pub fn mode_with_fs(features: Features, frm: u64, fs: u64) -> u64 {
    let mut csr = Csrs::new(features, 0);
    csr.frm = frm;
    csr.mstatus = csr.mstatus & !mstatus::FS | mstatus::VS | fs << mstatus::FS_SHIFT;
    // Four words in each register, all of them.
    (csr.vector.vtype, csr.vector.vl) = (2 << 3, 4);
    mode::of(&csr)
}

/// An empty folder for one test.
pub fn scratch(name: &str) -> PathBuf {
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&dir).expect("a scratch folder");
    dir
}
