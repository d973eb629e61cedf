//! Saved states of the machine, and where they are: in a qcow2 disk as an internal snapshot, or in the folder of `-snapshot-dir`.
//!
//! A snapshot has a tag. In the folder it is `TAG.state`, in the form of [`engine::snapshot::file`], and for each raw disk
//! `TAG.NODE.raw`, what that held; qcow2 disks keep what they held within themselves either way. A flash chip keeps its contents in the
//! state of the machine.
//!
//! A checkpoint has the machine's state in this process, and what raw disks held in files without a name. qcow2 disks have theirs as that
//! of a snapshot, under a name ([`Place::Memory`]) that no tag is like: so the two never touch each other. What they have of it is taken away at
//! the end of the run, or, where that was killed, at the beginning of the next.
//!
//! A recorded run has one snapshot, if `rrsnapshot=` names it: its beginning, which its replay can be put back to.

mod folder;

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use base::RamImage;
use control::{CheckpointInfo, SnapshotInfo, SnapshotRequest, StatePlace};
use devices::host::block::{Image, ImageFormat, Snapshots as InImage, StateReader, StateWriter};
use engine::replay::Backward;
use engine::snapshot::file::{ALIGN, Header, Input, Output, copied};
use engine::snapshot::{Checkpoint, Saver, SnapshotError};
use engine::{Cause, Cpus, Power, RunState};
use parking_lot::Mutex;

use crate::options::{Drive, SystemOptions};
use crate::system::inventory::Inventory;
use folder::Folder;

/// A disk that is saved with the machine.
struct Kept {
    /// Its id, and the name of its node.
    names: [String; 2],
    image: Arc<Image>,
}

impl Kept {
    fn name(&self) -> &str {
        if self.names[0].is_empty() { &self.names[1] } else { &self.names[0] }
    }

    fn node(&self) -> &str {
        &self.names[1]
    }

    fn has(&self, tag: &str) -> bool {
        self.image.snapshots().is_ok_and(|list| list.iter().any(|info| info.name == tag))
    }
}

/// Where a machine's state is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In the folder.
    Folder,
    /// In this disk.
    Disk(usize),
    /// In this process.
    Memory,
}

/// The disks that are meant.
struct Chosen {
    /// All that there are; the others are numbers of these.
    all: Vec<Kept>,
    /// qcow2 disks.
    disks: Vec<usize>,
    /// Raw ones that the folder is for.
    raw: Vec<usize>,
}

/// What is to be done, with all disks found.
struct Plan {
    tag: String,
    /// What disks and files know it by.
    name: String,
    /// The disks that there are; others are numbers of these.
    all: Vec<Kept>,
    /// qcow2 disks, and raw ones that the folder is for.
    disks: Vec<usize>,
    raw: Vec<usize>,
    place: Place,
}

/// What the names begin with that disks know checkpoints by; a tag begins with no dot.
const CHECKPOINT: &str = ".checkpoint.";

impl Place {
    /// What disks and files know `tag` by.
    fn name(self, tag: &str) -> String {
        if self == Self::Memory { format!("{CHECKPOINT}{tag}") } else { tag.into() }
    }
}

/// What a snapshot is called that is not there, in QEMU's words.
fn missing(tag: &str) -> String {
    format!("Snapshot '{tag}' does not exist in one or more devices")
}

/// What to do where nothing can hold a state.
const NO_PLACE: &str =
    "no block device can store vmstate for snapshot; add a qcow2 disk, or start with -snapshot-dir DIR";

/// Why a machine was not saved or put back.
struct Fault {
    what: String,
    /// The machine is partly what it was and partly what it was to be.
    mixed: bool,
}

impl From<String> for Fault {
    fn from(what: String) -> Self {
        Self { what, mixed: false }
    }
}

/// A state in this process.
struct Moment {
    machine: Checkpoint,
    /// What raw disks held, by the names of their nodes.
    raw: BTreeMap<String, File>,
}

/// The saved states of one machine.
pub struct Snapshots {
    saver: Arc<Saver>,
    power: Arc<Power>,
    inventory: Arc<Inventory>,
    folder: Option<Folder>,
    /// What the beginning of a recorded run is called.
    beginning: Option<String>,
    /// One thing at a time.
    busy: Mutex<()>,
    /// Why the machine could not be put back before it ran.
    fault: Mutex<Option<String>>,
    /// Those in this process.
    checkpoints: Mutex<BTreeMap<String, Moment>>,
}

