mod accepted;
mod changes;
mod clients;
mod helps;
mod parts;
mod random;
mod refused;

use std::ffi::OsString;

use super::*;

/// Parses words parted by blanks; `~` stands for a blank within a word.
fn read(line: &str) -> Result<Request, UsageError> {
    let words = line.split_whitespace().map(|word| OsString::from(word.replace('~', " ")));
    parse(Arch::Riscv64, "qemu-system-riscv64", words)
}

fn options(line: &str) -> SystemOptions {
    match read(line) {
        Ok(Request::Run(options)) => *options,
        other => panic!("{line}: {other:?}"),
    }
}

fn text(line: &str) -> String {
    match read(line) {
        Ok(Request::Text(text)) => text,
        other => panic!("{line}: {other:?}"),
    }
}

fn error(line: &str) -> String {
    match read(line) {
        Err(error) => error.to_string(),
        other => panic!("{line}: {other:?}"),
    }
}
