//! How Advanced SIMD operands are printed: functions that the tables name.

use super::show;
use super::show::{r, x};
use crate::decode::multiple;
use crate::sem::{Constant, modified_constant};

const LETTERS: [char; 4] = ['b', 'h', 's', 'd'];

fn arrangement(q: i64, size: i64) -> String {
    format!("{}{}", (8 << q) >> size, LETTERS[size as usize & 3])
}

/// A vector of lanes of `1 << size` bytes.
pub fn vt(n: i64, q: i64, size: i64, _: u64) -> String {
    format!("v{n}.{}", arrangement(q, size))
}

/// A vector of bytes.
pub fn vb(n: i64, q: i64, pc: u64) -> String {
    vt(n, q, 0, pc)
}

/// A vector of floats.
pub fn vf(n: i64, q: i64, sz: i64, pc: u64) -> String {
    vt(n, q, 2 + sz, pc)
}

/// A vector of singles.
pub fn v_s(n: i64, q: i64, pc: u64) -> String {
    vt(n, q, 2, pc)
}

/// A vector of halves.
pub fn vh(n: i64, q: i64, pc: u64) -> String {
    vt(n, q, 1, pc)
}

/// A quarter or half of a register, of halves.
pub fn vh_part(n: i64, q: i64, _: u64) -> String {
    format!("v{n}.{}h", 2 << q)
}

/// A vector of doublewords.
pub fn v_d(n: i64, q: i64, pc: u64) -> String {
    vt(n, q, 3, pc)
}

/// A vector of lanes twice as wide.
pub fn wide(n: i64, q: i64, size: i64, pc: u64) -> String {
    vt(n, q, size + 1, pc)
}

/// All of a register, in lanes twice as wide.
pub fn wide_all(n: i64, size: i64, pc: u64) -> String {
    vt(n, 1, size + 1, pc)
}

/// The end of the mnemonic of what works on upper halves.
pub fn two(q: i64, _: u64) -> &'static str {
    if q == 0 { "" } else { "2" }
}

/// Bits of a lane.
pub fn lane_bits(size: i64, _: u64) -> i64 {
    8 << size
}

/// A scalar twice as wide.
pub fn v_next(n: i64, size: i64, pc: u64) -> String {
    show::v(n, size + 1, pc)
}

/// A pair of floats.
pub fn vf_pair(n: i64, sz: i64, _: u64) -> String {
    if sz == 0 { format!("v{n}.2s") } else { format!("v{n}.2d") }
}

fn size5(imm5: i64) -> i64 {
    i64::from(imm5.trailing_zeros().min(3))
}

/// A vector of lanes of the size that `imm5` says.
pub fn vt5(n: i64, q: i64, imm5: i64, pc: u64) -> String {
    vt(n, q, size5(imm5), pc)
}

/// The element that `imm5` names.
pub fn element(n: i64, imm5: i64, _: u64) -> String {
    let size = size5(imm5);
    format!("v{n}.{}[{}]", LETTERS[size as usize], imm5 >> (size + 1))
}

/// The element that `imm4` names, of the size that `imm5` says.
pub fn element4(n: i64, imm5: i64, imm4: i64, _: u64) -> String {
    let size = size5(imm5);
    format!("v{n}.{}[{}]", LETTERS[size as usize], imm4 >> size)
}

/// A general register that holds an element.
pub fn general5(n: i64, imm5: i64, pc: u64) -> String {
    r(n, i64::from(size5(imm5) == 3), pc)
}

/// A scalar of the size that `imm5` says.
pub fn scalar5(n: i64, imm5: i64, pc: u64) -> String {
    show::v(n, size5(imm5), pc)
}

fn registers(first: i64, count: i64, kind: &str) -> String {
    let name = |n: i64| format!("v{}.{kind}", (first + n) % 32);
    match count {
        1 => format!("{{{}}}", name(0)),
        _ if count > 2 && first + count <= 32 => format!("{{{}-{}}}", name(0), name(count - 1)),
        _ => format!("{{{}}}", (0..count).map(name).collect::<Vec<_>>().join(", ")),
    }
}

/// The registers of a table.
pub fn table(n: i64, len: i64, _: u64) -> String {
    registers(n, len + 1, "16b")
}

/// The doubleword that a modified constant is, and what is done with it.
pub fn simd_constant(q: i64, op: i64, cmode: i64, abc: i64, defgh: i64, _: u64) -> String {
    let (what, value) = match modified_constant(op as u8, cmode as u8, (abc << 5 | defgh) as u8) {
        Constant::Move(value) => ("", value),
        Constant::Or(value) => ("orr ", value),
        Constant::Clear(value) => ("bic ", value),
    };
    format!("{what}{}x#{value:#x}", q + 1)
}

fn size7(imm: i64) -> i64 {
    7 - i64::from((imm as u8 >> 3).leading_zeros().min(7))
}

/// A vector of lanes of the size that `immh` says.
pub fn vt7(n: i64, q: i64, imm: i64, pc: u64) -> String {
    vt(n, q, size7(imm), pc)
}

/// All of a register, in lanes twice as wide.
pub fn wide7(n: i64, imm: i64, pc: u64) -> String {
    wide_all(n, size7(imm), pc)
}

