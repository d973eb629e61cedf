//! Random programs with loops, conditions, calls and computed jumps run the same interpreted and as regions, and by turns; their
//! flags travel around loops, mostly unread, to accesses that trap and to the end, as do SIMD registers of which scalar
//! operations use the lowest lane.
//!
//! `MIMIC_REGIONS` sets the number of programs.

use base::{AddressSpace, CpuLines, InstructionClock, Ticks};
use std::sync::{Arc, Mutex};
use tcg_aarch64::Aarch64;
use tcg_aarch64::cpu::Cpu;
use tcg_aarch64::esr::{class, class_of};
use tcg_aarch64::features::Features;
use tcg_aarch64::isa::ROWS;
use tcg_aarch64::sysreg::encode;
use tcg_core::run::{CodeCache, CodeConfig, Tiers, Turn, Vcpu, VcpuConfig};
use tcg_core::sem::packed;
use tcg_core::testing::{Rng, setting};
use tcg_core::ty::Ty;
use vm_memory::{Bytes, GuestAddress};

const BASE: u64 = 0x8000_0000;
const CODE_SIZE: u64 = 0x8000;
/// There is nothing before it, nor behind it.
const DATA: u64 = BASE + 0x1_0000;
const DATA_SIZE: usize = 0x1000;

/// Deepest nesting.
const DEPTH: u32 = 3;
/// Counts the turns of the loop at depth 0, the registers above it those of loops inside.
const COUNTER: u32 = 24;
/// Points to data.
const POINTER: u32 = 7;
/// With a counter as index, out of the data at some turns of the loop.
const EDGES: [(u32, u64); 2] = [(5, DATA - 16), (6, DATA + DATA_SIZE as u64 - 64)];
/// Places that a computed jump may go to.
const TARGETS: u32 = 4;
/// So many traps end a program.
const TRAPS: usize = 100;

const NZCV: u32 = encode(3, 3, 4, 2, 0) as u32;

/// Set flags, whatever they were.
const SETTERS: [&str; 12] = [
    "adds/imm", "subs/imm", "ands/imm", "adds", "subs", "ands", "bics", "adds/ext", "subs/ext", "fcmp",
    "fcmpe", "msr",
];
/// Make flags of flags.
const CHANGERS: [&str; 13] = [
    "adcs", "sbcs", "ccmp", "ccmn", "ccmp/imm", "ccmn/imm", "fccmp", "rmif", "setf8", "setf16", "cfinv",
    "axflag", "xaflag",
];
const READERS: [&str; 8] = ["csel", "csinc", "csinv", "csneg", "adc", "sbc", "fcsel", "mrs"];
const OTHERS: [&str; 13] = [
    "add",
    "sub",
    "and",
    "eor",
    "orn",
    "sub/ext",
    "madd",
    "udiv",
    "lslv",
    "asrv",
    "lsrv",
    "fcvtzs",
    "fmov/to_x",
];
/// Write a scalar and zeros above.
const SCALARS: [&str; 12] = [
    "fadd",
    "fadd",
    "fsub",
    "fmul",
    "fmul",
    "fmadd",
    "fdiv",
    "fmin",
    "fneg",
    "fcvt",
    "fmov/imm",
    "fmov/of_x",
];
/// Read or write whole vectors, or what is above the lowest lane.
const VECTORS: [&str; 9] = [
    "add/v",
    "orr/v",
    "fadd/v",
    "fmul/v",
    "ins/element",
    "ins/general",
    "fmov/top_to_x",
    "fmov/x_to_top",
    "dup/general",
];

/// How a loop counts its turns.
#[derive(Clone, Copy)]
enum Count {
    /// Down, as long as this condition holds.
    Subs(u32),
    Cbnz,
    Tbz,
    Cmp,
}

struct Maker {
    rng: Rng,
    code: Vec<u32>,
    /// Calls that wait for their function's address.
    calls: Vec<usize>,
    /// Ways out of the loops around.
    breaks: Vec<Vec<usize>>,
    budget: u32,
    /// How many of a hundred that could read older flags do.
    reads: u64,
    /// How many of a hundred that could set flags do: what seldom sets them keeps them until somebody sees them.
    sets: u64,
    /// How many of a hundred that could use whole vectors do.
    vectors: u64,
    /// The size of most scalars: 2 for words, 3 for doublewords.
    size: u32,
    /// Some accesses trap.
    traps: bool,
}

