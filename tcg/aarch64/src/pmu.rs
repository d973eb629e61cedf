//! The performance monitors: D13 of the manual (PMUv3). The cycle counter counts nanoseconds of machine time, as do event
//! counters of cycles; software increments count, all other events stand still. Where a counter has a filter ([`filter`]), every
//! change of the level brings it up to the moment.

use crate::board::Wiring;
use crate::cpu::Cpu;
use crate::features::{Features, IdReg};
use crate::sysreg::{Stored, System, mdcr};
use base::{IrqLine, Timer};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Event counters.
pub const COUNTERS: usize = 6;
/// Number of the cycle counter among the counters.
const CYCLE: usize = 31;
/// Every counter, as a set.
pub const ALL: u64 = 1 << CYCLE | ((1 << COUNTERS) - 1);

/// PMCR_EL0.
mod pmcr {
    pub const E: u64 = 1;
    pub const P: u64 = 1 << 1;
    pub const C: u64 = 1 << 2;
    /// The cycle counter stands still where counting is prohibited.
    pub const DP: u64 = 1 << 5;
    /// The cycle counter overflows at 64 bits.
    pub const LC: u64 = 1 << 6;
    /// Event counters do.
    pub const LP: u64 = 1 << 7;
    pub const WRITABLE: u64 = 0xf9;
    pub const N_SHIFT: u32 = 11;
    pub const IDCODE_SHIFT: u32 = 16;
    /// Arm.
    pub const IMP: u64 = 0x41 << 24;
}

/// Event numbers.
const SW_INCR: u64 = 0;
const CPU_CYCLES: u64 = 0x11;
/// Bits of PMEVTYPER and PMCCFILTR that are kept.
const TYPER: u64 = 0xfe00_ffff;
const CCFILTR: u64 = 0xfc00_0000;
/// PMEVTYPER and PMCCFILTR: where a counter does not count.
mod filter {
    /// At EL1.
    pub const P: u64 = 1 << 31;
    /// At EL0.
    pub const U: u64 = 1 << 30;
    /// At Non-secure EL1, if it differs from P.
    pub const NSK: u64 = 1 << 29;
    /// At Non-secure EL0, if it differs from U.
    pub const NSU: u64 = 1 << 28;
    /// At EL2, where it does count.
    pub const NSH: u64 = 1 << 27;
    /// At EL3, if it differs from P.
    pub const M: u64 = 1 << 26;
}
/// PMEVTYPER: the number of the event.
const EVENT: u64 = 0xffff;
/// Counters of 32 bits.
const NARROW: u64 = 0xffff_ffff;

/// One counter.
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
struct Counter {
    value: u64,
    typer: u64,
}

impl Counter {
    /// Counts `passed` modulo `mask` + 1; whether the counter overflowed.
    fn add(&mut self, passed: u64, mask: u64) -> bool {
        let old = self.value & mask;
        self.value = self.value & !mask | old.wrapping_add(passed) & mask;
        passed > mask - old
    }
}

/// All counters of a PE.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Counters {
    control: u64,
    enabled: u64,
    overflowed: u64,
    /// PMINTENSET_EL1.
    interrupts: u64,
    cycle: Counter,
    events: [Counter; COUNTERS],
    /// Event counters have 64 bits (PMUv3p5).
    long: bool,
    /// The moment at which the values hold.
    at: u64,
    /// Where the PE is.
    place: Place,
}

/// What filters ask for.
#[derive(Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    el: u8,
    secure: bool,
    /// Nothing counts but the cycle counter: Secure state without MDCR_EL3.SPME, EL2 with MDCR_EL2.HPMD.
    prohibited: bool,
}

impl Place {
    fn of(system: &System) -> Self {
        let (el, secure) = (system.el, system.is_secure(system.el));
        let prohibited = secure && system.get(Stored::MdcrEl3) & mdcr::SPME == 0
            || el == 2 && system.get(Stored::MdcrEl2) & mdcr::HPMD != 0;
        Self { el, secure, prohibited }
    }

