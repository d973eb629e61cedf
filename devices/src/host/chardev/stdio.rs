//! The standard input and output of this process.

use super::line::{End, Fixed, Line, Source};
use super::screen::Screen;
use super::sys;
use super::terminal::RawMode;
use std::fs::File;
use std::io::{self, ErrorKind, IsTerminal};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};

static TAKEN: AtomicBool = AtomicBool::new(false);

/// The right to use stdio, until it is dropped.
struct Claim;

impl Claim {
    fn new() -> io::Result<Self> {
        if TAKEN.swap(true, Ordering::AcqRel) { Err(ErrorKind::ResourceBusy.into()) } else { Ok(Self) }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        TAKEN.store(false, Ordering::Release);
    }
}

/// Takes stdio; `ResourceBusy` when another back end has it.
pub(super) fn open(signal: bool) -> io::Result<(Box<dyn Source>, Line)> {
    let claim = Claim::new()?;
    let (stdin, stdout) = (io::stdin(), io::stdout());
    let input = File::from(stdin.as_fd().try_clone_to_owned()?);
    let (output, careful) = sys::inherited_output(stdout.as_fd())?;
    let mode = if stdin.is_terminal() { Some(RawMode::enable(stdin.as_fd(), signal)?) } else { None };
    let screen = (mode.is_some() && stdout.is_terminal()).then(Screen::default);
    let line = Line { careful, screen, ..Line::new(Some(input), Some(output), End::Keep) };
    Ok((Box::new(Fixed { _held: (mode, claim) }), line))
}
