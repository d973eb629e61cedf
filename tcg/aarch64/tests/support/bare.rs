//! Programs without an operating system, run here and by QEMU's `virt` machine. A program is assembly text; what it
//! leaves in [`RESULTS`] is its result. It ends by jumping to `finish` with the number of bytes in x0, which needs semihosting
//! from the level that the machine starts in.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use tcg_aarch64::Aarch64;
use tcg_aarch64::board::{Board, TimerLines, Wiring};
use tcg_aarch64::cpu::Cpu;
use tcg_aarch64::esr::{class, class_of};
use tcg_aarch64::features::Features;
use tcg_aarch64::mmu::SecureSpace;
use tcg_core::run::{CodeCache, CodeConfig, Tiers, Vcpu, VcpuConfig};
use vm_memory::{Bytes, GuestAddress};

/// Where programs are loaded and entered.
pub const BASE: u64 = 0x4008_0000;
/// Where results are left.
pub const RESULTS: u64 = 0x4400_0000;
/// RAM here: as much of `virt`'s as programs use.
const RAM: (u64, u64) = (0x4000_0000, 0x0800_0000);
/// That of the Secure world: its place on the bus, and what it is to that world.
const SECURE_RAM: (u64, u64) = (SECURE.base + 0x0e00_0000, 0x100_0000);
const SECURE: SecureSpace = SecureSpace { base: 1 << 60, ranges: &[(0x0e00_0000, 0x100_0000)] };

/// The machine that a program is for.
#[derive(Clone, Copy)]
pub struct Machine {
    /// `-cpu`.
    pub cpu: &'static str,
    /// With EL2.
    pub el2: bool,
    /// With EL3.
    pub el3: bool,
}

impl Machine {
    /// A machine that starts in EL1.
    pub fn el1(cpu: &'static str) -> Self {
        Self { cpu, el2: false, el3: false }
    }
}

/// Stands before every program.
const PROLOGUE: &str = "
    .arch armv8.5-a
    .text
    .global _start
_start:
";

/// Stands behind it: writes the results with semihosting and ends.
const EPILOGUE: &str = "
    .ltorg
