//! The reading that runs: [`Interp`] executes a semantics function on the CPU state at once.
//!
//! Tier 0, single step, and the oracle that generated code is tested against.

use crate::cpu::{CpuHeader, HelperId, RegDesc, RegId, exit};
use crate::eval;
use crate::fp;
use crate::guest::{Access, Ctx, Guest, Trap};
use crate::ir::{Machine, Op};
use crate::observe::slot;
use crate::run::{Fault, Mmu, VcpuFetch};
use crate::sem::{FloatMode, Lane, MemOp, Next, Order, Rmw, Sem, V, Val};
use crate::ty::{Bool, Float, I32, I64, Int, Scalar, Ty};
use std::marker::PhantomData;
use std::sync::atomic::Ordering;

/// Runs semantics functions of guest `G`.
///
/// Helpers reach the same CPU and MMU through the CPU header, so both are raw pointers here: each borrow lasts for one
/// access, never across a helper call.
pub struct Interp<G: Guest> {
    cpu: *mut G::Cpu,
    mmu: *mut Mmu,
    regs: &'static [RegDesc],
    guest: PhantomData<G>,
}

/// Why a semantics function stopped in the middle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The guest takes a trap at this instruction.
    Trap(Trap),
    /// The instruction was not carried out; the run loop looks at the code (one of [`exit`]) and runs it again.
    Leave(u32),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Trap(trap) => Self::Trap(trap),
            Fault::Again => Self::Leave(exit::RETRY),
        }
    }
}

/// What one interpreted instruction did; the header's `pc` is where the guest goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Went on to the instruction that follows.
    Next,
    /// Jumped: a basic block ends here.
    Jumped,
    /// Traps at `pc`.
    Trap(Trap),
    /// Leaves to the run loop with one of [`exit`].
    Leave(u32),
}

/// Runs the instruction at the header's `pc`.
///
/// # Safety
/// `cpu` and `mmu` are valid, belong to one vCPU, and nobody else uses them during the call but helpers it makes.
pub unsafe fn step<G: Guest>(cpu: *mut G::Cpu, mmu: *mut Mmu, mode: u64) -> Step {
    let decoded = {
        // SAFETY: the caller's promise; no helper runs while code is fetched.
        let (cpu, mmu) = unsafe { (&mut *cpu, &mut *mmu) };
        let pc = cpu.as_ref().pc;
        mmu.ask::<G>(cpu, pc, 1, Access::Fetch).and_then(|()| {
            let (insn, len) = G::decode(&mut VcpuFetch::<G> { mmu, cpu }, pc, mode)?;
            Ok((insn, Ctx { pc, len, mode }))
        })
    };
    match decoded {
        // SAFETY: the caller's promise.
        Ok((insn, cx)) => unsafe { run_insn::<G>(cpu, mmu, &cx, insn) },
        Err(trap) => Step::Trap(trap),
    }
}

/// Runs a decoded instruction that stands at `cx.pc`.
///
/// # Safety
/// As for [`step`].
pub unsafe fn run_insn<G: Guest>(cpu: *mut G::Cpu, mmu: *mut Mmu, cx: &Ctx, insn: G::Insn) -> Step {
    // SAFETY: the caller's promise.
    let mut interp = unsafe { Interp::<G>::new(cpu, mmu) };
    let flow = G::exec(&mut interp, cx, insn);
    let traps = matches!(flow, Ok(Next::Trap(_)));
    let carried_out = flow.is_ok() && !traps;
    let (pc, step) = match flow {
        Ok(Next::Fall) => (cx.next_pc(), Step::Next),
        Ok(Next::Jump(pc)) => (pc, Step::Jumped),
        Ok(Next::Branch { cond, taken, not }) => (if cond.raw != 0 { taken } else { not }, Step::Jumped),
        Ok(Next::Indirect(target, _)) => (target.raw, Step::Jumped),
        Ok(Next::Trap(trap)) | Err(Stop::Trap(trap)) => (cx.pc, Step::Trap(trap)),
        Ok(Next::Mode(_)) => (cx.next_pc(), Step::Leave(exit::RESYNC)),
        Ok(Next::Exit(code)) => (cx.next_pc(), Step::Leave(code)),
        Err(Stop::Leave(code)) => (cx.pc, Step::Leave(code)),
    };
    // SAFETY: the caller's promise.
    let head = unsafe { (*cpu).as_mut() };
    head.pc = pc;
    head.count(carried_out.into());
    if traps && !head.counters.is_null() {
        // SAFETY: the table of the vCPU, which is this thread's to add to.
        unsafe { *head.counters.add(slot::TRAPPED as usize) += 1 };
    }
    step
}

