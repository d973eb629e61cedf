//! Why a machine can not be built or go on: one sentence that names the option or file at fault.

use std::io;
use std::path::PathBuf;

use devices::host::block::BlockError;
use devices::host::chardev::CharError;
use devices::host::net::NetError;
use firmware::image::ImageError;
use firmware::place::PlaceError;
use machines::{BoardError, FdtError};

use crate::options::UsageError;

/// Exit status after a usage error.
pub const USAGE: u8 = 1;
/// Exit status when the host does not play along.
pub const HOST: u8 = 2;

/// A fault of the command line or of the host; the guest's never come here.
#[derive(Debug, thiserror::Error)]
pub enum SystemError {
    /// The command line.
    #[error(transparent)]
    Usage(#[from] UsageError),
    /// What the command line asks for makes sense, but can not be had.
    #[error("{origin}: {what}")]
    Refused {
        /// The option at fault.
        origin: String,
        /// What is wrong with it.
        what: String,
    },
    /// There is nothing to run.
    #[error("there is nothing to run: {0}")]
    Nothing(&'static str),
    /// Guest memory.
    #[error(transparent)]
    Memory(#[from] base::MemoryError),
    /// The board.
    #[error(transparent)]
    Board(#[from] BoardError),
    /// A character device.
    #[error(transparent)]
    Char(#[from] CharError),
    /// A disk.
    #[error("{origin}: {source}")]
    Block {
        /// The option that names it.
        origin: String,
        /// What is wrong with it.
        source: BlockError,
    },
    /// A network back end.
    #[error("{origin}: {source}")]
    Net {
        /// The option that describes it.
        origin: String,
        /// What is wrong with it.
        source: NetError,
    },
    /// An image file.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// A place in memory.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// The device tree.
    #[error(transparent)]
    Fdt(#[from] FdtError),
    /// A file of ours.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The host's reason.
        source: io::Error,
    },
    /// Threads, memory for code, clocks.
    #[error("{what}: {source}")]
    Host {
        /// What was to be done.
        what: &'static str,
        /// The host's reason.
        source: io::Error,
    },
}

impl SystemError {
    /// A request that can not be met.
    pub fn refused(origin: &str, what: impl Into<String>) -> Self {
        Self::Refused { origin: origin.into(), what: what.into() }
    }

    /// The host refuses `what`.
    pub fn host(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Host { what, source }
    }

    /// The status the program ends with.
    pub fn status(&self) -> u8 {
        match self {
            Self::Usage(_) | Self::Refused { .. } | Self::Nothing(_) => USAGE,
            _ => HOST,
        }
    }
}
