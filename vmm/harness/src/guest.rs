//! A guest: a process of the emulator, the way to it by QMP, and its serial lines.

use crate::line::{Forbidden, Line, Wanted, text};
use crate::qmp::{self, Commands};
use crate::symbols::Symbols;
use crate::wire;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

/// What to start.
#[derive(Clone, Debug)]
pub struct Launch {
    /// The program, and its words before those of the guest.
    pub program: PathBuf,
    /// Name of the guest's architecture.
    pub arch: String,
    /// Options, as `qemu-system-ARCH` has them.
    pub words: Vec<String>,
    /// The folder that file names are relative to.
    pub dir: PathBuf,
    /// Ids of the character devices that are the test's, the first of which is the serial port.
    pub lines: Vec<String>,
    /// A file with symbols.
    pub symbols: Option<PathBuf>,
    /// A folder for what the guest leaves behind.
    pub folder: PathBuf,
    /// Its state may be kept there.
    pub keeps_state: bool,
}

/// Why something did not happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What is wrong.
    pub what: String,
    /// It is the emulator that failed, or the host, not the guest.
    pub internal: bool,
}

impl Failure {
    /// The guest does not do what it shall.
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), internal: false }
    }

    /// Emulator or host fail.
    pub fn internal(what: impl Into<String>) -> Self {
        Self { what: what.into(), internal: true }
    }
}

enum Message {
    Record(usize, wire::Record),
    Closed(usize),
    Qmp(Value),
    /// There will be no more answers and events: they may come behind the end of the lines.
    QmpClosed,
}

/// A guest that runs, or did.
pub struct Guest {
    /// Its name among several.
    pub name: String,
    child: Child,
    ended: Option<ExitStatus>,
    commands: Commands,
    messages: Receiver<Message>,
    answers: Vec<Value>,
    qmp_closed: bool,
    events: VecDeque<Value>,
    lines: Vec<(Line, UnixStream)>,
    forbidden: Vec<Forbidden>,
    /// Machine time at which the last step of the test was done.
    now: u64,
    /// The host's time at which patience ends.
    pub limit: Instant,
    symbols: Symbols,
    folder: PathBuf,
}

/// How long a process may take to begin and to end on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long saving a guest may take.
const SAVING: Duration = Duration::from_secs(30);
/// The name of the snapshot of a guest that has failed.
pub const STATE: &str = "failure";
/// How often it is looked whether a process is there.
const LOOK: Duration = Duration::from_millis(5);
/// Bytes that a guest may write in one test.
const MOST: usize = 64 << 20;

