//! Strip-mined loops, whose length and types of vectors change on the way: alike interpreted, translated, and as regions,
//! for every width of registers.

mod support;

use support::bare::{DATA, TIERS, addi, back_unless_zero, insn, run_to_ecall, stop_at_ecall, vcpu_with};
use tcg_core::run::{Tiers, Vcpu, VcpuConfig};
use tcg_riscv::Riscv;
use tcg_riscv::csr::bits::mstatus;
use vm_memory::{Bytes, GuestAddress};

const MODELS: [&str; 4] = ["max", "max,vlen=256", "max,vlen=512", "max,vlen=1024"];

// SEW, LMUL and policies of `vtype`.
const E8: u32 = 0;
const E16: u32 = 1 << 3;
const E32: u32 = 2 << 3;
const M2: u32 = 1;
const M4: u32 = 2;
const M8: u32 = 3;
const TA: u32 = 1 << 6;

// Length, pointers, rounds of the outer loop.
const N: u32 = 10;
const A: u32 = 11;
const B: u32 = 12;
const SUM: u32 = 13;
const ROUNDS: u32 = 14;

fn vset(rd: u32, rs1: u32, vtype: u32) -> u32 {
    insn("vsetvli", &[("rd", rd), ("rs1", rs1), ("vtype", vtype)])
}

fn add(rd: u32, rs2: u32) -> u32 {
    insn("add", &[("rd", rd), ("rs1", rd), ("rs2", rs2)])
}

/// The sum of the products of `n` bytes with sign at x21 and x22, over and over.
fn dot_product(n: i32) -> Vec<u32> {
    let load = |vd, rs1| insn("vl/unit8", &[("vd", vd), ("rs1", rs1), ("vm", 1)]);
    let inner = [
        vset(5, N, E8 | M2 | TA),
        load(0, A),
        load(2, B),
        insn("sub", &[("rd", N), ("rs1", N), ("rs2", 5)]),
        add(A, 5),
        add(B, 5),
        insn("vwmul.vv", &[("vd", 4), ("vs2", 0), ("vs1", 2), ("vm", 1)]),
        vset(0, 0, E16 | M4),
        insn("vwadd.wv", &[("vd", 8), ("vs2", 8), ("vs1", 4), ("vm", 1)]),
    ];
    let mut code = vec![
        addi(N, 0, n),
        addi(A, 21, 0),
        addi(B, 22, 0),
        vset(5, 0, E32 | M8 | TA),
        insn("vmv.v.i", &[("vd", 8)]),
    ];
    let to_inner = -4 * inner.len() as i32;
    code.extend(inner);
    code.push(back_unless_zero(N, to_inner));
    code.extend([
        vset(5, 0, E32 | M8 | TA),
        insn("vmv.s.x", &[("vd", 0)]),
        insn("vredsum.vs", &[("vd", 0), ("vs2", 8), ("vs1", 0), ("vm", 1)]),
        insn("vmv.x.s", &[("rd", SUM), ("vs2", 0)]),
        addi(ROUNDS, ROUNDS, -1),
    ]);
    let to_start = -4 * code.len() as i32;
    code.push(back_unless_zero(ROUNDS, to_start));
    code.push(insn("ecall", &[]));
    code
}

#[test]
fn a_dot_product_of_any_length() {
    let bytes: Vec<i8> = (0..2048).map(|n: i32| (n * 37 + (n >> 3)) as i8).collect();
    for (model, n) in MODELS.into_iter().flat_map(|model| [1, 31, 64, 255, 1000].map(|n| (model, n))) {
        let products = (0..n as usize).map(|i| i32::from(bytes[i]) * i32::from(bytes[1024 + i]));
        let expected = products.sum::<i32>() as i64 as u64;
        for translate_after in TIERS {
            let config = VcpuConfig { tiers: Tiers { translate_after }, ..VcpuConfig::default() };
            let mut cpu = vcpu_with(model, &dot_product(n), config);
            let raw: Vec<u8> = bytes.iter().map(|byte| *byte as u8).collect();
            cpu.space().ram().write_slice(&raw, GuestAddress(DATA)).expect("it fits");
            let hart = cpu.cpu_mut();
            hart.csr.mstatus |= mstatus::VS;
            // Often enough for the loops to become a region.
            (hart.x[21], hart.x[22], hart.x[ROUNDS as usize]) = (DATA, DATA + 1024, 3000);
            stop_at_ecall(&mut cpu);
            cpu.run();
            assert_eq!(cpu.cpu().x[SUM as usize], expected, "{model}, {n} bytes, after {translate_after}");
        }
    }
}

