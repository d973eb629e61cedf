use super::super::test_support::{LIMIT, Recorder, assert_sleeps};
use super::super::{CharEvent, CharLog};
use super::*;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

fn write_file(path: &Path, append: bool, bytes: &[u8]) {
    let port = open(&CharKind::File { path: path.into(), append }.into(), "serial0").unwrap();
    assert_eq!(port.write(bytes), bytes.len());
    port.flush();
}

fn make_fifo(path: &Path) {
    let name = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
    // SAFETY: the name is NUL-terminated.
    assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
}

fn read(file: &mut File, n: usize) -> Vec<u8> {
    let (mut bytes, until) = (vec![0; n], Instant::now() + LIMIT);
    let mut have = 0;
    while have < n {
        assert!(Instant::now() < until, "only {have} of {n} bytes");
        match file.read(&mut bytes[have..]) {
            Ok(more) => have += more,
            Err(e) => assert_eq!(e.kind(), ErrorKind::WouldBlock),
        }
        thread::sleep(Duration::from_millis(1));
    }
    bytes
}

fn open_tty(path: &Path) -> File {
    File::options().read(true).write(true).custom_flags(libc::O_NOCTTY | libc::O_NONBLOCK).open(path).unwrap()
}

#[test]
fn a_file_is_truncated_or_appended_to() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out");
    write_file(&path, false, b"first");
    write_file(&path, true, b" second");
    assert_eq!(std::fs::read(&path).unwrap(), b"first second");
    write_file(&path, false, b"third");
    assert_eq!(std::fs::read(&path).unwrap(), b"third");
}

#[test]
fn a_file_that_cannot_be_made_is_named() {
    let path = PathBuf::from("/nonexistent/dir/out");
    let error = open(&CharKind::File { path, append: false }.into(), "serial0").err().unwrap().to_string();
    assert!(error.contains("serial0") && error.contains("'/nonexistent/dir/out'"), "{error}");
}

#[test]
fn a_file_may_be_an_inherited_pipe() {
    let (mut reader, writer) = io::pipe().unwrap();
    let path = PathBuf::from(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&writer)));
    write_file(&path, false, b"console");
    let mut bytes = [0; 7];
    reader.read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"console");
}

#[test]
fn null_takes_everything_and_is_open() {
    let port = open(&CharKind::Null.into(), "serial0").unwrap();
    let guest = Recorder::new();
    port.attach(guest.clone());
    guest.expect_event(CharEvent::Opened, 1);
    assert_eq!(port.write(&[0; 1 << 20]), 1 << 20);
}

#[test]
fn a_log_of_null_is_appended_to() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    for (append, text, all) in [(false, "a", "a"), (true, "b", "ab"), (false, "c", "c")] {
        let log = Some(CharLog { path: path.clone(), append });
        let port = open(&CharConfig { kind: CharKind::Null, log }, "serial0").unwrap();
        port.write(text.as_bytes());
        port.flush();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), all);
    }
}

#[test]
fn two_fifos_or_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("fifo");
    let error = open(&CharKind::Pipe { path: path.clone() }.into(), "serial0").err().unwrap().to_string();
    assert!(error.contains("mkfifo"), "{error}");

    let (input, output) = (dir.path().join("fifo.in"), dir.path().join("fifo.out"));
    make_fifo(&input);
    make_fifo(&output);
    let port = open(&CharKind::Pipe { path }.into(), "serial0").unwrap();
    let guest = Recorder::new();
    port.attach(guest.clone());
    port.write(b"out");
    assert_eq!(read(&mut File::open(&output).unwrap(), 3), b"out");
    for n in 1..=2 {
        File::options().write(true).open(&input).unwrap().write_all(b"in").unwrap();
        guest.expect(&b"inin"[..2 * n]);
    }
}

#[test]
fn a_pty_comes_and_goes() {
    let port = Port::start("test", Box::new(pty::open().unwrap()), None, None).unwrap();
    let path = port.path().unwrap();
    let guest = Recorder::new();
    port.attach(guest.clone());
    assert_eq!(port.write(&[b'x'; 1 << 20]), 1 << 20, "nobody listens");
    for n in 1..=2 {
        let mut terminal = open_tty(&path);
        guest.expect_event(CharEvent::Opened, n);
        port.write(b"login: \r\n");
        assert_eq!(read(&mut terminal, 9), b"login: \r\n");
        terminal.write_all(b"\x03root\r").unwrap();
        guest.expect(&b"\x03root\r\x03root\r"[..6 * n]);
        drop(terminal);
        guest.expect_event(CharEvent::Closed, n);
    }
}

#[test]
fn a_pty_whose_terminal_does_not_read_holds_the_guest_back() {
    let port = Port::start("test", Box::new(pty::open().unwrap()), None, None).unwrap();
    let path = port.path().unwrap();
    let guest = Recorder::new();
    port.attach(guest.clone());
    let mut terminal = open_tty(&path);
    guest.expect_event(CharEvent::Opened, 1);
    let mut sent = 0;
    loop {
        let n = port.write(&[b'x'; 4096]);
        sent += n;
        if n < 4096 {
            break;
        }
    }
    assert_eq!(read(&mut terminal, sent), vec![b'x'; sent]);
    guest.expect_event(CharEvent::Writable, 1);
}

#[test]
fn what_was_typed_into_a_pty_before_it_was_closed_arrives() {
    let port = Port::start("test", Box::new(pty::open().unwrap()), None, None).unwrap();
    let path = port.path().unwrap();
    let guest = Recorder::new();
    open_tty(&path).write_all(b"quick").unwrap();
    port.attach(guest.clone());
    guest.expect(b"quick");
}

#[test]
fn a_pty_waits_without_work_whatever_its_terminal_does() {
    let port = Port::start("pty", Box::new(pty::open().unwrap()), None, None).unwrap();
    let path = port.path().unwrap();
    assert_sleeps("pty");
    let guest = Recorder::with_room(0);
    port.attach(guest.clone());
    let mut terminal = open_tty(&path);
    terminal.write_all(b"unread").unwrap();
    guest.expect_event(CharEvent::Opened, 1);
    while port.write(&[b'x'; 4096]) > 0 {}
    assert_sleeps("pty");
    drop(terminal);
    assert_sleeps("pty");
    while port.write(&[b'x'; 4096]) > 0 && guest.events().len() < 2 {}
    assert_sleeps("pty");
    guest.add_room(100);
    port.resume();
    guest.expect(b"unread");
    assert_sleeps("pty");
}
