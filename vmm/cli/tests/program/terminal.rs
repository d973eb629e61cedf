//! What becomes of the user's terminal.

use std::fs::File;
use std::io::{Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd};
use std::process::{Child, Command};

use crate::support::{mimic, wait};

/// A terminal, and the program that runs on it.
struct Session {
    master: File,
    slave: File,
    child: Child,
    seen: String,
}

fn settings(terminal: &File) -> libc::termios {
    let mut settings = MaybeUninit::uninit();
    // SAFETY: the pointer is to room for a `termios`, which the call fills.
    unsafe {
        assert_eq!(libc::tcgetattr(terminal.as_raw_fd(), settings.as_mut_ptr()), 0);
        settings.assume_init()
    }
}

fn same(a: &libc::termios, b: &libc::termios) -> bool {
    (a.c_iflag, a.c_oflag, a.c_cflag, a.c_lflag, a.c_cc)
        == (b.c_iflag, b.c_oflag, b.c_cflag, b.c_lflag, b.c_cc)
}

impl Session {
    fn start(command: &mut Command) -> Self {
        let (mut master, mut slave) = (-1, -1);
        let none = std::ptr::null_mut();
        // SAFETY: two places for descriptors; the null pointers ask for the defaults.
        assert_eq!(unsafe { libc::openpty(&mut master, &mut slave, none, none.cast(), none.cast()) }, 0);
        // SAFETY: the kernel has just handed them out, nobody else owns them.
        let (master, slave) = unsafe { (File::from_raw_fd(master), File::from_raw_fd(slave)) };
        let copy = || slave.try_clone().expect("a descriptor");
        let child = command.stdin(copy()).stdout(copy()).stderr(copy()).spawn().expect("the program starts");
        Self { master, slave, child, seen: String::new() }
    }

    fn expect(&mut self, text: &str) {
        let mut buffer = [0; 1024];
        while !self.seen.contains(text) {
            let n = self.master.read(&mut buffer).expect("the terminal is open");
            self.seen.push_str(&String::from_utf8_lossy(&buffer[..n]));
        }
    }
}

#[test]
fn it_is_raw_while_the_guest_runs_and_as_before_afterwards() {
    let end_by_key: fn(&mut Session) = |s| s.master.write_all(b"\x01x").expect("typed");
    let end_by_guest: fn(&mut Session) = |s| s.master.write_all(b"q").expect("typed");
    let end_by_signal: fn(&mut Session) = |s| {
        // SAFETY: sends a signal to our child, which has not been waited for.
        unsafe { libc::kill(s.child.id() as i32, libc::SIGTERM) };
    };
    for end in [end_by_key, end_by_guest, end_by_signal] {
        let mut session = Session::start(mimic().args(["run", "hello"]));
        session.expect("> ");
        let during = settings(&session.slave);
        assert_eq!(during.c_lflag & (libc::ICANON | libc::ECHO | libc::ISIG), 0, "raw");
        end(&mut session);
        assert_eq!(wait(&mut session.child).code(), Some(0));
        let fresh = Session::start(&mut Command::new("true"));
        assert!(same(&settings(&session.slave), &settings(&fresh.slave)), "restored");
    }
}
