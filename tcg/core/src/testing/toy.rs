//! A guest for the translator's own tests: registers of every type, helpers of every kind, memory with pages that
//! fault, and a few instructions.
//!
//! Addresses are physical. RAM is [`RAM`] to [`RAM_END`]; its last page is read-only; nothing else exists.

use crate::cpu::{CpuHeader, Helper, HelperId, HelperResult, RegDesc, RegId, exit};
use crate::guest::{Access, Context, Ctx, Fetch, Guest, Page, PhysMem, Trap, Units, Wait};
use crate::ir::Op;
use crate::sem::{Flow, Hint, Lane, MemOp, Next, Rm, Sem};
use crate::ty::{F64, I64, Ty};
use base::PAGE_SIZE;
use std::fmt;
use std::mem::offset_of;

/// Where RAM begins; code stands in its first page.
pub const RAM: u64 = 0x1000;
/// Where pages for data begin.
pub const DATA: u64 = 0x2000;
/// Where the read-only page begins.
pub const READ_ONLY: u64 = 0x4000;
/// Where RAM ends.
pub const RAM_END: u64 = 0x5000;

/// The toy guest.
pub struct Toy;

/// Its state.
#[repr(C)]
#[derive(Default)]
pub struct Cpu {
    head: CpuHeader,
    x: [u64; 16],
    d: [u64; 8],
    w: [u64; 4],
    s: [u64; 4],
    v: [u128; 8],
    /// The rounding mode, which translations depend on.
    pub rm: u64,
}

impl AsRef<CpuHeader> for Cpu {
    fn as_ref(&self) -> &CpuHeader {
        &self.head
    }
}

impl AsMut<CpuHeader> for Cpu {
    fn as_mut(&mut self) -> &mut CpuHeader {
        &mut self.head
    }
}

const fn reg(name: &'static str, ty: Ty, base: usize, n: u32) -> RegDesc {
    RegDesc { name, ty, offset: base as u32 + 8 * n }
}

const X: usize = offset_of!(Cpu, x);
const D: usize = offset_of!(Cpu, d);
const W: usize = offset_of!(Cpu, w);
const S: usize = offset_of!(Cpu, s);

const fn q_reg(name: &'static str, n: u32) -> RegDesc {
    RegDesc { name, ty: Ty::V128, offset: offset_of!(Cpu, v) as u32 + 16 * n }
}

static REGS: [RegDesc; 40] = [
    reg("x0", Ty::I64, X, 0),
    reg("x1", Ty::I64, X, 1),
    reg("x2", Ty::I64, X, 2),
    reg("x3", Ty::I64, X, 3),
    reg("x4", Ty::I64, X, 4),
    reg("x5", Ty::I64, X, 5),
    reg("x6", Ty::I64, X, 6),
    reg("x7", Ty::I64, X, 7),
    reg("x8", Ty::I64, X, 8),
    reg("x9", Ty::I64, X, 9),
    reg("x10", Ty::I64, X, 10),
    reg("x11", Ty::I64, X, 11),
    reg("x12", Ty::I64, X, 12),
    reg("x13", Ty::I64, X, 13),
    reg("x14", Ty::I64, X, 14),
    reg("x15", Ty::I64, X, 15),
    reg("d0", Ty::F64, D, 0),
    reg("d1", Ty::F64, D, 1),
    reg("d2", Ty::F64, D, 2),
    reg("d3", Ty::F64, D, 3),
    reg("d4", Ty::F64, D, 4),
    reg("d5", Ty::F64, D, 5),
    reg("d6", Ty::F64, D, 6),
    reg("d7", Ty::F64, D, 7),
    reg("w0", Ty::I32, W, 0),
    reg("w1", Ty::I32, W, 1),
    reg("w2", Ty::I32, W, 2),
    reg("w3", Ty::I32, W, 3),
    reg("s0", Ty::F32, S, 0),
    reg("s1", Ty::F32, S, 1),
    reg("s2", Ty::F32, S, 2),
    reg("s3", Ty::F32, S, 3),
    q_reg("q0", 0),
    q_reg("q1", 1),
    q_reg("q2", 2),
    q_reg("q3", 3),
    q_reg("q4", 4),
    q_reg("q5", 5),
    q_reg("q6", 6),
    q_reg("q7", 7),
];

