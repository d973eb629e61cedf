//! Random tables of the Secure and the Non-secure EL1 and of EL3, some of them in memory that only the Secure world has, with random
//! NS and NSTable, here and by QEMU: PAR_EL1, and what loads, stores and fetches do.
//!
//! Skipped where QEMU or binutils are missing. `MIMIC_ORACLE_SEED` chooses the tables.

mod support;

use std::collections::BTreeMap;
use std::fmt::Write;
use support::bare::{Machine, Program, peers};
use tcg_core::run::Tiers;
use tcg_core::testing::{Rng, setting};

/// Where tables stand, in each kind of memory: that of both worlds first. Then come pages of data.
const MEMORY: [u64; 2] = [0x4500_0000, 0x0e00_0000];
const DATA: u64 = 0x10_0000;
const NS: u64 = 1 << 5;
const NS_TABLE: u64 = 1 << 63;
const AF: u64 = 1 << 10;

/// What is done at each address, and the words of results: PAR, then ESR and FAR of each access.
const ACCESSES: [&str; 3] = ["ldr x0, [x19]", "str x0, [x19, #8]", "blr x19"];
const WORDS: usize = 1 + 2 * ACCESSES.len();
const PAGES: u64 = 8;

struct Case {
    words: Vec<u64>,
    what: String,
}

fn table(rng: &mut Rng, n: u64) -> u64 {
    rng.pick(&MEMORY) + n * 0x1000
}

/// Tables of three levels: the first gigabyte has the pages, the second the program.
fn case(rng: &mut Rng) -> Case {
    let bit = |on: bool, bit: u64| if on { bit } else { 0 };
    let monitor = rng.chance(30);
    // SIF with the rest; the program's own block is Secure memory for Secure code.
    let scr = 0x430 | rng.below(2) | bit(rng.chance(40), 1 << 9);
    let [mut first, second, third] = [0, 1, 2].map(|n| table(rng, n));
    if !monitor && scr & 1 != 0 {
        // The program itself is found through this one.
        first = MEMORY[0];
    }
    let mut memory = BTreeMap::new();
    memory.insert(first, second | 3 | bit(rng.chance(15), NS_TABLE));
    memory.insert(first + 8, (MEMORY[0] + 0x3000) | 3);
    memory.insert(second, third | 3 | bit(rng.chance(15), NS_TABLE));
    // A block of the second level: memory of both worlds.
    let block = 0x4600_0000 | AF | 1 | bit(rng.chance(50), NS);
    memory.insert(second + 8, block);
    for block in [0x4000_0000u64, 0x4400_0000, MEMORY[0]] {
        let at = MEMORY[0] + 0x3000 + (block >> 21 & 511) * 8;
        memory.insert(at, block | AF | 1);
    }
    for page in 0..PAGES {
        let kind = rng.pick(&[1u64 << 7, 0, 0, 0]);
        let at = rng.pick(&MEMORY) + DATA + page * 0x1000;
        memory.insert(third + page * 8, at | AF | 3 | kind | bit(rng.chance(40), NS));
    }
    let mut words = vec![memory.len() as u64];
    words.extend(memory.iter().flat_map(|(at, value)| [*at, *value]));
    words.extend([first, scr, u64::from(monitor)]);
    Case { words, what: format!("SCR {scr:#x}, EL3 {monitor}, tables {memory:x?}") }
}

fn addresses() -> impl Iterator<Item = u64> {
    (0..PAGES).map(|page| page * 0x1000 + 0x40).chain([0x20_0040])
}

