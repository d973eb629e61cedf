//! PCI Express: configuration space, host bridge, BARs, INTx and MSI-X (PCI Express Base Specification 5.0,
//! chapters 6 and 7; PCI Local Bus Specification 3.0, chapter 6).
//!
//! [`PciHost`] is the bus: it answers the ECAM window, gives functions their slots, and maps their BARs into the
//! address space. A function ([`PciFunction`]) wraps a device model with a [`ConfigSpace`] and interrupts through a
//! [`PciInterrupt`]. All functions sit on bus 0. Left out: bridges and root ports, MSI without the X, power
//! management, error reporting, hot-plug.

mod config;
mod host;
mod host_bridge;
mod interrupt;
mod msix;
mod one_bar;
#[cfg(test)]
mod tests;

pub(crate) use config::ConfigState;
pub use config::{Bar, BarKind, ConfigSpace, Identity};
pub use host::{PciError, PciFunction, PciHost, PciWindow, PciWindows, PciWiring};
pub(crate) use interrupt::InterruptState;
pub use interrupt::{Doorbell, MsiSink, PciInterrupt};
pub use one_bar::OneBar;
