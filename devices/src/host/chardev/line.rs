//! One connection to the other side, and where connections come from.

use super::screen::Screen;
use super::telnet::Decoder;
use std::fs::File;
use std::os::fd::RawFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// What the end of the input means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Nothing for the output: stdin and stdout are two things.
    Keep,
    /// The other side may have closed just its half: it can take output for a little longer.
    Linger,
    /// The end of the line, until it is opened again.
    Close,
}

/// One connection: a client, an open terminal, a pair of pipes.
pub(super) struct Line {
    pub(super) input: Option<File>,
    pub(super) output: Option<File>,
    /// The output may block when it is given more than a little.
    pub(super) careful: bool,
    pub(super) end: End,
    /// The other side is gone, but the guest has not read all that it had sent.
    pub(super) hung_up: bool,
    /// When a line whose input ended is given up.
    pub(super) linger_until: Option<Instant>,
    pub(super) telnet: Option<Decoder>,
    /// Watches the output when it goes to the user's own terminal.
    pub(super) screen: Option<Screen>,
}

impl Line {
    pub(super) fn new(input: Option<File>, output: Option<File>, end: End) -> Self {
        Self {
            input,
            output,
            careful: false,
            end,
            hung_up: false,
            linger_until: None,
            telnet: None,
            screen: None,
        }
    }

    /// Whether another client may take its place.
    pub(super) fn replaceable(&self) -> bool {
        self.hung_up || self.linger_until.is_some()
    }
}

/// When to ask a [`Source`] for the next connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// There will be none.
    Never,
    /// When this descriptor is readable.
    Readable(RawFd),
    /// This long after the last one ended, or the last attempt failed.
    After(Duration),
}

/// Where connections come from.
pub(super) trait Source: Send {
    /// When to call [`Source::connect`].
    fn wait(&self) -> Wait;
    /// The next connection, if there is one now.
    fn connect(&mut self) -> Option<Line>;
    /// The file that the host chose for the other side, if it did.
    fn path(&self) -> Option<PathBuf> {
        None
    }
    /// Whether those who call while there is a connection are sent away, and do not wait.
    fn refuses(&self) -> bool {
        false
    }
    /// Sends such a caller away.
    fn refuse(&mut self) {}
}

/// A single connection, made when the back end was opened.
pub(super) struct Fixed<T> {
    /// Dropped when the back end is closed.
    pub(super) _held: T,
}

impl<T: Send> Source for Fixed<T> {
    fn wait(&self) -> Wait {
        Wait::Never
    }

    fn connect(&mut self) -> Option<Line> {
        None
    }
}
