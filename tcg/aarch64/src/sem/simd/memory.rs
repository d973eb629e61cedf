//! Advanced SIMD loads and stores of structures: C4.1.94.

use super::{Part, get};
use crate::cpu;
use crate::decode::multiple;
use crate::isa::{self, VMem, VMemP, VOne, VOneP};
use crate::mode;
use crate::sem::atomic::{BEFORE_LOADS, RELEASE};
use crate::sem::{Cx, fall, set_x_sp, x, x_sp};
use tcg_core::sem::{Flow, Lane, MemOp, Order, Sem, V};
use tcg_core::ty::{I64, Ty};

/// Registers, elements of a structure, and what is moved.
struct Shape {
    registers: u8,
    elements: u8,
    q: u8,
    size: u8,
    rt: u8,
    /// Registers are moved whole. Where alignment is checked, it is that of elements, so these are moved one by one.
    whole: bool,
}

impl Shape {
    fn new(cx: &Cx, opcode: u8, (q, size): (u8, u8), rt: u8) -> Self {
        let (registers, elements) = multiple(opcode).unwrap_or((1, 1));
        let whole = elements == 1 && !mode::aligned(cx.at.mode);
        Self { registers, elements, q, size, rt, whole }
    }

    fn register(&self, n: u8) -> u8 {
        (self.rt + n) % 32
    }

    fn bytes(&self) -> i64 {
        i64::from(self.registers) << (3 + self.q)
    }

    /// Lanes of a register.
    fn lanes(&self) -> u8 {
        (8 << self.q) >> self.size
    }

    /// Where lane `lane` of register `n` is in memory.
    fn offset(&self, n: u8, lane: u8) -> i64 {
        if self.elements == 1 {
            (i64::from(n) << (3 + self.q)) + (i64::from(lane) << self.size)
        } else {
            (i64::from(lane) * i64::from(self.elements) + i64::from(n)) << self.size
        }
    }
}

/// Loads the registers of `shape`; they are set by the caller.
fn load<S: Sem>(s: &mut S, base: V<S, I64>, shape: &Shape) -> Result<Vec<S::W>, S::Stop> {
    let mut all = Vec::new();
    for n in 0..shape.registers {
        let v = if shape.whole {
            let addr = s.add_imm(base, i64::from(n) << (3 + shape.q));
            if shape.q == 1 {
                s.load_vector(addr, MemOp::new(4))?
            } else {
                let (v, zero) = (s.load::<I64>(addr, MemOp::new(3))?, s.vector(0));
                s.insert(Ty::I64x2, 0, zero, v)
            }
        } else {
            let mut v = s.vector(0);
            for lane in 0..shape.lanes() {
                let addr = s.add_imm(base, shape.offset(n, lane));
                let element = s.load::<I64>(addr, MemOp::new(shape.size))?;
                v = s.insert(Ty::int_lanes(shape.size), lane.into(), v, element);
            }
            v
        };
        all.push(v);
    }
    Ok(all)
}

fn store<S: Sem>(s: &mut S, base: V<S, I64>, shape: &Shape) -> Result<(), S::Stop> {
    for n in 0..shape.registers {
        let v = get(s, shape.register(n));
        if shape.whole {
            let addr = s.add_imm(base, i64::from(n) << (3 + shape.q));
            if shape.q == 1 {
                s.store_vector(addr, v, MemOp::new(4))?;
            } else {
                let low = s.extract::<I64>(Lane::new(3, 0), v);
                s.store(addr, low, MemOp::new(3))?;
            }
            continue;
        }
        for lane in 0..shape.lanes() {
            let addr = s.add_imm(base, shape.offset(n, lane));
            let element = s.extract::<I64>(Lane::new(shape.size, lane), v);
            s.store(addr, element, MemOp::new(shape.size))?;
        }
    }
    Ok(())
}

/// The base register moves on by `bytes` or, if it is not number 31, by register `rm`.
fn advance<S: Sem>(s: &mut S, rn: u8, base: V<S, I64>, rm: u8, bytes: i64) {
    let v = if rm == 31 {
        s.add_imm(base, bytes)
    } else {
        let by = x(s, rm);
        s.add(base, by)
    };
    set_x_sp(s, rn, v);
}

fn set_all<S: Sem>(s: &mut S, shape: &Shape, values: Vec<S::W>) {
    for (n, v) in (0..).zip(values) {
        s.set_vector(cpu::v(shape.register(n)), v);
    }
}

/// Load whole registers.
pub fn ld_multiple<S: Sem>(s: &mut S, cx: &Cx, a: VMem) -> Flow<S> {
    let (base, shape) = (x_sp(s, a.rn), Shape::new(cx, a.opcode, (a.q, a.size), a.rt));
    let values = load(s, base, &shape)?;
    set_all(s, &shape, values);
    fall::<S>()
}

/// Store whole registers.
pub fn st_multiple<S: Sem>(s: &mut S, cx: &Cx, a: VMem) -> Flow<S> {
    let (base, shape) = (x_sp(s, a.rn), Shape::new(cx, a.opcode, (a.q, a.size), a.rt));
    store(s, base, &shape)?;
    fall::<S>()
}

/// Load whole registers, post-indexed.
pub fn ld_multi_post<S: Sem>(s: &mut S, cx: &Cx, a: VMemP) -> Flow<S> {
    let (base, shape) = (x_sp(s, a.rn), Shape::new(cx, a.opcode, (a.q, a.size), a.rt));
    let values = load(s, base, &shape)?;
    advance(s, a.rn, base, a.rm, shape.bytes());
    set_all(s, &shape, values);
    fall::<S>()
}

