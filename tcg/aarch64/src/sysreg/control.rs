//! General system control registers of EL1: D17.2.

use super::{Group, Needs, Row, Stored, encode, functions, sctlr, stored, zero};
use crate::cpu::Cpu;
use crate::features::{Ext, IdReg};
use crate::mmu::{Regime, forget};

/// SCTLR_EL1 was written.
fn sctlr_changed(cpu: &mut Cpu, old: u64) {
    if (cpu.system.get(Stored::SctlrEl1) ^ old) & sctlr::WALK != 0 {
        forget(cpu, Regime::El10);
    }
}

/// A register that page walks of EL1 depend on was written.
fn walk_changed<const REGISTER: u8>(cpu: &mut Cpu, old: u64) {
    if cpu.system.stored[REGISTER as usize] != old {
        forget(cpu, Regime::El10);
    }
}

const ALL: u64 = u64::MAX;

macro_rules! key {
    ($name:literal, $crm:literal, $op2:literal, $n:literal, $half:literal) => {
        functions(
            $name,
            encode(3, 0, 2, $crm, $op2),
            |cpu| cpu.system.keys[$n][$half],
            |cpu, value| cpu.system.keys[$n][$half] = value,
        )
        .needs(Needs::Ext(Ext::Pauth))
        .group(Group::Key)
    };
}

/// LORegions are there but none is defined.
const LOR: Needs = Needs::Ext(Ext::Lor);
const RAS: Needs = Needs::Field(IdReg::Pfr0, 28, 1);
const CSV2_2: Needs = Needs::Field(IdReg::Pfr0, 56, 2);

