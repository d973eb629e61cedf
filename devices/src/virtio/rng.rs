//! virtio entropy device (virtio 1.2, section 5.4).

use super::core::{Activation, VirtioDevice};
use super::queue::{Served, VirtQueue};
use base::{State, StateError};
use std::io::{self, Write};
use std::sync::Arc;
use virtio_bindings::virtio_ids::VIRTIO_ID_RNG;

const QUEUE_SIZE: u16 = 8;
/// Bytes given for one buffer, at most; a driver that wants more asks again.
const MAX_BYTES: usize = 64 << 10;
const STATE_VERSION: u32 = 1;

/// Where random bytes come from.
pub trait EntropySource: Send {
    /// Fills `bytes`; never waits long.
    fn fill(&mut self, bytes: &mut [u8]) -> io::Result<()>;
}

/// The host kernel's random numbers.
pub struct HostEntropy;

impl EntropySource for HostEntropy {
    fn fill(&mut self, mut bytes: &mut [u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            // SAFETY: pointer and length describe `bytes`.
            let got = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
            match usize::try_from(got) {
                Ok(got) => bytes = &mut bytes[got..],
                Err(_) => {
                    let error = io::Error::last_os_error();
                    if error.kind() != io::ErrorKind::Interrupted {
                        return Err(error);
                    }
                }
            }
        }
        Ok(())
    }
}

/// An entropy device.
pub struct Rng {
    source: Box<dyn EntropySource>,
    queue: Option<Arc<VirtQueue>>,
}

impl Rng {
    /// A device that hands out what `source` gives.
    pub fn new(source: Box<dyn EntropySource>) -> Self {
        Self { source, queue: None }
    }
}

impl VirtioDevice for Rng {
    fn name(&self) -> &'static str {
        "virtio-rng"
    }

    fn id(&self) -> u16 {
        VIRTIO_ID_RNG as u16
    }

    fn features(&self) -> u64 {
        0
    }

    fn queue_sizes(&self) -> Vec<u16> {
        vec![QUEUE_SIZE]
    }

    fn read_config(&self, _offset: u64, _data: &mut [u8]) {}

    fn write_config(&mut self, _offset: u64, _data: &[u8]) {}

    fn activate(&mut self, activation: Activation) {
        self.queue = activation.queue(0);
    }

    fn notify(&mut self, _index: u16) {
        let Some(queue) = self.queue.clone() else { return };
        let mut buffer = Vec::new();
        queue.serve_inline(
            || false,
            |chain| {
                buffer.resize(chain.writer.available_bytes().min(MAX_BYTES), 0);
                self.source.fill(&mut buffer).map_err(|_| "the host has no random numbers")?;
                chain.writer.write_all(&buffer).map_err(|_| "a buffer that cannot be written")?;
                Ok(Served::Wrote(buffer.len() as u32))
            },
        );
    }

    fn reset(&mut self) {
        self.queue = None;
    }

    fn save(&self) -> State {
        State::of(STATE_VERSION, &())
    }

    fn load(&mut self, state: &State) -> Result<(), StateError> {
        state.get::<()>(STATE_VERSION)?;
        self.reset();
        Ok(())
    }
}

#[cfg(test)]
mod tests;
