use super::*;
use base::LineRecorder;

const DIR: u64 = 0x400;
const IS: u64 = 0x404;
const IBE: u64 = 0x408;
const IEV: u64 = 0x40c;
const IE: u64 = 0x410;
const RIS: u64 = 0x414;
const IC: u64 = 0x41c;

fn bench() -> (Arc<LineRecorder>, Pl061) {
    let recorder = Arc::new(LineRecorder::default());
    (recorder.clone(), Pl061::new(IrqLine::new(recorder, 0)))
}

#[test]
fn the_address_masks_data() {
    let (_, mut gpio) = bench();
    gpio.write(DIR, Width::B4, 0x0f);
    gpio.write(0x3fc, Width::B4, 0xff);
    assert_eq!(gpio.read(0x3fc, Width::B4), 0x0f);
    gpio.write(0x4 << 2, Width::B4, 0);
    assert_eq!((gpio.read(0x3fc, Width::B4), gpio.read(0x8 << 2, Width::B4)), (0x0b, 0x08));
    gpio.pins().set(7, true);
    assert_eq!(gpio.read(0x80 << 2, Width::B4), 0x80);
}

#[test]
fn edges_and_levels_interrupt() {
    let (recorder, mut gpio) = bench();
    gpio.write(IE, Width::B4, 0x0f);
    gpio.write(IEV, Width::B4, 1 << 3);
    // A rising edge.
    gpio.pins().set(3, true);
    assert!(recorder.level(0));
    gpio.pins().set(3, false);
    assert!(recorder.level(0));
    gpio.write(IC, Width::B4, 1 << 3);
    assert!(!recorder.level(0));
    // Both edges.
    gpio.write(IBE, Width::B4, 1 << 2);
    for level in [true, false] {
        gpio.pins().set(2, level);
        assert_eq!(gpio.read(RIS, Width::B4), 1 << 2);
        gpio.write(IC, Width::B4, 1 << 2);
    }
    // A high level, which can not be cleared.
    gpio.write(IS, Width::B4, 1 << 3);
    gpio.pins().set(3, true);
    gpio.write(IC, Width::B4, 0xff);
    assert!(recorder.level(0));
    gpio.pins().set(3, false);
    assert!(!recorder.level(0));
}
