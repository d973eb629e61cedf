//! Address translation: RISC-V Privileged ISA 20240411, 4.3 to 4.6 (Sv39, Sv48, Sv57), chapters on Svnapot, Svpbmt,
//! Svadu and Svinval. Protection of physical memory is in `pmp`.

mod look;

pub use look::{mappings, translate};

use crate::Riscv;
use crate::cpu::Hart;
use crate::csr::bits::{cause, envcfg, mstatus};
use crate::csr::{Csrs, Priv};
use crate::features::{Ext, Features};
use crate::pmp::Rights;
use base::PAGE_SHIFT;
use tcg_core::guest::{Access, Page, PhysMem, Trap};
use tcg_core::run::with_mmu;

const V: u64 = 1;
const R: u64 = 1 << 1;
const W: u64 = 1 << 2;
const X: u64 = 1 << 3;
const U: u64 = 1 << 4;
const G: u64 = 1 << 5;
const A: u64 = 1 << 6;
const D: u64 = 1 << 7;
/// Memory type (Svpbmt).
const PBMT: u64 = 3 << 61;
/// Naturally aligned power-of-two range of pages (Svnapot).
const N: u64 = 1 << 63;
const RESERVED: u64 = 0x7f << 54;
const PPN_SHIFT: u32 = 10;
const PPN: u64 = (1 << 44) - 1;

/// `satp` mode of bare addressing.
const BARE: u64 = 0;

/// Levels of page tables that a `satp` mode has; `None` for bare and reserved modes.
fn levels(mode: u64) -> Option<u32> {
    match mode {
        8 => Some(3),
        9 => Some(4),
        10 => Some(5),
        _ => None,
    }
}

/// Whether a hart with `features` can have `satp`.
pub fn satp_is_legal(features: &Features, satp: u64) -> bool {
    match satp >> 60 {
        BARE | 8 => true,
        9 => features.has(Ext::Sv48),
        10 => features.has(Ext::Sv57),
        _ => false,
    }
}

/// Writes `satp`; a mode that the hart lacks makes the write have no effect.
pub fn write_satp(hart: &mut Hart, value: u64) {
    if satp_is_legal(&hart.csr.features, value) {
        hart.csr.satp = value;
    }
}

/// What decides the outcome of a data access, packed for [`tcg_core::guest::Context`].
pub fn data_context(csr: &Csrs) -> u128 {
    let privilege = csr.data_privilege();
    let overrides = csr.mstatus & (mstatus::SUM | mstatus::MXR);
    context(csr, privilege) | u128::from(overrides) << 72
}

/// What decides the outcome of a fetch.
pub fn code_context(csr: &Csrs) -> u128 {
    context(csr, csr.privilege)
}

fn context(csr: &Csrs, privilege: Priv) -> u128 {
    let satp = if privilege == Priv::M { 0 } else { csr.satp };
    u128::from(satp) | u128::from(privilege as u8) << 64
}

/// Forgets every cached translation of this hart.
pub fn flush_all(hart: &mut Hart) {
    with_mmu::<Riscv, _>(hart, |_, mmu| mmu.contexts.flush(None, |_| true));
}

/// `sfence.vma`: forgets translations of `addr` (all if `None`) in address space `asid` (all if `None`).
pub fn flush(hart: &mut Hart, addr: Option<u64>, asid: Option<u64>) {
    // Global pages may be kept when an ASID is named; forgetting them as well is allowed.
    let matches = |key: u128| asid.is_none_or(|asid| key as u64 >> 44 & 0xffff == asid & 0xffff);
    with_mmu::<Riscv, _>(hart, |_, mmu| mmu.contexts.flush(addr, matches));
}

fn page_fault(addr: u64, access: Access) -> Trap {
    let code = match access {
        Access::Fetch => cause::FETCH_PAGE,
        Access::Read => cause::LOAD_PAGE,
        Access::Write => cause::STORE_PAGE,
    };
    Trap { code, value: addr }
}

/// A bus error, or a violation of physical memory protection.
pub fn access_fault(addr: u64, access: Access) -> Trap {
    let code = match access {
        Access::Fetch => cause::FETCH_ACCESS,
        Access::Read => cause::LOAD_ACCESS,
        Access::Write => cause::STORE_ACCESS,
    };
    Trap { code, value: addr }
}

