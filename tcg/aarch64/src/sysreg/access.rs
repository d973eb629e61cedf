//! Access to system registers: names that lead elsewhere at EL2, levels, and traps. D17.1, and the access pseudocode of each
//! register in D17.2.

use super::{NEVER, Place, Row, Stored, System, find, is_emulated_identification, is_identification};
use super::{cptr, hcr, mdcr, mdscr, nzcv, packed_flags, scr, sctlr};
use crate::Aarch64;
use crate::cpu::{Cpu, REGS};
use crate::esr::{self, class};
use crate::features::IdReg;
use tcg_core::guest::Trap;
use tcg_core::run::with_mmu;

/// What traps a register, beside its level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Nothing.
    Plain,
    /// Not while it is the stack pointer in use.
    OtherStack,
    /// Floating point that is off.
    Float,
    /// HCR_EL2.TID1.
    Id1,
    /// HCR_EL2.TID2; at EL0 SCTLR.UCT.
    Id2,
    /// HCR_EL2.TID3.
    Id3,
    /// HCR_EL2.TVM and TRVM.
    VirtualMemory,
    /// HCR_EL2.TACR.
    Auxiliary,
    /// CPTR_EL2.TCPAC and CPTR_EL3.TCPAC.
    Cpacr,
    /// CPTR_EL3.TCPAC.
    Cptr,
    /// At EL0 SCTLR.UMA.
    Mask,
    /// At EL0 SCTLR.DZE.
    ZeroBlock,
    /// HCR_EL2.APK and SCR_EL3.APK.
    Key,
    /// HCR_EL2.TERR.
    ErrorRecord,
    /// The physical counter: CNTKCTL and CNTHCTL.
    PhysicalCounter,
    /// The virtual counter.
    VirtualCounter,
    /// CNTFRQ: either counter.
    Frequency,
    /// The physical timer.
    PhysicalTimer,
    /// The virtual timer.
    VirtualTimer,
    /// The Secure timer.
    SecureTimer,
    /// The performance monitors, with the bit of PMUSERENR that opens them to EL0.
    Pmu(u64),
    /// PMCR.
    Pmcr,
    /// Debug registers: MDCR.TDA.
    Debug,
    /// MDCR.TDOSA.
    OsLock,
    /// MDCR.TDRA.
    DebugRom,
    /// The communications channel: MDSCR.TDCC.
    DebugComms,
    /// HCR_EL2.TLOR and SCR_EL3.TLOR.
    LimitedOrdering,
    /// SCXTNUM: SCTLR.TSCXT, HCR_EL2.EnSCXT, SCR_EL3.EnSCXT.
    ContextNumber,
    /// SCR_EL3.HXEn.
    HcrX,
    /// The GIC's CPU interface.
    Gic(super::gic::Access),
}

/// Whether EL0 is let in by `bit` of the control register at its level; else the level that the trap goes to.
fn user(system: &System, bit: u64) -> Option<u8> {
    let open = system.el != 0 || system.sctlr(0) & bit != 0;
    (!open).then_some(1)
}

/// CNTKCTL_EL1 at EL0, or CNTHCTL_EL2 of a host; then CNTHCTL_EL2. `kernel` and `hypervisor` are the bits that open.
fn counter(system: &System, kernel: u64, physical: Option<(u32, u32)>) -> Option<u8> {
    let hypervisor = system.get(Stored::CnthctlEl2);
    if system.el == 0 {
        let control = if system.in_host() { hypervisor } else { system.get(Stored::CntkctlEl1) };
        if control & kernel == 0 {
            return Some(1);
        }
    }
    let (plain, host) = physical?;
    if system.el < 2 && system.el2_enabled() && !system.in_host() {
        let bit = if system.is_host_el2() { host } else { plain };
        if hypervisor >> bit & 1 == 0 {
            return Some(2);
        }
    }
    None
}

