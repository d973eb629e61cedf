//! The command line: QEMU's options, in sentences where they are wrong.

use super::support::{GUESTS, HOST, called, compile, mimic, run, stderr, stdout};
use std::process::Command;

#[test]
fn mistakes_are_told_in_a_sentence() {
    let said = |words: &[&str]| {
        let output = run(mimic().args(words));
        (output.status.code(), stderr(&output))
    };
    let cases: [(&[&str], i32, &str); 16] = [
        (&["-strce", "x"], 1, "qemu-riscv64: -strce: unknown option; did you mean -strace?\n"),
        (&["-L"], 1, "qemu-riscv64: -L: needs an argument: -L path\n"),
        (&[], 1, "qemu-riscv64: the command line: no program to run is named\n"),
        (&["-g", "70000", "x"], 1, "qemu-riscv64: -g 70000: expects a port from 1 to 65535\n"),
        (
            &["-B", "0x1000", "x"],
            1,
            "qemu-riscv64: -B 0x1000: guest addresses are host addresses here: the base is always 0\n",
        ),
        (&["-p", "8192", "x"], 1, "qemu-riscv64: -p 8192: pages are those of the host here: 4096 bytes\n"),
        (
            &["-t", "40 41", "x"],
            1,
            "qemu-riscv64: -t 40 41: expects 'TSIG HSIG N', several parted by commas\n",
        ),
        (&["-seed", "x", "x"], 1, "qemu-riscv64: -seed x: expects a number\n"),
        (
            &["-R", "1M", "x"],
            1,
            "qemu-riscv64: -R 1M: is no room for a program: there must be 16M at least\n",
        ),
        (&["--"], 1, "qemu-riscv64: the command line: no program to run is named\n"),
        (
            &["-cpu", "max,h=on", "/bin/sh"],
            1,
            "qemu-riscv64: -cpu max,h=on: CPU property 'h' can only be 'off'\n",
        ),
        (&["-E", "X", "x"], 1, "qemu-riscv64: -E X: expects NAME=VALUE\n"),
        (
            &["-d", "in_sam", "x"],
            1,
            "qemu-riscv64: -d in_sam: there is no log item 'in_sam'; did you mean in_asm?\n",
        ),
        (
            &["-d", "strace,tid", "-D", "log", "x"],
            1,
            "qemu-riscv64: -d tid: needs -D, with %d in the file's name for the thread's number\n",
        ),
        (&["/bin/sh"], 255, "qemu-riscv64: /bin/sh: Invalid ELF image for this architecture\n"),
        (&["/nowhere"], 1, "qemu-riscv64: cannot open '/nowhere': No such file or directory (os error 2)\n"),
    ];
    for (words, status, text) in cases {
        assert_eq!(said(words), (Some(status), text.into()), "{words:?}");
    }
}

#[test]
fn listings() {
    for (word, begin) in
        [("-h", "usage: qemu-riscv64 [options] program"), ("-version", "qemu-riscv64 version 10.0.2")]
    {
        let output = run(mimic().arg(word));
        assert!(output.status.success() && stdout(&output).starts_with(begin), "{output:?}");
    }
    let output = run(mimic().args(["-cpu", "help"]));
    assert!(stdout(&output).contains("rv64"), "{output:?}");
}

#[test]
fn environment_and_name() {
    let Some(program) = compile("show", &["-static"]) else { return };
    let mut command = mimic();
    command.env_clear().env("QEMU_SET_ENV", "A=1,B=2").args(["-E", "C=3", "-U", "B", "-0", "called"]);
    let output = run(command.arg(&program).args(["-x", "y"]));
    let text = stdout(&output);
    assert!(text.contains("called -x y\n"), "{text} {}", stderr(&output));
    let has = |line: &str| text.lines().any(|l| l == line);
    assert!(has("A=1") && has("C=3") && !has("B=2"), "{text}");
    let output = run(mimic().args(["-s", "1M", "-r", "9.9.9", "-strace"]).arg(&program));
    assert!(stderr(&output).contains("write(1,\""), "{}", stderr(&output));
}

/// What QEMU's user mode takes, too.
#[test]
fn options_that_ask_for_what_is_there() {
    for guest in &GUESTS {
        let Some(program) = guest.compile("show", &["-static"]) else { continue };
        let words = match guest.name {
            "riscv64" => "max,h=off,vext_spec=v1.0,rvv_ta_all_1s=off,rvv_ma_all_1s=off",
            _ => "max,sve=off,sme=off,lpa2=off,aarch64=on,pmu=off",
        };
        let mut command = guest.mimic();
        command.args(["-p", "4096", "-t", "40 41 2,50 51 1", "-R", "64M", "-cpu", words, "--"]).arg(&program);
        // What may have been left for QEMU.
        command.env("QEMU_PAGESIZE", "65536").env("QEMU_TRACE", "x").env("QEMU_RTSIG_MAP", "40 41 2");
        let output = run(command.arg("y"));
        assert!(stdout(&output).contains(" y\n") && output.status.success(), "{}: {output:?}", guest.name);
    }
}

