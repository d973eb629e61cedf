//! `-machine`, `-cpu`, `-accel`, `-smp` and `-m`.

use super::error::Fault;
use super::optstring::OptString;
use super::props::{Kind, Prop, Props, fixed, prop};
use crate::personality::Arch;

pub use super::machine_table::{MachineType, machines};

/// `-machine`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// Which machine.
    pub kind: &'static MachineType,
    /// `aclint=on`.
    pub aclint: bool,
    /// `acpi=`; `None` is `auto`.
    pub acpi: Option<bool>,
    /// `dumpdtb=`: write the device tree there and exit.
    pub dumpdtb: Option<String>,
    /// `memory-backend=`: id of the [`Object`](super::Object) that is guest memory.
    pub memory_backend: Option<String>,
    /// `pflash0=`, `pflash1=`: node names; a `-drive if=pflash` is in [`drives`](super::SystemOptions::drives).
    pub pflash: [Option<String>; 2],
    /// All properties as given.
    pub props: Props,
}

impl Machine {
    /// Reads the merged `-machine` options of the emulator of `arch`.
    pub fn read(arch: Arch, mut settings: OptString) -> Result<Self, Fault> {
        let names = || machines(arch).map(|m| m.name);
        let kind = match settings.take("type") {
            None => machines(arch).find(|m| m.default).ok_or_else(|| {
                let names = names().collect::<Vec<_>>().join(", ");
                Fault::new(format!("names no machine, and there is no default; there is {names}"))
            })?,
            Some(name) => machines(arch)
                .find(|m| m.name == name)
                .ok_or_else(|| Fault::unknown(format!("there is no machine '{name}'"), &name, names()))?,
        };
        let props = Props::read(settings, kind.props, &format!("the machine '{}'", kind.name))?;
        let text = |name| props.text(name).map(String::from);
        Ok(Self {
            kind,
            aclint: props.flag("aclint").unwrap_or(false),
            acpi: props.flag("acpi"),
            dumpdtb: text("dumpdtb"),
            memory_backend: text("memory-backend"),
            pflash: [text("pflash0"), text("pflash1")],
            props,
        })
    }
}

/// `-cpu`: which model, with the properties as typed. Models and properties are the guest's own rows, which judge
/// them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CpuModel {
    /// The model.
    pub name: String,
    /// Properties in order: `zba=off`; `+zba` is `zba=on`, `-zba` is `zba=off`, and so is a bare `zba` on.
    pub props: Vec<(String, String)>,
    /// `-cpu ...` as typed, for messages.
    pub origin: String,
}

impl CpuModel {
    /// Reads `-cpu`'s argument.
    pub fn read(argument: &str, origin: &str) -> Result<Self, Fault> {
        let mut parts = argument.split(',');
        let name = parts.next().filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| Fault::new("names no CPU model"))?.to_string();
        let mut props = Vec::new();
        for part in parts.filter(|part| !part.is_empty()) {
            let (key, value) = match (part.split_at_checked(1), part.split_once('=')) {
                (_, Some((key, value))) => (key, value),
                (Some(("+", key)), None) => (key, "on"),
                (Some(("-", key)), None) => (key, "off"),
                (_, None) => (part, "on"),
            };
            props.push((key.to_string(), value.to_string()));
        }
        Ok(Self { name, props, origin: origin.into() })
    }
}

/// How vCPUs are spread over host threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TcgThreads {
    /// All vCPUs take turns on one thread.
    Single,
    /// One thread each.
    Multi,
}

/// `-accel`. There is one accelerator, the translator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accel {
    /// `thread=`.
    pub threads: TcgThreads,
    /// `tb-size=`: size of the code cache in bytes; `None` leaves it to the translator.
    pub code_cache: Option<u64>,
    /// `one-insn-per-tb=on`: one guest instruction a block.
    pub one_insn_per_block: bool,
}

