//! Compiling programs, and running them by Mimic and by QEMU.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

const COMPILER: &str = "riscv64-linux-gnu-gcc";
/// Where Debian's cross compiler has its libraries.
pub const SYSROOT: &str = "/usr/riscv64-linux-gnu";

/// A folder for the tests of this run.
pub fn scratch() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("user");
        std::fs::create_dir_all(&folder).expect("a scratch folder");
        folder
    })
}

/// The program under the name `name`.
pub fn called(name: &str) -> PathBuf {
    let link = scratch().join(name);
    // Another test may have made it.
    let _ = symlink(env!("CARGO_BIN_EXE_mimic"), &link);
    link
}

/// Mimic as `qemu-riscv64`.
pub fn mimic() -> Command {
    Command::new(called("qemu-riscv64"))
}

/// Runs `command`, in at most two minutes.
pub fn run(command: &mut Command) -> Output {
    let mut limited = Command::new("timeout");
    if let Some(folder) = command.get_current_dir() {
        limited.current_dir(folder);
    }
    limited.arg("120").arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => limited.env(name, value),
            None => limited.env_remove(name),
        };
    }
    limited.output().expect("timeout is part of every system")
}

/// What was printed on stdout.
pub fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What was printed on stderr.
pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/user/programs").join(name)
}

/// Compiles `programs/NAME.c` with `options`; `None` where there is no cross compiler.
pub fn compile(name: &str, options: &[&str]) -> Option<PathBuf> {
    let to = scratch().join(format!("{name}{}", options.concat().replace('/', "_")));
    let mut command = Command::new(COMPILER);
    command
        .args(["-O1", "-w", "-pthread", "-fasynchronous-unwind-tables"])
        .args(options)
        .arg(source(&format!("{name}.c")))
        .arg("-o")
        .arg(&to);
    match command.output() {
        Err(_) => {
            eprintln!("skipped: {COMPILER} is not installed");
            None
        }
        Ok(output) => {
            assert!(output.status.success(), "{name}: {}", stderr(&output));
            Some(to)
        }
    }
}

/// What `programs/NAME.txt` says that the program prints.
pub fn expected(name: &str) -> String {
    std::fs::read_to_string(source(&format!("{name}.txt"))).expect("every program has its expectation")
}
