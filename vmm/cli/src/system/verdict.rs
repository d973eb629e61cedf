//! The end of a run: its exit status, and what is said about it.

use std::sync::Arc;
use std::time::Duration;

use base::{Clock, Ns};
use engine::{Cause, End, HangAction, PanicAction, Power};

use super::error::SystemError;
use super::panic_watch::PanicWatch;
use crate::options::settings::{ExitCodes, Timeout};
use crate::options::{CharBackend, SerialTarget, SystemOptions};

/// Exit status of a run whose time was up, as `timeout(1)` has it.
const TIMED_OUT: u8 = 124;
/// Exit status of a run that a fault of this program ended, as `sysexits.h` has it.
const INTERNAL: u8 = 70;
/// Lines of the serial port that are shown after an end that is no good one.
const LAST_LINES: usize = 10;

/// What is needed to judge an end.
pub struct Verdict {
    power: Arc<Power>,
    codes: ExitCodes,
    serial: Arc<PanicWatch>,
    /// The user has seen the serial port's output.
    on_terminal: bool,
}

impl Verdict {
    /// Judges by `options`, by what was written to `serial`, and by what `power` is to do then.
    pub fn new(options: &SystemOptions, serial: Arc<PanicWatch>, power: Arc<Power>) -> Self {
        let on_terminal = match options.serials.first() {
            Some(SerialTarget::Chardev(id)) => {
                matches!(options.chardev(id).map(|c| &c.backend), Some(CharBackend::Stdio { .. }))
            }
            _ => false,
        };
        Self { power, codes: options.exit_codes, serial, on_terminal }
    }

    /// The exit status; says what there is to say.
    pub fn status(&self, program: &str, end: End) -> u8 {
        let (status, why) = self.judge(end);
        if let Some(why) = why {
            // What ends the process restores the terminal; in raw mode the line starts where the last one ended.
            super::say(format_args!("\r{program}: {why}"));
            let last = self.serial.last_lines(LAST_LINES);
            if !self.on_terminal && !last.is_empty() {
                super::say(format_args!("\r{program}: the last lines on the serial port were:\n{last}"));
            }
        }
        status
    }

    /// The exit status where this program has failed.
    pub fn internal(&self) -> u8 {
        self.codes.internal.unwrap_or(INTERNAL)
    }

    fn judge(&self, end: End) -> (u8, Option<&'static str>) {
        let (codes, actions) = (self.codes, self.power.actions());
        match end {
            // As `exit` takes it: the low byte.
            End::Off(code) => (code as u8, None),
            End::Reset if self.serial.seen() && actions.panic != PanicAction::None => {
                let why = "the guest's kernel panicked, and -no-reboot ended the run there";
                (codes.panic.or(codes.reset).unwrap_or(1), Some(why))
            }
            End::Reset => (codes.reset.unwrap_or(0), None),
            End::Panicked => {
                let usual = u8::from(actions.panic == PanicAction::ExitFailure);
                (codes.panic.unwrap_or(usual), Some("the guest has crashed"))
            }
            End::Watchdog => (codes.watchdog.unwrap_or(0), Some("the watchdog has bitten")),
            End::Hung => {
                let usual = u8::from(actions.hang == HangAction::ExitFailure);
                let why = "all CPUs wait for interrupts that they can not get";
                (codes.hang.unwrap_or(usual), Some(why))
            }
            End::Quit(Cause::Timeout) => {
                (codes.timeout.unwrap_or(TIMED_OUT), Some("the time of -timeout is up"))
            }
            End::Quit(Cause::HostError) => (self.internal(), None),
            End::Quit(_) => (0, None),
        }
    }
}

/// Ends the run when the time of `-timeout` is up.
pub fn limit(timeout: Timeout, clock: &Arc<dyn Clock>, power: &Arc<Power>) -> Result<(), SystemError> {
    let power = power.clone();
    if timeout.machine_time {
        let timer = clock.timer(Box::new(move || power.quit_in_time(Cause::Timeout)));
        timer.arm(timeout.after.as_nanos().try_into().unwrap_or(Ns::MAX));
        // It is there as long as the process is.
        std::mem::forget(timer);
        return Ok(());
    }
    let wait = move || {
        std::thread::sleep(timeout.after);
        power.quit(Cause::Timeout);
        // A machine that does not even end is no reason to stay.
        std::thread::sleep(PATIENCE);
        super::signals::leave(TIMED_OUT);
    };
    let thread = std::thread::Builder::new().name("timeout".into()).spawn(wait);
    thread.map(|_| ()).map_err(SystemError::host("cannot start a thread for -timeout"))
}

/// How long a machine may take to end.
const PATIENCE: Duration = Duration::from_secs(3);
