//! Special-purpose registers, C5.2: what belongs to PSTATE, stack pointers, saved state, and what EL0 has.

use super::{Group, Needs, Place, Row, Stored, constant, encode, functions, ignore, stored};
use super::{fpsr, set_fpcr, set_fpsr};
use crate::cpu::{self, Cpu};
use crate::exception::look_for_interrupts;
use crate::features::{Ext, IdReg};
use crate::pstate::daif;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use tcg_core::cpu::RegId;

fn bit(value: bool, at: u32) -> u64 {
    u64::from(value) << at
}

const fn direct(name: &'static str, encoding: u16, reg: RegId) -> Row {
    Row::new(name, encoding, Place::Direct(reg))
}

/// Where the host has none to give there is still a number that nobody knows.
fn random(cpu: &mut Cpu) -> u64 {
    // PSTATE.{N,Z,C,V} say that there was one.
    cpu.flags = 0;
    if let Some(state) = &mut cpu.system.random {
        // SplitMix64.
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (*state ^ *state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        return mixed ^ mixed >> 31;
    }
    getrandom::u64().unwrap_or_else(|_| RandomState::new().hash_one(()))
}

/// DAIF becomes `value`; an interrupt that this lets in is looked for.
pub fn set_daif(cpu: &mut Cpu, value: u64) {
    cpu.daif = value & daif::ALL;
    cpu.update_step();
    look_for_interrupts(cpu);
}

/// The rows.
pub static ROWS: &[Row] = &[
    Row::new("NZCV", encode(3, 3, 4, 2, 0), Place::Nzcv),
    functions("DAIF", encode(3, 3, 4, 2, 1), |c| c.daif, set_daif).group(Group::Mask),
    constant("CurrentEL", encode(3, 0, 4, 2, 2), |c| u64::from(c.system.el) << 2),
    functions(
        "SPSel",
        encode(3, 0, 4, 2, 0),
        |c| bit(c.system.sp_sel, 0),
        |c, v| {
            let el = c.system.el;
            c.set_level(el, v & 1 != 0);
        },
    )
    .resync(),
    functions(
        "PAN",
        encode(3, 0, 4, 2, 3),
        |c| bit(c.system.pan, 22),
        |c, v| c.system.pan = v >> 22 & 1 != 0,
    )
    .needs(Needs::Field(IdReg::Mmfr1, 20, 1))
    .resync(),
    functions(
        "UAO",
        encode(3, 0, 4, 2, 4),
        |c| bit(c.system.uao, 23),
        |c, v| c.system.uao = v >> 23 & 1 != 0,
    )
    .needs(Needs::Field(IdReg::Mmfr2, 4, 1))
    .resync(),
    functions(
        "DIT",
        encode(3, 3, 4, 2, 5),
        |c| bit(c.system.dit, 24),
        |c, v| c.system.dit = v >> 24 & 1 != 0,
    )
    .needs(Needs::Ext(Ext::Dit)),
    functions(
        "SSBS",
        encode(3, 3, 4, 2, 6),
        |c| bit(c.system.ssbs, 12),
        |c, v| c.system.ssbs = v >> 12 & 1 != 0,
    )
    .needs(Needs::Ext(Ext::Ssbs2)),
    functions("FPCR", encode(3, 3, 4, 4, 0), |c| c.system.fpcr, set_fpcr)
        .needs(Needs::Ext(Ext::Fp))
        .group(Group::Float)
        .resync(),
    functions("FPSR", encode(3, 3, 4, 4, 1), fpsr, set_fpsr)
        .needs(Needs::Ext(Ext::Fp))
        .group(Group::Float)
        .resync(),
    functions("RNDR", encode(3, 3, 2, 4, 0), random, ignore)
        .levels(0, super::NEVER)
        .needs(Needs::Ext(Ext::Rng)),
    functions("RNDRRS", encode(3, 3, 2, 4, 1), random, ignore)
        .levels(0, super::NEVER)
        .needs(Needs::Ext(Ext::Rng)),
    direct("TPIDR_EL0", encode(3, 3, 13, 0, 2), cpu::TPIDR_EL0),
    direct("TPIDRRO_EL0", encode(3, 3, 13, 0, 3), cpu::TPIDRRO_EL0).levels(0, 1),
    direct("TPIDR_EL1", encode(3, 0, 13, 0, 4), cpu::TPIDR_EL1),
    stored("TPIDR_EL2", encode(3, 4, 13, 0, 2), Stored::TpidrEl2, u64::MAX).needs(Needs::El2),
    stored("TPIDR_EL3", encode(3, 6, 13, 0, 2), Stored::TpidrEl3, u64::MAX).needs(Needs::El3),
    functions("SP_EL0", encode(3, 0, 4, 1, 0), |c| c.sp_of(0), |c, v| c.set_sp_of(0, v))
        .group(Group::OtherStack),
    functions("SP_EL1", encode(3, 4, 4, 1, 0), |c| c.sp_of(1), |c, v| c.set_sp_of(1, v))
        .needs(Needs::El2OrEl3),
    functions("SP_EL2", encode(3, 6, 4, 1, 0), |c| c.sp_of(2), |c, v| c.set_sp_of(2, v)).needs(Needs::El3),
    direct("ELR_EL1", encode(3, 0, 4, 0, 1), cpu::ELR_EL1).host(encode(3, 4, 4, 0, 1)),
    direct("SPSR_EL1", encode(3, 0, 4, 0, 0), cpu::SPSR_EL1).host(encode(3, 4, 4, 0, 0)),
    direct("ESR_EL1", encode(3, 0, 5, 2, 0), cpu::ESR_EL1)
        .host(encode(3, 4, 5, 2, 0))
        .group(Group::VirtualMemory),
    direct("FAR_EL1", encode(3, 0, 6, 0, 0), cpu::FAR_EL1)
        .host(encode(3, 4, 6, 0, 0))
        .group(Group::VirtualMemory),
    stored("ELR_EL2", encode(3, 4, 4, 0, 1), Stored::ElrEl2, u64::MAX).needs(Needs::El2),
    stored("SPSR_EL2", encode(3, 4, 4, 0, 0), Stored::SpsrEl2, u64::MAX).needs(Needs::El2),
    stored("ESR_EL2", encode(3, 4, 5, 2, 0), Stored::EsrEl2, u64::MAX).needs(Needs::El2),
    stored("FAR_EL2", encode(3, 4, 6, 0, 0), Stored::FarEl2, u64::MAX).needs(Needs::El2),
    stored("ELR_EL3", encode(3, 6, 4, 0, 1), Stored::ElrEl3, u64::MAX).needs(Needs::El3),
    stored("SPSR_EL3", encode(3, 6, 4, 0, 0), Stored::SpsrEl3, u64::MAX).needs(Needs::El3),
    stored("ESR_EL3", encode(3, 6, 5, 2, 0), Stored::EsrEl3, u64::MAX).needs(Needs::El3),
    stored("FAR_EL3", encode(3, 6, 6, 0, 0), Stored::FarEl3, u64::MAX).needs(Needs::El3),
    stored("SPSR_irq", encode(3, 4, 4, 3, 0), Stored::SpsrIrq, u64::MAX).needs(Needs::El2OrEl3),
    stored("SPSR_abt", encode(3, 4, 4, 3, 1), Stored::SpsrAbt, u64::MAX).needs(Needs::El2OrEl3),
    stored("SPSR_und", encode(3, 4, 4, 3, 2), Stored::SpsrUnd, u64::MAX).needs(Needs::El2OrEl3),
    stored("SPSR_fiq", encode(3, 4, 4, 3, 3), Stored::SpsrFiq, u64::MAX).needs(Needs::El2OrEl3),
];
