//! Exceptions from every level under random controls of EL1, EL2 and EL3, here and by QEMU: the level and the vector that an
//! instruction leads to, and ESR, FAR, ELR and SPSR there.
//!
//! EL3 sets the controls of a case and returns to a lower level, which runs one instruction and then an undefined one. The handlers
//! of all levels write down what they see and call EL3.
//!
//! Skipped where QEMU or binutils are missing. `MIMIC_ORACLE_SEED` chooses the controls.

mod support;

use std::collections::BTreeMap;
use std::fmt::Write;
use support::bare::{Machine, Program, peers};
use tcg_core::run::Tiers;
use tcg_core::testing::{Rng, setting};

/// What a lower level runs. x1 and x2 lead to memory.
const INSNS: &[&str] = &[
    "nop",
    "svc #0x77",
    "hvc #0x66",
    "smc #0x55",
    "brk #0x44",
    "eret",
    "fmov d0, d1",
    "ldr q0, [x1]",
    "mrs x0, fpcr",
    "ldr x0, [x1, #4]",
    "str w0, [x1, #2]",
    "ldp x3, x4, [x1, #8]",
    "ldr x0, [x5]",
    "ld1 {v0.16b}, [x6]",
    "st1 {v0.4h, v1.4h}, [x6]",
    "ld2 {v0.2s, v1.2s}, [x6]",
    "ldr q0, [x6]",
    "ldr x0, [x6, #6]",
    "ldtr x0, [x1]",
    "dc zva, x1",
    "dc cvau, x1",
    "dc civac, x1",
    "dc ivac, x1",
    "dc isw, x0",
    "ic ivau, x1",
    "ic iallu",
    "tlbi vmalle1",
    "tlbi vae1is, x0",
    "tlbi alle1",
    "tlbi vmalls12e1",
    "tlbi alle2",
    "tlbi alle3",
    "at s1e1r, x1",
    "at s12e1r, x1",
    "at s1e2r, x1",
    "mrs x0, ctr_el0",
    "mrs x0, dczid_el0",
    "mrs x0, midr_el1",
    "mrs x0, revidr_el1",
    "mrs x0, aidr_el1",
    "mrs x0, clidr_el1",
    "mrs x0, id_aa64isar0_el1",
    "mrs x0, id_pfr0_el1",
    "mrs x0, currentel",
    "mrs x0, daif",
    "msr daif, x0",
    "msr daifset, #7",
    "msr daifclr, #8",
    "mrs x0, spsel",
    "msr spsel, #1",
    "mrs x0, sctlr_el1",
    "msr contextidr_el1, x0",
    "mrs x0, tcr_el1",
    "msr far_el1, x0",
    "mrs x0, esr_el1",
    "mrs x0, actlr_el1",
    "mrs x0, cpacr_el1",
    "mrs x0, cptr_el2",
    "mrs x0, cptr_el3",
    "mrs x0, hcr_el2",
    "mrs x0, scr_el3",
    "mrs x0, sp_el0",
    "mrs x0, sp_el1",
    "mrs x0, elr_el2",
    "mrs x0, par_el1",
    "mrs x0, isr_el1",
    "mrs x0, tpidr_el0",
    "mrs x0, tpidr_el1",
    "mrs x0, tpidr_el2",
    "msr tpidrro_el0, x0",
    "mrs x0, cntvct_el0",
    "mrs x0, cntpct_el0",
    "mrs x0, cntfrq_el0",
    "mrs x0, cntp_ctl_el0",
    "mrs x0, cntv_ctl_el0",
    "mrs x0, cntkctl_el1",
    "mrs x0, cnthctl_el2",
    "mrs x0, cntps_ctl_el1",
    "mrs x0, cntvoff_el2",
    "mrs x0, pmcr_el0",
    "mrs x0, pmccntr_el0",
    "msr pmccntr_el0, x0",
    "mrs x0, pmselr_el0",
    "msr pmselr_el0, x0",
    "mrs x0, pmxevcntr_el0",
    "msr pmswinc_el0, x0",
    "mrs x0, pmuserenr_el0",
    "mrs x0, pmintenset_el1",
    "mrs x0, mdscr_el1",
    "mrs x0, dbgbvr0_el1",
    "mrs x0, oslsr_el1",
    "msr oslar_el1, x0",
    "mrs x0, mdrar_el1",
    "mrs x0, mdccsr_el0",
    "mrs x0, s3_0_c15_c9_1",
    "mrs x0, s3_5_c1_c0_0",
    "mrs x0, s3_5_c4_c0_1",
    "mrs x0, s3_5_c14_c3_1",
];

