//! Accesses that lie across the end of a page, where the next page is elsewhere in memory.

mod support;

use std::sync::{Arc, Mutex};
use support::bare::{BASE, TIERS, insn, vcpu_in};
use tcg_core::run::{CodeConfig, Tiers, VcpuConfig};
use tcg_core::testing::Rng;
use tcg_riscv::csr::Priv;
use tcg_riscv::csr::bits::{cause, mstatus};
use vm_memory::{Bytes, GuestAddress};

const PAGE: u64 = 0x1000;
/// The pages of the code and of the data, for the guest, and where they are.
const CODE: u64 = 0x1000;
const DATA: u64 = 0x4000;
const DATA_AT: [u64; 2] = [BASE + 0x3000, BASE + 0x1000];
const TABLE_AT: u64 = BASE + 0x2000;
/// Loads and stores of so many bytes.
const ACCESSES: [(&str, &str, u64); 5] =
    [("lh", "sh", 2), ("lw", "sw", 4), ("ld", "sd", 8), ("fld", "fsd", 8), ("vl/whole8", "vs/whole", 16)];
/// Of what is loaded from, and of what is stored to.
const FROM: u32 = 6;
const TO: u32 = 7;

/// A leaf entry for the page at `phys`: of the supervisor, for everything, if it is `there`.
fn leaf(phys: u64, there: bool) -> u64 {
    phys >> 12 << 10 | 0b1100_1110 | u64::from(there)
}

/// Copies bytes from one address to another, by the `n`th pair of accesses. Gives the trap that ended it, its value, and the data.
fn copy(n: usize, from: u64, to: u64, after: u32, data: &[u8], second: bool) -> (u32, u64, Vec<u8>) {
    let (load, store, _) = ACCESSES[n];
    let registers = [("rd", 8), ("rs2", 8), ("vd", 8)];
    let code = [(load, FROM), (store, TO)]
        .map(|(name, base)| insn(name, &[&registers[..], &[("rs1", base)]].concat()));
    carry_out(&[code[0], code[1], insn("ecall", &[])], (from, to), after, data, second)
}

/// How many doublewords [`copy_words`] copies.
const WORDS: u64 = 4;

/// Copies doublewords: all loads, then all stores.
fn copy_words(from: u64, to: u64, after: u32, data: &[u8], second: bool) -> (u32, u64, Vec<u8>) {
    let words = 0..WORDS as u32;
    let load = |n| insn("ld", &[("rd", 8 + n), ("rs1", FROM), ("imm", 8 * n)]);
    let store = |n| insn("sd", &[("rs2", 8 + n), ("rs1", TO), ("imm", 8 * n)]);
    let mut code: Vec<_> = words.clone().map(load).chain(words.map(store)).collect();
    code.push(insn("ecall", &[]));
    carry_out(&code, (from, to), after, data, second)
}

/// Runs `code`, of whose pages of data the `second` may be missing. Gives the trap that ended it, its value, and the data.
fn carry_out(
    code: &[u32],
    (from, to): (u64, u64),
    after: u32,
    data: &[u8],
    second: bool,
) -> (u32, u64, Vec<u8>) {
    let config = VcpuConfig { tiers: Tiers { translate_after: after }, ..VcpuConfig::default() };
    let mut cpu = vcpu_in("max", code, config, CodeConfig::default());
    let ram = cpu.space().ram().clone();
    let write = |at: u64, word: u64| ram.write_obj(word, GuestAddress(at)).expect("memory");
    write(TABLE_AT, TABLE_AT >> 12 << 10 | 1);
    write(TABLE_AT + CODE / PAGE * 8, leaf(BASE, true));
    for (n, phys) in DATA_AT.into_iter().enumerate() {
        write(TABLE_AT + (DATA / PAGE + n as u64) * 8, leaf(phys, n == 0 || second));
    }
    for (page, phys) in data.chunks(PAGE as usize).zip(DATA_AT) {
        ram.write_slice(page, GuestAddress(phys)).expect("memory");
    }
    let end = Arc::new(Mutex::new((0, 0)));
    let seen = end.clone();
    cpu.set_trap_hook(Box::new(move |cpu, trap| {
        *seen.lock().expect("nobody panics") = (trap.code, trap.value);
        cpu.handle().stop();
        true
    }));
    let hart = cpu.cpu_mut();
    hart.csr.satp = 8 << 60 | TABLE_AT >> 12;
    hart.csr.mstatus |= mstatus::VS;
    hart.set_privilege(Priv::S, hart.now());
    hart.head.pc = CODE;
    (hart.x[FROM as usize], hart.x[TO as usize]) = (from, to);
    assert_eq!(cpu.run(), None);
    let mut now = vec![0; data.len()];
    for (page, phys) in now.chunks_mut(PAGE as usize).zip(DATA_AT) {
        ram.read_slice(page, GuestAddress(phys)).expect("memory");
    }
    let (code, value) = *end.lock().expect("nobody panics");
    (code, value, now)
}

