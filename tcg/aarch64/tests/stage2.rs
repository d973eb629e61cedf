//! Random tables of stage 2, alone and below a stage 1, here and by QEMU: what loads, stores and fetches of EL1 do, and what EL2
//! is told of their faults. EL2 itself runs without translation. (AT S12E1R and its kind make QEMU 10.0.2 give up, so they are not
//! compared.)
//!
//! Skipped where QEMU or binutils are missing. `MIMIC_ORACLE_SEED` chooses the tables.

mod support;

use std::collections::BTreeMap;
use std::fmt::Write;
use support::bare::{Machine, Program, peers};
use tcg_core::run::Tiers;
use tcg_core::testing::{Rng, setting};

/// Where tables of stage 2 and of stage 1 stand; those of stage 1 by intermediate addresses.
const TABLES: u64 = 0x4500_0000;
const STAGE1: u64 = 0x4580_0000;
const DATA: u64 = 0x4600_0000;

/// A set of controls.
struct Case {
    words: Vec<u64>,
    what: String,
}

/// Tables of one stage: 4K pages with a first level of one page.
struct Tables {
    next: u64,
    memory: BTreeMap<u64, u64>,
}

impl Tables {
    /// Maps the page or block of `level` around `addr` to the same address, from level `first` on.
    fn map(&mut self, root: u64, first: u32, level: u32, addr: u64, leaf: u64) {
        let mut table = root;
        for at_level in first..=level {
            let shift = 12 + 9 * (3 - at_level);
            let mask = if at_level == first { 0x1fff } else { 511 };
            let at = table + (addr >> shift & mask) * 8;
            if at_level == level {
                let kind = if level == 3 { 3 } else { 1 };
                self.memory.entry(at).or_insert(addr >> shift << shift | leaf | kind);
                return;
            }
            let next = &mut self.next;
            let entry = self.memory.entry(at).or_insert_with(|| {
                let table = *next;
                *next += 0x1000;
                table | 3
            });
            if *entry & 3 != 3 {
                return;
            }
            table = *entry & 0xffff_f000;
        }
    }
}

fn leaf2(rng: &mut Rng) -> u64 {
    let kind = rng.pick(&[0xf << 2, 0xf << 2, 0, 5 << 2, 1 << 2]);
    let af = if rng.chance(90) { 1 << 10 } else { 0 };
    let rights = if rng.chance(60) { 3 << 6 } else { rng.below(4) << 6 };
    kind | af
        | rights
        | rng.below(4) << 8
        | if rng.chance(20) { rng.below(4) << 53 } else { 0 }
        | rng.below(2) << 51
}

fn leaf1(rng: &mut Rng) -> u64 {
    let af = if rng.chance(90) { 1 << 10 } else { 0 };
    rng.below(3) << 2 | af | rng.below(4) << 6 | rng.below(4) << 8 | rng.below(2) << 51
}

