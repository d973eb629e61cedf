//! Internal snapshots of a qcow2 image: docs/interop/qcow2, "Snapshots". The image is at rest meanwhile: nobody else has it open, or what
//! they know of it is written back and forgotten.
//!
//! A snapshot is an L1 table of its own, whose clusters are counted once more; what is counted more than once is copied by whoever
//! writes to it, so its entries in the active tables lose their COPIED flags. The state of the machine is stored as disk contents behind
//! the end of the disk ([`state`]).
//!
//! What is written first may be lost space if the host dies in the middle, and nothing worse. Left out: images with an external data
//! file or extended L2 entries, and ones whose disk has had another size when the snapshot was made.

mod counts;
mod layout;
mod state;

pub use state::{StateReader, StateWriter};

use counts::Counts;
use layout::{COPIED, Entry, Header, Mapping, OFFSET, damaged};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// One snapshot of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotInfo {
    /// Its number, as text.
    pub id: String,
    /// Its name.
    pub name: String,
    /// When it was made: nanoseconds since 1970-01-01 UTC.
    pub date: u64,
    /// Machine time at that moment, in nanoseconds.
    pub vm_clock: u64,
    /// Bytes of the machine's state; zero if there is none.
    pub state_size: u64,
}

/// The snapshots of one image.
pub struct Snapshots {
    file: File,
    header: Header,
    counts: Counts,
    entries: Vec<Entry>,
}

impl Snapshots {
    /// Of the qcow2 image in `file`, which is readable and writable.
    pub fn open(file: File) -> io::Result<Self> {
        let mut header = Header::read(&file)?;
        let counts = Counts::new(&file, &header)?;
        let (entries, bytes) = layout::read_entries(&file, &header)?;
        header.snapshots_bytes = bytes;
        Ok(Self { file, header, counts, entries })
    }

    /// All of them, in the order of the table.
    pub fn list(&self) -> Vec<SnapshotInfo> {
        self.entries.iter().map(|entry| entry.info.clone()).collect()
    }

    /// The one with this name, or else with this number.
    pub fn find(&self, tag: &str) -> Option<usize> {
        let by = |what: fn(&SnapshotInfo) -> &str| self.entries.iter().position(|e| what(&e.info) == tag);
        by(|info| &info.name).or_else(|| by(|info| &info.id))
    }

