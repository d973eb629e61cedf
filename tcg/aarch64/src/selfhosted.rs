//! Self-hosted debug: D2 of the manual. Breakpoints and watchpoints by address, and software step; they are points of the
//! translator ([`tcg_core::guest::Point`]), so they cost nothing while there are none.
//!
//! Left out: breakpoints that compare contexts or are linked to one that does (they never match), and halting debug.

use crate::Aarch64;
use crate::cpu::Cpu;
use crate::esr::{self, class, status};
use crate::exception::debug_target;
use crate::pstate::{daif, spsr};
use crate::sysreg::{Stored, mdcr, mdscr};
use serde::{Deserialize, Serialize};
use tcg_core::guest::{Access, Point, Trap};
use tcg_core::run::with_mmu;

/// Breakpoints.
pub const BREAKPOINTS: usize = 6;
/// Watchpoints.
pub const WATCHPOINTS: usize = 4;

/// DBGBCR and DBGWCR.
mod control {
    pub const E: u64 = 1;
    /// At which levels: bit 0 at EL1, bit 1 at EL0.
    pub const PMC_SHIFT: u32 = 1;
    /// Watchpoints: loads and stores.
    pub const LSC_SHIFT: u32 = 3;
    /// Which bytes.
    pub const BAS_SHIFT: u32 = 5;
    /// At EL2.
    pub const HMC: u64 = 1 << 13;
    /// In which Security state.
    pub const SSC_SHIFT: u32 = 14;
    /// What the breakpoint compares.
    pub const BT_SHIFT: u32 = 20;
    /// Watchpoints: number of low address bits that do not matter.
    pub const MASK_SHIFT: u32 = 24;
}

/// Registers of the debug unit.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct DebugUnit {
    /// DBGBVR and DBGBCR.
    pub breakpoints: [[u64; 2]; BREAKPOINTS],
    /// DBGWVR and DBGWCR.
    pub watchpoints: [[u64; 2]; WATCHPOINTS],
    /// MDSCR_EL1.
    pub mdscr: u64,
    /// OSLSR_EL1.OSLK.
    pub locked: bool,
    /// OSDLR_EL1.
    pub double_lock: u64,
    /// DBGCLAIM.
    pub claim: u64,
    /// Follow from the registers and the level.
    #[serde(skip)]
    points: Vec<Point>,
    /// How many instructions had been carried out when the one that is stepped began.
    stepped_at: Option<u64>,
}

/// Bytes of an address that a BAS field of a watchpoint names: first and last.
fn watched(value: u64, control: u64) -> Option<(u64, u64)> {
    let mask = control >> control::MASK_SHIFT & 31;
    if mask >= 3 {
        let low = (1u64 << mask) - 1;
        return Some((value & !low, value | low));
    }
    let bytes = control >> control::BAS_SHIFT & 0xff;
    // With bit 2 of the address set only the lower four count.
    let bytes = if value & 4 != 0 { bytes & 15 } else { bytes };
    if bytes == 0 {
        return None;
    }
    let base = value & !3;
    Some((base + u64::from(bytes.trailing_zeros()), base + 63 - u64::from(bytes.leading_zeros())))
}

impl DebugUnit {
    fn step_point() -> Point {
        Point { first: 0, last: u64::MAX, read: false, write: false, fetch: true }
    }

    fn find_points(&self) -> Vec<Point> {
        let mut points = Vec::new();
        if self.locked {
            return points;
        }
        if self.mdscr & mdscr::MDE != 0 {
            for [value, control] in self.breakpoints {
                let by_address = matches!(control >> control::BT_SHIFT & 15, 0 | 4);
                if control & control::E != 0 && by_address {
                    let first = sign_extended(value) & !3;
                    points.push(Point { first, last: first, read: false, write: false, fetch: true });
                }
            }
            for [value, control] in self.watchpoints {
                if control & control::E == 0 {
                    continue;
                }
                if let Some((first, last)) = watched(sign_extended(value), control) {
                    let kind = control >> control::LSC_SHIFT;
                    let point =
                        Point { first, last, read: kind & 1 != 0, write: kind & 2 != 0, fetch: false };
                    points.push(point);
                }
            }
        }
        points
    }
}

/// Addresses in the registers have 53 or 49 bits.
fn sign_extended(value: u64) -> u64 {
    ((value << 8) as i64 >> 8) as u64
}

/// Whether debug exceptions from the present level are on: D2.4.
fn enabled(cpu: &Cpu) -> bool {
    enabled_at(cpu, cpu.system.el, cpu.daif & daif::D != 0)
}

fn enabled_at(cpu: &Cpu, el: u8, masked: bool) -> bool {
    let unit = &cpu.system.debug;
    if unit.locked || cpu.system.user_ids {
        return false;
    }
    let to = debug_target(cpu);
    if to < el || el == 3 || forbidden(cpu, el) {
        return false;
    }
    el < to || unit.mdscr & mdscr::KDE != 0 && !masked
}

/// Whether EL3 wants no debug exceptions from level `el`, which is Secure.
fn forbidden(cpu: &Cpu, el: u8) -> bool {
    let system = &cpu.system;
    system.is_secure(el) && system.get(Stored::MdcrEl3) & mdcr::SDD != 0
}

