//! A hart's saved state: every register, the reservation included, so that a hart goes on exactly as it would have.

use crate::Riscv;
use crate::cpu::Hart;
use crate::csr::CsrState;
use base::{State, StateError};
use serde::{Deserialize, Serialize};
use tcg_core::saved::{HeaderState, Saved};

const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct HartState {
    header: HeaderState,
    x: [u64; 32],
    f: [u64; 32],
    /// The vector registers as little-endian words; those at the end that are zero are left out.
    v: Vec<u64>,
    reservation: u64,
    reserved_value: u64,
    csr: CsrState,
}

impl Saved for Riscv {
    fn save(hart: &mut Hart) -> State {
        let Hart { head, x, f, v, reservation, reserved_value, csr } = hart;
        let (words, _) = v.bytes().as_chunks::<8>();
        let mut v: Vec<u64> = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
        v.truncate(v.iter().rposition(|word| *word != 0).map_or(0, |last| last + 1));
        State::of(
            VERSION,
            &HartState {
                header: HeaderState::save(head),
                x: *x,
                f: *f,
                v,
                reservation: *reservation,
                reserved_value: *reserved_value,
                csr: CsrState::save(csr),
            },
        )
    }

    fn load(hart: &mut Hart, state: &State) -> Result<(), StateError> {
        let state: HartState = state.get(VERSION)?;
        let (words, _) = hart.v.bytes_mut().as_chunks_mut::<8>();
        if state.x[0] != 0 || !state.header.pc.is_multiple_of(2) || state.v.len() > words.len() {
            return Err(StateError::Value("registers that the hart can not have"));
        }
        state.csr.check(&hart.csr)?;
        words.fill([0; 8]);
        words.iter_mut().zip(&state.v).for_each(|(to, word)| *to = word.to_le_bytes());
        state.header.load(&mut hart.head);
        hart.head.fp_flags &= 0x1f;
        (hart.x, hart.f) = (state.x, state.f);
        (hart.reservation, hart.reserved_value) = (state.reservation, state.reserved_value);
        state.csr.load(&mut hart.csr);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
