//! The RISC-V platform-level interrupt controller.
//!
//! From the RISC-V PLIC specification 1.0.0, with the register map of the SiFive PLIC. All gateways are
//! level-triggered: a source whose line is high asks once, and again when it is still high at completion.

use super::guest_error;
use base::{Device, IrqLine, IrqSink, Mmio, State, StateError, Width, Widths};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Priority of each source (RW, reset 0), 4 bytes a source; 0 never interrupts.
const PRIORITY: u64 = 0x0;
/// Pending bits (R), one a source.
const PENDING: u64 = 0x1000;
/// Enable bits (RW, reset 0), one a source, `ENABLE_STRIDE` bytes a context.
const ENABLE: u64 = 0x2000;
const ENABLE_STRIDE: u64 = 0x80;
/// Threshold (RW, reset 0) and claim/complete (RW) of each context.
const CONTEXT: u64 = 0x20_0000;
const CONTEXT_STRIDE: u64 = 0x1000;

/// The most sources and contexts that the register map has room for.
pub const MAX_SOURCES: u32 = 1023;
/// See [`MAX_SOURCES`].
pub const MAX_CONTEXTS: usize = 15872;

const VERSION: u32 = 1;

/// A register, by what the offset says.
enum Register {
    Priority(usize),
    Pending(usize),
    Enable { context: usize, word: usize },
    Threshold(usize),
    Claim(usize),
}

impl Register {
    fn at(offset: u64) -> Option<Self> {
        let word = |from: u64| ((offset - from) / 4) as usize;
        Some(match offset {
            PRIORITY..PENDING => Self::Priority(word(PRIORITY)),
            PENDING..0x1080 => Self::Pending(word(PENDING)),
            ENABLE..0x1f_2000 => {
                let from = offset - ENABLE;
                Self::Enable {
                    context: (from / ENABLE_STRIDE) as usize,
                    word: (from % ENABLE_STRIDE / 4) as usize,
                }
            }
            CONTEXT..0x400_0000 => {
                let context = ((offset - CONTEXT) / CONTEXT_STRIDE) as usize;
                match (offset - CONTEXT) % CONTEXT_STRIDE {
                    0 => Self::Threshold(context),
                    4 => Self::Claim(context),
                    _ => return None,
                }
            }
            _ => return None,
        })
    }
}

#[derive(Clone, Serialize, Deserialize)]
struct Context {
    enable: Vec<u32>,
    threshold: u32,
}

/// Bit `source % 32` of word `source / 32` in each bit vector.
#[derive(Clone, Serialize, Deserialize)]
struct Registers {
    priority: Vec<u32>,
    level: Vec<u32>,
    pending: Vec<u32>,
    /// Claimed and not yet completed: the gateway forwards nothing.
    claimed: Vec<u32>,
    contexts: Vec<Context>,
}

fn bit(words: &[u32], source: u32) -> bool {
    words[(source / 32) as usize] >> (source % 32) & 1 != 0
}

fn set_bit(words: &mut [u32], source: u32, value: bool) {
    let mask = 1 << (source % 32);
    let word = &mut words[(source / 32) as usize];
    *word = if value { *word | mask } else { *word & !mask };
}

impl Registers {
    fn new(sources: u32, contexts: usize) -> Self {
        let words = vec![0; sources as usize / 32 + 1];
        Self {
            priority: vec![0; sources as usize + 1],
            level: words.clone(),
            pending: words.clone(),
            claimed: words.clone(),
            contexts: vec![Context { enable: words, threshold: 0 }; contexts],
        }
    }

    /// The source that `context` would claim, with its priority: the highest priority, the lowest number among
    /// equals.
    fn best(&self, context: &Context) -> Option<(u32, u32)> {
        let mut best = None;
        for (word, (pending, enable)) in self.pending.iter().zip(&context.enable).enumerate() {
            let mut bits = pending & enable;
            while bits != 0 {
                let source = word as u32 * 32 + bits.trailing_zeros();
                bits &= bits - 1;
                let priority = self.priority[source as usize];
                if priority > best.map_or(0, |(_, highest)| highest) {
                    best = Some((source, priority));
                }
            }
        }
        best
    }

