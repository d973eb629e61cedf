//! What a test does, one thing after the other.

use super::span::Span;
use super::variables::Variables;
use crate::line::Wanted;
use crate::symbols::number;
use regex::bytes::Regex;
use serde::Deserialize;
use serde_json::Value;
use std::time::Duration;

/// The keys of a step: one verb, and what it takes.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct RawStep {
    wait: Option<String>,
    wait_line: Option<String>,
    wait_regex: Option<String>,
    write: Option<String>,
    not: Option<String>,
    quiet: Option<Span>,
    delay: Option<Span>,
    register: Option<String>,
    memory: Option<Number>,
    event: Option<String>,
    qmp: Option<String>,
    monitor: Option<String>,
    reset: Option<bool>,
    checkpoint: Option<String>,
    restore: Option<String>,
    exit: Option<i32>,

    guest: Option<String>,
    line: Option<String>,
    timeout: Option<Span>,
    r#for: Option<Span>,
    cpu: Option<u32>,
    equals: Option<Equals>,
    width: Option<usize>,
    r#virtual: Option<bool>,
    data: Option<toml::Table>,
    arguments: Option<toml::Table>,
    returns: Option<toml::Value>,
    contains: Option<String>,
}

/// An address or a value: a number, or a text that is one or names one.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Number {
    Number(i64),
    Text(String),
}

/// What a register or memory shall be.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Equals {
    Number(i64),
    Text(String),
    Bytes(Vec<u8>),
}

/// One step.
#[derive(Clone, Debug)]
pub struct Step {
    /// What happens.
    pub verb: Verb,
    /// The guest that it is about; the first where nothing is said.
    pub guest: Option<String>,
    /// Its line; the serial port where nothing is said.
    pub line: Option<String>,
    /// Machine time that it may take; what is left of the test's where nothing is said.
    pub timeout: Option<Duration>,
    /// Line of the file it stands in.
    pub place: usize,
}

/// What a step does.
#[derive(Clone, Debug)]
pub enum Verb {
    /// Waits for something on a line.
    Wait(Wanted),
    /// Types at the guest.
    Write(String),
    /// A text must not come for so long.
    Not(String, Duration),
    /// Nothing must come for so long.
    Quiet(Duration),
    /// Machine time passes.
    Delay(Duration),
    /// A register has a value: a number, or an address by name.
    Register {
        /// Its name.
        name: String,
        /// The vCPU.
        cpu: u32,
        /// Its value.
        equals: String,
    },
    /// Memory has contents.
    Memory {
        /// Where: a number, or an address by name.
        address: String,
        /// The contents.
        equals: Vec<u8>,
        /// The address is physical.
        physical: bool,
        /// The vCPU that sees it.
        cpu: u32,
    },
    /// An event happens, with at least this data.
    Event(String, Value),
    /// A QMP command.
    Qmp {
        /// Its name.
        command: String,
        /// Its arguments.
        arguments: Value,
        /// At least this comes back.
        returns: Option<Value>,
    },
    /// A command of the monitor.
    Monitor {
        /// The command.
        line: String,
        /// What it prints has this in it.
        contains: Option<String>,
    },
    /// The machine is reset.
    Reset,
    /// The machine is kept in memory as it is, under this name.
    Checkpoint(String),
    /// The machine is what it was at a checkpoint; what it has written since is forgotten.
    Restore(String),
    /// The guest ends by itself with this status.
    Exit(i32),
}

const VERBS: &str = "wait, wait-line, wait-regex, write, not, quiet, delay, register, memory, event, qmp, monitor, reset, checkpoint, \
    restore, exit";

fn json(value: &impl serde::Serialize) -> Value {
    serde_json::to_value(value).unwrap_or(Value::Null)
}

/// A pattern, with its mistake as one sentence.
pub fn pattern(text: &str) -> Result<Regex, String> {
    Regex::new(text).map_err(|fault| {
        let fault = fault.to_string();
        format!("/{text}/ is no pattern: {}", fault.lines().last().unwrap_or_default().trim())
    })
}

impl RawStep {
    /// What it means; `place` is the line it stands in.
    ///
    /// # Errors
    /// A sentence.
    pub fn finish(&self, variables: &Variables, place: usize) -> Result<Step, String> {
        let mut verbs = self.verbs(variables)?;
        let verb = match verbs.len() {
            1 => verbs.remove(0).1,
            0 => return Err(format!("the step does nothing; it is one of {VERBS}")),
            _ => {
                return Err(format!("a step does one thing; '{}' and '{}' are two", verbs[0].0, verbs[1].0));
            }
        };
        self.check(&verb)?;
        let fill = |text: &Option<String>| text.as_ref().map(|text| variables.fill(text)).transpose();
        Ok(Step {
            verb,
            guest: fill(&self.guest)?,
            line: fill(&self.line)?,
            timeout: self.timeout.map(|span| span.0),
            place,
        })
    }

