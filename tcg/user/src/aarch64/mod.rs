//! aarch64 as Linux programs see it: the procedure call standard (AAPCS64), and the kernel's `arch/arm64` interfaces
//! (`Documentation/arch/arm64/`: elf_hwcaps, cpu-feature-registers; `asm/sigcontext.h` for signal frames).
//!
//! Left out: guarded pages (so `HWCAP2_BTI` is not told), tagged addresses, and re-keying pointer authentication by `prctl`.

mod hwcap;

use crate::arch::{Abi, Arch, Event, HandlerEntry, Note, VdsoFunction, VdsoParts};
use crate::random;
use crate::time::Monotonic;
use object::elf::{NT_ARM_TLS, NT_PRFPREG, NT_PRSTATUS};
use std::sync::Arc;
use tcg_aarch64::Aarch64;
use tcg_aarch64::cpu::Cpu;
use tcg_aarch64::esr::{class, class_of, status};
use tcg_aarch64::features::{Ext, Features};
use tcg_aarch64::pauth;
use tcg_aarch64::sysreg::{self, Stored};
use tcg_core::debug::{Debuggable, Feature};
use tcg_core::guest::Trap;
use tcg_core::run::HostFault;

/// A note or set of registers: where pointers to data and to code have their codes.
const NT_ARM_PAC_MASK: u32 = 0x406;

/// Frame pointer.
const FP: usize = 29;
/// Link register.
const LR: usize = 30;
/// Where the number of a system call is.
const X8: usize = 8;
/// DWARF numbers: x0 to x30 are 0 to 30.
const DWARF_SP: u8 = 31;
const DWARF_V0: u8 = 64;
/// The column that GCC's unwinder keeps for the pc of a signal frame.
const DWARF_SIGNAL_PC: u8 = 96;

/// Offsets in `struct sigcontext`.
mod at {
    pub const REGS: usize = 8;
    pub const SP: usize = REGS + 31 * 8;
    pub const PC: usize = SP + 8;
    pub const PSTATE: usize = PC + 8;
    /// Records, 16-aligned.
    pub const RESERVED: usize = 288;
    /// Behind the context: frame pointer and link register, as a function's frame has them.
    pub const FRAME_RECORD: usize = RESERVED + 4096;
}

/// Magic number of `struct fpsimd_context`.
const FPSIMD_MAGIC: u32 = 0x4650_8001;
/// Its size: head, FPSR and FPCR, V0 to V31.
const FPSIMD_SIZE: usize = 16 + 32 * 16;
/// Magic number of `struct esr_context`.
const ESR_MAGIC: u32 = 0x4553_5201;
/// Its size: head, ESR_EL1.
const ESR_SIZE: u32 = 16;
/// Bytes of a record's head: magic number and size.
const HEAD: usize = 8;

/// Bytes of `siginfo` and of the part of the `ucontext` before the registers.
const BEFORE_REGS: u64 = 128 + 176;

/// PSTATE bits that a handler may change beside the flags.
const PSTATE_DIT: u64 = 1 << 24;
const PSTATE_SSBS: u64 = 1 << 12;
/// Of a syndrome: the fault status.
const STATUS: u32 = 0x3f;
/// Set in the addresses that are the kernel's.
const KERNEL_HALF: u64 = 1 << 55;

/// The parts of `siginfo` codes that traps make.
mod code {
    pub const ILL_ILLOPC: i32 = 1;
    pub const ILL_ILLOPN: i32 = 2;
    pub const TRAP_BRKPT: i32 = 1;
    pub const BUS_ADRALN: i32 = 1;
    pub const SEGV_ACCERR: i32 = 2;
}

fn word(from: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(from[at..at + 8].try_into().expect("eight bytes"))
}

fn half_word(from: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(from[at..at + 4].try_into().expect("four bytes"))
}

fn put(to: &mut [u8], at: usize, value: u64) {
    to[at..at + 8].copy_from_slice(&value.to_le_bytes());
}

/// `mov x8, number; svc #0; ret`.
fn stub(number: u32) -> Vec<u8> {
    let load = 0xd280_0000 | number << 5 | X8 as u32;
    [load, 0xd400_0001, 0xd65f_03c0].iter().flat_map(|insn: &u32| insn.to_le_bytes()).collect()
}

