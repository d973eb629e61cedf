//! What attaches to the machine: monitors, and gdb.

use std::sync::{Arc, OnceLock, Weak};

use control::gdb::{Server, System};
use control::hmp::Hmp;
use control::qmp::{Error, Qmp};
use control::{
    CharInfo, CheckpointInfo, Context, CpuModelInfo, DeviceInfo, DiskCounts, DiskInfo, Facts, Host, Jobs,
    NetInfo, Part, PropertyInfo, Session, SnapshotInfo, SnapshotRequest,
};
use devices::host::chardev as host;
use engine::Power;
use machines::Chassis;
use parking_lot::Mutex;
use tcg_core::observe::Record;

use super::board;
use super::chardevs;
use super::error::SystemError;
use super::inventory::{Contents, Inventory};
use super::log;
use super::snapshots::{self, Snapshots};
use crate::options::log::LogItem;
use crate::options::{
    self, BlockDriver, CharBackend, Chardev, DeviceKind, Drive, MonitorMode, NetBackend, SocketAddress,
    SystemOptions,
};
use crate::personality::Arch;

/// The conversations that go on.
pub struct Attached {
    sessions: Vec<Session>,
    surroundings: Arc<Surroundings>,
}

impl Attached {
    /// Starts those that the command line asks for.
    pub fn start(
        program: &str,
        options: &SystemOptions,
        power: &Arc<Power>,
        cpu_type: String,
        (board, device_tree, inventory): (&Chassis, &[u8], &Arc<Inventory>),
        snapshots: &Arc<Snapshots>,
    ) -> Result<Self, SystemError> {
        let surroundings = Arc::new(Surroundings {
            arch: options.machine.kind.arch,
            inventory: inventory.clone(),
            snapshots: snapshots.clone(),
            context: OnceLock::new(),
            gdb: Mutex::new(None),
        });
        let context = Arc::new(Context {
            facts: facts(program, options, cpu_type),
            power: power.clone(),
            space: board.space.clone(),
            device_tree: device_tree.to_vec(),
            devices: board.devices.clone(),
            host: surroundings.clone(),
            jobs: Jobs::default(),
        });
        // It was not set before.
        let _ = surroundings.context.set(Arc::downgrade(&context));
        let mut sessions = Vec::new();
        for monitor in &options.monitors {
            let id = &*monitor.chardev;
            let line = inventory.contents().chardevs.line(id)?;
            let started = match monitor.mode {
                MonitorMode::Readline => Session::start(id, line, power, Hmp::new(context.clone())),
                MonitorMode::Control { pretty } => {
                    Session::start(id, line, power, Qmp::new(context.clone(), pretty))
                }
            };
            sessions.push(started.map_err(failed)?);
        }
        if let Some(id) = &options.gdb {
            let line = inventory.contents().chardevs.line(id)?;
            let server = Server::new(System::new(context.clone()));
            *surroundings.gdb.lock() = Some(Session::start("gdb", line, power, server).map_err(failed)?);
        }
        // Sessions hold it; without any nobody asks for it.
        Ok(Self { sessions, surroundings })
    }

    /// Has those who are attached hear of the end.
    pub fn end(&self) {
        let gdb = self.surroundings.gdb.lock();
        for session in self.sessions.iter().chain(gdb.as_ref()) {
            session.finish();
        }
    }
}

fn failed(fault: std::io::Error) -> SystemError {
    SystemError::host("cannot start a thread for a monitor")(fault)
}

fn facts(program: &str, options: &SystemOptions, cpu_type: String) -> Facts {
    Facts {
        program: program.into(),
        version: options::QEMU_VERSION_NUMBERS,
        package: String::new(),
        target: options.machine.kind.arch.name(),
        machine: options.machine.kind.name,
        cpu_type,
        name: options.name.guest.clone(),
        uuid: options.uuid,
        cpus: options.smp.cpus,
        max_cpus: options.machine.kind.max_cpus,
        ram_id: options.machine.kind.ram_id,
        memory: options.memory_size(),
    }
}

/// What is around the machine, as monitors see it.
struct Surroundings {
    arch: Arch,
    inventory: Arc<Inventory>,
    snapshots: Arc<Snapshots>,
    context: OnceLock<Weak<Context>>,
    gdb: Mutex<Option<Session>>,
}

impl Surroundings {
    fn start_gdb(&self, device: &str) -> Result<Session, String> {
        let context = self.context.get().and_then(Weak::upgrade).ok_or("the machine is gone")?;
        let origin = format!("gdbserver {device}");
        let chardev = Chardev::read_short(&options::listening(device), "gdb", &origin);
        let chardev = chardev.map_err(|fault| fault.at(&origin).to_string())?;
        let config = chardevs::config(&chardev, Some("gdb")).map_err(|fault| fault.to_string())?;
        let backend = host::open(&config, "gdb").map_err(|fault| fault.to_string())?;
        let server = Server::new(System::new(context.clone()));
        Session::start("gdb", (backend, false), &context.power, server).map_err(|fault| fault.to_string())
    }
}

