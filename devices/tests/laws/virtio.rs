//! virtio devices in their slots: over MMIO, and behind a PCI host, whose state is that of its functions.

use crate::chips::Nowhere;
use base::{AddressSpace, GuestRam, IrqLine, ManualClock, Mmio, allocate_ram, shared};
use devices::host::block::BlockBackend;
use devices::host::net::{FrameSink, NetBackend};
use devices::pci::{PciHost, PciSocket, PciWindow, PciWindows};
use devices::virtio::{
    Blk, BlkOptions, Console, ConsolePort, HostEntropy, Net, Rng, VIRTIO_MMIO_SIZE, VirtioDevice, VirtioMmio,
    VirtioPci,
};
use std::io;
use std::sync::Arc;

/// A disk of zeroes.
struct Zeroes;

impl BlockBackend for Zeroes {
    fn capacity(&self) -> u64 {
        1 << 20
    }
    fn read_only(&self) -> bool {
        false
    }
    fn read(&self, _: u64, buffer: &mut [u8]) -> io::Result<()> {
        buffer.fill(0);
        Ok(())
    }
    fn write(&self, _: u64, _: &[u8]) -> io::Result<()> {
        Ok(())
    }
    fn flush(&self) -> io::Result<()> {
        Ok(())
    }
    fn discard(&self, _: u64, _: u64) -> io::Result<()> {
        Ok(())
    }
    fn write_zeroes(&self, _: u64, _: u64, _: bool) -> io::Result<()> {
        Ok(())
    }
}

/// A network that leads nowhere.
struct NoNetwork;

impl NetBackend for NoNetwork {
    fn send(&self, _: &[u8]) {}
    fn attach(&self, _: Arc<dyn FrameSink>) {}
    fn resume(&self) {}
}

fn ram() -> GuestRam {
    allocate_ram(&[(0, 0x10_0000)]).expect("memory")
}

fn blk() -> Box<dyn VirtioDevice> {
    Box::new(Blk::new(Arc::new(Zeroes), BlkOptions { queues: 2, ..BlkOptions::default() }))
}

fn net() -> Box<dyn VirtioDevice> {
    Box::new(Net::new(Arc::new(NoNetwork), [0x52, 0x54, 0, 0x12, 0x34, 0x56], Default::default()))
}

fn console() -> Box<dyn VirtioDevice> {
    let port = |number, console| {
        let backend = Arc::new(Nowhere);
        ConsolePort { number, name: format!("port{number}"), console, open: true, backend }
    };
    Box::new(Console::new(vec![port(0, true), port(1, false)]))
}

fn rng() -> Box<dyn VirtioDevice> {
    Box::new(Rng::new(Box::new(HostEntropy)))
}

fn mmio(device: Box<dyn VirtioDevice>) -> Box<dyn Mmio> {
    Box::new(VirtioMmio::new(device, ram(), IrqLine::unconnected()))
}

device_laws!(virtio_mmio_empty, VIRTIO_MMIO_SIZE, |_| Box::new(VirtioMmio::empty(IrqLine::unconnected())));
device_laws!(virtio_mmio_blk, VIRTIO_MMIO_SIZE, |_| mmio(blk()));
device_laws!(virtio_mmio_net, VIRTIO_MMIO_SIZE, |_| mmio(net()));
device_laws!(virtio_mmio_console, VIRTIO_MMIO_SIZE, |_| mmio(console()));
device_laws!(virtio_mmio_rng, VIRTIO_MMIO_SIZE, |_| mmio(rng()));

/// Five slots of bus 0 with what is in them.
const ECAM: u64 = 5 << 15;

fn pci(_: &Arc<ManualClock>) -> Box<dyn Mmio> {
    let space = Arc::new(AddressSpace::new(ram()));
    let window = |cpu, size| PciWindow { cpu, bus: cpu, size };
    let windows = PciWindows {
        ecam: window(0x3000_0000, 0x1000_0000),
        io: window(0x300_0000, 0x1_0000),
        memory: window(0x4000_0000, 0x4000_0000),
        high_memory: Some(window(4 << 30, 1 << 30)),
    };
    let lines = std::array::from_fn(|_| IrqLine::unconnected());
    let mut host = PciHost::new(windows, &space, lines);
    for device in [blk(), net(), console(), rng()] {
        host.add(PciSocket::default(), |wiring| shared(VirtioPci::new(device, ram(), wiring)))
            .expect("a free slot");
    }
    Box::new(host)
}

device_laws!(pci_host, ECAM, pci);
