//! The RISC-V ACLINT: software interrupts (MSWI, SSWI) and the machine timer (MTIMER), one device each.
//!
//! From the RISC-V Advanced Core Local Interruptor specification, 1.0-rc4. With MSWI at 0 and MTIMER at 0x4000 from
//! one base the layout is that of the SiFive CLINT, which is what `virt` has.

use super::guest_error;
use super::registers::{merge, part};
use base::{Device, IrqLine, Mmio, State, StateError, TimeBase, Timer, Width, Widths};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Bytes an MSWI device takes: room for 4095 harts.
pub const MSWI_SIZE: u64 = 0x4000;
/// Bytes an SSWI device takes.
pub const SSWI_SIZE: u64 = 0x4000;
/// Bytes an MTIMER device takes.
pub const MTIMER_SIZE: u64 = 0x8000;

/// `msip` and `setssip` stand 4 bytes apart.
fn swi_hart(offset: u64) -> usize {
    (offset / 4) as usize
}

/// MSWI: one `msip` register a hart (RW, reset 0); bit 0 drives the hart's MSIP.
pub struct Mswi {
    lines: Vec<IrqLine>,
    msip: Vec<bool>,
}

impl Mswi {
    const VERSION: u32 = 1;

    /// An MSWI for as many harts as there are MSIP lines.
    pub fn new(lines: Vec<IrqLine>) -> Self {
        let msip = vec![false; lines.len()];
        Self { lines, msip }
    }

    fn drive(&self) {
        self.lines.iter().zip(&self.msip).for_each(|(line, &level)| line.set(level));
    }
}

impl Device for Mswi {
    fn name(&self) -> &'static str {
        "riscv.aclint.swi"
    }

    fn reset(&mut self) {
        self.msip.fill(false);
        self.drive();
    }

    fn save(&self) -> State {
        State::of(Self::VERSION, &self.msip)
    }

    fn load(&mut self, state: &State) -> Result<(), StateError> {
        let msip: Vec<bool> = state.get(Self::VERSION)?;
        if msip.len() != self.msip.len() {
            return Err(StateError::Value("number of harts"));
        }
        self.msip = msip;
        self.drive();
        Ok(())
    }
}

impl Mmio for Mswi {
    fn widths(&self) -> Widths {
        Widths::WORD
    }

    fn read(&mut self, offset: u64, _width: Width) -> u64 {
        self.msip.get(swi_hart(offset)).copied().unwrap_or(false).into()
    }

    fn write(&mut self, offset: u64, _width: Width, value: u64) {
        let hart = swi_hart(offset);
        let Some(msip) = self.msip.get_mut(hart) else {
            return guest_error(self.name(), format_args!("msip of hart {hart}, which does not exist"));
        };
        *msip = value & 1 != 0;
        self.lines[hart].set(*msip);
    }
}

/// SSWI: one `setssip` register a hart (reads 0). Writing 1 sends the hart one edge, which sets `mip.SSIP` there;
/// only the hart clears it.
pub struct Sswi {
    lines: Vec<IrqLine>,
}

impl Sswi {
    const VERSION: u32 = 1;

    /// An SSWI for as many harts as there are lines.
    pub fn new(lines: Vec<IrqLine>) -> Self {
        Self { lines }
    }
}

impl Device for Sswi {
    fn name(&self) -> &'static str {
        "riscv.aclint.swi"
    }

    fn reset(&mut self) {}

    fn save(&self) -> State {
        State::of(Self::VERSION, &())
    }

    fn load(&mut self, state: &State) -> Result<(), StateError> {
        state.get(Self::VERSION)
    }
}

impl Mmio for Sswi {
    fn widths(&self) -> Widths {
        Widths::WORD
    }

    fn read(&mut self, _offset: u64, _width: Width) -> u64 {
        0
    }

    fn write(&mut self, offset: u64, _width: Width, value: u64) {
        let hart = swi_hart(offset);
        match self.lines.get(hart) {
            Some(line) if value & 1 != 0 => line.pulse(),
            Some(_) => {}
            None => guest_error(self.name(), format_args!("setssip of hart {hart}, which does not exist")),
        }
    }
}

/// Offset of `mtime` in an MTIMER; below it stand the `mtimecmp` registers, 8 bytes a hart.
const MTIME: u64 = 0x7ff8;

