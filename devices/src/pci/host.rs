//! The generic PCIe host: an ECAM window onto the configuration spaces of bus 0 and of the buses behind its ports, and the
//! windows into which functions' BARs are mapped. Functions behind ports come and go while the machine runs.

use super::host_bridge::HostBridge;
use super::interrupt::{BusMessages, Doorbell, IntxRouter, MsiSink, Requester};
use super::root_port::{RootPort, SlotRefusal};
use super::{ConfigSpace, PciError, PciPlace, PciSocket, PciWindows, SlotOptions};
use base::{
    AddressSpace, Device, IrqLine, MapId, Mmio, Shared, Slot, State, StateError, Width, Widths, shared,
};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::atomic::AtomicU8;
use std::sync::{Arc, Weak};

/// log2 of the bytes that one function has in the ECAM window, and that one bus has.
const FUNCTION_SHIFT: u32 = 12;
const BUS_SHIFT: u32 = 20;
/// log2 of the biggest window: 256 buses.
const WINDOW_MASK: u64 = (1 << 28) - 1;
const STATE_VERSION: u32 = 2;
/// The header type, and its bit that says that other functions are in the slot.
const HEADER_TYPE: usize = 0x0e;
const MULTIFUNCTION: u32 = 1 << 7;

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

/// What connects a function to its place.
pub struct PciWiring {
    /// Its INTA pin.
    pub intx: IrqLine,
    /// Where its messages go.
    pub messages: Arc<dyn MsiSink>,
    /// It is at the end of a link, where there are PCI Express functions only.
    pub express: bool,
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
    multifunction: bool,
    bars: [Arc<Mutex<BarRange>>; 6],
    mapped: [Option<Mapped>; 6],
}

impl Occupant {
    fn new(function: Shared<dyn PciFunction>, multifunction: bool) -> Self {
        let name = function.lock().name();
        let bars = std::array::from_fn(|bar| shared(BarRange { function: function.clone(), name, bar }));
        Self { function, name, multifunction, bars, mapped: [const { None }; 6] }
    }
}

/// Who is told that a function has gone. Called with the host locked, from a vCPU's thread or the machine's.
type Departure = Box<dyn Fn(PciPlace) + Send>;

/// What becomes of a function that is asked to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unplug {
    /// The guest was asked; it goes when the guest has let go of it.
    Asked,
    /// It has gone.
    Done,
}

/// A PCIe host bridge with bus 0, and with a bus behind each port on that.
pub struct PciHost {
    windows: PciWindows,
    /// Weak, because the address space owns the host through its ECAM mapping.
    space: Weak<AddressSpace>,
    intx: Arc<IntxRouter>,
    doorbell: Option<Doorbell>,
    functions: BTreeMap<PciPlace, Occupant>,
    /// Those functions of bus 0 that are ports, by slot and function.
    ports: BTreeMap<u8, Shared<RootPort>>,
    departure: Option<Departure>,
}

