//! A small assembler for RV64I, M and Zicsr: as much of GNU as' language as the guest within this program uses.
//!
//! From: RISC-V Unprivileged ISA 20240411, chapters 2, 4, 6 and 13. One instruction a line; two passes, the first for
//! the addresses of labels. Left out: sections, relocations, macros, compressed instructions.

use std::collections::HashMap;

/// How the operands of an instruction are encoded.
#[derive(Clone, Copy)]
enum Format {
    /// `rd, rs1, rs2`
    R,
    /// `rd, rs1, imm`
    I,
    /// `rd, rs1, shamt`
    Shift,
    /// `rd, imm(rs1)`
    Load,
    /// `rs2, imm(rs1)`
    Store,
    /// `rs1, rs2, label`
    Branch,
    /// No operands.
    Fixed,
}

/// The instructions, with all bits that operands do not fill.
const TABLE: &[(&str, Format, u32)] = &[
    ("add", Format::R, 0x0000_0033),
    ("and", Format::R, 0x0000_7033),
    ("or", Format::R, 0x0000_6033),
    ("divu", Format::R, 0x0200_5033),
    ("remu", Format::R, 0x0200_7033),
    ("addi", Format::I, 0x0000_0013),
    ("andi", Format::I, 0x0000_7013),
    ("slli", Format::Shift, 0x0000_1013),
    ("srli", Format::Shift, 0x0000_5013),
    ("srai", Format::Shift, 0x4000_5013),
    ("lbu", Format::Load, 0x0000_4003),
    ("lwu", Format::Load, 0x0000_6003),
    ("ld", Format::Load, 0x0000_3003),
    ("sb", Format::Store, 0x0000_0023),
    ("sw", Format::Store, 0x0000_2023),
    ("sd", Format::Store, 0x0000_3023),
    ("beq", Format::Branch, 0x0000_0063),
    ("bne", Format::Branch, 0x0000_1063),
    ("ecall", Format::Fixed, 0x0000_0073),
    ("ebreak", Format::Fixed, 0x0010_0073),
    ("wfi", Format::Fixed, 0x1050_0073),
    ("ret", Format::Fixed, 0x0000_8067),
];

const REGISTERS: [&str; 32] = [
    "zero", "ra", "sp", "gp", "tp", "t0", "t1", "t2", "s0", "s1", "a0", "a1", "a2", "a3", "a4", "a5", "a6",
    "a7", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "t3", "t4", "t5", "t6",
];

/// CSRs by name.
const CSRS: &[(&str, u32)] = &[("sie", 0x104), ("mie", 0x304), ("mtvec", 0x305)];

type Result<T> = std::result::Result<T, String>;

/// What is known while a pass runs: numbers by name, labels among them in the second pass.
struct Pass {
    symbols: HashMap<String, i64>,
    out: Vec<u8>,
    /// Labels are known.
    last: bool,
}

/// The image of `source`, entered at its first byte; the error begins with the line's number.
pub fn assemble(source: &str) -> Result<Vec<u8>> {
    let mut pass = Pass { symbols: HashMap::new(), out: Vec::new(), last: false };
    for last in [false, true] {
        pass.last = last;
        pass.out.clear();
        for (number, line) in source.lines().enumerate() {
            pass.line(line).map_err(|fault| format!("{}: {fault}", number + 1))?;
        }
    }
    Ok(pass.out)
}