/// What helpers do to the state, if they may.
const ACCUMULATOR: usize = 15;

unsafe extern "C" fn mix(_: *mut CpuHeader, a: u64, b: u64, c: u64, _: u64) -> HelperResult {
    HelperResult::ok(a.wrapping_mul(3).wrapping_add(b) ^ c)
}

unsafe extern "C" fn accumulate(head: *mut CpuHeader, a: u64, _: u64, _: u64, _: u64) -> HelperResult {
    // SAFETY: the header is the start of a toy's state.
    let cpu = unsafe { &mut *head.cast::<Cpu>() };
    let old = cpu.x[ACCUMULATOR];
    cpu.x[ACCUMULATOR] = old.wrapping_add(a);
    HelperResult::ok(old)
}

unsafe extern "C" fn refuse_odd(head: *mut CpuHeader, a: u64, b: u64, _: u64, _: u64) -> HelperResult {
    if a & 1 == 0 {
        return HelperResult::ok(b);
    }
    // SAFETY: the header of the running vCPU.
    let head = unsafe { &mut *head };
    (head.trap_code, head.trap_value) = (9, a);
    HelperResult::leave(exit::TRAP)
}

unsafe extern "C" fn pause_odd(head: *mut CpuHeader, a: u64, _: u64, _: u64, _: u64) -> HelperResult {
    // SAFETY: the header is the start of a toy's state.
    let cpu = unsafe { &mut *head.cast::<Cpu>() };
    if a & 1 == 0 {
        return HelperResult::ok(cpu.x[ACCUMULATOR]);
    }
    HelperResult::leave(exit::YIELD)
}

/// A vector helper: raises inexact if the parameter is odd.
unsafe extern "C" fn blend(head: *mut CpuHeader, param: u64, _: u64, _: u64, _: u64) -> HelperResult {
    // SAFETY: the header of the running vCPU.
    let head = unsafe { &mut *head };
    let [a, b, c] = head.vectors;
    head.vectors[0] = a.wrapping_add(b) ^ c.rotate_left(param as u32 & 127);
    head.fp_flags |= param as u32 & crate::sem::flags::NX;
    HelperResult::ok(0)
}

static HELPERS: [Helper; 5] = [
    Helper { name: "mix", func: mix, touches_regs: false, vectors: false },
    Helper { name: "accumulate", func: accumulate, touches_regs: true, vectors: false },
    Helper { name: "refuse_odd", func: refuse_odd, touches_regs: false, vectors: false },
    Helper { name: "pause_odd", func: pause_odd, touches_regs: true, vectors: false },
    Helper { name: "blend", func: blend, touches_regs: false, vectors: true },
];

/// The helper "blend".
const BLEND: HelperId = HelperId(4);

/// An instruction: operation in bits 5:0, then three register fields of 4 bits, then a signed immediate of 14 bits.
#[derive(Clone, Copy, Debug)]
pub struct Insn(u32);

const INTEGER: [Op; 12] = [
    Op::Add,
    Op::Sub,
    Op::Mul,
    Op::MulHS,
    Op::DivS,
    Op::RemU,
    Op::And,
    Op::Xor,
    Op::Shl,
    Op::ShrS,
    Op::Rotr,
    Op::Clmul,
];
const FLOAT: [Op; 6] = [Op::FAdd, Op::FSub, Op::FMul, Op::FDiv, Op::FMin, Op::FMax];

/// Operation numbers that are instructions.
pub const OPERATIONS: u32 = 22;

impl Insn {
    fn imm(self) -> i64 {
        i64::from(self.0 as i32 >> 18)
    }

    fn field(self, shift: u32) -> u16 {
        (self.0 >> shift & 15) as u16
    }

    fn name(self) -> &'static str {
        const NAMES: [&str; OPERATIONS as usize] = [
            "alu", "addi", "load", "store", "falu", "mix", "accum", "refuse", "max", "fload", "swap",
            "vload", "vstore", "vint", "vfloat", "vmove", "blend", "branch", "jump", "indirect", "halt",
            "trap",
        ];
        NAMES.get((self.0 & 63) as usize).copied().unwrap_or("illegal")
    }
}

fn d(n: u16) -> RegId {
    RegId(16 + (n & 7))
}