    /// The gateway: forwards a request of a source that is high and not in service.
    fn forward(&mut self, source: u32) -> bool {
        let new = bit(&self.level, source) && !bit(&self.claimed, source) && !bit(&self.pending, source);
        if new {
            set_bit(&mut self.pending, source, true);
        }
        new
    }

    fn claim(&mut self, context: usize) -> u32 {
        let Some((source, _)) = self.contexts.get(context).and_then(|context| self.best(context)) else {
            return 0;
        };
        set_bit(&mut self.pending, source, false);
        set_bit(&mut self.claimed, source, true);
        source
    }

    /// Ends service of `source`; ignored unless `context` has it enabled, as the specification says.
    fn complete(&mut self, context: usize, source: u32) {
        let known = source != 0 && (source as usize) < self.priority.len();
        if known && self.contexts.get(context).is_some_and(|c| bit(&c.enable, source)) {
            set_bit(&mut self.claimed, source, false);
            self.forward(source);
        }
    }
}

struct Locked {
    registers: Registers,
    /// Levels of the outputs, so that only changes are driven.
    high: Vec<bool>,
}

/// What devices drive, locked apart from the device on the bus: a line may change while its driver is locked.
struct Core {
    sources: u32,
    outputs: Vec<IrqLine>,
    locked: Mutex<Locked>,
}

impl Core {
    fn update(&self, locked: &mut Locked) {
        let Locked { registers, high } = locked;
        for ((context, output), high) in registers.contexts.iter().zip(&self.outputs).zip(high) {
            let level = registers.best(context).is_some_and(|(_, priority)| priority > context.threshold);
            if level != *high {
                *high = level;
                output.set(level);
            }
        }
    }
}

impl IrqSink for Core {
    fn set(&self, line: u32, level: bool) {
        if line == 0 || line > self.sources {
            return;
        }
        let mut locked = self.locked.lock();
        set_bit(&mut locked.registers.level, line, level);
        if locked.registers.forward(line) {
            self.update(&mut locked);
        }
    }
}

/// The PLIC.
pub struct Plic {
    core: Arc<Core>,
    /// Writable bits of priorities and thresholds.
    priority_mask: u32,
}

impl Plic {
    /// A PLIC with sources 1 to `sources`, priorities 0 to `priorities` (one less than a power of two) and one
    /// context for each output.
    ///
    /// # Panics
    /// When the register map has no room for that many: the numbers are a board's.
    pub fn new(sources: u32, priorities: u32, outputs: Vec<IrqLine>) -> Self {
        assert!((1..=MAX_SOURCES).contains(&sources), "a PLIC has 1 to {MAX_SOURCES} sources");
        assert!(outputs.len() <= MAX_CONTEXTS, "a PLIC has at most {MAX_CONTEXTS} contexts");
        assert!(priorities & priorities.wrapping_add(1) == 0, "priorities are all values of some bits");
        let registers = Registers::new(sources, outputs.len());
        let locked = Mutex::new(Locked { registers, high: vec![false; outputs.len()] });
        Self { core: Arc::new(Core { sources, outputs, locked }), priority_mask: priorities }
    }

    /// The inputs: line `n` is source `n`.
    pub fn inputs(&self) -> Arc<dyn IrqSink> {
        self.core.clone()
    }

    /// Bytes the register map takes with this many contexts.
    pub const fn size(contexts: usize) -> u64 {
        CONTEXT + CONTEXT_STRIDE * contexts as u64
    }
}

