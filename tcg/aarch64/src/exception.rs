//! Exceptions: which level takes them, entry and return. D1.3 (exception model), the pseudocode AArch64.TakeException and
//! AArch64.ExceptionReturn, D1.3.5 (asynchronous exception routing and masking).
//!
//! SErrors are never raised. A return to AArch32 is an illegal one.

use crate::Aarch64;
use crate::cpu::Cpu;
use crate::esr::{self, class};
use crate::irq;
use crate::isv;
use crate::pstate::{daif, spsr};
use crate::sysreg::{Stored, hcr, mdcr, scr, sctlr};
use tcg_core::guest::Trap;
use tcg_core::run::with_mmu;

/// Offsets of vectors by kind.
const SYNCHRONOUS: u64 = 0;
const IRQ: u64 = 0x80;
const FIQ: u64 = 0x100;
/// And by where the exception comes from.
const FROM_SP_EL0: u64 = 0;
const FROM_SAME: u64 = 0x200;
const FROM_LOWER: u64 = 0x400;

/// Where the exception leads that `trap` is, and the level it is taken to; `None`: it is an undefined instruction there.
fn target(cpu: &Cpu, trap: Trap) -> Option<u8> {
    let system = &cpu.system;
    let el = system.el;
    // Without an own rule: the next level that can take it.
    let usual = match el {
        0 if system.hcr() & hcr::TGE != 0 => 2,
        0 => 1,
        el => el,
    };
    Some(match esr::class_of(trap.code) {
        class::HVC => {
            let allowed = if system.board.has_el3 {
                system.get(Stored::ScrEl3) & scr::HCE != 0
            } else {
                system.get(Stored::HcrEl2) & hcr::HCD == 0
            };
            if !system.board.has_el2 || !allowed || el < 2 && !system.el2_enabled() {
                return None;
            }
            el.max(2)
        }
        class::SMC => {
            if el == 1 && system.hcr() & hcr::TSC != 0 {
                return Some(2);
            }
            if !system.board.has_el3 || system.get(Stored::ScrEl3) & scr::SMD != 0 {
                return None;
            }
            3
        }
        class::FP => system.float_trap(el).map_or(usual, |to| if to == 1 { usual } else { to }),
        class::INSTRUCTION_ABORT | class::DATA_ABORT => {
            let external = trap.code & 0x3f == esr::status::EXTERNAL;
            if external && system.board.has_el3 && system.get(Stored::ScrEl3) & scr::EA != 0 {
                3
            } else if system.stage2_fault.is_some_and(|fault| fault.trap == trap)
                || external && el < 2 && system.hcr() & hcr::TEA != 0
            {
                2
            } else {
                usual
            }
        }
        class::BREAKPOINT | class::STEP | class::WATCHPOINT | class::BRK => debug_target(cpu),
        class::PC_ALIGNMENT | class::SP_ALIGNMENT => usual,
        // The others say which level traps them.
        _ => (trap.value as u8).max(usual).min(3),
    })
}

/// The level that debug exceptions go to: D2.4.1.
pub fn debug_target(cpu: &Cpu) -> u8 {
    let system = &cpu.system;
    let to_el2 = system.el2_enabled()
        && (system.get(Stored::MdcrEl2) & mdcr::TDE != 0 || system.hcr() & hcr::TGE != 0);
    if to_el2 { system.el.max(2) } else { system.el.max(1) }
}

/// Whether the address of the fault goes to FAR.
fn has_address(ec: u32) -> bool {
    matches!(ec, class::INSTRUCTION_ABORT | class::DATA_ABORT | class::PC_ALIGNMENT | class::WATCHPOINT)
}

/// Whether the exception has a class of its own where it comes from the level that takes it: one more.
fn has_same_level_class(ec: u32) -> bool {
    matches!(
        ec,
        class::INSTRUCTION_ABORT | class::DATA_ABORT | class::BREAKPOINT | class::STEP | class::WATCHPOINT
    )
}

