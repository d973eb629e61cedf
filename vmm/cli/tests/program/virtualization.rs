//! The virtual interrupt controller, beside QEMU's: the same random accesses of a hypervisor and its guest on both, and
//! everything that can be read after each.

use crate::peer::{Program, Random, compare, constant, peers};

/// Accesses in one run.
const ACCESSES: usize = 300;

/// What of ICH_VMCR_EL2 is written: QEMU keeps bits of the priority mask that its priorities do not have.
const VMCR: u64 = 0xf8ff_ffff;

/// Starts at EL2 with the results' address in x20; `hvc` comes back to EL2 and goes on behind itself.
const START: &str = "
    .arch armv8.5-a
    .text
    .global _start
_start:
    ldr x20, =0x44000000
    adr x0, vectors
    msr vbar_el2, x0
    ldr x0, =0x80000018
    msr hcr_el2, x0
    isb
";

/// `hvc` comes back to EL2.
const CALLED: &str = "
    mov x18, #0x3c9
    msr spsr_el2, x18
    eret
";

/// To EL1, behind what follows.
const DOWN: &str = "
    adr x18, 9f
    msr elr_el2, x18
    mov x18, #0x3c5
    msr spsr_el2, x18
    eret
9:
";

/// Runs the accesses with a GIC of version `gic`.
fn agree(gic: &str, body: &str, names: (&[String], &[&str])) {
    let machine = format!("virtualization=on,gic-version={gic}");
    compare(&Program { machine: &machine, start: START, body, called: CALLED }, names);
}

/// The interrupts that list register `n` may have: none is in two at a time.
const LISTED: [[u64; 2]; 4] = [[3, 8192], [17, 27], [40, 900], [41, 8200]];

/// A list register of version 3: one of few interrupts and priorities, so that they meet.
fn list(n: usize, random: &mut Random) -> u64 {
    let number = random.one(&LISTED[n]);
    let hardware = random.below(3) == 0;
    let physical = if hardware { random.one(&[27, 40, 41]) } else { random.below(2) << 9 };
    number
        | physical << 32
        | random.below(32) << 51
        | random.below(2) << 60
        | u64::from(hardware) << 61
        | random.one(&[0, 1, 1, 1, 2, 3]) << 62
}

