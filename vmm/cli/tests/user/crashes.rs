//! What is told of crashes and of what is missing: reports, core files, the log.

use super::support::{GUESTS, called, run, scratch, stderr, stdout};
use std::path::PathBuf;
use std::process::Command;

#[test]
fn a_report() {
    for guest in &GUESTS {
        let Some(program) = guest.compile("crash", &["-static"]) else { continue };
        let output = guest.mimic().args(["-d", "guest_errors"]).arg(&program).arg("segv").output();
        let said = stderr(&output.expect("it starts"));
        let name = program.file_name().expect("a file").to_string_lossy().into_owned();
        for part in ["signal 11 (Segmentation fault) ends the program: code 1, address 0x", "\npc 0x", &name]
        {
            assert!(said.contains(part), "{}: {said}", guest.name);
        }
        let quiet = guest.mimic().arg(&program).arg("segv").output().expect("it starts");
        assert_eq!(stderr(&quiet), "");
    }
}

#[test]
fn a_core_file() {
    for guest in &GUESTS {
        let Some(program) = guest.compile("crash", &["-static"]) else { continue };
        let folder = scratch().join(format!("core-{}", guest.name));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).expect("a scratch folder");
        let mut shell = Command::new("sh");
        shell.current_dir(&folder).args(["-c", "ulimit -c unlimited; exec \"$@\"", "sh"]);
        let output = shell.arg(called(&guest.emulator())).arg(&program).arg("segv").output();
        let said = stderr(&output.expect("it starts"));
        assert_eq!(said, "mimic: uncaught target signal 11 (Segmentation fault) - core dumped\n");
        let files: Vec<PathBuf> =
            std::fs::read_dir(&folder).expect("it is there").flatten().map(|entry| entry.path()).collect();
        let [file] = &files[..] else { panic!("{files:?}") };
        let core = std::fs::read(file).expect("it is there");
        let word = |at: usize| u64::from_le_bytes(core[at..at + 8].try_into().expect("eight bytes"));
        // ET_CORE, and the machine of the program.
        let text = std::fs::read(&program).expect("it is there");
        assert_eq!((core[16], &core[18..20]), (4, &text[18..20]));
        // The first note is the thread's: its name is CORE, its general registers stand after 112 bytes.
        let regs = word(64 + 8) as usize + 12 + 8 + 112;
        let pc = word(if guest.name == "aarch64" { regs + 32 * 8 } else { regs });
        let entry = u64::from_le_bytes(text[24..32].try_into().expect("eight bytes"));
        assert!(pc.abs_diff(entry) < 1 << 20, "{}: pc {pc:#x}, entry {entry:#x}", guest.name);
        let _ = std::fs::remove_dir_all(&folder);
    }
}

/// gdb finds all threads in a core file, the one that crashed first.
#[test]
fn gdb_reads_a_core_file() {
    let Some(gdb) = super::gdb::gdb() else { return };
    for guest in &GUESTS {
        let Some(program) = guest.compile("debugged", &["-static", "-g"]) else { continue };
        let folder = scratch().join(format!("cores-{}", guest.name));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).expect("a scratch folder");
        let mut shell = Command::new("sh");
        shell.current_dir(&folder).args(["-c", "ulimit -c unlimited; exec \"$@\"", "sh"]);
        let output = shell.arg(called(&guest.emulator())).arg(&program).arg("crash").output();
        let output = output.expect("it starts");
        assert!(stderr(&output).ends_with("- core dumped\n"), "{}", stderr(&output));
        let entry = std::fs::read_dir(&folder).expect("it is there").flatten().next().expect("a core file");
        let mut command = Command::new(gdb);
        command.args(["-q", "-nx", "-batch", "-ex", "info threads", "-ex", "thread apply all bt"]);
        let said =
            stdout(&run(command.args(["-ex", "p $_siginfo.si_signo"]).arg(&program).arg(entry.path())));
        let threads = said.matches("in work (arg=").count() + said.matches(" work (arg=").count();
        assert!(threads >= 2, "{}: {said}", guest.name);
        for part in ["Program terminated with signal SIGABRT", "* 1 ", "  3 ", "in main (argc=", "$1 = 6"] {
            assert!(said.contains(part), "{}: no {part:?} in {said}", guest.name);
        }
        let _ = std::fs::remove_dir_all(&folder);
    }
}

#[test]
fn what_is_missing_is_told_once() {
    for guest in &GUESTS {
        let Some(program) = guest.compile("kernel", &["-static"]) else { continue };
        let log = scratch().join(format!("log-{}", guest.name));
        let _ = std::fs::remove_file(&log);
        let mut command = guest.mimic();
        command.args(["-d", "unimp,in_asm", "-D"]).arg(&log).arg(&program).env("MIMIC_TEST", "x");
        let output = run(&mut command);
        let lines = "38 38\n38 38\n38 38\ncpuinfo: 1\nenviron: 1\ncmdline: 1\nmaps: 1 0\n";
        assert_eq!(stdout(&output), format!("{lines}{lines}preload: 1\n"), "{}", guest.name);
        assert_eq!(stderr(&output), "", "{}", guest.name);
        let text = std::fs::read_to_string(&log).expect("the log is there");
        // One for each of the two programs.
        for call in ["Unsupported syscall: 425 io_uring_setup\n", "Unsupported syscall: 9999\n"] {
            assert_eq!(text.matches(call).count(), 2, "{}: {call}", guest.name);
        }
        assert!(text.contains("IN:"), "{}: guest code is listed", guest.name);
    }
}
