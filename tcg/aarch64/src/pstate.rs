//! PSTATE, its copy in SPSR_ELx, and what changes with the exception level: D1.4, C5.2 (SPSR_ELx).

use crate::cpu::Cpu;
use crate::features::{Ext, IdReg};
use crate::sysreg::{Stored, nzcv, packed_flags};

/// Bits of SPSR_ELx.
pub mod spsr {
    /// Data independent timing.
    pub const DIT: u64 = 1 << 24;
    /// User access override.
    pub const UAO: u64 = 1 << 23;
    /// Privileged access never.
    pub const PAN: u64 = 1 << 22;
    /// Software step.
    pub const SS: u64 = 1 << 21;
    /// Illegal execution state.
    pub const IL: u64 = 1 << 20;
    /// Speculative store bypass safe.
    pub const SSBS: u64 = 1 << 12;
    /// Debug exceptions, SErrors, IRQs and FIQs are masked.
    pub const DAIF: u64 = 0xf << 6;
    /// AArch32.
    pub const AARCH32: u64 = 1 << 4;
    /// Exception level.
    pub const EL_SHIFT: u32 = 2;
    /// The stack pointer of the level.
    pub const SP: u64 = 1;
}

/// Bits of DAIF.
pub mod daif {
    /// Debug exceptions.
    pub const D: u64 = 1 << 9;
    /// IRQs.
    pub const I: u64 = 1 << 7;
    /// FIQs.
    pub const F: u64 = 1 << 6;
    /// All of them.
    pub const ALL: u64 = 0xf << 6;
}

impl Cpu {
    /// PSTATE as SPSR_ELx holds it.
    pub fn pstate(&self) -> u64 {
        let system = &self.system;
        let bit = |on: bool, bit: u64| if on { bit } else { 0 };
        nzcv(self.flags)
            | bit(system.dit, spsr::DIT)
            | bit(system.uao, spsr::UAO)
            | bit(system.pan, spsr::PAN)
            | bit(system.ss, spsr::SS)
            | bit(system.il, spsr::IL)
            | bit(system.ssbs, spsr::SSBS)
            | self.daif & daif::ALL
            | u64::from(system.el) << spsr::EL_SHIFT
            | bit(system.sp_sel, spsr::SP)
    }

    /// PSTATE becomes what SPSR_ELx holds, level and stack pointer left out.
    pub fn set_pstate(&mut self, value: u64) {
        let features = self.system.features;
        let has = |bit: u64, there: bool| value & bit != 0 && there;
        self.flags = packed_flags(value);
        self.daif = value & daif::ALL;
        let system = &mut self.system;
        system.dit = has(spsr::DIT, features.has(Ext::Dit));
        system.uao = has(spsr::UAO, features.field(IdReg::Mmfr2, 4) != 0);
        system.pan = has(spsr::PAN, features.field(IdReg::Mmfr1, 20) != 0);
        system.ssbs = has(spsr::SSBS, features.has(Ext::Ssbs));
        system.ss = has(spsr::SS, true);
        system.il = has(spsr::IL, true);
    }

    /// Which bank the stack pointer in use is of.
    fn sp_bank(&self) -> usize {
        if self.system.sp_sel { usize::from(self.system.el) } else { 0 }
    }

    /// Goes to level `el` with its stack pointer, or with that of EL0.
    pub fn set_level(&mut self, el: u8, sp_sel: bool) {
        let bank = self.sp_bank();
        self.system.stored[Stored::SpEl0 as usize + bank] = self.sp;
        (self.system.el, self.system.sp_sel) = (el, sp_sel && el != 0);
        self.sp = self.system.stored[Stored::SpEl0 as usize + self.sp_bank()];
        if self.system.pmu.depends_on_level {
            self.pm_moved();
        }
    }

    /// The stack pointer of level `el`.
    pub fn sp_of(&self, el: u8) -> u64 {
        if self.sp_bank() == usize::from(el) {
            self.sp
        } else {
            self.system.stored[Stored::SpEl0 as usize + usize::from(el)]
        }
    }

    /// Sets it.
    pub fn set_sp_of(&mut self, el: u8, value: u64) {
        if self.sp_bank() == usize::from(el) {
            self.sp = value;
        } else {
            self.system.stored[Stored::SpEl0 as usize + usize::from(el)] = value;
        }
    }
}
