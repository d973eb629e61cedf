//! The built-in SBI: RISC-V Supervisor Binary Interface 2.0, for machines that boot a kernel without firmware.
//!
//! Extensions: base, timer, IPI, remote fence, hart state management, system reset, debug console, PMU (counters that
//! count cycles and instructions), and the legacy calls that old kernels print with. What a call does to harts and
//! machine goes through [`Platform`]. Left out: suspend, CPPC, nested acceleration, steal time.

mod pmu;

pub use pmu::{CounterInfo, Pmu};

/// Arguments of a call: registers a0 to a5 with a6 (function) and a7 (extension).
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// a7.
    pub extension: u64,
    /// a6.
    pub function: u64,
    /// a0 to a5.
    pub args: [u64; 6],
}

/// What a call gives back: a0 and a1. Legacy calls give a0 alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Return {
    /// Both registers.
    Pair(SbiError, u64),
    /// A legacy call's a0.
    Legacy(u64),
    /// The call does not return: the hart stopped or was sent elsewhere.
    Never,
}

/// Error numbers, chapter 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the specification's")]
#[repr(i64)]
pub enum SbiError {
    Success = 0,
    Failed = -1,
    NotSupported = -2,
    InvalidParam = -3,
    Denied = -4,
    InvalidAddress = -5,
    AlreadyAvailable = -6,
    AlreadyStarted = -7,
    AlreadyStopped = -8,
}

/// State of a hart, chapter 9.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the specification's")]
#[repr(u64)]
pub enum HartState {
    Started = 0,
    Stopped = 1,
    StartPending = 2,
    StopPending = 3,
    Suspended = 4,
}

/// Which translations a remote fence is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fence {
    /// Instruction memory.
    Instructions,
    /// Address translations: of `size` bytes from `start` (0 and 0, or all ones: everything) in `asid` (all if `None`).
    Translations {
        /// First address.
        start: u64,
        /// Bytes.
        size: u64,
        /// Address space.
        asid: Option<u64>,
    },
}

/// How the machine is to go down, chapter 10.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reset {
    /// Off.
    Shutdown {
        /// The guest says that it failed.
        failure: bool,
    },
    /// Start again.
    Reboot,
}

/// The hart that calls, and the machine around it.
pub trait Platform {
    /// Number of harts; they are numbered from zero.
    fn harts(&self) -> u64;
    /// The hart that calls.
    fn this_hart(&self) -> u64;
    /// Arms the calling hart's supervisor timer for `time` and takes a pending one back.
    fn set_timer(&mut self, time: u64);
    /// Makes a supervisor software interrupt pending on `hart`.
    fn send_ipi(&mut self, hart: u64);
    /// Takes the calling hart's pending software interrupt back (legacy).
    fn clear_ipi(&mut self);
    /// Carries `fence` out on `harts` (a bit each) before it returns.
    fn remote_fence(&mut self, harts: u64, fence: Fence);
    /// State of `hart`.
    fn hart_state(&self, hart: u64) -> HartState;
    /// Starts a stopped hart in S-mode at `addr` with a0 its number and a1 `opaque`.
    fn start_hart(&mut self, hart: u64, addr: u64, opaque: u64);
    /// Stops the calling hart.
    fn stop_this_hart(&mut self);
    /// Lets the calling hart wait for an interrupt.
    fn wait(&mut self);
    /// Takes the machine down.
    fn reset(&mut self, how: Reset);
    /// Writes to the debug console.
    fn console_write(&mut self, bytes: &[u8]);
    /// Reads a byte that was typed at the debug console, if there is one.
    fn console_read(&mut self) -> Option<u8>;
    /// Copies guest memory; false if there is none at `addr`.
    fn read_memory(&self, addr: u64, bytes: &mut [u8]) -> bool;
    /// Writes guest memory; false if there is none at `addr`.
    fn write_memory(&mut self, addr: u64, bytes: &[u8]) -> bool;
    /// The calling hart's performance counters.
    fn pmu(&mut self) -> &mut dyn Pmu;
}

