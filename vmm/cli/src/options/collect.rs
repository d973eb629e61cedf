//! The walk over the options: each is read by its own part and put where it belongs.

use super::Request;
use super::argv::Given;
use super::block::{BlockNode, Drive, DriveContext, DriveInterface, format_listing};
use super::chardev::Chardev;
use super::defaults::{Placement, Terminal};
use super::device::{DeviceArg, device_type};
use super::error::{Fault, UsageError};
use super::icount::{self, Icount};
use super::log;
use super::machine::{self, Accel, CpuModel, Machine, Memory, Smp};
use super::net::{Netdev, NicDevice};
use super::object::Object;
use super::optstring::{OptString, Setting};
use super::settings::{self, BootOrder, GuestName, MonitorMode, Rtc};
use super::system::{Firmware, SystemOptions};
use super::table::Opt;
use super::{check, help};
use crate::personality::Arch;

/// Repetitions of an option whose settings add up, later ones winning.
#[derive(Default)]
struct Merged {
    settings: OptString,
    origin: String,
}

impl Merged {
    fn add(&mut self, settings: OptString, origin: &str) {
        self.settings.merge(settings);
        self.origin = origin.into();
    }

    fn read<T>(self, read: impl FnOnce(OptString) -> Result<T, Fault>) -> Result<T, UsageError> {
        read(self.settings).map_err(|fault| fault.at(&self.origin))
    }
}

/// What has been read so far.
#[derive(Default)]
struct Walk {
    machine: Merged,
    smp: Merged,
    memory: Merged,
    boot: Merged,
    name: Merged,
    rtc: Merged,
    msg: Merged,
    cpu: Option<CpuModel>,
    accel: Option<Accel>,
    accel_refused: Option<UsageError>,
    accel_origin: Option<String>,
    actions: engine::Actions,
    firmware: Option<String>,
    kernel: Option<String>,
    initrd: Option<(String, String)>,
    append: Option<(String, String)>,
    dtb: Option<String>,
    drives: Vec<(OptString, String)>,
    block_nodes: Vec<BlockNode>,
    devices: Vec<DeviceArg>,
    netdevs: Vec<Netdev>,
    nics: Vec<(NicDevice, String)>,
    chardevs: Vec<Chardev>,
    objects: Vec<Object>,
    placement: Placement,
    log: log::LogOptions,
    uuid: Option<[u8; 16]>,
    watch: super::plugin::WatchOptions,
    seed: Option<u64>,
    tb_cache: Option<String>,
    icount: Option<Icount>,
    deterministic: bool,
    pidfile: Option<String>,
    daemonize: bool,
    paused: bool,
    timeout: Option<settings::Timeout>,
    exit_codes: settings::ExitCodes,
    semihosting: Option<settings::Semihosting>,
    snapshot: Option<String>,
    loadvm: Option<String>,
    snapshot_dir: Option<String>,
    data_dirs: Vec<String>,
}

/// Reads all options.
pub fn collect(arch: Arch, program: &str, given: Vec<Given>) -> Result<Request, UsageError> {
    let mut walk = Walk::default();
    for option in given {
        match walk.take(arch, program, &option) {
            Ok(None) => {}
            Ok(Some(request)) => return Ok(request),
            Err(fault) => return Err(fault.at(&option.origin)),
        }
    }
    walk.finish(arch).map(|options| Request::Run(Box::new(options)))
}

