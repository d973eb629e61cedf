//! vCPUs by turns, on one thread, with time counted in instructions: the same run twice is the same run.
//!
//! Each vCPU that has something to do gets the same number of instructions, one after the other. Between two turns
//! timers fire and what comes from outside ([`Inputs`]) reaches its device, at counts of instructions and never in the middle of
//! a turn. While all vCPUs sleep, time goes to the next timer at once, or in the host's time.
//!
//! [`Trace`] sums up all turns: two runs with the same count and hash had the same registers in the same vCPU at the end of each.

use crate::cpus::{Motion, Plan};
use crate::inputs::Inputs;
use crate::pace::{Pace, Pacer};
use crate::power::Power;
use crate::replay::{At, Border, Due, Happening, History, Journal, Mode, SYNC};
use base::{Clock, CpuLines, InstructionClock, Ns, set_requester};
use std::sync::Arc;
use tcg_core::debug::{Debuggable, Stop};
use tcg_core::guest::Guest;
use tcg_core::run::{Turn, Vcpu};
use tcg_core::saved::Saved;
use tcg_core::ty::Ty;

/// Instructions of a turn.
const QUANTUM: u64 = 10_000;

/// What a run has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// Instructions of all vCPUs, and traps.
    pub count: u64,
    /// Machine time.
    pub now: Ns,
    /// A hash of vCPU, count, pc and registers at the end of each turn.
    pub hash: u64,
}

impl Trace {
    /// Adds `word` to the hash.
    fn add(&mut self, word: u64) {
        // As FxHash does; it has to tell runs apart, not withstand anybody.
        self.hash = (self.hash.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
    }

    fn turn<G: Guest>(&mut self, number: usize, cpu: &G::Cpu, count: u64) {
        [number as u64, count, cpu.as_ref().pc].into_iter().for_each(|word| self.add(word));
        let start: *const G::Cpu = cpu;
        for reg in G::regs() {
            let at = start.cast::<u8>().wrapping_add(reg.offset as usize);
            // SAFETY: the table's offsets are those of fields of the CPU structure, of 16 bytes for vectors and 8 otherwise.
            unsafe {
                if reg.ty == Ty::V128 {
                    let value = at.cast::<u128>().read();
                    self.add(value as u64);
                    self.add((value >> 64) as u64);
                } else {
                    self.add(at.cast::<u64>().read() & reg.ty.mask());
                }
            }
        }
    }
}

/// Whose turn it is, and what was done: all there is to say of turns between two of them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Course {
    /// Whose turn it is.
    current: usize,
    /// The count at which it is the next one's.
    quantum_end: u64,
    /// Until then each gets one instruction.
    in_step_until: u64,
    /// Turns that have ended.
    ended: u64,
    trace: Trace,
}

/// Why vCPUs stand, if nobody stopped them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Halt {
    /// A vCPU is at a point of the debugger, or has made its step.
    Debug(usize, Stop),
    /// They have come to where they were to go.
    There,
    /// A replay is at a reset from outside, or at its end.
    Border(Border),
    /// The log is of no more use ([`crate::replay::Journal::fault`]).
    Fault,
}

/// Where vCPUs are to stop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Goal {
    /// Nowhere.
    #[default]
    None,
    /// At this count.
    Count(u64),
    /// Behind the next instruction of this vCPU.
    Step(usize),
}

/// What is looked for on the way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Search {
    /// Whose instructions.
    pub cpu: usize,
    /// The count in front of the last of them.
    pub last: Option<u64>,
    /// The last point that was reached: the count in front of the instruction, the vCPU, and what it was.
    pub hit: Option<(u64, usize, Stop)>,
}

/// How vCPUs run by turns.
pub struct Turns {
    clock: Arc<InstructionClock>,
    inputs: Arc<Inputs>,
    pacer: Pacer,
    course: Course,
    /// The turn was interrupted from outside, and goes on.
    in_turn: bool,
    /// The count from which on TLBs are to be emptied, in a recording.
    next_sync: u64,
    /// Where a replay can be put back to.
    history: Option<History>,
    pub(crate) goal: Goal,
    /// Points of the debugger do not stop vCPUs, but are noted here.
    pub(crate) search: Option<Search>,
    /// Up to this count all was seen before.
    pub(crate) seen: u64,
    /// Whoever wants the machine to stop is looked for between turns.
    pub(crate) hurries: bool,
    /// vCPUs that a debugger means to stand still, and that run all the same since the run is what was or will be recorded: a point that one
    /// stands at is none until it has gone on.
    held: Vec<usize>,
}

