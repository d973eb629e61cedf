//! Cuts what a client sends into JSON objects, as they come: one after the other, with any space between.

use serde_json::Value;

/// Longest object, in bytes.
const LONGEST: usize = 1 << 20;
/// Deepest nesting.
const DEEPEST: usize = 100;

/// Collects one object.
#[derive(Default)]
pub struct Input {
    text: Vec<u8>,
    depth: usize,
    /// The quote that ends the string we are in.
    quote: Option<u8>,
    escaped: bool,
    /// The rest of the line is skipped: what it began with is nothing that goes on.
    lost: bool,
    /// The line is no object, and is looked at when it has ended.
    plain: bool,
}

impl Input {
    /// Takes one byte; gives an object, or what is wrong.
    pub fn take(&mut self, byte: u8) -> Option<Result<Value, String>> {
        if self.lost {
            self.lost = byte != b'\n';
            return None;
        }
        if self.text.len() >= LONGEST {
            return Some(self.lose("JSON token size limit exceeded"));
        }
        if self.plain && byte != 0xff {
            return self.take_plain(byte);
        }
        if let Some(quote) = self.quote {
            self.take_in_string(byte, quote);
            return None;
        }
        match byte {
            b'{' | b'[' => {
                self.depth += 1;
                if self.depth > DEEPEST {
                    return Some(self.lose("JSON nesting depth limit exceeded"));
                }
            }
            b'}' | b']' if self.depth > 0 => self.depth -= 1,
            b'"' | b'\'' if self.depth > 0 => {
                self.quote = Some(byte);
                self.text.push(b'"');
                return None;
            }
            _ if byte.is_ascii_whitespace() && self.depth == 0 => return None,
            // The mark that clients of QEMU's guest agent send to start anew.
            0xff => {
                *self = Self::default();
                return None;
            }
            _ if self.depth == 0 => {
                self.plain = true;
                return self.take_plain(byte);
            }
            _ => {}
        }
        self.text.push(byte);
        if self.depth > 0 {
            return None;
        }
        let text = std::mem::take(&mut self.text);
        Some(serde_json::from_slice(&text).map_err(|fault| format!("JSON parse error, {fault}")))
    }

    /// A byte of a line that is no object.
    fn take_plain(&mut self, byte: u8) -> Option<Result<Value, String>> {
        if byte != b'\n' {
            self.text.push(byte);
            return None;
        }
        let line = std::mem::take(self).text;
        let line = String::from_utf8_lossy(line.trim_ascii());
        // Whoever takes messages apart says that it is no object.
        let value = serde_json::from_str(&line);
        let word = line.split_whitespace().next().unwrap_or_default();
        Some(value.map_err(|_| format!("JSON parse error, invalid keyword '{}'", word.escape_default())))
    }

    /// QEMU takes strings in single quotes, too.
    fn take_in_string(&mut self, byte: u8, quote: u8) {
        if std::mem::take(&mut self.escaped) {
            if byte == b'\'' {
                // JSON knows no such escape.
                self.text.pop();
            }
            self.text.push(byte);
        } else if byte == quote {
            self.quote = None;
            self.text.push(b'"');
        } else {
            self.escaped = byte == b'\\';
            if byte == b'"' {
                self.text.push(b'\\');
            }
            self.text.push(byte);
        }
    }

    fn lose(&mut self, why: &str) -> Result<Value, String> {
        *self = Self { lost: true, ..Self::default() };
        Err(why.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn all(bytes: &[u8]) -> Vec<Result<Value, String>> {
        let mut input = Input::default();
        bytes.iter().filter_map(|byte| input.take(*byte)).collect()
    }

    #[test]
    fn objects_are_cut_out_of_anything() {
        assert_eq!(all(b"{\"a\":\"}\"}{}\n"), [Ok(json!({"a": "}"})), Ok(json!({}))]);
        assert_eq!(all(br#"{'a': 'it\'s "b"'}"#), [Ok(json!({"a": "it's \"b\""}))]);
        assert_eq!(all(b"{\"half\": \xff{}"), [Ok(json!({}))]);
        let bad = all(b"nonsense {}\n{}");
        assert!(bad.len() == 2 && bad[0].is_err() && bad[1].is_ok(), "{bad:?}");
        assert_eq!(bad[0], Err("JSON parse error, invalid keyword 'nonsense'".into()));
        assert_eq!(all(b"\"a b\"\n 5\n{}"), [Ok(json!("a b")), Ok(json!(5)), Ok(json!({}))]);
        let bad = all(b"{\"a\" 1}{}");
        assert!(bad.len() == 2 && bad[0].is_err() && bad[1].is_ok(), "{bad:?}");
    }

    #[test]
    fn nothing_grows_for_ever() {
        let deep = all(&vec![b'['; 1 << 16]);
        assert_eq!(deep.len(), 1, "{deep:?}");
        let mut input = Input::default();
        let long = std::iter::repeat_n(b'a', 3 << 20);
        let answers = [b'{', b'"'].into_iter().chain(long).filter_map(|byte| input.take(byte)).count();
        assert_eq!(answers, 1);
        assert!(input.text.is_empty());
    }
}
