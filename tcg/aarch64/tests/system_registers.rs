//! Every encoding of a system register, read and written at EL1, EL2 and EL3, here and by QEMU: what comes back, which bits are
//! kept, and the syndrome of what is refused must be alike.
//!
//! Skipped where QEMU or binutils are missing. `MIMIC_ORACLE_SEED` chooses the values that are written.

mod support;

use std::fmt::Write;
use support::bare::{Machine, Program, peers};
use tcg_aarch64::sysreg::{self, encode, generic_name};
use tcg_core::run::Tiers;
use tcg_core::testing::{Rng, setting};

/// Reads the register, writes the value, reads it back, restores it: four words of results an entry. Exceptions leave
/// their syndrome in x22 and skip the instruction.
fn program(el: u8, entries: &[(u16, u64)]) -> String {
    let mut text = format!(
        "
    adr x0, vectors
    msr vbar_el{el}, x0
    isb
    adr x20, entries
    ldr x21, =0x44000000
    ldr x23, =entries_end
loop:
    cmp x20, x23
    b.eq end
    ldp x24, x25, [x20], #16
    lsl w24, w24, #5
    movz w1, #0xd530, lsl #16
    orr w1, w1, w24
    adr x2, read1
    str w1, [x2]
    adr x2, read2
    str w1, [x2]
    movz w1, #0xd510, lsl #16
    orr w1, w1, w24
    adr x2, write1
    str w1, [x2]
    adr x2, write2
    str w1, [x2]
    dsb ish
    ic iallu
    dsb ish
    isb
    mov x22, #0
    mov x0, #0
read1:
    nop
    mov x26, x0
    mov x27, x22
    mov x22, #0
    mov x0, x25
write1:
    nop
    mov x28, x22
    mov x22, #0
    mov x0, #0
    isb
read2:
    nop
    mov x29, x0
    cbnz x27, 1f
    mov x0, x26
write2:
    nop
    isb
1:  stp x26, x27, [x21], #16
    stp x28, x29, [x21], #16
    b loop
end:
    ldr x1, =0x44000000
    sub x0, x21, x1
    b finish
    .balign 2048
vectors:
    .rept 16
    b handler
    .balign 128
    .endr
handler:
    mrs x22, esr_el{el}
    mrs x1, elr_el{el}
    add x1, x1, #4
    msr elr_el{el}, x1
    eret
    .balign 16
entries:
"
    );
    for (reg, value) in entries {
        writeln!(text, "    .quad {reg}, {value:#x}").expect("a string takes everything");
    }
    text + "entries_end:\n"
}

/// Bits that may not be set while the program runs, by register.
fn tamed(reg: u16, value: u64) -> Option<u64> {
    const SCTLR: [u16; 3] = [encode(3, 0, 1, 0, 0), encode(3, 4, 1, 0, 0), encode(3, 6, 1, 0, 0)];
    const VBAR: [u16; 3] = [encode(3, 0, 12, 0, 0), encode(3, 4, 12, 0, 0), encode(3, 6, 12, 0, 0)];
    const MDSCR: u16 = encode(2, 0, 0, 2, 2);
    const HCR: u16 = encode(3, 4, 1, 1, 0);
    const SPSEL: u16 = encode(3, 0, 4, 2, 0);
    const DAIF: u16 = encode(3, 3, 4, 2, 1);
    const SCR: u16 = encode(3, 6, 1, 1, 0);
    match reg {
        // M, A, big-endian data, and what belongs to A32.
        _ if SCTLR.contains(&reg) => Some(value & !(1 | 2 | 1 << 24 | 1 << 25 | 1 << 36)),
        _ if VBAR.contains(&reg) => None,
        MDSCR => Some(value & !(1 | 1 << 15)),
        // TGE, E2H and RW; TID3 and others do not matter to EL2.
        HCR => Some(value & !(1 << 27 | 1 << 34) | 1 << 31),
        SCR => Some(value | 1),
        SPSEL => None,
        DAIF => Some(value | 0x3c0),
        _ => Some(value),
    }
}

