//! Counters as a program sees them: what is counted and when, through every tier, and overflows.

mod support;

use support::bare::*;
use tcg_riscv::csr::bits::{cause, irq, mstatus};
use vm_memory::{Bytes, GuestAddress};

#[test]
fn retired_instructions_are_counted_exactly() {
    let code = [
        csr("csrrwi", 0xb02, 0, 0),
        addi(5, 0, 100),
        // The loop: seven instructions, of which one faults and takes four to be handled.
        addi(6, 6, 1),
        insn("sd", &[("rs1", 7), ("rs2", 6)]),
        insn("ld", &[("rd", 8), ("rs1", 7)]),
        insn("ld", &[("rd", 8), ("rs1", 0)]),
        csr("csrrs", 0xc02, 10, 0),
        addi(5, 5, -1),
        back_unless_zero(5, -24),
        csr("csrrs", 0xb02, 9, 0),
        csr("csrrs", 0xb02, 11, 0),
        csr("csrrwi", 0x320, 0, 4),
        csr("csrrs", 0xb02, 12, 0),
        csr("csrrwi", 0x320, 0, 0),
        csr("csrrs", 0xb02, 13, 0),
        insn("ecall", &[]),
    ];
    for after in TIERS {
        let cpu = run_to_ecall(&code, &skip_and_return(), after, |_| ());
        let x = &cpu.cpu().x;
        assert_eq!(x[9], 1 + 100 * 10, "{after}");
        assert_eq!(x[10], 1 + 99 * 10 + 7, "{after}");
        assert_eq!(x[11], x[9] + 1, "{after}");
        // The instruction that stops the counter is counted, the one that starts it is not.
        assert_eq!(x[12], x[11] + 2, "{after}");
        assert_eq!(x[13], x[12], "{after}");
    }
}

#[test]
fn counting_costs_nothing_until_somebody_looks() {
    let mut cpu = vcpu("max", &[csr("csrrs", 0xc00, 5, 0), csr("csrrs", 0xc02, 5, 0), addi(5, 5, 1)]);
    cpu.step();
    assert!(!cpu.cpu().csr.counters.counting(), "cycles are time");
    cpu.step();
    assert!(cpu.cpu().csr.counters.counting());
    assert_eq!(cpu.cpu().head.pc, BASE + 8, "the step carried the instruction out");
}

/// The interrupt arrives although nothing else happens, and in time.
#[test]
fn overflows_interrupt_a_busy_hart() {
    const CYCLES: u64 = 1;
    const INSTRUCTIONS: u64 = 2;
    let clock = base::HostClock::new().expect("a thread");
    for event in [CYCLES, INSTRUCTIONS] {
        let mut cpu = vcpu("max", &[insn("jal", &[("imm", 0)])]);
        let handler = insn("ecall", &[]).to_le_bytes();
        cpu.space().ram().write_slice(&handler, GuestAddress(HANDLER)).expect("it fits");
        let lines = cpu.handle().lines().clone();
        let hart = cpu.cpu_mut();
        hart.csr.wire(base::TimeBase::new(clock.clone(), 10_000_000), lines);
        hart.csr.mstatus |= mstatus::MIE;
        hart.csr.mie = 1 << irq::LCOFI;
        let now = hart.now();
        hart.change_counters(now, |counters| {
            counters.set_event(3, event);
            counters.set(3, 1_000_000u64.wrapping_neg());
        });
        stop_at_ecall(&mut cpu);
        cpu.run();
        let hart = cpu.cpu();
        assert_eq!(hart.csr.mcause, cause::INTERRUPT | u64::from(irq::LCOFI), "{event}");
        assert_eq!(hart.csr.counters.overflowed(), 1 << 3);
        if event == CYCLES {
            let late = hart.csr.now() - now.ns - 1_000_000;
            assert!(late < 100_000_000, "{late} ns late");
        } else {
            assert!(hart.head.insns - now.insns >= 1_000_000);
        }
    }
}
