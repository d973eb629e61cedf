//! What clients say to the gdb server, to QMP and to the monitor, on a machine of one hart.

use base::{AddressSpace, CpuLines, HostClock};
use control::gdb::packet::frame;
use control::gdb::{Server, System};
use control::hmp::Hmp;
use control::qmp::{Error, Qmp};
use control::{
    CharInfo, CheckpointInfo, Context, CpuModelInfo, DeviceInfo, DiskCounts, DiskInfo, Facts, Host, Jobs,
    NetInfo, Outlet, Part, PropertyInfo, Protocol, SnapshotInfo, SnapshotRequest,
};
use devices::host::chardev::{CharBackend, CharSink};
use engine::{Event, Machine, Policy, Power};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tcg_core::cpu::CpuHeader;
use tcg_core::run::{CodeCache, CodeConfig, Vcpu, VcpuConfig};
use tcg_riscv::Riscv;
use tcg_riscv::cpu::Hart;
use tcg_riscv::csr::Csrs;
use tcg_riscv::features::Features;
use vm_memory::{Bytes, GuestAddress};

const RAM: (u64, u64) = (0x8000_0000, 64 << 10);
/// `addi x5, x5, 1`; `sd x5, 0(x6)`; `j` to the first.
const CODE: [u32; 3] = [0x0012_8293, 0x0053_3023, 0xff9f_f06f];
/// Answers to one input are no longer than this, in bytes.
const LONGEST_ANSWER: usize = 64 << 20;

/// Takes all output.
#[derive(Default)]
struct Sink(AtomicUsize);

impl CharBackend for Sink {
    fn write(&self, bytes: &[u8]) -> usize {
        let total = self.0.fetch_add(bytes.len(), Ordering::Relaxed);
        assert!(total < LONGEST_ANSWER, "an answer without end");
        bytes.len()
    }
    fn attach(&self, _: Arc<dyn CharSink>) {}
    fn resume(&self) {}
    fn flush(&self) {}
}

/// A host with a thing of each kind.
struct Around;

impl Host for Around {
    fn chardevs(&self) -> Vec<CharInfo> {
        vec![CharInfo { label: "serial0".into(), filename: "null".into(), used: true }]
    }
    fn disks(&self) -> Vec<DiskInfo> {
        let text = |text: &str| text.to_string();
        let (device, node, file, driver) = (text("d"), text("#d"), text("disk"), text("raw"));
        vec![DiskInfo {
            device,
            qdev: None,
            node,
            file,
            driver,
            read_only: false,
            size: 512,
            snapshots: vec![snapshot()],
            counts: DiskCounts::default(),
        }]
    }
    fn device_types(&self) -> Vec<&'static str> {
        vec!["virtio-rng-pci"]
    }
    fn device_properties(&self, name: &str) -> Option<Vec<PropertyInfo>> {
        let property = PropertyInfo { name: "addr", kind: "str".into(), about: "slot" };
        (name == "virtio-rng-pci").then(|| vec![property])
    }
    fn command_line_options(&self) -> Vec<(&'static str, Vec<PropertyInfo>)> {
        vec![("msg", vec![PropertyInfo { name: "timestamp", kind: "boolean".into(), about: "" }])]
    }
    fn cpu_models(&self) -> Vec<CpuModelInfo> {
        vec![CpuModelInfo { name: "rv64", type_name: "rv64-riscv-cpu".into(), settled: false }]
    }
    fn cpu_switches(&self, _: &str, switches: &[(String, bool)]) -> Result<Vec<(String, bool)>, String> {
        Ok(switches.to_vec())
    }
    fn log_help(&self) -> String {
        String::new()
    }
    fn devices(&self) -> Vec<DeviceInfo> {
        vec![DeviceInfo {
            id: Some("rng".into()),
            path: "/machine/peripheral/rng".into(),
            driver: "virtio-rng-pci",
            bus: "rp1".into(),
            address: Some("00.0".into()),
            hotplugged: true,
            properties: vec![("max-bytes", "1024".into())],
        }]
    }
    fn add(&self, _: Part, words: &str) -> Result<(), Error> {
        Err(Error::new(format!("no room for {words}")))
    }
    fn remove(&self, _: Part, _: &str) -> Result<(), Error> {
        Ok(())
    }
    fn forward(&self, _: Option<&str>, rule: &str) -> Result<(), String> {
        Err(rule.into())
    }
    fn forward_no_more(&self, netdev: Option<&str>, _: &str) -> Result<bool, String> {
        Ok(netdev.is_some())
    }
    fn forwards(&self) -> String {
        "n:\n".into()
    }
    fn checkpoints(&self) -> Vec<CheckpointInfo> {
        vec![CheckpointInfo { tag: "c".into(), clock: 1 }]
    }
    fn snapshots(&self) -> Vec<SnapshotInfo> {
        vec![snapshot()]
    }
    fn save_snapshot(&self, request: SnapshotRequest, _: bool) -> Result<(), String> {
        Err(format!("no room for {}", request.tag))
    }
    fn load_snapshot(&self, _: SnapshotRequest) -> Result<(), String> {
        Ok(())
    }
    fn delete_snapshot(&self, _: SnapshotRequest) -> Result<(), String> {
        Ok(())
    }
    fn networks(&self) -> Vec<NetInfo> {
        vec![NetInfo { id: "n".into(), kind: "user".into(), device: None, about: String::new() }]
    }
    fn log(&self, _: &str) -> Result<(), String> {
        Ok(())
    }
    fn log_items(&self) -> Vec<(&'static str, bool)> {
        vec![("exec", false)]
    }
    fn log_file(&self, _: &str) -> Result<(), String> {
        Ok(())
    }
    fn translations(&self, _: &engine::Record, _: usize) -> String {
        String::new()
    }
    fn gdb_server(&self, device: &str) -> Result<(), String> {
        Err(format!("no {device} here"))
    }
}