/// Takes a synchronous exception.
pub fn synchronous(cpu: &mut Cpu, trap: Trap) {
    let (mut trap, el) = (trap, cpu.system.el);
    let to = target(cpu, trap).unwrap_or_else(|| {
        trap = esr::UNDEFINED;
        target(cpu, trap).unwrap_or(1)
    });
    let ec = esr::class_of(trap.code);
    if to == 2
        && el < 2
        && ec == class::FP
        && cpu.system.hcr() & hcr::TGE != 0
        && cpu.system.float_trap(el) == Some(1)
    {
        trap = esr::UNDEFINED;
    }
    let ec = if ec == esr::class_of(trap.code) { ec } else { esr::class_of(trap.code) };
    let mut syndrome = u64::from(trap.code);
    if to == el && has_same_level_class(ec) {
        syndrome += 1 << esr::CLASS_SHIFT;
    }
    let fault = cpu.system.stage2_fault.take().filter(|fault| fault.trap == trap && to == 2);
    if let Some(fault) = fault {
        cpu.system.set(Stored::HpfarEl2, fault.hpfar);
        if ec == class::DATA_ABORT && trap.code & (esr::S1PTW | esr::CM) == 0 {
            syndrome |= u64::from(isv::of(instruction(cpu)));
        }
    }
    cpu.system.set_banked(Stored::EsrEl1, to, syndrome);
    if has_address(ec) {
        cpu.system.set_banked(Stored::FarEl1, to, trap.value);
    }
    // Those three have been carried out, if they were not trapped.
    let done = matches!(ec, class::SVC | class::HVC) || ec == class::SMC && to == 3;
    let back = cpu.head.pc.wrapping_add(if done { 4 } else { 0 });
    log(cpu, to, syndrome, trap.value);
    enter(cpu, to, SYNCHRONOUS, back);
}

/// The instruction that trapped; 0 if it can not be read any more.
fn instruction(cpu: &mut Cpu) -> u32 {
    let pc = cpu.head.pc;
    let half = |cpu: &mut Cpu, at: u64| {
        with_mmu::<Aarch64, _>(cpu, |cpu, mmu| mmu.fetch::<Aarch64>(cpu, at).ok()).flatten()
    };
    match (half(cpu, pc), half(cpu, pc.wrapping_add(2))) {
        (Some(low), Some(high)) => u32::from(low) | u32::from(high) << 16,
        _ => 0,
    }
}

/// Reports an exception, for `-d int`.
fn log(cpu: &Cpu, to: u8, syndrome: u64, value: u64) {
    tracing::trace!(
        target: "int",
        "Taking exception with ESR {syndrome:#x} from EL{} to EL{to}, ELR {:#x}, value {value:#x}",
        cpu.system.el,
        cpu.head.pc,
    );
}

/// Goes to the vector of level `to`; the exception returns to `back`.
fn enter(cpu: &mut Cpu, to: u8, kind: u64, back: u64) {
    let system = &cpu.system;
    let from = if to > system.el {
        FROM_LOWER
    } else if system.sp_sel {
        FROM_SAME
    } else {
        FROM_SP_EL0
    };
    let pstate = cpu.pstate();
    let control = system.banked(Stored::SctlrEl1, to);
    // PAN is set for a level that has user programs below.
    let sets_pan = system.features.field(crate::features::IdReg::Mmfr1, 20) != 0
        && control & sctlr::SPAN == 0
        && (to == 1 || to == 2 && system.in_host());
    cpu.system.set_banked(Stored::SpsrEl1, to, pstate);
    cpu.system.set_banked(Stored::ElrEl1, to, back);
    cpu.set_level(to, true);
    cpu.daif = daif::ALL;
    let has_ssbs = cpu.system.features.has(crate::features::Ext::Ssbs);
    let system = &mut cpu.system;
    system.ssbs = has_ssbs && control & sctlr::DSSBS != 0;
    system.pan |= sets_pan;
    (system.uao, system.ss, system.il) = (false, false, false);
    cpu.head.pc = cpu.system.banked(Stored::VbarEl1, to).wrapping_add(from + kind);
    cpu.update_step();
}