impl Host for Surroundings {
    fn chardevs(&self) -> Vec<CharInfo> {
        char_infos(&self.inventory.contents())
    }

    fn disks(&self) -> Vec<DiskInfo> {
        disk_infos(&self.inventory.contents())
    }

    fn devices(&self) -> Vec<DeviceInfo> {
        self.inventory.devices()
    }

    fn device_types(&self) -> Vec<&'static str> {
        options::device_table::DEVICES.iter().map(|kind| kind.name).collect()
    }

    fn device_properties(&self, name: &str) -> Option<Vec<PropertyInfo>> {
        let kind = options::device_table::DEVICES.iter().find(|kind| kind.name == name)?;
        let mut rows: Vec<&options::props::Prop> = kind.props.iter().flat_map(|table| table.iter()).collect();
        rows.sort_by_key(|row| row.name);
        let info = |row: &options::props::Prop| PropertyInfo {
            name: row.name,
            kind: row.kind.type_name(),
            about: row.help,
        };
        Some(rows.into_iter().map(info).collect())
    }

    fn command_line_options(&self) -> Vec<(&'static str, Vec<PropertyInfo>)> {
        let info = |row: &options::props::Prop| PropertyInfo {
            name: row.name,
            kind: options::parameters::type_name(row.kind).into(),
            about: row.help,
        };
        let all = options::parameters::options(self.arch).into_iter();
        all.map(|(name, rows)| (name, rows.into_iter().map(info).collect())).collect()
    }

    fn cpu_models(&self) -> Vec<CpuModelInfo> {
        board::cpu_models(self.arch)
    }

    fn cpu_switches(&self, name: &str, switches: &[(String, bool)]) -> Result<Vec<(String, bool)>, String> {
        let switch = |(name, on): &(String, bool)| (name.clone(), if *on { "on" } else { "off" }.into());
        let props = switches.iter().map(switch).collect();
        let model = options::CpuModel { name: name.into(), props, origin: "model".into() };
        board::cpu_switches(self.arch, &model).map_err(|fault| fault.to_string())
    }

    fn add(&self, part: Part, words: &str) -> Result<(), Error> {
        self.inventory.add(part, words)
    }

    fn remove(&self, part: Part, id: &str) -> Result<(), Error> {
        self.inventory.remove(part, id)
    }

    fn forward(&self, netdev: Option<&str>, rule: &str) -> Result<(), String> {
        self.inventory.forward(netdev, rule)
    }

    fn forward_no_more(&self, netdev: Option<&str>, rule: &str) -> Result<bool, String> {
        self.inventory.forward_no_more(netdev, rule)
    }

    fn forwards(&self) -> String {
        self.inventory.forwards()
    }

    fn snapshots(&self) -> Vec<SnapshotInfo> {
        self.snapshots.list()
    }

    fn checkpoints(&self) -> Vec<CheckpointInfo> {
        self.snapshots.checkpoints()
    }

    fn save_snapshot(&self, request: SnapshotRequest, replace: bool) -> Result<(), String> {
        self.snapshots.save_snapshot(&request, replace)
    }

    fn load_snapshot(&self, request: SnapshotRequest) -> Result<(), String> {
        self.snapshots.load_snapshot(&request)
    }

    fn delete_snapshot(&self, request: SnapshotRequest) -> Result<(), String> {
        self.snapshots.delete_snapshot(&request)
    }

    fn networks(&self) -> Vec<NetInfo> {
        net_infos(&self.inventory.contents().options)
    }

    fn log(&self, items: &str) -> Result<(), String> {
        if items == "none" {
            log::choose(&[]);
            return Ok(());
        }
        match options::log::items(items) {
            Ok(Some(items)) if items.contains(&LogItem::Tid) => return Err("tid: only -d takes it".into()),
            Ok(Some(items)) => log::choose(&items),
            Ok(None) => return Err("say which items; -d help lists them".into()),
            Err(fault) => return Err(fault.at("log").to_string()),
        }
        Ok(())
    }

    fn log_help(&self) -> String {
        options::help::log_items()
    }

    fn log_items(&self) -> Vec<(&'static str, bool)> {
        log::items()
    }

    fn log_file(&self, file: &str) -> Result<(), String> {
        log::write_to(file).map_err(|error| format!("{file}: {error}"))
    }

    fn translations(&self, record: &Record, number: usize) -> String {
        tcg_plugins::tb_stats::table(record, number)
    }

    fn gdb_server(&self, device: &str) -> Result<(), String> {
        let mut gdb = self.gdb.lock();
        // The old one first: they may want the same port.
        *gdb = None;
        if device != "none" {
            *gdb = Some(self.start_gdb(device)?);
        }
        Ok(())
    }
}

