//! The built-in firmware of an aarch64 machine: a kernel is entered directly, and its PSCI calls are answered here, by
//! [`firmware::psci`]. [`gic`] joins CPUs to the system registers of their interrupt controller.

mod platform;

use crate::parking::{Parking, Start};
use base::PowerSink;
use firmware::psci::{self, Return};
use platform::Calling;
use std::sync::Arc;
use tcg_aarch64::Aarch64;
use tcg_aarch64::board::Board;
use tcg_aarch64::esr::{CLASS_SHIFT, class};
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

    /// Puts it under `vcpus`: call once, before the machine runs.
    pub fn install(self: &Arc<Self>, vcpus: &mut [Vcpu<Aarch64>]) {
        self.cpus.connect(vcpus);
        for (number, vcpu) in vcpus.iter_mut().enumerate() {
            let psci = self.clone();
            vcpu.set_trap_hook(Box::new(move |vcpu, trap| psci.trap(vcpu, number, trap)));
        }
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
        if trap.code >> CLASS_SHIFT != class {
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

/// What a board says of CPU `number`, whose affinity is its number.
pub fn board(number: usize, cntfrq: u64) -> Board {
    Board { number, mpidr: number as u64, has_el2: false, has_el3: false, cntfrq }
}

/// Puts all CPUs into their state at a reset without PSCI: at address 0.
pub fn reset(vcpus: &mut [Vcpu<Aarch64>]) {
    vcpus.iter_mut().for_each(|vcpu| vcpu.cpu_mut().reset());
}
