//! GICv3: a distributor, a redistributor for each CPU, and the CPU interfaces behind system registers (IHI 0069
//! chapters 2, 4 and 12). Affinity routing is always on. With two Security states the Secure one has frames of its own, which show
//! everything; it may give its state up (GICD_CTLR.DS). An [`its`] translates messages of devices into LPIs. CPUs with EL2
//! have a virtual interface beside the physical one.

mod distributor;
mod guest;
mod interface;
pub mod its;
mod redistributor;

use super::bank::View;
use super::virtualization::VirtualInterface;
use super::{Candidate, CpuPins, GROUPS, Group, Input, PRIVATE, SGIS, Security, Signals, more_urgent};
use base::{Device, GuestRam, IrqSink, Mmio, State, StateError, Width, Widths};
use distributor::Distributor;
pub use guest::HypervisorRegister;
use interface::{Interface, Sgi, may_deactivate};
pub use interface::{Origin, Register as InterfaceRegister};
use parking_lot::Mutex;
use redistributor::Redistributor;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Bytes of the distributor.
pub const DISTRIBUTOR_SIZE: u64 = 0x1_0000;
/// Bytes of one redistributor: a frame for control and LPIs, and one for SGIs and PPIs.
pub const REDISTRIBUTOR_SIZE: u64 = 0x2_0000;
/// CPUs whose affinity is told apart here: level 0 only, as SGIs address it.
pub const MAX_CPUS: usize = 16;

const NAME: &str = "arm-gicv3";
const VERSION: u32 = 3;
/// The first LPI.
const FIRST_LPI: u32 = 8192;
/// Interrupt numbers have this many bits.
const NUMBER_BITS: u32 = 16;
/// The architecture's version in PIDR2.
const REVISION: u8 = 3;

/// A CPU's part.
#[derive(Clone, Serialize, Deserialize)]
struct Cpu {
    redistributor: Redistributor,
    interface: Interface,
    guest: VirtualInterface,
}

struct Registers {
    distributor: Distributor,
    cpus: Vec<Cpu>,
}

struct Core {
    registers: Mutex<Registers>,
    pins: Vec<CpuPins>,
    /// Where the tables of LPIs are.
    ram: GuestRam,
    /// The private interrupt that calls a hypervisor to its list registers.
    maintenance: Option<usize>,
    security: Security,
}

impl Registers {
    /// The most urgent interrupt that waits for `cpu`.
    fn best(&self, cpu: usize, ram: &GuestRam) -> Option<Candidate> {
        let Cpu { redistributor, interface, .. } = &self.cpus[cpu];
        let groups = std::array::from_fn(|g| self.distributor.enables()[g] && interface.enables()[g]);
        if groups == [false; GROUPS] {
            return None;
        }
        let shared = self.distributor.best(cpu, groups);
        let best = more_urgent(redistributor.bank.best(0, groups, |_| true), shared);
        if groups[Group::One as usize] {
            more_urgent(best, redistributor.best_lpi(ram, self.distributor.has_two_states()))
        } else {
            best
        }
    }

    /// The group of `interrupt` at CPU `cpu`.
    fn group(&self, cpu: usize, interrupt: u32) -> Group {
        match interrupt.checked_sub(PRIVATE) {
            None => self.cpus[cpu].redistributor.bank.group(interrupt as usize),
            Some(n) if (n as usize) < self.distributor.shared.len() => {
                self.distributor.shared.group(n as usize)
            }
            Some(_) => Group::One,
        }
    }

    /// The view of a frame.
    fn view(&self, secure_frame: bool) -> View {
        if secure_frame || !self.distributor.has_two_states() { View::All } else { View::NonSecure }
    }

    fn drive(&mut self, input: Input, level: bool) -> bool {
        match input {
            Input::Private { cpu, interrupt } => {
                self.cpus.get_mut(cpu).is_some_and(|cpu| cpu.redistributor.bank.drive(interrupt, level))
            }
            Input::Shared(n) => self.distributor.shared.drive(n, level),
        }
    }

    /// A CPU takes `interrupt`.
    fn acknowledge(&mut self, cpu: usize, interrupt: u32) {
        let own = &mut self.cpus[cpu].redistributor;
        match interrupt {
            FIRST_LPI.. => own.set_lpi(interrupt, false),
            PRIVATE.. => self.distributor.shared.acknowledge((interrupt - PRIVATE) as usize),
            _ => own.bank.acknowledge(interrupt as usize),
        }
    }

