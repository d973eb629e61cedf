//! What is measured of a process: the time it takes, or the time that the host's CPUs spend on it, which other work of the
//! machine does not stretch.

use std::time::{Duration, Instant};

/// A kind of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// From begin to end.
    Wall,
    /// CPU time, of all threads.
    Cpu,
}

/// The kernel counts CPU time for `/proc` in hundredths of a second.
const TICK: Duration = Duration::from_millis(10);

/// Fields of `/proc/PID/stat` behind the name, as proc_pid_stat(5) numbers them from 3 on: utime and stime; those of
/// children that were waited for.
const OWN: usize = 14 - 3;
const CHILDREN: usize = 16 - 3;

impl Clock {
    /// This clock of the running child `pid`; only differences mean something.
    pub fn of_child(self, start: Instant, pid: u32) -> Duration {
        match self {
            Self::Wall => start.elapsed(),
            Self::Cpu => cpu_time(&format!("/proc/{pid}/stat"), OWN),
        }
    }

    /// This clock of all children that have ended; only differences mean something.
    pub fn of_ended(self, start: Instant) -> Duration {
        match self {
            Self::Wall => start.elapsed(),
            Self::Cpu => cpu_time("/proc/self/stat", CHILDREN),
        }
    }
}

/// The sum of two fields; zero for a process that is no more.
fn cpu_time(path: &str, field: usize) -> Duration {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let behind_name = text.rsplit(')').next().unwrap_or_default();
    let fields: Vec<u32> = behind_name.split_whitespace().map(|word| word.parse().unwrap_or(0)).collect();
    TICK * fields.iter().skip(field).take(2).sum()
}
