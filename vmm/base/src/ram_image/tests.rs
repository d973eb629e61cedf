use super::*;
use crate::{WriteWatcher, allocate_ram};
use parking_lot::Mutex;
use std::sync::Weak;
use vm_memory::GuestAddress;

const BASE: u64 = 0x8000_0000;
const SIZE: u64 = 1 << 20;

fn read(ram: &GuestRam, page: u64) -> u64 {
    ram.read_obj(GuestAddress(BASE + page * PAGE_SIZE)).expect("RAM")
}

fn write(ram: &GuestRam, page: u64, value: u64) {
    ram.write_obj(value, GuestAddress(BASE + page * PAGE_SIZE)).expect("RAM");
}

#[test]
fn what_was_kept_comes_back_in_any_order() {
    let ram = allocate_ram(&[(BASE, SIZE), (0x1_0000_0000, SIZE)]).expect("memory");
    let mut layers = RamLayers::new(ram.clone());
    let pages = SIZE / PAGE_SIZE;
    let mut images = Vec::new();
    for round in 1..6u64 {
        // Few pages, and once so many that the region is copied.
        let step = if round == 3 { 1 } else { 17 };
        (0..pages).step_by(step).for_each(|page| write(&ram, page, round * 1000 + page));
        let held: Vec<u64> = (0..pages).map(|page| read(&ram, page)).collect();
        images.push((layers.freeze().expect("kept"), held));
        let after: Vec<u64> = (0..pages).map(|page| read(&ram, page)).collect();
        assert_eq!(after, images[images.len() - 1].1, "keeping changes nothing");
    }
    for n in [4, 0, 2, 2, 1, 3, 0, 4] {
        let (image, held) = &images[n];
        layers.put_back(image).expect("put back");
        let now: Vec<u64> = (0..pages).map(|page| read(&ram, page)).collect();
        assert_eq!(&now, held, "image {n}");
        (0..pages).step_by(3).for_each(|page| write(&ram, page, u64::MAX));
    }
}

#[test]
fn only_what_is_not_zero_is_told_of() {
    let ram = allocate_ram(&[(BASE, SIZE)]).expect("memory");
    let mut layers = RamLayers::new(ram.clone());
    let told = |layers: &RamLayers| {
        let mut told = Vec::new();
        layers
            .for_each_chunk(|region, offset, bytes| {
                told.push((region, offset, bytes.len()));
                Ok(())
            })
            .expect("RAM");
        told
    };
    assert_eq!(told(&layers), []);
    write(&ram, 17, 1);
    write(&ram, 40, 0);
    assert_eq!(told(&layers), [(0, CHUNK as u64, CHUNK)]);
    let image = layers.freeze().expect("kept");
    write(&ram, 32, 7);
    assert_eq!(told(&layers), [(0, CHUNK as u64, CHUNK), (0, 2 * CHUNK as u64, CHUNK)]);
    layers.put_back(&image).expect("put back");
    assert_eq!(told(&layers), [(0, CHUNK as u64, CHUNK)]);
}

#[derive(Default)]
struct Writes(Mutex<Vec<(u64, u64)>>);

impl WriteWatcher for Writes {
    fn written(&self, addr: u64, len: u64) {
        self.0.lock().push((addr, len));
    }
}

#[test]
fn watched_pages_that_change_are_told_of() {
    let ram = allocate_ram(&[(BASE, SIZE)]).expect("memory");
    let mut layers = RamLayers::new(ram.clone());
    let writes = Arc::new(Writes::default());
    let watcher: Arc<dyn WriteWatcher> = writes.clone();
    let region = ram.iter().next().expect("a region");
    region.bitmap().slice_at(0).connect(BASE, Arc::downgrade(&watcher) as Weak<dyn WriteWatcher>);
    for page in [70, 71] {
        assert!(region.bitmap().slice_at(0).watch(page * PAGE_SIZE), "not watched before");
    }
    let image = layers.freeze().expect("kept");
    write(&ram, 70, 1);
    writes.0.lock().clear();
    layers.put_back(&image).expect("put back");
    assert_eq!(*writes.0.lock(), [(BASE + 70 * PAGE_SIZE, PAGE_SIZE)], "the other one is what it was");
}

#[test]
fn a_file_that_is_too_short_is_refused() {
    let ram = allocate_ram(&[(BASE, SIZE)]).expect("memory");
    let mut layers = RamLayers::new(ram);
    let file = Arc::new(anonymous_file(SIZE).expect("memory"));
    layers.put_back(&RamImage::in_files(vec![(file.clone(), 0)])).expect("it fits");
    assert!(layers.put_back(&RamImage::in_files(vec![(file, PAGE_SIZE)])).is_err());
}