    /// Whether a counter with these filters counts: the pseudocode of AArch64.CountEvents.
    fn lets_count(self, typer: u64) -> bool {
        let has = |bit: u64| typer & bit != 0;
        match (self.el, self.secure) {
            (0, true) => !has(filter::U),
            (0, false) => has(filter::U) == has(filter::NSU),
            (1, true) => !has(filter::P),
            (1, false) => has(filter::P) == has(filter::NSK),
            (2, _) => has(filter::NSH),
            _ => has(filter::P) == has(filter::M),
        }
    }
}

impl Counters {
    /// Which bits of the cycle counter overflow together.
    fn cycle_mask(&self) -> u64 {
        if self.control & pmcr::LC != 0 { u64::MAX } else { NARROW }
    }

    /// What event counters keep.
    fn event_bits(&self) -> u64 {
        if self.long { u64::MAX } else { NARROW }
    }

    fn event_mask(&self) -> u64 {
        if self.long && self.control & pmcr::LP != 0 { u64::MAX } else { NARROW }
    }

    /// The counters that count time now, with the bits of each that overflow together.
    fn running(&self) -> impl Iterator<Item = (usize, u64)> + use<> {
        let on = if self.control & pmcr::E != 0 { self.enabled } else { 0 };
        let cycles = self.events.map(|event| event.typer & EVENT == CPU_CYCLES);
        let (cycle_mask, event_mask) = (self.cycle_mask(), self.event_mask());
        let here = self.counting_here();
        let events = (0..COUNTERS).filter(move |n| cycles[*n]).map(move |n| (n, event_mask));
        events.chain([(CYCLE, cycle_mask)]).filter(move |(n, _)| on & here & 1 << n != 0)
    }

    /// The counters that neither a filter nor a prohibition stops.
    fn counting_here(&self) -> u64 {
        let place = self.place;
        let stops_cycles = place.prohibited && self.control & pmcr::DP != 0;
        let events = self.events.iter().enumerate();
        let events = events.filter(|(_, event)| !place.prohibited && place.lets_count(event.typer));
        let cycle = u64::from(!stops_cycles && place.lets_count(self.cycle.typer)) << CYCLE;
        events.fold(cycle, |all, (n, _)| all | 1 << n)
    }

    /// Whether anything runs that stands still at another level of `system`.
    fn depend_on_level(&self, system: &System) -> bool {
        let on = if self.control & pmcr::E != 0 { self.enabled } else { 0 };
        if on == 0 {
            return false;
        }
        let board = system.board;
        if board.has_el3 || system.get(Stored::MdcrEl2) & mdcr::HPMD != 0 {
            return true;
        }
        let highest = if board.has_el2 { 2 } else { 1 };
        let counts = |typer: u64, el: u8| Place { el, secure: false, prohibited: false }.lets_count(typer);
        let differs = |typer: u64| (1..=highest).any(|el| counts(typer, el) != counts(typer, 0));
        let events = self.events.iter().enumerate();
        let mut running = events.chain([(CYCLE, &self.cycle)]).filter(|(n, _)| on >> n & 1 != 0);
        running.any(|(_, counter)| differs(counter.typer))
    }

    fn counter(&mut self, n: usize) -> &mut Counter {
        if n == CYCLE { &mut self.cycle } else { &mut self.events[n] }
    }

    /// Brings the counters up to `now`.
    fn advance(&mut self, now: u64) {
        let passed = now.saturating_sub(self.at);
        self.at = now;
        for (n, mask) in self.running() {
            let overflows = self.counter(n).add(passed, mask);
            self.overflowed |= u64::from(overflows) << n;
        }
    }

    /// Whether the overflow interrupt is asked for.
    fn asks(&self) -> bool {
        self.control & pmcr::E != 0 && self.overflowed & self.interrupts != 0
    }

    /// How long until a counter overflows whose interrupt is enabled.
    fn next_overflow(&mut self) -> Option<u64> {
        let counting: Vec<_> =
            self.running().filter(|(n, _)| self.interrupts & !self.overflowed & 1 << n != 0).collect();
        counting.into_iter().map(|(n, mask)| (mask - (self.counter(n).value & mask)).saturating_add(1)).min()
    }
}

/// The overflow interrupt, and the timer for the moment at which it is next asked for.
struct Alarm {
    line: IrqLine,
    timer: Box<dyn Timer>,
}

/// The saved state of a PE's monitors.
#[derive(Serialize, Deserialize)]
pub struct PmuState {
    counters: Counters,
    selected: u64,
    user: u64,
}

