//! The command line of `qemu-ARCH`: words and environment in, a typed configuration out. Nothing is opened here.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use control::gdb::process::Address;
use tcg_core::run::{CodeConfig, Tiers};
use tcg_user::{Config, DEBUGGER, EXEC_NAME, HIDDEN, LIMITS, Log, OWN_FILE, TRACED};

use super::table::{Opt, ROWS, Row, STRACE};
use crate::options::LogOptions;
use crate::options::error::{Fault, UsageError};
use crate::options::log;
use crate::options::plugin::{self, WatchOptions};
use crate::options::suggest::closest;
use crate::options::value;

/// What a command line asks for.
#[derive(Debug)]
pub enum Request {
    /// Run a program.
    Run(Box<Run>),
    /// Print the help.
    Help,
    /// Print the version.
    Version,
    /// Print the CPU models.
    CpuHelp,
    /// Print the items of `-d`.
    LogHelp,
}

/// How a program is run, and who looks.
#[derive(Debug)]
pub struct Run {
    /// How it is run.
    pub config: Config,
    /// What is logged.
    pub log: LogOptions,
    /// `-g`.
    pub gdb: Option<Gdb>,
    /// `-plugin`, `-coverage`.
    pub watch: WatchOptions,
}

/// `-g`.
#[derive(Debug, PartialEq, Eq)]
pub struct Gdb {
    /// Where gdb connects.
    pub address: Address,
    /// The program waits for it.
    pub suspends: bool,
}

/// Smallest address space of a guest.
const LEAST_SPACE: u64 = 16 << 20;

/// Where the guest's files are when nothing is said.
pub fn default_prefix(arch: &str) -> PathBuf {
    format!("/usr/gnemul/qemu-{arch}").into()
}

/// What was collected so far.
struct Collected {
    config: Config,
    log: LogOptions,
    argv0: Option<OsString>,
    gdb: Option<Gdb>,
    watch: WatchOptions,
    ends: Option<Request>,
}

/// Reads `words`, under the environment `env`, for guests of `arch`.
pub fn parse(
    arch: &str,
    words: impl IntoIterator<Item = OsString>,
    env: Vec<(OsString, OsString)>,
) -> Result<Request, UsageError> {
    let pair = |(name, value): &(OsString, OsString)| {
        let plain = name.to_str().and_then(|name| name.strip_prefix(HIDDEN));
        let mut text = plain.map_or_else(|| name.clone(), OsString::from);
        text.push("=");
        text.push(value);
        text
    };
    // For this emulator, from the one before.
    let own = [OWN_FILE, EXEC_NAME, DEBUGGER, TRACED, LIMITS];
    let config = Config {
        program: PathBuf::new(),
        args: Vec::new(),
        env: env.iter().filter(|(name, _)| !own.iter().any(|own| name == own)).map(pair).collect(),
        sysroot: Some(default_prefix(arch)),
        cpu: None,
        stack_size: None,
        reserved: None,
        seed: None,
        release: None,
        strace: false,
        log: Log::Stderr,
        log_options: Vec::new(),
        tiers: Tiers::default(),
        code: CodeConfig::default(),
        tb_cache: None,
    };
    let (log, watch) = Default::default();
    let mut collected = Collected { config, log, argv0: None, gdb: None, watch, ends: None };
    // One that another emulator has started is not to listen where that does, and the guest may have changed its limits.
    let is_first = env.iter().all(|(name, _)| name != OWN_FILE);
    let is_for_all = |row: &Row| !matches!(row.opt, Some(Opt::Gdb | Opt::Stack));
    let set = |row: &&Row| !row.variable.is_empty() && (is_first || is_for_all(row));
    for row in ROWS.iter().filter(set) {
        if let Some((_, value)) = env.iter().find(|(name, _)| name.as_os_str() == row.variable) {
            let text = value.to_string_lossy();
            match collected.set(row, value) {
                Err(fault) if !row.may_be_left_over() => {
                    return Err(fault.at(&format!("{}={text}", row.variable)));
                }
                _ => {}
            }
        }
    }
    let mut words = words.into_iter();
    let program = loop {
        if let Some(request) = collected.ends.take() {
            return Ok(request);
        }
        let missing = || Fault::new("no program to run is named").at("the command line");
        let word = words.next().ok_or_else(missing)?;
        if word == END {
            break words.next().ok_or_else(missing)?;
        }
        let Some(name) = option_name(&word) else { break word };
        let text = word.to_string_lossy();
        let Some(row) = ROWS.iter().find(|row| row.name == name) else {
            return Err(unknown(&name).at(&text));
        };
        let argument = match row.argument {
            "" => OsString::new(),
            argument => words.next().ok_or_else(|| {
                Fault::new(format!("needs an argument: -{} {argument}", row.name)).at(&text)
            })?,
        };
        let origin = format!("{text} {}", argument.to_string_lossy());
        collected.set(row, &argument).map_err(|fault| fault.at(origin.trim_end()))?;
    };
    let Collected { mut config, log, argv0, gdb, watch, .. } = collected;
    config.log = log.place();
    config.args.push(argv0.unwrap_or_else(|| program.clone()));
    config.args.extend(words);
    config.program = program.into();
    Ok(Request::Run(Box::new(Run { config, log, gdb, watch })))
}

