//! The small options: `-name`, `-boot`, `-rtc`, `-action`, `-msg`, `-mon`, `-uuid`.

use super::error::Fault;
use super::optstring::OptString;
use super::props::{Kind, Prop, Props, prop};
use engine::{Actions, HangAction, PanicAction, WatchdogAction};
use std::time::Duration;

/// `-name`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GuestName {
    /// Name of the guest.
    pub guest: Option<String>,
    /// Name of the process.
    pub process: Option<String>,
    /// Whether threads are named for a debugger.
    pub debug_threads: bool,
}

pub static NAME: &[Prop] = &[
    prop("guest", Kind::Text, "", "name of the guest"),
    prop("process", Kind::Text, "", "name of the process"),
    prop("debug-threads", Kind::Bool, "off", "name the threads"),
];

impl GuestName {
    /// Reads the merged `-name` options.
    pub fn read(settings: OptString) -> Result<Self, Fault> {
        let props = Props::read(settings, &[NAME], "-name")?;
        let text = |name| props.text(name).map(String::from);
        let debug_threads = props.flag("debug-threads").unwrap_or(false);
        Ok(Self { guest: text("guest"), process: text("process"), debug_threads })
    }
}

/// `-boot`. Drives are letters: `a` floppy, `c` disk, `d` CD-ROM, `n` network.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BootOrder {
    /// `order=`.
    pub order: Option<String>,
    /// `once=`: the order of the first boot only.
    pub once: Option<String>,
    /// `menu=`.
    pub menu: bool,
    /// `strict=`: boot from nothing else.
    pub strict: bool,
}

pub static BOOT: &[Prop] = &[
    prop("order", Kind::Text, "", "drives to boot from, as letters"),
    prop("once", Kind::Text, "", "the same for the first boot"),
    prop("menu", Kind::Bool, "off", "show a boot menu"),
    prop("strict", Kind::Bool, "off", "boot from nothing else"),
    prop("splash", Kind::Text, "", "picture of the menu (nothing shows it)"),
    prop("splash-time", Kind::Number(u32::MAX as u64), "", "milliseconds that it shows"),
    prop("reboot-timeout", Kind::Int32, "", "milliseconds until a failed boot is tried again"),
];

impl BootOrder {
    /// Reads the merged `-boot` options.
    pub fn read(settings: OptString) -> Result<Self, Fault> {
        let props = Props::read(settings, &[BOOT], "-boot")?;
        for name in ["order", "once"] {
            let letters = props.text(name).unwrap_or_default();
            for (at, letter) in letters.char_indices() {
                if !('a'..='p').contains(&letter) {
                    return Err(Fault::new(format!("{name}={letters}: '{letter}' is no boot device")));
                }
                if letters[..at].contains(letter) {
                    return Err(Fault::new(format!("{name}={letters}: '{letter}' stands twice")));
                }
            }
        }
        let text = |name| props.text(name).map(String::from);
        let flag = |name| props.flag(name).unwrap_or(false);
        Ok(Self { order: text("order"), once: text("once"), menu: flag("menu"), strict: flag("strict") })
    }
}

/// A moment as `-rtc base=` spells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RtcBase {
    /// The host's time in UTC.
    Utc,
    /// The host's local time.
    LocalTime,
    /// Seconds since 1970-01-01 00:00:00 UTC.
    Date(i64),
}

/// The clock that drives the guest's real-time clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RtcClock {
    /// The host's wall clock.
    Host,
    /// The host's monotonic clock.
    Rt,
    /// The guest's virtual clock, which stands while the guest is stopped.
    Vm,
}

/// `-rtc`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rtc {
    /// Where it starts.
    pub base: RtcBase,
    /// What drives it.
    pub clock: RtcClock,
}

impl Default for Rtc {
    fn default() -> Self {
        Self { base: RtcBase::Utc, clock: RtcClock::Host }
    }
}

