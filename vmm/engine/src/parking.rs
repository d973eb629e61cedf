//! CPUs that built-in firmware holds until they are started.

use base::{Device, State, StateError};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::sync::{Arc, OnceLock};
use tcg_core::guest::Guest;
use tcg_core::run::{Handle, Vcpu};

/// Where a CPU is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Life {
    /// It runs.
    On,
    /// It was started, and has not got there yet.
    Starting,
    /// It waits to be started.
    Off,
}

/// Where a CPU starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// Address of the first instruction.
    pub entry: u64,
    /// A value for whoever is there.
    pub argument: u64,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
struct Slot {
    life: Life,
    start: Option<Start>,
}

/// Puts a CPU, by its number, into the state that it starts in.
pub type Enter<G> = Box<dyn Fn(&mut Vcpu<G>, usize, Start) + Send + Sync>;

/// The lives of all CPUs of one machine.
pub struct Parking<G: Guest> {
    slots: Vec<Mutex<Slot>>,
    handles: OnceLock<Vec<Arc<Handle<G>>>>,
    enter: Enter<G>,
}

impl<G: Guest> Parking<G> {
    /// For `count` CPUs, which are entered by `enter`.
    pub fn new(count: usize, enter: Enter<G>) -> Arc<Self> {
        let off = || Mutex::new(Slot { life: Life::Off, start: None });
        Arc::new(Self { slots: (0..count).map(|_| off()).collect(), handles: OnceLock::new(), enter })
    }

    /// Tells it the CPUs: once, before the machine runs.
    pub fn connect(&self, vcpus: &[Vcpu<G>]) {
        // A second call would name the same CPUs.
        let _ = self.handles.set(vcpus.iter().map(|v| v.handle().clone()).collect());
    }

    /// The CPUs.
    pub fn handles(&self) -> &[Arc<Handle<G>>] {
        self.handles.get().map_or(&[], Vec::as_slice)
    }

    /// How many CPUs there are.
    pub fn count(&self) -> usize {
        self.slots.len()
    }

    /// Puts all CPUs into their state at power-on: the first starts, the others wait for it.
    pub fn reset(self: &Arc<Self>, vcpus: &mut [Vcpu<G>], first: Start) {
        for (n, vcpu) in vcpus.iter_mut().enumerate() {
            let life = if n == 0 { Life::On } else { Life::Off };
            *self.slots[n].lock() = Slot { life, start: None };
            if n == 0 {
                (self.enter)(vcpu, 0, first);
            } else {
                let parking = self.clone();
                vcpu.handle().post(move |vcpu| parking.hold(vcpu, n));
            }
        }
    }

    /// The life of CPU `number`; one that does not exist is off.
    pub fn life(&self, number: usize) -> Life {
        self.slots.get(number).map_or(Life::Off, |slot| slot.lock().life)
    }

    /// Starts CPU `number` if it is off; otherwise says what it does.
    pub fn start(&self, number: usize, start: Start) -> Result<(), Life> {
        let mut slot = self.slots[number].lock();
        if slot.life != Life::Off {
            return Err(slot.life);
        }
        *slot = Slot { life: Life::Starting, start: Some(start) };
        drop(slot);
        if let Some(handle) = self.handles().get(number) {
            handle.lines().kick();
        }
        Ok(())
    }

    /// CPU `number` is off from now on; [`Parking::hold`] follows on its thread.
    pub fn stop(&self, number: usize) {
        self.slots[number].lock().life = Life::Off;
    }

    /// Holds CPU `number`, which `vcpu` is, until another one starts it or the machine stops; a CPU that is not off goes on.
    pub fn hold(self: &Arc<Self>, vcpu: &mut Vcpu<G>, number: usize) {
        let lines = vcpu.handle().lines().clone();
        loop {
            let start = {
                let mut slot = self.slots[number].lock();
                if slot.life == Life::On {
                    return;
                }
                let start = slot.start.take();
                if start.is_some() {
                    slot.life = Life::On;
                }
                start
            };
            if let Some(start) = start {
                return (self.enter)(vcpu, number, start);
            }
            if vcpu.takes_turns() {
                let parking = self.clone();
                return vcpu.park(move |vcpu| parking.hold(vcpu, number));
            }
            if vcpu.stopping() {
                // The run loop sees the same and comes back; when it is entered again the CPU sleeps on.
                let parking = self.clone();
                return vcpu.handle().post(move |vcpu| parking.hold(vcpu, number));
            }
            vcpu.sleep(None);
            lines.take_request();
            vcpu.do_posted_work();
        }
    }
}

/// What of firmware's CPUs is saved: their lives. As a device, so that it is saved among them.
pub struct ParkedState<G: Guest>(Arc<Parking<G>>);

impl<G: Guest> ParkedState<G> {
    const VERSION: u32 = 1;

    pub(crate) fn new(parking: Arc<Parking<G>>) -> Self {
        Self(parking)
    }
}

impl<G: Guest> Device for ParkedState<G> {
    fn name(&self) -> &'static str {
        "parked-cpus"
    }

    /// The machine's reset starts them.
    fn reset(&mut self) {}

    fn save(&self) -> State {
        let slots: Vec<Slot> = self.0.slots.iter().map(|slot| *slot.lock()).collect();
        State::of(Self::VERSION, &slots)
    }

    fn load(&mut self, state: &State) -> Result<(), StateError> {
        let saved: Vec<Slot> = state.get(Self::VERSION)?;
        if saved.len() != self.0.slots.len() {
            return Err(StateError::Value("number of CPUs"));
        }
        for (n, saved) in saved.into_iter().enumerate() {
            *self.0.slots[n].lock() = saved;
            if let Some(handle) = self.0.handles().get(n).filter(|_| saved.life != Life::On) {
                let parking = self.0.clone();
                handle.post(move |vcpu| parking.hold(vcpu, n));
            }
        }
        Ok(())
    }
}
