//! Calls that only riscv has: `Documentation/arch/riscv/hwprobe.rst`, and the flush of instruction caches.

use super::{Kind, Row, own};
use crate::memory::Result;
use crate::thread::Thread;
use Kind::*;
use libc::EINVAL;

/// What [`super::row`] looks at last.
pub const ROWS: &[Row] = &[
    own(258, "riscv_hwprobe", &[Pointer, Size, Size, Pointer, Hex], riscv_hwprobe),
    own(259, "riscv_flush_icache", &[Address, Address, Hex], riscv_flush_icache),
];

/// The key that only the process' memory knows an answer to.
const HIGHEST_VIRT_ADDRESS: i64 = 7;

fn riscv_hwprobe(thread: &mut Thread, [pairs, count, cpus, set, flags, _]: [u64; 6]) -> Result<u64> {
    if flags != 0 || (cpus == 0) != (set == 0) {
        return Err(EINVAL);
    }
    let memory = thread.process.memory.clone();
    for n in 0..count {
        let at = pairs + n * 16;
        let key = memory.read::<i64>(at)?;
        let value = match key {
            HIGHEST_VIRT_ADDRESS => Some(memory.space().range().end - 1),
            key => thread.cpu.probe(key),
        };
        match value {
            Some(value) => memory.write(at + 8, value)?,
            None => memory.write(at, [u64::MAX, 0])?,
        }
    }
    Ok(0)
}

fn riscv_flush_icache(thread: &mut Thread, [start, end, flags, ..]: [u64; 6]) -> Result<u64> {
    if flags & !1 != 0 {
        return Err(EINVAL);
    }
    let memory = &thread.process.memory;
    let all = memory.space().range();
    let range = start.max(all.start)..end.min(all.end);
    if !range.is_empty() {
        memory.drop_code(range);
    }
    Ok(0)
}