/// `-d page`: where the parts of a program are is QEMU's answer, too.
#[test]
fn the_layout_of_memory_is_logged() {
    for guest in &GUESTS {
        let Some(program) = guest.compile("show", &["-static"]) else { continue };
        let parts = |text: &str| -> Vec<String> {
            let fixed = ["end_code", "start_code", "start_data", "end_data", "entry", "brk"];
            text.lines()
                .filter(|line| fixed.iter().any(|name| line.starts_with(name)))
                .map(String::from)
                .collect()
        };
        let ours = stderr(&run(guest.mimic().args(["-d", "page"]).arg(&program)));
        let head = "page layout changed following binary load\nstart            end              size             prot\n";
        assert!(ours.contains(head) && ours.contains("page layout changed following mmap\n"), "{ours}");
        assert_eq!(parts(&ours).len(), 6, "{ours}");
        let theirs = run(Command::new(guest.emulator()).args(["-d", "page"]).arg(&program));
        if theirs.status.code() != Some(127) {
            assert_eq!(parts(&ours), parts(&stderr(&theirs)), "{}: QEMU says otherwise", guest.name);
        }
    }
}

#[test]
fn vector_registers_are_logged() {
    let Some(program) = compile("show", &["-static"]) else { return };
    let log = |items: &str| {
        let words = ["-cpu", "max,vlen=256", "-d", items, "-dfilter", "0x10000+0x800"];
        stderr(&run(mimic().args(words).arg(&program)))
    };
    let text = log("cpu,vpu");
    assert!(text.contains("\n vlenb    0000000000000020\n v0       "), "{text}");
    assert!(text.lines().any(|line| line.starts_with(" v31      ") && line.len() == 10 + 64), "{text}");
    assert!(!log("cpu").contains("vlenb"));
}

#[test]
fn a_seed_repeats_what_is_random() {
    let Some(program) = compile("show", &["-static"]) else { return };
    let random = |words: &[&str]| {
        let output = run(mimic().args(words).arg(&program));
        let text = stdout(&output);
        text.lines().find(|line| line.starts_with("random ")).expect("it is shown").to_string()
    };
    assert_eq!(random(&["-seed", "5"]), random(&["-seed", "5"]));
    assert_ne!(random(&["-seed", "5"]), random(&["-seed", "6"]));
    assert_ne!(random(&[]), random(&[]));
}

#[test]
fn other_names() {
    let Some(program) = compile("show", &["-static"]) else { return };
    for mut command in [Command::new(called("qemu-riscv64-static")), Command::new(called("mimic"))] {
        if command.get_program().to_string_lossy().ends_with("mimic") {
            command.arg("user");
        }
        let output = run(command.args(["-L", GUESTS[0].sysroot]).arg(&program).arg("z"));
        assert!(stdout(&output).contains(" z\n"), "{output:?}");
    }
}

/// Limits of memory that a program begins with hold for it, and not for the emulator.
#[test]
fn limits_are_inherited() {
    let Some(native) = HOST.compile("limits", &["-static"]) else { return };
    let limited = |options: &[&str], command: &Command| {
        let mut words = Command::new("prlimit");
        words.args(options).arg(command.get_program()).args(command.get_args());
        stdout(&run(&mut words))
    };
    for guest in &GUESTS {
        let Some(program) = guest.compile("limits", &["-static"]) else { continue };
        let ours = |options: &[&str]| {
            let mut command = guest.mimic();
            command.args(options).arg(&program);
            command
        };
        for options in
            [&["--as=150000000:"][..], &["--data=150000000:", "--stack=3000000:"], &["--as=500000000:"]]
        {
            let theirs = limited(options, Command::new(&native).arg("limited"));
            assert_eq!(limited(options, ours(&[]).arg("limited")), theirs, "{}: {options:?}", guest.name);
        }
        assert_eq!(stdout(&run(ours(&["-s", "20M"]).arg("-s"))), "-s: none none 20M\n  200M: done\n");
        for (stack, status) in [("1M", None), ("8M", Some(0))] {
            let output = run(ours(&["-s", stack]).args(["deep", "4000000"]));
            assert_eq!(output.status.code(), status, "{}: -s {stack}: {output:?}", guest.name);
        }
    }
}
