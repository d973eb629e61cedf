//! One vCPU that is watched: its counters, and what an observer sees of it when it is called.

use super::{Accessed, Counters, Event, Marks, Record, Verdict, When, slot};
use crate::cpu::CpuHeader;
use crate::guest::{Ctx, Fetch, Trap};
use base::AddressSpace;
use std::sync::Arc;

/// Reads register `number` of the debugger's description.
///
/// # Safety
/// The header is of a vCPU of the guest that the function is made for, and nobody else uses it meanwhile.
pub type RegisterSource = unsafe fn(head: *mut CpuHeader, number: u32) -> Option<Vec<u8>>;

/// What a vCPU's view of memory knows of the record.
pub(crate) struct Observing {
    pub record: Arc<Record>,
    pub cpu: u32,
    pub counters: Arc<Counters>,
    /// Of the instruction whose helper or interpretation runs.
    pub marks: Marks,
    /// Instructions and bytes so far of the block that is interpreted.
    pub interpreted: (u64, u64),
    pub registers: Option<RegisterSource>,
}

impl Observing {
    /// Calls the observer that `event` is for.
    pub fn call(&self, head: *mut CpuHeader, place: Place<'_>, event: Event, addr: u64) -> Verdict {
        let Some(observer) = self.record.observer(event.observer) else { return Verdict::GoOn };
        let mut seen = Seen { observing: self, head, place };
        match event.when {
            When::Before => return observer.before(&mut seen, event.id),
            When::After => observer.after(&mut seen, event.id),
            When::Load { size } => {
                observer.accessed(&mut seen, event.id, Accessed { addr, size: 1 << size, store: false });
            }
            When::Store { size } => {
                observer.accessed(&mut seen, event.id, Accessed { addr, size: 1 << size, store: true });
            }
            When::Helper => {}
        }
        Verdict::GoOn
    }

    /// An access that no generated code makes: the interpreter's, or a helper's.
    pub fn access(&self, head: *mut CpuHeader, place: Place<'_>, when: When, addr: u64) {
        if self.marks.accesses {
            self.counters.add(if matches!(when, When::Store { .. }) { slot::STORES } else { slot::LOADS });
        }
        for (observer, calls) in self.marks.calls.iter().filter(|(_, calls)| calls.accesses) {
            self.call(head, place, Event { when, observer: *observer, id: calls.id }, addr);
        }
    }
}

/// Where an access went, for those who ask.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub space: &'a AddressSpace,
    /// The guest-physical address; `None` in a process.
    pub phys: Option<u64>,
}

/// What an observer sees of the vCPU that calls it.
pub struct Seen<'a> {
    observing: &'a Observing,
    head: *mut CpuHeader,
    place: Place<'a>,
}

impl Seen<'_> {
    /// Number of the vCPU, in the order in which they came.
    pub fn cpu(&self) -> u32 {
        self.observing.cpu
    }

    /// Instructions that it has executed.
    pub fn insns(&self) -> u64 {
        self.observing.counters.insns()
    }

    /// The value of register `number` of the debugger's description, in the guest's byte order.
    pub fn register(&mut self, number: u32) -> Option<Vec<u8>> {
        let read = self.observing.registers?;
        // SAFETY: the header is that of the vCPU that calls, which waits; who set the function knows its guest.
        unsafe { read(self.head, number) }
    }

    /// The guest-physical address of an access; `None` in a process.
    pub fn phys(&self) -> Option<u64> {
        self.place.phys
    }

    /// The name of what is at that address; `RAM` for memory.
    pub fn device(&self) -> String {
        let device = self.place.phys.and_then(|phys| self.place.space.name_at(phys));
        device.unwrap_or_else(|| "RAM".into())
    }
}

/// The bytes of the instruction that `cx` tells of, the first lowest.
pub(crate) fn code_at(fetch: &mut impl Fetch, cx: &Ctx) -> Result<u32, Trap> {
    let mut code = 0;
    for at in (0..cx.len.min(4)).step_by(2) {
        code |= u32::from(fetch.u16(cx.pc.wrapping_add(at))?) << (8 * at);
    }
    Ok(code)
}
