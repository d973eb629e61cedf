//! The keywords, with Renode's names and arguments.

use super::xml::Value;
use crate::guest::{Failure, Guest, Launch};
use crate::line::{Forbidden, Wanted, text};
use crate::spec;
use crate::symbols::number;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What a keyword is given; one that was left out is empty.
pub struct Arguments(pub Vec<String>);

impl Arguments {
    fn text(&self, n: usize) -> &str {
        self.0.get(n).map_or("", |text| text)
    }

    fn given(&self, n: usize) -> Option<&str> {
        Some(self.text(n)).filter(|text| !text.is_empty() && *text != "None")
    }

    fn flag(&self, n: usize) -> bool {
        self.text(n).eq_ignore_ascii_case("true") || self.text(n) == "1"
    }

    fn number(&self, n: usize, what: &str) -> Result<u64, String> {
        number(self.text(n)).ok_or_else(|| format!("{what} '{}' is no number", self.text(n)))
    }
}

/// A keyword.
pub struct Keyword {
    /// Its name.
    pub name: &'static str,
    /// Its arguments, as the interface of remote libraries spells them.
    pub arguments: &'static [&'static str],
    /// What it does.
    pub help: &'static str,
    /// Does it.
    pub run: fn(&mut Robot, &Arguments) -> Result<Value, String>,
}

impl Keyword {
    /// Its arguments by place and by name, as the interface hands them over.
    pub fn take(&self, by_place: Option<&Value>, by_name: Option<&Value>) -> Result<Arguments, String> {
        let mut arguments: Vec<String> = match by_place {
            Some(Value::List(values)) => values.iter().map(Value::text).collect(),
            _ => Vec::new(),
        };
        let named = match by_name {
            Some(Value::Map(members)) => &members[..],
            _ => &[],
        };
        for (name, value) in named {
            let is_it = |argument: &&str| argument.split('=').next() == Some(name);
            let at = self.arguments.iter().position(is_it);
            let at = at.ok_or_else(|| format!("'{}' has no argument '{name}'", self.name))?;
            arguments.resize(arguments.len().max(at + 1), String::new());
            arguments[at] = value.text();
        }
        Ok(Arguments(arguments))
    }
}

const fn row(
    name: &'static str,
    arguments: &'static [&'static str],
    run: fn(&mut Robot, &Arguments) -> Result<Value, String>,
    help: &'static str,
) -> Keyword {
    Keyword { name, arguments, help, run }
}

