//! Addresses by name, out of an ELF file.

use object::{Object, ObjectSymbol};
use std::collections::HashMap;
use std::path::Path;

/// The symbols of a file.
#[derive(Clone, Debug, Default)]
pub struct Symbols(HashMap<String, u64>);

impl Symbols {
    /// Reads those of `file`; none where it is no ELF file.
    ///
    /// # Errors
    /// It can not be read: a sentence.
    pub fn read(file: &Path) -> Result<Self, String> {
        let bytes =
            std::fs::read(file).map_err(|fault| format!("cannot read {}: {fault}", file.display()))?;
        let Ok(elf) = object::File::parse(&*bytes) else { return Ok(Self::default()) };
        let named = elf.symbols().filter_map(|symbol| Some((symbol.name().ok()?.into(), symbol.address())));
        Ok(Self(named.collect()))
    }

    /// The address that `text` means: a number, or a symbol, with `+OFFSET` behind it or not.
    ///
    /// # Errors
    /// It means none: a sentence.
    pub fn address(&self, text: &str) -> Result<u64, String> {
        let (name, offset) = match text.split_once('+') {
            Some((name, offset)) => {
                let offset = number(offset).ok_or_else(|| format!("'{text}': '{offset}' is no number"))?;
                (name.trim(), offset)
            }
            None => (text.trim(), 0),
        };
        let base = number(name).or_else(|| self.0.get(name).copied());
        let base = base.ok_or_else(|| {
            format!("there is no symbol '{name}'; say symbols=FILE of an ELF file that has it")
        })?;
        Ok(base.wrapping_add(offset))
    }
}

/// A number as people write it: decimal or 0x, with `_` between digits.
pub fn number(text: &str) -> Option<u64> {
    let digits = text.trim().replace('_', "");
    match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => digits.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_numbers_or_symbols() {
        let symbols = Symbols([("start".to_string(), 0x8000_0000)].into());
        assert_eq!(symbols.address("0x8000_0010"), Ok(0x8000_0010));
        assert_eq!(symbols.address("start + 0x10"), Ok(0x8000_0010));
        assert_eq!(symbols.address("start+4"), Ok(0x8000_0004));
        symbols.address("end").expect_err("not there");
        symbols.address("start+x").expect_err("no number");
    }
}