impl Walk {
    /// Reads one option; a request other than to run a machine ends the walk.
    fn take(&mut self, arch: Arch, program: &str, option: &Given) -> Result<Option<Request>, Fault> {
        let Given { opt, argument, origin } = option;
        let parse = |implied| OptString::parse(argument, Some(implied));
        let text = |text: String| Ok(Some(Request::Text(text)));
        let owned = || argument.clone();
        let drive = |settings: &[(&str, &str)]| {
            let setting =
                |(key, value): &(&str, &str)| Setting { key: (*key).into(), value: (*value).into() };
            (
                OptString { settings: settings.iter().map(setting).collect(), wants_help: false },
                origin.clone(),
            )
        };
        match opt.ok_or_else(|| Fault::not_available(""))? {
            Opt::Help => return text(help::usage(program)),
            Opt::Version => return text(help::version()),
            Opt::Machine => {
                let settings = parse("type");
                if settings.wants_help {
                    return help::machine(arch, &settings).map(|t| Some(Request::Text(t)));
                }
                self.machine.add(settings, origin);
            }
            Opt::Cpu if matches!(&**argument, "help" | "?") => return Ok(Some(Request::CpuHelp)),
            Opt::Cpu => self.cpu = Some(CpuModel::read(argument, origin)?),
            Opt::Accel => {
                let settings = parse("accel");
                if settings.wants_help {
                    return text(help::accel(&settings));
                }
                self.take_accel(settings, origin)?;
            }
            Opt::Smp => {
                let settings = parse("cpus");
                if settings.wants_help {
                    return text(help::properties("-smp", &[machine::SMP]));
                }
                self.smp.add(settings, origin);
            }
            Opt::Memory => self.memory.add(parse("size"), origin),
            Opt::Boot => self.boot.add(parse("order"), origin),
            Opt::Keyboard | Opt::NoUserConfig => {}
            Opt::Device => {
                let settings = OptString::parse_or_json(argument, Some("driver"))?;
                if settings.wants_help {
                    return help::device(&settings).map(|t| Some(Request::Text(t)));
                }
                self.devices.push(DeviceArg::read(settings, origin)?);
            }
            Opt::Name => self.name.add(parse("guest"), origin),
            Opt::Uuid => self.uuid = Some(settings::uuid(argument)?),
            Opt::HardDisk(index) => {
                let index = index.to_string();
                self.drives.push(drive(&[("media", "disk"), ("index", &index), ("file", argument)]));
            }
            Opt::Cdrom => self.drives.push(drive(&[("media", "cdrom"), ("index", "2"), ("file", argument)])),
            Opt::Pflash => self.drives.push(drive(&[("if", "pflash"), ("file", argument)])),
            Opt::Blockdev => {
                let settings = OptString::parse_or_json(argument, Some("driver"))?;
                self.block_nodes.push(BlockNode::read(settings, origin)?);
            }
            Opt::Drive => {
                let settings = OptString::parse(argument, None);
                let asks = |s: &Setting| s.key == "format" && matches!(&*s.value, "help" | "?");
                if settings.settings.iter().any(asks) {
                    return text(format_listing());
                }
                if settings.wants_help {
                    return text(help::properties("-drive", &[super::block::DRIVE]));
                }
                self.drives.push((settings, origin.clone()));
            }
            Opt::Snapshot => self.snapshot = Some(origin.clone()),
            Opt::Loadvm => self.loadvm = Some(owned()),
            Opt::SnapshotDir => self.snapshot_dir = Some(owned()),
            Opt::Display => match argument.split(',').next().unwrap_or_default() {
                "none" => self.placement.terminal = self.placement.terminal.max(Terminal::Unused),
                "help" | "?" => return text("Available display backend types:\nnone\n".into()),
                other => return Err(only(other, &["none"], &DISPLAYS, "display")),
            },
            Opt::Nographic => self.placement.terminal = Terminal::Forced,
            Opt::Vga => match &**argument {
                "none" => {}
                "help" | "?" => return text("none                 no graphic card\n".into()),
                other => return Err(only(other, &["none"], &CARDS, "video card")),
            },
            Opt::Netdev => {
                let settings = OptString::parse_or_json(argument, Some("type"))?;
                if settings.wants_help {
                    return help::netdev(&settings).map(|t| Some(Request::Text(t)));
                }
                self.netdevs.push(Netdev::read(settings, origin)?);
            }
            Opt::Nic | Opt::Net => {
                let settings = OptString::parse_or_json(argument, Some("type"))?;
                if settings.wants_help {
                    return text(help::nic());
                }
                let kind = settings.settings.iter().find(|s| s.key == "type").map(|s| &*s.value);
                match (opt, kind) {
                    (_, Some("none")) => {}
                    (Some(Opt::Net), _) => {
                        return Err(Fault::new(
                            "old form, which is not available; say -nic user or -nic tap",
                        ));
                    }
                    _ => {
                        let (netdev, device) = Netdev::read_nic(settings, self.nics.len(), origin)?;
                        self.netdevs.push(netdev);
                        self.nics.push((device, origin.clone()));
                    }
                }
            }
            Opt::Chardev => {
                let settings = OptString::parse_or_json(argument, Some("backend"))?;
                if settings.wants_help {
                    return help::chardev(&settings).map(|t| Some(Request::Text(t)));
                }
                self.chardevs.push(Chardev::read(settings, origin)?);
            }
            Opt::Bios => self.firmware = Some(owned()),
            Opt::Kernel => self.kernel = Some(owned()),
            Opt::Append => self.append = Some((owned(), origin.clone())),
            Opt::Initrd => self.initrd = Some((owned(), origin.clone())),
            Opt::Dtb => self.dtb = Some(owned()),
            Opt::Serial => self.placement.serial(argument, origin)?,
            Opt::Parallel if matches!(&**argument, "none" | "null") => {}
            Opt::Parallel => return Err(Fault::new("the machine has no parallel port; say -parallel none")),
            Opt::Monitor => self.placement.monitor(argument, MonitorMode::Readline, origin)?,
            Opt::Qmp { pretty } => {
                self.placement.monitor(argument, MonitorMode::Control { pretty }, origin)?;
            }
            Opt::Gdb => self.placement.gdb(argument, origin)?,
            Opt::GdbDefault => self.placement.gdb("tcp::1234", origin)?,
            Opt::Timeout => self.timeout = Some(settings::timeout(parse("seconds"))?),
            Opt::Semihosting => drop(self.semihosting.get_or_insert_default()),
            Opt::SemihostingConfig => {
                self.semihosting = settings::semihosting(OptString::parse(argument, None))?;
            }
            Opt::ExitCodes => self.exit_codes = settings::exit_codes(OptString::parse(argument, None))?,
            Opt::Mon => self.placement.monitor_on(settings::monitor(parse("chardev"))?, origin)?,
            Opt::Pidfile => self.pidfile = Some(owned()),
            Opt::Daemonize => self.daemonize = true,
            Opt::Paused => self.paused = true,
            Opt::LogItems => match log::items(argument)? {
                None => return text(help::log_items()),
                Some(items) => self.log.items = items,
            },
            Opt::LogFile => self.log.file = Some(log::file(argument)?),
            Opt::LogFilter => self.log.ranges = log::ranges(argument)?,
            Opt::Plugin => self.watch.plugins.push(super::plugin::read(argument)?),
            Opt::PerfMap => self.watch.perf_map = true,
            Opt::JitDump => self.watch.jit_dump = true,
            Opt::Coverage => self.watch.coverage = Some(owned()),
            Opt::Seed => self.seed = Some(super::value::unsigned(argument)?),
            Opt::TbCache => self.tb_cache = Some(owned()),
            Opt::DataDir => self.data_dirs.push(owned()),
            Opt::NoReboot => self.actions.reboot_ends = true,
            Opt::NoShutdown => self.actions.shutdown_pauses = true,
            Opt::Action => settings::apply_actions(&mut self.actions, OptString::parse(argument, None))?,
            Opt::WatchdogAction => self.actions.watchdog = settings::watchdog_action(argument)?,
            Opt::Nodefaults => self.placement.no_defaults = true,
            Opt::Rtc => {
                let settings = OptString::parse(argument, None);
                if settings.wants_help {
                    return text(help::properties("-rtc", &[settings::RTC]));
                }
                self.rtc.add(settings, origin);
            }
            Opt::Icount => {
                let settings = parse("shift");
                if settings.wants_help {
                    return text(help::properties("-icount", &[icount::ICOUNT]));
                }
                self.icount = Some(Icount::read(settings)?);
            }
            Opt::Deterministic => self.deterministic = true,
            Opt::Msg => self.msg.add(parse("timestamp"), origin),
            Opt::Object => {
                let settings = OptString::parse_or_json(argument, Some("qom-type"))?;
                if settings.wants_help {
                    return help::object(&settings).map(|t| Some(Request::Text(t)));
                }
                self.objects.push(Object::read(settings, origin)?);
            }
        }
        Ok(None)
    }

