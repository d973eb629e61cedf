//! Guest architectures under the names that Debian gives them.

use crate::{Error, Result};

/// An architecture for which the recipes know a kernel package and a console.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Arch {
    /// 64-bit little-endian RISC-V (Debian 13 and later).
    Riscv64,
}

impl Arch {
    /// Every architecture, in the order in which images are listed.
    pub const ALL: [Arch; 1] = [Arch::Riscv64];

    /// Debian's name of the architecture.
    pub fn debian(self) -> &'static str {
        match self {
            Arch::Riscv64 => "riscv64",
        }
    }

    /// The metapackage that depends on the newest kernel.
    pub fn kernel_metapackage(self) -> &'static str {
        match self {
            Arch::Riscv64 => "linux-image-riscv64",
        }
    }

    /// The kernel's `console=` for the first serial port of the usual board.
    pub fn console(self) -> &'static str {
        match self {
            Arch::Riscv64 => "ttyS0",
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
