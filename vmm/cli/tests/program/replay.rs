//! Recorded runs: the replay is the same run, wherever it comes from and goes to.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::assemble::assemble;
use crate::rsp::Rsp;
use crate::support::{Finished, Qemu, Running, run, start};

/// Three harts change a word without a lock. The first also mixes what comes over the serial line into another one, together with the
/// time and the wall clock, and echoes it; `q` ends the run. The second copies that word to a place that is not its own.
const GUEST: &str = "
    la   s1, shared
    li   s0, 0x10000000
    bnez a0, others
first:
    lbu  t0, 5(s0)
    andi t0, t0, 1
    ld   t1, 0(s1)
    slli t2, t1, 3
    add  t1, t1, t2
    addi t1, t1, 1
    sd   t1, 0(s1)
    beqz t0, first
    lbu  t2, 0(s0)
    li   t5, 0x101000
    lwu  t5, 0(t5)
    li   t6, 0x200c000
    ld   t6, -8(t6)
    ld   t3, 8(s1)
    slli t4, t3, 5
    add  t3, t3, t4
    add  t3, t3, t2
    add  t3, t3, t5
    add  t3, t3, t6
    sd   t3, 8(s1)
    sb   t2, 0(s0)
    li   t4, 113
    bne  t2, t4, first
    li   t1, 100000
wait:
    addi t1, t1, -1
    bnez t1, wait
finish:
    li   t0, 0x100000
    li   t1, 0x5555
    sw   t1, 0(t0)
rest:
    wfi
    j    rest
others:
    ld   t1, 0(s1)
    add  t1, t1, a0
    sd   t1, 0(s1)
    li   t3, 1
    bne  a0, t3, others
    ld   t2, 8(s1)
    beq  t2, s3, others
    mv   s3, t2
corrupt:
    sd   t2, 16(s1)
    j    others
    .align 12
shared: .space 64";

/// The address of `label` in the guest: what stands before it is as long as it is alone.
fn address(label: &str) -> u64 {
    let at = GUEST.find(&format!("{label}:")).expect("a label of the guest");
    // Labels behind the cut have to be somewhere.
    let rest: String =
        GUEST[at..].lines().filter(|line| line.ends_with(':')).map(|line| format!("{line}\n")).collect();
    let before = format!("{}{rest}shared:", &GUEST[..at]);
    0x8000_0000 + assemble(&before).expect("well formed").len() as u64
}

const WORDS: &str = "-smp 3 -m 16 -display none -serial stdio -monitor none -d icount";

/// A recorded run, and what it left.
struct Recorded {
    qemu: Qemu,
    image: String,
    words: String,
    out: String,
    trace: String,
}

impl Recorded {
    /// Records a run in which `typed` comes in pieces, and `words` are said beside the usual ones.
    fn of(typed: &str, words: &str) -> Self {
        let qemu = Qemu::new();
        let image = qemu.file("guest.bin", &assemble(GUEST).expect("well formed"));
        let words = format!("-bios none -kernel {image} {WORDS} {words}");
        let mut machine =
            start(&mut qemu.command(&format!("{words},rr=record,rrfile={}", qemu.path("log").display())));
        for (n, key) in typed.char_indices() {
            machine.expect(&typed[..n]);
            machine.say(&key.to_string());
            // The time it takes is part of the input.
            std::thread::sleep(Duration::from_millis(u64::from(key as u32 * 7 % 23)));
        }
        let end = machine.finish();
        assert_eq!((end.status, &*end.out), (Some(0), typed), "{}", end.err);
        let trace = trace(&end);
        Self { qemu, image, words, out: end.out, trace }
    }

    fn command(&self, more: &str) -> Command {
        let log = self.qemu.path("log");
        self.qemu.command(&format!("{},rr=replay,rrfile={} {more}", self.words, log.display()))
    }

