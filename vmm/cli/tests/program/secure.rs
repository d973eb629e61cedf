//! The Secure world (`secure=on`), beside QEMU's: a monitor in the Secure flash that goes through both states, and the
//! Security extensions of both interrupt controllers: the same random accesses of EL3, of EL1 in the Secure and of EL1 in the Non-secure
//! state, and everything that EL3 can read after each.

use std::process::Command;

use crate::peer::{Program, Random, assemble, compare, constant, peers};
use crate::support::{Qemu, run};

/// Accesses in one run.
const ACCESSES: usize = 250;

/// Starts at EL3 with the results' address in x20. x21 and x22 lead to the frames.
const START: &str = "
    .arch armv8.5-a
    .text
    .global _start
_start:
    ldr x20, =0x44000000
    ldr x21, =0x8000000
    ldr x22, =0x8010000
    ldr x23, =0x80b0000
    adr x0, vectors
    msr vbar_el3, x0
";

/// Whatever comes to EL3, an IRQ or FIQ too, goes on at x19, in EL3; x11 has its syndrome.
const CALLED: &str = "
    .rept 3
    mrs x11, esr_el3
    msr elr_el3, x19
    mov x18, #0x3cd
    msr spsr_el3, x18
    eret
    .balign 128
    .endr
";

/// Who makes an access.
#[derive(Clone, Copy, Debug, PartialEq)]
enum World {
    Monitor,
    Secure,
    NonSecure,
}

impl World {
    fn any(random: &mut Random) -> Self {
        random.one(&[Self::Monitor, Self::Secure, Self::NonSecure, Self::NonSecure])
    }
}

/// SCR_EL3: lower levels are AArch64; then NS, IRQ and FIQ.
fn scr(world: World, routes: u64) -> u64 {
    0x430 | routes | u64::from(world == World::NonSecure)
}

/// `access` in `world`. x13 is its result and x12 what ISR_EL1 says there.
fn made(world: World, routes: u64, access: &str) -> String {
    let control = constant("x17", scr(world, routes));
    let before = format!("mov x11, #0\n mov x12, #0\n mov x13, #0\n {control} msr scr_el3, x17\n isb\n");
    match world {
        World::Monitor => format!("{before}{access} mrs x12, isr_el1\n"),
        _ => format!(
            "{before} adr x19, 7f\n adr x18, 9f\n msr elr_el3, x18\n mov x18, #0x3c5\n msr spsr_el3, x18\n eret\n\
             9:\n {access} mrs x12, isr_el1\n smc #0\n7:\n"
        ),
    }
}

/// Writes down x11 to x13.
const NOTE: &str = "stp x11, x12, [x20], #16\n str x13, [x20], #8\n";
const NOTED: [&str; 3] = ["syndrome", "ISR_EL1 there", "what was read"];

/// Room for constants, from time to time.
fn pool(random: &mut Random) -> &'static str {
    if random.below(32) == 0 { "b 8f\n .ltorg\n8:\n" } else { "" }
}

/// Interrupts that are used: private and shared ones.
const INTERRUPTS: [u64; 6] = [1, 5, 20, 27, 34, 41];

/// A store to the distributor, or of private interrupts to `own`, of a register group with `bits` an interrupt.
fn group_of(interrupt: u64, first: u64, bits: u64, own: &str) -> (String, u64, u64) {
    let at = first + interrupt * bits / 32 * 4;
    let base = if interrupt < 32 { own.to_string() } else { "x21".into() };
    (base, at, interrupt * bits % 32)
}

fn store(base: &str, at: u64, value: u64) -> String {
    format!("{}{}str w14, [{base}, x15]\n", constant("x15", at), constant("x14", value))
}

fn load(base: &str, at: u64, to: &str) -> String {
    format!("{}ldr w{to}, [{base}, x15]\n", constant("x15", at))
}

