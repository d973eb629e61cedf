//! What is checked once all options are known: names refer to something, and are used as often as they may be.

use std::collections::{HashMap, HashSet};

use super::block::DriveInterface;
use super::chardev::{CharBackend, Chardev};
use super::device::{self, DeviceArg, ROOT_BUS};
use super::device_table::{BusKind, DeviceKind};
use super::error::{Fault, UsageError};
use super::machine::MachineType;
use super::object::ObjectKind;
use super::system::{SerialTarget, SystemOptions};

/// Checks the whole; `machine_origin` names `-machine` in messages.
pub fn check(options: &SystemOptions, machine_origin: &str) -> Result<(), UsageError> {
    let places = (
        options.drives.iter().flat_map(|d| d.names().map(|name| (name, &*d.origin))),
        options.block_nodes.iter().flat_map(|n| n.names().into_iter().map(|name| (name, &*n.origin))),
    );
    unique("drive or block node", places.0.chain(places.1))?;
    unique("network back end", options.netdevs.iter().map(|n| (&*n.id, &*n.origin)))?;
    unique("character device", options.chardevs.iter().map(|c| (&*c.id, &*c.origin)))?;
    unique("object", options.objects.iter().map(|o| (&*o.id, &*o.origin)))?;
    unique("device", options.devices.iter().filter_map(|d| Some((d.id.as_deref()?, &*d.origin))))?;
    terminal(options)?;
    block_nodes(options)?;
    machine(options).map_err(|fault| fault.at(machine_origin))?;
    buses(&options.devices, options.machine.kind)?;
    recorded(options)?;
    let mut users = Users::default();
    for (port, serial) in options.serials.iter().enumerate() {
        // Ports that the board does not have are connected to nothing.
        if let SerialTarget::Chardev(id) = serial
            && port < options.serial_ports()
        {
            users.take(options, id, "-serial")?;
        }
    }
    for monitor in &options.monitors {
        users.take(options, &monitor.chardev, "the monitor")?;
    }
    if let Some(id) = options.semihosting.as_ref().and_then(|semihosting| semihosting.chardev.as_deref()) {
        users.take(options, id, "-semihosting-config")?;
    }
    if let Some(id) = &options.gdb {
        users.take(options, id, "-gdb")?;
    }
    for device in &options.devices {
        references(options, device, &mut users)?;
    }
    Ok(())
}

/// Nothing of a recorded run comes from where it is not recorded.
fn recorded(options: &SystemOptions) -> Result<(), UsageError> {
    let Some(record) = options.record() else { return Ok(()) };
    let not = [
        ("-loadvm", options.loadvm.is_some(), "a recorded run begins with the machine's power-on"),
        (
            "-semihosting",
            options.semihosting.is_some(),
            "what programs ask the host for by semihosting is not recorded",
        ),
    ];
    let mode = if record.replay { "replay" } else { "record" };
    match not.into_iter().find(|(_, given, _)| *given) {
        Some((option, _, why)) => {
            Err(Fault::new(format!("can not be had with {option}: {why}")).at(&format!("-icount rr={mode}")))
        }
        None => Ok(()),
    }
}

/// No name stands for two things of a kind.
fn unique<'a>(what: &str, names: impl Iterator<Item = (&'a str, &'a str)>) -> Result<(), UsageError> {
    let mut seen = HashSet::new();
    for (name, origin) in names {
        if !seen.insert(name) {
            return Err(Fault::new(format!("there is another {what} '{name}' already")).at(origin));
        }
    }
    Ok(())
}

/// One character device has the terminal, and none where the program leaves it.
fn terminal(options: &SystemOptions) -> Result<(), UsageError> {
    let is_stdio = |c: &&Chardev| matches!(c.backend, CharBackend::Stdio { .. });
    let mut on_terminal = options.chardevs.iter().filter(is_stdio);
    match (on_terminal.next(), on_terminal.next()) {
        (Some(first), _) if options.daemonize => {
            Err(Fault::new("cannot use stdio with -daemonize").at(&first.origin))
        }
        (Some(first), Some(second)) => {
            let what =
                format!("the terminal (stdio) is taken by {}; a mux, as mon:stdio, shares it", first.origin);
            Err(Fault::new(what).at(&second.origin))
        }
        _ => Ok(()),
    }
}

/// A node stands on nodes that were described before it, so that the graph has no ring.
fn block_nodes(options: &SystemOptions) -> Result<(), UsageError> {
    let mut known: HashSet<&str> = options.drives.iter().map(|d| &*d.id).collect();
    for node in &options.block_nodes {
        for name in node.references() {
            if !known.contains(name) {
                let what = format!("there is no block node '{name}' before this one");
                return Err(Fault::unknown(what, name, known.iter().copied()).at(&node.origin));
            }
        }
        known.extend(node.names());
    }
    Ok(())
}

