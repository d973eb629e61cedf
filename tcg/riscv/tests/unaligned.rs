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
    let code = [code[0], code[1], insn("ecall", &[])];
    let config = VcpuConfig { tiers: Tiers { translate_after: after }, ..VcpuConfig::default() };
    let mut cpu = vcpu_in("max", &code, config, CodeConfig::default());
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