fn case(rng: &mut Rng, max: bool) -> Case {
    let mut second = Tables { next: TABLES + 0x4000, memory: BTreeMap::new() };
    let mut first = Tables { next: STAGE1 + 0x1000, memory: BTreeMap::new() };
    let (tsz, start) = rng.pick(&[(24, 1), (25, 1), (32, 1), (33, 2), (30, 1), (27, 1)]);
    let mut addrs = Vec::new();
    // The program, and what it returns to.
    second.map(TABLES, start, 2, 0x4000_0000, 0xf << 2 | 1 << 10 | 3 << 6);
    first.map(STAGE1, 1, 2, 0x4000_0000, 1 << 10);
    for n in 0..5 {
        let level = if n < 3 { 3 } else { rng.pick(&[3, 3, 2]) };
        let addr =
            if n == 0 { DATA } else { 0x4000_0000 + (rng.below(0x400) << 21) + (rng.below(512) << 12) };
        if rng.chance(85) {
            second.map(TABLES, start, level, addr, leaf2(rng));
        }
        if rng.chance(85) {
            first.map(STAGE1, 1, level, addr, leaf1(rng));
        }
        addrs.push(addr | (rng.below(0x1f0) * 8));
    }
    // Beyond the range, and a hole.
    addrs.push(rng.bits() >> rng.pick(&[16, 24, 30]) & !7 | 1 << 32);
    // The tables of stage 1 are memory of the guest, mostly.
    if rng.chance(85) {
        for page in 0..(first.next - STAGE1) / 0x1000 {
            let leaf = if rng.chance(90) { 0xf << 2 | 1 << 10 | 3 << 6 | 1 << 51 } else { leaf2(rng) };
            second.map(TABLES, start, 3, STAGE1 + page * 0x1000, leaf);
        }
    }
    let hardware = if max { rng.below(4) << 21 } else { 0 };
    let sl0 = if start == 1 { 1 } else { 0 };
    let vtcr = 1 << 31 | 2 << 16 | sl0 << 6 | tsz | hardware;
    let tcr = 25 | 1 << 23 | 25 << 16 | 2 << 32 | if max { rng.below(2) << 39 } else { 0 };
    let sctlr = 0x30d0_0980 | u64::from(rng.chance(60));
    let memory: Vec<_> = first.memory.iter().chain(&second.memory).collect();
    let mut words = vec![second.next - TABLES, first.next - STAGE1, memory.len() as u64];
    words.extend(memory.iter().flat_map(|(at, value)| [**at, **value]));
    words.extend([vtcr, TABLES, tcr, STAGE1, sctlr, 1 << 31 | 1, addrs.len() as u64]);
    words.extend(&addrs);
    let what = format!("VTCR {vtcr:#x} TCR {tcr:#x} SCTLR {sctlr:#x} {memory:x?}");
    Case { words, what }
}

/// What EL1 does: the instruction. Each has three words of results: ESR, FAR and HPFAR of EL2.
const NAMES: [&str; 8] = [
    "ldr x0, [x19]",
    "ldrsb w5, [x19]",
    "str w0, [x19]",
    "ldp x0, x2, [x19]",
    "ldr x0, [x19], #0",
    "sttr x0, [x19]",
    "at s1e1r, x19",
    "blr x19",
];
const WORDS: usize = 3;

fn program(cases: &[Case]) -> String {
    let mut text = String::from(
        "
    adr x0, vectors
    msr vbar_el2, x0
    adr x0, vectors1
    msr vbar_el1, x0
    ldr x1, =0x46000000
    ldr x2, =0xd65f03c0d65f03c0
    mov x3, #0x2000
0:  str x2, [x1], #8
    sub x3, x3, #8
    cbnz x3, 0b
    ldr x0, =0x4400ff
    msr mair_el1, x0
    adr x20, cases
    ldr x21, =0x44000000
next_case:
    ldr x3, [x20], #8
    cmn x3, #1
    b.eq end
    ldr x2, =0x45000000
1:  stp xzr, xzr, [x2], #16
    sub x3, x3, #16
    cbnz x3, 1b
    ldp x3, x1, [x20], #16
    ldr x2, =0x45800000
2:  stp xzr, xzr, [x2], #16
    sub x3, x3, #16
    cbnz x3, 2b
3:  cbz x1, 4f
    ldp x2, x3, [x20], #16
    str x3, [x2]
    sub x1, x1, #1
    b 3b
4:  ldp x0, x1, [x20], #16
    msr vtcr_el2, x0
    msr vttbr_el2, x1
    ldp x0, x1, [x20], #16
    msr tcr_el1, x0
    msr ttbr0_el1, x1
    ldp x0, x1, [x20], #16
    msr sctlr_el1, x0
    msr hcr_el2, x1
    isb
    tlbi alle1
    dsb ish
    isb
    ldr x28, [x20], #8
next_addr:
    cbz x28, next_case
    sub x28, x28, #1
    ldr x19, [x20], #8
    adr x27, insns
next_insn:
    msr far_el2, xzr
    msr hpfar_el2, xzr
    msr elr_el2, x27
    mov x0, #0x3c5
    msr spsr_el2, x0
    ldr x0, =0xd65f03c0d65f03c0
    ldr x30, =returned
    eret
returned:
    hvc #2
end:
    msr hcr_el2, xzr
    ldr x1, =0x44000000
    sub x0, x21, x1
    b finish
    .balign 2048
vectors:
    .rept 16
    b handler
    .balign 128
    .endr
vectors1:
    .rept 16
    b handler1
    .balign 128
    .endr
handler1:
    mrs x5, esr_el1
    hvc #3
handler:
    mrs x0, esr_el2
    mrs x1, far_el2
    mrs x2, hpfar_el2
    // Of a fault that EL1 took: that one's syndrome.
    movz x3, #0x5a00, lsl #16
    movk x3, #3
    cmp x0, x3
    csel x0, x5, x0, eq
    stp x0, x1, [x21], #16
    str x2, [x21], #8
    add x27, x27, #8
    adr x0, insns_end
    cmp x27, x0
    b.ne next_insn
    b next_addr
insns:
",
    );
    for name in NAMES {
        writeln!(text, "    {name}\n    hvc #1").expect("a string takes everything");
    }
    text += "insns_end:\n    .balign 16\ncases:\n";
    for word in cases.iter().flat_map(|case| &case.words) {
        writeln!(text, "    .quad {word:#x}").expect("a string takes everything");
    }
    text + "    .quad -1\n"
}

