//! Programs that the guest is started with, as their ELF files describe them.

use object::{Object, ObjectSegment, ReadCache};
use std::fs::File;
use std::path::Path;
use tcg_core::observe::Image;

/// The program in the ELF file at `path`, at the addresses that the file says; `None` if it is no such file.
pub fn of_elf(path: &Path) -> Option<Image> {
    // Most kernels are no ELF files, and large: nothing is read but headers.
    let contents = ReadCache::new(File::open(path).ok()?);
    let file = object::File::parse(&contents).ok()?;
    let base = file.segments().map(|segment| segment.address()).min()?;
    let end = file.segments().filter_map(|s| s.address().checked_add(s.size())).max()?;
    let path = path.canonicalize().unwrap_or_else(|_| path.into()).to_string_lossy().into_owned();
    Some(Image { path, base, end, entry: file.entry(), bias: 0 })
}
