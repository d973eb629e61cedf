//! Names of guest addresses, from the symbol tables of programs.

use object::{Object, ObjectSymbol, SymbolKind};
use std::fs;
use tcg_core::observe::Image;

/// Names, by address.
#[derive(Default)]
pub struct Symbols {
    /// First address, address behind the end, name; ascending, and for one address the best last.
    all: Vec<(u64, u64, String)>,
}

impl Symbols {
    /// The names in `images`; those without a symbol table have none.
    pub fn of(images: &[Image]) -> Self {
        let mut symbols = Self::default();
        images.iter().for_each(|image| symbols.add(image));
        symbols
    }

    /// Adds the names in `image`.
    pub fn add(&mut self, image: &Image) {
        let Ok(bytes) = fs::read(&image.path) else { return };
        let Ok(file) = object::File::parse(&*bytes) else { return };
        let code = |kind| matches!(kind, SymbolKind::Text | SymbolKind::Label | SymbolKind::Unknown);
        for symbol in file.symbols().filter(|symbol| symbol.is_definition() && code(symbol.kind())) {
            // Labels that only say what kind of code follows.
            let Some(name) = symbol.name().ok().filter(|name| !name.is_empty() && !name.starts_with('$'))
            else {
                continue;
            };
            let start = symbol.address().wrapping_add(image.bias);
            self.all.push((start, start.saturating_add(symbol.size()), name.into()));
        }
        self.all.sort();
    }

    /// The name of what `addr` is in, and how far in; a label without size goes up to the next name.
    pub fn find(&self, addr: u64) -> Option<(&str, u64)> {
        let at = self.all.partition_point(|(start, ..)| *start <= addr).checked_sub(1)?;
        let (start, end, name) = &self.all[at];
        (addr < *end || start == end).then_some((name.as_str(), addr - start))
    }

    /// `name+0x10`, or nothing.
    pub fn show(&self, addr: u64) -> String {
        match self.find(addr) {
            Some((name, 0)) => name.into(),
            Some((name, offset)) => format!("{name}+{offset:#x}"),
            None => String::new(),
        }
    }
}
