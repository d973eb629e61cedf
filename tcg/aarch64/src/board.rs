//! What a board decides about a PE, and the wires that it connects.

use crate::Aarch64;
use crate::cpu::Cpu;
use crate::features::{Ext, Features};
use crate::gic::GicCpuInterface;
use crate::mmu::SecureSpace;
use crate::pstate::daif;
use crate::sysreg::{Stored, System, hcr, scr};
use base::{CpuLines, IrqLine, TimeBase};
use std::sync::Arc;
use tcg_core::run::with_mmu;

/// What there is of a PE beside its features.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Board {
    /// Which of the interrupt controller's PEs it is.
    pub number: usize,
    /// Affinity, as MPIDR_EL1 has it; bit 31, which is always set, need not be.
    pub mpidr: u64,
    /// EL2 is there.
    pub has_el2: bool,
    /// EL3 is there.
    pub has_el3: bool,
    /// Where Secure accesses find something else than Non-secure ones; only with EL3.
    pub secure_space: SecureSpace,
    /// What CNTFRQ_EL0 says after a reset, in Hz; the rate of the counter is that of its [`TimeBase`].
    pub cntfrq: u64,
}

/// Outputs of the generic timer, driven by level. Numbers are those of the private interrupts that Arm recommends.
#[derive(Clone)]
pub struct TimerLines {
    /// EL1 physical timer, Non-secure: INTID 30.
    pub physical: IrqLine,
    /// EL1 virtual timer: INTID 27.
    pub virtual_el1: IrqLine,
    /// Non-secure EL2 physical timer: INTID 26.
    pub hypervisor: IrqLine,
    /// EL1 physical timer, Secure: INTID 29.
    pub secure: IrqLine,
    /// Non-secure EL2 virtual timer: INTID 28.
    pub hypervisor_virtual: IrqLine,
}

impl Default for TimerLines {
    fn default() -> Self {
        let none = IrqLine::unconnected();
        Self {
            physical: none.clone(),
            virtual_el1: none.clone(),
            hypervisor: none.clone(),
            secure: none.clone(),
            hypervisor_virtual: none,
        }
    }
}

/// Everything that is connected to a PE.
pub struct Wiring {
    /// The system counter.
    pub time: Arc<TimeBase>,
    /// The PE's own inputs ([`crate::irq`]).
    pub lines: Arc<CpuLines>,
    /// The timer's outputs.
    pub timers: TimerLines,
    /// Overflow of the performance monitors.
    pub overflow: IrqLine,
    /// The GIC's CPU interface, if it has system registers.
    pub gic: Option<Arc<dyn GicCpuInterface>>,
    /// Whether the interrupt controller lets any interrupt but one of software through to this PE.
    pub may_signal: Arc<dyn Fn() -> bool + Send + Sync>,
}

impl Cpu {
    /// A PE of a board, after a reset ([`Cpu::reset`]).
    pub fn for_board(features: Features, board: Board) -> Self {
        let mut cpu = Self::new(features);
        cpu.system.user_ids = false;
        cpu.system.board = board;
        cpu.reset();
        cpu
    }

    /// Connects the PE.
    pub fn wire(&mut self, wiring: Wiring) {
        self.system.timers.wire(&wiring);
        self.system.pmu.wire(&wiring);
        self.system.wiring = Some(wiring);
    }

    /// The state after a reset: at the highest exception level there is, with its stack pointer, interrupts masked,
    /// translation off, at the address in RVBAR (0).
    pub fn reset(&mut self) {
        let (features, board) = (self.system.features, self.system.board);
        let fresh = System::new(features);
        let old = std::mem::replace(&mut self.system, fresh);
        let system = &mut self.system;
        (system.board, system.wiring, system.domain) = (board, old.wiring, old.domain);
        (system.timers, system.outstanding, system.random) = (old.timers, old.outstanding, old.random);
        system.timers.reset(board.cntfrq);
        system.pmu = old.pmu;
        let now = system.wiring.as_ref().map_or(0, |wiring| wiring.time.clock().now());
        system.pmu.reset(features, now);
        system.user_ids = false;
        system.stored = reset_registers(features, board);
        (self.x, self.sp, self.head.pc, self.flags) = ([0; 31], 0, 0, 0);
        (self.v, self.qc, self.head.fp_flags) = ([0; 32], 0, 0);
        (self.tpidr_el0, self.tpidrro_el0, self.daif) = (0, 0, daif::ALL);
        self.exclusive_addr = u64::MAX;
        let highest = if board.has_el3 {
            3
        } else if board.has_el2 {
            2
        } else {
            1
        };
        (self.system.el, self.system.sp_sel) = (highest, true);
        with_mmu::<Aarch64, _>(self, |_, mmu| mmu.contexts.flush(None, |_| true));
    }

    /// The state in which PSCI's CPU_ON leaves a PE: after a reset, at `entry` in exception level `el` with `x0`. What
    /// levels above would have set up is set up.
    pub fn enter(&mut self, el: u8, entry: u64, x0: u64) {
        self.reset();
        let board = self.system.board;
        if board.has_el3 && el < 3 {
            let open = scr::NS | scr::RW | scr::HCE | scr::API | scr::APK | scr::EN_SCXT | scr::HXE_EN;
            let keys = if self.system.features.has(Ext::Pauth) { u64::MAX } else { !(scr::API | scr::APK) };
            self.system.set(Stored::ScrEl3, open & keys | 0x30);
        }
        if board.has_el2 && el < 2 {
            self.system.set(Stored::HcrEl2, hcr::RW | hcr::API | hcr::APK | hcr::EN_SCXT);
            self.system.set(Stored::CnthctlEl2, 3);
        }
        self.set_level(el, true);
        self.x[0] = x0;
        self.head.pc = entry;
    }
}

/// Registers whose value after a reset is not zero; where the manual leaves it open, QEMU's.
fn reset_registers(features: Features, board: Board) -> [u64; Stored::COUNT] {
    let mut stored = [0; Stored::COUNT];
    stored[Stored::SctlrEl1 as usize] = features.sctlr();
    stored[Stored::SctlrEl3 as usize] = features.sctlr();
    stored[Stored::MdcrEl2 as usize] = crate::pmu::COUNTERS as u64;
    stored[Stored::CnthctlEl2 as usize] = 3;
    stored[Stored::VpidrEl2 as usize] = features.midr();
    stored[Stored::VmpidrEl2 as usize] = 1 << 31 | board.mpidr;
    stored[Stored::ScrEl3 as usize] = 0x30 | scr::RW;
    stored
}
