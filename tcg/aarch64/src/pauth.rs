//! Pointer authentication: D8.10, used as FEAT_PAuth2 with FEAT_FPAC has it. The code is one of our own, which the manual
//! allows and which costs a few host instructions, or QARMA5 (Avanzi, "The QARMA Block Cipher Family", with S-box sigma 2).
//! Where the code stands in a pointer follows from the size of addresses and from whether they have tags, by half.

use crate::cpu::Cpu;
use crate::esr::{self, class};
use crate::features::{Ext, Features};
use crate::sysreg::{Key, Stored, System, hcr, scr, sctlr};
use tcg_core::guest::Trap;

const ALPHA: u64 = 0xc0ac_29b7_c97c_50dd;
const ROUND_CONSTANTS: [u64; 5] =
    [0, 0x1319_8a2e_0370_7344, 0xa409_3822_299f_31d0, 0x082e_fa98_ec4e_6c89, 0x4528_21e6_38d0_1377];
/// Cell `n` of the shuffled state is cell `SHUFFLE[n]`; cell 0 is the highest nibble.
const SHUFFLE: [usize; 16] = [0, 11, 6, 13, 10, 1, 12, 7, 5, 14, 3, 8, 15, 4, 9, 2];
const TWEAK_SHUFFLE: [usize; 16] = [6, 5, 14, 15, 0, 1, 2, 3, 7, 12, 13, 4, 8, 9, 10, 11];
/// Cells of the tweak that step their shift register.
const TWEAK_STEPS: [usize; 7] = [0, 1, 3, 4, 8, 11, 13];
const SUB: [u8; 16] = [11, 6, 8, 15, 12, 0, 9, 14, 3, 7, 4, 5, 13, 2, 1, 10];

type Cells = [u8; 16];

fn cells(v: u64) -> Cells {
    std::array::from_fn(|n| (v >> (60 - 4 * n) & 15) as u8)
}

fn joined(cells: Cells) -> u64 {
    cells.iter().fold(0, |v, cell| v << 4 | u64::from(*cell))
}

fn permute(v: u64, by: &[usize; 16]) -> u64 {
    let from = cells(v);
    joined(std::array::from_fn(|n| from[by[n]]))
}

fn permute_back(v: u64, by: &[usize; 16]) -> u64 {
    let from = cells(v);
    let mut to = [0; 16];
    by.iter().enumerate().for_each(|(n, at)| to[*at] = from[n]);
    joined(to)
}

fn rotated(cell: u8, by: u32) -> u8 {
    (cell << by | cell >> (4 - by)) & 15
}

/// Multiplies each column by the circulant matrix (0, rotate 1, rotate 2, rotate 1).
fn mix(v: u64) -> u64 {
    let from = cells(v);
    joined(std::array::from_fn(|n| {
        let (row, column) = (n / 4, n % 4);
        let cell = |step: usize| from[(row + step) % 4 * 4 + column];
        rotated(cell(1), 1) ^ rotated(cell(2), 2) ^ rotated(cell(3), 1)
    }))
}

fn substitute(v: u64) -> u64 {
    joined(cells(v).map(|cell| SUB[usize::from(cell)]))
}

fn substitute_back(v: u64) -> u64 {
    joined(cells(v).map(|cell| SUB.iter().position(|to| *to == cell).unwrap_or_default() as u8))
}

fn next_tweak(tweak: u64) -> u64 {
    let mut all = cells(permute(tweak, &TWEAK_SHUFFLE));
    for n in TWEAK_STEPS {
        let b = all[n];
        all[n] = b >> 1 | ((b ^ b >> 1) & 1) << 3;
    }
    joined(all)
}

fn previous_tweak(tweak: u64) -> u64 {
    let mut all = cells(tweak);
    for n in TWEAK_STEPS {
        let b = all[n];
        all[n] = b << 1 & 15 | (b >> 3 ^ b) & 1;
    }
    permute_back(joined(all), &TWEAK_SHUFFLE)
}

fn forward(v: u64) -> u64 {
    mix(permute(v, &SHUFFLE))
}

