//! The ACPI tables of the board, written from its table: ACPI 6.5, the IO Remapping Table (DEN 0049) and the Arm Base Boot
//! Requirements (DEN 0044).
//!
//! Left out: SMBIOS.

use super::map::{Chip, MMIO_SLOTS, PCI_IRQ, V2M_SPIS, find, ppi, virtio_mmio};
use super::{Conduit, GicVersion, Topology, Virt};
use crate::Slot;
use crate::acpi::{HEADER, OEM, OEM_TABLE, Tables, bytes, table};
use crate::parts::BoardError;
use acpi_tables::aml::{
    AddressSpace, AddressSpaceCacheable, And, Device, EISAName, Field, FieldAccessType, FieldEntry,
    FieldLockRule, FieldUpdateRule, If, Interrupt, Local, Memory32Fixed, Method, Name, NotEqual, Notify,
    OpRegion, OpRegionSpace, Package, Path, ResourceTemplate, Scope, Store,
};
use acpi_tables::fadt::{FADTBuilder, Flags};
use acpi_tables::madt::{
    EnabledStatus, GicIts, GicMsi, GicVersion as MadtVersion, Gicc, Gicd, Gicr, LocalInterruptController,
    MADT, Trigger,
};
use acpi_tables::mcfg::MCFG;
use acpi_tables::pptt::{PPTT, ProcessorNode};
use acpi_tables::sdt::GenericAddress;
use acpi_tables::{Aml, AmlSink};
use devices::chips::acpi_ged::POWER_DOWN;
use devices::chips::gic::PRIVATE;

/// FADT, flags of Arm: PSCI is there, and called by `hvc`.
const PSCI_COMPLIANT: u16 = 1;
const PSCI_HVC: u16 = 2;
/// Offset of the 64-bit address of the DSDT.
const FADT_X_DSDT: usize = 140;
/// GTDT: no such block of registers.
const NO_BLOCK: u64 = u64::MAX;
/// GTDT: the timer runs always.
const ALWAYS_ON: u32 = 4;
/// SPCR: a PL011, its interrupt one of the GIC, 115200 baud.
const SPCR_PL011: u8 = 3;
const SPCR_GIC: u8 = 8;
const SPCR_BAUD: u8 = 7;

/// The interrupt number of SPI `n`.
fn spi(n: u32) -> u32 {
    PRIVATE + n
}

impl Virt {
    /// Offers the tables to firmware.
    pub fn offer_acpi(&self) -> Result<(), BoardError> {
        let mut tables = Tables::new();
        let dsdt = tables.add(self.dsdt(), &[]);
        tables.add_named(self.fadt(dsdt), &[FADT_X_DSDT]);
        tables.add_named(self.madt(), &[]);
        tables.add_named(self.pptt(), &[]);
        tables.add_named(self.gtdt(), &[]);
        tables.add_named(self.mcfg(), &[]);
        tables.add_named(spcr(), &[]);
        if self.config.gic == (GicVersion::V3 { its: true }) {
            tables.add_named(iort(), &[]);
        }
        tables.offer(&self.chassis.fw_cfg)
    }

    fn fadt(&self, dsdt: u64) -> Vec<u8> {
        let mut fadt = FADTBuilder::new(OEM, OEM_TABLE, 1).dsdt_64(dsdt).flag(Flags::HwReducedAcpi);
        fadt.arm_boot_arch = match self.config.psci {
            None => 0,
            Some(Conduit::Smc) => PSCI_COMPLIANT,
            Some(Conduit::Hvc) => PSCI_COMPLIANT | PSCI_HVC,
        }
        .into();
        bytes(&fadt.finalize())
    }