fn has_node(options: &SystemOptions, name: &str) -> bool {
    options.block_nodes.iter().any(|n| n.names().contains(&name))
}

/// The machine's own references.
fn machine(options: &SystemOptions) -> Result<(), Fault> {
    let machine = &options.machine;
    for (unit, name) in machine.pflash.iter().enumerate() {
        let Some(name) = name else { continue };
        if !has_node(options, name) {
            let names = options.block_nodes.iter().flat_map(|n| n.names());
            return Err(Fault::unknown(format!("pflash{unit}={name}: no such block node"), name, names));
        }
        let taken = |d: &&super::Drive| d.interface == DriveInterface::Pflash && d.unit as usize == unit;
        if let Some(drive) = options.drives.iter().find(taken) {
            return Err(Fault::new(format!("pflash{unit}={name}: the chip holds {} already", drive.origin)));
        }
    }
    let Some(id) = &machine.memory_backend else { return Ok(()) };
    let Some((_, size)) = options.memory_backend() else {
        let is_memory = |o: &&super::Object| matches!(o.kind, ObjectKind::Memory { .. });
        let ids = options.objects.iter().filter(is_memory).map(|o| &*o.id);
        return Err(Fault::unknown(format!("memory-backend={id}: no such memory object"), id, ids));
    };
    match options.memory.size {
        Some(asked) if asked != size => {
            Err(Fault::new(format!("memory-backend={id}: has {size} bytes, and -m says {asked}")))
        }
        _ => Ok(()),
    }
}

/// Every device finds a bus with room.
fn buses(devices: &[DeviceArg], machine: &MachineType) -> Result<(), UsageError> {
    let mut serial_buses: Vec<String> = Vec::new();
    let mut mmio_slots: HashSet<String> = HashSet::new();
    let mut mmio_devices = 0;
    let mut pci_addresses = HashMap::new();
    let mut pci_buses = vec![ROOT_BUS.to_string()];
    for (nth, device) in devices.iter().enumerate() {
        let at = |what: String| Fault::new(what).at(&device.origin);
        let found = |buses: &[String]| match &device.bus {
            Some(bus) if !buses.contains(bus) => {
                let what = format!("there is no bus '{bus}' for the device '{}'", device.kind.name);
                Err(Fault::unknown(what, bus, buses.iter().map(|b| &**b)).at(&device.origin))
            }
            _ => Ok(()),
        };
        match device.kind.bus {
            BusKind::VirtioMmio => {
                let slots = machine.mmio_slots;
                found(&(0..slots).map(|n| format!("virtio-mmio-bus.{n}")).collect::<Vec<_>>())?;
                if let Some(bus) = device.bus.as_ref().filter(|bus| !mmio_slots.insert((*bus).clone())) {
                    return Err(at(format!("the slot '{bus}' is taken")));
                }
                mmio_devices += 1;
                if mmio_devices > slots {
                    return Err(at(format!(
                        "all {slots} virtio-mmio slots are taken; the -pci form has more room"
                    )));
                }
            }
            BusKind::Pci => {
                found(&pci_buses)?;
                let (bus, port) = (device.port_bus(), device.kind.kind == DeviceKind::RootPort);
                if let (Some(bus), true) = (bus, port) {
                    return Err(at(format!("bus={bus}: a root port stands on {ROOT_BUS}")));
                }
                let asked = device.props.pci_address("addr");
                // Behind a port there is one slot.
                if let Some((slot, function)) = asked.or(bus.map(|_| (0, 0))) {
                    match bus {
                        None if (slot, function) == (0, 0) => {
                            return Err(at("addr=0: is the host bridge's slot".into()));
                        }
                        Some(bus) if slot != 0 => {
                            return Err(at(format!("addr={slot:02x}: the bus '{bus}' has slot 0 only")));
                        }
                        _ => {}
                    }
                    if let Some(other) = pci_addresses.insert((bus, slot, function), device) {
                        let (name, other, id) =
                            (device.kind.name, other.kind.name, other.id.as_deref().unwrap_or_default());
                        return Err(at(format!(
                            "PCI: slot {slot} function {function} not available for {name}, in use by {other},id={id}"
                        )));
                    }
                }
                if port {
                    pci_buses.push(device::bus_behind(devices, nth));
                }
            }
            BusKind::VirtioSerial => {
                if serial_buses.is_empty() {
                    return Err(at(
                        "needs a virtio serial device before it, as -device virtio-serial-pci".into()
                    ));
                }
                found(&serial_buses)?;
            }
        }
        if device.kind.kind == DeviceKind::Serial {
            let unnamed = serial_buses.iter().filter(|b| b.starts_with("virtio-serial-bus.")).count();
            let name = device.id.as_ref().map(|id| format!("{id}.0"));
            serial_buses.push(name.unwrap_or_else(|| format!("virtio-serial-bus.{unnamed}")));
        }
    }
    Ok(())
}

