use super::*;
use base::{LineRecorder, ManualClock};

const DR: u64 = 0;
const MR: u64 = 4;
const LR: u64 = 8;
const IMSC: u64 = 0x10;
const RIS: u64 = 0x14;
const ICR: u64 = 0x1c;
const SECOND: u64 = NS_PER_SECOND;

#[test]
fn it_counts_seconds_and_can_be_set() {
    let clock = ManualClock::new();
    let mut rtc = Pl031::new(clock.clone(), IrqLine::unconnected());
    let start = rtc.read(DR, Width::B4);
    assert_eq!(start, (clock.wall() / SECOND) & 0xffff_ffff);
    clock.advance(5 * SECOND);
    assert_eq!(rtc.read(DR, Width::B4), start + 5);
    rtc.write(LR, Width::B4, 1_000);
    clock.advance(SECOND);
    assert_eq!((rtc.read(DR, Width::B4), rtc.read(LR, Width::B4)), (1_001, 1_000));
    assert_eq!((rtc.read(0xfe0, Width::B4), rtc.read(0xffc, Width::B4)), (0x31, 0xb1));
}

#[test]
fn the_alarm_goes_off_at_its_second() {
    let clock = ManualClock::new();
    let recorder = Arc::new(LineRecorder::default());
    let mut rtc = Pl031::new(clock.clone(), IrqLine::new(recorder.clone(), 0));
    rtc.write(LR, Width::B4, 100);
    rtc.write(MR, Width::B4, 103);
    rtc.write(IMSC, Width::B4, 1);
    clock.advance(2 * SECOND);
    assert!(!recorder.level(0));
    clock.advance(SECOND);
    assert!(recorder.level(0));
    assert_eq!(rtc.read(RIS, Width::B4), 1);
    rtc.write(ICR, Width::B4, 1);
    assert!(!recorder.level(0));
    // An alarm in the past is one of the next round of the counter.
    rtc.write(MR, Width::B4, 50);
    clock.advance(10 * SECOND);
    assert!(!recorder.level(0));
}
