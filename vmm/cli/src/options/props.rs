//! Tables of named, typed properties, and the values that a person gave them.
//!
//! Each option or device with sub-properties has one table of [`Prop`] rows; parsing, range checks, suggestions and
//! `help` listings all read the same rows.

use super::error::Fault;
use super::optstring::OptString;
use super::value;

/// What values a property takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `on` or `off`.
    Bool,
    /// `on`, `off` or `auto`.
    OnOffAuto,
    /// An unsigned number up to the given one.
    Number(u64),
    /// A signed 32-bit number.
    Int32,
    /// Bytes, with suffixes; a number without suffix counts the given unit.
    Size(u64),
    /// Any text.
    Text,
    /// Any text; the property may be given several times.
    List,
    /// An identifier: the name that others use for this thing.
    Id,
    /// The name of another thing on the command line.
    Reference(&'static str),
    /// One word of these.
    Choice(&'static [&'static str]),
    /// An Ethernet address.
    Mac,
    /// A PCI slot and function.
    PciAddress,
}

/// One property: a row of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prop {
    /// The name, as QEMU spells it.
    pub name: &'static str,
    /// What values it takes.
    pub kind: Kind,
    /// The value when it is not given; empty when there is none.
    pub default: &'static str,
    /// What it does, a few words.
    pub help: &'static str,
    /// Whether a value other than the default can be asked for in this version.
    pub available: bool,
}

/// A row.
pub const fn prop(name: &'static str, kind: Kind, default: &'static str, help: &'static str) -> Prop {
    Prop { name, kind, default, help, available: true }
}

/// A row that QEMU has and whose default is all that Mimic can do yet.
pub const fn fixed(name: &'static str, kind: Kind, default: &'static str) -> Prop {
    Prop { name, kind, default, help: "", available: false }
}

impl Kind {
    /// The type as QEMU's listings print it.
    pub fn type_name(self) -> String {
        match self {
            Kind::Bool => "bool".into(),
            Kind::OnOffAuto => "OnOffAuto".into(),
            Kind::Number(max) => format!("uint{}", (64 - max.leading_zeros()).next_multiple_of(8)),
            Kind::Int32 => "int32".into(),
            Kind::Size(_) => "size".into(),
            Kind::Text | Kind::List | Kind::Id | Kind::Mac | Kind::PciAddress => "str".into(),
            Kind::Reference(to) => to.into(),
            Kind::Choice(words) => words.join("|"),
        }
    }

    fn check(self, text: &str) -> Result<(), Fault> {
        match self {
            Kind::Bool => value::boolean(text).map(drop),
            Kind::OnOffAuto if text == "auto" => Ok(()),
            Kind::OnOffAuto => {
                value::boolean(text).map(drop).map_err(|_| Fault::new("expects on, off or auto"))
            }
            Kind::Number(max) => match value::unsigned(text)? {
                n if n <= max => Ok(()),
                _ => Err(Fault::new(format!("is at most {max}"))),
            },
            Kind::Int32 => {
                let n = value::signed(text)?;
                i32::try_from(n).map(drop).map_err(|_| Fault::new("expects a 32-bit number"))
            }
            Kind::Size(unit) => value::size(text, unit).map(drop),
            Kind::Text | Kind::List | Kind::Reference(_) => Ok(()),
            Kind::Id if value::is_identifier(text) => Ok(()),
            Kind::Id => Err(Fault::new(
                "is not an identifier: letters, digits, '-', '.' and '_', starting with a letter",
            )),
            Kind::Choice(words) if words.contains(&text) => Ok(()),
            Kind::Choice(words) => Err(Fault::unknown(
                format!("expects one of {}", words.join(", ")),
                text,
                words.iter().copied(),
            )),
            Kind::Mac => value::mac(text).map(drop),
            Kind::PciAddress => value::pci_address(text).map(drop),
        }
    }
}

/// Values given for the rows of a table, each checked against its row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Props {
    values: Vec<(&'static Prop, String)>,
}

impl Props {
    /// Reads every setting by the row of its name; `what` names the thing that has the properties.
    pub fn read(settings: OptString, tables: &[&'static [Prop]], what: &str) -> Result<Self, Fault> {
        let rows = || tables.iter().flat_map(|t| t.iter());
        let mut out = Self::default();
        for setting in settings.settings {
            // JSON spells a list member as `hostfwd.0`, or `hostfwd.0.str` where the schema says StringList.
            let name = setting.key.split_once('.').map_or(&*setting.key, |(head, _)| head);
            let row = rows()
                .find(|r| r.name == setting.key)
                .or_else(|| rows().find(|r| r.kind == Kind::List && r.name == name));
            let Some(row) = row else {
                return Err(Fault::unknown(
                    format!("{what} has no property '{}'", setting.key),
                    &setting.key,
                    rows().map(|r| r.name),
                ));
            };
            row.kind
                .check(&setting.value)
                .map_err(|fault| Fault::new(format!("{}={}: {fault}", row.name, setting.value)))?;
            if !row.available && !same_value(row, &setting.value) {
                return Err(Fault::not_available(&format!("{}={}", row.name, setting.value)));
            }
            out.values.push((row, setting.value));
        }
        Ok(out)
    }

    /// The last value given for `name`, if one was.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.values.iter().rev().find(|(row, _)| row.name == name).map(|(_, v)| &**v)
    }

    /// Every value given for `name`, in order.
    pub fn list(&self, name: &str) -> impl Iterator<Item = &str> {
        self.values.iter().filter(move |(row, _)| row.name == name).map(|(_, v)| &**v)
    }

    /// A boolean; `None` when it was not given, or is `auto`.
    pub fn flag(&self, name: &str) -> Option<bool> {
        self.text(name).and_then(|text| value::boolean(text).ok())
    }

    /// An unsigned number.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.text(name).and_then(|text| value::unsigned(text).ok())
    }

    /// A size in bytes.
    pub fn bytes(&self, name: &str) -> Option<u64> {
        let (row, text) = self.values.iter().rev().find(|(row, _)| row.name == name)?;
        match row.kind {
            Kind::Size(unit) => value::size(text, unit).ok(),
            _ => None,
        }
    }

    /// An Ethernet address.
    pub fn mac(&self, name: &str) -> Option<[u8; 6]> {
        self.text(name).and_then(|text| value::mac(text).ok())
    }

    /// A PCI slot and function.
    pub fn pci_address(&self, name: &str) -> Option<(u8, u8)> {
        self.text(name).and_then(|text| value::pci_address(text).ok())
    }

    /// Each row that was given a value, and the value.
    pub fn iter(&self) -> impl Iterator<Item = (&'static Prop, &str)> {
        self.values.iter().map(|(row, v)| (*row, &**v))
    }
}

/// Whether `text` means the row's default, however it is spelled.
fn same_value(row: &Prop, text: &str) -> bool {
    match row.kind {
        Kind::Bool | Kind::OnOffAuto => {
            let meaning = value::boolean(text);
            text == row.default || meaning.is_ok() && meaning == value::boolean(row.default)
        }
        Kind::Number(_) => value::unsigned(text).ok() == value::unsigned(row.default).ok(),
        _ => text == row.default,
    }
}
