//! Translations that outlive the run: what one emulator has made the next one takes, for the same guest code.
//!
//! A translation depends on the guest's code, its mode, and in a process on its address. So it is found by a key made of these,
//! and taken only if the code that it was made from, which is stored with it, is what the guest has there now. What else it
//! depends on is the same for a whole file and stands in its name and head ([`Store::open`]): emulator, host CPU, guest CPU,
//! [`super::CodeConfig`].
//!
//! The file holds code that will run with the rights of whoever runs the emulator. It is used only if it belongs to that user and nobody else
//! may write to it; each translation has a checksum, and one that is damaged is made anew.

mod file;

use super::lock::Mutex;
use crate::host::{Piece, TlbShape};
use file::StoreFile;
use rustc_hash::FxHashSet;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::MutexGuard;
use std::{fmt, fs};

/// Most bytes of one file; what this run has not used goes first.
const FILE_LIMIT: usize = 64 << 20;
/// Most bytes of all files in a folder; the oldest go first.
const FOLDER_LIMIT: u64 = 1 << 30;
/// Least bytes of new translations that are worth writing.
const LEAST_NEW: usize = 16 << 10;
/// What more runs than these have added to is written anew as one.
const MOST_CHUNKS: usize = 16;

/// A translation as it is stored.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// Mode that it was made for.
    pub mode: u64,
    /// Distances from its address, and lengths in bytes, of the guest code it was made from.
    pub parts: Vec<(i64, u64)>,
    /// That code, one part after the other.
    #[serde(with = "serde_bytes")]
    pub guest: Vec<u8>,
    /// Guest instructions in it.
    pub insns: u64,
    /// It is the region of a hot loop.
    pub hot: bool,
    /// The host code.
    pub piece: Piece,
}

/// What translations are looked for by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// Address, as far as the translation depends on it.
    pub at: u64,
    /// Mode.
    pub mode: u64,
    /// The first bytes of the guest code.
    pub begins: u64,
    /// The TLBs that it is for.
    pub tlb: TlbShape,
}

impl Key {
    fn hash(self) -> u64 {
        let mut bytes = [0; 40];
        let TlbShape { entries, alone } = self.tlb;
        for (place, word) in
            bytes.chunks_exact_mut(8).zip([self.at, self.mode, self.begins, entries as u64, alone.into()])
        {
            place.copy_from_slice(&word.to_le_bytes());
        }
        checksum(&bytes)
    }
}

fn checksum(bytes: &[u8]) -> u64 {
    twox_hash::XxHash3_64::oneshot(bytes)
}

/// What this run has made.
#[derive(Default)]
pub(super) struct New {
    /// Hashes of keys, and encoded translations.
    list: Vec<(u64, Vec<u8>)>,
    bytes: usize,
    /// How many of them, and of how many bytes, are written already.
    saved: (usize, usize),
    /// Checksums of what was taken from the file.
    taken: FxHashSet<u64>,
}

/// Stored translations of one guest under one set of circumstances.
pub struct Store {
    path: PathBuf,
    circumstances: String,
    /// The file as it was in the beginning.
    file: Option<StoreFile>,
    new: Mutex<New>,
}

impl fmt::Debug for Store {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.debug_struct("Store").field("path", &self.path).finish_non_exhaustive()
    }
}

/// What is the same as long as the emulator's file is: a new build makes other code.
fn emulator() -> io::Result<String> {
    use std::os::unix::fs::MetadataExt;
    let file = fs::metadata("/proc/self/exe")?;
    Ok(format!("{}:{}:{}:{}.{}", file.dev(), file.ino(), file.size(), file.mtime(), file.mtime_nsec()))
}

impl Store {
    /// The translations in `folder` of the guest `name` (part of a file's name) with all that `circumstances` tells of it and of
    /// how it is translated. The folder is made if it is missing.
    pub fn open(folder: &Path, name: &str, circumstances: &str) -> io::Result<Self> {
        use std::os::unix::fs::DirBuilderExt;
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let features = crate::host::HostFeatures::detect();
        let circumstances = format!("{} {features:?} {circumstances}", emulator()?);
        let path =
            folder.join(format!("{name}-{:016x}.{}", checksum(circumstances.as_bytes()), file::SUFFIX));
        let file = StoreFile::open(&path, &circumstances).ok();
        Ok(Self { path, circumstances, file, new: Mutex::default() })
    }