/// PSTATE.SS after a return to level `to` with SPSR `saved`: DebugExceptionReturnSS.
pub fn steps_after_return(cpu: &Cpu, to: u8, saved: u64) -> bool {
    let stepping = cpu.system.debug.mdscr & mdscr::SS != 0;
    let here = enabled(cpu);
    let target = debug_target(cpu);
    let there = !cpu.system.debug.locked
        && !forbidden(cpu, to)
        && (to < target || to == target && cpu.system.debug.mdscr & mdscr::KDE != 0 && saved & daif::D == 0);
    stepping && !here && there && saved & spsr::SS != 0
}

impl Cpu {
    /// Finds the points anew: after every change of the debug unit or of the level.
    pub fn update_points(&mut self) {
        let stepping = self.system.debug.mdscr & mdscr::SS != 0 && enabled(self);
        let mut points = self.system.debug.find_points();
        if stepping {
            points.push(DebugUnit::step_point());
        } else {
            self.system.debug.stepped_at = None;
        }
        self.system.debug.points = points;
    }

    /// The level or PSTATE.D changed.
    pub fn update_step(&mut self) {
        if self.system.debug.mdscr & mdscr::SS != 0 {
            self.update_points();
            with_mmu::<Aarch64, _>(self, |cpu, mmu| mmu.sync::<Aarch64>(cpu));
        }
    }

    /// Where breakpoints and watchpoints are.
    pub fn points(&self) -> &[Point] {
        &self.system.debug.points
    }

    /// Whether the levels that `control` names are those of now.
    fn matches(&self, control: u64) -> bool {
        let (pmc, hmc) = (control >> control::PMC_SHIFT & 3, control & control::HMC != 0);
        let secure = self.system.is_secure(self.system.el);
        let state = match control >> control::SSC_SHIFT & 3 {
            0 => true,
            1 => !secure,
            2 => secure,
            _ => true,
        };
        let level = match self.system.el {
            0 => pmc & 2 != 0,
            1 => pmc & 1 != 0,
            2 => hmc,
            _ => hmc && pmc != 0,
        };
        state && level
    }

    /// A point was reached: the exception that is taken instead.
    pub fn reached(&mut self, addr: u64, bytes: u64, access: Access) -> Option<Trap> {
        if !enabled(self) {
            return None;
        }
        if access == Access::Fetch {
            return self.step_reached().or_else(|| self.breakpoint_reached(addr));
        }
        if self.system.debug.mdscr & mdscr::MDE == 0 {
            return None;
        }
        let last = addr.saturating_add(bytes - 1);
        let hit = self.system.debug.watchpoints.into_iter().find_map(|[value, control]| {
            let kind = control >> control::LSC_SHIFT;
            let wanted = kind & if access == Access::Write { 2 } else { 1 } != 0;
            let (from, to) = watched(sign_extended(value), control)?;
            let on = control & control::E != 0 && wanted && self.matches(control);
            (on && from <= last && addr <= to).then_some(addr.max(from))
        })?;
        let wnr = if access == Access::Write { esr::WNR } else { 0 };
        Some(Trap { code: esr::syndrome(class::WATCHPOINT, status::DEBUG | wnr), value: hit })
    }

    fn breakpoint_reached(&self, addr: u64) -> Option<Trap> {
        let on = self.system.debug.mdscr & mdscr::MDE != 0;
        let hit = on
            && self.system.debug.breakpoints.into_iter().any(|[value, control]| {
                let by_address = matches!(control >> control::BT_SHIFT & 15, 0 | 4);
                control & control::E != 0
                    && by_address
                    && sign_extended(value) & !3 == addr
                    && self.matches(control)
            });
        hit.then_some(Trap { code: esr::syndrome(class::BREAKPOINT, status::DEBUG), value: 0 })
    }

    /// Software step: with PSTATE.SS one instruction is run, without it the exception is due.
    fn step_reached(&mut self) -> Option<Trap> {
        if self.system.debug.mdscr & mdscr::SS == 0 {
            return None;
        }
        let now = self.head.insns;
        if self.system.ss {
            self.system.ss = false;
            self.system.debug.stepped_at = Some(now);
            return None;
        }
        if self.system.debug.stepped_at == Some(now) {
            // The instruction is run again, because it was not carried out.
            return None;
        }
        self.system.debug.stepped_at = None;
        // ISV, and EX after an exclusive load: the return before it has cleared the monitor.
        let exclusive = if self.exclusive_addr == u64::MAX { 0 } else { 1 << 6 };
        Some(Trap { code: esr::syndrome(class::STEP, 1 << 24 | exclusive | status::DEBUG), value: 0 })
    }

    /// MDSCR_EL1 becomes `value`.
    pub fn set_mdscr(&mut self, value: u64) {
        self.system.debug.mdscr = value;
        self.update_points();
    }

    /// OSLAR_EL1.
    pub fn set_os_lock(&mut self, value: u64) {
        self.system.debug.locked = value & 1 != 0;
        self.update_points();
    }
}
