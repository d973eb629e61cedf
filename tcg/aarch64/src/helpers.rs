//! What translations call: one row a helper, in [`HelperId`] order.

use crate::Aarch64;
use crate::cpu::Cpu;
use crate::mmu::{self, Who};
use crate::sysreg::{self, Stored};
use crate::{crc, exception, float, instructions, mops, pauth, tlbi};
use tcg_core::cpu::{CpuHeader, Helper, HelperFn, HelperId, HelperResult, exit};
use tcg_core::fp;
use tcg_core::interp::Stop;
use tcg_core::run::{Fault, Mmu, with_mmu};
use tcg_core::sem::{FloatMode, MemOp, flags};
use tcg_core::ty::Ty;

macro_rules! helpers {
    ($($(#[$doc:meta])* $id:ident $name:literal $(touches $regs:ident)? |$cpu:pat_param, $args:pat_param| $body:expr;)*) => {
        #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
        enum Number { $($id,)* SIMD, FLOATS, CRYPTO }
        $($(#[$doc])* pub const $id: HelperId = HelperId(Number::$id as u16);)*

        /// The helpers, in number order.
        pub static HELPERS: &[Helper] = &[$({
            unsafe extern "C" fn shim(head: *mut CpuHeader, a: u64, b: u64, c: u64, _: u64) -> HelperResult {
                let body: fn(&mut Cpu, [u64; 3]) -> Result<u64, Stop> = |$cpu, $args| $body;
                // SAFETY: the header is the first field of the running PE, which nobody else uses meanwhile.
                let cpu = unsafe { &mut *head.cast::<Cpu>() };
                finish(cpu, body, [a, b, c])
            }
            Helper { name: $name, func: shim, touches_regs: helpers!(@touches $($regs)?), vectors: false }
        },)*
            vector("simd", simd_shim),
            vector("floats", floats_shim),
            vector("crypto", crypto_shim),
        ];
    };
    (@touches) => { false };
    (@touches registers) => { true };
}

helpers! {
    /// CRC-32: value so far, data, log2 of its bytes and in bit 2 whether Castagnoli's.
    CRC32 "crc32" |_, [crc, data, kind]| Ok(crc::update(crc as u32, data, kind as u32 & 3, kind & 4 != 0).into());
    /// Signs a pointer: pointer, modifier, key.
    PAC_ADD "pac_add" |cpu, [ptr, modifier, key]| pauth::sign(cpu, ptr, modifier, key as usize & 3).map_err(Stop::Trap);
    /// Checks a pointer and strips it: pointer, modifier, key.
    PAC_CHECK "pac_check" |cpu, [ptr, modifier, key]| pauth::check(cpu, ptr, modifier, key as usize & 3).map_err(Stop::Trap);
    /// Strips a pointer: pointer, whether of code.
    PAC_STRIP "pac_strip" |cpu, [ptr, code, _]| Ok(pauth::strip_for(cpu, ptr, code != 0));
    /// Code of data: data, modifier.
    PAC_GENERIC "pac_generic" |cpu, [data, modifier, _]| {
        pauth::sign_data(cpu, data, modifier).map_err(Stop::Trap)
    };
    /// Compares 128 bits at an address with scratch registers 0 and 1 and swaps them with 2 and 3; the old value comes in 0
    /// and 1.
    CAS_128 "cas_128" touches registers |cpu, [addr, ..]| cas_128(cpu, addr);
    /// Memory copy and set: see [`mops::pack`].
    MEMORY_COPY_SET "memory_copy_set" touches registers |cpu, [what, ..]| match mops::run(cpu, what) {
        Ok(()) => Ok(0),
        Err(mops::Stop::Fault(fault)) => Err(fault.into()),
        Err(mops::Stop::More) => Err(Stop::Leave(exit::RETRY)),
    };
    /// Reads a system register: its encoding, with the general register's number in 16..=20.
    READ_SYSTEM "read_system" touches registers |cpu, [reg, ..]| {
        sysreg::read(cpu, reg as u16, (reg >> 16) as u8 & 31).map_err(Stop::Trap)
    };
    /// Writes a system register: the same, and the value.
    WRITE_SYSTEM "write_system" touches registers |cpu, [reg, value, _]| {
        sysreg::write(cpu, reg as u16, (reg >> 16) as u8 & 31, value).map(|()| 0).map_err(Stop::Trap)
    };
    /// A system instruction: its encoding with the general register's number in 16..=20, the value.
    SYSTEM_INSTRUCTION "system_instruction" |cpu, [reg, value, _]| {
        instructions::run(cpu, reg as u16, (reg >> 16) as u8 & 31, value).map(|()| 0)
    };
    /// Completes TLB maintenance.
    COMPLETE_TLB "complete_tlb" |cpu, _| if tlbi::complete(cpu) { Ok(0) } else { Err(Stop::Leave(exit::YIELD)) };
    /// Exception return: the address. Gives the address to go on at.
    EXCEPTION_RETURN "exception_return" touches registers |cpu, _| {
        let el = cpu.system.el;
        let elr = cpu.system.banked(Stored::ElrEl1, el);
        Ok(exception::exception_return(cpu, elr))
    };
    /// The same with an authenticated address: the key.
    EXCEPTION_RETURN_CHECKED "exception_return_checked" touches registers |cpu, [key, ..]| {
        let el = cpu.system.el;
        let (elr, modifier) = (cpu.system.banked(Stored::ElrEl1, el), cpu.sp);
        let elr = pauth::check(cpu, elr, modifier, key as usize & 3).map_err(Stop::Trap)?;
        Ok(exception::exception_return(cpu, elr))
    };
    /// An instruction that waits: whether for an event, the kind in its syndrome. Only checks.
    WAIT "wait" |cpu, [event, kind, _]| match sysreg::wait_trap(cpu, event != 0, kind as u32) {
        Some(trap) => Err(Stop::Trap(trap)),
        None => Ok(0),
    };
    /// The masks of exceptions become these.
    SET_MASKS "set_masks" touches registers |cpu, [value, ..]| {
        sysreg::set_daif(cpu, value);
        Ok(0)
    };
    /// Whether EL0 may change its masks of exceptions by MSR (immediate): the instruction's fields.
    CHECK_MASKS "check_masks" |cpu, [insn, ..]| {
        sysreg::check_masks(cpu, insn as u16).map(|()| 0).map_err(Stop::Trap)
    };
    /// A load as EL0 would make it: address, packed access.
    LOAD_UNPRIVILEGED "load_unprivileged" |cpu, [addr, op, _]| {
        unprivileged(cpu, |cpu, mmu| mmu.load::<Aarch64>(cpu, addr, MemOp::unpack(op), Ty::I64))
    };
    /// A store as EL0 would make it: address, value, packed access.
    STORE_UNPRIVILEGED "store_unprivileged" |cpu, [addr, value, op]| {
        unprivileged(cpu, |cpu, mmu| mmu.store::<Aarch64>(cpu, addr, value, MemOp::unpack(op)).map(|()| 0))
    };
    /// To an integral value within so many bits: value, mode with the bits in 8..=15 and the type in 16..=23.
    ROUND_WITHIN "round_within" |cpu, [a, kind, _]| {
        let mode = FloatMode::from_bits(kind & 0xff);
        Ok(float::round_within(ty(kind >> 16), a, kind >> 8 & 0xff, mode, &mut cpu.head.fp_flags))
    };
    /// To fixed point: value, kind.
    TO_FIXED "to_fixed" |cpu, [a, kind, _]| {
        let types = (ty(kind >> 16), if kind >> 25 & 1 != 0 { Ty::I64 } else { Ty::I32 });
        let fixed = fp::Fixed { fraction_bits: (kind >> 8 & 127) as u32, signed: kind >> 24 & 1 != 0 };
        Ok(fp::to_fixed(types, a, fixed, FloatMode::from_bits(kind & 0xff), &mut cpu.head.fp_flags))
    };
    /// From fixed point: value, kind.
    OF_FIXED "of_fixed" |cpu, [a, kind, _]| {
        let types = (if kind >> 25 & 1 != 0 { Ty::I64 } else { Ty::I32 }, ty(kind >> 16));
        let fixed = fp::Fixed { fraction_bits: (kind >> 8 & 127) as u32, signed: kind >> 24 & 1 != 0 };
        Ok(fp::from_fixed(types, a, fixed, FloatMode::from_bits(kind & 0xff), &mut cpu.head.fp_flags))
    };
    /// To or from the alternative half-precision format: value, mode with the types in 8..=15 and 16..=23.
    CONVERT_ALTERNATIVE "convert_alternative" |cpu, [a, kind, _]| {
        let mode = FloatMode::from_bits(kind & 0xff);
        Ok(fp::convert_alternative((ty(kind >> 8), ty(kind >> 16)), a, mode, &mut cpu.head.fp_flags))
    };
    /// JavaScript's conversion of a double: value, mode. See [`float::javascript_to_int`].
    JAVASCRIPT_TO_INT "javascript_to_int" |cpu, [a, kind, _]| {
        Ok(float::javascript_to_int(a, FloatMode::from_bits(kind), &mut cpu.head.fp_flags))
    };
}

/// Operations on lanes in software: a vector helper, whose parameter [`crate::simd::Soft::pack`] makes.
pub const SIMD: HelperId = HelperId(Number::SIMD as u16);

/// Operations on lanes of floats in software: a vector helper, whose parameter [`FloatParam::pack`] makes.
///
/// [`FloatParam::pack`]: crate::float::lanes::FloatParam::pack
pub const FLOATS: HelperId = HelperId(Number::FLOATS as u16);

/// Cryptography: a vector helper, whose parameter [`crate::crypto::Crypto::pack`] makes.
pub const CRYPTO: HelperId = HelperId(Number::CRYPTO as u16);

const fn vector(name: &'static str, func: HelperFn) -> Helper {
    Helper { name, func, touches_regs: false, vectors: true }
}

unsafe extern "C" fn simd_shim(head: *mut CpuHeader, param: u64, _: u64, _: u64, _: u64) -> HelperResult {
    // SAFETY: the running PE's header, which nobody else uses meanwhile.
    let head = unsafe { &mut *head };
    let (value, saturated) = crate::simd::run(param, head.vectors);
    head.vectors[0] = value;
    if saturated {
        head.fp_flags |= flags::SAT;
    }
    HelperResult::ok(0)
}

unsafe extern "C" fn floats_shim(head: *mut CpuHeader, param: u64, _: u64, _: u64, _: u64) -> HelperResult {
    // SAFETY: as above.
    let head = unsafe { &mut *head };
    head.vectors[0] = float::lanes::run(param, head.vectors, &mut head.fp_flags);
    HelperResult::ok(0)
}

unsafe extern "C" fn crypto_shim(head: *mut CpuHeader, param: u64, _: u64, _: u64, _: u64) -> HelperResult {
    // SAFETY: as above.
    let head = unsafe { &mut *head };
    head.vectors[0] = crate::crypto::run(param, head.vectors);
    HelperResult::ok(0)
}

fn finish(cpu: &mut Cpu, body: fn(&mut Cpu, [u64; 3]) -> Result<u64, Stop>, args: [u64; 3]) -> HelperResult {
    match body(cpu, args) {
        Ok(value) => HelperResult::ok(value),
        Err(Stop::Trap(trap)) => {
            (cpu.head.trap_code, cpu.head.trap_value) = (trap.code, trap.value);
            HelperResult::leave(exit::TRAP)
        }
        Err(Stop::Leave(code)) => HelperResult::leave(code),
    }
}

fn ty(n: u64) -> Ty {
    [Ty::F32, Ty::F64, Ty::F16].into_iter().find(|ty| *ty as u64 == n & 0xff).unwrap_or(Ty::F64)
}

fn cas_128(cpu: &mut Cpu, addr: u64) -> Result<u64, Stop> {
    let pair = |low: u64, high: u64| u128::from(low) | u128::from(high) << 64;
    let [a, b, c, d] = cpu.scratch;
    let done =
        with_mmu::<Aarch64, _>(cpu, |cpu, mmu| mmu.cas_128::<Aarch64>(cpu, addr, [pair(a, b), pair(c, d)]));
    if let Some(old) = done {
        let old = old?;
        (cpu.scratch[0], cpu.scratch[1]) = (old as u64, (old >> 64) as u64);
    }
    Ok(0)
}

fn unprivileged(
    cpu: &mut Cpu,
    access: impl FnOnce(&mut Cpu, &mut Mmu) -> Result<u64, Fault>,
) -> Result<u64, Stop> {
    cpu.system.unprivileged = true;
    let during = mmu::key::of(&cpu.system, Who::data(&cpu.system));
    let done =
        with_mmu::<Aarch64, _>(cpu, |cpu, mmu| mmu.with_data_context::<Aarch64, _>(cpu, during, access));
    cpu.system.unprivileged = false;
    done.unwrap_or(Ok(0)).map_err(Stop::from)
}
