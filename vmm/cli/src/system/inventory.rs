//! What the machine is made of beside its board: what the command line named, and what has come since.
//!
//! The inventory is a command line at any time: that of a machine that had everything from the start. Whatever is added is checked
//! against it as at the start, and made by the same functions.
//!
//! Locks: the PCI host tells of departures while it is locked, so the host is never locked with the inventory locked while vCPUs run.

use std::fs::File;
use std::net::SocketAddrV4;
use std::sync::{Arc, Weak};

use base::{Clock, GuestRam};
use control::qmp::{Class, Error};
use control::{DeviceInfo, Part};
use devices::host::block::BlockBackend;
use devices::host::net::user::{HostFwd, UserNet};
use devices::pci::{PciError, PciPlace, Unplug};
use engine::{Event, Power};
use machines::PciBuses;
use parking_lot::{Mutex, MutexGuard};

use super::chardevs::Chardevs;
use super::disks::Disks;
use super::nets::{self, Nets};
use super::plugs::{self, Means};
use crate::options::device::{ROOT_BUS, device_type};
use crate::options::{
    BlockDriver, BusKind, Described, DeviceArg, HostEnd, HostForward, NetBackend, Removal, SystemOptions,
};

/// Where a device is.
#[derive(Clone, Copy, Default)]
struct Standing {
    place: Option<PciPlace>,
    hotplugged: bool,
}

/// What is there.
pub struct Contents {
    /// The command line.
    pub options: SystemOptions,
    /// Open disks.
    pub disks: Disks,
    /// Open networks.
    pub nets: Nets,
    /// Open character devices.
    pub chardevs: Chardevs,
    /// Where the devices of the command line are, in their order.
    standings: Vec<Standing>,
}

/// What makes devices work.
pub struct Ground {
    /// The buses.
    pub pci: Arc<PciBuses>,
    /// Guest memory.
    pub ram: GuestRam,
    /// Machine time.
    pub clock: Arc<dyn Clock>,
    /// The machine's life.
    pub power: Arc<Power>,
}

/// The inventory of one machine.
pub struct Inventory {
    contents: Mutex<Contents>,
    ground: Ground,
}

impl Inventory {
    /// That of a machine with what `options` name, all of it open.
    pub fn new(
        options: SystemOptions,
        (chardevs, disks, nets): (Chardevs, Disks, Nets),
        ground: Ground,
    ) -> Arc<Self> {
        let mut places = ground.pci.places.iter();
        let mut standing = |device: &DeviceArg| Standing {
            place: (device.kind.bus == BusKind::Pci).then(|| places.next().copied()).flatten(),
            hotplugged: false,
        };
        let standings = options.devices.iter().map(&mut standing).collect();
        let contents = Mutex::new(Contents { options, disks, nets, chardevs, standings });
        Arc::new_cyclic(|this: &Weak<Self>| {
            let this = this.clone();
            ground.pci.host.lock().on_departure(move |place| {
                if let Some(inventory) = this.upgrade() {
                    inventory.departed(place);
                }
            });
            Self { contents, ground }
        })
    }

    /// What is there now.
    pub fn contents(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock()
    }

    /// Every open disk.
    pub fn backends(&self) -> Vec<Arc<dyn BlockBackend>> {
        self.contents().disks.backends()
    }

    /// Adds something that `words` describe.
    pub fn add(self: &Arc<Self>, part: Part, words: &str) -> Result<(), Error> {
        let described = Described::read(part, words).map_err(|fault| Error::new(fault.to_string()))?;
        if let Some(id) = described.id.as_deref().filter(|id| self.contents().options.has(part, id)) {
            return Err(duplicate(part, id));
        }
        if part == Part::Device {
            self.not_on_record()?;
            return self.add_device(&described, words);
        }
        let contents = &mut *self.contents();
        let options = contents.options.with(part, words).map_err(usage)?;
        let failed = |fault: super::SystemError| Error::new(fault.to_string());
        match (part, options.block_nodes.last(), options.netdevs.last(), options.chardevs.last()) {
            (Part::BlockNode, Some(node), ..) => {
                let name = node.name.as_deref().unwrap_or_default();
                match &node.driver {
                    // It may be there for a format that stands on it, and is opened by whoever uses it.
                    BlockDriver::File { filename, .. } => readable(filename)?,
                    _ => drop(contents.disks.get(&options, name, &node.origin).map_err(failed)?),
                }
            }
            (Part::Netdev, _, Some(netdev), _) => drop(contents.nets.get(netdev).map_err(failed)?),
            (Part::Chardev, _, _, Some(chardev)) => contents.chardevs.add_late(chardev).map_err(failed)?,
            _ => {}
        }
        contents.options = options;
        Ok(())
    }

