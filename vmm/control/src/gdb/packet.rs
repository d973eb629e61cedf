//! Packets of gdb's remote protocol ("Remote Protocol", "Overview"): `$payload#checksum`, acknowledged by `+` and `-`.

/// Longest payload, in bytes; what is longer is dropped. As [`super::PACKET_SIZE`] tells the client.
pub const LONGEST: usize = super::PACKET_SIZE;

/// Something that the client sent.
#[derive(Debug, PartialEq, Eq)]
pub enum Received {
    /// A packet's payload, with escapes and run lengths undone.
    Packet(Vec<u8>),
    /// A packet that was damaged on its way.
    Damaged,
    /// The client wants the last packet again.
    Again,
    /// Ctrl-C.
    Interrupt,
}

#[derive(Default)]
enum State {
    #[default]
    Idle,
    Payload,
    /// The payload was too long: its rest is skipped.
    TooLong,
    Checksum(Option<u8>),
}

/// Cuts what arrives into packets.
#[derive(Default)]
pub struct Framer {
    state: State,
    /// The payload as it stands on the line.
    raw: Vec<u8>,
}

impl Framer {
    /// Takes one byte.
    pub fn take(&mut self, byte: u8) -> Option<Received> {
        match self.state {
            State::Idle => match byte {
                b'$' => {
                    self.raw.clear();
                    self.state = State::Payload;
                    None
                }
                0x03 => Some(Received::Interrupt),
                b'-' => Some(Received::Again),
                _ => None,
            },
            State::Payload => {
                match byte {
                    b'#' => self.state = State::Checksum(None),
                    // A packet that was cut off.
                    b'$' => self.raw.clear(),
                    _ if self.raw.len() >= LONGEST => self.state = State::TooLong,
                    _ => self.raw.push(byte),
                }
                None
            }
            State::TooLong => {
                if byte == b'#' {
                    self.state = State::Idle;
                }
                None
            }
            State::Checksum(None) => {
                self.state = State::Checksum(Some(byte));
                None
            }
            State::Checksum(Some(first)) => {
                self.state = State::Idle;
                let digit = |byte: u8| char::from(byte).to_digit(16);
                let given = digit(first).zip(digit(byte)).map(|(high, low)| (high * 16 + low) as u8);
                let payload = unescape(&self.raw).filter(|_| given == Some(checksum(&self.raw)));
                Some(payload.map_or(Received::Damaged, Received::Packet))
            }
        }
    }
}

fn checksum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, byte| sum.wrapping_add(*byte))
}

/// Undoes `}` escapes and `*` run lengths.
fn unescape(raw: &[u8]) -> Option<Vec<u8>> {
    let mut out: Vec<u8> = Vec::with_capacity(raw.len());
    let mut bytes = raw.iter();
    while let Some(&byte) = bytes.next() {
        match byte {
            b'}' => out.push(bytes.next()? ^ 0x20),
            b'*' => {
                let count = usize::from(bytes.next()?.checked_sub(29)?);
                let last = *out.last()?;
                if out.len() + count > LONGEST {
                    return None;
                }
                out.extend(std::iter::repeat_n(last, count));
            }
            _ => out.push(byte),
        }
    }
    Some(out)
}

/// A packet with this payload, ready for the line.
pub fn frame(payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(payload.len() + 4);
    out.push(b'$');
    for &byte in payload {
        if matches!(byte, b'#' | b'$' | b'*' | b'}') {
            out.extend([b'}', byte ^ 0x20]);
        } else {
            out.push(byte);
        }
    }
    let sum = checksum(&out[1..]);
    out.extend(format!("#{sum:02x}").bytes());
    out
}

/// Bytes as hexadecimal digits.
pub fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes that pairs of hexadecimal digits stand for.
pub fn from_hex(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let pair = |pair: &[u8]| match pair {
        [high, low] => Some((digit(*high)? * 16 + digit(*low)?) as u8),
        _ => None,
    };
    text.chunks(2).map(pair).collect()
}

/// A hexadecimal number at the start of `text`, and what follows it.
pub fn number(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    Some((u64::from_str_radix(digits, 16).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8]) -> Vec<Received> {
        let mut framer = Framer::default();
        bytes.iter().filter_map(|byte| framer.take(*byte)).collect()
    }

    #[test]
    fn packets_are_cut_out_of_anything() {
        let packet = |text: &str| Received::Packet(text.into());
        assert_eq!(all(b"+$g#67\x03-"), [packet("g"), Received::Interrupt, Received::Again]);
        assert_eq!(all(b"$g#68$g#zz"), [Received::Damaged, Received::Damaged]);
        assert_eq!(all(b"$half$g#67"), [packet("g")]);
        assert_eq!(all(&frame(b"a}b#c$d*e")), [packet("a}b#c$d*e")]);
        assert_eq!(all(b"$0* #7a"), [packet("0000")]);
        assert_eq!(all(b"$*!#4b"), [Received::Damaged]);
        let long = [vec![b'$'], vec![b'a'; LONGEST + 5], b"#00$g#67".to_vec()].concat();
        assert_eq!(all(&long), [packet("g")]);
    }
}
