//! What `info` shows.

use super::Call;
use crate::context::{DeviceInfo, DiskInfo};
use crate::qmp;
use base::{Device, Shared, Target};
use engine::RunState;
use serde_json::{Value, json};

pub fn status(call: &mut Call) -> String {
    match call.context.power.state() {
        RunState::Running => "VM status: running\n".into(),
        RunState::Paused => "VM status: paused\n".into(),
        state => format!("VM status: paused ({})\n", state.name()),
    }
}

pub fn version(call: &mut Call) -> String {
    let [major, minor, micro] = call.context.facts.version;
    format!("{major}.{minor}.{micro}{}\n", call.context.facts.package)
}

pub fn name(call: &mut Call) -> String {
    call.context.facts.name.as_ref().map_or(String::new(), |name| format!("{name}\n"))
}

pub fn uuid(call: &mut Call) -> String {
    let answer = qmp::call(call.context, "query-uuid", json!({})).unwrap_or_default();
    format!("{}\n", answer["UUID"].as_str().unwrap_or_default())
}

pub fn icount(call: &mut Call) -> String {
    // The vCPUs stand still for a moment, and what they have done is known.
    call.context.power.settle();
    match call.context.power.trace() {
        Some(trace) => format!(
            "instructions: {}\nvirtual time: {} ns\ntrace hash: {:016x}\n",
            trace.count, trace.now, trace.hash
        ),
        None => "instructions are not counted (-icount)\n".into(),
    }
}

pub fn kvm(_: &mut Call) -> String {
    "kvm support: not compiled\n".into()
}

pub fn jit(call: &mut Call) -> String {
    let shown = call.context.power.with_cpus(|cpus| {
        let code = cpus.cpu(0)?.code();
        let (one, stats) = (if code.one_insn() { "on" } else { "off" }, code.stats());
        let each = |amount: u64| amount.checked_div(stats.translations).unwrap_or(0);
        Some(format!(
            "Accelerator settings:\none-insn-per-tb: {one}\n\nTranslation buffer state:\n\
             gen code size       {}/{}\nTB count            {}\nTB avg target size  {} insns\n\
             TB avg host size    {} bytes\n\nStatistics:\nTB made             {} ({} of hot regions, {} in the background)\n\
             TB flush count      {}\nTB invalidate count {}\n",
            stats.used_bytes,
            stats.room_bytes,
            stats.live,
            each(stats.guest_insns),
            each(stats.host_bytes),
            stats.translations,
            stats.regions,
            stats.in_background,
            stats.emptied,
            stats.dropped
        ))
    });
    shown.flatten().unwrap_or_default()
}

pub fn tb_list(call: &mut Call) -> String {
    let number = if call.rest.is_empty() { Some(10) } else { call.rest.parse().ok() };
    let Some(number) = number else { return "Error: say how many\n".into() };
    let host = call.context.host.clone();
    let shown = call.context.power.with_cpus(move |cpus| {
        let record = cpus.cpu(0).and_then(|cpu| cpu.code().record().cloned());
        record.filter(|record| record.wants().translations).map(|record| host.translations(&record, number))
    });
    shown.flatten().unwrap_or_else(|| "Error: translations are not counted; start with -d tb_stats\n".into())
}

pub fn mtree(call: &mut Call) -> String {
    let space = &call.context.space;
    let line = |(name, base, size): (String, u64, u64)| {
        let kind = match space.lookup(base) {
            Target::Ram { .. } => "ram",
            Target::Rom { constant: true, .. } => "rom",
            Target::Rom { .. } => "romd",
            Target::Device(..) | Target::Nothing => "i/o",
        };
        format!("  {base:016x}-{:016x} (prio 0, {kind}): {name}\n", base + (size - 1))
    };
    let lines: String = space.list().into_iter().map(line).collect();
    format!("address-space: memory\n{lines}")
}

pub fn ramblock(call: &mut Call) -> String {
    let head = ["Block Name", "PSize", "Offset", "Used", "Total", "HVA", "RO"];
    let row = |[name, page, offset, used, total, host, access]: [&str; 7]| {
        format!("{name:>24} {page:>8}  {offset:>18} {used:>18} {total:>18} {host:>18} {access:>3}\n")
    };
    let (mut text, mut offset) = (row(head), 0);
    for (_, base, size) in call.context.space.list() {
        let Target::Ram { host, .. } = call.context.space.lookup(base) else { continue };
        let [at, bytes, host] = [offset, size, host as u64].map(|value| format!("{value:#018x}"));
        text += &row([call.context.facts.ram_id, "4 KiB", &at, &bytes, &bytes, &host, "rw"]);
        offset += size;
    }
    text
}

pub fn balloon(call: &mut Call) -> String {
    match qmp::call(call.context, "query-balloon", json!({})) {
        Ok(info) => format!("balloon: actual={}\n", info["actual"].as_u64().unwrap_or(0) >> 20),
        Err(error) => super::machine::failure(Err(error.desc)),
    }
}

