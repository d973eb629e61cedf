//! What translations call: the privileged instructions, and vector instructions.
//!
//! One row a helper, in [`HelperId`] order. The functions take arguments apart for [`crate::sys`] and turn what is
//! refused into an illegal-instruction trap. Every helper that can refuse is given the instruction's bits, which are
//! the trap's value.

use crate::Riscv;
use crate::cpu::Hart;
use crate::csr::bits::{cause, mstatus};
use crate::csr::{Access, Illegal, Refused, Update};
use crate::sys::{self, Cbo};
use crate::vector;
use tcg_core::cpu::{CpuHeader, Helper, HelperId, HelperResult, exit};
use tcg_core::crypto::sm4;
use tcg_core::guest::{self, Trap};
use tcg_core::interp::Stop;
use tcg_core::run::with_mmu;

macro_rules! helpers {
    ($($(#[$doc:meta])* $id:ident $name:literal $(touches $regs:ident)? |$hart:pat_param, $args:pat_param| $body:expr;)*) => {
        #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
        enum Number { $($id,)* COMPRESS }
        $($(#[$doc])* pub const $id: HelperId = HelperId(Number::$id as u16);)*

        /// The helpers, in number order.
        pub static HELPERS: &[Helper] = &[$({
            unsafe extern "C" fn shim(head: *mut CpuHeader, a: u64, b: u64, c: u64, _: u64) -> HelperResult {
                let body: fn(&mut Hart, [u64; 3]) -> Result<u64, Stop> = |$hart, $args| $body;
                // SAFETY: the header is the first field of the running hart, which nobody else uses meanwhile.
                let hart = unsafe { &mut *head.cast::<Hart>() };
                finish(hart, body, [a, b, c])
            }
            Helper { name: $name, func: shim, touches_regs: helpers!(@touches $($regs)?), vectors: false }
        },)*
            Helper { name: "compress", func: compress, touches_regs: false, vectors: true },
        ];
    };
    (@touches) => { false };
    (@touches registers) => { true };
}

helpers! {
    /// `mstatus.FS` becomes Dirty.
    SET_FS_DIRTY "set_fs_dirty" |hart, _| {
        hart.csr.mstatus |= mstatus::FS;
        sys::settle(hart);
        Ok(0)
    };
    /// A CSR instruction: packed access ([`pack`]), operand, bits. Gives the old value.
    CSR "csr" |hart, [access, operand, bits]| csr(hart, unpack(access), operand, bits);
    /// One that looks at `vxsat`, which translations know.
    CSR_VECTOR "csr_vector" touches registers |hart, [access, operand, bits]| csr(hart, unpack(access), operand, bits);
    /// `mret`: bits. Gives the address to go on at. Ends the reservation.
    MRET "mret" touches registers |hart, [bits, ..]| refuse(sys::mret(hart), bits);
    /// `sret`: bits. Gives the address to go on at. Ends the reservation.
    SRET "sret" touches registers |hart, [bits, ..]| refuse(sys::sret(hart), bits);
    /// `wfi`: bits. Only checks.
    WFI "wfi" |hart, [bits, ..]| refuse(sys::wfi(hart), bits).map(|()| 0);
    /// `sfence.vma`, `sinval.vma`: address, ASID, bits, of which those of rs1 and rs2 tell whether they are given.
    SFENCE_VMA "sfence_vma" |hart, [addr, asid, bits]| {
        let given = |value: u64, shift: u32| (bits >> shift & 31 != 0).then_some(value);
        refuse(sys::sfence_vma(hart, given(addr, 15), given(asid, 20)), bits).map(|()| 0)
    };
    /// `sfence.w.inval`, `sfence.inval.ir`: bits. Only checks.
    SFENCE_CHECK "sfence_check" |hart, [bits, ..]| refuse(sys::fence_allowed(hart, false), bits).map(|()| 0);
    /// `cbo.inval`: address, bits.
    CBO_INVAL "cbo_inval" |hart, [addr, bits, _]| cbo(hart, Cbo::Inval, addr, bits);
    /// `cbo.clean`, `cbo.flush`: address, bits.
    CBO_CLEAN "cbo_clean" |hart, [addr, bits, _]| cbo(hart, Cbo::CleanFlush, addr, bits);
    /// `cbo.zero`: bits. Only checks.
    CBO_ZERO "cbo_zero" |hart, [bits, ..]| refuse(sys::cbo_allowed(hart, Cbo::Zero), bits).map(|()| 0);
    /// A jump to an address that is not a multiple of four, without Zca: target.
    MISALIGNED_JUMP "misaligned_jump" |_, [target, ..]| Err(Stop::Trap(Trap { code: cause::FETCH_MISALIGNED, value: target }));
    /// `mstatus.VS` becomes Dirty.
    SET_VS_DIRTY "set_vs_dirty" |hart, _| {
        hart.csr.mstatus |= mstatus::VS;
        sys::settle(hart);
        Ok(0)
    };
    /// What a byte gives to a word in `sm4ed`.
    SM4_ROUND "sm4_round" |_, [byte, ..]| Ok(spread(byte, sm4::linear));
    /// The same in `sm4ks`.
    SM4_KEY "sm4_key" |_, [byte, ..]| Ok(spread(byte, sm4::key_linear));
    /// `vset`: length asked for, `vtype`. Gives the length.
    VSET "vset" touches registers |hart, [avl, vtype, _]| Ok(vector::configure(hart, avl, vtype));
    /// `vset` that makes the mode another than its translation is for: length asked for, `vtype`. The instruction runs again.
    VSET_OTHER "vset_other" |hart, [avl, vtype, _]| {
        vector::configure(hart, avl, vtype);
        Err(Stop::Leave(exit::RETRY))
    };
    /// A load of consecutive elements that only traps at its first: address, bits, `vl`. If a later one would fault, `vl`
    /// becomes what does not, and the instruction runs again.
    FIRST_FAULT "first_fault" |hart, [addr, bits, vl]| vector::trim(hart, addr, (bits as u32, vl));
    /// Any other instruction of V: bits.
    VECTOR "vector" touches registers |hart, [bits, ..]| vector::execute(hart, bits as u32).map(|()| 0).map_err(Stop::Trap);
}

/// `vcompress.vm` on one part: a vector helper of the elements, the mask and the destination, whose parameter is log2 of an
/// element's bytes.
pub const COMPRESS: HelperId = HelperId(Number::COMPRESS as u16);

unsafe extern "C" fn compress(head: *mut CpuHeader, sew: u64, _: u64, _: u64, _: u64) -> HelperResult {
    // SAFETY: the header of the running hart, which nobody else uses meanwhile.
    let vectors = unsafe { &mut (*head).vectors };
    vectors[0] = vector::compressed(sew as u32 & 3, *vectors);
    HelperResult::ok(0)
}

/// The word that the substituted `byte` becomes as the lowest byte of one; the standard has that byte first.
fn spread(byte: u64, linear: fn(u32) -> u32) -> u64 {
    let first = sm4::substituted(byte as u32) << 24;
    linear(first).swap_bytes().into()
}

fn finish(
    hart: &mut Hart,
    body: fn(&mut Hart, [u64; 3]) -> Result<u64, Stop>,
    args: [u64; 3],
) -> HelperResult {
    match body(hart, args) {
        Ok(value) => HelperResult::ok(value),
        Err(Stop::Trap(trap)) => {
            (hart.head.trap_code, hart.head.trap_value) = (trap.code, trap.value);
            HelperResult::leave(exit::TRAP)
        }
        Err(Stop::Leave(code)) => HelperResult::leave(code),
    }
}

fn illegal(bits: u64) -> Stop {
    Stop::Trap(Trap { code: cause::ILLEGAL, value: bits })
}

fn refuse<T>(done: Result<T, Illegal>, bits: u64) -> Result<T, Stop> {
    done.map_err(|Illegal| illegal(bits))
}

/// A CSR instruction.
fn csr(hart: &mut Hart, access: Access, operand: u64, bits: u64) -> Result<u64, Stop> {
    sys::csr_access(hart, access, operand).map_err(|refused| match refused {
        Refused::Illegal => illegal(bits),
        Refused::Uncounted => Stop::Leave(exit::RETRY),
    })
}

const READ: u64 = 1 << 12;
const UPDATE_SHIFT: u32 = 13;
const UPDATES: [Option<Update>; 4] = [None, Some(Update::Write), Some(Update::Set), Some(Update::Clear)];

/// A CSR access as one argument.
pub fn pack(access: Access) -> u64 {
    let update = UPDATES.iter().position(|u| *u == access.write).expect("every update is in the list") as u64;
    u64::from(access.number) | u64::from(access.read) << READ.trailing_zeros() | update << UPDATE_SHIFT
}

fn unpack(access: u64) -> Access {
    Access {
        number: (access & 0xfff) as u16,
        write: UPDATES[(access >> UPDATE_SHIFT & 3) as usize],
        read: access & READ != 0,
    }
}

/// A cache-block operation: nothing but the rights to it, which are those of a load, with the faults of a store.
fn cbo(hart: &mut Hart, kind: Cbo, addr: u64, bits: u64) -> Result<u64, Stop> {
    refuse(sys::cbo_allowed(hart, kind), bits)?;
    match with_mmu::<Riscv, _>(hart, |hart, mmu| mmu.probe::<Riscv>(hart, addr, guest::Access::Read)) {
        Some(Err(trap)) => {
            let code = match trap.code {
                cause::LOAD_ACCESS => cause::STORE_ACCESS,
                cause::LOAD_PAGE => cause::STORE_PAGE,
                code => code,
            };
            Err(Stop::Trap(Trap { code, ..trap }))
        }
        _ => Ok(0),
    }
}
