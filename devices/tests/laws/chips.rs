//! The chips of a board.

use base::{IrqLine, ManualClock, Mmio, RomRegion, TimeBase, allocate_ram};
use base::{PowerEvent, PowerSink};
use devices::chips::aclint::{self, Mswi, Mtimer, Sswi};
use devices::chips::fw_cfg::FwCfg;
use devices::chips::goldfish_rtc::GoldfishRtc;
use devices::chips::ns16550a::Ns16550a;
use devices::chips::pflash_cfi01::{Backing, PflashCfi01};
use devices::chips::plic::Plic;
use devices::chips::sifive_test::SifiveTest;
use devices::host::chardev::{CharBackend, CharSink};
use std::sync::Arc;
use vm_memory::{Bytes, GuestAddress};

fn wires(count: usize) -> Vec<IrqLine> {
    vec![IrqLine::unconnected(); count]
}

/// A line that takes everything, and a machine that stays on.
struct Nowhere;

impl CharBackend for Nowhere {
    fn write(&self, bytes: &[u8]) -> usize {
        bytes.len()
    }
    fn attach(&self, _guest: Arc<dyn CharSink>) {}
    fn resume(&self) {}
    fn flush(&self) {}
}

impl PowerSink for Nowhere {
    fn power(&self, _event: PowerEvent) {}
}

device_laws!(
    ns16550a,
    8,
    |clock| Box::new(Ns16550a::new(clock.clone(), IrqLine::unconnected(), Arc::new(Nowhere))),
    devices::chips::ns16550a::Register::ROWS
);

device_laws!(plic, Plic::size(4), |_| Box::new(Plic::new(95, 7, wires(4))));
device_laws!(small_plic, Plic::size(1), |_| Box::new(Plic::new(31, 1, wires(1))));

device_laws!(mswi, aclint::MSWI_SIZE, |_| Box::new(Mswi::new(wires(4))));
device_laws!(sswi, aclint::SSWI_SIZE, |_| Box::new(Sswi::new(wires(4))));
device_laws!(mtimer, aclint::MTIMER_SIZE, |clock| {
    Box::new(Mtimer::new(TimeBase::new(clock.clone(), 10_000_000), wires(4)))
});

device_laws!(
    goldfish_rtc,
    0x24,
    |clock| Box::new(GoldfishRtc::new(clock.clone(), IrqLine::unconnected())),
    devices::chips::goldfish_rtc::Register::ROWS
);

device_laws!(
    sifive_test,
    0x1000,
    |_| Box::new(SifiveTest::new(Arc::new(Nowhere))),
    devices::chips::sifive_test::Register::ROWS
);

const SECTOR: u64 = 0x1000;

fn pflash(backing: Backing) -> Box<dyn Mmio> {
    let array = RomRegion::new(8 * SECTOR).expect("memory");
    array.fill(0x800, &[0xff; 0x5000]);
    Box::new(PflashCfi01::new(array, SECTOR, backing, || ()))
}

device_laws!(pflash_cfi01, 8 * SECTOR, |_| pflash(Backing::Volatile));
device_laws!(pflash_cfi01_read_only, 8 * SECTOR, |_| pflash(Backing::ReadOnly));

/// RAM from address 0 that holds DMA requests: every command on every key, with short and long transfers.
fn fw_cfg(_: &Arc<ManualClock>) -> Box<dyn Mmio> {
    let ram = allocate_ram(&[(0, 0x1_0000)]).expect("memory");
    for number in 0..0x1000u32 {
        let (key, command) = (number % 0x24, number >> 7);
        let (length, target) = (1u64 << (number % 18), u64::from(number) * 16);
        ram.write_slice(&(key << 16 | command).to_be_bytes(), GuestAddress(target)).expect("RAM");
        ram.write_slice(&(length << 32).to_be_bytes(), GuestAddress(target + 4)).expect("RAM");
        ram.write_slice(&(target as u32).to_be_bytes(), GuestAddress(target + 12)).expect("RAM");
    }
    let mut device = FwCfg::new(ram);
    device.add_file("etc/read", vec![0x5a; 100]).expect("new name");
    device.add_writable_file("etc/write", vec![0; 100], |_| ()).expect("new name");
    Box::new(device)
}

device_laws!(fw_cfg_mem, 0x18, fw_cfg);
