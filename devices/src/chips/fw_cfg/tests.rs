use super::*;
use parking_lot::Mutex;
use std::sync::Arc;

const RAM: u64 = 0x8000_0000;
const REQUEST: u64 = RAM + 0x100;
const BUFFER: u64 = RAM + 0x200;

struct Bench {
    ram: GuestRam,
    device: FwCfg,
}

fn bench() -> Bench {
    let ram = base::allocate_ram(&[(RAM, 0x10000)]).expect("memory");
    let mut device = FwCfg::new(ram.clone());
    device.add_file("opt/b", b"bravo".to_vec()).expect("new name");
    device.add_file("etc/a", b"alfa".to_vec()).expect("new name");
    Bench { ram, device }
}

impl Bench {
    fn select(&mut self, key: u16) {
        self.device.write(8, Width::B2, key.swap_bytes().into());
    }

    fn bytes(&mut self, n: usize) -> Vec<u8> {
        (0..n).map(|_| self.device.read(0, Width::B1) as u8).collect()
    }

    /// Runs a DMA request and returns the control word that it leaves.
    fn dma(&mut self, control: u32, length: u32, address: u64) -> u32 {
        let request = u128::from(control) << 96 | u128::from(length) << 64 | u128::from(address);
        self.ram.write_slice(&request.to_be_bytes(), GuestAddress(REQUEST)).expect("RAM");
        self.device.write(0x10, Width::B4, u64::from(((REQUEST >> 32) as u32).swap_bytes()));
        self.device.write(0x14, Width::B4, u64::from((REQUEST as u32).swap_bytes()));
        let mut result = [0; 4];
        self.ram.read_slice(&mut result, GuestAddress(REQUEST)).expect("RAM");
        u32::from_be_bytes(result)
    }

    fn buffer(&self, n: usize) -> Vec<u8> {
        let mut bytes = vec![0; n];
        self.ram.read_slice(&mut bytes, GuestAddress(BUFFER)).expect("RAM");
        bytes
    }
}

#[test]
fn signature_and_features() {
    let mut b = bench();
    assert_eq!(b.bytes(6), b"QEMU\0\0");
    b.select(key::ID);
    assert_eq!(b.device.read(0, Width::B4), 3);
    assert_eq!(b.device.read(0x10, Width::B8).to_le_bytes(), *b"QEMU CFG");
    assert_eq!(b.device.read(0x14, Width::B4), u64::from(u32::from_le_bytes(*b" CFG")));
}

#[test]
fn directory_is_sorted_and_names_the_keys() {
    let mut b = bench();
    b.select(key::FILE_DIR);
    let directory = b.bytes(4 + 2 * 64);
    assert_eq!(directory[..4], 2u32.to_be_bytes());
    assert_eq!(directory[4..20], *b"\0\0\0\x04\0\x20\0\0etc/a\0\0\0");
    assert_eq!(directory[68..84], *b"\0\0\0\x05\0\x21\0\0opt/b\0\0\0");
    b.select(0x21);
    assert_eq!(b.device.read(0, Width::B4).to_le_bytes()[..4], *b"brav");
    assert_eq!(b.device.read(0, Width::B8), u64::from(b'o'));
}

#[test]
fn names_are_checked() {
    let mut b = bench();
    let name = "etc/a".to_string();
    assert_eq!(b.device.add_file("etc/a", Vec::new()), Err(FwCfgError::Duplicate(name)));
    let long = "x".repeat(56);
    assert_eq!(b.device.add_file(&long, Vec::new()), Err(FwCfgError::Name(long)));
    b.device.add_file(&"x".repeat(55), Vec::new()).expect("fits");
}

#[test]
fn dma_selects_skips_and_reads_with_zeros_past_the_end() {
    let mut b = bench();
    b.ram.write_slice(&[0xee; 16], GuestAddress(BUFFER)).expect("RAM");
    assert_eq!(b.dma(0x21 << 16 | control::SELECT | control::SKIP, 2, 0), 0);
    assert_eq!(b.dma(control::READ, 6, BUFFER), 0);
    assert_eq!(b.buffer(8), b"avo\0\0\0\xee\xee");
}

#[test]
fn dma_to_what_is_not_ram_is_an_error() {
    let mut b = bench();
    assert_eq!(b.dma(0x21 << 16 | control::SELECT | control::READ, 4, 0x1000), control::ERROR);
    assert_eq!(b.dma(0x77 << 16 | control::SELECT | control::READ, u32::MAX, RAM + 0xff00), control::ERROR);
    assert_eq!(b.dma(0x77 << 16 | control::SELECT | control::READ, u32::MAX, u64::MAX - 4), control::ERROR);
    assert_eq!(b.dma(0x21 << 16 | control::SELECT | control::WRITE, 4, BUFFER), control::ERROR);
    // A request outside RAM changes nothing.
    b.device.write(0x10, Width::B8, 0x1000u64.swap_bytes());
}

#[test]
fn writable_files_tell_their_owner() {
    let mut b = bench();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = seen.clone();
    b.device
        .add_writable_file("etc/w", vec![0; 4], move |data| log.lock().push(data.to_vec()))
        .expect("new name");
    b.ram.write_slice(b"\x01\x02\x03\x04\x05", GuestAddress(BUFFER)).expect("RAM");
    let select = 0x21 << 16 | control::SELECT;
    assert_eq!(b.dma(select | control::SKIP, 1, 0), 0);
    assert_eq!(b.dma(control::WRITE, 3, BUFFER), 0);
    assert_eq!(*seen.lock(), [[0, 1, 2, 3]]);
    assert_eq!(b.dma(select | control::WRITE, 5, BUFFER), control::ERROR);
    assert_eq!(seen.lock().len(), 1);
    let state = b.device.save();
    assert_eq!(b.dma(select | control::WRITE, 4, BUFFER), 0);
    b.device.load(&state).expect("own state");
    b.select(0x21);
    assert_eq!(b.bytes(4), [0, 1, 2, 3]);
}