/// Ends the options: the next word is the program, whatever it is.
const END: &str = "--";

/// The name in `-name` and `--name`; `None`: the word is the program.
fn option_name(word: &OsStr) -> Option<String> {
    let text = word.to_string_lossy();
    let name = text.strip_prefix('-')?;
    Some(name.strip_prefix('-').unwrap_or(name).to_string())
}

fn unknown(name: &str) -> Fault {
    let known = ROWS.iter().filter(|row| row.opt.is_some()).map(|row| row.name);
    match closest(name, known) {
        Some(best) => Fault::new(format!("unknown option; did you mean -{best}?")),
        None => Fault::new("unknown option"),
    }
}

/// `PORT[,suspend=n]` or `PATH[,suspend=n]`; `%d` in a path is the process' number.
fn gdb(text: &str) -> Result<Gdb, Fault> {
    let mut parts = text.split(',');
    let place = parts.next().unwrap_or_default();
    let mut suspends = true;
    for part in parts {
        suspends = match part {
            "suspend=y" | "suspend=yes" | "suspend=on" => true,
            "suspend=n" | "suspend=no" | "suspend=off" => false,
            _ => {
                return Err(Fault::new(format!(
                    "'{part}': behind the place there can be suspend=y or suspend=n"
                )));
            }
        };
    }
    let address = match place.parse::<u64>() {
        Ok(port) => Address::Port(
            u16::try_from(port)
                .ok()
                .filter(|port| *port != 0)
                .ok_or_else(|| Fault::new("expects a port from 1 to 65535"))?,
        ),
        Err(_) if place.is_empty() => return Err(Fault::new("expects a TCP port or the path of a socket")),
        Err(_) => Address::Path(place.replace("%d", &std::process::id().to_string()).into()),
    };
    Ok(Gdb { address, suspends })
}

/// A size of memory: a number, with suffix `k`, `M` or `G`.
fn size(text: &str) -> Result<u64, Fault> {
    value::size(text, 1)
}

/// Checks `TSIG HSIG N[,...]`. Every real-time signal of the guest's is the host's of the same number, so nothing need be
/// mapped.
fn signal_map(text: &str) -> Result<(), Fault> {
    let is_item = |item: &str| {
        let numbers: Vec<_> = item.split_whitespace().map(value::unsigned).collect();
        numbers.len() == 3 && numbers.iter().all(Result::is_ok)
    };
    if text.split(',').all(is_item) {
        Ok(())
    } else {
        Err(Fault::new("expects 'TSIG HSIG N', several parted by commas"))
    }
}

