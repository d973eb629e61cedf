//! The state of a machine in a snapshot: disk contents that begin at the first cluster of the first L1 entry behind the disk.

use super::layout::{COPIED, Entry, OFFSET, damaged};
use super::{SnapshotInfo, Snapshots};
use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::FileExt;

/// Bytes of state, at most: what a machine's RAM may have, and more.
const MAX_STATE: u64 = 1 << 46;

/// Writes a state, and makes the snapshot. What is not written reads as zero, and takes no space. Without
/// [`StateWriter::finish`] what was written is lost space, until the image is checked.
pub struct StateWriter<'a> {
    of: &'a mut Snapshots,
    size: u64,
    /// Where each cluster of the state is in the file.
    clusters: BTreeMap<u64, u64>,
}

impl<'a> StateWriter<'a> {
    pub(super) fn new(of: &'a mut Snapshots) -> Self {
        Self { of, size: 0, clusters: BTreeMap::new() }
    }

    /// Begins a state of `bytes` bytes; what was written before is forgotten.
    pub fn restart(&mut self, bytes: u64) -> io::Result<()> {
        for (_, at) in std::mem::take(&mut self.clusters) {
            self.of.count_range(at, 1, -1)?;
        }
        self.size = bytes;
        Ok(())
    }

    /// Writes `bytes` at `at` of the state.
    pub fn write(&mut self, mut at: u64, mut bytes: &[u8]) -> io::Result<()> {
        let cluster = self.of.cluster();
        while !bytes.is_empty() {
            let (number, offset) = (at / cluster, at % cluster);
            let (now, rest) = bytes.split_at(bytes.len().min((cluster - offset) as usize));
            let place = match self.clusters.get(&number) {
                Some(place) => *place,
                None => {
                    let place = self.of.allocate(cluster)?;
                    if (now.len() as u64) < cluster {
                        // It may have been somebody's before.
                        self.of.file.write_all_at(&vec![0; cluster as usize], place)?;
                    }
                    self.clusters.insert(number, place);
                    place
                }
            };
            self.of.file.write_all_at(now, place + offset)?;
            (at, bytes) = (at + now.len() as u64, rest);
        }
        Ok(())
    }

    /// Makes the snapshot `name` of the disk as it is now, with the state.
    pub fn finish(self, name: &str, date: u64, vm_clock: u64) -> io::Result<()> {
        let per_table = self.of.header.l2_entries();
        let mut l1 = vec![0; self.size.div_ceil(per_table << self.of.header.cluster_bits) as usize];
        for (n, entry) in (0u64..).zip(&mut l1) {
            let mut table = vec![0; self.of.cluster() as usize / 8];
            for (cluster, at) in self.clusters.range(n * per_table..(n + 1) * per_table) {
                table[(cluster % per_table) as usize] = *at;
            }
            if table.iter().any(|word| *word != 0) {
                *entry = self.of.allocate(1)?;
                self.of.write_table(*entry, &table)?;
            }
        }
        let id = self.of.next_id();
        let info = SnapshotInfo { id, name: name.into(), date, vm_clock, state_size: self.size };
        self.of.enter(info, &l1)
    }
}

/// Reads a state.
pub struct StateReader<'a> {
    of: &'a Snapshots,
    size: u64,
    /// The L1 entries of the state.
    l1: Vec<u64>,
    /// The L2 table used last, by its number.
    l2: Option<(usize, Vec<u64>)>,
}

impl<'a> StateReader<'a> {
    pub(super) fn new(of: &'a Snapshots, entry: &Entry) -> io::Result<Self> {
        if entry.info.state_size > MAX_STATE {
            return Err(damaged("the state of a snapshot is impossibly large"));
        }
        let mut l1 = of.table(entry.l1, entry.l1_entries)?;
        // The disk may have had another size then.
        let per_entry = of.header.l2_entries() << of.header.cluster_bits;
        let disk = entry.disk_size.unwrap_or(of.header.size).div_ceil(per_entry);
        l1.drain(..l1.len().min(disk as usize));
        Ok(Self { of, size: entry.info.state_size, l1, l2: None })
    }

    /// Bytes of it.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Where cluster `number` is in the file; `None` where it is all zero.
    fn place(&mut self, number: u64) -> io::Result<Option<u64>> {
        let header = &self.of.header;
        let (table, index) = (number / header.l2_entries(), number % header.l2_entries());
        let table = table as usize;
        let Some(entry) = self.l1.get(table).map(|entry| entry & OFFSET).filter(|at| *at != 0) else {
            return Ok(None);
        };
        if self.l2.as_ref().is_none_or(|(number, _)| *number != table) {
            self.l2 = Some((table, self.of.l2(entry)?));
        }
        let words = self.l2.as_ref().map_or(&[][..], |(_, words)| words);
        let word = words.get(index as usize).copied().unwrap_or(0);
        match header.mapping(word & !COPIED) {
            Some(mapping) if mapping.compressed => Err(damaged("the state of a snapshot is compressed")),
            // Bit 0: it reads as zero, whatever is there.
            Some(mapping) if word & 1 == 0 => Ok(Some(mapping.at)),
            _ => Ok(None),
        }
    }

    /// Fills `bytes`, from `at`.
    pub fn read(&mut self, mut at: u64, mut bytes: &mut [u8]) -> io::Result<()> {
        if at.checked_add(bytes.len() as u64).is_none_or(|end| end > self.size) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let cluster = self.of.cluster();
        while !bytes.is_empty() {
            let offset = at % cluster;
            let (now, rest) = bytes.split_at_mut(bytes.len().min((cluster - offset) as usize));
            match self.place(at / cluster)? {
                Some(place) => self.of.file.read_exact_at(now, place + offset)?,
                None => now.fill(0),
            }
            (at, bytes) = (at + now.len() as u64, rest);
        }
        Ok(())
    }

    /// Whether all between `from` and `to` is zero for want of clusters.
    pub fn is_hole(&mut self, from: u64, to: u64) -> io::Result<bool> {
        let cluster = self.of.cluster();
        for number in from / cluster..to.div_ceil(cluster) {
            if self.place(number)?.is_some() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
