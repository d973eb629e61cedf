//! The human monitor: commands in words, with QEMU's names and forms of output.
//!
//! From: QEMU's documentation, "QEMU Monitor". [`COMMANDS`] and [`INFOS`] are the tables; help follows from them.

mod expression;
mod info;
mod line;
mod log;
mod machine;
mod memory;
mod object;
mod plug;
mod port;
mod replay;
mod snapshot;

pub use line::Hmp;

use crate::context::Context;
use std::sync::Arc;

/// What a command is given: the machine, and the vCPU that the monitor looks at.
pub struct Call<'a> {
    context: &'a Arc<Context>,
    cpu: &'a mut usize,
    /// What follows `/` right behind the command's name.
    format: &'a str,
    /// What follows.
    rest: &'a str,
}

/// One command: a row of a table.
pub struct Command {
    /// Its name.
    name: &'static str,
    /// Its other name; empty if there is none.
    alias: &'static str,
    /// What it takes, for people.
    arguments: &'static str,
    /// What it does, for people.
    help: &'static str,
    run: fn(&mut Call) -> String,
}

const fn row(
    name: &'static str,
    alias: &'static str,
    arguments: &'static str,
    help: &'static str,
    run: fn(&mut Call) -> String,
) -> Command {
    Command { name, alias, arguments, help, run }
}