#[test]
fn gicv3s_is_qemus() {
    if !peers() {
        return;
    }
    /// Read by EL3 with each of both banks. (QEMU's CTLR_EL3 does not show the Secure state's bits.)
    const BANKED: [(&str, &str); 11] = [
        ("PMR", "S3_0_C4_C6_0"),
        ("BPR0", "S3_0_C12_C8_3"),
        ("BPR1", "S3_0_C12_C12_3"),
        ("CTLR", "S3_0_C12_C12_4"),
        ("IGRPEN0", "S3_0_C12_C12_6"),
        ("IGRPEN1_EL3", "S3_6_C12_C12_7"),
        ("RPR", "S3_0_C12_C11_3"),
        ("HPPIR0", "S3_0_C12_C8_2"),
        ("HPPIR1", "S3_0_C12_C12_2"),
        ("AP0R0", "S3_0_C12_C8_4"),
        ("AP1R0", "S3_0_C12_C9_0"),
    ];
    /// Register groups of a private and of a shared interrupt word: from the distributor's start, and bits an interrupt.
    const GROUPS: [(&str, u64, u64); 9] = [
        ("IGROUPR", 0x80, 1),
        ("ISENABLER", 0x100, 1),
        ("ISPENDR", 0x200, 1),
        ("ICPENDR", 0x280, 1),
        ("ISACTIVER", 0x300, 1),
        ("IPRIORITYR", 0x400, 8),
        ("ICFGR", 0xc00, 2),
        ("IGRPMODR", 0xd00, 1),
        ("NSACR", 0xe00, 2),
    ];
    /// Registers of the CPU interface: name, and whether they are read and written.
    const CPU: [(&str, &str, bool, bool); 16] = [
        ("IAR0", "S3_0_C12_C8_0", true, false),
        ("IAR1", "S3_0_C12_C12_0", true, false),
        ("EOIR0", "S3_0_C12_C8_1", false, true),
        ("EOIR1", "S3_0_C12_C12_1", false, true),
        ("DIR", "S3_0_C12_C11_1", false, true),
        ("PMR", "S3_0_C4_C6_0", true, true),
        ("BPR0", "S3_0_C12_C8_3", true, true),
        ("BPR1", "S3_0_C12_C12_3", true, true),
        ("CTLR", "S3_0_C12_C12_4", true, true),
        ("IGRPEN0", "S3_0_C12_C12_6", true, true),
        ("IGRPEN1", "S3_0_C12_C12_7", true, true),
        ("RPR", "S3_0_C12_C11_3", true, false),
        ("HPPIR0", "S3_0_C12_C8_2", true, false),
        ("HPPIR1", "S3_0_C12_C12_2", true, false),
        ("AP1R0", "S3_0_C12_C9_0", true, true),
        ("SGI", "", false, true),
    ];
    const SGIS: [(&str, &str); 3] =
        [("SGI0R", "S3_0_C12_C11_7"), ("SGI1R", "S3_0_C12_C11_5"), ("ASGI1R", "S3_0_C12_C11_6")];
    let mut after: Vec<String> = NOTED.map(String::from).to_vec();
    for bank in ["Secure", "Non-secure"] {
        after.extend(BANKED.iter().map(|(name, _)| format!("{name} ({bank})")));
    }
    for (name, ..) in GROUPS {
        after.extend([format!("{name} of private ones"), format!("{name} of shared ones")]);
    }
    after.push("GICD_CTLR".into());
    let after: Vec<&str> = after.iter().map(String::as_str).collect();
    for seed in 1..=4 {
        let mut random = Random(seed * 0x9e37_79b9_7f4a_7c15);
        let (mut body, mut accesses) = (String::new(), Vec::new());
        // The redistributor awake, everything let out and in.
        body.push_str("sub x9, x23, #0x10, lsl #12\n str wzr, [x9, #0x14]\n");
        body.push_str(&store("x21", 0, 0x37));
        body.push_str("mov x0, #3\n msr S3_0_C12_C12_6, x0\n msr S3_6_C12_C12_7, x0\n isb\n");
        for _ in 0..ACCESSES {
            let world = World::any(&mut random);
            let routes = random.one(&[0, 4, 4, 6]);
            let (access, what) = match random.below(5) {
                0 | 1 => {
                    let interrupt = random.one(&INTERRUPTS);
                    let (name, first, bits) = random.one(&GROUPS);
                    let (base, at, shift) = group_of(interrupt, first, bits, "x23");
                    let value = match bits {
                        // Half a priority is lost to the Non-secure state, and QEMU keeps bits that it does not compare.
                        8 => random.below(16) << (4 + shift),
                        2 => random.below(4) << shift,
                        _ => 1 << shift,
                    };
                    let value = if random.below(4) == 0 { random.next() & 0xf0f0_f0f0 } else { value };
                    let text =
                        if random.below(4) == 0 { load(&base, at, "13") } else { store(&base, at, value) };
                    (text, format!("{name} of {interrupt}: {value:#x}"))
                }
                2 if random.below(4) == 0 => {
                    let value = random.below(8) | 0x30;
                    (store("x21", 0, value), format!("GICD_CTLR {value:#x}"))
                }
                2 => {
                    let interrupt = random.one(&INTERRUPTS);
                    let first = random.one(&[0x100, 0x200, 0x200]);
                    let (base, at, shift) = group_of(interrupt, first, 1, "x23");
                    (store(&base, at, 1 << shift), format!("{interrupt} set at {first:#x}"))
                }
                _ => {
                    let (name, register, reads, writes) = random.one(&CPU);
                    if name == "SGI" {
                        let (name, register) = random.one(&SGIS);
                        let value = random.one(&[1, 5]) << 24 | 1;
                        let text = format!("{}msr {register}, x14\n", constant("x14", value));
                        (text, format!("{name} {value:#x}"))
                    } else if name == "AP1R0" && world == World::NonSecure {
                        // QEMU ignores writes.
                        (format!("mrs x13, {register}\n"), name.to_string())
                    } else if writes && (!reads || random.below(2) == 0) {
                        let value = match name {
                            "EOIR0" | "EOIR1" | "DIR" => random.one(&INTERRUPTS),
                            "PMR" => random.one(&[0xff, 0xf0, 0xc0, 0x80, 0x40]),
                            "AP1R0" => 1 << random.below(32),
                            // In QEMU an interrupt of a group that is not let in hides those of others.
                            "IGRPEN0" | "IGRPEN1" => 1,
                            _ => random.below(8),
                        };
                        let text = format!("{}msr {register}, x14\n", constant("x14", value));
                        (text, format!("{name} = {value:#x}"))
                    } else {
                        (format!("mrs x13, {register}\n"), name.to_string())
                    }
                }
            };
            body.push_str(&made(world, routes, &access));
            body.push_str(NOTE);
            accesses.push(format!("{world:?}, SCR {:#x}: {what}", scr(world, routes)));
            for world in [World::Secure, World::NonSecure] {
                body.push_str(&format!("{}msr scr_el3, x17\n isb\n", constant("x17", scr(world, 0))));
                for (_, register) in BANKED {
                    body.push_str(&format!("mrs x14, {register}\n str x14, [x20], #8\n"));
                }
            }
            for (_, first, bits) in GROUPS {
                for (interrupt, base) in [(0, "x23"), (32, "x21")] {
                    body.push_str(&load(base, first + interrupt * bits / 8, "14"));
                    body.push_str("str x14, [x20], #8\n");
                }
            }
            body.push_str("ldr w14, [x21]\n str x14, [x20], #8\n");
            body.push_str(pool(&mut random));
        }
        let machine = "secure=on,gic-version=3";
        compare(&Program { machine, start: START, body: &body, called: CALLED }, (&accesses, &after));
    }
}

