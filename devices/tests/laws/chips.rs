//! The chips of a board.

use base::{IrqLine, ManualClock, Mmio, RomRegion, TimeBase, allocate_ram};
use base::{PowerEvent, PowerSink};
use devices::chips::aclint::{self, Mswi, Mtimer, Sswi};
use devices::chips::acpi_ged::{self, AcpiGed};
use devices::chips::fw_cfg::FwCfg;
use devices::chips::gic::v2::{self, GicV2};
use devices::chips::gic::v2m::{self, GicV2m};
use devices::chips::gic::v3::{self, Config, GicV3, its};
use devices::chips::gic::{CpuPins, Security, ppi_input};
use devices::chips::goldfish_rtc::GoldfishRtc;
use devices::chips::ns16550a::Ns16550a;
use devices::chips::pflash_cfi01::{Backing, PflashCfi01};
use devices::chips::pl011::Pl011;
use devices::chips::pl031::Pl031;
use devices::chips::pl061::Pl061;
use devices::chips::plic::Plic;
use devices::chips::sifive_test::SifiveTest;
use devices::host::chardev::{CharBackend, CharSink};
use std::sync::Arc;
use vm_memory::{Bytes, GuestAddress};

fn wires(count: usize) -> Vec<IrqLine> {
    vec![IrqLine::unconnected(); count]
}

/// A line that takes everything, and a machine that stays on.
pub struct Nowhere;

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

device_laws!(
    pl011,
    0x1000,
    |_| Box::new(Pl011::new(IrqLine::unconnected(), Arc::new(Nowhere))),
    devices::chips::pl011::Register::ROWS
);
device_laws!(
    pl031,
    0x1000,
    |clock| Box::new(Pl031::new(clock.clone(), IrqLine::unconnected())),
    devices::chips::pl031::Register::ROWS
);
device_laws!(
    pl061,
    0x1000,
    |_| Box::new(Pl061::new(IrqLine::unconnected())),
    devices::chips::pl061::Register::ROWS
);

device_laws!(
    generic_event_device,
    acpi_ged::SIZE,
    |_| Box::new(AcpiGed::new(IrqLine::unconnected())),
    acpi_ged::Register::ROWS
);

fn pins(cpus: usize) -> Vec<CpuPins> {
    let none = IrqLine::unconnected;
    vec![CpuPins { irq: none(), fiq: none(), virq: none(), vfiq: none(), groups_1: [none(), none()] }; cpus]
}

/// Some of whose inputs are high.
fn gic_v2(security: Security) -> GicV2 {
    let gic = GicV2::new(64, pins(4), Some(25), security);
    [1, 7, 33, ppi_input(0, 27), ppi_input(3, 30)].into_iter().for_each(|line| gic.inputs().set(line, true));
    gic
}

/// The same, with memory from address 0 for the tables of LPIs, which holds random bits.
fn gic_v3(security: Security) -> GicV3 {
    let ram = allocate_ram(&[(0, 0x10_0000)]).expect("memory");
    let bytes: Vec<u8> = (0..0x10_0000u32).map(|n| (n.wrapping_mul(0x9e37_79b9) >> 21) as u8).collect();
    ram.write_slice(&bytes, GuestAddress(0)).expect("RAM");
    let gic = GicV3::new(Config { spis: 64, lpis: true, maintenance: Some(25), security }, pins(4), ram);
    [1, 7, 33, ppi_input(0, 27), ppi_input(3, 30)].into_iter().for_each(|line| gic.inputs().set(line, true));
    gic
}

device_laws!(gic_v2_distributor, v2::DISTRIBUTOR_SIZE, |_| Box::new(gic_v2(Security::One).distributor()));
device_laws!(gic_v2_interface, v2::INTERFACE_SIZE, |_| Box::new(gic_v2(Security::One).interface()));
device_laws!(gic_v2_hypervisor, v2::HYPERVISOR_SIZE, |_| Box::new(gic_v2(Security::One).hypervisor()));
device_laws!(gic_v2_guest, v2::INTERFACE_SIZE, |_| Box::new(gic_v2(Security::One).guest()));
/// Both states, interrupts in the power-on groups.
const TWO: Security = Security::Two { for_kernel: false };

device_laws!(gic_v2_of_two, v2::DISTRIBUTOR_SIZE, |_| Box::new(gic_v2(TWO).distributor()));
device_laws!(gic_v2_secure, v2::DISTRIBUTOR_SIZE, |_| Box::new(gic_v2(TWO).secure_distributor()));
device_laws!(gic_v2_interface_of_two, v2::INTERFACE_SIZE, |_| Box::new(gic_v2(TWO).interface()));
device_laws!(gic_v2_secure_interface, v2::INTERFACE_SIZE, |_| Box::new(gic_v2(TWO).secure_interface()));
device_laws!(gic_v3_of_two, v3::DISTRIBUTOR_SIZE, |_| Box::new(gic_v3(TWO).distributor()));
device_laws!(gic_v3_secure, v3::DISTRIBUTOR_SIZE, |_| Box::new(gic_v3(TWO).secure_distributor()));
device_laws!(gic_v3_secure_redistributors, 4 * v3::REDISTRIBUTOR_SIZE, |_| {
    Box::new(gic_v3(TWO).secure_redistributors())
});
device_laws!(
    gic_v2m,
    v2m::SIZE,
    |_| Box::new(GicV2m::new(gic_v2(Security::One).inputs(), 16, 32)),
    v2m::Register::ROWS
);
device_laws!(gic_v3_distributor, v3::DISTRIBUTOR_SIZE, |_| Box::new(gic_v3(Security::One).distributor()));
device_laws!(gic_v3_redistributors, 4 * v3::REDISTRIBUTOR_SIZE, |_| Box::new(
    gic_v3(Security::One).redistributors()
));
device_laws!(gic_v3_its, its::SIZE, |_| Box::new(gic_v3(Security::One).its()), its::Register::ROWS);