fn q(n: u16) -> RegId {
    RegId(32 + (n & 7))
}

const VECTOR: [Op; 8] = [Op::Add, Op::Sub, Op::Mul, Op::Eq, Op::LtS, Op::MinU, Op::AddSatS, Op::ShrU];

/// The instruction on vectors `insn`.
fn vector<S: Sem>(s: &mut S, insn: Insn, rm: Rm) -> Result<(), S::Stop> {
    let (rd, ra, rb) = (insn.field(6), insn.field(10), insn.field(14));
    let imm = insn.imm();
    let access = MemOp { size: 4, signed: false, aligned: imm & 1 != 0 };
    let lanes = Ty::int_lanes((imm & 3) as u8);
    match insn.name() {
        "vload" => {
            let base = s.get::<I64>(RegId(ra));
            let addr = s.add_imm(base, imm >> 4 & !7);
            let value = s.load_vector(addr, access)?;
            s.set_vector(q(rd), value);
        }
        "vstore" => {
            let (base, value) = (s.get::<I64>(RegId(ra)), s.get_vector(q(rb)));
            let addr = s.add_imm(base, imm >> 4);
            s.store_vector(addr, value, access)?;
        }
        "vint" => {
            let (a, b) = (s.get_vector(q(ra)), s.get_vector(q(rb)));
            let value = s.v2(VECTOR[(imm >> 2) as usize % VECTOR.len()], lanes, a, b);
            s.set_vector(q(rd), value);
        }
        "vfloat" => {
            let (a, b) = (s.get_vector(q(ra)), s.get_vector(q(rb)));
            let ty = if imm & 1 != 0 { Ty::F32x4 } else { Ty::F64x2 };
            let value = s.lanes(FLOAT[imm as usize % FLOAT.len()], ty, rm as u64, &[a, b]);
            s.set_vector(q(rd), value);
        }
        "vmove" => {
            // The lower doubleword of one register is added to a scalar, and goes to the other.
            let (a, b) = (s.get_vector(q(ra)), s.get::<I64>(RegId(rb)));
            let low = s.extract::<I64>(Lane::new(3, 0), a);
            let sum = s.add(low, b);
            let zero = s.vector(0);
            let value = s.insert(Ty::I64x2, 0, zero, sum);
            s.set_vector(q(rd), value);
        }
        _ => {
            let (a, b) = (s.get_vector(q(ra)), s.get_vector(q(rb)));
            let value = s.call_vector(BLEND, imm as u64 & 0xff, &[a, b]);
            s.set_vector(q(rd), value);
        }
    }
    Ok(())
}

impl Guest for Toy {
    type Cpu = Cpu;
    type Insn = Insn;

    const NAME: &'static str = "toy";