#[test]
fn gicv3s_is_qemus() {
    if !peers() {
        return;
    }
    const AFTER: [&str; 15] = [
        "S3_4_C12_C11_0", // ICH_HCR_EL2
        "S3_4_C12_C11_1", // ICH_VTR_EL2
        "S3_4_C12_C11_2", // ICH_MISR_EL2
        "S3_4_C12_C11_3", // ICH_EISR_EL2
        "S3_4_C12_C11_5", // ICH_ELRSR_EL2
        "S3_4_C12_C11_7", // ICH_VMCR_EL2
        "S3_4_C12_C8_0",  // ICH_AP0R0_EL2
        "S3_4_C12_C9_0",  // ICH_AP1R0_EL2
        "S3_4_C12_C12_0", // ICH_LR0_EL2 and on
        "S3_4_C12_C12_1",
        "S3_4_C12_C12_2",
        "S3_4_C12_C12_3",
        "isr_el1",
        "what was read",
        "ISR_EL1 at EL1",
    ];
    /// Names of the guest's registers, and whether they are read and written.
    const GUEST: [(&str, bool, bool); 16] = [
        ("S3_0_C4_C6_0", true, true),    // PMR
        ("S3_0_C12_C8_0", true, false),  // IAR0
        ("S3_0_C12_C8_1", false, true),  // EOIR0
        ("S3_0_C12_C8_2", true, false),  // HPPIR0
        ("S3_0_C12_C8_3", true, true),   // BPR0
        ("S3_0_C12_C8_4", true, true),   // AP0R0
        ("S3_0_C12_C9_0", true, true),   // AP1R0
        ("S3_0_C12_C11_1", false, true), // DIR
        ("S3_0_C12_C11_3", true, false), // RPR
        ("S3_0_C12_C12_0", true, false), // IAR1
        ("S3_0_C12_C12_1", false, true), // EOIR1
        ("S3_0_C12_C12_2", true, false), // HPPIR1
        ("S3_0_C12_C12_3", true, true),  // BPR1
        ("S3_0_C12_C12_4", true, true),  // CTLR
        ("S3_0_C12_C12_6", true, true),  // IGRPEN0
        ("S3_0_C12_C12_7", true, true),  // IGRPEN1
    ];
    for seed in 1..=4 {
        let mut random = Random(seed * 0x9e37_79b9_7f4a_7c15);
        let (mut body, mut accesses) = (String::new(), Vec::new());
        for _ in 0..ACCESSES {
            body.push_str("mov x13, #0\n");
            let guest = random.below(3) != 0;
            if guest {
                let (name, reads, writes) = match random.below(2) {
                    // The usual life of an interrupt.
                    0 => {
                        random.one(&[GUEST[1], GUEST[9], GUEST[2], GUEST[10], GUEST[7], GUEST[13], GUEST[0]])
                    }
                    _ => random.one(&GUEST),
                };
                let write = writes && (!reads || random.below(2) == 0);
                let value = match name {
                    "S3_0_C12_C8_1" | "S3_0_C12_C12_1" | "S3_0_C12_C11_1" => {
                        random.one(&[3, 17, 27, 40, 41, 900, 1023, 8192, 8200])
                    }
                    "S3_0_C4_C6_0" => random.one(&[0xff, 0xf0, 0x80, 0]),
                    "S3_0_C12_C8_4" | "S3_0_C12_C9_0" => 1 << random.below(32),
                    _ => random.below(8),
                };
                body.push_str(DOWN);
                if write {
                    body.push_str(&constant("x14", value));
                    body.push_str(&format!("msr {name}, x14\n"));
                    accesses.push(format!("guest: msr {name}, {value:#x}"));
                } else {
                    body.push_str(&format!("mrs x13, {name}\n"));
                    accesses.push(format!("guest: mrs {name}"));
                }
                body.push_str("mrs x12, isr_el1\n hvc #0\n");
            } else {
                let (name, value) = match random.below(6) {
                    // QEMU looks at the wrong groups for interrupts about disabled ones.
                    0 => (AFTER[0], random.next() & 0xf800_005f | 1),
                    1 => (AFTER[5], random.next() & VMCR | random.one(&[0, 3, 0xf000_0003])),
                    2 => (random.one(&[AFTER[6], AFTER[7]]), 1 << random.below(32)),
                    _ => {
                        let n = random.below(4) as usize;
                        (AFTER[8 + n], list(n, &mut random))
                    }
                };
                body.push_str(&constant("x14", value));
                body.push_str(&format!("msr {name}, x14\n isb\n"));
                accesses.push(format!("hypervisor: msr {name}, {value:#x}"));
                body.push_str(DOWN);
                body.push_str("mrs x12, isr_el1\n hvc #0\n");
            }
            for name in &AFTER[..13] {
                body.push_str(&format!("mrs x14, {name}\n str x14, [x20], #8\n"));
            }
            body.push_str("str x13, [x20], #8\n str x12, [x20], #8\n");
            if random.below(64) == 0 {
                body.push_str("b 8f\n .ltorg\n8:\n");
            }
        }
        agree("3", &body, (&accesses, &AFTER));
    }
}