/// The monitors of one PE.
#[derive(Default)]
pub struct Pmu {
    counters: Arc<Mutex<Counters>>,
    alarm: Option<Alarm>,
    /// PMSELR_EL0.
    pub selected: u64,
    /// PMUSERENR_EL0.
    pub user: u64,
    /// Changes of the level have to be told ([`Cpu::pm_moved`]).
    pub depends_on_level: bool,
}

impl Pmu {
    /// Connects the interrupt.
    pub fn wire(&mut self, wiring: &Wiring) {
        let (counters, line) = (self.counters.clone(), wiring.overflow.clone());
        let clock = wiring.time.clock().clone();
        let timer = wiring.time.clock().timer(Box::new(move || {
            // Under the lock, so that a change that comes in between has the last word.
            let mut counters = counters.lock();
            counters.advance(clock.now());
            line.set(counters.asks());
        }));
        self.alarm = Some(Alarm { line: wiring.overflow.clone(), timer });
    }

    /// The state after a reset of a PE with `features`, at the moment `now`.
    pub fn reset(&mut self, features: Features, now: u64) {
        (self.selected, self.user, self.depends_on_level) = (0, 0, false);
        let long = features.field(IdReg::Dfr0, 8) >= 6;
        *self.counters.lock() = Counters { long, at: now, ..Counters::default() };
        self.settle(now);
    }

    /// What of it is saved.
    pub fn save(&self) -> PmuState {
        PmuState { counters: self.counters.lock().clone(), selected: self.selected, user: self.user }
    }

    /// Takes over what was saved, at the moment `now`.
    pub fn load(&mut self, state: PmuState, now: u64) {
        // The first change of the level finds out.
        self.depends_on_level = true;
        *self.counters.lock() = state.counters;
        (self.selected, self.user) = (state.selected, state.user);
        self.settle(now);
    }

    /// Drives the line, and sets the timer.
    fn settle(&mut self, now: u64) {
        let Some(alarm) = &self.alarm else { return };
        let mut counters = self.counters.lock();
        alarm.line.set(counters.asks());
        let next = counters.next_overflow();
        drop(counters);
        match next.and_then(|wait| now.checked_add(wait)) {
            Some(deadline) => alarm.timer.arm(deadline),
            None => alarm.timer.disarm(),
        }
    }
}

impl Cpu {
    fn cycles_now(&self) -> u64 {
        self.system.wiring.as_ref().map_or(0, |wiring| wiring.time.clock().now())
    }

    /// Brings the counters up to now, makes a change, and gives its result.
    fn monitors<T>(&mut self, change: impl FnOnce(&mut Counters) -> T) -> T {
        let (now, place) = (self.cycles_now(), Place::of(&self.system));
        let shared = self.system.pmu.counters.clone();
        let mut counters = shared.lock();
        counters.advance(now);
        let result = change(&mut counters);
        counters.place = place;
        let depends = counters.depend_on_level(&self.system);
        drop(counters);
        self.system.pmu.depends_on_level = depends;
        self.system.pmu.settle(now);
        result
    }

    /// The level changed, or what is prohibited where.
    pub fn pm_moved(&mut self) {
        self.monitors(|_| ());
    }

    /// The counters, brought up to now.
    fn counts(&self) -> Counters {
        let mut counters = self.system.pmu.counters.lock();
        counters.advance(self.cycles_now());
        counters.clone()
    }

    /// PMCR_EL0.
    pub fn pmcr(&mut self) -> u64 {
        let id = self.system.features.pmu();
        pmcr::IMP | id << pmcr::IDCODE_SHIFT | (COUNTERS as u64) << pmcr::N_SHIFT | self.counts().control
    }

    /// Sets it; resets counters as it says.
    pub fn set_pmcr(&mut self, value: u64) {
        self.monitors(|counters| {
            if value & pmcr::C != 0 {
                counters.cycle.value = 0;
            }
            if value & pmcr::P != 0 {
                counters.events.iter_mut().for_each(|event| event.value = 0);
            }
            counters.control = value & pmcr::WRITABLE;
        });
    }

    /// PMCNTENSET_EL0.
    pub fn pm_enabled(&mut self) -> u64 {
        self.counts().enabled
    }

