//! Registers of the generic timer: D12, D17.11.

use super::{Group, Needs, Row, Stored, constant, encode, functions, stored};
use crate::features::IdReg;
use crate::timer::TimerId;

macro_rules! timer {
    ($id:ident, $group:ident, $op1:literal, $crm:literal, [$tval:literal, $ctl:literal, $cval:literal], $needs:expr, $host:expr) => {
        [
            with_host(
                functions(
                    $tval,
                    encode(3, $op1, 14, $crm, 0),
                    |cpu| cpu.timer_left(TimerId::$id),
                    |cpu, value| cpu.set_timer_left(TimerId::$id, value),
                ),
                $host,
                0,
            )
            .group(Group::$group)
            .needs($needs),
            with_host(
                functions(
                    $ctl,
                    encode(3, $op1, 14, $crm, 1),
                    |cpu| cpu.timer_control(TimerId::$id),
                    |cpu, value| cpu.set_timer_control(TimerId::$id, value),
                ),
                $host,
                1,
            )
            .group(Group::$group)
            .needs($needs),
            with_host(
                functions(
                    $cval,
                    encode(3, $op1, 14, $crm, 2),
                    |cpu| cpu.timer_value(TimerId::$id),
                    |cpu, value| cpu.set_timer_value(TimerId::$id, value),
                ),
                $host,
                2,
            )
            .group(Group::$group)
            .needs($needs),
        ]
    };
}

/// Where a host finds the timer of EL2: the CRm of its registers.
const fn with_host(row: Row, crm: Option<u16>, op2: u16) -> Row {
    match crm {
        Some(crm) => row.host(encode(3, 4, 14, crm, op2)),
        None => row,
    }
}

const PHYSICAL: [Row; 3] = timer!(
    Physical,
    PhysicalTimer,
    3,
    2,
    ["CNTP_TVAL_EL0", "CNTP_CTL_EL0", "CNTP_CVAL_EL0"],
    Needs::Nothing,
    Some(2)
);
const VIRTUAL: [Row; 3] = timer!(
    Virtual,
    VirtualTimer,
    3,
    3,
    ["CNTV_TVAL_EL0", "CNTV_CTL_EL0", "CNTV_CVAL_EL0"],
    Needs::Nothing,
    Some(3)
);
const HYPERVISOR: [Row; 3] = timer!(
    Hypervisor,
    PhysicalTimer,
    4,
    2,
    ["CNTHP_TVAL_EL2", "CNTHP_CTL_EL2", "CNTHP_CVAL_EL2"],
    Needs::El2,
    None
);
const HYPERVISOR_VIRTUAL: [Row; 3] = timer!(
    HypervisorVirtual,
    VirtualTimer,
    4,
    3,
    ["CNTHV_TVAL_EL2", "CNTHV_CTL_EL2", "CNTHV_CVAL_EL2"],
    Needs::Host,
    None
);
const SECURE: [Row; 3] = timer!(
    Secure,
    SecureTimer,
    7,
    2,
    ["CNTPS_TVAL_EL1", "CNTPS_CTL_EL1", "CNTPS_CVAL_EL1"],
    Needs::El3,
    None
);

const ECV: Needs = Needs::Field(IdReg::Mmfr0, 60, 1);

/// The rows.
pub static ROWS: &[Row] = &[
    functions(
        "CNTFRQ_EL0",
        encode(3, 3, 14, 0, 0),
        |cpu| if cpu.system.user_ids { super::COUNTER_HZ } else { cpu.system.timers.frequency },
        |cpu, value| {
            // Only the highest level may say what the rate is.
            let board = cpu.system.board;
            let highest = if board.has_el3 {
                3
            } else if board.has_el2 {
                2
            } else {
                1
            };
            if cpu.system.el == highest {
                cpu.system.timers.frequency = value;
            }
        },
    )
    .levels(0, 1)
    .group(Group::Frequency),
    constant("CNTPCT_EL0", encode(3, 3, 14, 0, 1), |cpu| cpu.counter()).group(Group::PhysicalCounter),
    constant("CNTVCT_EL0", encode(3, 3, 14, 0, 2), |cpu| cpu.virtual_counter()).group(Group::VirtualCounter),
    constant("CNTPCTSS_EL0", encode(3, 3, 14, 0, 5), |cpu| cpu.counter())
        .group(Group::PhysicalCounter)
        .needs(ECV),
    constant("CNTVCTSS_EL0", encode(3, 3, 14, 0, 6), |cpu| cpu.virtual_counter())
        .group(Group::VirtualCounter)
        .needs(ECV),
    PHYSICAL[0],
    PHYSICAL[1],
    PHYSICAL[2],
    VIRTUAL[0],
    VIRTUAL[1],
    VIRTUAL[2],
    HYPERVISOR[0],
    HYPERVISOR[1],
    HYPERVISOR[2],
    HYPERVISOR_VIRTUAL[0],
    HYPERVISOR_VIRTUAL[1],
    HYPERVISOR_VIRTUAL[2],
    SECURE[0].levels(1, 1),
    SECURE[1].levels(1, 1),
    SECURE[2].levels(1, 1),
    stored("CNTKCTL_EL1", encode(3, 0, 14, 1, 0), Stored::CntkctlEl1, u64::MAX).host(encode(3, 4, 14, 1, 0)),
    functions(
        "CNTHCTL_EL2",
        encode(3, 4, 14, 1, 0),
        |cpu| cpu.system.get(Stored::CnthctlEl2),
        |cpu, value| {
            let ecv = cpu.system.features.field(IdReg::Mmfr0, 60) != 0;
            cpu.system.set(Stored::CnthctlEl2, value & if ecv { 0x3_ffff } else { 0xfff });
        },
    )
    .needs(Needs::El2),
    functions(
        "CNTVOFF_EL2",
        encode(3, 4, 14, 0, 3),
        |cpu| cpu.system.timers.virtual_offset(),
        |cpu, value| cpu.system.timers.set_virtual_offset(value),
    )
    .needs(Needs::El2),
];
