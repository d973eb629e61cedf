//! Guest memory as debuggers and monitors read and write it.

use crate::cpus::Cpu;
use base::{AddressSpace, PAGE_SIZE, Width};
use vm_memory::{Bytes, GuestAddress};

/// Which addresses are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Space {
    /// Those of the guest's programs.
    Virtual,
    /// Those of the machine.
    Physical,
}

/// Pieces of `addr .. addr + len` that lie within one page each, with their guest-physical addresses; `None` if one has
/// none.
fn pieces(cpu: &dyn Cpu, space: Space, addr: u64, len: usize) -> Option<Vec<(u64, std::ops::Range<usize>)>> {
    let mut pieces = Vec::new();
    let mut at = 0;
    while at < len {
        let here = addr.wrapping_add(at as u64);
        let left = (PAGE_SIZE - here % PAGE_SIZE) as usize;
        let end = len.min(at + left);
        let phys = match space {
            Space::Virtual => cpu.translate(here)?,
            Space::Physical => here,
        };
        pieces.push((phys, at..end));
        at = end;
    }
    Some(pieces)
}

/// The widest access at `addr` that is aligned and not longer than `left` bytes.
fn width(addr: u64, left: usize) -> Width {
    let fits = |w: &Width| addr.is_multiple_of(w.bytes()) && w.bytes() as usize <= left;
    [Width::B8, Width::B4, Width::B2].into_iter().find(fits).unwrap_or(Width::B1)
}

fn read_piece(space: &AddressSpace, mut addr: u64, mut to: &mut [u8]) -> bool {
    if space.ram().read_slice(to, GuestAddress(addr)).is_ok() {
        return true;
    }
    while !to.is_empty() {
        let width = width(addr, to.len());
        let Some(value) = space.read(addr, width) else { return false };
        let (now, rest) = to.split_at_mut(width.bytes() as usize);
        now.copy_from_slice(&value.to_le_bytes()[..now.len()]);
        (addr, to) = (addr + width.bytes(), rest);
    }
    true
}

fn write_piece(space: &AddressSpace, mut addr: u64, mut from: &[u8]) -> bool {
    if space.ram().write_slice(from, GuestAddress(addr)).is_ok() {
        return true;
    }
    while !from.is_empty() {
        let width = width(addr, from.len());
        let (now, rest) = from.split_at(width.bytes() as usize);
        let mut value = [0; 8];
        value[..now.len()].copy_from_slice(now);
        if !space.write(addr, width, u64::from_le_bytes(value)) {
            return false;
        }
        (addr, from) = (addr + width.bytes(), rest);
    }
    true
}

/// Reads `len` bytes at `addr`; `None` where there is nothing. Reading a device may change it.
pub fn read(cpu: &dyn Cpu, space: Space, addr: u64, len: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; len];
    let pieces = pieces(cpu, space, addr, len)?;
    pieces.into_iter().all(|(phys, range)| read_piece(cpu.space(), phys, &mut bytes[range])).then_some(bytes)
}

/// Writes `bytes` at `addr`; false where there is nothing, and then those before it are written.
pub fn write(cpu: &dyn Cpu, space: Space, addr: u64, bytes: &[u8]) -> bool {
    let Some(pieces) = pieces(cpu, space, addr, bytes.len()) else { return false };
    pieces.into_iter().all(|(phys, range)| write_piece(cpu.space(), phys, &bytes[range]))
}