impl Snapshots {
    /// Those of a machine that `saver` saves, with the disks of `inventory`.
    pub fn new(
        options: &SystemOptions,
        saver: Arc<Saver>,
        power: Arc<Power>,
        inventory: &Arc<Inventory>,
    ) -> Arc<Self> {
        let folder = options.snapshot_dir.as_ref().map(|path| Folder::new(path));
        let (inventory, busy, fault) = (inventory.clone(), Mutex::new(()), Mutex::new(None));
        let checkpoints = Mutex::default();
        let beginning = options.record().and_then(|record| record.snapshot.clone());
        let this = Arc::new(Self { saver, power, inventory, folder, beginning, busy, fault, checkpoints });
        // A run before may have been killed.
        this.forget_checkpoints();
        this
    }

    /// The disks that are saved with the machine.
    fn disks(&self) -> Vec<Kept> {
        let contents = self.inventory.contents();
        let mut kept: Vec<Kept> = contents
            .disks
            .open()
            .filter(|(_, disk)| !disk.flash && !disk.backend.read_only())
            .map(|(name, disk)| {
                let drive = contents.options.drive(name);
                let names = [
                    drive.map_or(String::new(), |drive| drive.id.clone()),
                    drive.map_or(name.into(), Drive::node_name),
                ];
                Kept { names, image: disk.image.clone() }
            })
            .collect();
        kept.sort_by(|a, b| a.names.cmp(&b.names));
        kept
    }

    /// Has the machine be what snapshot `tag` says before its first instruction; a fault ends the run, and is [`Self::fault`].
    pub fn load_first(self: &Arc<Self>, tag: &str) {
        let (this, tag) = (self.clone(), tag.to_string());
        self.power.first(move |cpus| {
            let request = SnapshotRequest { tag, ..SnapshotRequest::default() };
            let plan = this.plan_load(&request).map_err(Fault::from);
            if let Err(fault) = plan.and_then(|plan| this.load(cpus, &plan)) {
                *this.fault.lock() = Some(fault.what);
                this.power.quit(Cause::HostError);
            }
        });
    }

    /// Why the machine could not be put back before it ran.
    pub fn fault(&self) -> Option<String> {
        self.fault.lock().clone()
    }

    /// Those that can be loaded.
    pub fn list(&self) -> Vec<SnapshotInfo> {
        if self.power.journal().is_some() {
            let info = |tag: &String| SnapshotInfo {
                id: "0".into(),
                tag: tag.clone(),
                state_size: 0,
                date: 0,
                clock: 0,
            };
            return self.beginning.iter().map(info).collect();
        }
        let disks = self.disks();
        let mut all = self.folder.as_ref().map_or_else(Vec::new, Folder::list);
        let qcow2 = |kept: &&Kept| kept.image.format() == ImageFormat::Qcow2;
        let on_all = |tag: &str| disks.iter().filter(qcow2).all(|kept| kept.has(tag));
        all.retain(|info| on_all(&info.tag));
        if disks.iter().all(|kept| kept.image.takes_snapshots().is_ok()) {
            for kept in &disks {
                let whole = of_image(&kept.image).into_iter().filter(|info| info.state_size != 0);
                all.extend(whole.filter(|info| on_all(&info.tag)));
            }
        }
        all
    }

    /// Those that are kept in this process.
    pub fn checkpoints(&self) -> Vec<CheckpointInfo> {
        let info = |(tag, moment): (&String, &Moment)| CheckpointInfo {
            tag: tag.clone(),
            clock: moment.machine.now(),
        };
        self.checkpoints.lock().iter().map(info).collect()
    }

