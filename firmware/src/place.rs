//! Where kernel, initial file system and device tree go in RAM.

use crate::image::{Image, ImageError};
use base::GuestRam;
use std::path::Path;
use thiserror::Error;
use vm_memory::{Bytes, GuestAddress};

/// Kernels of 64-bit RISC-V want this alignment.
pub const KERNEL_ALIGN: u64 = 2 << 20;
/// How far behind the start of the kernel the initial file system stands, if RAM is large enough.
const INITRD_DISTANCE: u64 = 128 << 20;
/// The device tree stays below this address, for kernels that map only so much at first.
const FDT_LIMIT: u64 = 3 << 30;
/// Room for a device tree and what firmware adds to it.
pub const FDT_ROOM: u64 = 2 << 20;

/// Why something cannot be placed.
#[derive(Debug, Error)]
pub enum PlaceError {
    /// The image itself.
    #[error(transparent)]
    Image(#[from] ImageError),
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
        let fail = |_| PlaceError::NoRam { what: what.into(), addr: segment.addr, size: segment.size };
        ram.write_slice(&segment.bytes, GuestAddress(segment.addr)).map_err(fail)?;
        let rest = segment.size - segment.bytes.len() as u64;
        if rest > 0 {
            // RAM starts zeroed; checking the end is enough.
            ram.write_slice(&[0], GuestAddress(segment.addr + segment.size - 1)).map_err(fail)?;
        }
    }
    Ok(())
}

/// Copies an initial file system to RAM behind a kernel that occupies `kernel`; gives its start and end.
pub fn load_initrd(
    ram: &GuestRam,
    (ram_base, ram_size): (u64, u64),
    kernel: &Image,
    path: &Path,
) -> Result<(u64, u64), PlaceError> {
    let bytes = crate::image::read_file(path)?;
    let distance = INITRD_DISTANCE.min(ram_size / 2);
    let behind = kernel.start().max(ram_base) + distance;
    let addr = behind.max(kernel.end()).next_multiple_of(4096);
    let size = bytes.len() as u64;
    let fail = |_| PlaceError::NoRam { what: format!("initrd {}", path.display()), addr, size };
    ram.write_slice(&bytes, GuestAddress(addr)).map_err(fail)?;
    Ok((addr, addr + size))
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
