//! States of machines in files: any bytes, and those of a small machine with parts of its state exchanged.
//!
//! A state that is refused leaves the machine as it was; one that is loaded may say anything of CPU and devices, and the guest goes on with
//! that for some instructions.

use super::STEPS;
use arbitrary::{Arbitrary, Unstructured};
use base::{
    AddressSpace, CpuLines, Device, IrqLine, ManualClock, Mmio, Shared, Slot, Width, allocate_ram, shared,
};
use devices::chips::goldfish_rtc::GoldfishRtc;
use devices::chips::ns16550a::Ns16550a;
use devices::chips::plic::Plic;
use devices::host::chardev::{self, CharKind};
use devices::pci::{PciHost, PciSocket, PciWindow, PciWindows, SlotOptions};
use devices::virtio::{HostEntropy, Rng, VirtioPci};
use engine::snapshot::file::{Header, PlainFile, copied, mapped};
use engine::snapshot::{Identity, Saver};
use serde_json::Value;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use tcg_core::cpu::CpuHeader;
use tcg_core::run::{CodeCache, CodeConfig, Vcpu, VcpuConfig};
use tcg_riscv::Riscv;
use tcg_riscv::cpu::Hart;
use tcg_riscv::csr::Csrs;
use tcg_riscv::features::Features;
use vm_memory::{Bytes, GuestAddress};

const RAM: (u64, u64) = (0x8000_0000, 64 << 10);
const ECAM: u64 = 0x3000_0000;
/// `addi x5, x5, 1`; `sd x5, 0(x6)`; `j` to the first.
const CODE: [u32; 3] = [0x0012_8293, 0x0053_3023, 0xff9f_f06f];
/// Instructions that the guest goes on for.
const GOES_ON: usize = 32;
/// Bytes of a file before its state, and what RAM stands at a multiple of.
const HEAD: usize = 16;

/// What is done to the state of the machine before it is loaded.
#[derive(Arbitrary, Debug)]
enum Edit {
    /// A part, found by going down so many members, is a number.
    Number { way: [u8; 6], value: u64 },
    /// It is a small number.
    Small { way: [u8; 6], value: i8 },
    /// It is a text.
    Text { way: [u8; 6], value: u16 },
    /// It is gone.
    Gone { way: [u8; 6] },
    /// It is there twice.
    Twice { way: [u8; 6] },
    /// It is what another part is.
    Other { way: [u8; 6], from: [u8; 6] },
}

struct Machine {
    saver: Arc<Saver>,
    cpus: Vec<Vcpu<Riscv>>,
    pci: Shared<PciHost>,
    clock: Arc<ManualClock>,
}

fn machine() -> Machine {
    let ram = allocate_ram(&[RAM]).expect("little memory");
    let code: Vec<u8> = CODE.iter().flat_map(|word| word.to_le_bytes()).collect();
    ram.write_slice(&code, GuestAddress(RAM.0)).expect("it fits");
    let space = Arc::new(AddressSpace::new(ram.clone()));
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
    let clock = ManualClock::new();
    let plic = Plic::new(31, 7, vec![IrqLine::new(lines.clone(), 11), IrqLine::new(lines.clone(), 9)]);
    let wires = |n| IrqLine::new(plic.inputs(), n);
    let nowhere = chardev::open(&CharKind::Null.into(), "serial").expect("nothing to open");
    let uart = shared(Ns16550a::new(clock.clone(), wires(10), nowhere));
    let rtc = shared(GoldfishRtc::new(clock.clone(), wires(11)));
    let window = |cpu, size| PciWindow { cpu, bus: cpu, size };
    let windows = PciWindows {
        ecam: window(ECAM, 256 << 20),
        io: PciWindow { cpu: 0x300_0000, bus: 0, size: 64 << 10 },
        memory: window(0x4000_0000, 1 << 30),
        high_memory: None,
    };
    let mut host = PciHost::new(windows, &space, std::array::from_fn(|n| wires(20 + n as u32)));
    let options = SlotOptions { port: 0, slot: 1, hotplug: true };
    let port = host.add_port(PciSocket::default(), options).expect("free").devfn;
    for port in [None, Some(port)] {
        let socket = PciSocket { port, ..PciSocket::default() };
        let (rng, ram) = (Box::new(Rng::new(Box::new(HostEntropy))), ram.clone());
        host.add(socket, |wiring| shared(VirtioPci::new(rng, ram, wiring))).expect("free");
    }
    let (plic, pci) = (shared(plic), shared(host));
    space.map("ecam", ECAM, 256 << 20, Slot::Device(pci.clone())).expect("nothing is there");
    space.map("serial", 0x1000_0000, 0x100, Slot::Device(uart.clone())).expect("nothing is there");
    let vcpu = Vcpu::new(hart, lines, &code.expect("code memory"), VcpuConfig::default());
    let devices: Vec<(String, Shared<dyn Device>)> = vec![
        ("plic".into(), plic),
        ("serial".into(), uart),
        ("rtc".into(), rtc),
        ("pci".into(), pci.clone()),
    ];
    let identity = Identity { arch: "riscv64".into(), machine: "fuzz".into(), cpu: "max".into(), cpus: 1 };
    Machine { saver: Saver::new(identity, devices, clock.clone(), ram), cpus: vec![vcpu], pci, clock }
}

