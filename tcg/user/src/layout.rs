//! `-d page`: the layout of memory at the start and after each mapping, as QEMU writes it.

use crate::memory::Memory;
use crate::process::Process;
use std::fmt::Write;
use tracing::Level;

/// Whether it is logged.
fn is_logged() -> bool {
    tracing::enabled!(target: "page", Level::TRACE)
}

impl Memory {
    /// Logs what is mapped, after `what`.
    pub fn log_pages(&self, what: &str) {
        if is_logged() {
            tracing::trace!(target: "page", "page layout changed following {what}\n{}", self.pages().trim_end());
        }
    }

    /// A line for each range of pages that are alike.
    fn pages(&self) -> String {
        let mut text = format!("{:<16} {:<16} {:<16} prot\n", "start", "end", "size");
        self.space().each(|range, pages| {
            let bit = |bit, letter| if pages.prot & bit != 0 { letter } else { '-' };
            let rights = [bit(libc::PROT_READ, 'r'), bit(libc::PROT_WRITE, 'w'), bit(libc::PROT_EXEC, 'x')];
            let rights = String::from_iter(rights);
            let (start, end, size) = (range.start, range.end, range.end - range.start);
            writeln!(text, "{start:016x}-{end:016x} {size:016x} {rights}")
                .expect("a string takes everything");
            true
        });
        text
    }
}

impl Process {
    /// Logs what is mapped and where its parts are, before the program begins at `entry`.
    pub fn log_start(&self, entry: u64) {
        if !is_logged() {
            return;
        }
        self.memory.log_pages("binary load");
        let word = |addr: u64| self.memory.read::<u64>(addr).unwrap_or(0);
        let args = self.first_sp + 8;
        let env = args + (word(self.first_sp) + 1) * 8;
        let mut auxv = env;
        while word(auxv) != 0 {
            auxv += 8;
        }
        let [code, data] = &self.segments;
        let parts = [
            ("end_code", code.end),
            ("start_code", code.start),
            ("start_data", data.start),
            ("end_data", data.end),
            ("start_stack", self.first_sp),
            ("brk", self.memory.heap_range().end),
            ("entry", entry),
            ("argv_start", args),
            ("env_start", env),
            ("auxv_start", auxv + 8),
        ];
        for (name, value) in parts {
            tracing::trace!(target: "page", "{name:<11} {value:#018x}");
        }
    }
}
