//! The file of a [`super::Store`]: chunks, each what one run has added.
//!
//! A chunk is a head, an index sorted by key, and translations; it begins at a multiple of 16. What is behind the last whole chunk is
//! none yet: somebody writes it now, or has not come to its end. All words are little-endian.
//!
//! | bytes | what |
//! |---|---|
//! | 16 | [`MAGIC`] |
//! | 8 | length of the chunk |
//! | 4, 4 | length of the circumstances, number of translations |
//! | | the circumstances |
//! | 4 for each, and one more | the keys in equal parts, a power of two, at least as many as translations: number of the first in each |
//! | 16 for each | key, offset in the chunk, length |
//! | | translations: checksum (8 bytes) and what it is of |
//!
//! Each part has zeros to a multiple of 16.
//!
//! Translations stand in the order in which they were made: they will be wanted in much the same order, and what is read in order is
//! in the host's caches in time.

use super::checksum;
use memmap2::Mmap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// Ending of the files' names.
pub const SUFFIX: &str = "translations";

const MAGIC: [u8; 16] = *b"mimic store v2\0\0";
const HEAD: usize = 32;
const ENTRY: usize = 16;
/// Chunks and what stands in them begin at multiples of this.
const ALIGN: usize = 16;

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

/// Where things are in a file.
struct Chunk {
    start: usize,
    len: usize,
    /// How many translations there are.
    count: usize,
    /// The table of parts, and the index.
    parts: usize,
    index: usize,
}

/// How many equal parts all keys are divided into for `count` translations.
fn parts(count: usize) -> usize {
    count.next_power_of_two()
}

/// In which of `parts` parts of all keys `key` is.
fn part(key: u64, parts: usize) -> usize {
    ((u128::from(key) * parts as u128) >> u64::BITS) as usize
}

/// Where the table of parts of a chunk with a head of `words` bytes and `count` translations is, its index, and what is behind that.
fn layout(words: usize, count: usize) -> [usize; 3] {
    let table = (HEAD + words).next_multiple_of(ALIGN);
    let index = (table + (parts(count) + 1) * 4).next_multiple_of(ALIGN);
    [table, index, index + count * ENTRY]
}

impl Chunk {
    /// The chunk at `start`, if it is whole and made under these circumstances.
    fn read(file: &[u8], start: usize, circumstances: &str) -> Option<Self> {
        let bytes = file.get(start..)?;
        let len = usize::try_from(long(bytes, 16)?).ok()?;
        let bytes = bytes.get(..len)?;
        let (words, count) = (word(bytes, 24)? as usize, word(bytes, 28)? as usize);
        let [table, index, end] = layout(words, count);
        let right = bytes.starts_with(&MAGIC) && bytes.get(HEAD..HEAD + words)? == circumstances.as_bytes();
        (right && end <= len).then_some(Self {
            start,
            len,
            count,
            parts: start + table,
            index: start + index,
        })
    }
}

/// A file that was there.
pub struct StoreFile {
    bytes: Mmap,
    chunks: Vec<Chunk>,
}

