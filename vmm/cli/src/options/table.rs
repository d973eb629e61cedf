//! The options of `qemu-system-*`, one row each.
//!
//! Names, argument shapes and groups are those of QEMU 10's `-help`. A row without an [`Opt`] is an option that QEMU
//! has and Mimic does not: it is refused in a sentence instead of being called unknown.

/// What an option means here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opt {
    Help,
    Version,
    Machine,
    Cpu,
    Accel,
    Smp,
    Memory,
    Boot,
    Keyboard,
    Device,
    Name,
    Uuid,
    HardDisk(u8),
    Cdrom,
    Blockdev,
    Drive,
    Snapshot,
    Loadvm,
    SnapshotDir,
    Display,
    Nographic,
    Vga,
    Netdev,
    Nic,
    Net,
    Chardev,
    Bios,
    Pflash,
    Kernel,
    Append,
    Initrd,
    Dtb,
    Serial,
    Parallel,
    Monitor,
    Mon,
    Qmp { pretty: bool },
    Gdb,
    GdbDefault,
    Timeout,
    Semihosting,
    SemihostingConfig,
    ExitCodes,
    Pidfile,
    Daemonize,
    Paused,
    LogItems,
    LogFile,
    LogFilter,
    Plugin,
    Coverage,
    PerfMap,
    JitDump,
    Seed,
    TbCache,
    DataDir,
    NoReboot,
    NoShutdown,
    Action,
    WatchdogAction,
    Nodefaults,
    Rtc,
    Icount,
    Deterministic,
    NoUserConfig,
    Msg,
    Object,
}

/// One option.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// The name, without dashes.
    pub name: &'static str,
    /// The argument as `-help` prints it; empty when there is none.
    pub argument: &'static str,
    /// What it does; empty for a second name of the option above.
    pub help: &'static str,
    /// What it means; `None` when it is not available yet.
    pub opt: Option<Opt>,
}

/// A heading of `-help` and the options under it.
pub struct Group {
    /// The heading.
    pub title: &'static str,
    /// The options.
    pub rows: &'static [Row],
}

const fn row(name: &'static str, argument: &'static str, opt: Opt, help: &'static str) -> Row {
    Row { name, argument, help, opt: Some(opt) }
}

/// An option that is refused, with or without an argument.
const fn later(name: &'static str, argument: &'static str) -> Row {
    Row { name, argument, help: "", opt: None }
}

