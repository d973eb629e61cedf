//! Which disks a snapshot is of, and where its state is.

use std::sync::Arc;

use control::{SnapshotRequest, StatePlace};
use devices::host::block::{Image, ImageFormat};

use super::in_disk::{CHECKPOINT, of_image};
use super::{Snapshots, folder};

/// A disk that is saved with the machine.
pub struct Kept {
    /// Its id, and the name of its node.
    pub names: [String; 2],
    pub image: Arc<Image>,
}

impl Kept {
    pub fn name(&self) -> &str {
        if self.names[0].is_empty() { &self.names[1] } else { &self.names[0] }
    }

    pub fn node(&self) -> &str {
        &self.names[1]
    }

    pub fn has(&self, tag: &str) -> bool {
        self.image.snapshots().is_ok_and(|list| list.iter().any(|info| info.name == tag))
    }
}

/// Where a machine's state is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In the folder.
    Folder,
    /// In this disk.
    Disk(usize),
    /// In this process.
    Memory,
}

/// The disks that are meant.
pub struct Chosen {
    /// All that there are; the others are numbers of these.
    pub all: Vec<Kept>,
    /// qcow2 disks.
    pub disks: Vec<usize>,
    /// Raw ones that the folder is for.
    pub raw: Vec<usize>,
}

/// What is to be done, with all disks found.
pub struct Plan {
    pub tag: String,
    /// What disks and files know it by.
    pub name: String,
    /// The disks that there are; others are numbers of these.
    pub all: Vec<Kept>,
    /// qcow2 disks, and raw ones that the folder is for.
    pub disks: Vec<usize>,
    pub raw: Vec<usize>,
    pub place: Place,
}

impl Place {
    /// What disks and files know `tag` by.
    pub fn name(self, tag: &str) -> String {
        if self == Self::Memory { format!("{CHECKPOINT}{tag}") } else { tag.into() }
    }
}

/// What a snapshot is called that is not there, in QEMU's words.
pub fn missing(tag: &str) -> String {
    format!("Snapshot '{tag}' does not exist in one or more devices")
}

/// What to do where nothing can hold a state.
pub const NO_PLACE: &str =
    "no block device can store vmstate for snapshot; add a qcow2 disk, or start with -snapshot-dir DIR";

impl Plan {
    pub fn new(tag: &str, chosen: Chosen, place: Place) -> Self {
        let Chosen { all, disks, raw } = chosen;
        Self { tag: tag.into(), name: place.name(tag), all, disks, raw, place }
    }

    /// The raw disks.
    pub fn raw(&self) -> impl Iterator<Item = &Kept> {
        self.raw.iter().map(|n| &self.all[*n])
    }

    /// The disk that holds the state and is not saved itself.
    pub fn state_only(&self) -> Option<usize> {
        match self.place {
            Place::Disk(n) if !self.disks.contains(&n) => Some(n),
            _ => None,
        }
    }
}

impl Snapshots {
    /// Which disks are meant: qcow2 ones, and raw ones that the folder holds what they held of.
    pub(super) fn choose(&self, request: &SnapshotRequest) -> Result<Chosen, String> {
        let (tag, all) = (&request.tag, self.disks());
        if !folder::is_tag(tag) {
            return Err(format!(
                "'{tag}' is no name for a snapshot: it is 1 to 200 bytes long, without '/', and does not begin with '.'"
            ));
        }
        let named = match &request.disks {
            None => (0..all.len()).collect(),
            Some(names) if names.is_empty() => {
                return Err("At least one device is required for snapshot".into());
            }
            Some(names) => {
                let find = |name: &String| {
                    disk_called(&all, name).ok_or_else(|| format!("No block device node '{name}'"))
                };
                names.iter().map(find).collect::<Result<Vec<usize>, String>>()?
            }
        };
        let (mut disks, mut raw) = (Vec::new(), Vec::new());
        for n in named {
            let kept = &all[n];
            match kept.image.takes_snapshots() {
                Ok(()) => disks.push(n),
                Err(_) if self.folder.is_some() && kept.image.format() == ImageFormat::Raw => raw.push(n),
                Err(why) => {
                    let name = kept.name();
                    return Err(format!(
                        "Device '{name}' is writable but does not support snapshots: {why}; start with -snapshot-dir DIR, \
                         or convert it with qemu-img convert -O qcow2"
                    ));
                }
            }
        }
        Ok(Chosen { all, disks, raw })
    }

    pub(super) fn plan_load(&self, request: &SnapshotRequest) -> Result<Plan, String> {
        let Chosen { all, disks, raw } = self.choose(request)?;
        let tag = request.tag.clone();
        let name = if request.state == StatePlace::Memory { Place::Memory.name(&tag) } else { tag.clone() };
        let folder = self.folder.as_ref();
        let there = disks.iter().all(|n| all[*n].has(&name))
            && raw.iter().all(|n| match request.state {
                StatePlace::Memory => {
                    self.checkpoints.lock().get(&tag).is_none_or(|at| at.raw.contains_key(all[*n].node()))
                }
                _ => folder.is_some_and(|folder| folder.has_disk(&name, all[*n].node())),
            });
        let with_state = |n: &usize| {
            let list = of_image(&all[*n].image);
            list.iter().any(|info| info.tag == tag && info.state_size != 0)
        };
        let place = match &request.state {
            StatePlace::Memory => self.checkpoints.lock().contains_key(&tag).then_some(Place::Memory),
            StatePlace::Disk(name) => Some(Place::Disk(state_disk(&all, name)?)),
            StatePlace::Usual if folder.is_some_and(|folder| folder.has(&tag)) => Some(Place::Folder),
            StatePlace::Usual => disks.iter().copied().find(|n| with_state(n)).map(Place::Disk),
        };
        match place {
            Some(Place::Disk(n)) if there && !with_state(&n) => {
                Err("This is a disk-only snapshot. Revert to it offline using qemu-img".into())
            }
            Some(place) if there => Ok(Plan { tag, name, all, disks, raw, place }),
            None if request.state == StatePlace::Memory => Err(format!("There is no checkpoint '{tag}'")),
            None if folder.is_none() && disks.is_empty() => Err(NO_PLACE.into()),
            _ => Err(missing(&tag)),
        }
    }
}

fn disk_called(all: &[Kept], name: &str) -> Option<usize> {
    all.iter().position(|kept| kept.names.iter().any(|own| own == name))
}

pub fn state_disk(all: &[Kept], name: &str) -> Result<usize, String> {
    let found = disk_called(all, name).filter(|n| all[*n].image.takes_snapshots().is_ok());
    found.ok_or_else(|| format!("vmstate block device '{name}' does not exist"))
}