impl PciHost {
    /// A host that maps BARs into `space` and interrupts through `lines`.
    pub fn new(windows: PciWindows, space: &Arc<AddressSpace>, lines: [IrqLine; 4]) -> Self {
        let mut host = Self {
            windows,
            space: Arc::downgrade(space),
            intx: IntxRouter::new(lines),
            doorbell: None,
            functions: BTreeMap::new(),
            ports: BTreeMap::new(),
            departure: None,
        };
        let bridge = Occupant::new(shared(HostBridge::new()), false);
        host.functions.insert(PciPlace { port: None, devfn: 0 }, bridge);
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

    /// Has `departure` be told of each function that goes.
    pub fn on_departure(&mut self, departure: impl Fn(PciPlace) + Send + 'static) {
        self.departure = Some(Box::new(departure));
    }

    /// The wires of what is at `place`.
    fn wiring(&self, place: PciPlace) -> PciWiring {
        let bus = match place.port.and_then(|port| self.ports.get(&port)) {
            Some(port) => port.lock().bus().clone(),
            None => Arc::new(AtomicU8::new(0)),
        };
        let messages = BusMessages {
            space: self.space.clone(),
            refused: self.windows.ranges(),
            doorbell: self.doorbell.clone(),
            requester: Requester { bus, devfn: place.devfn },
        };
        PciWiring { intx: self.intx.pin(place), messages: Arc::new(messages), express: place.port.is_some() }
    }

    fn find(&self, socket: PciSocket) -> Result<PciPlace, PciError> {
        if let Some(port) = socket.port
            && !self.ports.contains_key(&port)
        {
            return Err(PciError::NoSuchPort);
        }
        socket.find(|place| self.functions.get(&place).map(|o| (o.name, o.multifunction)))
    }

    /// Puts a function where `socket` says, before the machine runs; `make` gets its wires. Returns where it is.
    pub fn add(
        &mut self,
        socket: PciSocket,
        make: impl FnOnce(PciWiring) -> Shared<dyn PciFunction>,
    ) -> Result<PciPlace, PciError> {
        let place = self.find(socket)?;
        let occupant = Occupant::new(make(self.wiring(place)), socket.multifunction);
        self.functions.insert(place, occupant);
        if let Some(port) = self.port_of_slot(place) {
            port.lock().occupy();
        }
        Ok(place)
    }

    /// Puts a port where `socket` says, which has to be on bus 0. Returns where it is.
    pub fn add_port(&mut self, socket: PciSocket, options: SlotOptions) -> Result<PciPlace, PciError> {
        let mut made = None;
        let place = self.add(socket, |wiring| {
            let port = shared(RootPort::new(wiring, options));
            made = Some(port.clone());
            port
        })?;
        self.ports.extend(made.map(|port| (place.devfn, port)));
        Ok(place)
    }

    /// Plugs a function in while the machine runs, and tells the guest of it. Returns where it is.
    pub fn plug(
        &mut self,
        socket: PciSocket,
        make: impl FnOnce(PciWiring) -> Shared<dyn PciFunction>,
    ) -> Result<PciPlace, PciError> {
        let Some(port) = socket.port.and_then(|port| self.ports.get(&port)).cloned() else {
            return Err(PciError::NoHotplug("functions of bus 0 stay where they are"));
        };
        port.lock().accepts().map_err(refused)?;
        let place = self.find(socket)?;
        let occupant = Occupant::new(make(self.wiring(place)), socket.multifunction);
        occupant.function.lock().reset();
        self.functions.insert(place, occupant);
        // Others of the slot come before function 0, and the guest finds them all then.
        if place.address().1 == 0 {
            port.lock().plug();
        }
        Ok(place)
    }

    /// Asks for the function at `place` to go, with all others of its slot.
    pub fn request_unplug(&mut self, place: PciPlace) -> Result<Unplug, PciError> {
        let Some((devfn, port)) = place.port.and_then(|port| Some((port, self.ports.get(&port)?.clone())))
        else {
            return Err(PciError::NoHotplug("functions of bus 0 stay where they are"));
        };
        let there = self.functions.contains_key(&PciPlace { port: Some(devfn), devfn: 0 });
        let at_once = !there || port.lock().request_unplug().map_err(refused)?;
        if !at_once {
            return Ok(Unplug::Asked);
        }
        self.eject(devfn);
        Ok(Unplug::Done)
    }

    /// The port whose slot is filled by what is at `place`: by function 0.
    fn port_of_slot(&self, place: PciPlace) -> Option<&Shared<RootPort>> {
        self.ports.get(&place.port?).filter(|_| place.devfn == 0)
    }

    fn behind(&self, port: u8) -> Vec<PciPlace> {
        self.functions.keys().copied().filter(|place| place.port == Some(port)).collect()
    }

    /// Takes away what is behind a port.
    fn eject(&mut self, port: u8) {
        let space = self.space.upgrade();
        for place in self.behind(port) {
            let Some(occupant) = self.functions.remove(&place) else { continue };
            for mapped in occupant.mapped.into_iter().flatten() {
                if let Some(space) = &space {
                    space.unmap(mapped.id);
                }
            }
            // Its interrupt pin falls.
            occupant.function.lock().reset();
            if let Some(departure) = &self.departure {
                departure(place);
            }
        }
        if let Some(port) = self.ports.get(&port) {
            port.lock().vacate();
        }
    }

    /// What is in which place.
    pub fn list(&self) -> Vec<(PciPlace, &'static str)> {
        self.functions.iter().map(|(place, occupant)| (*place, occupant.name)).collect()
    }

    /// Maps all BARs to where they belong now. BARs of all functions, because one that moves away makes room for
    /// another.
    fn map_bars(&mut self) {
        let Some(space) = self.space.upgrade() else { return };
        let mut wanted = Vec::new();
        for (place, occupant) in &mut self.functions {
            let port = place.port.and_then(|port| self.ports.get(&port));
            for index in 0..6 {
                let at = {
                    let function = occupant.function.lock();
                    let config = function.config();
                    config.bars()[index].and_then(|bar| Some((bar, config.bar_address(index)?)))
                };
                let reached = at.filter(|(bar, bus)| {
                    port.is_none_or(|port| port.lock().forwards(bar.kind, *bus, bar.size))
                });
                let seen =
                    reached.and_then(|(bar, bus)| Some((self.windows.cpu_address(bar, bus)?, bar.size)));
                let mapped = &mut occupant.mapped[index];
                if mapped.as_ref().map(|m| m.base) == seen.map(|p| p.0) {
                    continue;
                }
                if let Some(old) = mapped.take() {
                    space.unmap(old.id);
                }
                if let Some(seen) = seen {
                    wanted.push((*place, index, seen));
                }
            }
        }
        for (place, index, (base, size)) in wanted {
            let Some(occupant) = self.functions.get_mut(&place) else { continue };
            let name = format!("{} bar {index}", occupant.name);
            match space.map(&name, base, size, Slot::Device(occupant.bars[index].clone())) {
                Ok(id) => occupant.mapped[index] = Some(Mapped { base, id }),
                Err(error) => tracing::debug!(target: "guest_errors", "pci: {name}: {error}"),
            }
        }
    }

    /// The function that owns `offset` of the ECAM window, and the offset into its configuration space.
    fn decode(&self, offset: u64) -> Option<(PciPlace, usize)> {
        let offset = offset & WINDOW_MASK;
        let devfn = (offset >> FUNCTION_SHIFT) as u8;
        let port = match (offset >> BUS_SHIFT) as u8 {
            0 => None,
            bus => Some(*self.ports.iter().find(|(_, port)| port.lock().leads_to(bus))?.0),
        };
        let place = PciPlace { port, devfn };
        let within = (offset & ((1 << FUNCTION_SHIFT) - 1)) as usize;
        self.functions.contains_key(&place).then_some((place, within))
    }

    /// Does what a write to the port at `devfn` of bus 0 leads to behind it.
    fn follow_port(&mut self, devfn: u8) {
        let Some(port) = self.ports.get(&devfn) else { return };
        let effects = port.lock().take_effects();
        if effects.resets {
            for place in self.behind(devfn) {
                self.functions[&place].function.lock().reset();
            }
        }
        if effects.ejects {
            self.eject(devfn);
        }
        self.map_bars();
    }
}

fn refused(why: SlotRefusal) -> PciError {
    match why {
        SlotRefusal::NoHotplug => PciError::NoHotplug("the port has hotplug=off"),
        SlotRefusal::Busy => PciError::Busy,
        SlotRefusal::Leaving => PciError::Leaving,
    }
}

/// The registers that decide where BARs are: command and BARs.
fn moves_bars(offset: usize) -> bool {
    matches!(offset, 0x04..0x08 | 0x10..0x28)
}

#[derive(Serialize, Deserialize)]
struct HostState {
    functions: Vec<(PciPlace, String, State)>,
}

impl HostState {
    /// What is different from what `host` has, if anything is.
    fn differs(&self, host: &PciHost) -> Option<String> {
        let saved = self.functions.iter().map(|(place, name, _)| (*place, &**name));
        let mut here = host.list().into_iter();
        for saved in saved {
            match here.next() {
                Some(own) if own == saved => {}
                own => return Some(difference(Some(saved), own)),
            }
        }
        here.next().map(|own| difference(None, Some(own)))
    }
}

fn difference(saved: Option<(PciPlace, &str)>, own: Option<(PciPlace, &str)>) -> String {
    let text = |function: Option<(PciPlace, &str)>| match function {
        Some((place, name)) => format!("{name} at {place}"),
        None => "nothing more".into(),
    };
    format!("it has {} where there is {}; plug in, or take away, what differs", text(saved), text(own))
}

impl Device for PciHost {
    fn name(&self) -> &'static str {
        "gpex-pcihost"
    }

