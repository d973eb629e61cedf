//! What the gdb server debugs.

use super::Answer;
use engine::memory::Space;
use engine::{Feature, Motion, Point};
use std::ops::Range;

/// One thread of the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thread {
    /// Its process, from one.
    pub process: u32,
    /// Its number, from one.
    pub thread: u32,
}

/// How one thread goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// How it moves.
    pub motion: Motion,
    /// It steps on while it is in this range.
    pub range: Range<u64>,
    /// The signal that it gets, as gdb numbers it.
    pub signal: Option<u8>,
}

impl From<Motion> for Order {
    fn from(motion: Motion) -> Self {
        Self { motion, range: 0..0, signal: None }
    }
}

/// How the target goes on.
#[derive(Clone, Debug, Default)]
pub struct Orders {
    /// Of each thread, in the order of [`Target::threads`].
    pub threads: Vec<Order>,
    /// Time stands still while threads step and none runs.
    pub hold_time: bool,
}

/// Something that gdb can be attached to. All but [`Target::interrupt`] is asked of a target that stands still.
pub trait Target: Send + 'static {
    /// What `qSupported` is told beside what the server itself can do.
    const SUPPORTED: &'static str;
    /// What `vCont?` is told.
    const MOTIONS: &'static str;
    /// What `qAttached` is told: `1` where a client that ends lets the target run, `0` where it kills it.
    const ATTACHED: &'static str;

    /// The client has told what it can do.
    fn client(&mut self, _features: &str) {}
    /// A client is attached, or no longer.
    fn attached(&mut self, _attached: bool) {}
    /// Its threads.
    fn threads(&self) -> Vec<Thread>;
    /// What there is to say about a thread.
    fn about(&mut self, thread: Thread) -> String;
    /// gdb's name of the architecture, and the registers.
    fn description(&mut self) -> (&'static str, Vec<Feature>);
    /// The values of these registers, in the target's byte order.
    fn registers(&mut self, thread: Thread, numbers: Vec<u32>) -> Vec<Option<Vec<u8>>>;
    /// Sets a register; false where that is not possible.
    fn set_register(&mut self, thread: Thread, number: u32, value: Vec<u8>) -> bool;
    /// Reads memory.
    fn read(&mut self, thread: Thread, space: Space, addr: u64, len: usize) -> Option<Vec<u8>>;
    /// Writes memory.
    fn write(&mut self, thread: Thread, space: Space, addr: u64, bytes: Vec<u8>) -> bool;
    /// Has the breakpoints and watchpoints of all threads be these.
    fn set_points(&mut self, points: Vec<Point>);
    /// Whether a thread has those points; one of a process that waits has none.
    fn has_points(&self, _thread: Thread) -> bool {
        true
    }
    /// Stops all threads, and returns when they stand still.
    fn stop(&mut self);
    /// Has all threads stop soon.
    fn interrupt(&mut self);
    /// Lets the threads go on; false where they can not.
    fn resume(&mut self, orders: Orders) -> bool;
    /// Whether the target can go backwards.
    fn reverses(&self) -> bool {
        false
    }
    /// Has it go back: in front of the last instruction of `thread`, or, without `step`, to the last point. False where it can not.
    fn back(&mut self, _thread: Thread, _step: bool) -> bool {
        false
    }
    /// The client has carried out the call that it was told of: its value, or the number of an error.
    fn answer(&mut self, _answer: Result<u64, i32>) {}
    /// What single steps can leave out, as QEMU's `sstep` mask; the run of a target whose run is recorded is not to be another one.
    fn step_mask(&self) -> u64 {
        super::SSTEP_ALL
    }
    /// Lets the threads go on without a debugger.
    fn detach(&mut self);
    /// The client leaves process `process`, but not the target; false: that is the target.
    fn part_from(&mut self, _process: u32) -> bool {
        false
    }
    /// Ends the target.
    fn kill(&mut self);
    /// Carries out a line for the monitor; gives what it prints, `None` where there is no monitor.
    fn monitor(&mut self, line: &str) -> Option<String>;
    /// The object of `qXfer` that is called `name`; `None` where there is no such kind, an error where there is none.
    fn object(
        &mut self,
        _thread: Thread,
        _name: &str,
        _annex: &str,
    ) -> Option<Result<Vec<u8>, &'static str>> {
        None
    }
    /// Answers a packet that only this kind of target knows.
    fn packet(&mut self, _text: &str) -> Option<Answer> {
        None
    }
}
