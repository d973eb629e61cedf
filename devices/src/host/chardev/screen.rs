//! What a guest did to the user's terminal with escape sequences (ECMA-48, and the xterm control sequences for the
//! private modes), so that it can be undone at the end: a hidden cursor, the alternate screen, wrapping switched off
//! by firmware, colours.
//!
//! Left out: character sets, scrolling regions and window titles.

use std::sync::atomic::{AtomicU32, Ordering};

/// Private modes that matter: the number, whether it is normally set, and the sequence that makes it so.
const MODES: [(u16, bool, &[u8]); 12] = [
    (1049, false, b"\x1b[?1049l"),
    (1047, false, b"\x1b[?1047l"),
    (47, false, b"\x1b[?47l"),
    (25, true, b"\x1b[?25h"),
    (7, true, b"\x1b[?7h"),
    (5, false, b"\x1b[?5l"),
    (1, false, b"\x1b[?1l"),
    (1000, false, b"\x1b[?1000l"),
    (1002, false, b"\x1b[?1002l"),
    (1003, false, b"\x1b[?1003l"),
    (1006, false, b"\x1b[?1006l"),
    (2004, false, b"\x1b[?2004l"),
];
/// The bits after those of [`MODES`]; [`undo`] has their sequences.
const COLOURS: u32 = 1 << MODES.len();
const KEYPAD: u32 = COLOURS << 1;

/// What is not as it normally is: a bit for each row of [`MODES`], [`COLOURS`], [`KEYPAD`].
static CHANGED: AtomicU32 = AtomicU32::new(0);

/// Room for everything that [`undo`] may write.
const ROOM: usize = 10 * MODES.len() + 6;

/// Calls `write`, if need be, with what puts the terminal back, and then forgets it: of two threads that do this at
/// once, each returns with the terminal as it was. Async-signal-safe when `write` is.
pub(super) fn undo(write: impl Fn(&[u8])) {
    let changed = CHANGED.load(Ordering::Acquire);
    let mut text = [0; ROOM];
    let mut len = 0;
    let rows = MODES.iter().map(|(.., sequence)| *sequence).chain([b"\x1b[0m".as_slice(), b"\x1b>"]);
    for (_, sequence) in rows.enumerate().filter(|(bit, _)| changed & 1 << bit != 0) {
        text[len..len + sequence.len()].copy_from_slice(sequence);
        len += sequence.len();
    }
    if len > 0 {
        write(&text[..len]);
    }
    CHANGED.fetch_and(!changed, Ordering::AcqRel);
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Text,
    Escape,
    /// In a control sequence.
    Control,
}

/// Watches output on its way to the user's terminal.
#[derive(Debug, Default)]
pub(super) struct Screen {
    state: State,
    /// The sequence began with `ESC [ ?`.
    private: bool,
    /// The rows of [`MODES`] that its parameters name, as bits.
    modes: u32,
    /// The parameter that is being read.
    parameter: u16,
    /// One of the parameters was not zero.
    nonzero: bool,
}

impl Screen {
    /// Learns from the next piece of output.
    pub(super) fn watch(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.state = match (self.state, byte) {
                (_, 0x1b) => State::Escape,
                (State::Text, _) => State::Text,
                (State::Escape, b'[') => {
                    *self = Self::default();
                    State::Control
                }
                (State::Escape, b'=') => self.set(KEYPAD, true),
                (State::Escape, b'>') => self.set(KEYPAD, false),
                // A full reset.
                (State::Escape, b'c') => self.set(u32::MAX, false),
                (State::Escape, _) => State::Text,
                (State::Control, b'?') => {
                    self.private = true;
                    State::Control
                }
                (State::Control, b'0'..=b'9') => {
                    self.parameter = self.parameter.saturating_mul(10).saturating_add(u16::from(byte - b'0'));
                    State::Control
                }
                (State::Control, b';' | b':') => self.next_parameter(),
                (State::Control, 0x20..=0x3f) => State::Control,
                (State::Control, _) => {
                    self.next_parameter();
                    self.finish(byte)
                }
            };
        }
    }

    fn set(&mut self, bits: u32, changed: bool) -> State {
        if changed {
            CHANGED.fetch_or(bits, Ordering::AcqRel);
        } else {
            CHANGED.fetch_and(!bits, Ordering::AcqRel);
        }
        State::Text
    }

    fn next_parameter(&mut self) -> State {
        if let Some(i) = MODES.iter().position(|(mode, ..)| *mode == self.parameter) {
            self.modes |= 1 << i;
        }
        self.nonzero |= self.parameter != 0;
        self.parameter = 0;
        State::Control
    }

    fn finish(&mut self, last: u8) -> State {
        match (self.private, last) {
            (false, b'm') => self.set(COLOURS, self.nonzero),
            (true, b'h' | b'l') => {
                for (i, (_, normally, _)) in MODES.iter().enumerate() {
                    if self.modes & 1 << i != 0 {
                        self.set(1 << i, (last == b'h') != *normally);
                    }
                }
                State::Text
            }
            _ => State::Text,
        }
    }
}

#[cfg(test)]
mod tests;