    /// The first accelerator that there is wins; that an earlier one was missing matters only when none is left.
    fn take_accel(&mut self, settings: OptString, origin: &str) -> Result<(), Fault> {
        self.accel_origin = Some(origin.into());
        let name = settings.settings.iter().find(|s| s.key == "accel").map(|s| s.value.clone());
        match name.as_deref().map(machine::accelerator) {
            Some(Ok(())) | None => {
                let accel = Accel::read(settings)?;
                self.accel.get_or_insert(accel);
            }
            Some(Err(fault))
                if machine::ACCELERATORS.iter().any(|(known, _)| Some(*known) == name.as_deref()) =>
            {
                self.accel_refused.get_or_insert(fault.at(origin));
            }
            Some(Err(fault)) => return Err(fault),
        }
        Ok(())
    }

    /// What `-machine accel=a:b` and `-accel` lead to.
    fn accelerator(&mut self, machine: &Machine, origin: &str) -> Result<Accel, UsageError> {
        if let Some(names) = machine.props.text("accel") {
            if let Some(other) = &self.accel_origin {
                return Err(Fault::new(format!("accel= can not stand with '{other}'")).at(origin));
            }
            let judged: Vec<_> = names.split(':').map(machine::accelerator).collect();
            if !judged.iter().any(Result::is_ok) {
                let fault = judged.into_iter().find_map(Result::err);
                return Err(fault.unwrap_or_else(|| Fault::new("accel= names no accelerator")).at(origin));
            }
        }
        match (self.accel.take(), self.accel_refused.take()) {
            (None, Some(refused)) => Err(refused),
            (accel, _) => Ok(accel.unwrap_or_default()),
        }
    }

