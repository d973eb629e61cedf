//! One test, from its start to its verdict.

use crate::guest::{Failure, Guest, Launch};
use crate::line::text;
use crate::spec::{GuestSpec, Step, Test, Variables, Verb};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What a test came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Everything happened as it shall.
    Passed,
    /// It did not.
    Failed {
        /// A sentence.
        what: String,
        /// Emulator or host failed, not the guest.
        internal: bool,
        /// The last lines of each serial line, with its name.
        last_lines: Vec<(String, String)>,
    },
    /// It could not be tried.
    Skipped(String),
}

/// A verdict, and how it came about.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The verdict.
    pub verdict: Verdict,
    /// The host's time that it took.
    pub wall: Duration,
    /// Machine time that its guests took, the longest of them.
    pub machine: Duration,
    /// How often it was tried.
    pub tries: u32,
    /// Where what it left behind is, if that was kept.
    pub artifacts: Option<PathBuf>,
}

/// Lines of a serial line that are shown with a failure.
const LAST_LINES: usize = 20;

/// Runs `test` by the emulator `program`; what it leaves behind is put into `artifacts`, where that is wanted.
pub fn run(program: &Path, test: &Test, artifacts: Option<&Path>) -> Outcome {
    let start = Instant::now();
    let outcome = |verdict, machine, tries| Outcome {
        verdict,
        wall: start.elapsed(),
        machine,
        tries,
        artifacts: artifacts.map(Path::to_path_buf),
    };
    if let Some(missing) = test.needs.iter().find(|file| !file.exists()) {
        return outcome(Verdict::Skipped(format!("{} is not there", missing.display())), Duration::ZERO, 0);
    }
    let mut tries = 0;
    loop {
        tries += 1;
        let (verdict, machine) = try_once(program, test, artifacts);
        if verdict == Verdict::Passed || tries > test.retries {
            return outcome(verdict, machine, tries);
        }
    }
}

fn try_once(program: &Path, test: &Test, artifacts: Option<&Path>) -> (Verdict, Duration) {
    let mut session = Session { guests: Vec::new(), longest: Duration::ZERO };
    let result = match Folder::new(artifacts) {
        Ok(folder) => session.carry_out(program, test, &folder),
        Err(fault) => Err(Failure::internal(format!("cannot make a folder for logs: {fault}"))),
    };
    let machine = session.longest;
    match result {
        Ok(()) => (Verdict::Passed, machine),
        Err(failure) => {
            let several = session.guests.len() > 1;
            let named = |guest: &Guest, line: &str| {
                if several { format!("{line} of {}", guest.name) } else { line.into() }
            };
            let lines = session.guests.iter().flat_map(|guest| guest.lines().map(move |line| (guest, line)));
            let last = lines.map(|(guest, line)| (named(guest, &line.name), line.last_lines(LAST_LINES)));
            let last_lines = last.filter(|(_, text)| !text.is_empty()).collect();
            (Verdict::Failed { what: failure.what, internal: failure.internal, last_lines }, machine)
        }
    }
}

/// Where a test's files are: kept, or gone with this value.
enum Folder {
    Kept(PathBuf),
    Gone(tempfile::TempDir),
}

impl Folder {
    fn new(kept: Option<&Path>) -> std::io::Result<Self> {
        match kept {
            Some(path) => {
                std::fs::create_dir_all(path)?;
                Ok(Self::Kept(std::path::absolute(path)?))
            }
            None => tempfile::tempdir().map(Self::Gone),
        }
    }

    fn path(&self) -> &Path {
        match self {
            Self::Kept(path) => path,
            Self::Gone(folder) => folder.path(),
        }
    }
}

struct Session {
    guests: Vec<Guest>,
    longest: Duration,
}

impl Session {
    fn carry_out(&mut self, program: &Path, test: &Test, folder: &Folder) -> Result<(), Failure> {
        let limit = Instant::now() + test.wall;
        let result = self.start(program, test, folder, limit).and_then(|()| self.steps(test));
        if let (Err(_), Folder::Kept(_)) = (&result, folder) {
            // A guest that can not be saved does not change the verdict.
            self.guests.iter_mut().for_each(|guest| drop(guest.keep_state()));
        }
        self.guests.iter_mut().for_each(Guest::gather);
        self.longest =
            self.guests.iter().map(|guest| Duration::from_nanos(guest.time())).max().unwrap_or_default();
        for guest in &self.guests {
            // A log that can not be written does not change the verdict.
            let _ = guest.keep_logs();
        }
        result
    }

    fn start(&mut self, program: &Path, test: &Test, folder: &Folder, limit: Instant) -> Result<(), Failure> {
        let (keeps, folder) = (matches!(folder, Folder::Kept(_)), folder.path());
        // Sockets between guests go there: its path has to be short.
        let tmp = folder.display().to_string();
        let variables = Variables(BTreeMap::from([("tmp".to_string(), tmp)]));
        for (name, spec) in &test.guests {
            let own = if test.guests.len() > 1 { folder.join(name) } else { folder.to_path_buf() };
            std::fs::create_dir_all(&own)
                .map_err(|fault| Failure::internal(format!("cannot make a folder for logs: {fault}")))?;
            let mut launch = launch(program, spec, &variables, &test.dir, own)?;
            launch.keeps_state = keeps;
            self.guests.push(Guest::start(name, &launch, test.forbidden.clone(), limit)?);
        }
        let running = test.guests.iter().zip(&mut self.guests).filter(|((_, spec), _)| !spec.paused);
        running.map(|(_, guest)| guest).try_for_each(Guest::go)
    }

