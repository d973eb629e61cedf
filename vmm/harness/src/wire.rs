//! A serial line between the emulator and the runner: what the guest writes comes in records with machine time, what the
//! runner types goes the other way as it is.
//!
//! A record is the time (nanoseconds of machine time, 8 bytes), a length (4 bytes) and so many bytes, little-endian. One
//! without bytes says that the time has come so far.

use std::io::{self, Read};

/// Bytes of a record before those of the guest.
pub const HEAD: usize = 12;
/// Bytes of the guest in a record, at most.
pub const MOST: usize = 1 << 16;

/// The time of a record that says: the machine was put back to another state, which writes what follows.
pub const PUT_BACK: u64 = u64::MAX;

/// The head of a record of `len` bytes.
pub fn head(time: u64, len: usize) -> [u8; HEAD] {
    let mut head = [0; HEAD];
    head[..8].copy_from_slice(&time.to_le_bytes());
    head[8..].copy_from_slice(&(len as u32).to_le_bytes());
    head
}

/// Something that came over the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// When the guest wrote it, in nanoseconds of machine time.
    pub time: u64,
    /// What it wrote.
    pub bytes: Vec<u8>,
}

/// Reads a record; `None` at the end.
///
/// # Errors
/// Those of the reader, and a length that can not be.
pub fn read(from: &mut impl Read) -> io::Result<Option<Record>> {
    let mut head = [0; HEAD];
    match from.read_exact(&mut head) {
        Err(fault) if fault.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let (time, len) = head.split_at(8);
    let time = u64::from_le_bytes(time.try_into().expect("eight bytes"));
    let len = u32::from_le_bytes(len.try_into().expect("four bytes")) as usize;
    if len > MOST {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a record is too long"));
    }
    let mut bytes = vec![0; len];
    from.read_exact(&mut bytes)?;
    Ok(Some(Record { time, bytes }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_as_they_were() {
        let mut stream = Vec::new();
        for (time, bytes) in [(1u64, &b"hello"[..]), (1 << 40, b"")] {
            stream.extend(head(time, bytes.len()));
            stream.extend(bytes);
        }
        let mut from = &stream[..];
        let mut next = || read(&mut from).expect("well formed");
        assert_eq!(next(), Some(Record { time: 1, bytes: b"hello".to_vec() }));
        assert_eq!(next(), Some(Record { time: 1 << 40, bytes: Vec::new() }));
        assert_eq!(next(), None);
        read(&mut &head(0, MOST + 1)[..]).expect_err("too long");
        read(&mut &head(0, 5)[..]).expect_err("cut off");
    }
}
