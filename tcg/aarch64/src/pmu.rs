//! The performance monitors: D13 of the manual (PMUv3). The cycle counter counts nanoseconds of machine time, as do event
//! counters of cycles; software increments count, all other events stand still. There is no overflow interrupt.

use crate::cpu::Cpu;

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
/// PMEVTYPER: the number of the event.
const EVENT: u64 = 0xffff;

/// One counter.
#[derive(Clone, Copy, Default)]
struct Counter {
    value: u64,
    typer: u64,
}

/// The monitors of one PE.
#[derive(Clone, Default)]
pub struct Pmu {
    control: u64,
    enabled: u64,
    overflowed: u64,
    /// PMINTENSET_EL1.
    interrupts: u64,
    /// PMSELR_EL0.
    pub selected: u64,
    /// PMUSERENR_EL0.
    pub user: u64,
    cycle: Counter,
    events: [Counter; COUNTERS],
    /// The moment at which the values hold.
    at: u64,
}

impl Cpu {
    fn cycles_now(&self) -> u64 {
        self.system.wiring.as_ref().map_or(0, |wiring| wiring.time.clock().now())
    }

    /// Brings the counters up to now, makes a change, and gives its result.
    fn monitors<T>(&mut self, change: impl FnOnce(&mut Pmu) -> T) -> T {
        let now = self.cycles_now();
        let pmu = &mut self.system.pmu;
        let passed = now.wrapping_sub(pmu.at);
        pmu.at = now;
        if pmu.control & pmcr::E != 0 {
            if pmu.enabled >> CYCLE & 1 != 0 {
                pmu.cycle.value = pmu.cycle.value.wrapping_add(passed);
            }
            for (n, event) in pmu.events.iter_mut().enumerate() {
                if pmu.enabled >> n & 1 != 0 && event.typer & EVENT == CPU_CYCLES {
                    event.value = event.value.wrapping_add(passed);
                }
            }
        }
        change(pmu)
    }

    /// PMCR_EL0.
    pub fn pmcr(&mut self) -> u64 {
        let id = self.system.features.pmu();
        pmcr::IMP | id << pmcr::IDCODE_SHIFT | (COUNTERS as u64) << pmcr::N_SHIFT | self.system.pmu.control
    }

    /// Sets it; resets counters as it says.
    pub fn set_pmcr(&mut self, value: u64) {
        self.monitors(|pmu| {
            if value & pmcr::C != 0 {
                pmu.cycle.value = 0;
            }
            if value & pmcr::P != 0 {
                pmu.events.iter_mut().for_each(|event| event.value = 0);
            }
            pmu.control = value & pmcr::WRITABLE;
        });
    }

    /// PMCNTENSET_EL0.
    pub fn pm_enabled(&mut self) -> u64 {
        self.system.pmu.enabled
    }

    /// Enables counters, or disables them.
    pub fn pm_enable(&mut self, set: u64, on: bool) {
        self.monitors(|pmu| {
            pmu.enabled = if on { pmu.enabled | set & ALL } else { pmu.enabled & !set };
        });
    }

    /// PMOVSSET_EL0.
    pub fn pm_overflowed(&mut self) -> u64 {
        self.system.pmu.overflowed
    }

    /// Sets overflow flags, or clears them.
    pub fn pm_overflow(&mut self, set: u64, on: bool) {
        let pmu = &mut self.system.pmu;
        pmu.overflowed = if on { pmu.overflowed | set & ALL } else { pmu.overflowed & !set };
    }

    /// PMINTENSET_EL1.
    pub fn pm_interrupts(&mut self) -> u64 {
        self.system.pmu.interrupts
    }

    /// Enables overflow interrupts, or disables them.
    pub fn pm_interrupt(&mut self, set: u64, on: bool) {
        let pmu = &mut self.system.pmu;
        pmu.interrupts = if on { pmu.interrupts | set & ALL } else { pmu.interrupts & !set };
    }

    /// PMSWINC_EL0.
    pub fn pm_increment(&mut self, set: u64) {
        self.monitors(|pmu| {
            let on = if pmu.control & pmcr::E != 0 { pmu.enabled } else { 0 };
            for (n, event) in pmu.events.iter_mut().enumerate() {
                if set & on & 1 << n != 0 && event.typer & EVENT == SW_INCR {
                    event.value = event.value.wrapping_add(1);
                }
            }
        });
    }

    /// PMCCNTR_EL0.
    pub fn pm_cycles(&mut self) -> u64 {
        self.monitors(|pmu| pmu.cycle.value)
    }

    /// Sets it.
    pub fn set_pm_cycles(&mut self, value: u64) {
        self.monitors(|pmu| pmu.cycle.value = value);
    }

    /// PMEVCNTR<n>_EL0: 32 bits before PMUv3p5.
    pub fn pm_count(&mut self, n: usize) -> u64 {
        let mask = self.count_mask();
        self.monitors(|pmu| pmu.events.get(n).map_or(0, |event| event.value)) & mask
    }

    /// Sets it.
    pub fn set_pm_count(&mut self, n: usize, value: u64) {
        let value = value & self.count_mask();
        self.monitors(|pmu| {
            if let Some(event) = pmu.events.get_mut(n) {
                event.value = value;
            }
        });
    }

    fn count_mask(&self) -> u64 {
        let long = self.system.features.field(crate::features::IdReg::Dfr0, 8) >= 6;
        if long { u64::MAX } else { 0xffff_ffff }
    }

    /// PMEVTYPER<n>_EL0; that of the cycle counter is PMCCFILTR_EL0.
    pub fn pm_type(&mut self, n: usize) -> u64 {
        let pmu = &self.system.pmu;
        if n == CYCLE { pmu.cycle.typer } else { pmu.events.get(n).map_or(0, |event| event.typer) }
    }

    /// Sets it.
    pub fn set_pm_type(&mut self, n: usize, value: u64) {
        self.monitors(|pmu| {
            if n == CYCLE {
                pmu.cycle.typer = value & CCFILTR;
            } else if let Some(event) = pmu.events.get_mut(n) {
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
