//! Limits of memory (`getrlimit(2)`). The host's would hit the emulator, so the guest's are kept here: they hold for the guest's own
//! mappings, and go on to the programs that it becomes.

use std::fmt;

/// Variable of the environment in which an emulator tells the next one of them.
pub const LIMITS: &str = "MIMIC_LIMITS";

/// The limits of this kind.
const RESOURCES: [u32; 3] = [libc::RLIMIT_AS, libc::RLIMIT_DATA, libc::RLIMIT_STACK];

/// Their names in `/proc/PID/limits`.
const NAMES: [&str; 3] = ["Max address space", "Max data size", "Max stack size"];

/// No limit.
const NONE: u64 = libc::RLIM_INFINITY;

/// Bytes of stack that the emulator has for itself.
const OWN_STACK: u64 = 8 << 20;

/// The soft limit, then the hard one.
pub type Limit = [u64; 2];

/// The guest's limits of memory.
#[derive(Clone, Copy, Debug)]
pub struct Limits([Limit; RESOURCES.len()]);

fn get(resource: u32) -> Limit {
    let mut limit = [NONE; 2];
    // SAFETY: writes the array, which is as a `struct rlimit64`.
    unsafe { libc::prlimit64(0, resource, std::ptr::null(), limit.as_mut_ptr().cast()) };
    limit
}

fn set(resource: u32, limit: Limit) -> bool {
    // SAFETY: reads the array, which is as a `struct rlimit64`.
    unsafe { libc::prlimit64(0, resource, limit.as_ptr().cast(), std::ptr::null_mut()) == 0 }
}

impl Limits {
    /// What the emulator before tells, or the host's limits; the emulator's own are lifted, as far as that is allowed.
    pub fn inherited() -> Self {
        let told = std::env::var(LIMITS).ok().and_then(|text| {
            let numbers: Vec<u64> = text.split(',').map_while(|number| number.parse().ok()).collect();
            numbers.as_chunks().0.try_into().ok()
        });
        let limits = Self(told.unwrap_or_else(|| RESOURCES.map(get)));
        Self::lift();
        limits
    }

    fn lift() {
        for (resource, wanted) in RESOURCES.into_iter().zip([NONE, NONE, OWN_STACK]) {
            let [_, hard] = get(resource);
            if !set(resource, [wanted, hard.max(wanted)]) {
                set(resource, [wanted.min(hard), hard]);
            }
        }
    }

    /// Runs `exec`, by which the process becomes a program of the host's, with limits like these.
    pub fn lend<T>(&self, exec: impl FnOnce() -> T) -> T {
        for (resource, [soft, _]) in RESOURCES.into_iter().zip(self.0) {
            // The hard one stays, in case that the process becomes nothing.
            let [_, hard] = get(resource);
            set(resource, [soft.min(hard), hard]);
        }
        let done = exec();
        Self::lift();
        done
    }

    /// The limit of `resource`, if it is one of these.
    pub fn of(&mut self, resource: u32) -> Option<&mut Limit> {
        let n = RESOURCES.iter().position(|known| *known == resource)?;
        Some(&mut self.0[n])
    }

    /// `/proc/PID/limits`, `host` with these in place of the emulator's.
    pub fn shown(&self, host: &str) -> String {
        let word = |limit| if limit == NONE { "unlimited".into() } else { format!("{limit}") };
        let line = |line: &str| match NAMES.iter().position(|name| line.starts_with(name)) {
            Some(n) => {
                let [soft, hard] = self.0[n].map(word);
                format!("{:<25} {soft:<20} {hard:<20} {:<10}\n", NAMES[n], "bytes")
            }
            None => format!("{line}\n"),
        };
        host.lines().map(line).collect()
    }

    /// Whether mappings are not limited.
    pub fn are_none(&self) -> bool {
        let [space, data, _] = self.0;
        (space[0], data[0]) == (NONE, NONE)
    }

    /// Whether there may be mappings of `all` bytes, and `data` bytes of private ones that are written to.
    pub fn allow(&self, all: u64, data: u64) -> bool {
        let [space, [soft, hard], _] = self.0;
        // The kernel has it so for valgrind.
        let most = if soft == 0 { hard } else { soft };
        all <= space[0] && data <= most
    }

    /// How far the stack may grow, if that is limited.
    pub fn stack(&self) -> Option<u64> {
        let [_, _, [soft, _]] = self.0;
        (soft != NONE).then_some(soft)
    }

    /// Has the stack grow to `bytes`, whatever the limit was.
    pub fn set_stack(&mut self, bytes: u64) {
        let [_, _, [soft, hard]] = &mut self.0;
        (*soft, *hard) = (bytes, bytes.max(*hard));
    }
}

impl fmt::Display for Limits {
    /// As [`LIMITS`] has them.
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let [space, data, stack] = self.0;
        write!(f, "{},{},{},{},{},{}", space[0], space[1], data[0], data[1], stack[0], stack[1])
    }
}

/// Whether the process may raise hard limits (`CAP_SYS_RESOURCE`).
pub fn may_raise() -> bool {
    const VERSION: u32 = 0x2008_0522;
    const SYS_RESOURCE: u32 = 24;
    let header = [VERSION, 0];
    let mut sets = [0u32; 6];
    // SAFETY: version 3 has two words of a header, and twice three words of sets.
    let done = unsafe { libc::syscall(libc::SYS_capget, header.as_ptr(), sets.as_mut_ptr()) };
    done == 0 && sets[0] & 1 << SYS_RESOURCE != 0
}
