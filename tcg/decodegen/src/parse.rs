//! Text to [`Table`]. What can be said about a line by itself is checked here, the rest in `check`.

use crate::table::{Arg, Bits, Expansion, Format, Operand, Place, Row, Segment, Table};
use crate::{Error, Source};
use std::collections::BTreeMap;

/// Reads tables; formats, widths and extensions carry over from one to the next.
pub fn tables(sources: &[Source]) -> Result<Table, Error> {
    let mut parser = Parser::default();
    for source in sources {
        for (n, line) in source.text.lines().enumerate() {
            let place = Place { file: source.name.into(), line: n + 1 };
            parser.line(&place, line)?;
        }
        if let Some(place) = parser.open_group.take() {
            return place.error("this group is not closed".into());
        }
    }
    Ok(parser.table)
}

#[derive(Default)]
struct Parser {
    table: Table,
    formats: BTreeMap<String, Format>,
    width: Option<u32>,
    extensions: Vec<String>,
    open_group: Option<Place>,
    groups: usize,
}

/// The words of a line, and the quoted text at its end.
struct Line<'a> {
    words: Vec<&'a str>,
    print: Option<&'a str>,
}

fn split<'a>(place: &Place, line: &'a str) -> Result<Line<'a>, Error> {
    let (code, quoted) = match line.find(['"', '#']) {
        Some(at) if line[at..].starts_with('"') => (&line[..at], Some(&line[at + 1..])),
        Some(at) => (&line[..at], None),
        None => (line, None),
    };
    let print = match quoted.map(|text| text.split_once('"')) {
        None => None,
        Some(Some((print, rest))) if rest.trim().is_empty() || rest.trim().starts_with('#') => Some(print),
        Some(Some(_)) => return place.error("nothing may follow the printed form".into()),
        Some(None) => return place.error("the printed form has no closing quote".into()),
    };
    Ok(Line { words: code.split_whitespace().collect(), print })
}

fn number<T: std::str::FromStr>(place: &Place, text: &str) -> Result<T, Error> {
    text.parse().or_else(|_| place.error(format!("`{text}` is not a number")))
}

impl Parser {
    fn line(&mut self, place: &Place, line: &str) -> Result<(), Error> {
        let line = split(place, line)?;
        match line.words.as_slice() {
            [] => Ok(()),
            ["{"] if self.open_group.is_some() => place.error("groups do not nest".into()),
            ["{"] => {
                self.open_group = Some(place.clone());
                self.groups += 1;
                Ok(())
            }
            ["}"] => match self.open_group.take() {
                Some(_) => Ok(()),
                None => place.error("no group is open".into()),
            },
            ["width", n] => match number(place, n)? {
                width @ (16 | 32) => {
                    self.width = Some(width);
                    Ok(())
                }
                n => place.error(format!("{n} is not a width: 16 and 32 are")),
            },
            ["extension", names] => {
                self.extensions = names.split('+').map(str::to_owned).collect();
                Ok(())
            }
            ["format", name, rest @ ..] => self.format(place, name, rest, line.print),
            [name, format, rest @ ..] => self.row(place, (name, format), rest, line.print),
            [word] => place.error(format!("`{word}` is neither a row nor a directive")),
        }
    }

    fn format(&mut self, place: &Place, name: &str, rest: &[&str], print: Option<&str>) -> Result<(), Error> {
        let print = print.unwrap_or_default().to_owned();
        let format = match rest {
            ["=", other] => {
                let other = self.known_format(place, other)?.clone();
                Format { name: name.into(), print, ..other }
            }
            _ => {
                let operands = rest.iter().map(|text| operand(place, text)).collect::<Result<_, _>>()?;
                Format { name: name.into(), shape: name.into(), operands, print }
            }
        };
        check_print(place, &format)?;
        match self.formats.insert(name.into(), format) {
            None => Ok(()),
            Some(_) => place.error(format!("format {name} stands here a second time")),
        }
    }

    fn known_format(&self, place: &Place, name: &str) -> Result<&Format, Error> {
        self.formats.get(name).map_or_else(|| place.error(format!("there is no format {name}")), Ok)
    }

