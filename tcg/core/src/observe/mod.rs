//! Seeing what the guest executes: counters in generated code, and calls at chosen instructions.
//!
//! A [`Record`] is given to a code cache before the first translation ([`crate::run::CodeConfig::record`]). Translations are
//! then made with what its [`Observer`]s want: additions to the vCPU's own counters ([`crate::ir::Op::Tally`]), one for each
//! instruction or block, and calls ([`crate::ir::Op::Observe`]) before or after an instruction and at its accesses to memory.
//! Without a record no translation, no table and no loop differs from what it is without this module.
//!
//! An instruction counts when it has been carried out, or has taken the trap that is its meaning (a system call, say). One
//! that faults, is interrupted or has to be run again counts once it gets through. A block counts when it is entered.
//! A translation made with a record serves only the virtual page that it was made for, so addresses are what they seem.
//! Left out: what vCPUs do while they wait, and what devices do.

mod counters;
mod cpu;

pub use counters::{Counters, SLOTS, slot};
pub(crate) use cpu::{Observing, Place, code_at};
pub use cpu::{RegisterSource, Seen};

use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use std::fmt;
use std::sync::Arc;

/// Which counters observers want.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wants {
    /// One for each block. There are no hot regions then, since these have other blocks.
    pub blocks: bool,
    /// One for each instruction.
    pub insns: bool,
    /// Accesses to memory.
    pub accesses: bool,
    /// Two for each translation: how often it is entered, and the instructions executed in it.
    pub translations: bool,
    /// Observers are called.
    pub calls: bool,
}

/// An instruction that is about to be translated, or interpreted.
pub struct Insn<'a> {
    /// Its address.
    pub pc: u64,
    /// Its bytes, the first lowest.
    pub code: u32,
    /// Length in bytes.
    pub len: u64,
    /// Its listing.
    pub text: &'a dyn Fn() -> String,
}

/// The calls that an observer wants at an instruction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Calls {
    /// What the observer calls the instruction.
    pub id: u32,
    /// [`Observer::before`].
    pub before: bool,
    /// [`Observer::after`].
    pub after: bool,
    /// [`Observer::accessed`].
    pub accesses: bool,
}

impl Calls {
    fn any(self) -> bool {
        self.before || self.after || self.accesses
    }
}

/// An access to memory that was carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accessed {
    /// Guest-virtual address.
    pub addr: u64,
    /// Bytes.
    pub size: u64,
    /// It was a store, or the storing half of an atomic operation.
    pub store: bool,
}

/// Whether the guest goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It does.
    GoOn,
    /// The vCPU stops in front of the instruction.
    Stop,
}

/// Somebody who watches. Calls come from the threads of vCPUs.
pub trait Observer: Send + Sync {
    /// The counters that it wants.
    fn wants(&self) -> Wants {
        Wants::default()
    }
    /// The calls that it wants at `insn`; asked again for each translation.
    fn calls(&self, _insn: &Insn<'_>) -> Calls {
        Calls::default()
    }
    /// Instruction `id` comes next; it may come again before it is carried out.
    fn before(&self, _seen: &mut Seen<'_>, _id: u32) -> Verdict {
        Verdict::GoOn
    }
    /// Instruction `id` has been carried out.
    fn after(&self, _seen: &mut Seen<'_>, _id: u32) {}
    /// Instruction `id` has made an access. Comes before [`Observer::after`]; an instruction of several accesses may still
    /// fault at a later one, and makes all of them again then.
    fn accessed(&self, _seen: &mut Seen<'_>, _id: u32, _access: Accessed) {}
    /// The registers that [`Seen::register`] reads, by name and number; told by each vCPU that comes.
    fn registers(&self, _all: &[(String, u32)]) {}
    /// A vCPU begins to wait for an interrupt.
    fn idle(&self, _record: &Record) {}
    /// The run is over.
    fn finish(&self, _record: &Record) {}
}

/// What is done at an instruction.
#[derive(Clone, Debug, Default)]
pub(crate) struct Marks {
    /// Its counter.
    pub slot: Option<u32>,
    /// Accesses are counted.
    pub accesses: bool,
    /// By observer.
    pub calls: CallList,
}

/// When a call is made: the low bits of an [`crate::ir::Op::Observe`]'s immediate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    Before,
    After,
    /// Of `1 << size` bytes.
    Load {
        size: u8,
    },
    /// The same.
    Store {
        size: u8,
    },
    /// None yet: a helper follows, whose accesses are those of the instruction; the number is of [`Record::helper_calls`].
    Helper,
}

/// What an [`crate::ir::Op::Observe`] calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub when: When,
    pub observer: u8,
    pub id: u32,
}