fn backward(v: u64) -> u64 {
    permute_back(mix(v), &SHUFFLE)
}

/// QARMA5 of `data` under `tweak`. The key's high half whitens.
pub fn qarma5(data: u64, tweak: u64, [core, white]: Key) -> u64 {
    let white_after = white.rotate_right(1) ^ white >> 63;
    let mut tweak = tweak;
    let mut v = data ^ white;
    for (n, constant) in ROUND_CONSTANTS.into_iter().enumerate() {
        v ^= core ^ tweak ^ constant;
        if n > 0 {
            v = forward(v);
        }
        v = substitute(v);
        tweak = next_tweak(tweak);
    }
    v = substitute(forward(v ^ white_after ^ tweak));
    v = permute_back(mix(permute(v, &SHUFFLE)) ^ core, &SHUFFLE);
    v = backward(substitute_back(v)) ^ white ^ tweak;
    for (n, constant) in ROUND_CONSTANTS.into_iter().enumerate().rev() {
        v = substitute_back(v);
        if n > 0 {
            v = backward(v);
        }
        tweak = previous_tweak(tweak);
        v ^= core ^ tweak ^ constant ^ ALPHA;
    }
    v ^ white_after
}

/// What the code of our own multiplies by.
pub const MULTIPLIERS: [u64; 2] = [0xff51_afd7_ed55_8ccd, 0xc4ce_b9fe_1a85_ec53];

/// The code of our own: both steps of the finaliser of MurmurHash3, with the key in between.
fn mixed(data: u64, tweak: u64, [low, high]: Key) -> u64 {
    let step = |v: u64, by: u64| (v ^ v >> 33).wrapping_mul(by);
    let v = step(data ^ low, MULTIPLIERS[0]) ^ tweak.rotate_left(32) ^ high;
    let v = step(v, MULTIPLIERS[1]);
    v ^ v >> 33
}

/// A code of data and modifier.
pub type Code = fn(u64, u64, Key) -> u64;

/// The code that a PE uses.
pub fn code(features: Features) -> Code {
    if features.has(Ext::PauthImpdef) { mixed } else { qarma5 }
}

/// Which half of the space a pointer is in.
pub const HALF: u64 = 1 << 55;

/// The code's place in `ptr`: above an address of `bits` bits but for bit 55, and below the tag if there is one.
pub const fn field(bits: u32, tagged: bool) -> u64 {
    let above = if bits < u64::BITS { u64::MAX << bits } else { 0 };
    if tagged { above & (HALF - 1) } else { above & !HALF }
}

/// `ptr` without a code in `field`.
pub fn strip(ptr: u64, field: u64) -> u64 {
    if ptr & HALF != 0 { ptr | field } else { ptr & !field }
}

/// `ptr` with a code in `field`.
pub fn add(code: Code, ptr: u64, modifier: u64, (key, field): (Key, u64)) -> u64 {
    ptr ^ code(strip(ptr, field), modifier, key) & field
}

/// `ptr` without its code in `field`, if it is the right one.
pub fn authenticate(code: Code, ptr: u64, modifier: u64, (key, field): (Key, u64)) -> Option<u64> {
    let stripped = strip(ptr, field);
    (ptr ^ code(stripped, modifier, key) & field == stripped).then_some(stripped)
}

/// A code of 32 bits for any data.
pub fn generic(code: Code, data: u64, modifier: u64, key: Key) -> u64 {
    code(data, modifier, key) & !0xffff_ffff
}

/// What a wrong code of key `key` (IA, IB, DA, DB) leads to.
pub fn failure(key: usize) -> Trap {
    esr::trap(class::PAC, key as u32 & 3)
}

/// Which level pointer authentication is trapped to.
fn trapped(system: &System) -> Option<Trap> {
    let trap = |el: u8| esr::trap_to(el, class::PAC_TRAP, 0);
    if system.user_ids {
        return None;
    }
    let (el, hcr) = (system.el, system.hcr());
    if el < 2 && system.el2_enabled() && !system.in_host() && hcr & hcr::API == 0 {
        return Some(trap(2));
    }
    let off = el < 3 && system.board.has_el3 && system.get(Stored::ScrEl3) & scr::API == 0;
    off.then(|| trap(3))
}

