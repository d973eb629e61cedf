//! Running the translator under hostile but legal settings, for tests: the environment variable `MIMIC_CHAOS`.
//!
//! Its value is a list such as `tlb=4,code=64K,after=1,registers=7`: entries of the TLB (from 4), size of the code cache, how often a
//! block is interpreted before it is translated (`never` for no translation at all), how often a loop comes round before it
//! becomes a region (`hot=0`, `hot=never`), a seed for choosing registers, and whether translations are made in the background
//! (`background=on`).
//! Nothing that a guest can see may depend on it.

use super::error::SystemError;
use tcg_core::cpu::MOST_TLB_ENTRIES;
use tcg_core::run::{CodeConfig, VcpuConfig};

/// Name of the variable.
const VARIABLE: &str = "MIMIC_CHAOS";

/// Applies the variable, if it is set, to both configurations.
pub fn apply(code: &mut CodeConfig, vcpu: &mut VcpuConfig) -> Result<(), SystemError> {
    let Ok(text) = std::env::var(VARIABLE) else { return Ok(()) };
    for item in text.split(',').filter(|item| !item.is_empty()) {
        set(item, code, vcpu).ok_or_else(|| {
            let known = "tlb=ENTRIES, code=SIZE, after=TIMES, hot=TIMES, registers=SEED or background=on|off";
            SystemError::refused(VARIABLE, format!("'{item}' is none of {known}"))
        })?;
    }
    Ok(())
}

fn set(item: &str, code: &mut CodeConfig, vcpu: &mut VcpuConfig) -> Option<()> {
    let (key, value) = item.split_once('=')?;
    match key {
        "tlb" => {
            vcpu.tlb_entries = value
                .parse()
                .ok()
                .filter(|n: &usize| n.is_power_of_two() && (4..=MOST_TLB_ENTRIES).contains(n))?
        }
        "code" => {
            let digits = value.trim_end_matches('K');
            let unit = if digits.len() < value.len() { 1024 } else { 1 };
            code.code_bytes = digits.parse::<usize>().ok()?.checked_mul(unit)?;
        }
        "after" if value == "never" => vcpu.tiers.translate_after = u32::MAX,
        "after" => vcpu.tiers.translate_after = value.parse().ok()?,
        "hot" if value == "never" => code.hot_after = u32::MAX,
        "hot" => code.hot_after = value.parse().ok()?,
        "background" => {
            code.background = match value {
                "on" => true,
                "off" => false,
                _ => return None,
            }
        }
        "registers" => code.random_registers = Some(value.parse().ok()?),
        _ => return None,
    }
    Some(())
}
