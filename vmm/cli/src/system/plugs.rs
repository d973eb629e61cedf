//! The devices that the user plugged in.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;

use base::{Clock, GuestRam, shared};
use devices::chips::i6300esb::I6300Esb;
use devices::chips::pvpanic::{self, PvPanic};
use devices::host::net::NetBackend;
use devices::pci::{Identity, OneBar, SlotOptions};
use devices::virtio::{
    Blk, BlkOptions, Console, ConsolePort, EntropySource, HostEntropy, MAX_CONSOLE_PORTS, Net, Rng, Service,
    VirtioDevice, VirtioPci,
};
use engine::Power;
use machines::{MakeFunction, PciPart, PciPlug};

use super::by_turns::NoNetwork;
use super::chardevs::{self, Chardevs};
use super::disks::Disks;
use super::error::SystemError;
use super::nets::Nets;
use super::seeded::Seeded;
use crate::options::device::bus_behind;
use crate::options::{BusKind, DeviceArg, DeviceKind, ObjectKind, SystemOptions};

/// Devices by the bus they are plugged into.
pub struct Plugs {
    /// In virtio-mmio slots.
    pub mmio: Vec<Option<Box<dyn VirtioDevice>>>,
    /// On the PCI buses, in the order of the command line.
    pub pci: Vec<PciPlug>,
}

/// What devices are made with.
pub struct Means<'a> {
    /// What the user said.
    pub options: &'a SystemOptions,
    /// Character devices.
    pub chardevs: &'a Chardevs,
    /// Disks.
    pub disks: &'a mut Disks,
    /// Networks.
    pub nets: &'a mut Nets,
    /// Guest memory.
    pub ram: &'a GuestRam,
    /// Machine time, and who turns the machine off.
    pub machine: (&'a Arc<dyn Clock>, &'a Arc<Power>),
}

/// Makes every device of the command line.
pub fn make(means: &mut Means<'_>) -> Result<Plugs, SystemError> {
    let options = means.options;
    let slots = options.machine.kind.mmio_slots as usize;
    let mut plugs = Plugs { mmio: (0..slots).map(|_| None).collect(), pci: Vec::new() };
    let mmio_slot = |arg: &DeviceArg| mmio_slot(arg).filter(|slot| *slot < slots);
    // Slots that a device asks for by name are not for others.
    let asked: BTreeSet<usize> = options.devices.iter().filter_map(mmio_slot).collect();
    for (nth, arg) in options.devices.iter().enumerate() {
        match arg.kind.bus {
            BusKind::Pci => plugs.pci.push(pci(means, nth)?),
            BusKind::VirtioMmio => {
                let Some(device) = virtio(means, nth)? else { continue };
                // QEMU fills the slots from the highest.
                let free = (0..slots).rev().find(|slot| plugs.mmio[*slot].is_none() && !asked.contains(slot));
                let Some(slot) = mmio_slot(arg).or(free) else {
                    return Err(SystemError::refused(&arg.origin, "all virtio-mmio slots are taken"));
                };
                plugs.mmio[slot] = Some(device);
            }
            // Part of the device they are plugged into.
            BusKind::VirtioSerial => {}
        }
    }
    Ok(plugs)
}

/// The device that stands `nth` on the command line, for a PCI bus.
pub fn pci(means: &mut Means<'_>, nth: usize) -> Result<PciPlug, SystemError> {
    let arg = &means.options.devices[nth];
    let (clock, power) = means.machine;
    let function = |make: MakeFunction| PciPart::Function(make);
    let part = match arg.kind.kind {
        DeviceKind::RootPort => {
            let number = |name| arg.props.number(name).unwrap_or(0);
            // The rows of the table are as narrow as these.
            let options = SlotOptions {
                port: number("port") as u8,
                slot: number("slot") as u16,
                hotplug: arg.props.flag("hotplug").unwrap_or(true),
            };
            PciPart::Port(bus_behind(&means.options.devices, nth), options)
        }
        DeviceKind::PvPanic => {
            let events = arg.props.number("events").map_or(pvpanic::EVENTS, |events| events as u8);
            let chip = PvPanic::new(events, power.clone());
            let pvpanic = OneBar::new("pvpanic-pci", PVPANIC_PCI, 16, chip);
            function(Box::new(|_| shared(pvpanic)))
        }
        DeviceKind::Watchdog => {
            let watchdog = I6300Esb::new(clock.clone(), power.clone());
            function(Box::new(|_| shared(watchdog)))
        }
        _ => {
            let Some(device) = virtio(means, nth)? else {
                return Err(SystemError::refused(&arg.origin, "is no device for PCI"));
            };
            let ram = means.ram.clone();
            function(Box::new(move |wiring| shared(VirtioPci::new(device, ram, wiring))))
        }
    };
    Ok(PciPlug {
        bus: arg.port_bus().map(String::from),
        address: arg.props.pci_address("addr"),
        multifunction: arg.props.flag("multifunction").unwrap_or(false),
        part,
        origin: arg.origin.clone(),
    })
}

