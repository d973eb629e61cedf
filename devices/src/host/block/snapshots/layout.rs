//! The header of a qcow2 file, what an L2 entry leads to, and the table of snapshots.

use super::SnapshotInfo;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// The cluster is counted once: it can be written where it is.
pub const COPIED: u64 = 1 << 63;
const COMPRESSED: u64 = 1 << 62;
/// Where a cluster is, in L1 entries and in standard L2 entries.
pub const OFFSET: u64 = 0x00ff_ffff_ffff_fe00;
/// Where the fields of the header are that change.
const SNAPSHOT_COUNT: u64 = 60;
const HEADER: usize = 104;

// Incompatible features.
const DIRTY: u64 = 1;
const CORRUPT: u64 = 1 << 1;
const EXTERNAL_DATA: u64 = 1 << 2;
const EXTENDED_L2: u64 = 1 << 4;

/// Bytes of one table, and snapshots, at most, as QEMU has it.
const MAX_TABLE: u64 = 32 << 20;
const MAX_SNAPSHOTS: u32 = 65536;
/// Bytes of the table of snapshots, at most.
const MAX_SNAPSHOT_TABLE: u64 = 64 << 20;

/// What is at fault with the image.
pub fn damaged(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{what}; the image is damaged"))
}

/// The fields that matter here.
pub struct Header {
    pub cluster_bits: u32,
    /// Bytes of the disk.
    pub size: u64,
    pub l1: u64,
    pub l1_entries: u64,
    pub counts: u64,
    pub count_clusters: u64,
    pub count_order: u32,
    pub snapshot_count: u32,
    pub snapshots: u64,
    pub snapshots_bytes: u64,
}

/// What an L2 entry leads to.
pub struct Mapping {
    pub at: u64,
    pub bytes: u64,
    pub compressed: bool,
}

