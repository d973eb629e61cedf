//! Boards as data: what chip stands where, and the wiring, device tree and memory-map listing that follow from it.
//!
//! A board is a table of [`Slot`]s and a builder that walks it. What boards have in common is in [`Parts`], what they are
//! given, and [`Chassis`], what they become.

mod acpi;
pub mod arm_virt;
mod chosen;
mod fdt;
mod nodes;
mod parts;
mod pci;
pub mod riscv_virt;
mod slot;

pub use chosen::with_chosen;
pub use fdt::{FdtError, Tree};
pub use parts::{BoardError, BootText, Chassis, FLASH_CHIPS, FlashPart, Parts};
pub use pci::{MakeFunction, PciBuses, PciPart, PciPlug, PciRefusal};
pub use slot::Slot;
