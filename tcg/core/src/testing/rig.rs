//! One CPU and a little memory, for tests.

use super::Rng;
use crate::cpu::{CpuHeader, HelperFn, RegId, exit};
use crate::guest::{Ctx, Guest, Trap};
use crate::host::{CodeBuffer, Compiler, Env, TlbShape, disassemble};
use crate::interp::{Interp, Step, run_insn};
use crate::ir::{Left, Region, evaluate};
use crate::run::{CodeWatch, Mmu, Tables, VcpuFetch, helper_table, with_guest_mode};
use crate::ty::Ty;
use base::AddressSpace;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use vm_memory::{Bytes, GuestAddress};

/// A CPU of guest `G` with RAM.
pub struct Rig<G: Guest> {
    cpu: *mut G::Cpu,
    mmu: *mut Mmu,
    space: Arc<AddressSpace>,
    ram: (u64, u64),
    buffer: CodeBuffer,
    compiler: Compiler,
    tlb: TlbShape,
    /// What the header points to: nobody wants attention.
    _request: Box<AtomicU32>,
    _helpers: Box<[HelperFn]>,
}

/// Everything that a run can change and how it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// How it ended.
    pub left: Left,
    /// Accrued float flags.
    pub flags: u32,
    /// Guest instructions counted.
    pub insns: u64,
    /// Guest registers in table order, scalars in the low bits.
    pub regs: Vec<u128>,
    /// All RAM.
    pub memory: Vec<u8>,
}

impl Seen {
    /// How `self` and `other` differ, a line a difference.
    pub fn difference<G: Guest>(&self, other: &Self) -> String {
        let mut text = String::new();
        let mut line = |what: String| {
            text += &what;
            text.push('\n');
        };
        if self.left != other.left {
            line(format!("left by {:x?} and {:x?}", self.left, other.left));
        }
        if self.flags != other.flags {
            line(format!("flags {:#x} and {:#x}", self.flags, other.flags));
        }
        if self.insns != other.insns {
            line(format!("counted {} and {} instructions", self.insns, other.insns));
        }
        for (desc, (a, b)) in G::regs().iter().zip(self.regs.iter().zip(&other.regs)) {
            if a != b {
                line(format!("{} {a:#x} and {b:#x}", desc.name));
            }
        }
        for (i, (a, b)) in self.memory.iter().zip(&other.memory).enumerate() {
            if a != b {
                line(format!("RAM + {i:#x}: {a:#x} and {b:#x}"));
            }
        }
        text
    }
}

/// Nothing is translated behind the test's back.
struct NoCode;

impl CodeWatch for NoCode {
    fn code_written(&self, _: u64, _: u64) -> bool {
        false
    }
}

impl<G: Guest> Rig<G> {
    /// A rig with state `cpu` and `size` bytes of RAM at physical `base`, both page-aligned.
    pub fn new(cpu: G::Cpu, (base, size): (u64, u64), tlb_entries: usize) -> Self {
        let ram = base::allocate_ram(&[(base, size)]).expect("tests ask for little memory");
        let space = Arc::new(AddressSpace::new(ram));
        let mmu = Mmu::new(space.clone(), Arc::new(NoCode), Arc::new(Tables::new(tlb_entries)));
        let (cpu, mmu) = (Box::into_raw(Box::new(cpu)), Box::into_raw(Box::new(mmu)));
        let buffer = CodeBuffer::new(1 << 20).expect("tests ask for little code memory");
        let compiler = buffer.compiler();
        let (request, helpers) = (Box::new(AtomicU32::new(0)), helper_table::<G>());
        // SAFETY: just made.
        let head = unsafe { (*cpu).as_mut() };
        (head.mmu, head.request, head.helpers) = (mmu, &*request, helpers.as_ptr());
        let mut rig = Self {
            cpu,
            mmu,
            space,
            ram: (base, size),
            buffer,
            compiler,
            tlb: TlbShape { entries: tlb_entries, alone: true },
            _request: request,
            _helpers: helpers,
        };
        rig.sync();
        rig
    }

