//! Snapshots within an image, and the machine's state there.

use std::io;

use control::SnapshotInfo;
use devices::host::block::{Image, Snapshots, StateReader, StateWriter};
use engine::snapshot::file::{Input, Output};

/// What the names begin with that disks know checkpoints by; a tag begins with no dot.
pub const CHECKPOINT: &str = ".checkpoint.";

/// The snapshots within an image, as monitors list them.
pub fn of_image(image: &Image) -> Vec<SnapshotInfo> {
    let info = |info: devices::host::block::SnapshotInfo| SnapshotInfo {
        id: info.id,
        tag: info.name,
        state_size: info.state_size,
        date: info.date,
        clock: info.vm_clock,
    };
    // One that can not be read has none that could be loaded.
    let all = image.snapshots().unwrap_or_default().into_iter();
    all.filter(|info| !info.name.starts_with(CHECKPOINT)).map(info).collect()
}

/// Deletes the snapshots of an image that have such names.
pub fn forget(image: &Image, which: impl Fn(&str) -> bool) -> io::Result<()> {
    let wanted = |snapshots: &Snapshots| snapshots.list().iter().position(|info| which(&info.name));
    image.with_snapshots(|snapshots| {
        while let Some(index) = wanted(snapshots) {
            snapshots.delete(index)?;
        }
        Ok(())
    })
}

/// Writes a state into a qcow2 image.
pub struct Writer<'a>(pub StateWriter<'a>);

impl Output for Writer<'_> {
    fn restart(&mut self, bytes: u64) -> io::Result<()> {
        self.0.restart(bytes)
    }

    fn write(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write(at, bytes)
    }
}

/// Reads one.
pub struct Reader<'a>(pub StateReader<'a>);

impl Input for Reader<'_> {
    fn read(&mut self, at: u64, bytes: &mut [u8]) -> io::Result<()> {
        self.0.read(at, bytes)
    }

    fn len(&self) -> u64 {
        self.0.size()
    }

    fn is_hole(&mut self, from: u64, to: u64) -> io::Result<bool> {
        self.0.is_hole(from, to)
    }
}
