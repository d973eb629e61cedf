//! What a device is to the rest of the machine.

use crate::{State, StateError};
use parking_lot::Mutex;
use std::sync::Arc;

/// The width of one bus access.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Width {
    /// 8 bits.
    B1 = 1,
    /// 16 bits.
    B2 = 2,
    /// 32 bits.
    B4 = 4,
    /// 64 bits.
    B8 = 8,
}

impl Width {
    /// The width of `bytes` bytes; `None` unless it is 1, 2, 4 or 8.
    pub fn from_bytes(bytes: usize) -> Option<Self> {
        Some(match bytes {
            1 => Self::B1,
            2 => Self::B2,
            4 => Self::B4,
            8 => Self::B8,
            _ => return None,
        })
    }

    /// The number of bytes.
    pub fn bytes(self) -> u64 {
        self as u64
    }

    /// All bits that an access of this width carries.
    pub fn mask(self) -> u64 {
        u64::MAX >> (64 - 8 * self.bytes())
    }
}

/// The access widths that a chip takes. The bus splits what is wider and widens what is narrower, so that a chip
/// model sees only accesses it declared, always aligned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Widths {
    /// The narrowest access the chip takes.
    pub min: Width,
    /// The widest access the chip takes.
    pub max: Width,
}

impl Widths {
    /// Only byte registers.
    pub const BYTE: Self = Self { min: Width::B1, max: Width::B1 };
    /// Only 32-bit registers.
    pub const WORD: Self = Self { min: Width::B4, max: Width::B4 };
    /// Up to 32 bits.
    pub const UP_TO_WORD: Self = Self { min: Width::B1, max: Width::B4 };
    /// Any width.
    pub const ANY: Self = Self { min: Width::B1, max: Width::B8 };
}

/// Anything with state that lives as long as the machine.
pub trait Device: Send {
    /// The kind of device, as `info qtree` names it.
    fn name(&self) -> &'static str;
    /// Puts the device into its power-on state. Resetting twice is the same as resetting once.
    fn reset(&mut self);
    /// The whole guest-visible state.
    fn save(&self) -> State;
    /// Why the device can not be saved now, and what to do about it; `None` if it can.
    fn unsavable(&self) -> Option<String> {
        None
    }
    /// Whether a state is of a device with the same parts, as far as that can differ from one run to another.
    fn fits(&self, _state: &State) -> Result<(), StateError> {
        Ok(())
    }
    /// Takes over a state that [`Device::save`] made; on error the device is as it was.
    fn load(&mut self, state: &State) -> Result<(), StateError>;
}

/// A device that answers memory-mapped accesses.
pub trait Mmio: Device {
    /// The widths this device takes.
    fn widths(&self) -> Widths {
        Widths::ANY
    }
    /// Reads `width` bytes at `offset` from the start of the device, in the low bits.
    fn read(&mut self, offset: u64, width: Width) -> u64;
    /// Writes the low `width` bytes of `value` at `offset`.
    fn write(&mut self, offset: u64, width: Width, value: u64);
}

/// A device that several threads reach: vCPUs through the bus, back ends through their own handle.
pub type Shared<T> = Arc<Mutex<T>>;

/// Wraps a device for sharing.
pub fn shared<T>(device: T) -> Shared<T> {
    Arc::new(Mutex::new(device))
}