/// Those that only `max` has.
const MAX: &[&str] = &[
    "pacia x0, x1",
    "pacga x0, x1, x2",
    "xpaci x0",
    "msr pan, #1",
    "msr uao, #1",
    "mrs x0, dit",
    "msr ssbs, #1",
    "mrs x0, apiakeylo_el1",
    "mrs x0, apgakeyhi_el1",
    "tlbi vmalle1os",
    "tlbi rvae1, x0",
    "at s1e1rp, x1",
    "dc cvap, x1",
    "mrs x0, s3_3_c14_c0_6",
    "mrs x0, s3_4_c1_c2_2",
    "mrs x0, ttbr1_el2",
    "mrs x0, disr_el1",
    "mrs x0, erridr_el1",
    "mrs x0, lorid_el1",
    "mrs x0, scxtnum_el0",
];

/// Registers that a case sets, in the order of its words; then ELR_EL1 and so on are those of the program's end.
const CONTROLS: [&str; 12] = [
    "scr_el3",
    "hcr_el2",
    "sctlr_el1",
    "cpacr_el1",
    "cptr_el2",
    "cptr_el3",
    "mdcr_el2",
    "mdcr_el3",
    "cntkctl_el1",
    "cnthctl_el2",
    "pmuserenr_el0",
    "spsr_el1",
];

fn random_bits(rng: &mut Rng, percent: u64, bits: &[u32]) -> u64 {
    bits.iter().filter(|_| rng.chance(percent)).fold(0, |all, bit| all | 1 << bit)
}

/// Controls, the state that the lower level is in, and the number of its instruction.
fn case(rng: &mut Rng, max: bool, insns: &[&str]) -> Vec<u64> {
    let insn = rng.below(insns.len() as u64);
    let text = insns[insn as usize];
    let few = rng.pick(&[5, 15, 40]);
    let secure = rng.chance(25);
    let mut scr = u64::from(!secure)
        | 3 << 4
        | 1 << 10
        | random_bits(rng, 50, &[8, 11])
        | random_bits(rng, few, &[3, 12, 13]);
    let mut hcr = 1 << 31
        | random_bits(rng, few, &[3, 4, 5, 13, 14, 16, 17, 18, 19, 21, 22, 23, 24, 25, 26, 27, 28, 30]);
    hcr |= random_bits(rng, 4, &[6, 7]);
    if max {
        scr |= random_bits(rng, 80, &[16, 17, 38]);
        hcr |= random_bits(rng, 80, &[40, 41])
            | random_bits(rng, 30, &[34])
            | random_bits(rng, few, &[35, 36, 37]);
    }
    let sctlr = 0x30d0_0980
        | random_bits(rng, 50, &[1, 9, 14, 15, 16, 18, 23, 26])
        | if max { rng.bits() & 0xc800_2000 } else { 0 };
    let cptr = random_bits(rng, few, &[10, 31]);
    let cpacr = rng.below(4) << 20;
    let cptr2 = rng.below(4) << 20 | random_bits(rng, few, &[10, 31]);
    let mdcr2 = 6 | random_bits(rng, few, &[5, 6, 8, 9, 10, 11]);
    let mdcr3 = random_bits(rng, few, &[6, 9, 10]);
    let cntkctl = random_bits(rng, 60, &[0, 1, 8, 9]);
    let cnthctl = random_bits(rng, 60, &[0, 1, 8, 9, 10, 11]);
    let user = rng.below(16);
    let saved = rng.pick(&[0, 0, 5, 4, 9, 1, 13, 2]) | rng.bits() & 0xf000_03c0;
    let levels: &[u64] = if secure { &[0, 0, 4, 5, 5] } else { &[0, 0, 4, 5, 5, 8, 9, 9] };
    let state = rng.pick(levels) | rng.bits() & 0xf000_03c0 | if max { rng.bits() & 3 << 22 } else { 0 };
    // What the manual says and QEMU does not do: monitors that PMUSERENR opens a part of are trapped by MDCR, external aborts go
    // to EL3.
    let part = ["pmswinc", "pmselr", "pmxevcntr", "pmccntr"].iter().any(|name| text.contains(name));
    let (mdcr2, mdcr3) = if part { (mdcr2 & !0x60, mdcr3 & !0x40) } else { (mdcr2, mdcr3) };
    // A host's programs are not trapped by HCR_EL2.EnSCXT.
    let hcr = if text.contains("scxtnum") { hcr & !(1 << 34) } else { hcr };
    // Nor is PMCR_EL0 trapped by TPMCR.
    let mdcr2 = if text.contains("pmcr") { mdcr2 & !0x20 } else { mdcr2 };
    // From the Secure state QEMU's HVC goes to EL2, which is not there.
    let scr = if secure && text.contains("hvc") { scr & !(1 << 8) } else { scr };
    let (scr, hcr) = if text.contains("[x5]") { (scr & !8, hcr & !(1 << 37)) } else { (scr, hcr) };
    // With TRVM the handler of EL1 is trapped, with flags that QEMU clears when it takes an exception.
    let kept = if hcr >> 30 & 1 != 0 { !(15 << 28) } else { u64::MAX };
    let (state, saved) = (state & kept, saved & kept);
    vec![scr, hcr, sctlr, cpacr, cptr2, cptr, mdcr2, mdcr3, cntkctl, cnthctl, user, saved, state, insn]
}