    /// A replay under gdb's protocol.
    fn debugged(&self) -> (Running, Rsp) {
        let socket = self.qemu.path("gdb");
        let _ = std::fs::remove_file(&socket);
        let running = start(&mut self.command(&format!("-S -gdb unix:{}", socket.display())));
        let mut rsp = Rsp::connect(&socket);
        let answer = rsp.ask("qSupported:multiprocess+");
        assert!(answer.ends_with(";ReverseStep+;ReverseContinue+"), "{answer}");
        assert_eq!(rsp.ask("qqemu.sstepbits"), "ENABLE=1");
        (running, rsp)
    }
}

/// The line with count and hash.
fn trace(end: &Finished) -> String {
    let line = end.err.lines().find(|line| line.contains("trace hash"));
    line.unwrap_or_else(|| panic!("no trace hash in {}", end.err)).into()
}

#[test]
fn a_replay_is_the_recorded_run() {
    for icount in ["-icount shift=3,sleep=off", "-icount 2", "-icount auto"] {
        let recorded = Recorded::of("some words and more q", icount);
        for (more, chaos) in
            [("", ""), ("-seed 99", "after=0,hot=0,tlb=4"), ("", "after=never"), ("", "hot=3,code=64K")]
        {
            let mut command = recorded.command(more);
            if !chaos.is_empty() {
                command.env("MIMIC_CHAOS", chaos);
            }
            // Somebody types, too, and is not heard.
            let mut machine = start(&mut command);
            machine.say("qqq");
            let end = machine.finish();
            assert_eq!((end.status, &*end.out), (Some(0), &*recorded.out), "{icount} {chaos}: {}", end.err);
            assert_eq!(trace(&end), recorded.trace, "{icount} {chaos}");
        }
    }
}

#[test]
fn another_machine_or_log_is_refused_in_a_sentence() {
    let recorded = Recorded::of("q", "-icount shift=3,sleep=off");
    let log = recorded.qemu.path("log");
    let refused = |words: String, why: &str| {
        let end = run(&mut recorded.qemu.command(&words));
        assert_eq!(end.status, Some(1), "{}", end.err);
        assert!(end.err.contains(why) && end.err.lines().count() == 1, "{why}: {}", end.err);
    };
    let replay = format!("{},rr=replay,rrfile={}", recorded.words, log.display());
    refused(
        replay.replace("-smp 3", "-smp 2"),
        "log was recorded with -smp 3, and here it is 2; replay it with",
    );
    refused(
        replay.replace("-m 16", "-m 32"),
        "log was recorded with -m 16777216 bytes, and here it is 33554432 bytes",
    );
    let kernel = recorded.qemu.file("other.bin", b"other");
    refused(replay.replace(&recorded.image, &kernel), "log was recorded with -kernel a file of");
    refused(replay.replace("rrfile=", "rrfile=/nowhere"), "cannot read /nowhere");
    refused(
        replay.replace(&format!("rrfile={}", log.display()), &format!("rrfile={kernel}")),
        "other.bin is no recorded run",
    );
    refused(replay.replace(&format!(",rrfile={}", log.display()), ""), "rr=replay: needs rrfile=FILE");
    refused(format!("{replay} -semihosting"), "can not be had with -semihosting");
}

#[test]
fn a_replay_that_is_another_run_is_found_out() {
    let recorded = Recorded::of("abcq", "-icount shift=3,sleep=off");
    let log = recorded.qemu.path("log");
    let whole = std::fs::read(&log).expect("the log");
    // What was typed stands in the log as it came: kind, length and byte.
    let typed = |byte| whole.windows(3).rposition(|piece| piece == [2, 0, byte]).expect("it was typed");
    let mut other = whole.clone();
    other[typed(b'b') + 2] = b'B';
    std::fs::write(&log, &other).expect("writable");
    let end = run(&mut recorded.command(""));
    assert_eq!(end.status, Some(1), "{}", end.err);
    assert!(end.err.contains("-icount: the replay has left "), "{}", end.err);
    // A recorder that was killed leaves a log that ends early: the machine stops there.
    std::fs::write(&log, &whole[..typed(b'a')]).expect("writable");
    let (machine, mut rsp) = recorded.debugged();
    assert_eq!(rsp.ask("vCont;c"), "T05thread:p01.01;replaylog:end;");
    rsp.send("k");
    let end = machine.finish();
    assert!(end.err.contains("ends here, at instruction "), "{}", end.err);
    assert_eq!(end.out, "", "the log breaks off where the first byte comes, before its echo");
}

