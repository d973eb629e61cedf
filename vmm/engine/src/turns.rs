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
use base::{Clock, InstructionClock, Ns, set_requester};
use std::sync::Arc;
use tcg_core::debug::{Debuggable, Stop};
use tcg_core::guest::Guest;
use tcg_core::run::{Turn, Vcpu};
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

/// How vCPUs run by turns.
pub struct Turns {
    clock: Arc<InstructionClock>,
    inputs: Arc<Inputs>,
    pacer: Pacer,
    /// Whose turn it is.
    current: usize,
    /// The count at which it is the next one's.
    quantum_end: u64,
    /// Until then each gets one instruction.
    in_step_until: u64,
    /// The turn was interrupted from outside, and goes on.
    in_turn: bool,
    trace: Trace,
}

impl Turns {
    /// Turns by `clock`, at the speed that `pace` says, with input from `inputs`.
    pub fn new(clock: Arc<InstructionClock>, inputs: Arc<Inputs>, pace: Pace) -> Self {
        let pacer = Pacer::new(clock.clone(), pace);
        Self {
            clock,
            inputs,
            pacer,
            current: 0,
            quantum_end: 0,
            in_step_until: 0,
            in_turn: false,
            trace: Trace::default(),
        }
    }

    /// The clock that counts.
    pub(crate) fn clock(&self) -> &Arc<InstructionClock> {
        &self.clock
    }

    /// A new life begins: for `instructions` of each of `vcpus` vCPUs they take turns of one.
    pub(crate) fn begin(&mut self, vcpus: usize, instructions: usize) {
        (self.current, self.in_turn) = (0, false);
        self.quantum_end = 0;
        self.in_step_until = self.clock.ticks().count() + (vcpus * instructions) as u64;
    }

    /// What was done so far.
    pub(crate) fn trace(&self) -> Trace {
        Trace { count: self.clock.ticks().count(), now: self.clock.now(), ..self.trace }
    }

    /// Gives turns to those that run in `plan`, until somebody stops them (`None`), or one comes to a debugger's point.
    pub(crate) fn run<G: Debuggable>(
        &mut self,
        vcpus: &mut [Vcpu<G>],
        plan: &Plan,
        power: &Power,
    ) -> Option<(usize, Stop)> {
        let stopping = |vcpus: &[Vcpu<G>]| vcpus.iter().any(Vcpu::stopping);
        loop {
            if !std::mem::take(&mut self.in_turn) {
                self.inputs.deliver(self.clock.ticks().count());
                self.clock.fire_due();
                self.pacer.keep();
                // What the guest asks of the machine comes before anything else, or it would depend on the host how far others got.
                if power.guest_asks() {
                    return None;
                }
                match self.choose(vcpus, plan) {
                    Some(next) => self.turn_of(next),
                    None if stopping(vcpus) => return None,
                    None => {
                        self.pacer.idle(vcpus[0].handle().lines());
                        continue;
                    }
                }
            }
            let number = self.current;
            set_requester(number as u32);
            self.limit();
            let vcpu = &mut vcpus[number];
            let (slept, before) = (vcpu.handle().asleep(), self.clock.ticks().count());
            let ended = vcpu.take_turn();
            let looked = slept && vcpu.handle().asleep() && self.clock.ticks().count() == before;
            match ended {
                // Somebody only wanted to know something: no turn.
                Turn::Asleep if looked => {
                    self.quantum_end = before;
                    continue;
                }
                Turn::Stopped if looked => {
                    // What may have woken it is still to be seen.
                    vcpu.handle().lines().kick();
                    return None;
                }
                Turn::Spent => {}
                Turn::Yielded | Turn::Asleep => self.quantum_end = self.clock.ticks().count(),
                Turn::Stopped | Turn::Debug(_) => {
                    self.in_turn = true;
                    return match ended {
                        Turn::Debug(stop) => Some((number, stop)),
                        _ => None,
                    };
                }
            }
            self.trace.turn::<G>(number, vcpus[number].cpu(), self.clock.ticks().count());
        }
    }

    /// Who is next: the same as before as long as it has instructions left.
    fn choose<G: Debuggable>(&self, vcpus: &[Vcpu<G>], plan: &Plan) -> Option<usize> {
        let can = |n: &usize| {
            let handle = vcpus[*n].handle();
            plan.motion(*n) == Motion::Run && (!handle.asleep() || handle.lines().requested())
        };
        if self.clock.ticks().count() < self.quantum_end && can(&self.current) {
            return Some(self.current);
        }
        (1..=vcpus.len()).map(|n| (self.current + n) % vcpus.len()).find(can)
    }

    fn turn_of(&mut self, next: usize) {
        let count = self.clock.ticks().count();
        if next != self.current || count >= self.quantum_end {
            let quantum = if count < self.in_step_until { 1 } else { QUANTUM };
            self.quantum_end = count + quantum;
        }
        self.current = next;
    }

    /// The turn ends with the quantum, or where the first timer is due.
    fn limit(&self) {
        let due = self.clock.next_deadline().map_or(u64::MAX, |deadline| self.clock.count_at(deadline));
        self.clock.ticks().set_limit(self.quantum_end.min(due));
    }
}
