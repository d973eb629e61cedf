//! The memory system: D8 of the manual (the VMSAv8-64 translation system). [`stage1`] and [`stage2`] walk tables, [`attributes`]
//! says what descriptors allow, [`at`] are the address translation instructions.
//!
//! With EL3 there are two physical address [`space`]s.
//!
//! A translation regime is a kind of address space with its own registers. Contexts of the translator are keyed ([`key`]) by regime,
//! ASID and VMID, so that neither entering the kernel nor switching address spaces flushes anything; as in hardware, entries live
//! until the guest invalidates them. Global pages are cached once for each ASID, but for a kernel's code.
//!
//! Left out: memory types but for Device, and big-endian tables.

pub mod at;
pub mod attributes;
mod fault;
pub mod key;
pub mod look;
mod space;
mod stage1;
mod stage2;

pub use fault::{Fault, Stage2Fault};
pub use look::{mappings, translate};
pub use space::SecureSpace;

use crate::cpu::Cpu;
use crate::sysreg::{Stored, System, hcr, sctlr};
use attributes::Rights;
use tcg_core::guest::{Access, Page, PhysMem, Trap};

/// A translation regime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Regime {
    /// EL1 and EL0, with stage 2 below if EL2 says so.
    El10,
    /// EL2.
    El2,
    /// EL2 and EL0 of a host.
    El20,
    /// EL3.
    El3,
}

impl Regime {
    /// The regime of code at `el`.
    pub fn of(system: &System, el: u8) -> Self {
        match el {
            3 => Self::El3,
            2 if system.is_host_el2() => Self::El20,
            2 => Self::El2,
            0 if system.in_host() => Self::El20,
            _ => Self::El10,
        }
    }

    /// The level that controls it.
    pub fn el(self) -> u8 {
        match self {
            Self::El10 => 1,
            Self::El2 | Self::El20 => 2,
            Self::El3 => 3,
        }
    }

    /// Whether there are two ranges of addresses, and user programs.
    pub fn has_user(self) -> bool {
        matches!(self, Self::El10 | Self::El20)
    }
}

/// Who accesses memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Who {
    /// In which regime.
    pub regime: Regime,
    /// As EL0 does.
    pub user: bool,
    /// PSTATE.PAN forbids pages that EL0 can access.
    pub pan: bool,
}

impl Who {
    /// Loads and stores of the present code.
    pub fn data(system: &System) -> Self {
        let el = system.el;
        let regime = Regime::of(system, el);
        // As if from EL0: only where there is an EL0 below.
        let lower = system.unprivileged && !system.uao && (el == 1 || el == 2 && system.in_host());
        let user = el == 0 || lower;
        Self { regime, user, pan: system.pan && !user && regime.has_user() }
    }

    /// Fetches of the present code.
    pub fn fetch(system: &System) -> Self {
        Self { regime: Regime::of(system, system.el), user: system.el == 0, pan: false }
    }
}

/// Whether stage 1 translates.
pub fn stage1_on(system: &System, regime: Regime) -> bool {
    let off = regime == Regime::El10 && system.hcr() & (hcr::DC | hcr::TGE) != 0;
    system.banked(Stored::SctlrEl1, regime.el()) & sctlr::M != 0 && !off
}

/// Whether every data access of the present code must be aligned: SCTLR.A, or memory is Device because stage 1 is off.
pub fn must_align(system: &System) -> bool {
    if system.user_ids {
        return false;
    }
    let regime = Regime::of(system, system.el);
    let cacheable = regime == Regime::El10 && system.hcr() & hcr::DC != 0;
    system.sctlr(system.el) & sctlr::A != 0 || !stage1_on(system, regime) && !cacheable
}

/// The bits that addresses in the half of `ptr` have, and whether they have tags; those of instructions or of data.
pub fn pointer(system: &System, ptr: u64, of_code: bool) -> (u32, bool) {
    if system.user_ids {
        // Addresses of a process, whose lower half has tags: what System::new says, in less time.
        return (48, ptr & crate::pauth::HALF == 0);
    }
    stage1::pointer(system, Regime::of(system, system.el), ptr, of_code)
}

