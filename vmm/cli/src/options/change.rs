//! What is added and taken away while the machine runs, in the words of the option that names it at the start.
//!
//! The result is the command line of a machine that had it from the start, checked in the same way.

use super::block::{BlockNode, Drive, DriveContext, DriveInterface};
use super::chardev::{CharBackend, Chardev, SocketRole};
use super::check::check;
use super::device::{DeviceArg, ROOT_BUS, bus_behind};
use super::device_table::DeviceKind;
use super::error::{Fault, UsageError};
use super::net::Netdev;
use super::object::Object;
use super::optstring::OptString;
use super::system::SystemOptions;
use control::Part;

impl SystemOptions {
    /// The same with one thing more, which `words` describe: as the argument of its option, or as JSON.
    pub fn with(&self, part: Part, words: &str) -> Result<Self, UsageError> {
        let origin = option(part);
        let mut new = self.clone();
        new.add(part, words, origin).map_err(|fault| fault.at(origin))?;
        check(&new, "-machine")?;
        Ok(new)
    }

    fn add(&mut self, part: Part, words: &str, origin: &str) -> Result<(), Fault> {
        let parse = |implied| OptString::parse_or_json(words, Some(implied));
        match part {
            Part::Device => self.devices.push(DeviceArg::read(parse("driver")?, origin)?),
            Part::BlockNode => self.block_nodes.push(BlockNode::read(parse("driver")?, origin)?),
            Part::Drive => {
                let context =
                    DriveContext { earlier: &self.drives, machine: self.machine.kind, snapshot: false };
                let drive = Drive::read(OptString::parse(words, None), origin, context)?;
                if drive.interface != DriveInterface::None {
                    return Err(Fault::new("only a drive with if=none can be added while the machine runs"));
                }
                self.drives.push(drive);
            }
            Part::Netdev => self.netdevs.push(Netdev::read(parse("type")?, origin)?),
            Part::Chardev => {
                let mut chardev = Chardev::read(parse("backend")?, origin)?;
                // The machine runs already.
                if let CharBackend::Socket { role: SocketRole::Server { wait }, .. } = &mut chardev.backend {
                    *wait = false;
                }
                self.chardevs.push(chardev);
            }
            Part::Object => self.objects.push(Object::read(parse("qom-type")?, origin)?),
        }
        Ok(())
    }

    /// Whether there is a thing called `id`.
    pub fn has(&self, part: Part, id: &str) -> bool {
        match part {
            Part::Device => self.devices.iter().any(|device| device.id.as_deref() == Some(id)),
            Part::BlockNode | Part::Drive => {
                self.drives.iter().any(|drive| drive.names().any(|name| name == id))
                    || self.block_nodes.iter().any(|node| node.names().contains(&id))
            }
            Part::Netdev => self.netdev(id).is_some(),
            Part::Chardev => self.chardev(id).is_some(),
            Part::Object => self.object(id).is_some(),
        }
    }

    /// Whether devices can name this bus.
    pub fn has_bus(&self, name: &str) -> bool {
        let own = |(nth, device): (usize, &DeviceArg)| match device.kind.kind {
            DeviceKind::RootPort => bus_behind(&self.devices, nth) == name,
            DeviceKind::Serial => device.id.as_ref().is_some_and(|id| format!("{id}.0") == name),
            _ => false,
        };
        name == ROOT_BUS || self.devices.iter().enumerate().any(own)
    }

    /// Whether devices can come to the PCI bus behind a port; `None` is the board's own.
    pub fn takes_devices(&self, bus: Option<&str>) -> bool {
        let is_port = |nth: &usize| {
            self.devices[*nth].kind.kind == DeviceKind::RootPort
                && Some(&*bus_behind(&self.devices, *nth)) == bus
        };
        let port = (0..self.devices.len()).find(is_port);
        port.is_some_and(|nth| self.devices[nth].props.flag("hotplug") != Some(false))
    }

    /// Takes the thing called `id` away, if nobody uses it any more.
    pub fn without(&self, part: Part, id: &str) -> Result<Self, Removal> {
        let mut new = self.clone();
        let before = new.count(part);
        match part {
            Part::Device => new.devices.retain(|device| device.id.as_deref() != Some(id)),
            Part::BlockNode => new.block_nodes.retain(|node| node.name.as_deref() != Some(id)),
            Part::Drive => new.drives.retain(|drive| drive.id != id),
            Part::Netdev => new.netdevs.retain(|netdev| netdev.id != id),
            Part::Chardev => new.chardevs.retain(|chardev| chardev.id != id),
            Part::Object => new.objects.retain(|object| object.id != id),
        }
        if new.count(part) == before {
            return Err(Removal::NotThere);
        }
        check(&new, "-machine").map_err(|_| Removal::InUse)?;
        Ok(new)
    }

    fn count(&self, part: Part) -> usize {
        match part {
            Part::Device => self.devices.len(),
            Part::BlockNode => self.block_nodes.len(),
            Part::Drive => self.drives.len(),
            Part::Netdev => self.netdevs.len(),
            Part::Chardev => self.chardevs.len(),
            Part::Object => self.objects.len(),
        }
    }
}

/// What a description says before anything is checked.
pub struct Described {
    /// The name.
    pub id: Option<String>,
    /// The type of a device.
    pub driver: Option<String>,
    /// The bus of a device.
    pub bus: Option<String>,
}

impl Described {
    /// Reads it off `words`.
    pub fn read(part: Part, words: &str) -> Result<Self, Fault> {
        let (implied, id) = match part {
            Part::BlockNode => ("driver", "node-name"),
            Part::Device => ("driver", "id"),
            _ => ("type", "id"),
        };
        let mut settings = OptString::parse_or_json(words, Some(implied))?;
        Ok(Self { id: settings.take(id), driver: settings.take("driver"), bus: settings.take("bus") })
    }
}

/// Why something stays where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// There is no such thing.
    NotThere,
    /// Something else refers to it.
    InUse,
}

/// The option that has such a thing from the start.
fn option(part: Part) -> &'static str {
    match part {
        Part::Device => "-device",
        Part::BlockNode => "-blockdev",
        Part::Drive => "-drive",
        Part::Netdev => "-netdev",
        Part::Chardev => "-chardev",
        Part::Object => "-object",
    }
}
