//! Registers of the performance monitors: D13, D17.5.

use super::{Group, NEVER, Needs, Row, constant, encode, functions, ignore};
use crate::pmu::COUNTERS;

/// Opens everything to EL0; the others open a part.
const EN: u64 = 1;
const SW: u64 = 1 << 1;
const CR: u64 = 1 << 2;
const ER: u64 = 1 << 3;
/// ER, for stores as well as for loads.
const ER_BOTH: u64 = ER | 1 << 8;

macro_rules! event {
    ($count:literal, $kind:literal, $n:literal) => {
        [
            functions(
                $count,
                encode(3, 3, 14, 8, $n),
                |cpu| cpu.pm_count($n),
                |cpu, value| cpu.set_pm_count($n, value),
            )
            .group(Group::Pmu(ER)),
            functions(
                $kind,
                encode(3, 3, 14, 12, $n),
                |cpu| cpu.pm_type($n),
                |cpu, value| cpu.set_pm_type($n, value),
            )
            .group(Group::Pmu(EN)),
        ]
    };
}

const EVENTS: [[Row; 2]; COUNTERS] = [
    event!("PMEVCNTR0_EL0", "PMEVTYPER0_EL0", 0),
    event!("PMEVCNTR1_EL0", "PMEVTYPER1_EL0", 1),
    event!("PMEVCNTR2_EL0", "PMEVTYPER2_EL0", 2),
    event!("PMEVCNTR3_EL0", "PMEVTYPER3_EL0", 3),
    event!("PMEVCNTR4_EL0", "PMEVTYPER4_EL0", 4),
    event!("PMEVCNTR5_EL0", "PMEVTYPER5_EL0", 5),
];

/// The rows.
pub static ROWS: &[Row] = &[
    functions("PMCR_EL0", encode(3, 3, 9, 12, 0), |cpu| cpu.pmcr(), |cpu, value| cpu.set_pmcr(value))
        .group(Group::Pmcr),
    functions(
        "PMCNTENSET_EL0",
        encode(3, 3, 9, 12, 1),
        |cpu| cpu.pm_enabled(),
        |cpu, set| cpu.pm_enable(set, true),
    )
    .group(Group::Pmu(EN)),
    functions(
        "PMCNTENCLR_EL0",
        encode(3, 3, 9, 12, 2),
        |cpu| cpu.pm_enabled(),
        |cpu, set| cpu.pm_enable(set, false),
    )
    .group(Group::Pmu(EN)),
    functions(
        "PMOVSCLR_EL0",
        encode(3, 3, 9, 12, 3),
        |cpu| cpu.pm_overflowed(),
        |cpu, set| cpu.pm_overflow(set, false),
    )
    .group(Group::Pmu(EN)),
    functions("PMSWINC_EL0", encode(3, 3, 9, 12, 4), |_| 0, |cpu, set| cpu.pm_increment(set))
        .levels(NEVER, 0)
        .group(Group::Pmu(SW)),
    functions(
        "PMSELR_EL0",
        encode(3, 3, 9, 12, 5),
        |cpu| cpu.system.pmu.selected,
        |cpu, value| {
            cpu.system.pmu.selected = value & 31;
        },
    )
    .group(Group::Pmu(ER_BOTH)),
    // Software increments and cycles.
    constant("PMCEID0_EL0", encode(3, 3, 9, 12, 6), |_| 0x2_0001).group(Group::Pmu(EN)),
    constant("PMCEID1_EL0", encode(3, 3, 9, 12, 7), |cpu| cpu.system.features.pmceid1())
        .group(Group::Pmu(EN)),
    functions(
        "PMCCNTR_EL0",
        encode(3, 3, 9, 13, 0),
        |cpu| cpu.pm_cycles(),
        |cpu, value| cpu.set_pm_cycles(value),
    )
    .group(Group::Pmu(CR)),
    functions(
        "PMXEVTYPER_EL0",
        encode(3, 3, 9, 13, 1),
        |cpu| cpu.pm_type(cpu.system.pmu.selected as usize),
        |cpu, value| cpu.set_pm_type(cpu.system.pmu.selected as usize, value),
    )
    .group(Group::Pmu(EN)),
    functions(
        "PMXEVCNTR_EL0",
        encode(3, 3, 9, 13, 2),
        |cpu| cpu.pm_count(cpu.system.pmu.selected as usize),
        |cpu, value| cpu.set_pm_count(cpu.system.pmu.selected as usize, value),
    )
    .group(Group::Pmu(ER)),
    functions(
        "PMUSERENR_EL0",
        encode(3, 3, 9, 14, 0),
        |cpu| cpu.system.pmu.user,
        |cpu, value| {
            cpu.system.pmu.user = value & 15;
        },
    )
    .levels(0, 1)
    .group(Group::Pmu(u64::MAX)),
    functions(
        "PMINTENSET_EL1",
        encode(3, 0, 9, 14, 1),
        |cpu| cpu.pm_interrupts(),
        |cpu, set| cpu.pm_interrupt(set, true),
    )
    .group(Group::Pmu(EN)),
    functions(
        "PMINTENCLR_EL1",
        encode(3, 0, 9, 14, 2),
        |cpu| cpu.pm_interrupts(),
        |cpu, set| cpu.pm_interrupt(set, false),
    )
    .group(Group::Pmu(EN)),
    functions("PMMIR_EL1", encode(3, 0, 9, 14, 6), |_| 0, ignore)
        .levels(1, NEVER)
        .needs(Needs::Field(crate::features::IdReg::Dfr0, 8, 5))
        .group(Group::Pmu(EN)),
    functions(
        "PMOVSSET_EL0",
        encode(3, 3, 9, 14, 3),
        |cpu| cpu.pm_overflowed(),
        |cpu, set| cpu.pm_overflow(set, true),
    )
    .group(Group::Pmu(EN)),
    EVENTS[0][0],
    EVENTS[0][1],
    EVENTS[1][0],
    EVENTS[1][1],
    EVENTS[2][0],
    EVENTS[2][1],
    EVENTS[3][0],
    EVENTS[3][1],
    EVENTS[4][0],
    EVENTS[4][1],
    EVENTS[5][0],
    EVENTS[5][1],
    functions(
        "PMCCFILTR_EL0",
        encode(3, 3, 14, 15, 7),
        |cpu| cpu.pm_type(31),
        |cpu, value| cpu.set_pm_type(31, value),
    )
    .group(Group::Pmu(EN)),
];
