//! The options of `qemu-ARCH`, one row each: names, arguments and environment variables are those of QEMU 10's `-help`.

/// What an option means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opt {
    Help,
    Version,
    Gdb,
    Prefix,
    Stack,
    Cpu,
    SetEnv,
    UnsetEnv,
    Argv0,
    Release,
    GuestBase,
    Reserved,
    LogItems,
    LogFile,
    LogFilter,
    OneInsn,
    CodeSize,
    Strace,
    Plugin,
    Coverage,
    PerfMap,
    JitDump,
    TbCache,
    SignalMap,
    PageSize,
    Seed,
}

/// One option.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// The name, without dash.
    pub name: &'static str,
    /// The argument as `-help` prints it; empty when there is none.
    pub argument: &'static str,
    /// The environment variable that sets it too; empty for none.
    pub variable: &'static str,
    /// What it does.
    pub help: &'static str,
    /// What it means; `None` when it is not available yet.
    pub opt: Option<Opt>,
}

const fn row(
    name: &'static str,
    argument: &'static str,
    variable: &'static str,
    opt: Opt,
    help: &'static str,
) -> Row {
    Row { name, argument, variable, help, opt: Some(opt) }
}

const fn later(name: &'static str, argument: &'static str, variable: &'static str) -> Row {
    Row { name, argument, variable, help: "", opt: None }
}

/// The options.
pub static ROWS: &[Row] = &[
    row("h", "", "", Opt::Help, "print this help"),
    row("help", "", "", Opt::Help, ""),
    row(
        "g",
        "port|path",
        "QEMU_GDB",
        Opt::Gdb,
        "wait for gdb at TCP port or at a socket; ',suspend=n' does not wait",
    ),
    row("L", "path", "QEMU_LD_PREFIX", Opt::Prefix, "look for the guest's files under 'path' first"),
    row(
        "s",
        "size",
        "QEMU_STACK_SIZE",
        Opt::Stack,
        "size of the stack in bytes, or with suffix k or M: sets its limit",
    ),
    row("cpu", "model", "QEMU_CPU", Opt::Cpu, "select the CPU ('help' lists them)"),
    row("E", "var=value", "QEMU_SET_ENV", Opt::SetEnv, "set variables in the program's environment"),
    row("U", "var", "QEMU_UNSET_ENV", Opt::UnsetEnv, "take variables out of the program's environment"),
    row("0", "argv0", "QEMU_ARGV0", Opt::Argv0, "name that the program is called by"),
    row("r", "uname", "QEMU_UNAME", Opt::Release, "kernel release that uname tells"),
    row("B", "address", "QEMU_GUEST_BASE", Opt::GuestBase, "host address of the guest's address 0: always 0"),
    row("R", "size", "QEMU_RESERVED_VA", Opt::Reserved, "size of the guest's address space"),
    row(
        "t",
        "tsig hsig n[,...]",
        "QEMU_RTSIG_MAP",
        Opt::SignalMap,
        "real-time signals: taken and not needed",
    ),
    row("d", "item[,...]", "QEMU_LOG", Opt::LogItems, "what is logged ('help' lists the items)"),
    row("dfilter", "range[,...]", "QEMU_DFILTER", Opt::LogFilter, "log only code at these addresses"),
    row("D", "logfile", "QEMU_LOG_FILENAME", Opt::LogFile, "write the log to 'logfile' instead of stderr"),
    row("p", "pagesize", "QEMU_PAGESIZE", Opt::PageSize, "size of pages: always 4096"),
    row("one-insn-per-tb", "", "QEMU_ONE_INSN_PER_TB", Opt::OneInsn, "translate each instruction alone"),
    row("tb-size", "size", "QEMU_TB_SIZE", Opt::CodeSize, "memory for translations, in MiB"),
    row("tb-cache", "folder", "MIMIC_TB_CACHE", Opt::TbCache, "keep translations there for the next run"),
    row("strace", "", "QEMU_STRACE", Opt::Strace, "log system calls"),
    row("seed", "number", "QEMU_RAND_SEED", Opt::Seed, "what is random at the start comes from 'number'"),
    later("trace", "[[enable=]pattern][,events=file][,file=file]", "QEMU_TRACE"),
    row(
        "plugin",
        "[file=]file[,arg=value]",
        "QEMU_PLUGIN",
        Opt::Plugin,
        "watch what the program executes (with -d plugin)",
    ),
    row("coverage", "file", "", Opt::Coverage, "write how often source lines were executed, for lcov"),
    row("version", "", "QEMU_VERSION", Opt::Version, "print the version"),
    row(
        "perfmap",
        "",
        "QEMU_PERFMAP",
        Opt::PerfMap,
        "tell perf what generated code is, in /tmp/perf-PID.map",
    ),
    row("jitdump", "", "QEMU_JITDUMP", Opt::JitDump, "the same with the code itself, in jit-PID.dump"),
];

impl Row {
    /// Whether the variable is passed over when it asks for what is not here: it may have been left for QEMU.
    pub fn may_be_left_over(&self) -> bool {
        matches!(self.opt, None | Some(Opt::PageSize))
    }
}

/// The item of `-d` that a process has beside those of a machine.
pub const STRACE: &str = "strace";