fn program(insns: &[&str], cases: &[Vec<u64>]) -> String {
    let mut text = String::from(
        "
    .macro vectors el
    .balign 2048
vectors\\el:
    .set offset, 0
    .rept 16
    mov x18, #offset
    b handler\\el
    .balign 128
    .set offset, offset + 0x80
    .endr
    .endm
    .macro note el
    mov x17, #\\el
    orr x17, x17, x18, lsl #8
    mrs x18, esr_el\\el
    stp x17, x18, [x21], #16
    mrs x17, far_el\\el
    mrs x18, elr_el\\el
    stp x17, x18, [x21], #16
    mrs x17, spsr_el\\el
    mrs x18, spsel
    stp x17, x18, [x21], #16
    .endm
    adr x0, vectors3
    msr vbar_el3, x0
    adr x0, vectors2
    msr vbar_el2, x0
    adr x0, vectors1
    msr vbar_el1, x0
    adr x20, cases
    ldr x21, =0x44000000
next_case:
    ldr x0, =cases_end
    cmp x20, x0
    b.eq end
    msr far_el1, xzr
    msr far_el2, xzr
    msr far_el3, xzr
    msr esr_el1, xzr
    msr esr_el2, xzr
    msr esr_el3, xzr
    msr spsr_el2, xzr
    msr par_el1, xzr
    msr oslar_el1, xzr
    msr sctlr_el2, xzr
    ldr x1, =0x44800000
    mov x2, x1
    add x3, x1, #0x1000
    msr sp_el0, x3
    msr sp_el1, x3
    msr sp_el2, x3
    ldr x5, =0x3f0000000
    mov x0, #0
    adr x3, undefined
    msr elr_el1, x3
    msr elr_el2, x3
",
    );
    for register in CONTROLS {
        writeln!(text, "    ldr x4, [x20], #8\n    msr {register}, x4").expect("a string takes everything");
    }
    text += "
    ldp x4, x6, [x20], #16
    msr spsr_el3, x4
    adr x7, insns
    add x7, x7, x6, lsl #3
    msr elr_el3, x7
    mov x0, #0
    add x6, x1, #2
    tlbi alle1
    tlbi alle2
    dsb sy
    isb
    eret
end:
    ldr x1, =0x44000000
    sub x0, x21, x1
    b finish
handler1:
    note 1
    smc #0x1234
    b .
handler2:
    mrs x17, esr_el2
    movz x16, #0x5e00, lsl #16
    movk x16, #0x1234
    cmp x17, x16
    b.eq 1f
    note 2
1:  smc #0x1234
    b .
handler3:
    mrs x17, esr_el3
    movz x16, #0x5e00, lsl #16
    movk x16, #0x1234
    cmp x17, x16
    b.eq next_case
    note 3
    // An illegal state ends with the next return, which this is.
    adr x0, next_case
    msr elr_el3, x0
    mov x0, #0x3cd
    msr spsr_el3, x0
    eret
    vectors 1
    vectors 2
    vectors 3
undefined:
    udf #0
insns:
";
    for insn in insns {
        writeln!(text, "    {insn}\n    udf #1").expect("a string takes everything");
    }
    text += "    .balign 16\ncases:\n";
    for word in cases.iter().flatten() {
        writeln!(text, "    .quad {word:#x}").expect("a string takes everything");
    }
    text + "cases_end:\n"
}

