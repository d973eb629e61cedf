use super::*;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

const SECTOR: u64 = 0x4_0000;

#[derive(Clone, Default)]
struct Disk(Arc<Mutex<BTreeMap<u64, Vec<u8>>>>);

impl FlashStore for Disk {
    fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.lock().insert(offset, bytes.to_vec());
        Ok(())
    }
}

struct Bench {
    flash: PflashCfi01,
    array: RomRegion,
    remaps: Arc<AtomicU32>,
}

/// Four sectors, erased.
fn bench(backing: Backing) -> Bench {
    let array = RomRegion::new(4 * SECTOR).expect("memory");
    array.fill(0, &vec![0xff; 4 * SECTOR as usize]);
    let remaps = Arc::new(AtomicU32::new(0));
    let counter = remaps.clone();
    let flash = PflashCfi01::new(array.clone(), SECTOR, backing, move || {
        counter.fetch_add(1, Ordering::Relaxed);
    });
    Bench { flash, array, remaps }
}

impl Bench {
    fn write(&mut self, offset: u64, value: u64) {
        self.flash.write(offset, Width::B4, value);
    }

    /// The same command to both chips.
    fn command(&mut self, offset: u64, code: u64) {
        self.write(offset, code << 16 | code);
    }

    fn read(&mut self, offset: u64) -> u64 {
        self.flash.read(offset, Width::B4)
    }

    fn program(&mut self, offset: u64, value: u64) {
        self.command(offset, 0x40);
        self.write(offset, value);
    }
}

#[test]
fn reads_are_direct_only_in_array_mode() {
    let mut b = bench(Backing::Volatile);
    assert!(b.array.direct());
    b.command(0, 0x70);
    assert!(!b.array.direct());
    assert_eq!(b.read(0x1234), 0x0080_0080);
    assert_eq!(b.flash.read(2, Width::B1), 0x80);
    assert_eq!(b.flash.read(1, Width::B1), 0x00);
    b.command(0, 0xff);
    assert!(b.array.direct());
    assert_eq!((b.read(0), b.remaps.load(Ordering::Relaxed)), (0xffff_ffff, 2));
}

#[test]
fn identifies_itself() {
    let mut b = bench(Backing::Volatile);
    b.command(0, 0x90);
    assert_eq!((b.read(0), b.read(4), b.read(8)), (0x0089_0089, 0x0018_0018, 0));
    b.command(0x55 * 4, 0x98);
    let query: Vec<u8> = (0x10..0x13).map(|i| b.read(4 * i) as u8).collect();
    assert_eq!(query, b"QRY");
    // 512 KiB a chip, 4 sectors of 128 KiB.
    let geometry: Vec<u64> = [0x27, 0x2c, 0x2d, 0x2e, 0x2f, 0x30].map(|i| b.read(4 * i) & 0xffff).to_vec();
    assert_eq!(geometry, [19, 1, 3, 0, 0, 2]);
    assert_eq!(b.read(4 * 0x11), 0x0052_0052);
}

#[test]
fn programming_clears_bits_and_erasing_sets_them() {
    let disk = Disk::default();
    let mut b = bench(Backing::Store(Box::new(disk.clone())));
    b.program(SECTOR + 8, 0x1234_5678);
    b.program(SECTOR + 8, 0xff00_ffff);
    assert_eq!(b.read(0), 0x0080_0080);
    b.command(0, 0xff);
    assert_eq!(b.read(SECTOR + 8), 0x1200_5678);
    assert_eq!(disk.0.lock()[&(SECTOR + 8)], 0x1200_5678u32.to_le_bytes());
    b.command(SECTOR, 0x20);
    b.command(SECTOR, 0xd0);
    b.command(0, 0xff);
    assert_eq!(b.read(SECTOR + 8), 0xffff_ffff);
    assert_eq!(disk.0.lock()[&SECTOR].len() as u64, SECTOR);
}

#[test]
fn buffered_program() {
    let mut b = bench(Backing::Volatile);
    b.command(SECTOR, 0xe8);
    assert_eq!(b.read(SECTOR), 0x0080_0080);
    b.command(SECTOR, 2);
    for i in 0..3 {
        b.write(SECTOR + 0x1010 + 4 * i, 0xa0 + i);
    }
    b.command(SECTOR, 0xd0);
    assert_eq!(b.read(SECTOR), 0x0080_0080);
    b.command(SECTOR, 0xff);
    let words: Vec<u64> = (0..5).map(|i| b.read(SECTOR + 0x100c + 4 * i)).collect();
    assert_eq!(words, [0xffff_ffff, 0xa0, 0xa1, 0xa2, 0xffff_ffff]);
}

#[test]
fn wrong_sequences_set_both_error_bits() {
    let sequences: [&[(u64, u64)]; 4] = [
        &[(0, 0x20), (0, 0x33)],
        &[(0, 0x60), (0, 0x33)],
        &[(0, 0xe8), (0, 0x400)],
        &[(0, 0xe8), (0, 1), (0, 7), (0x1000, 8)],
    ];
    for sequence in sequences {
        let mut b = bench(Backing::Volatile);
        sequence.iter().for_each(|&(offset, code)| b.command(offset, code));
        assert_eq!(b.read(0), 0x00b0_00b0, "{sequence:x?}");
        b.command(0, 0x50);
        b.command(0, 0x70);
        assert_eq!(b.read(0), 0x0080_0080);
        assert!(b.flash.save().value["sectors"].as_object().is_some_and(|sectors| sectors.is_empty()));
    }
}

#[test]
fn locked_and_read_only_sectors_stay() {
    let mut b = bench(Backing::Volatile);
    b.command(SECTOR, 0x60);
    b.command(SECTOR, 0x01);
    b.command(0, 0x90);
    assert_eq!((b.read(8), b.read(SECTOR + 8)), (0, 0x0001_0001));
    b.program(SECTOR, 0);
    assert_eq!(b.read(0), 0x0092_0092);
    b.command(0, 0x50);
    b.command(SECTOR, 0x60);
    b.command(SECTOR, 0xd0);
    b.program(SECTOR, 0);
    assert_eq!(b.read(0), 0x0080_0080);

    let mut b = bench(Backing::ReadOnly);
    b.program(0, 0);
    assert_eq!(b.read(0), 0x0090_0090);
    b.command(0, 0x50);
    b.command(0, 0x20);
    b.command(0, 0xd0);
    assert_eq!(b.read(0), 0x00a0_00a0);
    b.command(0, 0xff);
    assert_eq!(b.read(0), 0xffff_ffff);
}

#[test]
fn loading_brings_back_the_contents_of_then() {
    let mut b = bench(Backing::Volatile);
    b.program(0, 1);
    let then = b.flash.save();
    b.program(0, 0);
    b.program(2 * SECTOR, 0);
    b.flash.load(&then).expect("own state");
    b.command(0, 0xff);
    assert_eq!((b.read(0), b.read(2 * SECTOR)), (1, 0xffff_ffff));

    let mut other = bench(Backing::Volatile);
    other.flash.load(&then).expect("same geometry");
    assert_eq!(other.flash.save(), then);
    other.command(0, 0xff);
    assert_eq!(other.read(0), 1);
}