impl Collected {
    fn set(&mut self, row: &Row, argument: &OsStr) -> Result<(), Fault> {
        let opt = row.opt.ok_or_else(|| Fault::not_available(""))?;
        let text = argument.to_str().ok_or_else(|| Fault::new("is not valid UTF-8"));
        let config = &mut self.config;
        match opt {
            Opt::Help => self.ends = Some(Request::Help),
            Opt::Version => self.ends = Some(Request::Version),
            Opt::Gdb => self.gdb = Some(gdb(text?)?),
            Opt::Prefix => config.sysroot = Some(argument.into()),
            Opt::Stack => config.stack_size = Some(size(text?)?),
            Opt::Cpu if matches!(text, Ok("help" | "?")) => self.ends = Some(Request::CpuHelp),
            Opt::Cpu => config.cpu = Some(text?.into()),
            Opt::SetEnv => {
                for item in text?.split(',') {
                    let Some((name, _)) = item.split_once('=') else {
                        return Err(Fault::new("expects NAME=VALUE"));
                    };
                    self.unset(name);
                    self.config.env.push(item.into());
                }
            }
            Opt::UnsetEnv => text?.split(',').for_each(|name| self.unset(name)),
            Opt::Argv0 => self.argv0 = Some(argument.into()),
            Opt::Release => config.release = Some(text?.into()),
            Opt::GuestBase => {
                if value::unsigned(text?)? != 0 {
                    return Err(Fault::new("guest addresses are host addresses here: the base is always 0"));
                }
            }
            Opt::Reserved => match size(text?)? {
                0 => config.reserved = None,
                size if size < LEAST_SPACE => {
                    return Err(Fault::new("is no room for a program: there must be 16M at least"));
                }
                size => config.reserved = Some(size),
            },
            Opt::LogItems => self.log_items(text?)?,
            Opt::LogFile => self.log.file = Some(log::file(text?)?),
            Opt::LogFilter => self.log.ranges = log::ranges(text?)?,
            Opt::OneInsn => config.code.max_insns = 1,
            Opt::CodeSize => match value::unsigned(text?)? {
                0 => {}
                mib @ 1..=1024 => config.code.code_bytes = (mib as usize) << 20,
                _ => return Err(Fault::new("expects at most 1024 MiB")),
            },
            Opt::Strace => config.strace = true,
            Opt::SignalMap => signal_map(text?)?,
            Opt::PageSize => {
                if value::unsigned(text?)? != 4096 {
                    return Err(Fault::new("pages are those of the host here: 4096 bytes"));
                }
            }
            Opt::Seed => config.seed = Some(value::unsigned(text?)?),
            Opt::Plugin => self.watch.plugins.push(plugin::read(text?)?),
            Opt::PerfMap => self.watch.perf_map = true,
            Opt::JitDump => self.watch.jit_dump = true,
            Opt::Coverage => self.watch.coverage = Some(text?.into()),
            // Programs that this one becomes may run in another folder.
            Opt::TbCache => {
                config.tb_cache =
                    Some(std::path::absolute(argument).map_err(|why| Fault::new(why.to_string()))?)
            }
        }
        if matches!(opt, Opt::LogItems | Opt::LogFile | Opt::LogFilter | Opt::Strace) {
            let words = [format!("-{}", row.name).into(), argument.to_os_string()];
            let count = if row.argument.is_empty() { 1 } else { 2 };
            self.config.log_options.extend(words.into_iter().take(count));
        }
        Ok(())
    }

    fn unset(&mut self, name: &str) {
        let beginning = format!("{name}=");
        self.config.env.retain(|text| !text.as_encoded_bytes().starts_with(beginning.as_bytes()));
    }

    fn log_items(&mut self, text: &str) -> Result<(), Fault> {
        let (own, others): (Vec<&str>, Vec<&str>) = text.split(',').partition(|item| *item == STRACE);
        self.config.strace |= !own.is_empty();
        if others.is_empty() {
            return Ok(());
        }
        match log::items(&others.join(","))? {
            None => self.ends = Some(Request::LogHelp),
            Some(items) => self.log.items.extend(items),
        }
        Ok(())
    }
}

/// The word among `words` that is the program, if it can be told without the environment: for finding out what machine
/// it is for.
pub fn program_of(words: &[OsString]) -> Option<&Path> {
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if word == END {
            return words.next().map(Path::new);
        }
        let Some(name) = option_name(word) else { return Some(Path::new(word)) };
        let row = ROWS.iter().find(|row| row.name == name)?;
        if !row.argument.is_empty() {
            words.next();
        }
    }
    None
}