fn monitor_debug(system: &System, bit: u64, user_opens: bool) -> Option<u8> {
    if !user_opens {
        return Some(1);
    }
    let trapped = |register: Stored| system.get(register) & bit != 0;
    if system.el < 2 && system.el2_enabled() && (trapped(Stored::MdcrEl2) || debug_by_tge(system, bit)) {
        return Some(2);
    }
    (system.el < 3 && system.board.has_el3 && trapped(Stored::MdcrEl3)).then_some(3)
}

/// MDCR_EL2's traps of debug registers are on where debug exceptions go to EL2.
fn debug_by_tge(system: &System, bit: u64) -> bool {
    let debug = bit & (mdcr::TDA | mdcr::TDOSA | mdcr::TDRA) != 0;
    debug && (system.get(Stored::MdcrEl2) & mdcr::TDE != 0 || system.hcr() & hcr::TGE != 0)
}

/// The level that traps an access; `None`: it is made.
fn trapped(system: &System, group: Group, write: bool) -> Option<u8> {
    let el = system.el;
    let hcr = system.hcr();
    let by_hcr = |bit: u64| (el < 2 && hcr & bit != 0).then_some(2);
    match group {
        Group::Plain | Group::Float | Group::OtherStack => None,
        Group::Id1 => by_hcr(hcr::TID1),
        Group::Id2 => user(system, sctlr::UCT).or_else(|| by_hcr(hcr::TID2)),
        Group::Id3 => by_hcr(hcr::TID3),
        Group::VirtualMemory => (el == 1).then(|| by_hcr(if write { hcr::TVM } else { hcr::TRVM })).flatten(),
        Group::Auxiliary => (el == 1).then(|| by_hcr(hcr::TACR)).flatten(),
        Group::Cpacr | Group::Cptr => {
            let off = |register: Stored| system.get(register) & cptr::TCPAC != 0;
            if group == Group::Cpacr && el == 1 && system.el2_enabled() && off(Stored::CptrEl2) {
                return Some(2);
            }
            (el < 3 && system.board.has_el3 && off(Stored::CptrEl3)).then_some(3)
        }
        Group::Mask => user(system, sctlr::UMA),
        Group::ZeroBlock => user(system, sctlr::DZE).or_else(|| by_hcr(hcr::TDZ)),
        Group::Key => {
            if el == 1 && system.el2_enabled() && hcr & hcr::APK == 0 {
                return Some(2);
            }
            (el < 3 && system.board.has_el3 && system.get(Stored::ScrEl3) & scr::APK == 0).then_some(3)
        }
        Group::ErrorRecord => by_hcr(hcr::TERR),
        Group::PhysicalCounter => counter(system, 1, Some((0, 10))),
        Group::VirtualCounter => counter(system, 2, None),
        Group::Frequency => counter(system, 3, None),
        Group::PhysicalTimer => counter(system, 1 << 9, Some((1, 11))),
        Group::VirtualTimer => counter(system, 1 << 8, None),
        Group::SecureTimer => (el == 1 && system.get(Stored::ScrEl3) & scr::ST == 0).then_some(3),
        Group::Pmu(bit) => {
            // CR and ER open counters to loads only.
            let bits = if write && matches!(bit, 4 | 8) { 1 } else { 1 | bit };
            let open = el > 0 || bit == u64::MAX || system.pmu.user & bits != 0;
            monitor_debug(system, mdcr::TPM, open)
        }
        Group::Pmcr => {
            let open = el > 0 || system.pmu.user & 1 != 0;
            monitor_debug(system, mdcr::TPM | mdcr::TPMCR, open)
        }
        Group::Debug => monitor_debug(system, mdcr::TDA, true),
        Group::OsLock => monitor_debug(system, mdcr::TDOSA, true),
        Group::DebugRom => {
            let guest = el < 2 && system.el2_enabled();
            let to_el2 =
                guest && (system.get(Stored::MdcrEl2) & mdcr::TDRA != 0 || debug_by_tge(system, mdcr::TDRA));
            let to_el3 = el < 3 && system.board.has_el3 && system.get(Stored::MdcrEl3) & mdcr::TDA != 0;
            if to_el2 { Some(2) } else { to_el3.then_some(3) }
        }
        Group::DebugComms => {
            monitor_debug(system, mdcr::TDA, el > 0 || system.debug.mdscr & mdscr::TDCC == 0)
        }
        Group::LimitedOrdering => by_hcr(hcr::TLOR).or_else(|| {
            (el < 3 && system.board.has_el3 && system.get(Stored::ScrEl3) & scr::TLOR != 0).then_some(3)
        }),
        Group::ContextNumber => {
            if el == 0 && system.sctlr(0) & sctlr::TSCXT != 0 {
                return Some(1);
            }
            if el < 2 && system.el2_enabled() && !system.in_host() && hcr & hcr::EN_SCXT == 0 {
                return Some(2);
            }
            (el < 3 && system.board.has_el3 && system.get(Stored::ScrEl3) & scr::EN_SCXT == 0).then_some(3)
        }
        Group::Gic(access) => access.trapped(system),
        Group::HcrX => {
            (el < 3 && system.board.has_el3 && system.get(Stored::ScrEl3) & scr::HXE_EN == 0).then_some(3)
        }
    }
}

