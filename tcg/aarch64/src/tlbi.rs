//! TLB maintenance: D8.14, C5.5 (TLBI). An instruction acts on this PE at once. What it is to do on the others is kept until
//! the next DSB, which tells them and is done when they have done it: only a DSB completes maintenance.
//!
//! More may be forgotten than is named: global entries are in the contexts of all ASIDs, so an address is forgotten in all
//! of them, maintenance by ASID forgets those that are in its contexts, and maintenance by intermediate address all of the VMID.

use crate::Aarch64;
use crate::cpu::Cpu;
use crate::features::IdReg;
use crate::mmu::{Regime, key};
use crate::sysreg::hcr;
use base::PAGE_SIZE;
use std::sync::{Arc, OnceLock};
use tcg_core::run::{Handle, Vcpu, with_mmu};

/// The PEs that share translations: the Inner Shareable domain.
#[derive(Default)]
pub struct Domain {
    pes: OnceLock<Vec<Arc<Handle<Aarch64>>>>,
}

impl Domain {
    /// Puts `vcpus` into one domain: once for a machine, before it runs.
    pub fn connect(vcpus: &mut [Vcpu<Aarch64>]) {
        let domain = Arc::new(Self::default());
        // It was made just now, so it is empty.
        let _ = domain.pes.set(vcpus.iter().map(|vcpu| vcpu.handle().clone()).collect());
        for vcpu in vcpus {
            vcpu.cpu_mut().system.domain = Some(domain.clone());
        }
    }

    /// Every PE in it.
    pub fn pes(&self) -> &[Arc<Handle<Aarch64>>] {
        self.pes.get().map_or(&[], Vec::as_slice)
    }
}

/// Which contexts are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    /// Those of a regime.
    Regime(Regime),
    /// Those of EL1 and EL0 with a VMID.
    Vmid(u64),
    /// Those of EL1 and EL0 with a VMID and an ASID.
    VmidAsid(u64, u64),
    /// Those of a host with an ASID.
    HostAsid(u64),
}

impl Of {
    fn holds(self, key: u128) -> bool {
        match self {
            Self::Regime(regime) => key::is_of(key, regime),
            Self::Vmid(vmid) => key::is_of(key, Regime::El10) && key::has_vmid(key, vmid),
            Self::VmidAsid(vmid, asid) => {
                key::is_of(key, Regime::El10) && key::has_vmid(key, vmid) && key::has_asid(key, asid)
            }
            Self::HostAsid(asid) => key::is_of(key, Regime::El20) && key::has_asid(key, asid),
        }
    }

    /// Whether pages of all ASIDs are among them.
    fn has_globals(self) -> bool {
        matches!(self, Self::Regime(_) | Self::Vmid(_))
    }
}

/// Something to be forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invalidation {
    of: Of,
    /// First and last address; `None`: all.
    addrs: Option<(u64, u64)>,
}

/// Ranges longer than this many pages are forgotten as a whole.
const MOST_PAGES: u64 = 64;
/// What is kept for the next DSB; more than that is everything.
const MOST_UNTOLD: usize = 128;

impl Invalidation {
    fn carry_out(self, cpu: &mut Cpu) {
        with_mmu::<Aarch64, _>(cpu, |_, mmu| match self.addrs {
            Some((first, last)) if (last - first) / PAGE_SIZE < MOST_PAGES => {
                for page in (first..=last).step_by(PAGE_SIZE as usize) {
                    mmu.contexts.flush(Some(page), |key| self.of.holds(key));
                }
            }
            _ => mmu.contexts.flush(None, |key| self.of.holds(key)),
        });
        if self.of.has_globals() && self.addrs.is_none() {
            // They may be other pages from now on.
            cpu.system.kernel_by_asid = false;
        }
    }
}

/// How far an instruction reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    Local,
    /// Inner or Outer Shareable: all PEs.
    Shared,
}

