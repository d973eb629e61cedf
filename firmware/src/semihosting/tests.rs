use super::*;

/// A little memory, a console, and what was asked of the machine.
struct Little {
    memory: Vec<u8>,
    console: Vec<u8>,
    streams: Vec<Stream>,
    typed: Vec<u8>,
    ended: Option<u32>,
}

impl Memory for Little {
    fn read_memory(&mut self, addr: u64, bytes: &mut [u8]) -> bool {
        let from =
            usize::try_from(addr).ok().and_then(|at| self.memory.get(at..at.checked_add(bytes.len())?));
        from.map(|from| bytes.copy_from_slice(from)).is_some()
    }
    fn write_memory(&mut self, addr: u64, bytes: &[u8]) -> bool {
        let at = usize::try_from(addr).ok();
        let to = at.and_then(|at| self.memory.get_mut(at..at.checked_add(bytes.len())?));
        to.map(|to| to.copy_from_slice(bytes)).is_some()
    }
}

impl Platform for Little {
    fn console_write(&mut self, stream: Stream, bytes: &[u8]) {
        self.console.extend(bytes);
        self.streams.push(stream);
    }
    fn console_read(&mut self) -> Option<u8> {
        self.typed.pop()
    }
    fn exit(&mut self, status: u32) {
        self.ended = Some(status);
    }
    fn heap_and_stack(&self) -> [u64; 4] {
        [1, 2, 3, 4]
    }
    fn stack(&mut self) -> u64 {
        STACK
    }
}

const BLOCK: u64 = 0x100;
const TEXT: u64 = 0x200;
const DATA: u64 = 0x400;
const STACK: u64 = 0x800;

struct Guest {
    host: Semihosting,
    platform: Little,
}

impl Guest {
    fn new() -> Self {
        let platform = Little {
            memory: vec![0; 0x1000],
            console: Vec::new(),
            streams: Vec::new(),
            typed: b"k".to_vec(),
            ended: None,
        };
        Self { host: Semihosting::new("prog arg".into()), platform }
    }

    fn put(&mut self, addr: u64, bytes: &[u8]) {
        assert!(self.platform.write_memory(addr, bytes));
    }

    fn get(&mut self, addr: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        assert!(self.platform.read_memory(addr, &mut bytes));
        bytes
    }

    fn call(&mut self, number: u64, words: &[u64]) -> u64 {
        for (n, word) in words.iter().enumerate() {
            self.put(BLOCK + 8 * n as u64, &word.to_le_bytes());
        }
        self.host.call(&mut self.platform, number, BLOCK)
    }

    fn open(&mut self, name: &str, mode: u64) -> u64 {
        self.put(TEXT, name.as_bytes());
        self.call(op::OPEN, &[TEXT, mode, name.len() as u64])
    }
}

#[test]
fn files_are_written_read_and_removed() {
    let folder = tempfile::tempdir().expect("a folder");
    let (one, two) = (folder.path().join("one"), folder.path().join("two"));
    let name = one.to_str().expect("text");
    let mut guest = Guest::new();
    assert_eq!(guest.open(name, 0), FAILED);
    assert_eq!(guest.call(op::ERRNO, &[]), 2, "ENOENT");
    let handle = guest.open(name, 4);
    guest.put(DATA, b"hello world");
    assert_eq!(guest.call(op::WRITE, &[handle, DATA, 11]), 0);
    assert_eq!(guest.call(op::FLEN, &[handle]), 11);
    assert_eq!(guest.call(op::ISTTY, &[handle]), 0);
    assert_eq!(guest.call(op::CLOSE, &[handle]), 0);
    assert_eq!(guest.call(op::CLOSE, &[handle]), FAILED);
    let handle = guest.open(name, 1);
    assert_eq!(guest.call(op::SEEK, &[handle, 6]), 0);
    assert_eq!(guest.call(op::READ, &[handle, DATA + 64, 20]), 15);
    assert_eq!(guest.get(DATA + 64, 5), b"world");
    assert_eq!(guest.call(op::READ, &[handle, DATA, 20]), 20, "the end");
    assert_eq!(guest.call(op::WRITE, &[handle, DATA, 3]), 3, "it is open for reading");
    let (from, to) = (name.len() as u64, two.to_str().expect("text"));
    guest.put(TEXT + 0x100, to.as_bytes());
    assert_eq!(guest.call(op::RENAME, &[TEXT, from, TEXT + 0x100, to.len() as u64]), 0);
    assert!(two.exists() && !one.exists());
    assert_eq!(guest.call(op::REMOVE, &[TEXT + 0x100, to.len() as u64]), 0);
    assert!(!two.exists());
}

