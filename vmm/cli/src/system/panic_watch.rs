//! Looks for a kernel panic in what the guest writes to its serial port, so that a run that ends by a reset is not
//! taken for a success, and keeps the last of it for when the run ends before its time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use parking_lot::Mutex;
use std::collections::VecDeque;

use devices::host::chardev::{CharBackend, CharSink};

/// What Linux prints, whatever its log level.
const PANIC: &[u8] = b"Kernel panic - not syncing";

/// A serial line with an ear on it.
pub struct PanicWatch {
    inner: Arc<dyn CharBackend>,
    /// Bytes of [`PANIC`] that the last output ended with.
    matched: AtomicUsize,
    seen: AtomicBool,
    /// The end of the output.
    last: Mutex<VecDeque<u8>>,
}

/// Bytes of output that are kept.
const KEPT: usize = 4096;

impl PanicWatch {
    /// Listens to what goes to `inner`.
    pub fn new(inner: Arc<dyn CharBackend>) -> Arc<Self> {
        Arc::new(Self {
            inner,
            matched: AtomicUsize::new(0),
            seen: AtomicBool::new(false),
            last: Mutex::default(),
        })
    }

    /// Whether the guest's kernel has panicked.
    pub fn seen(&self) -> bool {
        self.seen.load(Ordering::Acquire)
    }

    /// The last `lines` lines of the output.
    pub fn last_lines(&self, lines: usize) -> String {
        let bytes: Vec<u8> = self.last.lock().iter().copied().filter(|byte| *byte != b'\r').collect();
        let text = String::from_utf8_lossy(&bytes);
        let all: Vec<&str> = text.trim_end().lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }

    fn listen(&self, bytes: &[u8]) {
        let mut last = self.last.lock();
        last.extend(bytes);
        let over = last.len().saturating_sub(KEPT);
        last.drain(..over);
        drop(last);
        let mut matched = self.matched.load(Ordering::Relaxed);
        for &byte in bytes {
            // The text's first letter is nowhere else in it: a mismatch starts over.
            matched = match byte {
                _ if byte == PANIC[matched] => matched + 1,
                _ if byte == PANIC[0] => 1,
                _ => 0,
            };
            if matched == PANIC.len() {
                self.seen.store(true, Ordering::Release);
                matched = 0;
            }
        }
        self.matched.store(matched, Ordering::Relaxed);
    }
}

impl CharBackend for PanicWatch {
    fn write(&self, bytes: &[u8]) -> usize {
        let taken = self.inner.write(bytes);
        self.listen(&bytes[..taken]);
        taken
    }

    fn attach(&self, guest: Arc<dyn CharSink>) {
        self.inner.attach(guest);
    }

    fn resume(&self) {
        self.inner.resume();
    }

    fn flush(&self) {
        self.inner.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Lost;

    impl CharBackend for Lost {
        fn write(&self, bytes: &[u8]) -> usize {
            bytes.len()
        }
        fn attach(&self, _: Arc<dyn CharSink>) {}
        fn resume(&self) {}
        fn flush(&self) {}
    }

    #[test]
    fn a_panic_is_heard_byte_by_byte() {
        let watch = PanicWatch::new(Arc::new(Lost));
        watch.write(b"[    1.0] Kernel panic - not ");
        assert!(!watch.seen());
        for byte in b"KKernel panic - not syncing: VFS" {
            watch.write(&[*byte]);
        }
        assert!(watch.seen());
        watch.write(b"\r\none\r\ntwo\r\n");
        assert_eq!(watch.last_lines(2), "one\ntwo");
    }
}