/// The record of `magic` among `records`.
fn record(records: &[u8], magic: u32) -> Option<&[u8]> {
    let mut rest = records;
    while rest.len() >= HEAD && half_word(rest, 0) != 0 {
        let size = half_word(rest, 4) as usize;
        if size < HEAD || size > rest.len() {
            return None;
        }
        let (this, next) = rest.split_at(size);
        if half_word(this, 0) == magic {
            return Some(this);
        }
        rest = next;
    }
    None
}

fn save_float(cpu: &mut Cpu, to: &mut [u8]) {
    to[..4].copy_from_slice(&FPSIMD_MAGIC.to_le_bytes());
    to[4..8].copy_from_slice(&(FPSIMD_SIZE as u32).to_le_bytes());
    to[8..12].copy_from_slice(&(sysreg::fpsr(cpu) as u32).to_le_bytes());
    to[12..16].copy_from_slice(&(cpu.system.fpcr as u32).to_le_bytes());
    for (v, bytes) in cpu.v.iter().zip(to[16..FPSIMD_SIZE].chunks_exact_mut(16)) {
        bytes.copy_from_slice(&v.to_le_bytes());
    }
}

/// The syndrome of the last fault, if there was one.
/// The syndrome of an access that the host refused, as the MMU would have told it. Of addresses that are the kernel's the
/// real one tells no more than that nothing is there (`set_thread_esr`).
fn syndrome(trap: Trap, fault: &HostFault) -> u32 {
    let told = trap.code & !STATUS;
    match trap.code & STATUS {
        status::EXTERNAL if fault.addr & KERNEL_HALF != 0 => told | status::TRANSLATION_0,
        status::EXTERNAL if (fault.signal, fault.code) == (libc::SIGSEGV, code::SEGV_ACCERR) => {
            told | status::PERMISSION
        }
        status::EXTERNAL => told | status::TRANSLATION,
        _ => trap.code,
    }
}

fn save_syndrome(cpu: &Cpu, to: &mut [u8]) {
    let syndrome = cpu.system.stored[Stored::EsrEl1 as usize];
    if syndrome != 0 {
        put(to, 0, u64::from(ESR_MAGIC) | u64::from(ESR_SIZE) << 32);
        put(to, 8, syndrome);
    }
}

fn restore_float(cpu: &mut Cpu, from: &[u8]) {
    sysreg::set_fpsr(cpu, half_word(from, 8).into());
    sysreg::set_fpcr(cpu, half_word(from, 12).into());
    for (v, bytes) in cpu.v.iter_mut().zip(from[16..].chunks_exact(16)) {
        *v = u128::from_le_bytes(bytes.try_into().expect("sixteen bytes"));
    }
}

/// What every exception return does to the exclusive monitor.
fn clear_monitor(cpu: &mut Cpu) {
    cpu.exclusive_addr = u64::MAX;
}

impl Arch for Aarch64 {
    const ABI: Abi = Abi {
        machine: object::elf::EM_AARCH64.0,
        name: "aarch64",
        platform: "aarch64",
        // O_DIRECTORY, O_NOFOLLOW, O_DIRECT, O_LARGEFILE.
        open_flags: &[(0x4000, 0x1_0000), (0x8000, 0x2_0000), (0x1_0000, 0x4000), (0x2_0000, 0x8000)],
        has_restorer: true,
        has_single_step: true,
        min_signal_stack: 5120,
        rows: &[],
    };

    fn new_cpu(model: Option<&str>) -> Result<Cpu, String> {
        let features = match model {
            None => Features::max(),
            Some(model) => Features::parse(model).map_err(|fault| fault.to_string())?,
        };
        let mut cpu = Cpu::new(features);
        cpu.system.clock = Some(Arc::new(Monotonic));
        for key in &mut cpu.system.keys {
            let bytes = random::bytes();
            *key = [word(&bytes, 0), word(&bytes, 8)];
        }
        Ok(cpu)
    }

    fn cpu_help() -> String {
        Features::help()
    }