fn be32(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn be64(bytes: &[u8], at: usize) -> u64 {
    u64::from(be32(bytes, at)) << 32 | u64::from(be32(bytes, at + 4))
}

impl Header {
    pub fn read(file: &File) -> io::Result<Self> {
        let mut bytes = [0; HEADER];
        let got = file.read_at(&mut bytes, 0)?;
        let version = be32(&bytes, 4);
        if got < 72 || bytes[..4] != *b"QFI\xfb" || !(2..=3).contains(&version) {
            return Err(damaged("it is no qcow2 image of version 2 or 3"));
        }
        let (features, count_order) =
            if version == 2 { (0, 4) } else { (be64(&bytes, 72), be32(&bytes, 96)) };
        let refused = |what: &str| Err(io::Error::other(what));
        if features & (DIRTY | CORRUPT) != 0 {
            return refused("its reference counts may be wrong; run qemu-img check -r all on it");
        }
        if features & EXTERNAL_DATA != 0 {
            return refused("an image with an external data file has no snapshots; convert it with qemu-img");
        }
        if features & EXTENDED_L2 != 0 {
            return refused("an image with extended L2 entries has no snapshots; convert it with qemu-img");
        }
        let cluster_bits = be32(&bytes, 20);
        if !(9..=21).contains(&cluster_bits) || count_order > 6 {
            return Err(damaged("its header is impossible"));
        }
        let header = Self {
            cluster_bits,
            size: be64(&bytes, 24),
            l1: be64(&bytes, 40),
            l1_entries: be32(&bytes, 36).into(),
            counts: be64(&bytes, 48),
            count_clusters: be32(&bytes, 56).into(),
            count_order,
            snapshot_count: be32(&bytes, SNAPSHOT_COUNT as usize),
            snapshots: be64(&bytes, SNAPSHOT_COUNT as usize + 4),
            snapshots_bytes: 0,
        };
        if header.disk_entries() * 8 > MAX_TABLE {
            return Err(damaged("its disk is impossibly large"));
        }
        Ok(header)
    }

    /// Clusters that one L2 table describes.
    pub fn l2_entries(&self) -> u64 {
        (1 << self.cluster_bits) / 8
    }

    /// L1 entries that describe the disk; those behind it are the machine's state.
    pub fn disk_entries(&self) -> u64 {
        self.size.div_ceil(self.l2_entries() << self.cluster_bits)
    }

    /// What the first word of an L2 entry leads to in the file.
    pub fn mapping(&self, word: u64) -> Option<Mapping> {
        if word & COMPRESSED != 0 {
            // Where the number of further sectors starts.
            let bits = 62 - (self.cluster_bits - 8);
            let at = word & ((1 << bits) - 1);
            let sectors = 1 + (word >> bits & ((1 << (62 - bits)) - 1));
            return Some(Mapping { at, bytes: (at & !511) + sectors * 512 - at, compressed: true });
        }
        let at = word & OFFSET;
        (at != 0).then_some(Mapping { at, bytes: 1 << self.cluster_bits, compressed: false })
    }

    /// Has the file say where the table of `count` snapshots is, which has `bytes` bytes.
    pub fn set_snapshots(&mut self, file: &File, at: u64, count: u32, bytes: u64) -> io::Result<()> {
        let mut fields = count.to_be_bytes().to_vec();
        fields.extend(at.to_be_bytes());
        file.write_all_at(&fields, SNAPSHOT_COUNT)?;
        (self.snapshots, self.snapshots_bytes) = (at, bytes);
        self.snapshot_count = count;
        Ok(())
    }
}

/// A table of 64-bit words at `at`.
pub fn table(file: &File, header: &Header, at: u64, entries: u64) -> io::Result<Vec<u64>> {
    let bytes = entries * 8;
    if bytes > MAX_TABLE || !at.is_multiple_of(1 << header.cluster_bits) || at == 0 && entries != 0 {
        return Err(damaged("one of its tables is in an impossible place"));
    }
    let mut table = vec![0; bytes as usize];
    file.read_exact_at(&mut table, at)?;
    Ok(table.as_chunks::<8>().0.iter().map(|word| u64::from_be_bytes(*word)).collect())
}

/// One entry of the table of snapshots.
pub struct Entry {
    pub l1: u64,
    pub l1_entries: u64,
    /// Bytes of the disk at that time, where it says so.
    pub disk_size: Option<u64>,
    pub info: SnapshotInfo,
}

/// Bytes of an entry before its extra data.
const FIXED: usize = 40;

/// Reads the table; also gives its length in bytes.
pub fn read_entries(file: &File, header: &Header) -> io::Result<(Vec<Entry>, u64)> {
    if header.snapshot_count > MAX_SNAPSHOTS {
        return Err(damaged("it has an impossible number of snapshots"));
    }
    let mut entries = Vec::new();
    let mut at = header.snapshots;
    for _ in 0..header.snapshot_count {
        let mut fixed = [0; FIXED];
        file.read_exact_at(&mut fixed, at)?;
        let extra = be32(&fixed, 36) as usize;
        let (id, name) = (
            usize::from(fixed[12]) << 8 | usize::from(fixed[13]),
            usize::from(fixed[14]) << 8 | usize::from(fixed[15]),
        );
        if extra > 1024 {
            return Err(damaged("its table of snapshots is impossible"));
        }
        let mut rest = vec![0; extra + id + name];
        file.read_exact_at(&mut rest, at + FIXED as u64)?;
        let more = |at: usize| (extra >= at + 8).then(|| be64(&rest, at));
        let text = |range: std::ops::Range<usize>| String::from_utf8_lossy(&rest[range]).into_owned();
        let info = SnapshotInfo {
            id: text(extra..extra + id),
            name: text(extra + id..extra + id + name),
            date: u64::from(be32(&fixed, 16)) * 1_000_000_000 + u64::from(be32(&fixed, 20)),
            vm_clock: be64(&fixed, 24),
            state_size: more(0).unwrap_or_else(|| be32(&fixed, 32).into()),
        };
        entries.push(Entry {
            l1: be64(&fixed, 0),
            l1_entries: be32(&fixed, 8).into(),
            disk_size: more(8),
            info,
        });
        at = (at + (FIXED + rest.len()) as u64).next_multiple_of(8);
        if at - header.snapshots > MAX_SNAPSHOT_TABLE {
            return Err(damaged("its table of snapshots is impossible"));
        }
    }
    Ok((entries, at - header.snapshots))
}

/// The table as it is in the file.
pub fn entry_bytes(entries: &[Entry]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for Entry { l1, l1_entries, disk_size, info } in entries {
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes.extend(l1.to_be_bytes());
        bytes.extend((*l1_entries as u32).to_be_bytes());
        bytes.extend((info.id.len() as u16).to_be_bytes());
        bytes.extend((info.name.len() as u16).to_be_bytes());
        bytes.extend(((info.date / 1_000_000_000) as u32).to_be_bytes());
        bytes.extend(((info.date % 1_000_000_000) as u32).to_be_bytes());
        bytes.extend(info.vm_clock.to_be_bytes());
        bytes.extend(u32::try_from(info.state_size).unwrap_or(0).to_be_bytes());
        let extra: Vec<u8> = match disk_size {
            // The instruction count comes third; all ones: there is none.
            Some(size) => [info.state_size, *size, u64::MAX].iter().flat_map(|w| w.to_be_bytes()).collect(),
            None => info.state_size.to_be_bytes().to_vec(),
        };
        bytes.extend((extra.len() as u32).to_be_bytes());
        bytes.extend(extra);
        bytes.extend(info.id.as_bytes());
        bytes.extend(info.name.as_bytes());
    }
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes
}
