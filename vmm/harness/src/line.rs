//! What a guest has written to one of its serial lines, when, and how far a test has read.

use crate::wire;
use regex::bytes::Regex;

/// A text that shall not appear.
#[derive(Clone, Debug)]
pub enum Forbidden {
    /// Anywhere.
    Text(String),
    /// In a whole line.
    Pattern(Regex),
}

/// What is waited for.
#[derive(Clone, Debug)]
pub enum Wanted {
    /// This text, anywhere.
    Text(String),
    /// A whole line with this text in it.
    Line(String),
    /// A whole line that matches.
    Pattern(Regex),
}

impl std::fmt::Display for Wanted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Line(text) => write!(f, "line with {text:?}"),
            Self::Pattern(pattern) => write!(f, "line that matches /{pattern}/"),
        }
    }
}

/// One serial line.
#[derive(Default)]
pub struct Line {
    /// Its name: the id of the character device.
    pub name: String,
    /// Everything that was written.
    log: Vec<u8>,
    /// Where in the log a record starts, and its time.
    marks: Vec<(usize, u64)>,
    /// Machine time has come at least this far.
    pub time: u64,
    /// Up to where a test has read.
    cursor: usize,
    /// Up to where forbidden texts were looked for.
    judged: usize,
    /// The other end is closed.
    pub closed: bool,
    /// How often the machine was put back to an earlier state.
    pub returns: usize,
}

/// The line that starts at `from`, without its end, and where the next one starts; `None` while it is not whole.
fn whole_line(log: &[u8], from: usize) -> Option<(&[u8], usize)> {
    let len = log[from..].iter().position(|byte| *byte == b'\n')?;
    let line = &log[from..from + len];
    Some((line.strip_suffix(b"\r").unwrap_or(line), from + len + 1))
}

fn find(log: &[u8], from: usize, text: &[u8]) -> Option<usize> {
    let from = from.min(log.len());
    if text.is_empty() {
        return Some(from);
    }
    log[from..].windows(text.len()).position(|window| window == text).map(|at| from + at)
}

impl Line {
    /// A line of this name.
    pub fn new(name: &str) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// Takes up what came.
    pub fn take(&mut self, time: u64, bytes: &[u8]) {
        if time == wire::PUT_BACK {
            // What was written before is of no interest to who waits.
            self.cursor = self.log.len();
            self.returns += 1;
            return;
        }
        self.time = self.time.max(time);
        if !bytes.is_empty() {
            self.marks.push((self.log.len(), time));
            self.log.extend(bytes);
        }
    }

    /// Everything that was written.
    pub fn log(&self) -> &[u8] {
        &self.log
    }

    /// When the byte before `end` was written.
    fn time_at(&self, end: usize) -> u64 {
        let after = self.marks.partition_point(|(start, _)| *start < end);
        after.checked_sub(1).map_or(0, |at| self.marks[at].1)
    }

    /// Looks for `wanted` from the cursor on: what was matched, where it ends, and when that was written.
    pub fn look(&self, wanted: &Wanted) -> Option<(Vec<u8>, usize, u64)> {
        let found = |bytes: &[u8], end| Some((bytes.to_vec(), end, self.time_at(end)));
        if let Wanted::Text(text) = wanted {
            let at = find(&self.log, self.cursor, text.as_bytes())?;
            return found(text.as_bytes(), at + text.len());
        }
        let mut from = self.cursor;
        while let Some((line, next)) = whole_line(&self.log, from) {
            let fits = match wanted {
                Wanted::Text(text) | Wanted::Line(text) => find(line, 0, text.as_bytes()).is_some(),
                Wanted::Pattern(pattern) => pattern.is_match(line),
            };
            if fits {
                return found(line, next);
            }
            from = next;
        }
        None
    }

    /// The next whole line, if it is there: as [`Line::look`].
    pub fn next_line(&self) -> Option<(Vec<u8>, usize, u64)> {
        let (line, next) = whole_line(&self.log, self.cursor)?;
        Some((line.to_vec(), next, self.time_at(next)))
    }

    /// What was written and not read up to machine time `until`, and where it ends.
    pub fn unread(&self, until: u64) -> (Vec<u8>, usize) {
        let late = self.marks.iter().find(|(_, time)| *time > until);
        let end = late.map_or(self.log.len(), |(start, _)| *start).max(self.cursor);
        (self.log[self.cursor..end].to_vec(), end)
    }

    /// The test has read up to `end`.
    pub fn read_to(&mut self, end: usize) {
        self.cursor = end;
    }

    /// Looks for forbidden texts up to `end` of the log, each place once; the first that is there.
    pub fn judge(&mut self, forbidden: &[Forbidden], end: usize) -> Option<String> {
        let end = end.min(self.log.len());
        if end <= self.judged {
            return None;
        }
        let start_of_line = self.log[..self.judged].iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
        let found = forbidden.iter().find_map(|forbidden| match forbidden {
            Forbidden::Text(text) => {
                let from = self.judged.saturating_sub(text.len().saturating_sub(1));
                find(&self.log[..end], from, text.as_bytes()).map(|_| format!("{text:?}"))
            }
            Forbidden::Pattern(pattern) => {
                let mut from = start_of_line;
                while let Some((line, next)) = whole_line(&self.log[..end], from) {
                    if pattern.is_match(line) {
                        return Some(format!("a line that matches /{pattern}/: {:?}", text(line)));
                    }
                    from = next;
                }
                None
            }
        });
        self.judged = end;
        found
    }

    /// The last `lines` lines.
    pub fn last_lines(&self, lines: usize) -> String {
        let text = text(&self.log).replace('\r', "");
        let all: Vec<&str> = text.trim_end().lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }
}

/// Bytes of a guest as text.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(parts: &[(u64, &str)]) -> Line {
        let mut line = Line::new("serial0");
        parts.iter().for_each(|(time, text)| line.take(*time, text.as_bytes()));
        line
    }

    #[test]
    fn a_text_is_found_across_records_with_the_time_of_its_end() {
        let mut line = line(&[(1, "lo"), (5, "gi"), (9, "n: x")]);
        let login = Wanted::Text("login:".into());
        assert_eq!(line.look(&login), Some((b"login:".to_vec(), 6, 9)));
        line.read_to(6);
        assert_eq!(line.look(&login), None);
        assert_eq!(line.unread(8), (Vec::new(), 6));
    }

    #[test]
    fn lines_are_whole_before_they_match() {
        let mut line = line(&[(1, "one\r\ntw")]);
        let two = Wanted::Pattern(Regex::new("^two$").expect("a pattern"));
        assert_eq!(line.look(&two), None);
        line.take(2, b"o\r\n");
        assert_eq!(line.look(&two), Some((b"two".to_vec(), 10, 2)));
        assert_eq!(line.next_line(), Some((b"one".to_vec(), 5, 1)));
        assert_eq!(line.look(&Wanted::Line("ne".into())), Some((b"one".to_vec(), 5, 1)));
    }

    #[test]
    fn forbidden_texts_count_as_far_as_the_test_has_come() {
        let mut line = line(&[(1, "fine\npan"), (2, "ic\n")]);
        let forbidden = [Forbidden::Text("panic".into())];
        assert_eq!(line.judge(&forbidden, 8), None);
        assert_eq!(line.judge(&forbidden, 11), Some("\"panic\"".into()));
        assert_eq!(line.judge(&forbidden, 11), None, "it was told");
        let pattern = [Forbidden::Pattern(Regex::new("^pan").expect("a pattern"))];
        line.judged = 7;
        assert!(line.judge(&pattern, 11).is_some());
    }
}