    fn finish(mut self, arch: Arch) -> Result<SystemOptions, UsageError> {
        let merged = std::mem::take(&mut self.machine);
        let machine_origin = merged.origin.clone();
        let machine = merged.read(|settings| Machine::read(arch, settings))?;
        let accel = self.accelerator(&machine, &machine_origin)?;
        let smp = std::mem::take(&mut self.smp).read(|s| Smp::read(s, machine.kind))?;
        let memory = std::mem::take(&mut self.memory).read(Memory::read)?;
        let mut drives: Vec<Drive> = Vec::new();
        for (settings, origin) in self.drives {
            let context =
                DriveContext { earlier: &drives, machine: machine.kind, snapshot: self.snapshot.is_some() };
            let drive = Drive::read(settings, &origin, context).map_err(|fault| fault.at(&origin))?;
            drives.push(drive);
        }
        let text = |name: &str| machine.props.text(name).map(String::from);
        let with_origin = |name: &str| text(name).map(|value| (value, machine_origin.clone()));
        let kernel = self.kernel.or_else(|| text("kernel"));
        let initrd = self.initrd.or_else(|| with_origin("initrd"));
        let append = self.append.or_else(|| with_origin("append"));
        if let (None, Some((_, origin))) = (&kernel, append.as_ref().or(initrd.as_ref())) {
            return Err(Fault::new("needs -kernel beside it").at(origin));
        }
        let (dtb, firmware) = (text("dtb"), self.firmware.or_else(|| text("firmware")));
        if machine.props.flag("graphics") == Some(false) {
            self.placement.terminal = Terminal::Forced;
        }
        let mut devices = self.devices;
        for (device, origin) in self.nics {
            devices.push(plug(&device.model, device.settings, &origin)?);
        }
        for drive in drives.iter().filter(|d| d.interface == DriveInterface::Virtio) {
            devices.push(plug("virtio-blk-pci", vec![("drive", drive.id.clone())], &drive.origin)?);
        }
        let mut chardevs = self.chardevs;
        let placed = self.placement.finish(&mut chardevs)?;
        let options = SystemOptions {
            machine,
            cpu: self.cpu,
            accel,
            smp,
            memory,
            firmware: match firmware {
                None => Firmware::Default,
                Some(name) if name == "default" => Firmware::Default,
                Some(name) if name == "none" => Firmware::None,
                Some(name) if name == "builtin" => Firmware::BuiltIn,
                Some(file) => Firmware::File(file),
            },
            kernel,
            initrd: initrd.map(|(file, _)| file),
            append: append.map(|(line, _)| line),
            dtb: self.dtb.or(dtb),
            drives,
            block_nodes: self.block_nodes,
            devices,
            netdevs: self.netdevs,
            chardevs,
            serials: placed.serials,
            monitors: placed.monitors,
            gdb: placed.gdb,
            timeout: self.timeout,
            exit_codes: self.exit_codes,
            semihosting: self.semihosting,
            objects: self.objects,
            boot: self.boot.read(BootOrder::read)?,
            rtc: match self.deterministic && self.rtc.origin.is_empty() {
                true => icount::RTC,
                false => self.rtc.read(Rtc::read)?,
            },
            icount: self.icount.or(self.deterministic.then(Icount::deterministic)),
            actions: self.actions,
            log: self.log,
            name: self.name.read(GuestName::read)?,
            uuid: self.uuid,
            watch: self.watch,
            seed: self.seed.or(self.deterministic.then_some(icount::SEED)),
            tb_cache: self.tb_cache,
            loadvm: self.loadvm,
            snapshot_dir: self.snapshot_dir,
            pidfile: self.pidfile,
            daemonize: self.daemonize,
            paused: self.paused,
            data_dirs: self.data_dirs,
            timestamps: self.msg.read(settings::messages)?.0,
        };
        check::check(&options, &machine_origin)?;
        Ok(options)
    }
}

/// A device that another option stands for.
fn plug(model: &str, settings: Vec<(&str, String)>, origin: &str) -> Result<DeviceArg, UsageError> {
    let setting = |(key, value): (&str, String)| Setting { key: key.into(), value };
    let settings = OptString { settings: settings.into_iter().map(setting).collect(), wants_help: false };
    let device = device_type(model).and_then(|kind| DeviceArg::with_type(kind, settings, origin));
    device.map_err(|fault| fault.at(origin))
}

static DISPLAYS: [&str; 8] = ["gtk", "sdl", "curses", "vnc", "egl-headless", "dbus", "spice-app", "cocoa"];
static CARDS: [&str; 8] = ["std", "cirrus", "vmware", "qxl", "xenfb", "tcx", "cg3", "virtio"];

/// A word where only `here` can stand, and `others` could in QEMU.
fn only(word: &str, here: &[&'static str], others: &[&str], what: &str) -> Fault {
    if others.contains(&word) {
        return Fault::not_available(&format!("{what} '{word}'"));
    }
    Fault::unknown(format!("there is no {what} '{word}'"), word, here.iter().copied())
}
