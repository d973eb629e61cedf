//! What the tests of this crate share.
#![allow(dead_code, reason = "each test uses some of it")]

pub mod bare;
pub mod program;

use std::path::PathBuf;
use tcg_aarch64::features::Features;
use tcg_aarch64::mode;
use tcg_aarch64::sysreg::System;

/// The mode at EL0 with this FPCR.
pub fn mode(features: Features, fpcr: u64) -> u64 {
    let mut system = System::new(features);
    system.fpcr = fpcr;
    mode::of(&system)
}

/// An empty folder for one test.
pub fn scratch(name: &str) -> PathBuf {
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&dir).expect("a scratch folder");
    dir
}
