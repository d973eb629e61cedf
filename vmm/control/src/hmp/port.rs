//! I/O ports. The CPUs of these guests have none, and nothing answers there: as QEMU has it, bits that are read are ones.

use super::memory::{format, value};
use super::{Call, split};

/// Ports are 16 bits wide.
const PORTS: u64 = 0xffff;

pub fn read(call: &mut Call) -> String {
    let (size, port) = match (format(call.format, 4), value(call, call.rest)) {
        (Ok(format), Ok(port)) => (format.size, port & PORTS),
        (Err(fault), _) | (_, Err(fault)) => return fault,
    };
    let (letter, bits) = match size {
        2 => ('w', 16),
        4 => ('l', 32),
        _ => ('b', 8),
    };
    format!("port{letter}[{port:#06x}] = {:#0width$x}\n", (1u64 << bits) - 1, width = 2 + 2 * size)
}

pub fn write(call: &mut Call) -> String {
    let (port, datum) = split(call.rest);
    let parts = format(call.format, 4).and(value(call, port)).and(value(call, datum));
    parts.err().unwrap_or_default()
}
