//! Going back in a replay: the machine is put back to a moment that was kept, and runs again up to where it is wanted.
//!
//! A place is a count of instructions. To find the last one before here at which something happens, what lies between two kept moments is
//! run once with all that happens noted, from the last such piece to the first; then the place is known and gone to.

use crate::machine::Machine;
use crate::power::RunState;
use crate::replay::Border;
use crate::turns::{Goal, Halt, Search, Turns};
use crate::{Cause, PanicAction, Plan, WatchdogAction};
use base::PowerEvent;
use tcg_core::debug::{Debuggable, Stop};
use tcg_core::guest::Point;
use tcg_core::run::Vcpu;
use tcg_core::saved::Saved;

/// Where a replay is to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backward {
    /// In front of the last instruction that this vCPU has carried out.
    Step(usize),
    /// To the last breakpoint before here, or behind the last access before here that is watched. Here is the vCPU that asks.
    Continue(usize),
    /// To this count of instructions, back or forth.
    To(u64),
}

/// Why a way ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    There,
    /// At a point of the debugger.
    Point(usize, Stop),
    /// The run or its recording ended before.
    Ended,
    /// Somebody wants the machine.
    Wanted,
}

/// What the machine is in, and what a debugger is told.
type Found = (RunState, Option<(usize, Stop)>);

const PAUSED: Found = (RunState::Paused, None);

impl<G: Debuggable + Saved> Machine<G> {
    /// Goes where `backward` says; gives what the machine is in then, and what a debugger is told.
    pub(crate) fn go_back(&mut self, backward: Backward) -> Found {
        let points = self.vcpus.first_mut().map(Vcpu::points).unwrap_or_default();
        self.set_points(&[]);
        let Some(turns) = &mut self.turns else { return PAUSED };
        let here = turns.clock().ticks().count();
        turns.seen = turns.seen.max(here);
        turns.hurries = true;
        turns.hold(Vec::new());
        let found = match backward {
            Backward::To(count) => self.to(here, count),
            Backward::Step(cpu) => self.last_step(here, cpu),
            Backward::Continue(cpu) => self.last_point(here, cpu, &points),
        };
        self.set_points(&points);
        if let Some(turns) = &mut self.turns {
            (turns.hurries, turns.goal, turns.search) = (false, Goal::None, None);
            if let Some(history) = turns.history() {
                history.look_before(None);
            }
            let trace = turns.trace();
            self.power.set_trace(trace);
        }
        found.unwrap_or(PAUSED)
    }

    /// Goes to `count`; `None`: somebody wants the machine before, or something failed.
    fn to(&mut self, here: u64, count: u64) -> Option<Found> {
        let kept = self.turns.as_mut()?.history()?.not_after(count);
        // Before the first one that was kept there is nothing.
        if count < here || kept.is_some_and(|kept| kept > here) {
            self.put_back(kept?)?;
        }
        self.run_to(count)?;
        Some(PAUSED)
    }

    /// Goes in front of the last instruction of `cpu` before `here`.
    fn last_step(&mut self, here: u64, cpu: usize) -> Option<Found> {
        let last = self.search(here, cpu, &[], |search| search.last)?;
        if let Some(count) = last {
            self.land(count)?;
            return Some((RunState::Debug, Some((cpu, Stop::Step))));
        }
        Some((RunState::Debug, Some((cpu, Stop::Beginning))))
    }

    /// Goes to the last point before `here`.
    fn last_point(&mut self, here: u64, cpu: usize, points: &[Point]) -> Option<Found> {
        let Some((count, cpu, stop)) = self.search(here, cpu, points, |search| search.hit)? else {
            return Some((RunState::Debug, Some((cpu, Stop::Beginning))));
        };
        if matches!(stop, Stop::Watchpoint { .. }) {
            // A debugger that goes backwards is told of an access before it is undone.
            self.land(count + 1)?;
            return Some((RunState::Debug, Some((cpu, stop))));
        }
        self.land(count)?;
        // An interrupt may come first.
        self.set_points(points);
        match self.run_to(count + 1)? {
            Way::Point(cpu, stop) => Some((RunState::Debug, Some((cpu, stop)))),
            _ => None,
        }
    }

