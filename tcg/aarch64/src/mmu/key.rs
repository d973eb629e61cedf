//! Keys of contexts, [`tcg_core::guest::Context`].
//!
//! What a kernel executes is as a rule the same in every address space: global pages of the upper half. Their context is that of no
//! ASID, so that the code need not be looked for again in each. Nothing but such pages may be in it: where a kernel's page of the upper
//! half turns out to belong to an ASID, as all do if user programs are not to see where the kernel is, its code is by ASID from
//! then on, until all translations are forgotten. Code of the lower half always is: firmware, and what enables translation.

use super::{Regime, Request, Walk, Who, stage1_on};
use crate::sysreg::{Stored, System, hcr, tcr};

const ASID: u128 = 0xffff;
const VMID_SHIFT: u32 = 16;
const REGIME_SHIFT: u32 = 32;
const SECURE: u128 = 1 << 35;
const USER: u128 = 1 << 36;
const PAN: u128 = 1 << 37;
const STAGE1: u128 = 1 << 38;
const STAGE2: u128 = 1 << 39;
/// Global pages only.
const GLOBAL: u128 = 1 << 40;

/// The address space that `who` is in.
pub fn of(system: &System, who: Who) -> u128 {
    if system.user_ids {
        return 0;
    }
    let regime = who.regime;
    let bit = |on: bool, bit: u128| if on { bit } else { 0 };
    let stage2 = regime == Regime::El10 && system.hcr() & hcr::VM != 0;
    let vmid = if regime == Regime::El10 { vmid(system) } else { 0 };
    let on = stage1_on(system, regime);
    let asid = if on && regime.has_user() { asid(system, regime) } else { 0 };
    u128::from(asid)
        | u128::from(vmid) << VMID_SHIFT
        | (regime as u128) << REGIME_SHIFT
        | bit(system.is_secure(regime.el()), SECURE)
        | bit(who.user, USER)
        | bit(who.pan, PAN)
        | bit(on, STAGE1)
        | bit(stage2, STAGE2)
}

/// The address space that the present code, at `pc`, is in.
pub fn of_code(system: &System, pc: u64) -> u128 {
    let who = Who::fetch(system);
    let key = of(system, who);
    if is_kernel(who, pc) && key & STAGE1 != 0 && !system.kernel_by_asid { key & !ASID | GLOBAL } else { key }
}

/// Whether code is that of a kernel, in the upper half.
fn is_kernel(who: Who, pc: u64) -> bool {
    who.regime.has_user() && !who.user && pc >> 55 & 1 != 0
}

/// Learns from what a walk for a fetch has found.
pub fn note_fetch(system: &mut System, request: Request, walk: &Walk) {
    if is_kernel(request.who, request.addr) && !walk.global {
        system.kernel_by_asid = true;
    }
}

/// The ASID in use.
fn asid(system: &System, regime: Regime) -> u64 {
    let control = system.banked(Stored::TcrEl1, regime.el());
    let second = control & tcr::A1 != 0;
    let table = match (regime, second) {
        (Regime::El10, false) => Stored::Ttbr0El1,
        (Regime::El10, true) => Stored::Ttbr1El1,
        (_, false) => Stored::Ttbr0El2,
        (_, true) => Stored::Ttbr1El2,
    };
    let asid = system.get(table) >> 48;
    if control & tcr::AS != 0 { asid } else { asid & 0xff }
}

/// The VMID in use.
pub fn vmid(system: &System) -> u64 {
    if !system.el2_enabled() {
        return 0;
    }
    let vmid = system.get(Stored::VttbrEl2) >> 48;
    if system.get(Stored::VtcrEl2) >> 19 & 1 != 0 { vmid } else { vmid & 0xff }
}

/// Whether a context is of `regime`.
pub fn is_of(key: u128, regime: Regime) -> bool {
    key >> REGIME_SHIFT & 7 == regime as u128
}

/// Whether it has this ASID.
pub fn has_asid(key: u128, asid: u64) -> bool {
    key & GLOBAL == 0 && key as u64 & 0xffff == asid & 0xffff
}

/// Whether it has this VMID.
pub fn has_vmid(key: u128, vmid: u64) -> bool {
    key as u64 >> VMID_SHIFT & 0xffff == vmid & 0xffff
}
