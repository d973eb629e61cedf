//! What is said about tests: lines for people, and JUnit's XML.

use crate::run::{Outcome, Verdict};
use crate::spec::Test;
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

/// What is printed about a test when it is done.
pub fn lines(test: &Test, outcome: &Outcome) -> String {
    let name = format!("{}: {}", test.suite, test.name);
    let times = format!(
        "{:.3} s of machine time, {:.1} s",
        outcome.machine.as_secs_f64(),
        outcome.wall.as_secs_f64()
    );
    let again = if outcome.tries > 1 { format!(", {} tries", outcome.tries) } else { String::new() };
    match &outcome.verdict {
        Verdict::Passed => format!("ok    {name} ({times}{again})\n"),
        Verdict::Skipped(why) => format!("skip  {name}: {why}\n"),
        Verdict::Failed { what, internal, last_lines } => {
            let word = if *internal { "ERROR" } else { "FAIL " };
            let mut text = format!("{word} {name} ({times}{again})\n      {}: {what}\n", test.place);
            for (line, last) in last_lines {
                text += &format!("      the last lines on {line}:\n");
                last.lines().for_each(|line| text += &format!("      | {}\n", printable(line)));
            }
            if let Some(folder) = &outcome.artifacts {
                text += &format!("      logs: {}\n", folder.display());
            }
            text
        }
    }
}

/// A line of a guest without what would change the terminal.
fn printable(line: &str) -> String {
    line.chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).collect()
}

/// The last line.
pub fn summary(outcomes: &[Outcome], wall: Duration) -> String {
    let count =
        |wanted: fn(&Verdict) -> bool| outcomes.iter().filter(|outcome| wanted(&outcome.verdict)).count();
    let mut text = format!("{} passed", count(|verdict| *verdict == Verdict::Passed));
    let failed = count(|verdict| matches!(verdict, Verdict::Failed { .. }));
    let skipped = count(|verdict| matches!(verdict, Verdict::Skipped(_)));
    for (number, word) in
        [(failed, "failed"), (skipped, "skipped")].into_iter().filter(|(number, _)| *number > 0)
    {
        // Writing to a text does not fail.
        let _ = write!(text, ", {number} {word}");
    }
    format!("{text}, in {:.1} s\n", wall.as_secs_f64())
}

fn case(test: &Test, outcome: &Outcome) -> TestCase {
    let status = match &outcome.verdict {
        Verdict::Passed => TestCaseStatus::success(),
        Verdict::Skipped(why) => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(why.as_str());
            status
        }
        Verdict::Failed { what, internal, .. } => {
            let kind = if *internal { NonSuccessKind::Error } else { NonSuccessKind::Failure };
            let mut status = TestCaseStatus::non_success(kind);
            status.set_message(what.as_str()).set_description(format!("{}: {what}", test.place));
            status
        }
    };
    let mut case = TestCase::new(test.name.as_str(), status);
    case.set_classname(test.suite.as_str()).set_time(outcome.wall);
    if let Verdict::Failed { last_lines, .. } = &outcome.verdict {
        let text: Vec<String> = last_lines.iter().map(|(line, last)| format!("{line}:\n{last}\n")).collect();
        case.set_system_out(text.concat());
    }
    case
}

/// Writes JUnit's XML.
///
/// # Errors
/// The file can not be written: a sentence.
pub fn junit(path: &Path, tests: &[Test], outcomes: &[Outcome]) -> Result<(), String> {
    let mut suites: BTreeMap<&str, TestSuite> = BTreeMap::new();
    for (test, outcome) in tests.iter().zip(outcomes) {
        let suite = suites.entry(&test.suite).or_insert_with(|| TestSuite::new(test.suite.as_str()));
        suite.add_test_case(case(test, outcome));
    }
    let mut report = Report::new("mimic test");
    report.add_test_suites(suites.into_values());
    let text = report.to_string().map_err(|fault| fault.to_string())?;
    std::fs::write(path, text).map_err(|fault| format!("cannot write {}: {fault}", path.display()))
}
