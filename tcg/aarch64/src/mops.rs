//! Memory copy and set (FEAT_MOPS), option A of the manual: the prologue turns the size into what remains, negative where
//! the work goes upwards, and the registers always say how far it has come, so that a fault can be taken anywhere.

use crate::Aarch64;
use crate::cpu::Cpu;
use crate::esr::{self, class};
use tcg_core::run::{Fault, with_mmu};
use tcg_core::sem::MemOp;
use tcg_core::ty::Ty;

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Copy upwards.
    Forward,
    /// Copy in the direction that overlapping needs.
    Copy,
    /// Set to a byte.
    Set,
}

/// Which of the three instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Turns the registers into what the others take.
    Prologue,
    /// Does the work.
    Main,
    /// Does what is left.
    Epilogue,
}

/// An instruction as one argument of its helper; registers are destination, source, size.
pub fn pack(kind: Kind, stage: Stage, [rd, rs, rn]: [u8; 3]) -> u64 {
    let regs = u64::from(rd) | u64::from(rs) << 8 | u64::from(rn) << 16;
    regs | (kind as u64) << 24 | (stage as u64) << 32
}

/// Most bytes before the run loop gets a look at requests.
const SLICE: u64 = 1 << 20;

/// Why an instruction did not finish.
pub enum Stop {
    /// A fault, or translations in the way.
    Fault(Fault),
    /// There is more to do: run it again.
    More,
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

fn get(cpu: &Cpu, n: u8) -> u64 {
    cpu.x.get(usize::from(n)).copied().unwrap_or(0)
}

fn set(cpu: &mut Cpu, n: u8, value: u64) {
    if let Some(x) = cpu.x.get_mut(usize::from(n)) {
        *x = value;
    }
}

/// Carries out the instruction that [`pack`] made.
pub fn run(cpu: &mut Cpu, what: u64) -> Result<(), Stop> {
    let [rd, rs, rn] = [what as u8, (what >> 8) as u8, (what >> 16) as u8];
    let kind = [Kind::Forward, Kind::Copy, Kind::Set][(what >> 24 & 3) as usize % 3];
    if what >> 32 == Stage::Prologue as u64 {
        prologue(cpu, kind, [rd, rs, rn]);
        return Ok(());
    }
    if cpu.flags != 0 {
        // Another implementation's option: the program was moved here in the middle of it.
        return Err(Fault::Trap(esr::trap(class::MOPS, 0)).into());
    }
    work(cpu, kind, [rd, rs, rn])
}

fn prologue(cpu: &mut Cpu, kind: Kind, [rd, rs, rn]: [u8; 3]) {
    const TAG: u64 = 0xff << 56;
    let most = if kind == Kind::Copy { (1 << 55) - 1 } else { i64::MAX as u64 };
    let (to, from, size) = (get(cpu, rd), get(cpu, rs), get(cpu, rn).min(most));
    let (plain_to, plain_from) = (to & !TAG, from & !TAG);
    let downwards =
        kind == Kind::Copy && plain_from < plain_to && plain_from.wrapping_add(size) & !TAG > plain_to;
    cpu.flags = 0;
    if downwards {
        return set(cpu, rn, size);
    }
    set(cpu, rd, to.wrapping_add(size));
    if kind != Kind::Set {
        set(cpu, rs, from.wrapping_add(size));
    }
    set(cpu, rn, size.wrapping_neg());
}

fn work(cpu: &mut Cpu, kind: Kind, [rd, rs, rn]: [u8; 3]) -> Result<(), Stop> {
    let (to, from) = (get(cpu, rd), get(cpu, rs));
    let value = from & 0xff;
    let pattern = value * 0x0101_0101_0101_0101;
    // Whole words where they cannot overlap; from one step to the next what was written is never read again.
    let apart = kind == Kind::Set || to.abs_diff(from) >= 8;
    let done = with_mmu::<Aarch64, _>(cpu, |cpu, mmu| {
        let mut moved = 0;
        loop {
            let left = get(cpu, rn) as i64;
            if left == 0 {
                return Ok(());
            }
            if moved >= SLICE {
                return Err(Stop::More);
            }
            let wide = apart && left.unsigned_abs() >= 8;
            let (op, step) = if wide { (MemOp::new(3), 8) } else { (MemOp::new(0), 1) };
            // Upwards the registers stand at the end, and what is left is negative.
            let at = if left < 0 { left as u64 } else { left as u64 - step };
            let data = match kind {
                Kind::Set => pattern,
                _ => mmu.load::<Aarch64>(cpu, from.wrapping_add(at), op, Ty::I64)?,
            };
            mmu.store::<Aarch64>(cpu, to.wrapping_add(at), data, op)?;
            set(cpu, rn, if left < 0 { (left as u64).wrapping_add(step) } else { at });
            moved += step;
        }
    });
    done.unwrap_or(Ok(()))
}