#[test]
fn gicv2s_is_qemus() {
    if !peers() {
        return;
    }
    const AFTER: [&str; 13] = [
        "GICH_HCR",
        "GICH_VTR",
        "GICH_VMCR",
        "GICH_MISR",
        "GICH_EISR0",
        "GICH_ELRSR0",
        "GICH_APR",
        "GICH_LR0",
        "GICH_LR1",
        "GICH_LR2",
        "GICH_LR3",
        "what was read",
        "ISR_EL1 at EL1",
    ];
    const AT: [u64; 11] = [0, 4, 8, 0x10, 0x20, 0x30, 0xf0, 0x100, 0x104, 0x108, 0x10c];
    /// Offsets of the guest's registers, and whether they are read and written. QEMU has neither the
    /// aliases nor IIDR, its HPPIR looks at the priority mask, binary points do not keep interrupts from breaking in, and those of a disabled
    /// group keep others from being signalled: so both groups are enabled, and
    /// taken by way of group 0.
    const GUEST: [(u64, bool, bool); 9] = [
        (0x00, true, true),
        (0x04, true, true),
        (0x08, true, false),
        (0x0c, true, false),
        (0x10, false, true),
        (0x14, true, false),
        (0x1c, true, false),
        (0xd0, true, true),
        (0x1000, false, true),
    ];
    for seed in 1..=4 {
        let mut random = Random(seed * 0x9e37_79b9_7f4a_7c15);
        let mut body = String::from("ldr x21, =0x8030000\n ldr x22, =0x8040000\n");
        let mut accesses = Vec::new();
        for _ in 0..ACCESSES {
            body.push_str("mov x13, #0\n");
            if random.below(3) != 0 {
                let (at, reads, writes) = match random.below(2) {
                    0 => random.one(&[GUEST[3], GUEST[4], GUEST[8]]),
                    _ => random.one(&GUEST),
                };
                body.push_str(&constant("x15", at));
                if writes && (!reads || random.below(2) == 0) {
                    let value = match at {
                        0x10 | 0x1000 => random.one(&[3, 17, 27, 40, 41, 900, 1023]),
                        0x04 => random.one(&[0xf8, 0xf0, 0x80, 0]),
                        0xd0 => 1 << random.below(32),
                        0 => random.next() & 0x21f | 7,
                        _ => random.below(8),
                    };
                    body.push_str(&constant("x14", value));
                    body.push_str("str w14, [x22, x15]\n");
                    accesses.push(format!("guest: {value:#x} at {at:#x}"));
                } else {
                    body.push_str("ldr w13, [x22, x15]\n");
                    accesses.push(format!("guest reads {at:#x}"));
                }
            } else {
                let (at, value) = match random.below(6) {
                    0 => (0, random.next() & 0xf800_00ff | 1),
                    1 => {
                        let points = 0x4c_0000;
                        (8, random.next() & VMCR & !0xfc_0000 | points | random.one(&[7, 0xf000_0007]))
                    }
                    2 => (0xf0, 1 << random.below(32)),
                    _ => {
                        let n = random.below(4);
                        let number = random.one(&LISTED[n as usize]) & 0x3ff;
                        // A software interrupt never stands for a physical one.
                        let hardware = number > 15 && random.below(3) == 0;
                        let physical =
                            if hardware { random.one(&[27, 40, 41]) } else { random.below(2) << 9 };
                        let value = number
                            | physical << 10
                            | random.below(32) << 23
                            | random.one(&[0, 1, 1, 1, 2, 3]) << 28
                            | random.below(2) << 30
                            | u64::from(hardware) << 31;
                        (0x100 + 4 * n, value)
                    }
                };
                body.push_str(&constant("x14", value));
                body.push_str(&format!("str w14, [x21, #{at}]\n"));
                accesses.push(format!("hypervisor: {value:#x} at {at:#x}"));
            }
            body.push_str(DOWN);
            body.push_str("mrs x12, isr_el1\n hvc #0\n");
            for at in AT {
                body.push_str(&format!("ldr w14, [x21, #{at}]\n str x14, [x20], #8\n"));
            }
            body.push_str("str x13, [x20], #8\n str x12, [x20], #8\n");
            if random.below(64) == 0 {
                body.push_str("b 8f\n .ltorg\n8:\n");
            }
        }
        agree("2", &body, (&accesses, &AFTER));
    }
}