impl Guest {
    /// Starts it; its vCPUs wait for [`Guest::go`]. `limit` is the host's time at which everything must be over.
    pub fn start(
        name: &str,
        launch: &Launch,
        forbidden: Vec<Forbidden>,
        limit: Instant,
    ) -> Result<Self, Failure> {
        let host = |what: &str| {
            let what = what.to_string();
            move |fault: io::Error| Failure::internal(format!("{what}: {fault}"))
        };
        // Paths of sockets have to be short.
        let sockets = tempfile::tempdir().map_err(host("cannot make a temporary folder"))?;
        let listen = |name: &str| {
            let listener = UnixListener::bind(sockets.path().join(name))?;
            listener.set_nonblocking(true)?;
            Ok(listener)
        };
        let path = |name: &str| sockets.path().join(name).display().to_string();
        let mut command = Command::new(&launch.program);
        command.args(["system", &launch.arch]).args(&launch.words).current_dir(&launch.dir);
        if launch.keeps_state && !launch.words.iter().any(|word| word == "-snapshot-dir") {
            command.arg("-snapshot-dir").arg(&launch.folder);
        }
        let mut listeners = Vec::new();
        for (n, line) in launch.lines.iter().enumerate() {
            let socket = format!("line{n}");
            listeners.push(listen(&socket).map_err(host("cannot make a socket"))?);
            command.args(["-chardev", &format!("test,id={line},path={}", path(&socket))]);
        }
        let control = listen("qmp").map_err(host("cannot make a socket"))?;
        command.args(["-qmp", &format!("unix:{}", path("qmp")), "-S"]);
        let file = |name: &str| File::create(launch.folder.join(name)).map_err(host("cannot write a log"));
        writeln!(file("command")?, "{}", words(&command)).map_err(host("cannot write a log"))?;
        if launch.keeps_state {
            writeln!(file("resume")?, "{}", resume(launch)).map_err(host("cannot write a log"))?;
        }
        command.stdin(Stdio::null()).stdout(file("stdout")?).stderr(file("stderr")?);
        end_with_us(&mut command);
        let child = command.spawn().map_err(host("cannot start the emulator"))?;
        let mut child = Unborn(Some(child));
        let until = limit.min(Instant::now() + PATIENCE);
        let mut streams = Vec::new();
        for listener in listeners {
            streams.push(child.accept(&listener, until, &launch.folder)?);
        }
        let control = child.accept(&control, until, &launch.folder)?;
        let (to, messages) = mpsc::channel();
        let clone = |stream: &UnixStream| stream.try_clone().map_err(host("cannot use a socket"));
        let mut lines = Vec::new();
        for (n, stream) in streams.into_iter().enumerate() {
            follow(n, clone(&stream)?, to.clone());
            lines.push((Line::new(&launch.lines[n]), stream));
        }
        let from = clone(&control)?;
        std::thread::spawn(move || {
            qmp::listen(from, |message| to.send(Message::Qmp(message)).is_ok());
            // Nobody may be interested any more.
            let _ = to.send(Message::QmpClosed);
        });
        let child = child.0.take().expect("it is born only now");
        let mut guest = Self {
            name: name.into(),
            child,
            ended: None,
            commands: Commands::new(control),
            messages,
            answers: Vec::new(),
            qmp_closed: false,
            events: VecDeque::new(),
            lines,
            forbidden,
            now: 0,
            limit,
            symbols: Symbols::default(),
            folder: launch.folder.clone(),
        };
        if let Err(failure) = guest.command("qmp_capabilities", &json!({})) {
            let complaints = guest.complaints();
            let told = !complaints.is_empty() && !failure.internal;
            let what = format!("the machine could not be started{complaints}");
            return Err(if told { Failure::new(what) } else { failure });
        }
        if let Some(file) = &launch.symbols {
            guest.symbols = Symbols::read(&launch.dir.join(file)).map_err(Failure::new)?;
        }
        Ok(guest)
    }

    /// Lets it run.
    pub fn go(&mut self) -> Result<(), Failure> {
        self.command("cont", &json!({})).map(drop)
    }

    /// Texts that must not appear from now on.
    pub fn forbid(&mut self, forbidden: Vec<Forbidden>) {
        self.forbidden = forbidden;
    }

    /// Machine time of the last thing that the test has seen, in nanoseconds.
    pub fn now(&self) -> u64 {
        self.now
    }

    /// Has the test see machine time as it is now, whatever was written until then; gives it.
    pub fn catch_up(&mut self) -> Result<u64, Failure> {
        self.receive()?;
        self.now = self.now.max(self.time());
        Ok(self.now)
    }

    /// Machine time, as far as is known.
    pub fn time(&self) -> u64 {
        self.lines.iter().map(|(line, _)| line.time).max().unwrap_or(0)
    }

    /// Its serial lines.
    pub fn lines(&self) -> impl Iterator<Item = &Line> {
        self.lines.iter().map(|(line, _)| line)
    }

    fn line(&mut self, name: Option<&str>) -> Result<usize, Failure> {
        let Some(name) = name else { return Ok(0) };
        let found = self.lines.iter().position(|(line, _)| line.name == name);
        found.ok_or_else(|| Failure::new(format!("the guest has no line '{name}'")))
    }

