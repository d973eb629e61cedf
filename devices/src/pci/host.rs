//! The generic PCIe host: an ECAM window onto the configuration spaces of bus 0, and the windows into which its
//! functions' BARs are mapped.

use super::host_bridge::HostBridge;
use super::interrupt::{BusMessages, Doorbell, IntxRouter, MsiSink};
use super::{Bar, BarKind, ConfigSpace};
use base::{
    AddressSpace, Device, IrqLine, MapId, Mmio, Shared, Slot, State, StateError, Width, Widths, shared,
};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::ops::Range;
use std::sync::{Arc, Weak};
use thiserror::Error;

const SLOTS: u8 = 32;
/// log2 of the bytes that one function has in the ECAM window, and that one slot and one bus have.
const FUNCTION_SHIFT: u32 = 12;
const SLOT_SHIFT: u32 = 15;
const BUS_SHIFT: u32 = 20;
/// Where the slot stands in a requester's number; below it is the function.
const REQUESTER_SLOT_SHIFT: u32 = 3;
/// log2 of the biggest window: 256 buses.
const WINDOW_MASK: u64 = (1 << 28) - 1;
const STATE_VERSION: u32 = 1;

/// A device model behind a configuration space. The calls are those of [`base::Mmio`], for several ranges.
pub trait PciFunction: Device {
    /// The configuration space, for the bus to see where BARs are.
    fn config(&self) -> &ConfigSpace;
    /// Reads configuration space (up to 4 bytes).
    fn read_config(&mut self, offset: usize, width: Width) -> u32;
    /// Writes configuration space (up to 4 bytes).
    fn write_config(&mut self, offset: usize, width: Width, value: u32);
    /// Reads `width` (up to 4) bytes at `offset` of a BAR.
    fn read_bar(&mut self, bar: usize, offset: u64, width: Width) -> u64;
    /// Writes `width` (up to 4) bytes at `offset` of a BAR.
    fn write_bar(&mut self, bar: usize, offset: u64, width: Width, value: u64);
}

/// What connects a function to its slot.
pub struct PciWiring {
    /// Its slot on bus 0.
    pub slot: u8,
    /// Its INTA pin.
    pub intx: IrqLine,
    /// Where its messages go.
    pub messages: Arc<dyn MsiSink>,
}

/// A range of CPU addresses behind which bus addresses lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PciWindow {
    /// First CPU address.
    pub cpu: u64,
    /// First bus address.
    pub bus: u64,
    /// Size in bytes.
    pub size: u64,
}

impl PciWindow {
    /// The CPU address of `len` bytes at bus address `bus`, if all of them are in the window.
    fn cpu_address(&self, bus: u64, len: u64) -> Option<u64> {
        let offset = bus.checked_sub(self.bus)?;
        (offset.checked_add(len)? <= self.size).then(|| self.cpu + offset)
    }

    fn range(&self) -> Range<u64> {
        self.cpu..self.cpu + self.size
    }
}

/// Where the host is in the address space.
#[derive(Clone, Copy, Debug)]
pub struct PciWindows {
    /// Configuration space; its bus addresses have no meaning.
    pub ecam: PciWindow,
    /// I/O ports.
    pub io: PciWindow,
    /// Memory below 4 GiB.
    pub memory: PciWindow,
    /// Memory above 4 GiB, if there is room for it.
    pub high_memory: Option<PciWindow>,
}

impl PciWindows {
    fn cpu_address(&self, bar: Bar, bus: u64) -> Option<u64> {
        match bar.kind {
            BarKind::Io => self.io.cpu_address(bus, bar.size),
            _ => [Some(self.memory), self.high_memory]
                .into_iter()
                .flatten()
                .find_map(|window| window.cpu_address(bus, bar.size)),
        }
    }
}

/// Why a function cannot have the slot it asked for.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum PciError {
    /// There is no such slot.
    #[error("PCI slot {slot:#x} does not exist: addr is between 0x1 and 0x1f")]
    NoSuchSlot {
        /// The slot asked for.
        slot: u8,
    },
    /// Something is there already.
    #[error("PCI slot {slot:#x} is taken by {name}")]
    Taken {
        /// The slot asked for.
        slot: u8,
        /// What is there.
        name: &'static str,
    },
    /// Every slot is taken.
    #[error("all {} PCI slots are taken", SLOTS)]
    Full,
}

