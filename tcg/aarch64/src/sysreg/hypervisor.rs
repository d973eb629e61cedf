//! Registers of EL2: D17.2.

use super::{Group, Needs, Row, Stored, encode, hcr, sctlr, zero};
use crate::cpu::Cpu;
use crate::features::IdReg;
use crate::mmu::{Regime, forget};

const ALL: u64 = u64::MAX;

const fn stored(name: &'static str, encoding: u16, place: Stored, mask: u64) -> Row {
    super::stored(name, encoding, place, mask).needs(Needs::El2)
}

fn sctlr_changed(cpu: &mut Cpu, old: u64) {
    if (cpu.system.get(Stored::SctlrEl2) ^ old) & sctlr::WALK != 0 {
        forget(cpu, Regime::El2);
    }
}

/// HCR_EL2: bits of features that are not there can not be set.
fn hcr_changed(cpu: &mut Cpu, old: u64) {
    let features = cpu.system.features;
    let mut mask = 0x3_f7ff_fffe | hcr::VM | hcr::TGE;
    if cpu.system.board.has_el3 {
        mask &= !hcr::HCD;
    }
    let mut allow = |on: bool, bits: u64| mask |= if on { bits } else { 0 };
    allow(features.field(IdReg::Mmfr1, 8) != 0, hcr::E2H);
    allow(features.field(IdReg::Mmfr1, 16) != 0, 1 << 35);
    allow(features.field(IdReg::Pfr0, 28) != 0, 3 << 36);
    allow(features.has(crate::features::Ext::Pauth), 3 << 40);
    allow(features.field(IdReg::Mmfr2, 40) != 0, 1 << 46);
    allow(features.field(IdReg::Pfr0, 56) >= 2, 1 << 53);
    let value = cpu.system.get(Stored::HcrEl2) & mask;
    cpu.system.set(Stored::HcrEl2, value);
    if (value ^ old) & hcr::WALK != 0 {
        forget(cpu, Regime::El10);
        forget(cpu, Regime::El2);
    }
    cpu.update_points();
    crate::exception::look_for_interrupts(cpu);
}

fn walk_changed<const REGISTER: u8>(cpu: &mut Cpu, old: u64) {
    if cpu.system.stored[REGISTER as usize] != old {
        forget(cpu, Regime::El2);
    }
}

fn stage2_changed(cpu: &mut Cpu, old: u64) {
    if cpu.system.get(Stored::VtcrEl2) != old {
        forget(cpu, Regime::El10);
    }
}

/// VTTBR_EL2: another table under the same VMID.
fn table_changed(cpu: &mut Cpu, old: u64) {
    let new = cpu.system.get(Stored::VttbrEl2);
    if new != old && new >> 48 == old >> 48 {
        forget(cpu, Regime::El10);
    }
}

/// The rows.
pub static ROWS: &[Row] = &[
    stored("VPIDR_EL2", encode(3, 4, 0, 0, 0), Stored::VpidrEl2, ALL),
    stored("VMPIDR_EL2", encode(3, 4, 0, 0, 5), Stored::VmpidrEl2, ALL),
    stored("SCTLR_EL2", encode(3, 4, 1, 0, 0), Stored::SctlrEl2, sctlr::MASK_EL1).changed(sctlr_changed),
    zero("ACTLR_EL2", encode(3, 4, 1, 0, 1)).needs(Needs::El2),
    stored("HCR_EL2", encode(3, 4, 1, 1, 0), Stored::HcrEl2, ALL).changed(hcr_changed),
    stored("MDCR_EL2", encode(3, 4, 1, 1, 1), Stored::MdcrEl2, ALL).changed(|cpu, _| {
        cpu.update_points();
        cpu.pm_moved();
    }),
    stored("CPTR_EL2", encode(3, 4, 1, 1, 2), Stored::CptrEl2, ALL).group(Group::Cptr).resync(),
    stored("HSTR_EL2", encode(3, 4, 1, 1, 3), Stored::HstrEl2, ALL),
    zero("HACR_EL2", encode(3, 4, 1, 1, 7)).needs(Needs::El2),
    stored("HCRX_EL2", encode(3, 4, 1, 2, 2), Stored::HcrxEl2, 1 << 11)
        .needs(Needs::HcrX)
        .group(Group::HcrX)
        .resync(),
    stored("TTBR0_EL2", encode(3, 4, 2, 0, 0), Stored::Ttbr0El2, ALL).resync(),
    stored("TTBR1_EL2", encode(3, 4, 2, 0, 1), Stored::Ttbr1El2, ALL).needs(Needs::Host).resync(),
    stored("TCR_EL2", encode(3, 4, 2, 0, 2), Stored::TcrEl2, ALL)
        .changed(walk_changed::<{ Stored::TcrEl2 as u8 }>),
    stored("VTTBR_EL2", encode(3, 4, 2, 1, 0), Stored::VttbrEl2, ALL).changed(table_changed),
    stored("VTCR_EL2", encode(3, 4, 2, 1, 2), Stored::VtcrEl2, ALL).changed(stage2_changed),
    stored("DACR32_EL2", encode(3, 4, 3, 0, 0), Stored::Dacr32El2, ALL),
    stored("IFSR32_EL2", encode(3, 4, 5, 0, 1), Stored::Ifsr32El2, ALL),
    stored("FPEXC32_EL2", encode(3, 4, 5, 3, 0), Stored::Fpexc32El2, ALL).group(Group::Float),
    zero("AFSR0_EL2", encode(3, 4, 5, 1, 0)).needs(Needs::El2),
    zero("AFSR1_EL2", encode(3, 4, 5, 1, 1)).needs(Needs::El2),
    stored("VSESR_EL2", encode(3, 4, 5, 2, 3), Stored::VsesrEl2, ALL).needs(Needs::HypervisorRas),
    stored("HPFAR_EL2", encode(3, 4, 6, 0, 4), Stored::HpfarEl2, ALL),
    stored("MAIR_EL2", encode(3, 4, 10, 2, 0), Stored::MairEl2, ALL)
        .changed(walk_changed::<{ Stored::MairEl2 as u8 }>),
    zero("AMAIR_EL2", encode(3, 4, 10, 3, 0)).needs(Needs::El2),
    stored("VBAR_EL2", encode(3, 4, 12, 0, 0), Stored::VbarEl2, !0x1f),
    super::constant("RVBAR_EL2", encode(3, 4, 12, 0, 1), |_| 0).needs(Needs::HighestEl2),
    super::functions("RMR_EL2", encode(3, 4, 12, 0, 2), |_| 1, super::ignore).needs(Needs::HighestEl2),
    stored("VDISR_EL2", encode(3, 4, 12, 1, 1), Stored::VdisrEl2, ALL).needs(Needs::HypervisorRas),
    stored("CONTEXTIDR_EL2", encode(3, 4, 13, 0, 1), Stored::ContextidrEl2, ALL).needs(Needs::Host),
];
