//! A machine whose vCPUs run by turns, with time counted in instructions: `-icount`.
//!
//! What comes from outside for a device, from whatever thread, waits for the end of a turn ([`engine::Inputs`]); what goes
//! out is always taken, so that a device never sees how fast the host is.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use base::{Clock, InstructionClock, Timer};
use devices::host::chardev::{CharBackend, CharEvent, CharSink};
use devices::host::net::{FrameSink, NetBackend, Offloads};
use devices::virtio::EntropySource;
use engine::replay::Journal;
use engine::{Inputs, Pace, SourceId, Turns};
use parking_lot::Mutex;

use super::write_all;
use crate::options::Icount;

/// Shift where time follows the host's, to begin with.
const FIRST_SHIFT: u32 = 3;

/// What the parts of such a machine have in common.
pub struct ByTurns {
    clock: Arc<InstructionClock>,
    inputs: Arc<Inputs>,
    pace: Pace,
}

impl ByTurns {
    /// As the command line says; the run is recorded in `journal`, or follows it.
    pub fn new(icount: &Icount, journal: Option<Journal>) -> Arc<Self> {
        let clock = InstructionClock::new(icount.shift.unwrap_or(FIRST_SHIFT));
        let pace = Pace { sleep: icount.sleep, align: icount.align, auto: icount.shift.is_none() };
        let inputs = Arc::new(Inputs::new(clock.clone(), journal));
        Arc::new(Self { clock, inputs, pace })
    }

    /// The clock that counts.
    pub fn clock(&self) -> &Arc<InstructionClock> {
        &self.clock
    }

    /// What comes from outside.
    pub fn inputs(&self) -> &Arc<Inputs> {
        &self.inputs
    }

    /// What gives the turns.
    pub fn turns(&self) -> Turns {
        Turns::new(self.clock.clone(), self.inputs.clone(), self.pace)
    }

    /// `inner`, called `name`, as a device sees it.
    pub fn chardev(&self, name: &str, inner: Arc<dyn CharBackend>) -> Arc<dyn CharBackend> {
        let line = Arc::new_cyclic(|this: &Weak<Line>| {
            let (deliver, pump) = (this.clone(), this.clone());
            Line {
                inner,
                this: this.clone(),
                sink: Mutex::new(None),
                waiting: Mutex::default(),
                under_way: AtomicUsize::new(0),
                source: self.source(name, move |input| with(&deliver, |line| line.deliver(input))),
                inputs: self.inputs.clone(),
                pump: self.clock.timer(Box::new(move || with(&pump, Line::pump))),
            }
        });
        self.keep(&line, |line| &line.waiting);
        line
    }

    /// The same for the network back end that `open` opens. Where the run repeats a recorded one there is none.
    pub fn net<E>(
        &self,
        name: &str,
        open: impl FnOnce() -> Result<Arc<dyn NetBackend>, E>,
    ) -> Result<Arc<dyn NetBackend>, E> {
        let inner = if self.inputs.replays() { Arc::new(NoNetwork) } else { open()? };
        let real = inner.offloads();
        let answer = self.inputs.ask(self.inputs.oracle(&format!("what {name} can do")), || {
            vec![real.checksum.into(), real.segmentation.into()]
        });
        let can = |n: usize| answer.get(n) == Some(&1);
        let offloads = Offloads { checksum: can(0), segmentation: can(1) };
        let cable = Arc::new_cyclic(|this: &Weak<Cable>| {
            let (deliver, pump) = (this.clone(), this.clone());
            Cable {
                inner,
                offloads,
                this: this.clone(),
                sink: OnceLock::new(),
                waiting: Mutex::default(),
                under_way: AtomicUsize::new(0),
                source: self.source(name, move |input| with(&deliver, |cable| cable.deliver(input))),
                inputs: self.inputs.clone(),
                pump: self.clock.timer(Box::new(move || with(&pump, Cable::pump))),
            }
        });
        self.keep(&cable, |cable| &cable.waiting);
        Ok(cable)
    }

