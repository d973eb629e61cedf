//! Guests made from distribution packages.
//!
//! A guest is a kernel, an initramfs and perhaps a disk. Nothing of it is shipped with the emulator: the recipes in
//! [`recipes`] name Debian packages, [`repo`] finds, verifies and caches them, [`deb`] reads them, [`tree`] and [`cpio`]
//! turn the files into an initramfs. A guest that can only be finished by running its own programs (`debian-disk`) is
//! described as a [`recipes::BuildStep`], which the caller boots in the emulator. [`Store`] is the whole of it for a
//! command line. For user mode, [`Store::root`] unpacks packages into a directory.
//!
//! Packages are fetched by this crate itself, as an ordinary user and into the user's cache directory; apt is only read
//! for the name of the mirror. Trust comes from the signed `Release` file: it carries the checksum of the package index,
//! which carries the checksum of every package.
//!
//! Left out: any distribution but Debian, source packages, the security and updates suites (a point release contains
//! them), `Conflicts`, and writing an ext4 file system on the host (the guest does that).

mod arch;
mod compress;
pub mod cpio;
pub mod deb;
mod error;
mod http;
mod initramfs;
mod mirror;
mod modules;
mod progress;
pub mod recipes;
pub mod repo;
mod root;
mod store;
#[cfg(test)]
mod testing;
pub mod tree;

pub use arch::Arch;
pub use error::{Error, Result};
pub use http::Client;
pub use initramfs::{Flavour, InitramfsSpec};
pub use mirror::debian_mirrors;
pub use modules::{KernelFiles, Modules, kernel_files};
pub use progress::{Progress, Silent, TerminalProgress};
pub use recipes::{BuildStep, Disk, DiskFormat, Emulator, Guest};
pub use store::{ImageInfo, PullOptions, Store, arch_of};
