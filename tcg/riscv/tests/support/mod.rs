//! What the tests of this crate share.
#![allow(dead_code, reason = "each test uses some of it")]

pub mod bare;
pub mod program;

use std::path::PathBuf;
use tcg_riscv::csr::Csrs;
use tcg_riscv::csr::bits::mstatus;
use tcg_riscv::features::Features;
use tcg_riscv::mode;

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
