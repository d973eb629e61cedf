//! What is said of a program that a signal ends: a report under `-d guest_errors`, and its core file where the limits allow
//! one.

use crate::core_file::{self, Crash};
use crate::signal::{ByDefault, Info, by_default, info_code};
use crate::thread::Thread;
use std::fmt::Write;
use tracing::Level;

impl Thread {
    /// Called before `signal` ends the process.
    pub fn tell_crash(&mut self, signal: i32, info: &Info) {
        if by_default(signal) != ByDefault::Core {
            return;
        }
        if tracing::enabled!(target: "guest_errors", Level::TRACE) {
            tracing::trace!(target: "guest_errors", "{}", self.report(signal, info));
        }
        let limit = core_limit();
        if limit == 0 {
            return;
        }
        let (general, others) = self.cpu.core_registers();
        let crash = Crash { signal, info, mask: self.mask, general, others };
        let dumped = core_file::write(&self.process, self.cpu.abi().machine, &crash, limit);
        let dumped = match dumped {
            Ok(()) => " - core dumped".into(),
            Err(error) => format!(" - no core file: {error}"),
        };
        eprintln!("mimic: uncaught target signal {signal} ({}){dumped}", name(signal));
    }

    fn report(&mut self, signal: i32, info: &Info) -> String {
        let (pc, sp) = (self.cpu.pc(), self.cpu.sp());
        let addr = u64::from_le_bytes(info[16..24].try_into().expect("eight bytes"));
        let mut text =
            format!("signal {signal} ({}) ends the program: code {}", name(signal), info_code(info));
        if info_code(info) > 0 {
            write!(text, ", address {addr:#x}").expect("a string takes everything");
        }
        let mappings = self.process.mappings();
        for (what, addr) in [("pc", pc), ("sp", sp)] {
            let place = mappings.iter().find(|mapping| mapping.range.contains(&addr));
            let place = match place {
                None => "nothing is mapped there".into(),
                Some(mapping) => {
                    let offset = addr - mapping.range.start + mapping.offset;
                    let name = if mapping.name.is_empty() { "memory without a name" } else { &mapping.name };
                    format!("{name}, offset {offset:#x}")
                }
            };
            write!(text, "\n{what} {addr:#018x}: {place}").expect("a string takes everything");
        }
        write!(text, "\n{}", self.cpu.show()).expect("a string takes everything");
        text
    }
}

/// `RLIMIT_CORE`.
fn core_limit() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: writes the local structure.
    unsafe { libc::getrlimit(libc::RLIMIT_CORE, &mut limit) };
    limit.rlim_cur
}

/// What people call a signal.
fn name(signal: i32) -> String {
    // SAFETY: gives a string that lives until the next call on this thread.
    unsafe { std::ffi::CStr::from_ptr(libc::strsignal(signal)) }.to_string_lossy().into_owned()
}
