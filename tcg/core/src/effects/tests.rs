//! What the reading finds in instructions of the toy guest.

use super::{Effects, End, MemKind, Memory, Origin};
use crate::cpu::{HelperId, RegId};
use crate::guest::{Ctx, Fetch, Guest, Trap};
use crate::sem::MemOp;
use crate::testing::toy::Toy;

/// Code that is one instruction.
struct One(u32);

impl Fetch for One {
    fn u16(&mut self, addr: u64) -> Result<u16, Trap> {
        Ok((self.0 >> (8 * (addr & 2))) as u16)
    }
}

/// The effects of operation `op` with rd = x1, ra = x2, rb = x3.
fn of(op: u32, imm: i32) -> Effects {
    let bits = op | 1 << 6 | 2 << 10 | 3 << 14 | (imm as u32) << 18;
    let cx = Ctx { pc: 0x1000, len: 4, mode: 0 };
    let (insn, _) = Toy::decode(&mut One(bits), cx.pc, cx.mode).expect("never faults");
    Effects::of::<Toy>(&cx, insn)
}

const PLAIN: Effects = Effects {
    reads: Vec::new(),
    writes: Vec::new(),
    memory: Vec::new(),
    helpers: Vec::new(),
    float: false,
    fence: false,
    end: End::Fall,
};

#[test]
fn registers_and_memory() {
    let (rd, ra, rb) = (RegId(1), RegId(2), RegId(3));
    assert_eq!(of(1, -5), Effects { reads: vec![ra], writes: vec![rd], ..PLAIN });
    let size = MemOp::new(2).signed();
    let load = Memory { kind: MemKind::Load, addr: Origin::Reg(ra, 9), op: size };
    assert_eq!(of(2, 9 << 4 | 6), Effects { reads: vec![ra], writes: vec![rd], memory: vec![load], ..PLAIN });
    let store =
        Memory { kind: MemKind::Store, addr: Origin::Reg(ra, 1u64.wrapping_neg()), op: MemOp::new(3) };
    assert_eq!(of(3, -16 | 3), Effects { reads: vec![ra, rb], memory: vec![store], ..PLAIN });
    let swap = Memory { kind: MemKind::Atomic, addr: Origin::Reg(ra, 0), op: size };
    assert_eq!(of(10, 0), Effects { reads: vec![ra, rb], writes: vec![rd], memory: vec![swap], ..PLAIN });
}

#[test]
fn bodies_of_conditions_are_seen() {
    let max = of(8, 0);
    assert_eq!((max.reads, max.writes), (vec![RegId(2), RegId(3)], vec![RegId(1)]));
}

#[test]
fn floats_and_helpers() {
    let add = of(4, 0);
    assert!(add.float && add.writes == [RegId(17)] && add.reads == [RegId(18), RegId(19)]);
    assert_eq!(of(5, 0).helpers, [HelperId(0)]);
}

#[test]
fn vectors() {
    let load = Memory { kind: MemKind::Load, addr: Origin::Reg(RegId(2), 8), op: MemOp::new(4) };
    let found = of(11, 8 << 4);
    assert_eq!((found.reads, found.writes, found.memory), (vec![RegId(2)], vec![RegId(33)], vec![load]));
    assert!(of(14, 0).float && !of(13, 0).float);
    assert_eq!(of(16, 0).helpers, [HelperId(4)]);
}

#[test]
fn ends() {
    assert_eq!(of(17, 4).end, End::Jump(0x1010, Some(0x1004)));
    assert_eq!(of(18, 4).end, End::Jump(0x1010, None));
    assert_eq!(of(19, 0).end, End::Indirect(Origin::Computed));
    assert_eq!(of(20, 0).end, End::Exit(crate::cpu::exit::HALT));
    assert_eq!(of(21, 3).end, End::Trap(Trap { code: 8, value: 3 }));
    assert!(of(21, 3).end.is_jump() && !of(0, 0).end.is_jump());
}
