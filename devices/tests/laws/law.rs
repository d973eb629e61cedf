//! What holds for every device: reset is idempotent, save-load-save is equal, no access panics, a loaded device
//! answers as the saved one, a foreign state is refused, one that was tampered with is harmless, registers read their
//! reset values.
//!
//! Devices are driven with random accesses from a fixed seed, on a clock that the test moves.

use base::{ManualClock, Mmio, State, Width};
use devices::chips::registers::Row;
use serde_json::Value;
use std::sync::Arc;

/// A device to try, and how far its registers reach.
pub struct Subject {
    /// Makes a new device, the same each time.
    pub make: fn(&Arc<ManualClock>) -> Box<dyn Mmio>,
    /// Bytes its registers take on the bus.
    pub size: u64,
}

/// How many random accesses bring a device into some state.
const ACCESSES: usize = 5_000;
/// How many a device must survive.
const MANY_ACCESSES: usize = 100_000;
/// Seeds of the laws that look at a state.
const SEEDS: std::ops::Range<u64> = 0..8;
/// States that are tampered with.
const TAMPERED: u64 = 500;

/// SplitMix64: the same accesses in each run.
pub struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    fn width(&mut self) -> Width {
        [Width::B1, Width::B2, Width::B4, Width::B8][self.below(4) as usize]
    }

    /// Mostly an offset that means something, sometimes any.
    fn offset(&mut self, size: u64) -> u64 {
        match self.below(16) {
            0 => self.next(),
            1 => size.saturating_sub(8) + self.below(16),
            2..5 => self.below(size),
            5..8 => self.below(size) & !7,
            8..12 => self.below(size.min(0x40)),
            _ => self.below(size.min(0x40)) & !3,
        }
    }

    fn value(&mut self) -> u64 {
        match self.below(8) {
            0 => u64::MAX,
            1 => 0,
            2 => 1 << self.below(64),
            3..6 => self.below(0x100),
            _ => self.next(),
        }
    }
}

/// Changes one number, string, list or object somewhere in `value`.
fn tamper(value: &mut Value, random: &mut Random) {
    let inner: Vec<&mut Value> = match value {
        Value::Array(items) if random.below(16) != 0 => items.iter_mut().collect(),
        Value::Object(members) if random.below(16) != 0 => members.values_mut().collect(),
        _ => Vec::new(),
    };
    let chosen = random.below(inner.len() as u64) as usize;
    if let Some(inner) = inner.into_iter().nth(chosen) {
        return tamper(inner, random);
    }
    match value {
        Value::Number(_) => *value = random.value().into(),
        Value::Bool(on) => *on = !*on,
        Value::Array(items) if random.below(2) == 0 => drop(items.pop()),
        Value::Array(items) => items.push(0.into()),
        other => *other = Value::Null,
    }
}

/// Compares states, which may be long: prints only where they start to differ.
fn assert_same(one: &State, two: &State, what: &str) {
    if one != two {
        let (one, two) = (format!("{one:?}"), format!("{two:?}"));
        let at = one.bytes().zip(two.bytes()).take_while(|(a, b)| a == b).count();
        let excerpt = |text: &str| text.chars().skip(at.saturating_sub(80)).take(160).collect::<String>();
        panic!("{what}: states differ\n{}\n{}", excerpt(&one), excerpt(&two));
    }
}

impl Subject {
    fn fresh(&self, clock: &Arc<ManualClock>) -> Box<dyn Mmio> {
        (self.make)(clock)
    }

    fn scribble(&self, device: &mut dyn Mmio, clock: &ManualClock, random: &mut Random, accesses: usize) {
        for _ in 0..accesses {
            let (offset, width) = (random.offset(self.size), random.width());
            match random.below(16) {
                0 => clock.advance(random.below(1_000_000)),
                1..6 => {
                    device.read(offset, width);
                }
                _ => device.write(offset, width, random.value() & width.mask()),
            }
        }
    }

    /// A new device after random accesses.
    fn used(&self, seed: u64, clock: &Arc<ManualClock>) -> Box<dyn Mmio> {
        let mut device = self.fresh(clock);
        self.scribble(&mut *device, clock, &mut Random(seed), ACCESSES);
        device
    }

    pub fn reset_is_idempotent(&self) {
        for seed in SEEDS {
            let mut device = self.used(seed, &ManualClock::new());
            device.reset();
            let once = device.save();
            device.reset();
            assert_same(&device.save(), &once, &format!("seed {seed}"));
        }
    }

