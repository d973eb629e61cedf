//! What RAM held at one moment, kept and put back by copying on write: [`RamLayers::freeze`] and [`RamLayers::put_back`] change
//! mappings and copy only pages that were written since, so both take about as long with 16 GiB as with 16 MiB.
//!
//! Each region is a private mapping: first of nothing, which is zeros; once much was kept, over the file that holds it. Its own pages
//! are those that were written, which the host tells (`/proc/self/pagemap`).

use crate::{GuestRam, MemoryError, PAGE_SHIFT, PAGE_SIZE, RamRegion, anonymous_file};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use vm_memory::bitmap::Bitmap;
use vm_memory::{Bytes, GuestMemoryBackend, GuestMemoryRegion, MemoryRegionAddress};

/// Bytes that RAM is looked through by, and copied by where all of it is.
pub const CHUNK: usize = 64 << 10;
/// More written pages than these, 8 MiB, are not kept one by one: putting them back would take long. The whole region is.
const FEW: usize = 2048;

type Page = [u8; PAGE_SIZE as usize];

/// Where a region's contents begin in a file.
#[derive(Clone)]
struct Base {
    file: Arc<File>,
    offset: u64,
}

/// What one region held.
struct RegionImage {
    base: Base,
    /// Pages that differ from the file, by their number.
    pages: Vec<(u64, Box<Page>)>,
}

/// What RAM held at one moment.
pub struct RamImage {
    regions: Vec<RegionImage>,
}

impl RamImage {
    /// Contents that are in files, each with where they begin there (a multiple of the page size), a region each. The files must not
    /// change as long as the image is in use.
    pub fn in_files(files: Vec<(Arc<File>, u64)>) -> Self {
        let region = |(file, offset)| RegionImage { base: Base { file, offset }, pages: Vec::new() };
        Self { regions: files.into_iter().map(region).collect() }
    }
}

/// What a region is mapped over now; nothing is zeros.
type Layer = Option<Base>;

/// The RAM of a machine, and what its contents are written over. No vCPU and no device touches RAM during a call.
pub struct RamLayers {
    ram: GuestRam,
    layers: Vec<Layer>,
}

fn failed(region: &RamRegion) -> impl Fn(io::Error) -> MemoryError {
    let bytes = region.len();
    move |source| MemoryError::Exchange { bytes, source }
}

