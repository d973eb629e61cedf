//! Semihosting on riscv: an `ebreak` between `slli x0, x0, 31` and `srai x0, x0, 7` asks for it. The operation is in a0, its
//! parameter in a1, and the result goes to a0.

use crate::cpus::Cpu;
use crate::memory::{self, Space};
use base::{PAGE_SIZE, PowerEvent, PowerSink};
use firmware::semihosting::{Platform, Semihosting};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tcg_core::guest::Trap;
use tcg_core::run::Vcpu;
use tcg_riscv::Riscv;
use tcg_riscv::csr::Priv;
use tcg_riscv::csr::bits::cause;

/// The three instructions.
const SEQUENCE: [u32; 3] = [0x01f0_1013, 0x0010_0073, 0x4070_5013];
const A0: usize = 10;
const A1: usize = 11;

/// The console of the programs.
pub trait Console: Send + Sync {
    /// Writes.
    fn write(&self, bytes: &[u8]);
    /// The next character, waiting for it no longer than `limit`.
    fn read(&self, limit: Duration) -> Input;
}

/// What a console has to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// This character.
    Byte(u8),
    /// Nothing yet.
    None,
    /// Nothing ever.
    End,
}

/// Semihosting of one machine.
pub struct Semihost {
    calls: Mutex<Semihosting>,
    console: Box<dyn Console>,
    power: Arc<dyn PowerSink>,
    /// RAM: its start and its size.
    ram: (u64, u64),
    /// U-mode may ask, too.
    user: bool,
}

impl Semihost {
    /// Semihosting with `calls`, for a machine with this `ram`.
    pub fn new(
        calls: Semihosting,
        console: Box<dyn Console>,
        power: Arc<dyn PowerSink>,
        ram: (u64, u64),
        user: bool,
    ) -> Arc<Self> {
        Arc::new(Self { calls: Mutex::new(calls), console, power, ram, user })
    }

    /// Sees the traps of a hart; takes breakpoints that ask for semihosting.
    pub(super) fn trap(&self, vcpu: &mut Vcpu<Riscv>, trap: Trap) -> bool {
        if trap.code != cause::BREAKPOINT || !self.user && vcpu.cpu().csr.privilege == Priv::U {
            return false;
        }
        let pc = vcpu.cpu().head.pc;
        if !asks(vcpu, pc) {
            return false;
        }
        let (number, parameter) = (vcpu.cpu().x[A0], vcpu.cpu().x[A1]);
        let mut calling = Calling { host: self, vcpu, interrupted: false };
        let value = self.calls.lock().call(&mut calling, number, parameter);
        // A hart that is stopped while it waits for the console asks again.
        if !calling.interrupted {
            let cpu = vcpu.cpu_mut();
            cpu.x[A0] = value;
            cpu.head.pc = pc.wrapping_add(4);
        }
        true
    }
}

/// Whether the instructions around `pc` are those, all in one page.
fn asks(vcpu: &Vcpu<Riscv>, pc: u64) -> bool {
    let first = pc.wrapping_sub(4);
    if first / PAGE_SIZE != pc.wrapping_add(7) / PAGE_SIZE {
        return false;
    }
    let bytes: Vec<u8> = SEQUENCE.iter().flat_map(|word| word.to_le_bytes()).collect();
    memory::read(vcpu, Space::Virtual, first, bytes.len()) == Some(bytes)
}

/// An operation in progress.
struct Calling<'a> {
    host: &'a Semihost,
    vcpu: &'a mut Vcpu<Riscv>,
    interrupted: bool,
}

/// How often a hart that waits for the console looks whether it is wanted elsewhere.
const LOOK: Duration = Duration::from_millis(20);

impl Platform for Calling<'_> {
    fn read_memory(&mut self, addr: u64, bytes: &mut [u8]) -> bool {
        let read = memory::read(self.vcpu as &dyn Cpu, Space::Virtual, addr, bytes.len());
        read.map(|read| bytes.copy_from_slice(&read)).is_some()
    }

    fn write_memory(&mut self, addr: u64, bytes: &[u8]) -> bool {
        memory::write(self.vcpu as &dyn Cpu, Space::Virtual, addr, bytes)
    }

    fn console_write(&mut self, bytes: &[u8]) {
        self.host.console.write(bytes);
    }

    fn console_read(&mut self) -> Option<u8> {
        loop {
            match self.host.console.read(LOOK) {
                Input::Byte(byte) => return Some(byte),
                Input::End => return None,
                Input::None if self.vcpu.stopping() => {
                    self.interrupted = true;
                    return None;
                }
                Input::None => {}
            }
        }
    }

    fn exit(&mut self, status: u32) {
        self.host.power.power(PowerEvent::Off { code: status });
        // Nothing runs until the machine has acted on it.
        self.vcpu.handle().stop();
    }

    /// The upper half of RAM, all but a MiB of it for the heap.
    fn heap_and_stack(&self) -> [u64; 4] {
        let (start, size) = self.host.ram;
        let end = start + size;
        let limit = end - (1 << 20).min(size / 4);
        [start + size / 2, limit, end, limit]
    }
}
