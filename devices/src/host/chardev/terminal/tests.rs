use super::super::test_support::LIMIT;
use super::super::{CharEvent, CharKind, CharSink, open};
use super::*;
use std::io::{Read, Write};
use std::os::fd::FromRawFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// A terminal (the slave), and the person's side of it.
struct Tty {
    user: File,
    slave: File,
    /// What the person has seen, but not yet waited for.
    seen: String,
}

impl Tty {
    fn new() -> Self {
        let (mut user, mut slave) = (-1, -1);
        let size = libc::winsize { ws_row: 25, ws_col: 81, ws_xpixel: 0, ws_ypixel: 0 };
        // SAFETY: the pointers are to locals or null.
        let failed = unsafe { libc::openpty(&mut user, &mut slave, ptr::null_mut(), ptr::null(), &size) };
        assert_eq!(failed, 0);
        // SAFETY: both descriptors are new and ours.
        let tty = unsafe {
            Self { user: File::from_raw_fd(user), slave: File::from_raw_fd(slave), seen: String::new() }
        };
        sys::set_nonblocking(tty.user.as_fd()).unwrap();
        tty
    }

    fn settings(&self) -> libc::termios {
        let mut settings = MaybeUninit::uninit();
        // SAFETY: the call fills what the pointer is to.
        unsafe {
            assert_eq!(libc::tcgetattr(self.slave.as_raw_fd(), settings.as_mut_ptr()), 0);
            settings.assume_init()
        }
    }

    fn flags(&self) -> [libc::tcflag_t; 4] {
        let s = self.settings();
        [s.c_iflag, s.c_oflag, s.c_cflag, s.c_lflag]
    }

    fn is_raw(&self) -> bool {
        self.settings().c_lflag & (libc::ICANON | libc::ECHO) == 0
    }

