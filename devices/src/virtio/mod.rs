//! virtio 1.2: transports (MMIO, PCI) and devices.
