//! vCPUs that run by turns, on one thread, with their instructions counted: the same machine does the same each time.
//!
//! A turn ends at a count of instructions ([`base::Ticks`]), exactly: translations ask at the start of each block whether the whole
//! block fits ([`crate::ir::Op::Quota`]), and what does not fit is interpreted. What can make an interrupt pending or end
//! the turn earlier is looked at behind the instruction that did it: helpers are followed by another look in the
//! translation, and accesses to devices are left to the interpreter. So neither the tier that code runs in nor the moment at which
//! another thread asks for something makes a difference to the guest.

use super::vcpu::Vcpu;
use crate::debug::Stop;
use crate::guest::{Guest, Wait};
use base::Ns;
use std::sync::atomic::Ordering;

/// How a turn ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Its instructions are used up.
    Spent,
    /// The guest gives the rest of it away.
    Yielded,
    /// The guest waits for an interrupt, or to be started.
    Asleep,
    /// [`super::Handle::stop`].
    Stopped,
    /// At a point of the debugger.
    Debug(Stop),
}

/// What a turn leaves behind for the next.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TurnState {
    /// The guest waits for an interrupt.
    pub sleeps: bool,
    /// The rest of the vCPU's posted work says when it goes on.
    parked: bool,
    /// The rest of the turn is given away.
    pub yields: bool,
}

impl TurnState {
    /// What it was parked with is about to be run.
    pub fn unpark(&mut self) {
        self.parked = false;
    }
}

/// How a vCPU waits between its turns: what is kept of it beside the guest's state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rest {
    asleep: bool,
    sleeps: bool,
    yields: bool,
}

impl<G: Guest> Vcpu<G> {
    /// How it waits.
    pub fn rest(&self) -> Rest {
        let TurnState { sleeps, yields, .. } = self.turn;
        Rest { asleep: self.handle().asleep(), sleeps, yields }
    }

    /// Has it wait as it did when its state was kept, which was put back before. It looks around when it is next given a turn.
    pub fn set_rest(&mut self, rest: Rest) {
        self.turn = TurnState { sleeps: rest.sleeps, parked: false, yields: rest.yields };
        self.handle().asleep.store(rest.asleep, Ordering::Relaxed);
        self.handle().lines().kick();
    }

    /// Whether vCPUs run by turns: then no other one runs while this one does, and what is posted to it is done before its
    /// next instruction.
    pub fn takes_turns(&self) -> bool {
        !self.cpu().as_ref().ticks.is_null()
    }

    /// Runs the guest to the end of its turn ([`base::Ticks::set_limit`]), or until something comes up before.
    ///
    /// # Panics
    /// When vCPUs do not run by turns ([`super::CodeConfig::turns`]).
    pub fn take_turn(&mut self) -> Turn {
        self.sync();
        // An interrupt may have come together with the last stop.
        self.handle().lines().kick();
        let ended = loop {
            // First, so that it makes no difference whether somebody wants something just now.
            let ticks = self.cpu().as_ref().ticks().expect("the caller's promise");
            if ticks.spent() {
                break Turn::Spent;
            }
            if self.handle().lines().take_request() && !self.attend() {
                break Turn::Stopped;
            }
            if self.sleeps_on() {
                break Turn::Asleep;
            }
            if std::mem::take(&mut self.turn.yields) {
                break Turn::Yielded;
            }
            self.advance();
            if let Some(stop) = self.debug_stop.take() {
                break Turn::Debug(stop);
            }
        };
        self.handle().asleep.store(self.turn.sleeps || self.turn.parked, Ordering::Relaxed);
        ended
    }

    /// Whether it still waits for what it waited for.
    fn sleeps_on(&mut self) -> bool {
        if self.turn.sleeps && !self.turn.parked {
            let levels = self.handle().lines().levels();
            self.turn.sleeps = G::wait(self.cpu_mut(), levels) != Wait::Run;
        }
        self.turn.sleeps || self.turn.parked
    }

    /// Whether an instruction may not follow before the run loop has had a look.
    pub(super) fn turn_stops(&self) -> bool {
        let spent = self.cpu().as_ref().ticks().map(|ticks| ticks.spent());
        spent.is_some_and(|spent| spent || self.handle().lines().requested())
    }

    /// Waits for an interrupt, for at most so long if there is a limit: here and now, or by its turn ending.
    pub fn sleep(&mut self, limit: Option<Ns>) {
        match limit {
            _ if !self.takes_turns() => self.handle().sleep(limit),
            None => self.turn.sleeps = true,
            // It may wake at any time before.
            Some(_) => self.turn.yields = true,
        }
    }

    /// Has its turns be none until somebody wants its attention, and then begin with `work`.
    pub fn park(&mut self, work: impl FnOnce(&mut Self) + Send + 'static) {
        self.handle().work.lock().push(Box::new(work));
        self.turn.parked = true;
    }

    /// Has it go on, whatever it waited for: its state is another one.
    pub fn wake(&mut self) {
        self.turn = TurnState::default();
    }
}
