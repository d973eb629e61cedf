//! Semihosting on top of a vCPU: what a guest architecture asks by an instruction of its own is carried out here.

use crate::cpus::{Cpu, Cpus};
use crate::memory::{self, Space};
use crate::power::{Power, WaitingCall};
use base::{PowerEvent, PowerSink, requester};
use firmware::semihosting::{Memory, Platform, Request, Semihosting, Stream};
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

/// The registers that an operation has to do with, as gdb numbers them.
pub(crate) struct Convention {
    /// Where its result goes.
    pub result: u32,
    /// The stack pointer.
    pub stack: u32,
}

/// Semihosting of one machine.
pub struct Semihost {
    calls: Arc<Mutex<Semihosting>>,
    console: Box<dyn Console>,
    power: Arc<Power>,
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
        power: Arc<Power>,
        ram: (u64, u64),
        user: bool,
    ) -> Arc<Self> {
        Arc::new(Self { calls: Arc::new(Mutex::new(calls)), console, power, ram, user })
    }

    /// Whether user programs may ask, too.
    pub(crate) fn serves_users(&self) -> bool {
        self.user
    }

    /// Carries out operation `number` with `parameter`; gives its result, which a debugger replaces where it is the one to carry the
    /// operation out. `None`: the vCPU was stopped while it waited for the console, and asks again.
    pub(crate) fn call<G: Debuggable + Saved>(
        &self,
        vcpu: &mut Vcpu<G>,
        convention: &Convention,
        number: u64,
        parameter: u64,
    ) -> Option<u64> {
        let mut calling = Calling { host: self, vcpu, stack: convention.stack, interrupted: false };
        let mut calls = self.calls.lock();
        if let Some(request) = calls.request(&mut calling, number, parameter) {
            let failed = request.failed();
            if self.power.debugged() {
                self.ask(request, convention.result);
            }
            return Some(failed);
        }
        let value = calls.call(&mut calling, number, parameter);
        (!calling.interrupted).then_some(value)
    }

    /// Has the debugger carry out `request` for the vCPU of this thread, whose register `result` is then set.
    fn ask(&self, request: Request, result: u32) {
        let (calls, cpu) = (self.calls.clone(), requester() as usize);
        let text = request.text.as_str().into();
        let finish = Box::new(move |cpus: &mut dyn Cpus, answer| {
            if let Some(cpu) = cpus.cpu(cpu) {
                let value = calls.lock().answered(&mut Standing(cpu), &request, answer);
                cpu.set_register(result, &value.to_le_bytes());
            }
        });
        self.power.call_debugger(WaitingCall { cpu, text, finish });
    }
}

/// The memory of a vCPU that stands still.
struct Standing<'a>(&'a mut dyn Cpu);

impl Memory for Standing<'_> {
    fn read_memory(&mut self, addr: u64, bytes: &mut [u8]) -> bool {
        let read = memory::read(self.0, Space::Virtual, addr, bytes.len());
        read.map(|read| bytes.copy_from_slice(&read)).is_some()
    }

    fn write_memory(&mut self, addr: u64, bytes: &[u8]) -> bool {
        memory::write(self.0, Space::Virtual, addr, bytes)
    }
}

/// An operation in progress.
struct Calling<'a, G: Debuggable + Saved> {
    host: &'a Semihost,
    vcpu: &'a mut Vcpu<G>,
    /// Number of the stack pointer.
    stack: u32,
    interrupted: bool,
}

/// How often a vCPU that waits for the console looks whether it is wanted elsewhere.
const LOOK: Duration = Duration::from_millis(20);

impl<G: Debuggable + Saved> Memory for Calling<'_, G> {
    fn read_memory(&mut self, addr: u64, bytes: &mut [u8]) -> bool {
        Standing(self.vcpu).read_memory(addr, bytes)
    }

    fn write_memory(&mut self, addr: u64, bytes: &[u8]) -> bool {
        Standing(self.vcpu).write_memory(addr, bytes)
    }
}

impl<G: Debuggable + Saved> Platform for Calling<'_, G> {
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

    fn stack(&mut self) -> u64 {
        let bytes = Cpu::register(self.vcpu, self.stack).and_then(|bytes| bytes.try_into().ok());
        bytes.map_or(0, u64::from_le_bytes)
    }
}