/// All options, as `-help` orders them.
pub static GROUPS: &[Group] = &[
    Group {
        title: "Standard options",
        rows: &[
            row("h", "", Opt::Help, ""),
            row("help", "", Opt::Help, "display this help and exit"),
            row("version", "", Opt::Version, "display version information and exit"),
            row("M", "[type=]name[,prop=value]...", Opt::Machine, ""),
            row(
                "machine",
                "[type=]name[,prop=value]...",
                Opt::Machine,
                "select the machine ('help' lists them)",
            ),
            row("cpu", "model[,prop=value]...", Opt::Cpu, "select the CPU ('help' lists them)"),
            row("accel", "name[,prop=value]...", Opt::Accel, "select the accelerator ('help' lists them)"),
            row(
                "smp",
                "[cpus=]n[,maxcpus=n][,sockets=n][,cores=n][,threads=n]",
                Opt::Smp,
                "number of CPUs (default: 1)",
            ),
            row("m", "[size=]megs[,slots=n,maxmem=size]", Opt::Memory, "guest memory (default: 128M)"),
            row(
                "boot",
                "[order=drives][,once=drives][,menu=on|off][,strict=on|off]",
                Opt::Boot,
                "boot order",
            ),
            row("k", "language", Opt::Keyboard, "keyboard layout (no effect without a display)"),
            row("device", "driver[,prop=value]...", Opt::Device, "add a device ('help' lists them)"),
            row("name", "string[,process=string][,debug-threads=on|off]", Opt::Name, "name of the guest"),
            row("uuid", "uuid", Opt::Uuid, "UUID of the machine"),
            later("numa", "node"),
            later("add-fd", "fd"),
            later("set", "group.id.arg=value"),
            later("global", "driver.property=value"),
            later("mem-path", "file"),
            later("mem-prealloc", ""),
            later("audio", "driver"),
            later("audiodev", "driver"),
        ],
    },
    Group {
        title: "Block device options",
        rows: &[
            row("hda", "file", Opt::HardDisk(0), "use 'file' as disk 0"),
            row("hdb", "file", Opt::HardDisk(1), "use 'file' as disk 1"),
            row("hdc", "file", Opt::HardDisk(2), "use 'file' as disk 2"),
            row("hdd", "file", Opt::HardDisk(3), "use 'file' as disk 3"),
            row("cdrom", "file", Opt::Cdrom, "use 'file' as a read-only disk"),
            row(
                "blockdev",
                "[driver=]driver[,node-name=n][,option=value]...",
                Opt::Blockdev,
                "add a block node",
            ),
            row(
                "drive",
                "[file=file][,if=type][,format=f][,id=name][,option=value]...",
                Opt::Drive,
                "add a disk",
            ),
            row("snapshot", "", Opt::Snapshot, "write to temporary files instead of disk image files"),
            later("fda", "file"),
            later("fdb", "file"),
            later("mtdblock", "file"),
            later("sd", "file"),
            later("fsdev", "local"),
            later("virtfs", "local"),
            later("iscsi", "user"),
        ],
    },
    Group { title: "USB options", rows: &[later("usb", ""), later("usbdevice", "name")] },
    Group {
        title: "Display options",
        rows: &[
            row("display", "none", Opt::Display, "select the display: 'none' is the one there is"),
            row(
                "nographic",
                "",
                Opt::Nographic,
                "serial port and monitor on the terminal (Ctrl-A h for keys)",
            ),
            row("vga", "none", Opt::Vga, "select the video card: 'none' is the one there is"),
            later("spice", "port"),
            later("full-screen", ""),
            later("vnc", "display"),
            later("smbios", "file"),
        ],
    },
    Group {
        title: "Network options",
        rows: &[
            row("netdev", "user|tap,id=id[,option=value]...", Opt::Netdev, "add a network back end ('help')"),
            row("nic", "user|tap|none[,model=device][,mac=address][,option=value]...", Opt::Nic, "add a NIC"),
            row("net", "none", Opt::Net, "no network"),
        ],
    },
    Group {
        title: "Character device options",
        rows: &[row(
            "chardev",
            "backend,id=id[,option=value]...",
            Opt::Chardev,
            "add a character device ('help')",
        )],
    },
    Group { title: "TPM device options", rows: &[later("tpmdev", "emulator")] },
    Group {
        title: "Boot image or kernel",
        rows: &[
            row(
                "bios",
                "none|default|builtin|file",
                Opt::Bios,
                "firmware; builtin is an SBI within this program",
            ),
            row("pflash", "file", Opt::Pflash, "use 'file' as a flash image"),
            row("kernel", "file", Opt::Kernel, "kernel: Image, gzip Image or ELF"),
            row("append", "cmdline", Opt::Append, "kernel command line"),
            row("initrd", "file", Opt::Initrd, "initial RAM disk"),
            row("dtb", "file", Opt::Dtb, "device tree to use instead of the machine's own"),
            later("shim", "file"),
        ],
    },
    Group {
        title: "Debug and expert options",
        rows: &[
            row("serial", "dev", Opt::Serial, "connect the serial port to 'dev'"),
            row("parallel", "none", Opt::Parallel, "parallel port: there is none"),
            row("monitor", "dev", Opt::Monitor, "connect the monitor to 'dev'"),
            row(
                "mon",
                "[chardev=]id[,mode=readline|control][,pretty=on|off]",
                Opt::Mon,
                "connect a monitor to a character device",
            ),
            row("qmp", "dev", Opt::Qmp { pretty: false }, "connect a monitor that speaks QMP to 'dev'"),
            row("qmp-pretty", "dev", Opt::Qmp { pretty: true }, "the same, with indented output"),
            row("gdb", "dev", Opt::Gdb, "let gdb connect to 'dev', as tcp::1234, unix:file or stdio"),
            row("s", "", Opt::GdbDefault, "shorthand for -gdb tcp::1234"),
            row("pidfile", "file", Opt::Pidfile, "write the process id to 'file'"),
            row("daemonize", "", Opt::Daemonize, "go on in the background once everything is in place"),
            row("S", "", Opt::Paused, "do not start the CPUs (monitor command 'c' does)"),
            row("d", "item[,item]...", Opt::LogItems, "log these items ('help' lists them)"),
            row("D", "file", Opt::LogFile, "log to 'file' (default: stderr)"),
            row("dfilter", "range[,range]...", Opt::LogFilter, "log only code at these addresses"),
            row("seed", "number", Opt::Seed, "seed the random numbers that the guest is given"),
            row("tb-cache", "folder", Opt::TbCache, "keep translations there for the next run"),
            row("L", "path", Opt::DataDir, "look for firmware files in 'path' first"),
            row("no-reboot", "", Opt::NoReboot, "exit instead of rebooting"),
            row("no-shutdown", "", Opt::NoShutdown, "stop before shutdown"),
            row(
                "action",
                "reboot=reset|shutdown,shutdown=poweroff|pause,panic=pause|shutdown|exit-failure|none,watchdog=reset|shutdown|poweroff|inject-nmi|pause|debug|none,hang=none|shutdown|exit-failure",
                Opt::Action,
                "what the guest's own acts lead to",
            ),
            row(
                "timeout",
                "seconds[,clock=host|vm]",
                Opt::Timeout,
                "end the run after so long, with status 124",
            ),
            row(
                "exit-codes",
                "[panic=n][,reset=n][,watchdog=n][,hang=n][,timeout=n][,internal=n]",
                Opt::ExitCodes,
                "exit status of a run that ends this way",
            ),
            row("nodefaults", "", Opt::Nodefaults, "no default serial port, monitor and network"),
            row("rtc", "[base=utc|localtime|date][,clock=host|rt|vm]", Opt::Rtc, "real-time clock"),
            row("no-user-config", "", Opt::NoUserConfig, "read no configuration file (none is ever read)"),
            row("msg", "timestamp=on|off", Opt::Msg, "put the time before messages"),
            later("compat", "policy"),
            later("fw_cfg", "name"),
            later("debugcon", "dev"),
            later("preconfig", ""),
            later("overcommit", "hint"),
            later("enable-kvm", ""),
            row("loadvm", "tag", Opt::Loadvm, "start with a saved state (savevm in the monitor)"),
            row(
                "snapshot-dir",
                "dir",
                Opt::SnapshotDir,
                "keep saved states, and what raw disks held, in files there",
            ),
            later("option-rom", "rom"),
            row(
                "icount",
                "[shift=]n|auto[,align=on|off][,sleep=on|off][,rr=record|replay,rrfile=file[,rrsnapshot=tag]]",
                Opt::Icount,
                "count time in instructions of 2^n ns",
            ),
            row(
                "deterministic",
                "",
                Opt::Deterministic,
                "the same run each time: -icount 3,sleep=off -seed 1 -rtc base=2025-01-01,clock=vm",
            ),
            row(
                "watchdog-action",
                "reset|shutdown|poweroff|inject-nmi|pause|debug|none",
                Opt::WatchdogAction,
                "what a watchdog's bite leads to (default: reset)",
            ),
            later("echr", "chr"),
            later("incoming", "uri"),
            later("only-migratable", ""),
            row("semihosting", "", Opt::Semihosting, "let programs use the host's files and console"),
            row(
                "semihosting-config",
                "[enable=on|off][,target=native|auto][,chardev=id][,userspace=on|off][,arg=text]...",
                Opt::SemihostingConfig,
                "the same, in detail",
            ),
            later("sandbox", "on"),
            later("readconfig", "file"),
            later("trace", "pattern"),
            row(
                "plugin",
                "[file=]name[,option=value]...",
                Opt::Plugin,
                "watch what the guest executes (with -d plugin)",
            ),
            row("coverage", "file", Opt::Coverage, "write how often source lines were executed, for lcov"),
            later("run-with", "option"),
            later("dump-vmstate", "file"),
            later("enable-sync-profile", ""),
            row("perfmap", "", Opt::PerfMap, "tell perf what generated code is, in /tmp/perf-PID.map"),
            row("jitdump", "", Opt::JitDump, "the same with the code itself, in jit-PID.dump"),
        ],
    },
    Group {
        title: "Generic object creation",
        rows: &[row(
            "object",
            "type,id=id[,prop=value]...",
            Opt::Object,
            "create an object ('help' lists types)",
        )],
    },
];

/// Every row.
pub fn rows() -> impl Iterator<Item = &'static Row> {
    GROUPS.iter().flat_map(|group| group.rows)
}
