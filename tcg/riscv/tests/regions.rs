//! Random programs with loops, conditions and calls run the same interpreted and as regions.

mod support;

use support::bare::{DATA, addi, insn, stop_at_ecall, vcpu_in};
use tcg_core::run::{CodeConfig, Tiers, Vcpu, VcpuConfig};
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

    fn program(seed: u64) -> Vec<u32> {
        let mut maker = Self { rng: Rng::new(seed), code: Vec::new(), calls: Vec::new(), budget: 30 };
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

fn run(seed: u64, code: &[u32], after: u32, cache: CodeConfig) -> (End, Vcpu<Riscv>) {
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
        let code = Maker::program(seed);
        let (truth, _) = run(seed, &code, u32::MAX, CodeConfig::default());
        for (hot_after, random_registers) in [(0, None), (3, None), (1, Some(seed))] {
            let cache = CodeConfig { hot_after, random_registers, ..CodeConfig::default() };
            let (end, cpu) = run(seed, &code, 0, cache);
            assert_eq!(end, truth, "program {seed}, hot after {hot_after}");
            regions += cpu.code().stats().regions;
        }
    }
    assert!(regions > count, "{regions} regions in {count} programs");
}