    /// Waits for something to come, and takes up all that has.
    fn receive(&mut self) -> Result<(), Failure> {
        let left = self.limit.saturating_duration_since(Instant::now());
        match self.messages.recv_timeout(left) {
            Ok(message) => self.take(message),
            Err(RecvTimeoutError::Timeout) => return Err(self.out_of_patience()),
            // All lines are closed.
            Err(RecvTimeoutError::Disconnected) => return Err(self.gone()),
        }
        while let Ok(message) = self.messages.try_recv() {
            self.take(message);
        }
        let written: usize = self.lines.iter().map(|(line, _)| line.log().len()).sum();
        if written > MOST {
            return Err(Failure::new(format!("the guest wrote more than {} MiB", MOST >> 20)));
        }
        Ok(())
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Record(n, record) => self.lines[n].0.take(record.time, &record.bytes),
            Message::Closed(n) => self.lines[n].0.closed = true,
            Message::QmpClosed => self.qmp_closed = true,
            Message::Qmp(message) if message.get("event").is_some() => self.events.push_back(message),
            Message::Qmp(message) => self.answers.push(message),
        }
    }

    fn out_of_patience(&self) -> Failure {
        let time = Duration::from_nanos(self.time()).as_secs_f64();
        Failure::new(format!("the limit of wall-clock time was reached, at {time:.3} s of machine time"))
    }

    /// The emulator has ended where it should not have.
    fn gone(&mut self) -> Failure {
        let end = self.wait_for_end();
        let err = self.complaints();
        match end {
            Err(failure) => failure,
            Ok(status) if status.code().is_none() => Failure::internal(format!(
                "the emulator died of signal {}{err}",
                status.signal().unwrap_or_default()
            )),
            Ok(status) => Failure::new(format!(
                "the guest ended with status {}{err}",
                status.code().unwrap_or_default()
            )),
        }
    }

    /// The last that the emulator said on stderr.
    fn complaints(&self) -> String {
        complaints(&self.folder)
    }

    /// Waits for `wanted` until `deadline`, in nanoseconds of machine time; gives what was matched.
    pub fn wait_for(
        &mut self,
        line: Option<&str>,
        wanted: &Wanted,
        deadline: u64,
    ) -> Result<Vec<u8>, Failure> {
        self.wait(line, deadline, |line| line.look(wanted), &wanted.to_string())
    }

    /// Waits for the next whole line; gives it.
    pub fn next_line(&mut self, line: Option<&str>, deadline: u64) -> Result<Vec<u8>, Failure> {
        self.wait(line, deadline, Line::next_line, "another line")
    }

    fn wait(
        &mut self,
        line: Option<&str>,
        deadline: u64,
        look: impl Fn(&Line) -> Option<(Vec<u8>, usize, u64)>,
        wanted: &str,
    ) -> Result<Vec<u8>, Failure> {
        let n = self.line(line)?;
        let start = self.now;
        loop {
            let line = &mut self.lines[n].0;
            let found = look(line).filter(|(_, _, time)| *time <= deadline);
            if let Some((bytes, end, time)) = found {
                line.read_to(end);
                self.now = self.now.max(time);
                self.judge_to(n, end)?;
                return Ok(bytes);
            }
            let (over, closed, name) = (line.time > deadline, line.closed, line.name.clone());
            let end = line.unread(deadline).1;
            self.judge_to(n, end)?;
            if over {
                let waited = Duration::from_nanos(deadline.saturating_sub(start)).as_secs_f64();
                return Err(Failure::new(format!("no {wanted} on {name} within {waited} s")));
            }
            if closed {
                let mut failure = self.gone();
                failure.what = format!("no {wanted} on {name}: {}", failure.what);
                return Err(failure);
            }
            self.receive()?;
        }
    }

    /// Whether something forbidden was written to line `n` up to `end`.
    fn judge_to(&mut self, n: usize, end: usize) -> Result<(), Failure> {
        let line = &mut self.lines[n].0;
        match line.judge(&self.forbidden, end) {
            Some(what) => Err(Failure::new(format!("{what} appeared on {}, which must not", line.name))),
            None => Ok(()),
        }
    }

    /// Whether anything forbidden was written at all.
    pub fn judge(&mut self) -> Result<(), Failure> {
        (0..self.lines.len()).try_for_each(|n| self.judge_to(n, usize::MAX))
    }

    /// Has machine time pass up to `deadline`, or until the guest has written `enough`; gives what it wrote since the test has
    /// last read, which counts as read where `reading`.
    pub fn pass(
        &mut self,
        line: Option<&str>,
        deadline: u64,
        reading: bool,
        enough: impl Fn(&[u8]) -> bool,
    ) -> Result<Vec<u8>, Failure> {
        let n = self.line(line)?;
        loop {
            let (bytes, end) = self.lines[n].0.unread(deadline);
            let line = &self.lines[n].0;
            let (over, closed) = (line.time > deadline, line.closed);
            self.judge_to(n, end)?;
            if over || enough(&bytes) {
                if reading {
                    self.lines[n].0.read_to(end);
                }
                self.now = self.now.max(deadline);
                return Ok(bytes);
            }
            if closed {
                return Err(self.gone());
            }
            self.receive()?;
        }
    }

    /// Types at the guest.
    pub fn write(&mut self, line: Option<&str>, bytes: &[u8]) -> Result<(), Failure> {
        let n = self.line(line)?;
        if self.lines[n].1.write_all(bytes).is_err() {
            return Err(self.gone());
        }
        Ok(())
    }

    /// Carries out a QMP command; what it returns.
    pub fn command(&mut self, name: &str, arguments: &Value) -> Result<Value, Failure> {
        let Ok(id) = self.commands.send(name, arguments) else { return Err(self.gone()) };
        loop {
            if let Some(at) = self.answers.iter().position(|answer| answer["id"] == id) {
                let answer = self.answers.remove(at);
                return match answer.get("return") {
                    Some(value) => Ok(value.clone()),
                    None => Err(Failure::new(format!(
                        "QMP command '{name}': {}",
                        answer["error"]["desc"].as_str().unwrap_or("refused")
                    ))),
                };
            }
            if self.qmp_closed {
                return Err(self.gone());
            }
            self.receive()?;
        }
    }

    /// Carries out a command of the monitor on a vCPU; what it prints.
    pub fn monitor(&mut self, line: &str, cpu: u32) -> Result<String, Failure> {
        let arguments = json!({"command-line": line, "cpu-index": cpu});
        let answer = self.command("human-monitor-command", &arguments)?;
        Ok(answer.as_str().unwrap_or_default().trim().replace('\r', ""))
    }

    /// Waits for an event, from the last one that was waited for on; its data.
    pub fn event(&mut self, name: &str, deadline: u64) -> Result<Value, Failure> {
        loop {
            if let Some(at) = self.events.iter().position(|event| event["event"] == name) {
                let event = self.events.drain(..=at).next_back();
                return Ok(event.and_then(|event| event.get("data").cloned()).unwrap_or(Value::Null));
            }
            if self.qmp_closed {
                let failure = self.gone();
                return Err(Failure { what: format!("no event {name}: {}", failure.what), ..failure });
            }
            if self.time() > deadline {
                return Err(Failure::new(format!("no event {name} in time")));
            }
            self.receive()?;
        }
    }

    /// Does something while the vCPUs stand still.
    pub fn standing<T>(&mut self, act: impl FnOnce(&mut Self) -> Result<T, Failure>) -> Result<T, Failure> {
        let status = self.command("query-status", &json!({}))?;
        let runs = status["running"] == true;
        if runs {
            self.command("stop", &json!({}))?;
        }
        let result = act(self);
        if runs {
            self.command("cont", &json!({}))?;
        }
        result
    }

    /// The value of a register.
    pub fn register(&mut self, name: &str, cpu: u32) -> Result<u64, Failure> {
        let answer = self.standing(|guest| guest.monitor(&format!("print/x ${name}"), cpu))?;
        crate::symbols::number(&answer)
            .ok_or_else(|| Failure::new(format!("register '{name}' can not be read: {answer}")))
    }

    /// `len` bytes of memory at `address`, physical or as the vCPU sees it.
    pub fn memory(&mut self, address: u64, len: usize, physical: bool, cpu: u32) -> Result<Vec<u8>, Failure> {
        let verb = if physical { "xp" } else { "x" };
        let answer = self.standing(|guest| guest.monitor(&format!("{verb}/{len}xb {address:#x}"), cpu))?;
        let values = answer.lines().filter_map(|line| Some(line.split_once(':')?.1));
        let bytes: Option<Vec<u8>> = values
            .flat_map(str::split_whitespace)
            .map(|word| Some(crate::symbols::number(word)? as u8))
            .collect();
        bytes
            .filter(|bytes| bytes.len() == len)
            .ok_or_else(|| Failure::new(format!("memory at {address:#x} can not be read: {answer}")))
    }

    /// The address that `text` means.
    pub fn address(&self, text: &str) -> Result<u64, Failure> {
        self.symbols.address(text).map_err(Failure::new)
    }

    /// Waits until the guest has ended by itself, until `deadline`; the exit status.
    pub fn exit(&mut self, deadline: u64) -> Result<i32, Failure> {
        while !self.lines.iter().all(|(line, _)| line.closed) {
            let time = self.time();
            if time > deadline {
                let at = Duration::from_nanos(deadline).as_secs_f64();
                return Err(Failure::new(format!("the guest still runs at {at} s of machine time")));
            }
            self.receive()?;
        }
        self.now = self.time();
        let status = self.wait_for_end()?;
        let err = self.complaints();
        status.code().ok_or_else(|| {
            Failure::internal(format!(
                "the emulator died of signal {}{err}",
                status.signal().unwrap_or_default()
            ))
        })
    }

    /// Waits for the process, not for ever.
    fn wait_for_end(&mut self) -> Result<ExitStatus, Failure> {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.ended {
                return Ok(status);
            }
            match self.child.try_wait() {
                Ok(Some(status)) => self.ended = Some(status),
                Ok(None) if Instant::now() > until => {
                    self.kill();
                    return Err(Failure::internal("the emulator closed its lines and did not end"));
                }
                Ok(None) => std::thread::sleep(LOOK),
                Err(fault) => {
                    return Err(Failure::internal(format!("cannot wait for the emulator: {fault}")));
                }
            }
        }
    }

    /// Ends it; that it has ended already is no fault.
    pub fn quit(&mut self) -> Result<(), Failure> {
        if self.ended.is_none() && self.commands.send("quit", &json!({})).is_ok() {
            // What it wrote up to now is part of the test.
            while !self.lines.iter().all(|(line, _)| line.closed) {
                self.receive()?;
            }
        }
        let status = self.wait_for_end()?;
        match status.signal() {
            Some(signal) => {
                let err = self.complaints();
                Err(Failure::internal(format!("the emulator died of signal {signal}{err}")))
            }
            None => Ok(()),
        }
    }

    /// Puts the machine back to a checkpoint; what it wrote before is not waited for any more.
    pub fn restore(&mut self, name: &str) -> Result<(), Failure> {
        let before: Vec<usize> = self.lines.iter().map(|(line, _)| line.returns).collect();
        self.command("checkpoint-load", &json!({"tag": name}))?;
        while self.lines.iter().zip(&before).any(|((line, _), before)| line.returns == *before) {
            if self.lines.iter().any(|(line, _)| line.closed) {
                return Err(self.gone());
            }
            self.receive()?;
        }
        Ok(())
    }

    /// Saves the machine, if it still runs, in the folder for what it leaves behind: as [`STATE`].
    pub fn keep_state(&mut self) -> Result<(), Failure> {
        if self.ended.is_some() || self.lines.iter().all(|(line, _)| line.closed) {
            return Ok(());
        }
        // The test's own patience may be at its end.
        self.limit = Instant::now() + SAVING;
        self.command("stop", &json!({}))?;
        let said = self.monitor(&format!("savevm {STATE}"), 0)?;
        if said.is_empty() { Ok(()) } else { Err(Failure::new(said)) }
    }

    /// Takes up what has come, without waiting.
    pub fn gather(&mut self) {
        while let Ok(message) = self.messages.try_recv() {
            self.take(message);
        }
    }

    /// Writes what the guest wrote into its folder.
    pub fn keep_logs(&self) -> io::Result<()> {
        for (line, _) in &self.lines {
            std::fs::write(self.folder.join(format!("{}.log", line.name)), line.log())?;
        }
        Ok(())
    }

    fn kill(&mut self) {
        // It may be dead already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        if self.ended.is_none() {
            self.kill();
        }
    }
}