impl<G: Guest> Interp<G> {
    /// Works on the state at `cpu` and the memory behind `mmu`.
    ///
    /// # Safety
    /// As for [`step`], for as long as the interpreter is used.
    pub unsafe fn new(cpu: *mut G::Cpu, mmu: *mut Mmu) -> Self {
        Self { cpu, mmu, regs: G::regs(), guest: PhantomData }
    }

    fn head(&mut self) -> *mut CpuHeader {
        self.cpu.cast()
    }

    fn slot(&mut self, reg: RegId) -> *mut u64 {
        let offset = self.regs[reg.0 as usize].offset as usize;
        // SAFETY: the table's offsets are those of 8-byte fields of the CPU structure.
        unsafe { self.cpu.cast::<u8>().add(offset).cast() }
    }

    fn vector_slot(&mut self, reg: RegId) -> *mut u128 {
        self.slot(reg).cast()
    }

    fn parts(&mut self) -> (&mut G::Cpu, &mut Mmu) {
        // SAFETY: `step`'s caller promises that both are ours; no helper runs while the borrow of `self` lasts.
        unsafe { (&mut *self.cpu, &mut *self.mmu) }
    }

    fn float_flags<T>(&mut self, operation: impl FnOnce(&mut u32) -> T) -> T {
        operation(&mut self.parts().0.as_mut().fp_flags)
    }
}

impl<G: Guest> Sem for Interp<G> {
    type R = u64;
    type W = u128;
    type Stop = Stop;

    #[inline]
    fn k<T: Scalar>(&mut self, value: u64) -> V<Self, T> {
        Val::new(value & T::TY.mask())
    }

    #[inline]
    fn code_addr(&mut self, addr: u64) -> V<Self, I64> {
        self.k(addr)
    }

    #[inline]
    fn get<T: Scalar>(&mut self, reg: RegId) -> V<Self, T> {
        // SAFETY: `slot` points into the CPU structure, which this vCPU's thread owns.
        Val::new(unsafe { self.slot(reg).read() } & T::TY.mask())
    }

    #[inline]
    fn set<T: Scalar>(&mut self, reg: RegId, value: V<Self, T>) {
        // SAFETY: as in `get`.
        unsafe { self.slot(reg).write(value.raw) }
    }

    #[inline]
    fn op1<T: Scalar, U: Scalar>(&mut self, op: Op, imm: u64, a: V<Self, T>) -> V<Self, U> {
        Val::new(match op.effect() {
            crate::ir::Effect::Flags => {
                self.float_flags(|raised| eval::float1(op, (T::TY, U::TY), imm, a.raw, raised))
            }
            _ => eval::int1(op, T::TY, U::TY, imm, a.raw),
        })
    }

    #[inline]
    fn op2<T: Scalar, U: Scalar>(&mut self, op: Op, imm: u64, a: V<Self, T>, b: V<Self, T>) -> V<Self, U> {
        Val::new(match op.effect() {
            crate::ir::Effect::Flags => {
                self.float_flags(|raised| eval::float2(op, T::TY, imm, [a.raw, b.raw], raised))
            }
            _ => eval::int2(op, T::TY, imm, [a.raw, b.raw]),
        })
    }

    fn fmuladd<T: Float>(
        &mut self,
        a: V<Self, T>,
        b: V<Self, T>,
        c: V<Self, T>,
        mode: impl Into<FloatMode>,
    ) -> V<Self, T> {
        let mode = mode.into();
        Val::new(self.float_flags(|raised| fp::fmuladd(T::TY, [a.raw, b.raw, c.raw], mode, raised)))
    }

    #[inline]
    fn flags_adc<T: Int>(&mut self, a: V<Self, T>, b: V<Self, T>, carry: V<Self, Bool>) -> V<Self, I32> {
        Val::new(eval::flags_adc(T::TY, a.raw, b.raw, carry.raw != 0))
    }

    #[inline]
    fn select<T: Scalar>(&mut self, cond: V<Self, Bool>, a: V<Self, T>, b: V<Self, T>) -> V<Self, T> {
        if cond.raw != 0 { a } else { b }
    }

    fn load<T: Scalar>(&mut self, addr: V<Self, I64>, op: MemOp) -> Result<V<Self, T>, Stop> {
        let (cpu, mmu) = self.parts();
        Ok(Val::new(mmu.load::<G>(cpu, addr.raw, op, T::TY)?))
    }

    fn store<T: Scalar>(&mut self, addr: V<Self, I64>, value: V<Self, T>, op: MemOp) -> Result<(), Stop> {
        let (cpu, mmu) = self.parts();
        Ok(mmu.store::<G>(cpu, addr.raw, value.raw, op)?)
    }

