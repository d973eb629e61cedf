//! Threads and scheduling.

use super::names::{CLONE, FUTEX};
use super::{Kind, Row, host, own};
use Kind::*;
use libc::*;

pub const ROWS: &[Row] = &[
    host(97, "unshare", &[Flags(CLONE)], SYS_unshare),
    host(268, "setns", &[Fd, Hex], SYS_setns),
    own(96, "set_tid_address", &[Address], |thread, args| {
        thread.clear_tid = args[0];
        Ok(crate::sys::gettid() as u64)
    }),
    host(
        98,
        "futex",
        &[Pointer, Parts(&FUTEX), Int, By(futex_fourth), By(futex_fifth), By(futex_sixth)],
        SYS_futex,
    )
    .interrupted_if(futex_waits_for_a_time),
    host(99, "set_robust_list", &[Pointer, Size], SYS_set_robust_list),
    host(100, "get_robust_list", &[Int, Pointer, Pointer], SYS_get_robust_list),
    host(118, "sched_setparam", &[Int, Pointer], SYS_sched_setparam),
    host(119, "sched_setscheduler", &[Int, Int, Pointer], SYS_sched_setscheduler),
    host(120, "sched_getscheduler", &[Int], SYS_sched_getscheduler),
    host(121, "sched_getparam", &[Int, Pointer], SYS_sched_getparam),
    host(122, "sched_setaffinity", &[Int, Size, Pointer], SYS_sched_setaffinity),
    host(123, "sched_getaffinity", &[Int, Size, Pointer], SYS_sched_getaffinity),
    host(124, "sched_yield", &[], SYS_sched_yield),
    host(125, "sched_get_priority_max", &[Int], SYS_sched_get_priority_max),
    host(126, "sched_get_priority_min", &[Int], SYS_sched_get_priority_min),
    host(127, "sched_rr_get_interval", &[Int, Pointer], SYS_sched_rr_get_interval),
    host(140, "setpriority", &[Int, Int, Int], SYS_setpriority),
    host(141, "getpriority", &[Int, Int], SYS_getpriority),
    host(178, "gettid", &[], SYS_gettid),
    host(274, "sched_setattr", &[Int, Pointer, Hex], SYS_sched_setattr),
    host(275, "sched_getattr", &[Int, Pointer, Int, Hex], SYS_sched_getattr),
    host(30, "ioprio_set", &[Int, Int, Int], SYS_ioprio_set),
    host(31, "ioprio_get", &[Int, Int], SYS_ioprio_get),
    host(272, "kcmp", &[Int, Int, Int, Hex, Hex], SYS_kcmp),
    host(270, "process_vm_readv", &[Int, Pointer, Size, Pointer, Size, Hex], SYS_process_vm_readv),
    host(271, "process_vm_writev", &[Int, Pointer, Size, Pointer, Size, Hex], SYS_process_vm_writev),
];

fn futex_operation(args: &[u64; 6]) -> c_int {
    args[1] as c_int & !(FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME)
}

fn futex_waits(args: &[u64; 6]) -> bool {
    [FUTEX_WAIT, FUTEX_WAIT_BITSET, FUTEX_LOCK_PI, FUTEX_LOCK_PI2, FUTEX_WAIT_REQUEUE_PI]
        .contains(&futex_operation(args))
}

/// A time, or another number.
fn futex_fourth(args: &[u64; 6]) -> Option<Kind> {
    if futex_waits(args) { Some(Timespec) } else { futex_has_second(args).then_some(Int) }
}

fn futex_fifth(args: &[u64; 6]) -> Option<Kind> {
    futex_has_second(args).then_some(Pointer)
}

/// A set of bits, an operation, or the word's value.
fn futex_sixth(args: &[u64; 6]) -> Option<Kind> {
    [FUTEX_WAIT_BITSET, FUTEX_WAKE_BITSET, FUTEX_WAKE_OP, FUTEX_CMP_REQUEUE, FUTEX_CMP_REQUEUE_PI]
        .contains(&futex_operation(args))
        .then_some(Int)
}

/// The kernel would go on with the rest of the time, but not behind a handler.
fn futex_waits_for_a_time(args: &[u64; 6]) -> bool {
    [FUTEX_WAIT, FUTEX_WAIT_BITSET].contains(&futex_operation(args)) && args[3] != 0
}

fn futex_has_second(args: &[u64; 6]) -> bool {
    [FUTEX_REQUEUE, FUTEX_CMP_REQUEUE, FUTEX_WAKE_OP, FUTEX_WAIT_REQUEUE_PI, FUTEX_CMP_REQUEUE_PI]
        .contains(&futex_operation(args))
}
