//! The frame that a handler is entered with: `siginfo`, then `ucontext`, as all architectures with the generic layout have
//! it; the registers in it are the architecture's.

use super::{AltStack, Info};
use crate::memory::{Memory, Result};

const UCONTEXT: u64 = 128;
const STACK: usize = 128 + 16;
const MASK: usize = 128 + 40;
/// Mask, and room for a longer one, 16-aligned.
const MCONTEXT: usize = 128 + 176;

/// What a frame keeps for the return.
pub struct Frame {
    /// Of the signal.
    pub info: Info,
    /// The alternate stack.
    pub alt_stack: AltStack,
    /// The mask to return to.
    pub mask: u64,
    /// The registers.
    pub mcontext: Vec<u8>,
}

fn word(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

impl Frame {
    /// Bytes of a frame.
    pub fn size(mcontext: usize) -> u64 {
        (MCONTEXT + mcontext) as u64
    }

    /// Address of the `ucontext` of the frame at `sp`.
    pub fn ucontext(sp: u64) -> u64 {
        sp + UCONTEXT
    }

    /// Address of the registers of the frame at `sp`.
    pub fn mcontext(sp: u64) -> u64 {
        sp + MCONTEXT as u64
    }

    /// Writes the frame at `sp`.
    pub fn write(&self, memory: &Memory, sp: u64) -> Result<()> {
        let mut bytes = vec![0; MCONTEXT];
        bytes[..128].copy_from_slice(&self.info);
        bytes[STACK..STACK + 8].copy_from_slice(&self.alt_stack.sp.to_le_bytes());
        bytes[STACK + 8..STACK + 12].copy_from_slice(&self.alt_stack.flags.to_le_bytes());
        bytes[STACK + 16..STACK + 24].copy_from_slice(&self.alt_stack.size.to_le_bytes());
        bytes[MASK..MASK + 8].copy_from_slice(&self.mask.to_le_bytes());
        bytes.extend(&self.mcontext);
        memory.write_bytes(sp, &bytes)
    }

    /// Reads the frame at `sp`, with `mcontext` bytes of registers.
    pub fn read(memory: &Memory, sp: u64, mcontext: usize) -> Result<Self> {
        let mut bytes = vec![0; MCONTEXT + mcontext];
        memory.read_bytes(sp, &mut bytes)?;
        let mut info = [0; 128];
        info.copy_from_slice(&bytes[..128]);
        let alt_stack = AltStack {
            sp: word(&bytes, STACK),
            flags: word(&bytes, STACK + 8) as i32,
            size: word(&bytes, STACK + 16),
        };
        Ok(Self { info, alt_stack, mask: word(&bytes, MASK), mcontext: bytes.split_off(MCONTEXT) })
    }
}
