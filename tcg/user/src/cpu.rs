//! A vCPU without its architecture: what the rest of user mode works on.

use crate::arch::{Abi, Arch, Event, HandlerEntry, Note};
use base::CpuLines;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use tcg_core::debug::{self, Feature};
use tcg_core::guest::{Point, Registers, Trap, Units};
use tcg_core::run::{CodeCache, HostFault, Left, Tiers, Vcpu, VcpuConfig, VcpuFetch};

/// Instructions that [`Cpu::show`] lists.
const SHOWN: usize = 5;

/// Why a CPU stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Somebody wants attention.
    Attention,
    /// A system call: number and arguments.
    Call(u64, [u64; 6]),
    /// The program has to be given a signal: number, `si_code`, address.
    Fault(HostFault),
    /// A debugger has to be told.
    Debug(debug::Stop),
}

/// A vCPU.
pub trait Cpu: Send {
    /// Runs the guest.
    fn run(&mut self) -> Stop;
    /// Runs one instruction for a debugger.
    fn step(&mut self) -> Stop;
    /// Names and layouts.
    fn abi(&self) -> &'static Abi;
    /// A vCPU in the same state, with wires of its own.
    fn copy(&self) -> Box<dyn Cpu>;
    /// Makes a process by `fork`, which gives 0 in the child, with no other thread in guest code.
    fn fork(&mut self, fork: &mut dyn FnMut() -> i64) -> io::Result<i64>;
    /// What to set for attention; lives as long as the CPU.
    fn request_word(&self) -> *const AtomicU32;

    /// [`Arch::call`].
    fn call(&self) -> (u64, [u64; 6]);
    /// [`Arch::finish_call`].
    fn finish_call(&mut self, result: u64);
    /// [`Arch::repeat_call`].
    fn repeat_call(&mut self, first: u64);
    /// Address of the next instruction.
    fn pc(&self) -> u64;
    /// [`Arch::sp`].
    fn sp(&self) -> u64;
    /// [`Arch::set_sp`].
    fn set_sp(&mut self, sp: u64);
    /// [`Arch::set_tls`].
    fn set_tls(&mut self, tls: u64);
    /// [`Arch::start`].
    fn start(&mut self, entry: u64, sp: u64);
    /// [`Arch::mcontext_size`].
    fn mcontext_size(&self) -> usize;
    /// [`Arch::save`].
    fn save(&mut self, at: u64) -> Vec<u8>;
    /// [`Arch::restore`].
    fn restore(&mut self, mcontext: &[u8]);
    /// [`Arch::enter_handler`].
    fn enter_handler(&mut self, entry: HandlerEntry);
    /// [`Arch::core_registers`].
    fn core_registers(&mut self) -> (Vec<u8>, Vec<Note>);
    /// [`Arch::set_core_registers`].
    fn set_core_registers(&mut self, kind: u32, contents: &[u8]);
    /// [`Arch::cpu_info`].
    fn cpu_info(&self) -> String;
    /// The registers, and the instructions from the next one on, for people.
    fn show(&mut self) -> String;
    /// [`Arch::hwcap`].
    fn hwcap(&self) -> [u64; 2];
    /// [`Arch::probe`].
    fn probe(&self, key: i64) -> Option<u64>;

    /// gdb's name of the architecture.
    fn architecture(&self) -> &'static str;
    /// [`Arch::features`].
    fn features(&mut self) -> Vec<Feature>;
    /// The value of a debugger's register, in the guest's byte order.
    fn register(&mut self, number: u32) -> Option<Vec<u8>>;
    /// Sets it; false where that is not possible.
    fn set_register(&mut self, number: u32, value: &[u8]) -> bool;
    /// Has a debugger's points be these.
    fn set_points(&mut self, points: &[Point]);
}

/// A vCPU of architecture `A`.
pub struct CpuOf<A: Arch> {
    vcpu: Vcpu<A>,
    code: Arc<CodeCache>,
    tiers: Tiers,
}

impl<A: Arch> CpuOf<A> {
    /// A vCPU in state `cpu` that runs translations of `code`.
    pub fn new(cpu: A::Cpu, code: &Arc<CodeCache>, tiers: Tiers) -> Self {
        let config = VcpuConfig { tiers, ..VcpuConfig::default() };
        let mut vcpu = Vcpu::new(cpu, Arc::new(CpuLines::default()), code, config);
        vcpu.show_registers();
        Self { vcpu, code: code.clone(), tiers }
    }

    /// What is to be done about what the vCPU came back for.
    fn stop(&mut self, left: Left) -> Stop {
        let trap = match left {
            Left::Attention => return Stop::Attention,
            Left::Debug(stop) => return Stop::Debug(stop),
            Left::Trap(trap) => trap,
        };
        let (pc, Trap { code, value }) = (self.pc(), trap);
        tracing::trace!(target: "int", pc, "Taking exception {code:#x} with value {value:#x} at {pc:#x}");
        match A::event(trap) {
            Event::Call => {
                let (number, args) = A::call(self.vcpu.cpu());
                Stop::Call(number, args)
            }
            Event::Signal(signal, code) => Stop::Fault(HostFault { signal, code, addr: self.pc() }),
            Event::SignalAt(signal, code, addr) => self.fault_at(trap, HostFault { signal, code, addr }),
            Event::Access => {
                let unmapped = HostFault { signal: libc::SIGSEGV, code: 1, addr: trap.value };
                let fault = self.vcpu.host_fault().unwrap_or(unmapped);
                self.fault_at(trap, fault)
            }
        }
    }

