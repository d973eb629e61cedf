//! What is said when a command line is wrong: one sentence that names the option, the fault, and the way out.

use super::suggest::closest;

/// A fault in one option's argument, before it is known which option carried it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Fault(String);

impl Fault {
    /// A fault in words, with no full stop.
    pub fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }

    /// An unknown word: `what` says what is wrong; the nearest of `candidates` is offered.
    pub fn unknown<'a>(
        what: impl Into<String>,
        word: &str,
        candidates: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let what = what.into();
        match closest(word, candidates) {
            Some(best) => Self(format!("{what}; did you mean {best}?")),
            None => Self(what),
        }
    }

    /// QEMU has this, Mimic does not have it yet.
    pub fn not_available(what: &str) -> Self {
        Self(if what.is_empty() { NOT_AVAILABLE.into() } else { format!("{what}: {NOT_AVAILABLE}") })
    }

    /// The fault as the whole error of the option that was typed as `origin`.
    pub fn at(self, origin: &str) -> UsageError {
        UsageError { origin: origin.into(), fault: self }
    }
}

const NOT_AVAILABLE: &str = "not available in this version of Mimic";

/// A usage error: printed as `PROG: -opt arg: what is wrong; closest valid spelling`, exit status 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{origin}: {fault}")]
pub struct UsageError {
    /// The option with its argument, as typed.
    pub origin: String,
    /// What is wrong with it.
    pub fault: Fault,
}