/// Exception return: gives the address to go on at.
pub fn exception_return(cpu: &mut Cpu, elr: u64) -> u64 {
    let el = cpu.system.el;
    let saved = cpu.system.banked(Stored::SpsrEl1, el);
    let to = (saved >> spsr::EL_SHIFT & 3) as u8;
    cpu.exclusive_addr = u64::MAX;
    let system = &cpu.system;
    let there = match to {
        3 => system.board.has_el3,
        2 => system.el2_enabled(),
        _ => true,
    };
    let legal = saved & spsr::AARCH32 == 0
        && saved & 2 == 0
        && to <= el
        && there
        && !(to == 0 && saved & spsr::SP != 0)
        && !(to == 1 && system.hcr() & hcr::TGE != 0);
    let steps = crate::selfhosted::steps_after_return(cpu, if legal { to } else { el }, saved);
    if legal {
        cpu.set_level(to, saved & spsr::SP != 0);
        cpu.set_pstate(saved);
        cpu.system.ss = steps;
    } else {
        // Level and stack pointer stay; the next instruction is an illegal state.
        let (pan, uao, dit, ssbs) = (cpu.system.pan, cpu.system.uao, cpu.system.dit, cpu.system.ssbs);
        cpu.set_pstate(saved);
        (cpu.system.pan, cpu.system.uao, cpu.system.dit, cpu.system.ssbs) = (pan, uao, dit, ssbs);
        (cpu.system.il, cpu.system.ss) = (true, steps);
    }
    cpu.update_step();
    look_for_interrupts(cpu);
    with_mmu::<Aarch64, _>(cpu, |cpu, mmu| mmu.sync::<Aarch64>(cpu));
    tracing::trace!(target: "int", "Exception return from EL{el} to EL{} PC {elr:#x}", cpu.system.el);
    elr
}

/// An interrupt that is to be taken now: its vector and its level.
fn deliverable(cpu: &Cpu, levels: u64) -> Option<(u64, u8)> {
    let system = &cpu.system;
    let (hcr, el) = (system.hcr(), system.el);
    let levels = irq::as_signalled(system, levels);
    let on = |line: u32| levels >> line & 1 != 0;
    let scr = if system.board.has_el3 { system.get(Stored::ScrEl3) } else { 0 };
    let physical = |to_el3: u64, to_el2: u64, mask: u64| {
        let to = if scr & to_el3 != 0 {
            3
        } else if hcr & (to_el2 | hcr::TGE) != 0 {
            2
        } else {
            1
        };
        let open = cpu.daif & mask == 0;
        // A host's programs have the masks that it gives them.
        let unmasked = to > el && to > 1 && !(to == 2 && system.in_host()) || open;
        (to >= el && to >= 1 && unmasked).then_some(to)
    };
    let fiq = on(irq::FIQ).then(|| physical(scr::FIQ, hcr::FMO, daif::F)).flatten();
    let irq = on(irq::IRQ).then(|| physical(scr::IRQ, hcr::IMO, daif::I)).flatten();
    if let Some(to) = fiq {
        return Some((FIQ, to));
    }
    if let Some(to) = irq {
        return Some((IRQ, to));
    }
    let guest = el < 2 && hcr & hcr::TGE == 0;
    if guest && hcr & hcr::FMO != 0 && (on(irq::VFIQ) || hcr & hcr::VF != 0) && cpu.daif & daif::F == 0 {
        return Some((FIQ, 1));
    }
    if guest && hcr & hcr::IMO != 0 && (on(irq::VIRQ) || hcr & hcr::VI != 0) && cpu.daif & daif::I == 0 {
        return Some((IRQ, 1));
    }
    None
}

