//! The generic timer: D12 of the manual. Five timers compare with the system counter, or with it less an offset, and
//! drive their lines by level.

use crate::board::Wiring;
use crate::cpu::Cpu;
use base::{IrqLine, TimeBase, Timer};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A timer of the PE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum TimerId {
    /// EL1 physical.
    Physical,
    /// EL1 virtual.
    Virtual,
    /// EL2 physical.
    Hypervisor,
    /// EL1 physical of the Secure state, which is EL3's.
    Secure,
    /// EL2 virtual.
    HypervisorVirtual,
}

impl TimerId {
    const ALL: [Self; 5] =
        [Self::Physical, Self::Virtual, Self::Hypervisor, Self::Secure, Self::HypervisorVirtual];
}

/// CNTx_CTL: the timer is on.
const ENABLE: u64 = 1;
/// Its interrupt is masked.
const IMASK: u64 = 1 << 1;
/// The condition is met.
const ISTATUS: u64 = 1 << 2;

#[derive(Clone, Copy, Default, Serialize, Deserialize)]
struct Compare {
    control: u64,
    value: u64,
    /// What is taken off the counter.
    offset: u64,
}

impl Compare {
    fn is_met(self, ticks: u64) -> bool {
        self.control & ENABLE != 0 && ticks.wrapping_sub(self.offset) >= self.value
    }

    fn fires(self, ticks: u64) -> bool {
        self.is_met(ticks) && self.control & IMASK == 0
    }
}

/// One timer's line, and the alarm for the moment at which it changes by itself.
struct Alarm {
    state: Arc<Mutex<Compare>>,
    time: Arc<TimeBase>,
    line: IrqLine,
    timer: Box<dyn Timer>,
}

impl Alarm {
    fn new(time: &Arc<TimeBase>, line: &IrqLine) -> Self {
        let state = Arc::new(Mutex::new(Compare::default()));
        let (shared, clock, wire) = (state.clone(), time.clone(), line.clone());
        let timer = time.clock().timer(Box::new(move || {
            // Under the lock, so that a change that comes in between has the last word.
            let state = shared.lock();
            wire.set(state.fires(clock.ticks()));
        }));
        Self { state, time: time.clone(), line: line.clone(), timer }
    }

    fn update(&self, compare: Compare) {
        let mut state = self.state.lock();
        *state = compare;
        let ticks = self.time.ticks();
        self.line.set(compare.fires(ticks));
        let waits = compare.control & (ENABLE | IMASK) == ENABLE && !compare.is_met(ticks);
        drop(state);
        self.timer.disarm();
        let target = compare.value.checked_add(compare.offset);
        if waits && let Some(deadline) = target.and_then(|ticks| self.time.deadline_of(ticks)) {
            self.timer.arm(deadline);
        }
    }
}

/// What is saved of the timers.
#[derive(Serialize, Deserialize)]
pub(crate) struct TimerState {
    compare: [Compare; 5],
    virtual_offset: u64,
    frequency: u64,
}

/// The timers of one PE.
#[derive(Default)]
pub struct Timers {
    compare: [Compare; 5],
    alarms: Vec<Alarm>,
    /// CNTVOFF_EL2.
    virtual_offset: u64,
    /// CNTFRQ_EL0.
    pub frequency: u64,
}

impl Timers {
    /// Connects the lines.
    pub fn wire(&mut self, wiring: &Wiring) {
        let lines = &wiring.timers;
        let lines = [
            &lines.physical,
            &lines.virtual_el1,
            &lines.hypervisor,
            &lines.secure,
            &lines.hypervisor_virtual,
        ];
        self.alarms = lines.iter().map(|line| Alarm::new(&wiring.time, line)).collect();
        TimerId::ALL.into_iter().for_each(|id| self.update(id));
    }

    /// The state after a reset.
    pub fn reset(&mut self, frequency: u64) {
        (self.compare, self.virtual_offset, self.frequency) = Default::default();
        self.frequency = frequency;
        TimerId::ALL.into_iter().for_each(|id| self.update(id));
    }

    pub(crate) fn save(&self) -> TimerState {
        let Self { compare, alarms: _, virtual_offset, frequency } = self;
        TimerState { compare: *compare, virtual_offset: *virtual_offset, frequency: *frequency }
    }

    /// Takes over a state, and drives and arms what follows from it.
    pub(crate) fn load(&mut self, state: TimerState) {
        (self.compare, self.virtual_offset) = (state.compare, state.virtual_offset);
        self.frequency = state.frequency;
        TimerId::ALL.into_iter().for_each(|id| self.update(id));
    }

    fn update(&mut self, id: TimerId) {
        let compare = self.compare[id as usize];
        if let Some(alarm) = self.alarms.get(id as usize) {
            alarm.update(compare);
        }
    }

    /// CNTVOFF_EL2.
    pub fn virtual_offset(&self) -> u64 {
        self.virtual_offset
    }

    /// Sets CNTVOFF_EL2.
    pub fn set_virtual_offset(&mut self, value: u64) {
        self.virtual_offset = value;
        self.compare[TimerId::Virtual as usize].offset = value;
        self.update(TimerId::Virtual);
    }

    fn change(&mut self, id: TimerId, change: impl FnOnce(&mut Compare)) {
        change(&mut self.compare[id as usize]);
        self.update(id);
    }
}

