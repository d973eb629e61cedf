//! What privileged instructions do, behind the helpers that translations call.

use crate::Riscv;
use crate::cpu::Hart;
use crate::csr::bits::{envcfg, mstatus};
use crate::csr::{self, Access, Illegal, Priv, Refused};
use crate::{mmu, trap};
use std::sync::atomic::Ordering;
use tcg_core::run::with_mmu;

/// Brings what depends on the CSRs up to date after a change: the tables that translations use, and the request to
/// look at interrupts if one can be taken now.
pub fn settle(hart: &mut Hart) {
    with_mmu::<Riscv, _>(hart, |hart, mmu| mmu.sync::<Riscv>(hart));
    look_for_interrupts(hart);
}

/// Asks the hart to take an interrupt that it can take now.
fn look_for_interrupts(hart: &mut Hart) {
    if hart.csr.deliverable().is_some() {
        // SAFETY: null, or set by `Vcpu::new` to a word that lives as long as the vCPU.
        if let Some(request) = unsafe { hart.head.request.as_ref() } {
            request.store(1, Ordering::SeqCst);
        }
    }
}

/// Carries out a CSR instruction; gives the old value. Where it is refused because instructions are not counted yet,
/// they are from now on, and it can be run again.
pub fn csr_access(hart: &mut Hart, access: Access, operand: u64) -> Result<u64, Refused> {
    let status = hart.csr.mstatus;
    let old = match csr::access(hart, access, operand) {
        Err(Refused::Uncounted) => {
            hart.count_instructions();
            settle(hart);
            return Err(Refused::Uncounted);
        }
        done => done?,
    };
    if access.write.is_none() {
        return Ok(old);
    }
    if csr::is_status(access.number) && (hart.csr.mstatus ^ status) & !mstatus::INTERRUPTS == 0 {
        look_for_interrupts(hart);
    } else {
        settle(hart);
    }
    Ok(old)
}

/// `mret`; gives the address to go on at.
pub fn mret(hart: &mut Hart) -> Result<u64, Illegal> {
    if hart.csr.privilege != Priv::M {
        return Err(Illegal);
    }
    let pc = trap::mret(hart);
    settle(hart);
    Ok(pc)
}

/// `sret`; gives the address to go on at.
pub fn sret(hart: &mut Hart) -> Result<u64, Illegal> {
    let trapped = hart.csr.privilege == Priv::S && hart.csr.mstatus & mstatus::TSR != 0;
    if hart.csr.privilege == Priv::U || trapped {
        return Err(Illegal);
    }
    let pc = trap::sret(hart);
    settle(hart);
    Ok(pc)
}

/// Whether `wfi` may wait here.
pub fn wfi(hart: &Hart) -> Result<(), Illegal> {
    let privilege = hart.csr.privilege;
    let trapped = privilege != Priv::M && hart.csr.mstatus & mstatus::TW != 0;
    if privilege == Priv::U || trapped { Err(Illegal) } else { Ok(()) }
}

/// `sfence.vma` and the Svinval instructions.
pub fn sfence_vma(hart: &mut Hart, addr: Option<u64>, asid: Option<u64>) -> Result<(), Illegal> {
    fence_allowed(hart, true)?;
    mmu::flush(hart, addr, asid);
    settle(hart);
    Ok(())
}

/// Whether address-translation fences may be used here; TVM forbids those that name translations.
pub fn fence_allowed(hart: &Hart, names_translations: bool) -> Result<(), Illegal> {
    let virtual_memory = hart.csr.mstatus & mstatus::TVM != 0 && names_translations;
    match hart.csr.privilege {
        Priv::M => Ok(()),
        Priv::S if !virtual_memory => Ok(()),
        _ => Err(Illegal),
    }
}

/// Cache-block management instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cbo {
    /// `cbo.inval`.
    Inval,
    /// `cbo.clean`, `cbo.flush`.
    CleanFlush,
    /// `cbo.zero`.
    Zero,
}

/// Whether a cache-block instruction may be used here: `menvcfg` rules below M, `senvcfg` below S as well.
pub fn cbo_allowed(hart: &Hart, kind: Cbo) -> Result<(), Illegal> {
    let mask = match kind {
        Cbo::Inval => envcfg::CBIE,
        Cbo::CleanFlush => envcfg::CBCFE,
        Cbo::Zero => envcfg::CBZE,
    };
    let by_machine = hart.csr.privilege == Priv::M || hart.csr.menvcfg & mask != 0;
    let by_supervisor = hart.csr.privilege != Priv::U || hart.csr.senvcfg & mask != 0;
    if by_machine && by_supervisor { Ok(()) } else { Err(Illegal) }
}
