//! Registers of the GIC's CPU interfaces, which the interrupt controller answers: [`crate::gic`], and IHI 0069, 12.2 to 12.4. What
//! traps them is in the pseudocode of each register there.

use super::{Group, NEVER, Needs, Row, Stored, System, encode, functions, hcr, ignore, scr};
use crate::cpu::Cpu;
use crate::gic::{GicRegister, IccRegister, IchRegister, Level, ich_hcr};

/// Registers of the CPU interface that are trapped together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Of both groups.
    Common,
    /// Of group 0.
    Group0,
    /// Of group 1.
    Group1,
    /// ICC_DIR_EL1.
    Deactivate,
    /// Software interrupts, which a guest never sends by itself.
    Generate,
}

impl Access {
    /// The routes of interrupts in HCR_EL2 under which EL1 has the virtual interface.
    const fn routes(self) -> u64 {
        match self {
            Self::Group0 => hcr::FMO,
            Self::Group1 => hcr::IMO,
            Self::Common | Self::Deactivate => hcr::FMO | hcr::IMO,
            Self::Generate => 0,
        }
    }

    /// Whether the present code finds the virtual interface.
    fn is_virtual(self, system: &System) -> bool {
        system.el == 1 && system.hcr() & self.routes() != 0
    }

    /// The level that an access is trapped to.
    pub fn trapped(self, system: &System) -> Option<u8> {
        let (el, to_el2) = (system.el, system.hcr() & (hcr::FMO | hcr::IMO));
        if self == Self::Generate && el == 1 && to_el2 != 0 {
            return Some(2);
        }
        if self.is_virtual(system) {
            let bits = match self {
                Self::Common | Self::Generate => ich_hcr::TC,
                Self::Group0 => ich_hcr::TALL0,
                Self::Group1 => ich_hcr::TALL1,
                Self::Deactivate => ich_hcr::TC | ich_hcr::TDIR,
            };
            if hypervisor_control(system) & bits != 0 {
                return Some(2);
            }
        }
        let (monitor, route) = match self {
            Self::Group0 => (scr::FIQ, hcr::FMO),
            Self::Group1 => (scr::IRQ, hcr::IMO),
            _ => (scr::FIQ | scr::IRQ, hcr::FMO | hcr::IMO),
        };
        let to_el3 = system.board.has_el3 && system.get(Stored::ScrEl3) & monitor == monitor;
        (to_el3 && (el == 2 || el == 1 && to_el2 & route == 0)).then_some(3)
    }
}

/// ICH_HCR_EL2.
fn hypervisor_control(system: &System) -> u64 {
    let gic = system.wiring.as_ref().and_then(|wiring| wiring.gic.as_ref());
    gic.map_or(0, |gic| gic.read(system.board.number, GicRegister::Hypervisor(IchRegister::Hcr)))
}

fn read(cpu: &Cpu, register: GicRegister) -> u64 {
    let gic = cpu.system.wiring.as_ref().and_then(|wiring| wiring.gic.as_ref());
    gic.map_or(0, |gic| gic.read(cpu.system.board.number, register))
}

fn write(cpu: &Cpu, register: GicRegister, value: u64) {
    if let Some(gic) = cpu.system.wiring.as_ref().and_then(|wiring| wiring.gic.as_ref()) {
        gic.write(cpu.system.board.number, register, value);
    }
}

/// The register that the present code finds under the name.
fn found(cpu: &Cpu, register: IccRegister, access: Access) -> GicRegister {
    let (system, el) = (&cpu.system, cpu.system.el);
    if access.is_virtual(system) {
        return GicRegister::Virtual(register);
    }
    let routed = |bit: u64| system.board.has_el3 && system.get(Stored::ScrEl3) & bit != 0;
    let (fiq_to_el3, irq_to_el3) = (routed(scr::FIQ), routed(scr::IRQ));
    GicRegister::Physical(register, Level { el, secure: system.is_secure(1), fiq_to_el3, irq_to_el3 })
}

macro_rules! icc {
    ($name:literal, $encoding:expr, $register:expr, $access:ident) => {
        functions(
            $name,
            $encoding,
            |cpu| read(cpu, found(cpu, $register, Access::$access)),
            |cpu, value| write(cpu, found(cpu, $register, Access::$access), value),
        )
        .group(Group::Gic(Access::$access))
        .needs(Needs::Gic)
    };
}

macro_rules! ich {
    ($name:literal, $crm:literal, $op2:literal, $register:expr) => {
        functions(
            $name,
            encode(3, 4, 12, $crm, $op2),
            |cpu| read(cpu, GicRegister::Hypervisor($register)),
            |cpu, value| write(cpu, GicRegister::Hypervisor($register), value),
        )
        .needs(Needs::GicEl2)
    };
}