impl Event {
    pub fn pack(self) -> u64 {
        let (kind, size) = match self.when {
            When::Before => (0, 0),
            When::After => (1, 0),
            When::Load { size } => (2, size),
            When::Store { size } => (3, size),
            When::Helper => (4, 0),
        };
        kind | u64::from(size) << 3 | u64::from(self.observer) << 8 | u64::from(self.id) << 16
    }

    pub fn unpack(imm: u64) -> Self {
        let size = (imm >> 3 & 7) as u8;
        let when = match imm & 7 {
            0 => When::Before,
            1 => When::After,
            2 => When::Load { size },
            3 => When::Store { size },
            _ => When::Helper,
        };
        Self { when, observer: (imm >> 8) as u8, id: (imm >> 16) as u32 }
    }
}

/// How often one instruction was executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InsnCount {
    /// Its address.
    pub pc: u64,
    /// Its bytes, the first lowest.
    pub code: u32,
    /// Length in bytes.
    pub len: u64,
    /// By all vCPUs.
    pub count: u64,
}

/// How often one block was entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockCount {
    /// Address of its first instruction.
    pub pc: u64,
    /// Bytes of code.
    pub bytes: u64,
    /// Instructions.
    pub insns: u64,
    /// How often it was translated.
    pub translations: u64,
    /// By all vCPUs.
    pub count: u64,
}

struct Block {
    slot: u32,
    insns: u64,
    translations: u64,
}

/// Which counter is whose.
struct Slots {
    next: u32,
    /// By address and code; the value has the length as well.
    insns: FxHashMap<(u64, u32), (u32, u64)>,
    /// By address and length.
    blocks: FxHashMap<(u64, u64), Block>,
    /// By address and whether it is hot; what is in the counts is not yet in the value.
    translations: FxHashMap<(u64, bool), (Translation, TranslationCount)>,
}

/// The counters of a translation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Translation {
    pub entered: u32,
    pub executed: u32,
}

impl Slots {
    /// A counter that nobody has, or the one of those who came too late.
    fn take(next: &mut u32) -> u32 {
        if *next as usize >= SLOTS {
            return slot::OTHERS;
        }
        *next += 1;
        *next - 1
    }
}

/// What translations of one address have done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TranslationCount {
    /// Guest address.
    pub pc: u64,
    /// They are regions of hot loops.
    pub hot: bool,
    /// How many were made.
    pub made: u64,
    /// Guest instructions in the last one.
    pub insns: u64,
    /// Bytes of its host code.
    pub host_bytes: u64,
    /// How often they were entered.
    pub entered: u64,
    /// Guest instructions executed in them, but for those before an exit in the middle.
    pub executed: u64,
}

/// A program in guest memory that the guest was started with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Its file.
    pub path: String,
    /// First address.
    pub base: u64,
    /// Address behind its end.
    pub end: u64,
    /// Where it begins.
    pub entry: u64,
    /// What was added to the addresses in its file.
    pub bias: u64,
}

/// One vCPU, as [`Record::cpus`] lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuCount {
    /// Its number, in the order in which they came.
    pub cpu: u32,
    /// Instructions executed.
    pub insns: u64,
}

#[derive(Default)]
struct Cpus {
    next: u32,
    running: Vec<(u32, Arc<Counters>)>,
    finished: Vec<CpuCount>,
    /// Sums of those that are finished.
    sums: Vec<u64>,
}

/// What is seen of a run: who watches, and all counters.
pub struct Record {
    wants: Wants,
    observers: Vec<Box<dyn Observer>>,
    slots: Mutex<Slots>,
    cpus: Mutex<Cpus>,
    images: Mutex<Vec<Image>>,
    /// Calls at the accesses of instructions that have helpers.
    helper_calls: Mutex<HelperCalls>,
}

type CallList = Vec<(u8, Calls)>;

#[derive(Default)]
struct HelperCalls {
    /// Whether there ever was one.
    wanted: bool,
    known: FxHashMap<CallList, u32>,
    lists: Vec<CallList>,
}

