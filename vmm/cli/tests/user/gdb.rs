//! `-g`: gdb on a program, by its packets and by gdb itself, and stops at random.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use object::{Object, ObjectSymbol};

use super::rsp::Rsp;
use super::support::{GUESTS, Guest, PATIENCE, run, scratch, stderr, stdout};

/// Both guests' number of the program counter.
const PC: u32 = 32;

/// A program under Mimic, waiting for a debugger.
struct Debugged {
    child: Child,
    socket: PathBuf,
    program: PathBuf,
}

impl Debugged {
    fn start(guest: &Guest, test: &str, options: &[&str], args: &[&str]) -> Option<Self> {
        let program = guest.compile("debugged", options)?;
        let socket = scratch().join(format!("{test}-{}", guest.name));
        let _ = std::fs::remove_file(&socket);
        let mut command = guest.mimic();
        if Path::new(guest.sysroot).exists() {
            command.args(["-L", guest.sysroot]);
        }
        command.arg("-g").arg(&socket).arg(&program).args(args);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        Some(Self { child, socket, program })
    }

    fn attach(&self) -> Rsp {
        let mut rsp = Rsp::connect(&self.socket);
        let answer = rsp.ask("qSupported:multiprocess+;fork-events+;exec-events+");
        assert!(answer.starts_with("PacketSize=1000;qXfer:features:read+;qXfer:auxv:read+;"), "{answer}");
        rsp
    }

    fn address(&self, symbol: &str) -> u64 {
        let bytes = std::fs::read(&self.program).expect("it was compiled");
        let file = object::File::parse(&*bytes).expect("a program");
        let found = file.symbols().find(|s| s.name() == Ok(symbol));
        found.unwrap_or_else(|| panic!("there is no {symbol}")).address()
    }

    fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the end; status and what was printed.
    fn finish(mut self) -> (Option<i32>, String, String) {
        let limit = Instant::now() + PATIENCE;
        while self.child.try_wait().expect("our child").is_none() {
            if Instant::now() > limit {
                let _ = self.child.kill();
                panic!("the program did not end in {PATIENCE:?}");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let mut said = [String::new(), String::new()];
        self.child.stdout.take().expect("a pipe").read_to_string(&mut said[0]).expect("text");
        self.child.stderr.take().expect("a pipe").read_to_string(&mut said[1]).expect("text");
        let [out, err] = said;
        (self.child.wait().expect("our child").code(), out, err)
    }
}

/// What the program prints, by its own account.
fn sums(rounds: i64) -> String {
    let sum = |n: i64| {
        (1..=rounds).rev().fold(n + 7, |sum, round| {
            let sum = sum.wrapping_add(sum << 5).wrapping_add(round);
            sum ^ (sum as u64 >> 11) as i64
        })
    };
    format!("{:x} {:x}\n", sum(0), sum(1))
}
const ROUNDS: i64 = 8_000_000;
/// The same when it is told to take its time.
const LONG: i64 = 400_000_000;

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

/// The threads, in the order in which they began.
fn threads(rsp: &mut Rsp) -> Vec<String> {
    let mut threads = Vec::new();
    let mut answer = rsp.ask("qfThreadInfo");
    while let Some(thread) = answer.strip_prefix('m') {
        threads.push(thread.to_string());
        answer = rsp.ask("qsThreadInfo");
    }
    assert_eq!(answer, "l");
    threads
}

#[test]
fn answers() {
    for guest in &GUESTS {
        let Some(program) = Debugged::start(guest, "answers", &["-static"], &["short"]) else { continue };
        let mut rsp = program.attach();
        let pid = program.pid();
        let first = format!("p{pid:02x}.{pid:02x}");
        let path = program.program.to_str().expect("text");
        for (packet, answer) in [
            ("?", format!("T05thread:{first};")),
            ("qAttached:1", "0".into()),
            ("qC", format!("QC{first}")),
            ("vCont?", "vCont;c;C;s;S;t;r".into()),
            ("qOffsets", format!("Text={0:016x};Data={0:016x};Bss={0:016x}", 0)),
            ("qXfer:exec-file:read::0,800", format!("l{path}")),
            ("qXfer:nothing:read::0,800", String::new()),
            ("vFile:setfs:0", "F0".into()),
            ("vFile:open:2f6e6f7768657265,0,0", "F-1,2".into()),
            ("vFile:open:2f746d702f78,201,1ff", "F-1,1e".into()),
            ("vFile:pread:7,10,0", "F-1,9".into()),
            ("vMustReplyEmpty", String::new()),
            ("QCatchSyscalls:x", "E22".into()),
            ("m0,4", "E14".into()),
            ("QStartNoAckMode", "OK".into()),
        ] {
            assert_eq!(rsp.ask(packet), answer, "{}: {packet}", guest.name);
        }
        let xml = rsp.ask("qXfer:features:read:target.xml:0,800");
        let wanted = ["riscv-64bit-fpu.xml", "riscv-csr.xml", "aarch64-fpu.xml", "aarch64-pauth.xml"];
        let has = wanted.iter().filter(|file| xml.contains(*file)).count();
        assert_eq!(has, 2, "{xml}");
        // Program text reads back as it is, whatever breakpoints there are, and files are the program's.
        let mix = program.address("mix");
        let before = rsp.ask(&format!("m{mix:x},8"));
        rsp.ok(&format!("Z0,{mix:x},4"));
        assert_eq!(rsp.ask(&format!("m{mix:x},8")), before);
        assert_eq!(rsp.ask(&format!("vFile:open:{},0,0", hex(&format!("/proc/{pid}/cmdline")))), "F0");
        assert_eq!(rsp.ask("vFile:pread:0,800,0"), format!("F{:x};{path}\0short\0", path.len() + 7));
        assert_eq!(rsp.ask("vFile:close:0"), "F0");
        let stop = rsp.ask("vCont;c");
        assert!(stop.starts_with(&format!("T05thread:p{pid:02x}.")), "{stop}");
        assert_eq!(rsp.register(PC), mix);
        rsp.ok(&format!("z0,{mix:x},4"));
        rsp.ok("QCatchSyscalls:1;5e");
        let stop = rsp.ask("vCont;c");
        assert_eq!(stop, format!("T05thread:{first};syscall_entry:5e;"));
        assert_eq!(rsp.ask("vCont;c"), "W07");
        let (status, out, err) = program.finish();
        assert_eq!((status, out, err), (Some(7), sums(1000), String::new()), "{}", guest.name);
    }
}

#[test]
fn signals_are_given_or_not() {
    use std::os::unix::process::ExitStatusExt;
    for guest in &GUESTS {
        let Some(program) = Debugged::start(guest, "signals", &["-static"], &["signals"]) else { continue };
        let mut rsp = program.attach();
        let first = format!("p{0:02x}.{0:02x}", program.pid());
        // SIGUSR1 and SIGUSR2 have other numbers in gdb's list.
        assert_eq!(rsp.ask("vCont;c"), format!("T1ethread:{first};"));
        let info = rsp.ask("qXfer:siginfo:read::0,80");
        assert!(info.starts_with("l\n\0\0\0"), "{info:?}");
        assert_eq!(rsp.ask(&format!("vCont;C1e:{first}")), format!("T1ethread:{first};"));
        // The second is kept from it.
        assert_eq!(rsp.ask("vCont;c"), format!("T0fthread:{first};"));
        rsp.ok("QPassSignals:e;14");
        assert_eq!(rsp.ask("vCont;c"), format!("T06thread:{first};"));
        assert_eq!(rsp.ask("C06"), "X06");
        let mut program = program;
        let status = program.child.wait().expect("our child");
        assert_eq!(status.signal(), Some(libc::SIGABRT), "{}", guest.name);
        let mut out = String::new();
        program.child.stdout.take().expect("a pipe").read_to_string(&mut out).expect("text");
        assert_eq!(out, "caught 10\nalive\n");
    }
}

#[test]
fn a_thread_that_waits_is_looked_at_and_moved() {
    for guest in &GUESTS {
        let Some(program) = Debugged::start(guest, "wait", &["-static"], &["wait"]) else { continue };
        let mut rsp = program.attach();
        rsp.send("vCont;c");
        std::thread::sleep(Duration::from_millis(300));
        rsp.raw(b"\x03");
        let pid = program.pid();
        assert_eq!(rsp.next(), Some(format!("T02thread:p{pid:02x}.{pid:02x};")));
        let at = rsp.register(PC);
        // As for a call of a function: it leaves the system call, which is made again when all is put back.
        let all = rsp.ask("g");
        let mix = program.address("mix");
        let next = format!("P{PC:x}={}", hex_of(mix));
        rsp.ok(&next);
        assert_eq!(rsp.register(PC), mix);
        assert!(rsp.ask("vCont;s").starts_with("T05"));
        assert_ne!(rsp.register(PC), mix);
        rsp.ok(&format!("G{all}"));
        assert_eq!(rsp.register(PC), at);
        rsp.send("vCont;c");
        std::thread::sleep(Duration::from_millis(100));
        rsp.raw(b"\x03");
        assert_eq!(rsp.next(), Some(format!("T02thread:p{pid:02x}.{pid:02x};")));
        assert_eq!(rsp.register(PC), at, "{}: it waits again", guest.name);
        rsp.send("k");
        let (status, out, err) = program.finish();
        let said = format!("qemu-{}: QEMU: Terminated via GDBstub\n", guest.name);
        let said = (Some(0), String::new(), said);
        let err = err.rsplit('/').next().unwrap_or_default().to_string();
        assert_eq!((status, out, err), said);
    }
}

/// A 64-bit value as packets have it.
fn hex_of(value: u64) -> String {
    value.to_le_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
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
fn the_program_does_not_notice() {
    let setting = |name: &str, usual| std::env::var(name).map_or(usual, |n| n.parse().expect("a number"));
    let (cycles, seed) = (setting("MIMIC_GDB_CYCLES", 300), setting("MIMIC_GDB_SEED", 1));
    for guest in &GUESTS {
        let Some(program) = Debugged::start(guest, "random", &["-static"], &["long"]) else { continue };
        let mut random = Random(seed);
        let mut rsp = program.attach();
        let (work, mix, sums_at) = (program.address("work"), program.address("mix"), program.address("sums"));
        // Until both workers are there.
        rsp.ok(&format!("Z1,{work:x},4"));
        while threads(&mut rsp).len() < 3 {
            let stop = rsp.ask("vCont;c");
            let thread = stop.trim_start_matches("T05thread:").trim_end_matches(';').to_string();
            assert!(rsp.ask(&format!("vCont;s:{thread}")).starts_with("T05"), "{stop}");
        }
        rsp.ok(&format!("z1,{work:x},4"));
        let all = threads(&mut rsp);
        assert_eq!(all.len(), 3, "{all:?}");
        for cycle in 0..cycles {
            let context = format!("{}, seed {seed}, cycle {cycle}", guest.name);
            let number = random.below(2) as usize;
            let thread = &all[1 + number];
            match random.below(7) {
                0 | 1 => {
                    rsp.send(["vCont;c", "c"][number]);
                    std::thread::sleep(Duration::from_micros(random.below(2000)));
                    rsp.raw(b"\x03");
                    let stop = rsp.next().expect("a stop");
                    assert!(stop.starts_with("T02thread:p"), "{context}: {stop}");
                }
                2 => {
                    for _ in 0..random.below(20) {
                        let others = ["", ";c:p-1.-1"][random.below(2) as usize];
                        let stop = rsp.ask(&format!("vCont;s:{thread}{others}"));
                        assert_eq!(stop, format!("T05thread:{thread};"), "{context}");
                    }
                }
                3 | 4 => {
                    let kind = random.below(2);
                    rsp.ok(&format!("Hg{thread}"));
                    if rsp.register(PC) == mix {
                        rsp.ask(&format!("vCont;s:{thread}"));
                    }
                    rsp.ok(&format!("Z{kind},{mix:x},4"));
                    let stop = rsp.ask(&format!("vCont;c:{thread}"));
                    assert_eq!(stop, format!("T05thread:{thread};"), "{context}");
                    assert_eq!(rsp.register(PC), mix, "{context}");
                    rsp.ok(&format!("z{kind},{mix:x},4"));
                }
                5 => {
                    let (kind, word) = [(2, "watch"), (4, "awatch")][random.below(2) as usize];
                    let addr = sums_at + 8 * number as u64;
                    rsp.ok(&format!("Z{kind},{addr:x},8"));
                    let stop = rsp.ask(&format!("vCont;c:{thread}"));
                    assert_eq!(stop, format!("T05thread:{thread};{word}:{addr:016x};"), "{context}");
                    rsp.ok(&format!("z{kind},{addr:x},8"));
                }
                _ => {
                    // Everything is written back as it was read.
                    rsp.ok(&format!("Hg{thread}"));
                    let values = rsp.ask("g");
                    rsp.ok(&format!("G{values}"));
                    let code = rsp.ask(&format!("m{mix:x},20"));
                    rsp.ok(&format!("M{mix:x},20:{code}"));
                    if random.below(4) == 0 {
                        rsp.ok("D;1");
                        assert_eq!(rsp.next(), None, "{context}");
                        rsp = program.attach();
                        assert!(rsp.ask("?").starts_with("T05thread:p"), "{context}");
                    }
                }
            }
        }
        assert_eq!(rsp.ask("vCont;c"), "W07", "{}, seed {seed}", guest.name);
        let (status, out, err) = program.finish();
        assert_eq!((status, out, err), (Some(7), sums(LONG), String::new()), "{}", guest.name);
    }
}

/// A thread that begins while the debugger looks knows the breakpoints that there are when it runs, not those before.
#[test]
fn threads_begin_with_the_breakpoints_that_there_are() {
    for guest in &GUESTS {
        let Some(program) = Debugged::start(guest, "spawn", &["-static"], &["spawn"]) else { continue };
        let mut rsp = program.attach();
        for round in 0..200 {
            for name in ["mix", "turn"] {
                let at = program.address(name);
                rsp.ok(&format!("Z0,{at:x},4"));
                let stop = rsp.ask("vCont;c");
                let thread = stop.strip_prefix("T05thread:").and_then(|rest| rest.strip_suffix(';'));
                rsp.ok(&format!("Hg{}", thread.unwrap_or_else(|| panic!("{stop}"))));
                assert_eq!(rsp.register(PC), at, "{}, round {round}, {name}", guest.name);
                rsp.ok(&format!("z0,{at:x},4"));
            }
        }
        rsp.send("k");
        assert_eq!(program.finish().0, Some(0), "{}", guest.name);
    }
}

/// gdb for all architectures, if there is one.
pub fn gdb() -> Option<&'static str> {
    match Command::new("gdb-multiarch").arg("--version").output() {
        Ok(_) => Some("gdb-multiarch"),
        Err(fault) => {
            let needed = std::env::var_os("MIMIC_PEERS").is_some();
            assert!(!needed, "gdb-multiarch has to be there (MIMIC_PEERS is set): {fault}");
            eprintln!("gdb-multiarch is not there: skipped");
            None
        }
    }
}

/// Has gdb carry out `script` on `program`, and looks for `lines` in what it prints, in this order.
fn talk(gdb: &str, program: &Debugged, script: &str, lines: &[&str]) {
    let file = program.socket.with_extension("script");
    let text = format!(
        "set confirm off\nset pagination off\nset width 0\ntarget remote {}\n{script}",
        program.socket.display()
    );
    std::fs::write(&file, text).expect("a scratch file");
    let output = run(Command::new(gdb).args(["-q", "-nx", "-batch", "-x"]).arg(&file).arg(&program.program));
    let (out, err) = (stdout(&output), stderr(&output));
    let mut rest = &out[..];
    for line in lines {
        match rest.find(line) {
            Some(at) => rest = &rest[at + line.len()..],
            None => panic!("no {line:?} in order in {out}\n{err}"),
        }
    }
}

/// What people type.
#[test]
fn gdb_itself() {
    let Some(gdb) = gdb() else { return };
    for guest in &GUESTS {
        for options in [&["-static", "-g"][..], &["-g"]] {
            let dynamic = options.len() == 1;
            if dynamic && !Path::new(guest.sysroot).exists() {
                continue;
            }
            let Some(program) = Debugged::start(guest, "gdb", options, &[]) else { continue };
            let float = if guest.name == "riscv64" {
                "set $fa0.double = 2.5\nset $v3.w[1] = 9\nset $fcsr = 0x41\nprintf \"%g %d %#x %d\\n\", $fa0.double, $v3.w[1], $fcsr, $fflags"
            } else {
                "set $d0.f = 2.5\nset $v3.s.u[1] = 9\nset $fpcr = 0x400000\nprintf \"%g %d %#x %d\\n\", $d0.f, $v3.s.u[1], $fpcr, $fpsr"
            };
            let floats = if guest.name == "riscv64" { "2.5 9 0x41 1" } else { "2.5 9 0x400000 0" };
            let script = format!(
                "break mix
                hbreak main
                continue
                continue
                info threads
                thread apply all -c bt
                p $_thread > 0
                delete
                finish
                watch sums[0]
                continue
                printf \"stored %d\\n\", sums[0] != 0
                delete
                set scheduler-locking on
                rwatch rounds
                stepi
                delete
                next
                set scheduler-locking off
                {float}
                p mix(1, 2)
                p scale
                info proc
                detach
                target remote {}
                p rounds
                info auxv
                continue
                ",
                program.socket.display()
            );
            let status = format!("[Inferior 1 (process {}) exited with code 07]", program.pid());
            let lines = [
                "main (argc=",
                " mix (sum=",
                "in work (arg=",
                "Value returned is",
                "Hardware watchpoint",
                "stored 1",
                floats,
                // mix(1, 2) = 35.
                "= 35",
                "= 1.5",
                "exe = '",
                "] detached]",
                "= 8000000",
                "AT_ENTRY",
                &status,
            ];
            let lines: Vec<&str> = lines.into_iter().map(|line| line.trim_start_matches("] ")).collect();
            talk(gdb, &program, &script, &lines);
            let (status, out, err) = program.finish();
            let context = format!("{} {options:?}", guest.name);
            assert_eq!((status, out, err), (Some(7), sums(ROUNDS), String::new()), "{context}");
        }
    }
}

#[test]
fn gdb_follows() {
    let Some(gdb) = gdb() else { return };
    for guest in &GUESTS {
        for what in ["fork", "vfork"] {
            for (mode, lines) in [
                (
                    "parent",
                    &["catch", "(forked process", "[Detaching after fork from child", "exited with code 04"]
                        [..],
                ),
                ("child", &["Detaching after fork from parent", " mix (", "= 2", "exited with code 03"]),
            ] {
                let Some(program) = Debugged::start(guest, "follow", &["-static", "-g"], &[what]) else {
                    continue;
                };
                let script = match mode {
                    "parent" => "catch fork\ninfo breakpoints\ncontinue\nbreak mix\ncontinue\n",
                    _ => "set follow-fork-mode child\nbreak mix\ncontinue\nbt\np round\ncontinue\n",
                };
                talk(gdb, &program, script, lines);
                let (status, out, err) = program.finish();
                let expected = (Some(4), "child 3\n".to_string(), String::new());
                assert_eq!((status, out, err), expected, "{} {what} {mode}", guest.name);
            }
        }
        let Some(program) = Debugged::start(guest, "exec", &["-static", "-g"], &["exec"]) else { continue };
        let lines = ["is executing new program", "Catchpoint", "main (argc=2", "exited with code 07"];
        talk(gdb, &program, "catch exec\ncontinue\nbreak main\ncontinue\ncontinue\n", &lines);
        let (status, out, err) = program.finish();
        assert_eq!((status, out, err), (Some(7), sums(1000), String::new()), "{}", guest.name);
    }
}
