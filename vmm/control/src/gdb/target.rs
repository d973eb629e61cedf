//! What the gdb server debugs.

use engine::memory::Space;
use engine::{Feature, Plan, Point};

/// One thread of the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thread {
    /// Its process, from one.
    pub process: u32,
    /// Its number, from one.
    pub thread: u32,
}

/// Something that gdb can be attached to. All but [`Target::interrupt`] is asked of a target that stands still.
pub trait Target: Send + 'static {
    /// Its threads; the order is that of the motions of a [`Plan`].
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
    /// Stops all threads, and returns when they stand still.
    fn stop(&mut self);
    /// Has all threads stop soon.
    fn interrupt(&mut self);
    /// Lets the threads go on; false where they can not.
    fn resume(&mut self, plan: Plan) -> bool;
    /// Lets the threads go on without a debugger.
    fn detach(&mut self);
    /// Ends the target.
    fn kill(&mut self);
    /// Carries out a line for the monitor; gives what it prints, `None` where there is no monitor.
    fn monitor(&mut self, line: &str) -> Option<String>;
}