/// Parameters of `-rtc`.
pub static RTC: &[Prop] = &[
    prop("base", Kind::Text, "utc", "utc, localtime, or 2006-06-17T16:01:21"),
    prop("clock", Kind::Choice(&["host", "rt", "vm"]), "host", "what drives it"),
    // For x86 guests; other machines take it without effect.
    prop("driftfix", Kind::Choice(&["none", "slew"]), "none", "accepted, without effect"),
];

impl Rtc {
    /// Reads the merged `-rtc` options.
    pub fn read(settings: OptString) -> Result<Self, Fault> {
        let props = Props::read(settings, &[RTC], "-rtc")?;
        let base = match props.text("base") {
            None | Some("utc") => RtcBase::Utc,
            Some("localtime") => RtcBase::LocalTime,
            Some(date) => RtcBase::Date(seconds(date).ok_or_else(|| {
                Fault::new(format!(
                    "base={date}: is neither utc, localtime nor a date as 2006-06-17T16:01:21"
                ))
            })?),
        };
        let clock = match props.text("clock") {
            Some("rt") => RtcClock::Rt,
            Some("vm") => RtcClock::Vm,
            _ => RtcClock::Host,
        };
        Ok(Self { base, clock })
    }
}

/// Seconds since 1970 of `YYYY-MM-DD[THH:MM:SS]`, UTC.
fn seconds(date: &str) -> Option<i64> {
    let (day, time) = date.split_once('T').unwrap_or((date, "00:00:00"));
    let numbers = |text: &str, by: char| -> Option<[i64; 3]> {
        let parts: Vec<i64> =
            text.split(by).map(|p| p.parse::<u16>().ok().map(i64::from)).collect::<Option<_>>()?;
        parts.try_into().ok()
    };
    let ([year, month, day], [hour, minute, second]) = (numbers(day, '-')?, numbers(time, ':')?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let lengths = [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let month = usize::try_from(month).ok().filter(|m| (1..=12).contains(m))?;
    if !(1970..=9999).contains(&year) || !(1..=lengths[month - 1]).contains(&day) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let leaps = |year: i64| year / 4 - year / 100 + year / 400;
    let days =
        (year - 1970) * 365 + leaps(year - 1) - leaps(1969) + lengths[..month - 1].iter().sum::<i64>() + day
            - 1;
    Some(((days * 24 + hour) * 60 + minute) * 60 + second)
}

/// Words of `-action watchdog=` and of `-watchdog-action`.
const WATCHDOG_ACTIONS: [&str; WatchdogAction::NAMES.len()] = {
    let mut words = [""; WatchdogAction::NAMES.len()];
    let mut n = 0;
    while n < words.len() {
        words[n] = WatchdogAction::NAMES[n].0;
        n += 1;
    }
    words
};

pub static ACTION: &[Prop] = &[
    prop("reboot", Kind::Choice(&["reset", "shutdown"]), "reset", "when the guest reboots"),
    prop("shutdown", Kind::Choice(&["poweroff", "pause"]), "poweroff", "when the guest powers off"),
    prop(
        "panic",
        Kind::Choice(&["pause", "shutdown", "exit-failure", "none"]),
        "shutdown",
        "when the guest panics",
    ),
    prop(
        "hang",
        Kind::Choice(&["none", "shutdown", "exit-failure"]),
        "none",
        "when all CPUs wait for interrupts that they can not get",
    ),
    prop("watchdog", Kind::Choice(&WATCHDOG_ACTIONS), "reset", "when a watchdog fires"),
];

/// Applies one `-action` to `actions`.
pub fn apply_actions(actions: &mut Actions, settings: OptString) -> Result<(), Fault> {
    let props = Props::read(settings, &[ACTION], "-action")?;
    if let Some(word) = props.text("reboot") {
        actions.reboot_ends = word == "shutdown";
    }
    if let Some(word) = props.text("shutdown") {
        actions.shutdown_pauses = word == "pause";
    }
    match props.text("panic") {
        Some("pause") => actions.panic = PanicAction::Pause,
        Some("exit-failure") => actions.panic = PanicAction::ExitFailure,
        Some("none") => actions.panic = PanicAction::None,
        Some(_) => actions.panic = PanicAction::Shutdown,
        None => {}
    }
    match props.text("hang") {
        Some("shutdown") => actions.hang = HangAction::Shutdown,
        Some("exit-failure") => actions.hang = HangAction::ExitFailure,
        Some(_) => actions.hang = HangAction::None,
        None => {}
    }
    if let Some(action) = props.text("watchdog").and_then(WatchdogAction::from_name) {
        actions.watchdog = action;
    }
    Ok(())
}

/// Reads `-watchdog-action`.
pub fn watchdog_action(word: &str) -> Result<WatchdogAction, Fault> {
    let what = || format!("expects one of {}", WATCHDOG_ACTIONS.join(", "));
    WatchdogAction::from_name(word).ok_or_else(|| Fault::unknown(what(), word, WATCHDOG_ACTIONS))
}

pub static MSG: &[Prop] = &[
    prop("timestamp", Kind::Bool, "off", "put the time before messages"),
    prop("guest-name", Kind::Bool, "off", "put the guest's name before messages"),
];

/// Reads the merged `-msg` options: whether messages carry the time, and whether the guest's name.
pub fn messages(settings: OptString) -> Result<(bool, bool), Fault> {
    let props = Props::read(settings, &[MSG], "-msg")?;
    Ok((props.flag("timestamp").unwrap_or(false), props.flag("guest-name").unwrap_or(false)))
}

pub static MON: &[Prop] = &[
    prop("chardev", Kind::Reference("chardev"), "", "id of a character device"),
    prop("id", Kind::Id, "", "name of the monitor"),
    prop("mode", Kind::Choice(&["readline", "control"]), "readline", "what it speaks"),
    prop("pretty", Kind::Bool, "off", "indent the output of mode=control"),
];

/// What a monitor speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MonitorMode {
    /// Commands in words, for people.
    Readline,
    /// QMP.
    Control {
        /// Its output is indented.
        pretty: bool,
    },
}

/// A monitor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Monitor {
    /// The id of its character device.
    pub chardev: String,
    /// What it speaks.
    pub mode: MonitorMode,
    /// Its own name, if `-mon` gives it one.
    pub id: Option<String>,
}

