//! Programs by how they are run: from files of their own, or with libraries; interpreted, translated, and with hardly any
//! room for translations.

use super::support::{GUESTS, Guest, expected, native, run, run_within, stderr, stdout};
use std::path::Path;
use std::process::Command;

/// Settings of the translator that no program may notice.
const SETTINGS: [&str; 5] =
    ["", "after=never", "after=0,hot=0", "after=0,hot=0,registers=7", "after=0,hot=2,code=64K"];

/// What is compared with QEMU.
struct Peer {
    /// Arguments that its run gets.
    args: &'static [&'static str],
    /// Whether it prints a line as it has to be.
    trusted: fn(&str) -> bool,
}

fn check(name: &str, settings: &[&str], peer: Peer) {
    GUESTS.iter().for_each(|guest| check_guest(guest, name, settings, &peer));
}

fn check_guest(guest: &Guest, name: &str, settings: &[&str], peer: &Peer) {
    let Some(program) = guest.compile(name, &["-static"]) else { return };
    let wanted = expected(name).replace("GUEST", guest.name);
    for setting in settings {
        let output = run(guest.mimic().arg(&program).env("MIMIC_CHAOS", setting));
        let context = format!("{name}, {}, {setting}: {} {}", guest.name, output.status, stderr(&output));
        assert_eq!(steady(&stdout(&output)), wanted, "{context}");
        assert!(output.status.success(), "{context}");
    }
    let theirs = run(Command::new(guest.emulator()).arg(&program).args(peer.args));
    if theirs.status.code() == Some(127) {
        return eprintln!("not compared: {} is not installed", guest.emulator());
    }
    let lines =
        |text: &str| text.lines().filter(|line| (peer.trusted)(line)).map(String::from).collect::<Vec<_>>();
    assert_eq!(lines(&steady(&stdout(&theirs))), lines(&wanted), "{name}: QEMU says otherwise");
}

/// [`check`], and that the host's kernel says the same.
fn check_native(name: &str, settings: &[&str], peer: Peer) {
    if let Some(theirs) = native(name) {
        assert_eq!(theirs, expected(name), "{name}: the host's kernel says otherwise");
    }
    check(name, settings, peer);
}

/// Output without what is different each time.
fn steady(text: &str) -> String {
    let random = |word: &str| word.starts_with("/tmp/mimic-");
    let line = |line: &str| {
        line.split(' ').map(|w| if random(w) { "FILE" } else { w }).collect::<Vec<_>>().join(" ")
    };
    text.lines().map(|l| line(l) + "\n").collect()
}

#[test]
fn signals() {
    // QEMU does atomic operations on any address; the kernel's answer to one that is not aligned is its source's.
    let trusted = |line: &str| !line.starts_with("misaligned");
    check("signals", &SETTINGS, Peer { args: &[], trusted });
}

#[test]
fn frame() {
    for guest in &GUESTS {
        // QEMU 10.0.2 leaves riscv64's vector unit out of the frame, and takes aarch64's vectors back from the record of SVE.
        let trusted = match guest.name {
            "riscv64" => |line: &str| line.starts_with("mode"),
            _ => |line: &str| !line.starts_with("vectors afterwards"),
        };
        check_guest(guest, "frame", &SETTINGS, &Peer { args: &[], trusted });
    }
}

#[test]
fn threads() {
    // QEMU 10.0.2 has no robust mutexes, and at times hangs when there are forks among threads.
    let trusted = |line: &str| !line.starts_with("forks") && !line.starts_with("owner");
    check("threads", &["", "after=0,code=64K"], Peer { args: &["short"], trusted });
}

#[test]
fn memory() {
    // QEMU's translations do not see stores through another mapping; its /proc/self/stat knows nothing of addresses.
    let trusted =
        |line: &str| !["dual mapping", "stat:", "maps:"].iter().any(|begin| line.starts_with(begin));
    check("memory", &SETTINGS, Peer { args: &[], trusted });
}

#[test]
fn mem() {
    // QEMU's translations do not see what is written.
    let trusted = |line: &str| !["code", "a ", " "].iter().any(|begin| line.starts_with(begin));
    check_native("mem", &SETTINGS, Peer { args: &["short"], trusted });
}

#[test]
fn processes() {
    // QEMU's vfork is a fork, and without binfmt_misc it runs no program of the guest's.
    let trusted = |line: &str| !["spawn", "child:", "script"].iter().any(|begin| line.starts_with(begin));
    check("processes", &["", "after=0"], Peer { args: &[], trusted });
}

#[test]
fn ptrace() {
    // QEMU has none.
    check("ptrace", &["", "after=0,hot=0"], Peer { args: &[], trusted: |_| false });
    for guest in &GUESTS {
        let Some(program) = guest.compile("ptrace", &["-static"]) else { continue };
        let output = run(guest.mimic().arg(&program).env("WAITID", "1"));
        let context = format!("by waitid, {}: {} {}", guest.name, output.status, stderr(&output));
        assert_eq!(stdout(&output), expected("ptrace"), "{context}");
    }
}

#[test]
fn clones() {
    // QEMU 10.0.2 has no clone3, copies what is to be shared, and at times hangs when there are forks among threads.
    check(
        "clones",
        &["", "after=0,hot=0"],
        Peer { args: &["short"], trusted: |line| line.starts_with("clone,") },
    );
}

