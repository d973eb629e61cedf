//! Starting the program and waiting for it.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// Longer than anything here takes, on a busy machine too.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// `mimic`.
pub fn mimic() -> Command {
    Command::new(env!("CARGO_BIN_EXE_mimic"))
}

/// A folder with a link to the program in it that has the other name.
pub struct Qemu {
    folder: tempfile::TempDir,
    name: &'static str,
}

impl Qemu {
    /// `qemu-system-riscv64`.
    pub fn new() -> Self {
        Self::named("qemu-system-riscv64")
    }

    /// `qemu-system-aarch64`.
    pub fn aarch64() -> Self {
        Self::named("qemu-system-aarch64")
    }

    fn named(name: &'static str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let link = folder.path().join(name);
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_mimic"), link).expect("a link");
        Self { folder, name }
    }

    /// The program with `words`.
    pub fn command(&self, words: &str) -> Command {
        let mut command = Command::new(self.path(self.name));
        command.args(words.split_whitespace());
        command
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file; its path as a word for a command line.
    pub fn file(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.path(name);
        std::fs::write(&path, bytes).expect("a file in our folder");
        path.display().to_string()
    }
}

/// What a finished program leaves behind.
pub struct Finished {
    pub status: Option<i32>,
    pub out: String,
    pub err: String,
}

/// A program that runs.
pub struct Running {
    pub child: Child,
    out: mpsc::Receiver<Vec<u8>>,
    err: mpsc::Receiver<Vec<u8>>,
    seen: Vec<u8>,
}

/// Starts `command` with pipes.
pub fn start(command: &mut Command) -> Running {
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    let out = listen(child.stdout.take().expect("a pipe"));
    let err = listen(child.stderr.take().expect("a pipe"));
    Running { child, out, err, seen: Vec::new() }
}

/// Runs `command` to its end with nothing to read.
pub fn run(command: &mut Command) -> Finished {
    let mut running = start(command);
    drop(running.child.stdin.take());
    running.finish()
}

fn listen(mut from: impl Read + Send + 'static) -> mpsc::Receiver<Vec<u8>> {
    let (to, here) = mpsc::channel();
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(n @ 1..) = from.read(&mut buffer) {
            if to.send(buffer[..n].to_vec()).is_err() {
                break;
            }
        }
    });
    here
}

impl Running {
    /// Waits until stdout has had `text`.
    pub fn expect(&mut self, text: &str) {
        let limit = Instant::now() + PATIENCE;
        while !self.seen().contains(text) {
            let left = limit.saturating_duration_since(Instant::now());
            match self.out.recv_timeout(left) {
                Ok(bytes) => self.seen.extend(bytes),
                Err(_) => {
                    let _ = self.child.kill();
                    let err = gather(&self.err);
                    panic!("no {text:?} in {:?}, stderr {err:?}", self.seen());
                }
            }
        }
    }

    pub fn seen(&self) -> String {
        String::from_utf8_lossy(&self.seen).into_owned()
    }

    /// Types `text`.
    pub fn say(&mut self, text: &str) {
        let stdin = self.child.stdin.as_mut().expect("still open");
        stdin.write_all(text.as_bytes()).and_then(|()| stdin.flush()).expect("the program reads");
    }

    pub fn signal(&self, signal: i32) {
        // SAFETY: sends a signal to our child, which has not been waited for.
        unsafe { libc::kill(self.child.id() as i32, signal) };
    }

    /// Waits for the end.
    pub fn finish(mut self) -> Finished {
        let status = wait(&mut self.child);
        self.seen.extend(gather(&self.out).into_bytes());
        Finished { status: status.code(), out: self.seen(), err: gather(&self.err) }
    }
}

/// A test that ends first takes its program along.
impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Everything up to the end of the stream.
fn gather(from: &mpsc::Receiver<Vec<u8>>) -> String {
    let bytes: Vec<u8> = from.iter().flatten().collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Waits for a child, but not for ever.
pub fn wait(child: &mut Child) -> ExitStatus {
    let limit = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = child.try_wait().expect("our child") {
            return status;
        }
        if Instant::now() > limit {
            let _ = child.kill();
            let _ = child.wait();
            panic!("the program did not end in {PATIENCE:?}");
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// Whether something is there.
pub fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}
