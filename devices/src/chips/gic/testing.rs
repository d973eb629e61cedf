//! CPUs whose pins are recorded, for tests of both versions.

use super::CpuPins;
use base::{IrqLine, LineRecorder};
use std::sync::Arc;

/// The pins of `cpus` CPUs: IRQ of CPU `n` is line `2 n` of the recorder, FIQ the one behind.
pub fn pins(cpus: u32) -> (Arc<LineRecorder>, Vec<CpuPins>) {
    let recorder = Arc::new(LineRecorder::default());
    let line = |n| IrqLine::new(recorder.clone(), n);
    let pins = (0..cpus).map(|n| CpuPins { irq: line(2 * n), fiq: line(2 * n + 1) }).collect();
    (recorder, pins)
}
