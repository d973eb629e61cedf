//! The PMU extension, SBI 2.0 chapter 11: which counters there are, and starting and stopping them.

use super::SbiError;

/// What `counter_get_info` says about a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CounterInfo {
    /// Number of its CSR.
    pub csr: u16,
    /// Width in bits.
    pub width: u32,
}

impl CounterInfo {
    fn pack(self) -> u64 {
        u64::from(self.csr) | u64::from(self.width - 1) << 12
    }
}

/// The performance counters of one hart; numbers are those of the hardware counters (0 cycle, 2 instret, 3.. others).
pub trait Pmu {
    /// Mask of counters that exist.
    fn counters(&self) -> u64;
    /// Whether counter `n` can count hardware event `event`.
    fn can_count(&self, n: u64, event: u64) -> bool;
    /// Selects what counter `n` counts.
    fn select(&mut self, n: u64, event: u64);
    /// Whether counter `n` runs.
    fn running(&self, n: u64) -> bool;
    /// Starts counter `n`, from `value` if there is one.
    fn start(&mut self, n: u64, value: Option<u64>);
    /// Stops counter `n`.
    fn stop(&mut self, n: u64);
}

const COUNTER_CSR: u16 = 0xc00;

/// Flags of `counter_config_matching`.
mod config {
    pub const SKIP_MATCH: u64 = 1;
    pub const CLEAR_VALUE: u64 = 1 << 1;
    pub const AUTO_START: u64 = 1 << 2;
}

/// The counters that a mask and its base name; all of them must exist.
fn named(pmu: &dyn Pmu, base: u64, mask: u64) -> Result<u64, SbiError> {
    let shifted = if base < 64 { mask << base } else { 0 };
    let fits = base < 64 && shifted >> base == mask && shifted & !pmu.counters() == 0 && shifted != 0;
    if fits { Ok(shifted) } else { Err(SbiError::InvalidParam) }
}

/// Carries out a PMU call.
pub fn call(pmu: &mut dyn Pmu, function: u64, args: [u64; 6]) -> Result<u64, SbiError> {
    let [a0, a1, a2, a3, _, _] = args;
    match function {
        0 => Ok(u64::from(64 - pmu.counters().leading_zeros())),
        1 if a0 < 64 && pmu.counters() >> a0 & 1 != 0 => {
            Ok(CounterInfo { csr: COUNTER_CSR + a0 as u16, width: 64 }.pack())
        }
        1 => Err(SbiError::InvalidParam),
        2 => {
            let set = named(pmu, a0, a1)?;
            configure(pmu, set, a2, a3)
        }
        3 => {
            let set = named(pmu, a0, a1)?;
            for n in super::bits(set) {
                if pmu.running(n) {
                    return Err(SbiError::AlreadyStarted);
                }
                pmu.start(n, (a2 & 1 != 0).then_some(a3));
            }
            Ok(0)
        }
        4 => {
            let set = named(pmu, a0, a1)?;
            let mut any = false;
            for n in super::bits(set) {
                any |= pmu.running(n);
                pmu.stop(n);
                if a2 & 1 != 0 {
                    pmu.select(n, 0);
                }
            }
            if any { Ok(0) } else { Err(SbiError::AlreadyStopped) }
        }
        // Only firmware counters have values to be read by call, and there are none.
        5 | 6 => Err(SbiError::InvalidParam),
        _ => Err(SbiError::NotSupported),
    }
}

fn configure(pmu: &mut dyn Pmu, set: u64, flags: u64, event: u64) -> Result<u64, SbiError> {
    let found = if flags & config::SKIP_MATCH != 0 {
        super::bits(set).next()
    } else {
        super::bits(set).find(|n| pmu.can_count(*n, event) && !pmu.running(*n))
    };
    let n = found.ok_or(SbiError::NotSupported)?;
    pmu.select(n, event);
    if flags & config::AUTO_START != 0 {
        pmu.start(n, (flags & config::CLEAR_VALUE != 0).then_some(0));
    }
    Ok(n)
}