/// All of them.
pub static KEYWORDS: &[Keyword] = &[
    row("Setup", &[], reset, "Begins with nothing."),
    row("Teardown", &[], reset, "Ends all machines."),
    row("Reset Emulation", &[], reset, "Ends all machines and forgets all testers."),
    row(
        "Create Machine",
        &["options", "arch=riscv64", "name=", "symbols="],
        create_machine,
        "Makes a machine of options as qemu-system-ARCH has them; it starts with Start Emulation.",
    ),
    row("Start Emulation", &[], start, "Lets all machines run."),
    row(
        "Execute Command",
        &["command", "machine="],
        command,
        "Carries out a command of the monitor; gives what it prints.",
    ),
    row("Execute Script", &["path"], script, "Carries out the commands of a file, a line each."),
    row(
        "Create Terminal Tester",
        &["uart=serial0", "timeout=", "machine="],
        tester,
        "Makes a tester for a line of a machine; gives its number.",
    ),
    row(
        "Set Default Uart Timeout",
        &["timeout"],
        default_timeout,
        "Seconds of machine time that testers wait.",
    ),
    row("Set Default Tester", &["testerId"], default_tester, "The tester of keywords that name none."),
    row(
        "Wait For Line On Uart",
        &["content", "timeout=", "testerId=", "treatAsRegex=False", "includeUnfinishedLine=False"],
        wait_line,
        "Waits for a line with this text, or one that matches; gives it.",
    ),
    row(
        "Wait For Lines On Uart",
        &["content", "timeout=", "testerId=", "treatAsRegex=False"],
        wait_lines,
        "Waits for lines with these texts, one after the other.",
    ),
    row(
        "Wait For Next Line On Uart",
        &["timeout=", "testerId="],
        next_line,
        "Waits for another line; gives it.",
    ),
    row(
        "Wait For Prompt On Uart",
        &["content", "testerId=", "timeout=", "treatAsRegex=False"],
        wait_prompt,
        "Waits for a text that need not end a line.",
    ),
    row(
        "Wait For Bytes On Uart",
        &["content", "timeout=", "testerId="],
        wait_bytes,
        "Waits for bytes, in hexadecimal digits.",
    ),
    row(
        "Should Not Be On Uart",
        &["content", "timeout=", "testerId=", "treatAsRegex=False"],
        should_not,
        "Fails if the text comes in this time.",
    ),
    row("Test If Uart Is Idle", &["timeout", "testerId="], idle, "Fails if anything comes in this time."),
    row(
        "Register Failing Uart String",
        &["content", "testerId=", "treatAsRegex=False"],
        failing,
        "A text that must not come while a keyword waits.",
    ),
    row(
        "Unregister Failing Uart String",
        &["content", "testerId=", "treatAsRegex=False"],
        not_failing,
        "It may come again.",
    ),
    row(
        "Write Line To Uart",
        &["content=", "testerId=", "waitForEcho=True"],
        write_line,
        "Types a text and Enter; waits for the echo.",
    ),
    row("Write To Uart", &["content", "testerId="], write, "Types a text."),
    row("Write Char On Uart", &["content", "testerId="], write, "Types a character."),
    row("Write Char To Uart", &["content", "testerId="], write, "Types a character."),
    row("Send Key To Uart", &["key", "testerId="], key, "Types the character of this number."),
    row("Create Log Tester", &["timeout="], log_tester, "Sets how long Wait For Log Entry waits."),
    row(
        "Wait For Log Entry",
        &["content", "timeout=", "treatAsRegex=False"],
        log_entry,
        "Waits for something on the emulator's stderr (option -d).",
    ),
    row(
        "Should Not Be In Log",
        &["content", "timeout=", "treatAsRegex=False"],
        not_in_log,
        "Fails if it comes in this time.",
    ),
    row(
        "PC Should Be Equal",
        &["value"],
        pc,
        "Compares the address of the next instruction: a number or a symbol.",
    ),
    row(
        "Register Should Be Equal",
        &["register", "value"],
        register,
        "Compares a register: a number or a symbol.",
    ),
    row("Memory Should Be Equal", &["address", "value", "width=8"], memory, "Compares a number in memory."),
];

/// Seconds that a tester waits where nothing is said, as Renode's.
const TIMEOUT: Duration = Duration::from_secs(8);
/// The host's time that a keyword may take.
const WALL: Duration = Duration::from_secs(300);

struct Tester {
    machine: usize,
    line: String,
    timeout: Option<Duration>,
    forbidden: Vec<(String, Forbidden)>,
}

struct Machine {
    guest: Guest,
    /// What it leaves behind; gone with it.
    folder: tempfile::TempDir,
    runs: bool,
    /// Bytes of stderr that were looked at.
    log_read: usize,
}

/// What keywords work on.
pub struct Robot {
    program: PathBuf,
    machines: Vec<Machine>,
    testers: Vec<Tester>,
    timeout: Duration,
    log_timeout: Duration,
    tester: usize,
}

impl Robot {
    /// Nothing yet.
    pub fn new(program: &Path) -> Self {
        Self {
            program: program.into(),
            machines: Vec::new(),
            testers: Vec::new(),
            timeout: TIMEOUT,
            log_timeout: TIMEOUT,
            tester: 0,
        }
    }