/// Registers of which the values differ, and why.
fn differs(machine: Machine, reg: u16) -> bool {
    let row = sysreg::find(reg);
    let name = row.map_or("", |row| row.name);
    let (op0, op1, crn, crm, op2) =
        (2 + (reg >> 14 & 1), reg >> 11 & 7, reg >> 7 & 15, reg >> 3 & 15, reg & 7);
    // Time and chance.
    let moves =
        ["RNDR", "CNTP_", "CNTV_", "CNTHP_", "CNTHV_", "CNTPS_"].iter().any(|start| name.starts_with(start))
            || ["CNTPCT_EL0", "CNTVCT_EL0", "CNTPCTSS_EL0", "CNTVCTSS_EL0", "PMCCNTR_EL0"].contains(&name);
    // What has run before.
    let past = ["ELR_EL1", "ELR_EL2", "ELR_EL3", "SPSR_EL1", "SPSR_EL2", "SPSR_EL3", "NZCV"].contains(&name);
    // AArch32 is left out, and so are its registers' values and its fields.
    let aarch32 = (op0, op1, crn) == (3, 0, 0) && (1..4).contains(&crm);
    let hides = ["ID_AA64PFR0_EL1", "ID_AA64MMFR0_EL1"].contains(&name);
    // `max` hides what is left out: SVE, SME, MTE, fine-grained traps, nested virtualization and so on.
    let max = machine.cpu == "max"
        && ((op0, op1, crn) == (3, 0, 0)
            || matches!(
                (op0, op1, crn, crm, op2),
                (3, 0 | 4 | 5 | 6, 1, 2, 0 | 4 | 5 | 6)
                    | (3, 0, 4, 3, 0)
                    | (3, 1, 0, 0, 6)
                    | (3, 3, 4, 2, 2 | 7)
                    | (3, 4, 1, 1, 4..=6)
                    | (3, 4, 2, 2, 0)
                    | (3, 4, 3, 1, _)
                    | (3, 4, 14, 0, 6)
                    | (3, 3, 13, 0, 5)
            )
            || ["CLIDR_EL1", "CCSIDR_EL1", "FPCR", "FPSR", "HCR_EL2", "HCRX_EL2", "SCR_EL3", "CNTHCTL_EL2"]
                .contains(&name));
    // Here only with FEAT_SSBS2, as the manual says.
    let ssbs = machine.cpu == "cortex-a76" && name == "SSBS";
    moves || past || aarch32 || hides || max || ssbs
}

fn agree(machine: Machine, el: u8) {
    if !peers() {
        return;
    }
    let seed = setting("MIMIC_ORACLE_SEED", 1);
    let mut rng = Rng::new(seed);
    let entries: Vec<(u16, u64)> = (0..1 << 15)
        .filter_map(|reg| Some((reg, tamed(reg, if rng.chance(30) { u64::MAX } else { rng.bits() })?)))
        .collect();
    let name = format!("{}-el{el}", machine.cpu);
    let program = Program::assemble(&support::scratch("system_registers"), &name, &program(el, &entries));
    let theirs = program.there(machine);
    let ours = program.here(machine, Tiers::default());
    assert_eq!(ours.len(), theirs.len());
    let mut report = String::new();
    let mut wrong = 0;
    for (n, (reg, value)) in entries.iter().enumerate() {
        let (ours, theirs) = (&ours[4 * n..][..4], &theirs[4 * n..][..4]);
        // Lower levels are always AArch64.
        let ignored = if *reg == encode(3, 6, 1, 1, 0) { 1 << 10 } else { 0 };
        let same = ours.iter().zip(theirs).all(|(ours, theirs)| (ours ^ theirs) & !ignored == 0);
        if same || differs(machine, *reg) {
            continue;
        }
        wrong += 1;
        if wrong <= 60 {
            let row = sysreg::find(*reg).map_or("", |row| row.name);
            let generic = generic_name(*reg);
            writeln!(report, "{generic} {row} write {value:#x}: here {ours:x?}, there {theirs:x?}")
                .expect("a string takes everything");
        }
    }
    assert!(
        wrong == 0,
        "{wrong} registers of {name} differ (value, fault, fault of the write, value back):\n{report}"
    );
}

#[test]
fn cortex_a53() {
    agree(Machine::el1("cortex-a53"), 1);
}

#[test]
fn cortex_a57() {
    agree(Machine::el1("cortex-a57"), 1);
}

#[test]
fn cortex_a72() {
    agree(Machine::el1("cortex-a72"), 1);
}

#[test]
fn cortex_a76() {
    agree(Machine::el1("cortex-a76"), 1);
}

#[test]
fn neoverse_n1() {
    agree(Machine::el1("neoverse-n1"), 1);
}

#[test]
fn max() {
    agree(Machine::el1("max"), 1);
}

#[test]
fn cortex_a57_el2() {
    agree(Machine { cpu: "cortex-a57", el2: true, el3: false }, 2);
}

#[test]
fn max_el2() {
    agree(Machine { cpu: "max", el2: true, el3: false }, 2);
}

#[test]
fn cortex_a57_el3() {
    agree(Machine { cpu: "cortex-a57", el2: true, el3: true }, 3);
}
