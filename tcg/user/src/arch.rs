//! What a guest architecture owes user mode: where its calling convention keeps things, and how its kernel lays out what
//! programs see.

use crate::syscall::Row;
use tcg_core::debug::{Debuggable, Feature};
use tcg_core::guest::Trap;
use tcg_core::run::HostFault;

/// A function of the vDSO.
pub struct VdsoFunction {
    /// Symbol.
    pub name: &'static str,
    /// Code.
    pub code: Vec<u8>,
}

/// What the vDSO is made of.
pub struct VdsoParts {
    /// The symbols' version, `LINUX_4.15`.
    pub version: &'static str,
    /// All functions; the first is the one that signal handlers return to.
    pub functions: Vec<VdsoFunction>,
    /// For the unwinder at the first function: DWARF register number, and offset from the stack pointer where the frame
    /// has it.
    pub saved: Vec<(u8, u64)>,
    /// DWARF register that the unwinder's return address is in.
    pub return_register: u8,
    /// DWARF register of the stack pointer.
    pub stack_register: u8,
}

/// Names and layouts that do not depend on a CPU's state.
pub struct Abi {
    /// `e_machine` of its executables.
    pub machine: u16,
    /// `uname -m`, and the NAME in `qemu-NAME`.
    pub name: &'static str,
    /// `AT_PLATFORM`; empty for none.
    pub platform: &'static str,
    /// Pairs of guest's and host's bit, of the flags of `open` that differ.
    pub open_flags: &'static [(u64, u64)],
    /// `struct sigaction` has a restorer.
    pub has_restorer: bool,
    /// `ptrace` can have a single instruction run.
    pub has_single_step: bool,
    /// `AT_MINSIGSTKSZ`.
    pub min_signal_stack: u64,
    /// System calls that only this architecture has.
    pub rows: &'static [Row],
}

/// A note of a core file.
pub struct Note {
    /// Whose kind it is: `CORE` or `LINUX`.
    pub name: &'static str,
    /// `NT_*`.
    pub kind: u32,
    /// What it says.
    pub contents: Vec<u8>,
}

/// How a guest's trap ends for a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A system call.
    Call,
    /// A signal of this number and `si_code`, with the instruction's address.
    Signal(i32, i32),
    /// The same with another address.
    SignalAt(i32, i32, u64),
    /// A memory access failed; the host tells how.
    Access,
}

/// Everything that entering a signal handler sets.
#[derive(Clone, Copy, Debug)]
pub struct HandlerEntry {
    /// Signal number.
    pub signal: u64,
    /// The handler.
    pub handler: u64,
    /// Stack pointer; the frame begins here with the `siginfo`.
    pub sp: u64,
    /// Address of the `ucontext`.
    pub ucontext: u64,
    /// Where the handler returns to.
    pub restorer: u64,
}

/// A guest architecture that user mode runs.
pub trait Arch: Debuggable {
    /// Names and layouts.
    const ABI: Abi;

    /// A CPU of the model that `-cpu` names, or of the default one; the error is a sentence.
    fn new_cpu(model: Option<&str>) -> Result<Self::Cpu, String>;
    /// The models, for `-cpu help`.
    fn cpu_help() -> String;
    /// A CPU in the same state.
    fn copy_cpu(cpu: &Self::Cpu) -> Self::Cpu;
    /// What a trap means.
    fn event(trap: Trap) -> Event;
    /// Keeps what a trap says about an access that the host refused, for an architecture whose signal frames tell it.
    fn note_fault(_cpu: &mut Self::Cpu, _trap: Trap, _fault: &HostFault) {}

    /// Number and arguments of the system call that the CPU stands at.
    fn call(cpu: &Self::Cpu) -> (u64, [u64; 6]);
    /// Ends a system call: its result, and on to the next instruction.
    fn finish_call(cpu: &mut Self::Cpu, result: u64);
    /// Undoes [`Self::finish_call`], so that the call is made again; `first` is its first argument.
    fn repeat_call(cpu: &mut Self::Cpu, first: u64);

    /// The stack pointer.
    fn sp(cpu: &Self::Cpu) -> u64;
    /// Sets it.
    fn set_sp(cpu: &mut Self::Cpu, sp: u64);
    /// Sets the thread pointer.
    fn set_tls(cpu: &mut Self::Cpu, tls: u64);
    /// Enters a new program.
    fn start(cpu: &mut Self::Cpu, entry: u64, sp: u64);

    /// Bytes of the register part of a signal frame.
    fn mcontext_size(cpu: &Self::Cpu) -> usize;
    /// Writes the registers as a signal frame has them into [`Self::mcontext_size`] bytes of zeros, which go to guest address
    /// `at`.
    fn save(cpu: &mut Self::Cpu, at: u64, mcontext: &mut [u8]);
    /// Takes them back.
    fn restore(cpu: &mut Self::Cpu, mcontext: &[u8]);
    /// Enters a signal handler.
    fn enter_handler(cpu: &mut Self::Cpu, entry: HandlerEntry);

    /// The registers for a core file: `elf_gregset_t`, and notes for the others.
    fn core_registers(cpu: &mut Self::Cpu) -> (Vec<u8>, Vec<Note>);
    /// Sets the registers of a set that [`Self::core_registers`] gives: `NT_PRSTATUS` or a note's kind. What is not known or
    /// too long is left alone.
    fn set_core_registers(cpu: &mut Self::Cpu, kind: u32, contents: &[u8]);
    /// The registers that a debugger of a program sees.
    fn features(cpu: &mut Self::Cpu) -> Vec<Feature> {
        <Self as Debuggable>::features(cpu)
    }
    /// What `/proc/cpuinfo` says of a CPU, behind the line with its number.
    fn cpu_info(cpu: &Self::Cpu) -> String;

    /// `AT_HWCAP`, `AT_HWCAP2`.
    fn hwcap(cpu: &Self::Cpu) -> [u64; 2];
    /// The vDSO.
    fn vdso() -> VdsoParts;
    /// Answers of system calls that only the architecture knows: pairs of `riscv_hwprobe` and its like.
    fn probe(cpu: &Self::Cpu, key: i64) -> Option<u64>;
}
