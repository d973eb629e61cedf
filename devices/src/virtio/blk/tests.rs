//! A block device driven through its rings.

use super::*;
use crate::host::block::testing::TempDir;
use crate::host::block::{CreateOptions, Image, ImageOptions, create_qcow2, create_raw};
use crate::virtio::VirtioMmio;
use crate::virtio::testing::{
    EVENT_IDX, INDIRECT, MmioDriver, NEXT, Part, Random, WRITE, check_laws, ram, wait_until,
};
use base::{Device, GuestRam, IrqLine, Mmio, Width};
use parking_lot::Mutex;
use virtio_bindings::bindings::virtio_mmio::{
    VIRTIO_MMIO_CONFIG, VIRTIO_MMIO_INTERRUPT_ACK, VIRTIO_MMIO_INTERRUPT_STATUS,
};
use vm_memory::{Bytes, GuestAddress};

/// A disk in memory that counts flushes.
struct MemoryDisk {
    bytes: Mutex<Vec<u8>>,
    flushes: Mutex<u32>,
    read_only: bool,
}

impl MemoryDisk {
    fn new(sectors: usize, read_only: bool) -> Arc<Self> {
        Arc::new(Self { bytes: Mutex::new(vec![0; sectors * 512]), flushes: Mutex::new(0), read_only })
    }
}

impl BlockBackend for MemoryDisk {
    fn capacity(&self) -> u64 {
        self.bytes.lock().len() as u64
    }
    fn read_only(&self) -> bool {
        self.read_only
    }
    fn read(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        buffer.copy_from_slice(&self.bytes.lock()[offset as usize..][..buffer.len()]);
        Ok(())
    }
    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.bytes.lock()[offset as usize..][..bytes.len()].copy_from_slice(bytes);
        Ok(())
    }
    fn flush(&self) -> io::Result<()> {
        *self.flushes.lock() += 1;
        Ok(())
    }
    fn discard(&self, _offset: u64, _len: u64) -> io::Result<()> {
        Ok(())
    }
    fn write_zeroes(&self, offset: u64, len: u64, _unmap: bool) -> io::Result<()> {
        self.bytes.lock()[offset as usize..][..len as usize].fill(0);
        Ok(())
    }
}

fn header(kind: u32, sector: u64) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&kind.to_le_bytes());
    bytes[8..].copy_from_slice(&sector.to_le_bytes());
    bytes
}

struct Driver {
    mmio: MmioDriver,
}

impl Driver {
    fn start(backend: Arc<dyn BlockBackend>, options: BlkOptions, without: u64) -> Self {
        let mmio = MmioDriver::start_with(Blk::new(backend, options), without);
        Self { mmio }
    }

    /// One request; returns its status and what the device wrote into `data_in` bytes.
    fn request(&mut self, kind: u32, sector: u64, out: &[u8], data_in: usize) -> (u8, Vec<u8>) {
        let header = header(kind, sector);
        let mut parts = vec![Part::Out(&header)];
        if !out.is_empty() {
            parts.push(Part::Out(out));
        }
        if data_in > 0 {
            parts.push(Part::In(data_in));
        }
        parts.push(Part::In(1));
        let queue = &mut self.mmio.queues[0];
        let (head, at) = queue.add(&parts);
        self.mmio.notify(0);
        let queue = &mut self.mmio.queues[0];
        let (used, len) = queue.wait_used();
        assert_eq!(used, u32::from(head));
        assert_eq!(len as usize, data_in + 1);
        let status = queue.read(at[at.len() - 1], 1)[0];
        let data = if data_in > 0 { queue.read(at[at.len() - 2], data_in) } else { Vec::new() };
        (status, data)
    }
}

#[test]
fn reads_back_what_was_written_and_interrupts() {
    let mut driver = Driver::start(MemoryDisk::new(64, false), BlkOptions::default(), 0);
    let data: Vec<u8> = (0..1024u32).map(|i| i as u8).collect();
    assert_eq!(driver.request(VIRTIO_BLK_T_OUT, 3, &data, 0).0, 0);
    assert_eq!(driver.request(VIRTIO_BLK_T_IN, 3, &[], 1024), (0, data));
    wait_until(|| driver.mmio.lines.level(0));
    assert_eq!(driver.mmio.get(VIRTIO_MMIO_INTERRUPT_STATUS), 1);
    driver.mmio.set(VIRTIO_MMIO_INTERRUPT_ACK, 1);
    assert!(!driver.mmio.lines.level(0));
}