/// A TLBI instruction, taken apart.
struct Tlbi {
    /// Level whose entries it names.
    el: u8,
    kind: Kind,
    reach: Reach,
    /// FEAT_TLBIOS and FEAT_TLBIRANGE are 1 and 2.
    needs: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// All of the level.
    All,
    /// All of EL1 and EL0, of every VMID.
    AllEl1,
    /// All of the VMID, both stages.
    Stages12,
    /// By address.
    Address,
    /// By address range.
    Range,
    /// By ASID.
    Asid,
    /// By intermediate address.
    Intermediate,
}

/// The instruction of an encoding.
fn decode(reg: u16) -> Option<Tlbi> {
    let (op1, crn, crm, op2) = (reg >> 11 & 7, reg >> 7 & 15, reg >> 3 & 15, reg & 7);
    let el = match op1 {
        0 => 1,
        4 => 2,
        6 => 3,
        _ => return None,
    };
    if crn != 8 {
        return None;
    }
    if el == 2 && matches!(crm, 0 | 4) {
        let (reach, needs) = match (crm, op2) {
            (0, 1 | 5) => (Reach::Shared, 0),
            (0, 2 | 6) => (Reach::Shared, 2),
            (4, 1 | 5) => (Reach::Local, 0),
            (4, 2 | 6) => (Reach::Local, 2),
            (4, 0 | 4) => (Reach::Shared, 1),
            (4, 3 | 7) => (Reach::Shared, 2),
            _ => return None,
        };
        return Some(Tlbi { el, kind: Kind::Intermediate, reach, needs });
    }
    let (range, reach, needs) = match crm {
        7 => (false, Reach::Local, 0),
        3 => (false, Reach::Shared, 0),
        1 => (false, Reach::Shared, 1),
        6 => (true, Reach::Local, 2),
        2 | 5 => (true, Reach::Shared, 2),
        _ => return None,
    };
    let kind = match (el, range, op2) {
        (_, false, 0) => Kind::All,
        (_, false, 1 | 5) | (1, false, 3 | 7) => Kind::Address,
        (1, false, 2) => Kind::Asid,
        (2, false, 4) => Kind::AllEl1,
        (2, false, 6) => Kind::Stages12,
        (_, true, 1 | 5) | (1, true, 3 | 7) => Kind::Range,
        _ => return None,
    };
    Some(Tlbi { el, kind, reach, needs })
}

/// The addresses that the operand of an instruction by address names.
fn address(operand: u64) -> (u64, u64) {
    let addr = (operand << 20) as i64 >> 8;
    (addr as u64, addr as u64)
}

/// The addresses that the operand of an instruction by range names.
fn range(operand: u64, ds: bool) -> Option<(u64, u64)> {
    let granule = match operand >> 46 & 3 {
        1 => 12,
        2 => 14,
        3 => 16,
        _ => return None,
    };
    let base = (operand << 27) as i64 >> 27;
    let first = if ds { base << 16 } else { base << granule } as u64;
    let (number, scale) = (operand >> 39 & 31, operand >> 44 & 3);
    let bytes = (number + 1) << (5 * scale + 1) << granule;
    Some((first, first.saturating_add(bytes - 1)))
}

/// Whether `reg` (as [`crate::sysreg::encode`] with op0 1 makes it) is a TLBI that the PE has, and the lowest level that has it.
pub fn level(cpu: &Cpu, reg: u16) -> Option<u8> {
    let tlbi = decode(reg)?;
    let there = cpu.system.features.field(IdReg::Isar0, 56) >= tlbi.needs;
    let has_level = match tlbi.el {
        2 => cpu.system.board.has_el2,
        3 => cpu.system.board.has_el3,
        _ => true,
    };
    (there && has_level).then_some(tlbi.el)
}

