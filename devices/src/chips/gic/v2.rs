//! GICv2, as a GIC-400: a distributor and one CPU interface for each of up to eight CPUs (IHI 0048B chapter 4).
//!
//! The frames are banked: what a CPU sees of private interrupts and of the CPU interfaces is its own
//! ([`base::requester`]). With two Security states the Secure one has frames of its own, which show everything. Where CPUs have EL2 there are the two frames of the virtual CPU interface as well.

mod distributor;
mod guest;
mod interface;

use super::bank::View;
use super::virtualization::VirtualInterface;
use super::{CpuPins, Group, Input, PRIVATE, Security, Signals};
use base::{Device, IrqSink, Mmio, State, StateError, Width, Widths, requester};
use distributor::Distributor;
use interface::Interface;
use parking_lot::Mutex;
use std::sync::Arc;

/// Bytes of the distributor.
pub const DISTRIBUTOR_SIZE: u64 = 0x1000;
/// Bytes of the CPU interface, and of the guest's view of the virtual one.
pub const INTERFACE_SIZE: u64 = 0x2000;
/// Bytes of the hypervisor's view of the virtual one.
pub const HYPERVISOR_SIZE: u64 = 0x1000;
/// The most CPUs.
pub const MAX_CPUS: usize = 8;

const NAME: &str = "arm_gic";
const VERSION: u32 = 2;

struct Registers {
    distributor: Distributor,
    interfaces: Vec<Interface>,
    guests: Vec<VirtualInterface>,
}

struct Core {
    registers: Mutex<Registers>,
    pins: Vec<CpuPins>,
    /// The private interrupt that calls a hypervisor to its list registers.
    maintenance: Option<usize>,
    security: Security,
}

impl Core {
    /// The CPU whose access is under way.
    fn cpu(&self) -> usize {
        (requester() as usize).min(self.pins.len() - 1)
    }

    /// The view of a frame.
    fn view(&self, secure_frame: bool) -> View {
        if secure_frame || !self.security.has_two() { View::All } else { View::NonSecure }
    }

    /// Runs `act`, and drives what follows from it.
    fn with<R>(&self, act: impl FnOnce(&mut Registers) -> R) -> R {
        let mut registers = self.registers.lock();
        let result = act(&mut registers);
        for (cpu, pins) in self.pins.iter().enumerate() {
            if let Some(interrupt) = self.maintenance {
                let guest = &registers.guests[cpu];
                let (level, [virq, vfiq]) = (guest.maintenance(), guest.pins());
                registers.distributor.drive(Input::Private { cpu, interrupt }, level);
                pins.virq.set(virq);
                pins.vfiq.set(vfiq);
            }
            let [irq, fiq] = registers.interfaces[cpu].pins(registers.distributor.best(cpu));
            pins.irq.set(irq);
            pins.fiq.set(fiq);
        }
        result
    }
}

impl IrqSink for Core {
    fn set(&self, line: u32, level: bool) {
        self.with(|registers| registers.distributor.drive(Input::of(line), level));
    }
}

impl Signals for Core {
    fn may_signal(&self, cpu: usize) -> bool {
        let registers = self.registers.lock();
        let lets_in = registers.interfaces.get(cpu).is_some_and(Interface::lets_any_in);
        lets_in && registers.distributor.lets_any_out(cpu)
    }
}

/// The controller; its two frames are devices of their own.
pub struct GicV2 {
    core: Arc<Core>,
}

impl GicV2 {
    /// A controller with `spis` shared interrupts (a multiple of 32, up to 960), for a CPU on each of `pins`. Where those have EL2
    /// `maintenance` is the private interrupt that calls a hypervisor to its list registers.
    ///
    /// # Panics
    /// When there can not be as many: the numbers are a board's.
    pub fn new(spis: u32, pins: Vec<CpuPins>, maintenance: Option<u32>, security: Security) -> Self {
        assert!(spis.is_multiple_of(32) && spis <= 960, "a GICv2 has up to 960 SPIs, in groups of 32");
        assert!((1..=MAX_CPUS).contains(&pins.len()), "a GICv2 has one to eight CPUs");
        let distributor = Distributor::new(spis, pins.len(), security);
        let interfaces = vec![Interface::new(security); pins.len()];
        let guests = vec![VirtualInterface::default(); pins.len()];
        let registers = Mutex::new(Registers { distributor, interfaces, guests });
        let maintenance = maintenance.map(|n| n as usize);
        Self { core: Arc::new(Core { registers, pins, maintenance, security }) }
    }

    /// The inputs ([`super::spi_input`], [`super::ppi_input`]).
    pub fn inputs(&self) -> Arc<dyn IrqSink> {
        self.core.clone()
    }

    /// What gets through.
    pub fn signals(&self) -> Arc<dyn Signals> {
        self.core.clone()
    }

    /// The distributor's frame.
    pub fn distributor(&self) -> DistributorFrame {
        DistributorFrame { core: self.core.clone(), secure: false }
    }

    /// The same as the Secure state sees it.
    pub fn secure_distributor(&self) -> DistributorFrame {
        DistributorFrame { core: self.core.clone(), secure: true }
    }

    /// The CPU interface's frame.
    pub fn interface(&self) -> InterfaceFrame {
        InterfaceFrame { core: self.core.clone(), secure: false }
    }

    /// The same as the Secure state sees it.
    pub fn secure_interface(&self) -> InterfaceFrame {
        InterfaceFrame { core: self.core.clone(), secure: true }
    }

    /// The hypervisor's view of the virtual CPU interface.
    pub fn hypervisor(&self) -> VirtualFrame {
        VirtualFrame { core: self.core.clone(), viewer: Viewer::Hypervisor }
    }