#[test]
fn every_request_is_answered_with_and_without_event_index() {
    for without in [0, EVENT_IDX] {
        let mut driver = Driver::start(MemoryDisk::new(64, false), BlkOptions::default(), without);
        for round in 0..2000u32 {
            let header = header(VIRTIO_BLK_T_FLUSH, 0);
            let queue = &mut driver.mmio.queues[0];
            if without == 0 {
                // The driver asks for an interrupt at the next used buffer.
                let event = queue.avail + 4 + 2 * u64::from(queue.size);
                queue.ram.write_obj(queue.used_index(), GuestAddress(event)).unwrap();
            }
            driver.mmio.set(VIRTIO_MMIO_INTERRUPT_ACK, 1);
            let queue = &mut driver.mmio.queues[0];
            queue.add(&[Part::Out(&header), Part::In(1)]);
            if round % 500 == 499 {
                queue.rewind();
            }
            driver.mmio.notify(0);
            driver.mmio.queues[0].wait_used();
            let lines = driver.mmio.lines.clone();
            wait_until(|| lines.level(0));
        }
    }
}

#[test]
fn many_requests_in_flight_on_several_queues() {
    let disk = MemoryDisk::new(1024, false);
    let options = BlkOptions { queues: 2, ..Default::default() };
    let mut driver = Driver::start(disk.clone(), options, 0);
    assert_eq!(driver.mmio.queues.len(), 2);
    for q in 0..2 {
        for i in 0..60u64 {
            let sector = q as u64 * 100 + i;
            let data = [sector as u8; 512];
            driver.mmio.queues[q].add(&[
                Part::Out(&header(VIRTIO_BLK_T_OUT, sector)),
                Part::Out(&data),
                Part::In(1),
            ]);
        }
        driver.mmio.notify(q);
    }
    for q in 0..2 {
        for _ in 0..60 {
            assert_eq!(driver.mmio.queues[q].wait_used().1, 1);
        }
    }
    let bytes = disk.bytes.lock();
    for sector in (0..60).chain(100..160) {
        assert_eq!(bytes[sector * 512], sector as u8);
    }
}

#[test]
fn identifies_flushes_and_refuses() {
    let disk = MemoryDisk::new(64, false);
    let options = BlkOptions { serial: "disk-7".into(), ..Default::default() };
    let mut driver = Driver::start(disk.clone(), options, 0);
    let (status, id) = driver.request(VIRTIO_BLK_T_GET_ID, 0, &[], 20);
    assert_eq!((status, &id[..7]), (0, &b"disk-7\0"[..]));
    assert_eq!(driver.request(VIRTIO_BLK_T_FLUSH, 0, &[], 0).0, 0);
    assert_eq!(*disk.flushes.lock(), 1);
    assert_eq!(driver.request(99, 0, &[], 0).0, 2, "unknown request");
    assert_eq!(driver.request(VIRTIO_BLK_T_IN, 64, &[], 512).0, 1, "beyond the end");
    assert_eq!(driver.request(VIRTIO_BLK_T_IN, u64::MAX, &[], 512).0, 1, "sector overflow");
    assert_eq!(driver.request(VIRTIO_BLK_T_IN, 0, &[], 100).0, 1, "no whole sector");
    assert_eq!(driver.mmio.status(), 15);
}

#[test]
fn write_cache_can_be_switched_off() {
    let disk = MemoryDisk::new(64, false);
    let mut driver = Driver::start(disk.clone(), BlkOptions::default(), 0);
    driver.request(VIRTIO_BLK_T_OUT, 0, &[1; 512], 0);
    assert_eq!(*disk.flushes.lock(), 0);
    driver.mmio.slot.write(u64::from(VIRTIO_MMIO_CONFIG) + 32, Width::B1, 0);
    assert_eq!(driver.mmio.slot.read(u64::from(VIRTIO_MMIO_CONFIG) + 32, Width::B1), 0);
    driver.request(VIRTIO_BLK_T_OUT, 0, &[1; 512], 0);
    assert_eq!(*disk.flushes.lock(), 1);
}

