//! `mcycle`, `minstret` and the programmable counters with their events, filters and overflows: RISC-V Privileged ISA
//! 20240411, 3.1.10 to 3.1.12 (Zicntr, Zihpm), and chapter 18 (Sscofpmf).
//!
//! Cycles are nanoseconds of machine time. Retired instructions are nanoseconds as well until somebody looks: the first
//! access to a counter of instructions has translations count them ([`Counters::counting`], a bit of the mode), and
//! from then on they are exact, up to the rule that a written value is what the next instruction reads. Other events
//! stand still. There is no `mcyclecfg` (Smcntrpmf), so filters are those of the programmable counters.

use super::bits::irq;
use super::{Priv, Refused};
use crate::cpu::Hart;
use base::Ns;
use serde::{Deserialize, Serialize};

/// Counters 0 (cycle), 2 (instret) and 3..=31; 1 is `time` and not kept here.
pub const COUNT: usize = 32;
/// The first programmable one.
const FIRST_EVENT: usize = 3;

/// `mhpmevent`: overflow happened.
const OF: u64 = 1 << 63;
/// `mhpmevent`: do not count in this privilege mode.
fn filter(privilege: Priv) -> u64 {
    match privilege {
        Priv::M => 1 << 62,
        Priv::S => 1 << 61,
        Priv::U => 1 << 60,
    }
}
const FILTERS: u64 = 7 << 60;
/// Bits of `mhpmevent` that select the event, numbered as the SBI does.
const EVENT_MASK: u64 = (1 << 20) - 1;
const CYCLES: u64 = 1;
const INSTRUCTIONS: u64 = 2;

/// A counter of instructions is looked at again after at least this long, in nanoseconds.
const SHORTEST_WAIT: Ns = 100_000;
/// No hart is faster than this many instructions a nanosecond.
const FASTEST: u64 = 4;

/// What counters count, at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Now {
    /// Machine time.
    pub ns: Ns,
    /// Instructions retired ([`tcg_core::cpu::CpuHeader::insns`]).
    pub insns: u64,
}

/// The counters of one hart.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Counters {
    /// Values at the moment `at`.
    value: [u64; COUNT],
    at: Now,
    /// `mhpmevent3` to `mhpmevent31`.
    event: [u64; COUNT],
    /// `mcountinhibit`.
    inhibit: u64,
    privilege: Priv,
    /// Which counters move now; follows from the three above.
    #[serde(skip)]
    running: u64,
    counting: bool,
    /// Whether overflows are noted (Sscofpmf).
    overflows: bool,
}

impl Counters {
    /// After reset, at machine time zero; `overflows`: with Sscofpmf.
    pub fn new(overflows: bool) -> Self {
        let mut counters = Self {
            value: [0; COUNT],
            at: Now::default(),
            event: [0; COUNT],
            inhibit: 0,
            privilege: Priv::M,
            running: 0,
            counting: false,
            overflows,
        };
        counters.running = counters.find_running();
        counters
    }

    /// Counters that were saved, made fit for a hart with or without Sscofpmf.
    pub(super) fn loaded(mut self, overflows: bool) -> Self {
        self.overflows = overflows;
        self.inhibit &= !2;
        self.running = self.find_running();
        self
    }

    /// Whether translations have to count instructions.
    pub fn counting(&self) -> bool {
        self.counting
    }

    /// Whether counter `n` counts instructions.
    pub fn counts_instructions(&self, n: usize) -> bool {
        n == 2 || n >= FIRST_EVENT && is_instructions(self.event[n])
    }

    fn find_running(&self) -> u64 {
        let moves = |n: usize| match n {
            0 | 2 => true,
            1 => false,
            n => {
                matches!(self.event[n] & EVENT_MASK, CYCLES | INSTRUCTIONS)
                    && self.event[n] & filter(self.privilege) == 0
            }
        };
        (0..COUNT).filter(|n| moves(*n)).fold(0, |all, n| all | 1 << n) & !self.inhibit
    }

    /// How far counter `n` has moved since `at`.
    fn moved(&self, n: usize, now: Now) -> u64 {
        if self.running >> n & 1 == 0 {
            0
        } else if self.counting && self.counts_instructions(n) {
            now.insns.wrapping_sub(self.at.insns)
        } else {
            now.ns.saturating_sub(self.at.ns)
        }
    }

    /// Counter `n`.
    pub fn value(&self, n: usize, now: Now) -> u64 {
        self.value[n].wrapping_add(self.moved(n, now))
    }