    /// Random bytes, which are those that were recorded where the run repeats one.
    pub fn entropy(&self, name: &str, inner: Box<dyn EntropySource>) -> Box<dyn EntropySource> {
        Box::new(Entropy { inner, source: self.inputs.oracle(name), inputs: self.inputs.clone() })
    }

    /// Has what waits in `owner` go back in time with the machine.
    fn keep<O: Send + Sync + 'static, T: Clone + Send + Sync + 'static>(
        &self,
        owner: &Arc<O>,
        waiting: fn(&O) -> &Mutex<VecDeque<T>>,
    ) {
        let owner = Arc::downgrade(owner);
        self.inputs.keep(Box::new(move || {
            let kept = owner.upgrade().map(|owner| waiting(&owner).lock().clone()).unwrap_or_default();
            let owner = owner.clone();
            Box::new(move || with(&owner, |owner| waiting(owner).lock().clone_from(&kept)))
        }));
    }

    fn source(&self, name: &str, deliver: impl Fn(&[u8]) + Send + Sync + 'static) -> SourceId {
        self.inputs.source(name, Box::new(deliver))
    }
}

fn with<T>(this: &Weak<T>, f: impl FnOnce(&T)) {
    if let Some(this) = this.upgrade() {
        f(&this);
    }
}

/// Bytes and frames that wait for a turn to end or for the device, at most.
const BYTES: usize = 1024;
const FRAMES: usize = 256;

/// What happened, as the first byte of input from a character device.
const KINDS: [Option<CharEvent>; 6] = [
    None,
    Some(CharEvent::Opened),
    Some(CharEvent::Closed),
    Some(CharEvent::Break),
    Some(CharEvent::Focus(false)),
    Some(CharEvent::Focus(true)),
];

/// A character device.
struct Line {
    inner: Arc<dyn CharBackend>,
    this: Weak<Self>,
    sink: Mutex<Option<Arc<dyn CharSink>>>,
    /// Bytes that the device has no room for.
    waiting: Mutex<VecDeque<u8>>,
    /// Bytes that have come and that the device has not got.
    under_way: AtomicUsize,
    source: SourceId,
    inputs: Arc<Inputs>,
    /// Delivers, after the present instruction.
    pump: Box<dyn Timer>,
}

impl Line {
    fn deliver(&self, input: &[u8]) {
        let Some((kind, bytes)) = input.split_first() else { return };
        match KINDS.get(usize::from(*kind)).copied().flatten() {
            Some(event) => {
                if let Some(sink) = self.sink.lock().clone() {
                    sink.event(event);
                }
            }
            None => self.waiting.lock().extend(bytes),
        }
        self.pump();
    }

    fn pump(&self) {
        let Some(sink) = self.sink.lock().clone() else { return };
        loop {
            let room = sink.room();
            let mut waiting = self.waiting.lock();
            let n = room.min(waiting.len());
            if n == 0 {
                return;
            }
            let bytes: Vec<u8> = waiting.drain(..n).collect();
            drop(waiting);
            sink.receive(&bytes);
            self.under_way.fetch_sub(n.min(self.under_way.load(Ordering::Relaxed)), Ordering::Relaxed);
            self.inner.resume();
        }
    }
}

impl CharBackend for Line {
    fn write(&self, bytes: &[u8]) -> usize {
        if !self.inputs.repeats() {
            write_all(&*self.inner, bytes);
        }
        bytes.len()
    }

    fn attach(&self, guest: Arc<dyn CharSink>) {
        *self.sink.lock() = Some(guest);
        self.inner.attach(Arc::new(FromLine(self.this.clone())));
    }

    fn resume(&self) {
        self.pump.arm(0);
    }

    fn flush(&self) {
        self.inner.flush();
    }
}

