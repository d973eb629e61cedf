//! Parts of user mode without a program around them, for fuzz targets.

use crate::arch::Arch;
use crate::cpu::CpuOf;
use crate::crash::Dying;
use crate::host_threads::HostThreads;
use crate::limits::Limits;
use crate::load;
use crate::memory::{Backing, Memory};
use crate::process::{Config, Process};
use crate::signal::{Actions, host};
use crate::strace::{Log, Strace};
use crate::syscall::Told;
use crate::sysroot::Sysroot;
use crate::thread::Thread;
use std::io;
use std::path::Path;
use std::sync::Arc;
use tcg_core::run::{CodeConfig, Tiers};

/// Bytes of code memory: little, since little is translated.
const CODE: usize = 1 << 20;
/// Bytes of each mapping that a [`Caller`] has.
const ROOM: u64 = 8192;

fn memory() -> io::Result<Arc<Memory>> {
    let config = CodeConfig { code_bytes: CODE, ..CodeConfig::default() };
    let memory = Memory::new(None, Limits::inherited(), config)?;
    host::install_fault_handlers();
    // A sanitizer has its own memory where the guest's would be.
    if memory.space().range().end < 1 << 40 { Err(io::ErrorKind::OutOfMemory.into()) } else { Ok(memory) }
}

/// Loads `file` as a program for `A`, and takes it out of memory again; whether it was one.
///
/// # Errors
/// There is no place for a guest in this process.
pub fn load<A: Arch>(file: &Path) -> io::Result<bool> {
    let memory = memory()?;
    let loaded = load::program(&memory, &A::ABI, &Sysroot::new(None), file, vec!["program".into()]);
    let (all, mut ranges) = (memory.space().range(), Vec::new());
    memory.space().each(|range, _| {
        ranges.push(range);
        true
    });
    for range in ranges {
        assert!(all.start <= range.start && range.end <= all.end, "{range:x?} is not the guest's");
        memory.unmap(range.start, range.end - range.start).expect("it was mapped");
    }
    Ok(loaded.is_ok())
}

/// A process of one thread that makes system calls. It is the present process, so it is made in one that can be lost.
pub struct Caller {
    thread: Thread,
    data: u64,
    code: u64,
}

impl Caller {
    /// A new one, for architecture `A`.
    ///
    /// # Errors
    /// There is no place for a guest in this process.
    pub fn new<A: Arch>() -> io::Result<Self> {
        let memory = memory()?;
        let state = A::new_cpu(None).map_err(io::Error::other)?;
        let cpu = CpuOf::<A>::new(state, memory.code(), Tiers::default());
        let full = |errno: i32| io::Error::from_raw_os_error(errno);
        let rw = libc::PROT_READ | libc::PROT_WRITE;
        let data = memory.map(0, ROOM, rw, Backing::ZERO).map_err(full)?;
        let code = memory.map(0, ROOM, rw | libc::PROT_EXEC, Backing::ZERO).map_err(full)?;
        memory.set_heap(data + (1 << 30));
        let config = Config {
            program: "program".into(),
            args: Vec::new(),
            env: Vec::new(),
            sysroot: None,
            cpu: None,
            stack_size: None,
            reserved: None,
            seed: None,
            release: None,
            strace: false,
            log: Log::Stderr,
            log_options: Vec::new(),
            tiers: Tiers::default(),
            code: CodeConfig::default(),
            tb_cache: None,
        };
        let strace = Strace::new(&config)?;
        let process = Process {
            memory,
            sysroot: Sysroot::new(None),
            exe: "/program".into(),
            auxv: Vec::new(),
            bias: 0,
            segments: [code..code + ROOM, data..data],
            first_sp: data + ROOM,
            vdso: code..code + ROOM,
            args: data..data,
            env: data..data,
            sigreturn: code,
            dying: Dying::default(),
            host_threads: HostThreads::default(),
            strace,
            told: Told::default(),
            emulator: None,
            config,
        };
        let mut thread = Thread::new(Arc::new(process), Box::new(cpu), Arc::new(Actions::inherited()));
        thread.cpu.start(code, data + ROOM);
        thread.enter(host::mask());
        Ok(Self { thread, data, code })
    }

    /// Where it has memory: data, and code, [`Self::room`] bytes each.
    pub fn memory(&self) -> [u64; 2] {
        [self.data, self.code]
    }

    /// See [`Self::memory`].
    pub fn room(&self) -> u64 {
        ROOM
    }

    /// Makes a system call, and what comes of it.
    pub fn call(&mut self, number: u64, args: [u64; 6]) {
        self.thread.system_call(number, args);
        self.thread.settle();
    }
}
