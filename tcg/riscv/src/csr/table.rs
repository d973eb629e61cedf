//! The rows: one a register, or one a numbered range of alike registers.

use super::bits::{cause, envcfg, irq, mstatus};
use super::{Csrs, Priv, triggers};
use crate::cpu::Hart;
use crate::features::Ext;
use crate::{mmu, pmp};
use tcg_core::run::collect_flags;

/// One register, or several alike; the numbers are in [`RANGES`].
pub struct Row {
    /// The number of the first.
    first: u16,
    /// The manual's name (of the first).
    pub name: &'static str,
    /// Whether it exists for this hart now, beyond what the number says about privilege.
    pub allowed: fn(&Hart, u16) -> bool,
    /// Gives the value.
    pub read: fn(&mut Hart, u16) -> u64,
    /// Takes a value.
    pub write: fn(&mut Hart, u16, u64),
}

/// How many registers the encoding has room for.
const NUMBERS: usize = 1 << 12;

/// For each register the number of its row, counted from one.
static INDEX: [u8; NUMBERS] = {
    let mut index = [0; NUMBERS];
    let mut n = 0;
    while n < RANGES.len() {
        let (mut number, last) = RANGES[n];
        while number <= last {
            index[number as usize] = n as u8 + 1;
            number += 1;
        }
        n += 1;
    }
    index
};

const _: () = assert!(RANGES.len() < u8::MAX as usize, "the number of a row fits a byte");

/// The row of register `number`.
pub fn find(number: u16) -> Option<&'static Row> {
    let row = INDEX.get(usize::from(number))?.checked_sub(1)?;
    ROWS.get(usize::from(row))
}

/// The manual's name of register `number`.
pub fn name(number: u16) -> Option<String> {
    let row = find(number)?;
    let stem = row.name.trim_end_matches(|c: char| c.is_ascii_digit());
    match row.name[stem.len()..].parse::<u16>() {
        Ok(first) => Some(format!("{stem}{}", first + (number - row.first))),
        Err(_) => Some(stem.into()),
    }
}

/// Writes to read-only registers never get here; registers that ignore writes say so with this.
fn ignore(_: &mut Hart, _: u16, _: u64) {}

fn always(_: &Hart, _: u16) -> bool {
    true
}

fn vector_on(hart: &Hart, _: u16) -> bool {
    hart.csr.features.has(Ext::Zve32x) && hart.csr.mstatus & mstatus::VS != 0
}

fn set_vstart(hart: &mut Hart, value: u64) {
    hart.csr.vector.vstart = value & (hart.csr.features.vlen() - 1);
    hart.csr.mstatus |= mstatus::VS;
}

fn set_vcsr(hart: &mut Hart, vxsat: u64, vxrm: u64) {
    (hart.csr.vector.vxsat, hart.csr.vector.vxrm) = (vxsat & 1, vxrm & 3);
    hart.csr.mstatus |= mstatus::VS;
}

fn float_on(hart: &Hart, _: u16) -> bool {
    hart.csr.mstatus & mstatus::FS != 0
}

/// User-level counters: enabled by `mcounteren` and `scounteren` below M and S.
fn counter_enabled(hart: &Hart, number: u16) -> bool {
    let bit = 1u64 << (number & 31);
    match hart.csr.privilege {
        Priv::M => true,
        Priv::S => hart.csr.mcounteren & bit != 0,
        Priv::U => hart.csr.mcounteren & hart.csr.scounteren & bit != 0,
    }
}

fn satp_allowed(hart: &Hart, _: u16) -> bool {
    hart.csr.privilege == Priv::M || hart.csr.mstatus & mstatus::TVM == 0
}

fn stimecmp_allowed(hart: &Hart, _: u16) -> bool {
    let csr = &hart.csr;
    csr.features.has(Ext::Sstc)
        && (csr.privilege == Priv::M || csr.menvcfg & envcfg::STCE != 0 && csr.mcounteren & 2 != 0)
}

fn scountovf_allowed(hart: &Hart, _: u16) -> bool {
    hart.csr.features.has(Ext::Sscofpmf)
}

fn even(_: &Hart, number: u16) -> bool {
    number.is_multiple_of(2)
}

fn fflags(hart: &mut Hart) -> u64 {
    collect_flags(&mut hart.head);
    hart.head.fp_flags.into()
}