    /// The guest of a recorded run, and of its replay, keeps the devices of the command line: a log does not tell of others.
    fn not_on_record(&self) -> Result<(), Error> {
        match self.ground.power.journal() {
            None => Ok(()),
            Some(_) => Err(Error::new(
                "a recorded run (-icount rr=) keeps the devices that it begins with; name them on the command line",
            )),
        }
    }

    fn add_device(self: &Arc<Self>, described: &Described, words: &str) -> Result<(), Error> {
        let plug = {
            let contents = &mut *self.contents();
            let driver = described.driver.as_deref();
            let driver = driver.ok_or_else(|| Error::new("Parameter 'driver' is missing"))?;
            if device_type(driver).is_err() {
                return Err(Error::new(format!("'{driver}' is not a valid device model name")));
            }
            if let Some(bus) = described.bus.as_deref().filter(|bus| !contents.options.has_bus(bus)) {
                return Err(Error::new(format!("Bus '{bus}' not found")));
            }
            let options = contents.options.with(Part::Device, words).map_err(usage)?;
            let nth = options.devices.len() - 1;
            let device = &options.devices[nth];
            let bus = bus_name(device);
            if device.kind.bus != BusKind::Pci || !options.takes_devices(device.port_bus()) {
                return Err(Error::new(format!("Bus '{bus}' does not support hotplugging")));
            }
            let mut means = Means {
                options: &options,
                chardevs: &contents.chardevs,
                disks: &mut contents.disks,
                nets: &mut contents.nets,
                ram: &self.ground.ram,
                machine: (&self.ground.clock, &self.ground.power),
            };
            let plug = plugs::pci(&mut means, nth).map_err(|fault| Error::new(fault.to_string()))?;
            contents.options = options;
            // It is part of the inventory before the guest can see it, since from then on it may go.
            contents.standings.push(Standing { place: None, hotplugged: true });
            plug
        };
        let this = self.clone();
        let plugged = self.ground.power.with_cpus(move |_| {
            let place = this.ground.pci.plug(plug);
            let contents = &mut *this.contents();
            let nth = contents.standings.len() - 1;
            match place {
                Ok(place) => contents.standings[nth].place = Some(place),
                Err(_) => contents.forget(nth),
            }
            place.map(drop)
        });
        let ended = || Error::new("the machine has ended");
        plugged.ok_or_else(ended)?.map_err(|fault| Error::new(fault.to_string()))
    }

    /// Takes the thing called `id` away.
    pub fn remove(self: &Arc<Self>, part: Part, id: &str) -> Result<(), Error> {
        if part == Part::Device {
            self.not_on_record()?;
            return self.remove_device(id);
        }
        let contents = &mut *self.contents();
        contents.options = contents.options.without(part, id).map_err(|why| kept(part, id, why))?;
        match part {
            Part::BlockNode | Part::Drive => contents.disks.close(id),
            Part::Netdev => contents.nets.close(id),
            Part::Chardev => contents.chardevs.close(id),
            Part::Object | Part::Device => {}
        }
        Ok(())
    }

