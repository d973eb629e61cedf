//! virtio devices over MMIO and PCI, under a driver that writes anything into registers, rings and buffers.

mod driver;
mod host;

use self::driver::{Driver, Step};
use self::host::{Cable, Memory, Numbers, Pipe};
use super::STEPS;
use arbitrary::Unstructured;
use base::{AddressSpace, IrqLine, LineRecorder, Mmio, Shared, Slot, shared};
use devices::pci::{PciHost, PciSocket, PciWindow, PciWindows};
use devices::virtio::{
    Blk, BlkOptions, Console, ConsolePort, Net, Rng, Service, VIRTIO_MMIO_SIZE, VirtioDevice, VirtioMmio,
    VirtioPci,
};
use std::sync::Arc;

const RAM: u64 = 0x8000_0000;
const RAM_SIZE: u64 = 256 << 10;
/// Where the MMIO slot is, and the windows of the PCI host.
const SLOT: u64 = 0x1000_1000;
const ECAM: u64 = 0x3000_0000;
const MEMORY: u64 = 0x4000_0000;
const HIGH: u64 = 0x4_0000_0000;

/// States that are saved in one input, at most: each takes as long as hundreds of other steps.
const SAVES: u32 = 8;

/// The host's end of the device.
struct Host {
    cable: Arc<Cable>,
    pipe: Arc<Pipe>,
}

impl Host {
    /// A device of kind `kind` on this host.
    fn device(&self, kind: u8) -> Box<dyn VirtioDevice> {
        let disk = |read_only, queues| {
            let options = BlkOptions { serial: "serial".into(), queues, ..BlkOptions::default() };
            Box::new(Blk::new(Arc::new(Memory::new(read_only)), options))
        };
        let port = |number, console| ConsolePort {
            number,
            name: format!("port{number}"),
            console,
            open: true,
            backend: self.pipe.clone(),
        };
        match kind % 5 {
            0 => disk(false, 1),
            1 => disk(true, 2),
            2 => Box::new(Net::new(self.cable.clone(), [2, 0, 0, 0, 0, 1], Service::Thread)),
            3 => Box::new(Console::new(vec![port(0, true), port(1, false), port(30, false)])),
            _ => Box::new(Rng::new(Box::new(Numbers))),
        }
    }
}

/// Takes `data` as a device on a bus, and a series of steps of its driver and of the host.
pub fn virtqueue(data: &[u8]) {
    let mut input = Unstructured::new(data);
    let Ok([kind, bus]) = input.arbitrary::<[u8; 2]>() else { return };
    let space = Arc::new(AddressSpace::new(base::allocate_ram(&[(RAM, RAM_SIZE)]).expect("256 KiB")));
    let host = Host { cable: Arc::default(), pipe: Arc::default() };
    let device = host.device(kind);
    let pci = bus % 2 == 1;
    let device: Shared<dyn Mmio> = if pci { on_pci(&space, device) } else { in_slot(&space, device) };
    let power_on = device.lock().save();
    let mut driver = Driver::new(space, pci);
    let mut saves = SAVES;
    for _ in 0..STEPS {
        if input.is_empty() {
            break;
        }
        let Ok(step) = input.arbitrary::<Step>() else { break };
        match step {
            Step::Host { what, len } => {
                host.cable.act(what, len);
                host.pipe.act(what, len);
            }
            Step::Idle | Step::Move if saves == 0 => {}
            Step::Idle => {
                saves -= 1;
                drop(device.lock().save());
            }
            Step::Move => {
                saves -= 1;
                let mut device = device.lock();
                let state = device.save();
                device.load(&state).expect("the device's own state");
            }
            Step::Reset => device.lock().reset(),
            step => driver.take(step),
        }
    }
    let mut device = device.lock();
    // Waits for what is under way.
    drop(device.save());
    device.reset();
    assert_eq!(device.save(), power_on, "reset restores the power-on state");
}

fn in_slot(space: &Arc<AddressSpace>, device: Box<dyn VirtioDevice>) -> Shared<dyn Mmio> {
    let line = IrqLine::new(Arc::new(LineRecorder::default()), 0);
    let slot = shared(VirtioMmio::new(device, space.ram().clone(), line));
    space.map("slot", SLOT, VIRTIO_MMIO_SIZE, Slot::Device(slot.clone())).expect("nothing is there");
    slot
}

fn on_pci(space: &Arc<AddressSpace>, device: Box<dyn VirtioDevice>) -> Shared<dyn Mmio> {
    let lines = Arc::new(LineRecorder::default());
    let wires = std::array::from_fn(|n| IrqLine::new(lines.clone(), n as u32));
    let window = |cpu, size| PciWindow { cpu, bus: cpu, size };
    let windows = PciWindows {
        ecam: window(ECAM, 256 << 20),
        io: PciWindow { cpu: 0x300_0000, bus: 0, size: 64 << 10 },
        memory: window(MEMORY, 1 << 30),
        high_memory: Some(window(HIGH, 16 << 30)),
    };
    let mut host = PciHost::new(windows, space, wires);
    let ram = space.ram().clone();
    host.add(PciSocket::default(), |wiring| shared(VirtioPci::new(device, ram, wiring)))
        .expect("slots are free");
    let host = shared(host);
    space.map("ecam", ECAM, 256 << 20, Slot::Device(host.clone())).expect("nothing is there");
    host
}