    /// A CPU is done with `interrupt`; LPIs are never active.
    fn deactivate(&mut self, cpu: usize, interrupt: u32) {
        match interrupt.checked_sub(PRIVATE) {
            None => self.cpus[cpu].redistributor.bank.deactivate(interrupt as usize),
            Some(n) => self.distributor.shared.deactivate(n as usize),
        }
    }

    /// Sends a software interrupt, to those that have it in the group that it is sent for.
    fn send(&mut self, from: usize, sgi: Sgi) {
        for (n, cpu) in self.cpus.iter_mut().enumerate() {
            if sgi.reaches(from, n) && cpu.redistributor.takes(&sgi) {
                cpu.redistributor.bank.set_pending(sgi.number, true);
            }
        }
    }
}

impl Core {
    /// Runs `act`, and drives what follows from it.
    fn with<R>(&self, act: impl FnOnce(&mut Registers) -> R) -> R {
        let mut registers = self.registers.lock();
        let result = act(&mut registers);
        self.drive(&mut registers);
        result
    }

    fn drive(&self, registers: &mut Registers) {
        for (n, pins) in self.pins.iter().enumerate() {
            if let Some(maintenance) = self.maintenance {
                let Cpu { redistributor, guest, .. } = &mut registers.cpus[n];
                redistributor.bank.drive(maintenance, guest.maintenance());
                let [virq, vfiq] = guest.pins();
                pins.virq.set(virq);
                pins.vfiq.set(vfiq);
            }
            let best = registers.best(n, &self.ram);
            let signalled = best.filter(|best| registers.cpus[n].interface.lets_in(best));
            let is = |group| signalled.is_some_and(|best| best.group == group);
            pins.fiq.set(is(Group::Zero));
            if self.security.has_two() {
                pins.groups_1[0].set(is(Group::SecureOne));
                pins.groups_1[1].set(is(Group::One));
            } else {
                pins.irq.set(is(Group::One));
            }
        }
    }

    /// An LPI becomes pending at CPU `cpu`, or is no longer.
    fn set_lpi(&self, cpu: usize, interrupt: u32, pending: bool) {
        self.with(|registers| {
            if let Some(cpu) = registers.cpus.get_mut(cpu) {
                cpu.redistributor.set_lpi(interrupt, pending);
            }
        });
    }

    /// All pending LPIs of CPU `from`, or just one of them, move to CPU `to`.
    fn move_lpis(&self, (from, to): (usize, usize), only: Option<u32>) {
        self.with(|registers| {
            if from == to || from.max(to) >= registers.cpus.len() {
                return;
            }
            let moved = registers.cpus[from].redistributor.take_lpis(only);
            moved.into_iter().for_each(|lpi| registers.cpus[to].redistributor.set_lpi(lpi, true));
        });
    }
}

impl IrqSink for Core {
    fn set(&self, line: u32, level: bool) {
        let mut registers = self.registers.lock();
        if registers.drive(Input::of(line), level) {
            self.drive(&mut registers);
        }
    }
}

impl Signals for Core {
    fn may_signal(&self, cpu: usize) -> bool {
        let registers = self.registers.lock();
        let Some(own) = registers.cpus.get(cpu) else { return false };
        let (out, let_in) = (registers.distributor.enables(), own.interface.enables());
        let bank = &own.redistributor.bank;
        (0..GROUPS).any(|group| out[group] && let_in[group])
            && own.interface.mask() != 0
            && (bank.any_enabled(SGIS as usize)
                || registers.distributor.shared.any_enabled(0)
                || own.redistributor.lpis_enabled())
    }
}

/// What a controller has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Shared interrupts: a multiple of 32, up to 960.
    pub spis: u32,
    /// LPIs.
    pub lpis: bool,
    /// The private interrupt that calls a hypervisor to its list registers, where CPUs have EL2.
    pub maintenance: Option<u32>,
    /// The Security states.
    pub security: Security,
}

/// The controller; distributor and redistributors are devices of their own.
pub struct GicV3 {
    core: Arc<Core>,
}

