//! Registers of the GIC's CPU interface, which the interrupt controller answers: [`crate::gic`]. Left out: its virtual interface
//! (ICH and ICV registers).

use super::{NEVER, Needs, Row, encode, functions, ignore};
use crate::cpu::Cpu;
use crate::gic::{IccRegister, Level};

fn level(cpu: &Cpu) -> Level {
    Level { el: cpu.system.el, secure: cpu.system.is_secure(cpu.system.el) }
}

fn read(cpu: &mut Cpu, register: IccRegister) -> u64 {
    let (number, at) = (cpu.system.board.number, level(cpu));
    let gic = cpu.system.wiring.as_ref().and_then(|wiring| wiring.gic.as_ref());
    gic.map_or(0, |gic| gic.read(number, register, at))
}

fn write(cpu: &mut Cpu, register: IccRegister, value: u64) {
    let (number, at) = (cpu.system.board.number, level(cpu));
    if let Some(gic) = cpu.system.wiring.as_ref().and_then(|wiring| wiring.gic.as_ref()) {
        gic.write(number, register, value, at);
    }
}

macro_rules! icc {
    ($name:literal, $encoding:expr, $register:expr) => {
        functions($name, $encoding, |cpu| read(cpu, $register), |cpu, value| write(cpu, $register, value))
            .needs(Needs::Gic)
    };
}

use IccRegister as R;

/// The rows.
pub static ROWS: &[Row] = &[
    icc!("ICC_PMR_EL1", encode(3, 0, 4, 6, 0), R::Pmr),
    icc!("ICC_IAR0_EL1", encode(3, 0, 12, 8, 0), R::Iar0).levels(1, NEVER),
    icc!("ICC_EOIR0_EL1", encode(3, 0, 12, 8, 1), R::Eoir0).levels(NEVER, 1),
    icc!("ICC_HPPIR0_EL1", encode(3, 0, 12, 8, 2), R::Hppir0).levels(1, NEVER),
    icc!("ICC_BPR0_EL1", encode(3, 0, 12, 8, 3), R::Bpr0),
    icc!("ICC_DIR_EL1", encode(3, 0, 12, 11, 1), R::Dir).levels(NEVER, 1),
    icc!("ICC_RPR_EL1", encode(3, 0, 12, 11, 3), R::Rpr).levels(1, NEVER),
    icc!("ICC_SGI1R_EL1", encode(3, 0, 12, 11, 5), R::Sgi1r).levels(NEVER, 1),
    icc!("ICC_ASGI1R_EL1", encode(3, 0, 12, 11, 6), R::Asgi1r).levels(NEVER, 1),
    icc!("ICC_SGI0R_EL1", encode(3, 0, 12, 11, 7), R::Sgi0r).levels(NEVER, 1),
    icc!("ICC_IAR1_EL1", encode(3, 0, 12, 12, 0), R::Iar1).levels(1, NEVER),
    icc!("ICC_EOIR1_EL1", encode(3, 0, 12, 12, 1), R::Eoir1).levels(NEVER, 1),
    icc!("ICC_HPPIR1_EL1", encode(3, 0, 12, 12, 2), R::Hppir1).levels(1, NEVER),
    icc!("ICC_BPR1_EL1", encode(3, 0, 12, 12, 3), R::Bpr1),
    icc!("ICC_CTLR_EL1", encode(3, 0, 12, 12, 4), R::Ctlr),
    icc!("ICC_IGRPEN0_EL1", encode(3, 0, 12, 12, 6), R::Igrpen0),
    icc!("ICC_IGRPEN1_EL1", encode(3, 0, 12, 12, 7), R::Igrpen1),
    icc!("ICC_AP0R0_EL1", encode(3, 0, 12, 8, 4), R::Ap0r(0)),
    icc!("ICC_AP1R0_EL1", encode(3, 0, 12, 9, 0), R::Ap1r(0)),
    // System registers are always on.
    functions("ICC_SRE_EL1", encode(3, 0, 12, 12, 5), |_| 7, ignore).needs(Needs::Gic),
    functions("ICC_SRE_EL2", encode(3, 4, 12, 9, 5), |_| 15, ignore).needs(Needs::GicEl2),
    functions("ICC_SRE_EL3", encode(3, 6, 12, 12, 5), |_| 15, ignore).needs(Needs::GicEl3),
    icc!("ICC_CTLR_EL3", encode(3, 6, 12, 12, 4), R::CtlrEl3).needs(Needs::GicEl3),
    icc!("ICC_IGRPEN1_EL3", encode(3, 6, 12, 12, 7), R::Igrpen1El3).needs(Needs::GicEl3),
];