    fn regs() -> &'static [RegDesc] {
        &REGS
    }

    fn helpers() -> &'static [Helper] {
        &HELPERS
    }

    fn decode(fetch: &mut impl Fetch, pc: u64, _: u64) -> Result<(Insn, u64), Trap> {
        let low = fetch.u16(pc)?;
        let high = fetch.u16(pc.wrapping_add(2))?;
        Ok((Insn(u32::from(low) | u32::from(high) << 16), 4))
    }

    fn exec<S: Sem>(s: &mut S, cx: &Ctx, insn: Insn) -> Flow<S> {
        let rm = Rm::from_bits(cx.mode).unwrap_or(Rm::Rne);
        let (rd, ra, rb) = (RegId(insn.field(6)), RegId(insn.field(10)), RegId(insn.field(14)));
        let imm = insn.imm();
        let target = cx.pc.wrapping_add((imm as u64) << 2);
        let mem = MemOp { size: (imm & 3) as u8, signed: imm & 4 != 0, aligned: imm & 8 != 0 };
        match insn.name() {
            "alu" => {
                let (a, b) = (s.get::<I64>(ra), s.get::<I64>(rb));
                let value = s.op2::<I64, I64>(INTEGER[imm as usize % INTEGER.len()], 0, a, b);
                s.set(rd, value);
            }
            "addi" => {
                let a = s.get::<I64>(ra);
                let value = s.add_imm(a, imm);
                s.set(rd, value);
            }
            "load" => {
                let a = s.get::<I64>(ra);
                let addr = s.add_imm(a, imm >> 4);
                let value = s.load::<I64>(addr, mem)?;
                s.set(rd, value);
            }
            "store" => {
                let (a, value) = (s.get::<I64>(ra), s.get::<I64>(rb));
                let addr = s.add_imm(a, imm >> 4);
                s.store(addr, value, MemOp { signed: false, ..mem })?;
            }
            "falu" => {
                let (a, b) = (s.get::<F64>(d(ra.0)), s.get::<F64>(d(rb.0)));
                let value = s.float2(FLOAT[imm as usize % FLOAT.len()], a, b, rm);
                s.set(d(rd.0), value);
            }
            name @ ("mix" | "accum" | "refuse") => {
                let id =
                    HelperId(["mix", "accum", "refuse"].iter().position(|n| *n == name).unwrap_or(0) as u16);
                let (a, b) = (s.get(ra), s.get(rb));
                let value = s.call(id, &[a, b])?;
                s.set(rd, value);
            }
            "max" => {
                let (a, b) = (s.get::<I64>(ra), s.get::<I64>(rb));
                let less = s.lts(a, b);
                s.set(rd, a);
                s.when(less, |s| {
                    s.set(rd, b);
                    Ok(())
                })?;
            }
            "fload" => {
                let a = s.get::<I64>(ra);
                let addr = s.add_imm(a, imm);
                let value = s.load::<F64>(addr, MemOp::new(3))?;
                s.set(d(rd.0), value);
            }
            "swap" => {
                let (addr, value) = (s.get(ra), s.get::<I64>(rb));
                let size = 2 + (imm & 1) as u8;
                let old = s.rmw(crate::sem::Rmw::Swap, addr, value, MemOp::new(size).signed())?;
                s.set(rd, old);
            }
            "vload" | "vstore" | "vint" | "vfloat" | "vmove" | "blend" => vector(s, insn, rm)?,
            "branch" => {
                let (a, b) = (s.get::<I64>(ra), s.get::<I64>(rb));
                return Ok(Next::Branch { cond: s.ltu(a, b), taken: target, not: cx.next_pc() });
            }
            "jump" => return Ok(Next::Jump(target)),
            "indirect" => {
                let (any, even) = (s.get::<I64>(ra), s.k(!1));
                return Ok(Next::Indirect(s.and(any, even), Hint::Jump));
            }
            "halt" => return Ok(Next::Exit(exit::HALT)),
            "trap" => return Ok(Next::Trap(Trap { code: 8, value: imm as u64 })),
            _ => return Ok(Next::Trap(Trap { code: 5, value: insn.0.into() })),
        }
        Ok(Next::Fall)
    }

    fn print(insn: Insn, pc: u64) -> String {
        let [rd, ra, rb] = [6, 10, 14].map(|shift| insn.field(shift));
        format!("{pc:#x}: {} x{rd}, x{ra}, x{rb}, {}", insn.name(), insn.imm())
    }

    fn show(cpu: &Cpu, _: Units, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "pc {:#x}", cpu.as_ref().pc)
    }

    fn rounding(mode: u64) -> Rm {
        Rm::from_bits(mode).unwrap_or(Rm::Rne)
    }

    fn context(cpu: &Cpu) -> Context {
        Context { data: 0, code: 0, mode: cpu.rm }
    }

    fn walk(_: &mut Cpu, _: &dyn PhysMem, addr: u64, access: Access) -> Result<Page, Trap> {
        let write = addr & !(PAGE_SIZE - 1) != READ_ONLY;
        if !(RAM..RAM_END).contains(&addr) || (access == Access::Write && !write) {
            return Err(Trap { code: 1 + access as u32, value: addr });
        }
        Ok(Page { phys: addr, size_log2: 12, read: true, write, fetch: true, aligned: false })
    }

    fn take_trap(_: &mut Cpu, _: Trap) {}

    fn take_interrupt(_: &mut Cpu, _: u64) -> bool {
        false
    }

    fn wait(_: &mut Cpu, _: u64) -> Wait {
        Wait::Run
    }

    fn bus_fault(addr: u64, access: Access) -> Trap {
        Trap { code: 16 + access as u32, value: addr }
    }

    fn misaligned(addr: u64, access: Access) -> Trap {
        Trap { code: 32 + access as u32, value: addr }
    }
}
