//! A hart under a debugger: registers by number, breakpoints, watchpoints and steps, in every tier.

mod support;

use std::collections::BTreeSet;
use support::bare::*;
use tcg_core::debug::{Debuggable, Stop, WatchKind};
use tcg_core::guest::{PhysMem, Point};
use tcg_core::run::{Tiers, Vcpu, VcpuConfig};
use tcg_riscv::Riscv;
use tcg_riscv::csr::Priv;
use vm_memory::{Bytes, GuestAddress};

fn at(addr: u64) -> Point {
    Point { first: addr, last: addr, read: false, write: false, fetch: true }
}

fn watch(first: u64, len: u64, read: bool, write: bool) -> Point {
    Point { first, last: first + len - 1, read, write, fetch: false }
}

/// A loop that counts in x5, stores the count at [`DATA`] and loads it from there; `ecall` ends it.
fn counting(after: u32, rounds: i32) -> Vcpu<Riscv> {
    let code = [
        addi(6, 0, rounds),
        addi(5, 5, 1),
        insn("sd", &[("rs1", 7), ("rs2", 5)]),
        insn("ld", &[("rs1", 7), ("rd", 8)]),
        addi(6, 6, -1),
        back_unless_zero(6, -16),
        insn("ecall", &[]),
    ];
    let tiers = Tiers { translate_after: after };
    let mut cpu = vcpu_with("max", &code, VcpuConfig { tiers, ..VcpuConfig::default() });
    cpu.cpu_mut().x[7] = DATA;
    stop_at_ecall(&mut cpu);
    cpu
}

const ROUNDS: i32 = 30;

#[test]
fn breakpoints_stop_before_their_instruction_each_time() {
    for after in TIERS {
        let mut cpu = counting(after, ROUNDS);
        cpu.set_points(&[at(BASE + 12)]);
        for round in 1..=ROUNDS as u64 {
            assert_eq!(cpu.run(), Some(Stop::Breakpoint), "after {after}, round {round}");
            let hart = cpu.cpu();
            assert_eq!((hart.head.pc, hart.x[5], hart.x[8]), (BASE + 12, round, round - 1));
            assert_eq!(cpu.step_for_debugger(false), Stop::Step);
            assert_eq!((cpu.cpu().head.pc, cpu.cpu().x[8]), (BASE + 16, round));
        }
        assert_eq!(cpu.run(), None, "the ecall");
        assert_eq!(cpu.cpu().x[5], ROUNDS as u64);
    }
}

#[test]
fn points_set_and_taken_away_in_a_warm_loop() {
    let mut cpu = counting(0, 2000);
    for round in 0..200 {
        cpu.set_points(&[at(BASE + 4 + round % 4 * 4)]);
        assert_eq!(cpu.run(), Some(Stop::Breakpoint));
        cpu.set_points(&[]);
        assert_eq!(cpu.step_for_debugger(true), Stop::Step);
    }
    assert_eq!(cpu.run(), None);
    assert_eq!(cpu.cpu().x[5], 2000);
}

/// Makes the access that a watchpoint stops.
fn past(cpu: &mut Vcpu<Riscv>, points: &[Point]) {
    cpu.set_points(&[]);
    assert_eq!(cpu.step_for_debugger(false), Stop::Step);
    cpu.set_points(points);
}

#[test]
fn watchpoints_stop_before_the_access() {
    for after in TIERS {
        for (point, kind, pc) in [
            (watch(DATA + 4, 1, false, true), WatchKind::Write, BASE + 8),
            (watch(DATA, 8, true, false), WatchKind::Read, BASE + 12),
        ] {
            let mut cpu = counting(after, ROUNDS);
            cpu.set_points(&[point]);
            for round in 1..=ROUNDS as u64 {
                let stop = Stop::Watchpoint { addr: point.first, kind };
                assert_eq!(cpu.run(), Some(stop), "after {after}, round {round}");
                assert_eq!((cpu.cpu().head.pc, cpu.cpu().x[5]), (pc, round));
                past(&mut cpu, &[point]);
                let stored: u64 = cpu.space().ram().read_obj(GuestAddress(DATA)).expect("memory");
                assert_eq!(stored, round, "the access was made");
            }
            assert_eq!(cpu.run(), None);
        }
        let mut cpu = counting(after, ROUNDS);
        let both = [watch(DATA, 8, true, true)];
        cpu.set_points(&both);
        for _ in 0..2 * ROUNDS {
            assert!(matches!(cpu.run(), Some(Stop::Watchpoint { kind: WatchKind::Access, .. })));
            past(&mut cpu, &both);
        }
        assert_eq!(cpu.run(), None);
    }
}

#[test]
fn a_step_stops_at_a_watchpoint_too() {
    let mut cpu = counting(u32::MAX, 1);
    cpu.set_points(&[watch(DATA, 8, false, true)]);
    assert_eq!([cpu.step_for_debugger(false), cpu.step_for_debugger(false)], [Stop::Step; 2]);
    let stop = Stop::Watchpoint { addr: DATA, kind: WatchKind::Write };
    assert_eq!([cpu.step_for_debugger(false), cpu.step_for_debugger(true)], [stop; 2]);
    assert_eq!(cpu.cpu().head.pc, BASE + 8);
}

