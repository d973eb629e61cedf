//! Time counted in instructions: the same run each time, whatever the host does.

use crate::assemble::assemble;
use crate::support::{Finished, Qemu, run};

/// Three harts change a word without a lock, and add the time. The first then sleeps for three minutes until its timer fires,
/// prints the word, and ends the run.
const RACE: &str = "
    li   s0, 0x200c000
    la   s1, shared
    li   s2, 4000
loop:
    ld   t0, 0(s1)
    slli t1, t0, 1
    add  t0, t0, t1
    ld   t2, -8(s0)
    add  t0, t0, t2
    add  t0, t0, a0
    sd   t0, 0(s1)
    addi s2, s2, -1
    bnez s2, loop
    slli t0, a0, 3
    add  t0, t0, s1
    li   t1, 1
    sd   t1, 8(t0)
    bnez a0, others
wait:
    ld   t0, 16(s1)
    ld   t1, 24(s1)
    and  t0, t0, t1
    beqz t0, wait
    ld   t0, -8(s0)
    li   t1, 1800000000
    add  t0, t0, t1
    li   t2, 0x2004000
    sd   t0, 0(t2)
    li   t0, 0x80
    csrs mie, t0
    wfi
    ld   s3, 0(s1)
    li   s4, 0x10000000
    li   s5, 16
digit:
    srli t0, s3, 60
    slli s3, s3, 4
    addi t0, t0, 0x41
    sb   t0, 0(s4)
    addi s5, s5, -1
    bnez s5, digit
    li   t0, 0x100000
    li   t1, 0x5555
    sw   t1, 0(t0)
others:
    wfi
    j    others
    .align 8
shared: .space 64";

/// Runs `source` under `chaos`; what it says, and the count and hash of its run.
fn boot(source: &str, words: &str, chaos: &str) -> (Finished, String) {
    let qemu = Qemu::new();
    let image = qemu.file("guest.bin", &assemble(source).expect("well formed"));
    let log = qemu.path("log");
    let words = format!(
        "-bios none -kernel {image} -display none -serial stdio -monitor none -d icount -D {} {words}",
        log.display()
    );
    let mut command = qemu.command(&words);
    if !chaos.is_empty() {
        command.env("MIMIC_CHAOS", chaos);
    }
    let end = run(&mut command);
    let log = std::fs::read_to_string(log).expect("it was written");
    (end, log.lines().last().unwrap_or_default().into())
}

#[test]
fn the_same_run_twice_is_the_same() {
    let (first, trace) = boot(RACE, "-smp 3 --deterministic", "");
    assert_eq!((first.status, first.out.len()), (Some(0), 16), "{}{}", first.out, first.err);
    assert!(trace.contains(" instructions, ") && trace.contains("trace hash"), "{trace}");
    let ns: u64 = trace.split_whitespace().nth(2).and_then(|ns| ns.parse().ok()).expect("a number");
    assert!(ns > 180_000_000_000, "it slept: {trace}");
    for chaos in
        ["", "after=never", "after=0,hot=0,tlb=4", "after=1,hot=never,registers=3", "after=0,hot=3,code=64K"]
    {
        let (end, again) = boot(RACE, "-smp 3 --deterministic", chaos);
        assert_eq!((end.status, &*end.out, &*again), (Some(0), &*first.out, &*trace), "{chaos}");
    }
    let (faster, other) = boot(RACE, "-smp 3 -icount shift=5,sleep=off -seed 1", "");
    assert_eq!(faster.status, Some(0), "{}", faster.err);
    assert_ne!((faster.out, other), (first.out, trace), "an instruction takes longer there");
}

#[test]
fn time_may_follow_the_hosts() {
    // A third of a second of sleep instead of minutes.
    let source = RACE.replace("1800000000", "3000000");
    let before = std::time::Instant::now();
    let (end, _) = boot(&source, "-smp 3 -icount auto", "");
    assert_eq!(end.status, Some(0), "{}", end.err);
    assert!(before.elapsed().as_millis() >= 300);
    let (end, _) = boot(&source, "-smp 3 -icount shift=2,align=on", "");
    assert_eq!(end.status, Some(0), "{}", end.err);
}