    fn madt(&self) -> Vec<u8> {
        let mut madt = MADT::new(OEM, OEM_TABLE, 1, LocalInterruptController::Address(0));
        let (version, interface) = match self.config.gic {
            GicVersion::V2 => (MadtVersion::GICv2, find(Chip::GicInterface).base),
            GicVersion::V3 { .. } => (MadtVersion::GICv3, 0),
        };
        madt.add_structure(Gicd::new(0, find(Chip::GicDistributor).base, version));
        for cpu in 0..self.cpus as u32 {
            let gicc = Gicc::new(EnabledStatus::Enabled)
                .cpu_interface_number(cpu)
                .acpi_processor_uid(cpu)
                .base_address(interface)
                .mpidr(cpu.into());
            let gicc = if self.config.virtualization { self.with_guests(gicc) } else { gicc };
            let pmu = if self.config.pmu { ppi::interrupt(ppi::PMU) } else { 0 };
            madt.add_structure(gicc.performance_interrupt(pmu, Trigger::Level));
        }
        match self.config.gic {
            GicVersion::V2 => {
                let (first, count) = V2M_SPIS;
                let mut frame = GicMsi::new().spi_count_and_base(count as u16, spi(first) as u16);
                frame = frame.gic_msi_frame_id(0).base_addr(find(Chip::GicV2m).base);
                madt.add_structure(frame);
            }
            GicVersion::V3 { its } => {
                let frames = find(Chip::GicRedistributors);
                madt.add_structure(Gicr::new(frames.base, frames.size as u32));
                if its {
                    madt.add_structure(GicIts::new(0, find(Chip::GicIts).base));
                }
            }
        }
        bytes(&madt)
    }

    /// What a hypervisor needs to know of a CPU: where a GICv2 has its virtual interface, and the maintenance interrupt.
    fn with_guests(&self, gicc: Gicc) -> Gicc {
        let gicc = match self.config.gic {
            GicVersion::V2 => {
                let (guest, hypervisor) = (find(Chip::GicGuest).base, find(Chip::GicHypervisor).base);
                gicc.virtual_registers(guest).control_block_registers(hypervisor)
            }
            GicVersion::V3 { .. } => gicc,
        };
        gicc.maintenance_interrupt(ppi::interrupt(ppi::GIC_MAINTENANCE), Trigger::Level)
    }

    /// Sockets of cores, of threads if there is more than one in each.
    fn pptt(&self) -> Vec<u8> {
        let Topology { cores, threads } = self.config.topology;
        let mut pptt = PPTT::new(OEM, OEM_TABLE, 1);
        for first in (0..self.cpus).step_by(cores * threads) {
            let number = first / (cores * threads);
            let socket = pptt.add_processor(ProcessorNode::new(None, number as u32).physical());
            for core in (first..(first + cores * threads).min(self.cpus)).step_by(threads) {
                if threads == 1 {
                    pptt.add_processor(ProcessorNode::new(Some(&socket), core as u32).valid().leaf());
                    continue;
                }
                let number = (core - first) / threads;
                let siblings = pptt.add_processor(ProcessorNode::new(Some(&socket), number as u32));
                for cpu in core..(core + threads).min(self.cpus) {
                    let leaf = ProcessorNode::new(Some(&siblings), cpu as u32).valid().thread().leaf();
                    pptt.add_processor(leaf);
                }
            }
        }
        bytes(&pptt)
    }

    fn gtdt(&self) -> Vec<u8> {
        let mut gtdt = table(*b"GTDT", 3);
        gtdt.append(NO_BLOCK);
        gtdt.append(0u32);
        let timers = [
            (ppi::SECURE_TIMER, 0),
            (ppi::PHYSICAL_TIMER, ALWAYS_ON),
            (ppi::VIRTUAL_TIMER, 0),
            (ppi::HYPERVISOR_TIMER, 0),
        ];
        for (timer, flags) in timers {
            gtdt.append(ppi::interrupt(timer));
            gtdt.append(flags);
        }
        gtdt.append(NO_BLOCK);
        // No platform timers; the virtual timer of EL2.
        let host = self.config.virtualization && self.config.has_vhe;
        let timer = if host { ppi::interrupt(ppi::HYPERVISOR_VIRTUAL_TIMER) } else { 0 };
        [0, 0, timer, 0].into_iter().for_each(|word| gtdt.append(word));
        gtdt.as_slice().to_vec()
    }

    fn mcfg(&self) -> Vec<u8> {
        let ecam = self.windows.ecam;
        let mut mcfg = MCFG::new(OEM, OEM_TABLE, 1);
        mcfg.add_ecam(ecam.cpu, 0, 0, ((ecam.size >> 20) - 1) as u8);
        bytes(&mcfg)
    }

