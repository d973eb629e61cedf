//! Programs by how they are run: from files of their own, or with libraries; interpreted, translated, and with hardly any
//! room for translations.

use super::support::{SYSROOT, compile, expected, mimic, run, stderr, stdout};
use std::path::Path;
use std::process::Command;

/// Settings of the translator that no program may notice.
const SETTINGS: [&str; 5] =
    ["", "after=never", "after=0,hot=0", "after=0,hot=0,registers=7", "after=0,hot=2,code=64K"];

/// Whether QEMU prints a line as it has to be.
type Trusted = fn(&str) -> bool;

fn check(name: &str, settings: &[&str], trusted: Trusted) {
    let Some(program) = compile(name, &["-static"]) else { return };
    for setting in settings {
        let output = run(mimic().arg(&program).env("MIMIC_CHAOS", setting));
        let context = format!("{name}, {setting}: {} {}", output.status, stderr(&output));
        assert_eq!(steady(&stdout(&output)), expected(name), "{context}");
        assert!(output.status.success(), "{context}");
    }
    let theirs = run(Command::new("qemu-riscv64").arg(&program));
    if theirs.status.code() == Some(127) {
        return eprintln!("not compared: qemu-riscv64 is not installed");
    }
    let lines = |text: &str| text.lines().filter(|line| trusted(line)).map(String::from).collect::<Vec<_>>();
    assert_eq!(lines(&steady(&stdout(&theirs))), lines(&expected(name)), "{name}: QEMU says otherwise");
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
    check("signals", &SETTINGS, |line| !line.starts_with("misaligned"));
}

#[test]
fn threads() {
    check("threads", &["", "after=0,code=64K"], |_| true);
}

#[test]
fn memory() {
    // QEMU's translations do not see stores through another mapping.
    check("memory", &SETTINGS, |line| !line.starts_with("dual mapping"));
}

#[test]
fn processes() {
    // QEMU's vfork is a fork, and without binfmt_misc it runs no program of the guest's.
    check("processes", &["", "after=0"], |line| {
        !["spawn", "child:", "script"].iter().any(|begin| line.starts_with(begin))
    });
}

#[test]
fn with_libraries() {
    if !Path::new(SYSROOT).exists() {
        return;
    }
    for options in [&["-pie"][..], &["-no-pie"]] {
        let Some(program) = compile("unwind", options) else { return };
        let output = run(mimic().args(["-L", SYSROOT]).arg(&program));
        assert_eq!(stdout(&output), expected("unwind"), "{}", stderr(&output));
    }
}

#[test]
fn a_crash_is_the_guests() {
    let Some(program) = compile("crash", &["-static"]) else { return };
    use std::os::unix::process::ExitStatusExt;
    for (how, signal) in
        [("segv", 11), ("abort", 6), ("ill", 4), ("trap", 5), ("bus", 7), ("pc", 11), ("stack", 11)]
    {
        // Without `timeout`, which would tell the signal as a number.
        let ours = mimic().arg(&program).arg(how).output().expect("it starts");
        assert_eq!(ours.status.signal(), Some(signal), "{how}: {ours:?}");
    }
}

/// How long the torture lasts: `MIMIC_TORTURE_SECONDS`.
#[test]
fn torture() {
    let Some(program) = compile("torture", &["-static"]) else { return };
    let seconds = std::env::var("MIMIC_TORTURE_SECONDS").unwrap_or_else(|_| "5".into());
    let output = mimic().arg(&program).arg(seconds).output().expect("it starts");
    assert_eq!(stdout(&output), "wrong 0, idle 0, grows 0\n", "{} {}", output.status, stderr(&output));
}
