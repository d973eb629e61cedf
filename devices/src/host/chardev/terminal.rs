//! Raw mode for the user's terminal, undone however the process ends.
//!
//! - normal end, `exit`, a panic of the main thread: an `atexit` handler;
//! - SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGABRT and the fault signals, as far as their action is still the default one: a
//!   handler that undoes raw mode and then lets the signal end the process. Who installs a handler of their own calls
//!   [`restore_terminal`] there;
//! - SIGTSTP (Ctrl-Z): cooked while stopped, raw again when continued in the foreground.
//!
//! Nothing can be done about SIGKILL; nor about a fault signal that the Rust run-time or the translator handles and
//! that still ends the process. Interactive shells undo raw mode after those by themselves.

use super::screen;
use super::sys;
use std::cell::UnsafeCell;
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::ptr;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

/// Signals that end the process by default.
const FATAL: [libc::c_int; 10] = [
    libc::SIGTERM,
    libc::SIGINT,
    libc::SIGHUP,
    libc::SIGQUIT,
    libc::SIGABRT,
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGILL,
    libc::SIGFPE,
    libc::SIGTRAP,
];

/// The one terminal that is in raw mode; signal handlers read this.
struct Terminal {
    /// The descriptor, or -1. What follows is valid and constant while it is not -1.
    fd: AtomicI32,
    /// For output to the terminal: does not block, where the host allows that.
    output: AtomicI32,
    cooked: UnsafeCell<MaybeUninit<libc::termios>>,
    raw: UnsafeCell<MaybeUninit<libc::termios>>,
    /// A [`RawMode`] exists.
    taken: AtomicBool,
}

// SAFETY: the settings are written only by the thread that holds `taken`, while `fd` is -1, and read only after `fd`
// was seen not to be -1.
unsafe impl Sync for Terminal {}

static TERMINAL: Terminal = Terminal {
    fd: AtomicI32::new(-1),
    output: AtomicI32::new(-1),
    cooked: UnsafeCell::new(MaybeUninit::uninit()),
    raw: UnsafeCell::new(MaybeUninit::uninit()),
    taken: AtomicBool::new(false),
};

/// A terminal in raw mode; dropping it undoes that.
pub struct RawMode {
    _terminal: OwnedFd,
    _output: File,
}

impl RawMode {
    /// Puts `terminal` into raw mode: bytes come one by one, unchanged and without echo. With `signals` its keys
    /// still send signals. Output keeps the translation of `\n`, so that messages of this process stay readable.
    ///
    /// # Errors
    /// Another terminal is in raw mode already (`ResourceBusy`), or the host refuses.
    pub fn enable(terminal: BorrowedFd<'_>, signals: bool) -> io::Result<Self> {
        let terminal = terminal.try_clone_to_owned()?;
        let (output, _) = sys::inherited_output(terminal.as_fd())?;
        let fd = terminal.as_raw_fd();
        let mut cooked = MaybeUninit::uninit();
        // SAFETY: the pointer is to room for a `termios`.
        if unsafe { libc::tcgetattr(fd, cooked.as_mut_ptr()) } < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: `tcgetattr` has filled it.
        let cooked = unsafe { cooked.assume_init() };
        let raw = raw_settings(cooked, signals);
        if TERMINAL.taken.swap(true, Ordering::AcqRel) {
            return Err(io::ErrorKind::ResourceBusy.into());
        }
        // SAFETY: we hold `taken`, and `fd` is -1: nobody reads these.
        unsafe {
            (*TERMINAL.cooked.get()).write(cooked);
            (*TERMINAL.raw.get()).write(raw);
        }
        TERMINAL.output.store(output.as_raw_fd(), Ordering::Relaxed);
        let mode = Self { _terminal: terminal, _output: output };
        install_handlers();
        TERMINAL.fd.store(fd, Ordering::Release);
        // SAFETY: `raw` is a valid setting for the terminal `fd`.
        if unsafe { libc::tcsetattr(fd, libc::TCSANOW, &raw) } < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(mode)
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        restore_terminal();
        TERMINAL.taken.store(false, Ordering::Release);
    }
}

/// Undoes raw mode, and what the guest's output did to the terminal, for good. Does nothing when no terminal is in
/// raw mode. Async-signal-safe.
pub fn restore_terminal() {
    let fd = TERMINAL.fd.load(Ordering::Acquire);
    if fd >= 0 {
        cook(fd);
        // Only now: another thread that gets here before must not end the process with the terminal still raw.
        TERMINAL.fd.store(-1, Ordering::Release);
    }
}

/// The size of a terminal as (columns, rows); `None` when it is none or does not know.
pub fn terminal_size(terminal: impl AsFd) -> Option<(u16, u16)> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: TIOCGWINSZ fills a `winsize`.
    let failed = unsafe { libc::ioctl(terminal.as_fd().as_raw_fd(), libc::TIOCGWINSZ, &mut size) } < 0;
    (!failed && size.ws_col > 0 && size.ws_row > 0).then_some((size.ws_col, size.ws_row))
}