/// One BAR of a function, as the address space sees it.
struct BarRange {
    function: Shared<dyn PciFunction>,
    name: &'static str,
    bar: usize,
}

impl Device for BarRange {
    fn name(&self) -> &'static str {
        self.name
    }

    /// The function is reset by the host.
    fn reset(&mut self) {}

    fn save(&self) -> State {
        State::of(STATE_VERSION, &())
    }

    fn load(&mut self, state: &State) -> Result<(), StateError> {
        state.get::<()>(STATE_VERSION)
    }
}

impl Mmio for BarRange {
    fn widths(&self) -> Widths {
        Widths::UP_TO_WORD
    }

    fn read(&mut self, offset: u64, width: Width) -> u64 {
        self.function.lock().read_bar(self.bar, offset, width)
    }

    fn write(&mut self, offset: u64, width: Width, value: u64) {
        self.function.lock().write_bar(self.bar, offset, width, value);
    }
}

struct Mapped {
    base: u64,
    id: MapId,
}

struct Occupant {
    function: Shared<dyn PciFunction>,
    name: &'static str,
    bars: [Arc<Mutex<BarRange>>; 6],
    mapped: [Option<Mapped>; 6],
}

/// A PCIe host bridge with one bus.
pub struct PciHost {
    windows: PciWindows,
    /// Weak, because the address space owns the host through its ECAM mapping.
    space: Weak<AddressSpace>,
    intx: Arc<IntxRouter>,
    doorbell: Option<Doorbell>,
    slots: [Option<Occupant>; SLOTS as usize],
}

impl PciHost {
    /// A host that maps BARs into `space` and interrupts through `lines`.
    pub fn new(windows: PciWindows, space: &Arc<AddressSpace>, lines: [IrqLine; 4]) -> Self {
        let mut host = Self {
            windows,
            space: Arc::downgrade(space),
            intx: IntxRouter::new(lines),
            doorbell: None,
            slots: [const { None }; SLOTS as usize],
        };
        host.put(0, shared(HostBridge::new()));
        host
    }

    /// The windows.
    pub fn windows(&self) -> &PciWindows {
        &self.windows
    }

    /// Has messages to one address tell who sends them: for functions that are added afterwards.
    pub fn set_doorbell(&mut self, doorbell: Doorbell) {
        self.doorbell = Some(doorbell);
    }

    /// Where the messages of the function in `slot` go.
    fn messages(&self, slot: u8) -> Arc<dyn MsiSink> {
        let w = &self.windows;
        let all = [Some(w.ecam), Some(w.io), Some(w.memory), w.high_memory];
        Arc::new(BusMessages {
            space: self.space.clone(),
            refused: all.into_iter().flatten().map(|window| window.range()).collect(),
            doorbell: self.doorbell.clone(),
            requester: u32::from(slot) << REQUESTER_SLOT_SHIFT,
        })
    }

    /// Puts a function into slot `addr`, or the first free one; `make` gets its wires. Returns the slot.
    pub fn add(
        &mut self,
        addr: Option<u8>,
        make: impl FnOnce(PciWiring) -> Shared<dyn PciFunction>,
    ) -> Result<u8, PciError> {
        let slot = match addr {
            Some(slot) if slot >= SLOTS => return Err(PciError::NoSuchSlot { slot }),
            Some(slot) => slot,
            None => (1..SLOTS).find(|slot| self.slots[usize::from(*slot)].is_none()).ok_or(PciError::Full)?,
        };
        if let Some(occupant) = &self.slots[usize::from(slot)] {
            return Err(PciError::Taken { slot, name: occupant.name });
        }
        let wiring = PciWiring { slot, intx: self.intx.pin(slot), messages: self.messages(slot) };
        self.put(slot, make(wiring));
        Ok(slot)
    }

    fn put(&mut self, slot: u8, function: Shared<dyn PciFunction>) {
        let name = function.lock().name();
        let bars = std::array::from_fn(|bar| shared(BarRange { function: function.clone(), name, bar }));
        self.slots[usize::from(slot)] = Some(Occupant { function, name, bars, mapped: [const { None }; 6] });
    }

    /// The occupied slots, with what is in them.
    pub fn list(&self) -> Vec<(u8, &'static str)> {
        (0..).zip(&self.slots).filter_map(|(slot, o)| Some((slot, o.as_ref()?.name))).collect()
    }

