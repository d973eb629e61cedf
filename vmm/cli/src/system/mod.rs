//! The system emulator: from a typed command line to a machine that runs, and to an exit status.
//!
//! [`System::build`] is the recipe; each step has a file of its own.

mod attach;
mod board;
mod by_turns;
pub mod chaos;
mod chardevs;
mod clock;
mod daemon;
mod disks;
mod error;
mod fw_cfg;
mod images;
mod inventory;
pub mod log;
mod nets;
mod panic_watch;
mod plugins;
mod plugs;
mod recording;
mod seeded;
mod signals;
mod snapshots;
mod test_line;
pub mod translations;
mod verdict;

use std::ffi::OsString;
use std::fs;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use attach::Attached;

use base::{CpuLines, allocate_ram};
use board::{Around, Board};
use by_turns::ByTurns;
use devices::host::chardev::CharBackend;
use engine::replay::Journal;
use engine::snapshot::{Identity, Saver};
use engine::{End, Machine, Policy, Power};
use machines::Parts;
use tcg_core::observe::Record;
use tcg_core::run::{CodeCache, CodeConfig, Vcpu, VcpuConfig};

use crate::options::{self, Request, SerialTarget, SystemOptions};
use crate::personality::Arch;
use chardevs::Chardevs;
use disks::Disks;
pub use error::{HOST, SystemError, USAGE};
use inventory::{Ground, Inventory};
use nets::Nets;
use panic_watch::PanicWatch;
use plugs::Means;
use snapshots::Snapshots;
use verdict::Verdict;

/// Runs the command line `words` of the program called `program`, the emulator of `arch`; the exit status.
pub fn command(arch: Arch, program: &str, words: impl IntoIterator<Item = OsString>) -> u8 {
    let options = match options::parse(arch, program, words) {
        Ok(Request::Run(options)) => options,
        Ok(Request::Text(text)) => return print(&text),
        Ok(Request::CpuHelp) => return print(&board::cpu_listing(arch)),
        Err(fault) => return complain(program, &SystemError::from(fault)),
    };
    run(program, &options).unwrap_or_else(|fault| complain(program, &fault))
}

/// Runs a machine as the process' only business: with its signals, its log and its process id file.
pub fn run(program: &str, options: &SystemOptions) -> Result<u8, SystemError> {
    let waiting = match options.daemonize {
        true => Some(daemon::divide().map_err(SystemError::host("cannot start a process for -daemonize"))?),
        false => None,
    };
    let power = Arc::new(Power::default());
    signals::end_the_run(program, &power).map_err(SystemError::host("cannot wait for signals"))?;
    log::start(program, &options.log, |path| fs::File::create(path))?;
    let _pidfile = options.pidfile.as_deref().map(PidFile::write).transpose()?;
    let system = System::build(program, options, power)?;
    if let Some(file) = &options.machine.dumpdtb {
        write(Path::new(file), &system.device_tree)?;
        drop(system);
        say(format_args!("{program}: info: dtb dumped to {file}. Exiting."));
        return Ok(0);
    }
    if let Some(waiting) = waiting {
        waiting.ready().map_err(SystemError::host("cannot leave the terminal"))?;
    }
    system.run(program)
}

/// Writes a line to stderr, which may be closed.
pub fn say(line: impl std::fmt::Display) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Says what is wrong; the exit status.
pub fn complain(program: &str, fault: &SystemError) -> u8 {
    say(format_args!("{program}: {fault}"));
    fault.status()
}

/// Prints on stdout; that nobody reads it is no fault.
pub fn print(text: &str) -> u8 {
    let _ = std::io::stdout().write_all(text.as_bytes());
    0
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), SystemError> {
    fs::write(path, bytes).map_err(|source| SystemError::Write { path: path.into(), source })
}

/// A file that tells our process id for as long as we run.
struct PidFile(String);

impl PidFile {
    fn write(path: &str) -> Result<Self, SystemError> {
        write(Path::new(path), format!("{}\n", std::process::id()).as_bytes())?;
        Ok(Self(path.into()))
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        // Somebody has removed it already.
        let _ = fs::remove_file(&self.0);
    }
}

/// A machine with everything that is connected to it.
pub struct System {
    run: Box<dyn FnOnce() -> io::Result<End>>,
    device_tree: Vec<u8>,
    inventory: Arc<Inventory>,
    attached: Attached,
    snapshots: Arc<Snapshots>,
    /// What `-loadvm` names.
    loaded: Option<String>,
    verdict: Verdict,
    record: Option<Arc<Record>>,
    /// What gave turns to the vCPUs.
    turns: Option<Arc<ByTurns>>,
}