    fn row(
        &mut self,
        place: &Place,
        (name, format): (&str, &str),
        rest: &[&str],
        print: Option<&str>,
    ) -> Result<(), Error> {
        let mut format = self.known_format(place, format)?.clone();
        if let Some(print) = print {
            format.print = print.into();
            check_print(place, &format)?;
        }
        let Some(width) = self.width else { return place.error("no width is set".into()) };
        if self.extensions.is_empty() {
            return place.error("no extension is set".into());
        }
        if self.table.row(name).is_some() {
            return place.error(format!("row {name} stands here a second time"));
        }
        let (head, expansion) = match rest.iter().position(|w| *w == "->") {
            Some(at) => (&rest[..at], Some(expansion(place, &format, &rest[at + 1..].concat())?)),
            None => (rest, None),
        };
        let (pattern, conditions) = match head.iter().position(|w| *w == "if") {
            Some(at) => (&head[..at], &head[at + 1..]),
            None => (head, &[][..]),
        };
        let (fixed, segments) = read_pattern(place, &format, width, pattern)?;
        let excluded =
            conditions.iter().map(|c| exclusion(place, &format, &segments, c)).collect::<Result<_, _>>()?;
        self.table.rows.push(Row {
            place: place.clone(),
            name: name.into(),
            format,
            width,
            extensions: self.extensions.clone(),
            fixed,
            segments,
            excluded,
            expansion,
            group: self.open_group.is_some().then_some(self.groups),
        });
        Ok(())
    }
}

/// `rd:u5`, `imm:s12`, `rs1:u3+8`.
fn operand(place: &Place, text: &str) -> Result<Operand, Error> {
    let Some((name, kind)) = text.split_once(':') else {
        return place.error(format!("`{text}` has no type, as in rd:u5"));
    };
    let (kind, plus) = kind.split_once('+').unwrap_or((kind, "0"));
    let Some(signed) = kind.strip_prefix('s').map(|_| true).or(kind.strip_prefix('u').map(|_| false)) else {
        return place.error(format!("`{kind}` is not a type: u5, s12 and u3+8 are"));
    };
    let bits = number(place, &kind[1..])?;
    if !(1..=32).contains(&bits) {
        return place.error(format!("an operand has 1 to 32 bits, not {bits}"));
    }
    Ok(Operand { name: name.into(), bits, signed, plus: number(place, plus)? })
}

/// The operands that a printed form names must exist.
fn check_print(place: &Place, format: &Format) -> Result<(), Error> {
    for name in placeholders(&format.print).flat_map(|(names, _)| names.split(',')) {
        if !format.operands.iter().any(|o| o.name == name) {
            return place
                .error(format!("the printed form names `{name}`, which format {} has not", format.name));
        }
    }
    Ok(())
}

/// The (operands, function) pairs of a printed form.
pub fn placeholders(print: &str) -> impl Iterator<Item = (&str, &str)> {
    let inside = print.split('{').skip(1).filter_map(|text| text.split_once('}'));
    inside.map(|(name, _)| name.split_once(':').unwrap_or((name, "")))
}

fn find_operand(place: &Place, format: &Format, name: &str) -> Result<usize, Error> {
    let found = format.operands.iter().position(|o| o.name == name);
    found.map_or_else(|| place.error(format!("format {} has no operand `{name}`", format.name)), Ok)
}

