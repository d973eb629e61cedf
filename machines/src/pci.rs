//! What is plugged into a board's PCI Express buses, which have names here: those behind ports the name of their port.

use base::Shared;
use devices::pci::{PciError, PciFunction, PciHost, PciPlace, PciSocket, PciWiring, SlotOptions};
use std::collections::BTreeMap;
use thiserror::Error;

/// Makes a function when its wires are known.
pub type MakeFunction = Box<dyn FnOnce(PciWiring) -> Shared<dyn PciFunction> + Send>;

/// What is plugged in.
pub enum PciPart {
    /// A function.
    Function(MakeFunction),
    /// A port, with the name of the bus behind it.
    Port(String, SlotOptions),
}

/// A device for the PCI bus.
pub struct PciPlug {
    /// The bus behind a port; `None` is bus 0.
    pub bus: Option<String>,
    /// Slot and function asked for.
    pub address: Option<(u8, u8)>,
    /// As function 0: others are in the same slot.
    pub multifunction: bool,
    /// The device.
    pub part: PciPart,
    /// The option that asks for it, for messages.
    pub origin: String,
}

/// Why a device can not be where it wants to be.
#[derive(Debug, Error)]
#[error("{origin}: {source}")]
pub struct PciRefusal {
    origin: String,
    source: PciError,
}

/// The buses of a board.
pub struct PciBuses {
    /// Bus 0, which leads to the others.
    pub host: Shared<PciHost>,
    /// Where the devices of the command line are, in their order.
    pub places: Vec<PciPlace>,
    /// The ports, by the names of the buses behind them.
    ports: BTreeMap<String, u8>,
}

impl PciBuses {
    /// `host` with all `plugs`.
    pub(crate) fn new(host: Shared<PciHost>, plugs: Vec<PciPlug>) -> Result<Self, PciRefusal> {
        let mut buses = Self { host, places: Vec::new(), ports: BTreeMap::new() };
        for plug in plugs {
            let origin = plug.origin.clone();
            let place = buses.add(plug).map_err(|source| PciRefusal { origin, source })?;
            buses.places.push(place);
        }
        Ok(buses)
    }

    fn socket(&self, plug: &PciPlug) -> Result<PciSocket, PciError> {
        let port = match &plug.bus {
            Some(name) => Some(*self.ports.get(name).ok_or(PciError::NoSuchPort)?),
            None => None,
        };
        Ok(PciSocket { port, address: plug.address, multifunction: plug.multifunction })
    }

    fn add(&mut self, plug: PciPlug) -> Result<PciPlace, PciError> {
        let socket = self.socket(&plug)?;
        let mut host = self.host.lock();
        match plug.part {
            PciPart::Function(make) => host.add(socket, make),
            PciPart::Port(name, options) => {
                let place = host.add_port(socket, options)?;
                self.ports.insert(name, place.devfn);
                Ok(place)
            }
        }
    }

    /// Plugs a function in while the machine runs. To be called with the vCPUs stopped.
    pub fn plug(&self, plug: PciPlug) -> Result<PciPlace, PciError> {
        let socket = self.socket(&plug)?;
        match plug.part {
            PciPart::Function(make) => self.host.lock().plug(socket, make),
            PciPart::Port(..) => Err(PciError::NoHotplug("ports stay where they are")),
        }
    }
}