impl Turns {
    /// Turns by `clock`, at the speed that `pace` says, with input from `inputs`.
    pub fn new(clock: Arc<InstructionClock>, inputs: Arc<Inputs>, pace: Pace) -> Self {
        let pacer = Pacer::new(clock.clone(), pace);
        Self {
            clock,
            inputs,
            pacer,
            course: Course::default(),
            in_turn: false,
            next_sync: 0,
            history: None,
            goal: Goal::None,
            search: None,
            seen: 0,
            hurries: false,
            held: Vec::new(),
        }
    }

    /// Which vCPUs a debugger means to stand still in a run whose turns are not its to give.
    pub(crate) fn hold(&mut self, held: Vec<usize>) {
        self.held = held;
    }

    /// The same for a replay, in which one can go back by what `saver` keeps.
    pub fn with_history(mut self, saver: Arc<crate::snapshot::Saver>) -> Self {
        self.history = Some(History::new(saver, self.inputs.clone(), self.clock.clone()));
        self
    }

    /// The clock that counts.
    pub(crate) fn clock(&self) -> &Arc<InstructionClock> {
        &self.clock
    }

    /// What comes from outside, and the log of it.
    pub(crate) fn inputs(&self) -> &Arc<Inputs> {
        &self.inputs
    }

    /// A new life begins: for `instructions` of each of `vcpus` vCPUs they take turns of one.
    pub(crate) fn begin(&mut self, vcpus: usize, instructions: usize) {
        (self.course.current, self.in_turn) = (0, false);
        self.course.quantum_end = 0;
        self.course.in_step_until = self.clock.ticks().count() + (vcpus * instructions) as u64;
    }

    /// What was done so far.
    pub(crate) fn trace(&self) -> Trace {
        Trace { count: self.clock.ticks().count(), now: self.clock.now(), ..self.course.trace }
    }

    /// Notes what happens to the machine as a whole, if the run is recorded.
    pub(crate) fn note(&self, what: Happening<'_>) {
        if let Some(journal) = self.inputs.journal() {
            journal.note(self.inputs.at(), what);
        }
    }

    /// The run has ended by itself: a replay finds out whether the recorded one did so here, and was the same.
    pub(crate) fn check_end(&self) {
        let here = (self.inputs.at(), Border::End(Some(self.course.trace.hash)));
        match self.border() {
            // A recorder that was killed knows no end.
            _ if !self.inputs.replays() => {}
            Some((at, Border::End(None))) if !here.0.is_past(at) => {}
            Some(border) if border == here => {}
            _ => self.inputs.diverged(&format!("ends with the trace hash {:016x}", self.course.trace.hash)),
        }
    }

    /// Gives turns to those that run in `plan`, until somebody stops them (`None`), or there is a reason of their own.
    pub(crate) fn run<G: Debuggable + Saved>(
        &mut self,
        vcpus: &mut Vec<Vcpu<G>>,
        plan: &Plan,
        power: &Power,
    ) -> Option<Halt> {
        self.inputs.set_stands(false);
        let halt = self.give(vcpus, plan, power);
        self.inputs.set_stands(true);
        halt
    }

