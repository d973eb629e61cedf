//! Page tables as debuggers look at them: without permissions, and without marking pages as accessed.

use super::{A, D, PPN, PPN_SHIFT, R, U, V, W, X, leaf_range, levels, map};
use crate::csr::{Csrs, Priv};
use base::PAGE_SHIFT;
use std::fmt::Write;
use tcg_core::guest::{Access, PhysMem};

/// Most lines of [`mappings`].
const MAX_RANGES: usize = 1 << 14;

/// Most entries of tables that [`mappings`] looks at.
const MAX_ENTRIES: u32 = 1 << 22;

/// Memory whose pages have all been accessed, and that is never written.
struct Accessed<'a>(&'a dyn PhysMem);

impl PhysMem for Accessed<'_> {
    fn read_u64(&self, phys: u64) -> Option<u64> {
        let pte = self.0.read_u64(phys)?;
        Some(if pte & (R | X) != 0 { pte | A | D } else { pte })
    }

    fn cas_u64(&self, _: u64, _: u64, _: u64) -> Option<bool> {
        Some(true)
    }
}

/// The physical address of `addr`, for data as for code, of the supervisor as of the user.
pub fn translate(csr: &Csrs, mem: &dyn PhysMem, addr: u64) -> Option<u64> {
    let mem = Accessed(mem);
    let own = csr.data_privilege();
    let modes = if own == Priv::M { [Priv::M; 2] } else { [Priv::S, Priv::U] };
    let ways = modes.into_iter().flat_map(|mode| [(mode, Access::Read), (mode, Access::Fetch)]);
    ways.filter_map(|(mode, access)| map(csr, &mem, (addr, access), mode).ok()).map(|page| page.phys).next()
}

/// A run of pages that are mapped alike.
#[derive(Clone, Copy)]
struct Range {
    virt: u64,
    phys: u64,
    size: u64,
    bits: u64,
}

/// What `satp` maps, as QEMU's `info mem` prints it.
pub fn mappings(csr: &Csrs, mem: &dyn PhysMem) -> String {
    let Some(levels) = levels(csr.satp >> 60) else { return "No translation or protection\n".into() };
    let mut walk = Walk { mem, levels, budget: MAX_ENTRIES, ranges: Vec::new() };
    walk.table((csr.satp & PPN) << PAGE_SHIFT, levels, 0);
    let mut text = String::from(
        "vaddr            paddr            size             attr\n\
         ---------------- ---------------- ---------------- -------\n",
    );
    for range in walk.ranges {
        let letters = [(R, 'r'), (W, 'w'), (X, 'x'), (U, 'u'), (super::G, 'g'), (A, 'a'), (D, 'd')];
        let attr: String =
            letters.iter().map(|(bit, letter)| if range.bits & bit != 0 { *letter } else { '-' }).collect();
        let Range { virt, phys, size, .. } = range;
        writeln!(text, "{virt:016x} {phys:016x} {size:016x} {attr}").expect("a string takes everything");
    }
    text
}

/// A walk over all tables.
struct Walk<'a> {
    mem: &'a dyn PhysMem,
    levels: u32,
    /// Entries that are looked at, at most: tables may contain themselves.
    budget: u32,
    ranges: Vec<Range>,
}

impl Walk<'_> {
    /// Walks the table at `at`, of `level`, whose first page is at `virt`.
    fn table(&mut self, at: u64, level: u32, virt: u64) {
        let shift = PAGE_SHIFT + 9 * (level - 1);
        for n in 0..512 {
            if self.budget == 0 || self.ranges.len() >= MAX_RANGES {
                return;
            }
            self.budget -= 1;
            let Some(pte) = self.mem.read_u64(at | n << 3).filter(|pte| pte & V != 0) else { continue };
            let virt = virt | n << shift;
            if pte & (R | W | X) == 0 && level > 1 {
                self.table((pte >> PPN_SHIFT & PPN) << PAGE_SHIFT, level - 1, virt);
            } else if let Some((base, size)) = leaf_range(pte, shift) {
                let unused = 64 - (PAGE_SHIFT + 9 * self.levels);
                let virt = ((virt << unused) as i64 >> unused) as u64;
                let inside = virt & ((1 << size) - 1) & !((1 << shift) - 1);
                add(
                    &mut self.ranges,
                    Range { virt, phys: base | inside, size: 1 << shift, bits: pte & 0xff },
                );
            }
        }
    }
}

fn add(ranges: &mut Vec<Range>, new: Range) {
    match ranges.last_mut() {
        Some(last)
            if last.bits == new.bits
                && last.virt.wrapping_add(last.size) == new.virt
                && last.phys.wrapping_add(last.size) == new.phys =>
        {
            last.size += new.size;
        }
        _ => ranges.push(new),
    }
}
