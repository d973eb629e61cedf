use clap::{CommandFactory, Parser};

use super::*;

#[test]
fn the_name_says_which_program_we_are() {
    let of = |name: &str| Personality::of(Path::new(name));
    assert_eq!(of("/usr/bin/mimic"), Ok(Personality::Mimic));
    assert_eq!(of("./qemu-system-riscv64"), Ok(Personality::System(Arch::Riscv64)));
    assert_eq!(of("qemu-system-aarch64"), Ok(Personality::System(Arch::Aarch64)));
    assert_eq!(of("qemu-riscv64"), Ok(Personality::User(UserArch::Riscv64)));
    assert_eq!(of("bin/qemu-aarch64-static"), Ok(Personality::User(UserArch::Aarch64)));
    assert_eq!(of(""), Ok(Personality::Mimic));
    let error = of("qemu-system-m68k").expect_err("there is none");
    assert_eq!(
        error.to_string(),
        "'m68k' guests are not available in this version of Mimic; there is aarch64, riscv64"
    );
}

fn cli(line: &str) -> Result<Command, clap::Error> {
    Cli::try_parse_from(line.split_whitespace()).map(|cli| cli.command)
}

#[test]
fn system_takes_qemus_words_untouched() {
    let words = "-M virt -nographic --version -h -- x";
    let Ok(Command::System(args)) = cli(&format!("mimic system riscv64 {words}")) else { panic!("system") };
    assert_eq!(args.options, words.split(' ').map(OsString::from).collect::<Vec<_>>());
    assert!(cli("mimic system m68k").is_err());
}

#[test]
fn run() {
    let line = "mimic run a.qcow2 -m 1.5G --cpus 4 --disk b -p 2222:22 -p 127.0.0.1:53:53/udp --append -v --snapshot";
    let Ok(Command::Run(run)) = cli(line) else { panic!("run") };
    assert_eq!((&*run.image, run.memory, run.cpus, run.disk.len()), ("a.qcow2", 3 << 29, 4, 1));
    assert_eq!((run.publish[0].host_port, run.publish[0].guest_port), (2222, 22));
    assert_eq!(run.publish[1].protocol, crate::options::Protocol::Udp);
    assert_eq!(run.append.as_deref(), Some("-v"));
    for wrong in [
        "--cpus 0",
        "--cpus 9",
        "-m lots",
        "-m 0",
        "-p 22",
        "-p 1:2/sctp",
        "--no-network -p 1:2",
        "--arch m68k",
    ] {
        assert!(cli(&format!("mimic run {wrong}")).is_err(), "{wrong}");
    }
}

#[test]
fn image() {
    assert!(matches!(cli("mimic image list"), Ok(Command::Image(ImageCommand::List))));
    assert!(matches!(
        cli("mimic image pull debian --mirror http://m"),
        Ok(Command::Image(ImageCommand::Pull { .. }))
    ));
    assert!(cli("mimic image path").is_err());
    Cli::command().debug_assert();
}
