//! A PE's saved state: every register, the exclusive monitor included, so that a PE goes on exactly as it would have.
//! TLB maintenance that the other PEs have not been told of is left out: a load forgets all translations of all PEs.

use crate::Aarch64;
use crate::cpu::Cpu;
use crate::pmu::PmuState;
use crate::pstate::daif;
use crate::selfhosted::DebugUnit;
use crate::sysreg::{Key, Stored, System, fpcr};
use crate::timer::TimerState;
use base::{State, StateError};
use serde::{Deserialize, Serialize};
use tcg_core::saved::{HeaderState, Saved};
use tcg_core::sem::packed;

const VERSION: u32 = 2;
/// The condition flags.
const FLAGS: [u64; 4] = [packed::N, packed::Z, packed::C, packed::V];

#[derive(Serialize, Deserialize)]
struct PeState {
    header: HeaderState,
    x: [u64; 31],
    sp: u64,
    /// Each with its low half first.
    v: [[u64; 2]; 32],
    qc: [u64; 2],
    /// N, Z, C, V: the translator's own layout is the host's.
    flags: [bool; 4],
    exclusive_addr: u64,
    exclusive: [u64; 2],
    scratch: [u64; 4],
    tpidr_el0: u64,
    tpidrro_el0: u64,
    daif: u64,
    system: SystemState,
}

#[derive(Serialize, Deserialize)]
struct SystemState {
    el: u8,
    sp_sel: bool,
    fpcr: u64,
    fpsr: u64,
    keys: [Key; 5],
    dit: bool,
    ssbs: bool,
    pan: bool,
    uao: bool,
    ss: bool,
    il: bool,
    /// Of a machine whose random numbers come from a seed.
    random: Option<u64>,
    timers: TimerState,
    pmu: PmuState,
    debug: DebugUnit,
    stored: Vec<u64>,
}

fn halves(value: u128) -> [u64; 2] {
    [value as u64, (value >> 64) as u64]
}

fn whole([low, high]: [u64; 2]) -> u128 {
    u128::from(high) << 64 | u128::from(low)
}

impl SystemState {
    fn save(system: &System) -> Self {
        // All by name, so that a new field asks to be thought of.
        let System {
            el,
            sp_sel,
            user_ids: _,
            features: _,
            fpcr,
            fpsr,
            keys,
            dit,
            ssbs,
            pan,
            uao,
            ss,
            il,
            clock: _,
            board: _,
            wiring: _,
            domain: _,
            untold: _,
            outstanding: _,
            random,
            timers,
            pmu,
            debug,
            // It is found out again.
            kernel_by_asid: _,
            // Both hold during one instruction.
            unprivileged: _,
            stage2_fault: _,
            stored,
        } = system;
        Self {
            el: *el,
            sp_sel: *sp_sel,
            fpcr: *fpcr,
            fpsr: *fpsr,
            keys: *keys,
            dit: *dit,
            ssbs: *ssbs,
            pan: *pan,
            uao: *uao,
            ss: *ss,
            il: *il,
            random: *random,
            timers: timers.save(),
            pmu: pmu.save(),
            debug: debug.clone(),
            stored: stored.to_vec(),
        }
    }

    fn load(self, system: &mut System, stored: [u64; Stored::COUNT]) {
        (system.el, system.sp_sel) = (self.el, self.sp_sel);
        (system.fpcr, system.fpsr) = (self.fpcr & fpcr::WRITABLE, self.fpsr);
        system.keys = self.keys;
        (system.dit, system.ssbs, system.pan) = (self.dit, self.ssbs, self.pan);
        (system.uao, system.ss, system.il) = (self.uao, self.ss, self.il);
        (system.debug, system.stored) = (self.debug, stored);
        let now = system.wiring.as_ref().map_or(0, |wiring| wiring.time.clock().now());
        system.pmu.load(self.pmu, now);
        (system.unprivileged, system.stage2_fault) = (false, None);
        system.kernel_by_asid = false;
        system.untold.clear();
        // Those who still were to do something have forgotten everything.
        system.outstanding.clear();
        system.timers.load(self.timers);
        if system.random.is_some() {
            system.random = self.random.or(system.random);
        }
    }
}

impl Saved for Aarch64 {
    fn forget_maintenance(cpu: &mut Cpu) {
        cpu.system.untold.clear();
        cpu.system.kernel_by_asid = false;
    }

    fn save(cpu: &mut Cpu) -> State {
        let header = HeaderState::save(&mut cpu.head);
        let Cpu {
            head: _,
            x,
            sp,
            v,
            qc,
            flags,
            exclusive_addr,
            exclusive,
            scratch,
            tpidr_el0,
            tpidrro_el0,
            daif,
            system,
        } = cpu;
        State::of(
            VERSION,
            &PeState {
                header,
                x: *x,
                sp: *sp,
                v: v.map(halves),
                qc: halves(*qc),
                flags: FLAGS.map(|bit| *flags & bit != 0),
                exclusive_addr: *exclusive_addr,
                exclusive: *exclusive,
                scratch: *scratch,
                tpidr_el0: *tpidr_el0,
                tpidrro_el0: *tpidrro_el0,
                daif: *daif,
                system: SystemState::save(system),
            },
        )
    }

    fn load(cpu: &mut Cpu, state: &State) -> Result<(), StateError> {
        let state: PeState = state.get(VERSION)?;
        let board = &cpu.system.board;
        let exists = match state.system.el {
            0 | 1 => true,
            2 => board.has_el2,
            3 => board.has_el3,
            _ => false,
        };
        if !exists || state.system.sp_sel && state.system.el == 0 || state.daif & !daif::ALL != 0 {
            return Err(StateError::Value("an exception level that the PE can not be in"));
        }
        let stored = state.system.stored.as_slice().try_into();
        let stored = stored.map_err(|_| StateError::Value("system registers of another PE"))?;
        state.header.load(&mut cpu.head);
        (cpu.x, cpu.sp) = (state.x, state.sp);
        cpu.flags = FLAGS.iter().zip(state.flags).fold(0, |all, (bit, on)| if on { all | bit } else { all });
        (cpu.v, cpu.qc) = (state.v.map(whole), whole(state.qc));
        (cpu.exclusive_addr, cpu.exclusive, cpu.scratch) =
            (state.exclusive_addr, state.exclusive, state.scratch);
        (cpu.tpidr_el0, cpu.tpidrro_el0, cpu.daif) = (state.tpidr_el0, state.tpidrro_el0, state.daif);
        state.system.load(&mut cpu.system, stored);
        cpu.update_points();
        Ok(())
    }
}

#[cfg(test)]
mod tests;
