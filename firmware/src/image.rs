//! Kernel and firmware images: what a file holds and where it wants to be.
//!
//! Formats: ELF64 (by its program headers), the Linux `Image` of riscv (Documentation/arch/riscv/boot-image-header),
//! either of them gzip-compressed, and anything else as raw bytes. Left out: compressed EFI stubs, 32-bit ELF.

use flate2::read::GzDecoder;
use object::LittleEndian;
use object::elf::{ELFMAG, EM_RISCV, FileHeader64, PT_LOAD};
use object::read::elf::{FileHeader, ProgramHeader};
use std::io::Read;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Largest image that is read, decompressed or not.
const MAX_IMAGE: u64 = 1 << 30;

/// Why an image cannot be used.
#[derive(Debug, Error)]
pub enum ImageError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The host's reason.
        source: std::io::Error,
    },
    /// The file is not what it says it is.
    #[error("{}: {what}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
}

/// Bytes that belong at one guest-physical address.
#[derive(Clone, PartialEq, Eq)]
pub struct Segment {
    /// First address.
    pub addr: u64,
    /// Content.
    pub bytes: Vec<u8>,
    /// Size in memory; what is beyond the content is zero.
    pub size: u64,
}

impl Segment {
    /// One past the last address, if there is such an address.
    pub fn end(&self) -> u64 {
        self.addr.saturating_add(self.size)
    }
}

impl std::fmt::Debug for Segment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:#x}+{:#x} ({} bytes given)", self.addr, self.size, self.bytes.len())
    }
}

/// An image, ready to be copied to memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// What goes where.
    pub segments: Vec<Segment>,
    /// Where it is entered.
    pub entry: u64,
}

impl Image {
    /// Lowest address used.
    pub fn start(&self) -> u64 {
        self.segments.iter().map(|s| s.addr).min().unwrap_or(self.entry)
    }

    /// One past the highest address used.
    pub fn end(&self) -> u64 {
        self.segments.iter().map(Segment::end).max().unwrap_or(self.entry)
    }
}

