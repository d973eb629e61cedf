//! Where serial ports and monitors go, and where they go when nothing is said.
//!
//! QEMU's rules: with `-nographic` the serial port and the monitor share the terminal, or the one that was not placed
//! elsewhere has it; otherwise both are virtual consoles. Mimic has no window, so without any word about the display
//! the terminal is used too, where it is free.

use super::chardev::{CharBackend, Chardev};
use super::error::{Fault, UsageError};
use super::settings::{Monitor, MonitorMode};
use super::system::SerialTarget;

/// Whether the terminal stands in for a window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Terminal {
    /// Nothing was said: where it is free.
    #[default]
    Offered,
    /// `-display none`: no.
    Unused,
    /// `-nographic`: yes.
    Forced,
}

/// What was said about serial ports and monitors.
#[derive(Debug, Default)]
pub struct Placement {
    /// `-nographic`, `-display none`.
    pub terminal: Terminal,
    /// `-nodefaults`.
    pub no_defaults: bool,
    serials: Vec<SerialTarget>,
    monitors: Vec<Monitor>,
    gdb: Option<String>,
    monitor_said: bool,
    legacy_monitors: usize,
    chardevs: Vec<Chardev>,
    references: Vec<(String, String)>,
}

impl Placement {
    /// `-serial`.
    pub fn serial(&mut self, argument: &str, origin: &str) -> Result<(), Fault> {
        let label = format!("serial{}", self.serials.len());
        let target = match self.target(argument, label, origin)? {
            Some(id) => SerialTarget::Chardev(id),
            None => SerialTarget::None,
        };
        if let (true, SerialTarget::Chardev(id)) = (argument.starts_with("mon:"), &target) {
            self.monitor_said = true;
            self.monitors.push(Monitor::readline(id));
        }
        self.serials.push(target);
        Ok(())
    }

    /// `-monitor`, `-qmp`.
    pub fn monitor(&mut self, argument: &str, mode: MonitorMode, origin: &str) -> Result<(), Fault> {
        self.monitor_said = true;
        let label = format!("compat_monitor{}", self.legacy_monitors);
        if let Some(id) = self.target(argument, label, origin)? {
            self.legacy_monitors += 1;
            self.monitors.push(Monitor::new(id, mode));
        }
        Ok(())
    }

    /// `-mon`.
    pub fn monitor_on(&mut self, monitor: Monitor, origin: &str) -> Result<(), Fault> {
        if let Some(id) = &monitor.id
            && self.monitors.iter().any(|other| other.id.as_ref() == Some(id))
        {
            return Err(Fault::new(format!("there is another monitor '{id}' already")));
        }
        self.monitor_said = true;
        self.references.push((monitor.chardev.clone(), origin.into()));
        self.monitors.push(monitor);
        Ok(())
    }

    /// `-gdb`; the last one counts.
    pub fn gdb(&mut self, argument: &str, origin: &str) -> Result<(), Fault> {
        let label = "gdb";
        self.chardevs.retain(|chardev| chardev.id != label);
        self.gdb = self.target(&listening(argument), label.into(), origin)?;
        Ok(())
    }

    /// The character device that `argument` names or describes; `None` for `none`.
    fn target(&mut self, argument: &str, label: String, origin: &str) -> Result<Option<String>, Fault> {
        if argument == "none" {
            return Ok(None);
        }
        if let Some(id) = argument.strip_prefix("chardev:") {
            self.references.push((id.into(), origin.into()));
            return Ok(Some(id.into()));
        }
        self.chardevs.push(Chardev::read_short(argument, &label, origin)?);
        Ok(Some(label))
    }

    /// Fills in the defaults; the character devices of short forms join `chardevs`.
    pub fn finish(mut self, chardevs: &mut Vec<Chardev>) -> Result<Placed, UsageError> {
        let serial = self.serials.is_empty() && !self.no_defaults;
        let monitor = !self.monitor_said && !self.no_defaults;
        let mut all = chardevs.iter().chain(&self.chardevs);
        let terminal_taken = all.any(|c| matches!(c.backend, CharBackend::Stdio { .. }));
        let on_terminal = match self.terminal {
            Terminal::Forced => true,
            Terminal::Unused => false,
            Terminal::Offered => serial && !terminal_taken,
        };
        let place = if on_terminal { "stdio" } else { "vc" };
        let defaults = "the default serial port and monitor";
        let mut add = |serial: bool, argument: &str| {
            let done = match serial {
                true => self.serial(argument, defaults),
                false => self.monitor(argument, MonitorMode::Readline, defaults),
            };
            done.map_err(|fault| fault.at(defaults))
        };
        match (serial, monitor) {
            (true, true) if on_terminal => add(true, "mon:stdio")?,
            _ => {
                if serial {
                    add(true, place)?;
                }
                if monitor {
                    add(false, place)?;
                }
            }
        }
        chardevs.append(&mut self.chardevs);
        for (id, origin) in &self.references {
            if !chardevs.iter().any(|c| c.id == *id) {
                let ids = chardevs.iter().map(|c| &*c.id);
                let what = format!("there is no character device '{id}'");
                return Err(Fault::unknown(what, id, ids).at(origin));
            }
        }
        Ok(Placed { serials: self.serials, monitors: self.monitors, gdb: self.gdb })
    }
}

/// Where everything went.
pub struct Placed {
    /// The board's ports in order.
    pub serials: Vec<SerialTarget>,
    /// The monitors.
    pub monitors: Vec<Monitor>,
    /// The id of the character device that gdb connects to.
    pub gdb: Option<String>,
}

/// The character device that gdb connects to, spelled out: a socket listens, and nobody waits for it.
pub fn listening(argument: &str) -> String {
    let socket = argument.starts_with("tcp:") || argument.starts_with("unix:");
    let said = argument.split(',').skip(1).any(|word| word.starts_with("server"));
    if socket && !said { format!("{argument},server=on,wait=off") } else { argument.into() }
}
