//! What is put into translations for observers ([`crate::observe`]).
//!
//! What counts an instruction, and what is called after it, stands behind all that can fault in it. So an instruction that
//! leaves in the middle is counted by nobody, and again from its start when it comes back.

use super::Build;
use crate::guest::{Ctx, Fetch, Guest};
use crate::ir::{Op, Value};
use crate::observe::{Event, Insn, Marks, Record, When, code_at, slot};
use crate::sem::{Lane, MemOp, Next, Sem, V};
use crate::ty::{I64, Ty};
use std::sync::Arc;

/// What is watched of the code that is being built.
pub struct Watch {
    record: Arc<Record>,
    /// Of the present instruction.
    marks: Marks,
    /// What counts entries of the translation.
    entries: Option<Value>,
    /// What counts the instructions that it executes.
    executed: Vec<Value>,
}

/// Where a translation counts what is its own: [`Op::Tally`]s that have no counter yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tallies {
    /// Of entries; `None`: nobody wants them.
    pub entries: Option<Value>,
    /// Of instructions.
    pub executed: Vec<Value>,
}

impl Watch {
    /// As `record` wants it.
    pub fn new(record: Arc<Record>) -> Self {
        Self { record, marks: Marks::default(), entries: None, executed: Vec::new() }
    }
}

impl Build {
    /// Leaves room for a counter of entries here, if blocks are counted.
    pub(super) fn count_entries(&mut self) -> Option<Value> {
        let wanted = self.watch.as_ref().is_some_and(|watch| watch.record.wants().blocks);
        wanted.then(|| self.tally(slot::OTHERS))
    }

    /// Leaves room for a counter of entries of the translation, which begins here, if those are counted.
    pub(super) fn enter_translation(&mut self) {
        if self.watch.as_ref().is_some_and(|watch| watch.record.wants().translations) {
            let entries = self.tally(slot::OTHERS);
            self.watch.iter_mut().for_each(|watch| watch.entries = Some(entries));
        }
    }

    /// `insns` instructions of the translation have been executed.
    pub(super) fn count_for_translation(&mut self, insns: u64) {
        if self.watch.as_ref().is_some_and(|watch| watch.record.wants().translations) {
            let imm = insns << 32 | u64::from(slot::OTHERS);
            let executed = self.emit(Op::Tally, Ty::None, imm, &[]);
            self.watch.iter_mut().for_each(|watch| watch.executed.push(executed));
        }
    }

    /// What the translation counts of itself.
    pub(super) fn tallies(&mut self) -> Tallies {
        let watch = self.watch.take();
        watch.map_or_else(Tallies::default, |w| Tallies { entries: w.entries, executed: w.executed })
    }

    /// Asks what is wanted at an instruction that begins now.
    pub(super) fn watch<G: Guest>(&mut self, fetch: &mut impl Fetch, cx: &Ctx, insn: G::Insn) {
        let Some(watch) = &mut self.watch else { return };
        if !watch.record.sees_insns() {
            return;
        }
        // It was fetched just now.
        let code = code_at(fetch, cx).unwrap_or_default();
        let text = || G::print(insn, cx.pc);
        watch.marks = watch.record.insn(&Insn { pc: cx.pc, code, len: cx.len, text: &text });
        let before: Vec<_> = watch.marks.calls.iter().copied().filter(|(_, calls)| calls.before).collect();
        for (observer, calls) in before {
            self.observe(Event { when: When::Before, observer, id: calls.id }, None);
        }
    }

    /// The present instruction has been carried out, and goes to `next`.
    pub(super) fn executed<R: Copy>(&mut self, next: &Next<R>) {
        let Some(watch) = &self.watch else { return };
        let trap = match next {
            Next::Trap(trap) => Some(trap),
            _ => None,
        };
        if trap.is_some_and(|trap| trap.value != 0) {
            // The interpreter takes it.
            return;
        }
        let counter = watch.marks.slot;
        let after: Vec<_> = watch.marks.calls.iter().copied().filter(|(_, calls)| calls.after).collect();
        if trap.is_some() {
            self.tally(slot::TRAPPED);
        }
        if let Some(counter) = counter {
            self.tally(counter);
        }
        for (observer, calls) in after {
            self.observe(Event { when: When::After, observer, id: calls.id }, None);
        }
    }

    /// An access to memory at `addr` has been carried out.
    pub(super) fn accessed(&mut self, addr: Value, op: MemOp, store: bool) {
        let Some(watch) = &self.watch else { return };
        let when = if store { When::Store { size: op.size } } else { When::Load { size: op.size } };
        let (counted, calls) = (watch.marks.accesses, watch.marks.calls.clone());
        if counted {
            self.tally(if store { slot::STORES } else { slot::LOADS });
        }
        for (observer, calls) in calls.into_iter().filter(|(_, calls)| calls.accesses) {
            self.observe(Event { when, observer, id: calls.id }, Some(addr));
        }
    }

    /// The same of the lanes at `addr` whose highest bits `mask` has, one after the other.
    pub(super) fn accessed_lanes(&mut self, addr: V<Self, I64>, mask: Value, op: MemOp, store: bool) {
        if self.watch.is_none() {
            return;
        }
        for lane in 0..16 >> op.size {
            let bits = self.extract::<I64>(Lane::new(op.size, lane).signed(), mask);
            let zero = self.k(0);
            let (active, at) = (self.lts(bits, zero), self.add_imm(addr, i64::from(lane) << op.size));
            let Ok(()) = self.when(active, |s| {
                s.accessed(at.raw, op, store);
                Ok(())
            });
        }
    }

    /// The same of an atomic operation: a load and a store.
    pub(super) fn updated(&mut self, addr: Value, op: MemOp) {
        self.accessed(addr, op, false);
        self.accessed(addr, op, true);
    }

    /// A helper is called next, which may access memory by itself.
    pub(super) fn announce_helper(&mut self) {
        let Some(watch) = &self.watch else { return };
        // Those of an earlier instruction may be in force.
        let id = watch.record.helper_calls(&watch.marks);
        if let Some(id) = id {
            self.observe(Event { when: When::Helper, observer: 0, id }, None);
        }
    }

    fn tally(&mut self, counter: u32) -> Value {
        self.emit(Op::Tally, Ty::None, 1 << 32 | u64::from(counter), &[])
    }

    fn observe(&mut self, event: Event, addr: Option<Value>) {
        self.count_so_far();
        let addr = addr.unwrap_or_else(|| self.k::<I64>(0).raw);
        self.emit(Op::Observe, Ty::None, event.pack(), &[addr]);
    }
}
