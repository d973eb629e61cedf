//! Any words at all: an answer or a sentence, never a panic.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use control::Part;

use crate::options::{Described, device_table, parse, table};
use crate::personality::Arch;

/// xorshift64: the same words in each run.
struct Random(u64);

impl Random {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % below as u64) as usize
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.next(from.len())]
    }
}

/// Pieces that option strings are made of, and some that they are not.
const PIECES: &[&str] = &[
    "virt",
    "tcg",
    "rv64",
    "user",
    "tap",
    "socket",
    "stdio",
    "mon:",
    "tcp:",
    "unix:",
    "chardev:",
    "null",
    "raw",
    "qcow2",
    "file",
    "none",
    "help",
    "?",
    "id=",
    "drive=",
    "file=",
    "file.driver=",
    "file.file.driver=",
    "backing=",
    "driver=",
    "node-name=",
    "size=",
    "cpus=",
    "maxcpus=",
    "cores=",
    "sockets=",
    "threads=",
    "netdev=",
    "chardev=",
    "bus=",
    "addr=",
    "mac=",
    "hostfwd=",
    "net=",
    "if=",
    "index=",
    "unit=",
    "format=",
    "port=",
    "path=",
    "server",
    "nowait",
    "order=",
    "base=",
    "a",
    "b",
    "0",
    "1",
    "-1",
    "18446744073709551615",
    "4294967296",
    "1.5G",
    "0x",
    "0x7f",
    "10.0.2.0/24",
    "/0",
    "/32",
    "255.255.255.255",
    "on",
    "off",
    "auto",
    ",",
    ",,",
    "=",
    ":",
    "-",
    "+",
    ".",
    "..",
    "{",
    "}",
    "\"",
    "[",
    "]",
    "{\"driver\":",
    "\u{e9}",
    "\u{1f600}",
    " ",
    "\0",
    "2006-06-17",
    "T",
    "tcp::1-:2",
    "%",
];

#[test]
fn no_words_panic() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let names: Vec<&str> = table::rows().map(|row| row.name).collect();
    let props: Vec<&str> = device_table::DEVICES
        .iter()
        .flat_map(|d| d.props.iter())
        .flat_map(|t| t.iter())
        .map(|p| p.name)
        .collect();
    let machine = super::options("-nodefaults -device pcie-root-port,id=a -netdev user,id=b");
    let parts = [Part::Device, Part::BlockNode, Part::Drive, Part::Netdev, Part::Chardev, Part::Object];
    for _ in 0..60_000 {
        let mut words = Vec::new();
        for _ in 0..1 + random.next(4) {
            let dashes = random.pick(&["-", "--", "-", ""]);
            words.push(OsString::from(format!("{dashes}{}", random.pick(&names))));
            let mut argument = String::new();
            for _ in 0..random.next(8) {
                match random.next(8) {
                    0 => argument += device_table::DEVICES[random.next(device_table::DEVICES.len())].name,
                    1 => argument += &format!(",{}=", random.pick(&props)),
                    _ => argument += random.pick(PIECES),
                }
            }
            // The same, said to a machine that runs.
            let part = parts[random.next(parts.len())];
            if let Ok(described) = Described::read(part, &argument) {
                machine.has_bus(&described.bus.unwrap_or_default());
            }
            if let Err(error) = machine.with(part, &argument) {
                assert!(!error.origin.is_empty(), "{error}");
            }
            words.push(argument.into());
        }
        if random.next(50) == 0 {
            words.push(OsString::from_vec((0..6).map(|_| random.next(256) as u8).collect()));
        }
        if let Err(error) = parse(Arch::Riscv64, "qemu-system-riscv64", words) {
            assert!(!error.origin.is_empty(), "{error}");
        }
    }
}

#[test]
fn deep_and_long_words_end() {
    let keys = (0..200).map(|n| format!("{}driver=raw", "file.".repeat(n))).collect::<Vec<_>>().join(",");
    for argument in
        [format!("{keys},node-name=x"), "a".repeat(1 << 16), ",".repeat(1 << 16), "{\"a\":".repeat(1 << 12)]
    {
        let result = parse(Arch::Riscv64, "qemu-system-riscv64", ["-blockdev".into(), argument.into()]);
        assert!(result.is_err());
    }
}