#[test]
fn a_vector_access_goes_on_where_a_watchpoint_stopped_it() {
    let code = [
        insn("vsetvli", &[("rd", 1), ("rs1", 6), ("vtype", 2)]),
        // Strided and too long to be accesses of the translation, so that it goes element by element: vlse8.v v4, (x7), x8.
        0x0a83_8207,
        insn("ecall", &[]),
    ];
    let mut cpu = vcpu("max", &code);
    let hart = cpu.cpu_mut();
    hart.csr.mstatus |= 3 << 9;
    (hart.x[6], hart.x[7], hart.x[8]) = (40, DATA, 2);
    let bytes: Vec<u8> = (0..80).collect();
    cpu.space().ram().write_slice(&bytes, GuestAddress(DATA)).expect("memory");
    stop_at_ecall(&mut cpu);
    cpu.set_points(&[watch(DATA + 6, 1, true, false)]);
    assert_eq!(cpu.run(), Some(Stop::Watchpoint { addr: DATA + 6, kind: WatchKind::Read }));
    assert_eq!(cpu.cpu().csr.vector.vstart, 3);
    past(&mut cpu, &[]);
    let even: Vec<u8> = (0..80).step_by(2).collect();
    assert_eq!(cpu.cpu().v.bytes()[64..104], even);
    assert_eq!((cpu.cpu().csr.vector.vstart, cpu.cpu().csr.vector.vl), (0, 40));
    assert_eq!(cpu.run(), None);
}

#[test]
fn registers_are_what_the_description_says() {
    for model in ["rv64", "max"] {
        let mut cpu = vcpu(model, &[]);
        let hart = cpu.cpu_mut();
        hart.set_privilege(Priv::U, hart.now());
        let features = Riscv::features(hart);
        let mut numbers = BTreeSet::new();
        for register in features.iter().flat_map(|feature| &feature.registers) {
            assert!(numbers.insert(register.number), "{} is the second {}", register.name, register.number);
            let value = Riscv::register(hart, register.number).expect("it is listed");
            assert_eq!(value.len() * 8, register.bits as usize, "{}", register.name);
            // What is written back is what was read, or the register can not be written.
            if Riscv::set_register(hart, register.number, &value) && register.name != "time" {
                let again = Riscv::register(hart, register.number).expect("as before");
                let moves = register.name.contains("cycle") || register.name.contains("instret");
                assert!(moves || again == value, "{}: {value:?}, then {again:?}", register.name);
            }
        }
        let number = |name: &str| {
            let mut all = features.iter().flat_map(|feature| &feature.registers);
            all.find(|r| r.name == name).map(|r| r.number).unwrap_or_else(|| panic!("no {name}"))
        };
        // QEMU's numbers.
        assert_eq!((number("zero"), number("fp"), number("pc"), number("ft0")), (0, 8, 32, 33));
        let vectors = if model == "max" { 32 } else { 0 };
        assert_eq!((number("priv"), number("mstatus")), (65 + vectors, 66 + vectors + 0x300));
        for (name, value) in
            [("a0", 7_u64), ("fa0", 8), ("mscratch", 9), ("stvec", 0x8000_0004), ("pc", BASE + 6)]
        {
            assert!(Riscv::set_register(hart, number(name), &value.to_le_bytes()), "{name}");
            assert_eq!(Riscv::register(hart, number(name)), Some(value.to_le_bytes().to_vec()), "{name}");
        }
        assert_eq!((hart.x[10], hart.f[10], hart.csr.mscratch), (7, 8, 9));
        assert!(!Riscv::set_register(hart, number("mhartid"), &[0; 8]));
        assert!(!Riscv::set_register(hart, number("a0"), &[0; 3]));
        assert!(Riscv::set_register(hart, number("priv"), &3_u64.to_le_bytes()));
        assert_eq!(hart.csr.privilege, Priv::M);
        for number in [number("priv") + 1, 5000, u32::MAX] {
            assert_eq!(Riscv::register(hart, number), None);
            assert!(!Riscv::set_register(hart, number, &[0; 16]));
        }
    }
}

/// Page tables that contain themselves, all over.
struct Loops;

impl PhysMem for Loops {
    fn read_u64(&self, _: u64) -> Option<u64> {
        Some(1)
    }
    fn cas_u64(&self, _: u64, _: u64, _: u64) -> Option<bool> {
        panic!("a debugger changes nothing")
    }
}

#[test]
fn page_tables_are_looked_at_without_leaving_a_trace() {
    let mut cpu = vcpu("max", &[]);
    let table = BASE + 0x3000;
    // One giant page that was never accessed: virtual 0 to 1 GiB is the RAM.
    let pte: u64 = (BASE >> 12 << 10) | 0b1_1111;
    cpu.space().ram().write_obj(pte, GuestAddress(table)).expect("memory");
    let hart = cpu.cpu_mut();
    hart.csr.satp = 8 << 60 | table >> 12;
    hart.set_privilege(Priv::S, hart.now());
    assert_eq!(cpu.translate(0x1234), Some(BASE + 0x1234), "a user page, for the supervisor");
    assert_eq!(cpu.translate(1 << 30), None);
    let after: u64 = cpu.space().ram().read_obj(GuestAddress(table)).expect("memory");
    assert_eq!(after, pte);
    let text = cpu.mappings();
    assert!(text.ends_with("0000000000000000 0000000080000000 0000000040000000 rwxu---\n"), "{text}");
    cpu.cpu_mut().csr.satp = 10 << 60;
    assert!(Riscv::mappings(cpu.cpu(), &Loops).lines().count() < 1 << 15);
}