    fn rmw<T: Int>(
        &mut self,
        kind: Rmw,
        addr: V<Self, I64>,
        operand: V<Self, T>,
        op: MemOp,
    ) -> Result<V<Self, T>, Stop> {
        let (cpu, mmu) = self.parts();
        Ok(Val::new(mmu.rmw::<G>(cpu, addr.raw, operand.raw, kind.pack(op), T::TY)?))
    }

    fn cas<T: Int>(
        &mut self,
        addr: V<Self, I64>,
        expected: V<Self, T>,
        new: V<Self, T>,
        op: MemOp,
    ) -> Result<V<Self, T>, Stop> {
        let (cpu, mmu) = self.parts();
        Ok(Val::new(mmu.cas::<G>(cpu, addr.raw, [expected.raw, new.raw], op, T::TY)?))
    }

    fn fence(&mut self, order: Order) {
        order.fence();
    }

    fn call(&mut self, id: HelperId, args: &[V<Self, I64>]) -> Result<V<Self, I64>, Stop> {
        let arg = |n: usize| args.get(n).map_or(0, |a| a.raw);
        let func = G::helpers()[id.0 as usize].func;
        let head = self.head();
        // SAFETY: `head` is the header of a vCPU of guest `G`, to which the helper belongs.
        let result = unsafe { func(head, arg(0), arg(1), arg(2), 0) };
        match result.status as u32 {
            exit::NONE => Ok(Val::new(result.value)),
            exit::TRAP => {
                // SAFETY: as above; the helper has returned.
                let head = unsafe { &*head };
                Err(Stop::Trap(Trap { code: head.trap_code, value: head.trap_value }))
            }
            code => Err(Stop::Leave(code)),
        }
    }

    fn usually(
        &mut self,
        cond: V<Self, Bool>,
        value: V<Self, I64>,
        id: HelperId,
        args: &[V<Self, I64>],
    ) -> Result<V<Self, I64>, Stop> {
        if cond.raw != 0 { Ok(value) } else { Sem::call(self, id, args) }
    }

    fn when(
        &mut self,
        cond: V<Self, Bool>,
        body: impl FnOnce(&mut Self) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        if cond.raw != 0 { body(self) } else { Ok(()) }
    }

    #[inline]
    fn vector(&mut self, value: u128) -> u128 {
        value
    }

    #[inline]
    fn get_vector(&mut self, reg: RegId) -> u128 {
        // SAFETY: the table's offset of a vector is that of a 16-byte field of the CPU structure.
        unsafe { self.vector_slot(reg).read() }
    }

    #[inline]
    fn set_vector(&mut self, reg: RegId, value: u128) {
        // SAFETY: as in `get_vector`.
        unsafe { self.vector_slot(reg).write(value) }
    }

    fn load_vector(&mut self, addr: V<Self, I64>, op: MemOp) -> Result<u128, Stop> {
        let (cpu, mmu) = self.parts();
        Ok(mmu.load_vector::<G>(cpu, addr.raw, op)?)
    }

    fn store_vector(&mut self, addr: V<Self, I64>, value: u128, op: MemOp) -> Result<(), Stop> {
        let (cpu, mmu) = self.parts();
        Ok(mmu.store_vector::<G>(cpu, addr.raw, value, op)?)
    }

    fn load_lanes(&mut self, addr: V<Self, I64>, mask: u128, op: MemOp) -> Result<u128, Stop> {
        let (cpu, mmu) = self.parts();
        Ok(mmu.load_lanes::<G>(cpu, addr.raw, mask, op)?)
    }

    fn store_lanes(&mut self, addr: V<Self, I64>, lanes: [u128; 2], op: MemOp) -> Result<(), Stop> {
        let (cpu, mmu) = self.parts();
        Ok(mmu.store_lanes::<G>(cpu, addr.raw, lanes, op)?)
    }

    #[inline]
    fn lanes(&mut self, op: Op, ty: Ty, imm: u64, args: &[u128]) -> u128 {
        let arg = |n: usize| args.get(n).copied().unwrap_or_default();
        let args = [arg(0), arg(1), arg(2)];
        self.float_flags(|raised| eval::vector(op, ty, imm, args, raised))
    }

    #[inline]
    fn splat<T: Scalar>(&mut self, ty: Ty, value: V<Self, T>) -> u128 {
        eval::vector(Op::Splat, ty, 0, [value.raw.into(), 0, 0], &mut 0)
    }

    #[inline]
    fn insert<T: Scalar>(&mut self, ty: Ty, index: u32, a: u128, value: V<Self, T>) -> u128 {
        eval::vector(Op::Insert, ty, index.into(), [a, value.raw.into(), 0], &mut 0)
    }

    #[inline]
    fn extract<T: Scalar>(&mut self, lane: Lane, a: u128) -> V<Self, T> {
        Val::new(eval::vector(Op::Extract, T::TY, lane.pack(), [a, 0, 0], &mut 0) as u64)
    }

