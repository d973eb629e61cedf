//! A process that somebody watches ([`tcg_core::observe`]): what is told of its program, and at its end.
//!
//! Children that `fork` makes are watched by nobody, nor is a program that the process becomes.

use crate::load::Program;
use crate::sys;
use crate::thread::end_process;
use std::sync::{Arc, OnceLock};
use tcg_core::observe::{Image, Record};
use tcg_core::run::CodeCache;

/// The record, and the process that it is of.
static WATCHED: OnceLock<(Arc<Record>, i32)> = OnceLock::new();

/// Begins with `program` in memory, whose translations are in `code`.
pub fn begin(code: &CodeCache, program: &Program) {
    let image = Image {
        path: program
            .path
            .canonicalize()
            .unwrap_or_else(|_| program.path.clone())
            .to_string_lossy()
            .into_owned(),
        base: program.image.start,
        end: program.image.end,
        entry: program.image.entry,
        bias: program.image.bias,
    };
    code.add_image(&image);
    if let Some(record) = code.record() {
        // A process begins once.
        let _ = WATCHED.set((record.clone(), sys::getpid()));
    }
}

/// The process ends: those who watch are told, once.
pub fn finish() {
    let Some((record, pid)) = WATCHED.get() else { return };
    if *pid == sys::getpid() {
        record.finish();
    }
}

/// A thread ends; with the last one the process does.
pub fn thread_ends() {
    let Some((record, _)) = WATCHED.get() else { return };
    if record.running() <= 1 {
        finish();
    }
}

/// Ends the process with `status`, as somebody who watches wants.
pub fn end(status: i32) {
    end_process(status)
}
