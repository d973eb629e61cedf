//! The machine's life, its vCPUs and its memory.

use crate::context::Context;
use crate::qapi::Empty;
use crate::qmp::command::Answer;
use crate::qmp::{Class, Error};
use engine::Cause;
use engine::memory::{self, Space};
use serde_json::Value;
use std::fs;
use std::sync::Arc;

commands! {
    "query-status" query_status;
    "stop" stop;
    "cont" cont;
    "quit" quit;
    "system_reset" system_reset;
    "system_powerdown" system_powerdown;
    "system_wakeup" system_wakeup;
    "query-name" query_name;
    "query-uuid" query_uuid;
    "query-target" query_target;
    "query-kvm" query_kvm;
    "query-cpus-fast" query_cpus_fast;
    "query-hotpluggable-cpus" query_hotpluggable_cpus;
    "query-machines" query_machines;
    "query-current-machine" query_current_machine;
    "query-memory-size-summary" query_memory_size_summary;
    "query-memory-devices" nothing;
    "query-memdev" query_memdev;
    "query-yank" nothing, oob;
    "query-iothreads" nothing;
    "query-fdsets" nothing;
    "query-tpm" nothing;
    "query-tpm-models" nothing;
    "query-tpm-types" nothing;
    "query-stats-schemas" nothing_of;
    "query-stats" nothing_of;
    "query-mice" nothing;
    "query-balloon" no_balloon;
    "balloon" no_balloon_to_set;
    "memsave" memsave;
    "pmemsave" pmemsave;
    "dumpdtb" dumpdtb;
    "screendump" screendump;
    "send-key" send_key;
    "inject-nmi" inject_nmi;
}

qapi_enum! {
    /// Where a machine is in its life.
    RunState {
        /// A debugger has stopped it.
        Debug,
        /// The guest has crashed.
        GuestPanicked,
        /// It was stopped.
        Paused,
        /// It has not begun.
        Prelaunch,
        /// It runs.
        Running,
        /// The guest has turned it off.
        Shutdown,
        /// A watchdog has stopped it.
        Watchdog,
    }
}

impl From<engine::RunState> for RunState {
    fn from(state: engine::RunState) -> Self {
        match state {
            engine::RunState::Prelaunch => Self::Prelaunch,
            engine::RunState::Running => Self::Running,
            engine::RunState::Paused => Self::Paused,
            engine::RunState::Debug => Self::Debug,
            engine::RunState::GuestPanicked => Self::GuestPanicked,
            engine::RunState::Shutdown => Self::Shutdown,
            engine::RunState::Watchdog => Self::Watchdog,
        }
    }
}

qapi_struct! {
    /// Whether the machine runs.
    StatusInfo {
        /// It does.
        running: bool,
        /// Where it is in its life.
        status: RunState,
    }
    /// `-name`.
    NameInfo {
        /// The name.
        name: Option<String>,
    }
    /// `-uuid`.
    UuidInfo {
        /// In its usual form; zeroes if there is none.
        uuid = "UUID": String,
    }
    /// The guest architecture.
    TargetInfo {
        /// Its name.
        arch: String,
    }
    /// KVM.
    KvmInfo {
        /// It is in use.
        enabled: bool,
        /// It is there.
        present: bool,
    }
    /// Where a vCPU is in the machine.
    CpuInstanceProperties {
        /// Its socket.
        socket_id: Option<i64>,
        /// Its core in the socket.
        core_id: Option<i64>,
        /// Its thread in the core.
        thread_id: Option<i64>,
    }
    /// A vCPU.
    CpuInfoFast {
        /// Its number.
        cpu_index: i64,
        /// Its place among the objects.
        qom_path: String,
        /// The host's number of its thread.
        thread_id: i64,
        /// Where it is.
        props: Option<CpuInstanceProperties>,
        /// Its architecture.
        target: String,
    }
    /// A vCPU that is there, or could be.
    HotpluggableCpu {
        /// Its type.
        r#type = "type": String,
        /// How many come at once.
        vcpus_count: i64,
        /// Where it is.
        props: CpuInstanceProperties,
        /// Its place among the objects, if it is there.
        qom_path: Option<String>,
    }
    /// A machine type.
    MachineInfo {
        /// Its name.
        name: String,
        /// It is what is taken if nothing is said.
        is_default: Option<bool>,
        /// Most vCPUs.
        cpu_max: i64,
        /// vCPUs can be plugged while it runs.
        hotpluggable_cpus: bool,
        /// Memory of several nodes.
        numa_mem_supported: bool,
        /// It may go away.
        deprecated: bool,
        /// The CPU that it has if nothing is said.
        default_cpu_type: Option<String>,
        /// The name of its memory.
        default_ram_id: Option<String>,
        /// ACPI tables.
        acpi: bool,
    }
    /// Arguments of `query-machines`.
    QueryMachines {
        /// With properties.
        compat_props: Option<bool>,
    }
    /// The machine that there is.
    CurrentMachineParams {
        /// It wakes up after it has slept.
        wakeup_suspend_support: bool,
    }
    /// Memory.
    MemoryInfo {
        /// Bytes that it was started with.
        base_memory: u64,
        /// Bytes that were plugged.
        plugged_memory: Option<u64>,
    }
    /// Memory that a machine has.
    Memdev {
        /// Its name.
        id: String,
        /// Bytes.
        size: u64,
        /// The host may merge it with what is the same.
        merge: bool,
        /// It is in dumps of the host.
        dump: bool,
        /// The host has given all of it already.
        prealloc: bool,
        /// Others can map it.
        share: bool,
        /// The host has to have room for it.
        reserve: Option<bool>,
        /// Nodes of the host that it is from.
        host_nodes: Vec<i64>,
        /// How that is meant.
        policy: String,
    }
    /// Arguments of `memsave`.
    Memsave {
        /// First address.
        val: i64,
        /// Bytes.
        size: i64,
        /// The file.
        filename: String,
        /// The vCPU whose addresses they are.
        cpu_index: Option<i64>,
    }
    /// Arguments of `pmemsave`.
    Pmemsave {
        /// First address.
        val: i64,
        /// Bytes.
        size: i64,
        /// The file.
        filename: String,
    }
    /// Arguments of `dumpdtb`.
    Dumpdtb {
        /// The file.
        filename: String,
    }
    /// Arguments of `balloon`.
    Balloon {
        /// Bytes.
        value: i64,
    }
    /// Arguments of `screendump`.
    Screendump {
        /// The file.
        filename: String,
        /// The display.
        device: Option<String>,
        /// Which of its heads.
        head: Option<i64>,
        /// `ppm` or `png`.
        format: Option<String>,
    }
    /// Arguments of `send-key`.
    SendKey {
        /// The keys, pressed together.
        keys: Vec<Value>,
        /// Milliseconds.
        hold_time: Option<i64>,
    }
    /// Arguments that make no difference.
    Filter {
        /// What it is about.
        target: Option<String>,
        /// Whose.
        provider: Option<String>,
        /// Whose, and which.
        providers: Option<Vec<Value>>,
        /// Of which vCPUs.
        vcpus: Option<Vec<String>>,
    }
}