use IccRegister as R;
use IchRegister as H;

/// The rows.
pub static ROWS: &[Row] = &[
    icc!("ICC_PMR_EL1", encode(3, 0, 4, 6, 0), R::Pmr, Common),
    icc!("ICC_IAR0_EL1", encode(3, 0, 12, 8, 0), R::Iar0, Group0).levels(1, NEVER),
    icc!("ICC_EOIR0_EL1", encode(3, 0, 12, 8, 1), R::Eoir0, Group0).levels(NEVER, 1),
    icc!("ICC_HPPIR0_EL1", encode(3, 0, 12, 8, 2), R::Hppir0, Group0).levels(1, NEVER),
    icc!("ICC_BPR0_EL1", encode(3, 0, 12, 8, 3), R::Bpr0, Group0),
    icc!("ICC_DIR_EL1", encode(3, 0, 12, 11, 1), R::Dir, Deactivate).levels(NEVER, 1),
    icc!("ICC_RPR_EL1", encode(3, 0, 12, 11, 3), R::Rpr, Common).levels(1, NEVER),
    icc!("ICC_SGI1R_EL1", encode(3, 0, 12, 11, 5), R::Sgi1r, Generate).levels(NEVER, 1),
    icc!("ICC_ASGI1R_EL1", encode(3, 0, 12, 11, 6), R::Asgi1r, Generate).levels(NEVER, 1),
    icc!("ICC_SGI0R_EL1", encode(3, 0, 12, 11, 7), R::Sgi0r, Generate).levels(NEVER, 1),
    icc!("ICC_IAR1_EL1", encode(3, 0, 12, 12, 0), R::Iar1, Group1).levels(1, NEVER),
    icc!("ICC_EOIR1_EL1", encode(3, 0, 12, 12, 1), R::Eoir1, Group1).levels(NEVER, 1),
    icc!("ICC_HPPIR1_EL1", encode(3, 0, 12, 12, 2), R::Hppir1, Group1).levels(1, NEVER),
    icc!("ICC_BPR1_EL1", encode(3, 0, 12, 12, 3), R::Bpr1, Group1),
    icc!("ICC_CTLR_EL1", encode(3, 0, 12, 12, 4), R::Ctlr, Common),
    icc!("ICC_IGRPEN0_EL1", encode(3, 0, 12, 12, 6), R::Igrpen0, Group0),
    icc!("ICC_IGRPEN1_EL1", encode(3, 0, 12, 12, 7), R::Igrpen1, Group1),
    icc!("ICC_AP0R0_EL1", encode(3, 0, 12, 8, 4), R::Ap0r(0), Group0),
    icc!("ICC_AP1R0_EL1", encode(3, 0, 12, 9, 0), R::Ap1r(0), Group1),
    // System registers are always on.
    functions("ICC_SRE_EL1", encode(3, 0, 12, 12, 5), |_| 7, ignore).needs(Needs::Gic),
    functions("ICC_SRE_EL2", encode(3, 4, 12, 9, 5), |_| 15, ignore).needs(Needs::GicEl2),
    functions("ICC_SRE_EL3", encode(3, 6, 12, 12, 5), |_| 15, ignore).needs(Needs::GicEl3),
    icc!("ICC_CTLR_EL3", encode(3, 6, 12, 12, 4), R::CtlrEl3, Common).needs(Needs::GicEl3),
    icc!("ICC_IGRPEN1_EL3", encode(3, 6, 12, 12, 7), R::Igrpen1El3, Common).needs(Needs::GicEl3),
    ich!("ICH_AP0R0_EL2", 8, 0, H::Ap0r),
    ich!("ICH_AP1R0_EL2", 9, 0, H::Ap1r),
    ich!("ICH_HCR_EL2", 11, 0, H::Hcr),
    ich!("ICH_VTR_EL2", 11, 1, H::Vtr).levels(2, NEVER),
    ich!("ICH_MISR_EL2", 11, 2, H::Misr).levels(2, NEVER),
    ich!("ICH_EISR_EL2", 11, 3, H::Eisr).levels(2, NEVER),
    ich!("ICH_ELRSR_EL2", 11, 5, H::Elrsr).levels(2, NEVER),
    ich!("ICH_VMCR_EL2", 11, 7, H::Vmcr),
    ich!("ICH_LR0_EL2", 12, 0, H::Lr(0)),
    ich!("ICH_LR1_EL2", 12, 1, H::Lr(1)),
    ich!("ICH_LR2_EL2", 12, 2, H::Lr(2)),
    ich!("ICH_LR3_EL2", 12, 3, H::Lr(3)),
];
