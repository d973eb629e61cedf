//! vCPU threads and the life of a machine.

use crate::power::{End, Power, Request};
use base::{Device, PowerEvent, Shared};
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use tcg_core::guest::Guest;
use tcg_core::run::{Handle, Vcpu};

/// Puts memory and vCPU state back to what they are at power-on: called with every vCPU stopped.
pub type Reload<G> = Box<dyn FnMut(&mut [Vcpu<G>]) + Send>;

/// A machine that is ready to run.
pub struct Machine<G: Guest> {
    vcpus: Vec<Vcpu<G>>,
    devices: Vec<Shared<dyn Device>>,
    power: Arc<Power>,
    reload: Reload<G>,
    /// A reset ends the run.
    no_reboot: bool,
}

impl<G: Guest> Machine<G> {
    /// A machine of `vcpus` and `devices`; `reload` runs before the first instruction and after each reset.
    pub fn new(
        vcpus: Vec<Vcpu<G>>,
        devices: Vec<Shared<dyn Device>>,
        power: Arc<Power>,
        reload: Reload<G>,
        no_reboot: bool,
    ) -> Self {
        Self { vcpus, devices, power, reload, no_reboot }
    }

    /// Runs until the guest turns the machine off or somebody ends it.
    pub fn run(mut self) -> io::Result<End> {
        loop {
            for device in &self.devices {
                device.lock().reset();
            }
            (self.reload)(&mut self.vcpus);
            match self.run_until_request()? {
                Request::Quit => return Ok(End::Quit),
                Request::Guest(PowerEvent::Off { code }) => return Ok(End::Off(code)),
                Request::Guest(PowerEvent::Reset) if self.no_reboot => return Ok(End::Reset),
                Request::Guest(PowerEvent::Reset) => {}
            }
        }
    }

    /// One life: from power-on to the next request.
    fn run_until_request(&mut self) -> io::Result<Request> {
        let handles: Vec<Arc<Handle<G>>> = self.vcpus.iter().map(|v| v.handle().clone()).collect();
        let mut threads: Vec<JoinHandle<Vcpu<G>>> = Vec::new();
        for (n, mut vcpu) in self.vcpus.drain(..).enumerate() {
            let thread = std::thread::Builder::new().name(format!("vcpu{n}"));
            threads.push(thread.spawn(move || {
                vcpu.run();
                vcpu
            })?);
        }
        let request = self.power.next();
        for handle in &handles {
            handle.stop();
        }
        for thread in threads {
            // A panic of a vCPU thread is a fault of ours: it goes on in this thread.
            self.vcpus.push(thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        Ok(request)
    }
}
