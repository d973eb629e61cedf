//! What images consist of: bytes, or part of a file that is read only when it is put into memory.
//!
//! Kernels and initial file systems are large, so what can stay in its file does: a start copies it once, and a reset reads it
//! again from the file that was opened at the start.

use base::GuestRam;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use vm_memory::{Bytes, GuestAddress, GuestMemoryError};

/// The bytes of an image, or of a part of one.
#[derive(Clone)]
pub enum Content {
    /// In memory.
    Bytes(Vec<u8>),
    /// The whole of a file, which stays open.
    File {
        /// It.
        file: Arc<File>,
        /// Its size when it was opened.
        len: u64,
    },
}

impl Content {
    /// That of the file at `path`: left there if it is a regular file. At most `most` bytes and one more are read of others.
    pub fn open(path: &Path, most: u64) -> io::Result<Self> {
        let file = File::open(path)?;
        let known = file.metadata()?;
        if known.is_file() {
            return Ok(Self::File { file: Arc::new(file), len: known.len() });
        }
        let mut bytes = Vec::new();
        file.take(most + 1).read_to_end(&mut bytes)?;
        Ok(Self::Bytes(bytes))
    }

    /// Bytes in all.
    pub fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File { len, .. } => *len,
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The first `most` bytes, or as many as there are.
    pub fn head(&self, most: usize) -> io::Result<Vec<u8>> {
        let n = most.min(self.len() as usize);
        match self {
            Self::Bytes(bytes) => Ok(bytes[..n].to_vec()),
            Self::File { file, .. } => {
                let mut head = vec![0; n];
                file.read_exact_at(&mut head, 0)?;
                Ok(head)
            }
        }
    }

    /// All of it, in memory.
    pub fn into_bytes(self) -> io::Result<Vec<u8>> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            Self::File { .. } => self.head(usize::MAX),
        }
    }

    /// Copies it to `addr`.
    pub fn put(&self, ram: &GuestRam, addr: GuestAddress) -> Result<(), GuestMemoryError> {
        match self {
            Self::Bytes(bytes) => ram.write_slice(bytes, addr),
            Self::File { file, len } => {
                let mut file = &**file;
                file.seek(SeekFrom::Start(0)).map_err(GuestMemoryError::IOError)?;
                ram.read_exact_volatile_from(addr, &mut file, *len as usize)
            }
        }
    }
}
