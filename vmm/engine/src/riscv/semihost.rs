//! Semihosting on riscv: an `ebreak` between `slli x0, x0, 31` and `srai x0, x0, 7` asks for it. The operation is in a0, its
//! parameter in a1, and the result goes to a0.

use crate::memory::{self, Space};
use crate::semihost::{Convention, Semihost};
use base::PAGE_SIZE;
use tcg_core::guest::Trap;
use tcg_core::run::Vcpu;
use tcg_riscv::Riscv;
use tcg_riscv::csr::Priv;
use tcg_riscv::csr::bits::cause;

/// The three instructions.
const SEQUENCE: [u32; 3] = [0x01f0_1013, 0x0010_0073, 0x4070_5013];
const A0: usize = 10;
const A1: usize = 11;
const CONVENTION: Convention = Convention { result: A0 as u32, stack: 2 };

/// Sees the traps of a hart; takes breakpoints that ask for semihosting.
pub fn trap(semihost: &Semihost, vcpu: &mut Vcpu<Riscv>, trap: Trap) -> bool {
    if trap.code != cause::BREAKPOINT || !semihost.serves_users() && vcpu.cpu().csr.privilege == Priv::U {
        return false;
    }
    let pc = vcpu.cpu().head.pc;
    if !asks(vcpu, pc) {
        return false;
    }
    let (number, parameter) = (vcpu.cpu().x[A0], vcpu.cpu().x[A1]);
    if let Some(value) = semihost.call(vcpu, &CONVENTION, number, parameter) {
        let cpu = vcpu.cpu_mut();
        cpu.x[A0] = value;
        cpu.head.pc = pc.wrapping_add(4);
    }
    true
}

/// Whether the instructions around `pc` are those, all in one page.
fn asks(vcpu: &Vcpu<Riscv>, pc: u64) -> bool {
    let first = pc.wrapping_sub(4);
    if first / PAGE_SIZE != pc.wrapping_add(7) / PAGE_SIZE {
        return false;
    }
    let bytes: Vec<u8> = SEQUENCE.iter().flat_map(|word| word.to_le_bytes()).collect();
    memory::read(vcpu, Space::Virtual, first, bytes.len()) == Some(bytes)
}
