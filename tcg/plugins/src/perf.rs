//! `-perfmap` and `-jitdump`: telling Linux' `perf` what generated code is.
//!
//! From: Linux' tools/perf/Documentation/jit-interface.txt (`/tmp/perf-PID.map`) and jitdump-specification.txt. A piece of code has the
//! name of the guest function that it was made from, with the offset in it, or else the guest's address. With a dump, record with
//! `perf record -k 1` and make code of it by `perf inject --jit`.

use crate::symbols::Symbols;
use parking_lot::Mutex;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use tcg_core::observe::Image;
use tcg_core::run::{CodeListener, Made};

/// Writes for `perf`.
pub struct Perf {
    state: Mutex<State>,
}

struct State {
    symbols: Symbols,
    map: Option<File>,
    dump: Option<Dump>,
}

impl Perf {
    /// Writes a map, a dump, or both. The map is `/tmp/perf-PID.map`, the dump `jit-PID.dump` in the present directory.
    pub fn new(map: bool, dump: bool) -> Result<Self, (PathBuf, io::Error)> {
        let pid = std::process::id();
        let open = |path: PathBuf| {
            File::create(&path).map_err(|error| (path.clone(), error)).map(|file| (file, path))
        };
        let map = map.then(|| open(format!("/tmp/perf-{pid}.map").into())).transpose()?;
        let dump = match dump {
            false => None,
            true => {
                let path: PathBuf = format!("jit-{pid}.dump").into();
                Some(Dump::create(&path, pid).map_err(|error| (path, error))?)
            }
        };
        let state = State { symbols: Symbols::default(), map: map.map(|(file, _)| file), dump };
        Ok(Self { state: Mutex::new(state) })
    }
}

impl CodeListener for Perf {
    fn image(&self, image: &Image) {
        self.state.lock().symbols.add(image);
    }

    fn made(&self, made: &Made<'_>) {
        let State { symbols, map, dump } = &mut *self.state.lock();
        let name = match symbols.show(made.pc) {
            name if name.is_empty() => format!("guest-{:#x}", made.pc),
            name => name,
        };
        let name = if made.hot { format!("{name} [region]") } else { name };
        // One that can not be written is told of once, and given up.
        let mapped = map.as_mut().map(|file| writeln!(file, "{:x} {:x} {name}", made.at, made.code.len()));
        if let Some(Err(error)) = mapped {
            tracing::warn!("-perfmap: cannot write the map: {error}");
            *map = None;
        }
        if let Some(Err(error)) = dump.as_mut().map(|dump| dump.load(made, &name)) {
            tracing::warn!("-jitdump: cannot write the dump: {error}");
            *dump = None;
        }
    }
}

/// "JiTD".
const MAGIC: u32 = 0x4a69_5444;
const VERSION: u32 = 1;
const HEADER_BYTES: u32 = 40;
/// `JIT_CODE_LOAD`.
const CODE_LOAD: u32 = 0;
/// Bytes of its record without name and code.
const LOAD_BYTES: usize = 56;
/// `e_machine` of the host.
const MACHINE: u32 = 62;

/// A dump that is being written.
struct Dump {
    file: File,
    pid: u32,
    /// Number of the next piece of code.
    next: u64,
}

/// Nanoseconds by the clock of `perf record -k 1`.
fn now() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes the local structure.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

impl Dump {
    fn create(path: &Path, pid: u32) -> io::Result<Self> {
        let mut file = File::options().read(true).write(true).create(true).truncate(true).open(path)?;
        let mut head = Vec::new();
        for word in [MAGIC, VERSION, HEADER_BYTES, MACHINE, 0, pid] {
            head.extend(word.to_ne_bytes());
        }
        head.extend(now().to_ne_bytes());
        head.extend(0u64.to_ne_bytes());
        file.write_all(&head)?;
        // By this mapping `perf` learns of the file. It lasts as long as the process.
        let (protection, flags) = (libc::PROT_READ | libc::PROT_EXEC, libc::MAP_PRIVATE);
        // SAFETY: a new mapping at an address of the kernel's choice; nobody uses it.
        let at = unsafe { libc::mmap(std::ptr::null_mut(), 4096, protection, flags, file.as_raw_fd(), 0) };
        if at == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Self { file, pid, next: 0 })
    }

    fn load(&mut self, made: &Made<'_>, name: &str) -> io::Result<()> {
        let size = LOAD_BYTES + name.len() + 1 + made.code.len();
        let mut record = Vec::with_capacity(size);
        record.extend(CODE_LOAD.to_ne_bytes());
        record.extend((size as u32).to_ne_bytes());
        record.extend(now().to_ne_bytes());
        // SAFETY: only asks for a number.
        let thread = unsafe { libc::gettid() } as u32;
        record.extend([self.pid, thread].into_iter().flat_map(u32::to_ne_bytes));
        let words = [made.at, made.at, made.code.len() as u64, self.next];
        record.extend(words.into_iter().flat_map(u64::to_ne_bytes));
        record.extend(name.as_bytes());
        record.push(0);
        record.extend(made.code);
        self.next += 1;
        self.file.write_all(&record)
    }
}
