//! `-strace`: a line a call, with names for what has one.

use super::support::{GUESTS, expected, run, scratch, stderr};
use std::path::Path;
use std::process::Command;
use std::{fs, io};

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

/// `-d tid`: how many calls of a kind stand in each file that `command` writes to `folder`, whose name is that of the thread which
/// made them.
fn files_of_threads(mut command: Command, program: &Path, folder: &Path) -> Vec<usize> {
    let _ = fs::remove_dir_all(folder);
    fs::create_dir_all(folder).expect("a scratch folder");
    let output = run(command.args(["-d", "in_asm,strace,tid", "-D"]).arg(folder.join("log.%d")).arg(program));
    assert_eq!(stderr(&output), "");
    let count = |entry: io::Result<fs::DirEntry>| {
        let path = entry.expect("it is there").path();
        let thread = path.extension().expect("a number").to_string_lossy().into_owned();
        let text = fs::read_to_string(&path).expect("it is there");
        let calls: Vec<&str> = text.lines().filter(|line| line.contains("getppid()")).collect();
        assert!(calls.iter().all(|line| line.starts_with(&format!("{thread} "))), "{text}");
        calls.len()
    };
    let mut counts: Vec<usize> = fs::read_dir(folder).expect("it is there").map(count).collect();
    counts.sort_unstable();
    counts
}

#[test]
fn a_file_for_each_thread() {
    for guest in &GUESTS {
        let Some(program) = guest.compile("debugged", &["-static"]) else { continue };
        let folder = scratch().join(format!("threads-{}", guest.name));
        assert_eq!(files_of_threads(guest.mimic(), &program, &folder), [0, 80, 80], "{}", guest.name);
        let theirs = Command::new(guest.emulator());
        if run(Command::new(guest.emulator()).arg("-version")).status.success() {
            assert_eq!(files_of_threads(theirs, &program, &folder), [0, 80, 80], "QEMU says otherwise");
        }
    }
}
