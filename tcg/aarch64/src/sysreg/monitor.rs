//! Registers of EL3: D17.2.

use super::{Group, Needs, Row, Stored, encode, scr, sctlr, zero};
use crate::cpu::Cpu;
use crate::features::{Ext, IdReg};
use crate::mmu::{Regime, forget};

const ALL: u64 = u64::MAX;

const fn stored(name: &'static str, encoding: u16, place: Stored, mask: u64) -> Row {
    super::stored(name, encoding, place, mask).needs(Needs::El3)
}

fn sctlr_changed(cpu: &mut Cpu, old: u64) {
    if (cpu.system.get(Stored::SctlrEl3) ^ old) & sctlr::WALK != 0 {
        forget(cpu, Regime::El3);
    }
}

fn walk_changed<const REGISTER: u8>(cpu: &mut Cpu, old: u64) {
    if cpu.system.stored[REGISTER as usize] != old {
        forget(cpu, Regime::El3);
    }
}

/// SCR_EL3: bits of features that are not there can not be set; those that say that lower levels are AArch64 stay.
fn scr_changed(cpu: &mut Cpu, _: u64) {
    let features = cpu.system.features;
    let mut mask = 0x3abf;
    if cpu.system.board.has_el2 {
        mask |= scr::HCE;
    }
    let mut allow = |on: bool, bits: u64| mask |= if on { bits } else { 0 };
    allow(features.field(IdReg::Mmfr1, 16) != 0, 1 << 14);
    allow(features.field(IdReg::Pfr0, 28) != 0, 1 << 15);
    allow(features.has(Ext::Pauth), scr::APK | scr::API);
    allow(features.field(IdReg::Pfr0, 56) >= 2, 1 << 25);
    allow(features.field(IdReg::Mmfr1, 40) != 0, scr::HXE_EN);
    let value = cpu.system.get(Stored::ScrEl3) & mask | 0x30 | scr::RW;
    cpu.system.set(Stored::ScrEl3, value);
    cpu.update_points();
    cpu.pm_moved();
    crate::exception::look_for_interrupts(cpu);
}

/// The rows.
pub static ROWS: &[Row] = &[
    stored("SCTLR_EL3", encode(3, 6, 1, 0, 0), Stored::SctlrEl3, sctlr::MASK_EL3).changed(sctlr_changed),
    zero("ACTLR_EL3", encode(3, 6, 1, 0, 1)).needs(Needs::El3),
    stored("SCR_EL3", encode(3, 6, 1, 1, 0), Stored::ScrEl3, ALL).changed(scr_changed),
    stored("SDER32_EL3", encode(3, 6, 1, 1, 1), Stored::SderEl3, ALL),
    stored("CPTR_EL3", encode(3, 6, 1, 1, 2), Stored::CptrEl3, ALL).group(Group::Plain).resync(),
    stored("MDCR_EL3", encode(3, 6, 1, 3, 1), Stored::MdcrEl3, ALL).changed(|cpu, _| {
        cpu.update_points();
        cpu.pm_moved();
    }),
    stored("TTBR0_EL3", encode(3, 6, 2, 0, 0), Stored::Ttbr0El3, ALL).resync(),
    stored("TCR_EL3", encode(3, 6, 2, 0, 2), Stored::TcrEl3, ALL)
        .changed(walk_changed::<{ Stored::TcrEl3 as u8 }>),
    zero("AFSR0_EL3", encode(3, 6, 5, 1, 0)).needs(Needs::El3),
    zero("AFSR1_EL3", encode(3, 6, 5, 1, 1)).needs(Needs::El3),
    stored("MAIR_EL3", encode(3, 6, 10, 2, 0), Stored::MairEl3, ALL)
        .changed(walk_changed::<{ Stored::MairEl3 as u8 }>),
    zero("AMAIR_EL3", encode(3, 6, 10, 3, 0)).needs(Needs::El3),
    stored("VBAR_EL3", encode(3, 6, 12, 0, 0), Stored::VbarEl3, !0x1f),
    super::constant("RVBAR_EL3", encode(3, 6, 12, 0, 1), |_| 0).needs(Needs::El3),
    super::functions("RMR_EL3", encode(3, 6, 12, 0, 2), |_| 1, super::ignore).needs(Needs::El3),
];
