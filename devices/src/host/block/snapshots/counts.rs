//! The reference counts of a qcow2 file: docs/interop/qcow2, "Host cluster management". Blocks are read when they are needed, and
//! written by [`Counts::flush`].

use super::layout::{Header, damaged};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

struct Block {
    at: u64,
    bytes: Vec<u8>,
    changed: bool,
}

/// The reference counts of one image.
pub struct Counts {
    cluster_bits: u32,
    /// log2 of the bits of a count.
    order: u32,
    /// Where the table of blocks is.
    at: u64,
    table: Vec<u64>,
    table_changed: bool,
    blocks: BTreeMap<usize, Block>,
    /// Clusters before this one are taken.
    hint: u64,
}

impl Counts {
    /// Those of the image in `file`.
    pub fn new(file: &File, header: &Header) -> io::Result<Self> {
        let entries = (header.count_clusters << header.cluster_bits) / 8;
        let table = super::layout::table(file, header, header.counts, entries)?;
        let (cluster_bits, order, at) = (header.cluster_bits, header.count_order, header.counts);
        Ok(Self { cluster_bits, order, at, table, table_changed: false, blocks: BTreeMap::new(), hint: 0 })
    }

    /// Counts in one block.
    fn per_block(&self) -> u64 {
        (8 << self.cluster_bits) >> self.order
    }

    /// The block with the count of `cluster`, and its place there; a block that does not exist is made if `make`.
    fn block(&mut self, file: &File, cluster: u64, make: bool) -> io::Result<Option<(&mut Block, u64)>> {
        let (number, place) = (cluster / self.per_block(), cluster % self.per_block());
        let index = usize::try_from(number).unwrap_or(usize::MAX);
        let Some(entry) = self.table.get(index).copied() else {
            return if make {
                Err(io::Error::other("its table of reference counts is full; convert it with qemu-img"))
            } else {
                Ok(None)
            };
        };
        if !self.blocks.contains_key(&index) {
            let mut bytes = vec![0; 1 << self.cluster_bits];
            let mut at = entry & !511;
            if at != 0 {
                if !at.is_multiple_of(1 << self.cluster_bits) {
                    return Err(damaged("a block of reference counts is in an impossible place"));
                }
                file.read_exact_at(&mut bytes, at)?;
            } else if make {
                // It counts itself: nothing is in use where it counts.
                at = (number * self.per_block()) << self.cluster_bits;
                self.table[index] = at;
                self.table_changed = true;
                put(&mut bytes, self.order, 0, 1);
            } else {
                return Ok(None);
            }
            let changed = entry & !511 == 0;
            self.blocks.insert(index, Block { at, bytes, changed });
        }
        Ok(self.blocks.get_mut(&index).map(|block| (block, place)))
    }

    /// How often `cluster` is referred to.
    pub fn get(&mut self, file: &File, cluster: u64) -> io::Result<u64> {
        let order = self.order;
        Ok(self.block(file, cluster, false)?.map_or(0, |(block, place)| get(&block.bytes, order, place)))
    }

    /// Changes that number.
    pub fn add(&mut self, file: &File, cluster: u64, by: i64) -> io::Result<()> {
        let order = self.order;
        let most = if order == 6 { u64::MAX } else { (1 << (1 << order)) - 1 };
        let Some((block, place)) = self.block(file, cluster, false)? else {
            return Err(damaged("a cluster in use is not counted"));
        };
        let count = get(&block.bytes, order, place);
        let new = count.checked_add_signed(by).ok_or_else(|| damaged("a cluster in use is not counted"))?;
        if new > most {
            let what = "its reference counts are too narrow for snapshots; convert it with qemu-img";
            return Err(io::Error::other(what));
        }
        put(&mut block.bytes, order, place, new);
        block.changed = true;
        if new == 0 {
            self.hint = self.hint.min(cluster);
        }
        Ok(())
    }

    /// Takes `clusters` free clusters, one after the other; gives the first.
    pub fn allocate(&mut self, file: &File, clusters: u64) -> io::Result<u64> {
        let mut first = self.hint;
        let mut found = 0;
        while found < clusters {
            let cluster = first + found;
            // Makes the block where there is none, which then takes its first cluster.
            let order = self.order;
            let free = match self.block(file, cluster, true)? {
                Some((block, place)) => get(&block.bytes, order, place) == 0,
                None => false,
            };
            if free {
                found += 1;
            } else {
                (first, found) = (cluster + 1, 0);
            }
        }
        for cluster in first..first + clusters {
            self.add(file, cluster, 1)?;
        }
        if clusters == 1 {
            self.hint = first + 1;
        }
        Ok(first)
    }

    /// Writes what has changed.
    pub fn flush(&mut self, file: &File) -> io::Result<()> {
        for block in self.blocks.values_mut().filter(|block| block.changed) {
            file.write_all_at(&block.bytes, block.at)?;
            block.changed = false;
        }
        file.sync_data()?;
        if std::mem::take(&mut self.table_changed) {
            let bytes: Vec<u8> = self.table.iter().flat_map(|word| word.to_be_bytes()).collect();
            file.write_all_at(&bytes, self.at)?;
            file.sync_data()?;
        }
        Ok(())
    }
}

/// Count number `place` of a block; those of less than a byte begin at its lowest bits.
fn get(block: &[u8], order: u32, place: u64) -> u64 {
    let place = place as usize;
    if order < 3 {
        let per_byte = 8 >> order;
        let shift = (place % per_byte) << order;
        return u64::from(block[place / per_byte]) >> shift & ((1 << (1 << order)) - 1);
    }
    let bytes = 1 << (order - 3);
    block[place * bytes..][..bytes].iter().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

fn put(block: &mut [u8], order: u32, place: u64, value: u64) {
    let place = place as usize;
    if order < 3 {
        let per_byte = 8 >> order;
        let shift = (place % per_byte) << order;
        let mask = ((1u32 << (1 << order)) - 1) << shift;
        let byte = &mut block[place / per_byte];
        *byte = (u32::from(*byte) & !mask | (value as u32) << shift & mask) as u8;
        return;
    }
    let bytes = 1 << (order - 3);
    block[place * bytes..][..bytes].copy_from_slice(&value.to_be_bytes()[8 - bytes..]);
}
