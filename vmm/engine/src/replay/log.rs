//! The log of a recorded run: what came from outside, and when.
//!
//! A file begins with [`MAGIC`], the version of the layout and the length of the header (two little-endian words of 32 bits), and the header
//! (JSON). Entries follow: a tag, how far the run has come since the entry before (turns, instructions, nanoseconds), and what the kind
//! has. Numbers are in groups of seven bits, the least significant first, the last one without bit 7 (LEB128).
//!
//! A log is not trusted: [`Log::parse`] looks at every entry, so that those who read it later need no checks of their own. One that
//! breaks off, since the recorder was killed, ends with its last whole entry.

use crate::event::Cause;
use base::Ns;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use thiserror::Error;

/// The first bytes of a log.
pub const MAGIC: [u8; 8] = *b"MIMICRR\n";
/// Version of the layout.
const VERSION: u32 = 1;
/// The longest header, and the most that one entry carries, in bytes.
const MOST: usize = 1 << 20;
/// The largest log that is read.
const LARGEST: u64 = 8 << 30;

/// How far a run has come. Each part only ever grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct At {
    /// Turns that have ended.
    pub turns: u64,
    /// Instructions, and traps.
    pub count: u64,
    /// Machine time.
    pub now: Ns,
}

impl At {
    /// Whether a run that is here has left `other` behind, or will never come there.
    pub fn is_past(self, other: Self) -> bool {
        self.turns > other.turns || self.count > other.count || self.now > other.now
    }
}

/// What a recorded run was of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// What has to be the same when it is replayed, each with what people call it.
    pub machine: Vec<(String, String)>,
}

impl Header {
    /// Whether `here` is what this was recorded of.
    pub fn fits(&self, here: &Self) -> Result<(), Difference> {
        let none = ("nothing".to_string(), "nothing".to_string());
        for n in 0..self.machine.len().max(here.machine.len()) {
            let (recorded, here) = (self.machine.get(n), here.machine.get(n));
            if recorded != here {
                let (what, here) = here.unwrap_or(&none).clone();
                let (other, recorded) = recorded.unwrap_or(&none).clone();
                let what = if what == "nothing" { other.clone() } else { what };
                let recorded = if what == other { recorded } else { format!("{other} {recorded}") };
                return Err(Difference { what, recorded, here });
            }
        }
        Ok(())
    }
}

/// What differs between the machine that was recorded and the one that is to replay it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "was recorded with {what} {recorded}, and here it is {here}; replay it with the options and images that it was recorded with"
)]
pub struct Difference {
    what: String,
    recorded: String,
    here: String,
}

/// Something that a log says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happening<'a> {
    /// A source had input, between two turns.
    Input(u32, &'a [u8]),
    /// A source was asked, in the middle of an instruction or before the first one, and gave this.
    Answer(u32, &'a [u8]),
    /// All vCPUs slept, and time went on to this moment.
    Skip(Ns),
    /// An instruction takes `1 << shift` ns from here on.
    Shift(u32),
    /// Somebody outside reset the machine.
    Reset(Cause),
    /// TLBs were emptied; the hash is that of all turns so far.
    Sync(u64),
    /// The run ended; the hash again.
    End(u64),
}

/// An entry of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// When it happened.
    pub at: At,
    /// What.
    pub what: Happening<'a>,
}

mod tag {
    pub const INPUT: u8 = 1;
    pub const ANSWER: u8 = 2;
    pub const SKIP: u8 = 3;
    pub const SHIFT: u8 = 4;
    pub const RESET: u8 = 5;
    pub const SYNC: u8 = 6;
    pub const END: u8 = 7;
}

/// Who resets a machine from outside; the number in a log is the place here.
const CAUSES: [Cause; 5] = [Cause::SystemReset, Cause::Signal, Cause::Ui, Cause::HostError, Cause::Timeout];

fn put(to: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        to.push(value as u8 | 0x80);
        value >>= 7;
    }
    to.push(value as u8);
}