/// The virtio device that stands `nth` on the command line; `None` if it is none.
fn virtio(means: &mut Means<'_>, nth: usize) -> Result<Option<Box<dyn VirtioDevice>>, SystemError> {
    let (options, chardevs) = (means.options, means.chardevs);
    let arg = &options.devices[nth];
    Ok(Some(match arg.kind.kind {
        DeviceKind::Block => Box::new(disk(options, arg, means.disks)?),
        DeviceKind::Net => {
            let mut open = || net_backend(options, arg, means.nets);
            let backend = match chardevs.turns() {
                Some(turns) => turns.net(arg.props.text("netdev").unwrap_or_default(), open)?,
                None => open()?,
            };
            Box::new(Net::new(backend, mac(options, nth), service(options)))
        }
        DeviceKind::Rng => {
            let source = entropy(options, arg)?;
            Box::new(Rng::new(match chardevs.turns() {
                Some(turns) => turns.entropy(arg.id.as_deref().unwrap_or("virtio-rng"), source),
                None => source,
            }))
        }
        DeviceKind::Serial => {
            let before = options.devices[..nth].iter();
            let number = before.filter(|device| device.kind.kind == DeviceKind::Serial).count();
            Box::new(Console::new(ports(options, arg, number, chardevs)?))
        }
        _ => return Ok(None),
    }))
}

/// When queues are served: by the turns of vCPUs a request is done when it is made.
fn service(options: &SystemOptions) -> Service {
    if options.icount.is_some() { Service::AtOnce } else { Service::Thread }
}

/// The virtio-mmio slot that a device asks for.
fn mmio_slot(arg: &DeviceArg) -> Option<usize> {
    arg.bus.as_deref()?.strip_prefix("virtio-mmio-bus.")?.parse().ok()
}

/// What pvpanic is on PCI (QEMU's documentation, "PVPANIC DEVICE").
const PVPANIC_PCI: Identity = Identity {
    vendor: 0x1b36,
    device: 0x0011,
    subsystem_vendor: 0x1af4,
    subsystem: 0x1100,
    class: 0x08_80_00,
    revision: 1,
    pin: 0,
};

fn disk(options: &SystemOptions, arg: &DeviceArg, disks: &mut Disks) -> Result<Blk, SystemError> {
    let disk = disks.get(options, arg.props.text("drive").unwrap_or_default(), &arg.origin)?;
    let serial = arg.props.text("serial").unwrap_or_default();
    if serial.len() > 20 {
        return Err(SystemError::refused(&arg.origin, "serial=: has at most 20 bytes"));
    }
    for name in ["logical_block_size", "physical_block_size"] {
        if arg.props.bytes(name).is_some_and(|size| size > 512) {
            let what = format!("{name}: is 512 in this version of Mimic");
            return Err(SystemError::refused(&arg.origin, what));
        }
    }
    // As QEMU: one queue for each CPU on PCI, one otherwise.
    let usual = if arg.kind.bus == BusKind::Pci { u64::from(options.smp.cpus) } else { 1 };
    let queues = arg.props.number("num-queues").filter(|n| *n != 0xffff).unwrap_or(usual);
    let blk = BlkOptions {
        serial: serial.into(),
        queues: queues.clamp(1, 64) as u16,
        write_cache: arg.props.flag("write-cache").unwrap_or(disk.write_cache),
        service: service(options),
    };
    Ok(Blk::new(disk.backend, blk))
}

