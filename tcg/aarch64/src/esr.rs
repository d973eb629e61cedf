//! Exception syndromes: D17.2.37 (ESR_ELx). [`Trap::code`] is the syndrome, in the class of an exception from a lower level.
//! [`Trap::value`] is the address for FAR_ELx, or of classes without an address the level that the instruction is trapped
//! to, if that is higher than the usual one.

use tcg_core::guest::{Access, Trap};

/// Exception classes, ESR_ELx.EC.
pub mod class {
    /// Unknown reason: instructions that are not there.
    pub const UNKNOWN: u32 = 0x00;
    /// WFI, WFE, WFIT or WFET.
    pub const WFX: u32 = 0x01;
    /// SIMD and floating point that is switched off.
    pub const FP: u32 = 0x07;
    /// Pointer authentication that is switched off.
    pub const PAC_TRAP: u32 = 0x09;
    /// Illegal execution state.
    pub const ILLEGAL: u32 = 0x0e;
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
    /// Misaligned stack pointer.
    pub const SP_ALIGNMENT: u32 = 0x26;
    /// Memory copy and set instructions out of step.
    pub const MOPS: u32 = 0x27;
    /// Breakpoint from a lower level.
    pub const BREAKPOINT: u32 = 0x30;
    /// Software step from a lower level.
    pub const STEP: u32 = 0x32;
    /// Watchpoint from a lower level.
    pub const WATCHPOINT: u32 = 0x34;
    /// BRK.
    pub const BRK: u32 = 0x3c;
}

/// Lowest bit of the class.
pub const CLASS_SHIFT: u32 = 26;
/// The instruction was 32 bits long.
const IL: u32 = 1 << 25;
/// Data aborts: by a store.
pub const WNR: u32 = 1 << 6;
/// Aborts: of stage 2, in a walk of stage 1.
pub const S1PTW: u32 = 1 << 7;
/// Data aborts: by cache maintenance or address translation.
pub const CM: u32 = 1 << 8;

/// Fault status codes, ISS[5:0] of aborts. Those of page walks have the level in the lowest bits.
pub mod status {
    /// Address size fault, level 0.
    pub const ADDRESS_SIZE_0: u32 = 0b000000;
    /// Translation fault, level 0.
    pub const TRANSLATION_0: u32 = 0b000100;
    /// Translation fault, level 3.
    pub const TRANSLATION: u32 = 0b000111;
    /// Access flag fault, level 0.
    pub const ACCESS_FLAG_0: u32 = 0b001000;
    /// Permission fault, level 0.
    pub const PERMISSION_0: u32 = 0b001100;
    /// Permission fault, level 3.
    pub const PERMISSION: u32 = 0b001111;
    /// Synchronous external abort.
    pub const EXTERNAL: u32 = 0b010000;
    /// Synchronous external abort on a page walk, level 0.
    pub const EXTERNAL_WALK_0: u32 = 0b010100;
    /// Alignment.
    pub const ALIGNMENT: u32 = 0b100001;
    /// Debug exception.
    pub const DEBUG: u32 = 0b100010;
    /// Address size fault, level -1.
    pub const ADDRESS_SIZE_BELOW: u32 = 0b101001;
    /// Translation fault, level -1.
    pub const TRANSLATION_BELOW: u32 = 0b101011;
    /// Synchronous external abort on a page walk, level -1.
    pub const EXTERNAL_WALK_BELOW: u32 = 0b010011;
}

/// The syndrome of class `ec` with `iss`.
pub const fn syndrome(ec: u32, iss: u32) -> u32 {
    ec << CLASS_SHIFT | IL | iss & 0x1ff_ffff
}

/// The class of a syndrome.
pub const fn class_of(code: u32) -> u32 {
    code >> CLASS_SHIFT
}

/// A trap without an address.
pub const fn trap(ec: u32, iss: u32) -> Trap {
    Trap { code: syndrome(ec, iss), value: 0 }
}

/// A trap to level `el`, or a higher one.
pub const fn trap_to(el: u8, ec: u32, iss: u32) -> Trap {
    Trap { code: syndrome(ec, iss), value: el as u64 }
}

/// An instruction that is not there.
pub const UNDEFINED: Trap = trap(class::UNKNOWN, 0);

/// SIMD or floating point that is switched off.
pub const FLOAT_OFF: Trap = trap(class::FP, 0x1e << 20);

/// An access to a system register that is trapped to level `el`: the register's encoding, the general register, and
/// whether it reads.
pub const fn system_access(el: u8, encoding: u16, rt: u8, read: bool) -> Trap {
    let (reg, op0) = (encoding as u32, 2 | encoding as u32 >> 14 & 1);
    trap_to(el, class::SYSTEM, system_iss(op0, reg, rt, read))
}

/// A system instruction that is trapped to level `el`.
pub const fn system_instruction(el: u8, encoding: u16, rt: u8) -> Trap {
    trap_to(el, class::SYSTEM, system_iss(1, encoding as u32, rt, false))
}

/// MSR (immediate) that is trapped to level `el`: op1, CRm and op2 as [`crate::sysreg::encode`] packs them.
pub const fn pstate_field(el: u8, encoding: u16) -> Trap {
    trap_to(el, class::SYSTEM, system_iss(0, encoding as u32, 31, false))
}

const fn system_iss(op0: u32, reg: u32, rt: u8, read: bool) -> u32 {
    let (op1, crn, crm, op2) = (reg >> 11 & 7, reg >> 7 & 15, reg >> 3 & 15, reg & 7);
    op0 << 20 | op2 << 17 | op1 << 14 | crn << 10 | (rt as u32) << 5 | crm << 1 | read as u32
}

/// An abort of an access to `addr`, with a fault status.
pub const fn abort(addr: u64, access: Access, status: u32) -> Trap {
    let code = match access {
        Access::Fetch => syndrome(class::INSTRUCTION_ABORT, status),
        Access::Read => syndrome(class::DATA_ABORT, status),
        Access::Write => syndrome(class::DATA_ABORT, status | WNR),
    };
    Trap { code, value: addr }
}