/// Takes the tag off the pc, which a branch to a register may have left there: AArch64.BranchAddr. Addresses with a tag have no
/// translations, so this comes in time when none was found.
pub fn settle_pc(cpu: &mut Cpu) {
    let pc = cpu.head.pc;
    let extended = ((pc << 8) as i64 >> 8) as u64;
    if pc == extended || cpu.system.user_ids {
        return;
    }
    let regime = Regime::of(&cpu.system, cpu.system.el);
    if stage1::pointer(&cpu.system, regime, pc, true).1 {
        cpu.head.pc = if regime.has_user() { extended } else { pc & (u64::MAX >> 8) };
    }
}

/// What a walk found, all stages together.
#[derive(Clone, Copy, Debug)]
pub struct Walk {
    /// Physical address.
    pub phys: u64,
    /// log2 of the size of the range.
    pub size_log2: u32,
    /// What is allowed.
    pub rights: Rights,
    /// Memory attributes as in MAIR.
    pub attributes: u8,
    /// Shareability field.
    pub shareability: u8,
    /// The address is one of the Secure physical address space.
    pub secure: bool,
    /// It is so for every ASID.
    pub global: bool,
}

impl Walk {
    /// Device memory: the upper half of the attributes is zero.
    pub fn is_device(&self) -> bool {
        self.attributes & 0xf0 == 0
    }

    /// Where it is on the bus, and log2 of the size of the range there.
    fn place(&self, system: &System) -> (u64, u32) {
        system.board.secure_space.place(self.phys, self.secure, self.size_log2)
    }
}

/// An access to be translated.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// The address.
    pub addr: u64,
    /// What for.
    pub access: Access,
    /// By whom.
    pub who: Who,
}

/// Walks all stages.
pub fn find(system: &System, mem: &dyn PhysMem, request: Request) -> Result<Walk, Fault> {
    let first = stage1::walk(system, mem, request)?;
    let stage2 = request.who.regime == Regime::El10 && system.hcr() & hcr::VM != 0;
    if !stage2 {
        return Ok(first);
    }
    let second = stage2::walk(system, mem, stage2::Request::of(request, first.phys))?;
    Ok(Walk {
        phys: second.phys,
        size_log2: first.size_log2.min(second.size_log2),
        rights: first.rights.and(second.rights),
        attributes: attributes::combined(first.attributes, second.attributes),
        shareability: first.shareability.max(second.shareability),
        secure: second.secure,
        global: first.global,
    })
}

/// Translates `addr` for the present code.
pub fn walk(cpu: &mut Cpu, mem: &dyn PhysMem, addr: u64, access: Access) -> Result<Page, Trap> {
    if cpu.system.user_ids {
        return Ok(user_page(addr, access));
    }
    let system = &mut cpu.system;
    system.stage2_fault = None;
    let who = if access == Access::Fetch { Who::fetch(system) } else { Who::data(system) };
    let request = Request { addr, access, who };
    match find(&cpu.system, mem, request) {
        Ok(walk) => {
            if access == Access::Fetch {
                key::note_fetch(&mut cpu.system, request, &walk);
            }
            tracing::trace!(target: "mmu", "walk {addr:#x} {access:?} {who:?}: {walk:x?}");
            let rights = walk.rights;
            let (phys, size_log2) = walk.place(&cpu.system);
            Ok(Page {
                phys,
                size_log2,
                read: rights.read,
                write: rights.write,
                fetch: rights.fetch,
                aligned: walk.is_device(),
            })
        }
        Err(fault) => {
            tracing::trace!(target: "mmu", "walk {addr:#x} {access:?} {who:?}: {fault:x?}");
            Err(fault.take(cpu, request))
        }
    }
}

/// A process outside of user mode's own memory, as tests have it: addresses are physical, below their tags.
fn user_page(addr: u64, access: Access) -> Page {
    let phys = if access == Access::Fetch { addr } else { addr & (u64::MAX >> 8) };
    Page { phys, size_log2: base::PAGE_SHIFT, read: true, write: true, fetch: true, aligned: false }
}

/// Forgets the translations of `regime`: a control register that page walks depend on was changed.
pub fn forget(cpu: &mut Cpu, regime: Regime) {
    let twin = if regime == Regime::El2 { Regime::El20 } else { regime };
    tcg_core::run::with_mmu::<crate::Aarch64, _>(cpu, |_, mmu| {
        mmu.contexts.flush(None, |key| key::is_of(key, regime) || key::is_of(key, twin));
    });
}

#[cfg(test)]
mod tests;
