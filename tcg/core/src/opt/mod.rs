//! The optimiser: passes over a region, cheap enough for code that runs a few times.
//!
//! [`promote`] turns guest-register operations into values within each block, folding as it goes (it sees every
//! operand once it is known); [`dead`] removes what nobody needs. Both walk all blocks of a region, however many.

mod dead;
mod fold;
mod promote;

use crate::cpu::{Helper, RegDesc};
use crate::ir::Region;

/// Runs all passes.
pub fn optimise(region: &mut Region, regs: &[RegDesc], helpers: &[Helper]) {
    promote::promote(region, regs, helpers);
    dead::remove_dead(region);
}
