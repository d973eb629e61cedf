//! What comes to a machine from outside while its vCPUs run by turns: it waits until the present turn is over. So what came, and
//! when, can be written down, and be repeated from there ([`crate::replay`]).

use crate::replay::{At, Happening, Journal, Mode};
use base::{CpuLines, InstructionClock};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

/// Takes one piece of input, on the thread of the vCPUs.
pub type Deliver = Box<dyn Fn(&[u8]) + Send + Sync>;

/// Keeps something that is no part of the machine's saved state and follows from what the guest did; gives what puts it back.
pub type Keeper = Box<dyn Fn() -> Kept + Send + Sync>;

/// Puts something back; may be called several times.
pub type Kept = Box<dyn Fn() + Send + Sync>;

/// One place that input comes from.
struct Source {
    /// What people know it by.
    name: String,
    deliver: Deliver,
    /// What it answered last.
    last: Mutex<Option<Vec<u8>>>,
}

/// Number of a source: its place in the order in which they were added, which is the same in each run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceId(u32);

/// Everything that comes from outside.
pub struct Inputs {
    clock: Arc<InstructionClock>,
    /// Turns that have ended.
    turns: AtomicU64,
    journal: Option<Journal>,
    sources: Mutex<Vec<Arc<Source>>>,
    waiting: Mutex<VecDeque<(SourceId, Vec<u8>)>>,
    keepers: Mutex<Vec<Keeper>>,
    /// Who is woken when something comes.
    wakes: OnceLock<Arc<CpuLines>>,
    /// The machine has begun, and it is not the guest who acts.
    stands: AtomicBool,
    /// The count at which a monitor wants a replay to stop.
    stop: AtomicU64,
    /// What is done was done before: nobody outside is to see it again.
    repeats: AtomicBool,
}

impl Inputs {
    /// For a machine whose instructions `clock` counts, and whose run is recorded in `journal` or follows it.
    pub fn new(clock: Arc<InstructionClock>, journal: Option<Journal>) -> Self {
        Self {
            clock,
            turns: AtomicU64::new(0),
            journal,
            sources: Mutex::default(),
            waiting: Mutex::default(),
            keepers: Mutex::default(),
            wakes: OnceLock::new(),
            stands: AtomicBool::new(false),
            stop: AtomicU64::new(u64::MAX),
            repeats: AtomicBool::new(false),
        }
    }

    /// The log of the run, if it has one.
    pub fn journal(&self) -> Option<&Journal> {
        self.journal.as_ref()
    }

    /// Whether the run repeats a recorded one: nothing comes from outside then.
    pub fn replays(&self) -> bool {
        self.mode() == Some(Mode::Replay)
    }

    pub(crate) fn mode(&self) -> Option<Mode> {
        self.journal.as_ref().map(Journal::mode)
    }

    /// Whether what the guest does now was done and seen before, since a debugger went back: it is not to be shown again.
    pub fn repeats(&self) -> bool {
        self.repeats.load(Ordering::Relaxed)
    }

    pub(crate) fn set_repeats(&self, repeats: bool) {
        self.repeats.store(repeats, Ordering::Relaxed);
    }

    /// How far the run has come.
    pub(crate) fn at(&self) -> At {
        let moment = self.clock.moment();
        At { turns: self.turns.load(Ordering::Relaxed), count: moment.count, now: moment.now }
    }

    /// The number of turns that have ended is this.
    pub(crate) fn set_turns(&self, turns: u64) {
        self.turns.store(turns, Ordering::Relaxed);
    }

    /// From now on the guest acts, or somebody else.
    pub(crate) fn set_stands(&self, stands: bool) {
        self.stands.store(stands, Ordering::Relaxed);
    }

    /// Where a monitor wants a replay to stop; `u64::MAX`: nowhere.
    pub(crate) fn stop(&self) -> u64 {
        self.stop.load(Ordering::Relaxed)
    }

    /// Has a replay stop at instruction `count`, once; `u64::MAX`: nowhere. With the vCPUs stopped.
    pub(crate) fn set_stop(&self, count: u64) {
        self.stop.store(count, Ordering::Relaxed);
    }

    /// Whether it is to stop at `count`, which is past then.
    pub(crate) fn stops_at(&self, count: u64) -> bool {
        count >= self.stop() && self.stop.swap(u64::MAX, Ordering::Relaxed) != u64::MAX
    }

    /// Adds a source, called `name`, whose input `deliver` takes.
    pub fn source(&self, name: &str, deliver: Deliver) -> SourceId {
        let mut sources = self.sources.lock();
        sources.push(Arc::new(Source { name: name.into(), deliver, last: Mutex::default() }));
        SourceId((sources.len() - 1) as u32)
    }

