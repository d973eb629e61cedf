//! System calls of user mode's guests: any numbers and arguments, pointers into odd places among them.

use super::STEPS;
use super::process::in_child;
use arbitrary::{Result, Unstructured};
use tcg_aarch64::Aarch64;
use tcg_riscv::Riscv;
use tcg_user::testing::Caller;

/// Numbers of calls, at most.
const NUMBERS: u16 = 480;
/// Calls of one input, at most: each process takes a while to be made.
const CALLS: usize = STEPS / 4;

/// What ends, starts or signals processes, or changes the host and its files: numbers of the generic table.
const LEFT_OUT: &[u64] = &[
    5, 6, 7, 14, 15, 16, 24, 30, 33, 34, 35, 36, 37, 38, 39, 40, 41, 45, 46, 47, 51, 52, 53, 54, 55, 56, 57,
    58, 60, 88, 89, 91, 93, 94, 97, 104, 105, 106, 112, 116, 118, 119, 122, 129, 130, 131, 138, 140, 142,
    143, 144, 145, 146, 147, 149, 151, 152, 154, 157, 159, 161, 162, 164, 170, 171, 180, 181, 186, 190, 194,
    217, 218, 219, 220, 221, 224, 225, 240, 261, 264, 265, 266, 268, 270, 271, 273, 274, 276, 281, 294, 424,
    434, 435, 436, 437, 438, 439, 452,
];

fn argument(input: &mut Unstructured<'_>, caller: &Caller) -> Result<u64> {
    let [data, code] = caller.memory();
    let room = caller.room();
    Ok(match input.arbitrary::<u8>()? % 12 {
        0 => 0,
        1 => u64::MAX,
        2 => input.arbitrary::<u8>()?.into(),
        3 => input.arbitrary::<u16>()?.into(),
        4 => data + u64::from(input.arbitrary::<u16>()?) % room,
        5 => code + u64::from(input.arbitrary::<u16>()?) % room,
        // Across an end.
        6 => data + room - u64::from(input.arbitrary::<u8>()? % 16),
        // Where the emulator is.
        7 => 0x7f00_0000_0000 + (u64::from(input.arbitrary::<u32>()?) << 8),
        8 => 0x5500_0000_0000 + (u64::from(input.arbitrary::<u32>()?) << 8),
        9 => u64::from(input.arbitrary::<u16>()?) << 12,
        10 => 1 << (input.arbitrary::<u8>()? % 64),
        _ => input.arbitrary()?,
    })
}

fn calls(input: &mut Unstructured<'_>) -> Result<()> {
    // A sanitizer leaves no place for a guest: then there is nothing to see.
    let caller = if input.arbitrary()? { Caller::new::<Riscv>() } else { Caller::new::<Aarch64>() };
    let Ok(mut caller) = caller else { return Ok(()) };
    for _ in 0..CALLS {
        let number = u64::from(input.arbitrary::<u16>()? % NUMBERS);
        let mut args = [0; 6];
        for arg in &mut args {
            *arg = argument(input, &caller)?;
        }
        if !LEFT_OUT.contains(&number) {
            caller.call(number, args);
        }
    }
    Ok(())
}

/// Takes `data` as a series of calls.
pub fn user_syscall(data: &[u8]) {
    in_child(|| {
        // The input ends where it ends.
        let _ = calls(&mut Unstructured::new(data));
    });
}
