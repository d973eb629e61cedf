//! Who makes the bus access that is under way, for chips whose registers are banked by CPU.

use std::cell::Cell;

thread_local! {
    static CPU: Cell<u32> = const { Cell::new(0) };
}

/// The number of the CPU whose accesses the calling thread carries out; 0 on a thread that is no CPU's.
pub fn requester() -> u32 {
    CPU.get()
}

/// Has the calling thread's accesses be those of CPU `number` from now on.
pub fn set_requester(number: u32) {
    CPU.set(number);
}
