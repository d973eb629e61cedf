//! The file form of a snapshot.
//!
//! | at | what |
//! |---|---|
//! | 0 | "MIMICSNP" |
//! | 8 | version of the form, 32 bits, little-endian |
//! | 12 | bytes of the state, 32 bits |
//! | 16 | the state: JSON, [`MachineState`] |
//! | next multiple of [`ALIGN`] | RAM, region after region, each at a multiple of [`ALIGN`] |
//!
//! What is zero in RAM is a hole. So a file can be mapped as RAM, privately, and is read as far as the guest touches it; the file must stay
//! as it is while the machine runs.

use super::{MachineState, Saver, SnapshotError};
use crate::cpus::Cpus;
use base::{CHUNK, RamImage, RamLayers};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

const MAGIC: &[u8; 8] = b"MIMICSNP";
const VERSION: u32 = 1;
const HEADER: usize = 16;
/// What RAM is aligned to: a multiple of every host's pages.
pub const ALIGN: u64 = 64 << 10;
/// Bytes of state that are read, at most.
const MAX_STATE: usize = 256 << 20;

const _: () =
    assert!(ALIGN.is_multiple_of(CHUNK as u64), "a chunk of RAM does not cross into another region");

/// Where a snapshot is written to. What is not written reads as zero.
pub trait Output {
    /// Nothing has been written.
    fn restart(&mut self, bytes: u64) -> io::Result<()>;
    /// Writes up to [`ALIGN`] bytes at a multiple of that.
    fn write(&mut self, at: u64, bytes: &[u8]) -> io::Result<()>;
}

