//! The optimiser: passes over a region, cheap enough for code that runs a few times.
//!
//! [`promote`] turns guest-register operations into values within each block, folding as it goes (it sees every
//! operand once it is known); [`dead`] removes what nobody needs. Both walk all blocks of a region, however many.

mod dead;
mod fold;
mod promote;

use crate::cpu::{Helper, RegDesc};
use crate::ir::{Names, Region, verify};

/// Runs all passes; in debug builds the region is verified before, between and after them.
pub fn optimise(region: &mut Region, regs: &[RegDesc], helpers: &[Helper]) {
    let names = Names { regs, helpers };
    check(region, names, "build");
    promote::promote(region, regs, helpers);
    check(region, names, "promotion");
    dead::remove_dead(region);
    check(region, names, "removal of dead code");
}

fn check(region: &Region, names: Names<'_>, after: &str) {
    if cfg!(debug_assertions)
        && let Err(error) = verify(region, names.regs, names.helpers)
    {
        panic!("after {after}: {error}\n{}", names.print(region));
    }
}
