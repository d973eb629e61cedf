//! Laws that hold of every random region and every random toy instruction.

use super::toy::{self, Toy};
use super::triangle::{Amount, Source, run};
use super::{Rig, Rng, random_operation, random_region};
use crate::guest::Guest;
use crate::ir::{Inst, Names, Op, Region, SnapId, Value, verify};
use crate::opt::{Scratch, optimise};
use crate::ty::Ty;

/// More than any random region needs: loops nest three deep and run at most four times.
const FUEL: usize = 100_000;

fn names() -> Names<'static> {
    Names { regs: Toy::regs(), helpers: Toy::helpers() }
}

fn seeds() -> std::ops::Range<u64> {
    let count = std::env::var("MIMIC_REGIONS").ok().and_then(|n| n.parse().ok()).unwrap_or(2000);
    0..count
}

fn region(seed: u64) -> (Rng, Region) {
    let mut rng = Rng::new(seed);
    let region = random_region::<Toy>(&mut rng, toy::DATA..toy::READ_ONLY);
    (rng, region)
}

fn check(region: &Region, title: &str) {
    if let Err(error) = verify(region, Toy::regs(), Toy::helpers()) {
        panic!("{title}: {error}\n{}", names().print(region));
    }
}

#[test]
fn random_regions_are_legal_and_use_every_operation() {
    let mut seen = vec![0; Op::ALL.len()];
    for seed in seeds() {
        let (_, region) = region(seed);
        check(&region, "random region");
        region.blocks.iter().flat_map(|b| &b.insts).for_each(|v| seen[region.inst(*v).op as usize] += 1);
    }
    // What watches a run or cuts it into turns is no part of what guests mean.
    let others = |op: &&Op| !matches!(op, Op::Nop | Op::Param | Op::Tally | Op::Observe | Op::Quota);
    for op in Op::ALL.iter().filter(others) {
        assert!(seen[*op as usize] > 0, "{} never came up", op.name());
    }
}

#[test]
fn the_text_form_is_read_back() {
    for seed in seeds() {
        let (_, mut region) = region(seed);
        let text = names().print(&region);
        let back = names().parse(&text).unwrap_or_else(|e| panic!("{e}\n{text}"));
        assert_eq!(back, region, "{text}");
        optimise(&mut region, Toy::regs(), Toy::helpers(), &mut Scratch::default());
        let text = names().print(&region);
        let back = names().parse(&text).unwrap_or_else(|e| panic!("{e}\n{text}"));
        assert_eq!(names().print(&back), text);
        check(&back, "read back");
    }
}

#[test]
fn optimising_changes_nothing_that_can_be_seen() {
    let mut rig = Rig::<Toy>::new(toy::Cpu::default(), (toy::RAM, toy::RAM_END - toy::RAM), 4);
    let (mut trapped, mut left) = (0, 0);
    for seed in seeds() {
        let (mut rng, region) = region(seed);
        let mut optimised = region.clone();
        optimise(&mut optimised, Toy::regs(), Toy::helpers(), &mut Scratch::default());
        check(&optimised, "optimised");
        let mut twice = optimised.clone();
        optimise(&mut twice, Toy::regs(), Toy::helpers(), &mut Scratch::default());
        check(&twice, "optimised twice");
        for _ in 0..3 {
            let state = rng.bits();
            rig.fill(state);
            let truth = rig.evaluate(&region, FUEL).expect("random regions come to an end");
            *if truth.left.trap.is_some() { &mut trapped } else { &mut left } += 1;
            for (what, changed) in [("optimised", &optimised), ("optimised twice", &twice)] {
                rig.fill(state);
                let seen = rig.evaluate(changed, FUEL).expect("random regions come to an end");
                assert!(
                    seen == truth,
                    "seed {seed}, {what}:\n{}\n{}\n{}",
                    truth.difference::<Toy>(&seen),
                    names().print(&region),
                    names().print(changed),
                );
            }
        }
    }
    assert!(trapped > left / 20 && left > trapped / 4, "{trapped} trapped, {left} did not");
}

#[test]
fn generated_code_equals_the_evaluator() {
    let mut rig = Rig::<Toy>::new(toy::Cpu::default(), (toy::RAM, toy::RAM_END - toy::RAM), 4);
    let mut compiled = 0;
    for seed in seeds() {
        let (mut rng, region) = region(seed);
        let mut optimised = region.clone();
        optimise(&mut optimised, Toy::regs(), Toy::helpers(), &mut Scratch::default());
        rig.cpu().rm = region.rm as u64;
        rig.sync();
        for (region, random) in [(&region, None), (&optimised, None), (&optimised, Some(seed))] {
            let state = rng.bits();
            rig.fill(state);
            let truth = rig.evaluate(region, FUEL).expect("random regions come to an end");
            rig.fill(state);
            let Some(seen) = rig.run_host(region, random) else { continue };
            compiled += 1;
            assert!(
                seen == truth,
                "seed {seed}, registers {random:?}:\n{}\n{}\n{}",
                truth.difference::<Toy>(&seen),
                names().print(region),
                rig.list_host(region, random),
            );
        }
    }
    assert!(compiled > 2 * seeds().end, "only {compiled} regions were compiled");
}

/// The operations on lanes, with each type that they can have.
fn lane_operations() -> impl Iterator<Item = (Op, Ty)> {
    let pairs = Op::ALL.iter().flat_map(|op| Ty::ALL.map(|ty| (*op, ty)));
    let args = [Value::NONE; 3];
    let on_lanes = move |op, ty| Inst { op, ty, args, imm: 0, snap: SnapId::NONE }.on_lanes();
    pairs.filter(move |(op, ty)| op.shape().ty.contains(*ty) && (on_lanes(*op, *ty) || *op == Op::CallVector))
}