/// The same code is reached with bytes first, then with words from a block that began with bytes.
#[test]
fn a_jump_takes_its_mode_with_it() {
    let set = |avl, vtype| insn("vsetivli", &[("avl", avl), ("vtype", vtype)]);
    let jump = |offset| insn("jal", &[("imm", offset)]);
    let code = [
        set(4, E32 | TA),
        addi(5, 0, 255),
        insn("vmv.v.x", &[("vd", 1), ("rs1", 5)]),
        set(16, E8 | TA),
        jump(16),
        set(16, E8 | TA),
        set(4, E32 | TA),
        jump(4),
        insn("vadd.vi", &[("vd", 2), ("vs2", 1), ("imm", 1), ("vm", 1)]),
        addi(ROUNDS, ROUNDS, -1),
        back_unless_zero(ROUNDS, -20),
        insn("ecall", &[]),
    ];
    for translate_after in TIERS {
        let config = VcpuConfig { tiers: Tiers { translate_after }, ..VcpuConfig::default() };
        let mut cpu = vcpu_with("max", &code, config);
        cpu.cpu_mut().csr.mstatus |= mstatus::VS;
        cpu.cpu_mut().x[ROUNDS as usize] = 2;
        stop_at_ecall(&mut cpu);
        cpu.run();
        assert_eq!(cpu.cpu().v.bytes()[32..36], [0, 1, 0, 0], "after {translate_after}");
    }
}

/// Where each tier is after `word` under `vtype` with `vl` as great as can be, at an `ecall` behind it or in the trap handler.
fn ends(word: u32, vtype: u32, prepare: impl Fn(&mut tcg_riscv::cpu::Hart)) -> Vec<Vcpu<Riscv>> {
    let code = [vset(5, 0, vtype), word, insn("ecall", &[])];
    TIERS.map(|after| run_to_ecall(&code, &[insn("ecall", &[])], after, &prepare)).into()
}

/// As QEMU has it, where the architecture reserves the encoding.
#[test]
fn where_the_mask_may_be_an_operand_as_well() {
    let store = |row: &'static str, others: &[(&str, u32)]| {
        insn(row, &[&[("rs1", 7), ("vm", 0), ("vd", 0)], others].concat())
    };
    let rows = [
        (true, E32, store("vs/unit", &[("w", 2)])),
        (true, E32, store("vs/unit", &[("w", 2), ("nf", 1)])),
        (true, E32, store("vss/w", &[("w", 2), ("rs2", 6)])),
        (false, E32, store("vsux/w", &[("w", 2), ("vs2", 8)])),
        (false, E32, insn("vl/unit", &[("rs1", 7), ("w", 2)])),
        (false, E32, insn("vls/w", &[("rs1", 7), ("w", 2)])),
        (true, E32, insn("vadc.vvm", &[("vd", 8), ("vs2", 0), ("vs1", 9)])),
        (true, E32, insn("vsbc.vvm", &[("vd", 8), ("vs2", 9), ("vs1", 0)])),
        (false, E32, insn("vadc.vvm", &[("vd", 0), ("vs2", 8), ("vs1", 9)])),
        (false, E32, insn("vmerge.vvm", &[("vd", 8), ("vs2", 0), ("vs1", 9)])),
        (false, E32, insn("vadd.vv", &[("vd", 8), ("vs2", 0), ("vs1", 9)])),
        (true, E32, insn("vcompress.vm", &[("vd", 8), ("vs2", 9), ("vs1", 9)])),
        (false, E32, insn("vcompress.vm", &[("vd", 8), ("vs2", 9), ("vs1", 8)])),
        (true, E32, insn("vmv1r.v", &[("vd", 8), ("vs2", 9)])),
        // Eight bytes do not go into an eighth of a register.
        (false, 3 << 3 | 5, insn("vmv1r.v", &[("vd", 8), ("vs2", 9)])),
    ];
    for (legal, vtype, word) in rows {
        for cpu in ends(word, vtype, |hart| hart.csr.mstatus |= mstatus::VS) {
            assert_eq!(cpu.cpu().csr.mcause == 0, legal, "{word:#010x}");
        }
    }
}

/// Elements that take no part are not accessed; the first that does and is nowhere faults.
#[test]
fn single_accesses_leave_out_what_takes_no_part() {
    let load = insn("vlux/w", &[("vd", 8), ("rs1", 7), ("vs2", 10), ("w", 2)]);
    for (mask, nowhere) in [(0b1101, None), (0b0111, Some(0x4000_0000))] {
        let all = ends(load, E32, |hart| {
            hart.csr.mstatus |= mstatus::VS;
            hart.v.bytes_mut()[0] = mask;
            for (i, index) in [4u32, 0x4000_0000, 0, 8].into_iter().enumerate() {
                hart.v.bytes_mut()[160 + 4 * i..][..4].copy_from_slice(&index.to_le_bytes());
            }
        });
        for cpu in all {
            let csr = &cpu.cpu().csr;
            match nowhere {
                None => assert_eq!((csr.mcause, csr.vector.vstart), (0, 0)),
                Some(offset) => assert_eq!((csr.mcause, csr.mtval), (5, DATA + offset)),
            }
        }
    }
}