#[test]
fn hostile_logs_are_refused_or_replayed_to_their_end() {
    let recorded = Recorded::of("xyq", "-icount shift=3,sleep=off");
    let log = recorded.qemu.path("log");
    let whole = std::fs::read(&log).expect("the log");
    let start = whole.len() - whole.len().min(400);
    let mut random = 7u64;
    for _ in 0..30 {
        let mut bytes = whole.clone();
        for _ in 0..3 {
            random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            let at = start + (random >> 33) as usize % (bytes.len() - start);
            bytes[at] ^= 1 << (random >> 20 & 7);
        }
        std::fs::write(&log, &bytes).expect("writable");
        let end = run(&mut recorded.command("-timeout 20"));
        let known = matches!(end.status, Some(0 | 1 | 124));
        assert!(known && !end.err.contains("panicked"), "{:?} {}", end.status, end.err);
    }
}

#[test]
fn steps_back_undo_steps() {
    let recorded = Recorded::of("backq", "-icount shift=3,sleep=off");
    let (machine, mut rsp) = recorded.debugged();
    rsp.ok(&format!("Z0,{:x},4", address("finish")));
    assert_eq!(rsp.ask("vCont;c"), "T05thread:p01.01;");
    rsp.ok(&format!("z0,{:x},4", address("finish")));
    let end = registers(&mut rsp);
    for round in 1..=12 {
        let mut path = vec![registers(&mut rsp)];
        let thread = 1 + round % 3;
        for _ in 0..5 {
            rsp.ok(&format!("Hc{thread}"));
            assert_eq!(rsp.ask("bs"), format!("T05thread:p01.0{thread};"));
            path.push(registers(&mut rsp));
        }
        // Forwards again through the same states; the others run in between as they did.
        for before in path.iter().rev().skip(1) {
            assert_eq!(rsp.ask(&format!("vCont;s:p1.{thread}")), format!("T05thread:p01.0{thread};"));
            let now = registers(&mut rsp);
            assert_eq!(now[thread - 1], before[thread - 1], "round {round}");
        }
    }
    // To the beginning, and all the way again: the same place.
    assert_eq!(rsp.ask("bc"), "T05thread:p01.01;replaylog:begin;");
    assert!(registers(&mut rsp)[0].ends_with("0010000000000000"), "in the mask ROM");
    rsp.ok(&format!("Z1,{:x},4", address("finish")));
    assert_eq!(rsp.ask("vCont;c"), "T05thread:p01.01;");
    assert_eq!(registers(&mut rsp), end);
    rsp.ok(&format!("z1,{:x},4", address("finish")));
    ends(&mut rsp, &recorded);
    let end = machine.finish();
    assert_eq!(
        (end.status, &*end.out),
        (Some(0), &*recorded.out),
        "what was shown is not shown again: {}",
        end.err
    );
    assert_eq!(trace(&end), recorded.trace);
}

/// The registers of all harts, the last of which is the pc.
fn registers(rsp: &mut Rsp) -> Vec<String> {
    let of = |thread: usize| {
        rsp.ok(&format!("Hg{thread}"));
        rsp.ask("g")[..33 * 16].to_string()
    };
    (1..=3).map(of).collect()
}

