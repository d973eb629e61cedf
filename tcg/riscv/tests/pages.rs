//! Hot loops that call functions in other pages: what happens to these pages meanwhile, the loop sees.

mod support;

use std::sync::Arc;
use support::bare::{BASE, addi, insn, vcpu_in};
use support::scratch;
use tcg_core::debug::Stop;
use tcg_core::guest::Point;
use tcg_core::run::{CodeConfig, Store, Tiers, Vcpu, VcpuConfig};
use tcg_riscv::Riscv;
use tcg_riscv::csr::Priv;
use tcg_riscv::csr::bits::cause;
use vm_memory::{Bytes, GuestAddress};

/// The page of the loop, of the function, and of the page table, for the guest.
const LOOP: u64 = 0x1000;
const FUNCTION: u64 = 0x2000;
const TABLE: u64 = 0x3000;
/// Where they are. The function is in one of two pages.
const FUNCTIONS: [u64; 2] = [BASE + 0x1000, BASE + 0x3000];
const TABLE_AT: u64 = BASE + 0x2000;

const LINK: u32 = 1;
/// The table's entry of the function's page: where it is, and the one it does not have now.
const ENTRY_AT: u32 = 6;
const OTHER: u32 = 7;
/// Calls that are left until the function moves, and how often it will.
const CALLS: u32 = 8;
const LEFT: u32 = 9;
const SUM: u32 = 10;
/// What `sfence.vma` is asked about: the function's page.
const FENCED: u32 = 11;

const CALLS_EACH: i32 = 60;

/// A leaf entry for the page at `phys`: of the supervisor, for everything.
fn leaf(phys: u64) -> u64 {
    phys >> 12 << 10 | 0b1100_1111
}

/// What the function adds in either page.
const NUMBERS: [i32; 2] = [1, 2];

/// A hart in front of a loop of calls, after so many of which the function moves to its other page. `one` page is fenced, or all are.
fn moving(after: u32, cache: CodeConfig, one: bool, numbers: [i32; 2], times: u64) -> Vcpu<Riscv> {
    let back =
        |name, register, words: u32| insn(name, &[("rs1", register), ("imm", (4 * words).wrapping_neg())]);
    let code = [
        insn("jal", &[("rd", LINK), ("imm", 0x1000)]),
        addi(CALLS, CALLS, -1),
        back("bne", CALLS, 2),
        insn("ld", &[("rd", 5), ("rs1", ENTRY_AT)]),
        insn("sd", &[("rs1", ENTRY_AT), ("rs2", OTHER)]),
        addi(OTHER, 5, 0),
        insn("sfence.vma", &[("rs1", if one { FENCED } else { 0 })]),
        addi(CALLS, 0, CALLS_EACH),
        addi(LEFT, LEFT, -1),
        back("bne", LEFT, 9),
        insn("ecall", &[]),
    ];
    let config = VcpuConfig { tiers: Tiers { translate_after: after }, ..VcpuConfig::default() };
    let mut cpu = vcpu_in("max", &code, config, cache);
    let write = |at: u64, word: u64| cpu.space().ram().write_obj(word, GuestAddress(at)).expect("memory");
    for (number, at) in numbers.into_iter().zip(FUNCTIONS) {
        let code = [addi(SUM, SUM, number), insn("jalr", &[("rs1", LINK)])];
        write(at, u64::from(code[0]) | u64::from(code[1]) << 32);
    }
    // The one table is that of all three levels.
    write(TABLE_AT, TABLE_AT >> 12 << 10 | 1);
    for (page, phys) in [(LOOP, BASE), (FUNCTION, FUNCTIONS[0]), (TABLE, TABLE_AT)] {
        write(TABLE_AT + page / 0x1000 * 8, leaf(phys));
    }
    cpu.set_trap_hook(Box::new(|cpu, trap| {
        let stop = trap.code == cause::ECALL_S;
        if stop {
            cpu.handle().stop();
        }
        stop
    }));
    let hart = cpu.cpu_mut();
    hart.csr.satp = 8 << 60 | TABLE_AT >> 12;
    hart.set_privilege(Priv::S, hart.now());
    hart.x[ENTRY_AT as usize] = TABLE + FUNCTION / 0x1000 * 8;
    hart.x[OTHER as usize] = leaf(FUNCTIONS[1]);
    hart.x[FENCED as usize] = FUNCTION;
    start(&mut cpu, times);
    cpu
}

