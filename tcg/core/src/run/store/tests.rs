//! A store: what is kept, what is not taken.

use super::*;
use crate::host::TlbShape;
use std::os::unix::fs::PermissionsExt;

const KEY: Key = Key { at: 0x1000, mode: 3, begins: 0x13, tlb: TlbShape { entries: 4096, alone: true } };

fn piece(byte: u8) -> Piece {
    Piece { code: vec![byte; LEAST_NEW], ..Piece::default() }
}

fn stored(byte: u8, hot: bool) -> Stored {
    Stored { mode: KEY.mode, parts: vec![(0, 4)], guest: vec![byte; 4], insns: 1, hot, piece: piece(byte) }
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

fn open(folder: &Path) -> Store {
    Store::open(folder, "guest", "circumstances").expect("a store")
}

/// A folder with one file that holds one translation.
fn filled() -> (tempfile::TempDir, PathBuf) {
    let folder = folder();
    let store = open(folder.path());
    store.add(KEY, &stored(1, false));
    store.save().expect("room on the disk");
    let path = store.path.clone();
    (folder, path)
}

#[test]
fn what_is_saved_is_found() {
    let (folder, _) = filled();
    let store = open(folder.path());
    assert!(store.may_have(KEY));
    assert_eq!(store.find(KEY, |_| true), Some(stored(1, false)));
    assert_eq!(store.find(KEY, |_| false), None, "it does not fit");
    assert_eq!(store.find(Key { mode: 4, ..KEY }, |_| true), None);
    assert!(!store.may_have(Key { begins: 0x17, ..KEY }));
}

#[test]
fn the_next_run_adds_to_it() {
    let (folder, _) = filled();
    let store = open(folder.path());
    let other = Key { at: 0x2000, ..KEY };
    store.add(other, &stored(2, false));
    store.save().expect("room on the disk");
    let store = open(folder.path());
    assert_eq!(store.find(KEY, |_| true), Some(stored(1, false)));
    assert_eq!(store.find(other, |_| true), Some(stored(2, false)));
}

/// Adds `count` translations of their own, each in a run of its own.
fn add_by_runs(folder: &Path, count: u64) {
    for n in 0..count {
        let store = open(folder);
        store.add(Key { at: 0x3000 + n, ..KEY }, &stored(n as u8, false));
        store.save().expect("room on the disk");
    }
}

#[test]
fn what_a_run_adds_stands_behind_the_rest() {
    let (folder, path) = filled();
    let before = fs::read(&path).expect("it is there");
    add_by_runs(folder.path(), 1);
    let after = fs::read(&path).expect("it is there");
    assert!(after.starts_with(&before) && after.len() > before.len());
    // As if a run had been killed while it wrote, and the next one went on.
    fs::write(&path, &after[..after.len() - 1]).expect("it is ours");
    assert_eq!(open(folder.path()).find(KEY, |_| true), Some(stored(1, false)));
    assert_eq!(open(folder.path()).find(Key { at: 0x3000, ..KEY }, |_| true), None);
    add_by_runs(folder.path(), 1);
    assert_eq!(fs::read(&path).expect("it is there"), after);
}

#[test]
fn what_is_known_is_not_added() {
    let (folder, path) = filled();
    let before = fs::read(&path).expect("it is there");
    let store = open(folder.path());
    let other = Key { at: 0x2000, ..KEY };
    [KEY, other, other].iter().for_each(|key| store.add(*key, &stored(1, false)));
    store.save().expect("room on the disk");
    let entries = |path: &Path| {
        let file = StoreFile::open(path, &store.circumstances).expect("it is there");
        (file.chunks(), file.all().count())
    };
    assert_eq!(entries(&path), (2, 2));
    assert!(fs::read(&path).expect("it is there").starts_with(&before));
}

#[test]
fn nothing_is_added_if_all_is_known() {
    let (folder, path) = filled();
    let before = fs::read(&path).expect("it is there");
    let store = open(folder.path());
    store.add(KEY, &stored(1, false));
    store.save().expect("room on the disk");
    assert!(fs::read(&path).expect("it is there") == before);
}

#[test]
fn several_runs_add_at_once() {
    let (folder, path) = filled();
    let own = |n: u64| Key { at: 0x4000 + n, ..KEY };
    // What only one of them makes, and what all do.
    let run = |n: u64| {
        let store = open(folder.path());
        store.add(own(n), &stored(n as u8, false));
        store.add(own(100), &stored(100, false));
        store.save().expect("room on the disk");
    };
    std::thread::scope(|scope| {
        (0..8).for_each(|n| drop(scope.spawn(move || run(n))));
    });
    let store = open(folder.path());
    for n in (0..8).chain([100]) {
        assert_eq!(store.find(own(n), |_| true), Some(stored(n as u8, false)));
    }
    let file = StoreFile::open(&path, &store.circumstances).expect("it is there");
    assert_eq!((file.chunks(), file.all().count()), (9, 10));
}

#[test]
fn a_file_of_many_runs_is_written_anew() {
    let (folder, path) = filled();
    let runs = MOST_CHUNKS as u64 + 2;
    add_by_runs(folder.path(), runs);
    let store = open(folder.path());
    let file = StoreFile::open(&path, &store.circumstances).expect("it is there");
    assert!(file.chunks() < MOST_CHUNKS);
    assert_eq!(store.find(KEY, |_| true), Some(stored(1, false)));
    for n in 0..runs {
        assert_eq!(store.find(Key { at: 0x3000 + n, ..KEY }, |_| true), Some(stored(n as u8, false)));
    }
}

#[test]
fn hot_loops_are_preferred() {
    let (folder, _) = filled();
    let store = open(folder.path());
    store.add(KEY, &stored(1, true));
    store.save().expect("room on the disk");
    let store = open(folder.path());
    assert_eq!(store.find(KEY, |_| true), Some(stored(1, true)));
}

#[test]
fn little_is_not_written() {
    let (folder, path) = filled();
    let before = fs::metadata(&path).expect("it is there").len();
    let store = open(folder.path());
    let small = Stored { piece: Piece::default(), ..stored(2, false) };
    store.add(Key { at: 0x2000, ..KEY }, &small);
    store.save().expect("nothing to do");
    assert_eq!(fs::metadata(&path).expect("it is there").len(), before);
}

#[test]
fn other_circumstances_have_another_file() {
    let (folder, _) = filled();
    let store = Store::open(folder.path(), "guest", "others").expect("a store");
    assert!(!store.may_have(KEY));
}

#[test]
fn a_file_that_others_may_write_is_not_taken() {
    let (folder, path) = filled();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).expect("it is ours");
    assert!(!open(folder.path()).may_have(KEY));
}