impl Entry<'_> {
    /// Appends its bytes to `to`, given when the one before it happened.
    pub fn write(&self, before: At, to: &mut Vec<u8>) {
        let tag = match self.what {
            Happening::Input(..) => tag::INPUT,
            Happening::Answer(..) => tag::ANSWER,
            Happening::Skip(_) => tag::SKIP,
            Happening::Shift(_) => tag::SHIFT,
            Happening::Reset(_) => tag::RESET,
            Happening::Sync(_) => tag::SYNC,
            Happening::End(_) => tag::END,
        };
        to.push(tag);
        let ahead = |now: u64, before: u64| now.saturating_sub(before);
        put(to, ahead(self.at.turns, before.turns));
        put(to, ahead(self.at.count, before.count));
        put(to, ahead(self.at.now, before.now));
        match self.what {
            Happening::Input(source, bytes) | Happening::Answer(source, bytes) => {
                put(to, source.into());
                put(to, bytes.len() as u64);
                to.extend(bytes);
            }
            Happening::Skip(moment) => put(to, moment),
            Happening::Shift(shift) => put(to, shift.into()),
            Happening::Reset(cause) => {
                put(to, CAUSES.iter().position(|known| *known == cause).unwrap_or(0) as u64);
            }
            Happening::Sync(hash) | Happening::End(hash) => to.extend(hash.to_le_bytes()),
        }
    }
}

/// Why a log can not be used.
#[derive(Debug, Error)]
pub enum LogError {
    /// The host refused the file.
    #[error("cannot {what} {}: {source}", path.display())]
    Host {
        /// What was to be done.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// It is something else.
    #[error("{} is no recorded run", .0.display())]
    Other(PathBuf),
    /// It is of another version.
    #[error("{} was recorded by another version of Mimic (layout {found}, here {VERSION}); record it again", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// The version in it.
        found: u32,
    },
    /// It is damaged.
    #[error("{} is damaged at byte {at}: {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where.
        at: usize,
        /// What is wrong.
        what: &'static str,
    },
    /// It is of another machine.
    #[error("{} {source}", path.display())]
    Differs {
        /// The file.
        path: PathBuf,
        /// What differs.
        source: Difference,
    },
}

/// Reads numbers and bytes of an entry.
struct Bytes<'a> {
    all: &'a [u8],
    at: usize,
}

/// Why an entry can not be read.
enum Broken {
    /// The log ends in the middle of it.
    Short,
    Wrong(&'static str),
}

impl<'a> Bytes<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], Broken> {
        let bytes = self.all.get(self.at..).and_then(|rest| rest.get(..len)).ok_or(Broken::Short)?;
        self.at += len;
        Ok(bytes)
    }

    fn number(&mut self) -> Result<u64, Broken> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            let part = u64::from(byte & 0x7f);
            if part << shift >> shift != part {
                break;
            }
            value |= part << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Broken::Wrong("a number has more than 64 bits"))
    }

    fn bounded(&mut self, most: u64, what: &'static str) -> Result<u64, Broken> {
        self.number().and_then(|value| if value <= most { Ok(value) } else { Err(Broken::Wrong(what)) })
    }

    fn hash(&mut self) -> Result<u64, Broken> {
        let bytes = self.take(8)?;
        Ok(bytes.iter().rev().fold(0, |hash, byte| hash << 8 | u64::from(*byte)))
    }

    fn sourced(&mut self) -> Result<(u32, &'a [u8]), Broken> {
        let source = self.bounded(u32::MAX.into(), "there is no such source of input")? as u32;
        let len = self.bounded(MOST as u64, "an entry is too long")?;
        Ok((source, self.take(len as usize)?))
    }

    fn entry(&mut self, before: At) -> Result<Entry<'a>, Broken> {
        const LATE: &str = "a time is beyond all times";
        let tag = self.take(1)?[0];
        let mut later = |before: u64| before.checked_add(self.number()?).ok_or(Broken::Wrong(LATE));
        let at = At { turns: later(before.turns)?, count: later(before.count)?, now: later(before.now)? };
        let what = match tag {
            tag::INPUT => self.sourced().map(|(source, bytes)| Happening::Input(source, bytes))?,
            tag::ANSWER => self.sourced().map(|(source, bytes)| Happening::Answer(source, bytes))?,
            tag::SKIP => Happening::Skip(self.number()?),
            tag::SHIFT => {
                Happening::Shift(self.bounded(base::MAX_SHIFT.into(), "a shift is too large")? as u32)
            }
            tag::RESET => {
                let cause = self.bounded(CAUSES.len() as u64 - 1, "there is no such cause of a reset")?;
                Happening::Reset(CAUSES[cause as usize])
            }
            tag::SYNC => Happening::Sync(self.hash()?),
            tag::END => Happening::End(self.hash()?),
            _ => return Err(Broken::Wrong("there is no such kind of entry")),
        };
        Ok(Entry { at, what })
    }
}