#[test]
fn read_only_disks_refuse_writes() {
    let disk = MemoryDisk::new(64, true);
    let mut driver = Driver::start(disk.clone(), BlkOptions::default(), 0);
    assert_ne!(driver.mmio.offered() >> VIRTIO_BLK_F_RO & 1, 0);
    assert_eq!(driver.request(VIRTIO_BLK_T_OUT, 0, &[1; 512], 0).0, 1);
    assert_eq!(disk.bytes.lock()[0], 0);
}

fn ranges(list: &[(u64, u32, u32)]) -> Vec<u8> {
    list.iter()
        .flat_map(|(sector, sectors, flags)| {
            [&sector.to_le_bytes()[..], &sectors.to_le_bytes(), &flags.to_le_bytes()].concat()
        })
        .collect()
}

#[test]
fn images_take_discard_and_write_zeroes() {
    let dir = TempDir::new();
    for format in ["raw", "qcow2"] {
        let path = dir.path(&format!("disk.{format}"));
        match format {
            "raw" => create_raw(&path, 1 << 20, false).unwrap(),
            _ => create_qcow2(&path, &CreateOptions { size: 1 << 20, ..Default::default() }).unwrap(),
        }
        let image = Arc::new(Image::open(&path, ImageOptions::default()).unwrap());
        let mut driver = Driver::start(image, BlkOptions::default(), 0);
        driver.request(VIRTIO_BLK_T_OUT, 0, &[0xa5; 65536], 0);
        driver.request(VIRTIO_BLK_T_OUT, 128, &[0x5a; 65536], 0);
        assert_eq!(driver.request(VIRTIO_BLK_T_WRITE_ZEROES, 0, &ranges(&[(1, 2, 0), (5, 1, 1)]), 0).0, 0);
        assert_eq!(driver.request(VIRTIO_BLK_T_DISCARD, 0, &ranges(&[(128, 128, 0)]), 0).0, 0);
        assert_eq!(driver.request(VIRTIO_BLK_T_DISCARD, 0, &ranges(&[(0, 1, 1)]), 0).0, 2, "unknown flag");
        assert_eq!(
            driver.request(VIRTIO_BLK_T_DISCARD, 0, &ranges(&[(2040, 100, 0)]), 0).0,
            1,
            "beyond the end"
        );
        assert_eq!(driver.request(VIRTIO_BLK_T_DISCARD, 0, &[0; 15], 0).0, 1, "half a range");
        let (status, data) = driver.request(VIRTIO_BLK_T_IN, 0, &[], 4096);
        assert_eq!(status, 0);
        for (sector, bytes) in data.chunks(512).enumerate() {
            let expected = if [1, 2, 5].contains(&sector) { 0 } else { 0xa5 };
            assert!(bytes.iter().all(|b| *b == expected), "{format} sector {sector}");
        }
        assert_eq!(driver.request(VIRTIO_BLK_T_FLUSH, 0, &[], 0).0, 0);
    }
}

#[test]
fn malformed_chains_need_a_reset_and_survive_it() {
    type Spoil = fn(&mut crate::virtio::testing::DriverQueue);
    let cases: &[(&str, Spoil)] = &[
        ("loop", |q| {
            q.write_descriptor(q.desc, 0, (q.desc, 16, NEXT, 0));
            q.publish(0);
        }),
        ("head out of range", |q| q.publish(9999)),
        ("outside of memory", |q| {
            q.write_descriptor(q.desc, 0, (0x10, 16, 0, 0));
            q.publish(0);
        }),
        ("readable after writable", |q| {
            q.write_descriptor(q.desc, 0, (q.desc, 16, NEXT | WRITE, 1));
            q.write_descriptor(q.desc, 1, (q.desc, 16, 0, 0));
            q.publish(0);
        }),
        ("no status byte", |q| {
            q.write_descriptor(q.desc, 0, (q.desc, 16, 0, 0));
            q.publish(0);
        }),
        ("short header", |q| {
            q.write_descriptor(q.desc, 0, (q.desc, 15, NEXT, 1));
            q.write_descriptor(q.desc, 1, (q.desc, 1, WRITE, 0));
            q.publish(0);
        }),
        ("bad indirect table", |q| {
            q.write_descriptor(q.desc, 0, (q.desc, 15, INDIRECT, 0));
            q.publish(0);
        }),
        ("indirect in indirect", |q| {
            q.write_descriptor(q.desc, 0, (q.desc, 16, INDIRECT, 0));
            q.publish(0);
        }),
        ("available index too far", |q| {
            q.ram.write_obj(0x4000u16, GuestAddress(q.avail + 2)).unwrap();
        }),
    ];
    for (what, spoil) in cases {
        let disk = MemoryDisk::new(64, false);
        let mut driver = Driver::start(disk, BlkOptions::default(), 0);
        spoil(&mut driver.mmio.queues[0]);
        driver.mmio.notify(0);
        wait_until(|| driver.mmio.status() & 0x40 != 0);
        wait_until(|| driver.mmio.get(VIRTIO_MMIO_INTERRUPT_STATUS) & 2 != 0);
        assert_eq!(driver.mmio.queues[0].take_used(), None, "{what}");
        let ram = driver.mmio.queues[0].ram.clone();
        driver.mmio.start(&ram, 0);
        assert_eq!(driver.mmio.status(), 15, "{what}: works after a reset");
        assert_eq!(driver.request(VIRTIO_BLK_T_FLUSH, 0, &[], 0).0, 0);
    }
}