    /// The guest's view of it.
    pub fn guest(&self) -> VirtualFrame {
        VirtualFrame { core: self.core.clone(), viewer: Viewer::Guest }
    }
}

/// The distributor on the bus.
pub struct DistributorFrame {
    core: Arc<Core>,
    secure: bool,
}

impl Device for DistributorFrame {
    fn name(&self) -> &'static str {
        NAME
    }

    fn reset(&mut self) {
        self.core.with(|registers| registers.distributor.reset());
    }

    fn save(&self) -> State {
        State::of(VERSION, &self.core.registers.lock().distributor)
    }

    fn load(&mut self, state: &State) -> Result<(), StateError> {
        let loaded: Distributor = state.get(VERSION)?;
        self.core.with(|registers| {
            if !registers.distributor.fits(&loaded) {
                return Err(StateError::Value("interrupts or CPUs that do not exist"));
            }
            registers.distributor = loaded;
            Ok(())
        })
    }
}

impl Mmio for DistributorFrame {
    fn widths(&self) -> Widths {
        Widths::UP_TO_WORD
    }

    fn read(&mut self, offset: u64, width: Width) -> u64 {
        let cpu = self.core.cpu();
        let word =
            self.core.registers.lock().distributor.read((cpu, self.core.view(self.secure)), offset & !3);
        u64::from(word) >> (8 * (offset & 3)) & width.mask()
    }

    fn write(&mut self, offset: u64, width: Width, value: u64) {
        let (cpu, shift) = (self.core.cpu(), 8 * (offset & 3));
        let (value, mask) = ((value << shift) as u32, (width.mask() << shift) as u32);
        let by = (cpu, self.core.view(self.secure));
        self.core.with(|registers| registers.distributor.write(by, offset & !3, (value, mask)));
    }
}

/// The CPU interface on the bus.
pub struct InterfaceFrame {
    core: Arc<Core>,
    secure: bool,
}

impl Device for InterfaceFrame {
    fn name(&self) -> &'static str {
        "arm_gic-cpu-interface"
    }

    fn reset(&mut self) {
        let fresh = Interface::new(self.core.security);
        self.core.with(|registers| registers.interfaces.fill(fresh));
    }

    fn save(&self) -> State {
        State::of(VERSION, &self.core.registers.lock().interfaces)
    }

    fn load(&mut self, state: &State) -> Result<(), StateError> {
        let loaded: Vec<Interface> = state.get(VERSION)?;
        if loaded.len() != self.core.pins.len() || !loaded.iter().all(Interface::fits) {
            return Err(StateError::Value("number of CPUs, or a priority"));
        }
        self.core.with(|registers| registers.interfaces = loaded);
        Ok(())
    }
}

impl Mmio for InterfaceFrame {
    fn widths(&self) -> Widths {
        Widths::WORD
    }

    fn read(&mut self, offset: u64, _width: Width) -> u64 {
        let by = (self.core.cpu(), self.core.view(self.secure));
        self.core.with(|registers| {
            let Registers { distributor, interfaces, .. } = registers;
            interfaces[by.0].read(by, offset, distributor).into()
        })
    }

    fn write(&mut self, offset: u64, _width: Width, value: u64) {
        let by = (self.core.cpu(), self.core.view(self.secure));
        self.core.with(|registers| {
            let Registers { distributor, interfaces, .. } = registers;
            interfaces[by.0].write(by, offset, value as u32, distributor);
        });
    }
}

/// Who looks at the virtual CPU interface.
#[derive(Clone, Copy)]
enum Viewer {
    Hypervisor,
    Guest,
}

/// A view of the virtual CPU interface on the bus. Both save the one state that they show.
pub struct VirtualFrame {
    core: Arc<Core>,
    viewer: Viewer,
}

impl Device for VirtualFrame {
    fn name(&self) -> &'static str {
        match self.viewer {
            Viewer::Hypervisor => "arm_gic-hypervisor",
            Viewer::Guest => "arm_gic-guest",
        }
    }

    fn reset(&mut self) {
        self.core.with(|registers| registers.guests.fill(VirtualInterface::default()));
    }

    fn save(&self) -> State {
        State::of(VERSION, &self.core.registers.lock().guests)
    }

    fn load(&mut self, state: &State) -> Result<(), StateError> {
        let loaded: Vec<VirtualInterface> = state.get(VERSION)?;
        if loaded.len() != self.core.pins.len() || !loaded.iter().all(VirtualInterface::fits) {
            return Err(StateError::Value("number of CPUs, or a priority"));
        }
        self.core.with(|registers| registers.guests = loaded);
        Ok(())
    }
}

impl Mmio for VirtualFrame {
    fn widths(&self) -> Widths {
        Widths::WORD
    }

    fn read(&mut self, offset: u64, _width: Width) -> u64 {
        let cpu = self.core.cpu();
        match self.viewer {
            Viewer::Hypervisor => self.core.registers.lock().guests[cpu].read_hypervisor_v2(offset).into(),
            Viewer::Guest => self.core.with(|registers| registers.guests[cpu].read_guest_v2(offset).into()),
        }
    }

    fn write(&mut self, offset: u64, _width: Width, value: u64) {
        let (cpu, value) = (self.core.cpu(), value as u32);
        self.core.with(|registers| match self.viewer {
            Viewer::Hypervisor => registers.guests[cpu].write_hypervisor_v2(offset, value),
            Viewer::Guest => {
                if let Some(interrupt) = registers.guests[cpu].write_guest_v2(offset, value) {
                    registers.distributor.deactivate(cpu, interrupt);
                }
            }
        });
    }
}

#[cfg(test)]
mod tests;
