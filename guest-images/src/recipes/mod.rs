//! The recipes: which packages make which guest, and how it is booted.

mod debian;
pub mod disk;
pub(crate) mod dpkg;
mod installer;
mod qcow2;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{At, Error, Result};
use crate::modules::{self, KernelFiles};
use crate::repo::{Package, Repository};
use crate::{Arch, Progress};

/// A guest that is ready to boot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guest {
    /// The kernel for `-kernel`.
    pub kernel: PathBuf,
    /// The initramfs for `-initrd`.
    pub initrd: PathBuf,
    /// The kernel command line.
    pub append: String,
    /// Disks that belong to the guest, in their order.
    pub disks: Vec<Disk>,
    /// Memory with which the guest is comfortable, in MiB.
    pub memory_mib: u64,
    /// Size in MiB of a blank disk that the guest would use as scratch space; 0 where it has no use for one.
    pub scratch_mib: u64,
    /// The packages that the guest was made from, with their versions.
    pub made_from: BTreeMap<String, String>,
}

/// A disk image file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// The file.
    pub path: PathBuf,
    /// How the file is to be read.
    pub format: DiskFormat,
    /// Whether the guest must not write to it.
    pub read_only: bool,
}

/// Formats of disk image files that recipes make.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DiskFormat {
    /// The plain bytes of the disk.
    Raw,
    /// QEMU's copy-on-write format, version 3.
    Qcow2,
}

/// A boot that is part of making an image: the guest powers off when it is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildStep {
    /// What it does, for the user.
    pub what: String,
    /// Architecture of the guest.
    pub arch: Arch,
    /// The kernel.
    pub kernel: PathBuf,
    /// The initramfs.
    pub initrd: PathBuf,
    /// The kernel command line.
    pub append: String,
    /// virtio block devices; the guest tells them apart by what is on them.
    pub disks: Vec<Disk>,
    /// Memory that the step needs, in MiB.
    pub memory_mib: u64,
}

/// Boots build steps; the command line implements it with the emulator.
pub trait Emulator {
    /// Boots the step and returns when the guest has powered off, or says why it could not. Whether the guest's work
    /// came out right is not the emulator's to judge.
    fn boot(&mut self, step: &BuildStep) -> std::result::Result<(), String>;
}

/// The name, description and maker of each image.
pub(crate) struct Recipe {
    pub name: &'static str,
    pub description: &'static str,
    pub make: fn(&mut Kitchen) -> Result<Guest>,
}

/// Every recipe.
pub(crate) const RECIPES: [Recipe; 4] = [
    Recipe {
        name: "debian",
        description: "Debian's kernel with busybox: a root shell with network and a scratch disk",
        make: debian::make,
    },
    Recipe {
        name: "debian-installer",
        description: "Debian's network installer in text mode",
        make: installer::make,
    },
    Recipe {
        name: "debian-disk",
        description: "Debian with systemd and apt, installed on a disk",
        make: disk::make,
    },
    Recipe {
        name: "debian-bench",
        description: "Debian's kernel with an init that prints one line and powers off, to time boots",
        make: debian::make_bench,
    },
];

/// What a recipe works with.
pub(crate) struct Kitchen<'a> {
    pub arch: Arch,
    pub repo: &'a Repository,
    pub suite: &'a str,
    /// Packages beyond the recipe's own.
    pub extra: &'a [String],
    pub progress: &'a dyn Progress,
    pub emulator: &'a mut dyn Emulator,
    /// An empty directory, which becomes the image.
    pub directory: &'a Path,
}

impl Kitchen<'_> {
    /// Writes a file into the image.
    fn save(&self, name: &str, bytes: &[u8]) -> Result<PathBuf> {
        let path = self.directory.join(name);
        std::fs::write(&path, bytes).at(&path)?;
        Ok(path)
    }

    /// Names and versions for [`Guest::made_from`].
    fn versions(&self, names: &[&str]) -> Result<BTreeMap<String, String>> {
        let versions = names.iter().map(|name| {
            let package = self.repo.index().find(name)?;
            Ok((package.name.clone(), package.version.clone()))
        });
        versions.collect()
    }

    /// Fetches and opens the kernel package.
    fn kernel(&self) -> Result<KernelFiles> {
        kernel(self.repo, self.arch, self.progress)
    }

    fn kernel_package(&self) -> Result<&Package> {
        kernel_package(self.repo, self.arch)
    }
}

/// The one package that the kernel metapackage depends upon.
fn kernel_package(repo: &Repository, arch: Arch) -> Result<&Package> {
    let meta = repo.index().find(arch.kernel_metapackage())?;
    let real = meta.depends.iter().flatten().find(|relation| relation.name.starts_with("linux-image-"));
    let relation = real.ok_or_else(|| Error::format(&meta.name, "depends upon no kernel"))?;
    repo.index().find(&relation.name)
}

/// Fetches and opens the newest kernel package.
pub(crate) fn kernel(repo: &Repository, arch: Arch, progress: &dyn Progress) -> Result<KernelFiles> {
    let files = repo.fetch(&[kernel_package(repo, arch)?], progress)?;
    // One package was asked for, so one file came back.
    modules::kernel_files(&files[0])
}