/// The commands.
static COMMANDS: &[Command] = &[
    row("chardev-add", "", "args", "add chardev", plug::chardev_add),
    row("chardev-remove", "", "id", "remove chardev", plug::chardev_remove),
    row("checkpoint", "", "tag", "keep the machine in memory as it is", snapshot::checkpoint),
    row("cont", "c", "", "resume emulation", machine::cont),
    row("cpu", "", "index", "set the default CPU", machine::cpu),
    row("delvm", "", "tag", "delete a VM snapshot from its tag", snapshot::delvm),
    row(
        "device_add",
        "",
        "driver[,prop=value][,...]",
        "add device, like -device on the command line",
        plug::device_add,
    ),
    row("device_del", "", "device", "remove device", plug::device_del),
    row(
        "drive_add",
        "",
        "[-n] [[<domain>:]<bus>:]<slot> [file=file][,if=none][,...]",
        "add drive to the machine",
        plug::drive_add,
    ),
    row("drive_del", "", "device", "remove host block device", plug::drive_del),
    row("dumpdtb", "", "filename", "dump the FDT in dtb format to 'filename'", machine::dumpdtb),
    row(
        "gdbserver",
        "",
        "[device]",
        "start gdbserver on given device (default 'tcp::1234'), stop with 'none'",
        machine::gdbserver,
    ),
    row(
        "gpa2hva",
        "",
        "addr",
        "print the host virtual address corresponding to a guest physical address",
        memory::gpa2hva,
    ),
    row(
        "gva2gpa",
        "",
        "addr",
        "print the guest physical address corresponding to a guest virtual address",
        memory::gva2gpa,
    ),
    row("help", "?", "[cmd]", "show the help", help),
    row(
        "hostfwd_add",
        "",
        "[netdev_id] [tcp|udp]:[hostaddr]:hostport-[guestaddr]:guestport",
        "redirect TCP or UDP connections from host to guest (requires -net user)",
        plug::hostfwd_add,
    ),
    row(
        "hostfwd_remove",
        "",
        "[netdev_id] [tcp|udp]:[hostaddr]:hostport",
        "remove host-to-guest TCP or UDP redirection",
        plug::hostfwd_remove,
    ),
    row("i", "", "/fmt addr", "I/O port read", port::read),
    row("info", "", "[subcommand]", "show various information about the system state", info),
    row("loadvm", "", "tag", "restore a VM snapshot from its tag", snapshot::loadvm),
    row("log", "", "item1[,...]", "activate logging of the specified items", log::log),
    row("logfile", "", "[filename]", "output logs to 'filename', or to stderr", log::logfile),
    row(
        "memsave",
        "",
        "addr size file",
        "save to disk virtual memory dump starting at 'addr' of size 'size'",
        memory::memsave,
    ),
    row(
        "netdev_add",
        "",
        "[user|tap][,id=str][,prop=value][,...]",
        "add host network device",
        plug::netdev_add,
    ),
    row("netdev_del", "", "id", "remove host network device", plug::netdev_del),
    row("nmi", "", "", "inject an NMI", machine::nmi),
    row("o", "", "/fmt addr value", "I/O port write", port::write),
    row("object_add", "", "[qom-type=]type,id=str[,prop=value][,...]", "create QOM object", plug::object_add),
    row("object_del", "", "id", "destroy QOM object", plug::object_del),
    row(
        "one-insn-per-tb",
        "",
        "[on|off]",
        "run emulation with one guest instruction per translation block",
        log::one_insn_per_tb,
    ),
    row(
        "pmemsave",
        "",
        "addr size file",
        "save to disk physical memory dump starting at 'addr' of size 'size'",
        memory::pmemsave,
    ),
    row(
        "print",
        "p",
        "/fmt expr",
        "print expression value (use $reg for CPU register access)",
        memory::print,
    ),
    row("qom-get", "", "path property", "print QOM property", object::qom_get),
    row("qom-list", "", "path", "list QOM properties", object::qom_list),
    row("quit", "q", "", "quit the emulator", machine::quit),
    row("replay_break", "", "icount", "set breakpoint at the specified instruction count", replay::set_break),
    row("replay_delete_break", "", "", "remove replay breakpoint", replay::delete_break),
    row("replay_seek", "", "icount", "replay execution to the specified instruction count", replay::seek),
    row("restore", "", "tag", "have the machine be what it was at a checkpoint", snapshot::restore),
    row(
        "savevm",
        "",
        "tag",
        "save a VM snapshot. If no tag is provided, a new snapshot is created",
        snapshot::savevm,
    ),
    row(
        "screendump",
        "",
        "filename [-f format] [device [head]]",
        "save screen from head 'head' of display device 'device' in specified format 'format' as image 'filename'",
        machine::screendump,
    ),
    row("set_link", "", "name on|off", "change the link status of a network adapter", machine::set_link),
    row("stop", "s", "", "stop emulation", machine::stop),
    row("sum", "", "addr size", "compute the checksum of a memory region", memory::sum),
    row("system_powerdown", "", "", "send system power down event", machine::powerdown),
    row("system_reset", "", "", "reset the system", machine::reset),
    row("system_wakeup", "", "", "wakeup guest from suspend", machine::wakeup),
    row("trace", "", "on|off", "log each block and each trap, or stop doing so", log::trace),
    row(
        "trace-event",
        "",
        "name on|off",
        "changes status of a specific trace event: of an item of the log",
        log::trace_event,
    ),
    row(
        "watchdog_action",
        "",
        "[reset|shutdown|poweroff|pause|debug|none|inject-nmi]",
        "change watchdog action",
        machine::watchdog_action,
    ),
    row("x", "", "/fmt addr", "virtual memory dump starting at 'addr'", memory::x),
    row("xp", "", "/fmt addr", "physical memory dump starting at 'addr'", memory::xp),
];

