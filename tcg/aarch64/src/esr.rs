//! Exception syndromes: D17.2.37 (ESR_ELx). [`Trap::code`] is the syndrome, [`Trap::value`] the address for FAR_ELx.

use tcg_core::guest::{Access, Trap};

/// Exception classes, ESR_ELx.EC.
pub mod class {
    /// Unknown reason: instructions that are not there.
    pub const UNKNOWN: u32 = 0x00;
    /// WFI, WFE, WFIT or WFET.
    pub const WFX: u32 = 0x01;
    /// SIMD and floating point that is switched off.
    pub const FP: u32 = 0x07;
    /// SVC.
    pub const SVC: u32 = 0x15;
    /// HVC.
    pub const HVC: u32 = 0x16;
    /// SMC.
    pub const SMC: u32 = 0x17;
    /// MSR, MRS or a system instruction.
    pub const SYSTEM: u32 = 0x18;
    /// A pointer authentication code that is wrong (FEAT_FPAC).
    pub const PAC: u32 = 0x1c;
    /// Instruction abort from a lower level.
    pub const INSTRUCTION_ABORT: u32 = 0x20;
    /// Misaligned program counter.
    pub const PC_ALIGNMENT: u32 = 0x22;
    /// Data abort from a lower level.
    pub const DATA_ABORT: u32 = 0x24;
    /// Memory copy and set instructions out of step.
    pub const MOPS: u32 = 0x27;
    /// BRK.
    pub const BRK: u32 = 0x3c;
}

/// The instruction was 32 bits long.
const IL: u32 = 1 << 25;
/// Data aborts: by a store.
const WNR: u32 = 1 << 6;

/// Fault status codes, ISS[5:0] of aborts.
pub mod status {
    /// Translation fault, level 3.
    pub const TRANSLATION: u32 = 0b000111;
    /// Permission fault, level 3.
    pub const PERMISSION: u32 = 0b001111;
    /// Synchronous external abort.
    pub const EXTERNAL: u32 = 0b010000;
    /// Alignment.
    pub const ALIGNMENT: u32 = 0b100001;
}

/// The syndrome of class `ec` with `iss`.
pub const fn syndrome(ec: u32, iss: u32) -> u32 {
    ec << 26 | IL | iss & 0x1ff_ffff
}

/// The class of a syndrome.
pub const fn class_of(code: u32) -> u32 {
    code >> 26
}

/// A trap without an address.
pub const fn trap(ec: u32, iss: u32) -> Trap {
    Trap { code: syndrome(ec, iss), value: 0 }
}

/// An instruction that is not there.
pub const UNDEFINED: Trap = trap(class::UNKNOWN, 0);

/// An abort of an access to `addr`, with a fault status.
pub const fn abort(addr: u64, access: Access, status: u32) -> Trap {
    let code = match access {
        Access::Fetch => syndrome(class::INSTRUCTION_ABORT, status),
        Access::Read => syndrome(class::DATA_ABORT, status),
        Access::Write => syndrome(class::DATA_ABORT, status | WNR),
    };
    Trap { code, value: addr }
}
