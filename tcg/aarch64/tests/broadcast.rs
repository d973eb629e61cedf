//! TLB maintenance that is broadcast: when the DSB behind it is done, no other vCPU uses what was invalidated.
//!
//! Skipped where binutils are missing.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use support::bare::{BASE, Program, peers};
use tcg_aarch64::Aarch64;
use tcg_aarch64::board::{Board, TimerLines, Wiring};
use tcg_aarch64::cpu::Cpu;
use tcg_aarch64::esr::{class, class_of};
use tcg_aarch64::features::Features;
use tcg_aarch64::mmu::SecureSpace;
use tcg_aarch64::tlbi::Domain;
use tcg_core::run::{CodeCache, CodeConfig, Tiers, Vcpu, VcpuConfig};
use vm_memory::{Bytes, GuestAddress};

const RAM: (u64, u64) = (0x4000_0000, 0x0800_0000);

/// The writer moves a page to and fro; after its DSB it says so, and the reader, which reads the page all the time, must
/// find the other contents. x0: which of the two; x1: address of the page's descriptor. Ends with HVC, with x0 the number of mistakes.
const TEXT: &str = "
    ldr x2, =0xff
    msr mair_el1, x2
    ldr x2, =0x200800019
    msr tcr_el1, x2
    ldr x2, =0x44f00000
    msr ttbr0_el1, x2
    isb
    mrs x2, sctlr_el1
    orr x2, x2, #1
    msr sctlr_el1, x2
    isb
    ldr x10, =0x44700000
    ldr x11, =0x44700040
    ldr x12, =0x80000000
    mov x5, #0
    mov x9, #300
    cbnz x0, reader
writer:
    add x5, x5, #1
    ldr x2, =0x46000403
    and x3, x5, #1
    add x2, x2, x3, lsl #12
    ldr x1, =0x44f02000
    str x2, [x1]
    dsb ishst
    lsr x3, x12, #12
    TLBI
    dsb ish
    isb
    stlr x5, [x10]
1:  ldar x3, [x11]
    cmp x3, x5
    b.ne 1b
    cmp x5, x9
    b.ne writer
    ldr x0, [x11, #8]
    hvc #0
    b .
reader:
    mov x7, #0
2:  SLEEP
    ldr x2, [x12]
    ldar x6, [x10]
    cmp x6, x5
    b.eq 2b
    SLEEP
    ldr x2, [x12]
    and x3, x6, #1
    add x3, x3, #1
    cmp x2, x3
    cinc x7, x7, ne
    str x7, [x11, #8]
    mov x5, x6
    stlr x6, [x11]
    cmp x6, x9
    b.ne 2b
3:  wfi
    b 3b
";

/// With a reader that does `sleep` before it reads, and is woken all the time.
fn mistakes(tlbi: &str, sleep: &str, tiers: Tiers) -> u64 {
    let name = format!("{tlbi}-{sleep}").replace([',', ' '], "-");
    let text = TEXT.replace("TLBI", tlbi).replace("SLEEP", sleep);
    let program = Program::assemble(&support::scratch("broadcast"), &name, &text);
    let ram = base::allocate_ram(&[RAM]).expect("memory");
    let space = Arc::new(base::AddressSpace::new(ram));
    let put = |at: u64, value: u64| space.ram().write_obj(value, GuestAddress(at)).expect("in RAM");
    space.ram().write_slice(program.image(), GuestAddress(BASE)).expect("it fits");
    // A gigabyte of RAM as it is, and the page behind two more tables.
    put(0x44f0_0008, 0x4000_0401);
    put(0x44f0_0010, 0x44f0_1003);
    put(0x44f0_1000, 0x44f0_2003);
    put(0x44f0_2000, 0x4600_0403);
    put(0x4600_0000, 1);
    put(0x4600_1000, 2);
    let code = CodeCache::new(space.clone(), CodeConfig::default()).expect("code memory");
    let clock = base::HostClock::new().expect("a clock");
    let time = base::TimeBase::new(clock, 1_000_000_000);
    let mut vcpus: Vec<Vcpu<Aarch64>> = (0..2)
        .map(|number| {
            let board = Board {
                number,
                mpidr: number as u64,
                has_el2: false,
                has_el3: false,
                secure_space: SecureSpace::NONE,
                cntfrq: 1_000_000_000,
            };
            let mut cpu = Cpu::for_board(Features::max(), board);
            cpu.enter(1, BASE, number as u64);
            let lines = Arc::new(base::CpuLines::default());
            cpu.wire(Wiring {
                time: time.clone(),
                lines: lines.clone(),
                timers: TimerLines::default(),
                overflow: base::IrqLine::unconnected(),
                gic: None,
                may_signal: Arc::new(|| true),
            });
            Vcpu::new(cpu, lines, &code, VcpuConfig { tiers, ..VcpuConfig::default() })
        })
        .collect();
    Domain::connect(&mut vcpus);
    let handles: Vec<_> = vcpus.iter().map(|vcpu| vcpu.handle().clone()).collect();
    let done = Arc::new(AtomicBool::new(false));
    for vcpu in &mut vcpus {
        let (all, done) = (handles.clone(), done.clone());
        vcpu.set_trap_hook(Box::new(move |_, trap| {
            let calls = class_of(trap.code) == class::HVC;
            assert!(calls, "{trap:x?}");
            done.store(true, Ordering::SeqCst);
            all.iter().for_each(|handle| handle.stop());
            true
        }));
    }
    std::thread::scope(|scope| {
        for vcpu in &mut vcpus {
            scope.spawn(|| vcpu.run());
        }
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(60) {
            if done.load(Ordering::SeqCst) {
                return;
            }
            handles[1].lines().kick();
            std::thread::sleep(Duration::from_micros(50));
        }
        handles.iter().for_each(|handle| handle.stop());
    });
    assert!(done.load(Ordering::SeqCst), "the vCPUs wait for each other");
    vcpus[0].cpu().x[0]
}

#[test]
fn others_have_forgotten_after_the_barrier() {
    if !peers() {
        return;
    }
    for tlbi in ["tlbi vaae1is, x3", "tlbi vmalle1is", "tlbi vae1os, x3"] {
        for (translate_after, sleep) in [(0, "nop"), (8, "nop"), (0, "wfi"), (8, "wfi")] {
            assert_eq!(mistakes(tlbi, sleep, Tiers { translate_after }), 0, "{tlbi}, {sleep}");
        }
    }
    // Without the broadcast the reader finds what it knows, so the program would notice.
    for sleep in ["nop", "wfi"] {
        assert!(mistakes("tlbi vaae1, x3", sleep, Tiers { translate_after: 0 }) > 0, "{sleep}");
    }
}
