//! CPUs whose pins are recorded, for tests of both versions.

use super::CpuPins;
use base::{IrqLine, LineRecorder};
use std::sync::Arc;

/// The pins of `cpus` CPUs: IRQ of CPU `n` is line `2 n` of the recorder, FIQ the one behind; the virtual ones are 100 lines
/// further, and those of the two groups 1 (Secure first) 200 lines.
pub fn pins(cpus: u32) -> (Arc<LineRecorder>, Vec<CpuPins>) {
    let recorder = Arc::new(LineRecorder::default());
    let line = |n| IrqLine::new(recorder.clone(), n);
    let of = |n| CpuPins {
        irq: line(2 * n),
        fiq: line(2 * n + 1),
        virq: line(2 * n + 100),
        vfiq: line(2 * n + 101),
        groups_1: [line(2 * n + 200), line(2 * n + 201)],
    };
    let pins = (0..cpus).map(of).collect();
    (recorder, pins)
}
