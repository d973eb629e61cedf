//! The monitor on a terminal: a prompt, a line that can be edited, and a history of lines.

use super::{COMMANDS, run};
use crate::context::Context;
use crate::session::{Outlet, Protocol};
use engine::Event;
use std::sync::Arc;

const PROMPT: &str = "(qemu) ";
/// Longest line.
const LONGEST: usize = 4096;
/// Lines that are remembered.
const HISTORY: usize = 64;

/// How far an escape sequence has come.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Escape {
    #[default]
    None,
    Begun,
    Bracket(u8),
}

/// One conversation with a person.
pub struct Hmp {
    context: Arc<Context>,
    /// The vCPU that commands are about.
    cpu: usize,
    greeted: bool,
    line: Vec<u8>,
    cursor: usize,
    escape: Escape,
    /// A line ended with CR: LF behind it is the same end.
    after_return: bool,
    history: Vec<Vec<u8>>,
    /// The line of the history that is shown; its length for a new one.
    shown: usize,
}

impl Hmp {
    /// A conversation about the machine of `context`.
    pub fn new(context: Arc<Context>) -> Self {
        Self {
            context,
            cpu: 0,
            greeted: false,
            line: Vec::new(),
            cursor: 0,
            escape: Escape::None,
            after_return: false,
            history: Vec::new(),
            shown: 0,
        }
    }

    fn enter(&mut self, out: &Outlet) {
        let line = std::mem::take(&mut self.line);
        self.cursor = 0;
        if !line.is_empty() && self.history.last() != Some(&line) {
            self.history.push(line.clone());
            if self.history.len() > HISTORY {
                self.history.remove(0);
            }
        }
        self.shown = self.history.len();
        out.send(b"\r\n");
        let line = String::from_utf8_lossy(&line).into_owned();
        let answer = run(&self.context, &mut self.cpu, &line);
        out.send(answer.replace('\n', "\r\n").as_bytes());
        out.send(PROMPT.as_bytes());
    }

    /// Writes what stands right of `from` anew, and puts the cursor back.
    fn redraw(&self, from: usize, out: &Outlet) {
        let mut text = self.line[from..].to_vec();
        text.extend(b"\x1b[K");
        let back = self.line.len() - self.cursor;
        if back > 0 {
            text.extend(format!("\x1b[{back}D").bytes());
        }
        out.send(&text);
    }

    fn move_to(&mut self, to: usize, out: &Outlet) {
        let text = match self.cursor.cmp(&to) {
            std::cmp::Ordering::Less => format!("\x1b[{}C", to - self.cursor),
            std::cmp::Ordering::Equal => return,
            std::cmp::Ordering::Greater => format!("\x1b[{}D", self.cursor - to),
        };
        self.cursor = to;
        out.send(text.as_bytes());
    }

    /// Takes the characters from `from` to the cursor away.
    fn cut(&mut self, from: usize, out: &Outlet) {
        let to = self.cursor;
        self.move_to(from, out);
        self.line.drain(from..to);
        self.redraw(from, out);
    }

    fn insert(&mut self, byte: u8, out: &Outlet) {
        if self.line.len() >= LONGEST {
            return;
        }
        self.line.insert(self.cursor, byte);
        self.cursor += 1;
        if self.cursor == self.line.len() {
            out.send(&[byte]);
        } else {
            self.redraw(self.cursor - 1, out);
        }
    }

    /// Shows another line of the history.
    fn show(&mut self, which: usize, out: &Outlet) {
        if which > self.history.len() {
            return;
        }
        self.shown = which;
        self.move_to(0, out);
        self.line = self.history.get(which).cloned().unwrap_or_default();
        self.cursor = self.line.len();
        self.redraw(0, out);
    }

