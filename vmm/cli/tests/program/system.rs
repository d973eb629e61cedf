//! `qemu-system-riscv64`: exit status, listings, signals, the monitor.

use std::fs;
use std::io::Read;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::json;

use crate::control::Client;
use crate::support::{PATIENCE, Qemu, exists, mimic, run, start};

/// A machine that has nothing to do and stays.
const IDLE: &str = "-bios none -display none -serial none";

#[test]
fn faults_of_the_command_line_end_with_one() {
    let qemu = Qemu::new();
    let faults = [
        "-nosuch",
        "-cpu rv65",
        "-M virtt",
        "-m lots",
        "-device virtio-blk-device,drive=none",
        "-bios nowhere.bin",
        "-bios none -coverage /no/where/lines.info",
        "-bios none -plugin drcov,filename=/no/where/blocks",
    ];
    for words in faults {
        let end = run(&mut qemu.command(words));
        assert_eq!(end.status, Some(1), "{words}: {}", end.err);
        assert!(end.err.starts_with("qemu-system-riscv64: -"), "{words}: {}", end.err);
        assert_eq!(end.err.lines().count(), 1, "{words}: {}", end.err);
    }
    let link = qemu.path("qemu-system-pdp11");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_mimic"), &link).expect("a link");
    assert_eq!(run(&mut Command::new(link)).status, Some(1));
    assert_eq!(run(mimic().arg("nonsense")).status, Some(1));
    assert_eq!(run(mimic().args(["run", "no-such-image"])).status, Some(1));
}

#[test]
fn faults_of_the_host_end_with_two() {
    let qemu = Qemu::new();
    for words in
        ["-kernel /nonexistent", "-bios none -drive file=/nonexistent", "-bios none -serial file:/no/where"]
    {
        let end = run(&mut qemu.command(&format!("{words} -nographic")));
        assert_eq!(end.status, Some(2), "{words}: {}", end.err);
        assert_eq!(end.err.lines().count(), 1, "{words}: {}", end.err);
    }
}

#[test]
fn clients_find_the_version() {
    let end = run(&mut Qemu::new().command("-version"));
    assert_eq!(end.status, Some(0));
    assert!(end.out.starts_with("QEMU emulator version 10."), "{}", end.out);
    let system = run(mimic().args(["system", "riscv64", "--version"]));
    assert_eq!(system.out, end.out);
}

#[test]
fn listings_are_not_faults() {
    let qemu = Qemu::new();
    for words in ["-cpu help", "-machine help", "-device help", "-d help", "-help"] {
        let end = run(&mut qemu.command(words));
        assert_eq!((end.status, &*end.err), (Some(0), ""), "{words}");
        assert!(end.out.lines().count() > 1, "{words}: {}", end.out);
    }
}

#[test]
fn sigterm_ends_it_when_nobody_listens() {
    let qemu = Qemu::new();
    let mut command = qemu.command(&format!("{IDLE} -monitor stdio"));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    let mut out = child.stdout.take().expect("a pipe");
    out.read_exact(&mut [0; 4]).expect("it speaks");
    drop((out, child.stderr.take()));
    // SAFETY: sends a signal to our child, which has not been waited for.
    unsafe { libc::kill(child.id() as i32, libc::SIGTERM) };
    let limit = std::time::Instant::now() + PATIENCE;
    while child.try_wait().expect("it is ours").is_none() {
        assert!(std::time::Instant::now() < limit, "it runs on: {:?}", child.kill());
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn sigterm_ends_it_soon() {
    let qemu = Qemu::new();
    let pidfile = qemu.path("pid");
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP] {
        let mut command = qemu.command(&format!("{IDLE} -monitor stdio -pidfile {}", pidfile.display()));
        let mut running = start(&mut command);
        running.expect("(qemu) ");
        let pid = std::fs::read_to_string(&pidfile).expect("it is there");
        assert_eq!(pid.trim(), running.child.id().to_string());
        let before = std::time::Instant::now();
        running.signal(signal);
        let end = running.finish();
        assert!(before.elapsed() < Duration::from_secs(2), "{:?}", before.elapsed());
        assert_eq!(end.status, Some(0), "{}", end.err);
        let line = format!("terminating on signal {signal} from pid {}", std::process::id());
        assert!(end.err.contains(&line), "{}", end.err);
        assert!(!exists(&pidfile));
    }
}

#[test]
fn the_monitor_stops_and_starts_the_machine() {
    let qemu = Qemu::new();
    let mut running = start(&mut qemu.command(&format!("{IDLE} -S -monitor stdio")));
    running.expect("(qemu) ");
    let talk = [
        ("info status", "VM status: paused (prelaunch)"),
        ("cont", "(qemu) "),
        ("info status", "VM status: running"),
        ("stop", "(qemu) "),
        ("info status", "VM status: paused\r"),
        ("info mtree", "prio 0, rom): mrom"),
        ("info qtree", "riscv.sifive.plic"),
        ("info version", "10.0.2\r"),
        ("nonsense", "unknown command"),
    ];
    for (line, answer) in talk {
        running.say(&format!("{line}\n"));
        running.expect(answer);
    }
    running.say("quit\n");
    let end = running.finish();
    assert_eq!((end.status, &*end.err), (Some(0), ""), "{}", end.out);
}

#[test]
fn the_multiplexer_reaches_the_monitor() {
    let qemu = Qemu::new();
    let mut running = start(&mut qemu.command("-bios none -nographic"));
    running.say("\x01c");
    running.expect("(qemu) ");
    running.say("info status\n");
    running.expect("running");
    running.say("\x01x");
    let end = running.finish();
    assert_eq!(end.status, Some(0), "{}", end.err);
    assert!(end.out.contains("Terminated"), "{}", end.out);
}

/// The program that was started ends once monitors can be reached; the machine is a process of its own then.
#[test]
fn a_daemon_lets_go_of_who_started_it() {
    let qemu = Qemu::new();
    let (image, pid, socket) = (qemu.file("image", &[0; 64]), qemu.path("pid"), qemu.path("qmp"));
    let words = format!(
        "-nodefaults -display none -bios {image} -S -daemonize -pidfile {} -qmp unix:{},server=on,wait=off",
        pid.display(),
        socket.display()
    );
    // Its streams have ended, too: nobody else holds them.
    let end = run(&mut qemu.command(&words));
    assert_eq!((end.status, &*end.out, &*end.err), (Some(0), "", ""));
    let number: i32 = fs::read_to_string(&pid).expect("it is there").trim().parse().expect("a number");
    let stream = UnixStream::connect(&socket).expect("it is there");
    // SAFETY: asks for the session of a process.
    assert_eq!(unsafe { libc::getsid(number) }, number, "it has a session of its own");
    let mut client = Client::new(stream);
    client.line();
    client.command("qmp_capabilities", json!({}));
    assert_eq!(client.command("query-status", json!({}))["status"], "prelaunch");
    client.command("quit", json!({}));
    while client.line().is_some() {}
    // What can not be started is told as ever.
    let end = run(&mut qemu.command(&words.replace(&image, "/nowhere")));
    assert_eq!((end.status, end.out.as_str()), (Some(1), ""));
    assert!(end.err.contains("/nowhere"), "{}", end.err);
}