    fn copy_cpu(cpu: &Cpu) -> Cpu {
        let mut copy = Cpu::new(cpu.system.features);
        (copy.head.fp_flags, copy.head.insns) = (cpu.head.fp_flags, cpu.head.insns);
        copy.head.pc = cpu.head.pc;
        (copy.x, copy.sp, copy.v, copy.flags) = (cpu.x, cpu.sp, cpu.v, cpu.flags);
        (copy.tpidr_el0, copy.tpidrro_el0) = (cpu.tpidr_el0, cpu.tpidrro_el0);
        let (to, from) = (&mut copy.system, &cpu.system);
        (to.fpcr, to.fpsr, to.keys) = (from.fpcr, from.fpsr, from.keys);
        (to.dit, to.ssbs) = (from.dit, from.ssbs);
        to.clock = from.clock.clone();
        copy
    }

    fn event(trap: Trap) -> Event {
        let is_misaligned = trap.code & STATUS == status::ALIGNMENT;
        match class_of(trap.code) {
            class::SVC => Event::Call,
            class::BRK => Event::Signal(libc::SIGTRAP, code::TRAP_BRKPT),
            class::DATA_ABORT if is_misaligned => Event::SignalAt(libc::SIGBUS, code::BUS_ADRALN, trap.value),
            class::PC_ALIGNMENT => Event::SignalAt(libc::SIGBUS, code::BUS_ADRALN, trap.value),
            class::INSTRUCTION_ABORT | class::DATA_ABORT => Event::Access,
            class::PAC => Event::Signal(libc::SIGILL, code::ILL_ILLOPN),
            _ => Event::Signal(libc::SIGILL, code::ILL_ILLOPC),
        }
    }

    fn note_fault(cpu: &mut Cpu, trap: Trap, fault: &HostFault) {
        cpu.system.stored[Stored::FarEl1 as usize] = fault.addr;
        cpu.system.stored[Stored::EsrEl1 as usize] = syndrome(trap, fault).into();
    }

    fn call(cpu: &Cpu) -> (u64, [u64; 6]) {
        (cpu.x[X8], std::array::from_fn(|n| cpu.x[n]))
    }

    fn finish_call(cpu: &mut Cpu, result: u64) {
        cpu.x[0] = result;
        cpu.head.pc += 4;
        clear_monitor(cpu);
    }

    fn repeat_call(cpu: &mut Cpu, first: u64) {
        cpu.x[0] = first;
        cpu.head.pc -= 4;
    }

    fn sp(cpu: &Cpu) -> u64 {
        cpu.sp
    }

    fn set_sp(cpu: &mut Cpu, sp: u64) {
        cpu.sp = sp;
    }

    fn set_tls(cpu: &mut Cpu, tls: u64) {
        cpu.tpidr_el0 = tls;
    }

    fn start(cpu: &mut Cpu, entry: u64, sp: u64) {
        cpu.head.pc = entry;
        cpu.sp = sp;
    }

    fn mcontext_size(_: &Cpu) -> usize {
        at::FRAME_RECORD + 16
    }

    fn save(cpu: &mut Cpu, _: u64, mcontext: &mut [u8]) {
        put(mcontext, 0, cpu.system.stored[Stored::FarEl1 as usize]);
        for (n, x) in cpu.x.iter().enumerate() {
            put(mcontext, at::REGS + n * 8, *x);
        }
        put(mcontext, at::SP, cpu.sp);
        put(mcontext, at::PC, cpu.head.pc);
        let bit = |set: bool, bit: u64| if set { bit } else { 0 };
        let others = bit(cpu.system.dit, PSTATE_DIT) | bit(cpu.system.ssbs, PSTATE_SSBS);
        put(mcontext, at::PSTATE, sysreg::nzcv(cpu.flags) | others);
        save_float(cpu, &mut mcontext[at::RESERVED..]);
        save_syndrome(cpu, &mut mcontext[at::RESERVED + FPSIMD_SIZE..]);
        put(mcontext, at::FRAME_RECORD, cpu.x[FP]);
        put(mcontext, at::FRAME_RECORD + 8, cpu.x[LR]);
    }

    fn restore(cpu: &mut Cpu, mcontext: &[u8]) {
        (0..31).for_each(|n| cpu.x[n] = word(mcontext, at::REGS + n * 8));
        cpu.sp = word(mcontext, at::SP);
        cpu.head.pc = word(mcontext, at::PC);
        let pstate = word(mcontext, at::PSTATE);
        cpu.flags = sysreg::packed_flags(pstate);
        (cpu.system.dit, cpu.system.ssbs) = (pstate & PSTATE_DIT != 0, pstate & PSTATE_SSBS != 0);
        let records = &mcontext[at::RESERVED..at::FRAME_RECORD];
        if let Some(float) = record(records, FPSIMD_MAGIC).filter(|record| record.len() == FPSIMD_SIZE) {
            restore_float(cpu, float);
        }
        clear_monitor(cpu);
    }

