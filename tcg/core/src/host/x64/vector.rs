//! Operations on the lanes of vectors, on SSE registers.

use super::compile::Emit;
use crate::ir::{Inst, Value};

impl Emit<'_> {
    /// An operation on lanes.
    pub fn lanes(&mut self, v: Value, inst: &Inst) {
        self.soft_lanes(v, inst);
    }
}
