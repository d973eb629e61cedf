//! `mimic user --register`: in a mount namespace of its own, where the kernel has a `binfmt_misc` for it.

use super::support::{GUESTS, run, scratch, stderr, stdout};
use std::process::Command;

/// Status of the script where this kernel or this user may not mount.
const NOT_POSSIBLE: i32 = 77;

const SCRIPT: &str = "\
    mount -t binfmt_misc none /proc/sys/fs/binfmt_misc || exit 77
    \"$0\" user --register >/dev/null || exit 1
    for program in \"$@\"; do \"$program\" -a b || exit 2; done
    \"$0\" user --unregister >/dev/null || exit 3
    ls /proc/sys/fs/binfmt_misc";

#[test]
fn programs_start_by_themselves() {
    let programs: Vec<_> = GUESTS.iter().filter_map(|guest| guest.compile("show", &["-static"])).collect();
    let mut command = Command::new("unshare");
    command.args(["-Urm", "sh", "-c", SCRIPT, env!("CARGO_BIN_EXE_mimic")]).args(&programs);
    let output = run(command.current_dir(scratch()).env_clear().env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin"));
    if output.status.code() == Some(NOT_POSSIBLE) || output.status.code() == Some(127) {
        return eprintln!("skipped: no binfmt_misc in a namespace: {}", stderr(&output));
    }
    let text = stdout(&output);
    for program in &programs {
        let line = format!("{} -a b\n", program.display());
        assert!(text.contains(&line), "{line}: {text} {}", stderr(&output));
    }
    assert!(output.status.success(), "{output:?}");
    assert!(!text.contains("qemu-riscv64\n"), "the entries are gone: {text}");
}

/// A namespace in which nothing is mounted there.
#[test]
fn what_would_be_written_is_printed() {
    let script = "mount -t tmpfs none /proc/sys/fs/binfmt_misc || exit 77; \"$0\" user --register; \"$0\" user --unregister";
    let mut command = Command::new("unshare");
    command.args(["-Urm", "sh", "-c", script, env!("CARGO_BIN_EXE_mimic")]);
    let output = run(&mut command);
    if output.status.code() == Some(NOT_POSSIBLE) || output.status.code() == Some(127) {
        return eprintln!("skipped: no mounts in a namespace: {}", stderr(&output));
    }
    let text = stdout(&output);
    assert!(output.status.success(), "{output:?}");
    for guest in &GUESTS {
        assert!(text.contains(&format!("echo ':qemu-{}:M:0:", guest.name)), "{text}");
        assert!(
            text.contains(&format!("echo '-1' > /proc/sys/fs/binfmt_misc/qemu-{}", guest.name)),
            "{text}"
        );
    }
}

#[test]
fn mistakes_are_told_in_a_sentence() {
    let output = run(Command::new(env!("CARGO_BIN_EXE_mimic")).args(["user", "--register", "sparc"]));
    assert_eq!(
        stderr(&output),
        "mimic: user --register: 'sparc' is no architecture; there are aarch64, riscv64\n"
    );
    assert_eq!(output.status.code(), Some(1));
}