/// The part of `value` that `way` leads to.
fn part<'v>(mut value: &'v mut Value, way: &[u8]) -> &'v mut Value {
    for step in way {
        let inside = match value {
            Value::Array(items) if !items.is_empty() => usize::from(*step) % items.len(),
            Value::Object(members) if !members.is_empty() => usize::from(*step) % members.len(),
            _ => break,
        };
        value = match value {
            Value::Array(items) => &mut items[inside],
            Value::Object(members) => members.values_mut().nth(inside).expect("it has so many"),
            _ => unreachable!("it has an inside"),
        };
    }
    value
}

fn edit(state: &mut Value, edit: &Edit) {
    match edit {
        Edit::Number { way, value } => *part(state, way) = (*value).into(),
        Edit::Small { way, value } => *part(state, way) = (*value).into(),
        Edit::Text { way, value } => *part(state, way) = format!("{value:x}").into(),
        Edit::Gone { way } => *part(state, way) = Value::Null,
        Edit::Twice { way } => {
            if let Value::Array(items) = part(state, way)
                && items.len() < 4096
                && let Some(last) = items.last().cloned()
            {
                items.push(last);
            }
        }
        Edit::Other { way, from } => {
            let other = part(state, from).clone();
            *part(state, way) = other;
        }
    }
}

/// A file with the state of `machine`, edited.
fn edited(machine: &mut Machine, input: &mut Unstructured) -> Vec<u8> {
    let file = Arc::new(base::anonymous_file(0).expect("memory"));
    machine.saver.write(&mut machine.cpus, &mut &*file).expect("written");
    let mut bytes = vec![0; file.metadata().expect("a file").len() as usize];
    file.read_exact_at(&mut bytes, 0).expect("its own length");
    let size = u32::from_le_bytes(bytes[12..HEAD].try_into().expect("four bytes")) as usize;
    let mut state: Value = serde_json::from_slice(&bytes[HEAD..HEAD + size]).expect("JSON");
    for change in input.arbitrary_iter::<Edit>().expect("any bytes do").take(STEPS).flatten() {
        edit(&mut state, &change);
    }
    let text = serde_json::to_vec(&state).expect("plain data");
    let mut whole = bytes[..12].to_vec();
    whole.extend((text.len() as u32).to_le_bytes());
    whole.extend(text);
    // RAM reads as zero.
    whole.resize(whole.len().next_multiple_of(RAM.1 as usize) + 2 * RAM.1 as usize, 0);
    whole
}

/// Loads any state; an input that begins as a file does is one.
pub fn state(data: &[u8]) {
    let mut machine = machine();
    let whole = if data.starts_with(b"MIMICSNP") {
        data.to_vec()
    } else {
        edited(&mut machine, &mut Unstructured::new(data))
    };
    let file = Arc::new(base::anonymous_file(whole.len() as u64).expect("memory"));
    file.write_all_at(&whole, 0).expect("memory");
    let Ok(header) = Header::read(&mut PlainFile(file.clone())) else { return };
    if machine.saver.fits(&header).is_err() {
        return;
    }
    let ram = if data.len().is_multiple_of(2) {
        mapped(&header, &file)
    } else {
        match copied(&header, &mut PlainFile(file.clone())) {
            Ok(ram) => ram,
            Err(_) => return,
        }
    };
    if machine.saver.read(&mut machine.cpus, &header, ram, || Ok(())).is_err() {
        return;
    }
    for n in 0..GOES_ON {
        machine.cpus[0].step_for_debugger(true);
        machine.clock.advance(1000);
        let offset = ((n as u64 % 4) << 15) | ((n as u64 * 8) % 0x100);
        let value = machine.pci.lock().read(offset, Width::B4);
        machine.pci.lock().write(offset, Width::B4, value);
    }
    machine.saver.settle(&mut machine.cpus).expect("what was loaded can be saved");
}
