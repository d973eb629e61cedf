//! gdb on a machine: the packets that QEMU's clients compare, gdb itself, and stops at random.

use std::io::{Read, Write};
use std::process::Command;
use std::time::Duration;

use crate::assemble::assemble;
use crate::rsp::{Rsp, connect};
use crate::support::{Qemu, Running, run, start};

/// Two harts, each with a sum of its own: s0 is the sum, s1 the rounds left, s2 where the sum is stored.
const SUMS: &str = "
    la   s2, sums
    slli t0, a0, 3
    add  s2, s2, t0
    addi s0, a0, 7
    li   s1, ROUNDS
loop:
    slli t1, s0, 5
    add  s0, s0, t1
    add  s0, s0, s1
    call mix
    sd   s0, 0(s2)
    addi s1, s1, -1
    bnez s1, loop
done:
    j    done
mix:
    srli t1, s0, 11
    add  s0, s0, t1
    ld   t2, 0(s2)
    ret
    .align 8
sums: .space 16
";
const ROUNDS: u64 = 4_000_000;
const RAM: u64 = 0x8000_0000;
/// Addresses of the program's parts, in instructions from its start (`la` has two, `li` of a number this large too).
const LOOP: u64 = RAM + 4 * 7;
const CALL: u64 = LOOP + 4 * 3;
const DONE: u64 = LOOP + 4 * 7;
const MIX: u64 = DONE + 4;
const SUM_OF_FIRST: u64 = RAM + 80;

const PC: u32 = 32;
const S0: u32 = 8;

/// What the program computes.
fn sum(hart: u64) -> u64 {
    (1..=ROUNDS).rev().fold(hart + 7, |sum, round| {
        let sum = sum.wrapping_add(sum << 5).wrapping_add(round);
        sum.wrapping_add(sum >> 11)
    })
}

struct Debugged {
    qemu: Qemu,
    running: Running,
}

impl Debugged {
    fn start(words: &str) -> Self {
        let qemu = Qemu::new();
        let program = SUMS.replace("ROUNDS", &ROUNDS.to_string());
        let image = qemu.file("sums.bin", &assemble(&program).expect("well formed"));
        let socket = qemu.path("gdb");
        let running = start(&mut qemu.command(&format!(
            "-bios none -kernel {image} -display none -serial none -monitor none -S -gdb unix:{} {words}",
            socket.display()
        )));
        Self { qemu, running }
    }

    fn attach(&self) -> Rsp {
        let mut rsp = Rsp::connect(&self.qemu.path("gdb"));
        let answer = rsp.ask("qSupported:multiprocess+;swbreak+;hwbreak+");
        assert_eq!(answer, "PacketSize=1000;qXfer:features:read+;vContSupported+;multiprocess+");
        rsp
    }

    fn end(self, mut rsp: Rsp) {
        rsp.send("k");
        let end = self.running.finish();
        assert_eq!(end.status, Some(0), "{}", end.err);
        assert!(end.err.contains("Terminated via GDBstub"), "{}", end.err);
    }
}

#[test]
fn answers_are_those_of_qemu() {
    let machine = Debugged::start("-smp 2");
    let mut rsp = machine.attach();
    for (packet, answer) in [
        ("!", "OK"),
        ("?", "T05thread:p01.01;"),
        ("qAttached:1", "1"),
        ("qC", "QCp01.01"),
        ("qfThreadInfo", "mp01.01"),
        ("qsThreadInfo", "mp01.02"),
        ("qsThreadInfo", "l"),
        ("Hg0", "OK"),
        ("Hgp1.9", "E22"),
        ("H", "E22"),
        ("vCont?", "vCont;c;C;s;S;r"),
        ("qThreadExtraInfo,p1.1", "4350552330205b72756e6e696e675d"),
        ("qqemu.sstepbits", "ENABLE=1,NOIRQ=2,NOTIMER=4"),
        ("qqemu.sstep", "0x7"),
        ("Qqemu.sstep=3", "OK"),
        ("qqemu.sstep", "0x3"),
        ("Qqemu.sstep=7", "OK"),
        ("qqemu.PhyMemMode", "0"),
        ("Qqemu.PhyMemMode:1", "OK"),
        ("m80000000,4", "17090000"),
        ("Qqemu.PhyMemMode:0", "OK"),
        ("vMustReplyEmpty", ""),
        ("QStartNoAckMode", ""),
        ("Tp1.2", "OK"),
        ("Tp1.3", "E22"),
        ("m0,4", "E14"),
        ("m80000000,10000", "E22"),
        ("p1000", "E14"),
        ("p20", "0010000000000000"),
        ("Z5,0,1", ""),
        ("z2,80000000,4", "E22"),
        ("Z2,80000000,0", "E22"),
        ("Z3,fffffffffffffff8,10", "E22"),
        ("vAttach;1", "T05thread:p01.01;"),
        ("vCont;x", ""),
        ("vCont;c:p1.7", "E22"),
        ("M80000100,2:zz", "E22"),
        ("X80000100,4:abcd", "OK"),
        ("m80000100,4", "61626364"),
        ("P8=2a00000000000000", "OK"),
        ("p8", "2a00000000000000"),
        ("qXfer:features:read:nothing.xml:0,100", "E00"),
    ] {
        assert_eq!(rsp.ask(packet), answer, "{packet}");
    }
    // A hart's first register is fixed.
    rsp.ok("P0=ffffffffffffffff");
    assert_eq!(rsp.register(0), 0);
    assert_eq!(rsp.monitor("info version"), "10.0.2\r\n");
    assert!(rsp.monitor("help").contains("system_reset  -- reset the system"));
    rsp.send("vCont;s:p1.1");
    assert_eq!(rsp.next().as_deref(), Some("T05thread:p01.01;"));
    machine.end(rsp);
}

