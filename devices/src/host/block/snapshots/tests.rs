//! Snapshots made here are checked and listed by `qemu-img`, its own are read here, and what comes back is what was there.

use super::*;
use crate::host::block::testing::TempDir;
use crate::host::block::{BlockBackend, CreateOptions, Image, ImageOptions, create_qcow2};
use std::path::Path;
use std::process::Command;

const MIB: u64 = 1 << 20;

/// Runs `qemu-img`; `None` where it is not installed.
fn qemu_img(arguments: &[&str], path: &Path) -> Option<String> {
    let output = Command::new("qemu-img").args(arguments).arg(path).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let fault = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "qemu-img {arguments:?}: {text}{fault}");
    Some(text)
}

fn check(path: &Path) {
    if let Some(text) = qemu_img(&["check"], path) {
        assert!(text.contains("No errors were found"), "{text}");
        assert!(!text.contains("leaked"), "{text}");
    }
}

fn open(path: &Path) -> Image {
    Image::open(path, ImageOptions::default()).unwrap()
}

struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 20) % limit
    }
}

/// Writes here and there, and notes it in `expected`.
fn scribble(image: &Image, expected: &mut [u8], random: &mut Random) {
    for _ in 0..20 {
        let len = 1 + random.below(200_000);
        let at = random.below(expected.len() as u64 - len);
        let range = at as usize..(at + len) as usize;
        if random.below(5) == 0 {
            // Version 2 has no clusters of zeroes.
            if image.write_zeroes(at, len, random.below(2) == 0).is_err() {
                image.write(at, &vec![0; len as usize]).unwrap();
            }
            expected[range].fill(0);
        } else {
            let bytes: Vec<u8> = (0..len).map(|n| (n as u8).wrapping_mul(random.0 as u8 | 1)).collect();
            image.write(at, &bytes).unwrap();
            expected[range].copy_from_slice(&bytes);
        }
    }
}

fn contents(image: &Image) -> Vec<u8> {
    let mut bytes = vec![0xee; image.capacity() as usize];
    image.read(0, &mut bytes).unwrap();
    bytes
}

/// Images of every geometry that `qemu-img` makes, or ours where it is not installed.
fn images(dir: &TempDir) -> Vec<std::path::PathBuf> {
    let options = [
        "cluster_size=64k",
        "cluster_size=512",
        "cluster_size=2M",
        "compat=0.10",
        "refcount_bits=64",
        "refcount_bits=8,cluster_size=4k",
        "refcount_bits=4",
    ];
    let make = |(n, options): (usize, &&str)| {
        let path = dir.path(&format!("{n}.qcow2"));
        let made = Command::new("qemu-img")
            .args(["create", "-q", "-f", "qcow2", "-o", options])
            .arg(&path)
            .arg("4M")
            .status();
        made.is_ok_and(|status| status.success()).then_some(path)
    };
    let made: Vec<_> = options.iter().enumerate().filter_map(make).collect();
    if !made.is_empty() {
        return made;
    }
    let path = dir.path("own.qcow2");
    create_qcow2(&path, &CreateOptions { size: 8 * MIB, ..Default::default() }).unwrap();
    vec![path]
}

/// A state with holes.
fn state(seed: u64) -> Vec<u8> {
    let mut state = vec![0; 3 * MIB as usize + 1234];
    state[..5000].fill(seed as u8);
    state[MIB as usize..][..70_000].fill(7);
    *state.last_mut().unwrap() = 9;
    state
}

fn write_state(writer: &mut StateWriter<'_>, state: &[u8]) {
    writer.restart(state.len() as u64).unwrap();
    for (n, chunk) in state.chunks(64 << 10).enumerate().filter(|(_, chunk)| chunk.iter().any(|b| *b != 0)) {
        writer.write(n as u64 * (64 << 10), chunk).unwrap();
    }
}