fn read_pattern(
    place: &Place,
    format: &Format,
    width: u32,
    pattern: &[&str],
) -> Result<(Bits, Vec<Vec<Segment>>), Error> {
    let mut fixed = Bits { mask: 0, value: 0 };
    let mut segments = vec![Vec::new(); format.operands.len()];
    let mut left = width;
    let too_long = || place.error(format!("the pattern has more than {width} bits"));
    for word in pattern {
        if word.chars().all(|c| "01-".contains(c)) {
            for c in word.chars() {
                let Some(bit) = left.checked_sub(1) else { return too_long() };
                left = bit;
                fixed.mask |= u32::from(c != '-') << bit;
                fixed.value |= u32::from(c == '1') << bit;
            }
            continue;
        }
        let (name, ranges) = word.split_once('[').unwrap_or((word, ""));
        let n = find_operand(place, format, name)?;
        for (to, len) in pieces(place, &format.operands[n], ranges)? {
            let Some(at) = left.checked_sub(len) else { return too_long() };
            left = at;
            segments[n].push(Segment { at, to, len });
        }
    }
    if left > 0 {
        return place.error(format!("the pattern has {} bits, not {width}", width - left));
    }
    for (operand, segments) in format.operands.iter().zip(&segments) {
        covered(place, operand, segments)?;
    }
    Ok((fixed, segments))
}

/// The (lowest bit, length) of each piece in `12|10:5]`; all of the operand if there is nothing.
fn pieces(place: &Place, operand: &Operand, ranges: &str) -> Result<Vec<(u32, u32)>, Error> {
    if ranges.is_empty() {
        return Ok(vec![(0, operand.bits)]);
    }
    let Some(ranges) = ranges.strip_suffix(']') else {
        return place.error(format!("`{ranges}` has no closing bracket"));
    };
    let mut all = Vec::new();
    for range in ranges.split('|') {
        let (high, low) = range.split_once(':').unwrap_or((range, range));
        let (high, low): (u32, u32) = (number(place, high)?, number(place, low)?);
        if high < low || high >= operand.bits {
            return place.error(format!("{} has no bits {range}", operand.name));
        }
        all.push((low, high - low + 1));
    }
    Ok(all)
}

/// Each bit from the lowest given to the top is given once.
fn covered(place: &Place, operand: &Operand, segments: &[Segment]) -> Result<(), Error> {
    let name = &operand.name;
    let mut given = 0u64;
    for segment in segments {
        let bits = ((1u64 << segment.len) - 1) << segment.to;
        if given & bits != 0 {
            return place.error(format!("bits of {name} are given twice"));
        }
        given |= bits;
    }
    let wanted = (1u64 << operand.bits) - 1;
    match given {
        0 => place.error(format!("the pattern lacks {name}")),
        _ if given | ((1 << given.trailing_zeros()) - 1) != wanted => {
            place.error(format!("the pattern lacks some bits of {name}"))
        }
        _ => Ok(()),
    }
}

/// `rd!=0`: the instruction bits that would make `rd` zero.
fn exclusion(place: &Place, format: &Format, segments: &[Vec<Segment>], text: &str) -> Result<Bits, Error> {
    let Some((name, value)) = text.split_once("!=") else {
        return place.error(format!("`{text}` is not a condition, as in rd!=0"));
    };
    let n = find_operand(place, format, name)?;
    let operand = &format.operands[n];
    let value: i64 = number(place, value)?;
    let (least, most) = operand.range();
    if !(least..=most).contains(&value) {
        return place.error(format!("{name} is never {value}"));
    }
    let raw = (value - i64::from(operand.plus)) as u32;
    let mut bits = Bits { mask: 0, value: 0 };
    for s in &segments[n] {
        let ones = ((1u64 << s.len) - 1) as u32;
        bits.mask |= ones << s.at;
        bits.value |= (raw >> s.to & ones) << s.at;
    }
    Ok(bits)
}

/// `addi(rd,0,imm)`.
fn expansion(place: &Place, format: &Format, text: &str) -> Result<Expansion, Error> {
    let Some((target, args)) = text.strip_suffix(')').and_then(|text| text.split_once('(')) else {
        return place.error(format!("`{text}` is not an expansion, as in addi(rd, 0, imm)"));
    };
    let arg = |text: &str| match text.parse() {
        Ok(constant) => Ok(Arg::Constant(constant)),
        Err(_) => find_operand(place, format, text).map(Arg::Operand),
    };
    let args = args.split(',').filter(|text| !text.is_empty()).map(arg).collect::<Result<_, _>>()?;
    Ok(Expansion { target: target.into(), args })
}