impl Pass {
    fn line(&mut self, line: &str) -> Result<()> {
        let mut text = without_comment(line).trim();
        if let Some((label, rest)) = text.split_once(':')
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        {
            let here = self.out.len() as i64;
            if self.symbols.insert(label.into(), here).is_some_and(|before| before != here) {
                return Err(format!("the label {label} stands twice"));
            }
            text = rest.trim();
        }
        if text.is_empty() {
            return Ok(());
        }
        let (name, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        if name == ".asciz" {
            return self.text(rest.trim());
        }
        let operands: Vec<&str> = rest.split(',').map(str::trim).filter(|o| !o.is_empty()).collect();
        match (name, &operands[..]) {
            (".equ", [name, value]) => {
                let value = self.number(value)?;
                self.symbols.insert((*name).into(), value);
            }
            (".align", [to]) => self.align(self.number(to)? as usize),
            (".space", [bytes]) => self.out.resize(self.out.len() + self.number(bytes)? as usize, 0),
            _ => self.instruction(name, &operands)?,
        }
        Ok(())
    }

    fn align(&mut self, to: usize) {
        self.out.resize(self.out.len().next_multiple_of(to), 0);
    }

    fn text(&mut self, quoted: &str) -> Result<()> {
        let inner = quoted.strip_prefix('"').and_then(|t| t.strip_suffix('"')).ok_or("a text has quotes")?;
        let bytes = inner.replace("\\r", "\r").replace("\\n", "\n").into_bytes();
        self.out.extend(bytes);
        self.out.push(0);
        Ok(())
    }

    fn word(&mut self, word: u32) {
        self.out.extend(word.to_le_bytes());
    }

    fn instruction(&mut self, name: &str, operands: &[&str]) -> Result<()> {
        match (name, operands) {
            ("mv", [rd, rs]) => self.instruction("addi", &[rd, rs, "0"]),
            ("beqz", [rs, label]) => self.instruction("beq", &[rs, "zero", label]),
            ("bnez", [rs, label]) => self.instruction("bne", &[rs, "zero", label]),
            ("j", [label]) => self.jump(0, label),
            ("call", [label]) => self.jump(1, label),
            ("li", [rd, value]) => self.load_number(rd, value),
            ("la", [rd, label]) => self.load_address(rd, label),
            ("csrs", [csr, rs]) => {
                let (_, number) = CSRS.iter().find(|(known, _)| known == csr).ok_or("no such CSR")?;
                self.word(0x0000_2073 | number << 20 | register(rs)? << 15);
                Ok(())
            }
            _ => {
                let row = TABLE.iter().find(|(known, ..)| *known == name);
                let (_, format, bits) = row.ok_or_else(|| format!("no instruction {name}"))?;
                let operands = self.encode(*format, operands)?;
                self.word(bits | operands);
                Ok(())
            }
        }
    }

    fn encode(&self, format: Format, operands: &[&str]) -> Result<u32> {
        Ok(match (format, operands) {
            (Format::R, [rd, rs1, rs2]) => register(rd)? << 7 | register(rs1)? << 15 | register(rs2)? << 20,
            (Format::I, [rd, rs1, value]) => {
                register(rd)? << 7 | register(rs1)? << 15 | self.immediate(value)? << 20
            }
            (Format::Shift, [rd, rs1, by]) => {
                register(rd)? << 7 | register(rs1)? << 15 | (self.number(by)? as u32 & 63) << 20
            }
            (Format::Load, [rd, place]) => {
                let (offset, base) = self.place(place)?;
                register(rd)? << 7 | base << 15 | offset << 20
            }
            (Format::Store, [rs2, place]) => {
                let (offset, base) = self.place(place)?;
                (offset & 31) << 7 | base << 15 | register(rs2)? << 20 | (offset >> 5) << 25
            }
            (Format::Branch, [rs1, rs2, label]) => {
                let d = self.distance(label, 13)?;
                let low = (d >> 11 & 1) << 7 | (d >> 1 & 15) << 8;
                let high = (d >> 5 & 63) << 25 | (d >> 12 & 1) << 31;
                low | register(rs1)? << 15 | register(rs2)? << 20 | high
            }
            (Format::Fixed, []) => 0,
            _ => return Err("not the operands of this instruction".into()),
        })
    }

    fn jump(&mut self, link: u32, label: &str) -> Result<()> {
        let d = self.distance(label, 21)?;
        let high = (d >> 1 & 0x3ff) << 21 | (d >> 20 & 1) << 31;
        self.word(0x0000_006f | link << 7 | (d >> 12 & 0xff) << 12 | (d >> 11 & 1) << 20 | high);
        Ok(())
    }

    /// One `addi`, or `lui` and `addiw`.
    fn load_number(&mut self, rd: &str, value: &str) -> Result<()> {
        let (rd, value) = (register(rd)?, self.number(value)?);
        let number = i32::try_from(value).map_err(|_| "the number has more than 32 bits")? as u32;
        if (-2048..2048).contains(&value) {
            self.word(0x0000_0013 | rd << 7 | (number & 0xfff) << 20);
        } else {
            self.word(0x0000_0037 | rd << 7 | number.wrapping_add(0x800) & 0xffff_f000);
            self.word(0x0000_001b | rd << 7 | rd << 15 | (number & 0xfff) << 20);
        }
        Ok(())
    }

    /// `auipc` and `addi`.
    fn load_address(&mut self, rd: &str, label: &str) -> Result<()> {
        let (rd, d) = (register(rd)?, self.distance(label, 32)?);
        self.word(0x0000_0017 | rd << 7 | d.wrapping_add(0x800) & 0xffff_f000);
        self.word(0x0000_0013 | rd << 7 | rd << 15 | (d & 0xfff) << 20);
        Ok(())
    }

    /// From here to a label, which `bits` bits can tell.
    fn distance(&self, label: &str, bits: u32) -> Result<u32> {
        let here = self.out.len() as i64;
        let there = match self.symbols.get(label) {
            Some(there) => *there,
            None if !self.last => here,
            None => return Err(format!("no label {label}")),
        };
        let (distance, limit) = (there - here, 1i64 << (bits - 1));
        if self.last && !(-limit..limit).contains(&distance) {
            return Err(format!("{label} is too far"));
        }
        Ok(distance as u32)
    }

    fn immediate(&self, text: &str) -> Result<u32> {
        let value = self.number(text)?;
        if !(-2048..2048).contains(&value) {
            return Err(format!("{text} has more than 12 bits"));
        }
        Ok(value as u32 & 0xfff)
    }

    /// `imm(rs)`.
    fn place(&self, text: &str) -> Result<(u32, u32)> {
        let inner = text.strip_suffix(')').and_then(|t| t.split_once('('));
        let (offset, base) = inner.ok_or_else(|| format!("{text} is no place in memory"))?;
        Ok((self.immediate(offset)?, register(base)?))
    }

    /// A number, a character in quotes, or a name for one.
    fn number(&self, text: &str) -> Result<i64> {
        let parsed =
            match (text.strip_prefix("0x"), text.strip_prefix('\'').and_then(|t| t.strip_suffix('\''))) {
                (Some(digits), _) => i64::from_str_radix(digits, 16).ok(),
                (_, Some(character)) => character.chars().next().map(|c| i64::from(u32::from(c))),
                (None, None) => text.parse().ok().or_else(|| self.symbols.get(text).copied()),
            };
        parsed.ok_or_else(|| format!("{text} is no number"))
    }
}

fn register(name: &str) -> Result<u32> {
    let n = REGISTERS.iter().position(|known| *known == name);
    n.map(|n| n as u32).ok_or_else(|| format!("no register {name}"))
}

/// A line up to its `#`, unless that stands in a text.
fn without_comment(line: &str) -> &str {
    let mut quoted = false;
    let end = line.find(|c| {
        quoted ^= c == '"';
        c == '#' && !quoted
    });
    &line[..end.unwrap_or(line.len())]
}
