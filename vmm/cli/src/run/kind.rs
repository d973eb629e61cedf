//! What a file is, by its first bytes.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use firmware::image;
use machines::riscv_virt::map::RAM_BASE;

/// What can be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A disk image.
    Disk(&'static str),
    /// A kernel, which wants an SBI under it.
    Kernel,
    /// A program that has the machine to itself.
    Firmware,
}

/// Looks at `path`.
pub fn of(path: &Path) -> io::Result<FileKind> {
    let mut start = Vec::new();
    File::open(path)?.take(64).read_to_end(&mut start)?;
    Ok(match start.get(..4) {
        Some(b"QFI\xfb") => FileKind::Disk("qcow2"),
        Some([0x1f, 0x8b, ..]) => FileKind::Kernel,
        Some(b"\x7fELF") if starts_ram(path) => FileKind::Firmware,
        Some(b"\x7fELF") => FileKind::Kernel,
        _ if start.get(0x38..0x3c) == Some(b"RSC\x05") => FileKind::Kernel,
        _ => FileKind::Disk("raw"),
    })
}

/// Whether an ELF file is linked to the start of RAM, where the first instruction of a machine without firmware is.
fn starts_ram(path: &Path) -> bool {
    image::load(path, RAM_BASE).is_ok_and(|image| image.start() == RAM_BASE)
}
