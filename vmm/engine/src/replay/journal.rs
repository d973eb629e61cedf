//! The log of the present run: written while it is recorded, followed while it is replayed.

use super::log::{At, Entry, Happening, Log, LogError, Place, Recorder};
use crate::event::Cause;
use base::Ns;
use parking_lot::Mutex;
use std::path::{Path, PathBuf};

/// What a run is to its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It writes it.
    Record,
    /// It follows it.
    Replay,
}

enum Side {
    Record(Recorder),
    Replay { log: Log, place: Place },
}

/// The log of a run.
pub struct Journal {
    side: Mutex<Side>,
    mode: Mode,
    path: PathBuf,
    /// Why the run can not go on.
    fault: Mutex<Option<String>>,
}

/// What a replay comes to between two turns.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Due {
    Input(u32, Vec<u8>),
    Shift(u32),
    Sync(u64),
}

/// Where a replay can not simply go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Border {
    Reset(Cause),
    /// Its end, with the hash of all turns if the recorder was not killed.
    End(Option<u64>),
}

impl Journal {
    /// A run that `recorder` writes down.
    pub fn record(recorder: Recorder) -> Self {
        let path = recorder.path().into();
        Self { side: Mutex::new(Side::Record(recorder)), mode: Mode::Record, path, fault: Mutex::default() }
    }

    /// A run that does what `log` says.
    pub fn replay(log: Log) -> Self {
        let (path, place) = (log.path().into(), log.start());
        let side = Mutex::new(Side::Replay { log, place });
        Self { side, mode: Mode::Replay, path, fault: Mutex::default() }
    }

    /// Which of the two it is.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Why the run can not go on, if something is wrong.
    pub fn fault(&self) -> Option<String> {
        self.fault.lock().clone()
    }

    /// The first thing that is wrong counts.
    pub(crate) fn fail(&self, what: String) {
        self.fault.lock().get_or_insert(what);
    }

    /// Writes down what happened.
    pub(crate) fn note(&self, at: At, what: Happening<'_>) {
        if let Side::Record(recorder) = &mut *self.side.lock()
            && let Err(fault @ LogError::Host { .. }) = recorder.add(Entry { at, what })
        {
            self.fail(format!("-icount rr=record: {fault}"));
        }
    }

    /// Does `look` with the entry that comes next, and goes on behind it where that gives something.
    fn next<T>(&self, look: impl FnOnce(Option<Entry<'_>>) -> Option<T>) -> Option<T> {
        let Side::Replay { log, place } = &mut *self.side.lock() else { return None };
        let next = log.entry(*place);
        let found = look(next.map(|(entry, _)| entry));
        if let (Some(_), Some((_, behind))) = (&found, next) {
            *place = behind;
        }
        found
    }

    /// What is to happen here, between two turns.
    pub(crate) fn due(&self, at: At) -> Option<Due> {
        self.next(|entry| match entry.filter(|entry| entry.at == at)?.what {
            Happening::Input(source, bytes) => Some(Due::Input(source, bytes.to_vec())),
            Happening::Shift(shift) => Some(Due::Shift(shift)),
            Happening::Sync(hash) => Some(Due::Sync(hash)),
            _ => None,
        })
    }

    /// What `source` answers here; `None` where the log has something else.
    pub(crate) fn answer(&self, at: At, source: u32) -> Option<Vec<u8>> {
        self.next(|entry| match entry.filter(|entry| entry.at == at)?.what {
            Happening::Answer(from, bytes) if from == source => Some(bytes.to_vec()),
            _ => None,
        })
    }

    /// The moment to which time goes on here, where all vCPUs sleep.
    pub(crate) fn skip(&self, at: At) -> Option<Ns> {
        self.next(|entry| match entry.filter(|entry| entry.at == at)?.what {
            Happening::Skip(moment) => Some(moment),
            _ => None,
        })
    }

    /// The border that comes next, and when.
    pub(crate) fn border(&self) -> Option<(At, Border)> {
        let Side::Replay { log, place } = &*self.side.lock() else { return None };
        let Some((entry, _)) = log.entry(*place) else { return Some((log.end(), Border::End(None))) };
        match entry.what {
            Happening::Reset(cause) => Some((entry.at, Border::Reset(cause))),
            Happening::End(hash) => Some((entry.at, Border::End(Some(hash)))),
            _ => None,
        }
    }

    /// Goes on behind a reset.
    pub(crate) fn pass_reset(&self) {
        self.next(|entry| matches!(entry?.what, Happening::Reset(_)).then_some(()));
    }

    /// What the log says next, and when; `None`: it ends here.
    pub(crate) fn ahead(&self, name: impl Fn(u32) -> String) -> Option<(At, String)> {
        let Side::Replay { log, place } = &*self.side.lock() else { return None };
        let (entry, _) = log.entry(*place)?;
        let what = match entry.what {
            Happening::Input(source, bytes) => format!("{} bytes from {}", bytes.len(), name(source)),
            Happening::Answer(source, _) => format!("a look at {}", name(source)),
            Happening::Skip(_) => "all CPUs asleep".into(),
            Happening::Shift(_) => "a change of speed".into(),
            Happening::Reset(_) => "a reset from outside".into(),
            Happening::Sync(_) => "the end of a turn".into(),
            Happening::End(hash) => format!("its end, with the trace hash {hash:016x},"),
        };
        Some((entry.at, what))
    }

    /// When the log ends.
    pub fn end(&self) -> Option<At> {
        match &*self.side.lock() {
            Side::Record(_) => None,
            Side::Replay { log, .. } => Some(log.end()),
        }
    }

    /// Where the replay is in its log.
    pub(crate) fn place(&self) -> Option<Place> {
        match &*self.side.lock() {
            Side::Record(_) => None,
            Side::Replay { place, .. } => Some(*place),
        }
    }

    /// Has the replay go on from there.
    pub(crate) fn go_to(&self, to: Place) {
        if let Side::Replay { place, .. } = &mut *self.side.lock() {
            *place = to;
        }
    }
}
