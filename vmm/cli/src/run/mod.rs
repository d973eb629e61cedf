//! `mimic run`: from the name of an image or file to the command line that boots it.
//!
//! The nice way is the other one with the words filled in: what is run is what `qemu-system-*` would be told, so that
//! there is one place where machines are built.

mod disk;
mod emulator;
mod hello;
pub mod images;
mod kind;

use std::ffi::OsString;
use std::path::Path;

use crate::options::{HostForward, Protocol, Request};
use crate::personality::{Arch, RunArgs};
use crate::system;
use images::Images;
use kind::FileKind;

/// The name in messages.
const PROGRAM: &str = "mimic";

/// Why an image can not be run: one sentence, and the exit status.
#[derive(Debug)]
pub struct Fault {
    what: String,
    status: u8,
}

impl Fault {
    /// What was typed can not be.
    pub fn usage(what: impl Into<String>) -> Self {
        Self { what: what.into(), status: system::USAGE }
    }

    /// The host or the network does not play along.
    pub fn host(what: impl ToString) -> Self {
        Self { what: what.to_string(), status: system::HOST }
    }

    fn report(self) -> u8 {
        eprintln!("{PROGRAM}: {}", self.what);
        self.status
    }
}

/// Runs what `args` name; the exit status.
pub fn command(args: &RunArgs) -> u8 {
    let status = boot(args).and_then(|boot| {
        let words = boot.words(args).into_iter().map(OsString::from);
        match crate::options::parse(boot.arch, PROGRAM, words) {
            Ok(Request::Run(mut options)) => {
                options.tb_cache = translations();
                Ok(system::run(PROGRAM, &options).unwrap_or_else(|fault| system::complain(PROGRAM, &fault)))
            }
            Ok(_) => Ok(0),
            Err(fault) => Err(Fault::usage(fault.to_string())),
        }
    });
    status.unwrap_or_else(Fault::report)
}

/// Where translations are kept from run to run, if the user has a place for such things.
fn translations() -> Option<String> {
    Images::open().ok()?.translations().into_os_string().into_string().ok()
}

/// What is booted, before memory, CPUs, network and further disks.
#[derive(Debug)]
pub struct Boot {
    /// The guest's architecture.
    pub arch: Arch,
    /// `-bios`.
    pub bios: Option<String>,
    /// `-kernel`.
    pub kernel: Option<String>,
    /// `-initrd`.
    pub initrd: Option<String>,
    /// Words of the kernel command line.
    pub append: Vec<String>,
    /// Disks, as the settings of `-drive`.
    pub drives: Vec<String>,
    /// Neither network nor entropy device.
    pub bare: bool,
    /// What has to stay open until the machine is built.
    pub _open: Option<std::fs::File>,
}

impl Boot {
    /// Nothing yet, for a guest of this architecture.
    pub fn of(arch: Arch) -> Self {
        Self {
            arch,
            bios: None,
            kernel: None,
            initrd: None,
            append: Vec::new(),
            drives: Vec::new(),
            bare: false,
            _open: None,
        }
    }
}

fn boot(args: &RunArgs) -> Result<Boot, Fault> {
    let name = &*args.image;
    if name == "hello" {
        return match args.arch {
            None | Some(Arch::Riscv64) => hello::boot(),
            Some(other) => {
                Err(Fault::usage(format!("hello is a riscv64 guest, not an {} one", other.name())))
            }
        };
    }
    // A name with a slash or a dot in it is a file, and so is one that is there and no image of ours.
    let images = Images::open()?;
    let is_file = Path::new(name).is_file();
    if images.knows(name) && !(is_file && name.contains('/')) {
        return images.boot(args);
    }
    if !is_file {
        return Err(Fault::usage(format!(
            "there is neither an image nor a file '{name}'; the images are hello, {}",
            images.names().join(", ")
        )));
    }
    match kind::of(Path::new(name)).map_err(|error| Fault::host(format!("cannot read {name}: {error}")))? {
        FileKind::Disk(format) => disk::boot(name, format, args.arch.unwrap_or(Arch::Riscv64)),
        FileKind::Kernel(arch) => {
            let arch = args.arch.or(arch).unwrap_or(Arch::Riscv64);
            let console = match arch {
                Arch::Aarch64 => "console=ttyAMA0",
                Arch::Riscv64 => "console=ttyS0",
            };
            Ok(Boot {
                bios: built_in_firmware(arch),
                kernel: Some(name.into()),
                append: vec![console.into()],
                ..Boot::of(arch)
            })
        }
        FileKind::Firmware => Ok(Boot { bios: Some(name.into()), ..Boot::of(Arch::Riscv64) }),
    }
}

impl Boot {
    /// The words that name the machine.
    pub fn machine(&self) -> Vec<String> {
        let words: &[&str] = match self.arch {
            Arch::Aarch64 => &["-machine", "virt,gic-version=max", "-cpu", "max"],
            Arch::Riscv64 => &["-machine", "virt"],
        };
        words.iter().map(|word| word.to_string()).collect()
    }

    /// The command line.
    fn words(&self, args: &RunArgs) -> Vec<String> {
        let mut words = self.machine();
        let mut say = |option: &str, value: String| words.extend([option.to_string(), value]);
        say("-m", format!("{}B", args.memory));
        say("-smp", args.cpus.to_string());
        let texts = [("-bios", &self.bios), ("-kernel", &self.kernel), ("-initrd", &self.initrd)].into_iter();
        texts.for_each(|(option, value)| value.iter().for_each(|value| say(option, value.clone())));
        if self.kernel.is_some() {
            let append: Vec<String> = self.append.iter().chain(&args.append).cloned().collect();
            say("-append", append.join(" "));
        }
        let own = args.disk.iter().map(|file| format!("file={}", escape(file)));
        for drive in self.drives.iter().cloned().chain(own) {
            say("-drive", format!("if=virtio,discard=unmap,{drive}"));
        }
        if !self.bare {
            say("-device", "virtio-rng-pci".into());
        }
        if self.bare || args.no_network {
            say("-nic", "none".into());
        } else {
            say("-nic", format!("user,model=virtio-net-pci{}", forwards(&args.publish)));
        }
        words.push("-nographic".into());
        if args.snapshot {
            words.push("-snapshot".into());
        }
        words
    }
}

/// `-bios` of a machine that needs no firmware file: on aarch64 that is usual.
pub fn built_in_firmware(arch: Arch) -> Option<String> {
    match arch {
        Arch::Aarch64 => None,
        Arch::Riscv64 => Some("builtin".into()),
    }
}

fn forwards(rules: &[HostForward]) -> String {
    let rule = |rule: &HostForward| {
        let protocol = match rule.protocol {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        };
        format!(",hostfwd={protocol}:{}:{}-:{}", rule.host, rule.host_port, rule.guest_port)
    };
    rules.iter().map(rule).collect()
}

/// A file name within an option: commas part its settings.
pub fn escape(file: &str) -> String {
    file.replace(',', ",,")
}
