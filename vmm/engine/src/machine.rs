//! vCPU threads and the life of a machine.

use crate::power::{End, Power, Request, RunState};
use base::{Device, PowerEvent, Shared};
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use tcg_core::guest::Guest;
use tcg_core::run::{Handle, Vcpu};

/// Puts memory and vCPU state back to what they are at power-on: called with every vCPU stopped.
pub type Reload<G> = Box<dyn FnMut(&mut [Vcpu<G>]) + Send>;

/// What becomes of the machine when the guest asks for something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// The vCPUs wait for [`Power::resume`] before their first instruction.
    pub start_paused: bool,
    /// A reset ends the run.
    pub reboot_ends: bool,
    /// Where the run would end by the guest's doing, the machine stops and waits instead.
    pub shutdown_pauses: bool,
}

/// Ends the run when a vCPU thread panics, rather than waiting for it for ever.
struct EndOnPanic(Arc<Power>);

impl Drop for EndOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.quit();
        }
    }
}

/// A machine that is ready to run.
pub struct Machine<G: Guest> {
    vcpus: Vec<Vcpu<G>>,
    devices: Vec<Shared<dyn Device>>,
    power: Arc<Power>,
    reload: Reload<G>,
    policy: Policy,
}

impl<G: Guest> Machine<G> {
    /// A machine of `vcpus` and `devices`, which are as after a reset; `reload` runs before the first instruction and
    /// after each reset.
    pub fn new(
        vcpus: Vec<Vcpu<G>>,
        devices: Vec<Shared<dyn Device>>,
        power: Arc<Power>,
        reload: Reload<G>,
        policy: Policy,
    ) -> Self {
        // Known from the start: a monitor may ask before the first instruction.
        power.set_state(if policy.start_paused { RunState::Prelaunch } else { RunState::Running });
        Self { vcpus, devices, power, reload, policy }
    }

    /// Runs until the guest turns the machine off or somebody ends it.
    pub fn run(mut self) -> io::Result<End> {
        let mut state = self.power.state();
        loop {
            (self.reload)(&mut self.vcpus);
            if let Some(end) = self.live(&mut state)? {
                return Ok(end);
            }
            self.power.forget_guest();
            for device in &self.devices {
                device.lock().reset();
            }
            if state == RunState::Shutdown {
                state = RunState::Paused;
            }
        }
    }

    /// One life: from power-on to the end of the run, or to a reset (`None`).
    fn live(&mut self, state: &mut RunState) -> io::Result<Option<End>> {
        loop {
            self.power.set_state(*state);
            let request = match state {
                RunState::Running => self.run_until_request()?,
                _ => self.power.next(),
            };
            let end = match request {
                Request::Quit => return Ok(Some(End::Quit)),
                Request::Guest(PowerEvent::Off { code }) => End::Off(code),
                Request::Reset | Request::Guest(PowerEvent::Reset) if self.policy.reboot_ends => End::Reset,
                Request::Reset | Request::Guest(PowerEvent::Reset) => return Ok(None),
                Request::Pause if *state == RunState::Running => {
                    *state = RunState::Paused;
                    continue;
                }
                Request::Resume if *state != RunState::Shutdown => {
                    *state = RunState::Running;
                    continue;
                }
                Request::Pause | Request::Resume => continue,
            };
            if !self.policy.shutdown_pauses {
                return Ok(Some(end));
            }
            *state = RunState::Shutdown;
        }
    }

    /// Lets the vCPUs run until somebody wants something.
    fn run_until_request(&mut self) -> io::Result<Request> {
        let handles: Vec<Arc<Handle<G>>> = self.vcpus.iter().map(|v| v.handle().clone()).collect();
        let mut threads: Vec<JoinHandle<Vcpu<G>>> = Vec::new();
        for (n, mut vcpu) in self.vcpus.drain(..).enumerate() {
            let thread = std::thread::Builder::new().name(format!("vcpu{n}"));
            let power = self.power.clone();
            threads.push(thread.spawn(move || {
                let _fault = EndOnPanic(power);
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
