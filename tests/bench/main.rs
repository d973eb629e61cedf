//! How fast Mimic is beside QEMU and beside the host: the boot of a stock kernel, and small C programs inside the
//! booted guest (`--machine GUEST` chooses it); or, with `--user GUEST`, those programs and the distribution's as processes.
//! Run by `tests/bench/run`.
//!
//! The sides take turns, round by round, so that a busy machine is busy for all of them; the best round of each counts.
//! Needs QEMU, `gcc` and the guest's cross compiler (`.ci/peers` installs them). Without `--user` it also needs the image
//! `debian-bench`, or `debian-bench:arm64` (`mimic image pull NAME`); the distribution's programs come from the folder
//! `--root`, which `mimic image root` makes.

mod clock;
mod machines;
mod packages;
mod programs;
mod sides;
mod table;

use clock::Clock;
use guest_images::Store;
use machines::{MACHINES, Machine};
use packages::Task;
use programs::{PROGRAMS, Program};
use sides::{Emulator, Processes, Side, Times};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "usage: tests/bench/run [--machine riscv64|aarch64 | --user riscv64|aarch64 [--root DIR]] [--rounds N] \
     [--only NAME,...] [--clock wall|cpu] [--mimic PATH] [--qemu PATH]";

/// What was asked for.
struct Options {
    rounds: u32,
    /// Names of programs, or `boot`; empty for all.
    only: Vec<String>,
    clock: Clock,
    mimic: PathBuf,
    /// The peer that was named, if one was.
    qemu: Option<PathBuf>,
    /// The machine whose guest runs the programs; the first one if none was named.
    machine: Option<&'static Machine>,
    /// Processes of this guest instead of a machine.
    user: Option<String>,
    /// Where the guest's distribution is.
    root: Option<PathBuf>,
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
        qemu: None,
        machine: None,
        user: None,
        root: None,
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
            "--qemu" => options.qemu = Some(value()?.into()),
            "--machine" => options.machine = Some(guest(&word, &value()?)?),
            "--user" => options.user = Some(guest(&word, &value()?)?.guest.to_owned()),
            "--root" => options.root = Some(value()?.into()),
            "--help" => {
                println!("{USAGE}");
                std::process::exit(0)
            }
            _ => return Err(format!("there is no option {word}; {USAGE}")),
        }
    }
    let names = || PROGRAMS.iter().map(|program| program.name).chain(["boot", "start", "distribution"]);
    if let Some(unknown) = options.only.iter().find(|name| names().all(|known| known != **name)) {
        let names: Vec<_> = names().collect();
        return Err(format!("--only {unknown}: there is no such program; there are {}", names.join(", ")));
    }
    if options.root.is_some() && options.user.is_none() {
        return Err("--root says where processes find the distribution; it needs --user".into());
    }
    if options.machine.is_some() && options.user.is_some() {
        return Err("--machine and --user are two ways to run the programs; leave one out".into());
    }
    Ok(options)
}

/// The machine of the guest that an option names.
fn guest(option: &str, name: &str) -> Result<&'static Machine, String> {
    let names: Vec<_> = MACHINES.iter().map(|machine| machine.guest).collect();
    MACHINES
        .iter()
        .find(|machine| machine.guest == name)
        .ok_or_else(|| format!("{option} {name}: there is no such guest; there are {}", names.join(", ")))
}

/// Whether something of this name was asked for.
fn wanted(options: &Options, name: &str) -> bool {
    options.only.is_empty() || options.only.iter().any(|only| only == name)
}

fn run(options: &Options) -> Result<String, String> {
    let chosen: Vec<&'static Program> =
        PROGRAMS.iter().filter(|program| wanted(options, program.name)).collect();
    let folder = tempfile::tempdir().map_err(|error| format!("cannot make a folder: {error}"))?;
    match &options.user {
        Some(guest) => run_processes(options, guest, &chosen, folder.path()),
        None => run_machines(options, &chosen, folder.path()),
    }
}

fn run_processes(
    options: &Options,
    guest: &str,
    chosen: &[&'static Program],
    folder: &Path,
) -> Result<String, String> {
    let built = programs::build(chosen, guest, folder)?;
    let mut tasks: Vec<Task> = packages::small(&built, guest, folder)?;
    tasks.retain(|task| task.class != "start" || wanted(options, "start"));
    let mut prefix = Vec::new();
    if let Some(root) = options.root.as_ref().filter(|_| wanted(options, "distribution")) {
        tasks.extend(packages::packages(root, guest, folder)?);
        prefix = vec!["-L".to_owned(), root.display().to_string()];
    }
    // A link of this name chooses the guest.
    let mimic = folder.join(format!("qemu-{guest}"));
    let program = std::fs::canonicalize(&options.mimic)
        .map_err(|error| format!("--mimic {}: {error}", options.mimic.display()))?;
    std::os::unix::fs::symlink(program, &mimic).map_err(|error| format!("cannot make a link: {error}"))?;
    let qemu = options.qemu.clone().unwrap_or_else(|| format!("qemu-{guest}").into());
    let clock = options.clock;
    let sides: [Box<dyn Side>; 3] = [
        Box::new(Processes::native(&tasks, clock)),
        Box::new(Processes::emulated(qemu, prefix.clone(), &tasks, clock)),
        Box::new(Processes::emulated(mimic, prefix, &tasks, clock)),
    ];
    let times = measure(&sides, options.rounds, false)?;
    let rows: Vec<_> = tasks.iter().map(|task| (task.name, task.class)).collect();
    Ok(table::report(&rows, false, times.each_ref()))
}

fn run_machines(options: &Options, chosen: &[&'static Program], folder: &Path) -> Result<String, String> {
    let machine = options.machine.unwrap_or(&MACHINES[0]);
    let (name, image) = (machine.guest, machine.image);
    let guest = Store::open_default()
        .and_then(|store| store.path(image))
        .map_err(|_| format!("the image {image} is not here; mimic image pull {image}"))?;
    let built = programs::build(chosen, name, folder)?;
    let initrd = programs::pack_all(&built, name, folder)?;
    let mut tasks = packages::small(&built, name, folder)?;
    tasks.retain(|task| task.class != "start");
    let qemu = options.qemu.clone().unwrap_or_else(|| format!("qemu-system-{name}").into());
    let emulator = |program: PathBuf, first: &[&'static str]| {
        let words = [first, machine.words].concat();
        Box::new(Emulator::new((program, words), &guest, (&built, &initrd), options.clock))
    };
    let sides: [Box<dyn Side>; 3] = [
        Box::new(Processes::native(&tasks, options.clock)),
        emulator(qemu, &[]),
        emulator(options.mimic.clone(), &["system", name]),
    ];
    let boot = wanted(options, "boot");
    let times = measure(&sides, options.rounds, boot)?;
    let rows: Vec<_> = chosen.iter().map(|program| (program.name, program.class)).collect();
    Ok(table::report(&rows, boot, times.each_ref()))
}

/// The best times of each side.
fn measure(sides: &[Box<dyn Side + '_>; 3], rounds: u32, boot: bool) -> Result<[Times; 3], String> {
    let mut best = [const { Times::new() }; 3];
    for round in 1..=rounds {
        for (side, best) in sides.iter().zip(&mut best) {
            eprintln!("round {round} of {rounds}: {}", side.name());
            let mut times = Times::new();
            if boot {
                times.extend(side.boot()?.map(|time| ("boot", time)));
            }
            times.extend(side.programs()?);
            for (name, time) in times {
                let known = best.entry(name).or_insert(time);
                *known = time.min(*known);
            }
        }
    }
    Ok(best)
}