/// Who uses what, as far as it can be used once or a few times.
#[derive(Default)]
struct Users<'a> {
    chardevs: HashMap<&'a str, usize>,
    drives: HashSet<&'a str>,
    nodes: HashMap<&'a str, bool>,
    netdevs: HashSet<&'a str>,
}

/// The most front ends that share one character device, as in QEMU.
const MAX_FRONT_ENDS: usize = 4;

impl<'a> Users<'a> {
    /// A front end takes the character device `id`.
    fn take(&mut self, options: &'a SystemOptions, id: &'a str, origin: &str) -> Result<(), UsageError> {
        let Some(chardev) = options.chardev(id) else {
            let ids = options.chardevs.iter().map(|c| &*c.id);
            let what = format!("there is no character device '{id}'");
            return Err(Fault::unknown(what, id, ids).at(origin));
        };
        let users = self.chardevs.entry(id).or_default();
        *users += 1;
        if *users > 1 && !chardev.mux {
            let what = format!("the character device '{id}' is in use already; mux=on shares it");
            return Err(Fault::new(what).at(origin));
        }
        if *users > MAX_FRONT_ENDS {
            let what = format!("the character device '{id}' has {MAX_FRONT_ENDS} front ends already");
            return Err(Fault::new(what).at(origin));
        }
        Ok(())
    }
}

/// The references of one device.
fn references<'a>(
    options: &'a SystemOptions,
    device: &'a DeviceArg,
    users: &mut Users<'a>,
) -> Result<(), UsageError> {
    let at = |what: String| Fault::new(what).at(&device.origin);
    if let Some(id) = device.props.text("chardev") {
        users.take(options, id, &device.origin)?;
    }
    if let Some(id) = device.props.text("netdev") {
        if options.netdev(id).is_none() {
            let ids = options.netdevs.iter().map(|n| &*n.id);
            let what = format!("there is no network back end '{id}'");
            return Err(Fault::unknown(what, id, ids).at(&device.origin));
        }
        if !users.netdevs.insert(id) {
            return Err(at(format!("the network back end '{id}' is in use already")));
        }
    }
    for (name, wanted) in [("rng", "rng"), ("iothread", "iothread")] {
        let Some(id) = device.props.text(name) else { continue };
        let fits = |kind: &ObjectKind| match kind {
            ObjectKind::RngBuiltin | ObjectKind::RngRandom { .. } => wanted == "rng",
            ObjectKind::IoThread => wanted == "iothread",
            ObjectKind::Memory { .. } => false,
        };
        if !options.object(id).is_some_and(|o| fits(&o.kind)) {
            let ids = options.objects.iter().filter(|o| fits(&o.kind)).map(|o| &*o.id);
            let what = format!("there is no {wanted} object '{id}'");
            return Err(Fault::unknown(what, id, ids).at(&device.origin));
        }
    }
    if device.kind.kind == DeviceKind::Block {
        drive(options, device, users)?;
    }
    Ok(())
}

/// A block device has a drive or a node, and shares it with none but its like.
fn drive<'a>(
    options: &'a SystemOptions,
    device: &'a DeviceArg,
    users: &mut Users<'a>,
) -> Result<(), UsageError> {
    let at = |what: String| Fault::new(what).at(&device.origin);
    let Some(name) = device.props.text("drive") else {
        return Err(at("has no drive; say drive=ID".into()));
    };
    if let Some(drive) = options.drive(name) {
        let own = drive.interface == DriveInterface::Virtio && drive.origin == device.origin;
        if !users.drives.insert(name) || drive.interface != DriveInterface::None && !own {
            return Err(at(format!(
                "the drive '{name}' is in use already; say if=none where it is described"
            )));
        }
        return Ok(());
    }
    if !has_node(options, name) {
        let drives = options.drives.iter().map(|d| &*d.id);
        let names = drives.chain(options.block_nodes.iter().flat_map(|n| n.names()));
        let what = format!("there is no drive or block node '{name}'");
        return Err(Fault::unknown(what, name, names).at(&device.origin));
    }
    let shares = device.props.flag("share-rw").unwrap_or(false);
    let read_only = options
        .block_nodes
        .iter()
        .any(|n| n.name.as_deref() == Some(name) && n.options.read_only == Some(true));
    match users.nodes.insert(name, shares) {
        Some(others) if !(read_only || shares && others) => Err(at(format!(
            "the block node '{name}' is in use already; share-rw=on on each device shares it"
        ))),
        _ => Ok(()),
    }
}
