//! Moments of a replay that the machine can be put back to: kept in memory as the replay passes them, further apart the longer it gets.

use crate::cpus::Cpus;
use crate::inputs::{Inputs, Kept};
use crate::replay::{Place, SYNC};
use crate::snapshot::{Checkpoint, Saver, SnapshotError};
use crate::turns::Course;
use base::{InstructionClock, Moment};
use std::sync::Arc;
use tcg_core::debug::Debuggable;
use tcg_core::run::{Rest, Vcpu};
use tcg_core::saved::Saved;

/// Most moments that are kept for good, and near to where somebody looks.
const MOST: usize = 32;
const MOST_NEAR: usize = 4;
/// Instructions between two moments, to begin with.
const APART: u64 = 16 * SYNC;

/// One moment.
struct Past {
    moment: Moment,
    place: Option<Place>,
    course: Course,
    rests: Vec<Rest>,
    beside: Vec<Kept>,
    machine: Checkpoint,
    /// It is kept for somebody who looks there, and is the first to go.
    near: bool,
}

/// The moments, in their order.
pub(crate) struct History {
    saver: Arc<Saver>,
    inputs: Arc<Inputs>,
    clock: Arc<InstructionClock>,
    pasts: Vec<Past>,
    apart: u64,
    /// Somebody looks at what is before this count.
    looks_before: Option<u64>,
}

impl History {
    pub fn new(saver: Arc<Saver>, inputs: Arc<Inputs>, clock: Arc<InstructionClock>) -> Self {
        Self { saver, inputs, clock, pasts: Vec::new(), apart: APART, looks_before: None }
    }

    /// Somebody looks at what is before `count`: places near to it are of use.
    pub fn look_before(&mut self, count: Option<u64>) {
        self.looks_before = count;
    }

    /// The machine is at a place that it can be put back to, with its TLBs empty: keeps it if it is far enough from others.
    pub fn pass<G: Debuggable + Saved>(
        &mut self,
        vcpus: &mut Vec<Vcpu<G>>,
        course: Course,
    ) -> Result<(), SnapshotError> {
        let moment = self.clock.moment();
        let at = self.pasts.partition_point(|past| past.moment.count <= moment.count);
        let before = at.checked_sub(1).map(|n| moment.count - self.pasts[n].moment.count);
        let last = self.pasts.iter().rev().find(|past| !past.near && past.moment.count <= moment.count);
        let far = last.is_none_or(|past| moment.count - past.moment.count >= self.apart);
        let looked_at =
            self.looks_before.is_some_and(|end| moment.count < end && end - moment.count <= SYNC * 5 / 4);
        if before == Some(0) || !far && !looked_at {
            return Ok(());
        }
        let past = Past {
            moment,
            place: self.inputs.journal().and_then(|journal| journal.place()),
            course,
            rests: vcpus.iter().map(Vcpu::rest).collect(),
            beside: self.inputs.kept(),
            machine: self.saver.checkpoint(vcpus as &mut dyn Cpus)?,
            near: !far,
        };
        self.pasts.insert(at, past);
        self.thin_out();
        Ok(())
    }

    /// Forgets what is too much.
    fn thin_out(&mut self) {
        if self.pasts.iter().filter(|past| past.near).count() > MOST_NEAR {
            // The one that is furthest from where somebody looks now.
            let looks = self.looks_before.unwrap_or(0);
            let distance = |n: &usize| self.pasts[*n].moment.count.abs_diff(looks);
            let near = (0..self.pasts.len()).filter(|n| self.pasts[*n].near);
            if let Some(n) = near.max_by_key(distance) {
                self.pasts.remove(n);
            }
        }
        if self.pasts.iter().filter(|past| !past.near).count() > MOST {
            self.apart *= 2;
            let (apart, mut last) = (self.apart, None);
            self.pasts.retain(|past| {
                let count = past.moment.count;
                let stays = past.near || last.is_none_or(|last| count - last >= apart);
                if stays && !past.near {
                    last = Some(count);
                }
                stays
            });
        }
    }

    /// The count of the last moment before `count`.
    pub fn before(&self, count: u64) -> Option<u64> {
        self.pasts.iter().rev().map(|past| past.moment.count).find(|at| *at < count)
    }

    /// The count of the last moment that is not after `count`.
    pub fn not_after(&self, count: u64) -> Option<u64> {
        self.before(count.saturating_add(1))
    }

    /// Puts the machine back to the moment at `count`, which there is; gives how its turns go on.
    pub fn put_back<G: Debuggable + Saved>(
        &self,
        vcpus: &mut Vec<Vcpu<G>>,
        count: u64,
    ) -> Result<Course, SnapshotError> {
        let past = self.pasts.iter().rev().find(|past| past.moment.count == count);
        let past = past.ok_or(SnapshotError::Damaged("there is no such moment"))?;
        self.saver.restore(vcpus as &mut dyn Cpus, &past.machine, || Ok(()))?;
        self.clock.go_to(past.moment);
        past.beside.iter().for_each(|put_back| put_back());
        for (vcpu, rest) in vcpus.iter_mut().zip(&past.rests) {
            vcpu.set_rest(*rest);
        }
        if let (Some(journal), Some(place)) = (self.inputs.journal(), past.place) {
            journal.go_to(place);
        }
        Ok(past.course)
    }
}