/// The row that the name leads to at the present level.
fn resolve(system: &System, reg: u16) -> Option<&'static Row> {
    let host = system.is_host_el2();
    if reg >> 11 & 7 == 5 && system.el >= 2 {
        // Names that end in _EL12 and _EL02: the registers of EL1 for a host.
        let timer = reg >> 7 & 15 == 14 && reg >> 3 & 15 >= 2;
        let op1 = if timer { 3 } else { 0 };
        let plain = reg & !(7 << 11) | op1 << 11;
        return find(plain).filter(|row| host && row.host.is_some());
    }
    let row = find(reg)?;
    match row.host {
        // EL0 of a host finds the timers of EL2, too.
        Some(other) if host && (system.el == 2 || system.el == 0 && system.in_host() && row.read == 0) => {
            find(other)
        }
        _ => Some(row),
    }
}

/// The row, if the present code may use it.
fn check(cpu: &Cpu, reg: u16, rt: u8, write: bool) -> Result<&'static Row, Trap> {
    let system = &cpu.system;
    let trap = |el: u8| esr::system_access(el, reg, rt, !write);
    let absent = || {
        // Space for identification registers reads as zero, or is trapped.
        let reserved = matches!(reg >> 11, 8 | 9 | 11) && reg >> 7 & 15 == 0 && reg >> 3 & 15 < 8 && !write;
        if reserved && !system.user_ids && system.features.field(IdReg::Mmfr2, 36) != 0 {
            trap(1)
        } else {
            esr::UNDEFINED
        }
    };
    let Some(row) = resolve(system, reg).filter(|row| row.needs.are_met(system)) else {
        let what = if write { "write" } else { "read" };
        tracing::trace!(target: "unimp", "{what} of system register {}", super::generic_name(reg));
        return Err(absent());
    };
    let renamed = row.encoding != reg;
    let least = if write { row.write } else { row.read };
    let answered = system.user_ids && !write && is_identification(row.encoding);
    if system.el < least && !answered && !(renamed && least != NEVER) {
        return Err(absent());
    }
    if row.group == Group::OtherStack && !system.sp_sel {
        return Err(esr::UNDEFINED);
    }
    if row.group == Group::SecureTimer && system.el < 3 && !system.is_secure(system.el) {
        return Err(esr::UNDEFINED);
    }
    if row.group == Group::Float && system.float_trap(system.el).is_some() {
        return Err(esr::FLOAT_OFF);
    }
    match trapped(system, row.group, write) {
        Some(el) => Err(trap(el)),
        None => Ok(row),
    }
}

