//! Semihosting in A64: `hlt #0xf000` asks for it. The operation is in w0, its parameter in x1, and the result goes to x0.

use crate::memory::{self, Space};
use crate::semihost::{Convention, Semihost};
use tcg_aarch64::Aarch64;
use tcg_aarch64::esr;
use tcg_core::guest::Trap;
use tcg_core::run::Vcpu;

/// The instruction, which is undefined where no debugger takes it.
const HLT: u32 = 0xd45e_0000;
const CONVENTION: Convention = Convention { result: 0, stack: 31 };

/// Sees the traps of a CPU; takes instructions that ask for semihosting.
pub fn trap(semihost: &Semihost, vcpu: &mut Vcpu<Aarch64>, trap: Trap) -> bool {
    if trap != esr::UNDEFINED || !semihost.serves_users() && vcpu.cpu().system.el == 0 {
        return false;
    }
    let pc = vcpu.cpu().head.pc;
    let instruction = memory::read(vcpu as &dyn crate::Cpu, Space::Virtual, pc, 4);
    if instruction.as_deref() != Some(&HLT.to_le_bytes()[..]) {
        return false;
    }
    let (number, parameter) = (vcpu.cpu().x[0] & 0xffff_ffff, vcpu.cpu().x[1]);
    if let Some(value) = semihost.call(vcpu, &CONVENTION, number, parameter) {
        let cpu = vcpu.cpu_mut();
        cpu.x[0] = value;
        cpu.head.pc = pc.wrapping_add(4);
    }
    true
}