impl GicV3 {
    /// A controller for a CPU on each of `pins`, whose affinity is its number. Tables of LPIs are in `ram`.
    ///
    /// # Panics
    /// When there can not be as many interrupts or CPUs: the numbers are a board's.
    pub fn new(config: Config, pins: Vec<CpuPins>, ram: GuestRam) -> Self {
        let Config { spis, lpis, maintenance, security } = config;
        assert!(spis.is_multiple_of(32) && spis <= 960, "this GICv3 has up to 960 SPIs, in groups of 32");
        assert!((1..=MAX_CPUS).contains(&pins.len()), "this GICv3 has one to sixteen CPUs");
        let last = pins.len() - 1;
        let cpu = |n| Cpu {
            redistributor: Redistributor::new(n as u32, n == last, (lpis, security)),
            interface: Interface::default(),
            guest: VirtualInterface::v3(),
        };
        let cpus = (0..pins.len()).map(cpu).collect();
        let registers = Registers { distributor: Distributor::new(spis, lpis, security), cpus };
        let maintenance = maintenance.map(|n| n as usize);
        Self { core: Arc::new(Core { registers: Mutex::new(registers), pins, ram, maintenance, security }) }
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

    /// The frames of all redistributors, one behind the other.
    pub fn redistributors(&self) -> RedistributorFrames {
        RedistributorFrames { core: self.core.clone(), secure: false }
    }

    /// The same as the Secure state sees them.
    pub fn secure_redistributors(&self) -> RedistributorFrames {
        RedistributorFrames { core: self.core.clone(), secure: true }
    }

    /// The CPU interfaces.
    pub fn interfaces(&self) -> CpuInterfaces {
        CpuInterfaces(self.core.clone())
    }

    /// An interrupt translation service.
    pub fn its(&self) -> its::Its {
        its::Its::new(self.core.clone())
    }
}

/// The CPU interfaces, as the CPUs reach them by system registers.
pub struct CpuInterfaces(Arc<Core>);

impl CpuInterfaces {
    /// CPU `cpu` reads `register`, from `origin`.
    pub fn read(&self, cpu: usize, register: InterfaceRegister, origin: Origin) -> u64 {
        self.0.with(|registers| {
            let best = registers.best(cpu, &self.0.ram);
            let from = (origin, registers.distributor.has_two_states());
            let interface = &mut registers.cpus[cpu].interface;
            let (value, taken) = interface.read(register, from, best);
            if let Some(interrupt) = taken {
                registers.acknowledge(cpu, interrupt);
            }
            value
        })
    }

    /// CPU `cpu` writes `register`, from `origin`.
    pub fn write(&self, cpu: usize, register: InterfaceRegister, origin: Origin, value: u64) {
        use InterfaceRegister as R;
        self.0.with(|registers| {
            let from = (origin, registers.distributor.has_two_states());
            if matches!(register, R::SGI0R | R::SGI1R | R::ASGI1R) {
                if let Some(sgi) = Sgi::read(register, value, from) {
                    registers.send(cpu, sgi);
                }
                return;
            }
            let ended = registers.cpus[cpu].interface.write(register, from, value);
            if let Some(interrupt) = ended
                && (register != R::DIR || may_deactivate(registers.group(cpu, interrupt), from))
            {
                registers.deactivate(cpu, interrupt);
            }
        });
    }
}

impl CpuInterfaces {
    /// The guest of CPU `cpu` reads `register` of its virtual interface.
    pub fn read_guest(&self, cpu: usize, register: InterfaceRegister) -> u64 {
        self.0.with(|registers| registers.cpus[cpu].guest.read_guest(register))
    }

    /// The guest of CPU `cpu` writes `register`.
    pub fn write_guest(&self, cpu: usize, register: InterfaceRegister, value: u64) {
        self.0.with(|registers| {
            if let Some(interrupt) = registers.cpus[cpu].guest.write_guest(register, value) {
                registers.deactivate(cpu, interrupt);
            }
        });
    }

    /// The hypervisor on CPU `cpu` reads `register`.
    pub fn read_hypervisor(&self, cpu: usize, register: HypervisorRegister) -> u64 {
        self.0.registers.lock().cpus[cpu].guest.read_hypervisor(register)
    }

    /// The hypervisor on CPU `cpu` writes `register`.
    pub fn write_hypervisor(&self, cpu: usize, register: HypervisorRegister, value: u64) {
        self.0.with(|registers| registers.cpus[cpu].guest.write_hypervisor(register, value));
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
                return Err(StateError::Value("number of interrupts"));
            }
            registers.distributor = loaded;
            Ok(())
        })
    }
}

