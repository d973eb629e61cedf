//! The `mimic` program: reads what it is called as, and hands over to the front end of that name.

mod options;
mod personality;
mod run;
mod system;
mod test;
mod user;
mod watch;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser as _;
use personality::{Cli, Command, Personality, UserArch};

fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().collect();
    let argv0 = words.first().cloned().unwrap_or_else(|| "mimic".into());
    let program = Path::new(&argv0).file_name().unwrap_or(&argv0).to_string_lossy().into_owned();
    if let Some(words) = user::binfmt::words(&words) {
        return ExitCode::from(of_program(words));
    }
    let status = match Personality::of(Path::new(&argv0)) {
        Ok(Personality::System(arch)) => system::command(arch, &program, words.into_iter().skip(1)),
        Ok(Personality::User(arch)) => user::command(&program, arch, words.into_iter().skip(1)),
        Ok(Personality::Mimic) => mimic(&words),
        Err(fault) => {
            eprintln!("{program}: {fault}");
            system::USAGE
        }
    };
    ExitCode::from(status)
}

/// `mimic` under its own name.
fn mimic(words: &[OsString]) -> u8 {
    let cli = match Cli::try_parse_from(words) {
        Ok(cli) => cli,
        Err(fault) => {
            // It goes to stdout or stderr, as it is help or a fault; that nobody reads it is none.
            let _ = fault.print();
            return if fault.use_stderr() { system::USAGE } else { 0 };
        }
    };
    match cli.command {
        Command::System(args) => {
            system::command(args.arch, &format!("qemu-system-{}", args.arch.name()), args.options)
        }
        Command::User(args) => user_mode(args.words),
        Command::Run(args) => run::command(&args),
        Command::Test(args) => test::command(&args),
        Command::Robot(args) => test::robot(&args),
        Command::Image(command) => run::images::command(&command),
    }
}

/// `mimic user`: the architecture is the first word, or that of the program.
fn user_mode(mut words: Vec<OsString>) -> u8 {
    if let Some(status) = user::binfmt::command(&words) {
        return status;
    }
    let named = words.first().and_then(|word| UserArch::from_name(&word.to_string_lossy()));
    match named {
        Some(arch) => {
            words.remove(0);
            user::command("mimic", arch, words)
        }
        None => of_program(words),
    }
}

/// Runs the program that `words` name by the emulator of its architecture.
fn of_program(words: Vec<OsString>) -> u8 {
    match user::arch_of(&words) {
        Ok(arch) => user::command("mimic", arch, words),
        Err(fault) => {
            eprintln!("mimic: {fault}");
            system::USAGE
        }
    }
}