#[test]
fn points_stop_with_their_address() {
    let machine = Debugged::start("-smp 1");
    let mut rsp = machine.attach();
    let stop = |rsp: &mut Rsp, packet: &str| rsp.ask(packet);
    rsp.ok(&format!("Z0,{MIX:x},4"));
    assert_eq!(stop(&mut rsp, "vCont;c"), "T05thread:p01.01;");
    assert_eq!((rsp.register(PC), rsp.register(1)), (MIX, CALL + 4));
    rsp.ok(&format!("z0,{MIX:x},4"));
    for (kind, word, pc) in [(2, "watch", LOOP + 16), (3, "rwatch", MIX + 8), (4, "awatch", LOOP + 16)] {
        for _ in 0..2 {
            rsp.ok(&format!("Z{kind},{SUM_OF_FIRST:x},8"));
            let expected = format!("T05thread:p01.01;{word}:{SUM_OF_FIRST:016x};");
            assert_eq!(stop(&mut rsp, "vCont;c:p1.-1"), expected);
            let at = rsp.register(PC);
            assert!(at == pc || word == "awatch" && at == MIX + 8, "{word}: {at:#x}");
            rsp.ok(&format!("z{kind},{SUM_OF_FIRST:x},8"));
            assert_eq!(stop(&mut rsp, "s"), "T05thread:p01.01;");
        }
    }
    machine.end(rsp);
}

/// `vCont;r`: out of the range by a call, by a return, and not past a breakpoint within.
#[test]
fn steps_go_on_within_a_range() {
    let machine = Debugged::start("-smp 1");
    let mut rsp = machine.attach();
    let stopped = "T05thread:p01.01;";
    rsp.ok(&format!("Z0,{LOOP:x},4"));
    assert_eq!(rsp.ask("vCont;c"), stopped);
    assert_eq!(rsp.ask(&format!("vCont;r{LOOP:x},{DONE:x}:p1.1;c")), stopped);
    assert_eq!((rsp.register(PC), rsp.register(1)), (MIX, CALL + 4));
    assert_eq!(rsp.ask(&format!("vCont;r{MIX:x},{SUM_OF_FIRST:x}:p1.1")), stopped);
    assert_eq!(rsp.register(PC), CALL + 4);
    let before = rsp.register(S0);
    assert_eq!(rsp.ask(&format!("vCont;r{LOOP:x},{DONE:x}:p1.1")), stopped);
    assert_eq!(
        (rsp.register(PC), rsp.register(S0)),
        (LOOP, before),
        "the next round begins with a breakpoint"
    );
    // Nowhere: one step.
    assert_eq!(rsp.ask("vCont;r0,0:p1.1"), stopped);
    assert_eq!(rsp.register(PC), LOOP + 4);
    machine.end(rsp);
}

#[test]
fn a_second_client_is_sent_away_and_one_that_left_comes_back() {
    let machine = Debugged::start("-smp 2");
    let mut rsp = machine.attach();
    let mut second = Rsp::connect(&machine.qemu.path("gdb"));
    assert_eq!(second.next().as_deref(), Some("E.another debugger is attached already"));
    // The first one did not notice.
    rsp.send("vCont;c");
    std::thread::sleep(Duration::from_millis(20));
    rsp.raw(b"\x03");
    assert_eq!(rsp.next().as_deref(), Some("T02thread:p01.01;"));
    rsp.ok(&format!("Z0,{LOOP:x},4"));
    rsp.ok("D;1");
    drop(rsp);
    // It runs, and the breakpoint is gone: it comes to the end, and stays there.
    std::thread::sleep(Duration::from_millis(300));
    let mut rsp = machine.attach();
    assert_eq!(rsp.monitor("info status"), "VM status: paused\r\n");
    rsp.ok(&format!("Z1,{DONE:x},4"));
    assert!(rsp.ask("vCont;c").starts_with("T05thread:p01."));
    assert_eq!(rsp.register(PC), DONE);
    machine.end(rsp);
}

