//! The firmware configuration device under any accesses and DMA requests of the guest.

use super::STEPS;
use arbitrary::{Arbitrary, Unstructured};
use base::{AddressSpace, Device, Mmio, Slot, Width, shared};
use devices::chips::fw_cfg::FwCfg;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use vm_memory::{Bytes, GuestAddress};

const RAM: u64 = 0x8000_0000;
const RAM_SIZE: u64 = 0x1_0000;
const DEVICE: u64 = 0x1010_0000;
const DEVICE_SIZE: u64 = 0x18;
const DATA: u64 = DEVICE;
const SELECTOR: u64 = DEVICE + 8;
const DMA: u64 = DEVICE + 16;
const WRITABLE: usize = 48;

#[derive(Arbitrary, Debug)]
enum Step {
    Read { at: u8, width: u8 },
    Write { at: u8, width: u8, value: u64 },
    Select { key: Key },
    Data { width: u8, times: u8 },
    Dma { request: Place, key: Key, control: u8, length: Length, target: Place },
    Poke { at: u16, value: u64 },
    Reset,
    SaveLoad,
}

#[derive(Arbitrary, Debug)]
enum Key {
    File(u8),
    Item(u8),
    Any(u16),
}

#[derive(Arbitrary, Debug)]
enum Place {
    Ram(u16),
    Any(u64),
}

#[derive(Arbitrary, Debug)]
enum Length {
    Short(u8),
    Any(u32),
}

impl Key {
    fn number(&self) -> u16 {
        match self {
            Self::File(n) => 0x20 + u16::from(n % 8),
            Self::Item(n) => u16::from(n % 32),
            Self::Any(n) => *n,
        }
    }
}

impl Place {
    fn address(&self) -> u64 {
        match self {
            Self::Ram(at) => RAM + u64::from(*at),
            Self::Any(at) => *at,
        }
    }
}

fn width(n: u8) -> Width {
    [Width::B1, Width::B2, Width::B4, Width::B8][usize::from(n % 4)]
}

/// An offset at which an access of width `n` lies in the device.
fn place(at: u8, n: u8) -> u64 {
    u64::from(at) % (DEVICE_SIZE + 1 - width(n).bytes())
}

/// Takes `data` as a series of accesses.
pub fn fw_cfg(data: &[u8]) {
    let space = Arc::new(AddressSpace::new(base::allocate_ram(&[(RAM, RAM_SIZE)]).expect("64 KiB")));
    let mut device = FwCfg::new(space.ram().clone());
    let writes = Arc::new(AtomicU32::new(0));
    let counter = writes.clone();
    let told = move |file: &[u8]| {
        assert_eq!(file.len(), WRITABLE, "a guest changes no sizes");
        counter.fetch_add(1, Ordering::Relaxed);
    };
    device.set_key(0x15, b"console=ttyS0\0".to_vec());
    let added = [
        device.add_file("etc/small", b"small".to_vec()),
        device.add_file("etc/empty", Vec::new()),
        device.add_file("opt/large", (0..=255).cycle().take(5000).collect()),
        device.add_writable_file("etc/writable", vec![0; WRITABLE], told),
    ];
    added.into_iter().for_each(|added| added.expect("a new name"));
    let device = shared(device);
    let slot: base::Shared<dyn Mmio> = device.clone();
    space.map("fw_cfg", DEVICE, DEVICE_SIZE, Slot::Device(slot)).expect("nothing is there");

    let mut input = Unstructured::new(data);
    for _ in 0..STEPS {
        if input.is_empty() {
            break;
        }
        let Ok(step) = input.arbitrary::<Step>() else { break };
        take(&space, &device, step);
    }
    device.lock().reset();
    assert_eq!(
        space.read(DATA, Width::B4),
        Some(u64::from(u32::from_le_bytes(*b"QEMU"))),
        "item 0 is selected"
    );
}

fn take(space: &AddressSpace, device: &base::Shared<FwCfg>, step: Step) {
    // Accesses that are not aligned have no answer.
    let write = |at, width, value| _ = space.write(at, width, value);
    let read = |at, width| _ = space.read(at, width);
    match step {
        Step::Read { at, width: n } => read(DEVICE + place(at, n), width(n)),
        Step::Write { at, width: n, value } => write(DEVICE + place(at, n), width(n), value),
        Step::Select { key } => write(SELECTOR, Width::B2, key.number().swap_bytes().into()),
        Step::Data { width: n, times } => (0..times).for_each(|_| read(DATA, width(n))),
        Step::Dma { request, key, control, length, target } => {
            let control = u32::from(key.number()) << 16 | u32::from(control & 0x3f);
            let length = match length {
                Length::Short(n) => n.into(),
                Length::Any(n) => n,
            };
            let words = u128::from(control) << 96 | u128::from(length) << 64 | u128::from(target.address());
            let at = request.address();
            let lies_in_ram = space.ram().write_slice(&words.to_be_bytes(), GuestAddress(at)).is_ok();
            write(DMA, Width::B4, u64::from(((at >> 32) as u32).swap_bytes()));
            write(DMA + 4, Width::B4, u64::from((at as u32).swap_bytes()));
            if lies_in_ram {
                let result = space.ram().read_obj::<u32>(GuestAddress(at)).expect("it was written");
                assert!(u32::from_be(result) <= 1, "a request ends with 0 or with the error bit");
            }
        }
        Step::Poke { at, value } => drop(space.ram().write_obj(value, GuestAddress(RAM + u64::from(at)))),
        Step::Reset => device.lock().reset(),
        Step::SaveLoad => {
            let mut device = device.lock();
            let saved = device.save();
            device.load(&saved).expect("the device's own state");
            assert_eq!(saved, device.save());
        }
    }
}
