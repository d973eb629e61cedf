//! A process that is debugged makes another: the debugger stays with one of them, and the other runs on alone.
//!
//! The child is a copy, debugger and all, and waits at its end of a pair of sockets until the debugger has decided. A child
//! that borrows memory (`vfork`) is made as a copy while a debugger follows forks, as in QEMU; its parent still waits
//! for it.

use super::{Debug, Motion, Order, State, Why, lock};
use crate::cpu::Cpu;
use crate::reserved;
use crate::sys;
use crate::syscall::ForkWait;
use crate::thread::Thread;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{FromRawFd, IntoRawFd, RawFd};

/// A process that was made just now.
#[derive(Clone, Copy, Debug)]
pub struct Child {
    /// Its number.
    pub pid: i32,
    /// The parent's end of the pair of sockets.
    link: RawFd,
}

/// What the call that makes a process leaves to be told.
pub enum Forked {
    /// This is the parent, which waits for a child that borrows in name only.
    Has(Child, Option<ForkWait>),
    /// This is the child.
    IsChild(Option<Link>),
}

/// A child, and its CPU as it was made.
pub(super) struct Waiting {
    pub child: Child,
    pub cpu: Box<dyn Cpu>,
}

/// Says that the child runs on alone.
const ALONE: u8 = b'A';
/// Says that the debugger goes with the child.
const FOLLOWED: u8 = b'F';

/// Both ends of what a parent tells its child by.
pub struct Link {
    parent: File,
    child: File,
}

impl Link {
    /// A new one.
    ///
    /// # Errors
    /// The host has no descriptors left.
    pub fn new() -> io::Result<Self> {
        let mut fds = [0; 2];
        // SAFETY: writes the array.
        if unsafe {
            libc::socketpair(libc::AF_UNIX, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0, fds.as_mut_ptr())
        } != 0
        {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: both were made just now.
        let [parent, child] = fds.map(|fd| unsafe { File::from_raw_fd(fd) });
        Ok(Self { parent: reserved::out_of_the_way(&parent)?, child: reserved::out_of_the_way(&child)? })
    }
}

impl Debug {
    /// Whether a debugger is connected that wants to hear of new processes.
    pub fn follows_forks(&self) -> bool {
        self.attached() && lock(&self.debugger).as_ref().is_some_and(|debugger| debugger.follows_forks())
    }

    /// Runs `fork` with everything of the debugger's in a state that the child can use.
    pub fn alone<T>(&self, fork: impl FnOnce() -> T) -> T {
        let _debugger = lock(&self.debugger);
        let _board = lock(&self.board);
        fork()
    }

    /// The child that waits for the debugger's decision.
    pub fn waiting_child(&self) -> Option<Child> {
        lock(&self.board).child.as_ref().map(|waiting| waiting.child)
    }

    /// Lets the child go: alone, or with the debugger. True if there was one.
    pub fn decide(&self, followed: bool) -> bool {
        let Some(waiting) = lock(&self.board).child.take() else { return false };
        // SAFETY: it was put there by `Thread::has_forked`, and nobody else has it.
        let mut link = unsafe { File::from_raw_fd(waiting.child.link) };
        // The child may have been killed meanwhile.
        let _ = link.write_all(&[if followed { FOLLOWED } else { ALONE }]);
        true
    }
}

impl Thread {
    /// Whether new processes are to be told of.
    pub fn follows_forks(&self) -> bool {
        self.debug.as_ref().is_some_and(|debug| debug.follows_forks())
    }

    /// The thread has made process `pid`, which waits at the other end of `link` with a CPU like `cpu`, and is waited for by
    /// `wait`.
    pub fn has_forked(&mut self, pid: i32, link: Link, cpu: Box<dyn Cpu>, wait: Option<ForkWait>) {
        if let Some(debug) = &self.debug {
            let child = Child { pid, link: link.parent.into_raw_fd() };
            lock(&debug.board).child = Some(Waiting { child, cpu });
            self.forked = Some(Forked::Has(child, wait));
        }
    }

    /// The call that has made a process is over.
    pub fn tell_fork(&mut self) {
        match self.forked.take() {
            None => {}
            Some(Forked::IsChild(link)) => self.was_forked(link),
            Some(Forked::Has(child, wait)) => {
                self.tell(Why::Forked(child));
                if let Some(wait) = wait {
                    self.in_call(|_| wait.wait());
                }
            }
        }
    }

    /// In the child: waits for the debugger's decision at `link`, if there is one.
    fn was_forked(&mut self, link: Option<Link>) {
        let Some(debug) = self.debug.clone() else { return };
        let followed = link.is_some_and(|Link { parent, mut child }| {
            drop(parent);
            let mut word = [0];
            child.read_exact(&mut word).is_ok() && word[0] == FOLLOWED
        });
        let mut board = lock(&debug.board);
        // Of the threads there is only the present one, which has another number.
        let own: *mut dyn Cpu = &raw mut *self.cpu;
        board.slots.retain(|slot| std::ptr::addr_eq(slot.cpu.0, own));
        for slot in &mut board.slots {
            (slot.tid, slot.state) = (sys::gettid(), State::Runs);
            slot.order = Order { motion: Motion::Run, signal: None };
        }
        (board.halted, board.child) = (false, None);
        board.points.clear();
        drop(board);
        self.cpu.set_points(&[]);
        if followed {
            self.tell(Why::Followed);
            if debug.watch().is_ok() {
                return;
            }
        }
        debug.set_attached(false);
        if let Some(debugger) = lock(&debug.debugger).as_mut() {
            debugger.abandon();
        }
        self.debug = None;
    }
}
