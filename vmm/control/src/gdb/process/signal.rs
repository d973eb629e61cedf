//! Signals as gdb numbers them, whatever the target's system ("Stop Reply Packets"; the list is gdb's `signals.def`).

/// Pairs of Linux' and gdb's number, where they differ from each other; below 32.
const PAIRS: [(i32, u8); 31] = [
    (1, 1),
    (2, 2),
    (3, 3),
    (4, 4),
    (5, 5),
    (6, 6),
    (libc::SIGBUS, 10),
    (libc::SIGFPE, 8),
    (9, 9),
    (libc::SIGUSR1, 30),
    (libc::SIGSEGV, 11),
    (libc::SIGUSR2, 31),
    (libc::SIGPIPE, 13),
    (libc::SIGALRM, 14),
    (libc::SIGTERM, 15),
    // SIGSTKFLT has none.
    (libc::SIGSTKFLT, UNKNOWN),
    (libc::SIGCHLD, 20),
    (libc::SIGCONT, 19),
    (libc::SIGSTOP, 17),
    (libc::SIGTSTP, 18),
    (libc::SIGTTIN, 21),
    (libc::SIGTTOU, 22),
    (libc::SIGURG, 16),
    (libc::SIGXCPU, 24),
    (libc::SIGXFSZ, 25),
    (libc::SIGVTALRM, 26),
    (libc::SIGPROF, 27),
    (libc::SIGWINCH, 28),
    (libc::SIGIO, 23),
    (libc::SIGPWR, 32),
    (libc::SIGSYS, 12),
];
/// `GDB_SIGNAL_UNKNOWN`.
const UNKNOWN: u8 = 143;
/// Of the real-time signals 33 to 63.
const REALTIME_33: u8 = 45;
const REALTIME_32: u8 = 77;
const REALTIME_64: u8 = 78;

/// gdb's number of a signal of Linux'.
pub fn to_gdb(signal: i32) -> u8 {
    match signal {
        32 => REALTIME_32,
        33..=63 => REALTIME_33 + (signal - 33) as u8,
        64 => REALTIME_64,
        _ => PAIRS.iter().find(|(linux, _)| *linux == signal).map_or(UNKNOWN, |(_, gdb)| *gdb),
    }
}

/// Linux' number of a signal of gdb's; `None` for one that Linux does not have, and for 0, which is none.
pub fn from_gdb(signal: u8) -> Option<i32> {
    (1..=64).find(|linux| to_gdb(*linux) == signal && signal != UNKNOWN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_there_and_back() {
        for signal in (1..=64).filter(|signal| *signal != libc::SIGSTKFLT) {
            assert_eq!(from_gdb(to_gdb(signal)), Some(signal));
        }
        assert_eq!((to_gdb(libc::SIGUSR1), to_gdb(libc::SIGBUS), to_gdb(34)), (30, 10, 46));
        assert_eq!((from_gdb(0), from_gdb(UNKNOWN), from_gdb(76)), (None, None, None));
    }
}