    /// Adds something that has no input and is asked ([`Inputs::ask`]).
    pub fn oracle(&self, name: &str) -> SourceId {
        self.source(name, Box::new(|_| ()))
    }

    /// Has `keeper` keep and put back what it knows of when a debugger goes back in time.
    pub fn keep(&self, keeper: Keeper) {
        self.keepers.lock().push(keeper);
    }

    /// Keeps all that keepers know of.
    pub(crate) fn kept(&self) -> Vec<Kept> {
        self.keepers.lock().iter().map(|keeper| keeper()).collect()
    }

    /// Has `lines` hear of input: once, before the machine runs.
    pub fn wake(&self, lines: &Arc<CpuLines>) {
        // A second call would name the same vCPU.
        let _ = self.wakes.set(lines.clone());
    }

    /// Something came from `source`; from any thread. A replay has no use for it.
    pub fn push(&self, source: SourceId, input: Vec<u8>) {
        if self.replays() {
            return;
        }
        self.waiting.lock().push_back((source, input));
        if let Some(lines) = self.wakes.get() {
            lines.kick();
        }
    }

    /// What the world says now, as `real` finds it, or as it was recorded. Called by devices for the guest, or before the first
    /// instruction; others who ask get what was answered last, and leave no trace.
    pub fn ask(&self, source: SourceId, real: impl FnOnce() -> Vec<u8>) -> Vec<u8> {
        let Some(journal) = &self.journal else { return real() };
        let asked = self.sources.lock()[source.0 as usize].clone();
        if self.stands.load(Ordering::Relaxed) {
            return asked.last.lock().clone().unwrap_or_else(real);
        }
        let at = self.at();
        let answer = match journal.mode() {
            Mode::Record => {
                let answer = real();
                journal.note(at, Happening::Answer(source.0, &answer));
                answer
            }
            Mode::Replay => journal.answer(at, source.0).unwrap_or_else(|| {
                self.diverged(&format!("looks at {}", asked.name));
                Vec::new()
            }),
        };
        *asked.last.lock() = Some(answer.clone());
        answer
    }

    /// Hands on what has come; between two turns.
    pub(crate) fn deliver(&self) {
        while let Some((source, input)) = self.next() {
            if let Some(journal) = &self.journal {
                journal.note(self.at(), Happening::Input(source.0, &input));
            }
            self.hand_on(source.0, &input);
        }
    }

    /// Hands on `input`. A source that there is not has none.
    pub(crate) fn hand_on(&self, source: u32, input: &[u8]) {
        let Some(source) = self.sources.lock().get(source as usize).cloned() else { return };
        let count = self.clock.ticks().count();
        tracing::trace!(target: "icount", "{} bytes from {} at {count}", input.len(), source.name);
        (source.deliver)(input);
    }

    /// The run, which `does` something now, does not do what was recorded.
    pub(crate) fn diverged(&self, does: &str) {
        let Some(journal) = &self.journal else { return };
        let file = journal.path().display();
        let (at, name) = (self.at(), |source: u32| {
            let sources = self.sources.lock();
            sources
                .get(source as usize)
                .map_or_else(|| "an unknown source".into(), |source| source.name.clone())
        });
        let recorded = match journal.ahead(name) {
            Some((then, what)) => format!("has {what} at instruction {} ({} ns)", then.count, then.now),
            None => "has ended".into(),
        };
        journal.fail(format!(
            "the replay has left {file}: at instruction {} ({} ns) the machine {does}, and the recording {recorded}",
            at.count, at.now
        ));
    }

    fn next(&self) -> Option<(SourceId, Vec<u8>)> {
        self.waiting.lock().pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_waits_for_the_end_of_a_turn_and_keeps_its_order() {
        let inputs = Inputs::new(InstructionClock::new(0), None);
        let lines = Arc::new(CpuLines::default());
        inputs.wake(&lines);
        type Got = Vec<(u8, Vec<u8>)>;
        let got: Arc<Mutex<Got>> = Arc::default();
        let source = |n: u8| {
            let got = got.clone();
            inputs.source("x", Box::new(move |bytes| got.lock().push((n, bytes.to_vec()))))
        };
        let (one, two) = (source(1), source(2));
        inputs.push(two, vec![1]);
        inputs.push(one, vec![2, 3]);
        inputs.push(two, vec![]);
        assert!(got.lock().is_empty() && lines.take_request());
        inputs.deliver();
        assert_eq!(*got.lock(), vec![(2, vec![1]), (1, vec![2, 3]), (2, vec![])]);
        inputs.deliver();
        assert_eq!(got.lock().len(), 3);
    }
}