    /// Enables counters, or disables them.
    pub fn pm_enable(&mut self, set: u64, on: bool) {
        self.monitors(|counters| counters.enabled = changed(counters.enabled, set, on));
    }

    /// PMOVSSET_EL0.
    pub fn pm_overflowed(&mut self) -> u64 {
        self.counts().overflowed
    }

    /// Sets overflow flags, or clears them.
    pub fn pm_overflow(&mut self, set: u64, on: bool) {
        self.monitors(|counters| counters.overflowed = changed(counters.overflowed, set, on));
    }

    /// PMINTENSET_EL1.
    pub fn pm_interrupts(&mut self) -> u64 {
        self.counts().interrupts
    }

    /// Enables overflow interrupts, or disables them.
    pub fn pm_interrupt(&mut self, set: u64, on: bool) {
        self.monitors(|counters| counters.interrupts = changed(counters.interrupts, set, on));
    }

    /// PMSWINC_EL0.
    pub fn pm_increment(&mut self, set: u64) {
        self.monitors(|counters| {
            let on =
                if counters.control & pmcr::E != 0 { counters.enabled & counters.counting_here() } else { 0 };
            let mask = counters.event_mask();
            for (n, event) in counters.events.iter_mut().enumerate() {
                if set & on & 1 << n != 0 && event.typer & EVENT == SW_INCR {
                    counters.overflowed |= u64::from(event.add(1, mask)) << n;
                }
            }
        });
    }

    /// PMCCNTR_EL0.
    pub fn pm_cycles(&mut self) -> u64 {
        self.counts().cycle.value
    }

    /// Sets it.
    pub fn set_pm_cycles(&mut self, value: u64) {
        self.monitors(|counters| counters.cycle.value = value);
    }

    /// PMEVCNTR<n>_EL0: 32 bits before PMUv3p5.
    pub fn pm_count(&mut self, n: usize) -> u64 {
        self.counts().events.get(n).map_or(0, |event| event.value)
    }

    /// Sets it.
    pub fn set_pm_count(&mut self, n: usize, value: u64) {
        self.monitors(|counters| {
            let bits = counters.event_bits();
            if let Some(event) = counters.events.get_mut(n) {
                event.value = value & bits;
            }
        });
    }

    /// PMEVTYPER<n>_EL0; that of the cycle counter is PMCCFILTR_EL0.
    pub fn pm_type(&mut self, n: usize) -> u64 {
        let counters = self.counts();
        if n == CYCLE { counters.cycle.typer } else { counters.events.get(n).map_or(0, |event| event.typer) }
    }

    /// Sets it.
    pub fn set_pm_type(&mut self, n: usize, value: u64) {
        self.monitors(|counters| {
            if n == CYCLE {
                counters.cycle.typer = value & CCFILTR;
            } else if let Some(event) = counters.events.get_mut(n) {
                event.typer = value & TYPER;
            }
        });
    }

    /// PMXEVCNTR_EL0: the counter that PMSELR_EL0 selects.
    pub fn pm_selected_count(&mut self) -> u64 {
        let n = self.system.pmu.selected as usize & 31;
        self.pm_count(n)
    }
}