impl fmt::Debug for Record {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.debug_struct("Record").field("wants", &self.wants).finish_non_exhaustive()
    }
}

impl Record {
    /// A record that `observers` (255 at most) want.
    pub fn new(observers: Vec<Box<dyn Observer>>) -> Arc<Self> {
        let mut wants = Wants::default();
        for observer in &observers {
            let more = observer.wants();
            wants.blocks |= more.blocks;
            wants.insns |= more.insns;
            wants.accesses |= more.accesses;
            wants.translations |= more.translations;
            wants.calls |= more.calls;
        }
        let (insns, blocks, translations) = Default::default();
        let slots = Slots { next: slot::FIRST, insns, blocks, translations };
        Arc::new(Self {
            wants,
            observers,
            slots: Mutex::new(slots),
            cpus: Mutex::default(),
            images: Mutex::default(),
            helper_calls: Mutex::default(),
        })
    }

    /// Whether instructions are looked at one by one.
    pub(crate) fn sees_insns(&self) -> bool {
        self.wants.insns || self.wants.accesses || self.wants.calls
    }

    /// Whether the interpreter has to be watched, so that it had better do little.
    pub fn watches(&self) -> bool {
        self.sees_insns() || self.wants.blocks
    }

    /// The counters that there are.
    pub fn wants(&self) -> Wants {
        self.wants
    }

    /// A program is in memory.
    pub fn add_image(&self, image: Image) {
        self.images.lock().push(image);
    }

    /// The programs that the guest was started with.
    pub fn images(&self) -> Vec<Image> {
        self.images.lock().clone()
    }

    /// vCPUs that there are now.
    pub fn running(&self) -> usize {
        self.cpus.lock().running.len()
    }

    /// The run is over: tells all observers.
    pub fn finish(&self) {
        self.observers.iter().for_each(|observer| observer.finish(self));
    }

    /// A vCPU begins to wait.
    pub(crate) fn idle(&self) {
        self.observers.iter().for_each(|observer| observer.idle(self));
    }

    /// A vCPU has these registers.
    pub(crate) fn registers(&self, all: &[(String, u32)]) {
        self.observers.iter().for_each(|observer| observer.registers(all));
    }

    pub(crate) fn observer(&self, number: u8) -> Option<&dyn Observer> {
        self.observers.get(number as usize).map(|observer| &**observer)
    }

    /// What is to be done at `insn`.
    pub(crate) fn insn(&self, insn: &Insn<'_>) -> Marks {
        let calls = self.observers.iter().enumerate().map(|(n, observer)| (n as u8, observer.calls(insn)));
        let calls = calls.filter(|(_, calls)| calls.any()).collect();
        let slot = self.wants.insns.then(|| {
            let Slots { next, insns, .. } = &mut *self.slots.lock();
            insns.entry((insn.pc, insn.code)).or_insert_with(|| (Slots::take(next), insn.len)).0
        });
        Marks { slot, accesses: self.wants.accesses, calls }
    }

    /// The counter of the block of `insns` instructions in the `bytes` bytes at `pc`, which is translated if `translated`.
    pub(crate) fn block(&self, pc: u64, bytes: u64, insns: u64, translated: bool) -> u32 {
        let Slots { next, blocks, .. } = &mut *self.slots.lock();
        let new = || Block { slot: Slots::take(next), insns, translations: 0 };
        let block = blocks.entry((pc, bytes)).or_insert_with(new);
        block.translations += u64::from(translated);
        block.slot
    }

    /// The counters of translations of `pc`.
    pub(crate) fn translation(&self, pc: u64, hot: bool) -> Translation {
        let Slots { next, translations, .. } = &mut *self.slots.lock();
        let new = || {
            let counters = Translation { entered: Slots::take(next), executed: Slots::take(next) };
            (counters, TranslationCount { pc, hot, ..TranslationCount::default() })
        };
        translations.entry((pc, hot)).or_insert_with(new).0
    }

    /// A translation was made of `insns` instructions, with `host_bytes` bytes of code.
    pub(crate) fn translated(&self, pc: u64, hot: bool, insns: u64, host_bytes: u64) {
        if let Some((_, count)) = self.slots.lock().translations.get_mut(&(pc, hot)) {
            count.made += 1;
            (count.insns, count.host_bytes) = (insns, host_bytes);
        }
    }