    /// Maps all BARs to where they belong now. BARs of all functions, because one that moves away makes room for
    /// another.
    fn map_bars(&mut self) {
        let Some(space) = self.space.upgrade() else { return };
        let mut wanted = Vec::new();
        for (slot, occupant) in self.slots.iter_mut().enumerate() {
            let Some(occupant) = occupant else { continue };
            let function = occupant.function.lock();
            for index in 0..6 {
                let place = function.config().bars()[index].and_then(|bar| {
                    let bus = function.config().bar_address(index)?;
                    Some((self.windows.cpu_address(bar, bus)?, bar.size))
                });
                let mapped = &mut occupant.mapped[index];
                if mapped.as_ref().map(|m| m.base) == place.map(|p| p.0) {
                    continue;
                }
                if let Some(old) = mapped.take() {
                    space.unmap(old.id);
                }
                if let Some(place) = place {
                    wanted.push((slot, index, place));
                }
            }
        }
        for (slot, index, (base, size)) in wanted {
            let Some(occupant) = &mut self.slots[slot] else { continue };
            let name = format!("{} bar {index}", occupant.name);
            match space.map(&name, base, size, Slot::Device(occupant.bars[index].clone())) {
                Ok(id) => occupant.mapped[index] = Some(Mapped { base, id }),
                Err(error) => tracing::debug!(target: "guest_errors", "pci: {name}: {error}"),
            }
        }
    }

    /// The function that owns `offset` of the ECAM window, and the offset into its configuration space.
    fn decode(&self, offset: u64) -> Option<(&Shared<dyn PciFunction>, usize)> {
        let offset = offset & WINDOW_MASK;
        let (bus, slot) = (offset >> BUS_SHIFT, offset >> SLOT_SHIFT & u64::from(SLOTS - 1));
        let function = offset >> FUNCTION_SHIFT & 7;
        if bus != 0 || function != 0 {
            return None;
        }
        let occupant = self.slots[slot as usize].as_ref()?;
        Some((&occupant.function, (offset & ((1 << FUNCTION_SHIFT) - 1)) as usize))
    }
}

/// The registers that decide where BARs are: command and BARs.
fn moves_bars(offset: usize) -> bool {
    matches!(offset, 0x04..0x08 | 0x10..0x28)
}

#[derive(Serialize, Deserialize)]
struct HostState {
    slots: Vec<Option<State>>,
}

impl Device for PciHost {
    fn name(&self) -> &'static str {
        "gpex-pcihost"
    }

    /// Resets all functions, too.
    fn reset(&mut self) {
        self.slots.iter().flatten().for_each(|occupant| occupant.function.lock().reset());
        self.map_bars();
    }

    /// The states of all functions.
    fn save(&self) -> State {
        let slots = self.slots.iter().map(|o| o.as_ref().map(|o| o.function.lock().save())).collect();
        State::of(STATE_VERSION, &HostState { slots })
    }

    fn load(&mut self, state: &State) -> Result<(), StateError> {
        let state: HostState = state.get(STATE_VERSION)?;
        if state.slots.len() != self.slots.len()
            || self.slots.iter().zip(&state.slots).any(|(slot, saved)| slot.is_some() != saved.is_some())
        {
            return Err(StateError::Value("PCI functions in other slots"));
        }
        let before = self.save();
        let load = |slots: &[Option<State>], host: &Self| {
            for (occupant, saved) in host.slots.iter().flatten().zip(slots.iter().flatten()) {
                occupant.function.lock().load(saved)?;
            }
            Ok(())
        };
        let result = load(&state.slots, self);
        if result.is_err() {
            let before: HostState = before.get(STATE_VERSION)?;
            load(&before.slots, self)?;
        }
        self.map_bars();
        result
    }
}

impl Mmio for PciHost {
    fn widths(&self) -> Widths {
        Widths::UP_TO_WORD
    }

    fn read(&mut self, offset: u64, width: Width) -> u64 {
        match self.decode(offset) {
            Some((function, offset)) => function.lock().read_config(offset, width).into(),
            None => width.mask(),
        }
    }

    fn write(&mut self, offset: u64, width: Width, value: u64) {
        let Some((function, offset)) = self.decode(offset) else { return };
        function.lock().write_config(offset, width, value as u32);
        if moves_bars(offset) {
            self.map_bars();
        }
    }
}