    /// Completes the name of a command.
    fn complete(&mut self, out: &Outlet) {
        let start = self.line[..self.cursor].to_vec();
        if start.contains(&b' ') {
            return;
        }
        let found: Vec<&str> =
            COMMANDS.iter().map(|c| c.name).filter(|name| name.as_bytes().starts_with(&start)).collect();
        match found[..] {
            [] => {}
            [one] => one.bytes().skip(start.len()).chain([b' ']).for_each(|byte| self.insert(byte, out)),
            _ => {
                out.send(format!("\r\n{}\r\n{PROMPT}", found.join(" ")).as_bytes());
                let cursor = std::mem::replace(&mut self.cursor, self.line.len());
                self.redraw(0, out);
                self.move_to(cursor, out);
            }
        }
    }

    fn key(&mut self, key: u8, out: &Outlet) {
        let after_return = std::mem::replace(&mut self.after_return, key == b'\r');
        match std::mem::take(&mut self.escape) {
            Escape::None => {}
            Escape::Begun => {
                if matches!(key, b'[' | b'O') {
                    self.escape = Escape::Bracket(0);
                }
                return;
            }
            Escape::Bracket(_) if key.is_ascii_digit() || key == b';' => {
                self.escape = Escape::Bracket(key);
                return;
            }
            Escape::Bracket(number) => return self.sequence(number, key, out),
        }
        match key {
            b'\n' if after_return => {}
            b'\r' | b'\n' => self.enter(out),
            0x1b => self.escape = Escape::Begun,
            0x08 | 0x7f if self.cursor > 0 => self.cut(self.cursor - 1, out),
            0x01 => self.move_to(0, out),
            0x05 => self.move_to(self.line.len(), out),
            // Ctrl-d takes the character away, Ctrl-k the rest of the line, Ctrl-u what stands left, Ctrl-w the word.
            0x04 => self.delete(out),
            0x0b => {
                self.line.truncate(self.cursor);
                self.redraw(self.cursor, out);
            }
            0x15 => self.cut(0, out),
            0x17 => {
                let left = self.line[..self.cursor].trim_ascii_end();
                let from = left.iter().rposition(|byte| *byte == b' ').map_or(0, |at| at + 1);
                self.cut(from, out);
            }
            0x10 if self.shown > 0 => self.show(self.shown - 1, out),
            0x0e => self.show(self.shown + 1, out),
            b'\t' => self.complete(out),
            b' '..=b'~' => self.insert(key, out),
            _ => {}
        }
    }

    fn delete(&mut self, out: &Outlet) {
        if self.cursor < self.line.len() {
            self.line.remove(self.cursor);
            self.redraw(self.cursor, out);
        }
    }

    /// An escape sequence: its last number, and its letter.
    fn sequence(&mut self, number: u8, letter: u8, out: &Outlet) {
        match (letter, number) {
            (b'A', _) if self.shown > 0 => self.show(self.shown - 1, out),
            (b'B', _) => self.show(self.shown + 1, out),
            (b'C', _) if self.cursor < self.line.len() => self.move_to(self.cursor + 1, out),
            (b'D', _) if self.cursor > 0 => self.move_to(self.cursor - 1, out),
            (b'H', _) | (b'~', b'1' | b'7') => self.move_to(0, out),
            (b'F', _) | (b'~', b'4' | b'8') => self.move_to(self.line.len(), out),
            (b'~', b'3') => self.delete(out),
            _ => {}
        }
    }
}

impl Protocol for Hmp {
    fn opened(&mut self, out: &Outlet) {
        if !std::mem::replace(&mut self.greeted, true) {
            let [major, minor, micro] = self.context.facts.version;
            let greeting = format!(
                "QEMU {major}.{minor}.{micro} monitor - type 'help' for more information\r\n{PROMPT}"
            );
            out.send(greeting.as_bytes());
        }
    }

    fn closed(&mut self) {
        self.greeted = false;
        self.line.clear();
        self.cursor = 0;
        self.escape = Escape::None;
    }

    fn input(&mut self, bytes: &[u8], out: &Outlet) {
        bytes.iter().for_each(|key| self.key(*key, out));
    }

    fn event(&mut self, _: Event, _: &Outlet) {}
}