    fn machine(&mut self, name: Option<&str>) -> Result<&mut Machine, String> {
        let found = match name {
            None => self.machines.first_mut(),
            Some(name) => self.machines.iter_mut().find(|machine| machine.guest.name == name),
        };
        let machine = found.ok_or("there is no machine; 'Create Machine' makes one")?;
        machine.guest.limit = Instant::now() + WALL;
        Ok(machine)
    }

    /// The machine and line of a tester, what must not come on it, and how long a keyword waits.
    fn line(&mut self, id: Option<&str>, timeout: Option<&str>) -> Result<Line<'_>, String> {
        let n = match id {
            Some(id) => id.trim().parse().map_err(|_| format!("'{id}' is no number of a tester"))?,
            None => self.tester,
        };
        let tester =
            self.testers.get(n).ok_or("there is no such tester; 'Create Terminal Tester' makes one")?;
        let span = match timeout {
            Some(text) => spec_time(text)?,
            None => tester.timeout.unwrap_or(self.timeout),
        };
        let machine = self.machines.get_mut(tester.machine).ok_or("the tester's machine is gone")?;
        machine.guest.limit = Instant::now() + WALL;
        machine.guest.forbid(tester.forbidden.iter().map(|(_, forbidden)| forbidden.clone()).collect());
        let start = machine.guest.now();
        let deadline = start.saturating_add(span.as_nanos() as u64);
        Ok(Line { guest: &mut machine.guest, name: tester.line.clone(), deadline, span })
    }
}

struct Line<'a> {
    guest: &'a mut Guest,
    name: String,
    deadline: u64,
    span: Duration,
}

fn spec_time(text: &str) -> Result<Duration, String> {
    spec::parse_time(text).ok_or_else(|| format!("'{text}' is no length of time"))
}

fn said(failure: Failure) -> String {
    failure.what
}

fn nothing<T>(result: Result<T, Failure>) -> Result<Value, String> {
    result.map(|_| Value::Nil).map_err(said)
}

fn wanted(content: &str, regex: bool) -> Result<Wanted, String> {
    Ok(if regex { Wanted::Pattern(spec::pattern(content)?) } else { Wanted::Line(content.into()) })
}

/// What waiting keywords give: the line, and when it came in milliseconds of machine time.
fn result(guest: &Guest, bytes: &[u8]) -> Value {
    let timestamp = Value::Number(guest.now() as f64 / 1e6);
    Value::Map(vec![("line".into(), Value::Text(text(bytes))), ("timestamp".into(), timestamp)])
}

fn reset(robot: &mut Robot, _: &Arguments) -> Result<Value, String> {
    let program = robot.program.clone();
    *robot = Robot::new(&program);
    Ok(Value::Nil)
}

fn create_machine(robot: &mut Robot, args: &Arguments) -> Result<Value, String> {
    let usual = format!("machine-{}", robot.machines.len());
    let name = args.given(2).unwrap_or(&usual);
    let dir = std::env::current_dir().map_err(|fault| fault.to_string())?;
    let guest = spec::guest_of_options(args.text(0), args.given(1).unwrap_or("riscv64"), args.given(3))?;
    let folder = tempfile::tempdir().map_err(|fault| format!("cannot make a temporary folder: {fault}"))?;
    let launch = Launch {
        program: robot.program.clone(),
        arch: guest.arch,
        words: guest.words,
        dir,
        lines: guest.lines,
        symbols: guest.symbols,
        folder: folder.path().into(),
        keeps_state: false,
    };
    let guest = Guest::start(name, &launch, Vec::new(), Instant::now() + WALL).map_err(said)?;
    robot.machines.push(Machine { guest, folder, runs: false, log_read: 0 });
    Ok(Value::Text(name.into()))
}

fn start(robot: &mut Robot, _: &Arguments) -> Result<Value, String> {
    robot.machine(None)?;
    for machine in robot.machines.iter_mut().filter(|machine| !machine.runs) {
        machine.guest.go().map_err(said)?;
        machine.runs = true;
    }
    Ok(Value::Nil)
}

