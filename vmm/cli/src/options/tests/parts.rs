//! The grammar's own parts: option strings, values, distances.

use crate::options::optstring::{OptString, Setting};
use crate::options::suggest::{closest, distance};
use crate::options::value::{boolean, mac, pci_address, signed, size, unsigned};

fn pairs(text: &str, implied: Option<&str>) -> Vec<(String, String)> {
    let settings = OptString::parse(text, implied).settings;
    settings.into_iter().map(|Setting { key, value }| (key, value)).collect()
}

#[test]
fn option_strings() {
    for (text, implied, expected) in [
        ("virt,a=b", Some("type"), vec![("type", "virt"), ("a", "b")]),
        ("type=virt", Some("type"), vec![("type", "virt")]),
        ("file=a,,b,,,c=d", None, vec![("file", "a,b,"), ("c", "d")]),
        ("a,,b,c=d", Some("path"), vec![("path", "a,b"), ("c", "d")]),
        ("server,nowait", None, vec![("server", "on"), ("wait", "off")]),
        ("a=b=c", None, vec![("a", "b=c")]),
        ("a=,b=", None, vec![("a", ""), ("b", "")]),
        ("", Some("x"), vec![]),
    ] {
        let expected: Vec<_> = expected.into_iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        assert_eq!(pairs(text, implied), expected, "{text}");
    }
    assert!(OptString::parse("virt,help", Some("type")).wants_help);
    assert!(OptString::parse("?", Some("type")).wants_help);
}

#[test]
fn sizes() {
    for (text, unit, bytes) in [
        ("512", 1 << 20, 512 << 20),
        ("512", 1, 512),
        ("0x10", 1, 16),
        ("0x10k", 1, 16 << 10),
        ("1.5G", 1, 3 << 29),
        ("1.5", 1 << 20, 3 << 19),
        ("262144k", 1 << 20, 256 << 20),
        ("15E", 1, 15 << 60),
        ("7b", 1, 7),
    ] {
        assert_eq!(size(text, unit), Ok(bytes), "{text}");
    }
    for text in [
        "",
        "M",
        "1.5",
        "1.5B",
        "-1",
        "+1",
        "1Z",
        "1MM",
        "1 M",
        "16E",
        "0x1.8M",
        "1.-5M",
        "18446744073709551616",
        "1\u{e9}",
    ] {
        assert!(size(text, 1).is_err(), "{text}");
    }
}

#[test]
fn numbers_and_addresses() {
    assert_eq!((unsigned("0x1F"), unsigned("010"), unsigned("0")), (Ok(31), Ok(8), Ok(0)));
    assert!(["", "-1", "+1", "0x", "1k", "0x+1"].iter().all(|text| unsigned(text).is_err()));
    assert_eq!((signed("-1"), signed("-9223372036854775808")), (Ok(-1), Ok(i64::MIN)));
    assert!(signed("--1").is_err() && signed("9223372036854775808").is_err());
    assert!(boolean("yes") == Ok(true) && boolean("false") == Ok(false) && boolean("ON").is_err());
    assert_eq!(mac("52:54:00:12:34:5f"), Ok([0x52, 0x54, 0, 0x12, 0x34, 0x5f]));
    assert!(
        mac("52:54:00:12:34").is_err()
            && mac("52:54:00:12:34:56:78").is_err()
            && mac("52:54:00:12:34:+6").is_err()
    );
    assert_eq!(
        (pci_address("1f.7"), pci_address("0x2.0x1"), pci_address("4")),
        (Ok((31, 7)), Ok((2, 1)), Ok((4, 0)))
    );
    assert!(pci_address("20").is_err() && pci_address("1.8").is_err());
}

#[test]
fn distances() {
    assert_eq!((distance("machne", "machine"), distance("kernle", "kernel"), distance("", "ab")), (1, 1, 2));
    assert_eq!(closest("virito", ["virtio", "none"]), Some("virtio"));
    assert_eq!(closest("zzz", ["virtio", "none"]), None);
    assert_eq!(closest("x", ["m", "s"]), None);
}