    fn give<G: Debuggable + Saved>(
        &mut self,
        vcpus: &mut Vec<Vcpu<G>>,
        plan: &Plan,
        power: &Power,
    ) -> Option<Halt> {
        let stopping = |vcpus: &[Vcpu<G>]| vcpus.iter().any(Vcpu::stopping);
        let mut course = self.course;
        loop {
            if let Some(halt) = self.halt() {
                return Some(halt);
            }
            let new = !self.in_turn;
            if new {
                self.between(vcpus);
                // What the run itself asks of the machine comes before anything else, or it would depend on the host how far others got.
                if power.run_asks() || self.hurries && power.is_wanted() {
                    return None;
                }
            }
            if let Some((at, border)) = self.border() {
                let here = self.inputs.at();
                // A log that breaks off is used up here or a little before.
                if at == here || border == Border::End(None) {
                    return Some(Halt::Border(border));
                }
                if here.is_past(at) {
                    self.inputs.diverged("runs on");
                    continue;
                }
                // Something that the replay need not have, as -timeout, ended the recorded run's last turn here.
                if self.in_turn && here.count == at.count && here.turns + 1 == at.turns {
                    self.in_turn = false;
                    self.end_turn(&vcpus[self.course.current]);
                    continue;
                }
            }
            if new {
                course = self.course;
                match self.choose(vcpus, plan) {
                    Some(next) => self.turn_of(next),
                    None if stopping(vcpus) => return None,
                    None => {
                        self.idle(vcpus[0].handle().lines());
                        continue;
                    }
                }
            }
            self.in_turn = false;
            let number = self.course.current;
            set_requester(number as u32);
            self.limit(new);
            let vcpu = &mut vcpus[number];
            let (slept, before) = (vcpu.handle().asleep(), self.clock.ticks().count());
            let steps = self.goal == Goal::Step(number);
            vcpu.pass_breakpoints(steps);
            let ended = vcpu.take_turn();
            vcpu.pass_breakpoints(false);
            let count = self.clock.ticks().count();
            self.carried_out(number, before, count);
            let looked = slept && vcpu.handle().asleep() && count == before;
            match ended {
                // Somebody only wanted to know something: no turn.
                Turn::Asleep if looked => {
                    self.course = course;
                    continue;
                }
                Turn::Stopped if looked => {
                    // What may have woken it is still to be seen.
                    vcpu.handle().lines().kick();
                    self.course = course;
                    return None;
                }
                Turn::Spent if count < self.clock.ticks().end() => self.in_turn = true,
                Turn::Spent => {}
                Turn::Yielded | Turn::Asleep => self.course.quantum_end = count,
                Turn::Stopped => {
                    self.in_turn = true;
                    return None;
                }
                Turn::Debug(stop) => {
                    self.in_turn = true;
                    let stood = self.held.contains(&number);
                    match &mut self.search {
                        Some(search) => search.hit = Some((count, number, stop)),
                        None if stood => {}
                        None => return Some(Halt::Debug(number, stop)),
                    }
                    vcpu.pass_point();
                    self.carried_out(number, count, self.clock.ticks().count());
                }
            }
            if !self.in_turn {
                self.end_turn(&vcpus[number]);
            }
            if steps && count > before {
                return Some(Halt::Debug(number, Stop::Step));
            }
        }
    }

    /// The turn that `vcpu` had is over.
    fn end_turn<G: Debuggable>(&mut self, vcpu: &Vcpu<G>) {
        self.course.trace.turn::<G>(self.course.current, vcpu.cpu(), self.clock.ticks().count());
        self.course.ended += 1;
        self.inputs.set_turns(self.course.ended);
    }

    /// The border that comes next, and when.
    fn border(&self) -> Option<(At, Border)> {
        self.inputs.journal().and_then(Journal::border)
    }

    /// Why the vCPUs are to stand here.
    fn halt(&mut self) -> Option<Halt> {
        let count = self.clock.ticks().count();
        self.inputs.set_repeats(count < self.seen);
        if self.inputs.journal().is_some_and(|journal| journal.fault().is_some()) {
            return Some(Halt::Fault);
        }
        match self.goal {
            Goal::Count(goal) if count >= goal => Some(Halt::There),
            _ if self.inputs.stops_at(count) => Some(Halt::There),
            _ => None,
        }
    }

    /// What happens between two turns, in an order that does not depend on when somebody outside wants something.
    fn between<G: Debuggable + Saved>(&mut self, vcpus: &mut Vec<Vcpu<G>>) {
        self.clock.fire_due();
        if self.inputs.replays() {
            return self.follow(vcpus);
        }
        self.inputs.deliver();
        self.clock.fire_due();
        if let Some(shift) = self.pacer.keep() {
            self.note(Happening::Shift(shift));
        }
        if self.inputs.mode() == Some(Mode::Record) && self.clock.ticks().count() >= self.next_sync {
            self.note(Happening::Sync(self.course.trace.hash));
            vcpus.iter_mut().for_each(Vcpu::forget_lookups);
            self.next_sync = self.clock.ticks().count() + SYNC;
        }
    }