/// The word of a row with these operands, the other bits that are open as in `fill`.
fn insn(name: &str, fill: u32, operands: &[(&str, u32)]) -> u32 {
    let row = ROWS.iter().find(|row| row.name == name).expect("a row of this name");
    let word = row.value | fill & !row.mask;
    operands.iter().fold(word, |word, (operand, bits)| row.with(word, operand, *bits))
}

impl Maker {
    fn below(&mut self, limit: u64) -> u32 {
        self.rng.below(limit) as u32
    }

    /// A register that may change.
    fn register(&mut self) -> u32 {
        8 + self.below(8)
    }

    fn counter(&mut self) -> u32 {
        COUNTER + self.below(DEPTH.into())
    }

    fn source(&mut self) -> u32 {
        if self.rng.chance(15) { self.counter() } else { self.register() }
    }

    fn push(&mut self, name: &str, operands: &[(&str, u32)]) {
        self.code.push(insn(name, 0, operands));
    }

    /// One of `rows`, with any operands.
    fn any(&mut self, rows: &[&str]) {
        let name = self.rng.pick(rows);
        // What sets flags is a comparison then.
        let nowhere = SETTERS.contains(&name) && self.rng.chance(50);
        let size = self.scalar_size();
        let imm = self.below(if name.ends_with("/ext") { 5 } else { 32 });
        let operands = [
            ("rd", if nowhere { 31 } else { self.register() }),
            ("rt", self.register()),
            ("rn", self.source()),
            ("rm", self.source()),
            ("ra", self.source()),
            ("imm", imm),
            ("shift", self.below(3)),
            ("n", 0),
            ("imms", self.below(31)),
            ("ftype", size & 1),
            ("opc", !size & 1),
            ("sz", size & 1),
            ("q", 1),
            ("imm5", 8 | self.below(32)),
            ("imm4", self.below(16)),
            ("reg", NZCV),
        ];
        let fill = self.rng.bits() as u32;
        self.code.push(insn(name, fill, &operands));
    }

    fn scalar_size(&mut self) -> u32 {
        if self.rng.chance(85) { self.size } else { 2 + self.below(2) }
    }

    fn one(&mut self) {
        let (reads, sets) = (self.rng.chance(self.reads), self.rng.chance(self.sets));
        match self.below(16) {
            0..2 if reads => self.any(&CHANGERS),
            2..4 if reads => self.any(&READERS),
            0..5 if sets => self.any(&SETTERS),
            5..10 => self.access(),
            10..12 if self.rng.chance(self.vectors) => self.any(&VECTORS),
            10..13 => self.any(&SCALARS),
            _ => self.any(&OTHERS),
        }
    }

    fn access(&mut self) {
        let (size, rt, imm, rm) = (self.below(4), self.register(), self.below(64), self.counter());
        let size = if self.rng.chance(50) { self.scalar_size() } else { size };
        let (name, rn) = if self.traps && self.rng.chance(35) {
            (self.rng.pick(&["ldr/r", "str/r", "ldr/r_v", "str/r_v"]), self.rng.pick(&EDGES).0)
        } else if self.rng.chance(self.vectors / 2) {
            (self.rng.pick(&["ldr/u_q", "str/u_q"]), POINTER)
        } else {
            (self.rng.pick(&["ldr/u", "str/u", "ldr/u_v", "str/u_v"]), POINTER)
        };
        let index = [("rm", rm), ("option", 3), ("s", 1)];
        let operands = [("size", size), ("rt", rt), ("rn", rn), ("imm", imm)];
        self.push(name, &[&operands[..], &index].concat());
    }

    /// A branch whose target is not known yet: where it stands.
    fn branch(&mut self, name: &str, operands: &[(&str, u32)]) -> usize {
        self.push(name, operands);
        self.code.len() - 1
    }

    fn aim(&mut self, branch: usize, to: usize) {
        let word = self.code[branch];
        let row = ROWS.iter().find(|row| word & row.mask == row.value).expect("it was made of a row");
        let offset = 4 * (to as i32 - branch as i32);
        self.code[branch] = row.with(word, "imm", offset as u32);
    }

    fn land(&mut self, branch: usize) {
        self.aim(branch, self.code.len());
    }

    /// A branch on flags of just now or of long ago, or on a register.
    fn maybe(&mut self) -> usize {
        let (rt, sf, cond, bit) = (self.source(), self.below(2), self.below(14), self.below(64));
        let old = self.rng.chance(self.reads / 2);
        let name = self.rng.pick(&["b/cond", "b/cond", "cbz", "cbnz", "tbz", "tbnz"]);
        if name == "b/cond" && !old {
            self.any(&SETTERS);
        }
        self.branch(name, &[("rt", rt), ("sf", sf), ("cond", cond), ("bit", bit)])
    }