#[test]
fn the_console_and_the_rest() {
    let mut guest = Guest::new();
    let console = guest.open(":tt", 4);
    assert_eq!(guest.call(op::ISTTY, &[console]), 1);
    guest.put(DATA, b"abc\0");
    assert_eq!(guest.call(op::WRITE, &[console, DATA, 2]), 0);
    guest.host.call(&mut guest.platform, op::WRITE0, DATA);
    guest.host.call(&mut guest.platform, op::WRITEC, DATA);
    let errors = guest.open(":tt", 8);
    assert_eq!(guest.call(op::WRITE, &[errors, DATA, 1]), 0);
    assert_eq!(guest.platform.console, b"ababcaa");
    let streams = [Stream::Output, Stream::Debug, Stream::Debug, Stream::Error];
    assert_eq!(guest.platform.streams, streams);
    assert_eq!((guest.call(op::READC, &[]), guest.call(op::READC, &[])), (b'k'.into(), FAILED));
    let features = guest.open(":semihosting-features", 0);
    assert_eq!(guest.call(op::FLEN, &[features]), 5);
    assert_eq!(guest.call(op::READ, &[features, DATA, 5]), 0);
    assert_eq!(guest.get(DATA, 5), b"SHFB\x03");
    assert_eq!(guest.call(op::GET_CMDLINE, &[DATA, 64]), 0);
    assert_eq!((guest.get(DATA, 9), guest.get(BLOCK + 8, 1)), (b"prog arg\0".to_vec(), vec![8]));
    assert_eq!(guest.call(op::HEAPINFO, &[DATA]), 0);
    assert_eq!(guest.get(DATA + 24, 1), [4]);
    assert_eq!(guest.call(op::ISERROR, &[FAILED]), 1);
    assert_eq!(guest.call(op::TICKFREQ, &[]), TICKS);
    assert_eq!(guest.call(op::TMPNAM, &[DATA, 1, 4]), FAILED);
    assert_eq!((guest.call(op::SYSTEM, &[TEXT, 1]), guest.call(op::ERRNO, &[])), (FAILED, 38));
    assert_eq!(guest.call(0x77, &[]), FAILED);
    guest.call(op::EXIT, &[APPLICATION_EXIT, 7]);
    assert_eq!(guest.platform.ended, Some(7));
    guest.call(op::EXIT_EXTENDED, &[0x20023, 0]);
    assert_eq!(guest.platform.ended, Some(1));
}

#[test]
fn nothing_that_a_guest_says_is_trusted() {
    let mut guest = Guest::new();
    let mut debugger = Semihosting::with_debugger(String::new());
    let words = [0, 1, BLOCK, TEXT, 0xfff, u64::MAX, 1 << 63, LONGEST + 1];
    for number in 0..0x40 {
        for &a in &words {
            for &b in &words {
                // Names are no files: zeroes.
                guest.call(number, &[a, b, words[(a ^ b) as usize % 8], a]);
                guest.host.call(&mut guest.platform, number, b);
                for parameter in [BLOCK, b] {
                    if let Some(request) = debugger.request(&mut guest.platform, number, parameter) {
                        debugger.answered(&mut guest.platform, &request, Ok(a));
                    }
                }
            }
        }
    }
}