    /// The same where it was recorded.
    fn follow<G: Debuggable + Saved>(&mut self, vcpus: &mut Vec<Vcpu<G>>) {
        let inputs = self.inputs.clone();
        let Some(journal) = inputs.journal() else { return };
        while let Some(due) = journal.due(inputs.at()) {
            match due {
                Due::Input(source, bytes) => {
                    inputs.hand_on(source, &bytes);
                    self.clock.fire_due();
                }
                Due::Shift(shift) => self.clock.set_shift(shift),
                Due::Sync(hash) if hash != self.course.trace.hash => {
                    let (file, at) = (journal.path().display(), inputs.at());
                    journal.fail(format!(
                        "the replay has left {file} before instruction {}: the trace hash there is {:016x}, and was {hash:016x}",
                        at.count, self.course.trace.hash
                    ));
                    return;
                }
                Due::Sync(_) => {
                    vcpus.iter_mut().for_each(Vcpu::forget_lookups);
                    let Some(history) = &mut self.history else { continue };
                    inputs.set_stands(true);
                    if let Err(fault) = history.pass(vcpus, self.course) {
                        journal.fail(format!("cannot keep the machine as it is, to go back to: {fault}"));
                    }
                    inputs.set_stands(false);
                }
            }
        }
        let at = inputs.at();
        if journal.ahead(|_| String::new()).is_some_and(|(then, _)| at.is_past(then)) {
            inputs.diverged("runs on");
        }
    }

    /// All vCPUs sleep.
    fn idle(&mut self, lines: &CpuLines) {
        let before = self.inputs.at();
        if !self.inputs.replays() {
            let lasts = self.pacer.idle(lines);
            if lasts && self.clock.now() != before.now && self.inputs.mode() == Some(Mode::Record) {
                let now = self.clock.now();
                self.inputs.journal().inspect(|journal| journal.note(before, Happening::Skip(now)));
            }
            return;
        }
        let Some(journal) = self.inputs.journal() else { return };
        // The recorded run may have ended at a time that was its own, as that of -timeout.
        let end = self.border().filter(|(at, _)| at.count == before.count).map(|(at, _)| at.now);
        let deadline = self.clock.next_deadline().into_iter().chain(end).min();
        if let Some(moment) = journal.skip(before) {
            self.clock.skip_to(moment);
        } else if let Some(deadline) = deadline.filter(|_| !self.pacer.sleeps()) {
            self.clock.skip_to(deadline);
        } else {
            self.inputs.diverged("sleeps for ever");
        }
    }

    /// vCPU `number` has run from count `before` to `count`.
    fn carried_out(&mut self, number: usize, before: u64, count: u64) {
        if count > before {
            self.held.retain(|held| *held != number);
        }
        if let Some(search) = self.search.as_mut().filter(|search| search.cpu == number && count > before) {
            search.last = Some(count - 1);
        }
    }

    /// Who is next: the same as before as long as it has instructions left.
    fn choose<G: Debuggable>(&self, vcpus: &[Vcpu<G>], plan: &Plan) -> Option<usize> {
        let can = |n: &usize| {
            let handle = vcpus[*n].handle();
            plan.motion(*n) == Motion::Run && (!handle.asleep() || handle.lines().requested())
        };
        let Course { current, quantum_end, .. } = self.course;
        if self.clock.ticks().count() < quantum_end && can(&current) {
            return Some(current);
        }
        (1..=vcpus.len()).map(|n| (current + n) % vcpus.len()).find(can)
    }

    fn turn_of(&mut self, next: usize) {
        let count = self.clock.ticks().count();
        if next != self.course.current || count >= self.course.quantum_end {
            let quantum = if count < self.course.in_step_until { 1 } else { QUANTUM };
            self.course.quantum_end = count + quantum;
        }
        self.course.current = next;
    }

    /// The turn ends with the quantum, or where the first timer is due; an end that was found stays. Pauses may come before.
    fn limit(&self, new: bool) {
        let ticks = self.clock.ticks();
        if new {
            let due = self.clock.next_deadline().map_or(u64::MAX, |deadline| self.clock.count_at(deadline));
            ticks.set_limit(self.course.quantum_end.min(due));
        }
        let count = ticks.count();
        let goal = match self.goal {
            Goal::Count(goal) => goal,
            Goal::Step(number) if number == self.course.current => count + 1,
            Goal::Step(_) | Goal::None => u64::MAX,
        };
        let border = self.border().map(|(at, _)| at.count).filter(|at| *at > count).unwrap_or(u64::MAX);
        let seen = if count < self.seen { self.seen } else { u64::MAX };
        ticks.pause_at(goal.min(border).min(seen).min(self.inputs.stop()));
    }

    /// The history of a replay.
    pub(crate) fn history(&mut self) -> Option<&mut History> {
        self.history.as_mut()
    }

    /// Has turns go on as `course` says, behind which the machine was put back.
    pub(crate) fn go_to(&mut self, course: Course) {
        (self.course, self.in_turn) = (course, false);
        self.inputs.set_turns(course.ended);
    }
}