    fn wait_for_raw(&self, raw: bool) {
        let until = Instant::now() + LIMIT;
        while self.is_raw() != raw {
            assert!(
                Instant::now() < until,
                "the terminal never became {}",
                if raw { "raw" } else { "cooked" }
            );
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Reads up to and including `text`.
    fn wait_for(&mut self, text: &str) {
        let until = Instant::now() + LIMIT;
        let mut bytes = [0; 512];
        loop {
            if let Some(at) = self.seen.find(text) {
                self.seen.drain(..at + text.len());
                return;
            }
            assert!(Instant::now() < until, "no {text:?} in {:?}", self.seen);
            match self.user.read(&mut bytes) {
                Ok(n) => self.seen += &String::from_utf8_lossy(&bytes[..n]),
                Err(_) => thread::sleep(Duration::from_millis(1)),
            }
        }
    }

    /// Starts `command` with this terminal as its own.
    fn start(&self, mut command: Command) -> Child {
        let stdio = || self.slave.try_clone().unwrap();
        command.stdin(stdio()).stdout(stdio()).stderr(stdio());
        // SAFETY: the closure makes system calls only.
        unsafe {
            command.pre_exec(|| {
                libc::setsid();
                libc::ioctl(0, libc::TIOCSCTTY, 0);
                // What a script runs in the background ignores these.
                libc::signal(libc::SIGINT, libc::SIG_DFL);
                libc::signal(libc::SIGQUIT, libc::SIG_DFL);
                Ok(())
            });
        }
        command.spawn().unwrap()
    }
}

const ENDING: &str = "CHARDEV_TEST_ENDING";

/// This program again, as [`child`].
fn child_command(ending: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--ignored", "--exact", "--nocapture", "host::chardev::terminal::tests::child"]);
    command.env(ENDING, ending).env_remove("RUST_BACKTRACE");
    command
}

struct Nothing;

impl CharSink for Nothing {
    fn room(&self) -> usize {
        1
    }
    fn receive(&self, _: &[u8]) {}
    fn event(&self, _: CharEvent) {}
}

/// No test, but the program that the tests below run and end in many ways.
#[test]
#[ignore = "started by other tests"]
fn child() {
    let Ok(ending) = std::env::var(ENDING) else { return };
    let stdio = open(&CharKind::Stdio { signal: true }.into(), "serial0").unwrap();
    let again = open(&CharKind::Stdio { signal: true }.into(), "serial1").err().unwrap().to_string();
    assert!(again.contains("serial1: cannot use stdio by multiple character devices"), "{again}");
    stdio.attach(Arc::new(Nothing));
    stdio.write(b"\x1b[?7l\x1b[?25lready");
    stdio.flush();
    match ending.as_str() {
        "exit" => std::process::exit(3),
        "panic" => panic!("as asked"),
        "abort" => std::process::abort(),
        "drop" => {}
        _ => loop {
            thread::sleep(LIMIT);
        },
    }
}

fn status_after(ending: &str, signal: Option<libc::c_int>) -> std::process::ExitStatus {
    let mut tty = Tty::new();
    let cooked = tty.flags();
    assert!(!tty.is_raw());
    let mut child = tty.start(child_command(ending));
    tty.wait_for("ready");
    if let Some(signal) = signal {
        assert!(tty.is_raw());
        // SAFETY: the child is ours and not yet waited for.
        unsafe { libc::kill(child.id() as i32, signal) };
    }
    let status = child.wait().unwrap();
    assert_eq!(tty.flags(), cooked, "after {ending} {signal:?}");
    tty.wait_for("\x1b[?25h\x1b[?7h");
    status
}

#[test]
fn raw_mode_is_undone_when_the_program_ends() {
    assert_eq!(status_after("exit", None).code(), Some(3));
    assert_eq!(status_after("panic", None).code(), Some(101));
    assert_eq!(status_after("drop", None).code(), Some(0));
    assert_eq!(status_after("abort", None).signal(), Some(libc::SIGABRT));
}

#[test]
fn raw_mode_is_undone_when_a_signal_ends_the_program() {
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT] {
        assert_eq!(status_after("wait", Some(signal)).signal(), Some(signal));
    }
}

#[test]
fn raw_mode_pauses_while_the_program_is_stopped() {
    let mut tty = Tty::new();
    let cooked = tty.flags();
    let mut shell = Command::new("/bin/sh");
    let child = child_command("wait");
    shell.args(["-mc", r#""$0" "$@"; echo stopped; read line; fg >/dev/null"#]);
    shell.arg(child.get_program()).args(child.get_args()).env(ENDING, "wait");
    let mut shell = tty.start(shell);
    tty.wait_for("ready");
    assert!(tty.is_raw());
    // Ctrl-Z.
    tty.user.write_all(b"\x1a").unwrap();
    tty.wait_for("stopped");
    assert_eq!(tty.flags(), cooked);
    tty.user.write_all(b"\n").unwrap();
    tty.wait_for_raw(true);
    // Ctrl-C.
    tty.user.write_all(b"\x03").unwrap();
    shell.wait().unwrap();
    assert_eq!(tty.flags(), cooked);
}

#[test]
fn raw_mode_passes_everything_but_the_keys_asked_for() {
    let tty = Tty::new();
    let cooked = tty.flags();
    for signals in [true, false] {
        let mode = RawMode::enable(tty.slave.as_fd(), signals).unwrap();
        let settings = tty.settings();
        assert!(tty.is_raw());
        assert_eq!(settings.c_lflag & libc::ISIG != 0, signals);
        assert_eq!(settings.c_iflag & (libc::ICRNL | libc::IXON), 0);
        assert_ne!(settings.c_oflag & libc::OPOST, 0);
        let second = RawMode::enable(tty.slave.as_fd(), signals).err().unwrap();
        assert_eq!(second.kind(), io::ErrorKind::ResourceBusy);
        assert!(tty.is_raw());
        drop(mode);
        assert_eq!(tty.flags(), cooked);
        restore_terminal();
        assert_eq!(tty.flags(), cooked);
    }
}

#[test]
fn the_size_is_known_for_terminals_only() {
    assert_eq!(terminal_size(&Tty::new().slave), Some((81, 25)));
    assert_eq!(terminal_size(File::open("/dev/null").unwrap()), None);
}