/// Has the loop begin anew, where the function is now.
fn start(cpu: &mut Vcpu<Riscv>, times: u64) {
    let hart = cpu.cpu_mut();
    hart.head.pc = LOOP;
    hart.x[CALLS as usize] = CALLS_EACH as u64;
    hart.x[LEFT as usize] = times;
    hart.x[SUM as usize] = 0;
}

/// What the loop has added at its end.
fn sum_of(numbers: [i32; 2], times: u64) -> u64 {
    numbers.iter().map(|number| times / 2 * (CALLS_EACH * number) as u64).sum()
}

#[test]
fn a_function_that_moves_to_another_page_is_called_there() {
    let mut regions = 0;
    for (after, hot_after) in [(0, 0), (0, 3), (2, 10), (8, 30), (u32::MAX, 3)] {
        for (background, one) in [(false, false), (false, true), (true, false), (true, true)] {
            let cache = CodeConfig { hot_after, background, ..CodeConfig::default() };
            let mut cpu = moving(after, cache, one, NUMBERS, 400);
            assert_eq!(cpu.run(), None);
            let sum = sum_of(NUMBERS, 400);
            let name =
                format!("after {after}, hot after {hot_after}, background {background}, one page {one}");
            assert_eq!((cpu.cpu().x[LEFT as usize], cpu.cpu().x[SUM as usize]), (0, sum), "{name}");
            regions += cpu.code().stats().regions;
        }
    }
    assert!(regions > 100, "{regions} regions");
}

#[test]
fn a_breakpoint_in_the_page_of_a_function_stops_the_loop_that_calls_it() {
    for at in [FUNCTION, FUNCTION + 4] {
        let cache = CodeConfig { hot_after: 3, background: false, ..CodeConfig::default() };
        let mut cpu = moving(0, cache, true, NUMBERS, 2);
        assert_eq!(cpu.run(), None);
        assert!(cpu.code().stats().regions > 0);
        for round in 0..3 {
            start(&mut cpu, 2);
            cpu.set_points(&[Point { first: at, last: at, read: false, write: false, fetch: true }]);
            for call in 0..CALLS_EACH as u64 {
                assert_eq!(cpu.run(), Some(Stop::Breakpoint), "round {round}, call {call}");
                let hart = cpu.cpu();
                let called = call + (at - FUNCTION) / 4;
                assert_eq!((hart.head.pc, hart.x[SUM as usize]), (at, called));
                assert_eq!(cpu.step_for_debugger(false), Stop::Step);
            }
            cpu.set_points(&[]);
            assert_eq!(cpu.run(), None);
            assert_eq!(cpu.cpu().x[SUM as usize], 3 * CALLS_EACH as u64);
        }
    }
}

#[test]
fn a_stored_loop_is_taken_where_the_function_it_calls_is_the_same() {
    let folder = scratch("stored_pages");
    let open = || Arc::new(Store::open(&folder, "pages", "").expect("a folder"));
    std::fs::remove_dir_all(&folder).expect("it was just made");
    let run = |store: &Arc<Store>, hot_after: u32, numbers: [i32; 2]| {
        let store = Some(store.clone());
        let cache = CodeConfig { hot_after, background: false, store, ..CodeConfig::default() };
        let mut cpu = moving(0, cache, true, numbers, 4);
        assert_eq!(cpu.run(), None);
        assert_eq!(cpu.cpu().x[SUM as usize], sum_of(numbers, 4), "{numbers:?}, hot after {hot_after}");
        cpu.code().stats().regions
    };
    // The loop is the same in all of them.
    let stored = || (1..80).step_by(2).map(|n| [n, n + 1]);
    let store = open();
    stored().for_each(|numbers| assert!(run(&store, 3, numbers) > 0));
    store.save().expect("room on the disk");
    let store = open();
    assert!(!store.is_empty());
    for numbers in stored() {
        // One has the loop without its function.
        let others = numbers.map(|n| n + 1000);
        let (taken, left) = (run(&store, u32::MAX, numbers), run(&store, u32::MAX, others));
        assert!(taken > left, "{taken} for {numbers:?}, {left} for {others:?}");
    }
}
