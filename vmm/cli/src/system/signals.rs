//! Signals that end the run: the machine is stopped in order, and in any case the program ends soon.
//!
//! They are blocked in every thread, and taken one by one by a thread that waits for them.

use std::io;
use std::mem::MaybeUninit;
use std::sync::Arc;
use std::time::Duration;

use devices::host::chardev::restore_terminal;
use engine::{Cause, Power};

/// What ends the run.
const SIGNALS: [libc::c_int; 3] = [libc::SIGTERM, libc::SIGINT, libc::SIGHUP];
/// How long the machine may take to stop.
const PATIENCE: Duration = Duration::from_millis(900);

fn set() -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: `sigemptyset` initialises the set, `sigaddset` changes a valid one.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for signal in SIGNALS {
            libc::sigaddset(set.as_mut_ptr(), signal);
        }
        set.assume_init()
    }
}

/// Has the signals end the run through `power`. Call before any other thread starts, so that all inherit the mask.
pub fn end_the_run(program: &str, power: &Arc<Power>) -> io::Result<()> {
    let set = set();
    // SAFETY: a valid set; the old mask is not wanted.
    let error = unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut()) };
    if error != 0 {
        return Err(io::Error::from_raw_os_error(error));
    }
    let (program, power) = (program.to_string(), power.clone());
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        let message = wait(&set, &program);
        // The terminal is raw; the line starts at its left edge nevertheless.
        super::say(format_args!("\r{message}"));
        power.quit(Cause::Signal);
        std::thread::sleep(PATIENCE);
        leave(0)
    })?;
    Ok(())
}

/// Ends the process at once.
pub fn leave(status: u8) -> ! {
    restore_terminal();
    // SAFETY: ends the process; nothing of ours has to happen after.
    unsafe { libc::_exit(status.into()) }
}

/// Waits for a signal; what there is to say about it.
fn wait(set: &libc::sigset_t, program: &str) -> String {
    loop {
        let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
        // SAFETY: both point to live values.
        let signal = unsafe { libc::sigwaitinfo(set, info.as_mut_ptr()) };
        if signal < 0 {
            continue;
        }
        // SAFETY: `sigwaitinfo` has filled it; zero was valid too.
        let sender = unsafe { info.assume_init().si_pid() };
        return match sender {
            0 => format!("{program}: terminating on signal {signal}"),
            pid => format!("{program}: terminating on signal {signal} from pid {pid} ({})", name(pid)),
        };
    }
}

/// The name that a process was started under.
fn name(pid: libc::pid_t) -> String {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    match line.split(|byte| *byte == 0).next() {
        Some(name) if !name.is_empty() => String::from_utf8_lossy(name).into_owned(),
        _ => "<unknown process>".into(),
    }
}
