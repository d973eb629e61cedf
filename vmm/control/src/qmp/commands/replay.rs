//! Recorded runs: where they are, and going to places of them.

use crate::context::Context;
use crate::qapi::Empty;
use crate::qmp::Error;
use crate::qmp::command::Answer;
use engine::replay::{Backward, Mode};
use std::sync::Arc;

commands! {
    "query-replay" query_replay;
    "replay-break" replay_break;
    "replay-delete-break" replay_delete_break;
    "replay-seek" replay_seek;
}

qapi_enum! {
    /// What a run is to its log.
    ReplayMode {
        /// It has none.
        None,
        /// It is recorded.
        Record,
        /// It repeats a recorded one.
        Play,
    }
}

qapi_struct! {
    /// What is known of a recorded run.
    ReplayInfo {
        /// What the run is to its log.
        mode: ReplayMode,
        /// The log.
        filename: Option<String>,
        /// Instructions so far.
        icount: i64,
    }
    /// A place in a recorded run.
    ReplayPlace {
        /// Instructions from the beginning.
        icount: i64,
    }
}

fn query_replay(context: &Arc<Context>, _: Empty) -> Answer<ReplayInfo> {
    // Where it is, is known when the vCPUs stand.
    context.power.settle();
    let icount = context.power.count().unwrap_or(0) as i64;
    Ok(match context.power.journal() {
        None => ReplayInfo { mode: ReplayMode::None, filename: None, icount: 0 },
        Some(journal) => {
            let mode = if journal.mode() == Mode::Record { ReplayMode::Record } else { ReplayMode::Play };
            ReplayInfo { mode, filename: Some(journal.path().display().to_string()), icount }
        }
    })
}

/// Whether there is a replay, and `place` as a count.
fn replayed(context: &Context, place: &ReplayPlace) -> Answer<u64> {
    if !context.power.replays() {
        return Err(Error::new("replay is not enabled"));
    }
    u64::try_from(place.icount).map_err(|_| Error::new("icount must not be less than 0"))
}

fn replay_break(context: &Arc<Context>, place: ReplayPlace) -> Answer<Empty> {
    let count = replayed(context, &place)?;
    if !context.power.stop_replay_at(Some(count)) {
        return Err(Error::new("cannot set breakpoint at the instruction in the past"));
    }
    Ok(Empty {})
}

fn replay_delete_break(context: &Arc<Context>, _: Empty) -> Answer<Empty> {
    if !context.power.replays() {
        return Err(Error::new("replay is not enabled"));
    }
    context.power.stop_replay_at(None);
    Ok(Empty {})
}

fn replay_seek(context: &Arc<Context>, place: ReplayPlace) -> Answer<Empty> {
    let count = replayed(context, &place)?;
    let end = context.power.journal().and_then(|journal| journal.end());
    if let Some(end) = end.filter(|end| count > end.count) {
        return Err(Error::new(format!(
            "cannot seek to the specified instruction count: the recording ends at {}",
            end.count
        )));
    }
    context.power.back(Backward::To(count));
    context.power.settle();
    match context.power.count() {
        Some(there) if there == count => Ok(Empty {}),
        there => Err(Error::new(format!(
            "cannot seek to the specified instruction count: the machine is at {}",
            there.unwrap_or(0)
        ))),
    }
}
