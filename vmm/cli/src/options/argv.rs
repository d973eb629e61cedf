//! Cutting argv into options: `-x` and `--x` are the same, an option's argument is the next word whatever it looks
//! like, and a word that is no option is a disk image.

use std::ffi::OsString;

use super::error::{Fault, UsageError};
use super::suggest::closest;
use super::table::{self, Opt, Row};

/// One option of the command line.
#[derive(Debug, Clone)]
pub struct Given {
    /// What it means; `None` when it is not available yet.
    pub opt: Option<Opt>,
    /// Its argument; empty when it takes none.
    pub argument: String,
    /// As it was typed, `-opt arg`: how messages name it.
    pub origin: String,
}

/// Cuts the words after the program's name into options.
pub fn cut(words: impl IntoIterator<Item = OsString>) -> Result<Vec<Given>, UsageError> {
    let mut given = Vec::new();
    let mut words = words.into_iter();
    let text = |word: OsString| {
        word.into_string().map_err(|word| Fault::new("is not valid UTF-8").at(&word.to_string_lossy()))
    };
    while let Some(word) = words.next() {
        let word = text(word)?;
        if word.is_empty() {
            return Err(Fault::new("an empty word is neither an option nor a disk image").at("''"));
        }
        let Some(name) = word.strip_prefix('-') else {
            given.push(Given { opt: Some(Opt::HardDisk(0)), argument: word.clone(), origin: word });
            continue;
        };
        let name = name.strip_prefix('-').unwrap_or(name);
        let Some(row) = table::rows().find(|row| row.name == name) else {
            let next = words.next().map(text).transpose()?.filter(|next| !next.starts_with('-'));
            let origin = next.map_or_else(|| word.clone(), |next| format!("{word} {next}"));
            return Err(unknown(name).at(&origin));
        };
        given.push(match row {
            Row { argument: "", .. } => Given { opt: row.opt, argument: String::new(), origin: word },
            _ => {
                let argument = words.next().ok_or_else(|| {
                    Fault::new(format!("needs an argument: -{} {}", row.name, row.argument)).at(&word)
                })?;
                let argument = text(argument)?;
                Given { opt: row.opt, origin: format!("{word} {argument}"), argument }
            }
        });
    }
    Ok(given)
}

fn unknown(name: &str) -> Fault {
    // `-machine=virt`, `-m2G`: judge the name alone.
    let stem = name.split(['=', ',']).next().unwrap_or(name);
    match table::rows().find(|row| row.name == stem) {
        Some(Row { argument: "", .. }) if stem != name => {
            return Fault::new(format!("-{stem} takes no argument"));
        }
        Some(_) if stem != name => {
            return Fault::new(format!("the argument of -{stem} is a word of its own"));
        }
        _ => {}
    }
    let known = table::rows().filter(|row| row.opt.is_some()).map(|row| row.name);
    match closest(stem, known) {
        Some(best) => Fault::new(format!("unknown option; did you mean -{best}?")),
        None => Fault::new("unknown option"),
    }
}