    /// Whether nothing was stored when it was opened.
    pub fn is_empty(&self) -> bool {
        self.file.is_none()
    }

    /// Whether there may be a translation under `key`.
    pub fn may_have(&self, key: Key) -> bool {
        self.file.as_ref().is_some_and(|file| file.find(key.hash()).next().is_some())
    }

    /// A translation under `key` that was stored and `fits`, preferably of a hot loop.
    pub fn find(&self, key: Key, mut fits: impl FnMut(&Stored) -> bool) -> Option<Stored> {
        let hash = key.hash();
        let mut best: Option<(u64, Stored)> = None;
        for bytes in self.file.iter().flat_map(|file| file.find(hash)) {
            let Some((sum, bytes)) = file::checked(bytes) else { continue };
            let Ok(stored) = postcard::from_bytes::<Stored>(bytes) else { continue };
            let better = best.as_ref().is_none_or(|(_, best)| stored.hot && !best.hot);
            if better && stored.mode == key.mode && stored.piece.is_sound() && fits(&stored) {
                best = Some((sum, stored));
            }
        }
        let (sum, stored) = best?;
        self.new.lock().taken.insert(sum);
        Some(stored)
    }

    /// Remembers a translation that was made under `key`.
    pub fn add(&self, key: Key, stored: &Stored) {
        let Ok(bytes) = postcard::to_allocvec(stored) else { return };
        let mut new = self.new.lock();
        if new.bytes + bytes.len() > FILE_LIMIT {
            return;
        }
        new.bytes += bytes.len();
        new.list.push((key.hash(), bytes));
    }

    /// Keeps others from adding while a process is copied; the copy makes it empty, or it would write all a second time.
    pub(super) fn hold(&self) -> MutexGuard<'_, New> {
        self.new.lock()
    }

    /// Writes what is new, if it is worth it: to the end of the file, or if that has become long, with what is of use of it to a new one.
    /// Another emulator may do the same: of files that are replaced the last one stays.
    pub fn save(&self) -> io::Result<()> {
        let mut new = self.new.lock();
        if new.bytes - new.saved.1 < LEAST_NEW {
            return Ok(());
        }
        let old = StoreFile::open(&self.path, &self.circumstances).ok();
        let whole = old.as_ref().is_none_or(|old| {
            old.chunks() >= MOST_CHUNKS || old.len() + new.bytes - new.saved.1 > FILE_LIMIT
        });
        if whole {
            file::write(&self.path, &self.circumstances, &new.with(old.as_ref()))?;
        } else {
            let mut known = FxHashSet::default();
            let list = new.list[new.saved.0..].iter().map(|(key, bytes)| (*key, &bytes[..]));
            file::append(&self.path, &self.circumstances, |old| {
                let mut is_news = |key, sum| known.insert((key, sum)) && !old.has(key, sum);
                list.filter(|(key, bytes)| is_news(*key, checksum(bytes))).collect()
            })?;
        }
        new.saved = (new.list.len(), new.bytes);
        self.path.parent().map_or(Ok(()), |folder| file::limit(folder, FOLDER_LIMIT))
    }
}

impl New {
    /// All of these, and what there is room for of `old`.
    fn with<'a>(&'a self, old: Option<&'a StoreFile>) -> Vec<(u64, &'a [u8])> {
        let mut known = FxHashSet::default();
        let mut list: Vec<(u64, &[u8])> = Vec::new();
        let mut room = FILE_LIMIT;
        for (key, bytes) in &self.list {
            if known.insert((*key, checksum(bytes))) {
                room = room.saturating_sub(bytes.len());
                list.push((*key, bytes));
            }
        }
        let mut keep = |(key, sum, bytes): &(u64, u64, &[u8])| {
            let fits = bytes.len() <= room && known.insert((*key, *sum));
            if fits {
                room -= bytes.len();
            }
            fits
        };
        // What was of use now is likely to be so again.
        let mut old: Vec<_> = old.into_iter().flat_map(StoreFile::all).collect();
        // As they stand in the file.
        old.sort_by_key(|(_, _, bytes)| bytes.as_ptr());
        let (used, unused): (Vec<_>, Vec<_>) =
            old.into_iter().partition(|(_, sum, _)| self.taken.contains(sum));
        list.extend(used.into_iter().chain(unused).filter(&mut keep).map(|(key, _, bytes)| (key, bytes)));
        list
    }
}

#[cfg(test)]
mod tests;