#[test]
fn a_shutdown_and_the_end_are_told() {
    let qemu = Qemu::new();
    let program = "li t0, 0x100000\n li t1, 0x73333\n sw t1, 0(t0)\nwait:\n wfi\n j wait\n";
    let image = qemu.file("end.bin", &assemble(program).expect("well formed"));
    let socket = qemu.path("gdb");
    let words = format!(
        "-bios none -kernel {image} -display none -serial none -monitor none -S -gdb unix:{}",
        socket.display()
    );
    let running = start(&mut qemu.command(&words));
    let mut rsp = Rsp::connect(&socket);
    assert_eq!(rsp.ask("vCont;c"), "W07");
    assert_eq!(running.finish().status, Some(7));
    let running = start(&mut qemu.command(&format!("{words} -no-shutdown")));
    let mut rsp = Rsp::connect(&socket);
    assert_eq!(rsp.ask("vCont;c"), "T03thread:01;");
    assert_eq!(rsp.monitor("info status"), "VM status: paused (shutdown)\r\n");
    rsp.monitor("system_reset");
    assert_eq!(rsp.register(PC), 0x1000);
    rsp.send("k");
    running.finish();
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ mixed >> 31) % end
    }
}

/// Stops, steps and goes on at random; `MIMIC_GDB_CYCLES` and `MIMIC_GDB_SEED` say how often and which.
#[test]
fn the_guest_does_not_notice() {
    let setting = |name: &str, usual| std::env::var(name).map_or(usual, |n| n.parse().expect("a number"));
    let (cycles, seed) = (setting("MIMIC_GDB_CYCLES", 300), setting("MIMIC_GDB_SEED", 1));
    let machine = Debugged::start("-smp 2");
    let mut rsp = machine.attach();
    let mut random = Random(seed);
    // Where each hart is when it has not come to its end.
    let busy = |rsp: &mut Rsp, hart: u64| {
        rsp.ok(&format!("Hgp1.{hart}"));
        rsp.register(PC) != DONE
    };
    for cycle in 0..cycles {
        let hart = 1 + random.below(2);
        let what = random.below(7);
        match what {
            0 | 1 => {
                rsp.send(["vCont;c", "c"][what as usize]);
                std::thread::sleep(Duration::from_micros(random.below(2000)));
                rsp.raw(b"\x03");
                let stop = rsp.next().expect("a stop");
                assert!(stop.starts_with("T02thread:p01.0"), "cycle {cycle}: {stop}");
            }
            2 => {
                for _ in 0..random.below(20) {
                    let packet = format!("vCont;s:p1.{hart}{}", ["", ";c:p1.-1"][random.below(2) as usize]);
                    assert_eq!(rsp.ask(&packet), format!("T05thread:p01.0{hart};"), "cycle {cycle}");
                }
            }
            3 | 4 if busy(&mut rsp, hart) => {
                // Only this hart goes there.
                let at = LOOP + 4 * random.below(7);
                let kind = random.below(2);
                rsp.ok(&format!("Z{kind},{at:x},4"));
                rsp.ok(&format!("Hgp1.{hart}"));
                if rsp.register(PC) == at {
                    rsp.ask(&format!("vCont;s:p1.{hart}"));
                }
                if busy(&mut rsp, hart) {
                    let stop = rsp.ask(&format!("vCont;c:p1.{hart}"));
                    assert_eq!(stop, format!("T05thread:p01.0{hart};"), "cycle {cycle}");
                    assert_eq!(rsp.register(PC), at, "cycle {cycle}");
                }
                rsp.ok(&format!("z{kind},{at:x},4"));
            }
            5 if busy(&mut rsp, hart) => {
                let (kind, word) = [(2, "watch"), (3, "rwatch"), (4, "awatch")][random.below(3) as usize];
                let addr = SUM_OF_FIRST + 8 * (hart - 1);
                rsp.ok(&format!("Z{kind},{addr:x},8"));
                let stop = rsp.ask(&format!("vCont;c:p1.{hart}"));
                assert_eq!(stop, format!("T05thread:p01.0{hart};{word}:{addr:016x};"), "cycle {cycle}");
                rsp.ok(&format!("z{kind},{addr:x},8"));
            }
            _ => {
                // Everything is written back as it was read.
                rsp.ok(&format!("Hgp1.{hart}"));
                let all = rsp.ask("g");
                rsp.ok(&format!("G{all}"));
                let code = rsp.ask(&format!("m{RAM:x},50"));
                rsp.ok(&format!("M{RAM:x},50:{code}"));
                let value = rsp.ask("p8");
                rsp.ok(&format!("P8={value}"));
            }
        }
    }
    rsp.ok(&format!("Z0,{DONE:x},4"));
    for hart in 1..=2 {
        rsp.ok(&format!("Hgp1.{hart}"));
        if rsp.register(PC) != DONE {
            assert_eq!(rsp.ask(&format!("vCont;c:p1.{hart}")), format!("T05thread:p01.0{hart};"));
        }
        rsp.ok(&format!("Hgp1.{hart}"));
        assert_eq!(rsp.register(PC), DONE);
        assert_eq!(rsp.register(S0), sum(hart - 1), "hart {hart}, seed {seed}");
        let addr = SUM_OF_FIRST + 8 * (hart - 1);
        let stored = rsp.ask(&format!("m{addr:x},8"));
        assert_eq!(u64::from_str_radix(&stored, 16).map(u64::swap_bytes), Ok(sum(hart - 1)));
    }
    machine.end(rsp);
}

