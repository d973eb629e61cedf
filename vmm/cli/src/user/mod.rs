//! The user-mode emulator: `mimic user`, and the names `qemu-ARCH` and `qemu-ARCH-static`.

pub mod binfmt;
mod options;
mod table;

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use control::gdb::process;
use tcg_aarch64::Aarch64;
use tcg_core::run::VcpuConfig;
use tcg_riscv::Riscv;
use tcg_user::arch::Arch;
use tcg_user::{DEBUGGER, Kind, OWN_FILE};

use crate::personality::UserArch;
use crate::system::{USAGE, chaos, log, print, translations};
use crate::watch::Watch;
use options::Request;

/// Runs the command line `words` of the program called `program`, for guests of `arch`; comes back only with an exit
/// status for what did not run.
pub fn command(program: &str, arch: UserArch, words: impl IntoIterator<Item = OsString>) -> u8 {
    match arch {
        UserArch::Aarch64 => run::<Aarch64>(program, words),
        UserArch::Riscv64 => run::<Riscv>(program, words),
    }
}

/// The architecture that the program among `words` is for.
pub fn arch_of(words: &[OsString]) -> Result<UserArch, String> {
    // Help and faults of the command line are the same for all.
    let Some(path) = options::program_of(words) else { return Ok(UserArch::Riscv64) };
    arch_of_file(path, 4)
}

fn arch_of_file(path: &Path, depth: usize) -> Result<UserArch, String> {
    let file = File::open(path).map_err(|error| format!("cannot open '{}': {error}", path.display()))?;
    match tcg_user::kind(&file) {
        Kind::Elf(machine) => UserArch::ALL
            .iter()
            .find(|(_, arch)| arch.machine() == machine)
            .map(|(_, arch)| *arch)
            .ok_or_else(|| format!("'{}' is for a machine that Mimic does not have", path.display())),
        // A script tells by what runs it, which may be in a folder that only an option names.
        Kind::Script(interpreter, _) if depth > 0 => {
            arch_of_file(&interpreter, depth - 1).or(Ok(UserArch::Riscv64))
        }
        _ => Err(format!("'{}' is neither a 64-bit ELF program nor a script", path.display())),
    }
}

fn run<A: Arch>(program: &str, words: impl IntoIterator<Item = OsString>) -> u8 {
    let request = options::parse(A::NAME, words, std::env::vars_os().collect());
    let options::Run { mut config, log: logged, gdb, watch } = match request {
        Ok(Request::Run(run)) => *run,
        Ok(Request::Help) => return print(&usage::<A>(program)),
        Ok(Request::Version) => return print(&version(program)),
        Ok(Request::CpuHelp) => return print(&A::cpu_help()),
        Ok(Request::LogHelp) => return print(&log_help()),
        Err(fault) => {
            eprintln!("{program}: {fault}");
            return USAGE;
        }
    };
    let mut vcpu = VcpuConfig::default();
    log::apply(&logged, &mut config.code, &mut vcpu);
    let prepared = chaos::apply(&mut config.code, &mut vcpu).and_then(|()| {
        match logged.items.is_empty() && watch == Default::default() {
            true => Ok(()),
            false => log::start(program, &logged, tcg_user::open_log),
        }
    });
    if let Err(fault) = prepared {
        eprintln!("{program}: {fault}");
        return USAGE;
    }
    match Watch::new(&watch, &logged, A::NAME, Arc::new(|status| tcg_user::end(status.into()))) {
        Ok(watch) => watch.apply(&mut config.code, &mut vcpu),
        Err((option, fault)) => {
            eprintln!("{program}: {option}: {fault}");
            return USAGE;
        }
    }
    config.tiers = vcpu.tiers;
    if let Some(folder) = &config.tb_cache {
        let program_name = config.program.file_name().unwrap_or_default().to_string_lossy();
        let name = format!("{}-{program_name}", A::NAME);
        let kept =
            translations::keep(folder, &name, &(&config.program, &config.cpu), &logged, &mut config.code);
        // A program that another one became may not reach the folder from where it is.
        if let Err(fault) = kept
            && std::env::var_os(OWN_FILE).is_none()
        {
            eprintln!("{program}: {fault}");
            return USAGE;
        }
    }
    let inherited = std::env::var(DEBUGGER).ok().and_then(|text| process::inherit(program, &text));
    let listen = |gdb: options::Gdb| process::listen(program, &gdb.address, gdb.suspends);
    let attach = match inherited.map(Ok).or(gdb.map(listen)).transpose() {
        Ok(attach) => attach,
        Err(fault) => {
            eprintln!("{program}: -g: cannot listen for gdb there: {fault}");
            return USAGE;
        }
    };
    let Err(fault) = tcg_user::run::<A>(config, attach);
    eprintln!("{program}: {fault}");
    fault.status()
}

/// `-version`.
fn version(program: &str) -> String {
    let text = crate::options::version();
    let version = text.lines().next().unwrap_or_default().trim_start_matches("QEMU emulator ");
    format!("{program} {version}\n")
}

/// `-help`.
fn usage<A: Arch>(program: &str) -> String {
    let mut text = format!(
        "usage: {program} [options] program [arguments...]\nLinux CPU emulator (compiled for {} emulation)\n\n\
         Options and associated environment variables:\n\n{:<20} {:<20} Description\n",
        A::NAME,
        "Argument",
        "Env-variable"
    );
    for row in table::ROWS.iter().filter(|row| row.opt.is_some()) {
        let head = format!("-{} {}", row.name, row.argument);
        writeln!(text, "{:<20} {:<20} {}", head.trim_end(), row.variable, row.help)
            .expect("a string takes everything");
    }
    let prefix = options::default_prefix(A::NAME);
    write!(
        text,
        "\nDefaults:\nQEMU_LD_PREFIX  = {}\nQEMU_STACK_SIZE = as 'ulimit -s' has it\n",
        prefix.display()
    )
    .expect("a string takes everything");
    text
}

fn log_help() -> String {
    format!("{}{:<15} log system calls\n", crate::options::help::log_items(), table::STRACE)
}
