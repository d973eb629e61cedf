use super::*;
use crate::board::{Board, TimerLines, Wiring};
use crate::features::Features;
use crate::mmu::SecureSpace;
use crate::sysreg::{Place, rows};
use base::{Clock, CpuLines, ManualClock, TimeBase};
use std::sync::Arc;
use tcg_core::testing::Rng;
use tcg_core::testing::saved::Subject;

fn make(lines: &Arc<CpuLines>) -> Cpu {
    let board = Board {
        number: 0,
        mpidr: 0,
        has_el2: true,
        has_el3: true,
        secure_space: SecureSpace::NONE,
        cntfrq: 62_500_000,
    };
    let mut cpu = Cpu::for_board(Features::parse("max").expect("a model"), board);
    let clock: Arc<dyn Clock> = ManualClock::new();
    let time = TimeBase::new(clock, 62_500_000);
    cpu.wire(Wiring {
        time,
        lines: lines.clone(),
        timers: TimerLines::default(),
        gic: None,
        overflow: base::IrqLine::unconnected(),
        may_signal: Arc::new(|| false),
    });
    cpu
}

fn scribble(cpu: &mut Cpu, rng: &mut Rng) {
    for row in rows().filter(|row| row.needs.are_met(&cpu.system)).collect::<Vec<_>>() {
        if !rng.chance(70) {
            continue;
        }
        let value = rng.bits() >> rng.below(64);
        match row.place {
            Place::Functions(_, write) => write(cpu, value),
            Place::Stored(register, mask) => cpu.system.set(register, value & mask),
            Place::Direct(_) | Place::Nzcv => {}
        }
    }
    cpu.x.iter_mut().for_each(|x| *x = rng.bits());
    cpu.v.iter_mut().for_each(|v| *v = u128::from(rng.bits()) << 64 | u128::from(rng.bits()));
    (cpu.sp, cpu.head.pc, cpu.head.insns) = (rng.bits(), rng.bits() & !3, rng.bits());
    cpu.flags = FLAGS.into_iter().filter(|_| rng.chance(50)).fold(0, |all, bit| all | bit);
    (cpu.exclusive_addr, cpu.exclusive) = (rng.bits(), [rng.bits(), rng.bits()]);
    (cpu.tpidr_el0, cpu.tpidrro_el0) = (rng.bits(), rng.bits());
    cpu.daif = rng.bits() & daif::ALL;
    let el = rng.below(4) as u8;
    (cpu.system.el, cpu.system.sp_sel) = (el, el != 0 && rng.chance(50));
    (cpu.system.il, cpu.system.ss) = (rng.chance(5), rng.chance(5));
    cpu.update_points();
}

const SUBJECT: Subject<Aarch64> = Subject { make, scribble, ram: 0x4000_0000 };

#[test]
fn save_load_save_is_equal() {
    SUBJECT.save_load_save_is_equal();
}

#[test]
fn tampered_states_are_harmless() {
    SUBJECT.tampered_states_are_harmless();
}