    /// A branch that is seldom taken.
    fn seldom(&mut self) -> usize {
        if self.rng.chance(30) {
            let rt = self.register();
            return self.branch("cbz", &[("sf", 1), ("rt", rt)]);
        }
        let (rn, sf, imm) = (self.counter(), self.below(2), self.below(12));
        self.push("subs/imm", &[("sf", sf), ("rn", rn), ("imm", imm), ("rd", 31)]);
        self.branch("b/cond", &[("cond", 0)])
    }

    /// Puts into x16 where one of the [`TARGETS`] after it begins, `4 << shift` bytes each, `behind` words behind this.
    fn choose(&mut self, behind: usize, shift: u32) {
        let (rn, mask) = (self.source(), TARGETS.trailing_zeros() - 1);
        let table = self.branch("adr", &[("rd", 16)]);
        self.aim(table, table + 3 + behind);
        self.push("and/imm", &[("sf", 1), ("n", 1), ("imms", mask), ("rn", rn), ("rd", 17)]);
        let imm = 2 + shift;
        self.push("add", &[("sf", 1), ("rm", 17), ("imm", imm), ("rn", 16), ("rd", 16)]);
    }

    /// A jump to one of several places, which come together again.
    fn switch(&mut self) {
        self.choose(1, 2);
        self.push("br", &[("rn", 16)]);
        let mut ends = Vec::new();
        for _ in 0..TARGETS {
            (0..3).for_each(|_| self.any(&OTHERS));
            ends.push(self.branch("b", &[]));
        }
        ends.into_iter().for_each(|end| self.land(end));
    }

    /// A call of one of several functions.
    fn computed_call(&mut self) {
        self.choose(2, 0);
        self.push("blr", &[("rn", 16)]);
        let over = self.branch("b", &[]);
        for _ in 0..TARGETS {
            let call = self.branch("b", &[]);
            self.calls.push(call);
        }
        self.land(over);
    }

    /// A branch over what `body` makes, or not.
    fn condition(&mut self, depth: u32) {
        let over = self.maybe();
        self.body(depth + 1);
        self.land(over);
    }

    fn turns(&mut self, depth: u32) {
        let counter = COUNTER + depth;
        let turns = 1 + self.below(12);
        // Not equal, plus, higher, greater.
        let down = Count::Subs(self.rng.pick(&[1, 1, 5, 8, 12]));
        let count = self.rng.pick(&[down, Count::Cbnz, Count::Tbz, Count::Cmp]);
        let first = match count {
            Count::Subs(_) | Count::Cbnz => turns,
            Count::Tbz => 16 - turns,
            Count::Cmp => 0,
        };
        self.push("movz", &[("sf", 1), ("rd", counter), ("imm", first)]);
        let top = self.code.len();
        self.breaks.push(Vec::new());
        self.body(depth + 1);
        if self.rng.chance(25) {
            // Another way back.
            let over = self.maybe();
            self.next_turn(count, counter, turns, top);
            let out = self.branch("b", &[]);
            self.breaks.last_mut().expect("it was just pushed").push(out);
            self.land(over);
            self.body(depth + 1);
        }
        let next = self.rng.chance(25).then(|| self.maybe());
        if next.is_some() {
            self.body(depth + 1);
        }
        next.into_iter().for_each(|branch| self.land(branch));
        self.next_turn(count, counter, turns, top);
        let out = self.breaks.pop().expect("it was pushed");
        out.into_iter().for_each(|branch| self.land(branch));
    }

    /// The end of a loop's body: back to `top`, if there are turns left.
    fn next_turn(&mut self, count: Count, counter: u32, turns: u32, top: usize) {
        let sf = self.below(2);
        let step = [("sf", sf), ("rd", counter), ("rn", counter), ("imm", 1)];
        let back = match count {
            Count::Subs(cond) => {
                self.push("subs/imm", &step);
                self.branch("b/cond", &[("cond", cond)])
            }
            Count::Cbnz => {
                self.push("sub/imm", &step);
                self.branch("cbnz", &[("sf", sf), ("rt", counter)])
            }
            Count::Tbz => {
                self.push("add/imm", &step);
                self.branch("tbz", &[("bit", 4), ("rt", counter)])
            }
            Count::Cmp => {
                self.push("add/imm", &step);
                self.push("subs/imm", &[("sf", sf), ("rd", 31), ("rn", counter), ("imm", turns)]);
                // Not equal, lower, less.
                let cond = self.rng.pick(&[1, 3, 11]);
                self.branch("b/cond", &[("cond", cond)])
            }
        };
        self.aim(back, top);
    }

