//! `stoptrigger`: ends the run in front of an instruction.
//!
//! Options: `addr=ADDRESS[:STATUS]` at an address, `icount=N[:STATUS]` at the N-th instruction of a CPU, each as often as wanted.
//! The status is the exit status of the run, 0 if it is not given.

use crate::arguments::{Arguments, PluginError};
use crate::{End, Setting, say};
use std::sync::atomic::{AtomicBool, Ordering};
use tcg_core::observe::{Calls, Insn, Observer, Seen, Verdict, Wants};

struct StopTrigger {
    addresses: Vec<(u64, u8)>,
    counts: Vec<(u64, u8)>,
    end: End,
    /// Another CPU may come to a trigger while the machine ends.
    ended: AtomicBool,
}

pub fn make(arguments: &mut Arguments<'_>, setting: &Setting) -> Result<Box<dyn Observer>, PluginError> {
    let (addresses, counts) = (arguments.triggers("addr")?, arguments.triggers("icount")?);
    Ok(Box::new(StopTrigger { addresses, counts, end: setting.end.clone(), ended: AtomicBool::new(false) }))
}

/// What an instruction that is only counted is called.
const COUNTED: u32 = u32::MAX;

impl Observer for StopTrigger {
    fn wants(&self) -> Wants {
        Wants { calls: true, ..Wants::default() }
    }

    fn calls(&self, insn: &Insn<'_>) -> Calls {
        let address = self.addresses.iter().position(|(addr, _)| *addr == insn.pc);
        let id = address.map_or(COUNTED, |n| n as u32);
        Calls { id, before: address.is_some() || !self.counts.is_empty(), ..Calls::default() }
    }

    fn before(&self, seen: &mut Seen<'_>, id: u32) -> Verdict {
        let next = seen.insns() + 1;
        let counted = self.counts.iter().find(|(count, _)| *count == next);
        let (why, status) = match (self.addresses.get(id as usize), counted) {
            (Some((addr, status)), _) => (format!("{addr:#x} reached, exiting"), *status),
            (None, Some((count, status))) => (format!("{count} instructions reached, exiting"), *status),
            (None, None) => return Verdict::GoOn,
        };
        if !self.ended.swap(true, Ordering::SeqCst) {
            say(&why);
            (self.end)(status);
        }
        Verdict::Stop
    }
}