/// The part of a word that an access sees.
fn seen(word: u32, offset: u64, width: Width) -> u64 {
    u64::from(word) >> (8 * (offset & 3)) & width.mask()
}

/// A written value and its mask, in their place in the word.
fn placed(value: u64, offset: u64, width: Width) -> (u32, u32) {
    let shift = 8 * (offset & 3);
    ((value << shift) as u32, (width.mask() << shift) as u32)
}

/// One half of a 64-bit register at a multiple of 8.
fn half(value: u64, offset: u64) -> u32 {
    (value >> (8 * (offset & 4))) as u32
}

/// The 64-bit register after a write of one half.
fn with_half(old: u64, offset: u64, (value, mask): (u32, u32)) -> u64 {
    let shift = 8 * (offset & 4);
    let mask = u64::from(mask) << shift;
    old & !mask | u64::from(value) << shift & mask
}

impl Mmio for DistributorFrame {
    fn widths(&self) -> Widths {
        Widths::UP_TO_WORD
    }

    fn read(&mut self, offset: u64, width: Width) -> u64 {
        let registers = self.core.registers.lock();
        seen(registers.distributor.read(registers.view(self.secure), offset & !3), offset, width)
    }

    fn write(&mut self, offset: u64, width: Width, value: u64) {
        let part = placed(value, offset, width);
        self.core.with(|registers| {
            let (view, had_two) = (registers.view(self.secure), registers.distributor.has_two_states());
            registers.distributor.write(view, offset & !3, part);
            if had_two && !registers.distributor.has_two_states() {
                registers.cpus.iter_mut().for_each(|cpu| cpu.redistributor.join_groups());
            }
        });
    }
}

/// The redistributors on the bus.
pub struct RedistributorFrames {
    core: Arc<Core>,
    secure: bool,
}

impl Device for RedistributorFrames {
    fn name(&self) -> &'static str {
        "arm-gicv3-redistributor"
    }

    fn reset(&mut self) {
        self.core.with(|registers| {
            for cpu in &mut registers.cpus {
                cpu.redistributor.reset();
                cpu.interface = Interface::default();
                cpu.guest = VirtualInterface::v3();
            }
        });
    }

    /// With the CPU interfaces, which are on no bus.
    fn save(&self) -> State {
        State::of(VERSION, &self.core.registers.lock().cpus)
    }

    fn load(&mut self, state: &State) -> Result<(), StateError> {
        let loaded: Vec<Cpu> = state.get(VERSION)?;
        self.core.with(|registers| {
            let fits = |(now, loaded): (&Cpu, &Cpu)| {
                now.redistributor.fits(&loaded.redistributor)
                    && loaded.interface.fits()
                    && loaded.guest.fits()
            };
            if loaded.len() != registers.cpus.len() || !registers.cpus.iter().zip(&loaded).all(fits) {
                return Err(StateError::Value("CPUs or interrupts that do not exist"));
            }
            registers.cpus = loaded;
            Ok(())
        })
    }
}

impl RedistributorFrames {
    fn decode(offset: u64) -> (usize, u64) {
        ((offset / REDISTRIBUTOR_SIZE) as usize, (offset % REDISTRIBUTOR_SIZE) & !3)
    }
}

impl Mmio for RedistributorFrames {
    fn widths(&self) -> Widths {
        Widths::UP_TO_WORD
    }

    fn read(&mut self, offset: u64, width: Width) -> u64 {
        let (cpu, at) = Self::decode(offset);
        let registers = self.core.registers.lock();
        let view = registers.view(self.secure);
        registers.cpus.get(cpu).map_or(0, |cpu| seen(cpu.redistributor.read(view, at), offset, width))
    }

    fn write(&mut self, offset: u64, width: Width, value: u64) {
        let (cpu, at) = Self::decode(offset);
        self.core.with(|registers| {
            let view = registers.view(self.secure);
            let third = registers.distributor.has_two_states();
            if let Some(cpu) = registers.cpus.get_mut(cpu) {
                cpu.redistributor.write((view, third), at, placed(value, offset, width), &self.core.ram);
            }
        });
    }
}

#[cfg(test)]
mod tests;
