//! Random instructions of every row: interpreter, evaluator and generated code agree on registers, system registers, flags
//! and memory.
//!
//! `MIMIC_TRIANGLE_BLOCKS` sets the number of blocks a family, `MIMIC_TRIANGLE_SEED` the first one.

use tcg_aarch64::Aarch64;
use tcg_aarch64::cpu::Cpu;
use tcg_aarch64::features::{Ext, Features};
use tcg_aarch64::isa::{ROWS, Row};
use tcg_aarch64::sysreg::{System, encode, fpcr};
use tcg_core::sem::packed;
use tcg_core::testing::Rng;
use tcg_core::testing::triangle::{Family, Source, agree};

const RAM: u64 = 0x8000_0000;
const RAM_SIZE: u64 = 0x4000;

/// System registers that random instructions read and write: their values depend on nothing but the program.
const REGISTERS: [u16; 10] = [
    encode(3, 3, 4, 2, 0),
    encode(3, 3, 4, 2, 0),
    encode(3, 3, 4, 4, 0),
    encode(3, 3, 4, 4, 1),
    encode(3, 3, 4, 2, 5),
    encode(3, 3, 13, 0, 2),
    encode(3, 3, 13, 0, 3),
    encode(3, 0, 0, 4, 0),
    encode(3, 3, 0, 0, 7),
    encode(3, 0, 1, 0, 0),
];

/// Instructions mostly of one extension.
struct Insns(Family<Ext, Row>);

impl Source for Insns {
    type Guest = Aarch64;

    fn cpu(&self) -> Cpu {
        Cpu::new(Features::max())
    }

    fn ram(&self) -> (u64, u64) {
        (RAM, RAM_SIZE)
    }

    fn insn(&self, rng: &mut Rng) -> Vec<u8> {
        loop {
            let row = self.0.pick(rng);
            let Some(mut word) = row.encode(rng.bits() as u32) else { continue };
            if matches!(row.name, "mrs" | "msr") {
                word = row.with(word, "reg", rng.pick(&REGISTERS).into());
            }
            // Offsets keep the many addresses near the one register that is pointed somewhere.
            if row.has("rn") && row.has("imm") && row.value >> 27 & 1 == 1 && rng.chance(50) {
                word = row.with(word, "imm", rng.below(8) as u32);
            }
            if row.encode(word) == Some(word) {
                return word.to_le_bytes().to_vec();
            }
        }
    }

    fn prepare(&self, cpu: &mut Cpu, rng: &mut Rng) {
        cpu.system = System::new(Features::max());
        cpu.system.keys = std::array::from_fn(|n| [n as u64 * 7 + 1, n as u64 * 11 + 2]);
        cpu.flags = rng.bits() & packed::ALL;
        let rounding = rng.pick(&[0, 0, 0, 1, 2, 3]) << fpcr::RMODE_SHIFT;
        let rest = if rng.chance(50) {
            0
        } else {
            rng.bits() & (fpcr::FZ | fpcr::DN | fpcr::FZ16 | fpcr::AHP | fpcr::EBF)
        };
        cpu.system.fpcr = rounding | rest;
        for n in 0..32 {
            let low = match rng.below(4) {
                0 => rng.value(tcg_core::ty::Ty::F32),
                1 => rng.value(tcg_core::ty::Ty::F16),
                2 => rng.value(tcg_core::ty::Ty::F64),
                _ => continue,
            };
            cpu.v[n] = cpu.v[n] >> 64 << 64 | u128::from(low);
        }
        // Sizes of memory copies, and something that is reserved now and then.
        for n in 0..31 {
            if rng.chance(20) {
                cpu.x[n] = rng.below(64).wrapping_sub(32);
            }
        }
    }

    fn difference(&self, a: &Cpu, b: &Cpu) -> Option<String> {
        let state = |cpu: &Cpu| {
            let system = &cpu.system;
            (system.fpcr, system.fpsr, system.dit, system.ssbs, system.stored)
        };
        (state(a) != state(b)).then(|| format!("system {:x?} and {:x?}\n", state(a), state(b)))
    }
}

#[test]
fn interpreter_evaluator_and_generated_code_agree() {
    let families = Family::of(ROWS, |row| row.extensions);
    assert!(families.len() > 10, "{} families", families.len());
    agree(families.into_iter().map(|family| (format!("{:?}", family.ext), Insns(family))));
}