    /// Saves the machine.
    pub fn save_snapshot(self: &Arc<Self>, request: &SnapshotRequest, replace: bool) -> Result<(), String> {
        self.not_on_record()?;
        let _alone = self.busy.lock();
        let Chosen { all, disks, raw } = self.choose(request)?;
        let place = match (&request.state, &self.folder) {
            (StatePlace::Memory, _) => Place::Memory,
            (StatePlace::Disk(name), _) => Place::Disk(state_disk(&all, name)?),
            (StatePlace::Usual, Some(_)) => Place::Folder,
            (StatePlace::Usual, None) => Place::Disk(*disks.first().ok_or(NO_PLACE)?),
        };
        let plan = Plan::new(&request.tag, Chosen { all, disks, raw }, place);
        let there = match place {
            Place::Memory => self.checkpoints.lock().contains_key(&plan.tag),
            _ => {
                plan.disks.iter().any(|n| plan.all[*n].has(&plan.name))
                    || self.folder.as_ref().is_some_and(|folder| folder.has(&plan.name))
            }
        };
        if there && !replace {
            return Err(format!("Snapshot '{}' already exists in one or more devices", plan.tag));
        }
        let this = self.clone();
        self.stopped(move |cpus| {
            this.saver.settle(cpus).map_err(|fault| fault.to_string())?;
            this.delete(&plan)?;
            this.save(cpus, &plan).map_err(|fault| {
                // What is there of it is of no use; the fault that is told is the first.
                let _ = this.delete(&plan);
                fault.into()
            })
        })
    }

    /// Puts the machine back.
    pub fn load_snapshot(self: &Arc<Self>, request: &SnapshotRequest) -> Result<(), String> {
        if self.power.replays() && self.beginning.as_ref() == Some(&request.tag) {
            return self.begin_again();
        }
        self.not_on_record()?;
        let _alone = self.busy.lock();
        let plan = self.plan_load(request)?;
        let this = self.clone();
        self.stopped(move |cpus| this.load(cpus, &plan))
    }

    /// Puts a replay back to its beginning, from where it goes on if it ran.
    fn begin_again(&self) -> Result<(), String> {
        let _alone = self.busy.lock();
        let ran = self.power.state() == RunState::Running;
        self.power.back(Backward::To(0));
        self.power.settle();
        if self.power.count() != Some(0) {
            return Err("the machine has ended".into());
        }
        if ran {
            self.power.resume();
            self.power.settle();
        }
        Ok(())
    }

    /// A run that is recorded, or repeats one, has disks of its own, and goes back by other means.
    fn not_on_record(&self) -> Result<(), String> {
        match self.power.journal() {
            None => Ok(()),
            Some(_) => Err(
                "a recorded run (-icount rr=) has no snapshots; in its replay replay_seek and a debugger go \
                            to any place of it"
                    .into(),
            ),
        }
    }

    /// Forgets a snapshot.
    pub fn delete_snapshot(&self, request: &SnapshotRequest) -> Result<(), String> {
        let _alone = self.busy.lock();
        let Chosen { all, disks, raw } = self.choose(request)?;
        let place = if request.state == StatePlace::Memory { Place::Memory } else { Place::Folder };
        self.delete(&Plan::new(&request.tag, Chosen { all, disks, raw }, place))
    }

    /// Forgets all checkpoints, and what disks have of them: while there is no machine.
    pub fn forget_checkpoints(&self) {
        let _alone = self.busy.lock();
        self.checkpoints.lock().clear();
        let left = |name: &str| name.starts_with(CHECKPOINT);
        let has_some =
            |kept: &&Kept| kept.image.snapshots().is_ok_and(|all| all.iter().any(|info| left(&info.name)));
        for kept in self.disks().iter().filter(has_some) {
            if let Err(fault) = forget(&kept.image, left) {
                tracing::warn!("a checkpoint stays in '{}': {fault}", kept.name());
            }
        }
    }

    /// Does `work` with the machine stopped, which then goes on if it ran, unless it is fit for a reset only.
    fn stopped(
        &self,
        work: impl FnOnce(&mut dyn Cpus) -> Result<(), Fault> + Send + 'static,
    ) -> Result<(), String> {
        let ran = self.power.state() == RunState::Running;
        if ran {
            self.power.pause();
            self.power.settle();
        }
        let done = self.power.with_cpus(work).ok_or_else(|| "the machine has ended".to_string())?;
        let mixed = done.as_ref().is_err_and(|fault| fault.mixed);
        if ran && !mixed {
            self.power.resume();
            self.power.settle();
        }
        let then = if mixed { "; the machine is stopped, and good for a reset only" } else { "" };
        done.map_err(|fault| fault.what + then)
    }