/// The way in from a character device.
struct FromLine(Weak<Line>);

impl CharSink for FromLine {
    fn room(&self) -> usize {
        self.0.upgrade().map_or(0, |line| BYTES.saturating_sub(line.under_way.load(Ordering::Relaxed)))
    }

    fn receive(&self, bytes: &[u8]) {
        with(&self.0, |line| {
            if line.inputs.replays() {
                return;
            }
            line.under_way.fetch_add(bytes.len(), Ordering::Relaxed);
            line.inputs.push(line.source, [&[0], bytes].concat());
        });
    }

    fn event(&self, event: CharEvent) {
        // Output is always taken, so nobody waits to write.
        let kind = KINDS.iter().position(|kind| *kind == Some(event));
        with(&self.0, |line| {
            if let Some(kind) = kind {
                line.inputs.push(line.source, vec![kind as u8]);
            }
        });
    }
}

/// A network back end.
struct Cable {
    inner: Arc<dyn NetBackend>,
    offloads: Offloads,
    this: Weak<Self>,
    sink: OnceLock<Arc<dyn FrameSink>>,
    /// Frames that the guest has no buffer for.
    waiting: Mutex<VecDeque<Vec<u8>>>,
    under_way: AtomicUsize,
    source: SourceId,
    inputs: Arc<Inputs>,
    pump: Box<dyn Timer>,
}

impl Cable {
    fn deliver(&self, frame: &[u8]) {
        self.waiting.lock().push_back(frame.to_vec());
        self.pump();
    }

    fn pump(&self) {
        let Some(sink) = self.sink.get() else { return };
        let mut any = false;
        loop {
            let Some(frame) = self.waiting.lock().pop_front() else { break };
            if !sink.receive(&frame) {
                self.waiting.lock().push_front(frame);
                break;
            }
            any = true;
            self.under_way.fetch_sub(self.under_way.load(Ordering::Relaxed).min(1), Ordering::Relaxed);
        }
        if any {
            sink.flush();
            self.inner.resume();
        }
    }
}

impl NetBackend for Cable {
    fn offloads(&self) -> Offloads {
        self.offloads
    }

    fn send(&self, frame: &[u8]) {
        self.inner.send(frame);
    }

    fn attach(&self, guest: Arc<dyn FrameSink>) {
        // A device is made once.
        let _ = self.sink.set(guest);
        self.inner.attach(Arc::new(FromCable(self.this.clone())));
    }

    fn resume(&self) {
        self.pump.arm(0);
    }
}

/// What a network device without a back end is connected to: nothing.
pub struct NoNetwork;

impl NetBackend for NoNetwork {
    fn send(&self, _: &[u8]) {}
    fn attach(&self, _: Arc<dyn FrameSink>) {}
    fn resume(&self) {}
}

/// Random bytes that can be recorded.
struct Entropy {
    inner: Box<dyn EntropySource>,
    inputs: Arc<Inputs>,
    source: SourceId,
}

impl EntropySource for Entropy {
    fn fill(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        let mut failed = Ok(());
        let answer = self.inputs.ask(self.source, || {
            let mut real = vec![0; bytes.len()];
            failed = self.inner.fill(&mut real);
            if failed.is_err() { Vec::new() } else { real }
        });
        failed?;
        if answer.len() != bytes.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        bytes.copy_from_slice(&answer);
        Ok(())
    }
}

/// The way in from a network.
struct FromCable(Weak<Cable>);

impl FrameSink for FromCable {
    fn receive(&self, frame: &[u8]) -> bool {
        let Some(cable) = self.0.upgrade() else { return true };
        if cable.under_way.load(Ordering::Relaxed) >= FRAMES {
            return false;
        }
        cable.under_way.fetch_add(1, Ordering::Relaxed);
        cable.inputs.push(cable.source, frame.to_vec());
        true
    }

    fn flush(&self) {}
}
