//! Identification registers: D17.2, "ID registers". Those of AArch32, which is left out, read as zero.

use super::{Group, Needs, Row, Stored, constant, encode, functions, stored, zero};
use crate::cpu::Cpu;
use crate::features::IdReg;

/// An identification register, as a user program sees it or system software.
fn id(cpu: &mut Cpu, reg: IdReg) -> u64 {
    let (features, board) = (cpu.system.features, cpu.system.board);
    if cpu.system.user_ids {
        return features.id(reg);
    }
    let value = features.system_id(reg);
    match reg {
        IdReg::Pfr0 => {
            let gic = cpu.system.wiring.as_ref().is_some_and(|wiring| wiring.gic.is_some());
            value | u64::from(board.has_el2) << 8 | u64::from(board.has_el3) << 12 | u64::from(gic) << 24
        }
        _ => value,
    }
}

macro_rules! id {
    ($name:literal, $crm:literal, $op2:literal, $reg:ident) => {
        constant($name, encode(3, 0, 0, $crm, $op2), |cpu| id(cpu, IdReg::$reg)).group(Group::Id3)
    };
}

const fn aarch32(name: &'static str, crm: u16, op2: u16) -> Row {
    constant(name, encode(3, 0, 0, crm, op2), |_| 0).group(Group::Id3)
}

/// Where EL2 is, EL1 finds what it says.
fn midr(cpu: &mut Cpu) -> u64 {
    let system = &cpu.system;
    if system.el == 1 && system.el2_enabled() { system.get(Stored::VpidrEl2) } else { system.features.midr() }
}

fn mpidr(cpu: &mut Cpu) -> u64 {
    let system = &cpu.system;
    if system.el == 1 && system.el2_enabled() {
        system.get(Stored::VmpidrEl2)
    } else {
        1 << 31 | system.board.mpidr
    }
}

fn ctr(cpu: &mut Cpu) -> u64 {
    if cpu.system.user_ids { cpu.system.features.ctr() } else { cpu.system.features.system_lines().0 }
}

/// DCZID_EL0; bit 4 says that DC ZVA is trapped.
pub fn dczid(cpu: &mut Cpu) -> u64 {
    if cpu.system.user_ids {
        return cpu.system.features.dczid();
    }
    let trapped = super::instruction_trap(&cpu.system, super::Instruction::ZeroBlock);
    cpu.system.features.system_lines().1 | u64::from(trapped.is_some()) << 4
}

