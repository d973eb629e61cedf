//! Walks over tables built by hand. Random ones are compared with QEMU in `tests/translation.rs` and `tests/stage2.rs`.

use super::fault::Kind;
use super::*;
use crate::board::Board;
use crate::features::Features;
use crate::mmu::SecureSpace;
use std::cell::RefCell;
use std::collections::BTreeMap;

/// Memory of descriptors; all else is not there.
#[derive(Default)]
struct Memory(RefCell<BTreeMap<u64, u64>>);

impl Memory {
    fn put(&self, at: u64, value: u64) {
        self.0.borrow_mut().insert(at, value);
    }
}

impl PhysMem for Memory {
    fn read_u64(&self, phys: u64) -> Option<u64> {
        self.0.borrow().get(&phys).copied()
    }

    fn cas_u64(&self, phys: u64, old: u64, new: u64) -> Option<bool> {
        let mut all = self.0.borrow_mut();
        let word = all.get_mut(&phys)?;
        let same = *word == old;
        if same {
            *word = new;
        }
        Some(same)
    }
}

/// Normal memory in attribute 0, Device in 1.
const MAIR: u64 = 0x00ff;
const AF: u64 = 1 << 10;
const USER: u64 = 1 << 6;
const READ_ONLY: u64 = 1 << 7;
const DBM: u64 = 1 << 51;
const PXN: u64 = 1 << 53;
const UXN: u64 = 1 << 54;

fn pe(el: u8, tcr: u64) -> Cpu {
    let board = Board {
        number: 0,
        mpidr: 0,
        has_el2: true,
        has_el3: true,
        secure_space: SecureSpace::NONE,
        cntfrq: 1_000_000_000,
    };
    let mut cpu = Cpu::for_board(Features::max(), board);
    cpu.enter(el.max(1), 0, 0);
    cpu.set_level(el, false);
    let system = &mut cpu.system;
    system.set(Stored::TcrEl1, tcr);
    system.set(Stored::MairEl1, MAIR);
    system.set(Stored::SctlrEl1, sctlr::M | sctlr::SPAN);
    cpu
}

fn look(cpu: &Cpu, mem: &Memory, addr: u64, access: Access) -> Result<Walk, Fault> {
    let who = if access == Access::Fetch { Who::fetch(&cpu.system) } else { Who::data(&cpu.system) };
    find(&cpu.system, mem, Request { addr, access, who })
}

fn fault(kind: Kind, level: i8) -> Option<Fault> {
    Some(Fault::new(kind, level))
}

#[test]
fn pages_of_every_granule_in_both_halves() {
    // TG0 and TG1, TxSZ of 48 bits, shifts of the levels, TCR_EL1.IPS of 48 bits.
    for (tg0, tg1, shifts) in
        [(0u64, 2u64, [39, 30, 21, 12]), (2, 1, [47, 36, 25, 14]), (1, 3, [0, 42, 29, 16])]
    {
        for upper in [false, true] {
            let tcr = 16 | 16 << 16 | tg0 << 14 | tg1 << 30 | 5 << 32;
            let mut cpu = pe(1, tcr);
            let mem = Memory::default();
            let first = if shifts[0] == 0 { 1 } else { 0 };
            let addr: u64 = 0x0000_5a5a_1234_5678 | if upper { 0xffff << 48 } else { 0 };
            let table = |level: usize| 0x8000_0000 + level as u64 * 0x10_0000;
            let granule = shifts[3];
            for (level, shift) in shifts.into_iter().enumerate().skip(first) {
                let width = if level == first { 48 - shift } else { granule - 3 };
                let index = addr >> shift & ((1 << width) - 1);
                let value = if level == 3 { 0x1_2345_0000 | AF | 3 } else { table(level + 1) | 3 };
                mem.put(table(level) + index * 8, value);
            }
            let register = if upper { Stored::Ttbr1El1 } else { Stored::Ttbr0El1 };
            cpu.system.set(register, table(first));
            let walk = look(&cpu, &mem, addr, Access::Write).expect("it is mapped");
            let low = (1 << granule) - 1;
            assert_eq!(
                (walk.phys, walk.size_log2),
                (0x1_2345_0000 & !low | addr & low, granule),
                "{tg0} {upper}"
            );
            // Elsewhere there is nothing, in the other half neither.
            let other = addr ^ 1 << shifts[3];
            mem.put(table(3) + ((other >> shifts[3]) & ((1 << (granule - 3)) - 1)) * 8, 0);
            assert_eq!(look(&cpu, &mem, other, Access::Read).err(), fault(Kind::Translation, 3));
            let outside = addr ^ 1 << 50;
            assert_eq!(look(&cpu, &mem, outside, Access::Read).err(), fault(Kind::Translation, 0));
        }
    }
}

