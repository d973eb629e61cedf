//! Random page tables under random controls, at EL1 and at EL2 of a host (VHE), here and by QEMU: PAR_EL1 after address translation instructions, what loads,
//! stores, accesses as EL0 and fetches do, syndromes and addresses of their faults, and the descriptors afterwards.
//!
//! The half of the addresses that the program itself is in has a fixed table; the other one is random. Every word that can be
//! reached is RET, so code, loads and stores have the same memory.
//!
//! Skipped where QEMU or binutils are missing. `MIMIC_ORACLE_SEED` chooses the tables.

mod support;

use std::collections::BTreeMap;
use std::fmt::Write;
use support::bare::{Machine, Program, peers};
use tcg_core::run::Tiers;
use tcg_core::testing::{Rng, setting};

/// Where random tables stand, and how much room they have.
const TABLES: u64 = 0x4500_0000;
const ROOM: u64 = 0x8_0000;
/// The memory that they lead to.
const DATA: u64 = 0x4600_0000;
/// Results of one address: PAR and syndrome six times; loads, stores, both as EL0, fetch.
const NAMES: [&str; 23] = [
    "PAR of S1E1R",
    "its ESR",
    "PAR of S1E1W",
    "its ESR",
    "PAR of S1E0R",
    "its ESR",
    "PAR of S1E0W",
    "its ESR",
    "PAR of S1E1RP",
    "its ESR",
    "PAR of S1E1WP",
    "its ESR",
    "load",
    "its ESR",
    "its FAR",
    "ESR of store",
    "its FAR",
    "LDTR",
    "its ESR",
    "ESR of STTR",
    "its FAR",
    "ESR of fetch",
    "its FAR",
];

/// Fields of TCR of one half.
struct Half {
    /// The random half is the upper one.
    upper: bool,
    tsz: u64,
    granule: u32,
    ds: bool,
}

/// Random tables.
struct Tables<'a> {
    rng: &'a mut Rng,
    half: &'a Half,
    next: u64,
    memory: BTreeMap<u64, u64>,
    leaves: Vec<u64>,
}

impl Tables<'_> {
    fn va_bits(&self) -> u32 {
        64 - self.half.tsz as u32
    }

    fn first_level(&self) -> i8 {
        4 - ((self.va_bits() - 4) / (self.half.granule - 3)) as i8
    }

    fn shift(&self, level: i8) -> u32 {
        self.half.granule + (self.half.granule - 3) * (3 - level) as u32
    }

    fn table(&mut self) -> u64 {
        let table = self.next;
        self.next += 1 << self.half.granule;
        table
    }

    fn may_be_block(&self, level: i8) -> bool {
        match (self.half.granule, level) {
            (12, 1 | 2) | (14 | 16, 2) => true,
            (12, 0) | (14, 1) => self.half.ds,
            _ => false,
        }
    }

    /// Attributes of a leaf.
    fn attributes(&mut self) -> u64 {
        let rng = &mut *self.rng;
        let af = if rng.chance(85) { 1 << 10 } else { 0 };
        let random = rng.bits() & (7 << 2 | 3 << 6 | 1 << 11 | 1 << 51 | 3 << 53);
        let shareability = if self.half.ds { 0 } else { rng.below(4) << 8 };
        let more = if rng.chance(50) { random & !(3 << 53) } else { random };
        af | more | shareability
    }

    /// Makes a way to an address, or something that is none. `root` is the first table.
    fn add(&mut self, root: u64, previous: Option<u64>) -> u64 {
        let first = self.first_level();
        let bits = self.va_bits();
        let mut addr = self.rng.bits() & (u64::MAX >> (64 - bits.min(55)));
        if let Some(previous) = previous.filter(|_| self.rng.chance(50)) {
            let level = first + self.rng.below((4 - first) as u64) as i8;
            let low = self.shift(level);
            addr = previous >> low << low | addr & ((1 << low) - 1);
            addr &= u64::MAX >> (64 - bits.min(55));
        }
        let candidates: Vec<i8> =
            (first..=3).filter(|level| *level == 3 || self.may_be_block(*level)).collect();
        let last = self.rng.pick(&candidates);
        let size = 1u64 << self.shift(last);
        let offset = if size > 1 << 25 { DATA & (size - 1) } else { 0 };
        addr = addr & !(size - 1) | offset | (self.rng.below(0x200) * 8);
        let mut table = root;
        for level in first..=3 {
            let width = if level == first { bits - self.shift(first) } else { self.half.granule - 3 };
            let at = table + (addr >> self.shift(level) & ((1 << width) - 1)) * 8;
            if let Some(old) = self.memory.get(&at) {
                if level < 3
                    && old & 3 == 3
                    && *old & 0xffff_f000 >= TABLES
                    && *old & 0xffff_f000 < TABLES + ROOM
                {
                    table = old & 0xffff_f000;
                    continue;
                }
                break;
            }
            let descriptor = if self.rng.chance(4) {
                // Nothing, or the reserved encoding, or an address out of range.
                match self.rng.below(4) {
                    0 => 0,
                    1 => self.attributes() | DATA & !(size - 1),
                    2 => self.attributes() | DATA | u64::from(level == 3),
                    _ => {
                        self.attributes()
                            | 3
                            | 1 << (40 + self.rng.below(8))
                            | if level < 3 { TABLES } else { DATA }
                    }
                }
            } else if level < last && self.next < TABLES + ROOM - 0x1_0000 {
                let next = self.table();
                let hierarchy = if self.rng.chance(25) { self.rng.bits() & 0xf << 59 } else { 0 };
                table = next;
                self.memory.insert(at, next | 3 | hierarchy);
                continue;
            } else if level == last {
                self.attributes() | DATA & !(size - 1) | if level == 3 { 3 } else { 1 }
            } else {
                0
            };
            self.memory.insert(at, descriptor);
            self.leaves.push(at);
            break;
        }
        let sign = if self.half.upper { u64::MAX << bits.min(56) } else { 0 };
        let addr = addr | sign;
        if self.rng.chance(10) { addr ^ self.rng.bits() << 52 & !(1 << 55) } else { addr }
    }
}

