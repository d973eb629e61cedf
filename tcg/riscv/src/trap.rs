//! Taking traps and returning from them: RISC-V Privileged ISA 20240411, 3.1.6 to 3.1.15, 3.3.2, 4.1.

use crate::cpu::Hart;
use crate::csr::Priv;
use crate::csr::bits::{cause, mstatus};
use tcg_core::guest::Trap;

/// No reservation.
const NO_RESERVATION: u64 = u64::MAX;

/// What QEMU calls the exceptions, by cause.
const EXCEPTIONS: [&str; 16] = [
    "misaligned_fetch",
    "fault_fetch",
    "illegal_instruction",
    "breakpoint",
    "misaligned_load",
    "fault_load",
    "misaligned_store",
    "fault_store",
    "user_ecall",
    "supervisor_ecall",
    "hypervisor_ecall",
    "machine_ecall",
    "exec_page_fault",
    "load_page_fault",
    "reserved",
    "store_page_fault",
];

/// What QEMU calls the interrupts, by number; the counter overflow has no name there.
const INTERRUPTS: [&str; 14] = [
    "u_software",
    "s_software",
    "vs_software",
    "m_software",
    "u_timer",
    "s_timer",
    "vs_timer",
    "m_timer",
    "u_external",
    "s_external",
    "vs_external",
    "m_external",
    "s_guest_external",
    "counter_overflow",
];

/// Reports a trap with this `cause`, as `mcause` holds it, for `-d int`: before it is taken.
pub fn log(hart: &Hart, cause: u64, value: u64) {
    let interrupt = cause & self::cause::INTERRUPT != 0;
    let number = cause & !self::cause::INTERRUPT;
    let names = if interrupt { &INTERRUPTS[..] } else { &EXCEPTIONS };
    tracing::trace!(
        target: "int",
        "riscv_cpu_do_interrupt: hart:{}, async:{}, cause:{number:016x}, epc:{:#018x}, tval:{value:#018x}, desc={}",
        hart.csr.mhartid,
        u8::from(interrupt),
        hart.head.pc,
        names.get(number as usize).unwrap_or(&"(unknown)"),
    );
}

/// Enters the handler of an exception.
pub fn exception(hart: &mut Hart, trap: Trap) {
    let delegated = hart.csr.privilege != Priv::M && hart.csr.medeleg >> trap.code & 1 != 0;
    enter(hart, delegated, trap.code.into(), trap.value);
}

/// Takes the most urgent interrupt that can be taken; false if there is none.
pub fn interrupt(hart: &mut Hart) -> bool {
    let Some(number) = hart.csr.deliverable() else { return false };
    let delegated = hart.csr.mideleg >> number & 1 != 0;
    enter(hart, delegated, cause::INTERRUPT | u64::from(number), 0);
    true
}

fn enter(hart: &mut Hart, to_supervisor: bool, cause: u64, value: u64) {
    log(hart, cause, value);
    let now = hart.now();
    let csr = &mut hart.csr;
    let pc = hart.head.pc;
    let from = csr.privilege;
    let status = csr.mstatus;
    let (tvec, to) = if to_supervisor {
        (csr.sepc, csr.scause, csr.stval) = (pc, cause, value);
        let spie = if status & mstatus::SIE != 0 { mstatus::SPIE } else { 0 };
        let spp = if from == Priv::S { mstatus::SPP } else { 0 };
        csr.mstatus = status & !(mstatus::SIE | mstatus::SPIE | mstatus::SPP) | spie | spp;
        (csr.stvec, Priv::S)
    } else {
        (csr.mepc, csr.mcause, csr.mtval) = (pc, cause, value);
        let mpie = if status & mstatus::MIE != 0 { mstatus::MPIE } else { 0 };
        let mpp = (from as u64) << mstatus::MPP_SHIFT;
        csr.mstatus = status & !(mstatus::MIE | mstatus::MPIE | mstatus::MPP) | mpie | mpp;
        (csr.mtvec, Priv::M)
    };
    hart.set_privilege(to, now);
    let vectored = tvec & 3 == 1 && cause & self::cause::INTERRUPT != 0;
    let offset = if vectored { 4 * (cause & !self::cause::INTERRUPT) } else { 0 };
    hart.head.pc = (tvec & !3).wrapping_add(offset);
    hart.reservation = NO_RESERVATION;
}

/// `mret`: gives the address to go on at. The caller has checked that the privilege allows it.
pub fn mret(hart: &mut Hart) -> u64 {
    let now = hart.now_after();
    let status = hart.csr.mstatus;
    hart.set_privilege(Priv::from_bits(status >> mstatus::MPP_SHIFT), now);
    let csr = &mut hart.csr;
    let mie = if status & mstatus::MPIE != 0 { mstatus::MIE } else { 0 };
    let mut new = status & !(mstatus::MIE | mstatus::MPP) | mie | mstatus::MPIE;
    if csr.privilege != Priv::M {
        new &= !mstatus::MPRV;
    }
    csr.mstatus = new;
    hart.reservation = NO_RESERVATION;
    csr.mepc
}

/// `sret`: gives the address to go on at. The caller has checked that the privilege allows it.
pub fn sret(hart: &mut Hart) -> u64 {
    let now = hart.now_after();
    let status = hart.csr.mstatus;
    hart.set_privilege(if status & mstatus::SPP != 0 { Priv::S } else { Priv::U }, now);
    let csr = &mut hart.csr;
    let sie = if status & mstatus::SPIE != 0 { mstatus::SIE } else { 0 };
    let new = status & !(mstatus::SIE | mstatus::SPP | mstatus::MPRV) | sie | mstatus::SPIE;
    csr.mstatus = new;
    hart.reservation = NO_RESERVATION;
    csr.sepc
}