/// MRS: reads register `reg` for general register `rt`.
pub fn read(cpu: &mut Cpu, reg: u16, rt: u8) -> Result<u64, Trap> {
    if cpu.system.user_ids && find(reg).is_none() && is_emulated_identification(reg) {
        return Ok(0);
    }
    let row = check(cpu, reg, rt, false)?;
    Ok(match row.place {
        Place::Functions(read, _) => read(cpu),
        Place::Stored(n, _) => cpu.system.get(n),
        Place::Nzcv => nzcv(cpu.flags),
        Place::Direct(reg) => direct(cpu, REGS[reg.0 as usize].offset),
    })
}

/// MSR: general register `rt` has `value`.
pub fn write(cpu: &mut Cpu, reg: u16, rt: u8, value: u64) -> Result<(), Trap> {
    let row = check(cpu, reg, rt, true)?;
    let old = match (row.changed, row.place) {
        (Some(_), Place::Stored(n, _)) => cpu.system.get(n),
        _ => 0,
    };
    match row.place {
        Place::Functions(_, write) => write(cpu, value),
        Place::Stored(n, mask) => cpu.system.set(n, value & mask),
        Place::Nzcv => cpu.flags = packed_flags(value),
        Place::Direct(reg) => set_direct(cpu, REGS[reg.0 as usize].offset, value),
    }
    if let Some(changed) = row.changed {
        changed(cpu, old);
    }
    if row.resync {
        with_mmu::<Aarch64, _>(cpu, |cpu, mmu| mmu.sync::<Aarch64>(cpu));
    }
    Ok(())
}

/// The register of the translator's table at `offset`.
fn direct(cpu: &mut Cpu, offset: u32) -> u64 {
    // SAFETY: the table's offsets are those of 8-byte fields of the structure.
    unsafe { std::ptr::from_mut(cpu).cast::<u8>().add(offset as usize).cast::<u64>().read() }
}

fn set_direct(cpu: &mut Cpu, offset: u32, value: u64) {
    // SAFETY: as above.
    unsafe { std::ptr::from_mut(cpu).cast::<u8>().add(offset as usize).cast::<u64>().write(value) }
}

/// Whether EL0 may change its masks of exceptions by MSR (immediate), `instruction` as [`super::encode`] with op0 0 makes it.
pub fn check_masks(cpu: &Cpu, instruction: u16) -> Result<(), Trap> {
    match trapped(&cpu.system, Group::Mask, true) {
        Some(el) => Err(esr::pstate_field(el, instruction)),
        None => Ok(()),
    }
}

/// The exception of an instruction that waits, where it is trapped: WFI, or WFE with `event`.
pub fn wait_trap(cpu: &Cpu, event: bool, kind: u32) -> Option<Trap> {
    let system = &cpu.system;
    let iss = 1 << 24 | 0xe << 20 | kind;
    let (user_bit, guest, monitor) =
        if event { (sctlr::N_TWE, hcr::TWE, scr::TWE) } else { (sctlr::N_TWI, hcr::TWI, scr::TWI) };
    let to =
        user(system, user_bit).or((system.el < 2 && system.hcr() & guest != 0).then_some(2)).or((system
            .el
            < 3
            && system.board.has_el3
            && system.get(Stored::ScrEl3) & monitor != 0)
            .then_some(3))?;
    Some(esr::trap_to(to, class::WFX, iss))
}

/// The level that traps a system instruction of the group; `None`: it is carried out.
pub fn instruction_trap(system: &System, group: Instruction) -> Option<u8> {
    let by_hcr = |bit: u64| (system.el < 2 && system.hcr() & bit != 0).then_some(2);
    match group {
        Instruction::CleanToCoherency => user(system, sctlr::UCI).or_else(|| by_hcr(hcr::TPCP)),
        Instruction::ToUnification => user(system, sctlr::UCI).or_else(|| by_hcr(hcr::TPU)),
        Instruction::SetWay => by_hcr(hcr::TSW),
        Instruction::ZeroBlock => trapped(system, Group::ZeroBlock, true),
        Instruction::Tlb => (system.el == 1).then(|| by_hcr(hcr::TTLB)).flatten(),
    }
}

