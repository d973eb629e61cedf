//! A compiled region that has no place yet.
//!
//! Offsets in it are relative to its first byte, records and exits have the numbers from zero. What the place decides is
//! listed as fixups, so that a piece can be put anywhere in any code buffer, now or in another run.

use super::faults::Fault;
use crate::host::{Patch, Site};
use crate::run::HEAT_SLOTS;
use serde::{Deserialize, Serialize};

/// What a fixup adjusts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
enum Kind {
    /// In the code, the displacement of a jump to shared code, as if the piece stood at offset zero.
    Shared,
    /// In the code, the number of a record.
    Record,
    /// In the code, the offset of an exit's count: the number of the exit.
    Heat,
    /// In the records, the number of a record.
    State,
    /// In the records, the number of an exit.
    Exit,
}

const KINDS: [Kind; 5] = [Kind::Shared, Kind::Record, Kind::Heat, Kind::State, Kind::Exit];
const KIND_BITS: u32 = 3;

/// One word that depends on the place: its offset in bytes of code or words of records, and what is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fixup(u32);

impl From<u32> for Fixup {
    fn from(word: u32) -> Self {
        Self(word)
    }
}

impl From<Fixup> for u32 {
    fn from(fixup: Fixup) -> Self {
        fixup.0
    }
}

impl Fixup {
    const fn new(at: u32, kind: Kind) -> Self {
        Self(at << KIND_BITS | kind as u32)
    }

    /// A jump to shared code.
    pub const fn shared(at: u32) -> Self {
        Self::new(at, Kind::Shared)
    }

    /// The number of a record in the code.
    pub const fn record(at: u32) -> Self {
        Self::new(at, Kind::Record)
    }

    /// The offset of an exit's count.
    pub const fn heat(at: u32) -> Self {
        Self::new(at, Kind::Heat)
    }

    /// The number of a record in a record.
    pub const fn state(at: u32) -> Self {
        Self::new(at, Kind::State)
    }

    /// The number of an exit in a record.
    pub const fn exit(at: u32) -> Self {
        Self::new(at, Kind::Exit)
    }

    /// `None` where there is no such kind.
    fn parts(self) -> Option<(usize, Kind)> {
        let kind = KINDS.get((self.0 & ((1 << KIND_BITS) - 1)) as usize)?;
        Some(((self.0 >> KIND_BITS) as usize, *kind))
    }
}

/// Where a piece is put.
#[derive(Clone, Copy)]
pub struct Place {
    /// Offset of its code in the buffer.
    pub start: u32,
    /// Number of its first record.
    pub first_record: u32,
    /// Number of its first exit.
    pub first_site: u32,
}

/// The region.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// Host code.
    #[serde(with = "serde_bytes")]
    pub code: Vec<u8>,
    /// Offset in it of the first instruction, behind the way there.
    pub entry: u32,
    /// What rare ways out need to know.
    #[serde(with = "words")]
    pub records: Vec<u32>,
    /// Exits, in the order of their numbers.
    pub sites: Vec<Site>,
    /// Code that may fault, in its order.
    pub faults: Vec<Fault>,
    /// What depends on the place.
    #[serde(with = "words")]
    pub fixups: Vec<Fixup>,
}

/// Lists of words are stored as they are: they are read as fast as they can be copied.
mod words {
    use serde::{Deserializer, Serializer};

    pub fn serialize<T: Copy + Into<u32>, S: Serializer>(list: &[T], to: S) -> Result<S::Ok, S::Error> {
        let bytes: Vec<u8> = list.iter().flat_map(|word| (*word).into().to_le_bytes()).collect();
        serde_bytes::serialize(&bytes, to)
    }

    pub fn deserialize<'a, T: From<u32>, D: Deserializer<'a>>(from: D) -> Result<Vec<T>, D::Error> {
        let bytes: &[u8] = serde_bytes::deserialize(from)?;
        let (words, _) = bytes.as_chunks::<4>();
        Ok(words.iter().map(|word| u32::from_le_bytes(*word).into()).collect())
    }
}

impl Piece {
    /// Makes it empty.
    pub fn clear(&mut self) {
        self.code.clear();
        self.entry = 0;
        self.records.clear();
        self.sites.clear();
        self.faults.clear();
        self.fixups.clear();
    }

    /// Whether everything it names lies inside it: asked of pieces that were stored.
    pub fn is_sound(&self) -> bool {
        let (code, records) = (self.code.len(), self.records.len());
        let fixup = |fixup: &Fixup| match fixup.parts() {
            None => false,
            Some((at, Kind::State | Kind::Exit)) => at < records,
            Some((at, _)) => at + 4 <= code,
        };
        let patch = |patch: &Patch| {
            patch.at.is_multiple_of(4) && patch.at as usize + 4 <= code && (patch.stub as usize) < code
        };
        let site = |site: &Site| site.patch.iter().all(patch);
        let mut last = 0;
        let mut fault = |fault: &Fault| {
            let in_order = last <= fault.start && fault.start <= fault.end && fault.end as usize <= code;
            last = fault.end;
            in_order && (fault.record as usize) < records
        };
        let entry = (self.entry as usize) < code;
        entry
            && self.fixups.iter().all(fixup)
            && self.sites.iter().all(site)
            && self.faults.iter().all(&mut fault)
    }

    /// Its code, records, sites and faults at `place`, in the memory of `into`.
    pub fn put(&self, place: Place, into: &mut Self) {
        into.code.clone_from(&self.code);
        into.records.clone_from(&self.records);
        into.sites.clone_from(&self.sites);
        into.faults.clone_from(&self.faults);
        for (at, kind) in self.fixups.iter().filter_map(|fixup| fixup.parts()) {
            let word = match kind {
                Kind::State | Kind::Exit => self.records[at],
                _ => u32::from_le_bytes(self.code[at..at + 4].try_into().expect("four bytes")),
            };
            let word = match kind {
                Kind::Shared => word.wrapping_sub(place.start),
                Kind::Record | Kind::State => word.wrapping_add(place.first_record),
                Kind::Heat => word.wrapping_add(place.first_site) % HEAT_SLOTS as u32 * 4,
                Kind::Exit => word.wrapping_add(place.first_site),
            };
            match kind {
                Kind::State | Kind::Exit => into.records[at] = word,
                _ => into.code[at..at + 4].copy_from_slice(&word.to_le_bytes()),
            }
        }
        for patch in into.sites.iter_mut().filter_map(|site| site.patch.as_mut()) {
            (patch.at, patch.stub) = (patch.at + place.start, patch.stub + place.start);
        }
        for fault in &mut into.faults {
            (fault.start, fault.end) = (fault.start + place.start, fault.end + place.start);
            fault.record += place.first_record;
        }
    }
}
