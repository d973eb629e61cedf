//! How the arguments of a call are printed.

use crate::memory::Memory;
use crate::syscall::names::{FILE_TYPE, SIGNALS};
use crate::syscall::{Kind, Names, Parts};
use std::fmt::Write;

/// Most of a string that is shown.
const SHOWN: u64 = 32;
/// Most strings of a list that are shown.
const SHOWN_TEXTS: usize = 32;

/// The arguments `args`, which are of these kinds.
pub fn all(memory: &Memory, kinds: &[Kind], args: &[u64; 6]) -> String {
    let texts =
        kinds.iter().zip(args).filter_map(|(kind, arg)| Some(one(memory, kind.of(args)?, *arg, args)));
    texts.collect::<Vec<_>>().join(",")
}

fn one(memory: &Memory, kind: Kind, value: u64, args: &[u64; 6]) -> String {
    // What cannot be read is an address.
    let read = |text: Option<String>| text.unwrap_or_else(|| address(value));
    match kind {
        Kind::Int | Kind::Fd => (value as i32).to_string(),
        Kind::Long => (value as i64).to_string(),
        Kind::Size => value.to_string(),
        Kind::Hex => hex(value),
        Kind::Mode => mode(value),
        Kind::DirFd if value as i32 == libc::AT_FDCWD => "AT_FDCWD".into(),
        Kind::DirFd => (value as i32).to_string(),
        Kind::Path | Kind::Text => read(text(memory, value)),
        Kind::Texts => read(texts(memory, value)),
        Kind::Buffer(len) => {
            let len = args[len as usize];
            let mut bytes = vec![0; len.min(SHOWN) as usize];
            read(memory.read_bytes(value, &mut bytes).ok().map(|()| quoted(&bytes, len > SHOWN)))
        }
        Kind::Timespec => read(time(memory, value, "tv_nsec")),
        Kind::Itimerval => read(itimerval(memory, value)),
        Kind::SignalSet => read(memory.read(value).ok().map(signal_set)),
        Kind::Address | Kind::Pointer | Kind::PointerIf(_) => address(value),
        Kind::OutBuffer(_) | Kind::Out(_) => address(value),
        Kind::Flags(names) => bits(names, value),
        Kind::Enum(names) => one_of(names, value),
        Kind::Parts(parts) => both(parts, value),
        Kind::Signal => signal(value as i32),
        Kind::By(_) => unreachable!("it was asked what it is"),
    }
}

/// As C's `%#x` has it.
fn hex(value: u64) -> String {
    if value == 0 { "0".into() } else { format!("{value:#x}") }
}

fn address(value: u64) -> String {
    if value == 0 { "NULL".into() } else { format!("{value:#018x}") }
}

fn one_of(names: Names, value: u64) -> String {
    // Of numbers like these the kernel sees half a register.
    let found = names.iter().find(|(_, known)| *known == value & 0xffff_ffff);
    match found {
        Some((name, _)) => (*name).into(),
        None if (value as i32).unsigned_abs() < 256 => (value as i32).to_string(),
        None => hex(value),
    }
}

fn bits(names: Names, value: u64) -> String {
    if value == 0 {
        return one_of(names, 0);
    }
    let mut left = value;
    let mut words: Vec<String> = Vec::new();
    for (name, bit) in names.iter().filter(|(_, bit)| *bit != 0) {
        if left & bit == *bit {
            left &= !bit;
            words.push((*name).into());
        }
    }
    if left != 0 {
        words.push(hex(left));
    }
    words.join("|")
}

fn both(parts: &Parts, value: u64) -> String {
    let (word, flags) = (one_of(parts.values, value & parts.mask), value & !parts.mask);
    match flags {
        0 => word,
        _ if parts.flags_first => format!("{}|{word}", bits(parts.flags, flags)),
        _ => format!("{word}|{}", bits(parts.flags, flags)),
    }
}

