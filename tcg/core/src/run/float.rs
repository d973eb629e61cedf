//! The host's float unit on the guest's behalf: rounding mode in, sticky flags out.
//!
//! Generated code runs with the guest's rounding mode in the host's control word, whose sticky flags then are the
//! guest's ([`CpuHeader::fp_live`]). Helpers that read or change the guest's float state go through here.

use crate::cpu::CpuHeader;
use crate::sem::Rm;

/// Brings [`CpuHeader::fp_flags`] up to date with flags that the host's float unit holds, and clears those.
pub fn collect_flags(head: &mut CpuHeader) {
    if head.fp_live != 0 {
        let control = host::read();
        head.fp_flags |= host::flags(control);
        host::write(host::without_flags(control));
    }
}

/// Makes `rm` the mode of generated code ([`Rm::Rmm`], which hosts lack, leaves the nearest-even mode on).
pub(super) fn set_rounding(head: &mut CpuHeader, rm: Rm) {
    let control = host::control(rm);
    if head.fp_control == control {
        return;
    }
    collect_flags(head);
    head.fp_control = control;
    if head.fp_live != 0 {
        host::write(control);
    }
}

/// Runs `f`, which may be anything (a device), with the host's own float mode; the flags it raises are not the guest's.
pub(super) fn with_host_mode<T>(head: &CpuHeader, f: impl FnOnce() -> T) -> T {
    in_host_mode(head.fp_live != 0, f)
}

/// The same; `live` is [`CpuHeader::fp_live`].
pub(super) fn in_host_mode<T>(live: bool, f: impl FnOnce() -> T) -> T {
    if !live {
        return f();
    }
    let control = host::read();
    host::write(host::control(Rm::Rne));
    let result = f();
    host::write(control);
    result
}

/// Runs generated code by `enter` with the guest's float mode, and collects the flags it raised.
pub(crate) fn with_guest_mode(head: *mut CpuHeader, enter: impl FnOnce() -> u32) -> u32 {
    // SAFETY (both blocks): `head` is the running vCPU's header, only used in between by generated code and helpers.
    // SAFETY: see above.
    unsafe { (*head).fp_live = 1 };
    let code = enter();
    // SAFETY: see above.
    let head = unsafe { &mut *head };
    head.fp_live = 0;
    head.fp_flags |= host::flags(head.fp_control);
    head.fp_control = host::without_flags(head.fp_control);
    code
}

#[cfg(target_arch = "x86_64")]
mod host {
    //! MXCSR, Intel SDM volume 1, 10.2.3.
    use crate::sem::{Rm, flags};
    use std::arch::asm;

    const MASK_ALL: u32 = 0x1f80;
    /// (MXCSR bit, flag); the denormal flag (bit 1) has no counterpart.
    const FLAGS: [(u32, u32); 5] =
        [(1, flags::NV), (1 << 2, flags::DZ), (1 << 3, flags::OF), (1 << 4, flags::UF), (1 << 5, flags::NX)];

    pub fn control(rm: Rm) -> u32 {
        let rc = match rm {
            Rm::Rne | Rm::Rmm => 0,
            Rm::Rdn => 1,
            Rm::Rup => 2,
            Rm::Rtz => 3,
        };
        MASK_ALL | rc << 13
    }

    pub fn flags(control: u32) -> u32 {
        FLAGS.iter().filter(|(bit, _)| control & bit != 0).fold(0, |all, (_, flag)| all | flag)
    }

    pub fn without_flags(control: u32) -> u32 {
        control & !0x3f
    }

    pub fn read() -> u32 {
        let mut control = 0u32;
        // SAFETY: stores the control word to a local variable.
        unsafe { asm!("stmxcsr [{}]", in(reg) &raw mut control, options(nostack)) };
        control
    }

    pub fn write(control: u32) {
        // SAFETY: loads a control word with all exceptions masked.
        unsafe { asm!("ldmxcsr [{}]", in(reg) &raw const control, options(nostack, readonly)) };
    }
}
