//! Boards as data: what chip stands where, and the wiring, device tree and memory-map listing that follow from it.

mod chosen;
mod fdt;
pub mod riscv_virt;

pub use chosen::with_chosen;
pub use fdt::{FdtError, Tree};
