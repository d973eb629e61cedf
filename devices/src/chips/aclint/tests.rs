use super::*;
use base::{LineRecorder, ManualClock};

fn lines(recorder: &Arc<LineRecorder>, count: u32) -> Vec<IrqLine> {
    (0..count).map(|line| IrqLine::new(recorder.clone(), line)).collect()
}

fn mtimer() -> (Arc<ManualClock>, Arc<LineRecorder>, Mtimer) {
    let clock = ManualClock::new();
    let recorder = Arc::new(LineRecorder::default());
    let time = TimeBase::new(clock.clone(), 10_000_000);
    let mtimer = Mtimer::new(time, lines(&recorder, 2));
    (clock, recorder, mtimer)
}

#[test]
fn msip_drives_its_line() {
    let recorder = Arc::new(LineRecorder::default());
    let mut mswi = Mswi::new(lines(&recorder, 2));
    mswi.write(4, Width::B4, 0xffff_ffff);
    assert_eq!((recorder.level(0), recorder.level(1)), (false, true));
    assert_eq!((mswi.read(0, Width::B4), mswi.read(4, Width::B4)), (0, 1));
    mswi.write(4, Width::B4, 0);
    assert!(!recorder.level(1));
    mswi.write(8, Width::B4, 1);
    assert_eq!(mswi.read(8, Width::B4), 0);
}

#[test]
fn setssip_sends_an_edge() {
    let recorder = Arc::new(LineRecorder::default());
    let mut sswi = Sswi::new(lines(&recorder, 2));
    sswi.write(4, Width::B4, 1);
    sswi.write(4, Width::B4, 0);
    assert_eq!((recorder.edges(), recorder.level(1), sswi.read(4, Width::B4)), (1, false, 0));
}

#[test]
fn mtip_rises_exactly_when_mtime_reaches_mtimecmp() {
    let (clock, recorder, mut mtimer) = mtimer();
    mtimer.write(8, Width::B8, 100);
    clock.advance(9_999);
    assert!(!recorder.level(1));
    clock.advance(1);
    assert_eq!((recorder.level(0), recorder.level(1)), (false, true));
    assert_eq!(mtimer.read(MTIME, Width::B8), 100);
    mtimer.write(8, Width::B8, 101);
    assert!(!recorder.level(1));
    clock.advance(100);
    assert!(recorder.level(1));
}

#[test]
fn halves_of_the_registers() {
    let (clock, recorder, mut mtimer) = mtimer();
    mtimer.write(0, Width::B4, 0xffff_ffff);
    mtimer.write(4, Width::B4, 0);
    assert_eq!(mtimer.read(0, Width::B8), 0xffff_ffff);
    mtimer.write(0, Width::B4, 1);
    clock.advance(100);
    assert!(recorder.level(0));
    mtimer.write(MTIME + 4, Width::B4, 5);
    assert_eq!((mtimer.read(MTIME, Width::B4), mtimer.read(MTIME + 4, Width::B4)), (1, 5));
}

#[test]
fn setting_mtime_moves_the_deadline() {
    let (clock, recorder, mut mtimer) = mtimer();
    mtimer.write(0, Width::B8, 1_000);
    mtimer.write(MTIME, Width::B8, 999);
    clock.advance(99);
    assert!(!recorder.level(0));
    clock.advance(1);
    assert!(recorder.level(0));
    mtimer.write(MTIME, Width::B8, 0);
    assert!(!recorder.level(0));
    clock.advance(100_000);
    assert!(recorder.level(0));
}