#[test]
fn indirect_descriptors_work() {
    let mut driver = Driver::start(MemoryDisk::new(64, false), BlkOptions::default(), 0);
    let queue = &mut driver.mmio.queues[0];
    let (table, data) = (queue.buffer(64), queue.buffer(1024));
    queue.ram.write_slice(&header(VIRTIO_BLK_T_GET_ID, 0), GuestAddress(data)).unwrap();
    queue.ram.write_obj(0xffu8, GuestAddress(data + 100)).unwrap();
    queue.write_descriptor(table, 0, (data, 16, NEXT, 1));
    queue.write_descriptor(table, 1, (data + 64, 20, NEXT | WRITE, 2));
    queue.write_descriptor(table, 2, (data + 100, 1, WRITE, 0));
    queue.write_descriptor(queue.desc, 0, (table, 48, INDIRECT, 0));
    queue.publish(0);
    driver.mmio.notify(0);
    assert_eq!(driver.mmio.queues[0].wait_used(), (0, 21));
    assert_eq!(driver.mmio.queues[0].read(data + 100, 1), [0]);
}

#[test]
fn random_rings_never_panic() {
    let mut random = Random(99);
    for _ in 0..60 {
        let mut driver = Driver::start(MemoryDisk::new(64, false), BlkOptions::default(), 0);
        let queue = &mut driver.mmio.queues[0];
        for index in 0..queue.size {
            let address = base_address(&mut random);
            let len = [0, 1, 16, 512, 4096, u32::MAX][random.below(6)];
            let fields = (address, len, random.below(8) as u16, random.below(300) as u16);
            queue.write_descriptor(queue.desc, index, fields);
        }
        for _ in 0..20 {
            queue.publish(random.below(260) as u16);
        }
        driver.mmio.notify(0);
        driver.mmio.slot.save();
        driver.mmio.slot.reset();
    }
}

fn base_address(random: &mut Random) -> u64 {
    match random.below(4) {
        0 => random.next(),
        _ => crate::virtio::testing::RAM_BASE + random.next() % crate::virtio::testing::RAM_SIZE,
    }
}

#[test]
fn state_moves_to_another_device() {
    let disk = MemoryDisk::new(64, false);
    let mut driver = Driver::start(disk.clone(), BlkOptions::default(), 0);
    driver.request(VIRTIO_BLK_T_OUT, 0, &[7; 512], 0);
    let saved = driver.mmio.slot.save();
    let ram: GuestRam = driver.mmio.queues[0].ram.clone();
    let device = Box::new(Blk::new(disk, BlkOptions::default()));
    let lines = driver.mmio.lines.clone();
    driver.mmio.slot = VirtioMmio::new(device, ram, IrqLine::new(lines, 0));
    driver.mmio.slot.load(&saved).unwrap();
    assert_eq!(driver.mmio.slot.save(), saved);
    assert_eq!(driver.request(VIRTIO_BLK_T_IN, 0, &[], 512), (0, vec![7; 512]));
}

#[test]
fn laws_hold() {
    check_laws(|| {
        let device = Box::new(Blk::new(MemoryDisk::new(64, false), BlkOptions::default()));
        VirtioMmio::new(device, ram(), IrqLine::unconnected())
    });
    check_laws(|| VirtioMmio::empty(IrqLine::unconnected()));
}
