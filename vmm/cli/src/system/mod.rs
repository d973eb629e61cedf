//! The system emulator: from a typed command line to a machine that runs, and to an exit status.
//!
//! [`System::build`] is the recipe; each step has a file of its own.

mod attach;
mod boot;
pub mod chaos;
mod chardevs;
mod clock;
mod cpu;
mod disks;
mod error;
mod fw_cfg;
pub mod log;
mod nets;
mod panic_watch;
mod plugs;
mod semihost;
mod signals;
mod verdict;

use std::ffi::OsString;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use attach::Attached;

use base::{CpuLines, allocate_ram};
use devices::host::block::BlockBackend;
use devices::host::chardev::CharBackend;
use engine::riscv::Sbi;
use engine::{Machine, OnPanic, Policy, Power};
use machines::riscv_virt::map::RAM_BASE;
use machines::riscv_virt::{BootText, Parts, Virt};
use tcg_core::run::{CodeCache, CodeConfig, Vcpu, VcpuConfig};
use tcg_riscv::Riscv;

use crate::options::{self, HangAction, PanicAction, Request, SerialTarget, SystemOptions};
use boot::Boot;
use chardevs::Chardevs;
use disks::Disks;
pub use error::{HOST, SystemError, USAGE};
use panic_watch::PanicWatch;
use verdict::Verdict;

/// Runs the command line `words` of the program called `program`; the exit status.
pub fn command(program: &str, words: impl IntoIterator<Item = OsString>) -> u8 {
    let options = match options::parse(program, words) {
        Ok(Request::Run(options)) => options,
        Ok(Request::Text(text)) => return print(&text),
        Ok(Request::CpuHelp) => return print(&cpu::listing()),
        Err(fault) => return complain(program, &SystemError::from(fault)),
    };
    run(program, &options).unwrap_or_else(|fault| complain(program, &fault))
}

/// Runs a machine as the process' only business: with its signals, its log and its process id file.
pub fn run(program: &str, options: &SystemOptions) -> Result<u8, SystemError> {
    let power = Arc::new(Power::default());
    signals::end_the_run(program, &power).map_err(SystemError::host("cannot wait for signals"))?;
    log::start(program, &options.log, |path| fs::File::create(path))?;
    let _pidfile = options.pidfile.as_deref().map(PidFile::write).transpose()?;
    let system = System::build(program, options, power)?;
    if let Some(file) = &options.machine.dumpdtb {
        write(Path::new(file), &system.device_tree)?;
        drop(system);
        eprintln!("{program}: info: dtb dumped to {file}. Exiting.");
        return Ok(0);
    }
    system.run(program)
}

/// Says what is wrong; the exit status.
pub fn complain(program: &str, fault: &SystemError) -> u8 {
    eprintln!("{program}: {fault}");
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
    machine: Machine<Riscv>,
    device_tree: Vec<u8>,
    chardevs: Chardevs,
    attached: Attached,
    disks: Vec<Arc<dyn BlockBackend>>,
    verdict: Verdict,
}

