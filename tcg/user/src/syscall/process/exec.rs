//! `execve`: programs of the guest's architecture run in a new emulator, others by the host itself.

use crate::limits::LIMITS;
use crate::load::{Kind, check, kind};
use crate::memory::Result;
use crate::process::{Config, DEBUGGER, EXEC_NAME, OWN_FILE};
use crate::sys;
use crate::thread::Thread;
use crate::trace::TRACED;
use libc::*;
use std::ffi::{CStr, CString, OsStr};
use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// `execve`.
pub fn execve(thread: &mut Thread, [path, args, env, ..]: [u64; 6]) -> Result<u64> {
    let path = thread.process.memory.read_string(path)?;
    exec(thread, Target { path, folder: AT_FDCWD, flags: 0 }, args, env)
}

/// `execveat`.
pub fn execveat(thread: &mut Thread, [folder, path, args, env, flags, _]: [u64; 6]) -> Result<u64> {
    let path = thread.process.memory.read_string(path)?;
    exec(thread, Target { path, folder: folder as i32, flags: flags as i32 }, args, env)
}

/// The file to run.
struct Target {
    path: CString,
    folder: i32,
    flags: i32,
}

impl Target {
    /// The name of a file that is in a folder or has none, as the program finds it (`AT_EXECFN`).
    fn name(&self) -> Vec<u8> {
        let folder = format!("/dev/fd/{}", self.folder).into_bytes();
        match self.path.as_bytes() {
            b"" => folder,
            path => [&folder, path].join(&b'/'),
        }
    }
}

fn strings(thread: &Thread, list: u64) -> Result<Vec<CString>> {
    let memory = &thread.process.memory;
    let text =
        |addr| memory.read_string_up_to(addr, ARG_MAX).map_err(|e| if e == ENAMETOOLONG { E2BIG } else { e });
    let texts = memory.read_pointers(list)?.into_iter().map(text);
    texts.map(|text| Ok(CString::new(text?).expect("it ends before the first zero"))).collect()
}

/// Longest argument.
const ARG_MAX: u64 = 32 * 4096;

/// Opens the file, if it may be executed.
fn open(target: &Target) -> Result<File> {
    if target.flags & !(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) != 0 {
        return Err(EINVAL);
    }
    let path = target.path.as_ptr() as u64;
    let call = |nr, args| {
        // SAFETY: reads the path, makes a descriptor at most.
        super::super::result(unsafe { sys::call(nr, args) })
    };
    let folder = target.folder as u64;
    call(SYS_faccessat2, [folder, path, X_OK as u64, target.flags as u64 | AT_EACCESS as u64, 0, 0])?;
    let fd = if target.path.is_empty() && target.flags & AT_EMPTY_PATH != 0 {
        call(SYS_fcntl, [folder, F_DUPFD_CLOEXEC as u64, 3, 0, 0, 0])?
    } else {
        let follow = if target.flags & AT_SYMLINK_NOFOLLOW != 0 { O_NOFOLLOW } else { 0 };
        call(SYS_openat, [folder, path, (O_RDONLY | O_CLOEXEC | follow) as u64, 0, 0, 0])
            .map_err(|e| if e == ENXIO { EACCES } else { e })?
    };
    // SAFETY: the kernel has just handed out the descriptor.
    let file = unsafe { File::from_raw_fd(fd as i32) };
    if file.metadata().is_ok_and(|data| data.is_file()) { Ok(file) } else { Err(EACCES) }
}

/// Whether a program for the guest's machine, or a script for one, is in `file`; an error if it is one that cannot run.
fn is_for_guest(thread: &Thread, file: &File, depth: usize) -> Result<bool> {
    let (abi, sysroot) = (thread.cpu.abi(), &thread.process.sysroot);
    match kind(file) {
        Kind::Elf(machine) if machine == abi.machine => check(abi, sysroot, file).map(|()| true),
        Kind::Script(interpreter, _) if depth > 0 => match File::open(sysroot.resolve_path(&interpreter)) {
            Ok(file) => is_for_guest(thread, &file, depth - 1),
            // The host will say why.
            Err(_) => Ok(false),
        },
        _ => Ok(false),
    }
}