/// An unaligned access that must be aligned.
pub fn misaligned(addr: u64, access: Access) -> Trap {
    let code = match access {
        Access::Fetch => cause::FETCH_MISALIGNED,
        Access::Read => cause::LOAD_MISALIGNED,
        Access::Write => cause::STORE_MISALIGNED,
    };
    Trap { code, value: addr }
}

/// Translates `addr`.
pub fn walk(hart: &mut Hart, mem: &dyn PhysMem, addr: u64, access: Access) -> Result<Page, Trap> {
    let csr = &hart.csr;
    let privilege = if access == Access::Fetch { csr.privilege } else { csr.data_privilege() };
    log_start(csr, (addr, access), privilege);
    let mapped = map(csr, mem, (addr, access), privilege);
    log_mapped(addr, &mapped);
    let mapped = mapped?;
    let protected = protect(csr, mapped, (addr, access), privilege);
    log_protected(mapped.phys, &protected);
    protected
}

/// Reports the beginning of a walk, for `-d mmu`.
fn log_start(csr: &Csrs, (addr, access): (u64, Access), privilege: Priv) {
    // As QEMU numbers accesses and its contexts: 2 is S-mode that may access user pages.
    let kind = match access {
        Access::Read => 0,
        Access::Write => 1,
        Access::Fetch => 2,
    };
    let sum = privilege == Priv::S && access != Access::Fetch && csr.mstatus & mstatus::SUM != 0;
    let index = if sum { 2 } else { privilege as u8 };
    tracing::trace!(target: "mmu", "riscv_cpu_tlb_fill ad {addr:x} rw {kind} mmu_idx {index}");
}

/// Reports what the page tables made of `addr`, for `-d mmu`.
fn log_mapped(addr: u64, mapped: &Result<Page, Trap>) {
    let (ret, physical) = mapped.map_or((1, 0), |page| (0, page.phys));
    let prot = rights(mapped);
    tracing::trace!(
        target: "mmu",
        "riscv_cpu_tlb_fill address={addr:x} ret {ret} physical {physical:016x} prot {prot}"
    );
}

/// Reports what physical memory protection made of `physical`, for `-d mmu`.
fn log_protected(physical: u64, protected: &Result<Page, Trap>) {
    let (ret, size) = protected.map_or((2, 0), |page| (0, 1u64 << page.size_log2.min(PAGE_SHIFT)));
    let prot = rights(protected);
    tracing::trace!(
        target: "mmu",
        "riscv_cpu_tlb_fill PMP address={physical:016x} ret {ret} prot {prot} tlb_size {size}"
    );
}

/// As QEMU writes them: 1 for loads, 2 for stores, 4 for fetches.
fn rights(page: &Result<Page, Trap>) -> u8 {
    page.map_or(0, |page| u8::from(page.read) | u8::from(page.write) << 1 | u8::from(page.fetch) << 2)
}

/// What the page tables make of `addr`.
fn map(csr: &Csrs, mem: &dyn PhysMem, (addr, access): (u64, Access), privilege: Priv) -> Result<Page, Trap> {
    match levels(csr.satp >> 60) {
        Some(levels) if privilege != Priv::M => walk_tables(csr, mem, (addr, access), privilege, levels),
        _ => Ok(Page { phys: addr, size_log2: 30, read: true, write: true, fetch: true, aligned: false }),
    }
}

/// Narrows a mapping to what physical memory protection allows.
fn protect(csr: &Csrs, page: Page, (addr, access): (u64, Access), privilege: Priv) -> Result<Page, Trap> {
    let (size_log2, rights) = [page.size_log2, PAGE_SHIFT, 0]
        .into_iter()
        .find_map(|size| Some((size, csr.pmp.rights(page.phys, size, privilege)?)))
        .unwrap_or((0, Rights::NONE));
    let allowed = match access {
        Access::Fetch => rights.fetch,
        Access::Read => rights.read,
        Access::Write => rights.write,
    };
    if !allowed {
        return Err(access_fault(addr, access));
    }
    Ok(Page {
        size_log2,
        read: page.read && rights.read,
        write: page.write && rights.write,
        fetch: page.fetch && rights.fetch,
        ..page
    })
}