    fn remove_device(self: &Arc<Self>, id: &str) -> Result<(), Error> {
        let place = {
            let contents = self.contents();
            let nth = (0..contents.options.devices.len()).find(|nth| {
                contents.options.devices[*nth].id.as_deref() == Some(id) || contents.path(*nth) == id
            });
            let nth = nth.ok_or_else(|| kept(Part::Device, id, Removal::NotThere))?;
            let bus = bus_name(&contents.options.devices[nth]);
            let behind = contents.standings[nth].place.filter(|place| place.port.is_some());
            behind.ok_or_else(|| Error::new(format!("Bus '{bus}' does not support hotplugging")))?
        };
        let this = self.clone();
        let asked = self.ground.power.with_cpus(move |_| this.ground.pci.host.lock().request_unplug(place));
        match asked {
            Some(Ok(Unplug::Asked | Unplug::Done)) => Ok(()),
            Some(Err(PciError::Leaving)) => {
                Err(Error::new(format!("Device {id} is already in the process of unplug")))
            }
            Some(Err(fault)) => Err(Error::new(fault.to_string())),
            None => Err(Error::new("the machine has ended")),
        }
    }

    /// The function at `place` is gone.
    fn departed(&self, place: PciPlace) {
        let contents = &mut *self.contents();
        let Some(nth) = contents.standings.iter().position(|standing| standing.place == Some(place)) else {
            return;
        };
        let device = &contents.options.devices[nth];
        let (path, id, driver) = (contents.path(nth), device.id.clone(), device.kind.name);
        contents.forget(nth);
        let tell = |device: Option<String>, path: String| {
            let device = device.map(|id| id.into());
            self.ground.power.tell(Event::DeviceDeleted { device, path: path.into() });
        };
        if let Some((backend, _)) = control::qmp::virtio_backend(&path, driver) {
            tell(None, backend);
        }
        tell(id, path);
    }

    /// The devices that the user named or plugged in.
    pub fn devices(&self) -> Vec<DeviceInfo> {
        let contents = self.contents();
        let info = |(nth, device): (usize, &DeviceArg)| DeviceInfo {
            id: device.id.clone(),
            path: contents.path(nth),
            driver: device.kind.name,
            bus: bus_name(device),
            address: contents.standings[nth].place.map(|place| {
                let (slot, function) = place.address();
                format!("{slot:02x}.{function}")
            }),
            hotplugged: contents.standings[nth].hotplugged,
            properties: device.props.iter().map(|(row, value)| (row.name, value.to_string())).collect(),
        };
        contents.options.devices.iter().enumerate().map(info).collect()
    }

    /// Forwards a port of the host.
    pub fn forward(&self, netdev: Option<&str>, rule: &str) -> Result<(), String> {
        let contents = self.contents();
        let (id, net) = contents.user_net(netdev)?;
        let rule = HostForward::read(rule).map_err(|fault| fault.to_string())?;
        let guest = match contents.options.netdev(&id).map(|netdev| &netdev.backend) {
            Some(NetBackend::User(user)) => user.dhcp_start,
            _ => return Err(format!("unrecognized netdev id '{id}'")),
        };
        net.add_hostfwd(nets::forward(&rule, guest)).map(drop).map_err(|fault| fault.to_string())
    }

    /// Takes a forwarded port back.
    pub fn forward_no_more(&self, netdev: Option<&str>, rule: &str) -> Result<bool, String> {
        let (_, net) = self.contents().user_net(netdev)?;
        let end = HostEnd::read(rule).map_err(|fault| fault.to_string())?;
        let host = SocketAddrV4::new(end.host, end.port);
        Ok(net.remove_hostfwd(nets::transport(end.protocol), host).is_ok())
    }

    /// The forwarded ports, a line for each.
    pub fn forwards(&self) -> String {
        let users = self.contents().nets.users();
        let of_one = |(id, net): (String, Arc<UserNet>)| {
            let line = |rule: HostFwd| {
                format!("  {}[HOST_FORWARD]  {} -> {}\n", rule.transport, rule.host, rule.guest)
            };
            let lines: String = net.hostfwds().unwrap_or_default().into_iter().map(line).collect();
            format!("{id}:\n{lines}")
        };
        users.into_iter().map(of_one).collect()
    }
}

impl Contents {
    /// Where the device that stands `nth` is among the objects.
    fn path(&self, nth: usize) -> String {
        let devices = &self.options.devices;
        match &devices[nth].id {
            Some(id) => format!("/machine/peripheral/{id}"),
            None => {
                let number = devices[..nth].iter().filter(|device| device.id.is_none()).count();
                format!("/machine/peripheral-anon/device[{number}]")
            }
        }
    }