/// Words that handlers write down.
const NAMES: [&str; 6] = ["level and vector", "ESR", "FAR", "ELR", "SPSR", "SPSel"];

fn agree(cpu: &'static str) {
    if !peers() {
        return;
    }
    let machine = Machine { cpu, el2: true, el3: true };
    let max = cpu == "max";
    let insns: Vec<&str> = INSNS.iter().chain(if max { MAX } else { &[] }).copied().collect();
    let mut rng = Rng::new(setting("MIMIC_ORACLE_SEED", 1));
    let cases: Vec<Vec<u64>> = (0..4000).map(|_| case(&mut rng, max, &insns)).collect();
    let program = Program::assemble(&support::scratch("exceptions"), cpu, &program(&insns, &cases));
    let theirs = program.there(machine);
    for (how, translate_after) in [("interpreted", u32::MAX), ("translated", 0)] {
        let ours = program.here(machine, Tiers { translate_after });
        compare(&format!("{cpu}, {how}"), &insns, &cases, &ours, &theirs);
    }
}

fn compare(name: &str, insns: &[&str], cases: &[Vec<u64>], ours: &[u64], theirs: &[u64]) {
    let (mut report, mut wrong) = (String::new(), 0);
    let mut levels: BTreeMap<u64, u32> = BTreeMap::new();
    for (n, case) in cases.iter().enumerate() {
        let part = |all: &[u64]| all.get(n * NAMES.len()..(n + 1) * NAMES.len()).map(<[u64]>::to_vec);
        let (Some(mut ours), Some(mut theirs)) = (part(ours), part(theirs)) else {
            report.push_str("one of them wrote less\n");
            wrong += 1;
            break;
        };
        *levels.entry(theirs[0]).or_default() += 1;
        // FEAT_NMI is left out: PSTATE.ALLINT.
        theirs[4] &= !(1 << 13);
        if insns[case[13] as usize].starts_with("msr daif")
            && ours[1] >> 26 == 0x18
            && theirs[1] >> 26 == 0x18
        {
            // In QEMU's syndrome of MSR (immediate) two fields have changed places.
            (ours[1], theirs[1]) = (0, 0);
        }
        if ours == theirs {
            continue;
        }
        wrong += 1;
        if wrong > 15 {
            continue;
        }
        writeln!(report, "case {n}, EL{}: {}", case[12] >> 2 & 3, insns[case[13] as usize])
            .expect("a string");
        for (what, (ours, theirs)) in NAMES.iter().zip(ours.iter().zip(&theirs)) {
            if ours != theirs {
                writeln!(report, "    {what}: here {ours:#x}, there {theirs:#x}").expect("a string");
            }
        }
        writeln!(report, "    all of it: here {ours:x?}").expect("a string");
        let controls: Vec<_> =
            CONTROLS.iter().zip(case).map(|(name, value)| format!("{name} {value:#x}")).collect();
        writeln!(report, "    {} state {:#x}", controls.join(", "), case[12]).expect("a string");
    }
    assert!(wrong == 0, "{name}: {wrong} of {} differ\n{report}", cases.len());
    assert!(levels.len() >= 8, "{name}: few ways to come somewhere: {levels:x?}");
}

#[test]
fn cortex_a57() {
    agree("cortex-a57");
}

#[test]
fn max() {
    agree("max");
}
