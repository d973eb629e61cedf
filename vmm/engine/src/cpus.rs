//! vCPUs that stand still, as debuggers and monitors see them, whatever their guest.

use base::{AddressSpace, State, StateError};
use tcg_core::debug::{Debuggable, Feature};
use tcg_core::guest::{Point, Registers, Units};
use tcg_core::run::{CodeCache, Vcpu};
use tcg_core::saved::Saved;

/// One vCPU.
pub trait Cpu {
    /// gdb's name of its architecture.
    fn architecture(&self) -> &'static str;
    /// Its registers.
    fn features(&mut self) -> Vec<Feature>;
    /// The value of register `number`, in the guest's byte order.
    fn register(&mut self, number: u32) -> Option<Vec<u8>>;
    /// Sets register `number`; false where that is not possible.
    fn set_register(&mut self, number: u32, value: &[u8]) -> bool;
    /// The address of its next instruction.
    fn pc(&self) -> u64;
    /// The guest-physical address of `addr`; `None` where nothing is mapped.
    fn translate(&self, addr: u64) -> Option<u64>;
    /// Has a debugger's points be these.
    fn set_points(&mut self, points: &[Point]);
    /// Its state as text, as `info registers` shows it.
    fn show(&self) -> String;
    /// What is mapped, as `info mem` shows it.
    fn mappings(&self) -> String;
    /// The listing of the instruction at `addr`, and its length.
    fn disassemble(&mut self, addr: u64) -> Option<(String, u64)>;
    /// Whether it waits for an interrupt.
    fn asleep(&self) -> bool;
    /// Guest-physical memory.
    fn space(&self) -> &AddressSpace;
    /// Where its translations are.
    fn code(&self) -> &CodeCache;
    /// Its whole state.
    fn save(&mut self) -> State;
    /// Forgets what others want of the state that goes and what was worked out from it: before [`Cpu::load`], and before
    /// devices and memory are loaded.
    fn forget(&mut self);
    /// Takes over a state; on error it is as it was.
    fn load(&mut self, state: &State) -> Result<(), StateError>;
}

impl<G: Debuggable + Saved> Cpu for Vcpu<G> {
    fn architecture(&self) -> &'static str {
        G::ARCHITECTURE
    }

    fn features(&mut self) -> Vec<Feature> {
        G::features(self.cpu_mut())
    }

    fn register(&mut self, number: u32) -> Option<Vec<u8>> {
        G::register(self.cpu_mut(), number)
    }

    fn set_register(&mut self, number: u32, value: &[u8]) -> bool {
        let done = G::set_register(self.cpu_mut(), number, value);
        // It may enable an interrupt.
        self.handle().lines().kick();
        done
    }

    fn pc(&self) -> u64 {
        self.cpu().as_ref().pc
    }

    fn translate(&self, addr: u64) -> Option<u64> {
        Vcpu::translate(self, addr)
    }

    fn set_points(&mut self, points: &[Point]) {
        Vcpu::set_points(self, points);
    }

    fn show(&self) -> String {
        Registers::<G> { cpu: self.cpu(), units: Units { float: true, vector: false } }.to_string()
    }

    fn mappings(&self) -> String {
        Vcpu::mappings(self)
    }

    fn disassemble(&mut self, addr: u64) -> Option<(String, u64)> {
        Vcpu::disassemble(self, addr)
    }

    fn asleep(&self) -> bool {
        self.handle().asleep()
    }

    fn space(&self) -> &AddressSpace {
        Vcpu::space(self)
    }

    fn code(&self) -> &CodeCache {
        Vcpu::code(self)
    }

    fn save(&mut self) -> State {
        G::save(self.cpu_mut())
    }

    fn forget(&mut self) {
        Vcpu::forget(self);
    }

    fn load(&mut self, state: &State) -> Result<(), StateError> {
        G::load(self.cpu_mut(), state)
    }
}

/// All vCPUs of a machine.
pub trait Cpus {
    /// How many there are.
    fn count(&self) -> usize;
    /// One of them.
    fn cpu(&mut self, number: usize) -> Option<&mut dyn Cpu>;
}

impl<G: Debuggable + Saved> Cpus for Vec<Vcpu<G>> {
    fn count(&self) -> usize {
        self.len()
    }

    fn cpu(&mut self, number: usize) -> Option<&mut dyn Cpu> {
        self.get_mut(number).map(|cpu| cpu as &mut dyn Cpu)
    }
}

/// How one vCPU goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Motion {
    /// It runs.
    Run,
    /// It runs one instruction, and the machine stops.
    Step {
        /// Whether it may take an interrupt instead.
        interrupts: bool,
    },
    /// It stands still.
    Hold,
}

/// How the vCPUs go on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Of each vCPU; those that are not in it run.
    pub motions: Vec<Motion>,
    /// Machine time stands still while vCPUs step and none runs.
    pub hold_time: bool,
}

impl Plan {
    pub(crate) fn motion(&self, number: usize) -> Motion {
        self.motions.get(number).copied().unwrap_or(Motion::Run)
    }

    /// Steps are done.
    pub(crate) fn hold_steppers(&mut self) {
        for motion in &mut self.motions {
            if matches!(motion, Motion::Step { .. }) {
                *motion = Motion::Hold;
            }
        }
    }
}