impl Monitor {
    /// One without a name.
    pub fn new(chardev: impl Into<String>, mode: MonitorMode) -> Self {
        Self { chardev: chardev.into(), mode, id: None }
    }

    /// One for people.
    pub fn readline(chardev: &str) -> Self {
        Self::new(chardev, MonitorMode::Readline)
    }
}

/// Reads one `-mon`.
pub fn monitor(settings: OptString) -> Result<Monitor, Fault> {
    let props = Props::read(settings, &[MON], "-mon")?;
    let mode = match props.text("mode") {
        Some("control") => MonitorMode::Control { pretty: props.flag("pretty").unwrap_or(false) },
        _ => MonitorMode::Readline,
    };
    let chardev = props.text("chardev");
    let chardev = chardev.ok_or_else(|| Fault::new("names no character device; say chardev=ID"))?;
    Ok(Monitor { id: props.text("id").map(String::from), ..Monitor::new(chardev, mode) })
}

/// `-timeout`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeout {
    /// How long a run may take.
    pub after: Duration,
    /// Whether machine time counts, which stands while the machine is stopped, and not the host's.
    pub machine_time: bool,
}

static TIMEOUT: &[Prop] = &[
    prop("seconds", Kind::Text, "", "how long the run may take"),
    prop("clock", Kind::Choice(&["host", "vm"]), "host", "whose time counts"),
];

/// Reads `-timeout`.
pub fn timeout(settings: OptString) -> Result<Timeout, Fault> {
    let props = Props::read(settings, &[TIMEOUT], "-timeout")?;
    let text = props.text("seconds").unwrap_or_default();
    let after = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let after = after.ok_or_else(|| Fault::new(format!("'{text}' is no number of seconds")))?;
    Ok(Timeout { after, machine_time: props.text("clock") == Some("vm") })
}

/// `-semihosting`, `-semihosting-config`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Semihosting {
    /// The id of the character device that is the console; stderr without.
    pub chardev: Option<String>,
    /// Files and console are those of the debugger that is attached.
    pub debugger: bool,
    /// Programs in the lowest privilege may use it.
    pub user: bool,
    /// The program's arguments, its name first.
    pub args: Vec<String>,
}

