//! What is compared: the host itself, and system emulators with a guest. A user-mode emulator would be one more [`Side`].

use crate::clock::Clock;
use crate::programs::{Binaries, Built};
use guest_images::Guest;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
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

/// The host.
pub struct Native<'a> {
    binaries: &'a Binaries,
    clock: Clock,
}

impl<'a> Native<'a> {
    /// Programs on the host.
    pub fn new(binaries: &'a Binaries, clock: Clock) -> Self {
        Self { binaries, clock }
    }
}

impl Side for Native<'_> {
    fn name(&self) -> String {
        "native".into()
    }

    fn boot(&self) -> Result<Option<Duration>, String> {
        Ok(None)
    }

    fn programs(&self) -> Result<Times, String> {
        let run = |one: &Built| {
            let start = Instant::now();
            let before = self.clock.of_ended(start);
            let end = Command::new(&one.native).output().map_err(|error| error.to_string())?;
            let time = self.clock.of_ended(start) - before;
            if end.status.success() {
                Ok((one.program.name, time))
            } else {
                Err(wrong(one.program.name, "native"))
            }
        };
        self.binaries.programs.iter().map(run).collect()
    }
}

fn wrong(program: &str, side: &str) -> String {
    format!("{program} comes to a wrong result on the side {side}")
}

/// A system emulator with the command line of QEMU.
pub struct Emulator<'a> {
    program: PathBuf,
    first: Vec<String>,
    guest: &'a Guest,
    binaries: &'a Binaries,
    clock: Clock,
}

/// A guest that is silent for as long has come to grief.
const PATIENCE: Duration = Duration::from_secs(300);

impl<'a> Emulator<'a> {
    /// The emulator `program`, whose command line begins with the words `first`.
    pub fn new(
        (program, first): (PathBuf, &[&str]),
        guest: &'a Guest,
        binaries: &'a Binaries,
        clock: Clock,
    ) -> Self {
        let first = first.iter().copied().map(String::from).collect();
        Self { program, first, guest, binaries, clock }
    }

    /// Starts a machine with an initial file system.
    fn start(&self, initrd: &OsStr, append: &str) -> Result<Child, String> {
        let mut command = Command::new(&self.program);
        command.args(&self.first).args(["-M", "virt", "-m", "512", "-nographic", "-no-reboot"]);
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
        let child = self.start(self.guest.initrd.as_os_str(), &self.guest.append)?;
        let mut reached = false;
        self.watch(child, |line, _| reached |= line.contains("MIMIC-INIT-OK"))?;
        let time = self.clock.of_ended(start) - before;
        if reached { Ok(Some(time)) } else { Err(format!("{} does not reach init", self.name())) }
    }

    fn programs(&self) -> Result<Times, String> {
        if self.binaries.programs.is_empty() {
            return Ok(Times::new());
        }
        let child = self.start(self.binaries.initrd.as_os_str(), "console=ttyS0 quiet")?;
        let (mut times, mut start) = (Times::new(), Duration::ZERO);
        self.watch(child, |line, at| {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words[..] {
                ["BEGIN", _] => start = at,
                ["END", name, "0"] => {
                    let known = self.binaries.programs.iter().map(|one| one.program.name);
                    times.extend(known.filter(|known| *known == name).map(|known| (known, at - start)));
                }
                _ => {}
            }
        })?;
        match self.binaries.programs.iter().find(|one| !times.contains_key(one.program.name)) {
            Some(missing) => Err(wrong(missing.program.name, &self.name())),
            None => Ok(times),
        }
    }
}