#[test]
fn accesses_reach_the_bytes_of_both_pages() {
    let mut rng = Rng::new(1);
    let data: Vec<u8> = (0..2 * PAGE).map(|_| rng.bits() as u8).collect();
    let end = DATA + PAGE;
    for (n, (name, _, bytes)) in ACCESSES.into_iter().enumerate() {
        for before in 0..=bytes {
            let (from, to) = (end - before, end - rng.below(bytes + 1));
            let mut expected = data.clone();
            let [from_at, to_at] = [from, to].map(|addr| (addr - DATA) as usize);
            expected[to_at..][..bytes as usize].copy_from_slice(&data[from_at..][..bytes as usize]);
            for after in TIERS {
                let (code, _, now) = copy(n, from, to, after, &data, true);
                assert_eq!(code, cause::ECALL_S, "{name} at {from:#x} to {to:#x}");
                assert!(now == expected, "{name} at {from:#x} to {to:#x}, after {after}");
            }
        }
    }
}

#[test]
fn where_the_second_page_is_missing_nothing_is_stored() {
    let data = vec![0x55; 2 * PAGE as usize];
    let (end, inside) = (DATA + PAGE, DATA + 0x100);
    for (n, (name, _, bytes)) in ACCESSES.into_iter().enumerate() {
        for before in 1..bytes {
            for after in TIERS {
                let load = copy(n, end - before, inside, after, &data, false);
                assert_eq!(
                    load,
                    (cause::LOAD_PAGE, end, data.clone()),
                    "{name}, {before} bytes before the end"
                );
                let store = copy(n, inside, end - before, after, &data, false);
                assert_eq!(
                    store,
                    (cause::STORE_PAGE, end, data.clone()),
                    "{name}, {before} bytes before the end"
                );
            }
        }
    }
}

#[test]
fn several_accesses_of_one_base_reach_both_pages() {
    let mut rng = Rng::new(2);
    let data: Vec<u8> = (0..2 * PAGE).map(|_| rng.bits() as u8).collect();
    let (end, bytes) = (DATA + PAGE, 8 * WORDS);
    for before in 0..=bytes {
        let (from, to) = (end - before, end - bytes * 2 - rng.below(bytes));
        for (from, to) in [(from, to), (to, from)] {
            let mut expected = data.clone();
            let [from_at, to_at] = [from, to].map(|addr| (addr - DATA) as usize);
            expected[to_at..][..bytes as usize].copy_from_slice(&data[from_at..][..bytes as usize]);
            for after in TIERS {
                let (code, _, now) = copy_words(from, to, after, &data, true);
                assert_eq!(code, cause::ECALL_S, "from {from:#x} to {to:#x}");
                assert!(now == expected, "from {from:#x} to {to:#x}, after {after}");
            }
        }
    }
}

#[test]
fn where_the_second_page_is_missing_what_comes_before_is_done() {
    let data: Vec<u8> = (0..2 * PAGE).map(|n| n as u8).collect();
    let (end, inside, bytes) = (DATA + PAGE, DATA + 0x100, 8 * WORDS);
    for before in 0..bytes {
        // The first byte that is missing of the first access that lacks one.
        let missing = end.max(end - before + before / 8 * 8);
        let (first, done) = ((PAGE - before) as usize, (before / 8 * 8) as usize);
        let mut stored = data.clone();
        stored[first..][..done].copy_from_slice(&data[0x100..][..done]);
        for after in TIERS {
            let load = copy_words(end - before, inside, after, &data, false);
            assert_eq!((load.0, load.1), (cause::LOAD_PAGE, missing), "{before} bytes before the end");
            assert!(load.2 == data, "{before} bytes before the end, after {after}");
            let store = copy_words(inside, end - before, after, &data, false);
            assert_eq!((store.0, store.1), (cause::STORE_PAGE, missing), "{before} bytes before the end");
            assert!(store.2 == stored, "{before} bytes before the end, after {after}");
        }
    }
}
