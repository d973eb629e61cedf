//! Compiling programs, and running them by Mimic and by QEMU.

use std::os::unix::fs::symlink;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::time::Duration;

/// A guest that programs are compiled for.
pub struct Guest {
    /// Its name in `qemu-NAME`.
    pub name: &'static str,
    compiler: &'static str,
    /// Where Debian's cross compiler has its libraries.
    pub sysroot: &'static str,
}

/// Every guest; the first is that of tests which any would do for.
pub const GUESTS: [Guest; 2] = [
    Guest { name: "riscv64", compiler: "riscv64-linux-gnu-gcc", sysroot: "/usr/riscv64-linux-gnu" },
    Guest { name: "aarch64", compiler: "aarch64-linux-gnu-gcc", sysroot: "/usr/aarch64-linux-gnu" },
];

/// The host itself: programs that are compiled for it run natively.
pub const HOST: Guest = Guest { name: "host", compiler: "cc", sysroot: "/" };

impl Guest {
    /// The program that runs it, QEMU's and Mimic's alike.
    pub fn emulator(&self) -> String {
        format!("qemu-{}", self.name)
    }

    /// Mimic as [`Self::emulator`].
    pub fn mimic(&self) -> Command {
        Command::new(called(&self.emulator()))
    }

    /// Compiles `programs/NAME.c` with `options`; `None` where there is no cross compiler.
    pub fn compile(&self, name: &str, options: &[&str]) -> Option<PathBuf> {
        let to = scratch().join(format!("{name}-{}{}", self.name, options.concat().replace('/', "_")));
        // Another test may be running what is there.
        let new = to.with_extension(format!("{:?}", std::thread::current().id()));
        let mut command = Command::new(self.compiler);
        command
            .args(["-O1", "-w", "-pthread", "-fasynchronous-unwind-tables"])
            .args(options)
            .arg(source(&format!("{name}.c")))
            .arg("-o")
            .arg(&new);
        match command.output() {
            Err(_) => {
                eprintln!("skipped: {} is not installed", self.compiler);
                None
            }
            Ok(output) => {
                assert!(output.status.success(), "{name}: {}", stderr(&output));
                std::fs::rename(&new, &to).expect("a scratch file");
                Some(to)
            }
        }
    }
}

/// Longer than anything here takes, on a busy machine too.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Whether there is something called `path`.
pub fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

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
    let (link, program) = (scratch().join(name), Path::new(env!("CARGO_BIN_EXE_mimic")));
    // An older run may have left a link to another program; another test may be making this one.
    if std::fs::read_link(&link).ok().as_deref() != Some(program) {
        let new = scratch().join(format!("{name}.{:?}", std::thread::current().id()));
        symlink(program, &new).expect("a scratch file");
        std::fs::rename(&new, &link).expect("a scratch file");
    }
    link
}

/// Mimic as the emulator of the first guest.
pub fn mimic() -> Command {
    GUESTS[0].mimic()
}

/// Runs `command`, in at most two minutes.
pub fn run(command: &mut Command) -> Output {
    run_within(120, command)
}

/// Runs `command`, in at most so many seconds. What it has started is stopped with it: it would hold the output open.
pub fn run_within(seconds: u32, command: &mut Command) -> Output {
    run_by(&["timeout", "--signal=KILL", &seconds.to_string()], command)
}

/// Runs `command`, which may loop or wait for ever, in at most three seconds of CPU time and half a minute; `None` if they were
/// not enough.
pub fn run_briefly(command: &mut Command) -> Option<Output> {
    let output = run_by(&["timeout", "--signal=KILL", "30", "prlimit", "--core=0", "--cpu=3:4"], command);
    let stopped = matches!(output.status.signal(), Some(libc::SIGXCPU | libc::SIGKILL));
    (!stopped).then_some(output)
}

/// Runs `command` as the end of the words `by`.
fn run_by(by: &[&str], command: &Command) -> Output {
    let mut limited = Command::new(by[0]);
    if let Some(folder) = command.get_current_dir() {
        limited.current_dir(folder);
    }
    limited.args(&by[1..]).arg(command.get_program()).args(command.get_args());
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

/// [`Guest::compile`] for the first guest.
pub fn compile(name: &str, options: &[&str]) -> Option<PathBuf> {
    GUESTS[0].compile(name, options)
}

/// What the host's kernel has `programs/NAME.c` print; `None` where there is no compiler.
pub fn native(name: &str) -> Option<String> {
    HOST.compile(name, &["-static"]).map(|program| stdout(&run(&mut Command::new(program))))
}

/// What `programs/NAME.txt` says that the program prints.
pub fn expected(name: &str) -> String {
    std::fs::read_to_string(source(&format!("{name}.txt"))).expect("every program has its expectation")
}
