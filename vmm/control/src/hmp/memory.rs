//! Commands about memory and values: `x`, `xp`, `print` and their like.

use super::expression::evaluate;
use super::{Call, split};
use crate::qmp;
use engine::Cpu;
use engine::memory::{self, Space};
use serde_json::json;

/// Bytes that a checksum reads at once.
const PIECE: u64 = 64 << 10;
/// Items that a dump shows, at most.
const MOST: usize = 1 << 16;

/// `/COUNT FORMAT SIZE`: what a dump shows.
pub(super) struct Format {
    count: usize,
    /// `o`, `x`, `u`, `d`, `c` or `i`.
    kind: char,
    /// Bytes of an item.
    pub size: usize,
}

/// Reads a format; `size` is that of an item if nothing is said.
pub(super) fn format(text: &str, size: usize) -> Result<Format, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let count = text[..digits].parse().unwrap_or(1);
    let mut format = Format { count: usize::min(count, MOST), kind: 'x', size };
    for letter in text[digits..].chars() {
        match letter {
            'o' | 'x' | 'u' | 'd' | 'i' => format.kind = letter,
            'c' => (format.kind, format.size) = ('c', 1),
            'b' => format.size = 1,
            'h' => format.size = 2,
            'w' => format.size = 4,
            'g' | 'L' => format.size = 8,
            _ => return Err(format!("invalid char in format: '{letter}'\n")),
        }
    }
    Ok(format)
}

/// One value, as wide as the widest of its size.
fn item(value: u64, format: &Format) -> String {
    let bits = 8 * format.size;
    match format.kind {
        'o' => format!("0{value:0width$o}", width = bits.div_ceil(3)),
        'u' => format!("{value:width$}", width = (bits * 10).div_ceil(33)),
        'd' => {
            let value = (value << (64 - bits)) as i64 >> (64 - bits);
            format!("{value:width$}", width = (bits * 10).div_ceil(33))
        }
        'c' => character(value as u8),
        _ => format!("0x{value:0width$x}", width = bits / 4),
    }
}

fn character(byte: u8) -> String {
    match byte {
        b'\'' => "'\\''".into(),
        b'\\' => "'\\\\'".into(),
        b'\n' => "'\\n'".into(),
        b'\r' => "'\\r'".into(),
        b' '..=b'~' => format!("'{}'", char::from(byte)),
        _ => format!("'\\x{byte:02x}'"),
    }
}

fn dump(cpu: &mut dyn Cpu, space: Space, addr: u64, format: &Format) -> String {
    if format.kind == 'i' {
        return listing(cpu, addr, format.count);
    }
    let mut text = String::new();
    let on_a_line = if format.size == 1 { 8 } else { 16 / format.size };
    let mut at = addr;
    let mut left = format.count;
    while left > 0 {
        let count = left.min(on_a_line);
        text += &format!("{at:016x}:");
        let Some(bytes) = memory::read(cpu, space, at, count * format.size) else {
            return text + " Cannot access memory\n";
        };
        for chunk in bytes.chunks(format.size) {
            let mut value = [0; 8];
            value[..chunk.len()].copy_from_slice(chunk);
            text += &format!(" {}", item(u64::from_le_bytes(value), format));
        }
        text += "\n";
        at = at.wrapping_add((count * format.size) as u64);
        left -= count;
    }
    text
}

fn listing(cpu: &mut dyn Cpu, mut addr: u64, count: usize) -> String {
    let mut text = String::new();
    for _ in 0..count {
        let Some((insn, len)) = cpu.disassemble(addr) else {
            return text + &format!("Cannot disassemble at {addr:#x}\n");
        };
        let bytes = memory::read(cpu, Space::Virtual, addr, len as usize).unwrap_or_default();
        let hex: String = bytes.iter().rev().map(|byte| format!("{byte:02x}")).collect();
        text += &format!("{addr:#010x}:  {hex:<16}  {insn}\n");
        addr = addr.wrapping_add(len);
    }
    text
}

/// Has `work` done with the vCPU that the monitor looks at.
fn on_cpu(call: &Call, work: impl FnOnce(&mut dyn Cpu) -> String + Send + 'static) -> String {
    let cpu = *call.cpu;
    call.context.power.with_cpus(move |cpus| cpus.cpu(cpu).map(work)).flatten().unwrap_or_default()
}

