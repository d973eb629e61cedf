use super::*;
use base::LineRecorder;

struct Bench {
    plic: Plic,
    inputs: Arc<dyn IrqSink>,
    outputs: Arc<LineRecorder>,
}

const CLAIM: u64 = CONTEXT + 4;

/// Two contexts, 95 sources, 7 priorities, as `virt` has for one hart.
fn bench() -> Bench {
    let outputs = Arc::new(LineRecorder::default());
    let lines = (0..2).map(|line| IrqLine::new(outputs.clone(), line)).collect();
    let plic = Plic::new(95, 7, lines);
    let inputs = plic.inputs();
    Bench { plic, inputs, outputs }
}

impl Bench {
    fn write(&mut self, offset: u64, value: u64) {
        self.plic.write(offset, Width::B4, value);
    }

    fn read(&mut self, offset: u64) -> u64 {
        self.plic.read(offset, Width::B4)
    }

    fn enable(&mut self, context: u64, source: u64, priority: u64) {
        self.write(4 * source, priority);
        let at = ENABLE + ENABLE_STRIDE * context + source / 32 * 4;
        let old = self.read(at);
        self.write(at, old | 1 << (source % 32));
    }
}

#[test]
fn claims_by_priority_then_number() {
    let mut b = bench();
    for (source, priority) in [(10, 3), (40, 7), (7, 3), (95, 7)] {
        b.enable(0, source, priority);
        b.inputs.set(source as u32, true);
    }
    assert!(b.outputs.level(0) && !b.outputs.level(1));
    let order: Vec<u64> = (0..5).map(|_| b.read(CLAIM)).collect();
    assert_eq!(order, [40, 95, 7, 10, 0]);
    assert!(!b.outputs.level(0));
}

#[test]
fn a_level_asks_again_after_completion() {
    let mut b = bench();
    b.enable(0, 10, 1);
    b.inputs.set(10, true);
    assert_eq!(b.read(CLAIM), 10);
    b.inputs.set(10, false);
    b.inputs.set(10, true);
    assert_eq!((b.read(PENDING), b.outputs.level(0)), (0, false));
    b.write(CLAIM, 10);
    assert_eq!((b.read(PENDING), b.outputs.level(0)), (1 << 10, true));
    assert_eq!(b.read(CLAIM), 10);
    b.inputs.set(10, false);
    b.write(CLAIM, 10);
    assert_eq!((b.read(CLAIM), b.outputs.level(0)), (0, false));
}

#[test]
fn a_forwarded_request_outlives_its_level() {
    let mut b = bench();
    b.enable(0, 3, 1);
    b.inputs.set(3, true);
    b.inputs.set(3, false);
    assert_eq!(b.read(CLAIM), 3);
}

#[test]
fn threshold_masks_the_output_but_not_the_claim() {
    let mut b = bench();
    b.enable(0, 5, 3);
    b.write(CONTEXT, 3);
    b.inputs.set(5, true);
    assert!(!b.outputs.level(0));
    b.write(CONTEXT, 2);
    assert!(b.outputs.level(0));
    b.write(CONTEXT, 7);
    assert_eq!(b.read(CLAIM), 5);
}

#[test]
fn priority_zero_never_interrupts() {
    let mut b = bench();
    b.enable(0, 5, 0);
    b.inputs.set(5, true);
    assert_eq!((b.outputs.level(0), b.read(PENDING), b.read(CLAIM)), (false, 1 << 5, 0));
}

#[test]
fn completion_of_a_disabled_source_is_ignored() {
    let mut b = bench();
    b.enable(0, 5, 1);
    b.inputs.set(5, true);
    assert_eq!(b.read(CLAIM), 5);
    b.write(ENABLE, 0);
    b.write(CLAIM, 5);
    b.write(ENABLE, 1 << 5);
    assert!(!b.outputs.level(0));
    b.write(CLAIM, 5);
    assert!(b.outputs.level(0));
}

#[test]
fn one_source_goes_to_the_context_that_claims_first() {
    let mut b = bench();
    b.enable(0, 33, 1);
    b.enable(1, 33, 1);
    b.inputs.set(33, true);
    assert!(b.outputs.level(0) && b.outputs.level(1));
    assert_eq!(b.read(CLAIM + CONTEXT_STRIDE), 33);
    assert!(!b.outputs.level(0) && !b.outputs.level(1));
    assert_eq!(b.read(CLAIM), 0);
}

#[test]
fn registers_keep_only_bits_that_exist() {
    let mut b = bench();
    for offset in [0, 4, 4 * 96, ENABLE, ENABLE + 8, ENABLE + 12, CONTEXT, PENDING] {
        b.write(offset, 0xffff_ffff);
    }
    assert_eq!((b.read(0), b.read(4), b.read(4 * 96)), (0, 7, 0));
    assert_eq!((b.read(ENABLE), b.read(ENABLE + 8), b.read(ENABLE + 12)), (0xffff_fffe, 0xffff_ffff, 0));
    assert_eq!((b.read(CONTEXT), b.read(PENDING)), (7, 0));
}

#[test]
fn a_line_still_high_after_reset_asks_when_driven_again() {
    let mut b = bench();
    b.inputs.set(9, true);
    b.plic.reset();
    b.enable(0, 9, 1);
    assert!(!b.outputs.level(0));
    b.inputs.set(9, true);
    assert!(b.outputs.level(0));
}

#[test]
fn lines_move_while_another_thread_claims() {
    let mut b = bench();
    b.enable(0, 1, 1);
    b.enable(1, 2, 1);
    let inputs = b.inputs.clone();
    let driver = std::thread::spawn(move || {
        for i in 0..20_000 {
            inputs.set(1 + i % 2, i % 3 == 0);
        }
        inputs.set(1, true);
        inputs.set(2, false);
    });
    while !driver.is_finished() {
        for claim in [CLAIM, CLAIM + CONTEXT_STRIDE] {
            let source = b.read(claim);
            b.write(claim, source);
        }
    }
    driver.join().expect("the driver does not panic");
    b.read(CLAIM + CONTEXT_STRIDE);
    assert_eq!((b.outputs.level(0), b.outputs.level(1)), (true, false));
    assert_eq!(b.read(CLAIM), 1);
}
