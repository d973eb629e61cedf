//! The models of `-cpu`, and what else stands there: `rv64,zba=off,vlen=256`.

use super::profiles::{PROFILES, Profile};
use super::table::{TABLE, When};
use super::{Ext, Features, canonical};
use std::fmt::Write;

/// A model that `-cpu` names.
pub struct Model {
    /// Its name.
    pub name: &'static str,
    /// What it is, in words.
    what: &'static str,
    /// It will never have more than its name says.
    pub settled: bool,
}

/// Every model.
pub fn models() -> impl Iterator<Item = Model> {
    let own = [
        ("rv64", "RV64GC with what Linux distributions expect (the default)", false),
        ("max", "everything there is", false),
        ("rv64i", "RV64I alone", true),
    ];
    let profiles = PROFILES.iter().map(|profile| (profile.name, profile.what, true));
    own.into_iter().chain(profiles).map(|(name, what, settled)| Model { name, what, settled })
}

/// Properties that are numbers.
const NUMBERS: [(&str, &str); 2] = [
    ("vlen", "bits of a vector register, 128 to 1024 (128)"),
    ("elen", "bits of the widest element of vectors, 8 to 64 (64)"),
];

/// Extensions that QEMU has and that are not here.
const ABSENT: &[&str] = &[
    "h",
    "smaia",
    "smcdeleg",
    "smcntrpmf",
    "smcsrind",
    "smctr",
    "smdbltrp",
    "smepmp",
    "smmpm",
    "smnpm",
    "smrnmi",
    "smstateen",
    "ssaia",
    "ssccfg",
    "sscsrind",
    "ssctr",
    "ssdbltrp",
    "ssnpm",
    "sspm",
    "supm",
    "zacas",
    "zama16b",
    "zce",
    "zcf",
    "zcmp",
    "zcmt",
    "zfbfmin",
    "zicfilp",
    "zicfiss",
    "zkr",
    "ztso",
    "zvfbfmin",
    "zvfbfwma",
];

/// Other properties of QEMU's, which are one way here.
const FIXED: &[(&str, &str)] = &[
    ("debug", "on"),
    ("mmu", "on"),
    ("pmp", "on"),
    ("rvv_ma_all_1s", "off"),
    ("rvv_ta_all_1s", "off"),
    ("rvv_vl_half_avl", "off"),
    ("short-isa-string", "off"),
    ("vext_spec", "v1.0"),
];