/// One set of controls with its tables, as the program reads it, and its addresses.
struct Config {
    words: Vec<u64>,
    addrs: Vec<u64>,
    leaves: usize,
    tbid: bool,
    what: String,
}

fn config(rng: &mut Rng, machine: Machine, upper: bool) -> Config {
    let max = machine.cpu == "max";
    let granule = rng.pick(if machine.cpu == "cortex-a53" || max || machine.cpu == "cortex-a76" {
        &[12, 12, 14, 16][..]
    } else {
        &[12, 12, 16]
    });
    let granule = if machine.cpu == "cortex-a53" && granule == 14 { 12 } else { granule };
    let ds = max && granule != 16 && rng.chance(30);
    let (least, most) = (
        if ds || max && granule == 16 { 12 } else { 16 },
        if max { if granule == 16 { 47 } else { 48 } } else { 39 },
    );
    let tsz = if rng.chance(30) { rng.pick(&[16, 25, 32]) } else { least + rng.below(most - least + 1) };
    let half = Half { upper, tsz, granule, ds };
    let mut tables = Tables { rng, half: &half, next: TABLES, memory: BTreeMap::new(), leaves: Vec::new() };
    // The first table may be larger than a granule is not: its index has at most so many bits.
    let root = tables.table();
    let mut addrs: Vec<u64> = Vec::new();
    for _ in 0..6 {
        let previous = addrs.last().map(|addr| addr & (u64::MAX >> 9));
        let addr = tables.add(root, previous);
        addrs.push(addr);
    }
    let (memory, leaves, used) = (tables.memory, tables.leaves, tables.next - TABLES);
    let n = u64::from(upper);
    let tg = match (granule, upper) {
        (12, false) => 0,
        (14, false) => 2,
        (_, false) => 1,
        (12, true) => 2,
        (14, true) => 1,
        (_, true) => 3,
    };
    let fixed = if upper { 25 } else { 25 << 16 | 2 << 30 };
    let ps = if max { rng.pick(&[5, 5, 6, 2]) } else { rng.pick(&[2, 1, 0]) };
    let mut tcr = fixed | tsz << (16 * n) | tg << if upper { 30 } else { 14 } | ps << 32;
    let mut flag = |percent: u64, bit: u64| tcr |= if rng.chance(percent) { 1 << bit } else { 0 };
    flag(50, 37 + n);
    flag(3, if upper { 23 } else { 7 });
    if max {
        flag(50, 39);
        flag(50, 40);
        flag(20, 41 + n);
        flag(5, 55 + n);
        flag(30, 51 + n);
        tcr |= u64::from(ds) << 59;
    }
    // Normal, Device, and others.
    let mair = 0xee4f_0cbb_0444_00ff;
    let pan = max || machine.cpu == "cortex-a76";
    let pan = u64::from(pan && rng.chance(40));
    let epan = if max && rng.chance(30) { 1 << 57 } else { 0 };
    let mut words = vec![used, memory.len() as u64];
    words.extend(memory.iter().flat_map(|(at, value)| [*at, *value]));
    words.extend([tcr, root, mair, pan << 22, epan, addrs.len() as u64]);
    words.extend(&addrs);
    words.push(leaves.len() as u64);
    words.extend(&leaves);
    let what = format!(
        "TCR {tcr:#x} granule {granule} TSZ {tsz} DS {ds} PAN {pan} EPAN {epan:#x} upper {upper} {memory:x?}"
    );
    Config { words, addrs, leaves: leaves.len(), tbid: tcr >> (51 + n) & 1 != 0, what }
}