    fn dsdt(&self) -> Vec<u8> {
        let mut devices = Vec::new();
        for cpu in 0..self.cpus as u32 {
            let parts = [name("_HID", &"ACPI0007"), name("_UID", &cpu)];
            devices.extend(device(&format!("C{cpu:03X}"), &parts));
        }
        devices.extend(chip("COM0", &"ARMH0011", 0, &find(Chip::Uart), false));
        devices.extend(chip("FWCF", &"QEMU0002", 0, &find(Chip::FwCfg), false));
        for n in 0..2 {
            devices.extend(chip(&format!("FLS{n}"), &"LNRO0015", n.into(), &find(Chip::Flash(n)), false));
        }
        for n in 0..MMIO_SLOTS as u8 {
            devices.extend(chip(&format!("VR{n:02}"), &"LNRO0005", n.into(), &virtio_mmio(n), true));
        }
        devices.extend(self.pci_devices());
        devices.extend(power_button());
        let mut dsdt = table(*b"DSDT", 2);
        dsdt.append_slice(&Scope::raw("_SB_".into(), devices));
        dsdt.as_slice().to_vec()
    }

    /// The PCI host, and where its configuration space is.
    fn pci_devices(&self) -> Vec<u8> {
        let (w, rest) = (&self.windows, AddressSpaceCacheable::NotCacheable);
        let last = |start: u64, size: u64| start + size - 1;
        let buses = AddressSpace::new_bus_number(0u16, ((w.ecam.size >> 20) - 1) as u16);
        let low = (w.memory.bus as u32, last(w.memory.bus, w.memory.size) as u32);
        let memory = AddressSpace::new_memory(rest, true, low.0, low.1, None);
        let io = AddressSpace::new_io(0u32, w.io.size as u32 - 1, Some(w.io.cpu as u32));
        let high = w
            .high_memory
            .map(|high| AddressSpace::new_memory(rest, true, high.bus, last(high.bus, high.size), None));
        let mut resources: Vec<&dyn Aml> = vec![&buses, &memory, &io];
        resources.extend(high.as_ref().map(|high| high as &dyn Aml));
        // Pin p of slot s is line (s + p) mod 4, as the host bridge has it.
        let routes: Vec<[u32; 4]> = (0..32u32)
            .flat_map(|slot| {
                (0..4).map(move |pin| [slot << 16 | 0xffff, pin, 0, spi(PCI_IRQ + (slot + pin) % 4)])
            })
            .collect();
        let cells: Vec<Package<'_>> = routes
            .iter()
            .map(|route| Package::new(route.iter().map(|cell| cell as &dyn Aml).collect()))
            .collect();
        let routes = Package::new(cells.iter().map(|route| route as &dyn Aml).collect());
        let ecam = AddressSpace::new_memory(rest, true, w.ecam.cpu, last(w.ecam.cpu, w.ecam.size), None);
        let host = device(
            "PCI0",
            &[
                name("_HID", &EISAName::new("PNP0A08")),
                name("_CID", &EISAName::new("PNP0A03")),
                name("_SEG", &0u8),
                name("_BBN", &0u8),
                name("_UID", &0u8),
                name("_CCA", &1u8),
                name("_CBA", &w.ecam.cpu),
                name("_CRS", &ResourceTemplate::new(resources)),
                name("_PRT", &routes),
            ],
        );
        let reserved = device(
            "RES0",
            &[name("_HID", &EISAName::new("PNP0C02")), name("_CRS", &ResourceTemplate::new(vec![&ecam]))],
        );
        [host, reserved].concat()
    }
}

/// AML that is made already.
struct Made(Vec<u8>);

impl Aml for Made {
    fn to_aml_bytes(&self, sink: &mut dyn AmlSink) {
        sink.vec(&self.0);
    }
}

fn name(name: &str, value: &dyn Aml) -> Vec<u8> {
    bytes(&Name::new(name.into(), value))
}

