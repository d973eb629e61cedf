use super::*;
use std::sync::Mutex;

/// One test at a time: what was changed is kept for the whole process.
static LOCK: Mutex<()> = Mutex::new(());

/// What is written at the end, after `output` in pieces of `n` bytes.
fn undone(output: &[u8], n: usize) -> String {
    let mut screen = Screen::default();
    output.chunks(n).for_each(|piece| screen.watch(piece));
    let written = std::cell::RefCell::new(Vec::new());
    undo(|sequence| written.borrow_mut().extend_from_slice(sequence));
    String::from_utf8(written.into_inner()).unwrap()
}

#[test]
fn what_is_left_changed_is_undone() {
    let _lock = LOCK.lock().unwrap();
    for n in [1, 2, 100] {
        assert_eq!(undone(b"plain text\r\n", n), "");
        assert_eq!(undone(b"\x1b[?7l", n), "\x1b[?7h");
        assert_eq!(undone(b"\x1b[?25l\x1b[?25h", n), "");
        assert_eq!(undone(b"\x1b[?1049h\x1b[?25;7lx", n), "\x1b[?1049l\x1b[?25h\x1b[?7h");
        assert_eq!(undone(b"\x1b[1;31mred", n), "\x1b[0m");
        assert_eq!(undone(b"\x1b[1;31mred\x1b[m", n), "");
        assert_eq!(undone(b"\x1b[31mred\x1b[0;0m", n), "");
        assert_eq!(undone(b"\x1b=\x1b[?1h", n), "\x1b[?1l\x1b>");
        assert_eq!(undone(b"\x1b[?1h\x1b[31m\x1bc", n), "");
        assert_eq!(undone(b"\x1b[25l\x1b[4;25h", n), "", "not private");
        assert_eq!(undone(b"\x1b[?2\x1b[?25l", n), "\x1b[?25h", "broken off");
    }
}

#[test]
fn any_output_is_watched() {
    let _lock = LOCK.lock().unwrap();
    let digits = [b"\x1b[?".as_slice(), &[b'9'; 5000], b"l"].concat();
    assert_eq!(undone(&digits, 100), "");
    let mut seed = 1u32;
    let bytes: Vec<u8> = (0..100_000)
        .map(|_| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            b"\x1b[?;:1hlm=c\xff"[(seed >> 16) as usize % 12]
        })
        .collect();
    undone(&bytes, 13);
}
