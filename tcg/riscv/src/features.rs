//! The table of extensions: what `-cpu` names, what decoding, CSRs and MMU ask for, what the device tree says.
//!
//! Names and dependencies: RISC-V Unprivileged ISA 20240411, chapter 36, the extensions' own chapters, and RVA23
//! for the names of properties (`ziccif` and its like). Defaults of the model `rv64` are QEMU 10's. H and
//! cryptography are not there yet.

use std::fmt::Write;

/// When an extension is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    /// In every model, unless switched off.
    On,
    /// In the model `max`, or when switched on.
    Max,
    /// When all of these are, or when switched on.
    With(&'static [Ext]),
    /// Always: a property of every hart here, which cannot be switched.
    Always,
}

struct Row {
    ext: Ext,
    name: &'static str,
    when: When,
    /// Extensions without which it cannot be.
    needs: &'static [Ext],
}

macro_rules! extensions {
    ($($ext:ident $name:literal $when:expr, needs [$($needs:ident),*];)*) => {
        /// An extension.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Ext { $(#[doc = concat!("`", $name, "`.")] $ext,)* }

        use When::*;
        static TABLE: &[Row] = &[$(Row { ext: Ext::$ext, name: $name, when: $when, needs: &[$(Ext::$needs),*] },)*];
    };
}

extensions! {
    // Those that instructions depend on come first: they have a bit in the mode of translations.
    I "i" Always, needs [];
    M "m" On, needs [];
    A "a" On, needs [];
    F "f" On, needs [Zicsr];
    D "d" On, needs [F];
    C "c" On, needs [];
    Zicbom "zicbom" On, needs [];
    Zicbop "zicbop" On, needs [];
    Zicboz "zicboz" On, needs [];
    Zicond "zicond" Max, needs [];
    Zicsr "zicsr" On, needs [];
    Zifencei "zifencei" On, needs [];
    Zihintntl "zihintntl" On, needs [];
    Zihintpause "zihintpause" On, needs [];
    Zmmul "zmmul" With(&[Ext::M]), needs [];
    Zaamo "zaamo" With(&[Ext::A]), needs [];
    Zalrsc "zalrsc" With(&[Ext::A]), needs [];
    Zawrs "zawrs" On, needs [];
    Zfa "zfa" On, needs [F];
    Zfhmin "zfhmin" Max, needs [F];
    Zca "zca" With(&[Ext::C]), needs [];
    Zcd "zcd" With(&[Ext::C, Ext::D]), needs [Zca, D];
    Zba "zba" On, needs [];
    Zbb "zbb" On, needs [];
    Zbc "zbc" On, needs [];
    Zbs "zbs" On, needs [];
    Svinval "svinval" Max, needs [];
    V "v" Max, needs [D, Zve64d];

    B "b" Max, needs [Zba, Zbb, Zbs];
    Zic64b "zic64b" With(&[Ext::Zicbom, Ext::Zicbop, Ext::Zicboz]), needs [];
    Ziccamoa "ziccamoa" With(&[Ext::Zaamo]), needs [Zaamo];
    Ziccif "ziccif" Always, needs [];
    Zicclsm "zicclsm" Always, needs [];
    Ziccrse "ziccrse" With(&[Ext::Zalrsc]), needs [Zalrsc];
    Zicntr "zicntr" On, needs [Zicsr];
    Zihpm "zihpm" On, needs [Zicsr];
    Za64rs "za64rs" With(&[Ext::Zalrsc]), needs [Zalrsc];
    Zkt "zkt" Max, needs [];
    Ssccptr "ssccptr" Always, needs [];
    Sscofpmf "sscofpmf" Max, needs [Zihpm];
    Sscounterenw "sscounterenw" Always, needs [];
    Sstc "sstc" On, needs [];
    Sstvala "sstvala" Always, needs [];
    Sstvecd "sstvecd" Always, needs [];
    Ssu64xl "ssu64xl" Always, needs [];
    Sv39 "sv39" On, needs [];
    Sv48 "sv48" On, needs [Sv39];
    Sv57 "sv57" On, needs [Sv48];
    Svadu "svadu" On, needs [];
    Svnapot "svnapot" Max, needs [];
    Svpbmt "svpbmt" Max, needs [];
    Svvptc "svvptc" Always, needs [];
    // What V implies, each after what it needs.
    Zvl32b "zvl32b" With(&[Ext::V]), needs [];
    Zvl64b "zvl64b" With(&[Ext::V]), needs [Zvl32b];
    Zvl128b "zvl128b" With(&[Ext::V]), needs [Zvl64b];
    Zve32x "zve32x" With(&[Ext::V]), needs [Zicsr];
    Zve32f "zve32f" With(&[Ext::V]), needs [Zve32x, F];
    Zve64x "zve64x" With(&[Ext::V]), needs [Zve32x];
    Zve64f "zve64f" With(&[Ext::V]), needs [Zve32f, Zve64x];
    Zve64d "zve64d" With(&[Ext::V]), needs [Zve64f, D];
}