mod ext {
    pub const LEGACY_SET_TIMER: u64 = 0;
    pub const LEGACY_PUTCHAR: u64 = 1;
    pub const LEGACY_GETCHAR: u64 = 2;
    pub const LEGACY_CLEAR_IPI: u64 = 3;
    pub const LEGACY_SHUTDOWN: u64 = 8;
    pub const BASE: u64 = 0x10;
    pub const TIME: u64 = 0x5449_4d45;
    pub const IPI: u64 = 0x73_5049;
    pub const RFENCE: u64 = 0x5246_4e43;
    pub const HSM: u64 = 0x48_534d;
    pub const SRST: u64 = 0x5352_5354;
    pub const DBCN: u64 = 0x4442_434e;
    pub const PMU: u64 = 0x50_4d55;
    pub const ALL: [u64; 13] = [
        LEGACY_SET_TIMER,
        LEGACY_PUTCHAR,
        LEGACY_GETCHAR,
        LEGACY_CLEAR_IPI,
        LEGACY_SHUTDOWN,
        BASE,
        TIME,
        IPI,
        RFENCE,
        HSM,
        SRST,
        DBCN,
        PMU,
    ];
}

/// Version 2.0 of the specification.
const SPEC_VERSION: u64 = 2 << 24;
/// Unregistered implementation number, as the base extension asks for it.
const IMPLEMENTATION: u64 = 0x4d49_4d43;

/// Carries out a call.
pub fn call(platform: &mut dyn Platform, call: Call) -> Return {
    let [a0, a1, a2, a3, a4, _] = call.args;
    let done = |result: Result<u64, SbiError>| match result {
        Ok(value) => Return::Pair(SbiError::Success, value),
        Err(error) => Return::Pair(error, 0),
    };
    match (call.extension, call.function) {
        (ext::LEGACY_SET_TIMER, _) => {
            platform.set_timer(a0);
            Return::Legacy(0)
        }
        (ext::LEGACY_PUTCHAR, _) => {
            platform.console_write(&[a0 as u8]);
            Return::Legacy(0)
        }
        (ext::LEGACY_GETCHAR, _) => Return::Legacy(platform.console_read().map_or(u64::MAX, u64::from)),
        (ext::LEGACY_CLEAR_IPI, _) => {
            platform.clear_ipi();
            Return::Legacy(0)
        }
        (ext::LEGACY_SHUTDOWN, _) => {
            platform.reset(Reset::Shutdown { failure: false });
            Return::Never
        }
        (ext::BASE, function) => done(base(function, a0)),
        (ext::TIME, 0) => {
            platform.set_timer(a0);
            done(Ok(0))
        }
        (ext::IPI, 0) => done(hart_mask(platform, a0, a1).map(|mask| {
            bits(mask).for_each(|hart| platform.send_ipi(hart));
            0
        })),
        (ext::RFENCE, function) => done(fence(platform, function, [a0, a1, a2, a3, a4])),
        (ext::HSM, function) => hart_management(platform, function, [a0, a1, a2]),
        (ext::SRST, 0) => system_reset(platform, a0, a1),
        (ext::DBCN, function) => done(console(platform, function, [a0, a1, a2])),
        (ext::PMU, function) => done(pmu::call(platform.pmu(), function, call.args)),
        (extension, function) => {
            tracing::debug!(target: "unimp", "sbi: function {function:#x} of extension {extension:#x}");
            Return::Pair(SbiError::NotSupported, 0)
        }
    }
}

fn base(function: u64, extension: u64) -> Result<u64, SbiError> {
    Ok(match function {
        0 => SPEC_VERSION,
        1 => IMPLEMENTATION,
        2 => 1,
        3 => ext::ALL.contains(&extension).into(),
        // mvendorid, marchid, mimpid.
        4..=6 => 0,
        _ => return Err(SbiError::NotSupported),
    })
}