fn device(name: &str, parts: &[Vec<u8>]) -> Vec<u8> {
    bytes(&Device::new(name.into(), vec![&Made(parts.concat())]))
}

/// A chip: its registers, and its interrupt if it has one.
fn chip(at: &str, id: &dyn Aml, number: u32, slot: &Slot<Chip>, edge: bool) -> Vec<u8> {
    let memory = Memory32Fixed::new(true, slot.base as u32, slot.size as u32);
    let irq = Interrupt::new(true, edge, false, false, spi(slot.irq));
    let mut resources: Vec<&dyn Aml> = vec![&memory];
    if slot.irq != 0 {
        resources.push(&irq);
    }
    let resources = name("_CRS", &ResourceTemplate::new(resources));
    device(at, &[name("_HID", id), name("_UID", &number), name("_CCA", &1u8), resources])
}

/// The power button, and the device whose interrupt says that it was pressed.
fn power_button() -> Vec<u8> {
    /// ACPI's notification of a pressed button.
    const PRESSED: u8 = 0x80;
    let slot = find(Chip::AcpiGed);
    let button = device("PWRB", &[name("_HID", &"PNP0C0C"), name("_UID", &0u8)]);
    let irq = Interrupt::new(true, true, false, false, spi(slot.irq));
    let (base, size) = (slot.base as u32, slot.size as u32);
    let region = OpRegion::new("EREG".into(), OpRegionSpace::SystemMemory, &base, &size);
    let field = Field::new(
        "EREG".into(),
        FieldAccessType::DWord,
        FieldLockRule::NoLock,
        FieldUpdateRule::WriteAsZeroes,
        vec![FieldEntry::Named(*b"ESEL", 32)],
    );
    // Reading takes the events.
    let (events, read) = (Local(0), Path::new("ESEL"));
    let (is_pressed, pressed, button_path) = (POWER_DOWN, PRESSED, Path::new("PWRB"));
    let masked = And::new(&events, &events, &is_pressed);
    let (none, notify) = (0u8, Notify::new(&button_path, &pressed));
    let asked = NotEqual::new(&events, &none);
    let when = If::new(&asked, vec![&notify]);
    let take = Store::new(&events, &read);
    let method = Method::new("_EVT".into(), 1, true, vec![&take, &masked, &when]);
    let ged = device(
        "GED0",
        &[
            name("_HID", &"ACPI0013"),
            name("_UID", &"GED"),
            name("_CRS", &ResourceTemplate::new(vec![&irq])),
            bytes(&region),
            bytes(&field),
            bytes(&method),
        ],
    );
    [button, ged].concat()
}

/// The console.
fn spcr() -> Vec<u8> {
    let uart = find(Chip::Uart);
    let mut spcr = table(*b"SPCR", 2);
    spcr.append_slice(&[SPCR_PL011, 0, 0, 0]);
    spcr.append(GenericAddress::mmio_address::<u32>(uart.base));
    spcr.append_slice(&[SPCR_GIC, 0]);
    spcr.append(spi(uart.irq));
    // No parity, one stop bit, no flow control, a VT100; no PCI device.
    spcr.append_slice(&[SPCR_BAUD, 0, 1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]);
    spcr.append_slice(&[0; 12]);
    spcr.as_slice().to_vec()
}

/// Requesters of the PCI bus are devices of the translation service.
fn iort() -> Vec<u8> {
    const ITS: u32 = HEADER as u32 + 12;
    let mut iort = table(*b"IORT", 0);
    [2u32, ITS, 0].into_iter().for_each(|word| iort.append(word));
    // The group of the one service: type, length, revision; no mappings; one identifier.
    iort.append_slice(&[0, 24, 0, 0]);
    [0u32, 0, 0, 1, 0].into_iter().for_each(|word| iort.append(word));
    // The root complex, coherent, with one mapping of all requesters to the group.
    iort.append_slice(&[2, 52, 0, 0]);
    [0u32, 1, 32, 1, 0x0300_0000, 0, 0].into_iter().for_each(|word| iort.append(word));
    [0u32, 0xffff, 0, ITS, 0].into_iter().for_each(|word| iort.append(word));
    iort.as_slice().to_vec()
}