#[test]
fn vforks() {
    // QEMU 10.0.2 does not wait, and hangs.
    check_native("vforks", &["", "after=0,hot=0"], Peer { args: &["other"], trusted: |_| false });
}

#[test]
fn limits() {
    // QEMU 10.0.2 has none of these.
    check_native("limits", &["", "after=0,hot=0"], Peer { args: &["other"], trusted: |_| false });
}

#[test]
fn execs() {
    // QEMU runs no program of the guest's without binfmt_misc, so for it none is one.
    check("execs", &[""], Peer { args: &[], trusted: |_| false });
}

#[test]
fn interrupted() {
    // QEMU 10.0.2 makes the others again, for ever.
    let trusted = |line: &str| ["futex:", "read:", "recv:"].iter().any(|begin| line.starts_with(begin));
    check_native("interrupted", &["", "after=0,hot=0"], Peer { args: &["short"], trusted });
}

#[test]
fn masks() {
    check("masks", &["", "after=0,hot=0"], Peer { args: &[], trusted: |_| true });
}

#[test]
fn restarted() {
    check_native("restarted", &["", "after=0,hot=0"], Peer { args: &[], trusted: |_| true });
}

#[test]
fn refused() {
    // QEMU 10.0.2 takes more.
    check("refused", &[""], Peer { args: &[], trusted: |_| false });
}

#[test]
fn unused_arguments() {
    // QEMU 10.0.2 follows them, and ends with a fault of its own. What is expected is what the host's kernel answers.
    check("unused", &[""], Peer { args: &[], trusted: |_| false });
}

/// Atomic, ordered and exclusive accesses of aarch64 may be anywhere within sixteen bytes (FEAT_LSE2), but where a model lacks that.
#[test]
fn unaligned_atomics() {
    use std::os::unix::process::ExitStatusExt;
    let guest = &GUESTS[1];
    let Some(program) = guest.compile("unaligned", &["-static", "-march=armv8.4-a"]) else { return };
    for setting in ["", "after=never", "after=0,hot=0"] {
        let output = run(guest.mimic().arg(&program).env("MIMIC_CHAOS", setting));
        assert_eq!(
            stdout(&output),
            expected("unaligned"),
            "{setting}: {} {}",
            output.status,
            stderr(&output)
        );
    }
    let older = run(guest.mimic().args(["-cpu", "neoverse-n1"]).arg(&program));
    assert_eq!(older.status.signal(), Some(libc::SIGBUS), "{older:?}");
    let theirs = run(Command::new(guest.emulator()).args(["-cpu", "max"]).arg(&program));
    if theirs.status.code() != Some(127) {
        assert_eq!(stdout(&theirs), expected("unaligned"), "QEMU says otherwise");
    }
}

#[test]
fn with_libraries() {
    for guest in GUESTS.iter().filter(|guest| Path::new(guest.sysroot).exists()) {
        for options in [&["-pie"][..], &["-no-pie"]] {
            let Some(program) = guest.compile("unwind", options) else { continue };
            let output = run(guest.mimic().args(["-L", guest.sysroot]).arg(&program));
            assert_eq!(stdout(&output), expected("unwind"), "{}: {}", guest.name, stderr(&output));
        }
    }
}

/// aarch64's address sanitizer has memory at fixed places, up to 0x5400_0000_0000.
#[test]
fn sanitized() {
    let guest = &GUESTS[1];
    if !Path::new(guest.sysroot).join("lib/libasan.so.8").exists() {
        return eprintln!("skipped: libasan is not installed");
    }
    let Some(program) = guest.compile("overflow", &["-fsanitize=address"]) else { return };
    let finds = |mut command: Command| {
        let output = run(command.args(["-L", guest.sysroot]).arg(&program));
        let text = stderr(&output);
        assert!(text.contains("AddressSanitizer: heap-buffer-overflow on address"), "{text}");
    };
    finds(guest.mimic());
}

#[test]
fn a_crash_is_the_guests() {
    use std::os::unix::process::ExitStatusExt;
    for guest in &GUESTS {
        let Some(program) = guest.compile("crash", &["-static"]) else { continue };
        for (how, signal) in
            [("segv", 11), ("abort", 6), ("ill", 4), ("trap", 5), ("bus", 7), ("pc", 11), ("stack", 11)]
        {
            // Without `timeout`, which would tell the signal as a number.
            let ours = guest.mimic().arg(&program).arg(how).output().expect("it starts");
            assert_eq!(ours.status.signal(), Some(signal), "{}, {how}: {ours:?}", guest.name);
        }
    }
}

/// How long the torture lasts: `MIMIC_TORTURE_SECONDS`.
#[test]
fn torture() {
    let seconds = std::env::var("MIMIC_TORTURE_SECONDS").map_or(5, |text| text.parse().expect("seconds"));
    for guest in &GUESTS {
        let Some(program) = guest.compile("torture", &["-static"]) else { continue };
        // A small cache for translations is full, and emptied, again and again: memory grows no more.
        let mut command = guest.mimic();
        command.arg(&program).arg(seconds.to_string()).env("MIMIC_CHAOS", "code=256K");
        let output = run_within(seconds + 120, &mut command);
        let context = format!("{}: {} {}", guest.name, output.status, stderr(&output));
        assert_eq!(stdout(&output), "wrong 0, idle 0, grows 0\n", "{context}");
    }
}