fn bits(mask: u64) -> impl Iterator<Item = u64> {
    (0..64).filter(move |n| mask >> n & 1 != 0)
}

/// The harts that a mask and its base name, chapter 3.1.
fn hart_mask(platform: &dyn Platform, mask: u64, base: u64) -> Result<u64, SbiError> {
    let all = u64::MAX >> (64 - platform.harts().min(64));
    if base == u64::MAX {
        return Ok(all);
    }
    let shifted = if base < 64 { mask << base } else { 0 };
    let fits = base < 64 && shifted >> base == mask && shifted & !all == 0;
    if fits { Ok(shifted) } else { Err(SbiError::InvalidParam) }
}

fn fence(platform: &mut dyn Platform, function: u64, args: [u64; 5]) -> Result<u64, SbiError> {
    let [mask, base, start, size, asid] = args;
    let harts = hart_mask(platform, mask, base)?;
    let fence = match function {
        0 => Fence::Instructions,
        1 => Fence::Translations { start, size, asid: None },
        2 => Fence::Translations { start, size, asid: Some(asid) },
        _ => return Err(SbiError::NotSupported),
    };
    platform.remote_fence(harts, fence);
    Ok(0)
}

fn hart_management(platform: &mut dyn Platform, function: u64, [hart, addr, opaque]: [u64; 3]) -> Return {
    let error = |e| Return::Pair(e, 0);
    match function {
        0 if hart >= platform.harts() => error(SbiError::InvalidParam),
        0 if platform.hart_state(hart) != HartState::Stopped => error(SbiError::AlreadyAvailable),
        0 if addr % 2 != 0 || !platform.read_memory(addr, &mut [0; 2]) => error(SbiError::InvalidAddress),
        0 => {
            platform.start_hart(hart, addr, opaque);
            Return::Pair(SbiError::Success, 0)
        }
        1 => {
            platform.stop_this_hart();
            Return::Never
        }
        2 if hart >= platform.harts() => error(SbiError::InvalidParam),
        2 => Return::Pair(SbiError::Success, platform.hart_state(hart) as u64),
        // Retentive suspend is waiting for an interrupt; others lose state and are not offered.
        3 if hart == 0 => {
            platform.wait();
            Return::Pair(SbiError::Success, 0)
        }
        3 => error(SbiError::InvalidParam),
        _ => error(SbiError::NotSupported),
    }
}

fn system_reset(platform: &mut dyn Platform, kind: u64, reason: u64) -> Return {
    let how = match (kind, reason) {
        (0, 0 | 1) => Reset::Shutdown { failure: reason == 1 },
        (1 | 2, 0 | 1) => Reset::Reboot,
        _ => return Return::Pair(SbiError::InvalidParam, 0),
    };
    platform.reset(how);
    Return::Never
}

/// Longest piece that one console call moves; the caller repeats.
const CONSOLE_PIECE: usize = 4096;

fn console(
    platform: &mut dyn Platform,
    function: u64,
    [count, addr, high]: [u64; 3],
) -> Result<u64, SbiError> {
    if function < 2 && high != 0 {
        return Err(SbiError::InvalidParam);
    }
    match function {
        0 => {
            let mut bytes = vec![0; count.min(CONSOLE_PIECE as u64) as usize];
            if !platform.read_memory(addr, &mut bytes) {
                return Err(SbiError::InvalidParam);
            }
            platform.console_write(&bytes);
            Ok(bytes.len() as u64)
        }
        1 => {
            let wanted = count.min(CONSOLE_PIECE as u64) as usize;
            let bytes: Vec<u8> = std::iter::from_fn(|| platform.console_read()).take(wanted).collect();
            if platform.write_memory(addr, &bytes) {
                Ok(bytes.len() as u64)
            } else {
                Err(SbiError::InvalidParam)
            }
        }
        2 => {
            platform.console_write(&[count as u8]);
            Ok(0)
        }
        _ => Err(SbiError::NotSupported),
    }
}

#[cfg(test)]
mod tests;