    /// Everything that it says it does, by key.
    fn verbs(&self, variables: &Variables) -> Result<Vec<(&'static str, Verb)>, String> {
        let fill = |text: &String| variables.fill(text);
        let mut verbs = Vec::new();
        if let Some(text) = &self.wait {
            verbs.push(("wait", Verb::Wait(Wanted::Text(fill(text)?))));
        }
        if let Some(text) = &self.wait_line {
            verbs.push(("wait-line", Verb::Wait(Wanted::Line(fill(text)?))));
        }
        if let Some(text) = &self.wait_regex {
            verbs.push(("wait-regex", Verb::Wait(Wanted::Pattern(pattern(&fill(text)?)?))));
        }
        if let Some(text) = &self.write {
            verbs.push(("write", Verb::Write(fill(text)?)));
        }
        if let Some(text) = &self.not {
            let time = self.r#for.ok_or("'not' needs 'for', how long")?;
            verbs.push(("not", Verb::Not(fill(text)?, time.0)));
        }
        verbs.extend(self.quiet.map(|span| ("quiet", Verb::Quiet(span.0))));
        verbs.extend(self.delay.map(|span| ("delay", Verb::Delay(span.0))));
        if let Some(name) = &self.register {
            let equals = match self.equals.as_ref().ok_or("'register' needs 'equals'")? {
                Equals::Number(number) => (*number as u64).to_string(),
                Equals::Text(text) => fill(text)?,
                Equals::Bytes(_) => return Err("a register is no list of bytes".into()),
            };
            verbs
                .push(("register", Verb::Register { name: fill(name)?, cpu: self.cpu.unwrap_or(0), equals }));
        }
        if let Some(address) = &self.memory {
            let address = match address {
                Number::Number(number) => format!("{number:#x}"),
                Number::Text(text) => fill(text)?,
            };
            let equals = self.contents(variables)?;
            let physical = !self.r#virtual.unwrap_or(false);
            verbs.push(("memory", Verb::Memory { address, equals, physical, cpu: self.cpu.unwrap_or(0) }));
        }
        if let Some(name) = &self.event {
            verbs.push(("event", Verb::Event(fill(name)?, self.data.as_ref().map_or(Value::Null, json))));
        }
        if let Some(command) = &self.qmp {
            let arguments = self.arguments.as_ref().map_or(Value::Object(Default::default()), json);
            let returns = self.returns.as_ref().map(json);
            verbs.push(("qmp", Verb::Qmp { command: fill(command)?, arguments, returns }));
        }
        if let Some(line) = &self.monitor {
            let contains = self.contains.as_ref().map(fill).transpose()?;
            verbs.push(("monitor", Verb::Monitor { line: fill(line)?, contains }));
        }
        verbs.extend(self.reset.map(|_| ("reset", Verb::Reset)));
        if let Some(name) = &self.checkpoint {
            verbs.push(("checkpoint", Verb::Checkpoint(fill(name)?)));
        }
        if let Some(name) = &self.restore {
            verbs.push(("restore", Verb::Restore(fill(name)?)));
        }
        verbs.extend(self.exit.map(|status| ("exit", Verb::Exit(status))));
        Ok(verbs)
    }

    fn contents(&self, variables: &Variables) -> Result<Vec<u8>, String> {
        let width = self.width.unwrap_or(8);
        if ![1, 2, 4, 8].contains(&width) {
            return Err(format!("width={width}: is 1, 2, 4 or 8"));
        }
        let of_number = |number: u64| number.to_le_bytes()[..width].to_vec();
        Ok(match self.equals.as_ref().ok_or("'memory' needs 'equals'")? {
            Equals::Number(number) => of_number(*number as u64),
            Equals::Bytes(bytes) => bytes.clone(),
            Equals::Text(text) => {
                let text = variables.fill(text)?;
                match number(&text).filter(|_| text.starts_with("0x")) {
                    Some(number) => of_number(number),
                    None => text.into_bytes(),
                }
            }
        })
    }

    /// Whether every other key is one that the verb takes.
    fn check(&self, verb: &Verb) -> Result<(), String> {
        let (register, memory) = (matches!(verb, Verb::Register { .. }), matches!(verb, Verb::Memory { .. }));
        let qmp = matches!(verb, Verb::Qmp { .. });
        let waits = matches!(verb, Verb::Wait(_) | Verb::Event(..) | Verb::Exit(_));
        let on_line = matches!(verb, Verb::Wait(_) | Verb::Write(_) | Verb::Not(..) | Verb::Quiet(_));
        let rules = [
            ("line", self.line.is_some(), on_line),
            ("timeout", self.timeout.is_some(), waits),
            ("for", self.r#for.is_some(), matches!(verb, Verb::Not(..))),
            ("cpu", self.cpu.is_some(), register || memory),
            ("equals", self.equals.is_some(), register || memory),
            ("width", self.width.is_some(), memory),
            ("virtual", self.r#virtual.is_some(), memory),
            ("data", self.data.is_some(), matches!(verb, Verb::Event(..))),
            ("arguments", self.arguments.is_some(), qmp),
            ("returns", self.returns.is_some(), qmp),
            ("contains", self.contains.is_some(), matches!(verb, Verb::Monitor { .. })),
        ];
        match rules.iter().find(|(_, given, allowed)| *given && !allowed) {
            Some((key, ..)) => Err(format!("'{key}' has no meaning in this step")),
            None => Ok(()),
        }
    }
}