fn command(robot: &mut Robot, args: &Arguments) -> Result<Value, String> {
    let machine = robot.machine(args.given(1))?;
    machine.guest.monitor(args.text(0), 0).map(Value::Text).map_err(said)
}

fn script(robot: &mut Robot, args: &Arguments) -> Result<Value, String> {
    let path = args.text(0);
    let text = std::fs::read_to_string(path).map_err(|fault| format!("cannot read {path}: {fault}"))?;
    let machine = robot.machine(None)?;
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        machine.guest.monitor(line, 0).map_err(said)?;
    }
    Ok(Value::Nil)
}

fn tester(robot: &mut Robot, args: &Arguments) -> Result<Value, String> {
    // Renode spells a line as sysbus.NAME; the board's port is the first.
    let line = args.given(0).unwrap_or("serial0");
    let name = args.given(2);
    let machine = match name {
        Some(name) => robot.machines.iter().position(|machine| machine.guest.name == name),
        None => (!robot.machines.is_empty()).then_some(0),
    };
    let machine = machine.ok_or("there is no such machine; 'Create Machine' makes one")?;
    if !robot.machines[machine].guest.lines().any(|known| known.name == line) {
        return Err(format!("the machine has no line '{line}'"));
    }
    let timeout = args.given(1).map(spec_time).transpose()?;
    robot.testers.push(Tester { machine, line: line.into(), timeout, forbidden: Vec::new() });
    Ok(Value::Number((robot.testers.len() - 1) as f64))
}

fn default_timeout(robot: &mut Robot, args: &Arguments) -> Result<Value, String> {
    robot.timeout = spec_time(args.text(0))?;
    Ok(Value::Nil)
}

fn default_tester(robot: &mut Robot, args: &Arguments) -> Result<Value, String> {
    robot.tester = args.number(0, "tester")? as usize;
    Ok(Value::Nil)
}

fn wait(line: Line<'_>, wanted: &Wanted) -> Result<Value, String> {
    let Line { guest, name, deadline, .. } = line;
    let bytes = guest.wait_for(Some(&name), wanted, deadline).map_err(said)?;
    Ok(result(guest, &bytes))
}

fn wait_line(robot: &mut Robot, args: &Arguments) -> Result<Value, String> {
    let wanted = match (args.flag(3), args.flag(4)) {
        (false, true) => Wanted::Text(args.text(0).into()),
        (true, true) => return Err("a pattern matches whole lines only".into()),
        (regex, false) => wanted(args.text(0), regex)?,
    };
    wait(robot.line(args.given(2), args.given(1))?, &wanted)
}

fn wait_lines(robot: &mut Robot, args: &Arguments) -> Result<Value, String> {
    let mut results = Vec::new();
    for content in args.text(0).lines() {
        let wanted = wanted(content, args.flag(3))?;
        results.push(wait(robot.line(args.given(2), args.given(1))?, &wanted)?);
    }
    Ok(Value::List(results))
}

fn next_line(robot: &mut Robot, args: &Arguments) -> Result<Value, String> {
    let Line { guest, name, deadline, .. } = robot.line(args.given(1), args.given(0))?;
    let bytes = guest.next_line(Some(&name), deadline).map_err(said)?;
    Ok(result(guest, &bytes))
}

fn wait_prompt(robot: &mut Robot, args: &Arguments) -> Result<Value, String> {
    if args.flag(3) {
        return Err("a prompt is a text, since a pattern matches whole lines only".into());
    }
    wait(robot.line(args.given(1), args.given(2))?, &Wanted::Text(args.text(0).into()))
}