#[test]
fn disks_and_states_come_back() {
    let dir = TempDir::new();
    for path in images(&dir) {
        let mut random = Random(7);
        let image = open(&path);
        // In clusters of 2 MiB the state has no hole.
        let large = path.ends_with("2.qcow2");
        let mut expected = vec![0; image.capacity() as usize];
        let mut kept = Vec::new();
        for round in 0..4u64 {
            scribble(&image, &mut expected, &mut random);
            let name = format!("s{round}");
            image
                .with_snapshots(|snapshots| {
                    let mut writer = snapshots.state_writer();
                    // A state that is begun again leaves nothing behind.
                    write_state(&mut writer, &state(99));
                    write_state(&mut writer, &state(round));
                    writer.finish(&name, 1_790_000_000_123_456_789, 61_000_000_000)
                })
                .unwrap();
            assert_eq!(contents(&image), expected, "{path:?}: making one changes nothing");
            kept.push(expected.clone());
        }
        for round in [2usize, 0, 3, 1, 1] {
            scribble(&image, &mut expected, &mut random);
            let index = image
                .with_snapshots(|snapshots| {
                    let index = snapshots.find(&format!("s{round}")).unwrap();
                    let mut reader = snapshots.state_reader(index)?;
                    let mut read = vec![0xee; reader.size() as usize];
                    reader.read(0, &mut read)?;
                    assert!(read == state(round as u64), "{path:?}: the state of {round}");
                    assert!(large || reader.is_hole(2 * MIB + MIB / 2, 2 * MIB + MIB / 2 + 1)?);
                    snapshots.revert(index)?;
                    Ok(index)
                })
                .unwrap();
            assert_eq!(index, round);
            expected.clone_from(&kept[round]);
            assert!(contents(&image) == expected, "{path:?}: back to {round}");
        }
        drop(image);
        check(&path);
        if let Some(list) = qemu_img(&["snapshot", "-l"], &path) {
            let lines: Vec<&str> = list.lines().collect();
            assert_eq!(lines.len(), 6, "{list}");
            let words: Vec<&str> = lines[3].split_whitespace().collect();
            assert_eq!(words[..4], ["2", "s1", "3", "MiB"], "{list}");
            assert_eq!(words[6], "0000:01:01.000", "{list}");
        }
        let image = open(&path);
        for name in ["s2", "1", "s3", "s1"] {
            image
                .with_snapshots(|snapshots| {
                    let index = snapshots.find(name).unwrap();
                    snapshots.delete(index)
                })
                .unwrap();
            assert!(contents(&image) == expected, "{path:?}: {name} is gone");
        }
        assert_eq!(image.snapshots().unwrap(), []);
        scribble(&image, &mut expected, &mut random);
        assert!(contents(&image) == expected);
        drop(image);
        check(&path);
    }
}

#[test]
fn those_of_qemu_img_are_taken_up() {
    let dir = TempDir::new();
    let path = dir.path("a.qcow2");
    create_qcow2(&path, &CreateOptions { size: 8 * MIB, ..Default::default() }).unwrap();
    let mut random = Random(3);
    let mut expected = vec![0; 8 * MIB as usize];
    scribble(&open(&path), &mut expected, &mut random);
    if qemu_img(&["snapshot", "-c", "theirs"], &path).is_none() {
        return;
    }
    let kept = expected.clone();
    let image = open(&path);
    scribble(&image, &mut expected, &mut random);
    image.with_snapshots(|snapshots| snapshots.create("ours", 0, 0)).unwrap();
    let names: Vec<String> = image.snapshots().unwrap().into_iter().map(|info| info.name).collect();
    assert_eq!(names, ["theirs", "ours"]);
    image.with_snapshots(|snapshots| snapshots.revert(0)).unwrap();
    assert!(contents(&image) == kept);
    drop(image);
    check(&path);
    qemu_img(&["snapshot", "-a", "ours"], &path);
    qemu_img(&["snapshot", "-d", "theirs"], &path);
    assert!(contents(&open(&path)) == expected, "QEMU goes back to ours");
    check(&path);
}

#[test]
fn damaged_images_are_refused_and_counts_that_are_too_narrow() {
    let dir = TempDir::new();
    let path = dir.path("a.qcow2");
    create_qcow2(&path, &CreateOptions { size: 8 * MIB, ..Default::default() }).unwrap();
    let image = open(&path);
    scribble(&image, &mut vec![0; 8 * MIB as usize], &mut Random(5));
    image
        .with_snapshots(|snapshots| {
            let mut writer = snapshots.state_writer();
            write_state(&mut writer, &state(1));
            writer.finish("a", 0, 0)
        })
        .unwrap();
    drop(image);
    let good = std::fs::read(&path).unwrap();
    let mut random = Random(11);
    for _ in 0..150 {
        let mut bytes = good.clone();
        for _ in 0..=random.below(4) {
            // Mostly in tables: header, and whatever is not zero behind it.
            let at = if random.below(2) == 0 { random.below(104) } else { random.below(bytes.len() as u64) };
            bytes[at as usize] ^= 1 << random.below(8);
        }
        std::fs::write(&path, &bytes).unwrap();
        let file = std::fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
        let Ok(mut snapshots) = Snapshots::open(file) else { continue };
        // Whatever comes of it: no panic, no endless loop.
        for index in 0..snapshots.list().len().min(2) {
            if let Ok(mut reader) = snapshots.state_reader(index) {
                let size = reader.size().min(MIB);
                let _ = reader.read(0, &mut vec![0; size as usize]);
            }
            let _ = snapshots.revert(index);
        }
        let _ = snapshots.create("b", 0, 0);
        if !snapshots.list().is_empty() {
            let _ = snapshots.delete(0);
        }
    }
    let narrow = dir.path("narrow.qcow2");
    let made = Command::new("qemu-img")
        .args(["create", "-q", "-f", "qcow2", "-o", "refcount_bits=1"])
        .arg(&narrow)
        .arg("8M")
        .status();
    if made.is_ok_and(|status| status.success()) {
        let image = open(&narrow);
        image.write(0, &[1; 512]).unwrap();
        let refused = image.with_snapshots(|snapshots| snapshots.create("a", 0, 0)).unwrap_err();
        assert!(refused.to_string().contains("too narrow"), "{refused}");
    }
}
