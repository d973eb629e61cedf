//! The run-time: what happens around and between translations.

mod code;
mod direct;
mod float;
mod heat;
mod listener;
mod lock;
mod log;
mod mmu;
mod observe;
mod points;
mod store;
mod tlb;
mod turn;
mod user_space;
mod vcpu;

pub use code::{Chaining, CodeCache, CodeConfig, CodeStats};
pub use direct::{HostFault, copy_in, copy_out};
pub use float::collect_flags;
pub use heat::SLOTS as HEAT_SLOTS;
pub use listener::{CodeListener, Listener, Made};
pub(crate) use mmu::Phys;
pub use mmu::{CodeWatch, Fault, Mmu, VcpuFetch, with_mmu};
pub use store::Store;
pub use tlb::Tables;
pub use turn::{Rest, Turn};
pub use user_space::{Pages, UserSpace, host_prot};
pub use vcpu::{Errand, Handle, Left, Tiers, TrapHook, Vcpu, VcpuConfig, parts};

#[cfg(any(test, feature = "testing"))]
pub(crate) use float::with_guest_mode;
#[cfg(any(test, feature = "testing"))]
pub(crate) use vcpu::helper_table;
