//! What is done about the guest's own acts: `-action` of QEMU.

/// What a crash of the guest leads to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PanicAction {
    /// The machine stops and waits.
    Pause,
    /// The run ends, well.
    #[default]
    Shutdown,
    /// The run ends as a failure.
    ExitFailure,
    /// Nothing.
    None,
}

/// What it leads to when every vCPU waits for an interrupt that it can not get.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HangAction {
    /// Nothing.
    #[default]
    None,
    /// The run ends, well.
    Shutdown,
    /// The run ends as a failure.
    ExitFailure,
}

/// What a watchdog's bite leads to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WatchdogAction {
    /// The machine is reset.
    #[default]
    Reset,
    /// The power button is pressed.
    Shutdown,
    /// The run ends.
    Poweroff,
    /// The guest gets a non-maskable interrupt, where its board has one.
    InjectNmi,
    /// The machine stops and waits.
    Pause,
    /// A line on stderr.
    Debug,
    /// Nothing.
    None,
}

impl WatchdogAction {
    /// All, with QEMU's names.
    pub const NAMES: [(&'static str, Self); 7] = [
        ("reset", Self::Reset),
        ("shutdown", Self::Shutdown),
        ("poweroff", Self::Poweroff),
        ("inject-nmi", Self::InjectNmi),
        ("pause", Self::Pause),
        ("debug", Self::Debug),
        ("none", Self::None),
    ];

    /// QEMU's name of it.
    pub fn name(self) -> &'static str {
        let found = Self::NAMES.iter().find(|(_, action)| *action == self);
        found.map(|(name, _)| *name).expect("every action is in the list")
    }

    /// The action of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, action)| *action)
    }
}

/// What is done when the guest does something of this kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Actions {
    /// A reset ends the run.
    pub reboot_ends: bool,
    /// Where the run would end by the guest's doing, the machine stops and waits instead.
    pub shutdown_pauses: bool,
    /// The guest crashes.
    pub panic: PanicAction,
    /// Every vCPU waits for an interrupt that it can not get.
    pub hang: HangAction,
    /// A watchdog bites.
    pub watchdog: WatchdogAction,
}