/// gdb acknowledges the last answer as any other, and takes a line that is broken by then for a fault.
#[test]
fn the_last_answer_can_be_acknowledged() {
    let last = |machine: &Debugged, packet: &[u8], answer: &[u8]| {
        let mut client = connect(&machine.qemu.path("gdb"));
        client.write_all(packet).expect("the server is there");
        let mut heard = Vec::new();
        while !heard.ends_with(answer) {
            let mut byte = [0];
            client.read_exact(&mut byte).expect("an answer in time");
            heard.extend(byte);
        }
        std::thread::sleep(Duration::from_millis(50));
        client.write_all(b"+").expect("the server is still there");
    };
    let machine = Debugged::start("");
    last(&machine, b"$vKill;1#6e", b"$OK#9a");
    let end = machine.running.finish();
    assert_eq!(end.status, Some(0), "{}", end.err);
    assert!(end.err.contains("Terminated via GDBstub"), "{}", end.err);
    let machine = Debugged::start("");
    last(&machine, b"$qRcmd,71756974#d1", b"$W00#b7");
    assert_eq!(machine.running.finish().status, Some(0));
}

/// What a person types, to the real gdb.
#[test]
fn gdb_itself() {
    let gdb = match Command::new("gdb-multiarch").arg("--version").output() {
        Ok(_) => "gdb-multiarch",
        Err(fault) => {
            let needed = std::env::var_os("MIMIC_PEERS").is_some();
            assert!(!needed, "gdb-multiarch has to be there (MIMIC_PEERS is set): {fault}");
            return eprintln!("gdb-multiarch is not there: skipped");
        }
    };
    let machine = Debugged::start("-smp 2 -cpu max");
    let socket = machine.qemu.path("gdb");
    let script = format!(
        "set confirm off
        set pagination off
        set architecture riscv:rv64
        target remote {}
        info threads
        hbreak *{MIX:#x}
        continue
        printf \"at %#lx from %#lx\\n\", $pc, $ra
        delete
        thread 1
        set scheduler-locking on
        watch *(long*){SUM_OF_FIRST:#x}
        continue
        printf \"stored at %#lx\\n\", $pc
        delete
        rwatch *(long*){SUM_OF_FIRST:#x}
        continue
        printf \"loaded at %#lx\\n\", $pc
        delete
        stepi
        printf \"stepped to %#lx\\n\", $pc
        set $a5 = 0x1234
        set $mscratch = 0x5678
        set $fa0.double = 2.5
        set $v3.w[1] = 9
        printf \"%#lx %#lx %g %d %d\\n\", $a5, $mscratch, $fa0.double, $v3.w[1], $priv
        print/x *(int*){RAM:#x}
        monitor info status
        detach
        target remote {}
        info registers pc
        kill
        ",
        socket.display(),
        socket.display()
    );
    let file = machine.qemu.file("script", script.as_bytes());
    let talk = run(Command::new(gdb).args(["-q", "-nx", "-batch", "-x", &file]));
    let lines = [
        "Thread 1.1 (CPU#0 [running])".to_string(),
        "Thread 1.2 (CPU#1 [running])".into(),
        format!("at {MIX:#x} from {:#x}", CALL + 4),
        format!("stored at {:#x}", LOOP + 20),
        format!("loaded at {:#x}", MIX + 12),
        format!("stepped to {:#x}", CALL + 4),
        "0x1234 0x5678 2.5 9 3".into(),
        "VM status: paused (debug)".into(),
        "Inferior 1 (process 1) detached".into(),
        "Inferior 1 (process 1) killed".into(),
    ];
    for line in lines {
        assert!(
            talk.out.contains(&line) || talk.err.contains(&line),
            "no {line:?} in {}\n{}",
            talk.out,
            talk.err
        );
    }
    let end = machine.running.finish();
    assert_eq!(end.status, Some(0), "{}", end.err);
}
