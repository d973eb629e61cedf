//! Kernel and firmware images: what a file holds and where it wants to be.
//!
//! Formats: ELF64 (by its program headers), the Linux `Image` of riscv (Documentation/arch/riscv/boot-image-header) and of
//! arm64 (Documentation/arch/arm64/booting), any of them gzip-compressed, and anything else as raw bytes. Left out: compressed EFI stubs, 32-bit ELF.

use crate::content::Content;
use flate2::read::GzDecoder;
use object::LittleEndian;
use object::elf::{ELFMAG, EM_AARCH64, EM_RISCV, FileHeader64, PT_LOAD};
use object::read::elf::{FileHeader, ProgramHeader};
use std::io::Read;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Largest image that is read, decompressed or not.
const MAX_IMAGE: u64 = 1 << 30;

/// Bytes that tell formats apart: the header of a Linux `Image`.
const HEAD: usize = 64;

/// Where arm64 kernels stand that do not say it.
const ARM_TEXT_OFFSET: u64 = 0x8_0000;

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
#[derive(Clone)]
pub struct Segment {
    /// First address.
    pub addr: u64,
    /// What stands there.
    pub content: Content,
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
        write!(f, "{:#x}+{:#x} ({} bytes given)", self.addr, self.size, self.content.len())
    }
}

/// An image, ready to be copied to memory.
#[derive(Clone, Debug)]
pub struct Image {
    /// What goes where.
    pub segments: Vec<Segment>,
    /// Where it is entered.
    pub entry: u64,
    /// It is an ELF file, which says by itself where it goes.
    pub is_elf: bool,
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

    /// Moves all of it, so that the lowest address is `start`.
    pub fn move_to(&mut self, start: u64) {
        let distance = start.wrapping_sub(self.start());
        self.segments.iter_mut().for_each(|s| s.addr = s.addr.wrapping_add(distance));
        self.entry = self.entry.wrapping_add(distance);
    }
}

/// What is in the file at `path`.
pub fn open_file(path: &Path) -> Result<Content, ImageError> {
    let content =
        Content::open(path, MAX_IMAGE).map_err(|source| ImageError::Read { path: path.into(), source })?;
    if content.len() > MAX_IMAGE {
        return Err(ImageError::Format { path: path.into(), what: "larger than 1 GiB".into() });
    }
    Ok(content)
}

/// Reads a whole file.
pub fn read_file(path: &Path) -> Result<Vec<u8>, ImageError> {
    open_file(path)?.into_bytes().map_err(|source| ImageError::Read { path: path.into(), source })
}

/// What images have to be for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machine {
    /// 64-bit Arm.
    Aarch64,
    /// 64-bit RISC-V.
    Riscv64,
}

impl Machine {
    /// Its number in ELF files.
    fn elf(self) -> object::elf::Machine {
        match self {
            Self::Aarch64 => EM_AARCH64,
            Self::Riscv64 => EM_RISCV,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Aarch64 => "64-bit Arm",
            Self::Riscv64 => "RISC-V",
        }
    }

    /// The magic number of its Linux `Image`, which stands at the same place in all.
    fn magic(self) -> &'static [u8; 4] {
        match self {
            Self::Aarch64 => b"ARM\x64",
            Self::Riscv64 => b"RSC\x05",
        }
    }
}

/// The machine whose Linux `Image` begins with `bytes`.
pub fn linux_machine(bytes: &[u8]) -> Option<Machine> {
    let magic = bytes.get(0x38..0x3c)?;
    [Machine::Aarch64, Machine::Riscv64].into_iter().find(|machine| machine.magic() == magic)
}

/// Loads a kernel or firmware file; formats that do not say where they belong go to `base`.
pub fn load(path: &Path, machine: Machine, base: u64) -> Result<Image, ImageError> {
    parse(open_file(path)?, machine, base).map_err(|what| ImageError::Format { path: path.into(), what })
}

