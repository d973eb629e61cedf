//! How a long pull tells its caller where it is.

use std::io::IsTerminal;
use std::sync::{Mutex, MutexGuard};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Receives the stages of a pull. Calls come from one thread at a time.
pub trait Progress {
    /// A stage begins. `total` counts bytes; without it the length is unknown.
    fn begin(&self, what: &str, total: Option<u64>);
    /// The stage has reached this many bytes; the count may fall when a transfer starts over.
    fn at(&self, bytes: u64);
    /// The stage is complete or given up.
    fn end(&self);
    /// One line that the user should see.
    fn note(&self, line: &str);
}

/// Says nothing.
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _what: &str, _total: Option<u64>) {}
    fn at(&self, _bytes: u64) {}
    fn end(&self) {}
    fn note(&self, _line: &str) {}
}

/// A bar on standard error, or a line for each stage where standard error is not a terminal.
#[derive(Default)]
pub struct TerminalProgress {
    bar: Mutex<Option<ProgressBar>>,
}

impl TerminalProgress {
    /// Draws nothing until the first stage begins.
    pub fn new() -> TerminalProgress {
        TerminalProgress::default()
    }

    fn bar(&self) -> MutexGuard<'_, Option<ProgressBar>> {
        self.bar.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn replace(&self, new: Option<ProgressBar>) {
        if let Some(old) = std::mem::replace(&mut *self.bar(), new) {
            old.finish_and_clear();
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    // Both templates are constants of this file, and a test draws with each.
    ProgressStyle::with_template(template).expect("a constant template is well formed").progress_chars("=> ")
}

impl Progress for TerminalProgress {
    fn begin(&self, what: &str, total: Option<u64>) {
        if !std::io::stderr().is_terminal() {
            eprintln!("{what}");
            return;
        }
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr());
        bar.set_style(match total {
            Some(_) => style("{msg:32!} [{bar:24}] {bytes}/{total_bytes} {bytes_per_sec} {eta}"),
            None => style("{spinner} {msg} {elapsed}"),
        });
        bar.set_message(what.to_owned());
        bar.enable_steady_tick(std::time::Duration::from_millis(200));
        self.replace(Some(bar));
    }

    fn at(&self, bytes: u64) {
        if let Some(bar) = &*self.bar() {
            bar.set_position(bytes);
        }
    }

    fn end(&self) {
        self.replace(None);
    }

    fn note(&self, line: &str) {
        match &*self.bar() {
            Some(bar) => bar.suspend(|| eprintln!("{line}")),
            None => eprintln!("{line}"),
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn templates_are_well_formed() {
        for template in
            ["{msg:32!} [{bar:24}] {bytes}/{total_bytes} {bytes_per_sec} {eta}", "{spinner} {msg} {elapsed}"]
        {
            super::style(template);
        }
    }
}