/// Has `region` show what is in `base`, and keep writes to itself.
fn map(region: &RamRegion, base: &Base) -> io::Result<()> {
    let host = region.get_host_address(MemoryRegionAddress(0)).map_err(io::Error::other)?;
    let (protection, flags) =
        (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_FIXED | libc::MAP_NORESERVE);
    // SAFETY: the range is that of the mapping that `region` owns, which stays as large as it is; what is in guest memory is bytes, for
    // which any value is valid, and nobody holds a reference to them.
    let at = unsafe {
        libc::mmap(
            host.cast(),
            region.len() as usize,
            protection,
            flags,
            base.file.as_raw_fd(),
            base.offset as libc::off_t,
        )
    };
    if at == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Calls `page` with the number of each page of the private mapping of `region` that is its own.
fn own_pages(region: &RamRegion, mut page: impl FnMut(u64)) -> io::Result<()> {
    // From the kernel's documentation, "pagemap": present, in swap, of a file.
    const THERE: u64 = 3 << 62;
    const OF_FILE: u64 = 1 << 61;
    let host = region.get_host_address(MemoryRegionAddress(0)).map_err(io::Error::other)?;
    let (first, count) = (host as u64 >> PAGE_SHIFT, region.len() >> PAGE_SHIFT);
    let map = File::open("/proc/self/pagemap")?;
    let mut entries = vec![0; CHUNK];
    let mut number = 0;
    while number < count {
        let here = (entries.len() as u64 / 8).min(count - number);
        let bytes = &mut entries[..here as usize * 8];
        map.read_exact_at(bytes, (first + number) * 8)?;
        for (n, entry) in (number..).zip(bytes.as_chunks::<8>().0) {
            let entry = u64::from_ne_bytes(*entry);
            if entry & THERE != 0 && entry & OF_FILE == 0 {
                page(n);
            }
        }
        number += here;
    }
    Ok(())
}

/// Calls `range` with each range of `base` in which `len` bytes may be other than zero.
fn data_of(base: &Base, len: u64, mut range: impl FnMut(u64, u64)) -> io::Result<()> {
    let seek = |from: u64, whence| {
        // SAFETY: the descriptor is open as long as `base`.
        let at = unsafe { libc::lseek(base.file.as_raw_fd(), from as libc::off_t, whence) };
        if at < 0 { Err(io::Error::last_os_error()) } else { Ok(at as u64) }
    };
    let end = base.offset + len;
    let mut at = base.offset;
    while at < end {
        at = match seek(at, libc::SEEK_DATA) {
            Ok(data) => data,
            Err(error) if error.raw_os_error() == Some(libc::ENXIO) => return Ok(()),
            Err(error) => return Err(error),
        };
        if at >= end {
            return Ok(());
        }
        let stop = seek(at, libc::SEEK_HOLE)?.min(end);
        range(at - base.offset, stop - base.offset);
        at = stop;
    }
    Ok(())
}

fn page_at(region: &RamRegion, offset: u64) -> io::Result<Box<Page>> {
    let mut page = Box::new([0; PAGE_SIZE as usize]);
    region.read_slice(&mut *page, MemoryRegionAddress(offset)).map_err(io::Error::other)?;
    Ok(page)
}

fn is_zero(bytes: &[u8]) -> bool {
    let (words, rest) = bytes.as_chunks::<16>();
    words.iter().all(|word| u128::from_ne_bytes(*word) == 0) && rest.iter().all(|byte| *byte == 0)
}

impl RamLayers {
    /// For `ram`, nothing of which was kept yet.
    pub fn new(ram: GuestRam) -> Self {
        let layers = ram.iter().map(|_| None).collect();
        Self { ram, layers }
    }

    /// First address and size of each region.
    pub fn regions(&self) -> Vec<(u64, u64)> {
        self.ram.iter().map(|region| (region.start_addr().0, region.len())).collect()
    }

    /// Keeps what RAM holds now.
    pub fn freeze(&mut self) -> Result<RamImage, MemoryError> {
        let mut regions = Vec::new();
        for (region, layer) in self.ram.iter().zip(&mut self.layers) {
            let failed = failed(region);
            let mut written = Vec::new();
            own_pages(region, |page| written.push(page)).map_err(&failed)?;
            if written.len() > FEW {
                let base = copy(region, layer, &written)?;
                map(region, &base).map_err(failed)?;
                *layer = Some(base.clone());
                regions.push(RegionImage { base, pages: Vec::new() });
                continue;
            }
            let base = match layer {
                Some(base) => base.clone(),
                None => Base { file: Arc::new(anonymous_file(region.len())?), offset: 0 },
            };
            let keep = |number: u64| Ok((number, page_at(region, number << PAGE_SHIFT)?));
            let pages = written.into_iter().map(keep).collect::<io::Result<_>>().map_err(failed)?;
            regions.push(RegionImage { base, pages });
        }
        Ok(RamImage { regions })
    }

    /// Has RAM hold what it held when `image` was kept. The image is of this RAM, or of one with the same regions.
    pub fn put_back(&mut self, image: &RamImage) -> Result<(), MemoryError> {
        for ((region, layer), kept) in self.ram.iter().zip(&mut self.layers).zip(&image.regions) {
            let failed = failed(region);
            let reach = kept.base.file.metadata().map_err(&failed)?.len();
            if reach < kept.base.offset + region.len() {
                return Err(failed(io::ErrorKind::UnexpectedEof.into()));
            }
            let watch = region.bitmap().slice_at(0);
            let watched = watch.watched().into_iter().map(|offset| Ok((offset, page_at(region, offset)?)));
            let watched = watched.collect::<io::Result<Vec<_>>>().map_err(&failed)?;
            map(region, &kept.base).map_err(&failed)?;
            *layer = Some(kept.base.clone());
            for (number, page) in &kept.pages {
                let at = MemoryRegionAddress(number << PAGE_SHIFT);
                let host = region.get_host_address(at).map_err(|fault| failed(io::Error::other(fault)))?;
                // SAFETY: a page of the region's own mapping, which nobody else touches now; bytes, for which any value is valid.
                unsafe { std::ptr::copy_nonoverlapping(page.as_ptr(), host, page.len()) };
            }
            // Most code is what it was: translations of it stay. So nothing above tells of what it writes.
            for (offset, before) in watched {
                if page_at(region, offset).map_err(&failed)? != before {
                    watch.mark_dirty(offset as usize, before.len());
                }
            }
        }
        Ok(())
    }

    /// Calls `chunk` with the number of a region, an offset and the up to [`CHUNK`] bytes there, for all that are not zero.
    pub fn for_each_chunk(
        &self,
        mut chunk: impl FnMut(usize, u64, &[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        for (number, (region, layer)) in self.ram.iter().zip(&self.layers).enumerate() {
            let mut written = Vec::new();
            own_pages(region, |page| written.push(page))?;
            chunks_of(region, layer, &written, |offset, bytes| chunk(number, offset, bytes))?;
        }
        Ok(())
    }
}

/// The chunks of one region that are not zero; `written` are the mapping's own pages.
fn chunks_of(
    region: &RamRegion,
    layer: &Layer,
    written: &[u64],
    mut chunk: impl FnMut(u64, &[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let len = region.len();
    // Others are not looked at: that would have the host find memory for them.
    let mut maybe = vec![false; len.div_ceil(CHUNK as u64) as usize];
    if let Some(base) = layer {
        data_of(base, len, |from, to| {
            maybe[(from / CHUNK as u64) as usize..to.div_ceil(CHUNK as u64) as usize].fill(true);
        })?;
    }
    written.iter().for_each(|page| maybe[((page << PAGE_SHIFT) / CHUNK as u64) as usize] = true);
    let mut bytes = vec![0; CHUNK];
    for (n, _) in maybe.iter().enumerate().filter(|(_, maybe)| **maybe) {
        let offset = n as u64 * CHUNK as u64;
        let bytes = &mut bytes[..(len - offset).min(CHUNK as u64) as usize];
        region.read_slice(bytes, MemoryRegionAddress(offset)).map_err(io::Error::other)?;
        if !is_zero(bytes) {
            chunk(offset, bytes)?;
        }
    }
    Ok(())
}

/// A file with all that `region` holds.
fn copy(region: &RamRegion, layer: &Layer, written: &[u64]) -> Result<Base, MemoryError> {
    let file = anonymous_file(region.len())?;
    chunks_of(region, layer, written, |offset, bytes| file.write_all_at(bytes, offset))
        .map_err(failed(region))?;
    Ok(Base { file: Arc::new(file), offset: 0 })
}

#[cfg(test)]
mod tests;
