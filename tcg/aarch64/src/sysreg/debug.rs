//! Registers of self-hosted debug: D17.3.

use super::{Group, NEVER, Needs, Row, constant, encode, functions, ignore, zero};

/// DBGBCR.BAS names half-words: both bits of one are alike.
fn whole_instructions(control: u64) -> u64 {
    const FIRST: u64 = 1 << 5 | 1 << 7;
    control & !(FIRST << 1) | (control & FIRST) << 1
}

macro_rules! pair {
    ($value:literal, $control:literal, $unit:ident, $n:literal, $op2:literal, $mask:expr, $keeps:expr) => {
        [
            functions(
                $value,
                encode(2, 0, 0, $n, $op2),
                |cpu| cpu.system.debug.$unit[$n][0],
                |cpu, value| {
                    cpu.system.debug.$unit[$n][0] = value & $mask;
                    cpu.update_points();
                },
            )
            .group(Group::Debug)
            .resync(),
            functions(
                $control,
                encode(2, 0, 0, $n, $op2 + 1),
                |cpu| cpu.system.debug.$unit[$n][1],
                |cpu, value| {
                    cpu.system.debug.$unit[$n][1] = $keeps(value);
                    cpu.update_points();
                },
            )
            .group(Group::Debug)
            .resync(),
        ]
    };
}

const BREAKPOINTS: [[Row; 2]; 6] = [
    pair!("DBGBVR0_EL1", "DBGBCR0_EL1", breakpoints, 0, 4, u64::MAX, whole_instructions),
    pair!("DBGBVR1_EL1", "DBGBCR1_EL1", breakpoints, 1, 4, u64::MAX, whole_instructions),
    pair!("DBGBVR2_EL1", "DBGBCR2_EL1", breakpoints, 2, 4, u64::MAX, whole_instructions),
    pair!("DBGBVR3_EL1", "DBGBCR3_EL1", breakpoints, 3, 4, u64::MAX, whole_instructions),
    pair!("DBGBVR4_EL1", "DBGBCR4_EL1", breakpoints, 4, 4, u64::MAX, whole_instructions),
    pair!("DBGBVR5_EL1", "DBGBCR5_EL1", breakpoints, 5, 4, u64::MAX, whole_instructions),
];

const WATCHPOINTS: [[Row; 2]; 4] = [
    pair!("DBGWVR0_EL1", "DBGWCR0_EL1", watchpoints, 0, 6, !3, std::convert::identity),
    pair!("DBGWVR1_EL1", "DBGWCR1_EL1", watchpoints, 1, 6, !3, std::convert::identity),
    pair!("DBGWVR2_EL1", "DBGWCR2_EL1", watchpoints, 2, 6, !3, std::convert::identity),
    pair!("DBGWVR3_EL1", "DBGWCR3_EL1", watchpoints, 3, 6, !3, std::convert::identity),
];

/// The rows.
pub static ROWS: &[Row] = &[
    zero("MDCCINT_EL1", encode(2, 0, 0, 2, 0)).group(Group::Debug),
    functions(
        "MDSCR_EL1",
        encode(2, 0, 0, 2, 2),
        |cpu| cpu.system.debug.mdscr,
        |cpu, value| cpu.set_mdscr(value),
    )
    .group(Group::Debug)
    .resync(),
    zero("OSDTRRX_EL1", encode(2, 0, 0, 0, 2)).group(Group::Debug),
    zero("OSDTRTX_EL1", encode(2, 0, 0, 3, 2)).group(Group::Debug),
    zero("OSECCR_EL1", encode(2, 0, 0, 6, 2)).group(Group::Debug),
    constant("MDRAR_EL1", encode(2, 0, 1, 0, 0), |_| 0).group(Group::DebugRom),
    functions("OSLAR_EL1", encode(2, 0, 1, 0, 4), |_| 0, |cpu, value| cpu.set_os_lock(value))
        .levels(NEVER, 1)
        .group(Group::OsLock)
        .resync(),
    constant("OSLSR_EL1", encode(2, 0, 1, 1, 4), |cpu| 8 | u64::from(cpu.system.debug.locked) << 1)
        .group(Group::OsLock),
    functions(
        "OSDLR_EL1",
        encode(2, 0, 1, 3, 4),
        |cpu| cpu.system.debug.double_lock,
        |cpu, value| {
            cpu.system.debug.double_lock = value & 1;
        },
    )
    .group(Group::OsLock),
    functions(
        "DBGCLAIMSET_EL1",
        encode(2, 0, 7, 8, 6),
        |_| 0xff,
        |cpu, set| cpu.system.debug.claim |= set & 0xff,
    )
    .group(Group::Debug),
    functions(
        "DBGCLAIMCLR_EL1",
        encode(2, 0, 7, 9, 6),
        |cpu| cpu.system.debug.claim,
        |cpu, set| {
            cpu.system.debug.claim &= !set;
        },
    )
    .group(Group::Debug),
    constant("MDCCSR_EL0", encode(2, 3, 0, 1, 0), |_| 0).group(Group::DebugComms),
    functions("DBGDTRTX_EL0", encode(2, 3, 0, 5, 0), |_| 0, ignore).group(Group::DebugComms),
    zero("DBGVCR32_EL2", encode(2, 4, 0, 7, 0)).needs(Needs::El2OrEl3),
    BREAKPOINTS[0][0],
    BREAKPOINTS[0][1],
    BREAKPOINTS[1][0],
    BREAKPOINTS[1][1],
    BREAKPOINTS[2][0],
    BREAKPOINTS[2][1],
    BREAKPOINTS[3][0],
    BREAKPOINTS[3][1],
    BREAKPOINTS[4][0],
    BREAKPOINTS[4][1],
    BREAKPOINTS[5][0],
    BREAKPOINTS[5][1],
    WATCHPOINTS[0][0],
    WATCHPOINTS[0][1],
    WATCHPOINTS[1][0],
    WATCHPOINTS[1][1],
    WATCHPOINTS[2][0],
    WATCHPOINTS[2][1],
    WATCHPOINTS[3][0],
    WATCHPOINTS[3][1],
];
