//! riscv64 as Linux programs see it: the psABI's calling convention, and the kernel's `arch/riscv` interfaces
//! (`Documentation/arch/riscv/`: hwprobe, uabi).

mod hwprobe;
mod vector;

use crate::arch::{Abi, Arch, Event, HandlerEntry, Note, VdsoFunction, VdsoParts};
use crate::syscall::riscv::ROWS;
use crate::time::Monotonic;
use base::{CpuLines, TimeBase};
use object::elf::{NT_PRFPREG, NT_PRSTATUS};
use std::sync::Arc;
use tcg_core::cpu::CpuHeader;
use tcg_core::debug::{Debuggable, Feature};
use tcg_core::guest::Trap;
use tcg_core::run::collect_flags;
use tcg_riscv::Riscv;
use tcg_riscv::cpu::Hart;
use tcg_riscv::csr::bits::{cause, envcfg, mstatus};
use tcg_riscv::csr::{Csrs, Priv};
use tcg_riscv::features::{Ext, Features};

/// Ticks a second of the `time` CSR.
const TIME_FREQUENCY: u64 = 10_000_000;

const RA: usize = 1;
const SP: usize = 2;
const TP: usize = 4;
const A0: usize = 10;
const A7: usize = 17;
/// `sizeof(struct user_regs_struct)`: pc and x1 to x31.
const INTEGER_REGS: usize = 32 * 8;
/// `sizeof(union __riscv_fp_state)`: room for the Q extension's registers.
const FLOAT_REGS: usize = 528;
/// `sizeof(struct __riscv_d_ext_state)`.
const D_STATE: usize = 264;
/// Bytes of `siginfo` and of the part of the `ucontext` before the registers.
const BEFORE_REGS: u64 = 128 + 176;

/// The parts of `siginfo` codes that traps make.
mod code {
    pub const ILL_ILLOPC: i32 = 1;
    pub const TRAP_BRKPT: i32 = 1;
    pub const BUS_ADRALN: i32 = 1;
}

fn words(regs: &[u64], to: &mut [u8]) {
    for (reg, bytes) in regs.iter().zip(to.chunks_exact_mut(8)) {
        bytes.copy_from_slice(&reg.to_le_bytes());
    }
}

fn word(from: &[u8], n: usize) -> u64 {
    u64::from_le_bytes(from[n * 8..n * 8 + 8].try_into().expect("eight bytes"))
}

/// `li a7, number; ecall; ret`.
fn stub(number: u32) -> Vec<u8> {
    let load = number << 20 | (A7 as u32) << 7 | 0x13;
    [load, 0x0000_0073, 0x0000_8067].iter().flat_map(|insn: &u32| insn.to_le_bytes()).collect()
}

/// A hart as a program finds it.
fn hart(features: Features) -> Hart {
    let mut csr = Csrs::new(features, 0);
    let lines = Arc::new(CpuLines::default());
    csr.wire(TimeBase::new(Arc::new(Monotonic), TIME_FREQUENCY), lines);
    csr.privilege = Priv::U;
    csr.mstatus |= mstatus::FS;
    if features.has(Ext::Zve32x) {
        csr.mstatus |= mstatus::VS;
    }
    (csr.mcounteren, csr.scounteren) = (0xffff_ffff, 0xffff_ffff);
    let caches = envcfg::CBCFE | envcfg::CBZE | envcfg::CBIE;
    csr.menvcfg |= caches;
    csr.senvcfg |= caches;
    Hart {
        head: CpuHeader::new(),
        x: [0; 32],
        f: [0; 32],
        v: Default::default(),
        reservation: u64::MAX,
        reserved_value: 0,
        csr,
    }
}

impl Arch for Riscv {
    const ABI: Abi = Abi {
        machine: object::elf::EM_RISCV.0,
        name: "riscv64",
        platform: "",
        open_flags: &[],
        has_restorer: false,
        has_single_step: false,
        min_signal_stack: 2048,
        rows: ROWS,
    };

    fn new_cpu(model: Option<&str>) -> Result<Hart, String> {
        Ok(hart(match model {
            None => Features::max(),
            Some(model) => Features::parse(model).map_err(|fault| fault.to_string())?,
        }))
    }

    fn cpu_help() -> String {
        Features::help()
    }

