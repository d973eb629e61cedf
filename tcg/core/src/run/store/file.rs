//! The file of a [`super::Store`]: a head, an index sorted by key, and the translations.
//!
//! All words are little-endian.
//!
//! | bytes | what |
//! |---|---|
//! | 16 | [`MAGIC`] |
//! | 4, 4 | length of the circumstances, number of translations |
//! | | the circumstances, with zeros to a multiple of 16 |
//! | 16 for each | key, offset in the file, length |
//! | | translations: checksum (8 bytes) and what it is of |

use super::checksum;
use memmap2::Mmap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// Ending of the files' names.
pub const SUFFIX: &str = "translations";

const MAGIC: [u8; 16] = *b"mimic store v1\0\0";
const HEAD: usize = 24;
const ENTRY: usize = 16;

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn long(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

/// The checksum and the rest, if they belong together.
pub fn checked(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (sum, rest) = (long(bytes, 0)?, &bytes[8..]);
    (checksum(rest) == sum).then_some((sum, rest))
}

/// A file that was there.
pub struct StoreFile {
    bytes: Mmap,
    index: usize,
    count: usize,
}

impl StoreFile {
    /// Opens it, if it is ours alone and made under the same circumstances.
    pub fn open(path: &Path, circumstances: &str) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW).open(path)?;
        let meta = file.metadata()?;
        // SAFETY: has no preconditions.
        let ours = meta.uid() == unsafe { libc::geteuid() } && meta.mode() & 0o022 == 0;
        if !meta.is_file() || !ours {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        // SAFETY: nobody but this user can change the file, and emulators only ever replace it.
        let bytes = unsafe { Mmap::map(&file)? };
        Self::check(&bytes, circumstances)
            .map(|(index, count)| Self { bytes, index, count })
            .ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// Where the index is, and how many entries it has.
    fn check(bytes: &[u8], circumstances: &str) -> Option<(usize, usize)> {
        let (len, count) = (word(bytes, 16)? as usize, word(bytes, 20)? as usize);
        let right = bytes.starts_with(&MAGIC) && bytes.get(HEAD..HEAD + len)? == circumstances.as_bytes();
        let index = (HEAD + len).next_multiple_of(16);
        (right && index + count * ENTRY <= bytes.len()).then_some((index, count))
    }

    /// Its size in bytes.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    fn key(&self, n: usize) -> u64 {
        long(&self.bytes, self.index + n * ENTRY).unwrap_or(0)
    }

    fn entry(&self, n: usize) -> Option<&[u8]> {
        let at = self.index + n * ENTRY;
        let (offset, len) = (word(&self.bytes, at + 8)? as usize, word(&self.bytes, at + 12)? as usize);
        self.bytes.get(offset..offset + len)
    }

    /// What is stored under `key`, with checksums.
    pub fn find(&self, key: u64) -> impl Iterator<Item = &[u8]> {
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.key(middle) < key { low = middle + 1 } else { high = middle }
        }
        (low..self.count).take_while(move |n| self.key(*n) == key).filter_map(|n| self.entry(n))
    }

    /// Everything that is not damaged: key, checksum, translation.
    pub fn all(&self) -> impl Iterator<Item = (u64, u64, &[u8])> {
        (0..self.count).filter_map(|n| {
            let (sum, bytes) = checked(self.entry(n)?)?;
            Some((self.key(n), sum, bytes))
        })
    }
}

/// Has the file at `path` be one with these translations.
pub fn write(path: &Path, circumstances: &str, mut list: Vec<(u64, &[u8])>) -> io::Result<()> {
    list.sort_unstable();
    let folder = path.parent().unwrap_or(Path::new("."));
    // Only this user can read and write it.
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    let mut to = BufWriter::new(file.as_file_mut());
    let index = (HEAD + circumstances.len()).next_multiple_of(16);
    to.write_all(&MAGIC)?;
    to.write_all(&(circumstances.len() as u32).to_le_bytes())?;
    to.write_all(&(list.len() as u32).to_le_bytes())?;
    to.write_all(circumstances.as_bytes())?;
    to.write_all(&[0; 16][..index - HEAD - circumstances.len()])?;
    let mut at = index + list.len() * ENTRY;
    for (key, bytes) in &list {
        let len = bytes.len() + 8;
        to.write_all(&key.to_le_bytes())?;
        to.write_all(&(at as u32).to_le_bytes())?;
        to.write_all(&(len as u32).to_le_bytes())?;
        at += len;
    }
    for (_, bytes) in &list {
        to.write_all(&checksum(bytes).to_le_bytes())?;
        to.write_all(bytes)?;
    }
    to.flush()?;
    drop(to);
    file.persist(path)?;
    Ok(())
}

/// Removes the oldest files of a folder, until no more than `limit` bytes are left.
pub fn limit(folder: &Path, limit: u64) -> io::Result<()> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|suffix| suffix == SUFFIX)
            && let Ok(meta) = File::open(&path).and_then(|file| file.metadata())
        {
            files.push((meta.modified()?, meta.len(), path));
        }
    }
    files.sort_unstable();
    let mut total: u64 = files.iter().map(|(_, len, _)| len).sum();
    for (_, len, path) in files {
        if total <= limit {
            break;
        }
        // Another emulator may have done it.
        let _ = fs::remove_file(path);
        total -= len;
    }
    Ok(())
}