#[test]
fn monitors_go_to_places() {
    let recorded = Recorded::of("placesq", "-icount shift=3,sleep=off");
    let (machine, mut rsp) = recorded.debugged();
    let mut monitor = |line: &str| rsp.monitor(line);
    let log = recorded.qemu.path("log");
    let says = format!("Replaying execution '{}': instruction count = ", log.display());
    assert!(
        monitor("info replay").starts_with(&format!("{says}0\r\nRecording ends at instruction count = "))
    );
    let mut seen = Vec::new();
    for count in [123_456, 400_003, 77, 500_000, 123_456, 77] {
        assert_eq!(monitor(&format!("replay_seek {count}")), "");
        assert!(monitor("info replay").starts_with(&format!("{says}{count}\r\n")));
        let icount = monitor("info icount");
        assert!(icount.starts_with(&format!("instructions: {count}\r\n")), "{icount}");
        seen.push((count, icount + &monitor("info registers -a")));
    }
    assert_eq!((&seen[0], &seen[2]), (&seen[4], &seen[5]));
    assert!(monitor("replay_break 50").contains("in the past"));
    assert_eq!(monitor("replay_break 123456"), "");
    assert!(monitor("info replay").ends_with("Breakpoint at instruction count = 123456\r\n"));
    assert_eq!(monitor("replay_delete_break"), "");
    assert_eq!(monitor("replay_break 123456"), "");
    assert_eq!(rsp.ask("vCont;c"), "T02thread:p01.01;");
    let (running, mut rsp) = (machine, rsp);
    rsp.send("k");
    assert_eq!(running.finish().status, Some(0));
    assert!(exists(&log));
}

/// A debugger is at the end of the run, however often it says that it goes on; without it the machine ends as the recorded one did.
fn ends(rsp: &mut Rsp, recorded: &Recorded) {
    let hash = recorded.trace.rsplit(' ').next().expect("a hash").to_string();
    for _ in 0..2 {
        let stop = rsp.ask("vCont;c");
        assert!(stop.ends_with("replaylog:end;"), "{stop}");
        assert!(rsp.monitor("info icount").contains(&hash), "{hash}");
    }
    let said = rsp.monitor("replay_seek 100000000");
    assert!(
        said.contains("cannot seek to the specified instruction count: the recording ends at "),
        "{said}"
    );
    assert!(rsp.monitor("info icount").contains(&hash), "it has not moved");
    assert!(rsp.ask("bs").starts_with("T05thread:p01.01;"));
    assert!(!rsp.monitor("info icount").contains(&hash));
    assert!(rsp.ask("vCont;c").ends_with("replaylog:end;"));
    rsp.ok("D");
}

/// gdb steps off a watchpoint of riscv by a breakpoint behind it, and has one vCPU go on alone. In a replay the order of vCPUs is the log's,
/// so that is the same as a step, and as the run without a debugger.
#[test]
fn a_vcpu_that_goes_on_alone_leaves_the_run_what_it_was() {
    let recorded = Recorded::of("alone?q", "-icount shift=3,sleep=off");
    let watch = format!("2,{:x},10", address("shared") + 8);
    let run = |by_breakpoint: bool| {
        let (machine, mut rsp) = recorded.debugged();
        let mut stops = Vec::new();
        rsp.ok(&format!("Z{watch}"));
        loop {
            let stop = rsp.ask("vCont;c:p1.-1");
            if stop.ends_with("replaylog:end;") {
                break;
            }
            assert!(stop.contains(";watch:"), "{stop}");
            let thread = stop["T05thread:p01.".len()..].split(';').next().expect("a thread").to_string();
            let pc = rsp.register(32);
            stops.push((thread.clone(), pc, rsp.monitor("info icount")));
            rsp.ok(&format!("z{watch}"));
            let behind = format!("T05thread:p01.{thread};");
            if by_breakpoint {
                rsp.ok(&format!("Z0,{:x},4", pc + 4));
                assert_eq!(rsp.ask(&format!("vCont;c:p1.{thread}")), behind);
                rsp.ok(&format!("z0,{:x},4", pc + 4));
            } else {
                assert_eq!(rsp.ask(&format!("vCont;s:p1.{thread}")), behind);
            }
            assert_eq!(rsp.register(32), pc + 4);
            rsp.ok(&format!("Z{watch}"));
            // Backwards it is told again, from the same place.
            let back = rsp.ask("bc");
            assert!(back.starts_with(&behind) && back.contains(";watch:"), "{back}");
            assert_eq!(rsp.register(32), pc + 4);
        }
        rsp.ok("D");
        let end = machine.finish();
        assert_eq!((end.status, trace(&end)), (Some(0), recorded.trace.clone()), "{}", end.err);
        stops
    };
    let (one, other) = (run(true), run(false));
    assert_eq!(one, other);
    let threads: std::collections::BTreeSet<&str> = one.iter().map(|(thread, ..)| &**thread).collect();
    assert_eq!(threads.into_iter().collect::<Vec<_>>(), ["01", "02"], "{one:?}");
}

