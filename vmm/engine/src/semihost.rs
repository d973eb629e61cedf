//! Semihosting on top of a vCPU: what a guest architecture asks by an instruction of its own is carried out here.

use crate::cpus::Cpu;
use crate::memory::{self, Space};
use base::{PowerEvent, PowerSink};
use firmware::semihosting::{Platform, Semihosting, Stream};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tcg_core::debug::Debuggable;
use tcg_core::run::Vcpu;
use tcg_core::saved::Saved;

/// The console of the programs.
pub trait Console: Send + Sync {
    /// Writes.
    fn write(&self, stream: Stream, bytes: &[u8]);
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
    /// User programs may ask, too.
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

    /// Whether user programs may ask, too.
    pub(crate) fn serves_users(&self) -> bool {
        self.user
    }

    /// Carries out operation `number` with `parameter`; gives its result. `None`: the vCPU was stopped while it waited for the
    /// console, and asks again.
    pub(crate) fn call<G: Debuggable + Saved>(
        &self,
        vcpu: &mut Vcpu<G>,
        number: u64,
        parameter: u64,
    ) -> Option<u64> {
        let mut calling = Calling { host: self, vcpu, interrupted: false };
        let value = self.calls.lock().call(&mut calling, number, parameter);
        (!calling.interrupted).then_some(value)
    }
}

/// An operation in progress.
struct Calling<'a, G: Debuggable + Saved> {
    host: &'a Semihost,
    vcpu: &'a mut Vcpu<G>,
    interrupted: bool,
}

/// How often a vCPU that waits for the console looks whether it is wanted elsewhere.
const LOOK: Duration = Duration::from_millis(20);

impl<G: Debuggable + Saved> Platform for Calling<'_, G> {
    fn read_memory(&mut self, addr: u64, bytes: &mut [u8]) -> bool {
        let read = memory::read(self.vcpu as &dyn Cpu, Space::Virtual, addr, bytes.len());
        read.map(|read| bytes.copy_from_slice(&read)).is_some()
    }

    fn write_memory(&mut self, addr: u64, bytes: &[u8]) -> bool {
        memory::write(self.vcpu as &dyn Cpu, Space::Virtual, addr, bytes)
    }

    fn console_write(&mut self, stream: Stream, bytes: &[u8]) {
        self.host.console.write(stream, bytes);
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