/// A scalar of the size that `immh` says.
pub fn v7(n: i64, imm: i64, pc: u64) -> String {
    show::v(n, size7(imm), pc)
}

/// A scalar twice as wide.
pub fn v7_next(n: i64, imm: i64, pc: u64) -> String {
    show::v(n, size7(imm) + 1, pc)
}

/// The amount of a shift right.
pub fn right(imm: i64, _: u64) -> i64 {
    (16 << size7(imm)) - imm
}

/// The amount of a shift left.
pub fn left(imm: i64, _: u64) -> i64 {
    imm - (8 << size7(imm))
}

/// The amount of a shift right of a doubleword.
pub fn right64(imm: i64, _: u64) -> i64 {
    64 - imm
}

/// The element of a last operand.
pub fn by_element(size: i64, l: i64, m: i64, rm: i64, h: i64, _: u64) -> String {
    match size {
        1 => format!("v{rm}.h[{}]", h << 2 | l << 1 | m),
        _ => format!("v{}.s[{}]", m << 4 | rm, h << 1 | l),
    }
}

/// The float element of a last operand.
pub fn by_float_element(sz: i64, l: i64, m: i64, rm: i64, h: i64, _: u64) -> String {
    let rm = m << 4 | rm;
    if sz == 0 { format!("v{rm}.s[{}]", h << 1 | l) } else { format!("v{rm}.d[{h}]") }
}

/// The half of a last operand.
pub fn by_half(l: i64, m: i64, rm: i64, h: i64, _: u64) -> String {
    format!("v{rm}.h[{}]", h << 2 | l << 1 | m)
}

/// The single of a last operand.
pub fn by_single(m: i64, rm: i64, h: i64, _: u64) -> String {
    format!("v{}.s[{h}]", m << 4 | rm)
}

/// The complex number of a last operand.
pub fn by_complex_half(l: i64, m: i64, rm: i64, h: i64, _: u64) -> String {
    format!("v{}.h[{}]", m << 4 | rm, h << 1 | l)
}

/// The four bytes of a last operand.
pub fn by_bytes(l: i64, m: i64, rm: i64, h: i64, _: u64) -> String {
    format!("v{}.4b[{}]", m << 4 | rm, h << 1 | l)
}

/// The two halves of a last operand.
pub fn by_pair(l: i64, m: i64, rm: i64, h: i64, _: u64) -> String {
    format!("v{}.2h[{}]", m << 4 | rm, h << 1 | l)
}

/// A constant of FMOV in two parts.
pub fn fp8_parts(abc: i64, defgh: i64, pc: u64) -> String {
    show::fp8(abc << 5 | defgh, pc)
}

/// A doubleword of a register, as a list.
pub fn doubleword(n: i64, index: i64, _: u64) -> String {
    format!("{{v{n}.d}}[{index}]")
}

/// Degrees.
pub fn quarters(rot: i64, _: u64) -> i64 {
    90 * rot
}

/// Degrees of one quarter or three.
pub fn odd_quarters(rot: i64, _: u64) -> i64 {
    90 + 180 * rot
}

/// Even or odd lanes, in the mnemonic.
pub fn bt(q: i64, _: u64) -> &'static str {
    if q == 0 { "b" } else { "t" }
}

fn shape(opcode: i64) -> (i64, i64) {
    let (registers, elements) = multiple(opcode as u8).unwrap_or((1, 1));
    (registers.into(), elements.into())
}

/// Elements of a structure, in the mnemonic.
pub fn multiple_elements(opcode: i64, _: u64) -> i64 {
    shape(opcode).1
}

/// The registers of a structure.
pub fn list(n: i64, q: i64, opcode: i64, size: i64, _: u64) -> String {
    registers(n, shape(opcode).0, &arrangement(q, size))
}

/// How far a base register goes on.
pub fn advance(rm: i64, q: i64, opcode: i64, pc: u64) -> String {
    if rm == 31 { format!("#{}", shape(opcode).0 << (3 + q)) } else { x(rm, pc) }
}

/// Elements of a structure, and whether they fill all lanes.
pub fn single(r: i64, opcode: i64, _: u64) -> String {
    let elements = ((opcode & 1) << 1 | r) + 1;
    if opcode >> 1 == 3 { format!("{elements}r") } else { elements.to_string() }
}

/// Registers of single elements.
pub fn list_one(n: i64, r: i64, q: i64, opcode: i64, s: i64, size: i64, _: u64) -> String {
    let count = ((opcode & 1) << 1 | r) + 1;
    let bits = q << 3 | s << 2 | size;
    let (letter, index) = match opcode >> 1 {
        0 => ("b", bits),
        1 => ("h", bits >> 1),
        2 if size == 0 => ("s", bits >> 2),
        2 => ("d", bits >> 3),
        _ => return registers(n, count, &arrangement(q, size)),
    };
    format!("{}[{index}]", registers(n, count, letter))
}

/// How far a base register goes on past single elements.
pub fn advance_one(rm: i64, r: i64, opcode: i64, size: i64, pc: u64) -> String {
    if rm != 31 {
        return x(rm, pc);
    }
    let log2 = match opcode >> 1 {
        2 => 2 + (size & 1),
        3 => size,
        n => n,
    };
    format!("#{}", (((opcode & 1) << 1 | r) + 1) << log2)
}