/// Store whole registers, post-indexed.
pub fn st_multi_post<S: Sem>(s: &mut S, cx: &Cx, a: VMemP) -> Flow<S> {
    let (base, shape) = (x_sp(s, a.rn), Shape::new(cx, a.opcode, (a.q, a.size), a.rt));
    store(s, base, &shape)?;
    advance(s, a.rn, base, a.rm, shape.bytes());
    fall::<S>()
}

/// One element of each of up to four registers, or one that fills all lanes.
struct One {
    registers: u8,
    /// `None`: all lanes.
    index: Option<u8>,
    size: u8,
    q: u8,
    rt: u8,
}

impl One {
    fn new(a: VOne) -> Self {
        let registers = ((a.opcode & 1) << 1 | a.r) + 1;
        let bits = a.q << 3 | a.s << 2 | a.size;
        let (size, index) = match a.opcode >> 1 {
            0 => (0, Some(bits)),
            1 => (1, Some(bits >> 1)),
            2 if a.size == 0 => (2, Some(bits >> 2)),
            2 => (3, Some(bits >> 3)),
            _ => (a.size, None),
        };
        Self { registers, index, size, q: a.q, rt: a.rt }
    }

    fn bytes(&self) -> i64 {
        i64::from(self.registers) << self.size
    }

    fn register(&self, n: u8) -> u8 {
        (self.rt + n) % 32
    }
}

fn load_one<S: Sem>(s: &mut S, base: V<S, I64>, one: &One) -> Result<Vec<S::W>, S::Stop> {
    let (lanes, mut all) = (Ty::int_lanes(one.size), Vec::new());
    for n in 0..one.registers {
        let addr = s.add_imm(base, i64::from(n) << one.size);
        let element = s.load::<I64>(addr, MemOp::new(one.size))?;
        let v = match one.index {
            Some(index) => {
                let d = get(s, one.register(n));
                s.insert(lanes, index.into(), d, element)
            }
            None => {
                let v = s.splat(lanes, element);
                if one.q == 0 { Part::Half.of_vector(s, v) } else { v }
            }
        };
        all.push(v);
    }
    Ok(all)
}

fn store_one<S: Sem>(s: &mut S, base: V<S, I64>, one: &One) -> Result<(), S::Stop> {
    for n in 0..one.registers {
        let (addr, v) = (s.add_imm(base, i64::from(n) << one.size), get(s, one.register(n)));
        let element = s.extract::<I64>(Lane::new(one.size, one.index.unwrap_or(0)), v);
        s.store(addr, element, MemOp::new(one.size))?;
    }
    Ok(())
}

fn set_one<S: Sem>(s: &mut S, one: &One, values: Vec<S::W>) {
    for (n, v) in (0..).zip(values) {
        s.set_vector(cpu::v(one.register(n)), v);
    }
}

fn plain(a: VOneP) -> VOne {
    VOne { q: a.q, r: a.r, opcode: a.opcode, s: a.s, size: a.size, rn: a.rn, rt: a.rt }
}

/// Load single elements.
pub fn ld_single<S: Sem>(s: &mut S, _: &Cx, a: VOne) -> Flow<S> {
    let (base, one) = (x_sp(s, a.rn), One::new(a));
    let values = load_one(s, base, &one)?;
    set_one(s, &one, values);
    fall::<S>()
}

/// Store single elements.
pub fn st_single<S: Sem>(s: &mut S, _: &Cx, a: VOne) -> Flow<S> {
    let (base, one) = (x_sp(s, a.rn), One::new(a));
    store_one(s, base, &one)?;
    fall::<S>()
}

/// Load single elements, post-indexed.
pub fn ld_single_post<S: Sem>(s: &mut S, _: &Cx, a: VOneP) -> Flow<S> {
    let (base, one) = (x_sp(s, a.rn), One::new(plain(a)));
    let values = load_one(s, base, &one)?;
    advance(s, a.rn, base, a.rm, one.bytes());
    set_one(s, &one, values);
    fall::<S>()
}

/// Store single elements, post-indexed.
pub fn st_single_post<S: Sem>(s: &mut S, _: &Cx, a: VOneP) -> Flow<S> {
    let (base, one) = (x_sp(s, a.rn), One::new(plain(a)));
    store_one(s, base, &one)?;
    advance(s, a.rn, base, a.rm, one.bytes());
    fall::<S>()
}

/// A doubleword as a single element.
fn doubleword(a: isa::One) -> One {
    One { registers: 1, index: Some(a.q), size: 3, q: 1, rt: a.rt }
}

/// Load-acquire of one doubleword.
pub fn ldap1<S: Sem>(s: &mut S, _: &Cx, a: isa::One) -> Flow<S> {
    let (base, one) = (x_sp(s, a.rn), doubleword(a));
    let values = load_one(s, base, &one)?;
    s.fence(Order::ACQUIRE);
    set_one(s, &one, values);
    fall::<S>()
}

/// Store-release of one doubleword.
pub fn stl1<S: Sem>(s: &mut S, _: &Cx, a: isa::One) -> Flow<S> {
    let (base, one) = (x_sp(s, a.rn), doubleword(a));
    s.fence(RELEASE);
    store_one(s, base, &one)?;
    s.fence(BEFORE_LOADS);
    fall::<S>()
}
