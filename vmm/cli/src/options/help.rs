//! Listings, all printed from the tables that parsing reads.

use std::fmt::Write as _;

use super::chardev;
use super::device::device_type;
use super::device_table::{DEVICES, DeviceKind};
use super::error::Fault;
use super::log;
use super::machine::{ACCELERATORS, TCG, machines};
use super::net;
use super::object;
use super::optstring::OptString;
use super::props::Prop;
use super::table::GROUPS;
use crate::personality::Arch;

/// The version of QEMU whose surface this is; clients take it from the first line of `-version`.
const QEMU_VERSION: &str = "10.0.2";
/// The same as numbers: major, minor, micro.
pub const QEMU_VERSION_NUMBERS: [u32; 3] = [10, 0, 2];

/// The first words of `-version` and `-help`.
pub fn version() -> String {
    let mimic = env!("CARGO_PKG_VERSION");
    format!(
        "QEMU emulator version {QEMU_VERSION} (Mimic {mimic})\nMimic {mimic}, a machine emulator that takes QEMU's command line\n"
    )
}

/// `-help`.
pub fn usage(program: &str) -> String {
    let mut out = version();
    line(&mut out, format_args!("usage: {program} [options] [disk_image]\n"));
    for group in GROUPS {
        let mut here = group.rows.iter().filter(|row| row.opt.is_some()).peekable();
        if here.peek().is_none() {
            continue;
        }
        line(&mut out, format_args!("{}:", group.title));
        for row in here {
            let head = format!("-{} {}", row.name, row.argument);
            match (row.help, head.trim_end()) {
                ("", head) => line(&mut out, format_args!("{head}")),
                (help, head) if head.len() < 16 => line(&mut out, format_args!("{head:<15} {help}")),
                (help, head) => line(&mut out, format_args!("{head}\n{:16}{help}", "")),
            }
        }
        out.push('\n');
    }
    out.push_str("With -nographic, type Ctrl-A h for the keys that leave, and reach the monitor.\n");
    out
}

/// `-machine help`, `-machine NAME,help`.
pub fn machine(arch: Arch, settings: &OptString) -> Result<String, Fault> {
    if let Some(name) = value(settings, "type") {
        let names = || machines(arch).map(|m| m.name);
        let found = machines(arch).find(|m| m.name == name);
        let machine =
            found.ok_or_else(|| Fault::unknown(format!("there is no machine '{name}'"), name, names()))?;
        return Ok(properties(&format!("{name}-machine"), machine.props));
    }
    let mut out = String::from("Supported machines are:\n");
    for machine in machines(arch) {
        let default = if machine.default { " (default)" } else { "" };
        line(&mut out, format_args!("{:<20} {}{default}", machine.name, machine.description));
    }
    Ok(out)
}

/// `-accel help`, `-accel tcg,help`.
pub fn accel(settings: &OptString) -> String {
    if value(settings, "accel").is_some() {
        return properties("tcg-accel", &[TCG]);
    }
    let here = ACCELERATORS.iter().filter(|(_, here)| *here).map(|(name, _)| *name);
    listing("Accelerators supported in QEMU binary:\n", "", here)
}

/// `-device help`, `-device NAME,help`.
pub fn device(settings: &OptString) -> Result<String, Fault> {
    if let Some(name) = value(settings, "driver") {
        let found = device_type(name)?;
        return Ok(properties(found.name, found.props));
    }
    let mut out = String::new();
    let mut category = "";
    for device in DEVICES {
        if device.category != category {
            category = device.category;
            let gap = if out.is_empty() { "" } else { "\n" };
            line(&mut out, format_args!("{gap}{category}:"));
        }
        let alias = device.alias.map(|alias| format!(", alias \"{alias}\"")).unwrap_or_default();
        let what = match device.kind {
            DeviceKind::Block => "virtio block device",
            DeviceKind::Net => "virtio network device",
            DeviceKind::Serial => "virtio serial device",
            DeviceKind::Console => "console port",
            DeviceKind::SerialPort => "named port",
            DeviceKind::Rng => "virtio entropy device",
            DeviceKind::PvPanic => "panic notification device",
            DeviceKind::Watchdog => "Intel 6300ESB watchdog",
            DeviceKind::RootPort => "PCI Express port with a slot",
        };
        line(
            &mut out,
            format_args!("name \"{}\", bus {}{alias}, desc \"{what}\"", device.name, device.bus.name()),
        );
    }
    Ok(out)
}

