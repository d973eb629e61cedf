//! `qemu-system-aarch64`: the board, its firmware and its kernels.

use guest_images::Store;

use crate::support::{Qemu, run, start};

/// Machine code, a word an instruction.
fn program(qemu: &Qemu, words: &[u32]) -> String {
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    qemu.file("program.bin", &bytes)
}

#[test]
fn what_the_machine_lacks_is_a_sentence() {
    let qemu = Qemu::aarch64();
    for (words, what) in [
        ("-M virt -kernel x", "32-bit code"),
        ("-cpu max -kernel x", "no default"),
        ("-M virt -cpu cortex-a15 -kernel x", "cortex-a15"),
        ("-M virt -cpu max", "nothing to run"),
        ("-M virt -cpu max -smp 9 -kernel x", "gic-version=3"),
        ("-M virt -cpu max -bios nowhere.fd", "-bios nowhere.fd"),
    ] {
        let end = run(&mut qemu.command(&format!("{words} -nographic")));
        assert_eq!(end.status, Some(1), "{words}: {}", end.err);
        assert!(end.err.contains(what) && end.err.lines().count() == 1, "{words}: {}", end.err);
    }
    let listing = run(&mut qemu.command("-M help")).out;
    assert!(listing.contains("virt") && !listing.contains("(default)"), "{listing}");
    assert!(run(&mut qemu.command("-cpu help")).out.contains("neoverse-n1"));
}

/// Says `!` on the PL011 and calls PSCI's SYSTEM_OFF, or what stands in its place.
fn says_and_calls(function: u32) -> [u32; 8] {
    [
        0xd2a1_2001,                            // mov  x1, #0x9000000
        0x5280_0420,                            // mov  w0, #33
        0xb900_0020,                            // str  w0, [x1]
        0xd280_0000 | (function & 0xffff) << 5, // mov  x0, #low
        0xf2a0_0000 | (function >> 16) << 5,    // movk x0, #high, lsl #16
        0xd280_0001,                            // mov  x1, #0
        0xd400_0002,                            // hvc  #0
        0x1400_0000,                            // b    .
    ]
}

#[test]
fn a_program_prints_and_turns_the_machine_off() {
    let qemu = Qemu::aarch64();
    for gic in ["2", "3"] {
        for (function, status) in [(0x8400_0008, "off"), (0x8400_0009, "reset"), (0xc400_0012, "reset")] {
            let file = program(&qemu, &says_and_calls(function));
            let words = format!("-M virt,gic-version={gic} -cpu cortex-a53 -nographic -no-reboot");
            let end = run(&mut qemu.command(&format!("{words} -exit-codes reset=7 -kernel {file}")));
            assert_eq!(end.out.trim(), "!", "{}", end.err);
            assert_eq!(end.status, Some(if status == "off" { 0 } else { 7 }), "{function:#x}");
        }
    }
}

/// Debian's kernel to its init and to power-off.
#[test]
fn debian_boots_with_either_interrupt_controller() {
    let found = Store::open_default().and_then(|store| store.path("debian-bench:arm64"));
    let Ok(guest) = found else {
        return eprintln!("skipped: mimic image pull debian-bench:arm64");
    };
    for (gic, cpus, cpu) in [("2", 1, "cortex-a57"), ("2", 4, "cortex-a72"), ("3", 1, "max"), ("3", 4, "max")]
    {
        let qemu = Qemu::aarch64();
        let words = format!(
            "-M virt,gic-version={gic} -cpu {cpu} -m 512 -smp {cpus} -nographic -no-reboot -kernel {} -initrd {} \
             -append console=ttyAMA0",
            guest.kernel.display(),
            guest.initrd.display()
        );
        let mut running = start(&mut qemu.command(&words));
        running.expect(&format!("Brought up 1 node, {cpus} CPU"));
        running.expect("MIMIC-INIT-OK");
        let end = running.finish();
        assert_eq!(end.status, Some(0), "GICv{gic}, {cpus} CPUs: {}{}", end.out, end.err);
    }
}

/// Debian's kernel as a host of virtual machines.
#[test]
fn debian_starts_at_el2() {
    let found = Store::open_default().and_then(|store| store.path("debian-bench:arm64"));
    let Ok(guest) = found else {
        return eprintln!("skipped: mimic image pull debian-bench:arm64");
    };
    for gic in ["2", "3"] {
        let qemu = Qemu::aarch64();
        let words = format!(
            "-M virt,virtualization=on,gic-version={gic} -cpu max -m 512 -smp 2 -nographic -no-reboot -kernel {} \
             -initrd {} -append console=ttyAMA0",
            guest.kernel.display(),
            guest.initrd.display()
        );
        let mut running = start(&mut qemu.command(&words));
        running.expect("CPU: All CPU(s) started at EL2");
        running.expect("VHE mode initialized successfully");
        running.expect("MIMIC-INIT-OK");
        let end = running.finish();
        assert_eq!(end.status, Some(0), "GICv{gic}: {}{}", end.out, end.err);
    }
}

/// Says `text` by semihosting's WRITE0 and ends with `status` by its EXIT, the block for which stands behind the code.
pub fn says_and_exits(text: &str, status: u64) -> Vec<u8> {
    let code: [u32; 8] = [
        0x5280_0080, // mov w0, #4
        0x1000_01e1, // adr x1, text
        0xd45e_0000, // hlt #0xf000
        0x5280_0300, // mov w0, #0x18
        0x1000_0081, // adr x1, block
        0xd45e_0000, // hlt #0xf000
        0x1400_0000, // b .
        0xd503_201f, // nop
    ];
    let mut bytes: Vec<u8> = code.iter().flat_map(|word| word.to_le_bytes()).collect();
    for word in [0x20026, status, 0, 0] {
        bytes.extend(u64::to_le_bytes(word));
    }
    bytes.extend(text.bytes());
    bytes.push(0);
    bytes
}

#[test]
fn semihosting_is_the_hosts() {
    for status in [0, 42, 255] {
        let qemu = Qemu::aarch64();
        let file = qemu.file("program.bin", &says_and_exits("hello\n", status));
        let words = format!("-M virt -cpu max -nographic -semihosting -kernel {file}");
        let end = run(&mut qemu.command(&words));
        assert_eq!((end.status, &*end.err), (Some(status as i32), "hello\n"));
    }
}

#[test]
fn a_program_that_waits_for_nothing_hangs() {
    // wfi; b .-4
    let words = [0xd503_207f, 0x17ff_ffff];
    for gic in ["2", "3"] {
        let qemu = Qemu::aarch64();
        let file = program(&qemu, &words);
        let words = format!("-M virt,gic-version={gic} -cpu max -smp 2 -nographic -kernel {file}");
        let end = run(&mut qemu.command(&format!("{words} -action hang=exit-failure -timeout 30")));
        assert_eq!(end.status, Some(1), "{}", end.err);
        assert!(end.err.contains("interrupts that they can not get"), "{}", end.err);
    }
}