    /// Takes the device that stands `nth` off the list; what it was connected to is free.
    fn forget(&mut self, nth: usize) {
        let device = self.options.devices.remove(nth);
        self.standings.remove(nth);
        if let Some(netdev) = device.props.text("netdev") {
            self.nets.detach(netdev);
        }
        // Ports go with the bus that they are on.
        let bus = device.id.as_ref().map(|id| format!("{id}.0"));
        let is_port =
            |other: &DeviceArg| other.kind.bus == BusKind::VirtioSerial && bus.is_some() && other.bus == bus;
        while let Some(port) = self.options.devices.iter().position(is_port) {
            self.standings.remove(port);
            if let Some(chardev) = self.options.devices.remove(port).props.text("chardev") {
                self.chardevs.detach(chardev);
            }
        }
        // A drive goes with its device, as in QEMU; a block node stays.
        if let Some(drive) = device.props.text("drive")
            && self.options.drive(drive).is_some()
        {
            self.disks.close(drive);
            self.options.drives.retain(|other| other.id != drive);
        }
    }

    fn user_net(&self, id: Option<&str>) -> Result<(String, Arc<UserNet>), String> {
        let found = self.nets.users().into_iter().find(|(name, _)| id.is_none_or(|id| id == name));
        found.ok_or_else(|| match id {
            Some(id) => format!("unrecognized netdev id '{id}'"),
            None => "user mode network stack not in use".into(),
        })
    }
}

/// The bus that a device is on.
fn bus_name(device: &DeviceArg) -> String {
    let usual = match device.kind.bus {
        BusKind::Pci => ROOT_BUS,
        BusKind::VirtioMmio => "virtio-mmio-bus.0",
        BusKind::VirtioSerial => "virtio-serial-bus.0",
    };
    device.bus.clone().unwrap_or_else(|| usual.into())
}

/// A file that a node can stand on.
fn readable(file: &str) -> Result<(), Error> {
    let opened = File::open(file).map(drop);
    opened.map_err(|fault| Error::new(format!("Could not open '{file}': {fault}")))
}

/// A wrong description, without the option that it did not come from.
fn usage(fault: crate::options::UsageError) -> Error {
    Error::new(fault.fault.to_string())
}

/// There is such a thing already, in QEMU's words.
fn duplicate(part: Part, id: &str) -> Error {
    Error::new(match part {
        Part::Device => format!("Duplicate device ID '{id}'"),
        Part::BlockNode => format!("Duplicate nodes with node-name='{id}'"),
        Part::Drive => format!("Duplicate ID '{id}' for drive"),
        Part::Netdev => format!("Duplicate ID '{id}'"),
        Part::Chardev => format!("Chardev with id '{id}' already exists"),
        Part::Object => format!("attempt to add duplicate property '{id}' to object (type 'container')"),
    })
}

/// Why something stays, in QEMU's words.
fn kept(part: Part, id: &str, why: Removal) -> Error {
    let device = |what: &str| Error::of(Class::DeviceNotFound, what);
    match (part, why) {
        (Part::Device | Part::Netdev | Part::Drive, Removal::NotThere) => {
            device(&format!("Device '{id}' not found"))
        }
        (Part::BlockNode, Removal::NotThere) => {
            Error::new(format!("Failed to find node with node-name='{id}'"))
        }
        (Part::Chardev, Removal::NotThere) => Error::new(format!("Chardev '{id}' not found")),
        (Part::Object, Removal::NotThere) => Error::new(format!("object '{id}' not found")),
        (Part::BlockNode, Removal::InUse) => Error::new(format!("Block device {id} is in use")),
        (Part::Chardev, Removal::InUse) => Error::new(format!("Chardev '{id}' is busy")),
        (Part::Object, Removal::InUse) => Error::new(format!("object '{id}' is in use, can not be deleted")),
        (Part::Device | Part::Netdev | Part::Drive, Removal::InUse) => {
            Error::new(format!("Device '{id}' is in use"))
        }
    }
}