    /// What translations have done, by address.
    pub fn translations(&self) -> Vec<TranslationCount> {
        let (slots, cpus) = (self.slots.lock(), self.cpus.lock());
        let count = |(counters, count): &(Translation, TranslationCount)| TranslationCount {
            entered: cpus.total(counters.entered),
            executed: cpus.total(counters.executed),
            ..*count
        };
        let mut all: Vec<TranslationCount> = slots.translations.values().map(count).collect();
        all.sort_by_key(|count| (count.pc, count.hot));
        all
    }

    /// A number for the calls at the accesses that helpers make for an instruction; `None` while nobody wants any.
    pub(crate) fn helper_calls(&self, marks: &Marks) -> Option<u32> {
        let calls: CallList = marks.calls.iter().copied().filter(|(_, calls)| calls.accesses).collect();
        let HelperCalls { wanted, known, lists } = &mut *self.helper_calls.lock();
        *wanted |= !calls.is_empty();
        wanted.then(|| {
            *known.entry(calls).or_insert_with_key(|calls| {
                lists.push(calls.clone());
                lists.len() as u32 - 1
            })
        })
    }

    /// The calls that have `number`.
    pub(crate) fn calls_of_helper(&self, number: u32) -> Vec<(u8, Calls)> {
        self.helper_calls.lock().lists.get(number as usize).cloned().unwrap_or_default()
    }

    /// A vCPU joins; `insns` is [`crate::cpu::CpuHeader::insns`] of it.
    pub(crate) fn join(&self, insns: *const u64) -> (u32, Arc<Counters>) {
        let counters = Arc::new(Counters::new(insns));
        let mut cpus = self.cpus.lock();
        let number = cpus.next;
        cpus.next += 1;
        cpus.running.push((number, counters.clone()));
        (number, counters)
    }

    /// A vCPU is no more.
    pub(crate) fn part(&self, cpu: u32) {
        let used = self.slots.lock().next as usize;
        let mut cpus = self.cpus.lock();
        let Some(at) = cpus.running.iter().position(|(number, _)| *number == cpu) else { return };
        let (_, counters) = cpus.running.remove(at);
        cpus.finished.push(CpuCount { cpu, insns: counters.insns() });
        if cpus.sums.len() < used {
            cpus.sums.resize(used, 0);
        }
        cpus.sums.iter_mut().enumerate().for_each(|(n, sum)| *sum += counters.get(n as u32));
    }

    /// The sum of one counter.
    pub fn total(&self, slot: u32) -> u64 {
        self.cpus.lock().total(slot)
    }

    /// All vCPUs that there were.
    pub fn cpus(&self) -> Vec<CpuCount> {
        let cpus = self.cpus.lock();
        let running =
            cpus.running.iter().map(|(cpu, counters)| CpuCount { cpu: *cpu, insns: counters.insns() });
        let mut all: Vec<CpuCount> = cpus.finished.iter().copied().chain(running).collect();
        all.sort_by_key(|count| count.cpu);
        all
    }

    /// Every instruction that was executed, by address.
    pub fn insns(&self) -> Vec<InsnCount> {
        let (slots, cpus) = (self.slots.lock(), self.cpus.lock());
        let count = |((pc, code), (slot, len)): (&(u64, u32), &(u32, u64))| InsnCount {
            pc: *pc,
            code: *code,
            len: *len,
            count: cpus.total(*slot),
        };
        let mut all: Vec<InsnCount> = slots.insns.iter().map(count).filter(|insn| insn.count > 0).collect();
        all.sort_by_key(|insn| (insn.pc, insn.code));
        all
    }

    /// Every block that was translated or entered, by address.
    pub fn blocks(&self) -> Vec<BlockCount> {
        let (slots, cpus) = (self.slots.lock(), self.cpus.lock());
        let count = |((pc, bytes), block): (&(u64, u64), &Block)| BlockCount {
            pc: *pc,
            bytes: *bytes,
            insns: block.insns,
            translations: block.translations,
            count: cpus.total(block.slot),
        };
        let mut all: Vec<BlockCount> = slots.blocks.iter().map(count).collect();
        all.sort_by_key(|block| (block.pc, block.bytes));
        all
    }
}

impl Cpus {
    fn total(&self, slot: u32) -> u64 {
        let finished = self.sums.get(slot as usize).copied().unwrap_or(0);
        finished + self.running.iter().map(|(_, counters)| counters.get(slot)).sum::<u64>()
    }
}