fn snapshot() -> SnapshotInfo {
    SnapshotInfo { id: "1".into(), tag: "s".into(), state_size: 512, date: 0, clock: 0 }
}

fn machine() -> Arc<Context> {
    let ram = base::allocate_ram(&[RAM]).expect("little memory");
    let code: Vec<u8> = CODE.iter().flat_map(|word| word.to_le_bytes()).collect();
    ram.write_slice(&code, GuestAddress(RAM.0)).expect("it fits");
    let space = Arc::new(AddressSpace::new(ram));
    let code = CodeCache::new(space.clone(), CodeConfig { code_bytes: 1 << 20, ..CodeConfig::default() });
    let mut csr = Csrs::new(Features::max(), 0);
    csr.pmp.set_addr(0, u64::MAX);
    csr.pmp.set_cfg(0, 0x1f);
    let mut hart = Hart {
        head: CpuHeader::new(),
        x: [0; 32],
        f: [0; 32],
        v: Default::default(),
        reservation: u64::MAX,
        reserved_value: 0,
        csr,
    };
    (hart.head.pc, hart.x[6]) = (RAM.0, RAM.0 + 0x1000);
    let lines = Arc::new(CpuLines::default());
    let vcpu = Vcpu::new(hart, lines, &code.expect("code memory"), VcpuConfig::default());
    let power = Arc::new(Power::default());
    let clock = HostClock::new().expect("a thread");
    let reload = |vcpus: &mut [Vcpu<Riscv>]| vcpus[0].cpu_mut().head.pc = RAM.0;
    let policy = Policy { start_paused: true, ..Policy::default() };
    let machine = Machine::new(vec![vcpu], Vec::new(), clock, power.clone(), Box::new(reload), policy);
    std::thread::spawn(move || machine.run().expect("threads"));
    let facts = Facts {
        program: "fuzz".into(),
        version: [10, 0, 2],
        package: String::new(),
        target: "riscv64",
        machine: "virt",
        cpu_type: "max-riscv-cpu".into(),
        name: None,
        uuid: None,
        cpus: 1,
        max_cpus: 512,
        ram_id: "riscv_virt_board.ram",
        memory: RAM.1,
    };
    Arc::new(Context {
        facts,
        power,
        space,
        device_tree: vec![0xd0, 0x0d, 0xfe, 0xed],
        devices: Vec::new(),
        host: Arc::new(Around),
        jobs: Jobs::default(),
    })
}

/// The machine that inputs talk about, until one of them ends it.
static MACHINE: Mutex<Option<Arc<Context>>> = Mutex::new(None);

/// Says `data` to one of the three: its first byte chooses which, and how it is cut into pieces.
pub fn control(data: &[u8]) {
    let Some((&kind, rest)) = data.split_first() else { return };
    // They write to files of any name.
    if rest.windows(7).any(|word| word == b"memsave") {
        return;
    }
    let mut machine = MACHINE.lock();
    if machine.as_ref().is_none_or(|context| !context.power.settle()) {
        *machine = Some(self::machine());
    }
    let Some(context) = machine.clone() else { return };
    drop(machine);
    match kind % 4 {
        0 => {
            // In packets that are well formed, one a line: what is in them is what counts.
            let packets: Vec<u8> = rest.split(|byte| *byte == b'\n').flat_map(frame).collect();
            talk(Server::new(System::new(context)), &packets, kind);
        }
        1 => talk(Server::new(System::new(context)), rest, kind),
        2 => {
            let greeted = [b"{\"execute\":\"qmp_capabilities\"}", rest].concat();
            talk(Qmp::new(context, kind & 64 != 0), &greeted, kind);
        }
        _ => talk(Hmp::new(context), rest, kind),
    }
}

fn talk(mut protocol: impl Protocol, bytes: &[u8], kind: u8) {
    let out = Outlet::to(Arc::new(Sink::default()));
    protocol.opened(&out);
    for piece in bytes.chunks(1 + usize::from(kind >> 2)) {
        protocol.input(piece, &out);
    }
    protocol.event(Event::Resumed, &out);
    protocol.event(Event::Stopped { state: engine::RunState::Paused, debug: None }, &out);
    protocol.closed();
}
