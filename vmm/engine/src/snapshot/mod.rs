//! Snapshots: the whole machine at one moment, kept in memory ([`Saver::checkpoint`]) or in a file ([`file`]).
//!
//! Machine time stands meanwhile. Devices finish what they are at: they are saved again and again until twice the same comes out, with
//! RAM kept in between; in a stopped machine nothing goes on for long, since nobody gives devices new buffers. CPUs come last when a
//! state is put back, after the devices whose lines they see.
//!
//! All calls are made with the vCPUs stopped: in [`crate::Power::with_cpus`], or on the machine's own thread. Disks are no part of it.

pub mod file;
#[cfg(test)]
mod tests;

use crate::cpus::Cpus;
use base::{Clock, Device, GuestRam, MemoryError, Ns, RamImage, RamLayers, Shared, State, StateError};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;

/// What must be the same in the machine that is saved and in the one that is loaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The guest architecture.
    pub arch: String,
    /// The machine type, with what of its properties changes the board.
    pub machine: String,
    /// The CPU model, with its properties.
    pub cpu: String,
    /// How many CPUs there are.
    pub cpus: usize,
}

/// All state but RAM and disks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MachineState {
    identity: Identity,
    /// First address and size of each region of RAM.
    ram: Vec<(u64, u64)>,
    /// Machine time, and the wall clock at that moment, in nanoseconds.
    now: Ns,
    wall: u64,
    devices: Vec<(String, State)>,
    cpus: Vec<State>,
}

impl MachineState {
    /// Machine time.
    pub fn now(&self) -> Ns {
        self.now
    }
}

/// A machine at one moment, in memory.
pub struct Checkpoint {
    state: MachineState,
    ram: RamImage,
}

impl Checkpoint {
    /// Machine time at that moment.
    pub fn now(&self) -> Ns {
        self.state.now
    }
}

/// Why a machine can not be saved, or a state not be put back.
#[derive(Debug, Error)]
pub enum SnapshotError {
    /// The state is of another machine.
    #[error(
        "the snapshot is of a machine with {what} {saved}, and this one has {here}; start it as that one was"
    )]
    Differs {
        /// What differs.
        what: &'static str,
        /// What the snapshot says.
        saved: String,
        /// What is there.
        here: String,
    },
    /// The state of a device does not fit.
    #[error("the state of {device} can not be loaded: {source}")]
    Device {
        /// The device.
        device: String,
        /// What is wrong.
        source: StateError,
    },
    /// A device can not be saved.
    #[error("{device} can not be saved: {remedy}")]
    Unsavable {
        /// The device.
        device: String,
        /// What to do about it.
        remedy: String,
    },
    /// Devices never come to rest.
    #[error("{device} does not come to rest, so the machine can not be saved; try again")]
    Restless {
        /// A device that goes on.
        device: String,
    },
    /// The snapshot is no snapshot.
    #[error("the snapshot is damaged: {0}")]
    Damaged(&'static str),
    /// Guest memory.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// The host refused a file.
    #[error("{what}: {source}")]
    Host {
        /// What was to be done.
        what: String,
        /// The reason.
        source: io::Error,
    },
}

impl SnapshotError {
    /// The host refuses to do `what`.
    pub fn host(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Host { what, source }
    }
}

/// How often devices are given time to come to rest, and how long each time.
const TRIES: u32 = 2000;
const TRY: Duration = Duration::from_millis(1);

/// Saves one machine, and puts states back.
pub struct Saver {
    identity: Identity,
    devices: Vec<(String, Shared<dyn Device>)>,
    clock: Arc<dyn Clock>,
    ram: Mutex<RamLayers>,
}

impl Saver {
    /// For the machine with these `devices`, whose time is `clock`'s. A device before another one in the list is loaded before it:
    /// interrupt controllers come before those that they hear.
    pub fn new(
        identity: Identity,
        devices: Vec<(String, Shared<dyn Device>)>,
        clock: Arc<dyn Clock>,
        ram: GuestRam,
    ) -> Arc<Self> {
        Arc::new(Self { identity, devices, clock, ram: Mutex::new(RamLayers::new(ram)) })
    }

    /// Keeps the machine as it is now, in memory. Costs milliseconds, and memory for what is written afterwards.
    pub fn checkpoint(&self, cpus: &mut dyn Cpus) -> Result<Checkpoint, SnapshotError> {
        let (state, ram) = self.save(cpus, |_, ram| Ok(ram.freeze()?))?;
        Ok(Checkpoint { state, ram })
    }

    /// Has the machine be what it was when `checkpoint` was made of it; `disks` puts those back once nothing goes on any more.
    pub fn restore(
        &self,
        cpus: &mut dyn Cpus,
        checkpoint: &Checkpoint,
        disks: impl FnOnce() -> Result<(), SnapshotError>,
    ) -> Result<(), SnapshotError> {
        self.load(cpus, &checkpoint.state, |ram| {
            disks()?;
            Ok(ram.put_back(&checkpoint.ram)?)
        })
    }

    /// Whether `checkpoint` is of the machine as it is put together now.
    pub fn suits(&self, checkpoint: &Checkpoint) -> Result<(), SnapshotError> {
        self.check(&checkpoint.state, &self.ram.lock())
    }

    /// Machine time.
    pub fn now(&self) -> Ns {
        self.clock.now()
    }

    /// Waits until devices have finished what they are at.
    pub fn settle(&self, cpus: &mut dyn Cpus) -> Result<(), SnapshotError> {
        self.save(cpus, |_, _| Ok(())).map(drop)
    }

