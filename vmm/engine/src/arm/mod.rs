//! The built-in firmware of an aarch64 machine: a kernel is entered directly, and its PSCI calls are answered here, by
//! [`firmware::psci`].

mod platform;
mod semihost;

use crate::parking::{ParkedState, Parking, Start};
use crate::semihost::Semihost;
use base::PowerSink;
use firmware::psci::{self, Return};
use platform::Calling;
use std::sync::Arc;
use tcg_aarch64::Aarch64;
use tcg_aarch64::cpu::Cpu;
use tcg_aarch64::esr::{CLASS_SHIFT, class};
use tcg_aarch64::sysreg::hcr;
use tcg_core::guest::Trap;
use tcg_core::run::Vcpu;

/// How PSCI is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conduit {
    /// By `hvc`, where there is no EL2.
    Hvc,
    /// By `smc`, where there is no EL3.
    Smc,
}

/// The PSCI of one machine.
pub struct Psci {
    cpus: Arc<Parking<Aarch64>>,
    affinities: Vec<u64>,
    power: Arc<dyn PowerSink>,
    conduit: Conduit,
}

impl Psci {
    /// A PSCI for CPUs of these affinities, which start in exception level `el`.
    pub fn new(affinities: Vec<u64>, el: u8, conduit: Conduit, power: Arc<dyn PowerSink>) -> Arc<Self> {
        let enter = move |vcpu: &mut Vcpu<Aarch64>, _: usize, start: Start| {
            vcpu.cpu_mut().enter(el, start.entry, start.argument);
        };
        let cpus = Parking::new(affinities.len(), Box::new(enter));
        Arc::new(Self { cpus, affinities, power, conduit })
    }

    /// What of it is saved.
    pub fn parked(&self) -> ParkedState<Aarch64> {
        ParkedState::new(self.cpus.clone())
    }

    /// Puts all CPUs into their state at power-on: the first starts at `entry`, the others wait to be started.
    pub fn reset(&self, vcpus: &mut [Vcpu<Aarch64>], entry: u64) {
        self.cpus.reset(vcpus, Start { entry, argument: 0 });
    }

    /// Sees every trap of a CPU first; takes the calls.
    fn trap(&self, vcpu: &mut Vcpu<Aarch64>, number: usize, trap: Trap) -> bool {
        let class = match self.conduit {
            Conduit::Hvc => class::HVC,
            Conduit::Smc => class::SMC,
        };
        let x = vcpu.cpu().x;
        if trap.code >> CLASS_SHIFT != class || self.conduit == Conduit::Smc && is_trapped(vcpu.cpu()) {
            return false;
        }
        let result = psci::call(&mut Calling { psci: self, vcpu, number }, x[0], [x[1], x[2], x[3]]);
        let cpu = vcpu.cpu_mut();
        match result {
            Return::Value(value) => {
                cpu.x[0] = value as u64;
                cpu.head.pc += 4;
            }
            Return::Never => self.cpus.hold(vcpu, number),
        }
        true
    }
}

/// Whether the hypervisor answers its guest's calls.
fn is_trapped(cpu: &Cpu) -> bool {
    cpu.system.el == 1 && cpu.system.hcr() & hcr::TSC != 0
}

/// Puts PSCI and semihosting under `vcpus`, as far as they are wanted: call once, before the machine runs.
pub fn install(vcpus: &mut [Vcpu<Aarch64>], psci: Option<&Arc<Psci>>, semihost: Option<&Arc<Semihost>>) {
    if let Some(psci) = psci {
        psci.cpus.connect(vcpus);
    }
    if psci.is_none() && semihost.is_none() {
        return;
    }
    for (number, vcpu) in vcpus.iter_mut().enumerate() {
        let (psci, semihost) = (psci.cloned(), semihost.cloned());
        vcpu.set_trap_hook(Box::new(move |vcpu, trap| {
            psci.as_ref().is_some_and(|psci| psci.trap(vcpu, number, trap))
                || semihost.as_ref().is_some_and(|semihost| semihost::trap(semihost, vcpu, trap))
        }));
    }
}

/// Puts all CPUs into their state at a reset without PSCI: all of them run, at `entry` in the highest exception level.
pub fn reset(vcpus: &mut [Vcpu<Aarch64>], entry: u64) {
    for vcpu in vcpus {
        vcpu.cpu_mut().reset();
        vcpu.cpu_mut().head.pc = entry;
    }
}