    /// Where the state of a snapshot that is about to be made is written to.
    pub fn state_writer(&mut self) -> StateWriter<'_> {
        StateWriter::new(self)
    }

    /// Where the state of snapshot `index` is read from.
    pub fn state_reader(&self, index: usize) -> io::Result<StateReader<'_>> {
        StateReader::new(self, &self.entries[index])
    }

    /// Keeps what the disk holds now under `name`, with no state of the machine; for more, [`StateWriter::finish`].
    pub fn create(&mut self, name: &str, date: u64, vm_clock: u64) -> io::Result<()> {
        self.state_writer().finish(name, date, vm_clock)
    }

    /// Puts the disk back to what it held when snapshot `index` was made.
    pub fn revert(&mut self, index: usize) -> io::Result<()> {
        let entry = &self.entries[index];
        if entry.disk_size.is_some_and(|size| size != self.header.size) {
            return Err(io::Error::other(format!(
                "the disk had another size when the snapshot '{}' was made",
                entry.info.name
            )));
        }
        let kept = self.table(entry.l1, entry.l1_entries)?;
        let disk = self.header.disk_entries();
        let old = self.table(self.header.l1, self.header.l1_entries)?;
        let mut new = vec![0; old.len()];
        for (n, entry) in kept.iter().copied().enumerate().filter(|(n, _)| (*n as u64) < disk) {
            match new.get_mut(n) {
                Some(slot) => *slot = entry & !COPIED,
                None if entry & OFFSET == 0 => {}
                None => return Err(damaged("a snapshot has more L1 entries than the image")),
            }
        }
        self.count(&new, 1)?;
        self.counts.flush(&self.file)?;
        self.write_table(self.header.l1, &new)?;
        self.file.sync_data()?;
        self.count(&old, -1)?;
        self.counts.flush(&self.file)?;
        self.set_copied()
    }

    /// Forgets snapshot `index`.
    pub fn delete(&mut self, index: usize) -> io::Result<()> {
        let entry = self.entries.remove(index);
        self.write_entries()?;
        let l1 = self.table(entry.l1, entry.l1_entries)?;
        self.count(&l1, -1)?;
        self.count_range(entry.l1, l1.len() as u64 * 8, -1)?;
        self.counts.flush(&self.file)?;
        self.set_copied()
    }

    fn cluster(&self) -> u64 {
        1 << self.header.cluster_bits
    }

    /// A table of 64-bit words that is in the file.
    fn table(&self, at: u64, entries: u64) -> io::Result<Vec<u64>> {
        layout::table(&self.file, &self.header, at, entries)
    }

    fn write_table(&self, at: u64, table: &[u64]) -> io::Result<()> {
        let bytes: Vec<u8> = table.iter().flat_map(|word| word.to_be_bytes()).collect();
        self.file.write_all_at(&bytes, at)
    }

    fn l2(&self, entry: u64) -> io::Result<Vec<u64>> {
        self.table(entry & OFFSET, self.cluster() / 8)
    }

    /// Counts all clusters that `l1` leads to `by` times more.
    fn count(&mut self, l1: &[u64], by: i64) -> io::Result<()> {
        for &entry in l1.iter().filter(|entry| **entry & OFFSET != 0) {
            for word in self.l2(entry)? {
                if let Some(Mapping { at, bytes, .. }) = self.header.mapping(word) {
                    self.count_range(at, bytes, by)?;
                }
            }
            self.count_range(entry & OFFSET, 1, by)?;
        }
        Ok(())
    }

    fn count_range(&mut self, at: u64, bytes: u64, by: i64) -> io::Result<()> {
        if bytes == 0 {
            return Ok(());
        }
        let bits = self.header.cluster_bits;
        for cluster in at >> bits..=(at + bytes - 1) >> bits {
            self.counts.add(&self.file, cluster, by)?;
        }
        Ok(())
    }

    /// Has each COPIED flag of the active tables be set where its cluster is counted once.
    fn set_copied(&mut self) -> io::Result<()> {
        let mut l1 = self.table(self.header.l1, self.header.l1_entries)?;
        for entry in l1.iter_mut().filter(|entry| **entry & OFFSET != 0) {
            let mut l2 = self.l2(*entry)?;
            let before = l2.clone();
            for word in &mut l2 {
                // Compressed clusters are never written to.
                if let Some(Mapping { at, compressed: false, .. }) = self.header.mapping(*word) {
                    *word = self.copied(*word, at)?;
                }
            }
            if l2 != before {
                self.write_table(*entry & OFFSET, &l2)?;
            }
            *entry = self.copied(*entry, *entry & OFFSET)?;
        }
        self.write_table(self.header.l1, &l1)?;
        self.file.sync_data()
    }

    fn copied(&mut self, word: u64, at: u64) -> io::Result<u64> {
        let once = self.counts.get(&self.file, at >> self.header.cluster_bits)? == 1;
        Ok(if once { word | COPIED } else { word & !COPIED })
    }

    /// Takes `bytes` bytes in free clusters, one after the other.
    fn allocate(&mut self, bytes: u64) -> io::Result<u64> {
        let clusters = bytes.div_ceil(self.cluster()).max(1);
        Ok(self.counts.allocate(&self.file, clusters)? << self.header.cluster_bits)
    }

    /// Writes the table of snapshots to a new place, and has the header say so.
    fn write_entries(&mut self) -> io::Result<()> {
        let old = (self.header.snapshots, self.header.snapshots_bytes);
        let bytes = layout::entry_bytes(&self.entries);
        let at = if bytes.is_empty() { 0 } else { self.allocate(bytes.len() as u64)? };
        self.counts.flush(&self.file)?;
        self.file.write_all_at(&bytes, at)?;
        self.file.sync_data()?;
        self.header.set_snapshots(&self.file, at, self.entries.len() as u32, bytes.len() as u64)?;
        self.file.sync_data()?;
        self.count_range(old.0, old.1, -1)?;
        self.counts.flush(&self.file)
    }

    /// Enters a snapshot whose further L1 entries, those of the machine's state, are `state`.
    fn enter(&mut self, info: SnapshotInfo, state: &[u64]) -> io::Result<()> {
        let active = self.table(self.header.l1, self.header.l1_entries)?;
        let disk = self.header.disk_entries() as usize;
        let mut l1: Vec<u64> = active.iter().take(disk).map(|entry| entry & !COPIED).collect();
        self.count(&l1, 1)?;
        if !state.is_empty() {
            l1.resize(disk, 0);
            l1.extend(state);
        }
        let at = self.allocate(l1.len() as u64 * 8)?;
        self.counts.flush(&self.file)?;
        self.write_table(at, &l1)?;
        self.set_copied()?;
        let l1_entries = l1.len() as u64;
        self.entries.push(Entry { l1: at, l1_entries, disk_size: Some(self.header.size), info });
        self.write_entries()
    }

    fn next_id(&self) -> String {
        let taken = self.entries.iter().filter_map(|entry| entry.info.id.parse::<u64>().ok());
        (taken.max().unwrap_or(0).saturating_add(1)).to_string()
    }
}

#[cfg(test)]
mod tests;