/// `bits` with those of `set` on or off; of counters that there are.
fn changed(bits: u64, set: u64, on: bool) -> u64 {
    if on { bits | set & ALL } else { bits & !set }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::{Board, TimerLines};
    use crate::mmu::SecureSpace;
    use crate::sysreg::scr;
    use base::{Clock, CpuLines, IrqSink, LineRecorder, ManualClock, TimeBase};

    fn pe(el2: bool, el3: bool) -> (Cpu, Arc<ManualClock>, Arc<LineRecorder>) {
        let clock = ManualClock::new();
        let features = Features::parse("cortex-a57").expect("a model");
        let secure_space = SecureSpace::NONE;
        let board =
            Board { number: 0, mpidr: 0, has_el2: el2, has_el3: el3, secure_space, cntfrq: 62_500_000 };
        let mut cpu = Cpu::for_board(features, board);
        let recorder = Arc::new(LineRecorder::default());
        cpu.wire(Wiring {
            time: TimeBase::new(clock.clone() as Arc<dyn Clock>, 62_500_000),
            lines: Arc::new(CpuLines::default()),
            timers: TimerLines::default(),
            overflow: IrqLine::new(recorder.clone() as Arc<dyn IrqSink>, 7),
            gic: None,
            may_signal: Arc::new(|| false),
        });
        (cpu, clock, recorder)
    }

    #[test]
    fn filters_stop_counters_where_they_say() {
        let (mut cpu, clock, _) = pe(true, true);
        // Levels in Secure state (SCR_EL3.NS is 0 there), then in the other one.
        let places = [(0, true), (1, true), (0, false), (1, false), (2, false), (3, true)];
        for typer in (0..64).map(|n| n << 26) {
            for (el, secure) in places {
                let scr = if secure { 0 } else { scr::NS };
                cpu.set_level(3, true);
                cpu.system.set(Stored::ScrEl3, scr);
                cpu.system.set(Stored::MdcrEl3, mdcr::SPME);
                cpu.set_pm_type(CYCLE, typer);
                cpu.pm_enable(1 << CYCLE, true);
                cpu.set_pm_cycles(0);
                cpu.set_pmcr(pmcr::E | pmcr::LC);
                // What passes at EL3 before and after is counted by EL3's rule.
                cpu.set_level(el, el != 0);
                clock.advance(100);
                let stops = |at: u32| typer >> at & 1 != 0;
                let counts = match (el, secure) {
                    (3, _) => stops(31) == stops(26),
                    (2, _) => stops(27),
                    (1, true) => !stops(31),
                    (1, false) => stops(31) == stops(29),
                    (_, true) => !stops(30),
                    (_, false) => stops(30) == stops(28),
                };
                assert_eq!(cpu.pm_cycles(), if counts { 100 } else { 0 }, "{typer:#x} at EL{el}, {secure}");
                cpu.set_level(1, true);
                let before = cpu.pm_cycles();
                cpu.set_pmcr(0);
                clock.advance(100);
                assert_eq!(cpu.pm_cycles(), before);
            }
        }
    }

    #[test]
    fn the_secure_state_may_not_be_counted() {
        let (mut cpu, clock, _) = pe(false, true);
        cpu.set_pm_type(0, CPU_CYCLES);
        cpu.pm_enable(1 | 1 << CYCLE, true);
        cpu.set_pmcr(pmcr::E | pmcr::LC);
        clock.advance(50);
        assert_eq!((cpu.pm_count(0), cpu.pm_cycles()), (0, 50), "the cycle counter counts anyway");
        cpu.set_pmcr(pmcr::E | pmcr::LC | pmcr::DP);
        clock.advance(50);
        assert_eq!((cpu.pm_count(0), cpu.pm_cycles()), (0, 50));
    }

    #[test]
    fn an_overflow_is_an_interrupt() {
        let (mut cpu, clock, recorder) = pe(false, false);
        cpu.set_pmcr(pmcr::E | pmcr::LC);
        cpu.set_pm_cycles(u64::MAX - 99);
        cpu.pm_enable(1 << CYCLE, true);
        clock.advance(100);
        assert_eq!((cpu.pm_overflowed(), cpu.pm_cycles()), (1 << CYCLE, 0));
        assert!(!recorder.level(7), "the interrupt is off");
        cpu.pm_overflow(u64::MAX, false);
        cpu.set_pm_cycles(u64::MAX - 99);
        cpu.pm_interrupt(1 << CYCLE, true);
        clock.advance(99);
        assert!(!recorder.level(7));
        clock.advance(1);
        assert!(recorder.level(7));
        cpu.pm_overflow(1 << CYCLE, false);
        assert!(!recorder.level(7));
        // Event counters are narrow, and so is the cycle counter unless PMCR says otherwise.
        cpu.set_pmcr(pmcr::E);
        cpu.set_pm_type(0, CPU_CYCLES);
        cpu.set_pm_count(0, 0xffff_fff0);
        cpu.set_pm_cycles(0x1_ffff_fff0);
        cpu.pm_enable(1, true);
        clock.advance(0x20);
        assert_eq!((cpu.pm_count(0), cpu.pm_cycles()), (0x10, 0x1_0000_0010));
        assert_eq!(cpu.pm_overflowed(), 1 | 1 << CYCLE);
        assert!(recorder.level(7));
    }
}
