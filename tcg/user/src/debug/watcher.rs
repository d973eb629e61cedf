//! The thread that hears the debugger while the process runs: somebody connects, or wants it to stop.

use super::{Debug, lock};
use crate::signal::host;
use std::sync::Arc;
use std::time::Duration;

/// How long it listens before it asks again to what.
const ROUND: Duration = Duration::from_millis(20);

impl Debug {
    /// Starts it.
    pub(super) fn watch(self: &Arc<Self>) -> std::io::Result<()> {
        let debug = self.clone();
        // No signal of the guest's is for it: it begins with all blocked.
        let mask = host::mask_all();
        let started = std::thread::Builder::new().name("gdb".into()).spawn(move || debug.listen());
        host::set_whole_mask(mask);
        started.map(drop)
    }

    fn listen(&self) {
        loop {
            self.wait_until_it_runs();
            let wanted = lock(&self.debugger).as_ref().map(|d| (d.descriptors(), d.has_input()));
            let (descriptors, has_input) = wanted.unwrap_or_default();
            let mut fds: Vec<libc::pollfd> = descriptors
                .into_iter()
                .map(|fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 })
                .collect();
            let round = if has_input { 0 } else { ROUND.as_millis() as i32 };
            // SAFETY: the kernel writes the list.
            let ready = unsafe { libc::poll(fds.as_mut_ptr(), fds.len() as u64, round) };
            if ready > 0 || has_input {
                // Guest memory may be looked at, and faults.
                host::block_all();
                self.attend();
                host::mask_all();
            }
        }
    }

    fn wait_until_it_runs(&self) {
        let mut board = lock(&self.board);
        while board.halted {
            board = self.wait(board);
        }
    }
}