/// A process that has not connected yet; it is killed if it never does.
struct Unborn(Option<Child>);

impl Unborn {
    fn accept(
        &mut self,
        listener: &UnixListener,
        until: Instant,
        folder: &Path,
    ) -> Result<UnixStream, Failure> {
        loop {
            match listener.accept() {
                Ok((stream, _)) => {
                    stream
                        .set_nonblocking(false)
                        .map_err(|fault| Failure::internal(format!("cannot use a socket: {fault}")))?;
                    return Ok(stream);
                }
                Err(fault) if fault.kind() == io::ErrorKind::WouldBlock => {}
                Err(fault) => return Err(Failure::internal(format!("cannot use a socket: {fault}"))),
            }
            let child = self.0.as_mut().expect("not born yet");
            if let Ok(Some(_)) = child.try_wait() {
                return Err(Failure::new(format!("the machine could not be started{}", complaints(folder))));
            }
            if Instant::now() > until {
                return Err(Failure::internal("the emulator does not start in time"));
            }
            std::thread::sleep(LOOK);
        }
    }
}

impl Drop for Unborn {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            // It may be dead already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn complaints(folder: &Path) -> String {
    let err = std::fs::read(folder.join("stderr")).unwrap_or_default();
    match text(&err).replace('\r', "").trim() {
        "" => String::new(),
        err => format!("; it said: {err}"),
    }
}