/// Where a snapshot is read from.
pub trait Input {
    /// Fills `bytes`, from `at`.
    fn read(&mut self, at: u64, bytes: &mut [u8]) -> io::Result<()>;
    /// Bytes of the whole.
    fn len(&self) -> u64;
    /// Whether there is none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Whether all bytes between `from` and `to` are known to be zero, and need not be read.
    fn is_hole(&mut self, _from: u64, _to: u64) -> io::Result<bool> {
        Ok(false)
    }
    /// Calls `chunk` with the offset and the bytes of what may be other than zero between `from` and `to`, up to [`ALIGN`] bytes at a
    /// multiple of that.
    fn for_each_chunk(
        &mut self,
        from: u64,
        to: u64,
        chunk: &mut dyn FnMut(u64, &[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut bytes = vec![0; ALIGN as usize];
        for at in (from..to).step_by(ALIGN as usize) {
            let end = to.min(at + ALIGN);
            if !self.is_hole(at, end)? {
                let bytes = &mut bytes[..(end - at) as usize];
                self.read(at, bytes)?;
                chunk(at, bytes)?;
            }
        }
        Ok(())
    }
}

impl Output for &File {
    fn restart(&mut self, bytes: u64) -> io::Result<()> {
        self.set_len(0)?;
        self.set_len(bytes)
    }

    fn write(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.write_all_at(bytes, at)
    }
}

/// Where each region of RAM is in the file, after `state` bytes of state; and the end.
fn places(state: usize, regions: &[(u64, u64)]) -> (Vec<u64>, u64) {
    let mut at = (HEADER + state) as u64;
    let mut places = Vec::new();
    for (_, size) in regions {
        at = at.checked_next_multiple_of(ALIGN).unwrap_or(u64::MAX);
        places.push(at);
        at = at.saturating_add(*size);
    }
    (places, at)
}

/// The state of a snapshot, read and found to be one.
pub struct Header {
    state: MachineState,
    places: Vec<u64>,
}

impl Header {
    /// Reads that of `input`.
    pub fn read(input: &mut dyn Input) -> Result<Self, SnapshotError> {
        let len = input.len();
        let mut header = [0; HEADER];
        if len < HEADER as u64 {
            return Err(SnapshotError::Damaged("it is too short"));
        }
        let failed = || SnapshotError::host("cannot read the snapshot");
        input.read(0, &mut header).map_err(failed())?;
        let word =
            |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        if header[..8] != *MAGIC {
            return Err(SnapshotError::Damaged("it is no snapshot of Mimic's"));
        }
        if word(8) != VERSION {
            return Err(SnapshotError::Damaged("its form is of another version of Mimic"));
        }
        let size = word(12) as usize;
        if size > MAX_STATE || (HEADER + size) as u64 > len {
            return Err(SnapshotError::Damaged("its end is missing"));
        }
        let mut text = vec![0; size];
        input.read(HEADER as u64, &mut text).map_err(failed())?;
        let state: MachineState = serde_json::from_slice(&text)
            .map_err(|_| SnapshotError::Damaged("its state is not what a machine has"))?;
        let (places, end) = places(size, &state.ram);
        if end > len {
            return Err(SnapshotError::Damaged("its end is missing"));
        }
        Ok(Self { state, places })
    }

    /// What was saved.
    pub fn state(&self) -> &MachineState {
        &self.state
    }
}

impl Saver {
    /// Writes the machine as it is now; gives the number of bytes.
    pub fn write(&self, cpus: &mut dyn Cpus, to: &mut dyn Output) -> Result<u64, SnapshotError> {
        let keep = |state: &MachineState, ram: &mut RamLayers| {
            write(state, ram, to).map_err(SnapshotError::host("cannot write the snapshot"))
        };
        self.save(cpus, keep).map(|(_, bytes)| bytes)
    }

    /// Has the machine be what a snapshot says; `disks` puts those back once nothing goes on any more.
    pub fn read(
        &self,
        cpus: &mut dyn Cpus,
        header: &Header,
        ram: RamImage,
        disks: impl FnOnce() -> Result<(), SnapshotError>,
    ) -> Result<(), SnapshotError> {
        self.load(cpus, &header.state, |layers| {
            disks()?;
            Ok(layers.put_back(&ram)?)
        })
    }

    /// Whether a snapshot is of this machine.
    pub fn fits(&self, header: &Header) -> Result<(), SnapshotError> {
        self.check(&header.state, &self.ram.lock())
    }
}

fn write(state: &MachineState, ram: &RamLayers, to: &mut dyn Output) -> io::Result<u64> {
    let text = serde_json::to_vec(state)?;
    let (places, end) = places(text.len(), &state.ram);
    to.restart(end)?;
    let mut head = Vec::with_capacity(HEADER + text.len());
    head.extend(MAGIC);
    head.extend(VERSION.to_le_bytes());
    head.extend((text.len() as u32).to_le_bytes());
    head.extend(text);
    for (n, part) in (0u64..).zip(head.chunks(ALIGN as usize)) {
        to.write(n * ALIGN, part)?;
    }
    ram.for_each_chunk(|region, offset, bytes| to.write(places[region] + offset, bytes))?;
    Ok(end)
}

/// RAM that is mapped from `file` as the guest touches it.
pub fn mapped(header: &Header, file: &Arc<File>) -> RamImage {
    RamImage::in_files(header.places.iter().map(|at| (file.clone(), *at)).collect())
}

/// RAM that is read at once.
pub fn copied(header: &Header, input: &mut dyn Input) -> Result<RamImage, SnapshotError> {
    let mut files = Vec::new();
    for ((_, size), place) in header.state.ram.iter().zip(&header.places) {
        let file = base::anonymous_file(*size)?;
        let mut put = |at: u64, bytes: &[u8]| file.write_all_at(bytes, at - place);
        let read = input.for_each_chunk(*place, place + size, &mut put);
        read.map_err(SnapshotError::host("cannot read the snapshot"))?;
        files.push((Arc::new(file), 0));
    }
    Ok(RamImage::in_files(files))
}

/// A plain file, to read a snapshot from.
pub struct PlainFile(pub Arc<File>);

impl Input for PlainFile {
    fn read(&mut self, at: u64, bytes: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(bytes, at)
    }

    fn len(&self) -> u64 {
        self.0.metadata().map_or(0, |metadata| metadata.len())
    }
}