    fn steps(&mut self, test: &Test) -> Result<(), Failure> {
        let end = test.timeout.as_nanos() as u64;
        for (n, step) in test.steps.iter().enumerate() {
            let name = step.guest.as_ref();
            let at =
                name.and_then(|name| self.guests.iter().position(|guest| guest.name == *name)).unwrap_or(0);
            let guest = &mut self.guests[at];
            self::step(guest, step, end).map_err(|failure| Failure {
                what: format!(
                    "step {} of {} (line {}): {}",
                    n + 1,
                    test.steps.len(),
                    step.place,
                    failure.what
                ),
                ..failure
            })?;
        }
        if let Some(wanted) = test.exit {
            for guest in &mut self.guests {
                ended_with(guest, wanted, end)?;
            }
        }
        self.guests.iter_mut().try_for_each(Guest::quit)?;
        self.guests.iter_mut().try_for_each(Guest::judge)
    }
}

fn launch(
    program: &Path,
    spec: &GuestSpec,
    variables: &Variables,
    dir: &Path,
    folder: PathBuf,
) -> Result<Launch, Failure> {
    let words: Result<Vec<String>, String> = spec.words.iter().map(|word| variables.fill(word)).collect();
    Ok(Launch {
        program: program.into(),
        arch: spec.arch.clone(),
        words: words.map_err(Failure::new)?,
        dir: dir.into(),
        lines: spec.lines.clone(),
        symbols: spec.symbols.clone(),
        folder,
        keeps_state: false,
    })
}

fn ended_with(guest: &mut Guest, wanted: i32, deadline: u64) -> Result<(), Failure> {
    match guest.exit(deadline)? {
        status if status == wanted => Ok(()),
        status => Err(Failure::new(format!("the guest ended with status {status}, not {wanted}"))),
    }
}

/// Whether everything that `wanted` says is in `value`.
fn covers(value: &Value, wanted: &Value) -> bool {
    match (value, wanted) {
        (_, Value::Null) => true,
        (Value::Object(value), Value::Object(wanted)) => {
            wanted.iter().all(|(key, wanted)| value.get(key).is_some_and(|value| covers(value, wanted)))
        }
        _ => value == wanted,
    }
}

fn after(time: u64, span: Duration) -> u64 {
    time.saturating_add(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX))
}

/// Carries out a step; `end` is machine time at which the test is over.
fn step(guest: &mut Guest, step: &Step, end: u64) -> Result<(), Failure> {
    let line = step.line.as_deref();
    let deadline = step.timeout.map_or(end, |span| after(guest.now(), span).min(end));
    match &step.verb {
        Verb::Wait(wanted) => guest.wait_for(line, wanted, deadline).map(drop),
        Verb::Write(text) => guest.write(line, text.as_bytes()),
        Verb::Not(wanted, span) => {
            let there = |came: &[u8]| text(came).contains(wanted);
            let came = guest.pass(line, after(guest.now(), *span), false, there)?;
            match there(&came) {
                true => Err(Failure::new(format!("{wanted:?} came within {} s", span.as_secs_f64()))),
                false => Ok(()),
            }
        }
        Verb::Quiet(span) => {
            match guest.pass(line, after(guest.now(), *span), false, |came| !came.is_empty())? {
                came if came.is_empty() => Ok(()),
                came => Err(Failure::new(format!("the line was not quiet: {:?}", text(&came)))),
            }
        }
        Verb::Delay(span) => guest.pass(line, after(guest.now(), *span), false, |_| false).map(drop),
        Verb::Register { name, cpu, equals } => {
            let wanted = guest.address(equals)?;
            match guest.register(name, *cpu)? {
                value if value == wanted => Ok(()),
                value => Err(Failure::new(format!("register {name} is {value:#x}, not {wanted:#x}"))),
            }
        }
        Verb::Memory { address, equals, physical, cpu } => {
            let at = guest.address(address)?;
            let bytes = guest.memory(at, equals.len(), *physical, *cpu)?;
            match bytes == *equals {
                true => Ok(()),
                false => Err(Failure::new(format!("memory at {address} is {bytes:02x?}, not {equals:02x?}"))),
            }
        }
        Verb::Event(name, wanted) => match guest.event(name, deadline)? {
            data if covers(&data, wanted) => Ok(()),
            data => Err(Failure::new(format!("event {name} came with {data}, not {wanted}"))),
        },
        Verb::Qmp { command, arguments, returns } => {
            let value = guest.command(command, arguments)?;
            match returns.as_ref().filter(|wanted| !covers(&value, wanted)) {
                Some(wanted) => {
                    Err(Failure::new(format!("QMP command '{command}' returned {value}, not {wanted}")))
                }
                None => Ok(()),
            }
        }
        Verb::Monitor { line, contains } => {
            let said = guest.monitor(line, 0)?;
            match contains.as_ref().filter(|wanted| !said.contains(&***wanted)) {
                Some(wanted) => Err(Failure::new(format!("'{line}' said {said:?}, without {wanted:?}"))),
                None => Ok(()),
            }
        }
        Verb::Reset => guest.command("system_reset", &json!({})).map(drop),
        Verb::Checkpoint(name) => guest.command("checkpoint-save", &json!({"tag": name})).map(drop),
        Verb::Restore(name) => guest.restore(name),
        Verb::Exit(wanted) => ended_with(guest, *wanted, deadline),
    }
}
