//! What a file is, by its first bytes.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use firmware::image::{self, Machine};
use machines::{arm_virt, riscv_virt};

use crate::personality::Arch;

/// What can be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A disk image.
    Disk(&'static str),
    /// A kernel, which wants firmware under it; of this architecture, if that is to be seen.
    Kernel(Option<Arch>),
    /// A riscv64 program that has the machine to itself.
    Firmware,
}

/// Looks at `path`.
pub fn of(path: &Path) -> io::Result<FileKind> {
    let mut start = Vec::new();
    File::open(path)?.take(64).read_to_end(&mut start)?;
    Ok(match start.get(..4) {
        Some(b"QFI\xfb") => FileKind::Disk("qcow2"),
        Some([0x1f, 0x8b, ..]) => FileKind::Kernel(None),
        Some(b"\x7fELF") if starts_ram(path) => FileKind::Firmware,
        Some(b"\x7fELF") => {
            let arm = image::load(path, Machine::Aarch64, arm_virt::map::RAM_BASE).is_ok();
            FileKind::Kernel(Some(if arm { Arch::Aarch64 } else { Arch::Riscv64 }))
        }
        _ => match image::linux_machine(&start) {
            Some(Machine::Aarch64) => FileKind::Kernel(Some(Arch::Aarch64)),
            Some(Machine::Riscv64) => FileKind::Kernel(Some(Arch::Riscv64)),
            None => FileKind::Disk("raw"),
        },
    })
}

/// Whether an ELF file is linked to the start of RAM, where the first instruction of a machine without firmware is.
fn starts_ram(path: &Path) -> bool {
    let base = riscv_virt::map::RAM_BASE;
    image::load(path, Machine::Riscv64, base).is_ok_and(|image| image.start() == base)
}