/// A place in a log: in front of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    byte: usize,
    /// When the entry before happened.
    before: At,
}

/// A log that can be replayed.
#[derive(Clone, Debug)]
pub struct Log {
    path: PathBuf,
    bytes: Arc<[u8]>,
    header: Header,
    start: Place,
    end: Place,
}

impl Log {
    /// Reads the file at `path`.
    pub fn open(path: &Path) -> Result<Self, LogError> {
        let failed = |source| LogError::Host { what: "read", path: path.into(), source };
        let file = File::open(path).map_err(failed)?;
        let mut bytes = Vec::new();
        file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() as u64 > LARGEST {
            return Err(failed(io::ErrorKind::FileTooLarge.into()));
        }
        Self::parse(path, bytes)
    }

    /// A log of these bytes, which are in the file `path`.
    pub fn parse(path: &Path, bytes: Vec<u8>) -> Result<Self, LogError> {
        let other = || LogError::Other(path.into());
        let word = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        if !bytes.starts_with(&MAGIC) {
            return Err(other());
        }
        let found = word(8).ok_or_else(other)?;
        if found != VERSION {
            return Err(LogError::Version { path: path.into(), found });
        }
        let damaged = |at, what| LogError::Damaged { path: path.into(), at, what };
        let len = word(12).ok_or_else(other)? as usize;
        let header = bytes.get(16..).and_then(|rest| rest.get(..len.min(MOST + 1)));
        let header = header.filter(|_| len <= MOST).ok_or_else(|| damaged(12, "the header is too long"))?;
        let header = serde_json::from_slice(header).map_err(|_| damaged(16, "the header is no header"))?;
        let start = Place { byte: 16 + len, before: At::default() };
        let mut end = start;
        let mut entries = Bytes { all: &bytes, at: start.byte };
        while entries.at < bytes.len() {
            match entries.entry(end.before) {
                Ok(entry) => end = Place { byte: entries.at, before: entry.at },
                Err(Broken::Short) => break,
                Err(Broken::Wrong(what)) => return Err(damaged(end.byte, what)),
            }
        }
        Ok(Self { path: path.into(), bytes: bytes.into(), header, start, end })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it is of the machine that `here` describes.
    pub fn check(&self, here: &Header) -> Result<(), LogError> {
        self.header.fits(here).map_err(|source| LogError::Differs { path: self.path.clone(), source })
    }

    /// In front of the first entry.
    pub fn start(&self) -> Place {
        self.start
    }

    /// When the last entry happened.
    pub fn end(&self) -> At {
        self.end.before
    }

    /// The entry at `place`, and the place behind it; `None` at the end.
    pub fn entry(&self, place: Place) -> Option<(Entry<'_>, Place)> {
        let mut entries = Bytes { all: &self.bytes[..self.end.byte], at: place.byte };
        let entry = entries.entry(place.before).ok()?;
        Some((entry, Place { byte: entries.at, before: entry.at }))
    }
}

/// Writes a log.
pub struct Recorder {
    file: BufWriter<File>,
    path: PathBuf,
    last: At,
    /// For the bytes of an entry.
    buffer: Vec<u8>,
}

impl Recorder {
    /// Begins the log `path` of the machine that `header` describes.
    pub fn create(path: &Path, header: &Header) -> Result<Self, LogError> {
        let failed = |source| LogError::Host { what: "write", path: path.into(), source };
        let text = serde_json::to_vec(header).map_err(|fault| failed(fault.into()))?;
        let mut file = BufWriter::new(File::create(path).map_err(failed)?);
        let head = [&MAGIC[..], &VERSION.to_le_bytes(), &(text.len() as u32).to_le_bytes(), &text].concat();
        file.write_all(&head).and_then(|()| file.flush()).map_err(failed)?;
        Ok(Self { file, path: path.into(), last: At::default(), buffer: Vec::new() })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds an entry; what is marked by a [`Happening::Sync`] or an end is in the file even if the recorder is killed.
    pub fn add(&mut self, entry: Entry<'_>) -> Result<(), LogError> {
        self.buffer.clear();
        entry.write(self.last, &mut self.buffer);
        self.last = entry.at;
        let mut written = self.file.write_all(&self.buffer);
        if matches!(entry.what, Happening::Sync(_) | Happening::End(_)) {
            written = written.and_then(|()| self.file.flush());
        }
        written.map_err(|source| LogError::Host { what: "write", path: self.path.clone(), source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(entries: &[Entry<'_>]) -> Vec<u8> {
        let header = Header { machine: vec![("RAM of".into(), "4 MiB".into())] };
        let text = serde_json::to_vec(&header).expect("plain data");
        let mut all =
            [&MAGIC[..], &VERSION.to_le_bytes(), &(text.len() as u32).to_le_bytes(), &text].concat();
        let mut last = At::default();
        for entry in entries {
            entry.write(last, &mut all);
            last = entry.at;
        }
        all
    }

    fn some() -> Vec<Entry<'static>> {
        let at = |n: u64| At { turns: n, count: n * 1000, now: n << 40 };
        let what = [
            Happening::Answer(0, b"12345678"),
            Happening::Input(3, b"ls\n"),
            Happening::Skip(u64::MAX),
            Happening::Shift(10),
            Happening::Reset(Cause::SystemReset),
            Happening::Sync(0xfedc_ba98_7654_3210),
            Happening::Input(4, &[0; 300]),
            Happening::End(1),
        ];
        what.into_iter().enumerate().map(|(n, what)| Entry { at: at(n as u64), what }).collect()
    }

    fn read(log: &Log) -> Vec<Entry<'_>> {
        let mut place = log.start();
        std::iter::from_fn(|| {
            let (entry, next) = log.entry(place)?;
            place = next;
            Some(entry)
        })
        .collect()
    }

    #[test]
    fn what_is_written_is_read() {
        let log = Log::parse(Path::new("x"), bytes(&some())).expect("whole");
        assert_eq!(read(&log), some());
        assert_eq!(log.end(), some()[7].at);
    }

    #[test]
    fn a_log_that_breaks_off_ends_with_its_last_whole_entry() {
        let whole = bytes(&some());
        let start = bytes(&[]).len();
        let mut seen = 0;
        for len in start..whole.len() {
            let log = Log::parse(Path::new("x"), whole[..len].to_vec()).expect("as far as it goes");
            let entries = read(&log).len();
            assert!(entries >= seen && entries < some().len());
            seen = entries;
            assert_eq!(read(&log), some()[..entries]);
        }
        assert_eq!(seen, some().len() - 1);
        for len in 0..start {
            assert!(Log::parse(Path::new("x"), whole[..len].to_vec()).is_err(), "{len}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_in_a_sentence() {
        let says = |bytes: Vec<u8>| Log::parse(Path::new("x"), bytes).expect_err("it is wrong").to_string();
        assert_eq!(says(b"#!/bin/sh\n123456".to_vec()), "x is no recorded run");
        let mut old = bytes(&[]);
        old[8] = 9;
        assert!(says(old).contains("another version of Mimic (layout 9, here 1)"));
        let start = bytes(&[]).len();
        let with = |more: &[u8]| [bytes(&[]), more.to_vec()].concat();
        for (more, what) in [
            (&[9, 0, 0, 0][..], "there is no such kind of entry"),
            (&[1, 0, 0, 0, 0, 0x80, 0x80, 0x80, 1], "an entry is too long"),
            (&[4, 0, 0, 0, 21], "a shift is too large"),
            (&[5, 0, 0, 0, 5], "there is no such cause of a reset"),
            (&[6, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2], "a number has more than 64 bits"),
        ] {
            assert_eq!(says(with(more)), format!("x is damaged at byte {start}: {what}"));
        }
    }

    #[test]
    fn another_machine_is_named() {
        let header = |items: &[(&str, &str)]| Header {
            machine: items.iter().map(|(what, value)| (what.to_string(), value.to_string())).collect(),
        };
        let recorded = header(&[("-smp", "2"), ("disk a.img", "1 MiB, 77")]);
        assert_eq!(recorded.fits(&recorded), Ok(()));
        let said = |here: &Header| recorded.fits(here).expect_err("they differ").to_string();
        let more = "; replay it with the options and images that it was recorded with";
        assert_eq!(
            said(&header(&[("-smp", "4"), ("disk a.img", "1 MiB, 77")])),
            format!("was recorded with -smp 2, and here it is 4{more}")
        );
        assert_eq!(
            said(&header(&[("-smp", "2")])),
            format!("was recorded with disk a.img 1 MiB, 77, and here it is nothing{more}")
        );
    }
}
