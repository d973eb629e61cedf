//! virtio 1.2: transports (MMIO, PCI) and devices.
//!
//! A device model implements [`VirtioDevice`] and knows features, its configuration space and queues;
//! [`VirtioCore`] owns the life cycle of section 3 (status, feature negotiation, activation, reset); a transport
//! ([`VirtioMmio`], [`VirtioPci`]) maps a core's fields to registers. Split rings with indirect descriptors and
//! event indices come from `virtio-queue`; packed rings and queue reset are left out, and so is the legacy
//! interface (before 1.0) on either transport.

mod blk;
mod console;
mod core;
mod mmio;
mod net;
mod pci;
mod queue;
mod rng;
#[cfg(test)]
mod testing;
mod worker;

pub use self::core::{Activation, VirtioCore, VirtioDevice};
pub use blk::{Blk, BlkOptions};
pub use console::{Console, ConsolePort, MAX_CONSOLE_PORTS};
pub use mmio::{VIRTIO_MMIO_SIZE, VirtioMmio};
pub use net::Net;
pub use pci::VirtioPci;
pub use queue::{Chain, ChainReader, ChainWriter, Interrupt, Link, Served, VirtQueue};
pub use rng::{EntropySource, HostEntropy, Rng};
pub use worker::{Service, Worker};
