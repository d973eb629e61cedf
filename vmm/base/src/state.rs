//! Saved device state: a version and a value, the same for every device.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// What [`crate::Device::save`] gives: the layout version of one device's state, and the state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Raised by one whenever the meaning of `value` changes.
    pub version: u32,
    /// The device's serialised registers and buffers.
    pub value: serde_json::Value,
}

/// Why a state could not be loaded.
#[derive(Debug, Error)]
pub enum StateError {
    /// The state was saved by a version of the device that this one cannot read.
    #[error("state version {found} cannot be loaded, this device writes version {expected}")]
    Version {
        /// The version in the state.
        found: u32,
        /// The version this device knows.
        expected: u32,
    },
    /// The state is damaged.
    #[error("state does not fit the device: {0}")]
    Format(#[from] serde_json::Error),
    /// The state is of a device that consists of other parts.
    #[error("{0}")]
    Parts(String),
    /// The values are well formed but impossible for this device.
    #[error("state holds an impossible value: {0}")]
    Value(&'static str),
}

impl State {
    /// Saves `value` as layout `version`.
    pub fn of<T: Serialize>(version: u32, value: &T) -> Self {
        let value = serde_json::to_value(value).expect("device state is plain data with string keys");
        Self { version, value }
    }

    /// Reads a state of layout `version` back.
    pub fn get<T: DeserializeOwned>(&self, version: u32) -> Result<T, StateError> {
        if self.version != version {
            return Err(StateError::Version { found: self.version, expected: version });
        }
        Ok(T::deserialize(&self.value)?)
    }
}