#[test]
fn every_operation_on_lanes_with_every_set_of_features() {
    let mut rig = Rig::<Toy>::new(toy::Cpu::default(), (toy::RAM, toy::RAM_END - toy::RAM), 4);
    let count = seeds().end / 4;
    let mut operations = 0;
    for (op, ty) in lane_operations() {
        operations += 1;
        for seed in 0..count {
            let mut rng = Rng::new(seed << 16 | (op as u64) << 8 | ty as u64);
            let region = random_operation::<Toy>(&mut rng, op, ty);
            check(&region, op.name());
            rig.cpu().rm = region.rm as u64;
            rig.sync();
            // Bits 7 to 0 choose among the features.
            let random = (seed % 3 != 0).then(|| rng.bits() << 8 | seed & 0xff);
            let state = rng.bits();
            rig.fill(state);
            let truth = rig.evaluate(&region, FUEL).expect("it has one block");
            rig.fill(state);
            let seen = rig.run_host(&region, random).expect("few values are live");
            assert!(
                seen == truth,
                "seed {seed}, registers {random:x?}:\n{}\n{}\n{}",
                truth.difference::<Toy>(&seen),
                names().print(&region),
                rig.list_host(&region, random),
            );
        }
    }
    assert!(operations > 100, "only {operations} operations");
}

struct ToySource;

impl Source for ToySource {
    type Guest = Toy;

    fn cpu(&self) -> toy::Cpu {
        toy::Cpu::default()
    }

    fn ram(&self) -> (u64, u64) {
        (toy::RAM, toy::RAM_END - toy::RAM)
    }

    fn insn(&self, rng: &mut Rng) -> Vec<u8> {
        let bits = rng.bits() as u32 & !63;
        // Mostly not the ends of blocks.
        let limit = if rng.chance(90) { 17 } else { u64::from(toy::OPERATIONS) + 1 };
        (bits | rng.below(limit) as u32).to_le_bytes().into()
    }

    fn prepare(&self, cpu: &mut toy::Cpu, rng: &mut Rng) {
        cpu.rm = rng.below(5);
    }

    fn difference(&self, a: &toy::Cpu, b: &toy::Cpu) -> Option<String> {
        (a.rm != b.rm).then(|| "the rounding mode changed".to_string())
    }
}

#[test]
fn triangle_of_the_toy() {
    let amount = Amount { seed: 0, blocks: seeds().end, insns: 20 };
    run(&ToySource, amount).unwrap_or_else(|report| panic!("{report}"));
}

#[test]
fn code_addresses_move_with_the_page() {
    let text = "region 0x1004 rne\nb0:\n  v0 = codeaddr.i64 0x1ffc\n  v1 = const.i64 4\n  v2 = add.i64 v0, v1\n  \
                set.i64 x1, v0\n  set.i64 x2, v2\n  goto 0x1008\n";
    let mut region = names().parse(text).unwrap_or_else(|e| panic!("{e}"));
    optimise(&mut region, Toy::regs(), Toy::helpers(), &mut Scratch::default());
    let mut rig = Rig::<Toy>::new(toy::Cpu::default(), (toy::RAM, toy::RAM_END - toy::RAM), 4);
    for by in [0, 0x5000, 0xffff_ffff_8000_0000] {
        let seen = rig.run_host_moved(&region, None, by).expect("a frame is large enough");
        let moved = |addr: u64| addr.wrapping_add(by);
        let found = [seen.left.pc.into(), seen.regs[1], seen.regs[2]];
        assert_eq!(found, [0x1008, 0x1ffc, 0x2000].map(|addr| u128::from(moved(addr))));
    }
}

#[test]
fn extensions_of_what_is_in_a_register_or_in_the_frame() {
    use std::fmt::Write;
    const COUNT: usize = 12;
    let mut text = String::from("region 0x1004 rne\nb0:\n");
    let masks = [0xff, 0xffff, 0xffff_ffffu64];
    for n in 0..COUNT {
        let _ = writeln!(text, "  v{n} = get.i64 x{}", n + 1);
    }
    for (n, mask) in masks.iter().enumerate() {
        let _ = writeln!(text, "  v{} = const.i64 {mask:#x}", COUNT + n);
    }
    let next = COUNT + masks.len();
    for n in 0..COUNT {
        // All of them are wanted until the last one is made.
        let (mask, masked, sum) = (COUNT + n % masks.len(), next + 2 * n, next + 2 * n + 1);
        let before = if n == 0 { 0 } else { sum - 2 };
        let _ =
            writeln!(text, "  v{masked} = and.i64 v{n}, v{mask}\n  v{sum} = mul.i64 v{before}, v{masked}");
    }
    for n in 0..COUNT {
        let _ = writeln!(
            text,
            "  v{0} = add.i64 v{1}, v{n}\n  set.i64 x{2}, v{0}",
            2 * COUNT + next + n,
            next + 2 * n,
            n + 1
        );
    }
    text += "  goto 0x1008\n";
    let region = names().parse(&text).unwrap_or_else(|e| panic!("{e}\n{text}"));
    check(&region, "extensions");
    let mut rig = Rig::<Toy>::new(toy::Cpu::default(), (toy::RAM, toy::RAM_END - toy::RAM), 4);
    for seed in 0..64 {
        rig.fill(seed);
        let truth = rig.evaluate(&region, FUEL).expect("there is no loop");
        rig.fill(seed);
        // Few registers in most of them.
        let seen = rig.run_host(&region, (seed > 0).then_some(seed << 20)).expect("a frame is large enough");
        assert!(seen == truth, "seed {seed}:\n{}", truth.difference::<Toy>(&seen));
    }
}