/// `-netdev help`, `-netdev NAME,help`.
pub fn netdev(settings: &OptString) -> Result<String, Fault> {
    let here = net::BACKENDS.iter().filter_map(|b| Some((b.name, b.props?)));
    named(settings, "type", here, "network back end", "Available netdev backend types:\n")
}

/// `-nic help`.
pub fn nic() -> String {
    let here = net::BACKENDS.iter().filter(|b| b.props.is_some()).map(|b| b.name);
    let models = DEVICES.iter().filter(|d| d.kind == DeviceKind::Net).map(|d| d.name);
    listing("Available netdev backend types:\n", "", here) + &listing("\nAvailable NIC models:\n", "", models)
}

/// `-chardev help`, `-chardev NAME,help`.
pub fn chardev(settings: &OptString) -> Result<String, Fault> {
    let here = chardev::TYPES.iter().filter_map(|t| Some((t.name, t.props?)));
    named(settings, "backend", here, "character device", "Available chardev backend types:\n")
}

/// `-object help`, `-object NAME,help`.
pub fn object(settings: &OptString) -> Result<String, Fault> {
    let here = object::TYPES.iter().map(|t| (t.name, t.props));
    named(settings, "qom-type", here, "object type", "List of user creatable objects:\n")
}

/// `-d help`.
pub fn log_items() -> String {
    let mut out = String::from("Log items (comma separated):\n");
    for (name, _, help) in log::ITEMS {
        line(&mut out, format_args!("{name:<15} {help}"));
    }
    out
}

/// The properties of one thing, sorted by name as QEMU does.
pub fn properties(title: &str, tables: &[&[Prop]]) -> String {
    let mut rows: Vec<&Prop> = tables.iter().flat_map(|table| table.iter()).collect();
    rows.sort_by_key(|row| row.name);
    let mut out = format!("{title} options:\n");
    for row in rows {
        let head = format!("  {}=<{}>", row.name, row.kind.type_name());
        let help = match (row.available, row.default) {
            (true, _) => row.help,
            (false, "") => "not available in this version of Mimic",
            (false, _) => "only the default, in this version of Mimic",
        };
        let default =
            if row.default.is_empty() { String::new() } else { format!(" (default: {})", row.default) };
        let text = format!("{head:<24} - {help}{default}");
        line(&mut out, format_args!("{}", text.trim_end()));
    }
    out
}

/// The names, or the properties of the one that `key` names.
fn named<'a>(
    settings: &OptString,
    key: &str,
    things: impl Iterator<Item = (&'a str, &'a [Prop])> + Clone,
    what: &str,
    title: &str,
) -> Result<String, Fault> {
    let Some(name) = value(settings, key) else {
        let indent = if title.starts_with("Available netdev") { "" } else { "  " };
        return Ok(listing(title, indent, things.map(|(name, _)| name)));
    };
    match things.clone().find(|(known, _)| *known == name) {
        Some((_, props)) => Ok(properties(name, &[props])),
        None => {
            let names = things.map(|(name, _)| name);
            Err(Fault::unknown(format!("there is no {what} '{name}'"), name, names))
        }
    }
}

fn value<'a>(settings: &'a OptString, key: &str) -> Option<&'a str> {
    settings.settings.iter().find(|s| s.key == key).map(|s| &*s.value)
}

fn listing<'a>(title: &str, indent: &str, names: impl Iterator<Item = &'a str>) -> String {
    names.fold(title.to_string(), |out, name| out + indent + name + "\n")
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    writeln!(out, "{text}").expect("a String takes all that is written to it");
}