    /// Which disks are meant: qcow2 ones, and raw ones that the folder holds what they held of.
    fn choose(&self, request: &SnapshotRequest) -> Result<Chosen, String> {
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

    fn plan_load(&self, request: &SnapshotRequest) -> Result<Plan, String> {
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

    fn save(&self, cpus: &mut dyn Cpus, plan: &Plan) -> Result<(), String> {
        let date = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos() as u64);
        let (name, clock) = (&*plan.name, self.saver.now());
        if let (Place::Folder, Some(folder)) = (plan.place, &self.folder) {
            folder
                .save(name, |file| self.saver.write(cpus, file).map(drop))
                .map_err(|fault| fault.to_string())?;
        }
        if plan.place == Place::Memory {
            let moment = self.moment(cpus, plan).map_err(|fault| fault.to_string())?;
            self.checkpoints.lock().insert(plan.tag.clone(), moment);
        }
        for n in plan.disks.iter().copied().chain(plan.state_only()) {
            let image = &plan.all[n].image;
            let saved = image.with_snapshots(|snapshots| {
                if plan.place != Place::Disk(n) {
                    return snapshots.create(name, date, clock);
                }
                let mut state = Writer(snapshots.state_writer());
                self.saver.write(cpus, &mut state).map_err(io::Error::other)?;
                state.0.finish(name, date, clock)
            });
            saved.map_err(|fault| format!("cannot save to '{}': {fault}", plan.all[n].name()))?;
        }
        for kept in plan.raw().filter(|_| plan.place != Place::Memory) {
            if let Some(folder) = &self.folder {
                folder.save_disk(name, kept.node(), &kept.image).map_err(|fault| fault.to_string())?;
            }
        }
        Ok(())
    }

    /// What is kept in this process of the machine as it is.
    fn moment(&self, cpus: &mut dyn Cpus, plan: &Plan) -> Result<Moment, SnapshotError> {
        let machine = self.saver.checkpoint(cpus)?;
        let mut raw = BTreeMap::new();
        for kept in plan.raw() {
            if let Some(folder) = &self.folder {
                raw.insert(kept.node().into(), folder.hold_disk(&kept.image)?);
            }
        }
        Ok(Moment { machine, raw })
    }

    fn load(&self, cpus: &mut dyn Cpus, plan: &Plan) -> Result<(), Fault> {
        let disks = |moment: Option<&Moment>| {
            self.revert(plan, moment).map_err(SnapshotError::host("cannot put a disk back"))
        };
        // That it is of this machine is known, so a fault comes in the middle.
        let loaded = if plan.place == Place::Memory {
            let checkpoints = self.checkpoints.lock();
            let moment = checkpoints.get(&plan.tag).ok_or_else(|| missing(&plan.tag))?;
            self.saver.suits(&moment.machine).map_err(|fault| fault.to_string())?;
            self.saver.restore(cpus, &moment.machine, || disks(Some(moment)))
        } else {
            let (header, ram) = self.open(plan).map_err(|fault| fault.to_string())?;
            self.saver.read(cpus, &header, ram, || disks(None))
        };
        loaded.map_err(|fault| Fault { what: fault.to_string(), mixed: true })?;
        self.inventory.contents().chardevs.put_back();
        Ok(())
    }

    /// The state, found to be of this machine.
    fn open(&self, plan: &Plan) -> Result<(Header, RamImage), SnapshotError> {
        match (plan.place, &self.folder) {
            (Place::Disk(n), _) => {
                let read = plan.all[n].image.look_at_snapshots(|snapshots| {
                    let index = snapshots.find(&plan.tag).ok_or(io::ErrorKind::NotFound)?;
                    let mut state = Reader(snapshots.state_reader(index)?);
                    Ok(self.read(&mut state))
                });
                read.map_err(SnapshotError::host("cannot read the snapshot"))?
            }
            (Place::Folder, Some(folder)) => folder.open(&plan.tag, |header| self.saver.fits(header)),
            (Place::Folder | Place::Memory, _) => Err(SnapshotError::Damaged("it is in no file")),
        }
    }

    fn read(&self, state: &mut Reader<'_>) -> Result<(Header, RamImage), SnapshotError> {
        let header = Header::read(state)?;
        self.saver.fits(&header)?;
        let ram = copied(&header, state)?;
        Ok((header, ram))
    }

    /// Has disks hold what they held, raw ones at the `moment` or as the folder says.
    fn revert(&self, plan: &Plan, moment: Option<&Moment>) -> io::Result<()> {
        for n in &plan.disks {
            plan.all[*n].image.with_snapshots(|snapshots| {
                let index = snapshots.find(&plan.name).ok_or(io::ErrorKind::NotFound)?;
                snapshots.revert(index)
            })?;
        }
        for kept in plan.raw() {
            match (moment, &self.folder) {
                (Some(moment), _) => {
                    let file = moment.raw.get(kept.node()).ok_or(io::ErrorKind::NotFound)?;
                    folder::put_back(file, &kept.image)?;
                }
                (None, Some(folder)) => folder.load_disk(&plan.name, kept.node(), &kept.image)?,
                (None, None) => {}
            }
        }
        Ok(())
    }

    fn delete(&self, plan: &Plan) -> Result<(), String> {
        let of = |n: usize, fault: io::Error| {
            format!("cannot delete the snapshot '{}' on '{}': {fault}", plan.tag, plan.all[n].name())
        };
        for n in plan.disks.iter().copied().chain(plan.state_only()) {
            forget(&plan.all[n].image, |name| name == plan.name).map_err(|fault| of(n, fault))?;
        }
        match (plan.place, &self.folder) {
            (Place::Memory, _) => drop(self.checkpoints.lock().remove(&plan.tag)),
            (_, Some(folder)) => folder.delete(&plan.name, &plan.raw().map(Kept::node).collect::<Vec<_>>()),
            (_, None) => {}
        }
        Ok(())
    }
}

/// Deletes the snapshots of an image that have such names.
fn forget(image: &Image, which: impl Fn(&str) -> bool) -> io::Result<()> {
    let wanted = |snapshots: &InImage| snapshots.list().iter().position(|info| which(&info.name));
    image.with_snapshots(|snapshots| {
        while let Some(index) = wanted(snapshots) {
            snapshots.delete(index)?;
        }
        Ok(())
    })
}

fn disk_called(all: &[Kept], name: &str) -> Option<usize> {
    all.iter().position(|kept| kept.names.iter().any(|own| own == name))
}

fn state_disk(all: &[Kept], name: &str) -> Result<usize, String> {
    let found = disk_called(all, name).filter(|n| all[*n].image.takes_snapshots().is_ok());
    found.ok_or_else(|| format!("vmstate block device '{name}' does not exist"))
}

impl Plan {
    fn new(tag: &str, chosen: Chosen, place: Place) -> Self {
        let Chosen { all, disks, raw } = chosen;
        Self { tag: tag.into(), name: place.name(tag), all, disks, raw, place }
    }