    fn copy_cpu(cpu: &Hart) -> Hart {
        let mut copy = hart(cpu.csr.features);
        copy.csr.frm = cpu.csr.frm;
        (copy.head.fp_flags, copy.head.insns) = (cpu.head.fp_flags, cpu.head.insns);
        copy.head.pc = cpu.head.pc;
        (copy.x, copy.f) = (cpu.x, cpu.f);
        copy
    }

    fn event(trap: Trap) -> Event {
        match trap.code {
            cause::ECALL_U => Event::Call,
            cause::BREAKPOINT => Event::Signal(libc::SIGTRAP, code::TRAP_BRKPT),
            cause::LOAD_ACCESS | cause::STORE_ACCESS | cause::FETCH_ACCESS => Event::Access,
            // The kernel tells the instruction's address, not the operand's.
            cause::LOAD_MISALIGNED | cause::STORE_MISALIGNED | cause::FETCH_MISALIGNED => {
                Event::Signal(libc::SIGBUS, code::BUS_ADRALN)
            }
            _ => Event::Signal(libc::SIGILL, code::ILL_ILLOPC),
        }
    }

    fn call(cpu: &Hart) -> (u64, [u64; 6]) {
        (cpu.x[A7], std::array::from_fn(|n| cpu.x[A0 + n]))
    }

    fn finish_call(cpu: &mut Hart, result: u64) {
        cpu.x[A0] = result;
        cpu.head.pc += 4;
        cpu.reservation = u64::MAX;
    }

    fn repeat_call(cpu: &mut Hart, first: u64) {
        cpu.x[A0] = first;
        cpu.head.pc -= 4;
    }

    fn sp(cpu: &Hart) -> u64 {
        cpu.x[SP]
    }

    fn set_sp(cpu: &mut Hart, sp: u64) {
        cpu.x[SP] = sp;
    }

    fn set_tls(cpu: &mut Hart, tls: u64) {
        cpu.x[TP] = tls;
    }

    fn start(cpu: &mut Hart, entry: u64, sp: u64) {
        cpu.head.pc = entry;
        cpu.x[SP] = sp;
    }

    fn mcontext_size(cpu: &Hart) -> usize {
        let features = &cpu.csr.features;
        let vector = if features.has(Ext::Zve32x) { vector::record(features) + vector::HEAD } else { 0 };
        INTEGER_REGS + FLOAT_REGS + vector
    }

    fn save(cpu: &mut Hart, at: u64, mcontext: &mut [u8]) {
        collect_flags(&mut cpu.head);
        let (integer, float) = mcontext.split_at_mut(INTEGER_REGS);
        let mut regs = cpu.x;
        regs[0] = cpu.head.pc;
        words(&regs, integer);
        words(&cpu.f, float);
        let fcsr = (cpu.head.fp_flags & 0x1f) | (cpu.csr.frm as u32) << 5;
        float[256..260].copy_from_slice(&fcsr.to_le_bytes());
        if cpu.csr.features.has(Ext::Zve32x) {
            let records = INTEGER_REGS + FLOAT_REGS - vector::HEAD;
            vector::save(cpu, at + records as u64, &mut mcontext[records..]);
        }
    }

    fn restore(cpu: &mut Hart, mcontext: &[u8]) {
        let (integer, float) = mcontext.split_at(INTEGER_REGS);
        cpu.head.pc = word(integer, 0);
        (1..32).for_each(|n| cpu.x[n] = word(integer, n));
        (0..32).for_each(|n| cpu.f[n] = word(float, n));
        let fcsr = word(float, 32) as u32;
        cpu.head.fp_flags = fcsr & 0x1f;
        cpu.csr.frm = u64::from(fcsr >> 5 & 7);
        cpu.reservation = u64::MAX;
        if cpu.csr.features.has(Ext::Zve32x) {
            vector::restore(cpu, &mcontext[INTEGER_REGS + FLOAT_REGS - vector::HEAD..]);
        }
    }

    fn enter_handler(cpu: &mut Hart, entry: HandlerEntry) {
        cpu.head.pc = entry.handler;
        cpu.x[RA] = entry.restorer;
        cpu.x[SP] = entry.sp;
        (cpu.x[A0], cpu.x[A0 + 1], cpu.x[A0 + 2]) = (entry.signal, entry.sp, entry.ucontext);
        cpu.reservation = u64::MAX;
    }