impl System {
    /// Builds the machine that `options` describe; `power` is how others end it.
    pub fn build(program: &str, options: &SystemOptions, power: Arc<Power>) -> Result<Self, SystemError> {
        match options.machine.kind.arch {
            Arch::Aarch64 => Self::with::<board::arm::ArmVirt>(program, options, power),
            Arch::Riscv64 => Self::with::<board::riscv::RiscvVirt>(program, options, power),
        }
    }

    /// The recipe.
    fn with<B: Board>(
        program: &str,
        options: &SystemOptions,
        power: Arc<Power>,
    ) -> Result<Self, SystemError> {
        let model = B::model(options)?;
        let journal = recording::open(options, cpu_model(options, &B::cpu_type(&model)))?;
        let turns = options.icount.as_ref().map(|icount| ByTurns::new(icount, journal));
        let on_record =
            turns.as_ref().map(|turns| turns.inputs()).filter(|inputs| inputs.journal().is_some());
        let options = &recording::seeded(options, on_record.map(|inputs| &**inputs));
        let clock = clock::machine_clock(&options.rtc, turns.as_deref())?;
        let ram = allocate_ram(&[(B::RAM_BASE, options.memory_size())])?;
        let (mut disks, mut nets) = (Disks::new(on_record.cloned()), Nets::default());
        let flash = disks.flash(options, B::FLASH_SIZE)?;
        let chardevs = Chardevs::open(options, program, &power, &clock, turns.as_ref())?;
        let port = |n: usize| match options.serials.get(n) {
            Some(SerialTarget::Chardev(id)) if n < options.serial_ports() => chardevs.for_device(id),
            _ => chardevs::nowhere(&format!("serial{n}")),
        };
        let serial = PanicWatch::new(port(0)?);
        let plugs = plugs::make(&mut Means {
            options,
            chardevs: &chardevs,
            disks: &mut disks,
            nets: &mut nets,
            ram: &ram,
            machine: (&clock, &power),
        })?;
        // Forwarded ports of those that no device has are open, too; a run that repeats another has no network.
        if !on_record.is_some_and(|inputs| inputs.replays()) {
            options.netdevs.iter().try_for_each(|netdev| nets.get(netdev).map(drop))?;
        }
        let lines: Vec<Arc<CpuLines>> = (0..options.smp.cpus).map(|_| Arc::default()).collect();
        if let (Some(turns), Some(first)) = (&turns, lines.first()) {
            turns.inputs().wake(first);
        }
        let parts = Parts {
            ram: ram.clone(),
            cpus: lines.clone(),
            clock: clock.clone(),
            power: power.clone(),
            serial: serial.clone(),
            second_serial: port(1)?,
            virtio_mmio: plugs.mmio,
            pci: plugs.pci,
            flash,
        };
        let cpu_type = B::cpu_type(&model);
        let mut board = B::build(model, options, parts)?;
        board.load(&ram)?;

        let (mut code_settings, mut vcpu_settings) = (code_config(options), VcpuConfig::default());
        if code_settings.background {
            vcpu_settings.tiers.translate_after = SOON;
        }
        log::apply(&options.log, &mut code_settings, &mut vcpu_settings);
        let watch = plugins::watch(options, &power)?;
        watch.apply(&mut code_settings, &mut vcpu_settings);
        chaos::apply(&mut code_settings, &mut vcpu_settings)?;
        if let Some(folder) = &options.tb_cache {
            let circumstances = (&options.machine, &options.cpu);
            translations::keep(
                Path::new(folder),
                options.machine.kind.arch.name(),
                &circumstances,
                &options.log,
                &mut code_settings,
            )?;
        }
        code_settings.turns = turns.as_deref().map(|turns| turns.clock().clone());
        let code = CodeCache::new(board.chassis().space.clone(), code_settings)
            .map_err(SystemError::host("cannot allocate memory for translated code"))?;
        plugins::images(options).iter().for_each(|image| code.add_image(image));
        let cpus = lines.into_iter().enumerate();
        let mut vcpus: Vec<Vcpu<B::Guest>> =
            cpus.map(|(n, lines)| Vcpu::new(board.cpu(n, &lines), lines, &code, vcpu_settings)).collect();
        vcpus.iter_mut().for_each(Vcpu::show_registers);
        board.install(&mut vcpus, Around { options, chardevs: &chardevs, power: &power, serial: &serial })?;

        let identity = Identity {
            arch: options.machine.kind.arch.name().into(),
            machine: options.machine.kind.name.into(),
            cpu: cpu_model(options, &cpu_type),
            cpus: vcpus.len(),
        };
        let mut saved = board.chassis().devices.clone();
        saved.extend(board.firmware());
        let saver = Saver::new(identity, saved, clock.clone(), board.chassis().space.ram().clone());
        let ground = Ground {
            pci: board.chassis().pci.clone(),
            ram: ram.clone(),
            clock: clock.clone(),
            power: power.clone(),
        };
        let inventory = Inventory::new((**options).clone(), (chardevs, disks, nets), ground);
        let snapshots = Snapshots::new(options, saver.clone(), power.clone(), &inventory);
        if let Some(tag) = &options.loadvm {
            snapshots.load_first(tag);
        }
        let parts = (board.chassis(), board.device_tree(), &inventory);
        let attached = Attached::start(program, options, &power, cpu_type, parts, &snapshots)?;
        if let Some(timeout) = options.timeout {
            verdict::limit(timeout, &clock, &power)?;
        }
        let policy = Policy { start_paused: options.paused, in_step: board.in_step() };
        power.set_actions(|actions| *actions = options.actions);
        let device_tree = board.device_tree().to_vec();
        let devices = board.chassis().devices.iter().map(|(_, device)| device.clone()).collect();
        let mut first = true;
        let reload = move |vcpus: &mut [Vcpu<B::Guest>]| {
            // The first time everything is in place.
            if !std::mem::take(&mut first)
                && let Err(fault) = board.load(&ram)
            {
                tracing::error!("{fault}");
            }
            board.reset(vcpus);
        };
        let actions = power.clone();
        let kept = code.clone();
        let mut machine = Machine::new(vcpus, devices, clock, power, Box::new(reload), policy);
        if let Some(by_turns) = &turns {
            let turns = by_turns.turns();
            machine = machine.by_turns(match by_turns.inputs().replays() {
                true => turns.with_history(saver),
                false => turns,
            });
        }
        Ok(Self {
            run: Box::new(move || {
                let end = machine.run();
                if let Err(fault) = kept.save() {
                    tracing::warn!("-tb-cache: cannot keep the translations: {fault}");
                }
                end
            }),
            device_tree,
            inventory,
            attached,
            snapshots,
            loaded: options.loadvm.clone(),
            verdict: Verdict::new(options, serial, actions),
            record: watch.record,
            turns,
        })
    }

