//! Random instructions of every row: interpreter, evaluator and generated code agree on registers, CSRs, flags and
//! memory.
//!
//! `MIMIC_TRIANGLE_BLOCKS` sets the number of blocks a family, `MIMIC_TRIANGLE_SEED` the first one.

use tcg_core::cpu::CpuHeader;
use tcg_core::testing::Rng;
use tcg_core::testing::triangle::{Family, Source, agree};
use tcg_riscv::Riscv;
use tcg_riscv::cpu::Hart;
use tcg_riscv::csr::Csrs;
use tcg_riscv::csr::bits::mstatus;
use tcg_riscv::features::{Ext, Features};
use tcg_riscv::isa::{ROWS, Row};

const RAM: u64 = 0x8000_0000;
const RAM_SIZE: u64 = 0x4000;

/// CSRs that random instructions read and write: their values depend on nothing but the program, and what the TLB
/// keeps depends on them only as its contexts say.
const CSRS: [u32; 20] = [
    0x001, 0x002, 0x003, 0x100, 0x104, 0x105, 0x140, 0x141, 0x300, 0x301, 0x304, 0x305, 0x340, 0x341, 0x342,
    0x7c0, 0x320, 0xb02, 0xb02, 0xc02,
];

/// Instructions mostly of one extension.
struct Insns(Family<Ext, Row>);

impl Source for Insns {
    type Guest = Riscv;

    fn cpu(&self) -> Hart {
        Hart {
            head: CpuHeader::new(),
            x: [0; 32],
            f: [0; 32],
            v: Default::default(),
            reservation: u64::MAX,
            reserved_value: 0,
            csr: Csrs::new(Features::max(), 0),
        }
    }

    fn ram(&self) -> (u64, u64) {
        (RAM, RAM_SIZE)
    }

    fn insn(&self, rng: &mut Rng) -> Vec<u8> {
        loop {
            let row = self.0.pick(rng);
            let Some(mut word) = row.encode(rng.bits() as u32) else { continue };
            word = row.with(word, "csr", rng.pick(&CSRS));
            if row.has("rm") && rng.chance(80) {
                word = row.with(word, "rm", rng.pick(&[0, 1, 2, 3, 4, 7, 7, 7]));
            }
            // Offsets keep the many addresses near the one register that is pointed somewhere.
            if row.has("rs1") && row.has("imm") && rng.chance(50) {
                word = row.with(word, "imm", rng.below(64) as u32 * 8);
            }
            if row.encode(word) == Some(word) {
                return word.to_le_bytes()[..row.width as usize / 8].to_vec();
            }
        }
    }

    fn prepare(&self, cpu: &mut Hart, rng: &mut Rng) {
        let model = rng.pick(&["max", "max", "max,vlen=256", "max,vlen=512", "max,vlen=1024"]);
        cpu.csr = Csrs::new(Features::parse(model).expect("a model"), 0);
        cpu.csr.mstatus |= rng.pick(&[1, 2, 3, 3, 3]) << mstatus::FS_SHIFT;
        cpu.csr.mstatus |= rng.pick(&[1, 2, 3, 3]) << mstatus::VS_SHIFT;
        let vtype = rng.below(4) << 3 | rng.pick(&[0, 0, 1, 2, 3, 7]);
        let max = tcg_riscv::vector::vlmax(vtype, &cpu.csr.features);
        if max != 0 {
            cpu.csr.vector.vtype = vtype;
            cpu.csr.vector.vl = if rng.chance(70) { max } else { rng.below(max + 1) };
        }
        (cpu.csr.vector.vxrm, cpu.csr.vector.vxsat) = (rng.below(4), rng.below(2));
        cpu.csr.frm = rng.pick(&[0, 0, 0, 1, 2, 3, 4, 5]);
        if rng.chance(50) {
            cpu.count_instructions();
        }
        cpu.x[0] = 0;
        for f in &mut cpu.f {
            *f = match rng.below(4) {
                0 | 1 => rng.value(tcg_core::ty::Ty::F32) | 0xffff_ffff << 32,
                2 => rng.bits() | !0xffff,
                _ => *f,
            };
        }
    }

    fn difference(&self, a: &Hart, b: &Hart) -> Option<String> {
        let state = |hart: &Hart| {
            let csr = &hart.csr;
            let machine = [csr.mstatus, csr.mie, csr.mtvec, csr.mscratch, csr.mepc, csr.mcause, csr.mtval];
            let supervisor = [csr.stvec, csr.sscratch, csr.sepc, csr.scause, csr.stval, csr.satp, csr.frm];
            (csr.privilege, machine, supervisor, csr.vector)
        };
        (state(a) != state(b)).then(|| format!("CSRs {:x?} and {:x?}\n", state(a), state(b)))
    }
}

#[test]
fn interpreter_evaluator_and_generated_code_agree() {
    let families = Family::of(ROWS, |row| row.extensions);
    assert!(families.len() > 10, "{} families", families.len());
    agree(families.into_iter().map(|family| (format!("{:?}", family.ext), Insns(family))));
}