/// The property `name` that cannot be chosen, and its value.
fn fixed(name: &str) -> Option<(&'static str, &'static str)> {
    let absent = ABSENT.iter().map(|name| (*name, "off"));
    FIXED.iter().copied().chain(absent).find(|(fixed, _)| *fixed == name)
}

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
    /// It cannot be chosen.
    #[error("CPU property '{name}' can only be '{only}'")]
    Fixed {
        /// The property.
        name: &'static str,
        /// What it is.
        only: &'static str,
    },
    /// Not a number that will do.
    #[error("CPU property '{name}' is a power of two from {least} to {most}, not '{value}'")]
    Number {
        /// The property.
        name: String,
        /// What it was to be.
        value: String,
        /// The smallest.
        least: u16,
        /// The largest.
        most: u16,
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
        let mut set = Self::least();
        set.add_all(|row| row.when == When::On);
        set.imply(&[]);
        set
    }

    /// Everything.
    pub fn max() -> Self {
        let mut set = Self::least();
        set.add_all(|row| matches!(row.when, When::On | When::Max));
        set.imply(&[]);
        set
    }

    /// The set, and what a profile mandates.
    fn with_profile(mut self, profile: &Profile) -> Self {
        for ext in profile.extensions() {
            self.insert(ext, ext, &[]).expect("nothing is off");
        }
        self.imply(&[]);
        self
    }

    /// The set that `-cpu` names: a model and switches, as `rv64,zba=off,svpbmt=on`.
    ///
    /// # Errors
    /// Names the model or property that is not there, with the closest that is, or what contradicts itself.
    pub fn parse(cpu: &str) -> Result<Self, CpuError> {
        let mut items = cpu.split(',');
        let name = items.next().unwrap_or_default();
        let mut set = match name {
            "rv64" => Self::rv64(),
            "max" => Self::max(),
            "rv64i" => Self::least(),
            _ => match profile(name) {
                Some(profile) => Self::least().with_profile(profile),
                None => {
                    let closest = closest(name, models().map(|model| model.name));
                    return Err(CpuError::Model { name: name.into(), closest });
                }
            },
        };
        let (mut on, mut off) = (Vec::new(), Vec::new());
        for item in items {
            let (property, value) = item.split_once('=').unwrap_or((item, "on"));
            match property {
                "vlen" => set.vlen = number(property, value, (128, crate::vector::MAX_VLEN as u16))?,
                "elen" => set.elen = number(property, value, (8, 64))?,
                _ if profile(property).is_some() => {
                    if let (true, Some(profile)) = (on_or_off(property, value)?, profile(property)) {
                        set = set.with_profile(profile);
                    }
                }
                _ if let Some((name, only)) = fixed(property) => {
                    let alike = ["on", "off"].contains(&only) && on_or_off(name, value)? == (only == "on");
                    if !alike && value != only {
                        return Err(CpuError::Fixed { name, only });
                    }
                }
                _ => {
                    let (ext, value) = switch(name, property, value)?;
                    let (to, from) = if value { (&mut on, &mut off) } else { (&mut off, &mut on) };
                    from.retain(|other| *other != ext);
                    to.push(ext);
                }
            }
        }
        off.iter().for_each(|ext| set.remove(*ext, &on));
        for ext in &on {
            set.insert(*ext, *ext, &off)?;
        }
        set.imply(&off);
        Ok(set)
    }

    /// The properties that are on or off, save the single letters, which QEMU does not tell of either.
    pub fn switches(&self) -> Vec<(&'static str, bool)> {
        let rows = TABLE.iter().filter(|row| switchable(row.ext)).map(|row| (row.name, self.has(row.ext)));
        let profiles = PROFILES.iter().map(|profile| (profile.name, self.with_profile(profile) == *self));
        let absent = ABSENT.iter().map(|name| (*name, false));
        let all = rows.chain(profiles).chain(absent).chain([("mmu", true), ("pmp", true)]);
        all.filter(|(name, _)| name.len() > 1).collect()
    }

    /// What `-cpu help` prints.
    pub fn help() -> String {
        let mut text = String::from("Available CPUs:\n");
        for Model { name, what, .. } in models() {
            writeln!(text, "  {name:<9} {what}").expect("a string takes everything");
        }
        text.push_str("\nProperties, as in -cpu rv64,zba=off,v=on,vlen=256 (* on in rv64):\n");
        for (name, what) in NUMBERS {
            writeln!(text, "  {name:<9} {what}").expect("a string takes everything");
        }
        let mut rows: Vec<_> = TABLE.iter().filter(|row| switchable(row.ext)).collect();
        rows.sort_by_key(|row| canonical(row.name));
        for line in rows.chunks(6) {
            let cells: Vec<_> = line
                .iter()
                .map(|row| format!("{}{:<12}", if Self::rv64().has(row.ext) { "*" } else { " " }, row.name))
                .collect();
            writeln!(text, "  {}", cells.concat().trim_end()).expect("a string takes everything");
        }
        text
    }
}

fn switchable(ext: Ext) -> bool {
    !matches!(ext.row().when, When::Always | When::Vlen(_) | When::Any(_))
}

/// `zba=off`.
fn switch(model: &str, name: &str, value: &str) -> Result<(Ext, bool), CpuError> {
    let Some(ext) = Ext::by_name(name).filter(|ext| switchable(*ext)) else {
        let names = TABLE.iter().filter(|row| switchable(row.ext)).map(|row| row.name);
        let closest = closest(name, names.chain(NUMBERS.map(|(name, _)| name)));
        return Err(CpuError::Property { model: model.into(), name: name.into(), closest });
    };
    Ok((ext, on_or_off(name, value)?))
}

fn on_or_off(name: &str, value: &str) -> Result<bool, CpuError> {
    match value {
        "on" | "true" | "yes" => Ok(true),
        "off" | "false" | "no" => Ok(false),
        _ => Err(CpuError::Value { name: name.into(), value: value.into() }),
    }
}

fn profile(name: &str) -> Option<&'static Profile> {
    PROFILES.into_iter().find(|profile| profile.name == name)
}

/// `vlen=256`: a power of two within limits.
fn number(name: &str, value: &str, (least, most): (u16, u16)) -> Result<u16, CpuError> {
    let fits = |n: &u16| n.is_power_of_two() && (least..=most).contains(n);
    value.parse().ok().filter(fits).ok_or_else(|| CpuError::Number {
        name: name.into(),
        value: value.into(),
        least,
        most,
    })
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