impl Ext {
    /// How many of the table's first rows instructions depend on.
    pub const INSTRUCTION_EXTS: u32 = Ext::V as u32 + 1;

    /// The name as `-cpu` and the device tree have it.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    fn row(self) -> &'static Row {
        &TABLE[self as usize]
    }

    fn by_name(name: &str) -> Option<Self> {
        TABLE.iter().find(|row| row.name == name).map(|row| row.ext)
    }

    /// Modes of address translation: not named in the ISA string.
    fn is_translation_mode(self) -> bool {
        matches!(self, Self::Sv39 | Self::Sv48 | Self::Sv57)
    }
}

/// A set of extensions.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Features(u128);

impl std::fmt::Debug for Features {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str(&self.isa_string())
    }
}

/// Names of the CPU models, and what they are.
const MODELS: [(&str, &str); 2] =
    [("rv64", "RV64GC with what Linux distributions expect (the default)"), ("max", "everything there is")];

/// Why a `-cpu` value is not one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CpuError {
    /// No such model.
    #[error("unable to find CPU model '{name}'; did you mean '{closest}'?")]
    Model {
        /// What was asked for.
        name: String,
        /// The nearest there is.
        closest: &'static str,
    },
    /// No such extension.
    #[error("CPU model '{model}' has no property '{name}'; did you mean '{closest}'?")]
    Property {
        /// The model.
        model: String,
        /// What was asked for.
        name: String,
        /// The nearest there is.
        closest: &'static str,
    },
    /// Neither on nor off.
    #[error("CPU property '{name}' is 'on' or 'off', not '{value}'")]
    Value {
        /// The property.
        name: String,
        /// What it was to be.
        value: String,
    },
    /// One was asked for, another that it needs was refused.
    #[error("CPU property '{name}' needs '{needs}', which is switched off")]
    Conflict {
        /// What was asked for.
        name: &'static str,
        /// What is missing.
        needs: &'static str,
    },
}

impl Features {
    /// QEMU's `rv64`.
    pub fn rv64() -> Self {
        Self::model(|when| when == When::On)
    }

    /// Everything.
    pub fn max() -> Self {
        Self::model(|when| matches!(when, When::On | When::Max))
    }

    fn model(with: impl Fn(When) -> bool) -> Self {
        let chosen = TABLE.iter().filter(|row| row.when == When::Always || with(row.when));
        let mut set = Self(chosen.fold(0, |bits, row| bits | 1 << row.ext as u32));
        set.imply(&[]);
        set
    }

    /// The set that `-cpu` names: a model and switches, as `rv64,zba=off,svpbmt=on`.
    ///
    /// # Errors
    /// Names the model or property that is not there, with the closest that is, or what contradicts itself.
    pub fn parse(cpu: &str) -> Result<Self, CpuError> {
        let mut items = cpu.split(',');
        let model = items.next().unwrap_or_default();
        let mut set = match model {
            "rv64" => Self::rv64(),
            "max" => Self::max(),
            name => {
                let closest = closest(name, MODELS.iter().map(|(name, _)| *name));
                return Err(CpuError::Model { name: name.into(), closest });
            }
        };
        let (mut on, mut off) = (Vec::new(), Vec::new());
        for item in items {
            let (ext, value) = switch(model, item)?;
            let (to, from) = if value { (&mut on, &mut off) } else { (&mut off, &mut on) };
            from.retain(|other| *other != ext);
            to.push(ext);
        }
        off.iter().for_each(|ext| set.remove(*ext, &on));
        for ext in &on {
            set.insert(*ext, *ext, &off)?;
        }
        set.imply(&off);
        Ok(set)
    }

    /// Adds `ext`, because `asked` was asked for, and what it needs.
    fn insert(&mut self, ext: Ext, asked: Ext, off: &[Ext]) -> Result<(), CpuError> {
        if off.contains(&ext) {
            return Err(CpuError::Conflict { name: asked.name(), needs: ext.name() });
        }
        self.0 |= 1 << ext as u32;
        ext.row().needs.iter().try_for_each(|needs| self.insert(*needs, asked, off))
    }

    /// Takes `ext` away, with all that follow from it or need it, save those in `kept`.
    fn remove(&mut self, ext: Ext, kept: &[Ext]) {
        self.0 &= !(1 << ext as u32);
        for row in TABLE.iter().filter(|row| !kept.contains(&row.ext)) {
            let follows = matches!(row.when, With(with) if with.contains(&ext));
            if self.has(row.ext) && (follows || row.needs.contains(&ext)) {
                self.remove(row.ext, kept);
            }
        }
    }

