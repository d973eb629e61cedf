//! The optimiser: passes over a region, cheap enough for code that runs a few times.
//!
//! [`promote`] turns guest-register operations into values, folding as it goes (it sees every operand once it is known);
//! where ways meet it makes block parameters, of which [`params`] removes the needless, once the blocks are in order again, and
//! [`boxes`] opens those of loops that hold a narrower float, [`lanes`] parts vectors of which the lowest lane is used, and
//! [`flags`] replaces flags by what they are made of; [`dead`] removes what nobody needs. All of them work on regions of one block and of many.

mod boxes;
mod dead;
mod flags;
mod flow;
mod fold;
mod lanes;
mod params;
mod promote;
mod seen;

pub use lanes::lowest;

use crate::cpu::{Helper, RegDesc};
use crate::ir::{Names, Region, order_blocks, verify};

/// Lists that are used again for each region.
#[derive(Default)]
pub struct Scratch {
    promote: promote::Scratch,
    dead: dead::Scratch,
}

/// Runs all passes; in debug builds the region is verified before, between and after them.
pub fn optimise(region: &mut Region, regs: &[RegDesc], helpers: &[Helper], scratch: &mut Scratch) {
    let names = Names { regs, helpers };
    check(region, names, "build");
    // Twice: parameters turn out to be values that fold.
    for first in [true, false] {
        let promoted = promote::promote(region, regs, helpers, &mut scratch.promote);
        check(region, names, "promotion");
        if !promoted.joins {
            break;
        }
        if promoted.folded {
            // A loop that is entered elsewhere now: what a parameter turns out to be must stand before its uses.
            order_blocks(region);
        }
        params::remove_needless(region);
        check(region, names, "removal of needless parameters");
        if first {
            boxes::carry_singles(region);
            check(region, names, "boxed parameters");
            lanes::carry_lowest(region);
            check(region, names, "carried lanes");
            flags::carry_operands(region);
            check(region, names, "carried flags");
        } else {
            params::remove_twins(region);
            check(region, names, "removal of twins");
        }
    }
    dead::remove_dead(region, &mut scratch.dead);
    check(region, names, "removal of dead code");
}

fn check(region: &Region, names: Names<'_>, after: &str) {
    if cfg!(debug_assertions)
        && let Err(error) = verify(region, names.regs, names.helpers)
    {
        panic!("after {after}: {error}\n{}", names.print(region));
    }
}
