//! Guests of a few instructions that have the machine to themselves.

use crate::assemble::assemble;
use crate::support::{Finished, Qemu, run};

/// Runs `source`, at the start of RAM in M-mode.
fn boot(source: &str, words: &str) -> Finished {
    let qemu = Qemu::new();
    let image = qemu.file("guest.bin", &assemble(source).expect("well formed"));
    run(&mut qemu
        .command(&format!("-bios none -kernel {image} -display none -serial stdio -monitor none {words}")))
}

/// Writes `value` to the test finisher.
fn finish(value: u32) -> String {
    format!("li t0, 0x100000\n li t1, {value}\n sw t1, 0(t0)\nwait:\n wfi\n j wait\n")
}

#[test]
fn the_test_finisher_gives_the_status() {
    for (value, status) in [(0x5555, 0), (0x7_3333, 7), (0xff_3333, 255), (0x3333, 0)] {
        let end = boot(&finish(value), "");
        assert_eq!((end.status, &*end.err), (Some(status), ""), "{value:#x}");
    }
}

#[test]
fn a_reset_ends_the_run_where_it_shall() {
    let end = boot(&finish(0x7777), "-no-reboot");
    assert_eq!((end.status, &*end.err), (Some(0), ""));
}

/// Says `line` on the serial port, then resets.
fn last_words(line: &str) -> String {
    let start =
        "la s0, line\n li s1, 0x10000000\nnext:\n lbu t0, 0(s0)\n beqz t0, done\nfull:\n lbu t1, 5(s1)\n";
    let end = "andi t1, t1, 0x20\n beqz t1, full\n sb t0, 0(s1)\n addi s0, s0, 1\n j next\ndone:\n";
    format!("{start}{end}{}line: .asciz \"{line}\\n\"\n", finish(0x7777))
}

#[test]
fn a_kernel_panic_is_not_silent() {
    let panic = last_words("[    1.0] Kernel panic - not syncing: no init found");
    let end = boot(&panic, "-no-reboot");
    assert_eq!(end.status, Some(1), "{}", end.out);
    assert!(end.err.contains("the guest's kernel panicked"), "{}", end.err);
    let end = boot(&panic, "-no-reboot -action panic=none");
    assert_eq!(end.status, Some(0), "{}", end.err);
    let end = boot(&last_words("all is well"), "-no-reboot");
    assert_eq!((end.status, &*end.err), (Some(0), ""));
}

#[test]
fn a_reset_puts_the_image_back_and_keeps_other_memory() {
    // Three lives, counted behind the image; each must find the word within the image as it was.
    let source = "
        la   s0, mark
        lwu  t0, 0(s0)
        bnez t0, bad
        li   t0, 1
        sw   t0, 0(s0)
        la   s1, start_of_ram
        li   t0, 0x100000
        add  s1, s1, t0
        lwu  t0, 0(s1)
        addi t0, t0, 1
        sw   t0, 0(s1)
        li   t1, 3
        beq  t0, t1, good
        li   t0, 0x100000
        li   t1, 0x7777
        sw   t1, 0(t0)
    wait:
        wfi
        j    wait
    good:
        li   t0, 0x100000
        li   t1, 0x5555
        sw   t1, 0(t0)
        j    wait
    bad:
        li   t0, 0x100000
        li   t1, 0x13333
        sw   t1, 0(t0)
        j    wait
    start_of_ram:
        .align 8
    mark: .space 8";
    assert_eq!(boot(source, "").status, Some(0));
    assert_eq!(boot(source, "-smp 2").status, Some(0));
}