fn mode(value: u64) -> String {
    let (kind, rights) = (value & u64::from(libc::S_IFMT), value & !u64::from(libc::S_IFMT));
    let rights = if rights == 0 { "0".into() } else { format!("0{rights:o}") };
    if kind == 0 { rights } else { format!("{}|{rights}", one_of(FILE_TYPE, kind)) }
}

fn quoted(bytes: &[u8], cut: bool) -> String {
    let mut text = String::from("\"");
    for byte in bytes {
        match byte {
            b'\n' => text += "\\n",
            b'\t' => text += "\\t",
            b'"' => text += "\\\"",
            b' '..=b'~' => text.push(char::from(*byte)),
            _ => write!(text, "\\{byte:o}").expect("a string takes everything"),
        }
    }
    text + if cut { "\"..." } else { "\"" }
}

fn text(memory: &Memory, addr: u64) -> Option<String> {
    Some(quoted(memory.read_string(addr).ok()?.as_bytes(), false))
}

fn texts(memory: &Memory, addr: u64) -> Option<String> {
    let list = if addr == 0 { return None } else { memory.read_pointers(addr).ok()? };
    let one = |addr: &u64| text(memory, *addr).unwrap_or_else(|| address(*addr));
    let mut words: Vec<String> = list.iter().take(SHOWN_TEXTS).map(one).collect();
    words.push(if list.len() > SHOWN_TEXTS { "...".into() } else { "NULL".into() });
    Some(format!("{{{}}}", words.join(",")))
}

/// A `struct timespec` or `struct timeval`.
fn time(memory: &Memory, addr: u64, part: &str) -> Option<String> {
    let [seconds, parts] = memory.read::<[u64; 2]>(addr).ok()?;
    Some(format!("{{tv_sec = {},{part} = {}}}", seconds as i64, parts as i64))
}

fn itimerval(memory: &Memory, addr: u64) -> Option<String> {
    let [interval, value] = [addr, addr.checked_add(16)?].map(|addr| time(memory, addr, "tv_usec"));
    Some(format!("{{it_interval={},it_value={}}}", interval?, value?))
}

fn signal_set(set: u64) -> String {
    let is_in = |signal: &i32| set >> (signal - 1) & 1 != 0;
    format!("[{}]", (1..=64).filter(is_in).map(signal).collect::<Vec<_>>().join(" "))
}

/// The name of a signal, or its number.
pub fn signal(number: i32) -> String {
    one_of(SIGNALS, number as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syscall::names::{ACCESS, FUTEX, OPEN, PROT, SOCKET_TYPE};

    #[test]
    fn values_and_flags_have_names() {
        assert_eq!(bits(PROT, 0), "PROT_NONE");
        assert_eq!(bits(PROT, 0x103), "PROT_READ|PROT_WRITE|0x100");
        assert_eq!([0, 4, 6].map(|value| bits(ACCESS, value)), ["F_OK", "R_OK", "R_OK|W_OK"]);
        assert_eq!(both(&OPEN, 0o1101), "O_WRONLY|O_CREAT|O_TRUNC");
        assert_eq!(both(&SOCKET_TYPE, 0x80005), "SOCK_SEQPACKET|SOCK_CLOEXEC");
        assert_eq!(both(&FUTEX, 0x189), "FUTEX_PRIVATE_FLAG|FUTEX_CLOCK_REALTIME|FUTEX_WAIT_BITSET");
        assert_eq!(both(&FUTEX, 0x7f), "127");
        assert_eq!(one_of(PROT, 0x1234), "0x1234");
    }

    #[test]
    fn modes_and_sets_of_signals() {
        assert_eq!(["S_IFIFO|0600", "0644", "0"], [0o10600, 0o644, 0].map(mode));
        assert_eq!(signal_set(1 << 9 | 1 << 11 | 1 << 33), "[SIGUSR1 SIGUSR2 34]");
        assert_eq!(signal_set(0), "[]");
        assert_eq!(signal(0), "0");
    }

    #[test]
    fn strings_are_quoted() {
        assert_eq!(quoted(b"a\"\n\x01", true), "\"a\\\"\\n\\1\"...");
    }
}