#[test]
fn addresses_of_52_bits() {
    // 4K with DS: level -1, and the upper bits of the output in 9 and 8.
    let mut cpu = pe(1, 12 | 1 << 59 | 6 << 32 | 25 << 16);
    let mem = Memory::default();
    let addr = 0x000f_8000_0000_1000;
    cpu.system.set(Stored::Ttbr0El1, 0x8000_0000);
    mem.put(0x8000_0000 + (addr >> 48) * 8, 0x8000_1000 | 3);
    mem.put(0x8000_1000 + (addr >> 39 & 511) * 8, 0x8000_2000 | 3);
    mem.put(0x8000_2000, 0x8000_3000 | 3);
    mem.put(0x8000_3000, 0x8000_4000 | 3);
    mem.put(0x8000_4008, 0x0003_4000_0000_5000 | 2 << 8 | AF | 3);
    let walk = look(&cpu, &mem, addr, Access::Read).expect("it is mapped");
    assert_eq!(walk.phys, 0x000b_4000_0000_5000);
}

#[test]
fn rights_are_those_of_the_level() {
    let mem = Memory::default();
    let check = |el: u8, bits: u64, prepare: fn(&mut Cpu)| {
        let mut cpu = pe(el, 25 | 1 << 23 | 5 << 32);
        cpu.system.set(Stored::Ttbr0El1, 0x8000_0000);
        prepare(&mut cpu);
        mem.put(0x8000_0000, 0x4000_0000 | AF | bits | 1);
        [Access::Read, Access::Write, Access::Fetch].map(|access| look(&cpu, &mem, 0x1000, access).is_ok())
    };
    let plain = |_: &mut Cpu| {};
    assert_eq!(check(1, 0, plain), [true, true, true]);
    assert_eq!(check(0, 0, plain), [false, false, true]);
    assert_eq!(check(0, USER, plain), [true, true, true]);
    // What EL0 can write, EL1 does not execute.
    assert_eq!(check(1, USER, plain), [true, true, false]);
    assert_eq!(check(1, USER | READ_ONLY, plain), [true, false, true]);
    assert_eq!(check(1, PXN, plain), [true, true, false]);
    assert_eq!(check(0, USER | UXN, plain), [true, true, false]);
    assert_eq!(
        check(1, 0, |cpu| cpu.system.stored[Stored::SctlrEl1 as usize] |= sctlr::WXN),
        [true, true, false]
    );
    assert_eq!(check(1, USER | READ_ONLY, |cpu| cpu.system.pan = true), [false, false, true]);
    // As EL0 would.
    assert_eq!(check(1, 0, |cpu| cpu.system.unprivileged = true), [false, false, true]);
    assert_eq!(
        check(1, USER, |cpu| (cpu.system.unprivileged, cpu.system.pan) = (true, true)),
        [true, true, false]
    );
    assert_eq!(
        check(1, 0, |cpu| (cpu.system.unprivileged, cpu.system.uao) = (true, true)),
        [true, true, true]
    );
}

#[test]
fn hardware_keeps_access_and_dirty_state() {
    let mut cpu = pe(1, 25 | 1 << 23 | 5 << 32);
    let mem = Memory::default();
    cpu.system.set(Stored::Ttbr0El1, 0x8000_0000);
    let clean = 0x4000_0000 | DBM | READ_ONLY | 1;
    mem.put(0x8000_0000, clean);
    assert_eq!(look(&cpu, &mem, 0, Access::Read).err(), fault(Kind::AccessFlag, 1));
    cpu.system.set(Stored::TcrEl1, 25 | 1 << 23 | 5 << 32 | 3 << 39);
    let walk = look(&cpu, &mem, 0, Access::Read).expect("the flag is set");
    assert!(!walk.rights.write, "the first store has to come here");
    assert_eq!(mem.read_u64(0x8000_0000), Some(clean | AF));
    assert!(look(&cpu, &mem, 0, Access::Write).is_ok_and(|walk| walk.rights.write));
    assert_eq!(mem.read_u64(0x8000_0000), Some((clean | AF) & !READ_ONLY));
}