#[test]
fn a_link_is_not_followed() {
    let (folder, path) = filled();
    let elsewhere = folder.path().join("elsewhere");
    fs::rename(&path, &elsewhere).expect("a rename");
    std::os::unix::fs::symlink(&elsewhere, &path).expect("a link");
    assert!(!open(folder.path()).may_have(KEY));
}

#[test]
fn damage_is_noticed() {
    let (folder, path) = filled();
    let whole = fs::read(&path).expect("it is there");
    // Every byte of head, index and the beginning of the translation, and some of the others.
    let places = (0..whole.len()).filter(|at| *at < 400 || at % 61 == 0);
    for at in places {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x41;
        fs::write(&path, &bytes).expect("it is ours");
        let found = open(folder.path()).find(KEY, |_| true);
        assert!(found.is_none() || found == Some(stored(1, false)), "byte {at}");
    }
    for len in (0..whole.len()).step_by(97) {
        fs::write(&path, &whole[..len]).expect("it is ours");
        assert_eq!(open(folder.path()).find(KEY, |_| true), None, "{len} bytes");
    }
}

#[test]
fn old_files_go() {
    let folder = folder();
    for n in 0..4 {
        let path = folder.path().join(format!("{n}.{}", file::SUFFIX));
        fs::write(&path, [0; 100]).expect("room on the disk");
        let time = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1000 - n);
        fs::File::options().write(true).open(&path).and_then(|f| f.set_modified(time)).expect("it is ours");
    }
    fs::write(folder.path().join("other"), [0; 1000]).expect("room on the disk");
    file::limit(folder.path(), 250).expect("a folder");
    let mut names: Vec<_> = fs::read_dir(folder.path())
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"))
        .collect();
    names.sort();
    assert_eq!(names, ["0.translations", "1.translations", "other"]);
}
