//! What a hart has: the table of extensions, the models that `-cpu` names, what the device tree says.
//!
//! Names and dependencies: RISC-V Unprivileged ISA 20240411, chapter 36, the extensions' own chapters, and the RVA
//! profiles for the names of properties (`ziccif` and its like). Models, their defaults and properties are QEMU 10's. H
//! and what comes with it are not there yet, nor are pointer masking, CFI (Zicfilp, Zicfiss), Zacas, BFloat16 and Zkr.

mod models;
mod pool;
mod profiles;
mod table;

pub use models::{CpuError, Model, models};
pub use table::Ext;

use std::fmt::Write;
use table::{TABLE, When};

/// A set of extensions, and the width of vectors.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Features {
    /// One bit an extension, by its number.
    set: [u64; 3],
    /// Bits of a vector register.
    vlen: u16,
    /// Bits of the widest element of vectors.
    elen: u16,
}

const _: () = assert!(TABLE.len() <= 3 * 64, "there is a bit for each");

impl std::fmt::Debug for Features {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str(&self.isa_string())
    }
}

impl Features {
    /// The properties of every hart.
    fn least() -> Self {
        let mut set = Self { set: [0; 3], vlen: 128, elen: 64 };
        set.add_all(|row| row.when == When::Always);
        set
    }

    fn add(&mut self, ext: Ext) {
        self.set[ext as usize / 64] |= 1 << (ext as usize % 64);
    }

    fn drop(&mut self, ext: Ext) {
        self.set[ext as usize / 64] &= !(1 << (ext as usize % 64));
    }

    fn add_all(&mut self, which: impl Fn(&table::Row) -> bool) {
        TABLE.iter().filter(|row| which(row)).for_each(|row| self.add(row.ext));
    }

    /// Adds `ext`, because `asked` was asked for, and what it needs.
    fn insert(&mut self, ext: Ext, asked: Ext, off: &[Ext]) -> Result<(), CpuError> {
        if off.contains(&ext) {
            return Err(CpuError::Conflict { name: asked.name(), needs: ext.name() });
        }
        self.add(ext);
        ext.row().needs.iter().try_for_each(|needs| self.insert(*needs, asked, off))
    }

    /// Takes `ext` away, with all that follow from it or need it, save those in `kept`.
    fn remove(&mut self, ext: Ext, kept: &[Ext]) {
        self.drop(ext);
        for row in TABLE.iter().filter(|row| !kept.contains(&row.ext)) {
            let follows = matches!(row.when, When::With(with) if with.contains(&ext));
            if self.has(row.ext) && (follows || row.needs.contains(&ext)) {
                self.remove(row.ext, kept);
            }
        }
    }

    /// Adds what follows from what is there, save those in `off`.
    fn imply(&mut self, off: &[Ext]) {
        TABLE.iter().filter(|row| matches!(row.when, When::Any(_))).for_each(|row| self.drop(row.ext));
        loop {
            let before = *self;
            for row in TABLE.iter().filter(|row| !off.contains(&row.ext)) {
                let follows = match row.when {
                    When::With(with) => with.iter().all(|ext| self.has(*ext)),
                    When::Any(of) => of.iter().any(|ext| self.has(*ext)),
                    When::Vlen(bits) => self.vlen() >= bits,
                    _ => false,
                };
                if follows && row.needs.iter().all(|ext| self.has(*ext)) {
                    self.add(row.ext);
                }
            }
            if *self == before {
                return;
            }
        }
    }

    /// Whether an extension is there.
    #[inline]
    pub fn has(&self, ext: Ext) -> bool {
        self.set[ext as usize / 64] >> (ext as usize % 64) & 1 != 0
    }

    /// Bits of a vector register: a power of two from 128 to [`crate::vector::MAX_VLEN`].
    #[inline]
    pub fn vlen(&self) -> u64 {
        self.vlen.into()
    }

    /// Bytes of a vector register.
    #[inline]
    pub fn vlenb(&self) -> usize {
        usize::from(self.vlen) / 8
    }

    /// Bits of the widest element of vectors.
    pub fn elen(&self) -> u64 {
        if self.has(Ext::Zve64x) { self.elen.into() } else { self.elen.min(32).into() }
    }

    /// The extensions field of `misa`: a bit for each single-letter extension, S and U.
    pub fn misa_letters(&self) -> u64 {
        let letters = self.names().into_iter().filter(|name| name.len() == 1).chain(["s", "u"]);
        letters.fold(0, |bits, name| bits | 1 << (name.as_bytes()[0] - b'a'))
    }

    /// `riscv,isa-extensions`, in canonical order.
    pub fn names(&self) -> Vec<&'static str> {
        let present = TABLE.iter().filter(|row| self.has(row.ext) && row.ext.is_named());
        let mut names: Vec<_> = present.map(|row| row.name).collect();
        names.sort_by_key(|name| canonical(name));
        names
    }

    /// `riscv,isa`.
    pub fn isa_string(&self) -> String {
        let mut text = String::from("rv64");
        for name in self.names() {
            let gap = if name.len() == 1 { "" } else { "_" };
            write!(text, "{gap}{name}").expect("a string takes everything");
        }
        text
    }

    /// `mmu-type` of the device tree.
    pub fn mmu_type(&self) -> &'static str {
        let modes = [(Ext::Sv57, "riscv,sv57"), (Ext::Sv48, "riscv,sv48"), (Ext::Sv39, "riscv,sv39")];
        modes.into_iter().find(|(ext, _)| self.has(*ext)).map_or("riscv,none", |(_, name)| name)
    }
}

/// Where a name stands in an ISA string (Unprivileged ISA, 36.7): single letters, then Z with the letter of its
/// category, then S; alphabetically within these, save that numbers go by their value.
fn canonical(name: &str) -> (usize, usize, String) {
    let place = |letter: Option<char>| "imafdqlcbkjtpvnh".find(letter.unwrap_or(' ')).unwrap_or(usize::MAX);
    let mut letters = name.chars();
    let order = match name.strip_prefix("zvl").and_then(|rest| rest.strip_suffix('b')) {
        Some(bits) => format!("zvl{bits:0>4}"),
        None => name.into(),
    };
    match (name.len(), letters.next()) {
        (1, first) => (0, place(first), order),
        (_, Some('z')) => (1, place(letters.next()), order),
        _ => (2, 0, order),
    }
}

#[cfg(test)]
mod tests;