fn agree(cpu: &'static str) {
    if !peers() {
        return;
    }
    let machine = Machine { cpu, el2: true, el3: false };
    let mut rng = Rng::new(setting("MIMIC_ORACLE_SEED", 1));
    let cases: Vec<Case> = (0..400).map(|_| case(&mut rng, cpu == "max")).collect();
    let program = Program::assemble(&support::scratch("stage2"), cpu, &program(&cases));
    let theirs = program.there(machine);
    for (how, translate_after) in [("interpreted", u32::MAX), ("translated", 0)] {
        let ours = program.here(machine, Tiers { translate_after });
        compare(&format!("{cpu}, {how}"), &cases, &ours, &theirs);
    }
}

fn compare(cpu: &str, cases: &[Case], ours: &[u64], theirs: &[u64]) {
    assert_eq!(ours.len(), theirs.len());
    let (mut report, mut wrong) = (String::new(), 0);
    let mut kinds: BTreeMap<u64, u32> = BTreeMap::new();
    // So many words an instruction, six addresses a case.
    for (n, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
        *kinds.entry(if n % WORDS == 0 { theirs >> 26 << 26 | theirs & 0xbf } else { 0 }).or_default() += 1;
        if ours != theirs {
            wrong += 1;
            if wrong < 20 {
                let each = NAMES.len() * WORDS;
                let (case, insn) = (n / (6 * each), NAMES[n / WORDS % NAMES.len()]);
                let at = cases[case].words.len() - 6 + n / each % 6;
                let word = ["ESR", "FAR", "HPFAR"][n % WORDS];
                let (addr, what) = (cases[case].words[at], &cases[case].what);
                writeln!(
                    report,
                    "case {case}, {word} of {insn} at {addr:#x}: here {ours:#x}, there {theirs:#x}"
                )
                .expect("a string takes everything");
                if wrong < 4 {
                    writeln!(report, "  {what}").expect("a string takes everything");
                }
            }
        }
    }
    assert!(wrong == 0, "{cpu}: {wrong} of {} differ\n{report}", ours.len());
    assert!(kinds.len() > 8, "too few kinds of results came up: {kinds:x?}");
}

#[test]
fn cortex_a57() {
    agree("cortex-a57");
}

#[test]
fn max() {
    agree("max");
}
