//! Vectors, element by element: what every instruction of V does, behind the helper that translations call for all but
//! the commonest cases. RISC-V Unprivileged ISA 20240411, chapters 31 and 33.
//!
//! VLEN is the hart's ([`Features::vlen`]). Elements of the tail and those that are masked off keep their values, which agnostic policies allow.

mod crypto;
mod fixed;
mod float;
mod float_approx;
mod integer;
mod mask;
mod memory;
mod permute;
mod reduce;

pub use memory::trim;
pub use permute::compressed;

use crate::cpu::Hart;
use crate::csr::bits::{cause, mstatus};
use crate::features::Features;
use crate::sys;
use tcg_core::guest::Trap;

/// Most bits of a vector register.
pub const MAX_VLEN: u64 = 1024;

/// `vtype` says that it is not a legal one.
pub const VILL: u64 = 1 << 63;

/// Why an instruction was not carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// It is reserved, or not allowed now.
    Illegal,
    /// A memory access faults; `vstart` tells at which element.
    Trap(Trap),
}

type Done = Result<(), Stop>;

/// An instruction's fields, 31.3.
#[derive(Clone, Copy)]
struct Fields(u32);

impl Fields {
    fn at(self, shift: u32, bits: u32) -> u32 {
        self.0 >> shift & ((1 << bits) - 1)
    }

    fn vd(self) -> usize {
        self.at(7, 5) as usize
    }

    fn funct3(self) -> u32 {
        self.at(12, 3)
    }

    /// vs1, rs1 or a constant.
    fn first(self) -> usize {
        self.at(15, 5) as usize
    }

    fn vs2(self) -> usize {
        self.at(20, 5) as usize
    }

    fn masked(self) -> bool {
        self.at(25, 1) == 0
    }

    fn funct6(self) -> u32 {
        self.at(26, 6)
    }

    fn simm(self) -> u64 {
        (self.0 << 12) as i32 as i64 as u64 >> 27 | if self.0 >> 19 & 1 != 0 { !31 } else { 0 }
    }
}

/// A group of registers: where it starts, and log2 of its elements' bytes and of its number of registers.
#[derive(Clone, Copy)]
struct Group {
    reg: usize,
    eew: u32,
    emul: i32,
}

impl Group {
    fn registers(self) -> usize {
        1 << self.emul.max(0)
    }

    fn overlaps(self, other: Group) -> bool {
        self.reg < other.reg + other.registers() && other.reg < self.reg + self.registers()
    }
}

/// The vector unit while it carries out one instruction.
struct Unit<'a> {
    hart: &'a mut Hart,
    f: Fields,
    /// log2 of the bytes of an element.
    sew: u32,
    /// log2 of LMUL.
    lmul: i32,
    vl: usize,
    vstart: usize,
    /// Bytes of a register.
    vlenb: usize,
}

/// log2 of LMUL in `vtype`; `None` for the reserved one.
fn lmul(vtype: u64) -> Option<i32> {
    match vtype & 7 {
        4 => None,
        n @ 0..4 => Some(n as i32),
        n => Some(n as i32 - 8),
    }
}

/// VLMAX of `vtype`, 31.3.4.2; zero if it is not a legal one: wider than ELEN, or with no room for an element, which
/// is more than 31.3.4.2 demands.
pub fn vlmax(vtype: u64, features: &Features) -> u64 {
    let (sew, Some(lmul)) = (vtype >> 3 & 7, lmul(vtype)) else { return 0 };
    if vtype >> 8 != 0 || 8 << sew > features.elen() {
        return 0;
    }
    let vlen = features.vlen();
    if lmul >= 0 { (vlen << lmul) >> (3 + sew) } else { vlen >> (3 + sew) >> -lmul }
}

/// Sets `vtype` and `vl`, 31.6; gives `vl`. `avl`: the length asked for.
pub fn configure(hart: &mut Hart, avl: u64, vtype: u64) -> u64 {
    let max = vlmax(vtype, &hart.csr.features);
    let v = &mut hart.csr.vector;
    if max == 0 {
        (v.vtype, v.vl) = (VILL, 0);
    } else {
        v.vl = avl.min(max);
        v.vtype = vtype;
    }
    v.vstart = 0;
    hart.csr.mstatus |= mstatus::VS;
    sys::settle(hart);
    hart.csr.vector.vl
}

