//! Random programs with loops, conditions and calls run the same interpreted and as regions, and by turns.

mod support;

use base::{CpuLines, InstructionClock, TimeBase};
use std::sync::Arc;
use support::bare::{DATA, addi, csr, insn, stop_at_ecall, vcpu_in};
use tcg_core::run::{CodeConfig, Tiers, Turn, Vcpu, VcpuConfig};
use tcg_core::testing::Rng;
use tcg_riscv::Riscv;
use vm_memory::{Bytes, GuestAddress};

/// Deepest nesting.
const DEPTH: u32 = 3;
/// Counts the turns of the loop at depth 0, the registers above it those of loops inside.
const COUNTER: u32 = 28;
/// Points to data.
const POINTER: u32 = 7;
const LINK: u32 = 1;

const INTEGER: [&str; 18] = [
    "add", "sub", "addw", "subw", "sll", "srl", "sra", "slt", "sltu", "xor", "or", "and", "mul", "mulh",
    "divu", "rem", "sh1add", "max",
];
const FLOAT: [&str; 9] =
    ["fadd.d", "fsub.d", "fmul.d", "fdiv.d", "fadd.s", "fmul.s", "fmin.d", "fsgnjn.d", "fcvt.d.s"];

struct Maker {
    rng: Rng,
    code: Vec<u32>,
    /// Calls that wait for their function's address.
    calls: Vec<usize>,
    budget: u32,
    /// Counters are read, and set.
    counters: bool,
}

impl Maker {
    /// A register that may change.
    fn register(&mut self) -> u32 {
        8 + self.rng.below(16) as u32
    }

    fn one(&mut self) {
        let (rd, rs1, rs2) = (self.register(), self.register(), self.register());
        let operands = [("rd", rd), ("rs1", rs1), ("rs2", rs2)];
        let offset = 8 * self.rng.below(64) as u32;
        let word = match self.rng.below(12) {
            0 if self.counters => {
                let number = self.rng.pick(&[0xc00, 0xc01, 0xc02, 0xb00, 0xb02, 0x344, 0x003]);
                let name = if number >> 8 == 0xc { "csrrs" } else { self.rng.pick(&["csrrs", "csrrc"]) };
                csr(name, number, rd, if self.rng.below(3) > 0 || number >> 8 == 0xc { 0 } else { rs1 })
            }
            0..5 => insn(self.rng.pick(&INTEGER), &operands),
            5 => addi(rd, rs1, self.rng.below(4096) as i32 - 2048),
            6 => insn(self.rng.pick(&["ld", "lw", "lbu"]), &[("rd", rd), ("rs1", POINTER), ("imm", offset)]),
            7 => insn(self.rng.pick(&["sd", "sh"]), &[("rs2", rs2), ("rs1", POINTER), ("imm", offset)]),
            8 => insn(self.rng.pick(&["fld", "flw"]), &[("rd", rd), ("rs1", POINTER), ("imm", offset)]),
            9 => insn(self.rng.pick(&["fsd", "fsw"]), &[("rs2", rs2), ("rs1", POINTER), ("imm", offset)]),
            _ => {
                let name = self.rng.pick(&FLOAT);
                let no_second = name.starts_with("fcvt");
                insn(name, if no_second { &operands[..2] } else { &operands })
            }
        };
        self.code.push(word);
    }

    /// A branch over what `body` makes, or not.
    fn condition(&mut self, depth: u32) {
        let at = self.code.len();
        self.code.push(0);
        self.body(depth + 1);
        let offset = 4 * (self.code.len() - at) as u32;
        let name = self.rng.pick(&["beq", "bne", "blt", "bgeu"]);
        let (rs1, rs2) = (self.register(), self.register());
        self.code[at] = insn(name, &[("rs1", rs1), ("rs2", rs2), ("imm", offset)]);
    }

    fn turns(&mut self, depth: u32) {
        let counter = COUNTER + depth;
        self.code.push(addi(counter, 0, 1 + self.rng.below(12) as i32));
        let at = self.code.len();
        self.body(depth + 1);
        self.code.push(addi(counter, counter, -1));
        let offset = (4 * at as i32 - 4 * self.code.len() as i32) as u32;
        self.code.push(insn("bne", &[("rs1", counter), ("imm", offset)]));
    }

    fn body(&mut self, depth: u32) {
        for _ in 0..1 + self.rng.below(4) {
            for _ in 0..self.rng.below(5) {
                self.one();
            }
            self.budget = self.budget.saturating_sub(1);
            match self.rng.below(8) {
                0..2 if depth < DEPTH && self.budget > 0 => self.condition(depth),
                2..5 if depth < DEPTH && self.budget > 0 => self.turns(depth),
                5 => {
                    self.calls.push(self.code.len());
                    self.code.push(0);
                }
                _ => self.one(),
            }
        }
    }