#[test]
fn gicv2s_is_qemus() {
    if !peers() {
        return;
    }
    /// Offsets in the CPU interface, and whether they are read and written. QEMU's HPPIR and IAR do not ask whether a group is enabled,
    /// and its SGIR does not look at groups: so both groups are enabled, and neither HPPIR nor SGIR is used.
    const CPU: [(u64, bool, bool); 7] = [
        (0x00, true, true),
        (0x04, true, true),
        (0x0c, true, false),
        (0x10, false, true),
        (0x14, true, false),
        (0x1c, true, false),
        (0x1000, false, true),
    ];
    const READ: [(&str, u64); 4] = [("CTLR", 0), ("PMR", 4), ("RPR", 0x14), ("ABPR", 0x1c)];
    const GROUPS: [(&str, u64, u64); 7] = [
        ("IGROUPR", 0x80, 1),
        ("ISENABLER", 0x100, 1),
        ("ISPENDR", 0x200, 1),
        ("ISACTIVER", 0x300, 1),
        ("IPRIORITYR", 0x400, 8),
        ("ITARGETSR", 0x800, 8),
        ("ICFGR", 0xc00, 2),
    ];
    let mut after: Vec<String> = NOTED.map(String::from).to_vec();
    after.extend(READ.iter().map(|(name, _)| format!("GICC_{name}")));
    for (name, ..) in GROUPS {
        after.extend([format!("{name} of private ones"), format!("{name} of shared ones")]);
    }
    after.push("GICD_CTLR".into());
    let after: Vec<&str> = after.iter().map(String::as_str).collect();
    for seed in 1..=4 {
        let mut random = Random(seed * 0x9e37_79b9_7f4a_7c15);
        let (mut body, mut accesses) = (String::new(), Vec::new());
        body.push_str(&store("x21", 0, 3));
        // Binary points that QEMU's eight bits of priorities have, too.
        body.push_str(&store("x22", 8, 2));
        body.push_str(&store("x22", 0x1c, 3));
        body.push_str(&store("x22", 0, 3));
        for _ in 0..ACCESSES {
            let world = World::any(&mut random);
            let (access, what) = match random.below(5) {
                0 | 1 => {
                    let interrupt = random.one(&INTERRUPTS);
                    let (name, first, bits) = random.one(&GROUPS);
                    let (base, at, shift) = group_of(interrupt, first, bits, "x21");
                    let value = match bits {
                        8 if first == 0x800 => 1 << shift,
                        // Half a priority is lost to the Non-secure state.
                        8 => random.below(16) << (4 + shift),
                        2 => random.below(2) << (1 + shift),
                        _ => 1 << shift,
                    };
                    let text =
                        if random.below(4) == 0 { load(&base, at, "13") } else { store(&base, at, value) };
                    (text, format!("{name} of {interrupt}: {value:#x}"))
                }
                2 => {
                    let interrupt = random.one(&INTERRUPTS[2..]);
                    let first = random.one(&[0x100, 0x200, 0x200]);
                    let (base, at, shift) = group_of(interrupt, first, 1, "x21");
                    (store(&base, at, 1 << shift), format!("{interrupt} set at {first:#x}"))
                }
                _ => {
                    let (at, reads, writes) = random.one(&CPU);
                    if writes && (!reads || random.below(2) == 0) {
                        let value = match at {
                            0x10 | 0x1000 => random.one(&INTERRUPTS),
                            4 => random.one(&[0xf0, 0xc0, 0x80, 0x40]),
                            // Of the Non-secure state bit 0 is group 1; of the other one both are there.
                            _ if world == World::NonSecure => random.one(&[1, 0x201]),
                            _ => random.one(&[0x3, 0xb, 0xf, 0x203, 0x60f, 0x1f]),
                        };
                        (store("x22", at, value), format!("{value:#x} at {at:#x} of GICC"))
                    } else {
                        (load("x22", at, "13"), format!("{at:#x} of GICC"))
                    }
                }
            };
            body.push_str(&made(world, 0, &access));
            body.push_str(NOTE);
            accesses.push(format!("{world:?}: {what}"));
            for (_, at) in READ {
                body.push_str(&load("x22", at, "14"));
                body.push_str("str x14, [x20], #8\n");
            }
            for (_, first, bits) in GROUPS {
                for interrupt in [0, 32] {
                    body.push_str(&load("x21", first + interrupt * bits / 8, "14"));
                    body.push_str("str x14, [x20], #8\n");
                }
            }
            body.push_str("ldr w14, [x21]\n str x14, [x20], #8\n");
            body.push_str(pool(&mut random));
        }
        let machine = "secure=on,gic-version=2";
        compare(&Program { machine, start: START, body: &body, called: CALLED }, (&accesses, &after));
    }
}