impl StoreFile {
    /// Opens it, if it is ours alone and made under the same circumstances.
    pub fn open(path: &Path, circumstances: &str) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW).open(path)?;
        Self::of(&file, circumstances)
    }

    fn of(file: &File, circumstances: &str) -> io::Result<Self> {
        let meta = file.metadata()?;
        // SAFETY: has no preconditions.
        let ours = meta.uid() == unsafe { libc::geteuid() } && meta.mode() & 0o022 == 0;
        if !meta.is_file() || !ours {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        // SAFETY: nobody but this user can change the file, and emulators change nothing that is in a whole chunk.
        let bytes = unsafe { Mmap::map(file)? };
        let mut chunks: Vec<Chunk> = Vec::new();
        let end = |chunks: &[Chunk]| chunks.last().map_or(0, |last| last.start + last.len);
        while let Some(chunk) = Chunk::read(&bytes, end(&chunks), circumstances) {
            chunks.push(chunk);
        }
        if chunks.is_empty() { Err(io::ErrorKind::InvalidData.into()) } else { Ok(Self { bytes, chunks }) }
    }

    /// Its size in bytes.
    pub fn len(&self) -> usize {
        self.chunks.last().map_or(0, |last| last.start + last.len)
    }

    /// How many runs have added to it.
    pub fn chunks(&self) -> usize {
        self.chunks.len()
    }

    fn key(&self, chunk: &Chunk, n: usize) -> u64 {
        long(&self.bytes, chunk.index + n * ENTRY).unwrap_or(0)
    }

    fn entry(&self, chunk: &Chunk, n: usize) -> Option<&[u8]> {
        let at = chunk.index + n * ENTRY;
        let (offset, len) = (word(&self.bytes, at + 8)? as usize, word(&self.bytes, at + 12)? as usize);
        self.bytes[chunk.start..][..chunk.len].get(offset..offset + len)
    }

    /// What is stored under `key`, with checksums.
    pub fn find(&self, key: u64) -> impl Iterator<Item = &[u8]> {
        self.chunks.iter().flat_map(move |chunk| {
            let at = chunk.parts + part(key, parts(chunk.count)) * 4;
            let first = |at: usize| word(&self.bytes, at).map_or(0, |n| chunk.count.min(n as usize));
            (first(at)..first(at + 4))
                .filter(move |n| self.key(chunk, *n) == key)
                .filter_map(|n| self.entry(chunk, n))
        })
    }

    /// Whether there is something under `key` that has checksum `sum`.
    pub fn has(&self, key: u64, sum: u64) -> bool {
        self.find(key).any(|bytes| long(bytes, 0) == Some(sum))
    }

    /// Everything that is not damaged: key, checksum, translation.
    pub fn all(&self) -> impl Iterator<Item = (u64, u64, &[u8])> {
        let entries = self.chunks.iter().flat_map(|chunk| (0..chunk.count).map(move |n| (chunk, n)));
        entries.filter_map(|(chunk, n)| {
            let (sum, bytes) = checked(self.entry(chunk, n)?)?;
            Some((self.key(chunk, n), sum, bytes))
        })
    }
}

/// Has the file at `path` be one with these translations.
pub fn write(path: &Path, circumstances: &str, list: &[(u64, &[u8])]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    // Only this user can read and write it.
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    write_chunk(file.as_file_mut(), circumstances, list)?;
    file.persist(path)?;
    Ok(())
}

/// Adds to the file at `path` what `choose` wants to, who is shown what there is by then.
pub fn append<'a>(
    path: &Path,
    circumstances: &str,
    choose: impl FnOnce(&StoreFile) -> Vec<(u64, &'a [u8])>,
) -> io::Result<()> {
    let mut file = OpenOptions::new().read(true).write(true).custom_flags(libc::O_NOFOLLOW).open(path)?;
    // One emulator after the other, until it is closed. What is replaced meanwhile loses these, and no more.
    file.lock()?;
    let old = StoreFile::of(&file, circumstances)?;
    let list = choose(&old);
    if list.is_empty() {
        return Ok(());
    }
    let end = old.len() as u64;
    file.set_len(end)?;
    file.seek(SeekFrom::Start(end))?;
    write_chunk(&mut file, circumstances, &list)
}

fn write_chunk(file: &mut File, circumstances: &str, list: &[(u64, &[u8])]) -> io::Result<()> {
    let [table, index, first] = layout(circumstances.len(), list.len());
    let mut end = first;
    let place = |(key, bytes): &(u64, &[u8])| {
        let (at, len) = (end, bytes.len() + 8);
        end += len;
        (*key, at, len)
    };
    let mut entries: Vec<_> = list.iter().map(place).collect();
    entries.sort_unstable();
    let mut head = Vec::with_capacity(first);
    head.extend(MAGIC);
    head.extend((end.next_multiple_of(ALIGN) as u64).to_le_bytes());
    [circumstances.len(), list.len()].iter().for_each(|n| head.extend((*n as u32).to_le_bytes()));
    head.extend(circumstances.as_bytes());
    head.resize(table, 0);
    let parts = parts(list.len());
    for n in 0..=parts {
        let first = entries.partition_point(|(key, ..)| part(*key, parts) < n);
        head.extend((first as u32).to_le_bytes());
    }
    head.resize(index, 0);
    for (key, at, len) in entries {
        head.extend(key.to_le_bytes());
        [at, len].iter().for_each(|n| head.extend((*n as u32).to_le_bytes()));
    }
    let mut to = BufWriter::with_capacity(1 << 16, file);
    to.write_all(&head)?;
    for (_, bytes) in list {
        to.write_all(&checksum(bytes).to_le_bytes())?;
        to.write_all(bytes)?;
    }
    to.write_all(&[0; ALIGN][..end.next_multiple_of(ALIGN) - end])?;
    to.flush()
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
