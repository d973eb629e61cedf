//! The client's side of QMP.

use serde_json::{Value, json};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;

/// Sends commands; answers and events come to whoever reads the stream.
pub struct Commands {
    stream: UnixStream,
    next: u64,
}

impl Commands {
    /// Commands over `stream`.
    pub fn new(stream: UnixStream) -> Self {
        Self { stream, next: 1 }
    }

    /// Sends a command; the id that its answer will carry.
    ///
    /// # Errors
    /// Nobody is there any more.
    pub fn send(&mut self, name: &str, arguments: &Value) -> io::Result<u64> {
        let id = self.next;
        self.next += 1;
        let message = json!({"execute": name, "arguments": arguments, "id": id});
        self.stream.write_all(format!("{message}\n").as_bytes())?;
        Ok(id)
    }
}

/// Hands every message of `stream` to `to`, until one of both ends.
pub fn listen(stream: UnixStream, mut to: impl FnMut(Value) -> bool) {
    for line in BufReader::new(stream).lines() {
        let Ok(line) = line else { return };
        // What is no JSON is no message.
        if let Ok(message) = serde_json::from_str(&line)
            && !to(message)
        {
            return;
        }
    }
}