    fn body(&mut self, depth: u32) {
        for _ in 0..1 + self.below(4) {
            (0..self.below(5)).for_each(|_| self.one());
            self.budget = self.budget.saturating_sub(1);
            match self.below(11) {
                0..2 if depth < DEPTH && self.budget > 0 => self.condition(depth),
                2..5 if depth < DEPTH && self.budget > 0 => self.turns(depth),
                5 => {
                    let call = self.branch("bl", &[]);
                    self.calls.push(call);
                }
                6 if self.rng.chance(30) => {
                    let (around, branch) = (self.breaks.len() as u64, self.seldom());
                    let out = self.below(around) as usize;
                    self.breaks[out].push(branch);
                }
                7 => self.switch(),
                8 => self.computed_call(),
                _ => self.one(),
            }
        }
    }

    fn function(&mut self) {
        (0..1 + self.below(4)).for_each(|_| self.one());
        let over = self.maybe();
        self.one();
        self.land(over);
        self.push("ret", &[("rn", 30)]);
    }

    fn program(seed: u64) -> Vec<u32> {
        let mut rng = Rng::new(seed);
        let (reads, sets) = (rng.pick(&[0, 0, 5, 40]), rng.pick(&[5, 30, 100]));
        let (vectors, size) = (rng.pick(&[0, 0, 5, 40]), rng.pick(&[2, 3, 3]));
        let (calls, breaks, traps) = (Vec::new(), Vec::new(), seed.is_multiple_of(3));
        let mut maker =
            Self { rng, code: Vec::new(), calls, breaks, budget: 30, reads, sets, vectors, size, traps };
        maker.turns(0);
        maker.push("svc", &[]);
        for last in [false, false, true] {
            let function = maker.code.len();
            maker.function();
            for call in std::mem::take(&mut maker.calls) {
                if last || maker.rng.chance(50) {
                    maker.aim(call, function);
                } else {
                    maker.calls.push(call);
                }
            }
        }
        maker.code
    }
}

/// What a program sees of the PE.
#[derive(PartialEq, Eq, Debug)]
struct State {
    /// Instructions so far, if they are counted.
    count: Option<u64>,
    pc: u64,
    x: [u64; 31],
    v: [u128; 32],
    flags: u64,
    fp_flags: u32,
}

/// At each trap and each end.
type States = Arc<Mutex<Vec<State>>>;

fn note(states: &States, vcpu: &Vcpu<Aarch64>) {
    let cpu = vcpu.cpu();
    let (count, pc, fp_flags) = (cpu.head.ticks().map(Ticks::count), cpu.head.pc, cpu.head.fp_flags);
    let state = State { count, pc, x: cpu.x, v: cpu.v, flags: cpu.flags, fp_flags };
    states.lock().expect("nobody panics").push(state);
}

/// A PE before its program, and where its states at traps will be.
fn prepare(seed: u64, code: &[u32], after: u32, cache: CodeConfig) -> (Vcpu<Aarch64>, States) {
    let ram = base::allocate_ram(&[(BASE, CODE_SIZE), (DATA, DATA_SIZE as u64)]).expect("little memory");
    let space = Arc::new(AddressSpace::new(ram));
    let bytes: Vec<u8> = code.iter().flat_map(|word| word.to_le_bytes()).collect();
    space.ram().write_slice(&bytes, GuestAddress(BASE)).expect("it fits");
    let mut rng = Rng::new(seed);
    let data: Vec<u8> = (0..DATA_SIZE).map(|_| rng.bits() as u8).collect();
    space.ram().write_slice(&data, GuestAddress(DATA)).expect("it fits");
    let mut cpu = Cpu::new(Features::max());
    cpu.head.pc = BASE;
    for n in 8..16 {
        let ty = rng.pick(&[Ty::F32, Ty::F64]);
        let above = if rng.chance(70) { u128::from(rng.bits()) << ty.bits() } else { 0 };
        (cpu.x[n], cpu.v[n]) = (rng.value(Ty::I64), above | u128::from(rng.value(ty)));
    }
    cpu.x[POINTER as usize] = DATA;
    EDGES.iter().for_each(|(register, at)| cpu.x[*register as usize] = *at);
    cpu.flags = rng.bits() & packed::ALL;
    let code = CodeCache::new(space, cache).expect("code memory");
    let config = VcpuConfig { tiers: Tiers { translate_after: after }, ..VcpuConfig::default() };
    let mut vcpu = Vcpu::<Aarch64>::new(cpu, Arc::new(CpuLines::default()), &code, config);
    let states = States::default();
    let (traps, mut left) = (states.clone(), TRAPS);
    vcpu.set_trap_hook(Box::new(move |vcpu, trap| {
        note(&traps, vcpu);
        let class = class_of(trap.code);
        assert!([class::SVC, class::DATA_ABORT].contains(&class), "program {seed}: {trap:x?}");
        left -= 1;
        if class == class::SVC || left == 0 {
            vcpu.handle().stop();
        }
        vcpu.cpu_mut().head.pc += 4;
        true
    }));
    (vcpu, states)
}