/// The program: `upper` says which half is random; `alias` is what addresses of its own have above.
fn program(machine: Machine, upper: bool, configs: &[Config]) -> String {
    let alias: u64 = if upper { 0 } else { 0xffff_ff80_0000_0000 };
    let has_pan = machine.cpu == "max" || machine.cpu == "cortex-a76";
    let (pan, pan_at) = if has_pan {
        ("msr pan, x0", ("at s1e1rp, x19", "at s1e1wp, x19"))
    } else {
        ("nop", ("at s1e1r, x19", "at s1e1w, x19"))
    };
    let (own, random) = if upper { ("ttbr0_el1", "ttbr1_el1") } else { ("ttbr1_el1", "ttbr0_el1") };
    // A host's names of EL1 registers lead to those of EL2, so the same program does there.
    let setup = if machine.el2 { "ldr x0, =0x488000000\n    msr hcr_el2, x0\n    isb" } else { "" };
    let mut text = format!(
        "
    {setup}
    .macro result insn
    mov x22, #0
    mov x23, #0
    mov x0, #0
    \\insn
    .endm
    .macro translate insn
    mov x22, #0
    \\insn
    isb
    mrs x0, par_el1
    stp x0, x22, [x21], #16
    .endm
    ldr x1, ={DATA:#x}
    ldr x2, =0xd65f03c0d65f03c0
    mov x3, #0x2000
1:  str x2, [x1], #8
    sub x3, x3, #8
    cbnz x3, 1b
    ldr x1, =0x44f00000
    mov x3, #0x1000
2:  str xzr, [x1], #8
    sub x3, x3, #8
    cbnz x3, 2b
    ldr x1, =0x44f00000
    ldr x0, =0x0040000040000401
    str x0, [x1, #8]
    msr {own}, x1
    msr {random}, x1
    ldr x0, =0xee4f0cbb044400ff
    msr mair_el1, x0
    ldr x0, =0x280190019
    msr tcr_el1, x0
    tlbi vmalle1
    dsb ish
    isb
    ldr x26, ={alias:#x}
    mrs x0, sctlr_el1
    orr x0, x0, #1
    orr x0, x0, #1<<23
    mov x27, x0
    adr x2, 3f
    orr x2, x2, x26
    msr sctlr_el1, x0
    isb
    br x2
3:  mov x18, #0
    adr x0, vectors
    msr vbar_el1, x0
    isb
    adr x20, configs
    ldr x21, =0x44000000
    orr x21, x21, x26
next_config:
    ldr x3, [x20], #8
    cmn x3, #1
    b.eq end
    ldr x1, [x20], #8
    // Tables.
    ldr x2, ={TABLES:#x}
    orr x2, x2, x26
4:  stp xzr, xzr, [x2], #16
    sub x3, x3, #16
    cbnz x3, 4b
5:  cbz x1, 6f
    ldp x2, x3, [x20], #16
    orr x2, x2, x26
    str x3, [x2]
    sub x1, x1, #1
    b 5b
6:  dsb ish
    ldp x0, x1, [x20], #16
    msr tcr_el1, x0
    msr {random}, x1
    ldp x0, x1, [x20], #16
    msr mair_el1, x0
    mov x0, x1
    {pan}
    ldp x0, x28, [x20], #16
    orr x0, x0, x27
    msr sctlr_el1, x0
    isb
    tlbi vmalle1
    dsb ish
    isb
next_addr:
    cbz x28, leaves
    sub x28, x28, #1
    ldr x19, [x20], #8
    translate \"at s1e1r, x19\"
    translate \"at s1e1w, x19\"
    translate \"at s1e0r, x19\"
    translate \"at s1e0w, x19\"
    translate \"{}\"
    translate \"{}\"
    ldr x24, =0xd65f03c0d65f03c0
    result \"ldr x0, [x19]\"
    stp x0, x22, [x21], #16
    str x23, [x21], #8
    result \"str x24, [x19]\"
    stp x22, x23, [x21], #16
    result \"ldtr x0, [x19]\"
    stp x0, x22, [x21], #16
    result \"sttr x24, [x19]\"
    stp x22, x23, [x21], #16
    mov x18, #1
    result \"blr x19\"
    mov x18, #0
    stp x22, x23, [x21], #16
    b next_addr
leaves:
    ldr x1, [x20], #8
7:  cbz x1, next_config
    ldr x2, [x20], #8
    orr x2, x2, x26
    ldr x0, [x2]
    str x0, [x21], #8
    sub x1, x1, #1
    b 7b
end:
    // Without translation again, for semihosting.
    adr x2, 8f
    ldr x0, =0x7fffffffff
    and x2, x2, x0
    and x21, x21, x0
    bic x27, x27, #1
    ldr x1, =0x44f00000
    msr ttbr0_el1, x1
    ldr x0, =0x280190019
    msr tcr_el1, x0
    tlbi vmalle1
    dsb ish
    isb
    br x2
8:  msr sctlr_el1, x27
    isb
    ldr x1, =0x44000000
    sub x0, x21, x1
    b finish
    .balign 2048
vectors:
    .rept 16
    b handler
    .balign 128
    .endr
handler:
    mrs x22, esr_el1
    mrs x23, far_el1
    mrs x1, elr_el1
    add x1, x1, #4
    // Of fetches: back to the caller.
    cmp x18, #0
    csel x1, x30, x1, ne
    msr elr_el1, x1
    eret
    .balign 16
configs:
",
        pan_at.0, pan_at.1
    );
    for word in configs.iter().flat_map(|config| &config.words) {
        writeln!(text, "    .quad {word:#x}").expect("a string takes everything");
    }
    text + "    .quad -1\n"
}

fn agree(machine: Machine, upper: bool) {
    if !peers() {
        return;
    }
    let seed = setting("MIMIC_ORACLE_SEED", 1);
    let mut rng = Rng::new(seed);
    let configs: Vec<Config> = (0..300).map(|_| config(&mut rng, machine, upper)).collect();
    let name = format!("{}-{upper}", machine.cpu);
    let program =
        Program::assemble(&support::scratch("translation"), &name, &program(machine, upper, &configs));
    let theirs = program.there(machine);
    for (how, translate_after) in [("interpreted", u32::MAX), ("translated", 0)] {
        let ours = program.here(machine, Tiers { translate_after });
        compare(&format!("{name}, {how}"), &configs, &ours, &theirs);
    }
}

fn compare(name: &str, configs: &[Config], ours: &[u64], theirs: &[u64]) {
    assert_eq!(ours.len(), theirs.len(), "{name}");
    let (mut at, mut report, mut wrong) = (0, String::new(), 0);
    let mut kinds: BTreeMap<u64, u32> = BTreeMap::new();
    for (n, config) in configs.iter().enumerate() {
        let start = wrong;
        let mut line = |report: &mut String, text: String| {
            if wrong < 40 {
                report.push_str(&text);
            }
            wrong += 1;
        };
        for addr in &config.addrs {
            for (k, what) in NAMES.iter().enumerate() {
                let (ours, theirs) = (ours[at + k], theirs[at + k]);
                if what.contains("ESR") {
                    *kinds.entry(theirs & 0x3f).or_default() += 1;
                }
                // QEMU finds code at addresses with a tag that TBID forbids, if its TLB has the page.
                let found = k >= NAMES.len() - 2
                    && theirs == 0
                    && config.tbid
                    && ((addr << 8) as i64 >> 8) as u64 != *addr;
                if ours != theirs && !found {
                    line(
                        &mut report,
                        format!("config {n}, {addr:#x}: {what}: here {ours:#x}, there {theirs:#x}\n"),
                    );
                }
            }
            at += NAMES.len();
        }
        for k in 0..config.leaves {
            let (ours, theirs) = (ours[at + k], theirs[at + k]);
            if ours != theirs {
                line(&mut report, format!("config {n}: descriptor {k}: here {ours:#x}, there {theirs:#x}\n"));
            }
        }
        at += config.leaves;
        if wrong > start && start < 3 {
            writeln!(report, "  {}", config.what).expect("a string takes everything");
        }
    }
    assert!(wrong == 0, "{name}: {wrong} differences\n{report}");
    assert!(kinds.len() >= 6, "{name}: too few kinds of faults came up: {kinds:x?}");
}

#[test]
fn cortex_a57_lower_half() {
    agree(Machine::el1("cortex-a57"), false);
}

#[test]
fn cortex_a57_upper_half() {
    agree(Machine::el1("cortex-a57"), true);
}

#[test]
fn cortex_a76_lower_half() {
    agree(Machine::el1("cortex-a76"), false);
}

#[test]
fn max_lower_half() {
    agree(Machine::el1("max"), false);
}

#[test]
fn max_upper_half() {
    agree(Machine::el1("max"), true);
}

#[test]
fn host_lower_half() {
    agree(Machine { cpu: "max", el2: true, el3: false }, false);
}

#[test]
fn host_upper_half() {
    agree(Machine { cpu: "max", el2: true, el3: false }, true);
}
