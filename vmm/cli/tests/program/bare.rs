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

/// Prints, writes a file, and exits with 42, all by semihosting; where there is none it ends with 9.
pub const SEMIHOSTED: &str = "
    la   t0, none
    csrs mtvec, t0
    la   s0, block
    li   a0, 4
    la   a1, text
    call ask
    la   t0, name
    sd   t0, 0(s0)
    li   t0, 4
    sd   t0, 8(s0)
    li   t0, LENGTH
    sd   t0, 16(s0)
    li   a0, 1
    mv   a1, s0
    call ask
    sd   a0, 0(s0)
    la   t0, text
    sd   t0, 8(s0)
    li   t0, 6
    sd   t0, 16(s0)
    li   a0, 5
    mv   a1, s0
    call ask
    li   t0, 0x20026
    sd   t0, 0(s0)
    li   t0, 42
    sd   t0, 8(s0)
    li   a0, 0x18
    mv   a1, s0
    call ask
stay:
    j    stay
ask:
    slli zero, zero, 31
    ebreak
    srai zero, zero, 7
    ret
    .align 8
none:
    li   t0, 0x100000
    li   t1, 0x93333
    sw   t1, 0(t0)
    j    stay
    .align 8
block: .space 64
text: .asciz \"hello\\n\"
name: .asciz \"NAME\"
";

#[test]
fn a_program_without_devices_has_the_hosts() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("out");
    let name = file.to_str().expect("text");
    let source = SEMIHOSTED.replace("LENGTH", &name.len().to_string()).replace("NAME", name);
    let end = boot(&source, "-semihosting");
    assert_eq!((end.status, &*end.err), (Some(42), "hello\n"));
    assert_eq!(std::fs::read(&file).expect("the program wrote it"), b"hello\n");
    let words = "-semihosting-config enable=on,target=native,chardev=c -chardev null,id=c,logfile=LOG";
    let log = folder.path().join("log");
    let end = boot(&source, &words.replace("LOG", log.to_str().expect("text")));
    assert_eq!((end.status, &*end.err), (Some(42), ""));
    assert_eq!(std::fs::read(&log).expect("it is there"), b"hello\n");
    assert_eq!(boot(&source, "").status, Some(9));
}
