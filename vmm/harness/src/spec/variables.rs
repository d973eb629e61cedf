//! `${NAME}` in the texts of a spec.

use std::collections::BTreeMap;

/// Names and what stands for them.
#[derive(Clone, Debug, Default)]
pub struct Variables(pub BTreeMap<String, String>);

impl Variables {
    /// `text` with every `${NAME}` replaced.
    ///
    /// # Errors
    /// A name that nobody knows: a sentence.
    pub fn fill(&self, text: &str) -> Result<String, String> {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            out.push_str(before);
            let Some((name, after)) = after.split_once('}') else {
                return Err(format!("'${{{after}' has no closing brace"));
            };
            let known = || self.0.keys().map(|name| &**name).collect::<Vec<_>>().join(", ");
            let value = self.0.get(name).ok_or_else(|| {
                format!("there is no variable '{name}'; there are {}; -D {name}=VALUE sets one", known())
            })?;
            out.push_str(value);
            rest = after;
        }
        out.push_str(rest);
        Ok(out)
    }
}
