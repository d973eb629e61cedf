use super::*;
use crate::testing::{deb_of, gzip, tar_of, xz};

fn saved(bytes: &[u8]) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    file
}

fn tree_of(bytes: &[u8]) -> Result<Tree> {
    let mut tree = Tree::new();
    unpack(saved(bytes).path(), &mut tree, &|_| true)?;
    Ok(tree)
}

#[test]
fn both_members_are_read() {
    let bytes = deb_of(
        &[("./control", b"Package: x\n"), ("./postinst", b"#!/bin/sh\n")],
        &tar_of(&[("./usr/bin/x", b"code")]),
    );
    let control = control(saved(&bytes).path()).unwrap();
    assert_eq!(control["control"], (0o644, b"Package: x\n".to_vec()));
    assert_eq!(control.len(), 2);
    assert_eq!(tree_of(&bytes).unwrap().get("usr/bin/x").unwrap().kind, Kind::File(b"code".to_vec()));
}

#[test]
fn links_and_devices_are_read() {
    let mut archive = tar::Builder::new(Vec::new());
    let mut add = |kind, path: &str, target: &str| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(0o640);
        header.set_size(0);
        header.set_device_major(5).unwrap();
        header.set_device_minor(1).unwrap();
        header.set_uid(7);
        header.set_gid(8);
        header.set_mtime(9);
        archive.append_link(&mut header, path, target).unwrap();
    };
    add(tar::EntryType::Symlink, "link", "/target");
    add(tar::EntryType::Link, "hard", "./usr/file");
    add(tar::EntryType::Char, "console", "-");
    let long = "d/".repeat(120) + "name";
    add(tar::EntryType::Fifo, &long, "-");
    let tree = tree_of(&deb_of(&[], &archive.into_inner().unwrap())).unwrap();
    let link = Node { kind: Kind::Symlink("/target".to_owned()), mode: 0o640, uid: 7, gid: 8, mtime: 9 };
    assert_eq!(tree.get("link"), Some(&link));
    assert_eq!(tree.get("hard").unwrap().kind, Kind::HardLink("usr/file".to_owned()));
    assert_eq!(tree.get("console").unwrap().kind, Kind::Char(5, 1));
    assert_eq!(tree.get(&long).unwrap().kind, Kind::Fifo);
}

#[test]
fn hostile_paths_are_refused() {
    for path in ["../../etc/passwd", "/etc/passwd", "./a/../../b"] {
        let error = tree_of(&deb_of(&[], &tar_of(&[(path, b"x")]))).unwrap_err();
        assert!(matches!(error, Error::Format { .. }), "{path}: {error}");
    }
}

#[test]
fn broken_packages_are_errors() {
    let good = deb_of(&[("./control", b"Package: x\n")], &tar_of(&[("./f", &[7; 4000])]));
    for cut in [0, 5, 8, 70, 100, good.len() / 2, good.len() - 40] {
        assert!(tree_of(&good[..cut]).is_err(), "cut at {cut}");
    }
    for at in (0..good.len()).step_by(3) {
        let mut bad = good.clone();
        bad[at] ^= 0x55;
        // Whatever comes out, it must come out.
        let _ = tree_of(&bad);
    }
}

#[test]
fn other_formats_are_refused() {
    let mut archive = ar::Builder::new(Vec::new());
    archive.append(&ar::Header::new(b"debian-binary".to_vec(), 4), &b"3.0\n"[..]).unwrap();
    let error = tree_of(&archive.into_inner().unwrap()).unwrap_err().to_string();
    assert!(error.contains("package format 3.0"), "{error}");
}

#[test]
fn members_of_every_compression_are_read() {
    let data = tar_of(&[("./f", b"text")]);
    let zstd =
        ruzstd::encoding::compress_to_vec(data.as_slice(), ruzstd::encoding::CompressionLevel::Fastest);
    for (name, bytes) in [
        ("data.tar", data.clone()),
        ("data.tar.gz", gzip(&data)),
        ("data.tar.xz", xz(&data)),
        ("data.tar.zst", zstd),
    ] {
        let mut archive = ar::Builder::new(Vec::new());
        archive.append(&ar::Header::new(b"debian-binary".to_vec(), 4), &b"2.0\n"[..]).unwrap();
        archive.append(&ar::Header::new(name.into(), bytes.len() as u64), bytes.as_slice()).unwrap();
        assert!(tree_of(&archive.into_inner().unwrap()).unwrap().get("f").is_some(), "{name}");
    }
}
