//! The instruction syndrome that a hypervisor gets with an abort of stage 2, so that it can make the access itself: D17.2.37,
//! "ISS encoding for an exception from a Data Abort", ISV and the fields that it makes valid.

/// ISV.
const VALID: u32 = 1 << 24;
const SAS_SHIFT: u32 = 22;
/// Sign extension.
const SSE: u32 = 1 << 21;
const SRT_SHIFT: u32 = 16;
/// A 64-bit register.
const SF: u32 = 1 << 15;
/// Acquire or release.
const AR: u32 = 1 << 14;

/// The fields for instruction `bits`: loads and stores of one general register that do not change their base.
pub fn of(bits: u32) -> u32 {
    let field = |at: u32, bits_: u32| bits >> at & ((1 << bits_) - 1);
    let (size, opc, rt) = (field(30, 2), field(22, 2), field(0, 5));
    let fields = |size: u32, signed: bool, wide: bool, ordered: bool| {
        VALID
            | size << SAS_SHIFT
            | if signed { SSE } else { 0 }
            | rt << SRT_SHIFT
            | if wide { SF } else { 0 }
            | if ordered { AR } else { 0 }
    };
    let single = |ordered: bool| match opc {
        0 | 1 => fields(size, false, size == 3, ordered),
        // Prefetches do not abort.
        _ => fields(size, true, opc == 2, ordered),
    };
    let is_simd = field(26, 1) != 0;
    match (field(27, 3), field(24, 2)) {
        // Unsigned offset.
        (7, 1) if !is_simd => single(false),
        // Unscaled and unprivileged; register offset; LDAPR.
        (7, 0) if !is_simd => match (field(21, 1), field(10, 2)) {
            (0, 0 | 2) | (1, 2) => single(false),
            (1, 0) if field(12, 4) == 12 && opc == 2 => fields(size, false, size == 3, true),
            _ => 0,
        },
        // Unscaled with acquire and release.
        (3, 1) if !is_simd && field(21, 1) == 0 && field(10, 2) == 0 => single(true),
        // Literal.
        (3, 0) if !is_simd => match size {
            0 => fields(2, false, false, false),
            1 => fields(3, false, true, false),
            _ => fields(2, true, true, false),
        },
        // LDAR, STLR and those of limited ordering.
        (1, 0) if !is_simd && field(23, 1) == 1 && field(21, 1) == 0 => fields(size, false, size == 3, true),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_instructions() {
        let word = VALID | 2 << SAS_SHIFT | 3 << SRT_SHIFT;
        assert_eq!(of(0xb940_0023), word); // ldr w3, [x1]
        assert_eq!(of(0xf900_0023), VALID | 3 << SAS_SHIFT | 3 << SRT_SHIFT | SF); // str x3, [x1]
        assert_eq!(of(0x39c0_0023), VALID | SSE | 3 << SRT_SHIFT); // ldrsb w3, [x1]
        assert_eq!(of(0xb980_0023), word | SSE | SF); // ldrsw x3, [x1]
        assert_eq!(of(0xb862_6823), word); // ldr w3, [x1, x2]
        assert_eq!(of(0x88df_fc23), word | AR); // ldar w3, [x1]
        assert_eq!(of(0xb840_4423), 0); // ldr w3, [x1], #4
        assert_eq!(of(0x2940_0823), 0); // ldp w3, w2, [x1]
        assert_eq!(of(0x885f_7c23), 0); // ldxr w3, [x1]
        assert_eq!(of(0xbd40_0023), 0); // ldr s3, [x1]
    }
}
