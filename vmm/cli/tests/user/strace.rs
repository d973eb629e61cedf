//! `-strace`: a line a call, with names for what has one.

use super::support::{GUESTS, expected, run, stderr};
use std::process::Command;

/// Lines from the first call that the program makes itself, without what is different each time.
fn steady(text: &str) -> Vec<String> {
    let without_pid = |line: &str| line.split_once(' ').map_or_else(String::new, |(_, call)| call.into());
    let word = |word: &str| if word.starts_with("0x0000") { "ADDRESS".into() } else { word.to_string() };
    let line = |line: String| {
        let parts: Vec<String> = line.split_inclusive([',', '(', ')', ' ']).map(String::from).collect();
        let shown = |part: &String| {
            let end = part.len() - usize::from(part.ends_with([',', '(', ')', ' ']));
            word(&part[..end]) + &part[end..]
        };
        parts.iter().map(shown).collect::<String>()
    };
    text.lines().map(without_pid).map(line).skip_while(|line| !line.starts_with("socket(")).collect()
}

#[test]
fn arguments_have_names() {
    for guest in &GUESTS {
        let Some(program) = guest.compile("traced", &["-static"]) else { continue };
        let ours = steady(&stderr(&run(guest.mimic().arg("-strace").arg(&program))));
        let text = expected("traced");
        let wanted: Vec<&str> = text.lines().collect();
        assert_eq!(ours, wanted, "{}", guest.name);
        let theirs = run(Command::new(guest.emulator()).arg("-strace").arg(&program));
        if theirs.status.code() == Some(127) {
            continue;
        }
        // Of the others QEMU 10.0.2 prints numbers, or more arguments than they have.
        let same = [
            "socket(",
            "fcntl(",
            "madvise(",
            "sendto(",
            "recvfrom(",
            "lseek(",
            "mknodat(",
            "openat(",
            "exit_group(",
        ];
        let chosen = |lines: &[String]| -> Vec<String> {
            lines.iter().filter(|line| same.iter().any(|begin| line.starts_with(begin))).cloned().collect()
        };
        assert_eq!(
            chosen(&steady(&stderr(&theirs).replace("(-100,", "(AT_FDCWD,"))),
            chosen(&ours),
            "{}: QEMU says otherwise",
            guest.name
        );
    }
}