    /// Runs what is before `here` again, piece by piece and backwards, with `points`, until `found` finds something in what was noted of
    /// one. `Some(None)`: there is nothing, and the machine is at the first moment that was kept.
    fn search<T>(
        &mut self,
        here: u64,
        cpu: usize,
        points: &[Point],
        found: impl Fn(&Search) -> Option<T>,
    ) -> Option<Option<T>> {
        let mut end = here;
        while let Some(start) = self.turns.as_mut()?.history()?.before(end) {
            self.put_back(start)?;
            self.set_points(points);
            let turns = self.turns.as_mut()?;
            turns.history()?.look_before(Some(end));
            turns.search = Some(Search { cpu, last: None, hit: None });
            let way = self.run_to(end);
            let noted = self.turns.as_mut()?.search.take();
            self.set_points(&[]);
            if way? == Way::Wanted {
                return None;
            }
            if let Some(found) = noted.as_ref().and_then(&found) {
                return Some(Some(found));
            }
            end = start;
        }
        let first = self.turns.as_mut()?.history()?.not_after(end)?;
        self.put_back(first)?;
        Some(None)
    }

    /// Goes to `count`, which is in the past.
    fn land(&mut self, count: u64) -> Option<()> {
        let history = self.turns.as_mut()?.history()?;
        history.look_before(Some(count));
        let kept = history.not_after(count)?;
        self.put_back(kept)?;
        matches!(self.run_to(count)?, Way::There).then_some(())
    }

    /// Puts the machine back to the moment that was kept at `count`; `None`: that failed, and the machine is good for nothing.
    fn put_back(&mut self, count: u64) -> Option<()> {
        let turns = self.turns.as_mut()?;
        let put_back = turns.history()?.put_back(&mut self.vcpus, count);
        match put_back {
            Ok(course) => {
                turns.go_to(course);
                self.power.forget_guest();
                self.power.run_is_heard();
                Some(())
            }
            Err(fault) => {
                tracing::error!("cannot go back: {fault}");
                self.power.quit(Cause::HostError);
                None
            }
        }
    }

    /// Runs until `count` instructions are carried out, on this thread.
    fn run_to(&mut self, count: u64) -> Option<Way> {
        loop {
            let Self { vcpus, turns, power, .. } = self;
            let turns: &mut Turns = turns.as_mut()?;
            turns.goal = Goal::Count(count);
            let halt = turns.run(vcpus, &Plan::default(), power);
            turns.goal = Goal::None;
            match halt {
                Some(Halt::There) => return Some(Way::There),
                Some(Halt::Debug(cpu, stop)) => return Some(Way::Point(cpu, stop)),
                Some(Halt::Border(Border::Reset(_))) => {
                    if let Some(journal) = turns.inputs().journal() {
                        journal.pass_reset();
                    }
                    self.begin_anew();
                }
                Some(Halt::Border(Border::End(_))) => return Some(Way::Ended),
                Some(Halt::Fault) => {
                    self.power.quit(Cause::HostError);
                    return None;
                }
                None => {
                    self.power.run_is_heard();
                    self.vcpus.iter_mut().for_each(Vcpu::take_stop);
                    match self.power.take_guest() {
                        None => return Some(Way::Wanted),
                        Some(event) if self.ends(event) => return Some(Way::Ended),
                        Some(_) => {}
                    }
                }
            }
        }
    }

    /// What the guest asked for, once more: whether the run ended with it.
    fn ends(&mut self, event: PowerEvent) -> bool {
        let actions = self.power.actions();
        let resets = match event {
            PowerEvent::Off { .. } | PowerEvent::PvShutdown => return true,
            PowerEvent::Reset => true,
            PowerEvent::CrashLoaded => false,
            PowerEvent::Panicked => {
                return matches!(actions.panic, PanicAction::Shutdown | PanicAction::ExitFailure);
            }
            PowerEvent::Watchdog => match actions.watchdog {
                WatchdogAction::Poweroff => return true,
                WatchdogAction::Shutdown => {
                    self.power.tell(crate::Event::Powerdown);
                    false
                }
                action => action == WatchdogAction::Reset,
            },
        };
        if resets && !actions.reboot_ends {
            self.begin_anew();
        }
        resets && actions.reboot_ends
    }

    fn set_points(&mut self, points: &[Point]) {
        self.vcpus.iter_mut().for_each(|vcpu| vcpu.set_points(points));
    }
}