/// What `info` can show.
static INFOS: &[Command] = &[
    row("balloon", "", "", "show balloon information", info::balloon),
    row("block", "", "", "show info of one block device or all block devices", info::block),
    row("blockstats", "", "", "show block device statistics", info::blockstats),
    row("chardev", "", "", "show the character devices", info::chardev),
    row("checkpoints", "", "", "show the checkpoints in memory", snapshot::checkpoints),
    row("cpus", "", "", "show infos for each CPU", info::cpus),
    row("jit", "", "", "show dynamic compiler info", info::jit),
    row("icount", "", "", "show the count of instructions, and a hash of what was done", info::icount),
    row("kvm", "", "", "show KVM information", info::kvm),
    row("mem", "", "", "show the active virtual memory mappings", info::mem),
    row("memdev", "", "", "show memory backends", info::memdev),
    row("mtree", "", "", "show memory tree", info::mtree),
    row("name", "", "", "show the current VM name", info::name),
    row("network", "", "", "show the network state", info::network),
    row("qom-tree", "", "[path]", "show QOM composition tree", object::qom_tree),
    row("qtree", "", "", "show device tree", info::qtree),
    row("ramblock", "", "", "display system ramblock information", info::ramblock),
    row(
        "registers",
        "",
        "[-a]",
        "show the cpu registers (-a: show register info for all cpus)",
        info::registers,
    ),
    row("replay", "", "", "show record/replay information", replay::replay),
    row("snapshots", "", "", "show the currently saved VM snapshots", snapshot::snapshots),
    row("status", "", "", "show the current VM status (running|paused)", info::status),
    row(
        "tb-list",
        "",
        "[number]",
        "show the translations that execute most (needs -d tb_stats on the command line)",
        info::tb_list,
    ),
    row("tlb", "", "", "show virtual to physical memory mappings", info::mem),
    row("trace-events", "", "", "show available trace-events & their state", log::trace_events),
    row("usernet", "", "", "show user network stack connection states", plug::usernet),
    row("uuid", "", "", "show the current VM UUID", info::uuid),
    row("version", "", "", "show the version of QEMU", info::version),
];

fn find(table: &'static [Command], name: &str) -> Option<&'static Command> {
    table.iter().find(|c| c.name == name || !c.alias.is_empty() && c.alias == name)
}

fn list(table: &[Command], before: &str) -> String {
    let line = |c: &Command| {
        let alias = if c.alias.is_empty() { "" } else { "|" };
        format!("{before}{}{alias}{} {} -- {}\n", c.name, c.alias, c.arguments, c.help)
    };
    table.iter().map(line).collect()
}

fn help(call: &mut Call) -> String {
    match (call.rest, find(COMMANDS, call.rest)) {
        ("", _) => list(COMMANDS, ""),
        ("info", _) => list(INFOS, "info "),
        (_, Some(command)) => list(std::slice::from_ref(command), ""),
        (about, None) => format!("unknown command: '{about}'\n"),
    }
}

fn info(call: &mut Call) -> String {
    let (name, rest) = split(call.rest);
    match find(INFOS, name) {
        Some(command) => (command.run)(&mut Call { context: call.context, cpu: call.cpu, format: "", rest }),
        None if name.is_empty() => list(INFOS, "info "),
        None => format!("unknown command: 'info {name}'\n"),
    }
}

/// The first word, and what follows it.
fn split(text: &str) -> (&str, &str) {
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    (word, rest.trim())
}

/// Carries out one line for the vCPU `cpu`; gives what it prints.
fn run(context: &Arc<Context>, cpu: &mut usize, line: &str) -> String {
    let (word, rest) = split(line.trim());
    let (name, format) = word.split_once('/').unwrap_or((word, ""));
    match (name, find(COMMANDS, name)) {
        ("", _) => String::new(),
        (_, Some(command)) => {
            let (format, rest) = match rest.strip_prefix('/') {
                Some(rest) if format.is_empty() && command.arguments.starts_with("/fmt") => split(rest),
                _ => (format, rest),
            };
            (command.run)(&mut Call { context, cpu, format, rest })
        }
        (_, None) => format!("unknown command: '{name}'\n"),
    }
}

/// Carries out one line; gives what it prints, with the ends of lines that a terminal wants.
pub fn execute(context: &Arc<Context>, line: &str) -> String {
    execute_on(context, 0, line)
}

/// The same, for a vCPU.
pub fn execute_on(context: &Arc<Context>, mut cpu: usize, line: &str) -> String {
    run(context, &mut cpu, line).replace('\n', "\r\n")
}
