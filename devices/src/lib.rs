//! Chips, virtio devices, and the host back ends they use.
//!
//! A chip model knows registers and interrupt lines, apart from the bus that carries it. Nothing here knows a
//! translator, KVM, a vCPU thread, or any clock but [`base::Clock`].

pub mod chips;
pub mod host;
pub mod pci;
pub mod virtio;