pub static SEMIHOSTING: &[Prop] = &[
    prop("enable", Kind::Bool, "on", "let programs use it"),
    prop(
        "target",
        Kind::Choice(&["native", "gdb", "auto"]),
        "auto",
        "whose files: the host's (auto, too), or gdb's",
    ),
    prop("chardev", Kind::Reference("chardev"), "", "the console (stderr without)"),
    prop("userspace", Kind::Bool, "off", "in the lowest privilege, too"),
    prop("arg", Kind::List, "", "argument of the program; may be repeated"),
];

/// Reads `-semihosting-config`; `None` where it switches semihosting off.
pub fn semihosting(settings: OptString) -> Result<Option<Semihosting>, Fault> {
    let props = Props::read(settings, &[SEMIHOSTING], "-semihosting-config")?;
    let on = props.flag("enable").unwrap_or(true);
    Ok(on.then(|| Semihosting {
        chardev: props.text("chardev").map(String::from),
        debugger: props.text("target") == Some("gdb"),
        user: props.flag("userspace").unwrap_or(false),
        args: props.list("arg").map(String::from).collect(),
    }))
}

/// `-exit-codes`: the exit status of runs that end in these ways, where it shall not be the usual one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ExitCodes {
    /// The guest crashed.
    pub panic: Option<u8>,
    /// The guest asked for a reset, with `-no-reboot`.
    pub reset: Option<u8>,
    /// A watchdog bit, and that ended the run.
    pub watchdog: Option<u8>,
    /// No CPU would ever have run again.
    pub hang: Option<u8>,
    /// The time was up.
    pub timeout: Option<u8>,
    /// This program failed.
    pub internal: Option<u8>,
}

static EXIT_CODES: &[Prop] = &[
    prop("panic", Kind::Number(255), "", "the guest has crashed"),
    // Of x86 guests; others take it without effect.
    prop("triple-fault", Kind::Number(255), "", "accepted, without effect"),
    prop("reset", Kind::Number(255), "", "the guest asked for a reset, with -no-reboot"),
    prop(
        "watchdog",
        Kind::Number(255),
        "",
        "a watchdog has bitten, with -no-reboot or -action watchdog=poweroff",
    ),
    prop("hang", Kind::Number(255), "", "all CPUs wait for interrupts that they can not get"),
    prop("timeout", Kind::Number(255), "124", "the time of -timeout is up"),
    prop("internal", Kind::Number(255), "70", "this program has failed"),
];

/// Reads `-exit-codes`.
pub fn exit_codes(settings: OptString) -> Result<ExitCodes, Fault> {
    let props = Props::read(settings, &[EXIT_CODES], "-exit-codes")?;
    // The rows allow 255 at most.
    let code = |name| props.number(name).map(|code| code as u8);
    Ok(ExitCodes {
        panic: code("panic"),
        reset: code("reset"),
        watchdog: code("watchdog"),
        hang: code("hang"),
        timeout: code("timeout"),
        internal: code("internal"),
    })
}

/// Reads a UUID, `8-4-4-4-12` hexadecimal digits.
pub fn uuid(text: &str) -> Result<[u8; 16], Fault> {
    let fault = || Fault::new("expects a UUID, as 12345678-1234-1234-1234-123456789abc");
    let lengths: Vec<usize> = text.split('-').map(str::len).collect();
    if lengths != [8, 4, 4, 4, 12] || !text.chars().all(|c| c == '-' || c.is_ascii_hexdigit()) {
        return Err(fault());
    }
    let digits: Vec<u8> = text.bytes().filter(|b| *b != b'-').collect();
    let mut uuid = [0; 16];
    for (byte, pair) in uuid.iter_mut().zip(digits.chunks(2)) {
        let pair = std::str::from_utf8(pair).map_err(|_| fault())?;
        *byte = u8::from_str_radix(pair, 16).map_err(|_| fault())?;
    }
    Ok(uuid)
}
