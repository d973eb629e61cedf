//! Many tests, some of them at the same time.

use crate::report;
use crate::run::{Outcome, Verdict, run};
use crate::spec::Test;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How tests are run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The emulator.
    pub program: PathBuf,
    /// How many at the same time.
    pub jobs: usize,
    /// Where to keep what tests leave behind: a folder for each.
    pub artifacts: Option<PathBuf>,
}

/// Characters of a test's name that a folder can have.
fn folder_name(test: &Test) -> String {
    let name = format!("{}-{}", test.suite, test.name);
    name.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.=,".contains(c) { c } else { '_' }).collect()
}

/// Runs `tests`, and tells of each on stdout when it is done; outcomes in the order of the tests.
pub fn run_all(plan: &Plan, tests: &[Test]) -> Vec<Outcome> {
    let next = AtomicUsize::new(0);
    let outcomes: Mutex<Vec<Option<Outcome>>> = Mutex::new(vec![None; tests.len()]);
    let work = || {
        loop {
            let n = next.fetch_add(1, Ordering::Relaxed);
            let Some(test) = tests.get(n) else { return };
            let artifacts = plan.artifacts.as_ref().map(|folder| folder.join(folder_name(test)));
            let outcome = run(&plan.program, test, artifacts.as_deref());
            // The lock keeps lines of tests that end together apart.
            let mut outcomes = outcomes.lock().unwrap_or_else(|fault| fault.into_inner());
            print!("{}", report::lines(test, &outcome));
            outcomes[n] = Some(outcome);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..plan.jobs.clamp(1, tests.len().max(1)) {
            scope.spawn(work);
        }
    });
    let outcomes = outcomes.into_inner().unwrap_or_else(|fault| fault.into_inner());
    outcomes.into_iter().map(|outcome| outcome.expect("every test was run")).collect()
}

/// Whether none has failed.
pub fn all_well(outcomes: &[Outcome]) -> bool {
    !outcomes.iter().any(|outcome| matches!(outcome.verdict, Verdict::Failed { .. }))
}
