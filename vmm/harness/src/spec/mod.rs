//! Specs: TOML files of tests, read, checked, and multiplied by their matrices.
//!
//! [`file`] is what stands in a file, [`step`] what a test does, [`variables`] the `${NAME}` in its texts. A mistake is one sentence with the
//! file, line and column it stands in.

mod file;
mod guest;
mod matrix;
mod span;
mod step;
mod variables;

pub use guest::{GuestSpec, guest_of_options};
pub use span::parse as parse_time;
pub use step::{Step, Verb, pattern};
pub use variables::Variables;

use crate::line::Forbidden;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use thiserror::Error;

/// What is wrong with a spec.
#[derive(Debug, Error)]
pub enum SpecError {
    /// It can not be read.
    #[error("{}: cannot read it: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It says something that it can not.
    #[error("{}:{line}:{column}: {what}", path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
        /// A sentence.
        what: String,
    },
}

/// One test: a row of a file, and a column of its matrix.
#[derive(Clone, Debug)]
pub struct Test {
    /// Name of its file, without folder and ending, or what the file calls itself.
    pub suite: String,
    /// Its name, with the values of the matrix.
    pub name: String,
    /// The file and line it stands in.
    pub place: String,
    /// The folder of the file.
    pub dir: PathBuf,
    /// Its guests in the order in which they start. The first is the one that steps are about unless they say another.
    pub guests: Vec<(String, GuestSpec)>,
    /// What happens, in order.
    pub steps: Vec<Step>,
    /// Texts that must not appear on any line.
    pub forbidden: Vec<Forbidden>,
    /// The exit status that every guest must end with by itself behind the last step.
    pub exit: Option<i32>,
    /// Machine time that it may take.
    pub timeout: Duration,
    /// The host's time that it may take.
    pub wall: Duration,
    /// How often it may be tried again.
    pub retries: u32,
    /// Files without which it is skipped.
    pub needs: Vec<PathBuf>,
}

/// Reads the tests of a file; `variables` are those of the command line.
///
/// # Errors
/// The file can not be read, or is wrong.
pub fn read(path: &Path, variables: &BTreeMap<String, String>) -> Result<Vec<Test>, SpecError> {
    let text =
        std::fs::read_to_string(path).map_err(|source| SpecError::Read { path: path.into(), source })?;
    parse(path, &text, variables)
}

/// The same for a `text` that stands in `path`.
///
/// # Errors
/// It is wrong.
pub fn parse(path: &Path, text: &str, variables: &BTreeMap<String, String>) -> Result<Vec<Test>, SpecError> {
    let place = |at: usize| {
        let before = &text[..at.min(text.len())];
        let line = before.matches('\n').count() + 1;
        (line, before.chars().rev().take_while(|c| *c != '\n').count() + 1)
    };
    let wrong = |at: usize, what: String| {
        let (line, column) = place(at);
        SpecError::Wrong { path: path.into(), line, column, what }
    };
    let file: file::File = toml::from_str(text).map_err(|fault| {
        let at = fault.span().map_or(0, |span| span.start);
        wrong(at, fault.message().replace('\n', " "))
    })?;
    let mut tests = Vec::new();
    for raw in &file.test {
        let row = file::Row { file: &file, raw: raw.get_ref(), path, variables };
        let line = place(raw.span().start).0;
        row.tests(line, raw.span().start, &place, &mut tests).map_err(|(at, what)| wrong(at, what))?;
    }
    Ok(tests)
}

#[cfg(test)]
mod tests;
