//! The fuzz targets on their seeds and on some thousands of mutations of them, without a fuzzer.
//!
//! `MIMIC_FUZZ_SECONDS` sets the time for each target, `MIMIC_FUZZ_SERIES` the number of the series of mutations, and
//! `MIMIC_FUZZ_TARGET` names the only one that is tried, with any number of mutations.

use std::fmt::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use whole_program::fuzz::{Mutations, TARGETS, Target, overlook_caught_panics};

/// No input takes longer than this, even on a busy machine.
const LONGEST: Duration = Duration::from_secs(20);
/// Mutations of each target, at most.
const MUTATIONS: usize = 20_000;

/// Where the input under way is left if it ends the process.
const FINDING: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/finding");
/// Inputs that are done.
static DONE: AtomicU64 = AtomicU64::new(0);

/// What panics said, in any thread.
type Panics = Arc<Mutex<Vec<String>>>;

fn seeds(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(name);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("readable").path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "{name} has no seeds");
    let read = |path: PathBuf| {
        let bytes = std::fs::read(&path).expect("a seed can be read");
        (path, bytes)
    };
    paths.into_iter().map(read).collect()
}

/// Runs the target on one input, which is known as `what`; what went wrong.
fn run(target: Target, input: &[u8], panics: &Panics, what: &str) -> Result<(), String> {
    // Before the run: a hang or a fault of the host's leaves no other trace.
    std::fs::write(FINDING, input).expect("the folder for test files can be written");
    let start = Instant::now();
    let ended = catch_unwind(AssertUnwindSafe(|| target(input)));
    DONE.fetch_add(1, Ordering::Relaxed);
    let said = std::mem::take(&mut *panics.lock().expect("no panic holds it"));
    if ended.is_ok() && said.is_empty() && start.elapsed() < LONGEST {
        return Ok(());
    }
    let mut report = format!("{what}, now in {FINDING}, took {:?}", start.elapsed());
    said.iter().for_each(|panic| write!(report, "\n{panic}").expect("a string takes everything"));
    Err(report)
}

fn exercise(name: &str, target: Target, panics: &Panics) -> Result<usize, String> {
    let setting = |name: &str, default| std::env::var(name).map_or(default, |n| n.parse().expect("a number"));
    let limit = Duration::from_secs(setting("MIMIC_FUZZ_SECONDS", 4));
    let series = setting("MIMIC_FUZZ_SERIES", 1);
    let files = seeds(name);
    for (path, input) in &files {
        run(target, input, panics, &path.display().to_string())?;
    }
    let seeds: Vec<Vec<u8>> = files.into_iter().map(|(_, bytes)| bytes).collect();
    let start = Instant::now();
    let mut count = 0;
    let most = if only().is_some() { usize::MAX } else { MUTATIONS };
    for input in Mutations::new(&seeds, series).take(most) {
        if start.elapsed() > limit {
            break;
        }
        run(target, &input, panics, &format!("mutation {count} of series {series}"))?;
        count += 1;
    }
    Ok(count)
}

/// The only target that is to be tried.
fn only() -> Option<String> {
    std::env::var("MIMIC_FUZZ_TARGET").ok()
}

/// Ends the process when no input is done for too long: a hang would otherwise go on for ever.
fn watch() {
    std::thread::spawn(|| {
        let mut last = None;
        loop {
            let now = Some(DONE.load(Ordering::Relaxed));
            if now == last {
                eprintln!("{FINDING}: the input takes too long");
                std::process::abort();
            }
            last = now;
            std::thread::sleep(2 * LONGEST);
        }
    });
}

#[test]
fn every_target_survives_its_seeds_and_mutations_of_them() {
    let panics: Panics = Panics::default();
    let heard = panics.clone();
    std::panic::set_hook(Box::new(move |panic| {
        let thread = std::thread::current().name().unwrap_or("?").to_string();
        heard.lock().expect("no panic holds it").push(format!("thread {thread}: {panic}"));
    }));
    overlook_caught_panics();
    watch();
    let mut failures = Vec::new();
    let wanted = |name: &str| only().is_none_or(|only| only == name);
    for (name, target) in TARGETS.into_iter().filter(|(name, _)| wanted(name)) {
        match exercise(name, target, &panics) {
            Ok(count) => println!("{name}: {count} mutations"),
            Err(report) => failures.push(format!("{name}: {report}")),
        }
    }
    drop(std::panic::take_hook());
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
