//! Where functions are, and where they want to be.

use serde::{Deserialize, Serialize};
use std::fmt;
use thiserror::Error;

/// Slots of a bus, and functions of a slot.
pub(super) const SLOTS: u8 = 32;
const FUNCTIONS: u8 = 8;

/// Where a function is: on bus 0, or on the bus behind a port of bus 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PciPlace {
    /// The port that it is behind: its slot and function, as in `devfn`.
    pub port: Option<u8>,
    /// Its slot, times eight, and function.
    pub devfn: u8,
}

impl PciPlace {
    /// Its slot and function.
    pub fn address(self) -> (u8, u8) {
        (self.devfn >> 3, self.devfn & 7)
    }
}

impl fmt::Display for PciPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(port) = self.port {
            write!(f, "{:02x}.{}/", port >> 3, port & 7)?;
        }
        let (slot, function) = self.address();
        write!(f, "{slot:02x}.{function}")
    }
}

/// Where a function wants to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PciSocket {
    /// The port behind which, as in [`PciPlace`]; `None` is bus 0.
    pub port: Option<u8>,
    /// Its slot and function; `None` takes the first slot that is free.
    pub address: Option<(u8, u8)>,
    /// As function 0: others are in the same slot.
    pub multifunction: bool,
}

/// Why a function can not be where it wants to be.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum PciError {
    /// There is no such slot or function.
    #[error(
        "PCI slot {slot:#x} function {function} does not exist: addr is between 0x1 and 0x1f, with a function up to 7"
    )]
    NoSuchSlot {
        /// The slot asked for.
        slot: u8,
        /// The function.
        function: u8,
    },
    /// Behind a port there is one slot.
    #[error("PCI slot {slot:#x} does not exist behind a PCI Express port, which has slot 0 only")]
    OneSlot {
        /// The slot asked for.
        slot: u8,
    },
    /// There is no such port.
    #[error("there is no such PCI Express port")]
    NoSuchPort,
    /// Something is there already.
    #[error("PCI slot {slot:#x} function {function} is taken by {name}")]
    Taken {
        /// The slot asked for.
        slot: u8,
        /// The function.
        function: u8,
        /// What is there.
        name: &'static str,
    },
    /// Function 0 says that it is alone.
    #[error("PCI slot {slot:#x} has one function only: say multifunction=on for its function 0")]
    SingleFunction {
        /// The slot asked for.
        slot: u8,
    },
    /// Every slot is taken.
    #[error("all {} PCI slots are taken", SLOTS)]
    Full,
    /// Nothing can be plugged in while the machine runs.
    #[error("Hot-plug is not there: {0}")]
    NoHotplug(&'static str),
    /// The guest is about to do something with the slot.
    #[error("Hot-unplug failed: guest is busy (power indicator blinking)")]
    Busy,
    /// It was asked to go before.
    #[error("it is already in the process of unplug")]
    Leaving,
}

impl PciSocket {
    /// The place that it comes to; `at` tells what is at one: its name, and whether it says that others are in its slot.
    pub(super) fn find(
        self,
        at: impl Fn(PciPlace) -> Option<(&'static str, bool)>,
    ) -> Result<PciPlace, PciError> {
        let place = |slot: u8, function: u8| PciPlace { port: self.port, devfn: slot << 3 | function };
        let free = |slot: u8| (0..FUNCTIONS).all(|function| at(place(slot, function)).is_none());
        let (slot, function) = match (self.address, self.port) {
            (Some((slot, function)), _) if slot >= SLOTS || function >= FUNCTIONS => {
                return Err(PciError::NoSuchSlot { slot, function });
            }
            (Some((slot, _)), Some(_)) if slot != 0 => return Err(PciError::OneSlot { slot }),
            (Some(address), _) => address,
            (None, Some(_)) => (0, 0),
            (None, None) => ((1..SLOTS).find(|slot| free(*slot)).ok_or(PciError::Full)?, 0),
        };
        if let Some((name, _)) = at(place(slot, function)) {
            return Err(PciError::Taken { slot, function, name });
        }
        let alone = match function {
            0 => !self.multifunction && !free(slot),
            _ => at(place(slot, 0)).is_some_and(|(_, multifunction)| !multifunction),
        };
        if alone {
            return Err(PciError::SingleFunction { slot });
        }
        Ok(place(slot, function))
    }
}
