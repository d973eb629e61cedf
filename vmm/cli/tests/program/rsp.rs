//! A client of gdb's remote protocol, and what a test starts before it can connect.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Instant;

use crate::support::{PATIENCE, exists};

/// Connects to a socket that the program is about to make.
pub fn connect(path: &Path) -> UnixStream {
    let limit = Instant::now() + PATIENCE;
    while !exists(path) && Instant::now() < limit {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let stream = loop {
        match UnixStream::connect(path) {
            Ok(stream) => break stream,
            Err(fault) => assert!(Instant::now() < limit, "{}: {fault}", path.display()),
        }
    };
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket takes a time limit");
    stream
}

/// One connection to a gdb server.
pub struct Rsp {
    stream: UnixStream,
    waiting: Vec<u8>,
}

impl Rsp {
    pub fn connect(path: &Path) -> Self {
        Self { stream: connect(path), waiting: Vec::new() }
    }

    pub fn send(&mut self, payload: &str) {
        let sum = payload.bytes().fold(0u8, |sum, byte| sum.wrapping_add(byte));
        self.raw(format!("${payload}#{sum:02x}").as_bytes());
    }

    pub fn raw(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the server is there");
    }

    /// The next packet; `None` when the connection has ended.
    pub fn next(&mut self) -> Option<String> {
        loop {
            if let Some(start) = self.waiting.iter().position(|byte| *byte == b'$')
                && let Some(end) = self.waiting[start..].iter().position(|byte| *byte == b'#')
                && self.waiting.len() >= start + end + 3
            {
                let payload = self.waiting[start + 1..start + end].to_vec();
                self.waiting.drain(..start + end + 3);
                // The server may have closed the connection behind it.
                let _ = self.stream.write_all(b"+");
                return Some(String::from_utf8_lossy(&payload).into_owned());
            }
            let mut buffer = [0; 4096];
            match self.stream.read(&mut buffer) {
                // Reset where the server had not read our last acknowledgement.
                Err(fault) if fault.kind() == ErrorKind::ConnectionReset => return None,
                read => match read.expect("an answer in time") {
                    0 => return None,
                    n => self.waiting.extend(&buffer[..n]),
                },
            }
        }
    }

    pub fn ask(&mut self, payload: &str) -> String {
        self.send(payload);
        self.next().unwrap_or_else(|| panic!("no answer to {payload}"))
    }

    pub fn ok(&mut self, payload: &str) {
        assert_eq!(self.ask(payload), "OK", "{payload}");
    }

    /// A register of the thread selected.
    pub fn register(&mut self, number: u32) -> u64 {
        let text = self.ask(&format!("p{number:x}"));
        u64::from_str_radix(&text, 16).map(u64::swap_bytes).unwrap_or_else(|_| panic!("p{number:x}: {text}"))
    }

    #[allow(dead_code, reason = "a process has no monitor")]
    /// Carries out a line of the monitor; what it prints.
    pub fn monitor(&mut self, line: &str) -> String {
        let hex: String = line.bytes().map(|byte| format!("{byte:02x}")).collect();
        self.send(&format!("qRcmd,{hex}"));
        let mut out = String::new();
        loop {
            let answer = self.next().expect("an answer");
            let Some(text) = answer.strip_prefix('O').filter(|_| answer != "OK") else {
                assert_eq!(answer, "OK", "{line}");
                return out;
            };
            let byte = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).expect("hexadecimal");
            out.extend((0..text.len()).step_by(2).map(|at| char::from(byte(at))));
        }
    }
}