    fn enter_handler(cpu: &mut Cpu, entry: HandlerEntry) {
        cpu.head.pc = entry.handler;
        cpu.sp = entry.sp;
        cpu.x[FP] = entry.sp + BEFORE_REGS + at::FRAME_RECORD as u64;
        cpu.x[LR] = entry.restorer;
        (cpu.x[0], cpu.x[1], cpu.x[2]) = (entry.signal, entry.sp, entry.ucontext);
        clear_monitor(cpu);
    }

    fn core_registers(cpu: &mut Cpu) -> (Vec<u8>, Vec<Note>) {
        let mut frame = vec![0; Self::mcontext_size(cpu)];
        Self::save(cpu, 0, &mut frame);
        // struct user_fpsimd_state: vectors first, then FPSR, FPCR and room.
        let record = &frame[at::RESERVED..][..FPSIMD_SIZE];
        let float = [&record[16..], &record[8..16], &[0; 8]].concat();
        let notes =
            [("CORE", NT_PRFPREG.0, float), ("LINUX", NT_ARM_TLS.0, cpu.tpidr_el0.to_le_bytes().to_vec())];
        let mut notes: Vec<_> = notes.map(|(name, kind, contents)| Note { name, kind, contents }).into();
        if cpu.system.features.has(Ext::Pauth) {
            let mask = pauth::field_of(cpu, 0, false).to_le_bytes();
            notes.push(Note { name: "LINUX", kind: NT_ARM_PAC_MASK, contents: [mask, mask].concat() });
        }
        (frame[at::REGS..at::PSTATE + 8].to_vec(), notes)
    }

    fn set_core_registers(cpu: &mut Cpu, kind: u32, contents: &[u8]) {
        let mut frame = vec![0; Self::mcontext_size(cpu)];
        Self::save(cpu, 0, &mut frame);
        match kind {
            _ if kind == NT_ARM_TLS.0 && contents.len() == 8 => cpu.tpidr_el0 = word(contents, 0),
            _ if kind == NT_PRSTATUS.0 && contents.len() == at::PSTATE + 8 - at::REGS => {
                frame[at::REGS..at::PSTATE + 8].copy_from_slice(contents);
                Self::restore(cpu, &frame);
            }
            _ if kind == NT_PRFPREG.0 && contents.len() == FPSIMD_SIZE => {
                let record = &mut frame[at::RESERVED..][..FPSIMD_SIZE];
                let (vectors, words) = contents.split_at(32 * 16);
                record[16..].copy_from_slice(vectors);
                record[8..16].copy_from_slice(&words[..8]);
                Self::restore(cpu, &frame);
            }
            _ => {}
        }
    }

    fn features(cpu: &mut Cpu) -> Vec<Feature> {
        let mut features = <Self as Debuggable>::features(cpu);
        // A program's addresses are in the lower half: the older feature says all, and gdb has known it for longer.
        for feature in features.iter_mut().filter(|feature| feature.name == "org.gnu.gdb.aarch64.pauth_v2") {
            feature.name = "org.gnu.gdb.aarch64.pauth";
            feature.registers.truncate(2);
        }
        features
    }

    fn cpu_info(cpu: &Cpu) -> String {
        let (features, midr) = (cpu.system.features, cpu.system.features.midr());
        format!(
            "BogoMIPS\t: 100.00\nFeatures\t: {}\nCPU implementer\t: {:#04x}\nCPU architecture: 8\n\
             CPU variant\t: {:#x}\nCPU part\t: {:#05x}\nCPU revision\t: {}\n",
            hwcap::names(features),
            midr >> 24 & 0xff,
            midr >> 20 & 15,
            midr >> 4 & 0xfff,
            midr & 15
        )
    }

    fn hwcap(cpu: &Cpu) -> [u64; 2] {
        hwcap::of(cpu.system.features)
    }

