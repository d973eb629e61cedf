//! Recorded runs: what came from outside is written down with the moment at which it came ([`log`]), and a later run has it come at
//! the same moment, and is the same run. From there a debugger can go back in time ([`history`], [`backward`]).
//!
//! The vCPUs run by turns ([`crate::Turns`]), so that a run depends on its input only. A moment is a number of turns and of
//! instructions, and machine time ([`At`]); input comes between two turns, in the order in which it was recorded. A recording empties the
//! TLBs every [`SYNC`] instructions, and so does the replay: from there on a run depends on nothing but the machine's saved state, so
//! that it can be put back there. The trace hash of the run so far is noted as well, and tells a run that is another one.
//!
//! Nothing is recorded of disks: in both runs their images stay as they are, and what the guest writes is thrown away at the end.

mod backward;
mod history;
mod journal;
mod log;

pub use journal::{Journal, Mode};
pub use log::{At, Difference, Entry, Happening, Header, Log, LogError, Place, Recorder};

pub use backward::Backward;
pub(crate) use history::History;
pub(crate) use journal::{Border, Due};

/// Instructions between two places that a replay can be put back to.
pub const SYNC: u64 = 2_000_000;
