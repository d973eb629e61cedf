//! Debug triggers: their registers, what they fire at, and that translations do not slip past them.

mod support;

use support::bare::*;
use tcg_riscv::cpu::Hart;
use tcg_riscv::csr::bits::cause;
use vm_memory::{Bytes, GuestAddress};

/// Trigger `tdata1` of type `kind` for M-mode with these kinds of access (4 execute, 2 store, 1 load).
fn trigger(kind: u64, accesses: u64) -> u64 {
    kind << 60 | 1 << 6 | accesses
}

fn arm(hart: &mut Hart, data1: u64, addr: u64) {
    hart.csr.triggers.set_data(1, data1);
    hart.csr.triggers.set_data(2, addr);
}

#[test]
fn triggers_take_what_qemus_take() {
    let mut cpu = vcpu("rv64", &[]);
    let triggers = &mut cpu.cpu_mut().csr.triggers;
    for (written, read) in [
        (0x2fff_ffff_ffff_ffff_u64, 0x2000_0000_0000_005f_u64),
        (0x2000_0000_0021_007f, 0x2000_0000_0021_005f),
        (0x2000_0000_0003_0000, 0x2000_0000_0003_0000),
        (0x6000_0000_0005_007f, 0x6000_0000_0005_005f),
        (0x6000_0000_0006_007f, 0x6000_0000_0000_005f),
        (0xf000_0000_0000_007f, 0x2000_0000_0000_0000),
    ] {
        triggers.set_data(1, written);
        assert_eq!(triggers.data(1), read, "{written:#x}");
    }
    triggers.set_data(3, u64::MAX);
    assert_eq!(triggers.data(3), 0xfffc_0000_0000_0000);
    triggers.set_context(u64::MAX);
    assert_eq!(triggers.context(), 0x1fff);
    triggers.set_select(1);
    triggers.set_select(2);
    assert_eq!(triggers.select(), 1);
}

#[test]
fn triggers_fire_before_the_access() {
    let hit = |addr: u64| (u64::from(cause::BREAKPOINT), addr);
    let amo = insn("amoadd.d", &[("rs1", 5), ("rd", 6)]);
    let (load, store) = (insn("ld", &[("rs1", 5), ("rd", 6)]), insn("sw", &[("rs1", 5), ("rs2", 5)]));
    for kind in [2, 6] {
        for (word, accesses, offset) in
            [(load, 1, 7), (load, 3, 0), (store, 2, 3), (amo, 1, 0), (amo, 2, 4), (0x13, 4, 0)]
        {
            let mut cpu = vcpu("rv64", &[word]);
            let at = if accesses == 4 { BASE } else { DATA + offset };
            cpu.cpu_mut().x[5] = DATA;
            arm(cpu.cpu_mut(), trigger(kind, accesses), at);
            assert_eq!(trap(&mut cpu), hit(at), "{word:#x}");
            assert_eq!(cpu.cpu().x[6], 0);
        }
    }
    // Not these: another kind, beside it, another size, another mode, another context.
    let size_64 = 5 << 16;
    for (data1, offset, data3) in [
        (trigger(2, 2 | 4), 0, 0),
        (trigger(2, 1), 8, 0),
        (trigger(2, 1), u64::MAX, 0),
        (trigger(6, 1) | 1 << 16, 0, 0),
        (2 << 60 | 1 << 3 | 1 << 4 | 1, 0, 0),
        (trigger(6, 1) | size_64, 0, 1 << 51 | 4 << 48),
    ] {
        let mut cpu = vcpu("rv64", &[load]);
        cpu.cpu_mut().x[5] = DATA;
        arm(cpu.cpu_mut(), data1, DATA.wrapping_add(offset));
        cpu.cpu_mut().csr.triggers.set_data(3, data3);
        cpu.step();
        assert_eq!(cpu.cpu().head.pc, BASE + 4, "{data1:#x}");
    }
    let mut cpu = vcpu("rv64", &[load]);
    cpu.cpu_mut().x[5] = DATA;
    arm(cpu.cpu_mut(), trigger(6, 1) | size_64, DATA);
    cpu.cpu_mut().csr.triggers.set_data(3, 5 << 51 | 4 << 48);
    cpu.cpu_mut().csr.triggers.set_context(5);
    assert_eq!(trap(&mut cpu), hit(DATA));
}

/// The guest arms a trigger in a loop that has long been translated and is linked to itself.
#[test]
fn triggers_reach_running_translations() {
    let code = [
        addi(5, 0, 200),
        insn("sd", &[("rs1", 7), ("rs2", 5)]),
        addi(6, 5, -100),
        insn("bne", &[("rs1", 6), ("imm", 12)]),
        csr("csrrw", 0x7a2, 0, 11),
        csr("csrrw", 0x7a1, 0, 10),
        addi(5, 5, -1),
        back_unless_zero(5, -24),
        insn("ecall", &[]),
    ];
    let ecall = [insn("ecall", &[])];
    for after in TIERS {
        for (accesses, at, left, pc) in
            [(2, DATA, 99, BASE + 4), (4, BASE + 8, 99, BASE + 8), (1, DATA, 0, 0), (2, DATA + 8, 0, 0)]
        {
            let cpu = run_to_ecall(&code, &ecall, after, |hart| {
                (hart.x[10], hart.x[11]) = (trigger(2, accesses), at);
            });
            let hart = cpu.cpu();
            assert_eq!((hart.x[5], hart.csr.mepc), (left, pc), "{accesses} {after}");
            let stored: u64 = cpu.space().ram().read_obj(GuestAddress(DATA)).expect("it is RAM");
            let stores_left = if pc == BASE + 4 { 100 } else { left.max(1) };
            assert_eq!(stored, stores_left, "{accesses} {after}");
        }
    }
}