/// The states, and the data at the end.
type Seen = (Vec<State>, Vec<u8>);

fn seen(vcpu: &Vcpu<Aarch64>, states: &States) -> Seen {
    let mut data = vec![0; DATA_SIZE];
    vcpu.space().ram().read_slice(&mut data, GuestAddress(DATA)).expect("it is there");
    (std::mem::take(&mut *states.lock().expect("nobody panics")), data)
}

fn same(ours: &Seen, truth: &Seen, how: &str) {
    let differs = ours.0.iter().zip(&truth.0).find(|(a, b)| a != b);
    assert!(differs.is_none(), "{how}: {differs:x?}");
    assert_eq!(ours.0.len(), truth.0.len(), "{how}");
    assert!(ours.1 == truth.1, "{how}: data differ");
}

fn run(seed: u64, code: &[u32], after: u32, cache: CodeConfig) -> (Seen, u64) {
    let (mut vcpu, states) = prepare(seed, code, after, cache);
    vcpu.run();
    (seen(&vcpu, &states), vcpu.code().stats().regions)
}

#[test]
fn loops_end_the_same_interpreted_and_as_regions() {
    let count = setting("MIMIC_REGIONS", 500);
    let (mut regions, mut traps) = (0, 0);
    for seed in 0..count {
        let code = Maker::program(seed);
        let (truth, _) = run(seed, &code, u32::MAX, CodeConfig::default());
        traps += truth.0.len() as u64 - 1;
        for (hot_after, random_registers, background) in
            [(0, None, false), (3, None, false), (1, Some(seed), false), (0, None, true)]
        {
            let cache = CodeConfig { hot_after, random_registers, background, ..CodeConfig::default() };
            let (ours, made) = run(seed, &code, 0, cache);
            same(&ours, &truth, &format!("program {seed}, hot after {hot_after}, background {background}"));
            regions += made;
        }
    }
    assert!(regions > count && traps > count, "{regions} regions and {traps} traps in {count} programs");
}

/// Runs by turns of random length.
fn by_turns(seed: u64, code: &[u32], after: u32, cache: CodeConfig) -> Seen {
    let clock = InstructionClock::new(4);
    let (mut vcpu, states) = prepare(seed, code, after, CodeConfig { turns: Some(clock.clone()), ..cache });
    let ticks = clock.ticks();
    let mut rng = Rng::new(seed);
    loop {
        let bits = rng.below(12);
        let end = ticks.count() + 1 + rng.below(1 << bits);
        ticks.set_limit(end);
        let turn = vcpu.take_turn();
        note(&states, &vcpu);
        match turn {
            Turn::Spent => assert_eq!(ticks.count(), end, "program {seed}: it ends exactly there"),
            Turn::Stopped => return seen(&vcpu, &states),
            other => panic!("program {seed}: {other:?}"),
        }
    }
}

#[test]
fn turns_end_at_the_same_instruction_however_code_runs() {
    let mut turns = 0;
    for seed in 0..180 {
        let code = Maker::program(seed);
        let truth = by_turns(seed, &code, u32::MAX, CodeConfig::default());
        turns += truth.0.len();
        for (after, hot_after, random_registers) in
            [(0, u32::MAX, None), (0, 0, Some(seed)), (3, 2, None), (0, 5, None)]
        {
            let cache = CodeConfig { hot_after, random_registers, ..CodeConfig::default() };
            let ours = by_turns(seed, &code, after, cache);
            same(&ours, &truth, &format!("program {seed}, after {after}, hot after {hot_after}"));
        }
    }
    assert!(turns > 4000, "{turns} ends of turns and traps");
}