#[test]
fn the_second_stage_is_below_the_first() {
    let mut cpu = pe(1, 25 | 1 << 23 | 5 << 32);
    let mem = Memory::default();
    let hcr = cpu.system.get(Stored::HcrEl2);
    cpu.system.set(Stored::HcrEl2, hcr | hcr::VM);
    // 39 bits of intermediate addresses from level 1 on; 1 GiB of them lies 4 GiB higher.
    cpu.system.set(Stored::VtcrEl2, 25 | 1 << 6 | 5 << 16);
    cpu.system.set(Stored::VttbrEl2, 0x9000_0000 | 7 << 48);
    mem.put(0x9000_0008, 0x1_4000_0000 | AF | 3 << 6 | 0xf << 2 | 1);
    mem.put(0x9000_0000, 0);
    cpu.system.set(Stored::Ttbr0El1, 0x4800_0000);
    mem.put(0x1_4800_0000, 0x4000_0000 | AF | 1);
    mem.put(0x1_4800_0008, AF | 1);
    let walk = look(&cpu, &mem, 0x12_3456, Access::Read).expect("both map it");
    assert_eq!(walk.phys, 0x1_4012_3456);
    // The second gigabyte leads to an intermediate address that is not mapped.
    let lost = look(&cpu, &mem, 0x4000_0234, Access::Write).expect_err("nothing there");
    assert_eq!(
        (lost.kind, lost.level, lost.stage2, lost.in_walk),
        (Kind::Translation, 1, Some(0x234), false)
    );
    let who = Who::data(&cpu.system);
    let trap = lost.take(&mut cpu, Request { addr: 0x4000_0234, access: Access::Write, who });
    assert_eq!(cpu.system.stage2_fault.map(|kept| (kept.trap, kept.hpfar)), Some((trap, 0)));
    // So are the tables of the first stage.
    cpu.system.set(Stored::Ttbr0El1, 0);
    let lost = look(&cpu, &mem, 0, Access::Read).expect_err("no table");
    assert_eq!((lost.stage2, lost.in_walk), (Some(0), true));
    assert_ne!(key::of(&cpu.system, who), key::of(&pe(1, 0).system, who), "the VMID is in the key");
}

#[test]
fn without_translation_memory_is_device() {
    let mut cpu = pe(1, 0);
    cpu.system.set(Stored::SctlrEl1, 0);
    assert!(must_align(&cpu.system));
    let walk = look(&cpu, &Memory::default(), 0x1234, Access::Write).expect("flat");
    assert_eq!((walk.phys, walk.is_device()), (0x1234, true));
    let far = look(&cpu, &Memory::default(), 1 << 55, Access::Read);
    assert_eq!(far.err(), fault(Kind::AddressSize, 0));
}

#[test]
fn tags_of_code_addresses_come_off() {
    let mut cpu = pe(1, 16 | 16 << 16 | 1 << 37);
    cpu.head.pc = 0x5a00_0000_1234_5678;
    settle_pc(&mut cpu);
    assert_eq!(cpu.head.pc, 0x1234_5678);
    // Not in the upper half, which has no tags, and not with TBID.
    for (tcr, pc) in [(1 << 37, 0x5aff_ffff_1234_5678), (1 << 37 | 1 << 51, 0x5a00_0000_1234_5678)] {
        cpu.system.set(Stored::TcrEl1, 16 | 16 << 16 | tcr);
        cpu.head.pc = pc;
        settle_pc(&mut cpu);
        assert_eq!(cpu.head.pc, pc);
    }
}

#[test]
fn a_kernel_has_one_context_of_code_while_its_pages_are_global() {
    const NOT_GLOBAL: u64 = 1 << 11;
    let mut cpu = pe(1, 25 | 25 << 16 | 2 << 30 | 2 << 32);
    let mem = Memory::default();
    let kernel = 0xffff_ff80_4000_0000;
    mem.put(0x8000_0008, 0x4000_0000 | AF | 1);
    mem.put(0x8000_0010, 0x4000_0000 | NOT_GLOBAL | AF | 1);
    cpu.system.set(Stored::Ttbr1El1, 0x8000_0000);
    let keys = |cpu: &mut Cpu, pc: u64| {
        [1, 2].map(|asid| {
            cpu.system.set(Stored::Ttbr0El1, asid << 48 | 0x8000_0000);
            key::of_code(&cpu.system, pc)
        })
    };
    let is_one = |[a, b]: [u128; 2]| a == b;
    walk(&mut cpu, &mem, kernel, Access::Fetch).expect("it is mapped");
    let [shared, _] = keys(&mut cpu, kernel);
    assert!(is_one(keys(&mut cpu, kernel)) && !key::has_asid(shared, 0) && !key::has_asid(shared, 2));
    // Not that of firmware, nor data.
    assert!(!is_one(keys(&mut cpu, 0x4000_0000)));
    let data = key::of(&cpu.system, Who::data(&cpu.system));
    assert!(key::has_asid(data, 2));
    // Until a page of one ASID is met, other than in the lower half.
    walk(&mut cpu, &mem, 0x8000_0000, Access::Fetch).expect("it is mapped");
    assert!(is_one(keys(&mut cpu, kernel)));
    walk(&mut cpu, &mem, kernel + 0x4000_0000, Access::Fetch).expect("it is mapped");
    assert!(!is_one(keys(&mut cpu, kernel)));
    assert!(!keys(&mut cpu, kernel).contains(&shared));
    // A user program has its own context always.
    cpu.set_level(0, false);
    assert!(!is_one(keys(&mut cpu, kernel)));
}
