//! What a board decides about a PE, and the wires that it connects.

use crate::cpu::Cpu;
use crate::features::Features;
use crate::gic::GicCpuInterface;
use base::{CpuLines, IrqLine, TimeBase};
use std::sync::Arc;

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
    /// The GIC's CPU interface, if it has system registers.
    pub gic: Option<Arc<dyn GicCpuInterface>>,
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
        self.system.wiring = Some(wiring);
    }

    /// The state after a reset: at the highest exception level there is, with its stack pointer, interrupts masked,
    /// translation off, at the address in RVBAR (0).
    pub fn reset(&mut self) {
        let board = self.system.board;
        self.system.el = if board.has_el3 {
            3
        } else if board.has_el2 {
            2
        } else {
            1
        };
        (self.x, self.sp, self.head.pc) = ([0; 31], 0, 0);
        self.exclusive_addr = u64::MAX;
    }

    /// The state in which PSCI's CPU_ON leaves a PE: after a reset, at `entry` in exception level `el` with `x0`. What
    /// levels above would have set up is set up.
    pub fn enter(&mut self, el: u8, entry: u64, x0: u64) {
        self.reset();
        self.system.el = el;
        self.x[0] = x0;
        self.head.pc = entry;
    }
}
