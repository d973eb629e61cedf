//! What all threads of the guest process share, and how it starts.

use crate::arch::Arch;
use crate::cpu::{Cpu, CpuOf};
use crate::crash::Dying;
use crate::debug::{Attach, Debug};
use crate::host_threads::HostThreads;
use crate::limits::Limits;
use crate::load::{self, LoadError};
use crate::memory::{Backing, Memory};
use crate::observed;
use crate::random;
use crate::reserved::Reserved;
use crate::signal::{Actions, host};
use crate::stack::{self, Setup};
use crate::strace::{Log, Strace};
use crate::syscall::Told;
use crate::sysroot::Sysroot;
use crate::thread::Thread;
use crate::trace::Tracee;
use crate::vdso;
use base::PAGE_SIZE;
use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::ops::Range;
use std::os::fd::FromRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tcg_core::run::{CodeConfig, Tiers};

/// How a program is to be run.
#[derive(Clone, Debug)]
pub struct Config {
    /// The program's file.
    pub program: PathBuf,
    /// Its arguments, the first being its name.
    pub args: Vec<OsString>,
    /// Its environment, `NAME=value`.
    pub env: Vec<OsString>,
    /// `-L`.
    pub sysroot: Option<PathBuf>,
    /// `-cpu`.
    pub cpu: Option<String>,
    /// `-s`: bytes of stack, instead of what limits it.
    pub stack_size: Option<u64>,
    /// `-R`: bytes of guest address space.
    pub reserved: Option<u64>,
    /// `-seed`: what is random at the start comes from it.
    pub seed: Option<u64>,
    /// `-r`: kernel release that `uname` tells.
    pub release: Option<String>,
    /// `-strace`.
    pub strace: bool,
    /// Where that is logged.
    pub log: Log,
    /// The options about logging, for the emulator of a program that this one becomes.
    pub log_options: Vec<OsString>,
    /// When code is translated.
    pub tiers: Tiers,
    /// How translations are made and kept.
    pub code: CodeConfig,
    /// `-tb-cache`: the folder where translations are kept for the next run.
    pub tb_cache: Option<PathBuf>,
}

/// Why a program did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The program's file.
    #[error("{0}")]
    Load(#[from] LoadError),
    /// `-cpu`.
    #[error("-cpu {model}: {why}")]
    Cpu {
        /// As it was given.
        model: String,
        /// What is wrong with it.
        why: String,
    },
    /// The host.
    #[error("cannot {what}: {source}")]
    Host {
        /// What was tried.
        what: &'static str,
        /// Its reason.
        source: std::io::Error,
    },
    /// Its stack.
    #[error("no room for the stack in the guest's address space; -s makes it smaller")]
    Stack,
}

impl StartError {
    /// Exit status that tells of it, as QEMU's.
    pub fn status(&self) -> u8 {
        match self {
            Self::Load(LoadError::Format { .. } | LoadError::Room { .. }) => 255,
            _ => 1,
        }
    }
}

/// What all threads share.
pub struct Process {
    /// Memory.
    pub memory: Arc<Memory>,
    /// How it is run.
    pub config: Config,
    /// `-L`.
    pub sysroot: Sysroot,
    /// The program's file, without links.
    pub exe: PathBuf,
    /// The auxiliary vector.
    pub auxv: Vec<(u64, u64)>,
    /// What was added to the addresses in its file.
    pub bias: u64,
    /// Its code and its data in memory.
    pub segments: [Range<u64>; 2],
    /// Where the stack pointer of the first thread was at its start.
    pub first_sp: u64,
    /// Where the vDSO is.
    pub vdso: Range<u64>,
    /// Where the strings of the arguments are.
    pub args: Range<u64>,
    /// Where those of the environment are.
    pub env: Range<u64>,
    /// Where signal handlers return to.
    pub sigreturn: u64,
    /// Its core file.
    pub dying: Dying,
    /// The host threads behind its threads.
    pub host_threads: HostThreads,
    /// `-strace`.
    pub strace: Strace,
    /// System calls that are not there and that were told of.
    pub told: Told,
    /// The emulator's own file, for programs that this one becomes; it is found whatever root the guest has.
    pub emulator: Option<Reserved>,
}

impl Process {
    /// Keeps translations for the next run, before this one ends; a failure only makes that slower.
    pub fn keep_translations(&self) {
        let _ = self.memory.code().save();
    }

    /// The auxiliary vector, as the program finds it.
    pub fn auxv_bytes(&self) -> Vec<u8> {
        self.auxv.iter().flat_map(|(tag, value)| [*tag, *value]).flat_map(u64::to_le_bytes).collect()
    }

    /// The strings of the arguments, each with its end.
    pub fn arguments(&self) -> Vec<u8> {
        self.strings(&self.args)
    }

    /// The strings at `range`; none if the program has taken them away.
    pub fn strings(&self, range: &Range<u64>) -> Vec<u8> {
        let mut bytes = vec![0; (range.end - range.start) as usize];
        match self.memory.read_bytes(range.start, &mut bytes) {
            Ok(()) => bytes,
            Err(_) => Vec::new(),
        }
    }
}

fn host_error(what: &'static str) -> impl Fn(std::io::Error) -> StartError {
    move |source| StartError::Host { what, source }
}