fn dump_at(call: &Call, space: Space) -> String {
    let format = match format(call.format, 4) {
        Ok(format) => format,
        Err(fault) => return fault,
    };
    let text = call.rest.to_string();
    on_cpu(call, move |cpu| match evaluate(&text, cpu) {
        Ok(addr) => dump(cpu, space, addr, &format),
        Err(fault) => fault,
    })
}

pub fn x(call: &mut Call) -> String {
    dump_at(call, Space::Virtual)
}

pub fn xp(call: &mut Call) -> String {
    dump_at(call, Space::Physical)
}

pub fn print(call: &mut Call) -> String {
    let format = match format(call.format, 8) {
        Ok(format) => format,
        Err(fault) => return fault,
    };
    let text = call.rest.to_string();
    on_cpu(call, move |cpu| {
        evaluate(&text, cpu).map_or_else(
            |fault| fault,
            |value| match format.kind {
                'o' => format!("{value:#o}\n"),
                'u' => format!("{value}\n"),
                'c' => format!("{}\n", character(value as u8)),
                'd' => format!("{}\n", value as i64),
                _ => format!("{value:#x}\n"),
            },
        )
    })
}

/// Evaluates a word on the vCPU.
pub(super) fn value(call: &Call, text: &str) -> Result<u64, String> {
    let (text, cpu) = (text.to_string(), *call.cpu);
    let work = move |cpus: &mut dyn engine::Cpus| cpus.cpu(cpu).map(|cpu| evaluate(&text, cpu));
    call.context.power.with_cpus(work).flatten().unwrap_or_else(|| Err(String::new()))
}

pub fn gva2gpa(call: &mut Call) -> String {
    let text = call.rest.to_string();
    on_cpu(call, move |cpu| match evaluate(&text, cpu) {
        Ok(addr) => cpu.translate(addr).map_or("Unmapped\n".into(), |phys| format!("gpa: {phys:#x}\n")),
        Err(fault) => fault,
    })
}

pub fn gpa2hva(call: &mut Call) -> String {
    let addr = match value(call, call.rest) {
        Ok(addr) => addr,
        Err(fault) => return fault,
    };
    match call.context.space.lookup(addr) {
        base::Target::Ram { host, .. } => format!("Host virtual address for {addr:#x} (ram) is {host:p}\n"),
        _ => format!("Error: No memory is mapped at address {addr:#x}\n"),
    }
}

pub fn sum(call: &mut Call) -> String {
    let (start, size) = split(call.rest);
    let (start, size) = match (value(call, start), value(call, size)) {
        (Ok(start), Ok(size)) => (start, size.min(1 << 32)),
        (Err(fault), _) | (_, Err(fault)) => return fault,
    };
    on_cpu(call, move |cpu| {
        let mut sum = 0u16;
        let mut done = 0;
        while done < size {
            let len = PIECE.min(size - done);
            let Some(bytes) = memory::read(cpu, Space::Physical, start.wrapping_add(done), len as usize)
            else {
                return "Cannot access memory\n".into();
            };
            // BSD's sum.
            sum = bytes.iter().fold(sum, |sum, byte| sum.rotate_right(1).wrapping_add(u16::from(*byte)));
            done += len;
        }
        format!("{sum:05}\n")
    })
}

fn save(call: &Call, name: &str) -> String {
    let (start, rest) = split(call.rest);
    let (size, file) = split(rest);
    let (start, size) = match (value(call, start), value(call, size)) {
        (Ok(start), Ok(size)) => (start, size),
        (Err(fault), _) | (_, Err(fault)) => return fault,
    };
    let arguments = json!({"val": start as i64, "size": size as i64, "filename": file.trim_matches('"')});
    let done = qmp::call(call.context, name, arguments);
    done.err().map_or(String::new(), |error| format!("Error: {}\n", error.desc))
}

pub fn memsave(call: &mut Call) -> String {
    save(call, "memsave")
}

pub fn pmemsave(call: &mut Call) -> String {
    save(call, "pmemsave")
}
