//! The watchdog on a clock that the test moves.

use super::*;
use base::ManualClock;
use std::sync::atomic::{AtomicU32, Ordering};

/// Counts bites.
#[derive(Default)]
struct Bites(AtomicU32);

impl PowerSink for Bites {
    fn power(&self, event: PowerEvent) {
        assert_eq!(event, PowerEvent::Watchdog);
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

struct Bench {
    clock: Arc<ManualClock>,
    bites: Arc<Bites>,
    device: I6300Esb,
}

/// One tick of the slow clock.
const TICK: Ns = BUS_CLOCK << SLOW_SHIFT;

impl Bench {
    fn new() -> Self {
        let (clock, bites) = (ManualClock::new(), Arc::new(Bites::default()));
        let device = I6300Esb::new(clock.clone(), bites.clone());
        Self { clock, bites, device }
    }

    /// A write as a driver makes it.
    fn unlocked(&mut self, offset: u64, width: Width, value: u64) {
        self.device.write_bar(0, 0x0c, Width::B2, KEYS[0]);
        self.device.write_bar(0, 0x0c, Width::B2, KEYS[1]);
        self.device.write_bar(0, offset, width, value);
    }

    /// As Linux's driver starts it: each stage takes `ticks`.
    fn start(&mut self, ticks: u64) {
        self.device.write_config(CONFIG, Width::B2, 0x0003);
        self.unlocked(0x00, Width::B4, ticks);
        self.unlocked(0x04, Width::B4, ticks);
        self.unlocked(0x0c, Width::B2, RELOAD_NOW);
        self.device.write_config(LOCK, Width::B1, LOCK_ENABLED);
    }

    fn bites(&self) -> u32 {
        self.bites.0.load(Ordering::SeqCst)
    }
}

#[test]
fn it_bites_at_the_end_of_the_second_stage_and_tells_the_next_kernel() {
    let mut bench = Bench::new();
    bench.start(1000);
    bench.clock.advance(1000 * TICK);
    assert_eq!(bench.device.read_bar(0, 0x08, Width::B4), 1);
    bench.clock.advance(1000 * TICK - 1);
    assert_eq!(bench.bites(), 0);
    bench.clock.advance(1);
    assert_eq!(bench.bites(), 1);
    bench.device.reset();
    assert_eq!(bench.device.read_bar(0, 0x0c, Width::B2), RELOAD_BITTEN);
    bench.clock.advance(10_000 * TICK);
    assert_eq!(bench.bites(), 1, "it was stopped");
    bench.unlocked(0x0c, Width::B2, RELOAD_BITTEN);
    assert_eq!(bench.device.read_bar(0, 0x0c, Width::B2), 0);
}

#[test]
fn who_reloads_is_not_bitten() {
    let mut bench = Bench::new();
    bench.start(1000);
    for _ in 0..10 {
        bench.clock.advance(1500 * TICK);
        bench.unlocked(0x0c, Width::B2, RELOAD_NOW);
    }
    assert_eq!(bench.bites(), 0);
    bench.device.write_config(LOCK, Width::B1, 0);
    bench.clock.advance(10_000 * TICK);
    assert_eq!(bench.bites(), 0, "it is switched off");
}

#[test]
fn writes_without_the_keys_and_to_a_locked_register_are_refused() {
    let mut bench = Bench::new();
    bench.device.write_bar(0, 0x00, Width::B4, 5);
    bench.device.write_bar(0, 0x0c, Width::B2, KEYS[1]);
    bench.device.write_bar(0, 0x00, Width::B4, 5);
    assert_eq!(bench.device.read_bar(0, 0x00, Width::B4), TICKS);
    bench.start(1000);
    bench.device.write_config(LOCK, Width::B1, LOCK_ENABLED | LOCK_LOCKED);
    bench.device.write_config(LOCK, Width::B1, 0);
    bench.clock.advance(2000 * TICK);
    assert_eq!(bench.bites(), 1);
}

#[test]
fn it_counts_microseconds_and_runs_freely_where_it_shall() {
    let mut bench = Bench::new();
    bench.device.write_config(CONFIG, Width::B2, CONFIG_FAST);
    bench.unlocked(0x04, Width::B4, 10);
    bench.device.write_config(LOCK, Width::B1, LOCK_ENABLED | LOCK_FREE_RUNNING);
    bench.clock.advance(35 * (BUS_CLOCK << FAST_SHIFT));
    assert_eq!(bench.bites(), 3);
}