/// Hands on what comes over a line.
fn follow(n: usize, mut stream: UnixStream, to: Sender<Message>) {
    std::thread::spawn(move || {
        while let Ok(Some(record)) = wire::read(&mut stream) {
            if to.send(Message::Record(n, record)).is_err() {
                return;
            }
        }
        // Nobody may be interested any more.
        let _ = to.send(Message::Closed(n));
    });
}

/// The line for a shell that starts where a saved guest stopped, with the first line and the monitor on the terminal.
fn resume(launch: &Launch) -> String {
    let mut command = Command::new(&launch.program);
    command.args(["system", &launch.arch]).args(&launch.words);
    if !launch.words.iter().any(|word| word == "-snapshot-dir") {
        command.arg("-snapshot-dir").arg(&launch.folder);
    }
    for (n, line) in launch.lines.iter().enumerate() {
        let backend = if n == 0 { "stdio,mux=on,signal=off" } else { "null" };
        command.args(["-chardev", &format!("{backend},id={line}")]);
        if n == 0 {
            command.args(["-mon", &format!("chardev={line}")]);
        }
    }
    command.args(["-loadvm", STATE]);
    let folder = launch.dir.display().to_string();
    let folder = shlex::try_quote(&folder).map_or_else(|_| folder.clone(), |quoted| quoted.into_owned());
    format!("cd {folder} && {}", words(&command))
}