    fn core_registers(cpu: &mut Hart) -> (Vec<u8>, Vec<Note>) {
        let mut frame = vec![0; Self::mcontext_size(cpu)];
        Self::save(cpu, 0, &mut frame);
        // struct __riscv_d_ext_state.
        let float = frame[INTEGER_REGS..][..D_STATE].to_vec();
        let mut notes = vec![Note { name: "CORE", kind: NT_PRFPREG.0, contents: float }];
        if cpu.csr.features.has(Ext::Zve32x) {
            let record =
                &frame[INTEGER_REGS + FLOAT_REGS..][..vector::record(&cpu.csr.features) - vector::HEAD];
            notes.push(Note { name: "LINUX", kind: vector::NT_RISCV_VECTOR, contents: record.to_vec() });
        }
        frame.truncate(INTEGER_REGS);
        (frame, notes)
    }

    fn set_core_registers(cpu: &mut Hart, kind: u32, contents: &[u8]) {
        let at = match kind {
            _ if kind == NT_PRSTATUS.0 => 0..INTEGER_REGS,
            _ if kind == NT_PRFPREG.0 => INTEGER_REGS..INTEGER_REGS + D_STATE,
            // Behind the record's head.
            vector::NT_RISCV_VECTOR => INTEGER_REGS + FLOAT_REGS..Self::mcontext_size(cpu),
            _ => return,
        };
        let mut frame = vec![0; Self::mcontext_size(cpu)];
        Self::save(cpu, 0, &mut frame);
        if let Some(part) = frame.get_mut(at).and_then(|part| part.get_mut(..contents.len())) {
            part.copy_from_slice(contents);
            Self::restore(cpu, &frame);
        }
    }

    fn features(hart: &mut Hart) -> Vec<Feature> {
        let mut features = <Self as Debuggable>::features(hart);
        // Of the CSRs those that user mode has.
        for feature in features.iter_mut().filter(|feature| feature.name == "org.gnu.gdb.riscv.csr") {
            feature.registers.retain(|register| tcg_riscv::debug::is_of_user_mode(hart, register.number));
        }
        features
    }

    fn cpu_info(cpu: &Hart) -> String {
        let features = cpu.csr.features;
        let (isa, mmu) = (features.isa_string(), features.mmu_type());
        // The addresses of a process end below what Sv48 gives it.
        let mmu = mmu.trim_start_matches("riscv,").replace("sv57", "sv48");
        format!(
            "hart\t\t: 0\nisa\t\t: {isa}\nmmu\t\t: {mmu}\nmvendorid\t: 0x0\nmarchid\t\t: 0x0\nmimpid\t\t: 0x0\n"
        )
    }

    fn hwcap(cpu: &Hart) -> [u64; 2] {
        let letters = [Ext::I, Ext::M, Ext::A, Ext::F, Ext::D, Ext::C, Ext::V];
        let bit = |ext: Ext| 1u64 << (ext.name().as_bytes()[0] - b'a');
        let present = letters.iter().filter(|ext| cpu.csr.features.has(**ext));
        [present.fold(0, |all, ext| all | bit(*ext)), 0]
    }

    fn vdso() -> VdsoParts {
        let functions = [
            ("__vdso_rt_sigreturn", 139),
            ("__vdso_gettimeofday", 169),
            ("__vdso_clock_gettime", 113),
            ("__vdso_clock_getres", 114),
            ("__vdso_getcpu", 168),
            ("__vdso_flush_icache", 259),
            ("__vdso_riscv_hwprobe", 258),
        ];
        let function = |(name, number)| VdsoFunction { name, code: stub(number) };
        // DWARF numbers: x registers 0 to 31, f registers 32 to 63, the pc of a signal frame 64.
        let pc = (64, BEFORE_REGS);
        let integer = (1..32).map(|n| (n, BEFORE_REGS + 8 * u64::from(n)));
        let float = (32..64).map(|n| (n, BEFORE_REGS + 8 * u64::from(n)));
        VdsoParts {
            version: "LINUX_4.15",
            functions: functions.into_iter().map(function).collect(),
            saved: std::iter::once(pc).chain(integer).chain(float).collect(),
            return_register: 64,
            stack_register: SP as u8,
        }
    }

    fn probe(cpu: &Hart, key: i64) -> Option<u64> {
        hwprobe::value(&cpu.csr.features, key)
    }
}