fn set_fflags(hart: &mut Hart, value: u64) {
    collect_flags(&mut hart.head);
    hart.head.fp_flags = (value & 0x1f) as u32;
    hart.csr.mstatus |= mstatus::FS;
}

fn set_frm(hart: &mut Hart, value: u64) {
    hart.csr.frm = value & 7;
    hart.csr.mstatus |= mstatus::FS;
}

fn read_counter(hart: &mut Hart, number: u16) -> u64 {
    match usize::from(number & 31) {
        1 => hart.csr.time(),
        n => hart.csr.counters.value(n, hart.now()),
    }
}

fn write_counter(hart: &mut Hart, number: u16, value: u64) {
    let now = hart.now_after();
    hart.change_counters(now, |counters| counters.set(usize::from(number & 31), value));
}

fn write_event(hart: &mut Hart, number: u16, value: u64) {
    let now = hart.now_after();
    hart.change_counters(now, |counters| counters.set_event(usize::from(number & 31), value));
}

fn write_inhibit(hart: &mut Hart, _: u16, value: u64) {
    let now = hart.now_after();
    hart.change_counters(now, |counters| counters.set_inhibit(value & 0xffff_ffff));
}

/// Notes overflows that have not been noticed yet.
fn catch_up(hart: &mut Hart) {
    let now = hart.now();
    hart.change_counters(now, |_| ());
}

fn read_event(hart: &mut Hart, number: u16) -> u64 {
    catch_up(hart);
    hart.csr.counters.event(usize::from(number & 31))
}

fn read_overflows(hart: &mut Hart) -> u64 {
    catch_up(hart);
    let visible = if hart.csr.privilege == Priv::M { u64::MAX } else { hart.csr.mcounteren };
    hart.csr.counters.overflowed() & visible
}

fn misa(csr: &Csrs) -> u64 {
    2 << 62 | csr.features.misa_letters()
}

/// Interrupts that exist on this hart.
fn interrupts(csr: &Csrs) -> u64 {
    irq::ALL | if csr.features.has(Ext::Sscofpmf) { 1 << irq::LCOFI } else { 0 }
}

fn delegable(csr: &Csrs) -> u64 {
    interrupts(csr) & (irq::SUPERVISOR | 1 << irq::LCOFI)
}

fn write_mip(hart: &mut Hart, _: u16, value: u64) {
    let csr = &mut hart.csr;
    let stimer = if csr.has_stimer() { 1 << irq::STI } else { 0 };
    let writable = delegable(csr) & !stimer;
    csr.mip_soft = csr.mip_soft & !writable | value & writable;
}

fn write_sip(hart: &mut Hart, _: u16, value: u64) {
    let csr = &mut hart.csr;
    let writable = (1 << irq::SSI | 1 << irq::LCOFI) & csr.mideleg;
    csr.mip_soft = csr.mip_soft & !writable | value & writable;
}

fn write_menvcfg(hart: &mut Hart, _: u16, value: u64) {
    let features = hart.csr.features;
    let when = |ext, bits| if features.has(ext) { bits } else { 0 };
    let writable = envcfg::FIOM
        | when(Ext::Zicbom, envcfg::CBIE | envcfg::CBCFE)
        | when(Ext::Zicboz, envcfg::CBZE)
        | when(Ext::Svadu, envcfg::ADUE)
        | when(Ext::Svpbmt, envcfg::PBMTE)
        | when(Ext::Sstc, envcfg::STCE);
    hart.csr.menvcfg = hart.csr.menvcfg & !writable | cbie_legal(hart.csr.menvcfg, value) & writable;
    hart.csr.update_stimer();
    mmu::flush_all(hart);
}

fn write_senvcfg(hart: &mut Hart, _: u16, value: u64) {
    let writable = envcfg::FIOM | envcfg::CBIE | envcfg::CBCFE | envcfg::CBZE;
    hart.csr.senvcfg = cbie_legal(hart.csr.senvcfg, value) & writable;
}

/// CBIE's value 2 is reserved: the old field stays.
fn cbie_legal(old: u64, new: u64) -> u64 {
    if new >> envcfg::CBIE_SHIFT & 3 == 2 { new & !envcfg::CBIE | old & envcfg::CBIE } else { new }
}