/// A character device as QEMU names it.
fn filename(chardev: &Chardev) -> String {
    match &chardev.backend {
        CharBackend::Null => "null".into(),
        CharBackend::Vc => "vc".into(),
        CharBackend::Stdio { .. } => "stdio".into(),
        CharBackend::Test { .. } => "test".into(),
        CharBackend::File { .. } => "file".into(),
        CharBackend::Pipe { .. } => "pipe".into(),
        CharBackend::Pty { .. } => "pty".into(),
        CharBackend::Socket { address, role, .. } => {
            let server = matches!(role, options::SocketRole::Server { .. });
            let address = match address {
                SocketAddress::Unix { path, .. } => format!("unix:{path}"),
                SocketAddress::Tcp { host, port, .. } => format!("tcp:{host}:{port}"),
                SocketAddress::Fd(fd) => format!("fd:{fd}"),
            };
            format!("{address}{}", if server { ",server=on" } else { "" })
        }
    }
}

fn char_infos(contents: &Contents) -> Vec<CharInfo> {
    let (options, mut infos) = (&contents.options, Vec::new());
    let filename = |chardev: &Chardev| {
        let path = contents.chardevs.path(&chardev.id);
        path.map_or_else(|| filename(chardev), |path| format!("pty:{}", path.display()))
    };
    for chardev in &options.chardevs {
        let used = options.uses_chardev(&chardev.id);
        let info = |label: String, filename: String| CharInfo { label, filename, used };
        if chardev.mux {
            infos.push(info(chardev.id.clone(), "mux".into()));
            infos.push(info(format!("{}-base", chardev.id), filename(chardev)));
        } else {
            infos.push(info(chardev.id.clone(), filename(chardev)));
        }
    }
    infos
}

fn disk_infos(contents: &Contents) -> Vec<DiskInfo> {
    let options = &contents.options;
    let user = |name: &str| {
        let chip = options.machine.pflash.iter().position(|node| node.as_deref() == Some(name));
        if let Some(unit) = chip {
            return Some(format!("/machine/{}.flash{unit}", options.machine.kind.name));
        }
        let device = options.devices.iter().find(|device| device.props.text("drive") == Some(name))?;
        let id = device.id.clone();
        Some(id.map_or_else(|| "/machine/peripheral-anon".into(), |id| format!("/machine/peripheral/{id}")))
    };
    let seen = contents.disks.open().map(|(name, disk)| {
        let drive = options.drive(name);
        DiskInfo {
            device: drive.map_or(String::new(), |drive| drive.id.clone()),
            qdev: user(name),
            node: drive.map_or(name.into(), Drive::node_name),
            file: disk.file.clone(),
            driver: disk.format.clone(),
            read_only: disk.backend.read_only(),
            size: disk.backend.capacity(),
            snapshots: snapshots::of_image(&disk.image),
            counts: disk.counted.counts(),
        }
    });
    let mut infos: Vec<DiskInfo> = seen.collect();
    // Files that nobody uses yet.
    for node in options.block_nodes.iter().filter(|node| contents.disks.is_closed(node)) {
        let (Some(name), BlockDriver::File { filename, .. }) = (&node.name, &node.driver) else { continue };
        infos.push(DiskInfo {
            device: String::new(),
            qdev: None,
            node: name.clone(),
            file: filename.clone(),
            driver: "file".into(),
            read_only: node.options.read_only.unwrap_or(false),
            size: std::fs::metadata(filename).map_or(0, |metadata| metadata.len()),
            snapshots: Vec::new(),
            counts: DiskCounts::default(),
        });
    }
    infos.sort_by(|a, b| (&a.device, &a.node).cmp(&(&b.device, &b.node)));
    infos
}

fn net_infos(options: &SystemOptions) -> Vec<NetInfo> {
    let device = |id: &str| {
        let of_kind = |device: &&options::DeviceArg| device.kind.kind == DeviceKind::Net;
        let mut nics = options.devices.iter().filter(of_kind);
        let device = nics.find(|device| device.props.text("netdev") == Some(id))?;
        Some(device.id.clone().unwrap_or_else(|| format!("{}.0", device.kind.name)))
    };
    let info = |netdev: &options::Netdev| {
        let (kind, about) = match &netdev.backend {
            NetBackend::User(user) => {
                let restrict = if user.restrict { "on" } else { "off" };
                ("user", format!("host={},restrict={restrict}", user.gateway))
            }
            NetBackend::Tap(tap) => ("tap", format!("ifname={}", tap.ifname.as_deref().unwrap_or("tap"))),
        };
        NetInfo { id: netdev.id.clone(), kind: kind.into(), device: device(&netdev.id), about }
    };
    options.netdevs.iter().map(info).collect()
}