/// `-timeout` of machine time ends a run at an instruction, and its log is good for a replay without it.
#[test]
fn a_run_that_its_time_ends_is_the_same_each_time() {
    let qemu = Qemu::new();
    let image = qemu.file("guest.bin", &assemble(GUEST).expect("well formed"));
    let log = qemu.path("log");
    let words = format!("-bios none -kernel {image} {WORDS} -icount shift=10,sleep=off");
    let timed = |more: &str| {
        let end = run(&mut qemu.command(&format!("{words}{more} -timeout 1,clock=vm")));
        assert_eq!(end.status, Some(124), "{}", end.err);
        trace(&end)
    };
    let first = timed("");
    assert!(first.contains("976563 instructions, 1000000512 ns"), "{first}");
    for mode in ["record", "replay"] {
        assert_eq!(timed(&format!(",rr={mode},rrfile={}", log.display())), first, "{mode}");
    }
    let socket = qemu.path("gdb");
    let words = format!("{words},rr=replay,rrfile={} -S -gdb unix:{}", log.display(), socket.display());
    let machine = start(&mut qemu.command(&words));
    let mut rsp = Rsp::connect(&socket);
    assert_eq!(rsp.ask("vCont;c"), "T05thread:01;replaylog:end;");
    let hash = first.rsplit(' ').next().expect("a hash");
    assert!(rsp.monitor("info icount").contains(hash));
    rsp.send("k");
    let end = machine.finish();
    assert!(!end.err.contains("has left"), "{}", end.err);
}

fn exists(path: &Path) -> bool {
    path.is_file()
}

#[test]
fn the_beginning_of_a_run_is_a_snapshot() {
    let recorded = Recorded::of("snapq", "-icount shift=3,sleep=off,rrsnapshot=init");
    let (machine, mut rsp) = recorded.debugged();
    let first = registers(&mut rsp);
    assert!(rsp.monitor("info snapshots").contains(" init "));
    for count in [0, 400_000, 77] {
        assert_eq!(rsp.monitor(&format!("replay_seek {count}")), "");
        assert_eq!(rsp.monitor("loadvm init"), "");
        assert!(rsp.monitor("info replay").contains("instruction count = 0\r\n"));
        assert_eq!(registers(&mut rsp), first);
    }
    for line in ["loadvm other", "savevm init", "savevm other"] {
        assert!(rsp.monitor(line).contains("a recorded run (-icount rr=) has no snapshots"), "{line}");
    }
    ends(&mut rsp, &recorded);
    let end = machine.finish();
    assert_eq!((end.status, &*end.out), (Some(0), &*recorded.out), "{}", end.err);
    assert_eq!(trace(&end), recorded.trace);
    let words = recorded.words.replace("-icount shift=3,sleep=off,", "-icount shift=3,");
    let end = run(&mut recorded.qemu.command(&words));
    assert!(end.err.contains("rrsnapshot=: needs rr=record or rr=replay"), "{}", end.err);
}