/// Groups of system instructions that are trapped together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instruction {
    /// Cache maintenance to the point of coherency.
    CleanToCoherency,
    /// Cache maintenance to the point of unification.
    ToUnification,
    /// Cache maintenance by set and way.
    SetWay,
    /// DC ZVA.
    ZeroBlock,
    /// TLB maintenance of EL1.
    Tlb,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::Board;
    use crate::features::Features;
    use crate::mmu::SecureSpace;
    use crate::sysreg::encode;

    fn pe(el: u8) -> Cpu {
        let board = Board {
            number: 0,
            mpidr: 0x100,
            has_el2: true,
            has_el3: false,
            secure_space: SecureSpace::NONE,
            cntfrq: 1_000_000_000,
        };
        let mut cpu = Cpu::for_board(Features::max(), board);
        cpu.enter(2, 0, 0);
        cpu.set_level(el, el != 0);
        cpu
    }

    #[test]
    fn levels_and_traps() {
        const SCTLR: u16 = encode(3, 0, 1, 0, 0);
        const CTR: u16 = encode(3, 3, 0, 0, 1);
        let mut cpu = pe(0);
        assert_eq!(read(&mut cpu, SCTLR, 1), Err(esr::UNDEFINED));
        cpu.system.stored[Stored::SctlrEl1 as usize] &= !sctlr::UCT;
        assert_eq!(read(&mut cpu, CTR, 1), Err(esr::system_access(1, CTR, 1, true)));
        cpu.system.stored[Stored::SctlrEl1 as usize] |= sctlr::UCT;
        assert_eq!(read(&mut cpu, CTR, 1), Ok(0xb444_c004));
        let mut cpu = pe(1);
        assert_eq!(write(&mut cpu, SCTLR, 2, 0), Ok(()));
        cpu.system.set(Stored::HcrEl2, hcr::TVM);
        assert_eq!(write(&mut cpu, SCTLR, 2, 0), Err(esr::system_access(2, SCTLR, 2, false)));
        assert_eq!(read(&mut cpu, SCTLR, 2), Ok(0));
        assert_eq!(read(&mut cpu, encode(3, 6, 1, 1, 0), 0), Err(esr::UNDEFINED), "there is no EL3");
    }

    #[test]
    fn names_lead_elsewhere_for_a_host() {
        let (vbar, vbar_el12, vbar_el2) =
            (encode(3, 0, 12, 0, 0), encode(3, 5, 12, 0, 0), encode(3, 4, 12, 0, 0));
        let mut cpu = pe(2);
        assert_eq!(read(&mut cpu, vbar_el12, 0), Err(esr::UNDEFINED));
        cpu.system.set(Stored::HcrEl2, hcr::E2H | hcr::RW);
        assert_eq!(write(&mut cpu, vbar, 0, 0x1000), Ok(()));
        assert_eq!(write(&mut cpu, vbar_el12, 0, 0x2000), Ok(()));
        assert_eq!((read(&mut cpu, vbar_el2, 0), cpu.system.get(Stored::VbarEl1)), (Ok(0x1000), 0x2000));
    }

    #[test]
    fn identification_is_a_guests_own() {
        let mut cpu = pe(1);
        cpu.system.set(Stored::VmpidrEl2, 0x8000_0005);
        assert_eq!(read(&mut cpu, encode(3, 0, 0, 0, 5), 0), Ok(0x8000_0005));
        cpu.set_level(2, true);
        assert_eq!(read(&mut cpu, encode(3, 0, 0, 0, 5), 0), Ok(0x8000_0100));
    }
}