    /// Resets all functions, too; those that were to go are gone.
    fn reset(&mut self) {
        let leaving: Vec<u8> =
            self.ports.iter().filter(|(_, port)| port.lock().is_leaving()).map(|(devfn, _)| *devfn).collect();
        leaving.into_iter().for_each(|port| self.eject(port));
        self.functions.values().for_each(|occupant| occupant.function.lock().reset());
        self.map_bars();
    }

    /// The states of all functions.
    fn save(&self) -> State {
        let state = |(place, o): (&PciPlace, &Occupant)| (*place, o.name.into(), o.function.lock().save());
        State::of(STATE_VERSION, &HostState { functions: self.functions.iter().map(state).collect() })
    }

    fn fits(&self, state: &State) -> Result<(), StateError> {
        let state: HostState = state.get(STATE_VERSION)?;
        state.differs(self).map_or(Ok(()), |what| Err(StateError::Parts(what)))
    }

    fn load(&mut self, state: &State) -> Result<(), StateError> {
        self.fits(state)?;
        let state: HostState = state.get(STATE_VERSION)?;
        let before = self.save();
        let load = |state: &HostState, host: &Self| {
            for (place, _, saved) in &state.functions {
                if let Some(occupant) = host.functions.get(place) {
                    occupant.function.lock().load(saved)?;
                }
            }
            Ok(())
        };
        let result = load(&state, self);
        if result.is_err() {
            load(&before.get(STATE_VERSION)?, self)?;
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
        let Some((place, offset)) = self.decode(offset) else { return width.mask() };
        let occupant = &self.functions[&place];
        let mut value = occupant.function.lock().read_config(offset, width);
        // What else is in the slot the bus knows, not the function.
        if occupant.multifunction && (offset..offset + width.bytes() as usize).contains(&HEADER_TYPE) {
            value |= MULTIFUNCTION << (8 * (HEADER_TYPE - offset));
        }
        value.into()
    }

    fn write(&mut self, offset: u64, width: Width, value: u64) {
        let Some((place, offset)) = self.decode(offset) else { return };
        self.functions[&place].function.lock().write_config(offset, width, value as u32);
        if place.port.is_none() && self.ports.contains_key(&place.devfn) {
            self.follow_port(place.devfn);
        } else if moves_bars(offset) {
            self.map_bars();
        }
    }
}
