//! What is compared: processes, on the host itself and under a user-mode emulator, and system emulators with a guest.

use crate::clock::Clock;
use crate::packages::Task;
use crate::programs::Built;
use guest_images::Guest;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The time of each thing that was run, by its name.
pub type Times = BTreeMap<&'static str, Duration>;

/// One column of the table.
pub trait Side {
    /// For progress messages.
    fn name(&self) -> String;
    /// Boots a kernel to power-off, if that is something to do here.
    fn boot(&self) -> Result<Option<Duration>, String>;
    /// Runs all programs; an error if one of them comes to a wrong result.
    fn programs(&self) -> Result<Times, String>;
}

/// Programs as processes of the host.
pub struct Processes<'a> {
    /// A user-mode emulator and the first words of its command line; the host itself if there is none.
    emulator: Option<(PathBuf, Vec<String>)>,
    tasks: &'a [Task],
    clock: Clock,
}

impl<'a> Processes<'a> {
    /// `tasks` on the host itself.
    pub fn native(tasks: &'a [Task], clock: Clock) -> Self {
        Self { emulator: None, tasks, clock }
    }

    /// `tasks` under an emulator whose command line begins with the words `first`.
    pub fn emulated(program: PathBuf, first: Vec<String>, tasks: &'a [Task], clock: Clock) -> Self {
        Self { emulator: Some((program, first)), tasks, clock }
    }

    fn run(&self, task: &Task) -> Result<Option<(&'static str, Duration)>, String> {
        let words = if self.emulator.is_some() { &task.guest } else { &task.native };
        let Some((program, args)) = words.split_first() else { return Ok(None) };
        let mut command = match &self.emulator {
            None => Command::new(program),
            Some((emulator, first)) => {
                let mut command = Command::new(emulator);
                command.args(first).arg(program);
                command
            }
        };
        command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let start = Instant::now();
        let before = self.clock.of_ended(start);
        for _ in 0..task.times {
            let end = command.output().map_err(|error| format!("cannot start {}: {error}", self.name()))?;
            if !end.status.success() {
                let said = String::from_utf8_lossy(&end.stderr);
                return Err(format!("{}: {}", wrong(task.name, &self.name()), said.trim()));
            }
        }
        Ok(Some((task.name, self.clock.of_ended(start) - before)))
    }
}

impl Side for Processes<'_> {
    fn name(&self) -> String {
        self.emulator.as_ref().map_or("native".into(), |(program, _)| program.display().to_string())
    }

    fn boot(&self) -> Result<Option<Duration>, String> {
        Ok(None)
    }

    fn programs(&self) -> Result<Times, String> {
        self.tasks.iter().filter_map(|task| self.run(task).transpose()).collect()
    }
}

fn wrong(program: &str, side: &str) -> String {
    format!("{program} comes to a wrong result on the side {side}")
}

/// A system emulator with the command line of QEMU.
pub struct Emulator<'a> {
    program: PathBuf,
    words: Vec<&'static str>,
    guest: &'a Guest,
    /// The programs, and the initial file system that runs them.
    binaries: (&'a [Built], &'a Path),
    clock: Clock,
}

/// A guest that is silent for as long has come to grief.
const PATIENCE: Duration = Duration::from_secs(300);

impl<'a> Emulator<'a> {
    /// The emulator `program`, whose command line begins with `words`.
    pub fn new(
        (program, words): (PathBuf, Vec<&'static str>),
        guest: &'a Guest,
        binaries: (&'a [Built], &'a Path),
        clock: Clock,
    ) -> Self {
        Self { program, words, guest, binaries, clock }
    }

    /// Starts a machine with an initial file system.
    fn start(&self, initrd: &Path, append: &str) -> Result<Child, String> {
        let mut command = Command::new(&self.program);
        command.args(&self.words).args(["-nographic", "-no-reboot"]);
        command.arg("-kernel").arg(&self.guest.kernel).arg("-initrd").arg(initrd).args(["-append", append]);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        command.spawn().map_err(|error| format!("cannot start {}: {error}", self.name()))
    }

    /// Hands over each line of the serial console with the child's time when it came, until the machine is off.
    fn watch(&self, mut child: Child, mut line: impl FnMut(&str, Duration)) -> Result<(), String> {
        let out = child.stdout.take().ok_or("the emulator's output is not piped")?;
        let (to, lines) = std::sync::mpsc::channel();
        let (clock, pid, start) = (self.clock, child.id(), Instant::now());
        let reader = std::thread::spawn(move || {
            for bytes in BufReader::new(out).split(b'\n').map_while(Result::ok) {
                let text = String::from_utf8_lossy(&bytes).trim().to_owned();
                if to.send((text, clock.of_child(start, pid))).is_err() {
                    break;
                }
            }
        });
        let silent = loop {
            match lines.recv_timeout(PATIENCE) {
                Ok((text, at)) => line(&text, at),
                Err(error) => break error == std::sync::mpsc::RecvTimeoutError::Timeout,
            }
        };
        if silent {
            // It may have ended by itself just now.
            let _ = child.kill();
        }
        let status = child.wait().map_err(|error| format!("{}: {error}", self.name()))?;
        // It reads to the end of a pipe that has no writer any longer.
        let _ = reader.join();
        match (silent, status.success()) {
            (false, true) => Ok(()),
            (true, _) => Err(format!("{} was silent for {PATIENCE:?}", self.name())),
            (false, false) => Err(format!("{} ended with {status}", self.name())),
        }
    }
}

impl Side for Emulator<'_> {
    fn name(&self) -> String {
        self.program.display().to_string()
    }

    fn boot(&self) -> Result<Option<Duration>, String> {
        let start = Instant::now();
        let before = self.clock.of_ended(start);
        let child = self.start(&self.guest.initrd, &self.guest.append)?;
        let mut reached = false;
        self.watch(child, |line, _| reached |= line.contains("MIMIC-INIT-OK"))?;
        let time = self.clock.of_ended(start) - before;
        if reached { Ok(Some(time)) } else { Err(format!("{} does not reach init", self.name())) }
    }

    fn programs(&self) -> Result<Times, String> {
        let (built, initrd) = self.binaries;
        if built.is_empty() {
            return Ok(Times::new());
        }
        let child = self.start(initrd, &format!("{} quiet", self.guest.append))?;
        let (mut times, mut start) = (Times::new(), Duration::ZERO);
        self.watch(child, |line, at| {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words[..] {
                ["BEGIN", _] => start = at,
                ["END", name, "0"] => {
                    let known = built.iter().map(|one| one.program.name);
                    times.extend(known.filter(|known| *known == name).map(|known| (known, at - start)));
                }
                _ => {}
            }
        })?;
        match built.iter().find(|one| !times.contains_key(one.program.name)) {
            Some(missing) => Err(wrong(missing.program.name, &self.name())),
            None => Ok(times),
        }
    }
}
