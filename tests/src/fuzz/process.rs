//! What may go wrong for good is done in a process of its own.

use std::fs::File;
use std::io::Read;
use std::os::fd::FromRawFd;
use std::time::{Duration, Instant};

/// How long the process may take; a call that waits is no fault, so it is only ended then.
const LIMIT: Duration = Duration::from_millis(500);
/// CPU time that it may take, in seconds: what takes longer is no call that waits.
const BUSY: i64 = 2;

/// Has `f` run in a process of its own; panics over what went wrong there other than for a guest.
pub fn in_child(f: impl FnOnce()) {
    let mut pipe = [0; 2];
    // SAFETY: makes a pipe; the child only does what `f` does, and ends.
    let child = unsafe {
        assert_eq!(libc::pipe2(pipe.as_mut_ptr(), libc::O_CLOEXEC), 0);
        libc::fork()
    };
    assert!(child >= 0, "the host has no process left");
    if child == 0 {
        // SAFETY: descriptors, namespaces and limits of a process that is lost soon.
        unsafe {
            libc::dup2(pipe[1], 2);
            let null = libc::open(c"/dev/null".as_ptr(), libc::O_RDWR);
            libc::dup2(null, 0);
            libc::dup2(null, 1);
            libc::close_range(3, u32::MAX, 0);
            // Where that is not allowed what is left out is all there is.
            libc::unshare(libc::CLONE_NEWNS | libc::CLONE_NEWNET | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS);
            let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
            libc::setrlimit(libc::RLIMIT_CORE, &none);
            let busy = libc::rlimit { rlim_cur: BUSY as u64, rlim_max: BUSY as u64 };
            libc::setrlimit(libc::RLIMIT_CPU, &busy);
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        }
        drop(std::panic::take_hook());
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(f));
        // SAFETY: ends the process.
        unsafe { libc::_exit(if done.is_ok() { 0 } else { 101 }) }
    }
    // SAFETY: the descriptors are ours.
    let mut said = unsafe {
        libc::close(pipe[1]);
        File::from_raw_fd(pipe[0])
    };
    let status = wait(child);
    let mut text = String::new();
    // What a lost process of the child's still holds open says no more.
    // SAFETY: changes a flag of our descriptor.
    unsafe { libc::fcntl(pipe[0], libc::F_SETFL, libc::O_NONBLOCK) };
    let _ = said.read_to_string(&mut text);
    assert!(!text.contains("panicked") && !text.contains("internal error"), "{text}");
    assert!(status != (101 << 8) && status & 0x7f != libc::SIGXCPU, "status {status:#x}: {text}");
}

/// Waits for `child`, and ends it where it takes long; its status.
fn wait(child: i32) -> i32 {
    let limit = Instant::now() + LIMIT;
    loop {
        let mut status = 0;
        // SAFETY: waits for our child; writes the local variable.
        match unsafe { libc::waitpid(child, &mut status, libc::WNOHANG) } {
            0 if Instant::now() < limit => std::thread::sleep(Duration::from_micros(200)),
            0 => {
                // SAFETY: ends our child.
                unsafe { libc::kill(child, libc::SIGKILL) };
                std::thread::sleep(Duration::from_millis(1));
            }
            _ => return status,
        }
    }
}
