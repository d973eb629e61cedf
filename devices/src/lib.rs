//! Chips, virtio devices and the host back ends they use.
