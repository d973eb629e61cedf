//! What translations call: one row a helper, in [`HelperId`] order.

use crate::Aarch64;
use crate::cpu::Cpu;
use crate::sysreg::{self, Place};
use crate::{crc, float, mops, pauth};
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use tcg_core::cpu::{CpuHeader, Helper, HelperFn, HelperId, HelperResult, exit};
use tcg_core::fp;
use tcg_core::guest::Trap;
use tcg_core::run::{Fault, with_mmu};
use tcg_core::sem::{FloatMode, MemOp, flags};
use tcg_core::ty::Ty;

/// How a helper ends other than well.
enum Stop {
    Trap(Trap),
    Leave(u32),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Trap(trap) => Self::Trap(trap),
            Fault::CodeChanged => Self::Leave(exit::RETRY),
        }
    }
}

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
    PAC_ADD "pac_add" |cpu, [ptr, modifier, key]| {
        let code = pauth::code(cpu.system.features);
        Ok(pauth::add(code, ptr, modifier, cpu.system.keys[key as usize & 3]))
    };
    /// Checks a pointer and strips it: pointer, modifier, key.
    PAC_CHECK "pac_check" |cpu, [ptr, modifier, key]| {
        let (code, key) = (pauth::code(cpu.system.features), key as usize & 3);
        pauth::authenticate(code, ptr, modifier, cpu.system.keys[key]).ok_or(Stop::Trap(pauth::failure(key)))
    };
    /// Strips a pointer.
    PAC_STRIP "pac_strip" |_, [ptr, ..]| Ok(pauth::strip(ptr));
    /// Code of data: data, modifier.
    PAC_GENERIC "pac_generic" |cpu, [data, modifier, _]| {
        Ok(pauth::generic(pauth::code(cpu.system.features), data, modifier, cpu.system.keys[4]))
    };
    /// Compares 128 bits at an address with scratch registers 0 and 1 and swaps them with 2 and 3; the old value comes in 0
    /// and 1.
    CAS_128 "cas_128" touches registers |cpu, [addr, ..]| cas_128(cpu, addr);
    /// Zeros the block that an address is in.
    ZERO_BLOCK "zero_block" |cpu, [addr, ..]| zero_block(cpu, addr);
    /// Memory copy and set: see [`mops::pack`].
    MEMORY_COPY_SET "memory_copy_set" touches registers |cpu, [what, ..]| match mops::run(cpu, what) {
        Ok(()) => Ok(0),
        Err(mops::Stop::Fault(fault)) => Err(fault.into()),
        Err(mops::Stop::More) => Err(Stop::Leave(exit::RETRY)),
    };
    /// Reads a system register: its encoding.
    READ_SYSTEM "read_system" touches registers |cpu, [reg, ..]| Ok(read_system(cpu, reg as u16));
    /// Writes a system register: its encoding, the value.
    WRITE_SYSTEM "write_system" touches registers |cpu, [reg, value, _]| {
        write_system(cpu, reg as u16, value);
        Ok(0)
    };
    /// A random number of the host.
    RANDOM "random" |_, _| Ok(random());
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
    /// The instruction cache line that an address is in has to be filled anew.
    FORGET_CODE "forget_code" |cpu, [addr, ..]| {
        let line = 4u64 << (cpu.system.features.ctr() & 15);
        with_mmu::<Aarch64, _>(cpu, |_, mmu| mmu.code_changed(addr & !(line - 1), line));
        Ok(0)
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

fn zero_block(cpu: &mut Cpu, addr: u64) -> Result<u64, Stop> {
    let size = 4u64 << (cpu.system.features.dczid() & 15);
    let start = addr & !(size - 1);
    let done = with_mmu::<Aarch64, _>(cpu, |cpu, mmu| {
        (0..size / 8).try_for_each(|n| mmu.store::<Aarch64>(cpu, start + n * 8, 0, MemOp::new(3)))
    });
    done.unwrap_or(Ok(()))?;
    Ok(0)
}

/// Where the host has none to give there is still a number that nobody knows.
fn random() -> u64 {
    getrandom::u64().unwrap_or_else(|_| RandomState::new().hash_one(()))
}

fn read_system(cpu: &mut Cpu, reg: u16) -> u64 {
    match sysreg::find(reg).map(|row| row.place) {
        Some(Place::Functions(read, _) | Place::Mode(read, _)) => read(cpu),
        Some(Place::Stored(n, _)) => cpu.system.stored[n as usize],
        _ => 0,
    }
}

fn write_system(cpu: &mut Cpu, reg: u16, value: u64) {
    match sysreg::find(reg).map(|row| row.place) {
        Some(Place::Functions(_, write)) => write(cpu, value),
        Some(Place::Mode(_, write)) => {
            write(cpu, value);
            with_mmu::<Aarch64, _>(cpu, |cpu, mmu| mmu.sync::<Aarch64>(cpu));
        }
        Some(Place::Stored(n, mask)) => cpu.system.stored[n as usize] = value & mask,
        _ => {}
    }
}