/// The place of the code for a key of instructions or data.
pub fn field_of(cpu: &Cpu, ptr: u64, of_code: bool) -> u64 {
    let (bits, tagged) = crate::mmu::pointer(&cpu.system, ptr, of_code);
    field(bits, tagged)
}

/// Whether key `n` (IA, IB, DA, DB) is on.
fn is_on(cpu: &Cpu, n: usize) -> bool {
    let bit = [sctlr::EN_IA, sctlr::EN_IB, sctlr::EN_DA, sctlr::EN_DB][n];
    cpu.system.sctlr(cpu.system.el) & bit != 0
}

/// Signs `ptr` with key `n`.
///
/// # Errors
/// Where a higher level wants to know of it.
pub fn sign(cpu: &mut Cpu, ptr: u64, modifier: u64, n: usize) -> Result<u64, Trap> {
    if !is_on(cpu, n) {
        return Ok(ptr);
    }
    match trapped(&cpu.system) {
        Some(trap) => Err(trap),
        None => {
            let field = field_of(cpu, ptr, n < 2);
            Ok(add(code(cpu.system.features), ptr, modifier, (cpu.system.keys[n], field)))
        }
    }
}

/// Checks `ptr` with key `n`, and takes the code off.
///
/// # Errors
/// Where the code is wrong, or a higher level wants to know of it.
pub fn check(cpu: &mut Cpu, ptr: u64, modifier: u64, n: usize) -> Result<u64, Trap> {
    if !is_on(cpu, n) {
        return Ok(ptr);
    }
    match trapped(&cpu.system) {
        Some(trap) => Err(trap),
        None => {
            let field = field_of(cpu, ptr, n < 2);
            let code = code(cpu.system.features);
            authenticate(code, ptr, modifier, (cpu.system.keys[n], field)).ok_or(failure(n))
        }
    }
}

/// `ptr` without a code.
pub fn strip_for(cpu: &Cpu, ptr: u64, of_code: bool) -> u64 {
    strip(ptr, field_of(cpu, ptr, of_code))
}

/// A code of data.
///
/// # Errors
/// Where a higher level wants to know of it.
pub fn sign_data(cpu: &mut Cpu, data: u64, modifier: u64) -> Result<u64, Trap> {
    match trapped(&cpu.system) {
        Some(trap) => Err(trap),
        None => Ok(generic(code(cpu.system.features), data, modifier, cpu.system.keys[4])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Test vector of the QARMA paper, appendix: r = 5, sigma 2.
    #[test]
    fn published_vector() {
        let key = [0xec28_02d4_e0a4_88e9, 0x84be_85ce_9804_e94b];
        assert_eq!(qarma5(0xfb62_3599_da6e_8127, 0x477d_469d_ec0b_8762, key), 0xc003_b939_99b3_3765);
    }

    #[test]
    fn tweak_steps_back() {
        for n in 0..64 {
            let tweak = 0x0123_4567_89ab_cdefu64.rotate_left(n).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            assert_eq!(previous_tweak(next_tweak(tweak)), tweak);
        }
    }

    #[test]
    fn signed_pointers_come_back() {
        let key = [1, 2];
        for code in [mixed as Code, qarma5] {
            for ptr in [0x0000_7fff_1234_5678, 0xffff_8000_1234_5678, 0x5a00_0000_0000_1000] {
                let field = field(48, ptr & HALF == 0);
                let signed = add(code, ptr, 7, (key, field));
                assert_eq!(strip(signed, field), ptr);
                assert_eq!(authenticate(code, signed, 7, (key, field)), Some(ptr));
                assert_eq!(authenticate(code, signed ^ 1 << 50, 7, (key, field)), None);
                // Every part of it counts.
                assert_ne!(add(code, ptr, 8, (key, field)), signed);
                assert_ne!(add(code, ptr, 7, ([1, 3], field)), signed);
                assert_ne!(add(code, ptr, 7, ([3, 2], field)), signed);
            }
        }
    }
}
