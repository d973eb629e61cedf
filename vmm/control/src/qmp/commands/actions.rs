//! What is done about the guest's own acts.

use crate::context::Context;
use crate::qapi::Empty;
use crate::qmp::command::Answer;
use std::sync::Arc;

commands! {
    "set-action" set_action;
    "watchdog-set-action" watchdog_set_action;
}

qapi_enum! {
    /// The guest reboots.
    RebootAction {
        /// It does.
        Reset,
        /// The run ends.
        Shutdown,
    }
    /// The guest powers off.
    ShutdownAction {
        /// The run ends.
        Poweroff,
        /// The machine stops and waits.
        Pause,
    }
    /// The guest crashes.
    PanicAction {
        /// The machine stops and waits.
        Pause,
        /// The run ends, well.
        Shutdown,
        /// The run ends as a failure.
        ExitFailure,
        /// Nothing.
        None,
    }
    /// A watchdog bites.
    WatchdogAction {
        /// The machine is reset.
        Reset,
        /// The power button is pressed.
        Shutdown,
        /// The run ends.
        Poweroff,
        /// The machine stops and waits.
        Pause,
        /// A line on stderr.
        Debug,
        /// Nothing.
        None,
        /// The guest gets a non-maskable interrupt.
        InjectNmi,
    }
}

impl From<PanicAction> for engine::PanicAction {
    fn from(action: PanicAction) -> Self {
        match action {
            PanicAction::Pause => Self::Pause,
            PanicAction::Shutdown => Self::Shutdown,
            PanicAction::ExitFailure => Self::ExitFailure,
            PanicAction::None => Self::None,
        }
    }
}

impl From<WatchdogAction> for engine::WatchdogAction {
    fn from(action: WatchdogAction) -> Self {
        match action {
            WatchdogAction::Reset => Self::Reset,
            WatchdogAction::Shutdown => Self::Shutdown,
            WatchdogAction::Poweroff => Self::Poweroff,
            WatchdogAction::Pause => Self::Pause,
            WatchdogAction::Debug => Self::Debug,
            WatchdogAction::None => Self::None,
            WatchdogAction::InjectNmi => Self::InjectNmi,
        }
    }
}

qapi_struct! {
    /// Arguments of `set-action`; what is left out stays as it is.
    SetAction {
        /// The guest reboots.
        reboot: Option<RebootAction>,
        /// The guest powers off.
        shutdown: Option<ShutdownAction>,
        /// The guest crashes.
        panic: Option<PanicAction>,
        /// A watchdog bites.
        watchdog: Option<WatchdogAction>,
    }
    /// Arguments of `watchdog-set-action`.
    SetWatchdogAction {
        /// What a bite leads to.
        action: WatchdogAction,
    }
}

fn set_action(context: &Arc<Context>, set: SetAction) -> Answer<Empty> {
    context.power.set_actions(|actions| {
        if let Some(action) = set.reboot {
            actions.reboot_ends = action == RebootAction::Shutdown;
        }
        if let Some(action) = set.shutdown {
            actions.shutdown_pauses = action == ShutdownAction::Pause;
        }
        if let Some(action) = set.panic {
            actions.panic = action.into();
        }
        if let Some(action) = set.watchdog {
            actions.watchdog = action.into();
        }
    });
    Ok(Empty {})
}

fn watchdog_set_action(context: &Arc<Context>, set: SetWatchdogAction) -> Answer<Empty> {
    context.power.set_actions(|actions| actions.watchdog = set.action.into());
    Ok(Empty {})
}
