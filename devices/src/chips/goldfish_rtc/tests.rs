use super::*;
use base::{LineRecorder, ManualClock};

fn rtc() -> (Arc<ManualClock>, Arc<LineRecorder>, GoldfishRtc) {
    let clock = ManualClock::new();
    let recorder = Arc::new(LineRecorder::default());
    let rtc = GoldfishRtc::new(clock.clone(), IrqLine::new(recorder.clone(), 0));
    (clock, recorder, rtc)
}

fn time(rtc: &mut GoldfishRtc) -> u64 {
    let low = rtc.read(0x00, Width::B4);
    rtc.read(0x04, Width::B4) << 32 | low
}

fn set_alarm(rtc: &mut GoldfishRtc, alarm: u64) {
    rtc.write(0x0c, Width::B4, alarm >> 32);
    rtc.write(0x08, Width::B4, alarm & LOW);
}

#[test]
fn reading_low_latches_high() {
    let (clock, _, mut rtc) = rtc();
    clock.advance(0xffff_ffff);
    assert_eq!(rtc.read(0x00, Width::B4), 0xffff_ffff);
    clock.advance(1);
    assert_eq!(rtc.read(0x04, Width::B4), 0);
    assert_eq!(time(&mut rtc), 1 << 32);
}

#[test]
fn time_can_be_set() {
    let (clock, _, mut rtc) = rtc();
    clock.advance(1_000);
    rtc.write(0x04, Width::B4, 0x1234);
    rtc.write(0x00, Width::B4, 0x5678);
    clock.advance(2);
    assert_eq!(time(&mut rtc), 0x1234_0000_567a);
}

#[test]
fn alarm_fires_once_and_is_cleared() {
    let (clock, recorder, mut rtc) = rtc();
    rtc.write(0x10, Width::B4, 1);
    set_alarm(&mut rtc, 5_000_000_000);
    assert_eq!(rtc.read(0x18, Width::B4), 1);
    clock.advance(4_999_999_999);
    assert!(!recorder.level(0));
    clock.advance(1);
    assert!(recorder.level(0));
    assert_eq!(rtc.read(0x18, Width::B4), 0);
    rtc.write(0x1c, Width::B4, 0);
    assert!(!recorder.level(0));
    clock.advance(10_000_000_000);
    assert_eq!(recorder.edges(), 1);
}

#[test]
fn disarmed_alarm_stays_silent() {
    let (clock, recorder, mut rtc) = rtc();
    rtc.write(0x10, Width::B4, 1);
    set_alarm(&mut rtc, 1_000);
    rtc.write(0x14, Width::B4, 0);
    clock.advance(2_000);
    assert!(!recorder.level(0));
}

#[test]
fn past_alarm_fires_at_once_and_waits_for_the_enable() {
    let (clock, recorder, mut rtc) = rtc();
    clock.advance(10);
    set_alarm(&mut rtc, 5);
    assert!(!recorder.level(0));
    rtc.write(0x10, Width::B4, 1);
    assert!(recorder.level(0));
}
