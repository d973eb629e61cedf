//! Shared vocabulary of Mimic: guest memory, the address space, interrupt lines, clocks, the device traits and
//! saved state.
//!
//! Everything that joins a translator, a hypervisor, a device and a board is typed here, and nothing here knows
//! any of them by name.

mod bus;
mod clock;
mod cpu_lines;
mod device;
mod irq;
mod memory;
mod power;
mod ram_image;
mod requester;
mod state;
mod time_base;

pub use bus::{AddressSpace, MapError, MapId, Slot, Target};
pub use clock::{Clock, HostClock, InstructionClock, MAX_SHIFT, ManualClock, Moment, Ns, Ticks, Timer};
pub use cpu_lines::{CpuLines, WakeReason};
pub use device::{Device, Mmio, Shared, Width, Widths, shared};
pub use irq::{IrqLine, IrqSink, LineRecorder};
pub use memory::{
    GuestRam, MemoryError, PAGE_SHIFT, PAGE_SIZE, RamRegion, RomRegion, WriteWatch, WriteWatcher,
    allocate_ram, allocate_region, anonymous_file,
};
pub use power::{PowerEvent, PowerRecorder, PowerSink};
pub use ram_image::{CHUNK, RamImage, RamLayers};
pub use requester::{requester, set_requester};
pub use state::{State, StateError};
pub use time_base::TimeBase;
