//! Writing device trees: Devicetree Specification 0.4. A thin layer over `vm-fdt` that keeps nodes closed.

use std::cell::Cell;
use thiserror::Error;
use vm_fdt::FdtWriter;

/// The tree cannot be written; boards make only well-formed ones, but texts come from the user.
#[derive(Debug, Error)]
#[error("cannot write the device tree: {0}")]
pub struct FdtError(#[from] vm_fdt::Error);

/// A device tree being written.
pub struct Tree {
    writer: FdtWriter,
    next_phandle: Cell<u32>,
}

impl Tree {
    /// An empty tree.
    pub fn new() -> Result<Self, FdtError> {
        Ok(Self { writer: FdtWriter::new()?, next_phandle: Cell::new(1) })
    }

    /// A number for a node that others refer to.
    pub fn new_phandle(&self) -> u32 {
        let n = self.next_phandle.get();
        self.next_phandle.set(n + 1);
        n
    }

    /// Writes a node whose content `body` writes. The root's name is empty.
    pub fn node(
        &mut self,
        name: &str,
        body: impl FnOnce(&mut Self) -> Result<(), FdtError>,
    ) -> Result<(), FdtError> {
        let node = self.writer.begin_node(name)?;
        body(self)?;
        Ok(self.writer.end_node(node)?)
    }

    /// A property without a value.
    pub fn flag(&mut self, name: &str) -> Result<(), FdtError> {
        Ok(self.writer.property_null(name)?)
    }

    /// A text.
    pub fn text(&mut self, name: &str, value: &str) -> Result<(), FdtError> {
        Ok(self.writer.property_string(name, value)?)
    }

    /// Several texts.
    pub fn texts(&mut self, name: &str, values: &[&str]) -> Result<(), FdtError> {
        let values = values.iter().map(|s| s.to_string()).collect();
        Ok(self.writer.property_string_list(name, values)?)
    }

    /// 32-bit cells.
    pub fn cells(&mut self, name: &str, values: &[u32]) -> Result<(), FdtError> {
        Ok(self.writer.property_array_u32(name, values)?)
    }

    /// 64-bit numbers, two cells each.
    pub fn wide(&mut self, name: &str, values: &[u64]) -> Result<(), FdtError> {
        Ok(self.writer.property_array_u64(name, values)?)
    }

    /// `phandle`.
    pub fn phandle(&mut self, n: u32) -> Result<(), FdtError> {
        Ok(self.writer.property_phandle(n)?)
    }

    /// The finished blob.
    pub fn finish(self) -> Result<Vec<u8>, FdtError> {
        Ok(self.writer.finish()?)
    }
}