fn program(cases: &[Case]) -> String {
    let mut text = String::from(
        "
    adr x0, vectors3
    msr vbar_el3, x0
    adr x0, vectors1
    msr vbar_el1, x0
    // RET in all pages of data.
    ldr x2, =0xd65f03c0d65f03c0
    .irp base, 0x45100000, 0x0e100000, 0x46000000
    ldr x1, =\\base
    mov x3, #0x8000
0:  str x2, [x1], #8
    sub x3, x3, #8
    cbnz x3, 0b
    .endr
    mov x0, #0xff
    msr mair_el1, x0
    msr mair_el3, x0
    ldr x0, =(25 | 1 << 23 | 2 << 32)
    msr tcr_el1, x0
    ldr x0, =(25 | 1 << 31 | 1 << 23 | 2 << 16)
    msr tcr_el3, x0
    ldr x0, =0x30d00981
    msr sctlr_el1, x0
    adr x20, cases
    ldr x21, =0x44000000
next_case:
    msr sctlr_el3, xzr
    isb
    ldr x1, [x20], #8
    cmn x1, #1
    b.eq end
1:  cbz x1, 2f
    ldp x2, x3, [x20], #16
    str x3, [x2]
    sub x1, x1, #1
    b 1b
2:  ldp x0, x1, [x20], #16
    msr ttbr0_el1, x0
    msr ttbr0_el3, x0
    msr scr_el3, x1
    ldr x25, [x20], #8
    tlbi vmalle1
    tlbi alle3
    dsb sy
    isb
    cbz x25, 3f
    ldr x0, =0x30c50831
    msr sctlr_el3, x0
    isb
3:  adr x26, addresses
next_address:
    ldr x19, [x26], #8
    cmn x19, #1
    b.eq next_case
    // A table that is not there aborts the instruction itself: then ESR stands for PAR.
    mov x24, #1
    cbz x25, 4f
    at s1e3r, x19
    b 5f
4:  at s1e1r, x19
5:  isb
    mrs x0, par_el1
par_known:
    mov x24, #0
    str x0, [x21], #8
    adr x27, accesses
next_access:
    msr far_el1, xzr
    msr far_el3, xzr
    mov x5, #0
    mov x6, #0
    ldr x0, =0xd65f03c0d65f03c0
    ldr x30, =returned
    cbnz x25, 6f
    msr elr_el3, x27
    mov x1, #0x3c5
    msr spsr_el3, x1
    eret
6:  br x27
returned:
    smc #2
end:
    ldr x1, =0x44000000
    sub x0, x21, x1
    b finish
    .balign 2048
vectors3:
    .rept 16
    b handler3
    .balign 128
    .endr
vectors1:
    .rept 16
    b handler1
    .balign 128
    .endr
handler1:
    mrs x5, esr_el1
    mrs x6, far_el1
    smc #3
handler3:
    mrs x0, esr_el3
    cbnz x24, par_known
    lsr x1, x0, #26
    cmp x1, #0x17
    b.eq 7f
    mov x5, x0
    mrs x6, far_el3
7:  stp x5, x6, [x21], #16
    add x27, x27, #8
    adr x0, accesses_end
    cmp x27, x0
    b.ne next_access
    b next_address
accesses:
",
    );
    for access in ACCESSES {
        writeln!(text, "    {access}\n    smc #1").expect("a string takes everything");
    }
    text += "accesses_end:\n    .balign 16\naddresses:\n";
    for address in addresses() {
        writeln!(text, "    .quad {address:#x}").expect("a string takes everything");
    }
    text += "    .quad -1\n    .balign 16\ncases:\n";
    for word in cases.iter().flat_map(|case| &case.words) {
        writeln!(text, "    .quad {word:#x}").expect("a string takes everything");
    }
    text + "    .quad -1\n"
}

#[test]
fn both_worlds_see_qemus_memory() {
    if !peers() {
        return;
    }
    let machine = Machine { cpu: "max", el2: false, el3: true };
    let mut rng = Rng::new(setting("MIMIC_ORACLE_SEED", 1));
    let cases: Vec<Case> = (0..300).map(|_| case(&mut rng)).collect();
    let program = Program::assemble(&support::scratch("secure_memory"), "max", &program(&cases));
    let theirs = program.there(machine);
    let each = addresses().count() * WORDS;
    assert_eq!(theirs.len(), cases.len() * each, "the program came to its end");
    let mut kinds: BTreeMap<u64, u32> = BTreeMap::new();
    theirs.iter().for_each(|word| *kinds.entry(word & 0xfe00_0000_0000_0a3f).or_default() += 1);
    assert!(kinds.len() > 8, "few kinds of results: {kinds:x?}");
    for (how, translate_after) in [("interpreted", u32::MAX), ("translated", 0)] {
        let ours = program.here(machine, Tiers { translate_after });
        assert_eq!(ours.len(), theirs.len());
        let wrong: Vec<usize> = (0..ours.len()).filter(|n| ours[*n] != theirs[*n]).collect();
        let report: String = wrong.iter().take(8).fold(String::new(), |report, n| {
            let (case, address) = (&cases[n / each], addresses().nth(n % each / WORDS).unwrap_or(0));
            let (ours, theirs) = (ours[*n], theirs[*n]);
            let what = &case.what;
            format!(
                "{report}word {} at {address:#x}: here {ours:#x}, there {theirs:#x}\n  {what}\n",
                n % WORDS
            )
        });
        assert!(wrong.is_empty(), "{how}: {} differ\n{report}", wrong.len());
    }
}