fn exec(thread: &mut Thread, mut target: Target, args: u64, env: u64) -> Result<u64> {
    let (args, env) = (strings(thread, args)?, strings(thread, env)?);
    if let Some(link) = super::super::proc_self::link(&thread.process, &target.path) {
        target.path = CString::new(link).map_err(|_| ENOENT)?;
    }
    if let Some(inside) = thread.process.sysroot.resolve(&target.path) {
        target.path = inside;
    }
    let file = open(&target)?;
    let for_guest = is_for_guest(thread, &file, 4)?;
    thread.process.keep_translations();
    let env: Vec<&CStr> = env.iter().map(CString::as_c_str).collect();
    if !for_guest {
        let args: Vec<&CStr> = args.iter().map(CString::as_c_str).collect();
        drop(file);
        let limits = thread.process.memory.limits();
        return limits.lend(|| replace(thread, target.folder, &target.path, &args, &env, target.flags));
    }
    // The emulator is told a path; for a file without one, the descriptor's.
    let by_name = target.folder == AT_FDCWD || target.path.as_bytes().starts_with(b"/");
    let name = if by_name { Vec::new() } else { [EXEC_NAME.as_bytes(), b"=", &target.name()].concat() };
    let path = if by_name {
        target.path
    } else {
        // SAFETY: lets the descriptor stay open in the new program, which finds the file by it.
        unsafe { libc::fcntl(file.as_raw_fd(), F_SETFD, 0) };
        CString::new(format!("/proc/self/fd/{}", file.as_raw_fd())).map_err(|_| EINVAL)?
    };
    let mut words = emulator_args(&thread.process.config, thread.cpu.abi().name);
    words.push(c"-0".into());
    words.push(args.first().cloned().unwrap_or_default());
    words.push(path);
    words.extend(args.into_iter().skip(1));
    let words: Vec<&CStr> = words.iter().map(CString::as_c_str).collect();
    let Some(own) = thread.process.emulator.as_ref().map(|file| file.as_raw_fd()) else { return Err(ENOENT) };
    let mut env: Vec<CString> = env.into_iter().map(hidden).collect();
    env.extend(CString::new(format!("{OWN_FILE}={own}")));
    env.extend(CString::new(name).ok().filter(|name| !name.is_empty()));
    env.extend(CString::new(format!("{LIMITS}={}", thread.process.memory.limits())));
    if thread.trace.is_some() {
        env.extend(CString::new(format!("{TRACED}=1")));
    }
    let debug = thread.debug.clone();
    let conversation = debug.as_ref().and_then(|debug| debug.hand_over(true));
    env.extend(conversation.and_then(|text| CString::new(format!("{DEBUGGER}={text}")).ok()));
    let env: Vec<&CStr> = env.iter().map(CString::as_c_str).collect();
    // SAFETY: the descriptor is the emulator's; the next one finds its file by it.
    unsafe { libc::fcntl(own, F_SETFD, 0) };
    let done = replace(thread, own, c"", &words, &env, AT_EMPTY_PATH);
    // SAFETY: as above; there is no next one.
    unsafe { libc::fcntl(own, F_SETFD, FD_CLOEXEC) };
    debug.map(|debug| debug.hand_over(false));
    done
}

/// Begins the names of variables that are for the guest's C library alone.
pub const HIDDEN: &str = "MIMIC_ENV_";

/// A variable of the environment, with another name where the emulator's own loader and C library would obey it.
fn hidden(variable: &CStr) -> CString {
    let bytes = variable.to_bytes();
    match bytes.starts_with(b"LD_") || bytes.starts_with(b"GLIBC_TUNABLES=") {
        true => CString::new([HIDDEN.as_bytes(), bytes].concat()).expect("both are strings"),
        false => variable.into(),
    }
}

/// The options that the new emulator gets.
fn emulator_args(config: &Config, name: &str) -> Vec<CString> {
    let mut words = vec![format!("qemu-{name}").into()];
    let mut option = |option: &str, value: Option<&OsStr>| {
        words.push(option.to_string().into());
        words.extend(value.map(|value| value.to_os_string()));
    };
    let path = |path: &Option<PathBuf>| path.as_deref().map(Path::as_os_str).map(OsStr::to_os_string);
    if let Some(root) = path(&config.sysroot) {
        option("-L", Some(&root));
    }
    for (name, value) in [("-cpu", &config.cpu), ("-r", &config.release)] {
        if let Some(value) = value {
            option(name, Some(OsStr::new(value)));
        }
    }
    if let Some(folder) = path(&config.tb_cache) {
        option("-tb-cache", Some(&folder));
    }
    if let Some(reserved) = config.reserved {
        option("-R", Some(OsStr::new(&reserved.to_string())));
    }
    if let Some(seed) = config.seed {
        option("-seed", Some(OsStr::new(&seed.to_string())));
    }
    if config.code.max_insns == 1 {
        option("-one-insn-per-tb", None);
    }
    words.extend(config.log_options.iter().cloned());
    words.iter().filter_map(|word| CString::new(word.as_bytes()).ok()).collect()
}

/// Becomes another program.
fn replace(
    thread: &mut Thread,
    folder: i32,
    path: &CStr,
    args: &[&CStr],
    env: &[&CStr],
    flags: i32,
) -> Result<u64> {
    let list =
        |texts: &[&CStr]| -> Vec<u64> { texts.iter().map(|text| text.as_ptr() as u64).chain([0]).collect() };
    let (args, env) = (list(args), list(env));
    // The new program has the guest's mask, with no signal lost on the way.
    thread.caught.let_program_through(thread.mask);
    let words =
        [folder as u64, path.as_ptr() as u64, args.as_ptr() as u64, env.as_ptr() as u64, flags as u64, 0];
    let done = thread.host_call(SYS_execveat, words);
    thread.caught.let_through(thread.mask);
    done
}