/// Masks or routes have changed: an interrupt that is to be taken now is, as soon as the run loop looks.
pub fn look_for_interrupts(cpu: &Cpu) {
    let levels = cpu.levels();
    let nothing = levels == 0 && cpu.system.hcr() & (hcr::VI | hcr::VF) == 0;
    if !nothing
        && deliverable(cpu, levels).is_some()
        && let Some(wiring) = &cpu.system.wiring
    {
        wiring.lines.kick();
    }
}

/// Takes the most urgent interrupt that is to be taken now, if there is one.
pub fn interrupt(cpu: &mut Cpu, levels: u64) -> bool {
    let Some((kind, to)) = deliverable(cpu, levels) else { return false };
    tracing::trace!(
        target: "int",
        "Taking {} from EL{} to EL{to}, ELR {:#x}",
        if kind == IRQ { "IRQ" } else { "FIQ" },
        cpu.system.el,
        cpu.head.pc,
    );
    enter(cpu, to, kind, cpu.head.pc);
    true
}

/// Whether a PE that waits for an interrupt goes on: something is pending, masked or not.
pub fn wakes(cpu: &Cpu, levels: u64) -> bool {
    let hcr = cpu.system.hcr();
    let levels = irq::as_signalled(&cpu.system, levels);
    let guest = cpu.system.el < 2 && hcr & hcr::TGE == 0;
    let is_virtual = |line: u32, enable: u64, pending: u64| {
        guest && hcr & enable != 0 && (levels >> line & 1 != 0 || hcr & pending != 0)
    };
    levels & (1 << irq::IRQ | 1 << irq::FIQ) != 0
        || is_virtual(irq::VIRQ, hcr::IMO, hcr::VI)
        || is_virtual(irq::VFIQ, hcr::FMO, hcr::VF)
}

