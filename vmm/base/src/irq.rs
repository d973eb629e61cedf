//! Interrupt lines: the wires between a device's output pin and whatever listens to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The receiving side of a set of numbered level-sensitive inputs (an interrupt controller, a CPU, an OR gate).
pub trait IrqSink: Send + Sync {
    /// Drives input `line` to `level`. Must not call back into the device that drives it.
    fn set(&self, line: u32, level: bool);
}

/// One wire: a sink and the number of the input on it. Cheap to clone; a device keeps one per output pin.
#[derive(Clone)]
pub struct IrqLine {
    sink: Arc<dyn IrqSink>,
    line: u32,
}

impl IrqLine {
    /// A wire to input `line` of `sink`.
    pub fn new(sink: Arc<dyn IrqSink>, line: u32) -> Self {
        Self { sink, line }
    }

    /// A wire that ends nowhere.
    pub fn unconnected() -> Self {
        struct Nowhere;
        impl IrqSink for Nowhere {
            fn set(&self, _line: u32, _level: bool) {}
        }
        Self::new(Arc::new(Nowhere), 0)
    }

    /// Drives the wire.
    pub fn set(&self, level: bool) {
        self.sink.set(self.line, level);
    }

    /// Drives the wire high, then low: one edge.
    pub fn pulse(&self) {
        self.set(true);
        self.set(false);
    }
}

/// A sink that remembers the level of its first 64 inputs and counts rising edges: what tests connect.
#[derive(Default)]
pub struct LineRecorder {
    levels: AtomicU64,
    edges: AtomicU64,
}

impl LineRecorder {
    /// The present level of input `line` (0..64).
    pub fn level(&self, line: u32) -> bool {
        self.levels.load(Ordering::SeqCst) >> line & 1 != 0
    }

    /// Rising edges seen on all inputs together.
    pub fn edges(&self) -> u64 {
        self.edges.load(Ordering::SeqCst)
    }
}

impl IrqSink for LineRecorder {
    fn set(&self, line: u32, level: bool) {
        let bit = 1u64 << (line & 63);
        let old = if level {
            self.levels.fetch_or(bit, Ordering::SeqCst)
        } else {
            self.levels.fetch_and(!bit, Ordering::SeqCst)
        };
        if level && old & bit == 0 {
            self.edges.fetch_add(1, Ordering::SeqCst);
        }
    }
}
