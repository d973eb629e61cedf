//! A disk whose writes are kept apart from its image, and thrown away at the end. What it held at a moment can be kept and put back.
//!
//! Blocks that were written are in a file without a name, each in a slot. A slot that somebody has kept is not written again: the block
//! gets another one.

use super::BlockBackend;
use super::image::nameless_file;
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Weak};

const BLOCK: u64 = 4096;

/// Where a written block is.
#[derive(Clone, Copy)]
struct Slot {
    number: u64,
    /// How often the disk was kept or put back before it got this slot.
    age: u64,
}

type Blocks = BTreeMap<u64, Slot>;

/// What a [`Throwaway`] held at one moment.
#[derive(Clone)]
pub struct KeptDisk(Arc<Blocks>);

struct State {
    file: File,
    blocks: Blocks,
    age: u64,
    /// Slots below `used` that nobody uses.
    free: BTreeSet<u64>,
    used: u64,
    kept: Vec<Weak<Blocks>>,
}

/// A disk whose writes are thrown away.
pub struct Throwaway {
    base: Arc<dyn BlockBackend>,
    read_only: bool,
    state: Mutex<State>,
}

impl Throwaway {
    /// A disk with what is in `base`, to which nothing is written; the guest may write unless it is `read_only`.
    pub fn new(base: Arc<dyn BlockBackend>, read_only: bool) -> io::Result<Self> {
        let (blocks, free, kept) = (Blocks::new(), BTreeSet::new(), Vec::new());
        let state = State { file: nameless_file()?, blocks, age: 0, free, used: 0, kept };
        Ok(Self { base, read_only, state: Mutex::new(state) })
    }

    /// Keeps what it holds now.
    pub fn keep(&self) -> KeptDisk {
        let mut state = self.state.lock();
        state.age += 1;
        let blocks = Arc::new(state.blocks.clone());
        state.kept.retain(|kept| kept.strong_count() != 0);
        state.kept.push(Arc::downgrade(&blocks));
        KeptDisk(blocks)
    }

    /// Has it hold what it held when `kept` was kept.
    pub fn put_back(&self, kept: &KeptDisk) {
        let mut state = self.state.lock();
        state.age += 1;
        state.blocks = (*kept.0).clone();
        let live: Vec<Arc<Blocks>> = state.kept.iter().filter_map(Weak::upgrade).collect();
        let in_use: BTreeSet<u64> =
            live.iter().flat_map(|blocks| blocks.values()).map(|slot| slot.number).collect();
        state.free = (0..state.used).filter(|number| !in_use.contains(number)).collect();
    }

    fn check(&self, offset: u64, len: usize) -> io::Result<()> {
        let end = offset.checked_add(len as u64);
        if end.is_none_or(|end| end > self.capacity()) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }

    /// What block `number` holds, as far as the disk goes.
    fn read_block(&self, state: &State, number: u64, block: &mut [u8]) -> io::Result<()> {
        match state.blocks.get(&number) {
            Some(slot) => state.file.read_exact_at(block, slot.number * BLOCK),
            None => self.base.read(number * BLOCK, block),
        }
    }

    fn write_block(&self, state: &mut State, number: u64, at: usize, bytes: &[u8]) -> io::Result<()> {
        let len = BLOCK.min(self.capacity() - number * BLOCK) as usize;
        let mut block = [0; BLOCK as usize];
        if bytes.len() < len {
            self.read_block(state, number, &mut block[..len])?;
        }
        block[at..at + bytes.len()].copy_from_slice(bytes);
        let age = state.age;
        let slot = match state.blocks.get(&number).copied().filter(|slot| slot.age == age) {
            Some(slot) => slot,
            None => {
                let number = state.free.pop_first().unwrap_or(state.used);
                state.used = state.used.max(number + 1);
                Slot { number, age }
            }
        };
        // A whole block, so that reading never comes to the end of the file.
        state.file.write_all_at(&block, slot.number * BLOCK)?;
        state.blocks.insert(number, slot);
        Ok(())
    }
}

/// The parts of `len` bytes at `offset` by blocks: number, first byte in it, and the part of the whole.
fn parts(offset: u64, len: usize) -> impl Iterator<Item = (u64, usize, std::ops::Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let at = offset + done as u64;
        let (number, first) = (at / BLOCK, (at % BLOCK) as usize);
        let n = (len - done).min(BLOCK as usize - first);
        let part = done..done + n;
        done += n;
        (n != 0).then_some((number, first, part))
    })
}