fn raw_settings(mut t: libc::termios, signals: bool) -> libc::termios {
    t.c_iflag &= !(libc::IGNBRK
        | libc::BRKINT
        | libc::PARMRK
        | libc::ISTRIP
        | libc::INLCR
        | libc::IGNCR
        | libc::ICRNL
        | libc::IXON);
    t.c_oflag |= libc::OPOST;
    t.c_lflag &= !(libc::ECHO | libc::ECHONL | libc::ICANON | libc::IEXTEN);
    if !signals {
        t.c_lflag &= !libc::ISIG;
    }
    t.c_cflag &= !(libc::CSIZE | libc::PARENB);
    t.c_cflag |= libc::CS8;
    t.c_cc[libc::VMIN] = 1;
    t.c_cc[libc::VTIME] = 0;
    t
}

/// The settings from before raw mode, and the screen as the guest found it. `fd` was read from [`TERMINAL`].
fn cook(fd: i32) {
    // SAFETY: `fd` was not -1, so the setting is valid.
    apply(fd, unsafe { (*TERMINAL.cooked.get()).assume_init_ref() });
    // SAFETY: `fd` was not -1, so this is open too.
    let output = unsafe { BorrowedFd::borrow_raw(TERMINAL.output.load(Ordering::Relaxed)) };
    screen::undo(|text| {
        // A terminal that takes nothing must not stop the end of the process. But while another thread writes to it,
        // it refuses too, for a moment.
        for _ in 0..10 {
            if sys::ready(output, libc::POLLOUT, 10) == libc::POLLOUT {
                // SAFETY: the pointer and the length are those of a slice.
                let n = unsafe { libc::write(output.as_raw_fd(), text.as_ptr().cast(), text.len()) };
                if n > 0 {
                    break;
                }
            }
        }
    });
}

/// Raw mode again after the process was stopped, unless it goes on in the background.
fn make_raw_again() {
    let fd = TERMINAL.fd.load(Ordering::Acquire);
    if fd < 0 {
        return;
    }
    // SAFETY: plain calls without pointers.
    let (foreground, own) = unsafe { (libc::tcgetpgrp(fd), libc::getpgrp()) };
    if foreground < 0 || foreground == own {
        // SAFETY: `fd` is not -1, so the setting is valid.
        apply(fd, unsafe { (*TERMINAL.raw.get()).assume_init_ref() });
    }
}

/// Sets the terminal up, also from the background: without SIGTTOU stopping the process.
fn apply(fd: i32, settings: &libc::termios) {
    // SAFETY: the pointers are to locals that live long enough; all of these calls are async-signal-safe.
    unsafe {
        let mut set = MaybeUninit::uninit();
        let mut old = MaybeUninit::uninit();
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), libc::SIGTTOU);
        libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), old.as_mut_ptr());
        libc::tcsetattr(fd, libc::TCSANOW, settings);
        libc::pthread_sigmask(libc::SIG_SETMASK, old.as_ptr(), ptr::null_mut());
    }
}

/// Runs the work of a signal handler after which the interrupted code goes on.
fn keeping_errno(work: impl FnOnce()) {
    // SAFETY: the location is this thread's own.
    let errno = unsafe { *libc::__errno_location() };
    work();
    // SAFETY: as above.
    unsafe { *libc::__errno_location() = errno };
}

/// A signal handler as the host takes it.
type Handler = extern "C" fn(libc::c_int);

/// Puts `handler` in place of the default action; leaves any other action alone.
fn handle(signal: libc::c_int, handler: Handler, flags: libc::c_int) {
    // SAFETY: all-zero is a valid `sigaction`; the pointers are to locals; `handler` is async-signal-safe.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        if libc::sigaction(signal, ptr::null(), &mut action) < 0 || action.sa_sigaction != libc::SIG_DFL {
            return;
        }
        action.sa_sigaction = handler as libc::sighandler_t;
        action.sa_flags = flags | libc::SA_ONSTACK;
        libc::sigaction(signal, &action, ptr::null_mut());
    }
}

fn install_handlers() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the function may be called at any time, also at exit.
        unsafe { libc::atexit(at_exit) };
    });
    // The handlers of fatal signals run once and unmask themselves: raising the signal again ends the process.
    FATAL.iter().for_each(|&signal| handle(signal, on_fatal, libc::SA_RESETHAND | libc::SA_NODEFER));
    handle(libc::SIGTSTP, on_stop, libc::SA_RESTART | libc::SA_NODEFER);
    handle(libc::SIGCONT, on_continue, libc::SA_RESTART);
}

extern "C" fn at_exit() {
    restore_terminal();
}

extern "C" fn on_fatal(signal: libc::c_int) {
    restore_terminal();
    // SAFETY: a plain call.
    unsafe { libc::raise(signal) };
}

extern "C" fn on_stop(signal: libc::c_int) {
    keeping_errno(|| {
        let fd = TERMINAL.fd.load(Ordering::Acquire);
        if fd >= 0 {
            cook(fd);
        }
        // SAFETY: plain calls; the default action stops the process, inside `raise`.
        unsafe {
            libc::signal(signal, libc::SIG_DFL);
            libc::raise(signal);
        }
        handle(signal, on_stop, libc::SA_RESTART | libc::SA_NODEFER);
        make_raw_again();
    });
}

extern "C" fn on_continue(_: libc::c_int) {
    keeping_errno(make_raw_again);
}

#[cfg(test)]
mod tests;