/// Takes an image apart; the error says what is wrong with it. The Linux `Image` of arm64 stands as far behind `base` as it
/// asks.
pub fn parse(mut content: Content, machine: Machine, base: u64) -> Result<Image, String> {
    let unread = |error: std::io::Error| format!("cannot be read: {error}");
    let mut head = content.head(HEAD).map_err(unread)?;
    if head.starts_with(&[0x1f, 0x8b, 8]) {
        content = Content::Bytes(gunzip(&content.into_bytes().map_err(unread)?)?);
        head = content.head(HEAD).map_err(unread)?;
    }
    if head.starts_with(&ELFMAG) {
        return elf(&content.into_bytes().map_err(unread)?, machine);
    }
    let header = match linux_machine(&head) {
        Some(other) if other != machine => {
            let (is, wanted) = (other.name(), machine.name());
            return Err(format!("a {is} kernel, and this machine runs {wanted} code"));
        }
        Some(_) => linux_header(&head),
        None => None,
    };
    let size = header.map_or(0, |header| header.image_size).max(content.len());
    let offset = match (machine, header) {
        (Machine::Riscv64, _) => 0,
        (Machine::Aarch64, Some(header)) if header.image_size != 0 => header.text_offset,
        (Machine::Aarch64, _) => ARM_TEXT_OFFSET,
    };
    let base = base.checked_add(offset).ok_or("the image header asks for an impossible place")?;
    if base.checked_add(size).is_none() || size > MAX_IMAGE {
        return Err(format!("the image header asks for {size} bytes of memory"));
    }
    Ok(Image { segments: vec![Segment { addr: base, content, size }], entry: base, is_elf: false })
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

#[derive(Clone, Copy)]
struct LinuxHeader {
    text_offset: u64,
    image_size: u64,
}

/// The header of a Linux `Image`, which is the same for all machines.
fn linux_header(bytes: &[u8]) -> Option<LinuxHeader> {
    let u64_at = |at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
    Some(LinuxHeader { text_offset: u64_at(8)?, image_size: u64_at(16)? })
}

fn elf(bytes: &[u8], wanted: Machine) -> Result<Image, String> {
    let bad = |what: &str| format!("damaged ELF file: {what}");
    let header = FileHeader64::<LittleEndian>::parse(bytes)
        .map_err(|_| "an ELF file, but not a 64-bit one; this machine runs 64-bit code".to_string())?;
    let endian = header.endian().map_err(|_| "a big-endian ELF file".to_string())?;
    let machine = header.e_machine(endian);
    if machine != wanted.elf() {
        let (name, number) = (wanted.name(), wanted.elf());
        return Err(format!("an ELF file for another architecture (machine {machine}, {name} is {number})"));
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
        segments.push(Segment { addr, content: Content::Bytes(content.to_vec()), size });
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
    Ok(Image { segments, entry, is_elf: true })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    const RISCV: Machine = Machine::Riscv64;

    fn read(bytes: Vec<u8>, machine: Machine, base: u64) -> Result<Image, String> {
        parse(Content::Bytes(bytes), machine, base)
    }

    fn linux_image(image_size: u64) -> Vec<u8> {
        let mut bytes = vec![0u8; 0x100];
        bytes[16..24].copy_from_slice(&image_size.to_le_bytes());
        bytes[0x38..0x3c].copy_from_slice(b"RSC\x05");
        bytes
    }

    #[test]
    fn linux_images_take_the_size_they_ask_for() {
        let image = read(linux_image(0x5000), RISCV, 0x8020_0000).expect("valid");
        assert_eq!((image.entry, image.start(), image.end()), (0x8020_0000, 0x8020_0000, 0x8020_5000));
        assert!(read(linux_image(u64::MAX), RISCV, 0x8020_0000).is_err());
    }

    #[test]
    fn arm_kernels_stand_where_they_ask_and_others_are_told_apart() {
        let mut bytes = linux_image(0x5000);
        bytes[8..16].copy_from_slice(&0x8_0000u64.to_le_bytes());
        bytes[0x38..0x3c].copy_from_slice(b"ARM\x64");
        let image = read(bytes.clone(), Machine::Aarch64, 0x4000_0000).expect("valid");
        assert_eq!((image.entry, image.end()), (0x4008_0000, 0x4008_5000));
        assert!(read(bytes.clone(), RISCV, 0).unwrap_err().contains("64-bit Arm kernel"));
        bytes[8..16].copy_from_slice(&u64::MAX.to_le_bytes());
        assert!(read(bytes, Machine::Aarch64, 0x4000_0000).is_err());
    }

    #[test]
    fn gzip_is_seen_through() {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(&linux_image(0x5000)).expect("memory");
        let packed = packed.finish().expect("memory");
        let seen = |bytes: Vec<u8>| format!("{:?}", read(bytes, RISCV, 0x1000));
        assert_eq!(seen(packed.clone()), seen(linux_image(0x5000)));
        assert!(read(packed[..40].to_vec(), RISCV, 0x1000).is_err());
    }

    #[test]
    fn damaged_elf_files_are_refused() {
        let mut elf = vec![0u8; 64];
        elf[..4].copy_from_slice(&ELFMAG);
        assert!(read(elf.clone(), RISCV, 0).is_err());
        elf[4..7].copy_from_slice(&[2, 1, 1]);
        elf[18] = 62;
        assert!(read(elf.clone(), RISCV, 0).unwrap_err().contains("another architecture"));
        elf[18] = 243;
        for seed in 0..2000u64 {
            for (i, byte) in elf.iter_mut().enumerate().skip(20) {
                *byte = (seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (i % 57)) as u8;
            }
            let _ = read(elf.clone(), RISCV, 0);
        }
    }
}
