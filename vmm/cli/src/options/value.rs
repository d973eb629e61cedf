//! Values as QEMU spells them: booleans, numbers, byte sizes, addresses.

use super::error::Fault;

/// `on`/`off` and their other forms.
pub fn boolean(text: &str) -> Result<bool, Fault> {
    match text {
        "on" | "yes" | "true" | "y" => Ok(true),
        "off" | "no" | "false" | "n" => Ok(false),
        _ => Err(Fault::new("expects on or off")),
    }
}

/// An unsigned number: decimal, `0x` hexadecimal, or octal with a leading `0`.
pub fn unsigned(text: &str) -> Result<u64, Fault> {
    let parsed = match text.as_bytes() {
        [b'0', b'x' | b'X', ..] => u64::from_str_radix(digits(&text[2..]), 16),
        [b'0', _, ..] => u64::from_str_radix(digits(text), 8),
        _ => digits(text).parse(),
    };
    parsed.map_err(|_| Fault::new("expects a number"))
}

/// A number that may be negative.
pub fn signed(text: &str) -> Result<i64, Fault> {
    let fault = || Fault::new("expects a number");
    match text.strip_prefix('-') {
        Some(rest) => 0i64.checked_sub_unsigned(unsigned(rest)?).ok_or_else(fault),
        None => unsigned(text)?.try_into().map_err(|_| fault()),
    }
}

/// Rust's integer parsers take a leading `+`; QEMU's options do not.
fn digits(text: &str) -> &str {
    if text.starts_with('+') { "" } else { text }
}

/// A byte size: digits, an optional decimal fraction, an optional suffix `B k M G T P E` (powers of 1024); a number
/// without suffix is in units of `unit` bytes. Hexadecimal takes a suffix but no fraction.
pub fn size(text: &str, unit: u64) -> Result<u64, Fault> {
    let fault = || Fault::new("expects a size, as 512, 512M or 1.5G");
    let hexadecimal = text.starts_with("0x") || text.starts_with("0X");
    let body = if hexadecimal { &text[2..] } else { text };
    let (body, unit, bytes) = match body.chars().last() {
        // In hexadecimal `B` and `E` are digits.
        Some(last) if !(hexadecimal && last.is_ascii_hexdigit()) && last.is_ascii_alphabetic() => {
            let power = "BKMGTPE".find(last.to_ascii_uppercase()).ok_or_else(fault)?;
            (&body[..body.len() - 1], 1u64 << (10 * power), power == 0)
        }
        _ => (body, unit, unit == 1),
    };
    let (whole, fraction) = match body.split_once('.') {
        Some(_) if hexadecimal || bytes => return Err(fault()),
        Some((whole, fraction)) => (whole, fraction),
        None => (body, ""),
    };
    let radix = if hexadecimal { 16 } else { 10 };
    if whole.is_empty() || !whole.chars().all(|c| c.is_digit(radix)) || fraction.len() > 18 {
        return Err(fault());
    }
    let whole = u64::from_str_radix(whole, radix).map_err(|_| fault())?;
    let mut part = 0u128;
    for c in fraction.chars() {
        part = part * 10 + u128::from(c.to_digit(10).ok_or_else(fault)?);
    }
    // At most (10^18 - 1) * 2^60, which 128 bits hold.
    let part = part * u128::from(unit) / 10u128.pow(fraction.len() as u32);
    let total = u128::from(whole) * u128::from(unit) + part;
    u64::try_from(total).map_err(|_| Fault::new("does not fit in 64 bits"))
}

/// A MAC address, `52:54:00:12:34:56` (or with `-`).
pub fn mac(text: &str) -> Result<[u8; 6], Fault> {
    let fault = || Fault::new("expects a MAC address, as 52:54:00:12:34:56");
    let mut address = [0; 6];
    let mut parts = text.split([':', '-']);
    for byte in &mut address {
        let part = parts.next().filter(|p| p.len() == 2 && !p.starts_with('+')).ok_or_else(fault)?;
        *byte = u8::from_str_radix(part, 16).map_err(|_| fault())?;
    }
    if parts.next().is_some() { Err(fault()) } else { Ok(address) }
}

/// A PCI slot and function, `04` or `04.1`, both hexadecimal; the function is 0 when it is not said.
pub fn pci_address(text: &str) -> Result<(u8, u8), Fault> {
    let fault = || Fault::new("expects a PCI slot and function, as 04 or 04.1");
    let part = |text: &str, limit: u8| {
        let text = text.strip_prefix("0x").unwrap_or(text);
        u8::from_str_radix(digits(text), 16).ok().filter(|n| *n <= limit).ok_or_else(fault)
    };
    match text.split_once('.') {
        Some((slot, function)) => Ok((part(slot, 31)?, part(function, 7)?)),
        None => Ok((part(text, 31)?, 0)),
    }
}

/// Whether `text` may be an identifier: letters, digits, `-`, `.`, `_`, starting with a letter.
pub fn is_identifier(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c))
}