/// Reads a whole file.
pub fn read_file(path: &Path) -> Result<Vec<u8>, ImageError> {
    let failed = |source| ImageError::Read { path: path.into(), source };
    let file = std::fs::File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(MAX_IMAGE + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MAX_IMAGE {
        return Err(ImageError::Format { path: path.into(), what: "larger than 1 GiB".into() });
    }
    Ok(bytes)
}

/// Loads a kernel or firmware file; formats that do not say where they belong go to `base`.
pub fn load(path: &Path, base: u64) -> Result<Image, ImageError> {
    parse(read_file(path)?, base).map_err(|what| ImageError::Format { path: path.into(), what })
}

/// Takes an image apart; the error says what is wrong with it.
pub fn parse(bytes: Vec<u8>, base: u64) -> Result<Image, String> {
    let bytes = if bytes.starts_with(&[0x1f, 0x8b, 8]) { gunzip(&bytes)? } else { bytes };
    if bytes.starts_with(&ELFMAG) {
        return elf(&bytes);
    }
    let size = match linux_header(&bytes) {
        Some(header) => header.image_size.max(bytes.len() as u64),
        None => bytes.len() as u64,
    };
    if base.checked_add(size).is_none() || size > MAX_IMAGE {
        return Err(format!("the image header asks for {size} bytes of memory"));
    }
    Ok(Image { segments: vec![Segment { addr: base, bytes, size }], entry: base })
}

fn gunzip(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    GzDecoder::new(bytes)
        .take(MAX_IMAGE + 1)
        .read_to_end(&mut out)
        .map_err(|e| format!("damaged gzip data: {e}"))?;
    if out.len() as u64 > MAX_IMAGE {
        return Err("more than 1 GiB when decompressed".into());
    }
    Ok(out)
}

struct LinuxHeader {
    image_size: u64,
}

/// The header of a riscv `Image`, if `bytes` start with one.
fn linux_header(bytes: &[u8]) -> Option<LinuxHeader> {
    let u64_at = |at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
    (bytes.get(0x38..0x3c)? == b"RSC\x05").then_some(LinuxHeader { image_size: u64_at(16)? })
}

fn elf(bytes: &[u8]) -> Result<Image, String> {
    let bad = |what: &str| format!("damaged ELF file: {what}");
    let header = FileHeader64::<LittleEndian>::parse(bytes)
        .map_err(|_| "an ELF file, but not a 64-bit one; this machine runs 64-bit code".to_string())?;
    let endian = header.endian().map_err(|_| "a big-endian ELF file".to_string())?;
    let machine = header.e_machine(endian);
    if machine != EM_RISCV {
        return Err(format!(
            "an ELF file for another architecture (machine {machine}, RISC-V is {EM_RISCV})"
        ));
    }
    let mut segments = Vec::new();
    let mut total = 0u64;
    for program in header.program_headers(endian, bytes).map_err(|e| bad(&e.to_string()))? {
        if program.p_type(endian) != PT_LOAD || program.p_memsz(endian) == 0 {
            continue;
        }
        let size = program.p_memsz(endian);
        total = total.saturating_add(size);
        let content = program.data(endian, bytes).map_err(|()| bad("a segment lies outside the file"))?;
        let addr = program.p_paddr(endian);
        if content.len() as u64 > size || addr.checked_add(size).is_none() || total > MAX_IMAGE {
            return Err(bad("a segment has an impossible size"));
        }
        segments.push(Segment { addr, bytes: content.to_vec(), size });
    }
    if segments.is_empty() {
        return Err(bad("nothing in it is to be loaded"));
    }
    let entry = header.e_entry(endian);
    // Kernels are linked at virtual addresses; the entry is reached at its physical place.
    let entry = header
        .program_headers(endian, bytes)
        .map_err(|e| bad(&e.to_string()))?
        .iter()
        .find(|p| entry.wrapping_sub(p.p_vaddr(endian)) < p.p_memsz(endian))
        .map_or(entry, |p| entry.wrapping_sub(p.p_vaddr(endian)).wrapping_add(p.p_paddr(endian)));
    Ok(Image { segments, entry })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn linux_image(image_size: u64) -> Vec<u8> {
        let mut bytes = vec![0u8; 0x100];
        bytes[16..24].copy_from_slice(&image_size.to_le_bytes());
        bytes[0x38..0x3c].copy_from_slice(b"RSC\x05");
        bytes
    }

    #[test]
    fn linux_images_take_the_size_they_ask_for() {
        let image = parse(linux_image(0x5000), 0x8020_0000).expect("valid");
        assert_eq!((image.entry, image.start(), image.end()), (0x8020_0000, 0x8020_0000, 0x8020_5000));
        assert!(parse(linux_image(u64::MAX), 0x8020_0000).is_err());
    }

    #[test]
    fn gzip_is_seen_through() {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(&linux_image(0x5000)).expect("memory");
        let packed = packed.finish().expect("memory");
        assert_eq!(parse(packed.clone(), 0x1000), parse(linux_image(0x5000), 0x1000));
        assert!(parse(packed[..40].to_vec(), 0x1000).is_err());
    }

    #[test]
    fn damaged_elf_files_are_refused() {
        let mut elf = vec![0u8; 64];
        elf[..4].copy_from_slice(&ELFMAG);
        assert!(parse(elf.clone(), 0).is_err());
        elf[4..7].copy_from_slice(&[2, 1, 1]);
        elf[18] = 62;
        assert!(parse(elf.clone(), 0).unwrap_err().contains("another architecture"));
        elf[18] = 243;
        for seed in 0..2000u64 {
            for (i, byte) in elf.iter_mut().enumerate().skip(20) {
                *byte = (seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (i % 57)) as u8;
            }
            let _ = parse(elf.clone(), 0);
        }
    }
}
