//! How a command fails.

use serde::Serialize;

/// The classes of errors that clients tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Class {
    /// Anything else.
    GenericError,
    /// There is no such command, or not now.
    CommandNotFound,
    /// There is no such device.
    DeviceNotFound,
    /// The device is not in use.
    DeviceNotActive,
}

/// A command's failure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Error {
    /// Its class.
    pub class: Class,
    /// A sentence for people.
    pub desc: String,
}

impl Error {
    /// A failure of no particular class.
    pub fn new(desc: impl Into<String>) -> Self {
        Self::of(Class::GenericError, desc)
    }

    /// A failure of a class.
    pub fn of(class: Class, desc: impl Into<String>) -> Self {
        Self { class, desc: desc.into() }
    }
}