impl Default for Accel {
    fn default() -> Self {
        Self { threads: TcgThreads::Multi, code_cache: None, one_insn_per_block: false }
    }
}

/// The accelerators, and whether there is one of that name in this version.
pub static ACCELERATORS: &[(&str, bool)] =
    &[("tcg", true), ("kvm", false), ("xen", false), ("hvf", false), ("nvmm", false), ("whpx", false)];

/// Properties of `-accel tcg`.
pub static TCG: &[Prop] = &[
    prop("one-insn-per-tb", Kind::Bool, "off", "one guest instruction a translation block"),
    fixed("split-wx", Kind::Bool, "off"),
    prop("tb-size", Kind::Number(1 << 20), "0", "size of the code cache in MiB (0: chosen by Mimic)"),
    prop("thread", Kind::Choice(&["single", "multi"]), "multi", "vCPUs on one host thread, or on one each"),
];

impl Accel {
    /// Reads one `-accel` option.
    pub fn read(mut settings: OptString) -> Result<Self, Fault> {
        let name = settings.take("accel").ok_or_else(|| Fault::new("names no accelerator"))?;
        accelerator(&name)?;
        let props = Props::read(settings, &[TCG], "the accelerator 'tcg'")?;
        let threads = match props.text("thread") {
            Some("single") => TcgThreads::Single,
            _ => TcgThreads::Multi,
        };
        Ok(Self {
            threads,
            code_cache: props.number("tb-size").filter(|mib| *mib > 0).map(|mib| mib << 20),
            one_insn_per_block: props.flag("one-insn-per-tb").unwrap_or(false),
        })
    }
}

/// Judges one name of an accelerator.
pub fn accelerator(name: &str) -> Result<(), Fault> {
    match ACCELERATORS.iter().find(|(known, _)| *known == name) {
        Some((_, true)) => Ok(()),
        Some((_, false)) => Err(Fault::not_available(&format!("accelerator '{name}'"))),
        None => {
            let names = ACCELERATORS.iter().filter(|(_, here)| *here).map(|(known, _)| *known);
            Err(Fault::unknown(format!("there is no accelerator '{name}'"), name, names))
        }
    }
}

/// `-smp`: how many CPUs, and how they are said to sit. `sockets * cores * threads == max_cpus`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Smp {
    /// CPUs present at start.
    pub cpus: u32,
    /// CPUs that there can be.
    pub max_cpus: u32,
    /// Sockets on the board.
    pub sockets: u32,
    /// Cores in a socket.
    pub cores: u32,
    /// Threads in a core.
    pub threads: u32,
}

impl Default for Smp {
    fn default() -> Self {
        Self { cpus: 1, max_cpus: 1, sockets: 1, cores: 1, threads: 1 }
    }
}

const COUNT: Kind = Kind::Number(u32::MAX as u64);

/// Parameters of `-smp`.
pub static SMP: &[Prop] = &[
    prop("books", COUNT, "1", "books in a drawer (1 on this machine)"),
    prop("clusters", COUNT, "1", "clusters in a die (1 on this machine)"),
    prop("cores", COUNT, "", "cores in a socket"),
    prop("cpus", COUNT, "1", "CPUs present at start"),
    prop("dies", COUNT, "1", "dies in a socket (1 on this machine)"),
    prop("drawers", COUNT, "1", "drawers on the board (1 on this machine)"),
    prop("maxcpus", COUNT, "", "CPUs that there can be"),
    prop("modules", COUNT, "1", "modules in a cluster (1 on this machine)"),
    prop("sockets", COUNT, "", "sockets on the board"),
    prop("threads", COUNT, "", "threads in a core"),
];