    /// Adds what follows from what is there, save those in `off`.
    fn imply(&mut self, off: &[Ext]) {
        for row in TABLE {
            if let With(with) = row.when
                && !off.contains(&row.ext)
                && with.iter().chain(row.needs).all(|ext| self.has(*ext))
            {
                self.0 |= 1 << row.ext as u32;
            }
        }
    }

    /// Whether an extension is there.
    pub fn has(self, ext: Ext) -> bool {
        self.0 >> ext as u32 & 1 != 0
    }

    /// One bit an extension, by its number.
    pub fn bits(self) -> u128 {
        self.0
    }

    /// The extensions field of `misa`: a bit for each single-letter extension, S and U.
    pub fn misa_letters(self) -> u64 {
        let letters = self.names().into_iter().filter(|name| name.len() == 1).chain(["s", "u"]);
        letters.fold(0, |bits, name| bits | 1 << (name.as_bytes()[0] - b'a'))
    }

    /// `riscv,isa-extensions`, in canonical order.
    pub fn names(self) -> Vec<&'static str> {
        let present = TABLE.iter().filter(|row| self.has(row.ext) && !row.ext.is_translation_mode());
        let mut names: Vec<_> = present.map(|row| row.name).collect();
        names.sort_by_key(|name| canonical(name));
        names
    }

    /// `riscv,isa`.
    pub fn isa_string(self) -> String {
        let mut text = String::from("rv64");
        for name in self.names() {
            let gap = if name.len() == 1 { "" } else { "_" };
            write!(text, "{gap}{name}").expect("a string takes everything");
        }
        text
    }

    /// `mmu-type` of the device tree.
    pub fn mmu_type(self) -> &'static str {
        let modes = [(Ext::Sv57, "riscv,sv57"), (Ext::Sv48, "riscv,sv48"), (Ext::Sv39, "riscv,sv39")];
        modes.into_iter().find(|(ext, _)| self.has(*ext)).map_or("riscv,none", |(_, name)| name)
    }

    /// What `-cpu help` prints.
    pub fn help() -> String {
        let mut text = String::from("Available CPUs:\n");
        for (name, what) in MODELS {
            writeln!(text, "  {name:<6} {what}").expect("a string takes everything");
        }
        text.push_str("\nProperties, as in -cpu rv64,zba=off (* on in rv64):\n");
        let mut rows: Vec<_> = TABLE.iter().filter(|row| row.when != When::Always).collect();
        rows.sort_by_key(|row| canonical(row.name));
        for line in rows.chunks(6) {
            let mark = |row: &&Row| if Self::rv64().has(row.ext) { "*" } else { " " };
            let cells: Vec<_> = line.iter().map(|row| format!("{}{:<12}", mark(row), row.name)).collect();
            writeln!(text, "  {}", cells.concat().trim_end()).expect("a string takes everything");
        }
        text
    }
}

/// `zba=off`.
fn switch(model: &str, item: &str) -> Result<(Ext, bool), CpuError> {
    let (name, value) = item.split_once('=').unwrap_or((item, "on"));
    let switchable = |ext: &Ext| ext.row().when != When::Always;
    let Some(ext) = Ext::by_name(name).filter(switchable) else {
        let names = TABLE.iter().filter(|row| switchable(&row.ext)).map(|row| row.name);
        let closest = closest(name, names);
        return Err(CpuError::Property { model: model.into(), name: name.into(), closest });
    };
    match value {
        "on" | "true" | "yes" => Ok((ext, true)),
        "off" | "false" | "no" => Ok((ext, false)),
        _ => Err(CpuError::Value { name: name.into(), value: value.into() }),
    }
}

/// Where a name stands in an ISA string (Unprivileged ISA, 36.7): single letters, then Z with the letter of its
/// category, then S; alphabetically within these.
fn canonical(name: &str) -> (usize, usize, &str) {
    let place = |letter: Option<char>| "imafdqlcbkjtpvnh".find(letter.unwrap_or(' ')).unwrap_or(usize::MAX);
    let mut letters = name.chars();
    match (name.len(), letters.next()) {
        (1, first) => (0, place(first), name),
        (_, Some('z')) => (1, place(letters.next()), name),
        _ => (2, 0, name),
    }
}

/// The candidate that the fewest changed letters away from `name`.
fn closest(name: &str, candidates: impl Iterator<Item = &'static str>) -> &'static str {
    candidates.min_by_key(|candidate| distance(name, candidate)).unwrap_or_default()
}

/// Letters to change, insert or leave out to get from `a` to `b`.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, to) in b.iter().enumerate() {
            let changed = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests;