    fn fault_at(&mut self, trap: Trap, fault: HostFault) -> Stop {
        A::note_fault(self.vcpu.cpu_mut(), trap, &fault);
        Stop::Fault(fault)
    }
}

impl<A: Arch> Cpu for CpuOf<A> {
    fn run(&mut self) -> Stop {
        let left = self.vcpu.run_process();
        self.stop(left)
    }

    fn step(&mut self) -> Stop {
        let left = self.vcpu.step_process();
        self.stop(left)
    }

    fn abi(&self) -> &'static Abi {
        const { &A::ABI }
    }

    fn copy(&self) -> Box<dyn Cpu> {
        Box::new(Self::new(A::copy_cpu(self.vcpu.cpu()), &self.code, self.tiers))
    }

    fn fork(&mut self, fork: &mut dyn FnMut() -> i64) -> io::Result<i64> {
        self.code.fork(self.vcpu.handle().lines(), fork)
    }

    fn request_word(&self) -> *const AtomicU32 {
        self.vcpu.handle().lines().request_word()
    }

    fn call(&self) -> (u64, [u64; 6]) {
        A::call(self.vcpu.cpu())
    }

    fn finish_call(&mut self, result: u64) {
        A::finish_call(self.vcpu.cpu_mut(), result);
    }

    fn repeat_call(&mut self, first: u64) {
        A::repeat_call(self.vcpu.cpu_mut(), first);
    }

    fn pc(&self) -> u64 {
        self.vcpu.cpu().as_ref().pc
    }

    fn sp(&self) -> u64 {
        A::sp(self.vcpu.cpu())
    }

    fn set_sp(&mut self, sp: u64) {
        A::set_sp(self.vcpu.cpu_mut(), sp);
    }

    fn set_tls(&mut self, tls: u64) {
        A::set_tls(self.vcpu.cpu_mut(), tls);
    }

    fn start(&mut self, entry: u64, sp: u64) {
        A::start(self.vcpu.cpu_mut(), entry, sp);
    }

    fn mcontext_size(&self) -> usize {
        A::mcontext_size(self.vcpu.cpu())
    }

    fn save(&mut self, at: u64) -> Vec<u8> {
        let mut mcontext = vec![0; self.mcontext_size()];
        A::save(self.vcpu.cpu_mut(), at, &mut mcontext);
        mcontext
    }

    fn restore(&mut self, mcontext: &[u8]) {
        A::restore(self.vcpu.cpu_mut(), mcontext);
    }

    fn enter_handler(&mut self, entry: HandlerEntry) {
        A::enter_handler(self.vcpu.cpu_mut(), entry);
    }

    fn core_registers(&mut self) -> (Vec<u8>, Vec<Note>) {
        A::core_registers(self.vcpu.cpu_mut())
    }

    fn set_core_registers(&mut self, kind: u32, contents: &[u8]) {
        A::set_core_registers(self.vcpu.cpu_mut(), kind, contents);
    }

    fn cpu_info(&self) -> String {
        A::cpu_info(self.vcpu.cpu())
    }

    fn show(&mut self) -> String {
        let mut text = Registers::<A> { cpu: self.vcpu.cpu(), units: Units::default() }.to_string();
        let (mut at, mode) = (self.pc(), A::context(self.vcpu.cpu()).mode);
        let (cpu, mmu) = self.vcpu.parts();
        let mut fetch = VcpuFetch::<A> { mmu, cpu };
        for _ in 0..SHOWN {
            let Ok((insn, len)) = A::decode(&mut fetch, at, mode) else { break };
            text += &format!("\n{at:#018x}:  {}", A::print(insn, at));
            at = at.wrapping_add(len);
        }
        text
    }

    fn hwcap(&self) -> [u64; 2] {
        A::hwcap(self.vcpu.cpu())
    }

    fn probe(&self, key: i64) -> Option<u64> {
        A::probe(self.vcpu.cpu(), key)
    }

    fn architecture(&self) -> &'static str {
        A::ARCHITECTURE
    }

    fn features(&mut self) -> Vec<Feature> {
        <A as Arch>::features(self.vcpu.cpu_mut())
    }

    fn register(&mut self, number: u32) -> Option<Vec<u8>> {
        A::register(self.vcpu.cpu_mut(), number)
    }

    fn set_register(&mut self, number: u32, value: &[u8]) -> bool {
        A::set_register(self.vcpu.cpu_mut(), number, value)
    }

    fn set_points(&mut self, points: &[Point]) {
        self.vcpu.set_points(points);
    }
}
