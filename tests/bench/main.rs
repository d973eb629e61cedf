//! How fast Mimic is beside QEMU and beside the host: the boot of a stock kernel, and small C programs inside the
//! booted guest. Run by `tests/bench/run`.
//!
//! The sides take turns, round by round, so that a busy machine is busy for all of them; the best round of each counts.
//! Needs QEMU, `gcc` and `riscv64-linux-gnu-gcc` (`.ci/peers` installs them), and the image `debian-bench` (`mimic image
//! pull debian-bench`).

mod clock;
mod programs;
mod sides;
mod table;

use clock::Clock;
use guest_images::Store;
use programs::{PROGRAMS, Program};
use sides::{Emulator, Native, Side, Times};
use std::path::PathBuf;
use std::process::ExitCode;

const USAGE: &str =
    "usage: tests/bench/run [--rounds N] [--only NAME,...] [--clock wall|cpu] [--mimic PATH] [--qemu PATH]";

/// What was asked for.
struct Options {
    rounds: u32,
    /// Names of programs, or `boot`; empty for all.
    only: Vec<String>,
    clock: Clock,
    mimic: PathBuf,
    qemu: PathBuf,
}

fn main() -> ExitCode {
    match options().and_then(|options| run(&options)) {
        Ok(report) => {
            print!("{report}");
            ExitCode::SUCCESS
        }
        Err(fault) => {
            eprintln!("bench: {fault}");
            ExitCode::FAILURE
        }
    }
}

fn options() -> Result<Options, String> {
    let beside = std::env::current_exe().map_err(|error| format!("cannot find this program: {error}"))?;
    let mut options = Options {
        rounds: 3,
        only: Vec::new(),
        clock: Clock::Wall,
        mimic: beside.with_file_name("mimic"),
        qemu: "qemu-system-riscv64".into(),
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value; {USAGE}"));
        match &*word {
            "--rounds" => {
                let rounds = value()?.parse().ok().filter(|n| *n > 0);
                options.rounds = rounds.ok_or("--rounds expects a number above 0")?;
            }
            "--only" => options.only = value()?.split(',').map(String::from).collect(),
            "--clock" => {
                options.clock = match &*value()? {
                    "wall" => Clock::Wall,
                    "cpu" => Clock::Cpu,
                    _ => return Err("--clock expects wall or cpu".into()),
                }
            }
            "--mimic" => options.mimic = value()?.into(),
            "--qemu" => options.qemu = value()?.into(),
            "--help" => {
                println!("{USAGE}");
                std::process::exit(0)
            }
            _ => return Err(format!("there is no option {word}; {USAGE}")),
        }
    }
    let names = || PROGRAMS.iter().map(|program| program.name).chain(["boot"]);
    if let Some(unknown) = options.only.iter().find(|name| names().all(|known| known != **name)) {
        let names: Vec<_> = names().collect();
        return Err(format!("--only {unknown}: there is no such program; there are {}", names.join(", ")));
    }
    Ok(options)
}

fn run(options: &Options) -> Result<String, String> {
    let wanted = |name: &str| options.only.is_empty() || options.only.iter().any(|only| only == name);
    let chosen: Vec<&'static Program> = PROGRAMS.iter().filter(|program| wanted(program.name)).collect();
    let guest = Store::open_default()
        .and_then(|store| store.path("debian-bench"))
        .map_err(|_| "the image debian-bench is not here; mimic image pull debian-bench".to_string())?;
    let folder = tempfile::tempdir().map_err(|error| format!("cannot make a folder: {error}"))?;
    let built = programs::build(&chosen, folder.path())?;

    let emulator =
        |program: &PathBuf, first| Emulator::new((program.clone(), first), &guest, &built, options.clock);
    let mut sides: Vec<(Box<dyn Side>, Times)> = vec![
        (Box::new(Native::new(&built, options.clock)), Times::new()),
        (Box::new(emulator(&options.qemu, &[])), Times::new()),
        (Box::new(emulator(&options.mimic, &["system", "riscv64"])), Times::new()),
    ];
    for round in 1..=options.rounds {
        for (side, best) in &mut sides {
            eprintln!("round {round} of {}: {}", options.rounds, side.name());
            let mut times = Times::new();
            if wanted("boot") {
                times.extend(side.boot()?.map(|time| ("boot", time)));
            }
            times.extend(side.programs()?);
            for (name, time) in times {
                let known = best.entry(name).or_insert(time);
                *known = time.min(*known);
            }
        }
    }
    let [native, qemu, mimic] = [0, 1, 2].map(|n| &sides[n].1);
    Ok(table::report(&chosen, wanted("boot"), [native, qemu, mimic]))
}
