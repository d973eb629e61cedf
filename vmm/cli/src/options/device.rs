//! `-device`.

use super::device_table::{DEVICES, DeviceKind, DeviceType, OTHER_DEVICES};
use super::error::Fault;
use super::optstring::OptString;
use super::props::{Kind, Prop, Props, prop};

/// A device to add: from `-device`, or what `-drive if=virtio` and `-nic` stand for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceArg {
    /// Its type.
    pub kind: &'static DeviceType,
    /// Its name.
    pub id: Option<String>,
    /// The bus it shall plug into; `None` takes the first that fits.
    pub bus: Option<String>,
    /// Its properties as given.
    pub props: Props,
    /// As typed, for messages.
    pub origin: String,
}

/// What each device has beside its own properties.
static COMMON: &[Prop] =
    &[prop("id", Kind::Id, "", "name of the device"), prop("bus", Kind::Text, "", "bus it plugs into")];

/// The device type of this name.
pub fn device_type(name: &str) -> Result<&'static DeviceType, Fault> {
    if let Some(found) = DEVICES.iter().find(|d| d.name == name || d.alias == Some(name)) {
        return Ok(found);
    }
    let names = DEVICES.iter().map(|d| d.name);
    let fault = Fault::unknown(format!("there is no device '{name}'"), name, names.clone());
    // `virtio-blk-devic` is a slip, `virtio-gpu-pci` is not.
    let slip =
        super::suggest::closest(name, names).is_some_and(|near| super::suggest::distance(name, near) <= 2);
    if !slip && OTHER_DEVICES.iter().any(|other| name.starts_with(other)) {
        return Err(Fault::not_available(&format!("device '{name}'")));
    }
    Err(fault)
}

/// The board's PCI Express bus.
pub const ROOT_BUS: &str = "pcie.0";

/// The bus behind the root port that stands `nth` among `devices`: it has the port's name.
pub fn bus_behind(devices: &[DeviceArg], nth: usize) -> String {
    let unnamed = |device: &&DeviceArg| device.kind.kind == DeviceKind::RootPort && device.id.is_none();
    let before = devices[..nth].iter().filter(unnamed).count();
    devices[nth].id.clone().unwrap_or_else(|| format!("pcie.{}", before + 1))
}

impl DeviceArg {
    /// The PCI bus behind a port, if it asks for one.
    pub fn port_bus(&self) -> Option<&str> {
        self.bus.as_deref().filter(|bus| *bus != ROOT_BUS)
    }

    /// Reads one `-device`.
    pub fn read(mut settings: OptString, origin: &str) -> Result<Self, Fault> {
        let name = settings.take("driver").ok_or_else(|| Fault::new("names no device; 'help' lists them"))?;
        Self::with_type(device_type(&name)?, settings, origin)
    }

    /// A device of a known type.
    pub fn with_type(kind: &'static DeviceType, settings: OptString, origin: &str) -> Result<Self, Fault> {
        let mut tables = kind.props.to_vec();
        tables.push(COMMON);
        let props = Props::read(settings, &tables, &format!("the device '{}'", kind.name))?;
        for name in ["logical_block_size", "physical_block_size"] {
            let good = |size: u64| size == 0 || size.is_power_of_two() && (512..=2 << 20).contains(&size);
            if props.bytes(name).is_some_and(|size| !good(size)) {
                return Err(Fault::new(format!("{name}: is no power of two from 512 to 2M")));
            }
        }
        for (name, range) in
            [("queue-size", 4..=1024), ("rx_queue_size", 256..=1024), ("tx_queue_size", 256..=1024)]
        {
            if props.number(name).is_some_and(|n| !n.is_power_of_two() || !range.contains(&n)) {
                let (low, high) = range.into_inner();
                return Err(Fault::new(format!("{name}: is no power of two from {low} to {high}")));
            }
        }
        if props.number("num-queues") == Some(0) {
            return Err(Fault::new("num-queues=0: is at least 1"));
        }
        let text = |name| props.text(name).map(String::from);
        Ok(Self { kind, id: text("id"), bus: text("bus"), props, origin: origin.into() })
    }
}