    fn program(seed: u64, counters: bool) -> Vec<u32> {
        let mut maker =
            Self { rng: Rng::new(seed), code: Vec::new(), calls: Vec::new(), budget: 30, counters };
        maker.turns(0);
        maker.code.push(insn("ecall", &[]));
        for _ in 0..3 {
            let function = maker.code.len();
            (0..2 + maker.rng.below(4)).for_each(|_| maker.one());
            maker.code.push(insn("jalr", &[("rs1", LINK)]));
            let calls = std::mem::take(&mut maker.calls);
            for call in calls {
                if maker.rng.below(2) == 0 {
                    let offset = 4 * (function - call) as u32;
                    maker.code[call] = insn("jal", &[("rd", LINK), ("imm", offset)]);
                } else {
                    maker.calls.push(call);
                }
            }
        }
        for call in maker.calls {
            maker.code[call] = addi(0, 0, 0);
        }
        maker.code
    }
}

/// Registers, float registers, flags and data at the end.
#[derive(PartialEq, Eq, Debug)]
struct End {
    x: [u64; 32],
    f: [u64; 32],
    flags: u32,
    data: Vec<u8>,
}

fn prepare(seed: u64, code: &[u32], after: u32, cache: CodeConfig) -> Vcpu<Riscv> {
    let config = VcpuConfig { tiers: Tiers { translate_after: after }, ..VcpuConfig::default() };
    let mut cpu = vcpu_in("max", code, config, cache);
    let mut rng = Rng::new(seed);
    let data: Vec<u8> = (0..1024).map(|_| rng.bits() as u8).collect();
    cpu.space().ram().write_slice(&data, GuestAddress(DATA)).expect("it fits");
    let hart = cpu.cpu_mut();
    (8..24).for_each(|n| hart.x[n] = rng.bits());
    (8..24).for_each(|n| hart.f[n] = rng.pick(&[1.5f64, -0.0, 3.25e300, f64::INFINITY, 7e-310]).to_bits());
    hart.x[POINTER as usize] = DATA;
    stop_at_ecall(&mut cpu);
    cpu
}

fn run(seed: u64, code: &[u32], after: u32, cache: CodeConfig) -> (End, Vcpu<Riscv>) {
    let mut cpu = prepare(seed, code, after, cache);
    cpu.run();
    let mut data = vec![0; 1024];
    cpu.space().ram().read_slice(&mut data, GuestAddress(DATA)).expect("it is there");
    let hart = cpu.cpu();
    (End { x: hart.x, f: hart.f, flags: hart.head.fp_flags, data }, cpu)
}

#[test]
fn loops_end_the_same_interpreted_and_as_regions() {
    let count = std::env::var("MIMIC_REGIONS").ok().and_then(|n| n.parse().ok()).unwrap_or(300);
    let mut regions = 0;
    for seed in 0..count {
        let code = Maker::program(seed, false);
        let (truth, _) = run(seed, &code, u32::MAX, CodeConfig::default());
        for (hot_after, random_registers, background) in
            [(0, None, false), (3, None, false), (1, Some(seed), false), (0, None, true)]
        {
            let cache = CodeConfig { hot_after, random_registers, background, ..CodeConfig::default() };
            let (end, cpu) = run(seed, &code, 0, cache);
            assert_eq!(end, truth, "program {seed}, hot after {hot_after}, background {background}");
            regions += cpu.code().stats().regions;
        }
    }
    assert!(regions > count, "{regions} regions in {count} programs");
}

/// Where a turn ended: the count, the next instruction, and the registers.
type TurnEnd = (u64, u64, [u64; 32], [u64; 32]);

/// Runs by turns of random length, with timers that fire in the middle of some.
fn by_turns(seed: u64, code: &[u32], after: u32, cache: CodeConfig) -> Vec<TurnEnd> {
    let clock = InstructionClock::new(4);
    let mut cpu = prepare(seed, code, after, CodeConfig { turns: Some(clock.clone()), ..cache });
    let time = TimeBase::new(clock.clone(), 100_000_000);
    cpu.cpu_mut().csr.wire(time, Arc::<CpuLines>::default());
    let ticks = clock.ticks();
    let mut rng = Rng::new(seed);
    let mut ends = Vec::new();
    loop {
        let bits = rng.below(12);
        let end = ticks.count() + 1 + rng.below(1 << bits);
        ticks.set_limit(end);
        let turn = cpu.take_turn();
        let hart = cpu.cpu();
        ends.push((ticks.count(), hart.head.pc, hart.x, hart.f));
        match turn {
            Turn::Spent => {
                assert_eq!(ticks.count(), end, "program {seed}, after {after}: it ends exactly there")
            }
            Turn::Stopped => return ends,
            other => panic!("program {seed}: {other:?}"),
        }
    }
}

#[test]
fn turns_end_at_the_same_instruction_however_code_runs() {
    let mut turns = 0;
    for seed in 0..150 {
        let code = Maker::program(seed, true);
        let truth = by_turns(seed, &code, u32::MAX, CodeConfig::default());
        turns += truth.len();
        for (after, hot_after, random_registers) in
            [(0, u32::MAX, None), (0, 0, Some(seed)), (3, 2, None), (0, 5, None)]
        {
            let cache = CodeConfig { hot_after, random_registers, ..CodeConfig::default() };
            let ends = by_turns(seed, &code, after, cache);
            let differs = ends.iter().zip(&truth).position(|(a, b)| a != b);
            assert_eq!(
                (differs, ends.len()),
                (None, truth.len()),
                "program {seed}, after {after}, hot {hot_after}"
            );
        }
    }
    assert!(turns > 2000, "{turns} turns");
}
