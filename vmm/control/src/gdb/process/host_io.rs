//! Files for the client: packets `vFile` ("Host I/O Packets", "File-I/O Remote Protocol Extension"). Only reading: a
//! program's own writes are its debugger's way to change files.

use super::super::packet::{from_hex, number};
use super::super::{Answer, PACKET_SIZE, reply};
use std::collections::BTreeMap;
use std::ffi::CString;
use std::io;
use std::os::unix::fs::MetadataExt;
use tcg_user::debug::{Contents, Debug, Opened};

/// Files that a client may have open.
const MOST: usize = 256;
/// The bits of flags that ask for more than reading: write, append, create, truncate.
const WRITING: u64 = 0x3 | 0x8 | 0x200 | 0x400;

/// `errno` as the protocol numbers it.
mod error {
    pub const EBADF: i32 = 9;
    pub const EINVAL: i32 = 22;
    pub const EMFILE: i32 = 24;
    pub const EROFS: i32 = 30;
    pub const ENAMETOOLONG: i32 = 91;
    pub const EUNKNOWN: i32 = 9999;
    /// Those that have Linux' numbers.
    pub const SAME: [i32; 18] = [1, 2, 4, 9, 13, 14, 16, 17, 19, 20, 21, 22, 23, 24, 27, 28, 29, 30];
}

/// The files of a client.
#[derive(Default)]
pub struct Files(BTreeMap<u64, Opened>);

fn failed(number: i32) -> Answer {
    reply(format!("F-1,{number:x}"))
}

fn failure(fault: &io::Error) -> Answer {
    failed(match fault.raw_os_error() {
        Some(libc::ENAMETOOLONG) => error::ENAMETOOLONG,
        Some(number) if error::SAME.contains(&number) => number,
        _ => error::EUNKNOWN,
    })
}

/// A result with bytes behind it.
fn with_bytes(bytes: &[u8]) -> Answer {
    Answer::Bytes([format!("F{:x};", bytes.len()).as_bytes(), bytes].concat())
}

fn name(text: &str) -> Option<CString> {
    CString::new(from_hex(text.as_bytes())?).ok()
}

/// Hexadecimal numbers between commas.
fn numbers<const N: usize>(text: &str) -> Option<[u64; N]> {
    let all: Option<Vec<u64>> = text.split(',').map(|text| number(text).map(|(n, _)| n)).collect();
    all?.try_into().ok()
}

impl Files {
    /// Answers `vFile:TEXT`.
    pub fn packet(&mut self, debug: &Debug, text: &str) -> Answer {
        let (what, rest) = text.split_once(':').unwrap_or((text, ""));
        let answer = match what {
            // There is one file system: the program's.
            "setfs" => Some(reply("F0")),
            "open" => self.open(debug, rest),
            "close" => numbers(rest).map(|[fd]| match self.0.remove(&fd) {
                Some(_) => reply("F0"),
                None => failed(error::EBADF),
            }),
            "pread" => self.read(rest),
            "fstat" => numbers(rest).map(|[fd]| self.stat(fd)),
            "readlink" => name(rest).map(|name| match debug.read_link(&name) {
                Ok(link) => with_bytes(&link),
                Err(fault) => failure(&fault),
            }),
            _ => return reply(""),
        };
        answer.unwrap_or(failed(error::EINVAL))
    }

    fn open(&mut self, debug: &Debug, text: &str) -> Option<Answer> {
        let (path, rest) = text.split_once(',')?;
        let [flags, _mode] = numbers(rest)?;
        if flags & WRITING != 0 {
            return Some(failed(error::EROFS));
        }
        if self.0.len() >= MOST {
            return Some(failed(error::EMFILE));
        }
        Some(match debug.open(&name(path)?) {
            Ok(file) => {
                let fd = (0..).find(|fd| !self.0.contains_key(fd))?;
                self.0.insert(fd, file);
                reply(format!("F{fd:x}"))
            }
            Err(fault) => failure(&fault),
        })
    }

    fn read(&self, text: &str) -> Option<Answer> {
        let [fd, len, offset] = numbers(text)?;
        let Some(file) = self.0.get(&fd) else { return Some(failed(error::EBADF)) };
        // Room for escapes of a byte each.
        let len = len.min(PACKET_SIZE as u64 / 2 - 16) as usize;
        Some(match file.read(offset, len) {
            Ok(bytes) => with_bytes(&bytes),
            Err(fault) => failure(&fault),
        })
    }

    /// `struct stat` of the protocol: big-endian words of 32 and 64 bits.
    fn stat(&self, fd: u64) -> Answer {
        let Some(file) = self.0.get(&fd) else { return failed(error::EBADF) };
        let mut to = Vec::new();
        let half = |to: &mut Vec<u8>, value: u64| to.extend((value as u32).to_be_bytes());
        match &file.contents {
            Contents::File(file) => {
                let data = match file.metadata() {
                    Ok(data) => data,
                    Err(fault) => return failure(&fault),
                };
                let ids = [data.dev(), data.ino(), data.mode().into(), data.nlink()];
                ids.iter().for_each(|id| half(&mut to, *id));
                [data.uid().into(), data.gid().into(), data.rdev()].iter().for_each(|id| half(&mut to, *id));
                [data.size(), data.blksize(), data.blocks()]
                    .iter()
                    .for_each(|size| to.extend(size.to_be_bytes()));
                [data.atime(), data.mtime(), data.ctime()]
                    .iter()
                    .for_each(|time| half(&mut to, *time as u64));
            }
            Contents::Made(bytes) => {
                let regular = u64::from(libc::S_IFREG | 0o444);
                [0, 0, regular, 1, 0, 0, 0].iter().for_each(|id| half(&mut to, *id));
                [bytes.len() as u64, 512, 0].iter().for_each(|size| to.extend(size.to_be_bytes()));
                [0; 3].iter().for_each(|time| half(&mut to, *time));
            }
        }
        with_bytes(&to)
    }
}
