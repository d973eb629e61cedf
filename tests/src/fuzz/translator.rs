//! Guest code: decoder, listing, IR, optimiser, host code; interpreter, evaluator and generated code agree.

use std::cell::RefCell;
use tcg_core::cpu::CpuHeader;
use tcg_core::guest::{Fetch, Guest, Trap};
use tcg_core::testing::Rng;
use tcg_core::testing::triangle::{Sides, Source};
use tcg_riscv::Riscv;
use tcg_riscv::cpu::Hart;
use tcg_riscv::csr::Csrs;
use tcg_riscv::csr::bits::mstatus;
use tcg_riscv::features::Features;

const RAM: u64 = 0x8000_0000;
const RAM_SIZE: u64 = 0x3000;
/// Bytes of code, at most: a block is no longer.
const CODE: usize = 256;

/// CSRs whose values depend on nothing but the program, and that change nothing the TLB keeps.
const CSRS: [u32; 31] = [
    0x001, 0x002, 0x003, 0x008, 0x009, 0x00a, 0x00f, 0x100, 0x104, 0x105, 0x106, 0x10a, 0x140, 0x141, 0x142,
    0x143, 0x300, 0x301, 0x302, 0x303, 0x304, 0x305, 0x306, 0x340, 0x341, 0x342, 0x343, 0x7c0, 0xc20, 0xc21,
    0xc22,
];

/// Any bytes as code of a hart in M-mode.
struct AnyBytes;

impl Source for AnyBytes {
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
        (rng.bits() as u32).to_le_bytes().to_vec()
    }

    fn prepare(&self, cpu: &mut Hart, rng: &mut Rng) {
        cpu.csr = Csrs::new(Features::max(), 0);
        cpu.csr.mstatus |= rng.pick(&[0, 1, 3, 3]) << mstatus::FS_SHIFT;
        cpu.csr.mstatus |= rng.pick(&[0, 1, 3, 3]) << mstatus::VS_SHIFT;
        cpu.csr.frm = rng.pick(&[0, 0, 1, 2, 3, 4, 5, 7]);
        cpu.x[0] = 0;
    }

    fn difference(&self, a: &Hart, b: &Hart) -> Option<String> {
        let state = |hart: &Hart| {
            let csr = &hart.csr;
            let machine = [csr.mstatus, csr.mie, csr.mtvec, csr.mscratch, csr.mepc, csr.mcause, csr.mtval];
            let delegation = [csr.medeleg, csr.mideleg, csr.mcounteren, csr.scounteren, csr.senvcfg];
            let supervisor = [csr.stvec, csr.sscratch, csr.sepc, csr.scause, csr.stval, csr.satp, csr.frm];
            (csr.privilege, machine, delegation, supervisor, csr.vector)
        };
        (state(a) != state(b)).then(|| format!("CSRs {:x?} and {:x?}\n", state(a), state(b)))
    }
}

/// Code that ends where the slice does.
struct Stream<'a>(&'a [u8]);

impl Fetch for Stream<'_> {
    fn u16(&mut self, addr: u64) -> Result<u16, Trap> {
        let at = (addr - RAM) as usize;
        match self.0.get(at..at + 2) {
            Some(bytes) => Ok(u16::from_le_bytes([bytes[0], bytes[1]])),
            None => Err(Trap { code: 1, value: addr }),
        }
    }
}

/// Decodes and lists everything in `code`.
fn list(code: &[u8], mode: u64) {
    let mut pc = RAM;
    while let Ok((insn, len)) = Riscv::decode(&mut Stream(code), pc, mode) {
        assert!(len == 2 || len == 4, "{len} bytes at {pc:#x}");
        assert!(!Riscv::print(insn, pc).is_empty());
        pc += len;
    }
}

/// Replaces registers that time goes by in, or that move memory, by others.
fn tame(code: &mut [u8]) {
    let mut at = 0;
    while let Some(bytes) = code.get(at..at + 4) {
        let word = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        let is_csr = word & 0x7f == 0x73 && word >> 12 & 3 != 0;
        let number = word >> 20;
        if is_csr && !CSRS.contains(&number) {
            let number = CSRS[number as usize % CSRS.len()];
            code[at..at + 4].copy_from_slice(&(word & 0xf_ffff | number << 20).to_le_bytes());
        }
        at += if word & 3 == 3 { 4 } else { 2 };
    }
}

thread_local! {
    static SIDES: RefCell<Sides<'static, AnyBytes>> = RefCell::new(Sides::new(&AnyBytes));
}

/// Takes `data` as a state, a place in a page, and code.
pub fn translator(data: &[u8]) {
    let Some((head, code)) = data.split_at_checked(6) else { return };
    let mut number = [0; 8];
    number[..4].copy_from_slice(&head[..4]);
    let mut code = code[..code.len().min(CODE)].to_vec();
    let hart = AnyBytes.cpu();
    for features in [hart.csr.features, Features::rv64()] {
        let mut csr = Csrs::new(features, 0);
        csr.mstatus |= mstatus::FS;
        list(&code, tcg_riscv::mode::of(&csr));
    }
    tame(&mut code);
    // An illegal instruction, even if the last one lacks half: what follows in memory has not been tamed.
    code.extend([0; 4]);
    // Up to the end of the page and no further: the readings have the page twice.
    let last = base::PAGE_SIZE - code.len().next_multiple_of(2) as u64;
    let place = u64::from(u16::from_le_bytes([head[4], head[5]]) & 0xffe).min(last);
    let result = SIDES.with_borrow_mut(|sides| sides.code(u64::from_le_bytes(number), RAM + place, &code));
    if let Err(report) = result {
        panic!("{report}");
    }
}
