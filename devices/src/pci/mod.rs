//! PCI Express: configuration space, host bridge, BARs, INTx and MSI-X (PCI Express Base Specification 5.0,
//! chapters 6 and 7; PCI Local Bus Specification 3.0, chapter 6).
//!
//! [`PciHost`] is bus 0: it answers the ECAM window, gives functions their slots, and maps their BARs into the
//! address space. A function ([`PciFunction`]) wraps a device model with a [`ConfigSpace`] and interrupts through a
//! [`PciInterrupt`]. A [`RootPort`] is a function with a slot behind it, where functions come and go while the machine runs. Left out:
//! switches and other bridges, MSI without the X, power management, error reporting.

mod config;
pub mod express;
mod host;
mod host_bridge;
#[cfg(test)]
mod hotplug_tests;
mod interrupt;
mod msix;
mod one_bar;
mod place;
mod root_port;
#[cfg(test)]
mod tests;
mod windows;

pub(crate) use config::ConfigState;
pub use config::{Bar, BarKind, ConfigSpace, Identity};
pub use express::SlotOptions;
pub use host::{PciFunction, PciHost, PciWiring, Unplug};
pub(crate) use interrupt::InterruptState;
pub use interrupt::{Doorbell, MsiSink, PciInterrupt};
pub use one_bar::OneBar;
pub use place::{PciError, PciPlace, PciSocket};
pub use root_port::RootPort;
pub use windows::{PciWindow, PciWindows};