/// The comparator of one hart. Locked apart from the device, because its timer fires on the clock's thread.
struct Comparator {
    time: Arc<TimeBase>,
    mtip: IrqLine,
    timer: Box<dyn Timer>,
    mtimecmp: Mutex<u64>,
}

impl Comparator {
    fn new(time: &Arc<TimeBase>, mtip: IrqLine) -> Arc<Self> {
        Arc::new_cyclic(|this: &std::sync::Weak<Self>| {
            let this = this.clone();
            let timer = time.clock().timer(Box::new(move || {
                if let Some(this) = this.upgrade() {
                    this.update();
                }
            }));
            Self { time: time.clone(), mtip, timer, mtimecmp: Mutex::new(u64::MAX) }
        })
    }

    fn set(&self, mtimecmp: u64) {
        *self.mtimecmp.lock() = mtimecmp;
        self.update();
    }

    /// Drives MTIP, and arms the timer for when it has to rise.
    fn update(&self) {
        let mtimecmp = self.mtimecmp.lock();
        let due = self.time.ticks() >= *mtimecmp;
        self.mtip.set(due);
        match self.time.deadline_of(*mtimecmp) {
            Some(deadline) if !due => self.timer.arm(deadline),
            _ => self.timer.disarm(),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct MtimerState {
    mtime: u64,
    mtimecmp: Vec<u64>,
}

/// MTIMER: `mtimecmp` of each hart (RW, never due after reset) and `mtime` (RW, the machine's [`TimeBase`]).
pub struct Mtimer {
    time: Arc<TimeBase>,
    harts: Arc<[Arc<Comparator>]>,
}

impl Mtimer {
    const VERSION: u32 = 1;

    /// An MTIMER for as many harts as there are MTIP lines.
    pub fn new(time: Arc<TimeBase>, mtip: Vec<IrqLine>) -> Self {
        let harts: Arc<[_]> = mtip.into_iter().map(|line| Comparator::new(&time, line)).collect();
        let weak = Arc::downgrade(&harts);
        time.on_set(move || {
            if let Some(harts) = weak.upgrade() {
                harts.iter().for_each(|hart| hart.update());
            }
        });
        Self { time, harts }
    }

    fn hart(&self, offset: u64) -> Option<&Comparator> {
        let hart = self.harts.get((offset / 8) as usize)?;
        (offset < MTIME).then_some(hart)
    }
}

impl Device for Mtimer {
    fn name(&self) -> &'static str {
        "riscv.aclint.mtimer"
    }

    fn reset(&mut self) {
        self.harts.iter().for_each(|hart| *hart.mtimecmp.lock() = u64::MAX);
        self.time.set_ticks(0);
    }

    fn save(&self) -> State {
        let mtimecmp = self.harts.iter().map(|hart| *hart.mtimecmp.lock()).collect();
        State::of(Self::VERSION, &MtimerState { mtime: self.time.ticks(), mtimecmp })
    }

    fn load(&mut self, state: &State) -> Result<(), StateError> {
        let state: MtimerState = state.get(Self::VERSION)?;
        if state.mtimecmp.len() != self.harts.len() {
            return Err(StateError::Value("number of harts"));
        }
        self.harts.iter().zip(state.mtimecmp).for_each(|(hart, value)| *hart.mtimecmp.lock() = value);
        self.time.set_ticks(state.mtime);
        Ok(())
    }
}

impl Mmio for Mtimer {
    fn widths(&self) -> Widths {
        Widths { min: Width::B4, max: Width::B8 }
    }

    fn read(&mut self, offset: u64, width: Width) -> u64 {
        let value = match self.hart(offset) {
            Some(hart) => *hart.mtimecmp.lock(),
            None if offset & !7 == MTIME => self.time.ticks(),
            None => 0,
        };
        part(value, offset, width)
    }

    fn write(&mut self, offset: u64, width: Width, value: u64) {
        match self.hart(offset) {
            Some(hart) => {
                let old = *hart.mtimecmp.lock();
                hart.set(merge(old, offset, width, value));
            }
            None if offset & !7 == MTIME => {
                self.time.set_ticks(merge(self.time.ticks(), offset, width, value));
            }
            None => guest_error(self.name(), format_args!("write at {offset:#x}, where nothing is")),
        }
    }
}

#[cfg(test)]
mod tests;
