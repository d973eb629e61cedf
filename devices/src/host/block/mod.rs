//! Disk images: raw and qcow2 files behind one block interface.
//!
//! [`BlockBackend`] is what a disk device reads and writes. [`Image`] is a file behind it, in a format that `imago`
//! knows, opened as [`ImageOptions`] says and locked against other users as QEMU does.

mod create;
mod image;
mod lock;
mod qcow2_check;
mod snapshots;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod throwaway;

pub use create::{CreateOptions, create_qcow2, create_raw};
pub use image::{Image, ImageFormat, ImageOptions};
pub use snapshots::{SnapshotInfo, Snapshots, StateReader, StateWriter};
pub use throwaway::{KeptDisk, Throwaway};

use std::io;
use std::path::PathBuf;
use thiserror::Error;

/// Where a disk's bytes are. Offsets and lengths are in bytes and need no alignment; what exceeds the capacity is
/// an error. Calls wait for the host, so they do not belong on a vCPU's thread; any thread may make them, several at
/// a time.
pub trait BlockBackend: Send + Sync {
    /// Size in bytes.
    fn capacity(&self) -> u64;
    /// Whether writes are refused.
    fn read_only(&self) -> bool;
    /// Fills `buffer` from `offset`.
    fn read(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;
    /// Stores `bytes` at `offset`; durable after the next [`BlockBackend::flush`].
    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Makes all writes that have returned durable.
    fn flush(&self) -> io::Result<()>;
    /// Gives the range back to the host where possible; what it reads as afterwards is undefined.
    fn discard(&self, offset: u64, len: u64) -> io::Result<()>;
    /// Makes the range read as zeroes; with `unmap` its space may be given back to the host.
    fn write_zeroes(&self, offset: u64, len: u64, unmap: bool) -> io::Result<()>;
}

/// How the host caches a disk: the three switches behind the names of `cache=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheMode {
    /// The disk has a write cache that the guest flushes ([`crate::virtio::BlkOptions::write_cache`]).
    pub write_cache: bool,
    /// The host's page cache is not used ([`ImageOptions::direct`]).
    pub direct: bool,
    /// Flushes are ignored ([`ImageOptions::no_flush`]).
    pub no_flush: bool,
}

impl CacheMode {
    /// Every name, with what it means.
    pub const ALL: [(&'static str, Self); 5] = [
        ("writeback", Self { write_cache: true, direct: false, no_flush: false }),
        ("none", Self { write_cache: true, direct: true, no_flush: false }),
        ("writethrough", Self { write_cache: false, direct: false, no_flush: false }),
        ("directsync", Self { write_cache: false, direct: true, no_flush: false }),
        ("unsafe", Self { write_cache: true, direct: false, no_flush: true }),
    ];

    /// The mode called `name`.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|mode| mode.0 == name).map(|mode| mode.1)
    }
}

/// Why a disk image cannot be used.
#[derive(Debug, Error)]
pub enum BlockError {
    /// The host refused the file.
    #[error("cannot open disk image {}: {source}", path.display())]
    Open {
        /// The image.
        path: PathBuf,
        /// The host's reason.
        source: io::Error,
    },
    /// The file is no image of the format it should have.
    #[error("cannot use {} as a {format} image: {source}", path.display())]
    Format {
        /// The image.
        path: PathBuf,
        /// The format's name.
        format: &'static str,
        /// What is wrong.
        source: io::Error,
    },
    /// Another user has the image.
    #[error("disk image {} is in use: {holder} holds its \"{permission}\" lock{}", path.display(), hint(*read_only))]
    Locked {
        /// The image.
        path: PathBuf,
        /// The permission that is not to be had, in QEMU's words.
        permission: &'static str,
        /// Who has it.
        holder: String,
        /// Whether we would only have read the image.
        read_only: bool,
    },
    /// The image could not be made.
    #[error("cannot create disk image {}: {source}", path.display())]
    Create {
        /// The image.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
}

fn hint(read_only: bool) -> &'static str {
    if read_only { " (force-share=on reads it nevertheless)" } else { "" }
}