/// One page-table entry is in order: reserved bits clear, extensions that it uses enabled.
fn well_formed(csr: &Csrs, pte: u64, leaf: bool) -> bool {
    let pbmt_ok = pte & PBMT == 0
        || leaf && csr.features.has(Ext::Svpbmt) && csr.menvcfg & envcfg::PBMTE != 0 && pte & PBMT != PBMT;
    let napot_ok = pte & N == 0 || leaf && csr.features.has(Ext::Svnapot);
    let reserved_for_tables = if leaf { 0 } else { A | D | U };
    pte & V != 0 && pte & (R | W) != W && pbmt_ok && napot_ok && pte & (RESERVED | reserved_for_tables) == 0
}

fn walk_tables(
    csr: &Csrs,
    mem: &dyn PhysMem,
    (addr, access): (u64, Access),
    privilege: Priv,
    levels: u32,
) -> Result<Page, Trap> {
    let fault = || page_fault(addr, access);
    let va_bits = PAGE_SHIFT + 9 * levels;
    let sign = (addr as i64) >> (va_bits - 1);
    if sign != 0 && sign != -1 {
        return Err(fault());
    }
    let mut table = (csr.satp & PPN) << PAGE_SHIFT;
    for level in (0..levels).rev() {
        let shift = PAGE_SHIFT + 9 * level;
        let at = table | (addr >> shift & 0x1ff) << 3;
        if csr.pmp.rights(at, 3, Priv::S).is_none_or(|rights| !rights.read) {
            return Err(access_fault(addr, access));
        }
        loop {
            let pte = mem.read_u64(at).ok_or_else(|| access_fault(addr, access))?;
            let leaf = pte & (R | X) != 0;
            if !well_formed(csr, pte, leaf) {
                return Err(fault());
            }
            if !leaf {
                table = (pte >> PPN_SHIFT & PPN) << PAGE_SHIFT;
                break;
            }
            let (base, size_log2) = leaf_range(pte, shift).ok_or_else(fault)?;
            if !permitted(csr, pte, access, privilege) {
                return Err(fault());
            }
            let wanted = pte | A | if access == Access::Write { D } else { 0 };
            if wanted != pte {
                if csr.menvcfg & envcfg::ADUE == 0 {
                    return Err(fault());
                }
                if csr.pmp.rights(at, 3, Priv::S).is_none_or(|rights| !rights.write) {
                    return Err(access_fault(addr, access));
                }
                // Another hart may have changed the entry: then look at it again.
                if !mem.cas_u64(at, pte, wanted).ok_or_else(|| access_fault(addr, access))? {
                    continue;
                }
            }
            let offset = addr & ((1 << size_log2) - 1);
            return Ok(Page {
                phys: base | offset,
                size_log2,
                read: permitted(csr, pte, Access::Read, privilege),
                write: permitted(csr, pte, Access::Write, privilege) && wanted & D != 0,
                fetch: permitted(csr, pte, Access::Fetch, privilege),
                aligned: false,
            });
        }
    }
    Err(fault())
}

/// Physical base and log2 of the size of the range a leaf maps; `None` if it is misaligned or malformed.
fn leaf_range(pte: u64, shift: u32) -> Option<(u64, u32)> {
    let base = (pte >> PPN_SHIFT & PPN) << PAGE_SHIFT;
    if pte & N != 0 {
        // The only size defined: 64 KiB, with the low PPN bits 1000.
        return (shift == PAGE_SHIFT && base >> PAGE_SHIFT & 0xf == 8).then_some((base & !0xffff, 16));
    }
    (base & ((1 << shift) - 1) == 0).then_some((base, shift))
}

fn permitted(csr: &Csrs, pte: u64, access: Access, privilege: Priv) -> bool {
    let user_page = pte & U != 0;
    let by_mode = match privilege {
        Priv::U => user_page,
        _ => !user_page || access != Access::Fetch && csr.mstatus & mstatus::SUM != 0,
    };
    let by_bits = match access {
        Access::Fetch => pte & X != 0,
        Access::Read => pte & R != 0 || csr.mstatus & mstatus::MXR != 0 && pte & X != 0,
        Access::Write => pte & W != 0,
    };
    by_mode && by_bits
}
