//! The images that `guest-images` knows: fetching, listing, removing and booting them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use devices::host::block::{CreateOptions, create_qcow2};
use engine::Power;
use guest_images::{
    BuildStep, Disk, DiskFormat, Emulator, Guest, ImageInfo, PullOptions, Store, TerminalProgress,
};

use super::{Boot, Fault, PROGRAM, built_in_firmware, escape};
use crate::options::{self, Request};
use crate::personality::{Arch, ImageCommand, RunArgs};
use crate::system::{self, System};

/// The disk that a guest may write what it likes to.
const SCRATCH: &str = "scratch.qcow2";

/// The store of the user.
pub struct Images {
    store: Store,
}

impl Images {
    /// Opens it; nothing has to be there.
    pub fn open() -> Result<Self, Fault> {
        Ok(Self { store: Store::open_default().map_err(Fault::host)? })
    }

    /// Where translations of guests' code are kept.
    pub fn translations(&self) -> PathBuf {
        self.store.translations()
    }

    /// Whether there is an image of this name.
    pub fn knows(&self, name: &str) -> bool {
        self.store.knows(name)
    }

    /// All names.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.store.list().into_iter().map(|image| image.name).collect();
        names.sort();
        names.dedup();
        names
    }

    /// Fetches the image that `args` name if it is not here, and says how it is booted.
    pub fn boot(&self, args: &RunArgs) -> Result<Boot, Fault> {
        let options = PullOptions { mirror: args.mirror.clone(), ..PullOptions::default() };
        let name = match args.arch {
            Some(arch) if !args.image.contains(':') => format!("{}:{}", args.image, debian(arch)),
            _ => args.image.clone(),
        };
        let arch = guest_images::arch_of(&name).map_err(Fault::host)?;
        let guest = self
            .store
            .ensure(&name, &options, &TerminalProgress::new(), &mut Builder)
            .map_err(Fault::host)?;
        let mut boot = kernel_boot(emulated(arch), &guest.kernel, &guest.initrd, &guest.append);
        boot.drives.extend(guest.disks.iter().map(drive));
        boot.drives.extend(scratch(&guest)?);
        Ok(boot)
    }
}

/// Debian's name of an architecture.
fn debian(arch: Arch) -> &'static str {
    match arch {
        Arch::Aarch64 => guest_images::Arch::Arm64.debian(),
        Arch::Riscv64 => guest_images::Arch::Riscv64.debian(),
    }
}

/// The emulator for guests of an architecture.
fn emulated(arch: guest_images::Arch) -> Arch {
    match arch {
        guest_images::Arch::Arm64 => Arch::Aarch64,
        guest_images::Arch::Riscv64 => Arch::Riscv64,
    }
}

fn kernel_boot(arch: Arch, kernel: &Path, initrd: &Path, append: &str) -> Boot {
    Boot {
        bios: built_in_firmware(arch),
        kernel: Some(kernel.display().to_string()),
        initrd: Some(initrd.display().to_string()),
        append: vec![append.into()],
        ..Boot::of(arch)
    }
}

/// The settings of a disk's `-drive`.
fn drive(disk: &Disk) -> String {
    let format = match disk.format {
        DiskFormat::Raw => "raw",
        DiskFormat::Qcow2 => "qcow2",
    };
    let read_only = if disk.read_only { "on" } else { "off" };
    format!("format={format},readonly={read_only},file={}", escape(&disk.path.display().to_string()))
}

/// A disk beside the image's files for what the guest wants to keep, made at the first run.
fn scratch(guest: &Guest) -> Result<Option<String>, Fault> {
    let Some(folder) = guest.kernel.parent().filter(|_| guest.scratch_mib > 0) else { return Ok(None) };
    let path = folder.join(SCRATCH);
    if !path.exists() {
        let options = CreateOptions { size: guest.scratch_mib << 20, ..CreateOptions::default() };
        create_qcow2(&path, &options).map_err(Fault::host)?;
    }
    Ok(Some(drive(&Disk { path, format: DiskFormat::Qcow2, read_only: false })))
}

/// Boots the steps of a recipe within this program.
struct Builder;

impl Emulator for Builder {
    fn boot(&mut self, step: &BuildStep) -> Result<(), String> {
        let arch = emulated(step.arch);
        let boot = kernel_boot(arch, &step.kernel, &step.initrd, &step.append);
        let mut words = boot.machine();
        words.extend([
            "-nodefaults".to_string(),
            "-serial".into(),
            "null".into(),
            "-m".into(),
            step.memory_mib.to_string(),
            "-no-reboot".into(),
        ]);
        let texts = [("-bios", boot.bios), ("-kernel", boot.kernel), ("-initrd", boot.initrd)];
        for (option, value) in texts {
            words.extend(value.into_iter().flat_map(|value| [option.to_string(), value]));
        }
        words.extend(["-append".into(), boot.append.join(" ")]);
        for disk in &step.disks {
            // What an interrupted build leaves behind is thrown away anyway.
            words.extend(["-drive".into(), format!("if=virtio,cache=unsafe,{}", drive(disk))]);
        }
        let options =
            options::parse(arch, PROGRAM, words.into_iter().map(Into::into)).map_err(|f| f.to_string())?;
        let Request::Run(options) = options else { return Err("the words ask for no machine".into()) };
        let system =
            System::build(PROGRAM, &options, Arc::new(Power::default())).map_err(|f| f.to_string())?;
        match system.run(PROGRAM) {
            Ok(0) => Ok(()),
            Ok(status) => Err(format!("the guest ended with status {status}")),
            Err(fault) => Err(fault.to_string()),
        }
    }
}

/// `mimic image`; the exit status.
pub fn command(command: &ImageCommand) -> u8 {
    manage(command).map(|text| system::print(&text)).unwrap_or_else(Fault::report)
}

/// What to print.
fn manage(command: &ImageCommand) -> Result<String, Fault> {
    let store = Images::open()?.store;
    let progress = TerminalProgress::new();
    match command {
        ImageCommand::List => Ok(store.list().iter().map(line).collect()),
        ImageCommand::Pull { name, mirror } => {
            let options = PullOptions { mirror: mirror.clone(), ..PullOptions::default() };
            let guest = store.pull(name, &options, &progress, &mut Builder).map_err(Fault::host)?;
            Ok(format!("{}\n", folder(&guest)))
        }
        ImageCommand::Root { directory, arch, packages, emulator, mirror } => {
            let options =
                PullOptions { mirror: mirror.clone(), packages: packages.clone(), ..PullOptions::default() };
            store.root(*arch, &options, directory, &progress).map_err(Fault::host)?;
            if *emulator {
                super::emulator::put_into(directory, *arch).map_err(Fault::host)?;
            }
            Ok(format!("{}\n", directory.display()))
        }
        ImageCommand::Path { name } => Ok(format!("{}\n", folder(&store.path(name).map_err(Fault::host)?))),
        ImageCommand::Rm { name } => {
            let freed = store.remove(name, &progress).map_err(Fault::host)?;
            Ok(format!("{name} is gone; {} MiB are free again\n", freed >> 20))
        }
    }
}

/// Where an image's files are.
fn folder(guest: &Guest) -> String {
    guest.kernel.parent().unwrap_or(&guest.kernel).display().to_string()
}

fn line(image: &ImageInfo) -> String {
    let here = match image.size {
        Some(bytes) => format!("{} MiB", bytes >> 20),
        None => "-".into(),
    };
    format!("{:<18} {:<8} {here:>9}  {}\n", image.name, image.arch.to_string(), image.description)
}