finish:
    mov x19, x0
    adr x1, 1f
    mov x0, #1
    hlt #0xf000
    adr x1, 2f
    str x0, [x1]
    str x19, [x1, #16]
    mov x0, #5
    hlt #0xf000
    adr x1, 3f
    mov x0, #0x18
    hlt #0xf000
    b .
    .balign 8
1:  .quad 4f, 5, 3
2:  .quad 0, 0x44000000, 0
3:  .quad 0x20026, 0
4:  .asciz \":tt\"
    .balign 8
";

/// An assembled program.
pub struct Program {
    elf: std::path::PathBuf,
    image: Vec<u8>,
}

fn run(command: &mut Command) {
    let output = command.output().expect("binutils for aarch64 are installed");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Whether the tools are there.
///
/// # Panics
/// If they are missing although `MIMIC_PEERS` is set.
pub fn peers() -> bool {
    let there = |tool: &str| Command::new(tool).arg("--version").output().is_ok();
    let all = there("aarch64-linux-gnu-as") && there("qemu-system-aarch64");
    assert!(
        all || std::env::var_os("MIMIC_PEERS").is_none(),
        "QEMU and binutils have to be there (MIMIC_PEERS is set)"
    );
    if !all {
        eprintln!("skipped: qemu-system-aarch64 or binutils for aarch64 are not installed");
    }
    all
}

impl Program {
    /// Assembles `text`; files stand in `folder`, named `name`.
    pub fn assemble(folder: &Path, name: &str, text: &str) -> Self {
        let file = |extension: &str| folder.join(format!("{name}.{extension}"));
        std::fs::write(file("s"), format!("{PROLOGUE}{text}{EPILOGUE}")).expect("a scratch file");
        run(Command::new("aarch64-linux-gnu-as").arg("-o").arg(file("o")).arg(file("s")));
        let place = format!("-Ttext={BASE:#x}");
        run(Command::new("aarch64-linux-gnu-ld").arg(place).arg("-o").arg(file("elf")).arg(file("o")));
        run(Command::new("aarch64-linux-gnu-objcopy")
            .args(["-O", "binary"])
            .arg(file("elf"))
            .arg(file("bin")));
        Self { elf: file("elf"), image: std::fs::read(file("bin")).expect("it was just written") }
    }

    /// What is loaded at [`BASE`].
    pub fn image(&self) -> &[u8] {
        &self.image
    }

    /// The results as QEMU has them.
    pub fn there(&self, machine: Machine) -> Vec<u64> {
        let bit = |on: bool| if on { "on" } else { "off" };
        let board = format!("virt,virtualization={},secure={}", bit(machine.el2), bit(machine.el3));
        let output = Command::new("timeout")
            .args(["60", "qemu-system-aarch64", "-nodefaults", "-display", "none", "-M", &board])
            .args(["-cpu", machine.cpu, "-semihosting-config", "enable=on,target=native", "-kernel"])
            .arg(&self.elf)
            .output()
            .expect("timeout is there");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "QEMU: {}: {errors}", output.status);
        words(&output.stdout)
    }

    /// The results as they are here.
    pub fn here(&self, machine: Machine, tiers: Tiers) -> Vec<u64> {
        let ram = base::allocate_ram(&[RAM, SECURE_RAM]).expect("memory");
        let space = Arc::new(base::AddressSpace::new(ram));
        space.ram().write_slice(&self.image, GuestAddress(BASE)).expect("it fits");
        let features = Features::parse(machine.cpu).expect("a model");
        let cntfrq = if machine.cpu == "max" { 1_000_000_000 } else { 62_500_000 };
        let board = Board {
            number: 0,
            mpidr: 0,
            has_el2: machine.el2,
            has_el3: machine.el3,
            secure_space: SECURE,
            cntfrq,
        };
        let mut cpu = Cpu::for_board(features, board);
        let lines = Arc::new(base::CpuLines::default());
        let clock = base::HostClock::new().expect("a clock");
        let time = base::TimeBase::new(clock, cntfrq);
        let timers = TimerLines::default();
        cpu.wire(Wiring {
            time,
            lines: lines.clone(),
            timers,
            overflow: base::IrqLine::unconnected(),
            gic: None,
            may_signal: Arc::new(|| true),
        });
        cpu.head.pc = BASE;
        let code = CodeCache::new(space.clone(), CodeConfig::default()).expect("code memory");
        let config = VcpuConfig { tiers, ..VcpuConfig::default() };
        let mut vcpu = Vcpu::<Aarch64>::new(cpu, lines, &code, config);
        let written = Arc::new(std::sync::Mutex::new(Vec::new()));
        let sink = written.clone();
        vcpu.set_trap_hook(Box::new(move |vcpu, trap| {
            const HLT: u32 = 0xd45e_0000;
            let pc = vcpu.cpu().head.pc;
            let mut bytes = [0; 4];
            let asks = class_of(trap.code) == class::UNKNOWN
                && vcpu.space().ram().read_slice(&mut bytes, GuestAddress(pc)).is_ok()
                && u32::from_le_bytes(bytes) == HLT;
            if !asks {
                return false;
            }
            match vcpu.cpu().x[0] {
                1 => vcpu.cpu_mut().x[0] = 1,
                5 => {
                    let mut block = [0; 24];
                    vcpu.space().ram().read_slice(&mut block, GuestAddress(vcpu.cpu().x[1])).expect("in RAM");
                    let block = words(&block);
                    let mut data = vec![0; block[2] as usize];
                    vcpu.space().ram().read_slice(&mut data, GuestAddress(block[1])).expect("in RAM");
                    *sink.lock().expect("nobody panics") = data;
                    vcpu.cpu_mut().x[0] = 0;
                }
                _ => vcpu.handle().stop(),
            }
            vcpu.cpu_mut().head.pc = pc + 4;
            true
        }));
        let handle = vcpu.handle().clone();
        let done = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let watch = done.clone();
        let guard = std::thread::spawn(move || {
            for _ in 0..600 {
                if watch.load(std::sync::atomic::Ordering::SeqCst) {
                    return;
                }
                std::thread::sleep(std::time::Duration::from_millis(100));
            }
            handle.stop();
        });
        vcpu.run();
        done.store(true, std::sync::atomic::Ordering::SeqCst);
        guard.thread().unpark();
        let results = words(&written.lock().expect("nobody panics"));
        assert!(!results.is_empty(), "the program did not end: at {:#x}", vcpu.cpu().head.pc);
        results
    }
}

fn words(bytes: &[u8]) -> Vec<u64> {
    bytes.chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().expect("eight bytes"))).collect()
}
