//! Arm's Generic Interrupt Controllers: what versions 2 and 3 share, and each of them.
//!
//! From the Arm GIC Architecture Specification, version 2.0 (IHI 0048B) and versions 3 and 4 (IHI 0069). Interrupts 0 to
//! 15 are software-generated (SGI) and 16 to 31 private to a CPU (PPI); from 32 on they are shared (SPI), and from 8192
//! on messages (LPI). With EL3 there are two Security states ([`Security`]), and each has its own view of the registers.

mod bank;
mod priority;
#[cfg(test)]
mod testing;
pub mod v2;
pub mod v2m;
pub mod v3;
mod virtualization;

use priority::GROUPS;
pub use priority::Group;
use serde::{Deserialize, Serialize};

/// Interrupts that each CPU has for itself: SGIs and PPIs.
pub const PRIVATE: u32 = 32;
/// SGIs among them.
const SGIS: u32 = 16;
/// Read at an acknowledge when nothing is pending that may be taken.
const SPURIOUS: u32 = 1023;
/// The first of the numbers that name no interrupt.
const FIRST_SPECIAL: u32 = 1020;

/// The wires from the controller to one CPU.
#[derive(Clone)]
pub struct CpuPins {
    /// IRQ.
    pub irq: base::IrqLine,
    /// FIQ.
    pub fiq: base::IrqLine,
    /// Virtual IRQ.
    pub virq: base::IrqLine,
    /// Virtual FIQ.
    pub vfiq: base::IrqLine,
    /// Groups 1 of the Secure and of the Non-secure state, of a version 3 with both: IRQ or FIQ, as the CPU's state has it.
    pub groups_1: [base::IrqLine; 2],
}

/// The Security states of the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Security {
    /// One, as without EL3.
    One,
    /// Two: frames without `secure` in their name are the Non-secure state's.
    Two {
        /// All interrupts are the Non-secure state's after a reset, as firmware leaves them for a kernel.
        for_kernel: bool,
    },
}

impl Security {
    /// Whether there are two.
    pub fn has_two(self) -> bool {
        self != Self::One
    }

    /// Whether interrupts are all in group 1 after a reset.
    fn is_for_kernel(self) -> bool {
        self == Self::Two { for_kernel: true }
    }
}

/// What is asked of a controller beside its registers.
pub trait Signals: Send + Sync {
    /// Whether any interrupt but one of software can get through to CPU `cpu`, as the controller is set up.
    fn may_signal(&self, cpu: usize) -> bool;
}

/// Inputs are numbered as interrupts are, SPIs first: this is the input of SPI `n` (interrupt 32 + n).
pub const fn spi_input(n: u32) -> u32 {
    n
}

/// The input of private interrupt `interrupt` (16 to 31) of CPU `cpu`.
pub const fn ppi_input(cpu: u32, interrupt: u32) -> u32 {
    PPI_INPUTS + cpu * PRIVATE + interrupt
}

/// Behind all inputs of SPIs.
const PPI_INPUTS: u32 = 1024;

/// What an input is to the chip.
enum Input {
    Private { cpu: usize, interrupt: usize },
    Shared(usize),
}

impl Input {
    fn of(line: u32) -> Self {
        match line.checked_sub(PPI_INPUTS) {
            None => Self::Shared(line as usize),
            Some(line) => {
                Self::Private { cpu: (line / PRIVATE) as usize, interrupt: (line % PRIVATE) as usize }
            }
        }
    }
}

/// An interrupt that waits for a CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Candidate {
    interrupt: u32,
    priority: u8,
    group: Group,
}

impl Candidate {
    /// The more urgent one; `self` among equals.
    fn or(self, other: Option<Self>) -> Self {
        other.filter(|other| other.priority < self.priority).unwrap_or(self)
    }
}

/// The more urgent of two.
fn more_urgent(one: Option<Candidate>, other: Option<Candidate>) -> Option<Candidate> {
    one.map(|one| one.or(other)).or(other)
}

/// Peripheral and component identification, at the end of each frame: PrimeCell's, with this architecture `revision` in
/// PIDR2, the first at `offset` 0.
fn identification(offset: u64, part: u8, revision: u8) -> u32 {
    let bytes = [0x44, 0, 0, 0, part, 0xb4, revision << 4 | 0xb, 0, 0x0d, 0xf0, 0x05, 0xb1];
    bytes.get((offset / 4) as usize).copied().unwrap_or(0).into()
}