    pub fn save_load_save_is_equal(&self) {
        for seed in SEEDS {
            let clock = ManualClock::new();
            let device = self.used(seed, &clock);
            // The clock moves while the other device is brought into a state of its own.
            let mut used = self.used(seed + 100, &clock);
            let saved = device.save();
            for (kind, other) in [("new", &mut self.fresh(&clock)), ("used", &mut used)] {
                other.load(&saved).expect("a state of the same device");
                assert_same(&other.save(), &saved, &format!("into a {kind} device, seed {seed}"));
            }
        }
    }

    pub fn a_loaded_device_reads_equal(&self) {
        for seed in SEEDS {
            let clock = ManualClock::new();
            let mut device = self.used(seed, &clock);
            let mut other = self.fresh(&clock);
            other.load(&device.save()).expect("a state of the same device");
            let mut random = Random(seed);
            for _ in 0..ACCESSES {
                let (offset, width) = (random.offset(self.size), random.width());
                let (one, two) = (device.read(offset, width), other.read(offset, width));
                assert_eq!(one, two, "{width:?} at {offset:#x}, seed {seed}");
            }
            assert_same(&device.save(), &other.save(), &format!("after the reads, seed {seed}"));
        }
    }

    pub fn no_access_panics(&self) {
        let clock = ManualClock::new();
        let mut device = self.fresh(&clock);
        self.scribble(&mut *device, &clock, &mut Random(1), MANY_ACCESSES);
    }

    pub fn foreign_states_are_refused(&self) {
        let clock = ManualClock::new();
        let mut device = self.used(3, &clock);
        let before = device.save();
        let newer = State { version: before.version + 1, ..before.clone() };
        device.load(&newer).expect_err("a version that is not known");
        device.load(&State::of(before.version, &"nonsense")).expect_err("a value of another shape");
        assert_same(&device.save(), &before, "after loads that failed");
    }

    /// What a state says that was tampered with, a device does not go down of.
    pub fn tampered_states_are_harmless(&self) {
        let clock = ManualClock::new();
        let mut device = self.used(7, &clock);
        for seed in 0..TAMPERED {
            let random = &mut Random(seed);
            let mut state = device.save();
            for _ in 0..=random.below(3) {
                tamper(&mut state.value, random);
            }
            // Whether it is taken is the device's affair.
            let _ = device.load(&state);
            self.scribble(&mut *device, &clock, random, 50);
            let saved = device.save();
            device.load(&saved).expect("a state of the same device");
        }
    }

    /// The rows' reset values, read with the widest access up to 32 bits that the device takes.
    pub fn registers_read_their_reset_values(&self, rows: &[Row]) {
        let mut device = self.used(5, &ManualClock::new());
        device.reset();
        let width = device.widths().max.min(Width::B4);
        let constant = || rows.iter().filter(|row| row.readable()).filter_map(|row| Some((row, row.reset?)));
        for (row, reset) in constant() {
            assert_eq!(device.read(row.offset, width), reset, "{}", row.name);
        }
        for (row, reset) in constant() {
            if !rows.iter().any(|other| other.offset == row.offset && other.writable()) {
                device.write(row.offset, width, width.mask() ^ reset);
                assert_eq!(device.read(row.offset, width), reset, "{} is read-only", row.name);
            }
        }
    }
}

/// `device_laws!(name, size, make)` or `device_laws!(name, size, make, rows)`: a module of tests for one device.
/// `make` is a function from `&Arc<ManualClock>` to `Box<dyn Mmio>`.
macro_rules! device_laws {
    ($name:ident, $size:expr, $make:expr $(, $rows:expr)?) => {
        mod $name {
            #[allow(unused_imports, reason = "not every device needs the family's helpers")]
            use super::*;

            const SUBJECT: $crate::law::Subject = $crate::law::Subject { make: $make, size: $size };

            device_laws!(@ reset_is_idempotent);
            device_laws!(@ save_load_save_is_equal);
            device_laws!(@ a_loaded_device_reads_equal);
            device_laws!(@ no_access_panics);
            device_laws!(@ foreign_states_are_refused);
            device_laws!(@ tampered_states_are_harmless);
            $(
                #[test]
                fn registers_read_their_reset_values() {
                    SUBJECT.registers_read_their_reset_values($rows);
                }
            )?
        }
    };
    (@ $law:ident) => {
        #[test]
        fn $law() {
            SUBJECT.$law();
        }
    };
}
