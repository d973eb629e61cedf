//! `mimic test` and `mimic robot`: the runner of the crate `harness`, with this program as the emulator.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::time::Instant;

use harness::pool::{self, Plan};
use harness::{report, robot, spec};

use crate::personality::{RobotArgs, TestArgs};

/// Exit status where a test has failed.
const FAILED: u8 = 1;
/// Exit status where a spec is wrong, or the host fails.
const NOT_RUN: u8 = 2;

/// Runs the tests of some files; the exit status.
pub fn command(args: &TestArgs) -> u8 {
    match run(args) {
        Ok(true) => 0,
        Ok(false) => FAILED,
        Err(what) => {
            eprintln!("mimic test: {what}");
            NOT_RUN
        }
    }
}

fn this_program() -> Result<PathBuf, String> {
    std::env::current_exe().map_err(|fault| format!("cannot tell the name of this program: {fault}"))
}

fn run(args: &TestArgs) -> Result<bool, String> {
    let variables: BTreeMap<String, String> = args.define.iter().cloned().collect();
    let mut tests = Vec::new();
    for file in &args.specs {
        tests.extend(spec::read(file, &variables).map_err(|fault| fault.to_string())?);
    }
    if let Some(filter) = &args.filter {
        tests.retain(|test| format!("{}: {}", test.suite, test.name).contains(filter));
    }
    if tests.is_empty() {
        return Err("there is no test to run".into());
    }
    if args.list {
        tests.iter().for_each(|test| println!("{}: {}", test.suite, test.name));
        return Ok(true);
    }
    if let Some(folder) = &args.artifacts {
        std::fs::create_dir_all(folder)
            .map_err(|fault| format!("cannot make {}: {fault}", folder.display()))?;
    }
    let usual = || std::thread::available_parallelism().map_or(1, usize::from);
    let jobs = args.jobs.map_or_else(usual, |jobs| jobs as usize);
    let plan = Plan { program: this_program()?, jobs, artifacts: args.artifacts.clone() };
    let start = Instant::now();
    let outcomes = pool::run_all(&plan, &tests);
    print!("{}", report::summary(&outcomes, start.elapsed()));
    if let Some(file) = &args.junit {
        report::junit(file, &tests, &outcomes)?;
    }
    Ok(pool::all_well(&outcomes))
}

/// Serves Robot Framework; the exit status.
pub fn robot(args: &RobotArgs) -> u8 {
    let served = this_program().map_err(io::Error::other);
    match served.and_then(|program| robot::serve(&program, args.port)) {
        Ok(()) => 0,
        Err(fault) => {
            eprintln!("mimic robot: {fault}");
            NOT_RUN
        }
    }
}