/// The rows.
pub static ROWS: &[Row] = &[
    constant("MIDR_EL1", encode(3, 0, 0, 0, 0), midr),
    constant("MPIDR_EL1", encode(3, 0, 0, 0, 5), mpidr),
    constant("REVIDR_EL1", encode(3, 0, 0, 0, 6), |cpu| cpu.system.features.revidr()).group(Group::Id1),
    aarch32("ID_PFR0_EL1", 1, 0),
    aarch32("ID_PFR1_EL1", 1, 1),
    aarch32("ID_DFR0_EL1", 1, 2),
    aarch32("ID_AFR0_EL1", 1, 3),
    aarch32("ID_MMFR0_EL1", 1, 4),
    aarch32("ID_MMFR1_EL1", 1, 5),
    aarch32("ID_MMFR2_EL1", 1, 6),
    aarch32("ID_MMFR3_EL1", 1, 7),
    aarch32("ID_ISAR0_EL1", 2, 0),
    aarch32("ID_ISAR1_EL1", 2, 1),
    aarch32("ID_ISAR2_EL1", 2, 2),
    aarch32("ID_ISAR3_EL1", 2, 3),
    aarch32("ID_ISAR4_EL1", 2, 4),
    aarch32("ID_ISAR5_EL1", 2, 5),
    aarch32("ID_MMFR4_EL1", 2, 6),
    aarch32("ID_ISAR6_EL1", 2, 7),
    aarch32("MVFR0_EL1", 3, 0),
    aarch32("MVFR1_EL1", 3, 1),
    aarch32("MVFR2_EL1", 3, 2),
    aarch32("S3_0_C0_C3_3", 3, 3),
    aarch32("ID_PFR2_EL1", 3, 4),
    aarch32("ID_DFR1_EL1", 3, 5),
    aarch32("ID_MMFR5_EL1", 3, 6),
    aarch32("S3_0_C0_C3_7", 3, 7),
    id!("ID_AA64PFR0_EL1", 4, 0, Pfr0),
    id!("ID_AA64PFR1_EL1", 4, 1, Pfr1),
    aarch32("ID_AA64PFR2_EL1", 4, 2),
    aarch32("S3_0_C0_C4_3", 4, 3),
    aarch32("ID_AA64ZFR0_EL1", 4, 4),
    aarch32("ID_AA64SMFR0_EL1", 4, 5),
    aarch32("S3_0_C0_C4_6", 4, 6),
    aarch32("ID_AA64FPFR0_EL1", 4, 7),
    id!("ID_AA64DFR0_EL1", 5, 0, Dfr0),
    aarch32("ID_AA64DFR1_EL1", 5, 1),
    aarch32("S3_0_C0_C5_2", 5, 2),
    aarch32("S3_0_C0_C5_3", 5, 3),
    aarch32("ID_AA64AFR0_EL1", 5, 4),
    aarch32("ID_AA64AFR1_EL1", 5, 5),
    aarch32("S3_0_C0_C5_6", 5, 6),
    aarch32("S3_0_C0_C5_7", 5, 7),
    id!("ID_AA64ISAR0_EL1", 6, 0, Isar0),
    id!("ID_AA64ISAR1_EL1", 6, 1, Isar1),
    id!("ID_AA64ISAR2_EL1", 6, 2, Isar2),
    aarch32("ID_AA64ISAR3_EL1", 6, 3),
    aarch32("S3_0_C0_C6_4", 6, 4),
    aarch32("S3_0_C0_C6_5", 6, 5),
    aarch32("S3_0_C0_C6_6", 6, 6),
    aarch32("S3_0_C0_C6_7", 6, 7),
    id!("ID_AA64MMFR0_EL1", 7, 0, Mmfr0),
    id!("ID_AA64MMFR1_EL1", 7, 1, Mmfr1),
    id!("ID_AA64MMFR2_EL1", 7, 2, Mmfr2),
    id!("ID_AA64MMFR3_EL1", 7, 3, Mmfr3),
    aarch32("ID_AA64MMFR4_EL1", 7, 4),
    aarch32("S3_0_C0_C7_5", 7, 5),
    aarch32("S3_0_C0_C7_6", 7, 6),
    aarch32("S3_0_C0_C7_7", 7, 7),
    constant("CCSIDR_EL1", encode(3, 1, 0, 0, 0), |cpu| {
        cpu.system.features.ccsidr(cpu.system.get(Stored::CsselrEl1))
    })
    .group(Group::Id2),
    constant("CLIDR_EL1", encode(3, 1, 0, 0, 1), |cpu| cpu.system.features.clidr()).group(Group::Id2),
    constant("AIDR_EL1", encode(3, 1, 0, 0, 7), |_| 0).group(Group::Id1),
    stored("CSSELR_EL1", encode(3, 2, 0, 0, 0), Stored::CsselrEl1, 15).group(Group::Id2),
    constant("CTR_EL0", encode(3, 3, 0, 0, 1), ctr).group(Group::Id2),
    constant("DCZID_EL0", encode(3, 3, 0, 0, 7), dczid),
    zero("L2CTLR_EL1", encode(3, 1, 11, 0, 2)).needs(Needs::CortexA5x),
    zero("L2ECTLR_EL1", encode(3, 1, 11, 0, 3)).needs(Needs::CortexA5x),
    zero("L2ACTLR_EL1", encode(3, 1, 15, 0, 0)).needs(Needs::CortexA5x),
    zero("CPUACTLR_EL1", encode(3, 1, 15, 2, 0)).needs(Needs::CortexA5x),
    zero("CPUECTLR_EL1", encode(3, 1, 15, 2, 1)).needs(Needs::CortexA5x),
    zero("CPUMERRSR_EL1", encode(3, 1, 15, 2, 2)).needs(Needs::CortexA5x),
    zero("L2MERRSR_EL1", encode(3, 1, 15, 2, 3)).needs(Needs::CortexA5x),
    constant("CBAR_EL1", encode(3, 1, 15, 3, 0), |_| 0x800_0000),
    functions("S3_0_C15_C0_0", encode(3, 0, 15, 0, 0), |_| 4, super::ignore)
        .levels(1, super::NEVER)
        .needs(Needs::NeoverseN1),
    zero("CPUACTLR_EL1_N1", encode(3, 0, 15, 1, 0)).needs(Needs::NeoverseN1),
    zero("CPUACTLR2_EL1_N1", encode(3, 0, 15, 1, 1)).needs(Needs::NeoverseN1),
    zero("CPUACTLR3_EL1_N1", encode(3, 0, 15, 1, 2)).needs(Needs::NeoverseN1),
    functions("CPUECTLR_EL1_N1", encode(3, 0, 15, 1, 4), |_| 0x9_6156_3010, super::ignore)
        .needs(Needs::NeoverseN1),
    zero("ATCR_EL1_N1", encode(3, 0, 15, 2, 0)).needs(Needs::NeoverseN1),
    zero("AVTCR_EL2_N1", encode(3, 0, 15, 2, 1)).needs(Needs::NeoverseN1),
    zero("ERXPFGCTL_EL1_N1", encode(3, 0, 15, 2, 2)).needs(Needs::NeoverseN1),
    zero("CPUPWRCTLR_EL1_N1", encode(3, 0, 15, 2, 7)).needs(Needs::NeoverseN1),
    zero("CPUPCR_EL3_N1", encode(3, 0, 15, 7, 0)).needs(Needs::NeoverseN1),
];
