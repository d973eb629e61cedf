//! The rows of a board's table.

/// One row: what stands where.
#[derive(Clone, Copy, Debug)]
pub struct Slot<C> {
    /// Name in listings and in the device tree.
    pub name: &'static str,
    /// First guest-physical address.
    pub base: u64,
    /// Bytes.
    pub size: u64,
    /// Input of the interrupt controller; a chip without an interrupt has 0.
    pub irq: u32,
    /// What stands there.
    pub chip: C,
}

impl<C> Slot<C> {
    /// A row.
    pub const fn new(name: &'static str, base: u64, size: u64, irq: u32, chip: C) -> Self {
        Self { name, base, size, irq, chip }
    }

    /// The name of its node in the device tree.
    pub fn node_name(&self) -> String {
        format!("{}@{:x}", self.name, self.base)
    }
}
