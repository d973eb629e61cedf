//! Where kernel, initial file system and device tree go in RAM.

use crate::image::{Image, ImageError};
use base::GuestRam;
use thiserror::Error;
use vm_memory::{Bytes, GuestAddress, GuestMemoryBackend};

/// Kernels of 64-bit RISC-V want this alignment.
pub const KERNEL_ALIGN: u64 = 2 << 20;
/// How far behind the start of the kernel the initial file system stands, if RAM is large enough.
const INITRD_DISTANCE: u64 = 128 << 20;
/// Initial file systems begin at a page.
const INITRD_ALIGN: u64 = 4096;
/// The device tree stays below this address, for kernels that map only so much at first.
const FDT_LIMIT: u64 = 3 << 30;
/// What is written at a time where an image asks for zeroes.
static ZEROES: [u8; 64 << 10] = [0; 64 << 10];
/// Room for a device tree and what firmware adds to it.
pub const FDT_ROOM: u64 = 2 << 20;

/// Why something cannot be placed.
#[derive(Debug, Error)]
pub enum PlaceError {
    /// The image itself.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// Its file.
    #[error("{what} {reason}")]
    Content {
        /// What was to be placed.
        what: String,
        /// The host's reason.
        reason: String,
    },
    /// There is not enough RAM, or it is elsewhere.
    #[error("{what} needs memory at {addr:#x}+{size:#x}, where the machine has none; give it more with -m")]
    NoRam {
        /// What was to be placed.
        what: String,
        /// First address.
        addr: u64,
        /// Bytes.
        size: u64,
    },
}

/// Copies an image to RAM.
pub fn load_image(ram: &GuestRam, image: &Image, what: &str) -> Result<(), PlaceError> {
    for segment in &image.segments {
        let no_ram = || PlaceError::NoRam { what: what.into(), addr: segment.addr, size: segment.size };
        let given = segment.content.len();
        if !ram.check_range(GuestAddress(segment.addr), given as usize) {
            return Err(no_ram());
        }
        segment.content.put(ram, GuestAddress(segment.addr)).map_err(|error| {
            let reason = format!("cannot be read any more: {error}");
            PlaceError::Content { what: what.into(), reason }
        })?;
        let rest = segment.size - given;
        if rest > 0 {
            // In pieces: what a header asks for may be much more than there is.
            let mut at = segment.addr + given;
            while at < segment.end() {
                let n = ZEROES.len().min((segment.end() - at) as usize);
                ram.write_slice(&ZEROES[..n], GuestAddress(at)).map_err(|_| no_ram())?;
                at += n as u64;
            }
        }
    }
    Ok(())
}

/// Where a kernel goes: behind the firmware, which ends at `firmware_end`.
pub fn kernel_address(firmware_end: u64) -> Result<u64, PlaceError> {
    behind("the kernel", firmware_end, KERNEL_ALIGN)
}

/// The first multiple of `align` from `addr` on.
fn behind(what: &str, addr: u64, align: u64) -> Result<u64, PlaceError> {
    let no_ram = || PlaceError::NoRam { what: what.into(), addr, size: align };
    addr.checked_next_multiple_of(align).ok_or_else(no_ram)
}

/// Where an initial file system goes: behind the kernel, and far enough for what that adds to itself.
pub fn initrd_address((ram_base, ram_size): (u64, u64), kernel: &Image) -> Result<u64, PlaceError> {
    let distance = INITRD_DISTANCE.min(ram_size / 2);
    let first = kernel.start().max(ram_base).saturating_add(distance).max(kernel.end());
    behind("the initial file system", first, INITRD_ALIGN)
}

/// Where a device tree of `size` bytes goes: near the end of RAM, but below 3 GiB, and behind `after`.
pub fn fdt_address((ram_base, ram_size): (u64, u64), after: u64, size: u64) -> Result<u64, PlaceError> {
    let room = size.max(FDT_ROOM);
    let end = (ram_base + ram_size).min(FDT_LIMIT.max(ram_base + room));
    let addr = end.saturating_sub(room) & !(KERNEL_ALIGN - 1);
    if addr < after.max(ram_base) {
        return Err(PlaceError::NoRam { what: "the device tree".into(), addr: after, size: room });
    }
    Ok(addr)
}