    /// Brings everything up to `now` and then makes a change; true if a counter overflowed on the way.
    fn change(&mut self, now: Now, change: impl FnOnce(&mut Self)) -> bool {
        let mut raised = false;
        for n in 0..COUNT {
            let (value, wrapped) = self.value[n].overflowing_add(self.moved(n, now));
            self.value[n] = value;
            if wrapped && n >= FIRST_EVENT && self.overflows && self.event[n] & OF == 0 {
                self.event[n] |= OF;
                raised = true;
            }
        }
        self.at = now;
        change(self);
        self.running = self.find_running();
        raised
    }

    /// Has instructions counted, if counter `n` counts them.
    pub fn look(&mut self, n: usize) {
        self.counting |= self.counts_instructions(n);
    }

    /// Sets counter `n`.
    pub fn set(&mut self, n: usize, value: u64) {
        self.value[n] = value;
        self.look(n);
    }

    /// `mhpmevent` of counter `n`.
    pub fn event(&self, n: usize) -> u64 {
        self.event[n]
    }

    /// Selects what counter `n` counts.
    pub fn set_event(&mut self, n: usize, event: u64) {
        self.event[n] = if self.overflows { event } else { event & !(OF | FILTERS) };
        self.look(n);
    }

    /// `mcountinhibit`.
    pub fn inhibit(&self) -> u64 {
        self.inhibit
    }

    /// Stops and starts counters.
    pub fn set_inhibit(&mut self, inhibit: u64) {
        self.inhibit = inhibit & !2;
    }

    /// `scountovf`: the overflow bits of all counters.
    pub fn overflowed(&self) -> u64 {
        (FIRST_EVENT..COUNT).filter(|n| self.event[*n] & OF != 0).fold(0, |all, n| all | 1 << n)
    }

    /// When to look for the next overflow, if one is to come.
    fn next_overflow(&self) -> Option<Ns> {
        let armed = |n: &usize| self.running >> n & 1 != 0 && self.event[*n] & OF == 0;
        let wait = |n: usize| match (self.value[n].wrapping_neg(), self.counts_instructions(n)) {
            (0, _) => u64::MAX,
            (left, true) => (left / FASTEST).max(SHORTEST_WAIT),
            (left, false) => left,
        };
        let wait = (FIRST_EVENT..COUNT).filter(armed).map(wait).min().filter(|_| self.overflows)?;
        self.at.ns.checked_add(wait)
    }
}

fn is_instructions(event: u64) -> bool {
    event & EVENT_MASK == INSTRUCTIONS
}

/// Whether a CSR instruction on register `number` looks at a count of instructions, or is about to have one made.
pub fn needs_counting(counters: &Counters, number: u16, new: Option<u64>) -> Result<(), Refused> {
    let looks = match number {
        0xb02..=0xb1f | 0xc02..=0xc1f => counters.counts_instructions(usize::from(number & 31)),
        0x323..=0x33f => new.is_some_and(is_instructions),
        _ => false,
    };
    if looks && !counters.counting { Err(Refused::Uncounted) } else { Ok(()) }
}

impl Hart {
    /// What counters count, before the present instruction.
    pub fn now(&self) -> Now {
        Now { ns: self.csr.now(), insns: self.head.insns }
    }

    /// The same when the present instruction has been carried out.
    pub fn now_after(&self) -> Now {
        let now = self.now();
        Now { insns: now.insns.wrapping_add(1), ..now }
    }

    /// Brings the counters up to `now`, raises the interrupt of those that overflowed, makes `change`, and sees to it
    /// that the next overflow is noticed.
    pub fn change_counters(&mut self, now: Now, change: impl FnOnce(&mut Counters)) {
        if self.csr.counters.change(now, change) {
            self.csr.mip_soft |= 1 << irq::LCOFI;
        }
        if let Some(due) = self.csr.counters.next_overflow() {
            self.csr.expect_overflow(due);
        }
    }

    /// From now on instructions are counted.
    pub fn count_instructions(&mut self) {
        let now = self.now();
        self.change_counters(now, |counters| counters.counting = true);
    }

    /// Enters privilege mode `to`; `now` is what the old mode still counts.
    pub fn set_privilege(&mut self, to: Priv, now: Now) {
        self.csr.privilege = to;
        if self.csr.counters.event.iter().any(|event| event & FILTERS != 0) {
            self.change_counters(now, |counters| counters.privilege = to);
        } else {
            self.csr.counters.privilege = to;
        }
    }
}

#[cfg(test)]
mod tests;
