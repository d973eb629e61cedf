//! Clocks and timers.

use super::names::{CLOCK, ITIMER, TIMER};
use super::{Kind, Row, host};
use Kind::*;
use libc::*;

pub const ROWS: &[Row] = &[
    host(101, "nanosleep", &[Timespec, Pointer], SYS_nanosleep).interrupted(),
    host(102, "getitimer", &[Enum(ITIMER), Out(32)], SYS_getitimer),
    host(103, "setitimer", &[Enum(ITIMER), Itimerval, Pointer], SYS_setitimer),
    host(107, "timer_create", &[Enum(CLOCK), Pointer, Out(4)], SYS_timer_create),
    host(108, "timer_gettime", &[Int, Out(32)], SYS_timer_gettime),
    host(109, "timer_getoverrun", &[Int], SYS_timer_getoverrun),
    host(110, "timer_settime", &[Int, Hex, Pointer, Pointer], SYS_timer_settime),
    host(111, "timer_delete", &[Int], SYS_timer_delete),
    host(112, "clock_settime", &[Enum(CLOCK), Timespec], SYS_clock_settime),
    host(113, "clock_gettime", &[Enum(CLOCK), Out(16)], SYS_clock_gettime),
    host(114, "clock_getres", &[Enum(CLOCK), Out(16)], SYS_clock_getres),
    host(
        115,
        "clock_nanosleep",
        &[Enum(CLOCK), Flags(TIMER), Timespec, PointerIf(|args| args[1] as i32 & TIMER_ABSTIME == 0)],
        SYS_clock_nanosleep,
    )
    .interrupted(),
    host(153, "times", &[Out(32)], SYS_times),
    host(169, "gettimeofday", &[Out(16), Pointer], SYS_gettimeofday),
    host(170, "settimeofday", &[Pointer, Pointer], SYS_settimeofday),
    host(171, "adjtimex", &[Out(208)], SYS_adjtimex),
    host(266, "clock_adjtime", &[Enum(CLOCK), Out(208)], SYS_clock_adjtime),
];