impl System {
    /// Builds the machine that `options` describe; `power` is how others end it.
    pub fn build(program: &str, options: &SystemOptions, power: Arc<Power>) -> Result<Self, SystemError> {
        let cpu = cpu::model(options.cpu.as_ref())?;
        let clock = clock::machine_clock(&options.rtc)?;
        let ram = allocate_ram(&[(RAM_BASE, options.memory_size())])?;
        let mut disks = Disks::new(options);
        let flash = disks.flash()?;
        let chardevs = Chardevs::open(options, program, &power)?;
        let serial = PanicWatch::new(match options.serials.first() {
            Some(SerialTarget::Chardev(id)) => chardevs.front_end(id)?,
            Some(SerialTarget::None) | None => chardevs::nowhere("serial0")?,
        });
        let plugs = plugs::make(options, &chardevs, &mut disks, &ram)?;
        let lines: Vec<Arc<CpuLines>> = (0..options.smp.cpus).map(|_| Arc::default()).collect();

        let mut board = Virt::build(Parts {
            ram: ram.clone(),
            harts: lines.clone(),
            hart_info: cpu.info(),
            clock: clock.clone(),
            power: power.clone(),
            serial: serial.clone(),
            virtio_mmio: plugs.mmio,
            pci: plugs.pci,
            flash,
            aclint: options.machine.aclint,
            command_line: BootText::default(),
        })?;
        let boot = Boot::plan(options, &mut board)?;
        boot.load(&ram, &board)?;

        let (mut code_settings, mut vcpu_settings) = (code_config(options), VcpuConfig::default());
        log::apply(&options.log, &mut code_settings, &mut vcpu_settings);
        chaos::apply(&mut code_settings, &mut vcpu_settings)?;
        let code = CodeCache::new(board.space.clone(), code_settings)
            .map_err(SystemError::host("cannot allocate memory for translated code"))?;
        let harts = lines.into_iter().enumerate();
        let mut vcpus: Vec<Vcpu<Riscv>> = harts
            .map(|(n, lines)| {
                let hart = cpu.hart(n as u64, &board.time, &lines);
                Vcpu::new(hart, lines, &code, vcpu_settings)
            })
            .collect();
        let sbi = boot.needs_sbi().then(|| {
            let serial = serial.clone();
            let console = move |bytes: &[u8]| write_all(&*serial, bytes);
            Sbi::new(vcpus.len(), power.clone(), Box::new(console))
        });

        let semihost = semihost::start(options, &chardevs, &power)?;
        engine::riscv::install(&mut vcpus, sbi.as_ref(), semihost.as_ref());

        let attached = Attached::start(program, options, &power, (&board, &chardevs, &disks))?;
        if let Some(timeout) = options.timeout {
            verdict::limit(timeout, &clock, &power)?;
        }
        let policy = Policy {
            start_paused: options.paused,
            reboot_ends: options.actions.reboot_ends,
            shutdown_pauses: options.actions.shutdown_pauses,
            panic: match options.actions.panic {
                PanicAction::Pause => OnPanic::Pause,
                PanicAction::Shutdown | PanicAction::ExitFailure => OnPanic::End,
                PanicAction::None => OnPanic::Run,
            },
            hang_ends: options.actions.hang != HangAction::None,
            in_step: if boot.needs_sbi() { 0 } else { engine::riscv::IN_STEP },
        };
        let device_tree = boot.device_tree().to_vec();
        let devices = board.devices.iter().map(|(_, device)| device.clone()).collect();
        let mut first = true;
        let reload = move |vcpus: &mut [Vcpu<Riscv>]| {
            // The first time everything is in place.
            if !std::mem::take(&mut first)
                && let Err(fault) = boot.load(&ram, &board)
            {
                tracing::error!("{fault}");
            }
            boot.reset(vcpus, sbi.as_ref());
        };
        Ok(Self {
            machine: Machine::new(vcpus, devices, clock, power, Box::new(reload), policy),
            device_tree,
            chardevs,
            attached,
            disks: disks.into_backends(),
            verdict: Verdict::new(options, serial),
        })
    }

    /// Runs the machine to its end; the exit status.
    pub fn run(self, program: &str) -> Result<u8, SystemError> {
        self.chardevs.let_in();
        let end = self.machine.run().map_err(SystemError::host("cannot start a thread for a CPU"))?;
        for disk in &self.disks {
            disk.flush().map_err(SystemError::host("cannot write a disk image back"))?;
        }
        // Those who are attached hear of the end before their lines are closed.
        self.attached.end();
        self.chardevs.flush();
        Ok(self.verdict.status(program, end))
    }
}

fn code_config(options: &SystemOptions) -> CodeConfig {
    let mut config = CodeConfig::default();
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