/// Carries out the instruction `bits`, which is one of V's but no `vset`.
pub fn execute(hart: &mut Hart, bits: u32) -> Result<(), Trap> {
    let v = &hart.csr.vector;
    let (vtype, vl, vstart) = (v.vtype, v.vl as usize, v.vstart as usize);
    let f = Fields(bits);
    let sew = (vtype >> 3 & 7) as u32;
    let vlenb = hart.csr.features.vlenb();
    let mut unit = Unit { hart, f, sew, lmul: lmul(vtype).unwrap_or(0), vl, vstart, vlenb };
    let done = unit.instruction(vtype & VILL != 0);
    let old = (vl as u64, vstart as u64);
    match done {
        Ok(()) => hart.csr.vector.vstart = 0,
        Err(Stop::Trap(_)) => {}
        Err(Stop::Illegal) => return Err(Trap { code: cause::ILLEGAL, value: bits.into() }),
    }
    hart.csr.mstatus |= mstatus::VS;
    if (hart.csr.vector.vl, hart.csr.vector.vstart) != old {
        sys::settle(hart);
    }
    match done {
        Err(Stop::Trap(trap)) => Err(trap),
        _ => Ok(()),
    }
}

impl Unit<'_> {
    fn instruction(&mut self, vill: bool) -> Done {
        match self.f.at(0, 7) {
            0x07 | 0x27 => return self.memory(vill),
            0x77 if !vill => return self.crypto(),
            _ if vill => return Err(Stop::Illegal),
            _ if self.moves_whole_registers() => return self.move_whole(),
            _ => {}
        }
        match self.f.funct3() {
            0b001 | 0b101 => self.float(),
            0b010 | 0b110 => self.multiply_class(),
            _ => self.integer_class(),
        }
    }

    /// OPIVV, OPIVX, OPIVI.
    fn integer_class(&mut self) -> Done {
        let vector = self.f.funct3() == 0;
        match self.f.funct6() {
            0x0c => self.gather(self.sew),
            0x0e if vector => self.gather(1),
            0x0e => self.slide_up(),
            0x0f => self.slide_down(),
            0x10..=0x13 => self.carry(),
            0x17 => self.merge(),
            0x18..=0x1f => self.compare(),
            0x2c..=0x2f => self.narrow(),
            0x30 | 0x31 => self.reduce_wide(),
            0x35 => self.widening(),
            _ => self.integer(),
        }
    }

    /// OPMVV, OPMVX.
    fn multiply_class(&mut self) -> Done {
        let vector = self.f.funct3() == 0b010;
        match (self.f.funct6(), vector) {
            (0..=7, true) => self.reduce(),
            (0x0e | 0x0f, false) => {
                let value = self.x(self.f.first());
                self.slide_one(value)
            }
            (0x10, true) => self.scalar_result(),
            (0x10, false) => {
                let value = self.x(self.f.first());
                self.set_first(value)
            }
            (0x0c | 0x0d, _) if self.sew != 3 => Err(Stop::Illegal),
            (0x12, true) if self.f.first() < 8 => self.extend(),
            (0x14, true) => self.mask_unary(),
            (0x17, true) => self.compress(),
            (0x18..=0x1f, true) => self.mask_logic(),
            (0x30..=0x3f, _) => self.widening(),
            _ => self.integer(),
        }
    }

    /// The value of `x[n]`.
    fn x(&self, n: usize) -> u64 {
        if n == 0 { 0 } else { self.hart.x[n] }
    }

    /// Element `i` of the register group that starts at `reg`, of `1 << eew` bytes.
    fn get(&self, reg: usize, i: usize, eew: u32) -> u64 {
        let (at, bytes) = (reg * self.vlenb + (i << eew), self.hart.v.bytes());
        let mut word = [0; 8];
        word[..1 << eew].copy_from_slice(&bytes[at..at + (1 << eew)]);
        u64::from_le_bytes(word)
    }

    fn get_signed(&self, reg: usize, i: usize, eew: u32) -> i64 {
        sign(self.get(reg, i, eew), eew)
    }

    fn set(&mut self, reg: usize, i: usize, eew: u32, value: u64) {
        let at = reg * self.vlenb + (i << eew);
        self.hart.v.bytes_mut()[at..at + (1 << eew)].copy_from_slice(&value.to_le_bytes()[..1 << eew]);
    }

    /// Bit `i` of mask register `reg`.
    fn bit(&self, reg: usize, i: usize) -> bool {
        self.hart.v.bytes()[reg * self.vlenb + i / 8] >> (i % 8) & 1 != 0
    }

    fn set_bit(&mut self, reg: usize, i: usize, value: bool) {
        let byte = &mut self.hart.v.bytes_mut()[reg * self.vlenb + i / 8];
        *byte = *byte & !(1 << (i % 8)) | u8::from(value) << (i % 8);
    }

    /// Whether element `i` is active.
    fn active(&self, i: usize) -> bool {
        !self.f.masked() || self.bit(0, i)
    }

    /// Runs `element` for every active element of the body.
    fn body(&mut self, mut element: impl FnMut(&mut Self, usize)) {
        for i in self.vstart..self.vl {
            if self.active(i) {
                element(self, i);
            }
        }
    }

    /// A group of registers of elements of `1 << eew` bytes, EMUL following from EEW (31.5.2). It may not hold the mask.
    fn group(&self, reg: usize, eew: u32) -> Result<Group, Stop> {
        let is_mask = self.f.masked() && reg == 0;
        if is_mask { Err(Stop::Illegal) } else { self.any_group(reg, eew) }
    }

    /// The same where it may hold the mask, as in QEMU: what reductions, `vadc`, `vsbc` and instructions that give masks read, and
    /// what stores without indices do.
    fn any_group(&self, reg: usize, eew: u32) -> Result<Group, Stop> {
        let emul = self.lmul + eew as i32 - self.sew as i32;
        let group = Group { reg, eew, emul };
        let legal = eew <= 3 && (-3..=3).contains(&emul) && reg.is_multiple_of(group.registers());
        if legal { Ok(group) } else { Err(Stop::Illegal) }
    }

    /// The destination.
    fn destination(&self, eew: u32) -> Result<Group, Stop> {
        self.group(self.f.vd(), eew)
    }

    /// Checks that no register gives elements of two widths (31.5.2).
    fn check_widths(&self, a: Group, b: Group) -> Done {
        if a.eew != b.eew && a.overlaps(b) { Err(Stop::Illegal) } else { Ok(()) }
    }

    /// Checks that `source` and `to` overlap only where 31.5.2 allows it.
    fn check_overlap(&self, to: Group, source: Group) -> Done {
        let allowed = match source.eew.cmp(&to.eew) {
            _ if !to.overlaps(source) => true,
            std::cmp::Ordering::Equal => true,
            std::cmp::Ordering::Greater => to.reg == source.reg,
            std::cmp::Ordering::Less => {
                source.emul >= 0 && source.reg == to.reg + to.registers() - source.registers()
            }
        };
        if allowed { Ok(()) } else { Err(Stop::Illegal) }
    }

    /// A source of elements of `1 << eew` bytes for a destination.
    fn source(&self, reg: usize, eew: u32, to: Group) -> Result<Group, Stop> {
        let group = self.group(reg, eew)?;
        self.check_overlap(to, group)?;
        Ok(group)
    }

    /// A mask register as destination of what reads groups of SEW: it may overlap their lowest register alone.
    fn mask_destination(&self, sources: &[usize]) -> Done {
        for reg in sources {
            let source = self.any_group(*reg, self.sew)?;
            let to = Group { reg: self.f.vd(), eew: 0, emul: 0 };
            if to.overlaps(source) && to.reg != source.reg {
                return Err(Stop::Illegal);
            }
        }
        Ok(())
    }

    fn mask_of(eew: u32) -> u64 {
        u64::MAX >> (64 - (8 << eew))
    }
}

/// `value`, of `1 << eew` bytes, with its sign copied upwards.
fn sign(value: u64, eew: u32) -> i64 {
    let unused = 64 - (8 << eew);
    (value << unused) as i64 >> unused
}
