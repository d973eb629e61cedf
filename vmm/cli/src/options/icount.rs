//! `-icount` and `--deterministic`: time counted in instructions.

use super::error::Fault;
use super::optstring::OptString;
use super::props::{Kind, Prop, Props, prop};
use super::settings::{Rtc, RtcBase, RtcClock};

/// `-icount`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Icount {
    /// An instruction takes `1 << shift` nanoseconds; `None`: so that time goes about as the host's does.
    pub shift: Option<u32>,
    /// The machine waits where its time is ahead of the host's, and says where it is late.
    pub align: bool,
    /// While all CPUs sleep, time goes as the host's does.
    pub sleep: bool,
    /// The run is recorded, or repeats a recorded one.
    pub record: Option<Record>,
}

/// `rr=`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// `rr=replay`: it repeats; otherwise it is recorded.
    pub replay: bool,
    /// `rrfile=`: the log.
    pub file: String,
    /// `rrsnapshot=`: what the beginning of the run is called as a snapshot.
    pub snapshot: Option<String>,
}

/// The largest shift, as QEMU has it.
const MAX_SHIFT: u32 = 10;

/// Parameters of `-icount`.
pub static ICOUNT: &[Prop] = &[
    prop("shift", Kind::Text, "", "an instruction takes 2^shift ns, 0 to 10, or auto"),
    prop("align", Kind::Bool, "off", "wait where the guest is ahead of the host, warn where it is late"),
    prop(
        "sleep",
        Kind::Bool,
        "on",
        "time of sleeping CPUs goes as the host's; off: to the next timer at once",
    ),
    prop("rr", Kind::Choice(&["record", "replay"]), "", "record the run, or replay a recorded one"),
    prop("rrfile", Kind::Text, "", "file that is recorded to or replayed"),
    // A replay begins with it, and can always be put back to its beginning; there is nothing to save.
    prop("rrsnapshot", Kind::Text, "", "name of the snapshot that is the beginning of the run, for loadvm"),
];

impl Icount {
    /// Reads one `-icount`.
    pub fn read(settings: OptString) -> Result<Self, Fault> {
        let props = Props::read(settings, &[ICOUNT], "-icount")?;
        let text = props.text("shift").ok_or_else(|| Fault::new("needs shift=, 0 to 10 or auto"))?;
        let number = text.parse().ok().filter(|shift| *shift <= MAX_SHIFT);
        if number.is_none() && text != "auto" {
            return Err(Fault::new(format!(
                "shift={text}: is neither a number from 0 to {MAX_SHIFT} nor auto"
            )));
        }
        let align = props.flag("align").unwrap_or(false);
        let sleep = props.flag("sleep").unwrap_or(true);
        if align && number.is_none() {
            return Err(Fault::new("shift=auto and align=on are incompatible"));
        }
        if align && !sleep {
            return Err(Fault::new("align=on and sleep=off are incompatible"));
        }
        let snapshot = props.text("rrsnapshot").map(String::from);
        let record = match (props.text("rr"), props.text("rrfile")) {
            (Some(mode), Some(file)) => {
                Some(Record { replay: mode == "replay", file: file.into(), snapshot })
            }
            (Some(mode), None) => return Err(Fault::new(format!("rr={mode}: needs rrfile=FILE"))),
            (None, Some(_)) => return Err(Fault::new("rrfile=: needs rr=record or rr=replay")),
            (None, None) if snapshot.is_some() => {
                return Err(Fault::new("rrsnapshot=: needs rr=record or rr=replay"));
            }
            (None, None) => None,
        };
        Ok(Self { shift: number, align, sleep, record })
    }

    /// That of `--deterministic`: an instruction takes 8 ns, and time never waits for the host.
    pub fn deterministic() -> Self {
        Self { shift: Some(3), align: false, sleep: false, record: None }
    }
}

/// `-seed` of `--deterministic`.
pub const SEED: u64 = 1;

/// `-rtc` of `--deterministic`: the beginning of 2025, and the guest's own time from then on.
pub const RTC: Rtc = Rtc { base: RtcBase::Date(1_735_689_600), clock: RtcClock::Vm };