/// Trap vector bases: direct or vectored, other modes keep the old value.
fn tvec(old: u64, new: u64) -> u64 {
    if new & 3 < 2 { new } else { old }
}

fn write_pmpcfg(hart: &mut Hart, number: u16, value: u64) {
    hart.csr.pmp.set_cfg(usize::from(number - 0x3a0), value);
    mmu::flush_all(hart);
}

fn write_pmpaddr(hart: &mut Hart, number: u16, value: u64) {
    hart.csr.pmp.set_addr(usize::from(number - 0x3b0), value);
    mmu::flush_all(hart);
}

macro_rules! rows {
    ($($first:literal $(..= $last:literal)? $name:ident $allowed:ident
       |$h:pat_param, $n:pat_param| $read:expr,
       $write:expr;)*) => {
        const RANGES: &[(u16, u16)] = &[$(($first, rows!(@last $first $($last)?)),)*];
        static ROWS: &[Row] = &[$(Row {
            first: $first,
            name: stringify!($name),
            allowed: $allowed,
            read: |$h: &mut Hart, $n: u16| $read,
            write: $write,
        },)*];
    };
    (@last $first:literal) => { $first };
    (@last $first:literal $last:literal) => { $last };
}

rows! {
    0x001 fflags float_on |h, _| fflags(h), |h, _, v| set_fflags(h, v);
    0x002 frm float_on |h, _| h.csr.frm, |h, _, v| set_frm(h, v);
    0x003 fcsr float_on |h, _| fflags(h) | h.csr.frm << 5, |h, _, v| { set_fflags(h, v); set_frm(h, v >> 5) };
    0x008 vstart vector_on |h, _| h.csr.vector.vstart, |h, _, v| set_vstart(h, v);
    0x009 vxsat vector_on |h, _| h.csr.vector.vxsat, |h, _, v| set_vcsr(h, v, h.csr.vector.vxrm);
    0x00a vxrm vector_on |h, _| h.csr.vector.vxrm, |h, _, v| set_vcsr(h, h.csr.vector.vxsat, v);
    0x00f vcsr vector_on |h, _| h.csr.vector.vxsat | h.csr.vector.vxrm << 1, |h, _, v| set_vcsr(h, v, v >> 1);
    0x100 sstatus always |h, _| h.csr.status_with_summary() & (mstatus::SSTATUS | mstatus::SD),
        |h, _, v| h.csr.write_status(v, mstatus::SSTATUS);
    0x104 sie always |h, _| h.csr.mie & h.csr.mideleg,
        |h, _, v| h.csr.mie = h.csr.mie & !h.csr.mideleg | v & h.csr.mideleg;
    0x105 stvec always |h, _| h.csr.stvec, |h, _, v| h.csr.stvec = tvec(h.csr.stvec, v);
    0x106 scounteren always |h, _| h.csr.scounteren, |h, _, v| h.csr.scounteren = v & 0xffff_ffff;
    0x10a senvcfg always |h, _| h.csr.senvcfg, write_senvcfg;
    0x140 sscratch always |h, _| h.csr.sscratch, |h, _, v| h.csr.sscratch = v;
    0x141 sepc always |h, _| h.csr.sepc, |h, _, v| h.csr.sepc = v & !1;
    0x142 scause always |h, _| h.csr.scause, |h, _, v| h.csr.scause = v;
    0x143 stval always |h, _| h.csr.stval, |h, _, v| h.csr.stval = v;
    0x144 sip always |h, _| h.csr.mip() & h.csr.mideleg, write_sip;
    0x14d stimecmp stimecmp_allowed |h, _| h.csr.stimecmp,
        |h, _, v| { h.csr.stimecmp = v; h.csr.update_stimer() };
    0x180 satp satp_allowed |h, _| h.csr.satp, |h, _, v| mmu::write_satp(h, v);
    0x300 mstatus always |h, _| h.csr.status_with_summary(), |h, _, v| h.csr.write_status(v, u64::MAX);
    0x301 misa always |h, _| misa(&h.csr), ignore;
    0x302 medeleg always |h, _| h.csr.medeleg, |h, _, v| h.csr.medeleg = v & cause::DELEGABLE;
    0x303 mideleg always |h, _| h.csr.mideleg, |h, _, v| h.csr.mideleg = v & delegable(&h.csr);
    0x304 mie always |h, _| h.csr.mie, |h, _, v| h.csr.mie = v & interrupts(&h.csr);
    0x305 mtvec always |h, _| h.csr.mtvec, |h, _, v| h.csr.mtvec = tvec(h.csr.mtvec, v);
    0x306 mcounteren always |h, _| h.csr.mcounteren, |h, _, v| h.csr.mcounteren = v & 0xffff_ffff;
    0x30a menvcfg always |h, _| h.csr.menvcfg, write_menvcfg;
    0x320 mcountinhibit always |h, _| h.csr.counters.inhibit(), write_inhibit;
    0x323 ..= 0x33f mhpmevent3 always |h, n| read_event(h, n), write_event;
    0x340 mscratch always |h, _| h.csr.mscratch, |h, _, v| h.csr.mscratch = v;
    0x341 mepc always |h, _| h.csr.mepc, |h, _, v| h.csr.mepc = v & !1;
    0x342 mcause always |h, _| h.csr.mcause, |h, _, v| h.csr.mcause = v;
    0x343 mtval always |h, _| h.csr.mtval, |h, _, v| h.csr.mtval = v;
    0x344 mip always |h, _| h.csr.mip(), write_mip;
    0x3a0 ..= 0x3af pmpcfg0 even |h, n| h.csr.pmp.cfg(usize::from(n - 0x3a0)), write_pmpcfg;
    0x3b0 ..= 0x3ef pmpaddr0 always |h, n| h.csr.pmp.addr(usize::from(n - 0x3b0)), write_pmpaddr;
    0x7a0 tselect always |h, _| h.csr.triggers.select(), |h, _, v| h.csr.triggers.set_select(v);
    0x7a1 ..= 0x7a3 tdata1 always |h, n| h.csr.triggers.data(n - 0x7a0),
        |h, n, v| h.csr.triggers.set_data(n - 0x7a0, v);
    0x7a4 tinfo always |_, _| triggers::INFO, ignore;
    0x7a8 mcontext always |h, _| h.csr.triggers.context(), |h, _, v| h.csr.triggers.set_context(v);
    0xb00 mcycle always |h, n| read_counter(h, n), write_counter;
    0xb02 minstret always |h, n| read_counter(h, n), write_counter;
    0xb03 ..= 0xb1f mhpmcounter3 always |h, n| read_counter(h, n), write_counter;
    0xc00 cycle counter_enabled |h, n| read_counter(h, n), ignore;
    0xc01 time counter_enabled |h, n| read_counter(h, n), ignore;
    0xc02 instret counter_enabled |h, n| read_counter(h, n), ignore;
    0xc03 ..= 0xc1f hpmcounter3 counter_enabled |h, n| read_counter(h, n), ignore;
    0xc20 vl vector_on |h, _| h.csr.vector.vl, ignore;
    0xc21 vtype vector_on |h, _| h.csr.vector.vtype, ignore;
    0xc22 vlenb vector_on |h, _| h.csr.features.vlenb() as u64, ignore;
    0xda0 scountovf scountovf_allowed |h, _| read_overflows(h), ignore;
    0xf11 mvendorid always |_, _| 0, ignore;
    0xf12 marchid always |_, _| 0, ignore;
    0xf13 mimpid always |_, _| 0, ignore;
    0xf14 mhartid always |h, _| h.csr.mhartid, ignore;
    0xf15 mconfigptr always |_, _| 0, ignore;
}

const _: () = assert!(pmp::ENTRIES <= 64, "the row of pmpaddr has 64 numbers");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_in_order_and_apart() {
        for (pair, rows) in RANGES.windows(2).zip(ROWS.windows(2)) {
            assert!(pair[0].1 < pair[1].0, "{} and {}", rows[0].name, rows[1].name);
        }
        assert_eq!(find(0x33f).map(|row| row.name), Some("mhpmevent3"));
        assert!(find(0x7a5).is_none());
        assert_eq!(name(0x33f).as_deref(), Some("mhpmevent31"));
        assert_eq!(name(0xc02).as_deref(), Some("instret"));
        assert_eq!(name(0x7a3).as_deref(), Some("tdata3"));
        assert_eq!(name(0x7a5), None);
    }
}
