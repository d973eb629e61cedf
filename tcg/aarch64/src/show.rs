//! The registers of a PE as text, as QEMU writes them.

use crate::cpu::Cpu;
use crate::sysreg::nzcv;
use std::fmt::{Formatter, Result};

/// General registers and PSTATE, and with `float` the SIMD registers.
pub fn registers(cpu: &Cpu, float: bool, to: &mut Formatter<'_>) -> Result {
    write!(to, " PC={:016x}", cpu.head.pc)?;
    for (n, value) in cpu.x.iter().enumerate() {
        let gap = if n >= 2 && n % 4 == 2 { '\n' } else { ' ' };
        write!(to, "{gap}X{n:02}={value:016x}")?;
    }
    let pstate = nzcv(cpu.flags);
    let flag = |bit: u32, letter: char| if pstate >> bit & 1 != 0 { letter } else { '-' };
    let [n, z, c, v] = [flag(31, 'N'), flag(30, 'Z'), flag(29, 'C'), flag(28, 'V')];
    write!(to, "  SP={:016x}\nPSTATE={pstate:08x} {n}{z}{c}{v} EL{}t", cpu.sp, cpu.system.el)?;
    if float {
        write!(to, "\nFPCR={:08x}", cpu.system.fpcr)?;
        for (n, value) in cpu.v.iter().enumerate() {
            let gap = if n % 2 == 0 { '\n' } else { ' ' };
            write!(to, "{gap}Q{n:02}={:016x}:{:016x}", (value >> 64) as u64, *value as u64)?;
        }
    }
    Ok(())
}
