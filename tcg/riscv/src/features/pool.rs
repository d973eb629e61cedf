//! The sets of features that the harts of this process have, by number: a translation's mode has room for a number only.

use super::Features;
use std::sync::OnceLock;

/// Far more than a process has kinds of harts.
const ROOM: usize = 1 << 10;

static POOL: [OnceLock<Features>; ROOM] = [const { OnceLock::new() }; ROOM];

impl Features {
    /// The number of this set in this process.
    ///
    /// # Panics
    /// If the process has had more than [`ROOM`] different sets.
    pub fn number(&self) -> u64 {
        let at = POOL.iter().position(|slot| slot.get_or_init(|| *self) == self);
        at.expect("no process has so many kinds of harts") as u64
    }

    /// The set of that number.
    ///
    /// # Panics
    /// If [`Self::number`] has not given it.
    #[inline]
    pub fn numbered(number: u64) -> &'static Features {
        POOL[number as usize % ROOM].get().expect("numbers come from sets")
    }
}