/// What the monitor says on the UARTs of both worlds, and that it turns the machine off.
fn said(mut command: Command, qemu: &Qemu) -> [String; 2] {
    let end = run(&mut command);
    assert_eq!(end.status, Some(0), "{command:?}: {}", end.err);
    ["open", "hidden"].map(|name| std::fs::read_to_string(qemu.path(name)).expect("the machine wrote it"))
}

#[test]
fn a_monitor_says_what_it_says_to_qemu() {
    if !peers() {
        return;
    }
    for (gic, cpu) in [("2", "cortex-a57"), ("3", "cortex-a72"), ("3", "max")] {
        let qemu = Qemu::aarch64();
        let elf = assemble(&qemu, include_str!("monitor.s"), 0);
        let image = qemu.path("monitor.bin");
        let mut objcopy = Command::new("aarch64-linux-gnu-objcopy");
        let status = objcopy.args(["-O", "binary"]).arg(&elf).arg(&image).status();
        assert!(status.is_ok_and(|status| status.success()));
        let words = format!(
            "-M virt,secure=on,gic-version={gic} -cpu {cpu} -smp 2 -m 256 -nodefaults -display none -bios {} \
             -serial file:{} -serial file:{}",
            image.display(),
            qemu.path("open").display(),
            qemu.path("hidden").display()
        );
        let mut theirs = Command::new("qemu-system-aarch64");
        theirs.args(words.split_whitespace());
        let theirs = said(theirs, &qemu);
        let ours = said(qemu.command(&format!("{words} -timeout 60")), &qemu);
        assert_eq!(ours, theirs, "GICv{gic}, {cpu}");
        assert_eq!((ours[0].lines().count(), ours[1].lines().count()), (25, 1), "{ours:#?}");
    }
}