/// A log does not tell of devices that come and go, so none does: neither while a run is recorded nor in its replay.
#[test]
fn the_devices_of_a_recorded_run_stay() {
    let qemu = Qemu::new();
    let image = qemu.file("guest.bin", &assemble(GUEST).expect("well formed"));
    let log = qemu.path("log");
    for mode in ["record", "replay"] {
        let socket = qemu.path("gdb");
        let _ = std::fs::remove_file(&socket);
        let words = format!(
            "-bios none -kernel {image} {WORDS} -S -gdb unix:{} -device pcie-root-port,id=rp1 \
             -device virtio-rng-pci,bus=rp1,id=cold -icount shift=3,sleep=off,rr={mode},rrfile={}",
            socket.display(),
            log.display()
        );
        let mut machine = start(&mut qemu.command(&words));
        let mut rsp = Rsp::connect(&socket);
        for line in ["device_add virtio-rng-pci,bus=rp1,id=hot", "device_del cold"] {
            let said = rsp.monitor(line);
            assert!(said.contains("keeps the devices that it begins with"), "{mode} {line}: {said}");
        }
        assert!(rsp.monitor("info qtree").contains("\"cold\""));
        rsp.send("vCont;c");
        machine.say("q");
        if mode == "replay" {
            assert_eq!(rsp.next().as_deref(), Some("T05thread:01;replaylog:end;"));
            rsp.ok("D");
        }
        let end = machine.finish();
        assert_eq!((end.status, &*end.out), (Some(0), "q"), "{mode}: {}", end.err);
    }
}

/// The word that holds what it should not: who wrote it, in a run of three harts?
#[test]
fn gdb_finds_the_store_that_corrupted_a_word() {
    let gdb = match Command::new("gdb-multiarch").arg("--version").output() {
        Ok(_) => "gdb-multiarch",
        Err(fault) => {
            let needed = std::env::var_os("MIMIC_PEERS").is_some();
            assert!(!needed, "gdb-multiarch has to be there (MIMIC_PEERS is set): {fault}");
            return eprintln!("gdb-multiarch is not there: skipped");
        }
    };
    let recorded = Recorded::of("who did it? q", "-icount shift=3,sleep=off");
    let socket = recorded.qemu.path("gdb");
    let machine = start(&mut recorded.command(&format!("-S -gdb unix:{}", socket.display())));
    drop(crate::rsp::connect(&socket));
    let (finish, victim) = (address("finish"), address("shared") + 16);
    let script = format!(
        "set confirm off
        set pagination off
        set architecture riscv:rv64
        target remote {}
        hbreak *{finish:#x}
        continue
        delete
        printf \"it holds %#lx, read in %d\\n\", *(long*){victim:#x}, $_thread
        watch *(long*){victim:#x}
        reverse-continue
        printf \"stored at %#lx by thread %d, value %#lx, before %#lx\\n\", $pc, $_thread, $t2, *(long*){victim:#x}
        reverse-continue
        printf \"stored at %#lx by thread %d, value %#lx\\n\", $pc, $_thread, $t2
        delete
        reverse-stepi
        reverse-stepi
        printf \"back at %#lx\\n\", $pc
        stepi
        stepi
        printf \"again at %#lx\\n\", $pc
        reverse-continue
        kill
        ",
        socket.display()
    );
    let script = recorded.qemu.file("script", script.as_bytes());
    let end = run(Command::new(gdb).args(["-nx", "-batch", "-x", &script]));
    let corrupt = address("corrupt");
    let all = format!("{}{}", end.out, end.err);
    let line = |start: &str| {
        all.lines().filter(|line| line.starts_with(start)).map(str::to_string).collect::<Vec<_>>()
    };
    let stored = line("stored at ");
    assert_eq!(stored.len(), 2, "{all}");
    let value = line("it holds ")[0].split([' ', ',']).nth(2).expect("a value").to_string();
    assert!(
        stored[0].starts_with(&format!("stored at {corrupt:#x} by thread 2, value {value}, before ")),
        "{all}"
    );
    assert!(!stored[0].ends_with(&value), "the store is undone: {all}");
    assert!(stored[1].starts_with(&format!("stored at {corrupt:#x} by thread 2, value ")), "{all}");
    assert_eq!(stored[0].rsplit(' ').next(), stored[1].rsplit(' ').next(), "{all}");
    assert_eq!(line("back at "), [format!("back at {:#x}", corrupt - 8)], "{all}");
    assert_eq!(line("again at "), [format!("again at {corrupt:#x}")], "{all}");
    assert!(all.contains("No more reverse-execution history"), "{all}");
    machine.finish();
}
