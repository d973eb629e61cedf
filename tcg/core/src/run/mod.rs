//! The run-time: what happens around and between translations.

mod float;
mod mmu;
mod tlb;

pub use float::collect_flags;
pub use mmu::{CodeWatch, Fault, Mmu, VcpuFetch, with_mmu};
pub use tlb::Tables;
