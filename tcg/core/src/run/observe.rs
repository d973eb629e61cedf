//! A vCPU whose instructions are watched ([`crate::observe`]): what generated code can not do by itself.

use super::float;
use super::mmu::VcpuFetch;
use super::vcpu::{Vcpu, parts};
use crate::cpu::{CpuHeader, HelperResult, exit};
use crate::debug::Debuggable;
use crate::guest::{Ctx, Guest};
use crate::interp::{self, Step};
use crate::observe::{Event, Insn, Marks, Observing, Place, Verdict, When, code_at};

impl<G: Guest> Vcpu<G> {
    /// Takes its place in the record that the code cache has.
    pub(super) fn join_record(&mut self) {
        let Some(record) = self.code.record().cloned() else { return };
        let (cpu, mmu) = self.parts();
        let head = cpu.as_mut();
        let (number, counters) = record.join(&raw const head.insns);
        head.counters = counters.words();
        let marks = Marks { accesses: record.wants().accesses, ..Marks::default() };
        let observing =
            Observing { record, cpu: number, counters, marks, interpreted: (0, 0), registers: None };
        mmu.observing = Some(Box::new(observing));
    }

    /// A block begins that is interpreted.
    pub(super) fn enter_block(&mut self) {
        if let Some(observing) = &mut self.parts().1.observing {
            observing.interpreted = (0, 0);
        }
    }

    /// The block at `pc`, which was interpreted, ends.
    pub(super) fn leave_block(&mut self, pc: u64) {
        let Some(observing) = &self.parts().1.observing else { return };
        let (insns, bytes) = observing.interpreted;
        if insns > 0 && observing.record.wants().blocks {
            observing.counters.add(observing.record.block(pc, bytes, insns, false));
        }
    }

    /// Leaves the record, which keeps the counts.
    pub(super) fn part_record(&mut self) {
        if let Some(observing) = self.parts().1.observing.take() {
            observing.record.part(observing.cpu);
        }
    }

    /// Interprets one instruction, and does what observers want at it.
    pub(super) fn interpret_watched(&mut self, mode: u64) -> Step {
        if !self.code.record().is_some_and(|record| record.watches()) {
            // SAFETY: both are ours.
            return unsafe { interp::step::<G>(self.cpu, self.mmu, mode) };
        }
        let (marks, len) = self.marks_here(mode);
        let calls = |when: When, wanted: fn(&crate::observe::Calls) -> bool| {
            let wanted = marks.calls.iter().filter(move |(_, calls)| wanted(calls));
            wanted.map(move |(observer, calls)| Event { when, observer: *observer, id: calls.id }.pack())
        };
        let head: *mut CpuHeader = self.cpu.cast();
        for event in calls(When::Before, |calls| calls.before) {
            // SAFETY: the header is that of this vCPU, which does nothing else.
            let status = unsafe { observe::<G>(head, 0, event, 0, 0) }.status as u32;
            if status != exit::NONE {
                return Step::Leave(status);
            }
        }
        let before = self.executed();
        if let Some(observing) = &mut self.parts().1.observing {
            observing.marks = marks.clone();
        }
        // SAFETY: both are ours.
        let step = unsafe { interp::step::<G>(self.cpu, self.mmu, mode) };
        if self.executed() == before {
            return step;
        }
        if let Some(observing) = &mut self.parts().1.observing {
            let (insns, bytes) = observing.interpreted;
            observing.interpreted = (insns + 1, bytes + len);
            if let Some(counter) = marks.slot {
                observing.counters.add(counter);
            }
        }
        for event in calls(When::After, |calls| calls.after) {
            // SAFETY: as above.
            unsafe { observe::<G>(head, 0, event, 0, 0) };
        }
        step
    }

    /// What is wanted at the next instruction, and its length; nothing if it can not be fetched.
    fn marks_here(&mut self, mode: u64) -> (Marks, u64) {
        let pc = self.cpu().as_ref().pc;
        let (cpu, mmu) = self.parts();
        let Some(record) = mmu.observing.as_ref().map(|observing| observing.record.clone()) else {
            return Default::default();
        };
        let mut fetch = VcpuFetch::<G> { mmu, cpu };
        let decoded = G::decode(&mut fetch, pc, mode).and_then(|(insn, len)| {
            let code = code_at(&mut fetch, &Ctx { pc, len, mode })?;
            Ok((insn, len, code))
        });
        let Ok((insn, len, code)) = decoded else { return Default::default() };
        (record.insn(&Insn { pc, code, len, text: &|| G::print(insn, pc) }), len)
    }

    /// Instructions that were executed so far.
    fn executed(&mut self) -> u64 {
        self.parts().1.observing.as_ref().map_or(0, |observing| observing.counters.insns())
    }
}

impl<G: Debuggable> Vcpu<G> {
    /// Lets observers read the registers.
    pub fn show_registers(&mut self) {
        let (cpu, mmu) = self.parts();
        if let Some(observing) = &mut mmu.observing {
            let registers = G::features(cpu).into_iter().flat_map(|feature| feature.registers);
            let all: Vec<_> =
                registers.map(|register| (register.name.into_owned(), register.number)).collect();
            observing.record.registers(&all);
            observing.registers = Some(register::<G>);
        }
    }
}

/// # Safety
/// As [`crate::observe::RegisterSource`].
unsafe fn register<G: Debuggable>(head: *mut CpuHeader, number: u32) -> Option<Vec<u8>> {
    // SAFETY: the caller's promise; the header is the first field of the state.
    G::register(unsafe { &mut *head.cast::<G::Cpu>() }, number)
}

/// Calls an observer: (address, packed event). For generated code.
///
/// # Safety
/// `head` is the header of a vCPU of guest `G`, which does nothing else meanwhile.
pub(super) unsafe extern "C" fn observe<G: Guest>(
    head: *mut CpuHeader,
    addr: u64,
    event: u64,
    _: u64,
    _: u64,
) -> HelperResult {
    // SAFETY: the caller's promise.
    let (cpu, mmu) = unsafe { parts::<G>(head) };
    let event = Event::unpack(event);
    if event.when == When::Helper {
        if let Some(observing) = &mut mmu.observing {
            observing.marks.calls = observing.record.calls_of_helper(event.id);
        }
        return HelperResult::ok(0);
    }
    let Some(observing) = &mmu.observing else { return HelperResult::ok(0) };
    let place = Place { space: mmu.space(), phys: mmu.phys_of(addr, event.when) };
    // So that registers are what the guest would find, and nothing that the observer does is the guest's.
    float::collect_flags(cpu.as_mut());
    let live = cpu.as_ref().fp_live != 0;
    match float::in_host_mode(live, || observing.call(head, place, event, addr)) {
        Verdict::GoOn => HelperResult::ok(0),
        Verdict::Stop => HelperResult::leave(exit::STOP),
    }
}