fn query_status(context: &Arc<Context>, _: Empty) -> Answer<StatusInfo> {
    let state = context.power.state();
    Ok(StatusInfo { running: state == engine::RunState::Running, status: state.into() })
}

fn stop(context: &Arc<Context>, _: Empty) -> Answer<Empty> {
    context.power.pause();
    context.power.settle();
    Ok(Empty {})
}

fn cont(context: &Arc<Context>, _: Empty) -> Answer<Empty> {
    if !context.power.state().can_resume() {
        return Err(Error::new("Resetting the Virtual Machine is required"));
    }
    context.power.resume();
    context.power.settle();
    Ok(Empty {})
}

fn quit(context: &Arc<Context>, _: Empty) -> Answer<Empty> {
    context.power.quit(Cause::Quit);
    Ok(Empty {})
}

fn system_reset(context: &Arc<Context>, _: Empty) -> Answer<Empty> {
    context.power.reset(Cause::SystemReset);
    Ok(Empty {})
}

fn system_powerdown(context: &Arc<Context>, _: Empty) -> Answer<Empty> {
    context.power.powerdown();
    Ok(Empty {})
}

fn system_wakeup(_: &Arc<Context>, _: Empty) -> Answer<Empty> {
    Err(Error::new("wake-up from suspend is not supported by this guest"))
}

fn query_name(context: &Arc<Context>, _: Empty) -> Answer<NameInfo> {
    Ok(NameInfo { name: context.facts.name.clone() })
}

fn query_uuid(context: &Arc<Context>, _: Empty) -> Answer<UuidInfo> {
    let bytes = context.facts.uuid.unwrap_or_default();
    let mut uuid = String::new();
    for (n, byte) in bytes.iter().enumerate() {
        let dash = if matches!(n, 4 | 6 | 8 | 10) { "-" } else { "" };
        uuid += &format!("{dash}{byte:02x}");
    }
    Ok(UuidInfo { uuid })
}

fn query_target(context: &Arc<Context>, _: Empty) -> Answer<TargetInfo> {
    Ok(TargetInfo { arch: context.facts.target.into() })
}

fn query_kvm(_: &Arc<Context>, _: Empty) -> Answer<KvmInfo> {
    Ok(KvmInfo { enabled: false, present: false })
}

/// Where vCPU `n` is among the objects.
pub fn cpu_path(n: u32) -> String {
    format!("/machine/unattached/device[{n}]")
}

fn place(n: u32) -> CpuInstanceProperties {
    CpuInstanceProperties { socket_id: None, core_id: Some(n.into()), thread_id: None }
}

fn query_cpus_fast(context: &Arc<Context>, _: Empty) -> Answer<Vec<CpuInfoFast>> {
    let threads = context.power.threads();
    let own = std::process::id() as i32;
    let info = |n: u32| CpuInfoFast {
        cpu_index: n.into(),
        qom_path: cpu_path(n),
        thread_id: threads.get(n as usize).copied().filter(|id| *id != 0).unwrap_or(own).into(),
        props: Some(place(n)),
        target: context.facts.target.into(),
    };
    Ok((0..context.facts.cpus).map(info).collect())
}

