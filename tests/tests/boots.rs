//! Boots of the whole program: the guest inside it, and Debian's kernel when its image is in the cache (or `MIMIC_FETCH=1`
//! allows to fetch it), each under ordinary and under chaotic settings (`MIMIC_CHAOS`).

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

/// The program, built beside this test.
fn mimic() -> Command {
    let mut path = std::env::current_exe().expect("a test has a path");
    while path.file_name().is_some_and(|name| name != "release" && name != "debug") {
        path.pop();
    }
    let path: PathBuf = path.join("mimic");
    assert!(path.is_file(), "{} is not built: run the tests of the whole workspace", path.display());
    Command::new(path)
}

/// Runs `command` with `input` typed at it; fails after `limit`.
fn run(mut command: Command, input: &[u8], limit: Duration) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut stdin = child.stdin.take().expect("piped");
    let input = input.to_vec();
    let typist = std::thread::spawn(move || {
        // The guest may power off before it has read everything.
        let _ = stdin.write_all(&input);
        std::thread::sleep(limit);
    });
    let pid = child.id().to_string();
    let watchdog = std::thread::spawn(move || {
        std::thread::sleep(limit);
        let _ = Command::new("kill").arg("-9").arg(pid).status();
    });
    let output = child.wait_with_output().expect("the program ends");
    drop((typist, watchdog));
    output
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// What every run has in common with every other: nothing a guest sees may depend on it.
const CHAOS: [&str; 10] = [
    "",
    "tlb=4",
    "code=64K",
    "after=0",
    "after=never",
    "hot=never",
    "hot=0",
    "background=off",
    "background=on,after=0,hot=0,code=256K",
    "tlb=4,code=128K,after=0,hot=1,registers=7",
];

#[test]
fn the_guest_inside_says_the_same_under_every_setting() {
    let mut first = None;
    for chaos in CHAOS {
        let mut command = mimic();
        command.args(["run", "hello"]).env("MIMIC_CHAOS", chaos);
        let output = run(command, b"abcq", Duration::from_secs(60));
        assert_eq!(output.status.code(), Some(0), "{chaos}: {}", text(&output));
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.contains("Hello from a machine inside Mimic."), "{chaos}: {said}");
        match &first {
            None => first = Some(said),
            Some(first) => assert_eq!(first, &said, "{chaos}"),
        }
    }
}

/// The line that `debian-bench` prints when the kernel has reached its init.
const REACHED: &str = "MIMIC-INIT-OK";

#[test]
fn debian_reaches_init_under_every_setting() {
    if std::env::var_os("MIMIC_FETCH").is_none() {
        let list = run(
            {
                let mut c = mimic();
                c.args(["image", "path", "debian-bench"]);
                c
            },
            b"",
            Duration::from_secs(60),
        );
        if !list.status.success() {
            println!("skipped: no debian-bench image in the cache; MIMIC_FETCH=1 allows to fetch it");
            return;
        }
    }
    for (chaos, cpus) in [
        ("", "1"),
        ("", "4"),
        ("tlb=4", "1"),
        ("after=0,hot=0,registers=3,code=4096K", "2"),
        ("after=0,hot=3,background=on", "2"),
    ] {
        let mut command = mimic();
        command.args(["run", "debian-bench", "--cpus", cpus]).env("MIMIC_CHAOS", chaos);
        let output = run(command, b"", Duration::from_secs(300));
        assert_eq!(output.status.code(), Some(0), "{chaos} with {cpus}: {}", text(&output));
        assert!(text(&output).contains(REACHED), "{chaos} with {cpus}: {}", text(&output));
    }
}
