//! Which program we are called as, and the command line of `mimic` itself.
//!
//! A link named `qemu-system-ARCH` to the binary behaves as that program; `mimic system ARCH ...` is the same without
//! a link. The nicer front ends stand beside it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand};

/// A guest architecture that there is a system emulator for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Arch {
    /// 64-bit Arm.
    Aarch64,
    /// 64-bit RISC-V.
    Riscv64,
}

impl Arch {
    /// Every architecture, with the name that stands in `qemu-system-NAME`.
    pub const ALL: &'static [(&'static str, Arch)] =
        &[("aarch64", Arch::Aarch64), ("riscv64", Arch::Riscv64)];

    /// Its name.
    pub fn name(self) -> &'static str {
        let found = Self::ALL.iter().find(|(_, arch)| *arch == self);
        found.map(|(name, _)| *name).expect("every architecture is in the list")
    }

    /// The architecture of this name, or a sentence that names those there are.
    pub fn from_name(name: &str) -> Result<Self, UnknownArch> {
        let found = Self::ALL.iter().find(|(known, _)| *known == name);
        found.map(|(_, arch)| *arch).ok_or_else(|| UnknownArch { name: name.into() })
    }
}

/// A guest architecture that there is a user-mode emulator for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserArch {
    /// 64-bit Arm.
    Aarch64,
    /// 64-bit RISC-V.
    Riscv64,
}

impl UserArch {
    /// Every architecture, with the name that stands in `qemu-NAME`.
    pub const ALL: &'static [(&'static str, UserArch)] =
        &[("aarch64", UserArch::Aarch64), ("riscv64", UserArch::Riscv64)];

    /// The architecture of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, arch)| *arch)
    }

    /// `e_machine` of its programs.
    pub fn machine(self) -> u16 {
        use tcg_user::arch::Arch as _;
        match self {
            Self::Aarch64 => tcg_aarch64::Aarch64::ABI.machine,
            Self::Riscv64 => tcg_riscv::Riscv::ABI.machine,
        }
    }
}

/// No guest of that name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{name}' guests are not available in this version of Mimic; there is {}", available())]
pub struct UnknownArch {
    /// The name.
    pub name: String,
}

fn available() -> String {
    Arch::ALL.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

/// The program that Mimic is called as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Personality {
    /// Itself.
    Mimic,
    /// `qemu-system-ARCH`.
    System(Arch),
    /// `qemu-ARCH`, `qemu-ARCH-static`.
    User(UserArch),
}

impl Personality {
    /// Reads it off the name in argv\[0\]; any name but `qemu-*` of a guest is Mimic's own.
    pub fn of(argv0: &Path) -> Result<Self, UnknownArch> {
        let name = argv0.file_name().unwrap_or_default().to_string_lossy();
        match name.strip_prefix("qemu-system-") {
            Some(arch) => Arch::from_name(arch.strip_suffix(".exe").unwrap_or(arch)).map(Self::System),
            None => {
                let arch =
                    name.strip_prefix("qemu-").map(|arch| arch.strip_suffix("-static").unwrap_or(arch));
                Ok(arch.and_then(UserArch::from_name).map_or(Self::Mimic, Self::User))
            }
        }
    }
}

const EXAMPLES: &str = "\
Try it:
  mimic run hello               a tiny guest that needs no network and no files
  mimic run debian              a Debian shell; fetched once, kept for the next time
  mimic run disk.qcow2 -m 2G    boot a disk image
  mimic run vmlinux --append 'console=ttyS0'

Ctrl-A x leaves a running guest, Ctrl-A h shows the other keys.
Links to this program named qemu-system-riscv64, qemu-system-aarch64, qemu-riscv64 and qemu-aarch64 behave as QEMU's
programs of these names.";

/// Run operating systems of other machines, as if this one were theirs.
#[derive(Debug, Parser)]
#[command(name = "mimic", version, after_help = EXAMPLES, subcommand_required = true, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What `mimic` does.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Boot something: a named image, a disk, a kernel
    Run(RunArgs),
    /// Take QEMU's command line: `mimic system riscv64 -M virt ...`
    #[command(disable_help_flag = true)]
    System(SystemArgs),
    /// Run a program built for another CPU: `mimic user [ARCH] [OPTIONS] PROGRAM [ARGUMENTS]`
    #[command(disable_help_flag = true)]
    User(UserArgs),
    /// Boot what spec files say, and check what happens
    Test(TestArgs),
    /// Serve Robot Framework: its library Remote finds keywords as Renode's at http://127.0.0.1:PORT
    Robot(RobotArgs),
    /// See and manage the images that `mimic run` fetches
    #[command(subcommand)]
    Image(ImageCommand),
}

const RUN_HELP: &str = "\
Images:
  hello              a tiny guest within this program: says what machine it sees, echoes keys
  debian             a root shell in Debian, made from its own packages
  debian-installer   the Debian installer
  debian:arm64       the same for another architecture
  FILE               a disk (qcow2 or raw) or a kernel (Image, gzip Image or ELF)

Ctrl-A x leaves the guest, Ctrl-A c reaches the monitor.";

