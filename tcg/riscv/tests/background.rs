//! Translations that are made in the background, of code that changes meanwhile.

mod support;

use support::bare::{BASE, addi, insn, stop_at_ecall, vcpu_in};
use tcg_core::run::{CodeConfig, Tiers, VcpuConfig};

/// How often the function is written anew.
const ROUNDS: u32 = 3000;
/// Points to the word that is written.
const WORD_AT: u32 = 5;
const WORD: u32 = 6;
/// Rounds that are left.
const LEFT: u32 = 7;
/// Calls that are left in this round.
const CALLS: u32 = 8;
const SUM: u32 = 10;
const LINK: u32 = 1;

/// A function that adds a number to the sum is given another number, and called `calls` times, again and again; it stands
/// `words` words behind the start.
fn program(calls: u32, words: u32) -> Vec<u32> {
    let branch = |back: u32| insn("bne", &[("rs1", CALLS), ("imm", back.wrapping_neg())]);
    let mut code = vec![
        insn("sw", &[("rs1", WORD_AT), ("rs2", WORD)]),
        insn("fence.i", &[]),
        addi(CALLS, 0, calls as i32),
        // Calls.
        insn("jal", &[("rd", LINK), ("imm", 4 * (words - 3))]),
        addi(CALLS, CALLS, -1),
        branch(8),
        // Another number: the immediate operand is in the upper twelve bits.
        insn("lui", &[("rd", 9), ("imm", 0x10_0000)]),
        insn("addw", &[("rd", WORD), ("rs1", WORD), ("rs2", 9)]),
        addi(LEFT, LEFT, -1),
        insn("bne", &[("rs1", LEFT), ("imm", 36u32.wrapping_neg())]),
        insn("ecall", &[]),
    ];
    code.resize(words as usize, addi(0, 0, 0));
    code.extend([addi(SUM, SUM, 0), insn("jalr", &[("rs1", LINK)])]);
    code
}

/// What the sum is in the end.
fn sum(calls: u32) -> u64 {
    let number = |round: u32| i64::from((round % 4096) as i32 - if round % 4096 < 2048 { 0 } else { 4096 });
    (0..ROUNDS).map(|round| number(round) * i64::from(calls)).sum::<i64>() as u64
}

#[test]
fn what_changes_while_it_is_translated_is_never_run_as_it_was() {
    let mut made = 0;
    for (after, hot_after, calls) in [(0, 0, 3), (0, 3, 40), (1, 0, 9), (2, 5, 20), (8, 20, 50)] {
        // In the page of the loop, or in a page of its own.
        for words in [20, 900] {
            let tiers = Tiers { translate_after: after };
            let cache = CodeConfig { hot_after, background: true, ..CodeConfig::default() };
            let config = VcpuConfig { tiers, ..VcpuConfig::default() };
            let mut cpu = vcpu_in("max", &program(calls, words), config, cache);
            stop_at_ecall(&mut cpu);
            let hart = cpu.cpu_mut();
            hart.x[WORD_AT as usize] = BASE + 4 * u64::from(words);
            hart.x[WORD as usize] = addi(SUM, SUM, 0).into();
            hart.x[LEFT as usize] = ROUNDS.into();
            cpu.run();
            assert_eq!(cpu.cpu().x[LEFT as usize], 0);
            assert_eq!(
                cpu.cpu().x[SUM as usize],
                sum(calls),
                "after {after}, hot after {hot_after}, {calls} calls, {words} words away"
            );
            made += cpu.code().stats().in_background;
        }
    }
    assert!(made > 20, "{made} translations were made in the background");
}