    #[inline]
    fn any(&mut self, a: u128) -> V<Self, Bool> {
        Val::new((a != 0).into())
    }

    #[inline]
    fn byte_signs(&mut self, a: u128) -> V<Self, I32> {
        Val::new(eval::vector(Op::ByteSigns, Ty::I32, 0, [a, 0, 0], &mut 0) as u64)
    }

    #[inline]
    fn select_vector(&mut self, cond: V<Self, Bool>, a: u128, b: u128) -> u128 {
        if cond.raw != 0 { a } else { b }
    }

    #[inline]
    fn shuffle(&mut self, a: u128, b: u128, bytes: [u8; 16]) -> u128 {
        eval::vector(Op::Shuffle, Ty::V128, 0, [a, b, u128::from_le_bytes(bytes)], &mut 0)
    }

    fn call_vector(&mut self, id: HelperId, param: u64, args: &[u128]) -> u128 {
        let func = G::helpers()[id.0 as usize].func;
        let head = self.head();
        // SAFETY: the header of a vCPU of guest `G`, to which the helper belongs; nobody else uses it meanwhile.
        unsafe {
            let vectors = &mut (*head).vectors;
            *vectors = std::array::from_fn(|n| args.get(n).or(args.first()).copied().unwrap_or_default());
            func(head, param, 0, 0, 0);
            (*head).vectors[0]
        }
    }
}

/// The state and memory that a region works on when it is evaluated.
impl<G: Guest> Machine for Interp<G> {
    fn get(&mut self, reg: RegId) -> u64 {
        Sem::get::<I64>(self, reg).raw
    }

    fn set(&mut self, reg: RegId, value: u64) {
        Sem::set::<I64>(self, reg, Val::new(value));
    }

    fn raise(&mut self, flags: u32) {
        self.float_flags(|raised| *raised |= flags);
    }

    fn load(&mut self, addr: u64, op: MemOp, ty: Ty) -> Result<u64, Stop> {
        let (cpu, mmu) = self.parts();
        Ok(mmu.load::<G>(cpu, addr, op, ty)?)
    }

    fn store(&mut self, addr: u64, value: u64, op: MemOp) -> Result<(), Stop> {
        Sem::store::<I64>(self, Val::new(addr), Val::new(value), op)
    }

    fn rmw(&mut self, addr: u64, operand: u64, imm: u64, ty: Ty) -> Result<u64, Stop> {
        let (cpu, mmu) = self.parts();
        Ok(mmu.rmw::<G>(cpu, addr, operand, imm, ty)?)
    }

    fn cas(&mut self, addr: u64, values: [u64; 2], op: MemOp, ty: Ty) -> Result<u64, Stop> {
        let (cpu, mmu) = self.parts();
        Ok(mmu.cas::<G>(cpu, addr, values, op, ty)?)
    }

    fn call(&mut self, id: HelperId, args: [u64; 3]) -> Result<u64, Stop> {
        Sem::call(self, id, &args.map(Val::new)).map(|value| value.raw)
    }

    fn count(&mut self, insns: u64) {
        self.parts().0.as_mut().count(insns);
    }

    fn get_vector(&mut self, reg: RegId) -> u128 {
        Sem::get_vector(self, reg)
    }

    fn set_vector(&mut self, reg: RegId, value: u128) {
        Sem::set_vector(self, reg, value);
    }

    fn load_vector(&mut self, addr: u64, op: MemOp) -> Result<u128, Stop> {
        Sem::load_vector(self, Val::new(addr), op)
    }

    fn store_vector(&mut self, addr: u64, value: u128, op: MemOp) -> Result<(), Stop> {
        Sem::store_vector(self, Val::new(addr), value, op)
    }

    fn load_lanes(&mut self, addr: u64, mask: u128, op: MemOp) -> Result<u128, Stop> {
        Sem::load_lanes(self, Val::new(addr), mask, op)
    }

    fn store_lanes(&mut self, addr: u64, lanes: [u128; 2], op: MemOp) -> Result<(), Stop> {
        Sem::store_lanes(self, Val::new(addr), lanes, op)
    }

    fn call_vector(&mut self, id: HelperId, param: u64, args: [u128; 3]) -> u128 {
        Sem::call_vector(self, id, param, &args)
    }

    fn requested(&mut self) -> bool {
        let request = self.parts().0.as_ref().request;
        // SAFETY: null, or a word that lives as long as the vCPU.
        unsafe { request.as_ref() }.is_some_and(|word| word.load(Ordering::Relaxed) != 0)
    }

    fn turn_has(&mut self, insns: u64) -> bool {
        self.parts().0.as_ref().ticks().is_none_or(|ticks| ticks.has(insns))
    }
}
