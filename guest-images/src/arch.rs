//! Guest architectures under the names that Debian gives them.

use crate::{Error, Result};

/// An architecture whose packages can be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Arch {
    /// 64-bit Arm.
    Arm64,
    /// 64-bit little-endian RISC-V (Debian 13 and later).
    Riscv64,
}

impl Arch {
    /// Every architecture.
    pub const ALL: [Arch; 2] = [Arch::Arm64, Arch::Riscv64];
    /// Those that images are made for, in the order in which they are listed: a machine boots them.
    pub const BOOTABLE: [Arch; 2] = [Arch::Riscv64, Arch::Arm64];

    /// Debian's name of the architecture.
    pub fn debian(self) -> &'static str {
        match self {
            Arch::Arm64 => "arm64",
            Arch::Riscv64 => "riscv64",
        }
    }

    /// The metapackage that depends on the newest kernel.
    pub fn kernel_metapackage(self) -> &'static str {
        match self {
            Arch::Arm64 => "linux-image-arm64",
            Arch::Riscv64 => "linux-image-riscv64",
        }
    }

    /// The kernel's `console=` for the first serial port of the usual board.
    pub fn console(self) -> &'static str {
        match self {
            Arch::Arm64 => "ttyAMA0",
            Arch::Riscv64 => "ttyS0",
        }
    }

    /// The packages that make a disk start from UEFI, where the usual firmware of the usual board is that.
    pub fn uefi_packages(self) -> &'static [&'static str] {
        match self {
            Arch::Arm64 => &["grub-efi-arm64", "dosfstools"],
            Arch::Riscv64 => &[],
        }
    }
}

impl std::str::FromStr for Arch {
    type Err = Error;

    fn from_str(name: &str) -> Result<Arch> {
        let known = || Arch::ALL.map(Arch::debian).join(", ");
        Arch::ALL
            .into_iter()
            .find(|a| a.debian() == name)
            .ok_or_else(|| Error::UnknownArch { name: name.to_owned(), known: known() })
    }
}

impl std::fmt::Display for Arch {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str(self.debian())
    }
}