impl Cpu {
    /// The levels of the interrupt inputs.
    pub fn levels(&self) -> u64 {
        self.system.wiring.as_ref().map_or(0, |wiring| wiring.lines.levels())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::Board;
    use crate::features::Features;
    use crate::mmu::SecureSpace;

    /// A PE with every level, at `el`; interrupts open.
    fn pe(el: u8, sp_sel: bool) -> Cpu {
        let board = Board {
            number: 0,
            mpidr: 0,
            has_el2: true,
            has_el3: true,
            secure_space: SecureSpace::NONE,
            cntfrq: 1_000_000_000,
        };
        let mut cpu = Cpu::for_board(Features::max(), board);
        cpu.enter(el.max(1), 0x1000, 0);
        cpu.set_level(el, sp_sel);
        cpu.daif = 0;
        for (n, level) in [(1, 0x1_0000), (2, 0x2_0000), (3, 0x3_0000)] {
            cpu.system.set_banked(Stored::VbarEl1, n, level);
            cpu.set_sp_of(n, level + 1);
        }
        cpu
    }

    #[test]
    fn vectors() {
        for (el, sp_sel, offset) in [(0, false, FROM_LOWER), (1, false, FROM_SP_EL0), (1, true, FROM_SAME)] {
            let mut cpu = pe(el, sp_sel);
            let saved = cpu.pstate();
            synchronous(&mut cpu, esr::trap(class::SVC, 5));
            assert_eq!((cpu.system.el, cpu.head.pc), (1, 0x1_0000 + offset));
            assert_eq!(cpu.system.get(Stored::EsrEl1), 0x5600_0005);
            // A call has been carried out.
            assert_eq!((cpu.system.get(Stored::ElrEl1), cpu.system.get(Stored::SpsrEl1)), (0x1004, saved));
            assert_eq!((cpu.daif, cpu.sp), (daif::ALL, 0x1_0001));
            assert_eq!(exception_return(&mut cpu, 0x1004), 0x1004);
            assert_eq!((cpu.system.el, cpu.pstate()), (el, saved));
        }
    }

    #[test]
    fn aborts_say_where_they_come_from() {
        for (el, ec) in [(0, 0x24), (1, 0x25)] {
            let mut cpu = pe(el, el != 0);
            let status = esr::status::TRANSLATION;
            synchronous(&mut cpu, esr::abort(0x5678, tcg_core::guest::Access::Write, status));
            assert_eq!(cpu.system.get(Stored::EsrEl1), ec << 26 | 1 << 25 | 1 << 6 | 7);
            assert_eq!((cpu.system.get(Stored::FarEl1), cpu.system.get(Stored::ElrEl1)), (0x5678, 0x1000));
        }
    }

    #[test]
    fn calls_go_up() {
        let mut cpu = pe(1, true);
        synchronous(&mut cpu, esr::trap(class::HVC, 1));
        assert_eq!((cpu.system.el, cpu.system.get(Stored::ElrEl2)), (2, 0x1004));
        synchronous(&mut cpu, esr::trap(class::SMC, 2));
        assert_eq!((cpu.system.el, cpu.system.banked(Stored::EsrEl1, 3)), (3, 0x5e00_0002));
        // What EL2 traps has not been carried out.
        let mut cpu = pe(1, true);
        cpu.system.stored[Stored::HcrEl2 as usize] |= hcr::TSC;
        synchronous(&mut cpu, esr::trap(class::SMC, 2));
        assert_eq!((cpu.system.el, cpu.system.get(Stored::ElrEl2)), (2, 0x1000));
        // With HCD there is no HVC.
        let mut cpu = pe(1, true);
        cpu.system.stored[Stored::ScrEl3 as usize] &= !scr::HCE;
        synchronous(&mut cpu, esr::trap(class::HVC, 1));
        assert_eq!((cpu.system.el, cpu.system.get(Stored::EsrEl1)), (1, 1 << 25));
    }

    #[test]
    fn interrupts_are_routed_and_masked() {
        let irq = 1 << irq::IRQ;
        let fiq = 1 << irq::FIQ;
        let mut cpu = pe(0, false);
        cpu.daif = daif::I;
        assert!(!interrupt(&mut cpu, irq) && wakes(&cpu, irq) && !wakes(&cpu, 0));
        assert!(interrupt(&mut cpu, irq | fiq));
        assert_eq!((cpu.system.el, cpu.head.pc, cpu.system.get(Stored::ElrEl1)), (1, 0x1_0500, 0x1000));
        // To EL2 whatever EL1 masks, and to EL3 above that.
        let mut cpu = pe(1, true);
        cpu.daif = daif::ALL;
        cpu.system.stored[Stored::HcrEl2 as usize] |= hcr::IMO;
        assert!(interrupt(&mut cpu, irq));
        assert_eq!((cpu.system.el, cpu.head.pc), (2, 0x2_0480));
        cpu.system.stored[Stored::ScrEl3 as usize] |= scr::FIQ;
        assert!(!interrupt(&mut cpu, irq) && interrupt(&mut cpu, fiq));
        assert_eq!((cpu.system.el, cpu.head.pc), (3, 0x3_0500));
        // Virtual ones are for EL1 and EL0 of a guest.
        let mut cpu = pe(0, false);
        assert!(!interrupt(&mut cpu, 1 << irq::VIRQ));
        cpu.system.stored[Stored::HcrEl2 as usize] |= hcr::IMO;
        assert!(interrupt(&mut cpu, 1 << irq::VIRQ));
        assert_eq!((cpu.system.el, cpu.head.pc), (1, 0x1_0480));
    }

    #[test]
    fn illegal_returns_stay() {
        let mut cpu = pe(1, true);
        for saved in [spsr::AARCH32, 2 << spsr::EL_SHIFT, 1, 3] {
            cpu.system.il = false;
            cpu.system.set(Stored::SpsrEl1, saved | 5 << 28);
            assert_eq!(exception_return(&mut cpu, 0x2000), 0x2000);
            assert_eq!((cpu.system.el, cpu.system.il, cpu.pstate() >> 28), (1, true, 5));
        }
        synchronous(&mut cpu, esr::trap(class::ILLEGAL, 0));
        assert!(!cpu.system.il && cpu.system.get(Stored::SpsrEl1) & spsr::IL != 0);
    }
}