    fn vdso() -> VdsoParts {
        let functions = [
            ("__kernel_rt_sigreturn", 139),
            ("__kernel_gettimeofday", 169),
            ("__kernel_clock_gettime", 113),
            ("__kernel_clock_getres", 114),
        ];
        let function = |(name, number)| VdsoFunction { name, code: stub(number) };
        let pc = (DWARF_SIGNAL_PC, BEFORE_REGS + at::PC as u64);
        let integer = (0..=DWARF_SP).map(|n| (n, BEFORE_REGS + at::REGS as u64 + 8 * u64::from(n)));
        let vectors = BEFORE_REGS + at::RESERVED as u64 + 16;
        let float = (0..32).map(|n| (DWARF_V0 + n, vectors + 16 * u64::from(n)));
        VdsoParts {
            version: "LINUX_2.6.39",
            functions: functions.into_iter().map(function).collect(),
            saved: integer.chain(float).chain([pc]).collect(),
            return_register: DWARF_SIGNAL_PC,
            stack_register: DWARF_SP,
        }
    }

    fn probe(_: &Cpu, _: i64) -> Option<u64> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_gives_back_what_it_took() {
        let mut cpu = Aarch64::new_cpu(None).expect("the default model");
        cpu.x = std::array::from_fn(|n| n as u64 * 3 + 1);
        cpu.v = std::array::from_fn(|n| (n as u128) << 100 | 5);
        (cpu.sp, cpu.head.pc, cpu.flags) = (0x7000, 0x4000, sysreg::packed_flags(0xa000_0000));
        sysreg::set_fpcr(&mut cpu, 3 << 22);
        sysreg::set_fpsr(&mut cpu, 0x11);
        let fault = |code, addr| HostFault { signal: libc::SIGSEGV, code, addr };
        let trap = Trap { code: 0x9200_0050, value: 0x1230 };
        Aarch64::note_fault(&mut cpu, trap, &fault(1, 0x1234));
        let mut frame = vec![0; Aarch64::mcontext_size(&cpu)];
        Aarch64::save(&mut cpu, 0, &mut frame);
        assert_eq!((word(&frame, 0), word(&frame, at::PSTATE)), (0x1234, 0xa000_0000));
        // The list of records ends behind the two there are.
        let esr = record(&frame[at::RESERVED..], ESR_MAGIC).expect("there was a fault");
        assert_eq!((esr.len(), word(esr, 8)), (16, 0x9200_0047));
        assert_eq!(word(&frame, at::RESERVED + FPSIMD_SIZE + esr.len()), 0);
        let mut other = Aarch64::new_cpu(None).expect("the default model");
        Aarch64::restore(&mut other, &frame);
        assert_eq!((other.x, other.v, other.sp), (cpu.x, cpu.v, cpu.sp));
        assert_eq!((other.head.pc, other.flags), (cpu.head.pc, cpu.flags));
        assert_eq!((other.system.fpcr, sysreg::fpsr(&mut other)), (3 << 22, 0x11));
    }

    #[test]
    fn a_refused_access_is_told_as_the_mmu_would() {
        let told = |code, fault_code, addr| {
            syndrome(Trap { code, value: addr }, &HostFault { signal: libc::SIGSEGV, code: fault_code, addr })
        };
        assert_eq!(told(0x9200_0050, 1, 0x1000), 0x9200_0047);
        assert_eq!(told(0x9200_0050, 2, 0x1000), 0x9200_004f);
        assert_eq!(told(0x8200_0010, 2, 0x1000), 0x8200_000f);
        assert_eq!(told(0x9200_0010, 1, 0xffff_0000_0000_1000), 0x9200_0004);
        // What the CPU itself refuses.
        assert_eq!(told(0x9200_0021, 1, 0x1001), 0x9200_0021);
    }

    #[test]
    fn damaged_records_are_skipped() {
        let mut cpu = Aarch64::new_cpu(None).expect("the default model");
        cpu.v[3] = 77;
        let mut frame = vec![0; Aarch64::mcontext_size(&cpu)];
        for (magic, size) in [(FPSIMD_MAGIC, 8), (1, 0), (1, 7), (1, u32::MAX), (1, 4096)] {
            frame[at::RESERVED..][..4].copy_from_slice(&magic.to_le_bytes());
            frame[at::RESERVED + 4..][..4].copy_from_slice(&size.to_le_bytes());
            Aarch64::restore(&mut cpu, &frame);
            assert_eq!(cpu.v[3], 77, "{magic:#x} {size}");
        }
    }
}