/// As QEMU's boards of these guests have it, which say so in `query-machines` as well.
fn query_hotpluggable_cpus(_: &Arc<Context>, _: Empty) -> Answer<Vec<HotpluggableCpu>> {
    Err(Error::new("machine does not support hot-plugging CPUs"))
}

fn query_machines(context: &Arc<Context>, _: QueryMachines) -> Answer<Vec<MachineInfo>> {
    Ok(vec![MachineInfo {
        name: context.facts.machine.into(),
        is_default: None,
        cpu_max: context.facts.max_cpus.into(),
        hotpluggable_cpus: false,
        numa_mem_supported: false,
        deprecated: false,
        default_cpu_type: Some(context.facts.cpu_type.clone()),
        default_ram_id: Some(context.facts.ram_id.into()),
        acpi: false,
    }])
}

fn query_current_machine(_: &Arc<Context>, _: Empty) -> Answer<CurrentMachineParams> {
    Ok(CurrentMachineParams { wakeup_suspend_support: false })
}

fn query_memory_size_summary(context: &Arc<Context>, _: Empty) -> Answer<MemoryInfo> {
    Ok(MemoryInfo { base_memory: context.facts.memory, plugged_memory: Some(0) })
}

/// RAM, which is a private mapping that the host gives as it is touched.
fn query_memdev(context: &Arc<Context>, _: Empty) -> Answer<Vec<Memdev>> {
    Ok(vec![Memdev {
        id: context.facts.ram_id.into(),
        size: context.facts.memory,
        merge: true,
        dump: true,
        prealloc: false,
        share: false,
        reserve: Some(false),
        host_nodes: Vec::new(),
        policy: "default".into(),
    }])
}

/// Things that no machine has.
fn nothing(_: &Arc<Context>, _: Empty) -> Answer<Vec<Value>> {
    Ok(Vec::new())
}

fn nothing_of(_: &Arc<Context>, _: Filter) -> Answer<Vec<Value>> {
    Ok(Vec::new())
}

fn no_balloon(_: &Arc<Context>, _: Empty) -> Answer<Value> {
    Err(Error::of(Class::DeviceNotActive, "No balloon device has been activated"))
}

fn no_balloon_to_set(_: &Arc<Context>, _: Balloon) -> Answer<Empty> {
    Err(Error::of(Class::DeviceNotActive, "No balloon device has been activated"))
}

/// Bytes that are read at once.
const PIECE: u64 = 1 << 20;

fn save(context: &Arc<Context>, cpu: i64, space: Space, what: (i64, i64), file: &str) -> Answer<Empty> {
    let fault = |what: std::io::Error| Error::new(format!("Could not write '{file}': {what}"));
    let (start, size) =
        (what.0 as u64, u64::try_from(what.1).map_err(|_| Error::new("Parameter 'size' expects a size"))?);
    let Some(cpu) = usize::try_from(cpu).ok().filter(|n| *n < context.facts.cpus as usize) else {
        return Err(Error::new("Parameter 'cpu-index' expects a CPU number"));
    };
    let mut out = fs::File::create(file).map_err(fault)?;
    let mut done = 0;
    while done < size {
        let (addr, len) = (start.wrapping_add(done), PIECE.min(size - done));
        let read = move |cpus: &mut dyn engine::Cpus| {
            cpus.cpu(cpu).and_then(|cpu| memory::read(cpu, space, addr, len as usize))
        };
        let bytes = context
            .power
            .with_cpus(read)
            .flatten()
            .ok_or_else(|| Error::new(format!("Invalid addr {addr:#018x}/size {len} specified")))?;
        std::io::Write::write_all(&mut out, &bytes).map_err(fault)?;
        done += len;
    }
    Ok(Empty {})
}

fn memsave(context: &Arc<Context>, a: Memsave) -> Answer<Empty> {
    save(context, a.cpu_index.unwrap_or(0), Space::Virtual, (a.val, a.size), &a.filename)
}

fn pmemsave(context: &Arc<Context>, a: Pmemsave) -> Answer<Empty> {
    save(context, 0, Space::Physical, (a.val, a.size), &a.filename)
}

fn dumpdtb(context: &Arc<Context>, a: Dumpdtb) -> Answer<Empty> {
    let fault = |what| Error::new(format!("Error saving FDT to file {}: {what}", a.filename));
    fs::write(&a.filename, &context.device_tree).map_err(fault)?;
    Ok(Empty {})
}

fn screendump(_: &Arc<Context>, _: Screendump) -> Answer<Empty> {
    Err(Error::new("There is no console to take a screendump from"))
}

/// Nobody has a keyboard: the keys are pressed in vain.
fn send_key(_: &Arc<Context>, _: SendKey) -> Answer<Empty> {
    Ok(Empty {})
}

fn inject_nmi(_: &Arc<Context>, _: Empty) -> Answer<Empty> {
    Err(Error::new("machine does not provide NMIs"))
}