fn net_backend(
    options: &SystemOptions,
    arg: &DeviceArg,
    nets: &mut Nets,
) -> Result<Arc<dyn NetBackend>, SystemError> {
    let id = arg.props.text("netdev").unwrap_or_default();
    match options.netdev(id) {
        Some(netdev) => nets.get(netdev),
        None => Ok(Arc::new(NoNetwork)),
    }
}

/// The address of the device that stands `nth` on the command line: as given, else the first that is free of
/// 52:54:00:12:34:56 and those after it.
fn mac(options: &SystemOptions, nth: usize) -> [u8; 6] {
    let nets = || options.devices.iter().enumerate().filter(|(_, d)| d.kind.kind == DeviceKind::Net);
    if let Some(given) = options.devices[nth].props.mac("mac") {
        return given;
    }
    let given: BTreeSet<[u8; 6]> = nets().filter_map(|(_, d)| d.props.mac("mac")).collect();
    let before = nets().filter(|(n, d)| *n < nth && d.props.mac("mac").is_none()).count();
    let address = |n: u32| {
        let low = 0x12_3456 + n;
        [0x52, 0x54, 0, (low >> 16) as u8, (low >> 8) as u8, low as u8]
    };
    // There are never as many devices as numbers.
    (0..u32::MAX)
        .map(address)
        .filter(|mac| !given.contains(mac))
        .nth(before)
        .unwrap_or([0x52, 0x54, 0, 0, 0, 0])
}

/// Random bytes from a file.
struct FileEntropy(File);

impl EntropySource for FileEntropy {
    fn fill(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        self.0.read_exact(bytes)
    }
}

fn entropy(options: &SystemOptions, arg: &DeviceArg) -> Result<Box<dyn EntropySource>, SystemError> {
    let object = arg.props.text("rng").and_then(|id| options.object(id));
    match object.map(|object| (&object.kind, object)) {
        Some((ObjectKind::RngRandom { filename }, object)) => match File::open(filename) {
            Ok(file) => Ok(Box::new(FileEntropy(file))),
            Err(error) => {
                Err(SystemError::refused(&object.origin, format!("cannot open {filename}: {error}")))
            }
        },
        _ => Ok(match options.seed {
            Some(seed) => Box::new(Seeded::new(seed)),
            None => Box::new(HostEntropy),
        }),
    }
}

/// The ports of the virtio serial device `bus`, the `number`th of its kind.
fn ports(
    options: &SystemOptions,
    bus: &DeviceArg,
    number: usize,
    chardevs: &Chardevs,
) -> Result<Vec<ConsolePort>, SystemError> {
    let unnamed = options.devices.iter().filter(|d| d.kind.kind == DeviceKind::Serial);
    let unnamed = unnamed.take(number).filter(|d| d.id.is_none()).count();
    let name = bus.id.as_ref().map_or(format!("virtio-serial-bus.{unnamed}"), |id| format!("{id}.0"));
    let on_this_bus = |d: &&DeviceArg| {
        d.kind.bus == BusKind::VirtioSerial && d.bus.as_ref().map_or(number == 0, |bus| *bus == name)
    };
    let mut ports: Vec<ConsolePort> = Vec::new();
    for arg in options.devices.iter().filter(on_this_bus) {
        let console = arg.kind.kind == DeviceKind::Console;
        let free = |n: &u32| ports.iter().all(|port| port.number != *n);
        // Port 0 is for a console only.
        let usual = (u32::from(!console)..).find(free).unwrap_or(MAX_CONSOLE_PORTS);
        let asked = arg.props.number("nr").map(|n| n as u32).filter(|n| *n != u32::MAX);
        let number = asked.unwrap_or(usual);
        if !free(&number) || number >= MAX_CONSOLE_PORTS || number == 0 && !console {
            let what =
                format!("nr={number}: is taken, kept for a console, or beyond {}", MAX_CONSOLE_PORTS - 1);
            return Err(SystemError::refused(&arg.origin, what));
        }
        let backend = match arg.props.text("chardev") {
            Some(id) => chardevs.for_device(id)?,
            None => chardevs::nowhere("port")?,
        };
        let name = arg.props.text("name").unwrap_or_default().to_string();
        // Whether somebody listens the back end tells by itself.
        ports.push(ConsolePort { number, name, console, open: false, backend });
    }
    Ok(ports)
}