/// `mimic run`.
#[derive(Debug, Args)]
#[command(after_help = RUN_HELP)]
pub struct RunArgs {
    /// What to boot: a name from the list below, or a file
    #[arg(default_value = "debian")]
    pub image: String,
    /// The guest's architecture, where neither image nor file says it; riscv64 if nothing does
    #[arg(long, value_enum)]
    pub arch: Option<Arch>,
    /// Guest memory, as 512M or 2G
    #[arg(short, long, value_name = "SIZE", default_value = "1G", value_parser = memory)]
    pub memory: u64,
    /// Number of CPUs
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=8))]
    pub cpus: u32,
    /// A disk to add; may be repeated
    #[arg(long, value_name = "FILE")]
    pub disk: Vec<String>,
    /// Pass a port of this machine on to the guest, as 2222:22 or 127.0.0.1:8080:80/tcp; may be repeated
    #[arg(short = 'p', long = "publish", value_name = "HOST:GUEST", value_parser = published_port)]
    pub publish: Vec<crate::options::HostForward>,
    /// Words to add to the kernel's command line
    #[arg(long, value_name = "WORDS", allow_hyphen_values = true)]
    pub append: Option<String>,
    /// The Debian mirror to fetch from, when this machine has no apt to tell one
    #[arg(long, value_name = "URL")]
    pub mirror: Option<String>,
    /// Throw away what the guest writes to disks
    #[arg(long)]
    pub snapshot: bool,
    /// No network for the guest
    #[arg(long, conflicts_with = "publish")]
    pub no_network: bool,
}

/// `mimic system`.
#[derive(Debug, Args)]
pub struct SystemArgs {
    /// The guest's architecture
    #[arg(value_parser = |name: &str| Arch::from_name(name))]
    pub arch: Arch,
    /// Options of qemu-system-ARCH; -help lists them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub options: Vec<OsString>,
}

/// `mimic user`.
#[derive(Debug, Args)]
pub struct UserArgs {
    /// The guest's architecture if it is not to be seen in the program, options of qemu-ARCH (-help lists them), the
    /// program and its arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub words: Vec<OsString>,
}

/// `mimic test`.
#[derive(Debug, Args)]
pub struct TestArgs {
    /// Files of tests, in TOML
    #[arg(required = true, value_name = "SPEC.toml")]
    pub specs: Vec<PathBuf>,
    /// How many tests run at the same time; as many as the machine has CPUs if nothing is said
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub jobs: Option<u32>,
    /// Write the results as JUnit's XML
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Keep what each test leaves behind: serial lines, command lines, stderr
    #[arg(long, value_name = "FOLDER")]
    pub artifacts: Option<PathBuf>,
    /// Run only tests with this text in `SUITE: NAME`
    #[arg(short = 'k', value_name = "TEXT")]
    pub filter: Option<String>,
    /// Set a variable that specs use as ${NAME}; may be repeated
    #[arg(short = 'D', value_name = "NAME=VALUE", value_parser = definition)]
    pub define: Vec<(String, String)>,
    /// Only list the tests
    #[arg(long)]
    pub list: bool,
}

/// `mimic robot`.
#[derive(Debug, Args)]
pub struct RobotArgs {
    /// The TCP port on 127.0.0.1; 0 takes any, and says which
    #[arg(long, value_name = "PORT", default_value_t = 9999)]
    pub port: u16,
}

/// `NAME=VALUE`.
fn definition(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.into(), value.into())),
        _ => Err("expects NAME=VALUE".into()),
    }
}

/// `mimic image`.
#[derive(Debug, Subcommand)]
pub enum ImageCommand {
    /// List the images, and which of them are here
    List,
    /// Fetch an image now
    Pull {
        /// Its name
        name: String,
        /// The Debian mirror to fetch from
        #[arg(long, value_name = "URL")]
        mirror: Option<String>,
    },
    /// Print where an image is kept
    Path {
        /// Its name
        name: String,
    },
    /// Unpack Debian's packages of an architecture into a directory, for `mimic user -L DIRECTORY` or to chroot into
    Root {
        /// The directory, which is made or empty
        directory: PathBuf,
        /// Debian's name of the architecture: arm64, riscv64
        #[arg(long, default_value = "riscv64")]
        arch: guest_images::Arch,
        /// A package to add with all that it depends upon; may be repeated
        #[arg(long = "package", value_name = "NAME")]
        packages: Vec<String>,
        /// Put this program inside as well, as /usr/bin/qemu-ARCH-static, with the libraries that it needs
        #[arg(long)]
        emulator: bool,
        /// The Debian mirror to fetch from
        #[arg(long, value_name = "URL")]
        mirror: Option<String>,
    },
    /// Delete an image from the cache
    Rm {
        /// Its name
        name: String,
    },
}

fn memory(text: &str) -> Result<u64, String> {
    match crate::options::value::size(text, 1 << 20) {
        Ok(0) => Err("a machine needs memory".into()),
        Ok(size) => Ok(size),
        Err(fault) => Err(fault.to_string()),
    }
}

/// `[HOSTADDR:]HOST:GUEST[/tcp|/udp]`.
fn published_port(text: &str) -> Result<crate::options::HostForward, String> {
    let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let rule = ports.rsplit_once(':').map(|(host, guest)| match host.rsplit_once(':') {
        Some((address, port)) => format!("{protocol}:{address}:{port}-:{guest}"),
        None => format!("{protocol}::{host}-:{guest}"),
    });
    let rule = rule.and_then(|rule| crate::options::HostForward::read(&rule).ok());
    rule.ok_or_else(|| "expects [ADDRESS:]HOSTPORT:GUESTPORT, and /udp where it is not TCP".into())
}

#[cfg(test)]
#[path = "personality_tests.rs"]
mod tests;
