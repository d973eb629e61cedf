use super::*;
use std::os::fd::AsRawFd;
use std::sync::atomic::AtomicBool;

const BASE: u64 = 0x10_0000_0000;
const RW: i32 = libc::PROT_READ | libc::PROT_WRITE;

/// A space of 64 pages, each test at its own place.
fn space(n: u64) -> UserSpace {
    let start = BASE + n * (1 << 30);
    UserSpace::new(start..start + 64 * PAGE_SIZE)
}

fn pages(space: &UserSpace, from: u64, to: u64) -> Range<u64> {
    let start = space.range().start;
    start + from * PAGE_SIZE..start + to * PAGE_SIZE
}

fn map(space: &UserSpace, from: u64, to: u64, prot: i32) {
    let range = pages(space, from, to);
    let host = || {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE;
        let len = (range.end - range.start) as usize;
        // SAFETY: a place where nothing is.
        let at = unsafe { libc::mmap(range.start as *mut _, len, host_prot(prot), flags, -1, 0) };
        if at == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(()) }
    };
    space.replace(range.clone(), Some(Pages { prot, shared: false }), host).expect("low addresses are free");
}

fn list(space: &UserSpace) -> Vec<(u64, u64, i32)> {
    let start = space.range().start;
    let mut list = Vec::new();
    space.each(|range, pages| {
        list.push(((range.start - start) / PAGE_SIZE, (range.end - start) / PAGE_SIZE, pages.prot));
        true
    });
    list
}

/// Whether the host lets a byte be written.
fn writable(addr: u64) -> bool {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("a list of mappings");
    maps.lines().any(|line| {
        let (range, rest) = line.split_once(' ').expect("two columns");
        let (start, end) = range.split_once('-').expect("a range");
        let number = |text| u64::from_str_radix(text, 16).expect("a number");
        (number(start)..number(end)).contains(&addr) && rest.as_bytes()[1] == b'w'
    })
}

/// Whether stores at `addr` only fault because the page is watched.
fn withheld(space: &UserSpace, addr: u64) -> bool {
    !space.withheld_in(addr..addr + 1).is_empty()
}

#[test]
fn ranges_part_and_join() {
    let space = space(0);
    map(&space, 10, 20, RW);
    map(&space, 20, 30, RW);
    assert_eq!(list(&space), [(10, 30, RW)]);
    space.protect(pages(&space, 15, 16), libc::PROT_READ).expect("it is mapped");
    assert_eq!(list(&space), [(10, 15, RW), (15, 16, libc::PROT_READ), (16, 30, RW)]);
    space.protect(pages(&space, 15, 16), RW).expect("it is mapped");
    assert_eq!(list(&space), [(10, 30, RW)]);
    space.replace(pages(&space, 12, 14), None, || Ok(())).expect("nothing is asked of the host");
    assert_eq!(list(&space), [(10, 12, RW), (14, 30, RW)]);
    assert!(space.is_free(&pages(&space, 12, 14)) && !space.is_free(&pages(&space, 11, 13)));
    assert!(space.is_mapped(&pages(&space, 14, 30)) && !space.is_mapped(&pages(&space, 10, 15)));
}

#[test]
fn free_places_are_the_highest() {
    let space = space(1);
    let at = |n: u64| Some(space.range().start + n * PAGE_SIZE);
    assert_eq!(space.free_below(PAGE_SIZE, u64::MAX), at(63));
    map(&space, 60, 64, RW);
    map(&space, 50, 55, RW);
    assert_eq!(space.free_below(5 * PAGE_SIZE, u64::MAX), at(55));
    assert_eq!(space.free_below(6 * PAGE_SIZE, u64::MAX), at(44));
    assert_eq!(space.free_below(2 * PAGE_SIZE, pages(&space, 58, 58).start), at(56));
    assert_eq!(space.free_below(51 * PAGE_SIZE, u64::MAX), None);
}

#[test]
fn watched_pages_cannot_be_written() {
    let space = space(2);
    let rwx = RW | libc::PROT_EXEC;
    map(&space, 0, 4, rwx);
    let page = pages(&space, 1, 2);
    space.watch(page.start + 5);
    assert!(!writable(page.start) && writable(page.end));
    assert!(withheld(&space, page.start + 100) && !withheld(&space, page.end));
    assert_eq!(space.withheld_in(pages(&space, 0, 4)), [page.start]);
    // A page that the guest may not write to is not withheld, but stays watched.
    space.protect(page.clone(), libc::PROT_READ | libc::PROT_EXEC).expect("it is mapped");
    assert!(space.withheld_in(pages(&space, 0, 4)).is_empty());
    space.protect(pages(&space, 0, 4), rwx).expect("it is mapped");
    assert!(withheld(&space, page.start) && !writable(page.start) && writable(page.end));
    space.unwatch(page.start);
    assert!(writable(page.start) && !withheld(&space, page.start));
    // What takes the page's place is not watched.
    space.watch(page.start);
    space.replace(page.clone(), None, || Ok(())).expect("nothing is asked of the host");
    assert!(space.withheld_in(pages(&space, 0, 4)).is_empty());
}

#[test]
fn watched_pages_stay_so_while_rights_change() {
    let space = space(3);
    map(&space, 0, 3, RW);
    let page = pages(&space, 1, 2);
    space.watch(page.start);
    let zeros = std::fs::File::open("/dev/zero").expect("every Linux has it");
    let done = AtomicBool::new(false);
    let stores = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut stores = 0;
            while !done.load(Ordering::Relaxed) {
                // SAFETY: the kernel writes one byte to the test's own page, or says that it may not.
                let read = unsafe { libc::read(zeros.as_raw_fd(), page.start as *mut _, 1) };
                stores += u32::from(read > 0);
            }
            stores
        });
        for _ in 0..20_000 {
            space.protect(pages(&space, 0, 3), RW).expect("it is mapped");
        }
        done.store(true, Ordering::Relaxed);
        writer.join().expect("it does not panic")
    });
    assert_eq!(stores, 0);
}
