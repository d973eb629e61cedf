//! What a qcow2 image must keep to before we write to it (docs/interop/qcow2: header, reference count table).
//!
//! `imago` checks fields one by one; an image whose tables lie elsewhere than the header says would make it allocate
//! over data, or search for free clusters without end.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Bytes of one reference count table that are read, at most; 8 MiB describe far more than a file can hold.
const MAX_TABLE: u64 = 8 << 20;

/// The fields of the header that say where the tables are.
struct Header {
    cluster: u64,
    l1: u64,
    l1_bytes: u64,
    refcounts: u64,
    refcount_bytes: u64,
}

impl Header {
    fn read(file: &File) -> io::Result<Self> {
        let mut bytes = [0; 72];
        file.read_exact_at(&mut bytes, 0)?;
        let u32_at = |at: usize| u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let u64_at = |at: usize| u64::from(u32_at(at)) << 32 | u64::from(u32_at(at + 4));
        let cluster_bits = u32_at(20);
        if !(9..=21).contains(&cluster_bits) {
            return Err(damaged("its cluster size is impossible"));
        }
        let cluster = 1 << cluster_bits;
        Ok(Self {
            cluster,
            l1: u64_at(40),
            l1_bytes: u64::from(u32_at(36)) * 8,
            refcounts: u64_at(48),
            refcount_bytes: u64::from(u32_at(56)) * cluster,
        })
    }
}

fn damaged(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{what}; the image is damaged"))
}

/// Refuses an image whose tables do not lie in `file`.
pub(super) fn check(file: &File) -> io::Result<()> {
    let header = Header::read(file)?;
    let end = file.metadata()?.len().next_multiple_of(header.cluster);
    let inside = |start: u64, len: u64| {
        start.is_multiple_of(header.cluster)
            && start >= header.cluster
            && start.checked_add(len).is_some_and(|stop| stop <= end)
    };
    if header.l1_bytes > 0 && !inside(header.l1, header.l1_bytes) {
        return Err(damaged("its L1 table lies outside of the file"));
    }
    if header.refcount_bytes == 0 || !inside(header.refcounts, header.refcount_bytes) {
        return Err(damaged("its reference count table lies outside of the file"));
    }
    let mut table = vec![0; header.refcount_bytes.min(MAX_TABLE) as usize];
    let got = file.read_at(&mut table, header.refcounts)?;
    let entries = table[..got].chunks_exact(8).map(|entry| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(entry);
        u64::from_be_bytes(bytes)
    });
    for (index, block) in entries.enumerate() {
        // The first block counts the header itself, so it cannot be missing.
        if (block != 0 || index == 0) && !inside(block, header.cluster) {
            return Err(damaged("a reference count block lies outside of the file"));
        }
    }
    Ok(())
}
