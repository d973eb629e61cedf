//! The MSI-X table and pending bits of one function (PCI Local Bus Specification 3.0, section 6.8.2).

use base::Width;
use serde::{Deserialize, Serialize};

/// One message: a 32-bit value and where it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub address: u64,
    pub data: u32,
}

const MASKED: u32 = 1;
/// Bytes of one table entry.
pub(super) const ENTRY: u64 = 16;

/// Entry words: address low, address high, data, control.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Msix {
    entries: Vec<[u32; 4]>,
    pending: Vec<u64>,
    pub enabled: bool,
    pub function_masked: bool,
}

impl Msix {
    pub fn new(vectors: u16) -> Self {
        Self {
            entries: vec![[0, 0, 0, MASKED]; vectors.into()],
            pending: vec![0; usize::from(vectors).div_ceil(64)],
            enabled: false,
            function_masked: false,
        }
    }

    pub fn vectors(&self) -> usize {
        self.entries.len()
    }

    /// Whether the tables have the same sizes.
    pub fn same_size(&self, other: &Self) -> bool {
        self.entries.len() == other.entries.len() && self.pending.len() == other.pending.len()
    }

    /// Reads the table; the bus splits what is wider than a word.
    pub fn read_table(&self, offset: u64, width: Width) -> u64 {
        let word =
            self.entries.get((offset / ENTRY) as usize).map_or(0, |e| e[(offset % ENTRY / 4) as usize]);
        u64::from(word) >> (8 * (offset % 4)) & width.mask()
    }

    /// Writes the table; only whole words count, as the specification demands of software.
    pub fn write_table(&mut self, offset: u64, width: Width, value: u32) {
        if width == Width::B4
            && offset.is_multiple_of(4)
            && let Some(entry) = self.entries.get_mut((offset / ENTRY) as usize)
        {
            let word = (offset % ENTRY / 4) as usize;
            entry[word] = if word == 3 { value & MASKED } else { value };
            entry[0] &= !3;
        }
    }

    pub fn read_pending(&self, offset: u64, width: Width) -> u64 {
        let word = self.pending.get((offset / 8) as usize).copied().unwrap_or(0);
        word >> (8 * (offset % 8)) & width.mask()
    }

    /// Fires `vector`: the message to send now, or none while the vector is masked (then it is pending).
    pub fn fire(&mut self, vector: u16) -> Option<Message> {
        let entry = *self.entries.get(usize::from(vector))?;
        if !self.enabled {
            return None;
        }
        if self.function_masked || entry[3] & MASKED != 0 {
            self.pending[usize::from(vector) / 64] |= 1 << (vector % 64);
            return None;
        }
        Some(Message { address: u64::from(entry[0]) | u64::from(entry[1]) << 32, data: entry[2] })
    }

    /// The messages of pending vectors that are no longer masked.
    pub fn take_unmasked(&mut self) -> Vec<Message> {
        if self.function_masked || !self.enabled || self.pending.iter().all(|word| *word == 0) {
            return Vec::new();
        }
        let mut messages = Vec::new();
        for vector in 0..self.entries.len() as u16 {
            let bit = 1u64 << (vector % 64);
            let word = usize::from(vector) / 64;
            if self.pending[word] & bit != 0 && self.entries[usize::from(vector)][3] & MASKED == 0 {
                self.pending[word] &= !bit;
                messages.extend(self.fire(vector));
            }
        }
        messages
    }
}