pub fn memdev(call: &mut Call) -> String {
    let list = qmp::call(call.context, "query-memdev", json!({})).unwrap_or_default();
    let one = |memory: &Value| {
        let plain = |name: &str| memory[name].to_string().trim_matches('"').to_string();
        let mut text = format!("memory backend: {}\n", plain("id"));
        text += &format!("  size:  {}\n", plain("size"));
        for name in ["merge", "dump", "prealloc", "share", "reserve", "policy"] {
            text += &format!("  {name}: {}\n", plain(name));
        }
        text + "  host nodes: \n\n"
    };
    list.as_array().into_iter().flatten().map(one).collect()
}

pub fn blockstats(call: &mut Call) -> String {
    const SHOWN: [&str; 10] = [
        "rd_bytes",
        "wr_bytes",
        "rd_operations",
        "wr_operations",
        "flush_operations",
        "wr_total_time_ns",
        "rd_total_time_ns",
        "flush_total_time_ns",
        "rd_merged",
        "wr_merged",
    ];
    let list = qmp::call(call.context, "query-blockstats", json!({})).unwrap_or_default();
    let line = |disk: &Value| {
        let figures = SHOWN.map(|name| format!(" {name}={}", disk["stats"][name]));
        format!("{}:{}\n", disk["device"].as_str().unwrap_or_default(), figures.concat())
    };
    list.as_array().into_iter().flatten().map(line).collect()
}

pub fn qtree(call: &mut Call) -> String {
    let line = |(place, device): &(String, Shared<dyn Device>)| {
        format!("  dev: {}, id \"\"\n    place = \"{place}\"\n", device.lock().name())
    };
    let lines: String = call.context.devices.iter().map(line).collect();
    let plugged = |device: DeviceInfo| {
        let id = device.id.unwrap_or_default();
        let address = device.address.map_or(String::new(), |addr| format!("    addr = {addr}\n"));
        let head = format!("  dev: {}, id \"{id}\"\n    bus = \"{}\"\n{address}", device.driver, device.bus);
        let own = device.properties.iter().filter(|(name, _)| !matches!(*name, "id" | "bus" | "addr"));
        own.fold(head, |text, (name, value)| text + &format!("    {name} = \"{value}\"\n"))
    };
    let devices: String = call.context.host.devices().into_iter().map(plugged).collect();
    format!("bus: main-system-bus\n  type System\n{lines}{devices}")
}

pub fn cpus(call: &mut Call) -> String {
    let threads = call.context.power.threads();
    let line = |n: usize| {
        let mark = if n == *call.cpu { '*' } else { ' ' };
        format!("{mark} CPU #{n}: thread_id={}\n", threads.get(n).copied().unwrap_or(0))
    };
    (0..call.context.facts.cpus as usize).map(line).collect()
}

pub fn registers(call: &mut Call) -> String {
    let one = *call.cpu;
    let all = call.rest == "-a";
    let shown = call.context.power.with_cpus(move |cpus| {
        let which = if all { 0..cpus.count() } else { one..one + 1 };
        let show = |n| cpus.cpu(n).map(|cpu| format!("\nCPU#{n}\n{}\n", cpu.show()));
        which.filter_map(show).collect::<String>()
    });
    shown.unwrap_or_default()
}

pub fn mem(call: &mut Call) -> String {
    let cpu = *call.cpu;
    let shown = call.context.power.with_cpus(move |cpus| cpus.cpu(cpu).map(|cpu| cpu.mappings()));
    shown.flatten().unwrap_or_default()
}

pub fn block(call: &mut Call) -> String {
    let mut text = Vec::new();
    for disk in call.context.host.disks().into_iter().filter(DiskInfo::is_drive) {
        let read_only = if disk.read_only { ", read-only" } else { "" };
        let mut entry =
            format!("{} ({}): {} ({}{read_only})\n", disk.device, disk.node, disk.file, disk.driver);
        if let Some(qdev) = &disk.qdev {
            entry += &format!("    Attached to:      {qdev}\n");
        }
        entry += "    Cache mode:       writeback\n";
        text.push(entry);
    }
    text.join("\n")
}

pub fn chardev(call: &mut Call) -> String {
    let line = |c: crate::context::CharInfo| format!("{}: filename={}\n", c.label, c.filename);
    call.context.host.chardevs().into_iter().map(line).collect()
}

pub fn network(call: &mut Call) -> String {
    let line = |net: crate::context::NetInfo| {
        let back_end = format!("{}: index=0,type={},{}\n", net.id, net.kind, net.about);
        match net.device {
            Some(device) => format!("{device}: index=0,type=nic\n \\ {back_end}"),
            None => back_end,
        }
    };
    call.context.host.networks().into_iter().map(line).collect()
}
