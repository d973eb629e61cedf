//! GICv2, as a GIC-400: a distributor and one CPU interface for each of up to eight CPUs (IHI 0048B chapter 4).
//!
//! The frames are banked: what a CPU sees of private interrupts and of the CPU interfaces is its own
//! ([`base::requester`]). Where CPUs have EL2 there are the two frames of the virtual CPU interface as well.

mod distributor;
mod guest;
mod interface;

use super::virtualization::VirtualInterface;
use super::{CpuPins, Group, Input, PRIVATE, Signals};
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
const VERSION: u32 = 1;

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
}

impl Core {
    /// The CPU whose access is under way.
    fn cpu(&self) -> usize {
        (requester() as usize).min(self.pins.len() - 1)
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

impl Core {
    fn save_guests(&self) -> State {
        State::of(VERSION, &self.registers.lock().guests)
    }

    fn load_guests(&self, state: &State) -> Result<(), StateError> {
        let loaded: Vec<VirtualInterface> = state.get(VERSION)?;
        if loaded.len() != self.pins.len() || !loaded.iter().all(VirtualInterface::fits) {
            return Err(StateError::Value("number of CPUs, or a priority"));
        }
        self.with(|registers| registers.guests = loaded);
        Ok(())
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
    pub fn new(spis: u32, pins: Vec<CpuPins>, maintenance: Option<u32>) -> Self {
        assert!(spis.is_multiple_of(32) && spis <= 960, "a GICv2 has up to 960 SPIs, in groups of 32");
        assert!((1..=MAX_CPUS).contains(&pins.len()), "a GICv2 has one to eight CPUs");
        let distributor = Distributor::new(spis, pins.len());
        let interfaces = vec![Interface::default(); pins.len()];
        let guests = vec![VirtualInterface::default(); pins.len()];
        let registers = Mutex::new(Registers { distributor, interfaces, guests });
        let maintenance = maintenance.map(|n| n as usize);
        Self { core: Arc::new(Core { registers, pins, maintenance }) }
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
        DistributorFrame(self.core.clone())
    }

    /// The CPU interface's frame.
    pub fn interface(&self) -> InterfaceFrame {
        InterfaceFrame(self.core.clone())
    }

    /// The hypervisor's view of the virtual CPU interface.
    pub fn hypervisor(&self) -> HypervisorFrame {
        HypervisorFrame(self.core.clone())
    }

    /// The guest's view of it.
    pub fn guest(&self) -> GuestFrame {
        GuestFrame(self.core.clone())
    }
}

/// The distributor on the bus.
pub struct DistributorFrame(Arc<Core>);

impl Device for DistributorFrame {
    fn name(&self) -> &'static str {
        NAME
    }

    fn reset(&mut self) {
        self.0.with(|registers| registers.distributor.reset());
    }

    fn save(&self) -> State {
        State::of(VERSION, &self.0.registers.lock().distributor)
    }

    fn load(&mut self, state: &State) -> Result<(), StateError> {
        let loaded: Distributor = state.get(VERSION)?;
        self.0.with(|registers| {
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
        let cpu = self.0.cpu();
        let word = self.0.registers.lock().distributor.read(cpu, offset & !3);
        u64::from(word) >> (8 * (offset & 3)) & width.mask()
    }

    fn write(&mut self, offset: u64, width: Width, value: u64) {
        let (cpu, shift) = (self.0.cpu(), 8 * (offset & 3));
        let (value, mask) = ((value << shift) as u32, (width.mask() << shift) as u32);
        self.0.with(|registers| registers.distributor.write(cpu, offset & !3, value, mask));
    }
}

/// The CPU interface on the bus.
pub struct InterfaceFrame(Arc<Core>);

impl Device for InterfaceFrame {
    fn name(&self) -> &'static str {
        "arm_gic-cpu-interface"
    }

    fn reset(&mut self) {
        self.0.with(|registers| registers.interfaces.fill(Interface::default()));
    }

    fn save(&self) -> State {
        State::of(VERSION, &self.0.registers.lock().interfaces)
    }

    fn load(&mut self, state: &State) -> Result<(), StateError> {
        let loaded: Vec<Interface> = state.get(VERSION)?;
        if loaded.len() != self.0.pins.len() || !loaded.iter().all(Interface::fits) {
            return Err(StateError::Value("number of CPUs, or a priority"));
        }
        self.0.with(|registers| registers.interfaces = loaded);
        Ok(())
    }
}

impl Mmio for InterfaceFrame {
    fn widths(&self) -> Widths {
        Widths::WORD
    }

    fn read(&mut self, offset: u64, _width: Width) -> u64 {
        let cpu = self.0.cpu();
        self.0.with(|registers| {
            let Registers { distributor, interfaces, .. } = registers;
            interfaces[cpu].read(cpu, offset, distributor).into()
        })
    }

    fn write(&mut self, offset: u64, _width: Width, value: u64) {
        let cpu = self.0.cpu();
        self.0.with(|registers| {
            let Registers { distributor, interfaces, .. } = registers;
            interfaces[cpu].write(cpu, offset, value as u32, distributor);
        });
    }
}

/// The hypervisor's view of the virtual CPU interface on the bus.
pub struct HypervisorFrame(Arc<Core>);

impl Device for HypervisorFrame {
    fn name(&self) -> &'static str {
        "arm_gic-hypervisor"
    }

    fn reset(&mut self) {
        self.0.with(|registers| registers.guests.fill(VirtualInterface::default()));
    }

    fn save(&self) -> State {
        self.0.save_guests()
    }

    fn load(&mut self, state: &State) -> Result<(), StateError> {
        self.0.load_guests(state)
    }
}

impl Mmio for HypervisorFrame {
    fn widths(&self) -> Widths {
        Widths::WORD
    }

    fn read(&mut self, offset: u64, _width: Width) -> u64 {
        let cpu = self.0.cpu();
        self.0.registers.lock().guests[cpu].read_hypervisor_v2(offset).into()
    }

    fn write(&mut self, offset: u64, _width: Width, value: u64) {
        let cpu = self.0.cpu();
        self.0.with(|registers| registers.guests[cpu].write_hypervisor_v2(offset, value as u32));
    }
}

/// The guest's view of it on the bus. Both views save the one state that they show.
pub struct GuestFrame(Arc<Core>);

impl Device for GuestFrame {
    fn name(&self) -> &'static str {
        "arm_gic-guest"
    }

    fn reset(&mut self) {
        self.0.with(|registers| registers.guests.fill(VirtualInterface::default()));
    }

    fn save(&self) -> State {
        self.0.save_guests()
    }

    fn load(&mut self, state: &State) -> Result<(), StateError> {
        self.0.load_guests(state)
    }
}

impl Mmio for GuestFrame {
    fn widths(&self) -> Widths {
        Widths::WORD
    }

    fn read(&mut self, offset: u64, _width: Width) -> u64 {
        let cpu = self.0.cpu();
        self.0.with(|registers| registers.guests[cpu].read_guest_v2(offset).into())
    }

    fn write(&mut self, offset: u64, _width: Width, value: u64) {
        let cpu = self.0.cpu();
        self.0.with(|registers| {
            if let Some(interrupt) = registers.guests[cpu].write_guest_v2(offset, value as u32) {
                registers.distributor.deactivate(cpu, interrupt);
            }
        });
    }
}

#[cfg(test)]
mod tests;