impl Smp {
    /// Reads the merged `-smp` options. What is left out follows from the rest, cores before sockets before threads.
    pub fn read(settings: OptString, machine: &MachineType) -> Result<Self, Fault> {
        let props = Props::read(settings, &[SMP], "-smp")?;
        if let Some((row, _)) = props.iter().find(|(row, _)| props.number(row.name) == Some(0)) {
            return Err(Fault::new(format!("{}=0: is at least 1", row.name)));
        }
        for level in ["drawers", "books", "dies", "clusters", "modules"] {
            if props.number(level).is_some_and(|n| n > 1) {
                return Err(Fault::new(format!("the machine '{}' has no {level}", machine.name)));
            }
        }
        let cpus = props.number("cpus");
        let max = props.number("maxcpus").or(cpus);
        let (mut sockets, mut cores, mut threads) =
            (props.number("sockets"), props.number("cores"), props.number("threads"));
        if let Some(max) = max {
            if cores.is_none() {
                let (s, t) = (*sockets.get_or_insert(1), *threads.get_or_insert(1));
                cores = Some(max / s.saturating_mul(t));
            } else if sockets.is_none() {
                let (c, t) = (cores.unwrap_or(1), *threads.get_or_insert(1));
                sockets = Some(max / c.saturating_mul(t));
            }
            if threads.is_none() {
                threads = Some(max / sockets.unwrap_or(1).saturating_mul(cores.unwrap_or(1)));
            }
        }
        let (sockets, cores, threads) = (sockets.unwrap_or(1), cores.unwrap_or(1), threads.unwrap_or(1));
        let total = sockets.saturating_mul(cores).saturating_mul(threads);
        let max_cpus = max.unwrap_or(total);
        let cpus = cpus.unwrap_or(max_cpus);
        if max_cpus < cpus {
            return Err(Fault::new(format!("maxcpus ({max_cpus}) is less than cpus ({cpus})")));
        }
        if total != max_cpus {
            return Err(Fault::new(format!(
                "sockets ({sockets}) * cores ({cores}) * threads ({threads}) is not maxcpus ({max_cpus})"
            )));
        }
        if max_cpus > u64::from(machine.max_cpus) {
            let limit = machine.max_cpus;
            return Err(Fault::new(format!(
                "{max_cpus} CPUs: the machine '{}' has at most {limit}",
                machine.name
            )));
        }
        // Each is at most max_cpus, which has just been bounded.
        let [cpus, max_cpus, sockets, cores, threads] =
            [cpus, max_cpus, sockets, cores, threads].map(|n| n as u32);
        Ok(Self { cpus, max_cpus, sockets, cores, threads })
    }
}

/// `-m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// Guest memory in bytes, a multiple of 8 KiB; `None` when `-m` did not say (then the machine's default, or
    /// the size of its memory back end, which `SystemOptions::memory_size` works out).
    pub size: Option<u64>,
    /// `slots=`.
    pub slots: u64,
    /// `maxmem=`, bytes.
    pub max: Option<u64>,
}

/// Parameters of `-m`.
pub static MEMORY: &[Prop] = &[
    prop("size", Kind::Size(1 << 20), "128M", "guest memory"),
    prop("slots", Kind::Number(256), "0", "slots for more memory"),
    prop("maxmem", Kind::Size(1), "", "most memory that there can be"),
];

impl Memory {
    /// Reads the merged `-m` options.
    pub fn read(settings: OptString) -> Result<Self, Fault> {
        let props = Props::read(settings, &[MEMORY], "-m")?;
        let size = props.bytes("size").filter(|size| *size > 0);
        let size = size
            .map(|size| {
                size.checked_next_multiple_of(8 << 10).ok_or_else(|| Fault::new("the size is too large"))
            })
            .transpose()?;
        let (slots, max) = (props.number("slots").unwrap_or(0), props.bytes("maxmem"));
        match (size, max) {
            (_, None) if slots > 0 => Err(Fault::new("slots= needs maxmem=")),
            (Some(size), Some(max)) if max < size => {
                Err(Fault::new(format!("maxmem ({max} bytes) is less than the size ({size} bytes)")))
            }
            _ => Ok(Self { size, slots, max }),
        }
    }
}
