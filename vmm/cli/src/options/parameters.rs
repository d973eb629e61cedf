//! The options that have parameters, as `query-command-line-options` tells of them: from the tables that parsing reads.

use super::chardev;
use super::machine::{MEMORY, SMP, machines};
use super::props::{Kind, Prop};
use super::settings::{ACTION, BOOT, MON, MSG, NAME, RTC, SEMIHOSTING};
use super::{block::DRIVE, icount::ICOUNT};
use crate::personality::Arch;

/// Options whose parameters depend on what else is said.
const OPEN: [&str; 7] = ["accel", "device", "global", "netdev", "nic", "object", "plugin"];

/// QEMU's names of the options, each with its parameters.
pub fn options(arch: Arch) -> Vec<(&'static str, Vec<&'static Prop>)> {
    let machine = machines(arch).flat_map(|machine| machine.props.iter().copied().flatten());
    let chardev = chardev::TYPES.iter().filter_map(|kind| kind.props).flatten().chain(chardev::COMMON);
    let tables = [
        ("action", ACTION),
        ("boot-opts", BOOT),
        ("drive", DRIVE),
        ("icount", ICOUNT),
        ("memory", MEMORY),
        ("mon", MON),
        ("msg", MSG),
        ("name", NAME),
        ("rtc", RTC),
        ("semihosting-config", SEMIHOSTING),
        ("smp-opts", SMP),
    ];
    let tables = tables.into_iter().map(|(name, table)| (name, table.iter().collect()));
    let open = OPEN.into_iter().map(|name| (name, Vec::new()));
    let mut all: Vec<(_, Vec<&Prop>)> = tables.chain(open).collect();
    all.extend([("chardev", chardev.collect()), ("machine", machine.collect())]);
    for (_, parameters) in &mut all {
        parameters.sort_by_key(|row| row.name);
        parameters.dedup_by_key(|row| row.name);
    }
    all.sort_by_key(|(name, _)| *name);
    all
}

/// The type of a parameter, as QMP has it.
pub fn type_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Bool | Kind::OnOffAuto => "boolean",
        Kind::Number(_) | Kind::Int32 => "number",
        Kind::Size(_) => "size",
        _ => "string",
    }
}