/// Runs a program for architecture `A`, under a debugger if `attach` makes one; comes back only if it does not start.
pub fn run<A: Arch>(config: Config, attach: Option<Attach>) -> Result<std::convert::Infallible, StartError> {
    host::restore_inherited();
    random::begin(config.seed);
    let emulator = own_file();
    let mut limits = Limits::inherited();
    if let Some(bytes) = config.stack_size {
        limits.set_stack(bytes);
    }
    let memory = Memory::new(config.reserved, limits, config.code.clone())
        .map_err(host_error("allocate memory for translated code"))?;
    host::install_fault_handlers();

    let state = A::new_cpu(config.cpu.as_deref())
        .map_err(|why| StartError::Cpu { model: config.cpu.clone().unwrap_or_default(), why })?;
    let mut cpu = CpuOf::<A>::new(state, memory.code(), config.tiers);
    let sysroot = Sysroot::new(config.sysroot.clone());
    let abi = cpu.abi();
    let program = load::program(&memory, abi, &sysroot, &config.program, config.args.clone())?;
    observed::begin(memory.code(), &program);
    memory.set_heap(program.image.end.next_multiple_of(PAGE_SIZE));

    let object = vdso::build(abi.machine, &A::vdso());
    let no_stack = |_| StartError::Stack;
    let len = object.image.len() as u64;
    let rw = libc::PROT_READ | libc::PROT_WRITE;
    let at = memory.map(0, len, rw, Backing::ZERO).map_err(no_stack)?;
    memory.write_bytes(at, &object.image).map_err(no_stack)?;
    memory.protect(at, len, libc::PROT_READ | libc::PROT_EXEC).map_err(no_stack)?;

    let exec_name = std::env::var_os(EXEC_NAME).unwrap_or_else(|| config.program.clone().into());
    let setup = Setup { env: &config.env, exec_name: &exec_name, vdso: at, random: random::bytes() };
    let stack = stack::build(&memory, &cpu, &program, &setup).map_err(no_stack)?;
    let entry = program.interpreter.as_ref().unwrap_or(&program.image).entry;
    cpu.start(entry, stack.sp);

    let exe = program.path.canonicalize().unwrap_or_else(|_| program.path.clone());
    if exec_name != config.program.as_os_str() && program.path == config.program {
        close_unnamed(&program.path);
    }
    set_name(&exe);
    let strace = Strace::new(&config).map_err(host_error("open the log file"))?;
    let process = Arc::new(Process {
        memory,
        sysroot,
        exe,
        bias: program.image.bias,
        auxv: stack.auxv,
        segments: [program.image.code, program.image.data],
        first_sp: stack.sp,
        vdso: at..at + len.next_multiple_of(PAGE_SIZE),
        args: stack.args,
        env: stack.env,
        sigreturn: at + object.sigreturn,
        dying: Dying::default(),
        host_threads: HostThreads::default(),
        strace,
        told: Told::default(),
        emulator,
        config,
    });
    process.log_start(entry);
    let debug = attach.as_ref().map(|_| Debug::new());
    let mut thread = Thread::new(process, Box::new(cpu), Arc::new(Actions::inherited()));
    thread.debug = debug.clone();
    thread.trace = Tracee::inherited();
    thread.enter(host::mask());
    if let (Some(debug), Some(attach)) = (debug, attach) {
        debug.begin(&mut thread, attach).map_err(host_error("wait for a debugger"))?;
    }
    let status = thread.run();
    crate::thread::end_host_thread(status)
}

/// Variable of the environment in which an emulator tells the next one which descriptor its file has.
pub const OWN_FILE: &str = "MIMIC_OWN_FILE";

/// The same for the name of a program that has none in the file system.
pub const EXEC_NAME: &str = "MIMIC_EXEC_NAME";

/// The same for what a debugger's conversation goes on with.
pub const DEBUGGER: &str = "MIMIC_DEBUGGER";

/// The file that the emulator runs from.
fn own_file() -> Option<Reserved> {
    let given = std::env::var(OWN_FILE).ok().and_then(|fd| fd.parse().ok());
    if let Some(fd) = given.filter(|fd| *fd > 2) {
        // SAFETY: the emulator that this one takes over from has left it open for this.
        return Reserved::new(&unsafe { File::from_raw_fd(fd) }).ok();
    }
    // SAFETY: the auxiliary vector has the address of a string that lives as long as the process.
    let called = unsafe { std::ffi::CStr::from_ptr(libc::getauxval(libc::AT_EXECFN) as *const _) };
    let open = |path: &OsStr| OpenOptions::new().read(true).custom_flags(libc::O_PATH).open(path);
    // Without /proc, by the name that it was called by.
    let file = open(OsStr::new("/proc/self/exe")).or_else(|_| open(OsStr::from_bytes(called.to_bytes())));
    Reserved::new(&file.ok()?).ok()
}

/// Closes the descriptor that the emulator before has left open for a program whose name is `path`.
fn close_unnamed(path: &Path) {
    let fd =
        path.to_str().and_then(|path| path.strip_prefix("/proc/self/fd/")).and_then(|fd| fd.parse().ok());
    if let Some(fd) = fd {
        // SAFETY: it was opened for reading the program's file, which is done.
        drop(unsafe { File::from_raw_fd(fd) });
    }
}

/// Gives the process the program's name.
fn set_name(exe: &Path) {
    let name = exe.file_name().unwrap_or_default().as_bytes();
    let mut short = [0u8; 16];
    let len = name.len().min(15);
    short[..len].copy_from_slice(&name[..len]);
    // SAFETY: the name ends with a zero.
    unsafe { libc::prctl(libc::PR_SET_NAME, short.as_ptr()) };
}
