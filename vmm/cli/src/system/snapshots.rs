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
mod in_disk;
mod plan;

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use base::RamImage;
use control::{CheckpointInfo, SnapshotInfo, SnapshotRequest, StatePlace};
use devices::host::block::ImageFormat;
use engine::replay::Backward;
use engine::snapshot::file::{Header, copied};
use engine::snapshot::{Checkpoint, Saver, SnapshotError};
use engine::{Cause, Cpus, Power, RunState};
use parking_lot::Mutex;

use crate::options::{Drive, SystemOptions};
use crate::system::inventory::Inventory;
use folder::Folder;
pub use in_disk::of_image;
use in_disk::{CHECKPOINT, Reader, Writer, forget};
use plan::{Chosen, Kept, Place, Plan, missing, state_disk};

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
            (StatePlace::Usual, None) => Place::Disk(*disks.first().ok_or(plan::NO_PLACE)?),
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