/// A command as a line for a shell.
fn words(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<String> = words.map(|word| word.to_string_lossy().into_owned()).collect();
    shlex::try_join(words.iter().map(|word| &**word)).unwrap_or_else(|_| words.join(" "))
}

/// Has the kernel kill the process when the thread that starts it ends.
fn end_with_us(command: &mut Command) {
    // SAFETY: `prctl` is async-signal-safe, and only numbers are passed.
    unsafe {
        command.pre_exec(|| {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            Ok(())
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A guest whose emulator has ended; what was heard of it comes from the sender.
    fn ended() -> (Guest, Sender<Message>) {
        let (to, messages) = mpsc::channel();
        // Two that nobody reads.
        let (line, control) = UnixStream::pair().expect("sockets");
        let guest = Guest {
            name: "ended".into(),
            child: Command::new("true").spawn().expect("a process"),
            ended: None,
            commands: Commands::new(control),
            messages,
            answers: Vec::new(),
            qmp_closed: false,
            events: VecDeque::new(),
            lines: vec![(Line::new("serial0"), line)],
            forbidden: Vec::new(),
            now: 0,
            limit: Instant::now() + PATIENCE,
            symbols: Symbols::default(),
            folder: PathBuf::new(),
        };
        (guest, to)
    }

    /// A guest that ends at once has its answer behind the end of its lines.
    #[test]
    fn answers_and_events_come_when_lines_are_closed() {
        let (mut guest, to) = ended();
        let say = |message| to.send(message).expect("the guest listens");
        say(Message::Closed(0));
        guest.gather();
        say(Message::Qmp(json!({"return": {}, "id": 1})));
        assert_eq!(guest.go(), Ok(()));
        say(Message::Qmp(json!({"event": "SHUTDOWN", "data": {"guest": true}})));
        assert_eq!(guest.event("SHUTDOWN", u64::MAX), Ok(json!({"guest": true})));
        say(Message::QmpClosed);
        assert_eq!(guest.go(), Err(Failure::new("the guest ended with status 0")));
    }
}