    /// The raw disks.
    fn raw(&self) -> impl Iterator<Item = &Kept> {
        self.raw.iter().map(|n| &self.all[*n])
    }

    /// The disk that holds the state and is not saved itself.
    fn state_only(&self) -> Option<usize> {
        match self.place {
            Place::Disk(n) if !self.disks.contains(&n) => Some(n),
            _ => None,
        }
    }
}

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

/// Writes a state into a qcow2 image.
struct Writer<'a>(StateWriter<'a>);

impl Output for Writer<'_> {
    fn restart(&mut self, bytes: u64) -> io::Result<()> {
        self.0.restart(bytes)
    }

    fn write(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write(at, bytes)
    }
}

/// Reads one.
struct Reader<'a>(StateReader<'a>);

impl Input for Reader<'_> {
    fn read(&mut self, at: u64, bytes: &mut [u8]) -> io::Result<()> {
        self.0.read(at, bytes)
    }

    fn len(&self) -> u64 {
        self.0.size()
    }

    fn for_each_chunk(
        &mut self,
        from: u64,
        to: u64,
        chunk: &mut dyn FnMut(u64, &[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut bytes = vec![0; ALIGN as usize];
        for at in (from..to).step_by(ALIGN as usize) {
            let end = to.min(at + ALIGN);
            if !self.0.is_hole(at, end)? {
                let bytes = &mut bytes[..(end - at) as usize];
                self.0.read(at, bytes)?;
                chunk(at, bytes)?;
            }
        }
        Ok(())
    }
}
