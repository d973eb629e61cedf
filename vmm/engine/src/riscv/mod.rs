//! The built-in firmware of a riscv machine: harts enter S-mode directly, and their environment calls are answered
//! here, by [`firmware::sbi`].

mod platform;
mod semihost;

use crate::parking::{ParkedState, Parking, Start};
use crate::semihost::Semihost;
use base::{CpuLines, IrqSink, PowerSink};
use firmware::sbi::{self, Call, Return};
use platform::Calling;
use std::sync::Arc;
use tcg_core::guest::{Registers, Trap, Units};
use tcg_core::run::Vcpu;
use tcg_riscv::Riscv;
use tcg_riscv::cpu::Hart;
use tcg_riscv::csr::Priv;
use tcg_riscv::csr::bits::{cause, envcfg, irq, mstatus};
use tcg_riscv::trap;

/// Writes to the debug console.
pub type Console = Box<dyn Fn(&[u8]) + Send + Sync>;

/// The SBI of one machine.
pub struct Sbi {
    harts: Arc<Parking<Riscv>>,
    power: Arc<dyn PowerSink>,
    console: Console,
}

impl Sbi {
    /// An SBI for `harts` harts.
    pub fn new(harts: usize, power: Arc<dyn PowerSink>, console: Console) -> Arc<Self> {
        Arc::new(Self { harts: Parking::new(harts, Box::new(enter_supervisor)), power, console })
    }

    /// What of it is saved.
    pub fn parked(&self) -> ParkedState<Riscv> {
        ParkedState::new(self.harts.clone())
    }

    /// Puts all harts into their state at power-on: the first starts in S-mode at `entry` with a1 `opaque`, the others
    /// wait to be started.
    pub fn reset(&self, vcpus: &mut [Vcpu<Riscv>], entry: u64, opaque: u64) {
        self.harts.reset(vcpus, Start { entry, argument: opaque });
    }

    /// Sees every trap of a hart first; takes environment calls from S-mode.
    fn trap(self: &Arc<Self>, vcpu: &mut Vcpu<Riscv>, trap: Trap) -> bool {
        if trap.code != cause::ECALL_S {
            return false;
        }
        trap::log(vcpu.cpu(), trap.code.into(), trap.value);
        let x = &vcpu.cpu().x;
        let call = Call { extension: x[17], function: x[16], args: std::array::from_fn(|i| x[10 + i]) };
        vcpu.cpu_mut().head.pc += 4;
        let result = sbi::call(&mut Calling { sbi: self, vcpu }, call);
        let cpu = vcpu.cpu_mut();
        match result {
            Return::Pair(error, value) => (cpu.x[10], cpu.x[11]) = (error as i64 as u64, value),
            Return::Legacy(value) => cpu.x[10] = value,
            Return::Never => {
                let hart = vcpu.cpu().csr.mhartid as usize;
                self.harts.hold(vcpu, hart);
            }
        }
        true
    }
}

/// Puts the SBI and semihosting under `vcpus`, as far as they are wanted: call once, before the machine runs.
pub fn install(vcpus: &mut [Vcpu<Riscv>], sbi: Option<&Arc<Sbi>>, semihost: Option<&Arc<Semihost>>) {
    if let Some(sbi) = sbi {
        sbi.harts.connect(vcpus);
    }
    if sbi.is_none() && semihost.is_none() {
        return;
    }
    for vcpu in vcpus {
        let (sbi, semihost) = (sbi.cloned(), semihost.cloned());
        vcpu.set_trap_hook(Box::new(move |vcpu, trap| {
            sbi.as_ref().is_some_and(|sbi| sbi.trap(vcpu, trap))
                || semihost.as_ref().is_some_and(|semihost| semihost::trap(semihost, vcpu, trap))
        }));
    }
}

/// Instructions that all harts run in step after a reset without the SBI ([`crate::Policy::in_step`]): enough to get past the
/// lottery of OpenSBI. Harts leave reset in the same clock, while threads start when the host pleases; OpenSBI 1.5 hangs
/// when a hart comes to its lottery after another one has booted.
pub const IN_STEP: usize = 64;

/// Puts all harts into their state at power-on without the SBI: in M-mode at `pc`.
pub fn reset(vcpus: &mut [Vcpu<Riscv>], pc: u64) {
    for vcpu in vcpus.iter_mut() {
        clear(vcpu.cpu_mut());
        vcpu.cpu_mut().head.pc = pc;
    }
}

/// All registers as after a reset.
fn clear(hart: &mut Hart) {
    let state = Registers::<Riscv> { cpu: hart, units: Units::logged() };
    tracing::trace!(target: "cpu_reset", "CPU Reset (CPU {})\n{state}", hart.csr.mhartid);
    hart.csr.reset();
    (hart.x, hart.f) = ([0; 32], [0; 32]);
    hart.reservation = u64::MAX;
    (hart.head.fp_flags, hart.head.insns) = (0, 0);
}

/// What M-mode firmware would have set up: everything delegated, counters and memory open to S-mode.
fn enter_supervisor(vcpu: &mut Vcpu<Riscv>, hart: usize, start: Start) {
    let cpu = vcpu.cpu_mut();
    clear(cpu);
    let now = cpu.now();
    cpu.set_privilege(Priv::S, now);
    cpu.csr.medeleg = cause::DELEGABLE & !(1 << cause::ECALL_S);
    cpu.csr.mideleg = irq::SUPERVISOR | 1 << irq::LCOFI;
    (cpu.csr.mcounteren, cpu.csr.scounteren) = (0xffff_ffff, 0xffff_ffff);
    cpu.csr.mstatus |= mstatus::FS & (1 << mstatus::FS_SHIFT);
    cpu.csr.menvcfg |= envcfg::STCE | envcfg::CBCFE | envcfg::CBZE | envcfg::CBIE;
    // Only the fixed counters run.
    cpu.change_counters(now, |counters| counters.set_inhibit(0xffff_fff8));
    cpu.csr.pmp.set_addr(0, u64::MAX);
    cpu.csr.pmp.set_cfg(0, 0x1f);
    cpu.csr.update_stimer();
    (cpu.x[10], cpu.x[11]) = (hart as u64, start.argument);
    cpu.head.pc = start.entry;
}

/// Makes a supervisor software interrupt pending.
fn interrupt(lines: &CpuLines) {
    lines.set(irq::SSI, true);
}
