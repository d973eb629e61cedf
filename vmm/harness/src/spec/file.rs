//! What stands in a file.

use super::Test;
use super::guest::{GuestSpec, MATRIX_KEYS, RawGuest};
use super::matrix::{self, Matrix};
use super::span::Span;
use super::step::{RawStep, pattern};
use super::variables::Variables;
use crate::line::Forbidden;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use toml::Spanned;

/// A file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct File {
    suite: Option<String>,
    #[serde(default)]
    variables: BTreeMap<String, String>,
    /// What every guest has that says nothing else.
    #[serde(default)]
    guest: RawGuest,
    #[serde(default)]
    matrix: Matrix,
    timeout: Option<Span>,
    wall: Option<Span>,
    #[serde(default)]
    retries: u32,
    /// Its tests.
    #[serde(default)]
    pub test: Vec<Spanned<RawTest>>,
}

/// A test.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawTest {
    name: String,
    guest: Option<RawGuest>,
    guests: Option<BTreeMap<String, RawGuest>>,
    #[serde(default)]
    matrix: Matrix,
    timeout: Option<Span>,
    wall: Option<Span>,
    retries: Option<u32>,
    #[serde(default)]
    forbid: Vec<String>,
    #[serde(default)]
    forbid_regex: Vec<String>,
    #[serde(default)]
    steps: Vec<Spanned<RawStep>>,
    exit: Option<i32>,
    #[serde(default)]
    needs: Vec<String>,
}

/// Machine time of a test that says nothing else.
const TIMEOUT: Duration = Duration::from_secs(60);
/// The host's time, likewise.
const WALL: Duration = Duration::from_secs(300);

/// A test with what stands around it.
pub struct Row<'a> {
    /// Its file.
    pub file: &'a File,
    /// The test.
    pub raw: &'a RawTest,
    /// The file's name.
    pub path: &'a Path,
    /// Variables of the command line.
    pub variables: &'a BTreeMap<String, String>,
}

/// Where something is wrong, as an offset, and what.
type Wrong = (usize, String);

impl Row<'_> {
    /// Adds its tests, one for each combination of the matrix; it stands in `line`, at the offset `at`.
    pub fn tests(
        &self,
        line: usize,
        at: usize,
        place: &impl Fn(usize) -> (usize, usize),
        to: &mut Vec<Test>,
    ) -> Result<(), Wrong> {
        let mut matrix = self.file.matrix.clone();
        matrix.extend(self.raw.matrix.clone());
        if let Some((name, _)) = matrix.iter().find(|(_, values)| values.is_empty()) {
            return Err((at, format!("matrix.{name}: has no values")));
        }
        let before = to.len();
        for combination in matrix::combinations(&matrix) {
            to.push(self.test((line, at), &combination, place)?);
        }
        if self
            .file
            .test
            .iter()
            .any(|other| !std::ptr::eq(other.get_ref(), self.raw) && other.get_ref().name == self.raw.name)
        {
            to.truncate(before);
            return Err((at, format!("two tests are called \"{}\"", self.raw.name)));
        }
        Ok(())
    }

    fn test(
        &self,
        (line, at): (usize, usize),
        combination: &[(String, String)],
        place: &impl Fn(usize) -> (usize, usize),
    ) -> Result<Test, Wrong> {
        let (raw, file) = (self.raw, self.file);
        let here = |what: String| (at, what);
        let dir = self.path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let dir = std::path::absolute(dir).map_err(|fault| here(fault.to_string()))?;
        let mut variables = Variables(file.variables.clone());
        variables.0.extend(self.variables.clone());
        variables.0.extend(combination.iter().cloned());
        variables.0.insert("dir".into(), dir.display().to_string());
        // The runner knows the folder when the test starts.
        variables.0.insert("tmp".into(), "${tmp}".into());
        let fill = |text: &String| variables.fill(text).map_err(here);
        let guests = self.guests(&variables, combination).map_err(here)?;
        let mut steps = Vec::new();
        for step in &raw.steps {
            let at = step.span().start;
            let finished = step.get_ref().finish(&variables, place(at).0).map_err(|what| (at, what))?;
            if let Some(name) =
                finished.guest.as_ref().filter(|name| !guests.iter().any(|(known, _)| known == *name))
            {
                return Err((at, format!("there is no guest '{name}' in this test")));
            }
            steps.push(finished);
        }
        let mut forbidden = Vec::new();
        for text in &raw.forbid {
            forbidden.push(Forbidden::Text(fill(text)?));
        }
        for text in &raw.forbid_regex {
            forbidden.push(Forbidden::Pattern(pattern(&fill(text)?).map_err(here)?));
        }
        let stem = || self.path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let needs: Result<Vec<_>, _> = raw.needs.iter().map(|file| Ok(dir.join(fill(file)?))).collect();
        let time = |own: Option<Span>, files: Option<Span>, usual| own.or(files).map_or(usual, |span| span.0);
        Ok(Test {
            suite: file.suite.clone().unwrap_or_else(stem),
            name: format!("{}{}", raw.name, matrix::suffix(combination)),
            place: format!("{}:{line}", self.path.display()),
            needs: needs?,
            dir,
            guests,
            steps,
            forbidden,
            exit: raw.exit,
            timeout: time(raw.timeout, file.timeout, TIMEOUT),
            wall: time(raw.wall, file.wall, WALL),
            retries: raw.retries.unwrap_or(file.retries),
        })
    }

    fn guests(
        &self,
        variables: &Variables,
        combination: &[(String, String)],
    ) -> Result<Vec<(String, GuestSpec)>, String> {
        let one = |raw: &RawGuest| {
            let mut raw = raw.or(&self.file.guest);
            for (key, value) in combination.iter().filter(|(key, _)| MATRIX_KEYS.contains(&&**key)) {
                raw.set(key, value);
            }
            raw.finish(variables)
        };
        match (&self.raw.guest, &self.raw.guests) {
            (Some(_), Some(_)) => Err("'guest' and 'guests' can not stand together".into()),
            (None, Some(guests)) if guests.is_empty() => Err("'guests' names none".into()),
            (None, Some(guests)) => guests.iter().map(|(name, raw)| Ok((name.clone(), one(raw)?))).collect(),
            (guest, None) => Ok(vec![("guest".into(), one(guest.as_ref().unwrap_or(&RawGuest::default()))?)]),
        }
    }
}