fn wait_bytes(robot: &mut Robot, args: &Arguments) -> Result<Value, String> {
    let digits: String = args.text(0).split_whitespace().collect();
    let pairs: Option<Vec<u8>> = (digits.len().is_multiple_of(2) && digits.is_ascii())
        .then(|| {
            (0..digits.len()).step_by(2).map(|n| u8::from_str_radix(&digits[n..n + 2], 16).ok()).collect()
        })
        .flatten();
    let bytes = pairs.ok_or_else(|| format!("'{digits}' are no hexadecimal digits"))?;
    let content = String::from_utf8(bytes).map_err(|_| "bytes that are no text can not be waited for")?;
    wait(robot.line(args.given(2), args.given(1))?, &Wanted::Text(content))
}

fn should_not(robot: &mut Robot, args: &Arguments) -> Result<Value, String> {
    let unwanted = wanted(args.text(0), args.flag(3))?;
    let Line { guest, name, deadline, span } = robot.line(args.given(2), args.given(1))?;
    let there = |came: &[u8]| match &unwanted {
        Wanted::Pattern(pattern) => came.split(|byte| *byte == b'\n').any(|line| pattern.is_match(line)),
        Wanted::Text(content) | Wanted::Line(content) => text(came).contains(content),
    };
    let came = guest.pass(Some(&name), deadline, true, there).map_err(said)?;
    match there(&came) {
        true => Err(format!("a {unwanted} came within {} s", span.as_secs_f64())),
        false => Ok(Value::Nil),
    }
}

fn idle(robot: &mut Robot, args: &Arguments) -> Result<Value, String> {
    let Line { guest, name, span, .. } = robot.line(args.given(1), args.given(0))?;
    // What came before it was asked is no matter of this interval.
    let start = guest.catch_up().map_err(said)?;
    let deadline = start.saturating_add(span.as_nanos() as u64);
    let before = guest.pass(Some(&name), start, false, |_| false).map_err(said)?.len();
    let came = guest.pass(Some(&name), deadline, false, |came| came.len() > before).map_err(said)?;
    match &came[before..] {
        [] => Ok(Value::Nil),
        came => Err(format!("the line was not idle: {:?}", text(came))),
    }
}

fn testers_of<'a>(robot: &'a mut Robot, id: Option<&str>) -> Result<&'a mut Tester, String> {
    let n = id.map_or(Ok(robot.tester), |id| {
        id.trim().parse().map_err(|_| format!("'{id}' is no number of a tester"))
    })?;
    robot.testers.get_mut(n).ok_or_else(|| "there is no such tester".into())
}

fn failing(robot: &mut Robot, args: &Arguments) -> Result<Value, String> {
    let content = args.text(0);
    let forbidden = match args.flag(2) {
        true => Forbidden::Pattern(spec::pattern(content)?),
        false => Forbidden::Text(content.into()),
    };
    testers_of(robot, args.given(1))?.forbidden.push((content.into(), forbidden));
    Ok(Value::Nil)
}

fn not_failing(robot: &mut Robot, args: &Arguments) -> Result<Value, String> {
    testers_of(robot, args.given(1))?.forbidden.retain(|(content, _)| content != args.text(0));
    Ok(Value::Nil)
}

fn write_line(robot: &mut Robot, args: &Arguments) -> Result<Value, String> {
    let content = args.text(0);
    let Line { guest, name, deadline, .. } = robot.line(args.given(1), None)?;
    guest.write(Some(&name), format!("{content}\r").as_bytes()).map_err(said)?;
    let echo = args.given(2).is_none_or(|echo| !echo.eq_ignore_ascii_case("false"));
    if echo && !content.is_empty() {
        guest.wait_for(Some(&name), &Wanted::Text(content.into()), deadline).map_err(said)?;
    }
    Ok(Value::Nil)
}

fn write(robot: &mut Robot, args: &Arguments) -> Result<Value, String> {
    let Line { guest, name, .. } = robot.line(args.given(1), None)?;
    nothing(guest.write(Some(&name), args.text(0).as_bytes()))
}