    /// Runs the machine to its end; the exit status.
    pub fn run(self, program: &str) -> Result<u8, SystemError> {
        self.inventory.contents().chardevs.let_in();
        let Ok(end) = std::panic::catch_unwind(std::panic::AssertUnwindSafe(self.run)) else {
            // What happened is on stderr; nothing of the machine is to be trusted.
            return Ok(self.verdict.internal());
        };
        let end = end.map_err(SystemError::host("cannot start a thread for a CPU"))?;
        self.snapshots.forget_checkpoints();
        for disk in self.inventory.backends() {
            disk.flush().map_err(SystemError::host("cannot write a disk image back"))?;
        }
        if let Some(record) = &self.record {
            record.finish();
        }
        // Those who are attached hear of the end before their lines are closed.
        self.attached.end();
        self.inventory.contents().chardevs.flush();
        if let Some(tag) = self.loaded
            && let Some(fault) = self.snapshots.fault()
        {
            return Err(SystemError::refused(&format!("-loadvm {tag}"), fault));
        }
        if let Some(turns) = self.turns
            && let Some(fault) = turns.inputs().journal().and_then(Journal::fault)
        {
            return Err(SystemError::refused("-icount", fault));
        }
        Ok(self.verdict.status(program, end))
    }
}

/// The CPU model with all that was said about it.
fn cpu_model(options: &SystemOptions, usual: &str) -> String {
    let Some(asked) = &options.cpu else { return usual.into() };
    let properties = asked.props.iter().map(|(name, value)| format!(",{name}={value}"));
    std::iter::once(asked.name.clone()).chain(properties).collect()
}

/// How often code is interpreted before it is translated in the background, which costs the vCPU little.
const SOON: u32 = 4;

fn code_config(options: &SystemOptions) -> CodeConfig {
    // With one core a translation is made as soon by who needs it.
    let background = std::thread::available_parallelism().is_ok_and(|cores| cores.get() > 1);
    let mut config = CodeConfig { background, ..CodeConfig::default() };
    if let Some(bytes) = options.accel.code_cache {
        config.code_bytes = bytes as usize;
    }
    if options.accel.one_insn_per_block {
        config.max_insns = 1;
    }
    config
}

/// How long the debug console waits for a serial line that takes nothing.
const CONSOLE_PATIENCE: Duration = Duration::from_millis(500);

/// Writes all of `bytes`, as long as somebody takes them.
fn write_all(to: &dyn CharBackend, mut bytes: &[u8]) {
    let limit = Instant::now() + CONSOLE_PATIENCE;
    while !bytes.is_empty() && Instant::now() < limit {
        let taken = to.write(bytes);
        bytes = &bytes[taken..];
        if taken == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}
