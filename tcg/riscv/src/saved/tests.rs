use super::*;
use crate::csr::{Csrs, Priv, table};
use crate::features::Features;
use crate::vector;
use base::{Clock, CpuLines, ManualClock, TimeBase};
use std::sync::Arc;
use tcg_core::cpu::CpuHeader;
use tcg_core::testing::Rng;
use tcg_core::testing::saved::Subject;

fn make(lines: &Arc<CpuLines>) -> Hart {
    let mut csr = Csrs::new(Features::parse("max").expect("a model"), 3);
    let clock: Arc<dyn Clock> = ManualClock::new();
    csr.wire(TimeBase::new(clock, 10_000_000), lines.clone());
    Hart {
        head: CpuHeader::new(),
        x: [0; 32],
        f: [0; 32],
        v: Default::default(),
        reservation: u64::MAX,
        reserved_value: 0,
        csr,
    }
}

fn scribble(hart: &mut Hart, rng: &mut Rng) {
    for number in 0..0x1000 {
        if let Some(row) = table::find(number).filter(|_| rng.chance(70)) {
            (row.write)(hart, number, rng.bits() >> rng.below(64));
        }
    }
    vector::configure(hart, rng.bits() >> rng.below(64), rng.below(64));
    hart.csr.vector.vstart = rng.below(2) * rng.below(hart.csr.features.vlen());
    (1..32).for_each(|n| hart.x[n] = rng.bits());
    hart.f.iter_mut().for_each(|f| *f = rng.bits());
    let bytes = rng.below(hart.v.bytes().len() as u64) as usize;
    hart.v.bytes_mut()[..bytes].iter_mut().for_each(|byte| *byte = rng.bits() as u8);
    (hart.reservation, hart.reserved_value) = (rng.bits(), rng.bits());
    hart.csr.privilege = rng.pick(&[Priv::U, Priv::S, Priv::M]);
    (hart.head.pc, hart.head.insns) = (rng.bits() & !1, rng.bits());
}

const SUBJECT: Subject<Riscv> = Subject { make, scribble, ram: 0x8000_0000 };

#[test]
fn save_load_save_is_equal() {
    SUBJECT.save_load_save_is_equal();
}

#[test]
fn tampered_states_are_harmless() {
    SUBJECT.tampered_states_are_harmless();
}

#[test]
fn an_interrupt_that_was_on_its_way_is_kept() {
    use crate::csr::bits::irq;
    use base::IrqSink;
    let (lines, others) = (Arc::<CpuLines>::default(), Arc::<CpuLines>::default());
    let (mut hart, mut other) = (make(&lines), make(&others));
    lines.set(irq::SSI, true);
    let pending = hart.csr.mip();
    assert_eq!(pending, 1 << irq::SSI);
    Riscv::load(&mut other, &Riscv::save(&mut hart)).expect("a state of the same hart");
    assert_eq!((hart.csr.mip(), other.csr.mip()), (pending, pending));
}

#[test]
fn a_timer_that_was_due_later_is_due_then() {
    use crate::csr::bits::{envcfg, irq};
    let lines = Arc::<CpuLines>::default();
    let mut hart = make(&lines);
    hart.csr.menvcfg |= envcfg::STCE;
    hart.csr.stimecmp = 1000;
    let saved = Riscv::save(&mut hart);
    let clock = ManualClock::new();
    let mut other = make(&lines);
    other.csr.wire(TimeBase::new(clock.clone(), 10_000_000), lines.clone());
    Riscv::load(&mut other, &saved).expect("a state of the same hart");
    clock.advance(99_999);
    assert_eq!(other.csr.mip() >> irq::STI & 1, 0);
    clock.advance(1);
    assert_eq!(other.csr.mip() >> irq::STI & 1, 1);
}