/// Carries out a TLBI.
pub fn run(cpu: &mut Cpu, reg: u16, operand: u64) {
    let Some(tlbi) = decode(reg) else { return };
    let system = &cpu.system;
    let host = system.el >= 2 && system.in_host();
    let vmid = key::vmid(system);
    let asid = operand >> 48;
    let (el1, el2) = (Of::Vmid(vmid), if system.is_host_el2() { Regime::El20 } else { Regime::El2 });
    let of = match (tlbi.kind, tlbi.el) {
        (Kind::AllEl1, _) => Of::Regime(Regime::El10),
        (Kind::Stages12 | Kind::Intermediate, _) => el1,
        (Kind::Asid, _) if host => Of::HostAsid(asid),
        (Kind::Asid, _) => Of::VmidAsid(vmid, asid),
        (_, 1) if host => Of::Regime(Regime::El20),
        (_, 1) => el1,
        (_, 2) => Of::Regime(el2),
        _ => Of::Regime(Regime::El3),
    };
    let addrs = match tlbi.kind {
        Kind::Address => Some(address(operand)),
        Kind::Range => {
            // DS of the regime's TCR says in what unit the base is.
            let regime = if tlbi.el == 1 && host { 2 } else { tlbi.el };
            let tcr = system.banked(crate::sysreg::Stored::TcrEl1, regime);
            let at = if regime == 1 || el2 == Regime::El20 && regime == 2 { 59 } else { 32 };
            match range(operand, tcr >> at & 1 != 0) {
                Some(range) => Some(range),
                None => return,
            }
        }
        _ => None,
    };
    let invalidation = Invalidation { of, addrs };
    invalidation.carry_out(cpu);
    let forced = cpu.system.el == 1 && cpu.system.hcr() & hcr::FB != 0;
    if tlbi.reach == Reach::Shared || forced {
        tell_later(cpu, invalidation);
    }
}

fn tell_later(cpu: &mut Cpu, invalidation: Invalidation) {
    let others = cpu.system.domain.as_ref().is_some_and(|domain| domain.pes().len() > 1);
    let untold = &mut cpu.system.untold;
    if !others || untold.last() == Some(&invalidation) {
        return;
    }
    if untold.len() == MOST_UNTOLD {
        untold.clear();
        untold.extend(
            [Regime::El10, Regime::El2, Regime::El20, Regime::El3]
                .map(|regime| Invalidation { of: Of::Regime(regime), addrs: None }),
        );
    }
    untold.push(invalidation);
}

/// DSB: tells the other PEs; true when they have done all that they were told, or will have before they do anything else.
pub fn complete(cpu: &mut Cpu) -> bool {
    let untold = std::mem::take(&mut cpu.system.untold);
    if !untold.is_empty()
        && let Some(domain) = cpu.system.domain.clone()
    {
        let untold: Arc<[Invalidation]> = untold.into();
        let this = cpu.system.board.number;
        for (_, handle) in domain.pes().iter().enumerate().filter(|(n, _)| *n != this) {
            let untold = untold.clone();
            cpu.system.outstanding.push(handle.give(move |vcpu| {
                untold.iter().for_each(|invalidation| invalidation.carry_out(vcpu.cpu_mut()));
            }));
        }
    }
    cpu.system.outstanding.retain(|errand| !errand.is_over());
    cpu.head.ticks().is_some() || cpu.system.outstanding.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operands_name_addresses() {
        assert_eq!(address(0x0000_0fff_ffff_ffff), (0xffff_ffff_ffff_f000, 0xffff_ffff_ffff_f000));
        assert_eq!(address(0x1234_0000_0000_0400), (0x40_0000, 0x40_0000));
        // TG 4K, scale 0, number 1: four pages.
        assert_eq!(range(1 << 46 | 1 << 39 | 0x10, false), Some((0x1_0000, 0x1_3fff)));
        assert_eq!(range(3 << 46 | 1 << 44 | 0x10, false), Some((0x10_0000, 0x10_0000 + 64 * 0x1_0000 - 1)));
        assert_eq!(range(0, false), None);
    }
}
