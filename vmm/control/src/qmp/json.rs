//! JSON as QEMU writes it: a space behind colons and commas, or indented.

use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::{Formatter, PrettyFormatter};
use std::io::{self, Write};

/// One line, with spaces.
struct Spaced;

impl Formatter for Spaced {
    fn begin_array_value<W: ?Sized + Write>(&mut self, to: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { to.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, to: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { to.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, to: &mut W) -> io::Result<()> {
        to.write_all(b": ")
    }
}

/// The text of `value`, with the end of the line.
pub fn text(value: &impl Serialize, pretty: bool) -> Vec<u8> {
    let mut out = Vec::new();
    let done = if pretty {
        value.serialize(&mut Serializer::with_formatter(&mut out, PrettyFormatter::with_indent(b"    ")))
    } else {
        value.serialize(&mut Serializer::with_formatter(&mut out, Spaced))
    };
    done.expect("plain data with string keys");
    out.extend(b"\r\n");
    out
}
