//! The option string: `k=v,k=v`, and its JSON twin.
//!
//! QEMU's manual page, "Options": a comma parts settings, `,,` is a comma within a value, the first setting may be a
//! bare value when the option has an implied key, a later bare `flag` stands for `flag=on` and `noflag` for
//! `flag=off`, and `help` or `?` asks for a listing. An argument that starts with `{` is JSON where the option
//! takes it; it is flattened here, so that each option is parsed in one way only.

use serde_json::Value;

use super::error::Fault;

/// One setting of an option string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The key; nested JSON members and list indices are joined with dots.
    pub key: String,
    /// The value, commas unescaped.
    pub value: String,
}

/// The settings of one option, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OptString {
    /// The settings as written; a key may stand more than once.
    pub settings: Vec<Setting>,
    /// Whether `help` or `?` stood among them.
    pub wants_help: bool,
}

impl OptString {
    /// Splits `text`; a bare first value is given the key `implied`.
    pub fn parse(text: &str, implied: Option<&str>) -> Self {
        let mut out = Self::default();
        let mut rest = text;
        let mut first = true;
        while !rest.is_empty() {
            let end = rest.find(['=', ',']).unwrap_or(rest.len());
            let (key, value);
            if rest[end..].starts_with('=') {
                key = rest[..end].to_string();
                (value, rest) = take_value(&rest[end + 1..]);
            } else {
                let (word, after) = take_value(rest);
                rest = after;
                if word == "help" || word == "?" {
                    out.wants_help = true;
                    first = false;
                    continue;
                }
                (key, value) = match (implied, word.strip_prefix("no")) {
                    (Some(implied), _) if first => (implied.to_string(), word),
                    (_, Some(off)) if !off.is_empty() => (off.to_string(), "off".into()),
                    _ => (word, "on".into()),
                };
            }
            first = false;
            out.settings.push(Setting { key, value });
        }
        out
    }

    /// As [`parse`](Self::parse), or JSON when `text` starts with `{`.
    pub fn parse_or_json(text: &str, implied: Option<&str>) -> Result<Self, Fault> {
        if !text.starts_with('{') {
            return Ok(Self::parse(text, implied));
        }
        let value: Value =
            serde_json::from_str(text).map_err(|e| Fault::new(format!("is not valid JSON: {e}")))?;
        let mut out = Self::default();
        out.flatten(String::new(), &value);
        Ok(out)
    }

    /// Takes the last setting of `key` out, and any before it.
    pub fn take(&mut self, key: &str) -> Option<String> {
        let mut taken = None;
        self.settings.retain_mut(|s| {
            let hit = s.key == key;
            if hit {
                taken = Some(std::mem::take(&mut s.value));
            }
            !hit
        });
        taken
    }

    /// Adds the settings of a repetition of the same option; the later ones win.
    pub fn merge(&mut self, later: Self) {
        self.settings.extend(later.settings);
        self.wants_help |= later.wants_help;
    }

    fn flatten(&mut self, key: String, value: &Value) {
        let dotted = |name: &str| if key.is_empty() { name.to_string() } else { format!("{key}.{name}") };
        let text = match value {
            Value::Object(members) => {
                for (name, member) in members {
                    self.flatten(dotted(name), member);
                }
                return;
            }
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.flatten(dotted(&index.to_string()), item);
                }
                return;
            }
            Value::Null => JSON_NULL.to_string(),
            Value::Bool(b) => if *b { "on" } else { "off" }.to_string(),
            Value::Number(n) => n.to_string(),
            Value::String(s) => s.clone(),
        };
        self.settings.push(Setting { key, value: text });
    }
}

/// What a JSON `null` is flattened to: the empty string, which QEMU takes for the same (`backing=`).
const JSON_NULL: &str = "";

/// A value up to the next lone comma, `,,` read as a comma; and what follows that comma.
fn take_value(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(',') {
        value.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        match rest.strip_prefix(',') {
            Some(after) => {
                value.push(',');
                rest = after;
            }
            None => return (value, rest),
        }
    }
    value.push_str(rest);
    (value, "")
}