impl Device for Plic {
    fn name(&self) -> &'static str {
        "riscv.sifive.plic"
    }

    /// The levels of the inputs are the devices' business and stay.
    fn reset(&mut self) {
        let mut locked = self.core.locked.lock();
        let fresh = Registers::new(self.core.sources, self.core.outputs.len());
        let level = std::mem::take(&mut locked.registers.level);
        locked.registers = Registers { level, ..fresh };
        self.core.update(&mut locked);
    }

    fn save(&self) -> State {
        State::of(VERSION, &self.core.locked.lock().registers)
    }

    fn load(&mut self, state: &State) -> Result<(), StateError> {
        let loaded: Registers = state.get(VERSION)?;
        let mut locked = self.core.locked.lock();
        let now = &locked.registers;
        let words = now.level.len();
        let fits = loaded.priority.len() == now.priority.len()
            && loaded.contexts.len() == now.contexts.len()
            && [&loaded.level, &loaded.pending, &loaded.claimed].iter().all(|v| v.len() == words)
            && loaded.contexts.iter().all(|context| context.enable.len() == words);
        if !fits {
            return Err(StateError::Value("number of sources or contexts"));
        }
        let bits = [&loaded.pending, &loaded.level, &loaded.claimed];
        let enables = loaded.contexts.iter().map(|context| &context.enable);
        let invalid = |(word, bits): (usize, &u32)| bits & !valid_bits(self.core.sources, word) != 0;
        if bits.into_iter().chain(enables).any(|words| words.iter().enumerate().any(invalid)) {
            return Err(StateError::Value("a bit of a source that does not exist"));
        }
        locked.registers = loaded;
        self.core.update(&mut locked);
        Ok(())
    }
}

/// The bits in `word` of sources that exist: not source 0, nor any past the last.
fn valid_bits(sources: u32, word: usize) -> u32 {
    let count = (sources + 1).saturating_sub(word as u32 * 32);
    let existing = if count < 32 { (1 << count) - 1 } else { u32::MAX };
    if word == 0 { existing & !1 } else { existing }
}

impl Mmio for Plic {
    fn widths(&self) -> Widths {
        Widths::WORD
    }

    fn read(&mut self, offset: u64, _width: Width) -> u64 {
        let mut locked = self.core.locked.lock();
        let registers = &mut locked.registers;
        let value = match Register::at(offset & !3) {
            Some(Register::Priority(source)) => registers.priority.get(source).copied(),
            Some(Register::Pending(word)) => registers.pending.get(word).copied(),
            Some(Register::Enable { context, word }) => {
                registers.contexts.get(context).and_then(|context| context.enable.get(word)).copied()
            }
            Some(Register::Threshold(context)) => registers.contexts.get(context).map(|c| c.threshold),
            Some(Register::Claim(context)) => {
                let source = registers.claim(context);
                self.core.update(&mut locked);
                Some(source)
            }
            None => None,
        };
        value.unwrap_or(0).into()
    }

    fn write(&mut self, offset: u64, _width: Width, value: u64) {
        let value = value as u32;
        let sources = self.core.sources;
        let mut locked = self.core.locked.lock();
        let registers = &mut locked.registers;
        match Register::at(offset & !3) {
            Some(Register::Priority(source)) if (1..=sources as usize).contains(&source) => {
                registers.priority[source] = value & self.priority_mask;
            }
            Some(Register::Enable { context, word }) if context < registers.contexts.len() => {
                if let Some(enable) = registers.contexts[context].enable.get_mut(word) {
                    *enable = value & valid_bits(sources, word);
                }
            }
            Some(Register::Threshold(context)) if context < registers.contexts.len() => {
                registers.contexts[context].threshold = value & self.priority_mask;
            }
            Some(Register::Claim(context)) => registers.complete(context, value),
            _ => return guest_error(self.name(), format_args!("write of {value:#x} at {offset:#x}")),
        }
        self.core.update(&mut locked);
    }
}

#[cfg(test)]
mod tests;
