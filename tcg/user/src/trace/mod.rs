//! `ptrace(2)` among programs of the guest: `strace` and `gdb` of the guest's own distribution.
//!
//! The host's `ptrace` carries it: who traces whom, wait statuses, new processes, ends and deaths are the kernel's. What the
//! host's kernel cannot know is where a guest stands between two of *its* instructions, signals and system calls. So a tracee
//! tells of those itself, at the places where its state is in order ([`tracee`]): it fills in a [`Block`] and sends itself a
//! SIGBUS with a code that no kernel sends, and whose value is the block's address. Its tracer's emulator ([`tracer`]) sees
//! this as a stop of the host's, reads the block, and gives the guest's `wait4` the status that a kernel of the guest's would
//! give ([`wait`]). Stops that are the emulator's own affair, such as its faults, are passed over. The answer goes into the block.
//!
//! A signal that is sent to a tracee is let through to the emulator's handler, which takes it to such a place. SIGSTOP, which
//! has no handler, and an interruption become a request to come there. Where nobody takes the SIGBUS it comes to its sender's
//! handler, which so learns that there is no tracer any more.
//!
//! Left out: seccomp stops, `PTRACE_SYSEMU`, tracing of or by programs that run without this emulator, hardware breakpoints; a
//! tracee whose tracer does not wait, or looks with `WNOWAIT`, stands still at the emulator's own stops.

mod call;
mod tracee;
mod tracer;
mod wait;

pub use call::ptrace;
pub use tracee::Tracee;
pub use tracer::{forget_all, tracee_file, written};
pub use wait::{wait4, waitid};

use crate::signal::Info;

/// The `si_code` of a tracee that stands.
pub const STANDS: i32 = -0x6d6e;
/// The `si_code` of a request to stand; the value is a [`Request`].
pub const STAND: i32 = -0x6d6f;
/// Variable of the environment in which an emulator tells the next one that it is traced.
pub const TRACED: &str = "MIMIC_TRACED";

/// Why a tracee was asked to stand: bits, since there may be several reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Request {
    /// It was sent SIGSTOP.
    Stop = 1,
    /// `PTRACE_INTERRUPT`.
    Interrupt = 2,
    /// Only to learn that it is traced: `PTRACE_SEIZE`.
    Join = 4,
    /// To learn that its memory was written, by who does not trace it.
    Written = 8,
}

/// What a tracee stands at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Event {
    /// It is about to be given a signal.
    Signal = 1,
    /// It is about to make a system call.
    Enter,
    /// It has made one.
    Leave,
    /// It has become another program.
    Exec,
    /// It begins, as a child of a tracee.
    Begin,
    /// It has heard that it is traced, which nobody needs to know.
    Join,
    /// It was interrupted.
    Interrupt,
}

impl Event {
    fn of(number: u32) -> Option<Self> {
        let all =
            [Self::Signal, Self::Enter, Self::Leave, Self::Exec, Self::Begin, Self::Join, Self::Interrupt];
        all.into_iter().find(|event| *event as u32 == number)
    }
}

/// How a tracee goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Resume {
    /// To the next signal.
    Run = 0,
    /// Also to the next system call.
    ToCall,
    /// For one instruction.
    Step,
    /// Untraced.
    Detached,
}

/// Room for registers: 32 vectors of 128 bytes, and all others.
const SETS: usize = 6144;
/// Places that can be told of one by one.
const POKES: usize = 16;

/// What a tracee and its tracer tell each other, in the tracee's memory.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Block {
    /// An [`Event`].
    pub event: u32,
    /// The signal of [`Event::Signal`].
    pub signal: i32,
    /// What is said of it.
    pub info: Info,
    /// Number and arguments of a system call.
    pub call: [u64; 7],
    /// Next instruction, and the stack pointer.
    pub place: [u64; 2],
    /// Address and length of the auxiliary vector.
    pub auxv: [u64; 2],
    /// Address and length of the program file's name.
    pub exe: [u64; 2],
    /// The process that the thread is of.
    pub pid: i32,
    /// ELF's number of the architecture.
    pub machine: u32,
    /// It is about to stop itself: SIGSTOP is meant for the host.
    pub stops: u32,
    /// Answer: the tracer has heard. A SIGBUS that is sent while another waits is lost, and has to be sent again.
    pub heard: u32,
    /// Answer: a [`Resume`].
    pub resume: u32,
    /// Answer: the signal to give, or 0.
    pub deliver: i32,
    /// Answer: the registers are to be taken from here.
    pub changed: u32,
    /// Answer: how often memory was written; beyond [`POKES`] it may be anywhere.
    pub poked: u32,
    /// Bytes of `sets` in use.
    pub used: u32,
    /// Keeps what follows at its place.
    pub unused: u32,
    /// Answer: where.
    pub pokes: [u64; POKES],
    /// Sets of registers: kind (`NT_*`), length, contents.
    pub sets: [u8; SETS],
}

impl Block {
    /// Of a tracee that has not stood yet.
    pub const EMPTY: Self = Self {
        event: 0,
        signal: 0,
        info: [0; 128],
        call: [0; 7],
        place: [0; 2],
        auxv: [0; 2],
        exe: [0; 2],
        pid: 0,
        machine: 0,
        stops: 0,
        heard: 0,
        resume: Resume::Run as u32,
        deliver: 0,
        changed: 0,
        poked: 0,
        used: 0,
        unused: 0,
        pokes: [0; POKES],
        sets: [0; SETS],
    };

    /// Adds a set of registers, if there is room.
    pub fn add_set(&mut self, kind: u32, contents: &[u8]) {
        let at = self.used as usize;
        let Some(room) = self.sets.get_mut(at..at + 8 + contents.len()) else { return };
        room[..4].copy_from_slice(&kind.to_le_bytes());
        room[4..8].copy_from_slice(&(contents.len() as u32).to_le_bytes());
        room[8..].copy_from_slice(contents);
        self.used += 8 + contents.len() as u32;
    }

    /// Kind and place of each set. Made of what another process wrote, so it may say anything.
    fn each_set(&self) -> impl Iterator<Item = (u32, std::ops::Range<usize>)> + '_ {
        let mut at = 0;
        std::iter::from_fn(move || {
            let end = (self.used as usize).min(SETS);
            let head = self.sets.get(at..at + 8).filter(|_| at < end)?;
            let word = |n: usize| u32::from_le_bytes([head[n], head[n + 1], head[n + 2], head[n + 3]]);
            let (kind, len) = (word(0), word(4) as usize);
            let place = at + 8..(at + 8).checked_add(len).filter(|end| *end <= SETS)?;
            at = place.end;
            Some((kind, place))
        })
    }

    /// The registers of set `kind`.
    pub fn set(&mut self, kind: u32) -> Option<&mut [u8]> {
        let place = self.each_set().find(|(known, _)| *known == kind)?.1;
        Some(&mut self.sets[place])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_of_registers_are_found_by_kind() {
        let mut block = Block::EMPTY;
        block.add_set(1, &[1, 2, 3]);
        block.add_set(0x901, &[4; 100]);
        assert_eq!(block.set(1).map(|set| set.to_vec()), Some(vec![1, 2, 3]));
        assert_eq!(block.set(0x901).map(|set| set.len()), Some(100));
        assert!(block.set(2).is_none());
    }

    #[test]
    fn a_block_of_nonsense_is_read_without_harm() {
        let mut block = Block { used: u32::MAX, sets: [0xff; SETS], ..Block::EMPTY };
        assert!(block.set(1).is_none());
        block.sets = [0; SETS];
        assert!(block.set(1).is_none());
        assert!(Event::of(77).is_none());
    }
}