impl BlockBackend for Throwaway {
    fn capacity(&self) -> u64 {
        self.base.capacity()
    }

    fn read_only(&self) -> bool {
        self.read_only
    }

    fn read(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.check(offset, buffer.len())?;
        self.base.read(offset, buffer)?;
        let state = self.state.lock();
        for (number, first, part) in parts(offset, buffer.len()) {
            if let Some(slot) = state.blocks.get(&number) {
                state.file.read_exact_at(&mut buffer[part], slot.number * BLOCK + first as u64)?;
            }
        }
        Ok(())
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.check(offset, bytes.len())?;
        if self.read_only {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let mut state = self.state.lock();
        parts(offset, bytes.len())
            .try_for_each(|(number, first, part)| self.write_block(&mut state, number, first, &bytes[part]))
    }

    fn flush(&self) -> io::Result<()> {
        Ok(())
    }

    /// Nothing is given back: what is read afterwards has to be the same in each run.
    fn discard(&self, offset: u64, len: u64) -> io::Result<()> {
        self.check(offset, usize::try_from(len).map_err(|_| io::ErrorKind::UnexpectedEof)?)
    }

    fn write_zeroes(&self, offset: u64, len: u64, _unmap: bool) -> io::Result<()> {
        let zeros = vec![0; len.min(1 << 20) as usize];
        self.check(offset, usize::try_from(len).map_err(|_| io::ErrorKind::UnexpectedEof)?)?;
        let mut at = offset;
        while at < offset + len {
            let n = (offset + len - at).min(zeros.len() as u64);
            self.write(at, &zeros[..n as usize])?;
            at += n;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::block::testing::TempDir;
    use crate::host::block::{Image, ImageFormat, ImageOptions};

    #[test]
    fn random_writes_come_back_as_they_were_kept() {
        const SIZE: usize = 10 * BLOCK as usize + 512;
        let original: Vec<u8> = (0..SIZE).map(|n| (n * 7 % 251) as u8).collect();
        let folder = TempDir::new();
        let file = folder.path("disk.raw");
        std::fs::write(&file, &original).expect("writable");
        let options = ImageOptions { format: Some(ImageFormat::Raw), read_only: true, ..Default::default() };
        let base = Arc::new(Image::open(&file, options).expect("an image"));
        let disk = Throwaway::new(base.clone(), false).expect("a temporary file");
        let (mut model, mut kept) = (original.clone(), Vec::new());
        let mut random = 1u64;
        let mut next = |most: usize| {
            random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            (random >> 33) as usize % most
        };
        for step in 0..3000 {
            let at = next(SIZE);
            let len = next(9000).min(SIZE - at);
            match next(10) {
                0 if kept.len() < 6 => kept.push((disk.keep(), model.clone())),
                1 if !kept.is_empty() => {
                    let (state, held) = &kept[next(kept.len())];
                    disk.put_back(state);
                    model.clone_from(held);
                }
                2 if !kept.is_empty() => drop(kept.swap_remove(next(kept.len()))),
                3 => {
                    disk.write_zeroes(at as u64, len as u64, true).expect("in range");
                    model[at..at + len].fill(0);
                }
                _ => {
                    let bytes: Vec<u8> = (0..len).map(|n| (n + step) as u8).collect();
                    disk.write(at as u64, &bytes).expect("in range");
                    model[at..at + len].copy_from_slice(&bytes);
                }
            }
            let (at, len) = (next(SIZE), next(5000));
            let len = len.min(SIZE - at);
            let mut read = vec![0; len];
            disk.read(at as u64, &mut read).expect("in range");
            assert!(read == model[at..at + len], "step {step}");
        }
        let slots = disk.state.lock().used;
        assert!(slots <= 11 * 8, "{slots} slots for at most seven versions of eleven blocks");
        assert!(std::fs::read(&file).expect("readable") == original, "the image is as it was");
        assert!(disk.read(SIZE as u64, &mut [0]).is_err() && disk.write(u64::MAX, &[0]).is_err());
        assert!(Throwaway::new(base, true).expect("a file").write(0, &[1]).is_err());
    }
}