impl Cpu {
    /// The system counter.
    pub fn counter(&self) -> u64 {
        match (&self.system.wiring, &self.system.clock) {
            (Some(wiring), _) => wiring.time.ticks(),
            (None, Some(clock)) => clock.now(),
            (None, None) => 0,
        }
    }

    /// The virtual counter.
    pub fn virtual_counter(&self) -> u64 {
        // A host has none of its own.
        let system = &self.system;
        let host = system.el == 2 && system.is_host_el2() || system.el == 0 && system.in_host();
        self.counter().wrapping_sub(if host { 0 } else { self.system.timers.virtual_offset })
    }

    fn compare(&self, id: TimerId) -> Compare {
        self.system.timers.compare[id as usize]
    }

    /// CNTx_CTL.
    pub fn timer_control(&self, id: TimerId) -> u64 {
        let compare = self.compare(id);
        compare.control | if compare.is_met(self.counter()) { ISTATUS } else { 0 }
    }

    /// Sets it.
    pub fn set_timer_control(&mut self, id: TimerId, value: u64) {
        self.system.timers.change(id, |compare| compare.control = value & (ENABLE | IMASK));
    }

    /// CNTx_CVAL.
    pub fn timer_value(&self, id: TimerId) -> u64 {
        self.compare(id).value
    }

    /// Sets it.
    pub fn set_timer_value(&mut self, id: TimerId, value: u64) {
        self.system.timers.change(id, |compare| compare.value = value);
    }

    /// CNTx_TVAL.
    pub fn timer_left(&self, id: TimerId) -> u64 {
        let compare = self.compare(id);
        let left = compare.value.wrapping_sub(self.counter().wrapping_sub(compare.offset));
        left & 0xffff_ffff
    }

    /// Sets it.
    pub fn set_timer_left(&mut self, id: TimerId, value: u64) {
        let now = self.counter();
        let ahead = i64::from(value as u32 as i32) as u64;
        self.system.timers.change(id, |compare| {
            compare.value = now.wrapping_sub(compare.offset).wrapping_add(ahead);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::{Board, TimerLines};
    use crate::features::Features;
    use crate::mmu::SecureSpace;
    use base::{Clock, CpuLines, IrqSink, LineRecorder, ManualClock};

    fn pe(clock: &Arc<ManualClock>) -> (Cpu, Arc<LineRecorder>) {
        let features = Features::parse("cortex-a57").expect("a model");
        let board = Board {
            number: 0,
            mpidr: 0,
            has_el2: true,
            has_el3: false,
            secure_space: SecureSpace::NONE,
            cntfrq: 62_500_000,
        };
        let mut cpu = Cpu::for_board(features, board);
        let recorder = Arc::new(LineRecorder::default());
        let line = |n: u32| IrqLine::new(recorder.clone() as Arc<dyn IrqSink>, n);
        let timers = TimerLines {
            physical: line(0),
            virtual_el1: line(1),
            hypervisor: line(2),
            secure: line(3),
            hypervisor_virtual: line(4),
        };
        let time = TimeBase::new(clock.clone() as Arc<dyn Clock>, 62_500_000);
        cpu.wire(Wiring {
            time,
            lines: Arc::new(CpuLines::default()),
            timers,
            overflow: IrqLine::unconnected(),
            gic: None,
            may_signal: Arc::new(|| true),
        });
        (cpu, recorder)
    }

    #[test]
    fn lines_follow_the_counter() {
        let clock = ManualClock::new();
        let (mut cpu, lines) = pe(&clock);
        // Sixteen nanoseconds a tick.
        cpu.set_timer_value(TimerId::Physical, 100);
        cpu.set_timer_control(TimerId::Physical, ENABLE);
        clock.advance(1599);
        assert_eq!((lines.level(0), cpu.timer_control(TimerId::Physical)), (false, ENABLE));
        clock.advance(1);
        assert_eq!((lines.level(0), cpu.timer_control(TimerId::Physical)), (true, ENABLE | ISTATUS));
        cpu.set_timer_control(TimerId::Physical, ENABLE | IMASK);
        assert_eq!((lines.level(0), cpu.timer_control(TimerId::Physical)), (false, ENABLE | IMASK | ISTATUS));
        cpu.set_timer_control(TimerId::Physical, ENABLE);
        assert!(lines.level(0));
        cpu.set_timer_left(TimerId::Physical, 10);
        assert_eq!((lines.level(0), cpu.timer_left(TimerId::Physical)), (false, 10));
        clock.advance(160);
        assert!(lines.level(0));
        cpu.reset();
        assert!(!lines.level(0));
    }

    #[test]
    fn the_virtual_timer_has_an_offset() {
        let clock = ManualClock::new();
        let (mut cpu, lines) = pe(&clock);
        clock.advance(16_000);
        cpu.system.timers.set_virtual_offset(1000);
        assert_eq!((cpu.counter(), cpu.virtual_counter()), (1000, 0));
        cpu.set_timer_left(TimerId::Virtual, 5);
        cpu.set_timer_control(TimerId::Virtual, ENABLE);
        assert_eq!(cpu.timer_value(TimerId::Virtual), 5);
        clock.advance(79);
        assert!(!lines.level(1));
        clock.advance(1);
        assert!(lines.level(1));
        // A negative value is in the past; one that the counter never reaches is not.
        cpu.set_timer_left(TimerId::Virtual, u64::from(u32::MAX));
        assert!(lines.level(1));
        cpu.set_timer_value(TimerId::Virtual, u64::MAX);
        assert!(!lines.level(1));
    }
}