/// The requests are those of QEMU 10.0.2, but for the letter `x` that it puts behind the lengths of texts.
#[test]
fn a_debugger_is_asked_for_files_and_the_console() {
    let mut guest = Guest::new();
    guest.host = Semihosting::with_debugger("prog arg".into());
    let streams = [guest.open(":tt", 0), guest.open(":tt", 4), guest.open(":tt", 8)];
    assert_eq!(streams, [1, 2, 3]);
    guest.put(TEXT, b"abc");
    let mut ask = |number: u64, words: &[u64], answer: Result<u64, i32>| {
        for (n, word) in words.iter().enumerate() {
            guest.put(BLOCK + 8 * n as u64, &word.to_le_bytes());
        }
        let request = guest.host.request(&mut guest.platform, number, BLOCK).expect("it is the debugger's");
        if request.text.starts_with("fstat") {
            guest.put(STACK - 64 + 28, &1234u64.to_be_bytes());
        }
        let value = guest.host.answered(&mut guest.platform, &request, answer);
        (request.text, value)
    };
    let text = |what: &str, value: u64| (what.to_string(), value);
    assert_eq!(ask(op::OPEN, &[TEXT, 6, 3], Ok(7)), text("open,200/4,602,1a4", 4));
    assert_eq!(ask(op::OPEN, &[TEXT, 1, 3], Ok(8)), text("open,200/4,0,1a4", 5));
    assert_eq!(ask(op::OPEN, &[TEXT, 8, 3], Err(91)), text("open,200/4,209,1a4", FAILED));
    assert_eq!(ask(op::WRITE, &[3, DATA, 4], Ok(4)), text("write,2,400,4", 0));
    assert_eq!(ask(op::WRITE, &[4, DATA, 4], Err(9)), text("write,7,400,4", 4));
    assert_eq!(ask(op::READ, &[1, DATA, 4], Ok(1)), text("read,0,400,4", 3));
    assert_eq!(ask(op::READC, &[], Ok(1)), text("read,0,7ff,1", 0));
    assert_eq!(ask(op::READC, &[], Ok(0)), text("read,0,7ff,1", FAILED));
    assert_eq!(ask(op::ISTTY, &[2], Ok(1)), text("isatty,1", 1));
    assert_eq!(ask(op::SEEK, &[5, 16], Ok(16)), text("lseek,8,10,0", 0));
    assert_eq!(ask(op::FLEN, &[5], Ok(0)), text("fstat,8,7c0", 1234));
    assert_eq!(ask(op::REMOVE, &[TEXT, 4], Ok(0)), text("unlink,200/5", 0));
    assert_eq!(ask(op::RENAME, &[TEXT, 4, DATA, 2], Ok(0)), text("rename,200/5,400/3", 0));
    assert_eq!(ask(op::SYSTEM, &[TEXT, 5], Ok(3)), text("system,200/6", 3));
    assert_eq!(ask(op::CLOSE, &[4], Ok(0)), text("close,7", 0));
    assert_eq!(ask(op::OPEN, &[TEXT, 0, 3], Err(91)).1, FAILED);
    assert_eq!(guest.call(op::ERRNO, &[]), 36, "ENAMETOOLONG");
    // The rest is nobody else's.
    for number in [op::CLOCK, op::TIME, op::ERRNO, op::GET_CMDLINE, op::HEAPINFO, op::EXIT, op::ISERROR] {
        assert!(guest.host.request(&mut guest.platform, number, BLOCK).is_none(), "{number:#x}");
    }
    assert_eq!(guest.call(op::CLOSE, &[4]), FAILED, "it is closed");
    let features = guest.open(":semihosting-features", 0);
    assert_eq!(guest.call(op::FLEN, &[features]), 5);
}
