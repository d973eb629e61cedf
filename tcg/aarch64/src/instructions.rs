//! System instructions: maintenance of caches and TLBs, address translation. C5.3 to C5.5. Caches are not modelled, so their
//! maintenance only checks.

use crate::Aarch64;
use crate::cpu::Cpu;
use crate::esr;
use crate::features::{Ext, IdReg};
use crate::mmu::at::At;
use crate::sysreg::{Instruction, encode, instruction_trap};
use crate::tlbi;
use tcg_core::guest::Trap;
use tcg_core::interp::Stop;
use tcg_core::run::with_mmu;
use tcg_core::sem::MemOp;

/// op1, CRn, CRm, op2 of a system instruction.
pub const fn instruction(op1: u16, crn: u16, crm: u16, op2: u16) -> u16 {
    encode(0, op1, crn, crm, op2)
}

const IC_IALLUIS: u16 = instruction(0, 7, 1, 0);
const IC_IALLU: u16 = instruction(0, 7, 5, 0);
/// IC IVAU.
pub const IC_IVAU: u16 = instruction(3, 7, 5, 1);
const DC_IVAC: u16 = instruction(0, 7, 6, 1);
const DC_ISW: u16 = instruction(0, 7, 6, 2);
const DC_CSW: u16 = instruction(0, 7, 10, 2);
const DC_CISW: u16 = instruction(0, 7, 14, 2);
/// DC ZVA.
pub const DC_ZVA: u16 = instruction(3, 7, 4, 1);
const DC_CVAC: u16 = instruction(3, 7, 10, 1);
const DC_CVAU: u16 = instruction(3, 7, 11, 1);
const DC_CVAP: u16 = instruction(3, 7, 12, 1);
const DC_CVADP: u16 = instruction(3, 7, 13, 1);
const DC_CIVAC: u16 = instruction(3, 7, 14, 1);

/// What an encoding does.
enum Does {
    /// Maintenance of a cache.
    Cache(Instruction),
    /// IC IVAU.
    ForgetCode,
    /// DC ZVA.
    ZeroBlock,
    /// Address translation.
    Translate(At),
    /// TLB maintenance.
    Tlb,
}

/// The instruction of an encoding and the lowest level that has it.
fn decode(cpu: &Cpu, reg: u16) -> Option<(Does, u8)> {
    let features = cpu.system.features;
    Some(match reg {
        IC_IALLUIS | IC_IALLU => (Does::Cache(Instruction::ToUnification), 1),
        DC_IVAC => (Does::Cache(Instruction::CleanToCoherency), 1),
        DC_ISW | DC_CSW | DC_CISW => (Does::Cache(Instruction::SetWay), 1),
        IC_IVAU => (Does::ForgetCode, 0),
        DC_ZVA => (Does::ZeroBlock, 0),
        DC_CVAU => (Does::Cache(Instruction::ToUnification), 0),
        DC_CVAC | DC_CIVAC => (Does::Cache(Instruction::CleanToCoherency), 0),
        DC_CVAP if features.has(Ext::Dpb) => (Does::Cache(Instruction::CleanToCoherency), 0),
        DC_CVADP if features.has(Ext::Dpb2) => (Does::Cache(Instruction::CleanToCoherency), 0),
        _ => {
            if let Some((at, level)) = translation(cpu, reg) {
                return Some((Does::Translate(at), level));
            }
            (Does::Tlb, tlbi::level(cpu, reg)?)
        }
    })
}

/// An address translation instruction.
fn translation(cpu: &Cpu, reg: u16) -> Option<(At, u8)> {
    let (op1, crn, crm, op2) = (reg >> 11 & 7, reg >> 7 & 15, reg >> 3 & 15, reg & 7);
    let board = cpu.system.board;
    let at = |el: u8, both: bool, pan: bool| At { el, write: op2 & 1 != 0, both, pan };
    let has_pan2 = cpu.system.features.field(IdReg::Mmfr1, 20) >= 2;
    match (crn, op1, crm, op2) {
        (7, 0, 8, 0 | 1) => Some((at(1, false, false), 1)),
        (7, 0, 8, 2 | 3) => Some((at(0, false, false), 1)),
        (7, 0, 9, 0 | 1) if has_pan2 => Some((at(1, false, true), 1)),
        (7, 4, 8, 0 | 1) if board.has_el2 => Some((at(2, false, false), 2)),
        (7, 4, 8, 4 | 5) if board.has_el2 => Some((at(1, true, false), 2)),
        (7, 4, 8, 6 | 7) if board.has_el2 => Some((at(0, true, false), 2)),
        (7, 6, 8, 0 | 1) if board.has_el3 => Some((at(3, false, false), 3)),
        _ => None,
    }
}

/// Carries out instruction `reg` with `value`, which is that of general register `rt`.
pub fn run(cpu: &mut Cpu, reg: u16, rt: u8, value: u64) -> Result<(), Stop> {
    let Some((does, level)) = decode(cpu, reg) else {
        return Err(Stop::Trap(esr::UNDEFINED));
    };
    if cpu.system.el < level {
        return Err(Stop::Trap(esr::UNDEFINED));
    }
    let group = match does {
        Does::Cache(group) => Some(group),
        Does::ForgetCode => Some(Instruction::ToUnification),
        Does::ZeroBlock => Some(Instruction::ZeroBlock),
        Does::Tlb => Some(Instruction::Tlb),
        Does::Translate(_) => None,
    };
    if let Some(el) = group.and_then(|group| instruction_trap(&cpu.system, group)) {
        return Err(Stop::Trap(esr::system_instruction(el, reg, rt)));
    }
    match does {
        Does::Cache(_) => {}
        Does::ForgetCode => {
            let line = 4u64 << (cpu.system.features.ctr() & 15);
            with_mmu::<Aarch64, _>(cpu, |_, mmu| mmu.code_changed(value & !(line - 1), line));
        }
        Does::ZeroBlock => zero_block(cpu, value)?,
        Does::Translate(at) => {
            let done: Option<Result<(), Trap>> = with_mmu::<Aarch64, _>(cpu, |cpu, mmu| {
                let mem = mmu.phys();
                at.run(cpu, &mem, value)
            });
            done.unwrap_or(Ok(())).map_err(Stop::Trap)?;
        }
        Does::Tlb => tlbi::run(cpu, reg, value),
    }
    Ok(())
}

fn zero_block(cpu: &mut Cpu, addr: u64) -> Result<(), Stop> {
    let log2 =
        if cpu.system.user_ids { cpu.system.features.dczid() } else { cpu.system.features.system_lines().1 };
    let size = 4u64 << log2;
    let start = addr & !(size - 1);
    let done = with_mmu::<Aarch64, _>(cpu, |cpu, mmu| {
        (0..size / 8).try_for_each(|n| mmu.store::<Aarch64>(cpu, start + n * 8, 0, MemOp::new(3)))
    });
    done.unwrap_or(Ok(())).map_err(Stop::from)
}