fn key(robot: &mut Robot, args: &Arguments) -> Result<Value, String> {
    let key = args.number(0, "key")?;
    let key = u8::try_from(key).map_err(|_| format!("key {key} is no byte"))?;
    let Line { guest, name, .. } = robot.line(args.given(1), None)?;
    nothing(guest.write(Some(&name), &[key]))
}

fn log_tester(robot: &mut Robot, args: &Arguments) -> Result<Value, String> {
    robot.log_timeout = args.given(0).map_or(Ok(TIMEOUT), spec_time)?;
    Ok(Value::Nil)
}

/// Looks for a line on stderr until machine time is up.
fn look_in_log(robot: &mut Robot, args: &Arguments) -> Result<Option<String>, String> {
    let span = args.given(1).map_or(Ok(robot.log_timeout), spec_time)?;
    let wanted = wanted(args.text(0), args.flag(2))?;
    let machine = robot.machine(None)?;
    let deadline = machine.guest.time().saturating_add(span.as_nanos() as u64);
    loop {
        let over = machine.guest.time() > deadline;
        let log = std::fs::read(machine.folder.path().join("stderr")).unwrap_or_default();
        let mut at = machine.log_read.min(log.len());
        while let Some(len) = log[at..].iter().position(|byte| *byte == b'\n') {
            let line = &log[at..at + len];
            at += len + 1;
            machine.log_read = at;
            let fits = match &wanted {
                Wanted::Pattern(pattern) => pattern.is_match(line),
                Wanted::Text(content) | Wanted::Line(content) => text(line).contains(content),
            };
            if fits {
                return Ok(Some(text(line)));
            }
        }
        if over {
            return Ok(None);
        }
        let soon = machine.guest.time() + LOG_LOOK.as_nanos() as u64;
        machine.guest.pass(None, soon.min(deadline), false, |_| false).map_err(said)?;
    }
}

/// Machine time between two looks at the log.
const LOG_LOOK: Duration = Duration::from_millis(50);

fn log_entry(robot: &mut Robot, args: &Arguments) -> Result<Value, String> {
    let found = look_in_log(robot, args)?;
    found.map(Value::Text).ok_or_else(|| format!("no '{}' in the log", args.text(0)))
}

fn not_in_log(robot: &mut Robot, args: &Arguments) -> Result<Value, String> {
    match look_in_log(robot, args)? {
        Some(line) => Err(format!("the log has '{line}'")),
        None => Ok(Value::Nil),
    }
}

fn compare(robot: &mut Robot, name: &str, value: &str) -> Result<Value, String> {
    let guest = &mut robot.machine(None)?.guest;
    let wanted = guest.address(value).map_err(said)?;
    match guest.register(name, 0).map_err(said)? {
        found if found == wanted => Ok(Value::Nil),
        found => Err(format!("{name} is {found:#x}, not {wanted:#x}")),
    }
}

fn pc(robot: &mut Robot, args: &Arguments) -> Result<Value, String> {
    compare(robot, "pc", args.text(0))
}

fn register(robot: &mut Robot, args: &Arguments) -> Result<Value, String> {
    compare(robot, args.text(0), args.text(1))
}

fn memory(robot: &mut Robot, args: &Arguments) -> Result<Value, String> {
    let width = args.given(2).map_or(Ok(8), |_| args.number(2, "width"))? as usize;
    if ![1, 2, 4, 8].contains(&width) {
        return Err(format!("width {width}: is 1, 2, 4 or 8"));
    }
    let guest = &mut robot.machine(None)?.guest;
    let address = guest.address(args.text(0)).map_err(said)?;
    let wanted = guest.address(args.text(1)).map_err(said)?;
    let bytes = guest.memory(address, width, true, 0).map_err(said)?;
    match bytes == wanted.to_le_bytes()[..width] {
        true => Ok(Value::Nil),
        false => Err(format!("memory at {} is {bytes:02x?}, not {wanted:#x}", args.text(0))),
    }
}