    /// Saves all, with `keep` given what belongs before RAM, to keep it and RAM; it may be called several times, and the last one
    /// counts.
    fn save<T>(
        &self,
        cpus: &mut dyn Cpus,
        mut keep: impl FnMut(&MachineState, &mut RamLayers) -> Result<T, SnapshotError>,
    ) -> Result<(MachineState, T), SnapshotError> {
        for (name, device) in &self.devices {
            if let Some(remedy) = device.lock().unsavable() {
                return Err(SnapshotError::Unsavable { device: name.clone(), remedy });
            }
        }
        let _time = TimeStands::of(&*self.clock);
        let mut ram = self.ram.lock();
        // It may be the host's, which goes on.
        let wall = self.clock.wall();
        let regions = ram.regions();
        let mut all = || self.all(cpus, &regions, wall);
        let mut state = all();
        let mut tries = TRIES;
        loop {
            let again = all();
            if again == state {
                let kept = keep(&state, &mut ram)?;
                if all() == state {
                    return Ok((state, kept));
                }
            }
            if tries == 0 {
                let changed = state.devices.iter().zip(&again.devices).find(|(one, two)| one != two);
                let device = changed.map_or("a CPU", |(one, _)| &*one.0).into();
                return Err(SnapshotError::Restless { device });
            }
            tries -= 1;
            std::thread::sleep(TRY);
            state = all();
        }
    }

    fn all(&self, cpus: &mut dyn Cpus, ram: &[(u64, u64)], wall: u64) -> MachineState {
        let devices =
            self.devices.iter().map(|(name, device)| (name.clone(), device.lock().save())).collect();
        let cpus = (0..cpus.count()).filter_map(|n| cpus.cpu(n).map(|cpu| cpu.save())).collect();
        let (identity, now) = (self.identity.clone(), self.clock.now());
        MachineState { identity, ram: ram.to_vec(), now, wall, devices, cpus }
    }

    /// Whether the machine can be what `state` says, as far as that can be told.
    fn check(&self, state: &MachineState, ram: &RamLayers) -> Result<(), SnapshotError> {
        let (saved, here) = (&state.identity, &self.identity);
        let size = |regions: &[(u64, u64)]| {
            let texts: Vec<String> =
                regions.iter().map(|(at, size)| format!("{} MiB at {at:#x}", size >> 20)).collect();
            texts.join(", ")
        };
        same("the architecture", &saved.arch, &here.arch)?;
        same("the machine type", &saved.machine, &here.machine)?;
        same("the CPU model", &saved.cpu, &here.cpu)?;
        same("a number of CPUs of", &saved.cpus.to_string(), &here.cpus.to_string())?;
        same("RAM of", &size(&state.ram), &size(&ram.regions()))?;
        let mut here = self.devices.iter().map(|(name, _)| &**name);
        let none = "nothing in its place";
        for (name, _) in &state.devices {
            same("the device", name, here.next().unwrap_or(none))?;
        }
        same("the device", none, here.next().unwrap_or(none))?;
        if state.cpus.len() != saved.cpus {
            return Err(SnapshotError::Damaged("it does not have the state of every CPU"));
        }
        for ((name, device), (_, saved)) in self.devices.iter().zip(&state.devices) {
            let fits = device.lock().fits(saved);
            fits.map_err(|source| SnapshotError::Device { device: name.clone(), source })?;
        }
        Ok(())
    }

    /// Puts all back; `exchange` is called for what is no part of `state`, with nothing going on. After an error that is not about
    /// another machine, the machine is good for a reset only.
    fn load(
        &self,
        cpus: &mut dyn Cpus,
        state: &MachineState,
        exchange: impl FnOnce(&mut RamLayers) -> Result<(), SnapshotError>,
    ) -> Result<(), SnapshotError> {
        let mut ram = self.ram.lock();
        self.check(state, &ram)?;
        let _time = TimeStands::of(&*self.clock);
        for n in 0..cpus.count() {
            if let Some(cpu) = cpus.cpu(n) {
                cpu.forget();
            }
        }
        // So that no worker of a device touches RAM.
        self.devices.iter().for_each(|(_, device)| device.lock().reset());
        exchange(&mut ram)?;
        self.clock.set(state.now, state.wall);
        for ((name, device), (_, saved)) in self.devices.iter().zip(&state.devices) {
            let loaded = device.lock().load(saved);
            loaded.map_err(|source| SnapshotError::Device { device: name.clone(), source })?;
        }
        for (n, saved) in state.cpus.iter().enumerate() {
            if let Some(cpu) = cpus.cpu(n) {
                let loaded = cpu.load(saved);
                loaded.map_err(|source| SnapshotError::Device { device: format!("CPU {n}"), source })?;
            }
        }
        Ok(())
    }
}

fn same(what: &'static str, saved: &str, here: &str) -> Result<(), SnapshotError> {
    if saved == here {
        return Ok(());
    }
    Err(SnapshotError::Differs { what, saved: saved.into(), here: here.into() })
}

/// Machine time stands as long as this lives.
struct TimeStands<'a> {
    clock: &'a dyn Clock,
    ran: bool,
}

impl<'a> TimeStands<'a> {
    fn of(clock: &'a dyn Clock) -> Self {
        let ran = clock.is_running();
        clock.set_running(false);
        Self { clock, ran }
    }
}

impl Drop for TimeStands<'_> {
    fn drop(&mut self) {
        if self.ran {
            self.clock.set_running(true);
        }
    }
}