    /// The state; after a change that matters to translations, call [`Self::sync`].
    pub fn cpu(&mut self) -> &mut G::Cpu {
        // SAFETY: owned by `self`; nothing of the rig runs while the borrow lasts.
        unsafe { &mut *self.cpu }
    }

    fn parts(&mut self) -> (&mut G::Cpu, &mut Mmu) {
        // SAFETY: two allocations owned by `self`; nothing of the rig runs while the borrow lasts.
        unsafe { (&mut *self.cpu, &mut *self.mmu) }
    }

    /// Looks at what the state makes of addresses and translations.
    pub fn sync(&mut self) {
        let (cpu, mmu) = self.parts();
        mmu.sync::<G>(cpu);
    }

    /// How the rig fetches code.
    pub fn fetch(&mut self) -> VcpuFetch<'_, G> {
        let (cpu, mmu) = self.parts();
        VcpuFetch { mmu, cpu }
    }

    fn slot(&mut self, n: usize) -> *mut u64 {
        // SAFETY: the table's offsets are those of 8-byte fields of the state.
        unsafe { self.cpu.cast::<u8>().add(G::regs()[n].offset as usize).cast() }
    }

    /// Gives guest register `reg` a value; the lower half of a vector, and zeros above.
    pub fn set_reg(&mut self, reg: RegId, value: u64) {
        if G::regs()[reg.0 as usize].ty == Ty::V128 {
            return self.set_vector(reg, value.into());
        }
        // SAFETY: `slot` is a field of the state that `self` owns.
        unsafe { *self.slot(reg.0.into()) = value };
    }

    /// Gives vector register `reg` a value.
    pub fn set_vector(&mut self, reg: RegId, value: u128) {
        // SAFETY: `slot` is a field of 16 bytes of the state that `self` owns.
        unsafe { self.slot(reg.0.into()).cast::<u128>().write(value) };
    }

    /// All guest registers in table order, scalars in the low bits.
    pub fn regs(&mut self) -> Vec<u128> {
        let regs = G::regs().iter().enumerate();
        regs.map(|(n, desc)| {
            let slot = self.slot(n);
            // SAFETY: `slot` is a field of the state that `self` owns, of 16 bytes for vectors.
            unsafe { if desc.ty == Ty::V128 { slot.cast::<u128>().read() } else { slot.read().into() } }
        })
        .collect()
    }

    /// Writes RAM at physical `addr`.
    pub fn write(&mut self, addr: u64, bytes: &[u8]) {
        self.space.ram().write_slice(bytes, GuestAddress(addr)).expect("tests write within RAM");
    }

    /// All RAM.
    pub fn memory(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.ram.1 as usize];
        self.space.ram().read_slice(&mut bytes, GuestAddress(self.ram.0)).expect("the size is the RAM's");
        bytes
    }

    /// Sets registers and memory back to what `seed` says; accrued flags to none.
    pub fn fill(&mut self, seed: u64) {
        let mut rng = Rng::new(seed);
        for (n, desc) in G::regs().iter().enumerate() {
            let reg = RegId(n as u16);
            if desc.ty == Ty::V128 {
                self.set_vector(reg, rng.vector());
            } else {
                self.set_reg(reg, rng.value(desc.ty));
            }
        }
        let bytes: Vec<u8> = (0..self.ram.1 / 8).flat_map(|_| rng.bits().to_le_bytes()).collect();
        self.write(self.ram.0, &bytes);
        let head = self.cpu().as_mut();
        (head.fp_flags, head.insns) = (0, 0);
    }

    /// What there is to see after leaving as `left` says.
    pub fn seen(&mut self, left: Left) -> Seen {
        let (flags, insns) = (self.cpu().as_ref().fp_flags, self.cpu().as_ref().insns);
        Seen { left, flags, insns, regs: self.regs(), memory: self.memory() }
    }

    /// Evaluates `region`; `None` if it does not come to an end.
    pub fn evaluate(&mut self, region: &Region, fuel: usize) -> Option<Seen> {
        // SAFETY: both are ours.
        let mut machine = unsafe { Interp::<G>::new(self.cpu, self.mmu) };
        let left = evaluate(region, &mut machine, fuel)?;
        Some(self.seen(left))
    }

    /// Compiles `region` and runs it; `random` chooses registers. `None` if a frame is too small for it.
    pub fn run_host(&mut self, region: &Region, random: Option<u64>) -> Option<Seen> {
        self.run_host_moved(region, random, 0)
    }

    /// The same with the region's page mapped `by` bytes (whole pages) behind where it was when it was made.
    pub fn run_host_moved(&mut self, region: &Region, random: Option<u64>, by: u64) -> Option<Seen> {
        let env = Env {
            regs: G::regs(),
            helpers: G::helpers(),
            random_registers: random,
            process: false,
            direct: false,
            tlb: self.tlb,
            turns: false,
            heat: false,
            samples: false,
            several_pages: false,
        };
        self.buffer.reset();
        let compiled = self.buffer.place(self.compiler.compile(region, &env).ok()?, 1).ok()?;
        self.cpu().as_mut().page = (region.pc & !(base::PAGE_SIZE - 1)).wrapping_add(by);
        let (entry, runner) = (self.buffer.entry_address(compiled.entry) as u64, self.buffer.runner());
        let head = self.cpu.cast::<CpuHeader>();
        // SAFETY: the header is the start of a state of guest `G`, and the code was just compiled for it.
        let code = with_guest_mode(head, || unsafe { runner.enter(head, entry) });
        let head: &CpuHeader = (*self.cpu()).as_ref();
        let trap = Trap { code: head.trap_code, value: head.trap_value };
        let left = Left { pc: head.pc, code, trap: (code == exit::TRAP).then_some(trap) };
        Some(self.seen(left))
    }

    /// A listing of the host code of `region`.
    pub fn list_host(&mut self, region: &Region, random: Option<u64>) -> String {
        let env = Env {
            regs: G::regs(),
            helpers: G::helpers(),
            random_registers: random,
            process: false,
            direct: false,
            tlb: self.tlb,
            turns: false,
            heat: false,
            samples: false,
            several_pages: false,
        };
        self.buffer.reset();
        match self.compiler.compile(region, &env).and_then(|piece| self.buffer.place(piece, 1)) {
            Ok(compiled) => {
                let insns = disassemble(self.buffer.code(&compiled), 0);
                insns.iter().map(|insn| format!("{:#x}: {}\n", insn.at, insn.text)).collect()
            }
            Err(error) => format!("not compiled: {error:?}"),
        }
    }

    /// Interprets `insns` one after the other until one does not just go on to the next, be it for another mode.
    pub fn interpret(&mut self, insns: &[(Ctx, G::Insn)]) -> Seen {
        let mut left = Left { pc: self.cpu().as_ref().pc, code: exit::LOOKUP, trap: None };
        for (n, (cx, insn)) in insns.iter().enumerate() {
            // SAFETY: both are ours.
            let step = unsafe { run_insn::<G>(self.cpu, self.mmu, cx, *insn) };
            left.pc = self.cpu().as_ref().pc;
            match step {
                Step::Next => continue,
                Step::Leave(exit::RESYNC) if n + 1 < insns.len() => continue,
                Step::Jumped => {}
                Step::Trap(trap) => (left.code, left.trap) = (exit::TRAP, Some(trap)),
                Step::Leave(code) => left.code = code,
            }
            break;
        }
        self.seen(left)
    }
}

impl<G: Guest> Drop for Rig<G> {
    fn drop(&mut self) {
        // SAFETY: both were made by `Box::into_raw` in `new` and are not used afterwards.
        unsafe {
            drop(Box::from_raw(self.cpu));
            drop(Box::from_raw(self.mmu));
        }
    }
}

/// Adds a titled part to a report.
pub(super) fn section(report: &mut String, title: &str, body: &str) {
    writeln!(report, "--- {title}\n{}", body.trim_end()).expect("a string takes everything");
}