/// The rows.
pub static ROWS: &[Row] = &[
    stored("SCTLR_EL1", encode(3, 0, 1, 0, 0), Stored::SctlrEl1, sctlr::MASK_EL1)
        .host(encode(3, 4, 1, 0, 0))
        .group(Group::VirtualMemory)
        .changed(sctlr_changed),
    zero("ACTLR_EL1", encode(3, 0, 1, 0, 1)).group(Group::Auxiliary),
    stored("CPACR_EL1", encode(3, 0, 1, 0, 2), Stored::CpacrEl1, ALL)
        .host(encode(3, 4, 1, 1, 2))
        .group(Group::Cpacr)
        .resync(),
    stored("TTBR0_EL1", encode(3, 0, 2, 0, 0), Stored::Ttbr0El1, ALL)
        .host(encode(3, 4, 2, 0, 0))
        .group(Group::VirtualMemory)
        .resync(),
    stored("TTBR1_EL1", encode(3, 0, 2, 0, 1), Stored::Ttbr1El1, ALL)
        .host(encode(3, 4, 2, 0, 1))
        .group(Group::VirtualMemory)
        .resync(),
    stored("TCR_EL1", encode(3, 0, 2, 0, 2), Stored::TcrEl1, ALL)
        .host(encode(3, 4, 2, 0, 2))
        .group(Group::VirtualMemory)
        .changed(walk_changed::<{ Stored::TcrEl1 as u8 }>),
    key!("APIAKeyLo_EL1", 1, 0, 0, 0),
    key!("APIAKeyHi_EL1", 1, 1, 0, 1),
    key!("APIBKeyLo_EL1", 1, 2, 1, 0),
    key!("APIBKeyHi_EL1", 1, 3, 1, 1),
    key!("APDAKeyLo_EL1", 2, 0, 2, 0),
    key!("APDAKeyHi_EL1", 2, 1, 2, 1),
    key!("APDBKeyLo_EL1", 2, 2, 3, 0),
    key!("APDBKeyHi_EL1", 2, 3, 3, 1),
    key!("APGAKeyLo_EL1", 3, 0, 4, 0),
    key!("APGAKeyHi_EL1", 3, 1, 4, 1),
    zero("AFSR0_EL1", encode(3, 0, 5, 1, 0)).host(encode(3, 4, 5, 1, 0)).group(Group::VirtualMemory),
    zero("AFSR1_EL1", encode(3, 0, 5, 1, 1)).host(encode(3, 4, 5, 1, 1)).group(Group::VirtualMemory),
    functions("ERRIDR_EL1", encode(3, 0, 5, 3, 0), |_| 0, super::ignore)
        .levels(1, super::NEVER)
        .needs(RAS)
        .group(Group::ErrorRecord),
    stored("PAR_EL1", encode(3, 0, 7, 4, 0), Stored::ParEl1, ALL),
    stored("MAIR_EL1", encode(3, 0, 10, 2, 0), Stored::MairEl1, ALL)
        .host(encode(3, 4, 10, 2, 0))
        .group(Group::VirtualMemory)
        .changed(walk_changed::<{ Stored::MairEl1 as u8 }>),
    zero("AMAIR_EL1", encode(3, 0, 10, 3, 0)).host(encode(3, 4, 10, 3, 0)).group(Group::VirtualMemory),
    zero("LORSA_EL1", encode(3, 0, 10, 4, 0)).needs(LOR).group(Group::LimitedOrdering),
    zero("LOREA_EL1", encode(3, 0, 10, 4, 1)).needs(LOR).group(Group::LimitedOrdering),
    zero("LORN_EL1", encode(3, 0, 10, 4, 2)).needs(LOR).group(Group::LimitedOrdering),
    zero("LORC_EL1", encode(3, 0, 10, 4, 3)).needs(LOR).group(Group::LimitedOrdering),
    functions("LORID_EL1", encode(3, 0, 10, 4, 7), |_| 0, super::ignore)
        .levels(1, super::NEVER)
        .needs(LOR)
        .group(Group::LimitedOrdering),
    stored("VBAR_EL1", encode(3, 0, 12, 0, 0), Stored::VbarEl1, !0x1f).host(encode(3, 4, 12, 0, 0)),
    functions("RVBAR_EL1", encode(3, 0, 12, 0, 1), |_| 0, super::ignore)
        .levels(1, super::NEVER)
        .needs(Needs::OnlyEl1),
    functions("RMR_EL1", encode(3, 0, 12, 0, 2), |_| 1, super::ignore).needs(Needs::OnlyEl1),
    functions("ISR_EL1", encode(3, 0, 12, 1, 0), pending, super::ignore).levels(1, super::NEVER),
    stored("DISR_EL1", encode(3, 0, 12, 1, 1), Stored::DisrEl1, ALL).needs(RAS),
    stored("CONTEXTIDR_EL1", encode(3, 0, 13, 0, 1), Stored::ContextidrEl1, ALL)
        .host(encode(3, 4, 13, 0, 1))
        .group(Group::VirtualMemory),
    stored("SCXTNUM_EL0", encode(3, 3, 13, 0, 7), Stored::ScxtnumEl0, ALL)
        .needs(CSV2_2)
        .group(Group::ContextNumber),
    stored("SCXTNUM_EL1", encode(3, 0, 13, 0, 7), Stored::ScxtnumEl1, ALL)
        .host(encode(3, 4, 13, 0, 7))
        .needs(CSV2_2)
        .group(Group::ContextNumber),
    stored("SCXTNUM_EL2", encode(3, 4, 13, 0, 7), Stored::ScxtnumEl2, ALL)
        .needs(CSV2_2)
        .group(Group::ContextNumber),
    stored("SCXTNUM_EL3", encode(3, 6, 13, 0, 7), Stored::ScxtnumEl3, ALL)
        .needs(CSV2_2)
        .group(Group::ContextNumber),
];

/// ISR_EL1: what is pending, masked or not.
fn pending(cpu: &mut Cpu) -> u64 {
    use super::hcr;
    use crate::irq;
    let (levels, hcr) = (irq::as_signalled(&cpu.system, cpu.levels()), cpu.system.hcr());
    let on = |line: u32| levels >> line & 1 != 0;
    let guest = cpu.system.el == 1;
    let irq = if guest && hcr & hcr::IMO != 0 { on(irq::VIRQ) || hcr & hcr::VI != 0 } else { on(irq::IRQ) };
    let fiq = if guest && hcr & hcr::FMO != 0 { on(irq::VFIQ) || hcr & hcr::VF != 0 } else { on(irq::FIQ) };
    u64::from(irq) << 7 | u64::from(fiq) << 6
}
