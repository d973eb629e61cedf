//! Images and texts that every board has at power-on.

use std::path::{Path, PathBuf};

use devices::virtio::{EntropySource, HostEntropy};
use firmware::content::Content;
use firmware::find;
use firmware::image::{Image, Segment};

use super::error::SystemError;
use super::seeded::Seeded;
use crate::options::{DriveInterface, SystemOptions};

/// Bytes of entropy that the kernel gets.
const SEED_BYTES: usize = 32;

/// Whether something is in the first flash chip.
pub fn has_flash(options: &SystemOptions) -> bool {
    let in_chip = |d: &crate::options::Drive| d.interface == DriveInterface::Pflash && d.unit == 0;
    options.machine.pflash[0].is_some() || options.drives.iter().any(in_chip)
}

/// The file that `-bios` names: in a directory of `-L`, as a path, or where distributions put firmware.
pub fn firmware_file(options: &SystemOptions, name: &str) -> Result<PathBuf, SystemError> {
    let given = options.data_dirs.iter().map(|dir| Path::new(dir).join(name)).find(|path| path.is_file());
    let missing = || SystemError::refused(&format!("-bios {name}"), "there is no such firmware file");
    given.or_else(|| find::named(name)).ok_or_else(missing)
}

/// Something at an address.
pub fn blob(addr: u64, content: Content) -> Image {
    let size = content.len();
    Image { segments: vec![Segment { addr, content, size }], entry: addr, is_elf: false }
}

/// No two images have a byte in common.
pub fn overlap(images: &[(String, Image)]) -> Result<(), SystemError> {
    for (nth, (what, image)) in images.iter().enumerate() {
        for (other, earlier) in &images[..nth] {
            let hit = |a: &Segment, b: &Segment| a.addr < b.end() && b.addr < a.end();
            if image.segments.iter().any(|a| earlier.segments.iter().any(|b| hit(a, b))) {
                return Err(SystemError::refused(what, format!("overlaps {other} in memory")));
            }
        }
    }
    Ok(())
}

/// Entropy for the kernel of `world`, and for where it stands; with `-seed` the same in each run. Nothing where the host has none.
pub fn seed(options: &SystemOptions, world: u64) -> (Vec<u8>, Option<u64>) {
    let mut bytes = vec![0; SEED_BYTES + 8];
    let filled = match options.seed {
        Some(seed) => Seeded::new(seed.wrapping_add(world << 48)).fill(&mut bytes),
        None => HostEntropy.fill(&mut bytes),
    };
    if filled.is_err() {
        return (Vec::new(), None);
    }
    let last = bytes.split_off(SEED_BYTES);
    (bytes, last.try_into().ok().map(u64::from_le_bytes))
}
