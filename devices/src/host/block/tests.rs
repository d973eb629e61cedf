//! Images written here and read by `qemu-img`, and the other way round.

use super::testing::TempDir;
use super::*;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};

const MIB: u64 = 1 << 20;

/// Runs `qemu-img` with `arguments`; `None` where it is not installed.
fn qemu_img(arguments: &[&str]) -> Option<String> {
    let output = Command::new("qemu-img").args(arguments).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "qemu-img {arguments:?}: {text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Some(text)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn open(path: &Path) -> Image {
    Image::open(path, ImageOptions::default()).unwrap()
}

fn read(image: &Image, offset: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0xee; len];
    image.read(offset, &mut bytes).unwrap();
    bytes
}

/// A qcow2 image without a backing file.
fn plain(dir: &TempDir, name: &str, size: u64) -> PathBuf {
    let path = dir.path(name);
    create_qcow2(&path, &CreateOptions { size, ..Default::default() }).unwrap();
    path
}

#[test]
fn qcow2_agrees_with_qemu_img() {
    let dir = TempDir::new();
    let path = plain(&dir, "a.qcow2", 64 * MIB);
    let image = open(&path);
    let mut expected = vec![0u8; 64 << 20];
    let mut random = 12345u64;
    for _ in 0..300 {
        random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        let offset = (random >> 20) % (63 << 20);
        let len = 1 + (random >> 50) as usize;
        let (at, end) = (offset as usize, offset as usize + len);
        match random >> 16 & 3 {
            0 => {
                image.write_zeroes(offset, len as u64, random & 0x100 != 0).unwrap();
                expected[at..end].fill(0);
            }
            _ => {
                image.write(offset, &vec![random as u8; len]).unwrap();
                expected[at..end].fill(random as u8);
            }
        }
        assert_eq!(read(&image, offset, len), expected[at..end]);
    }
    image.flush().unwrap();
    drop(image);
    let raw = dir.path("a.raw");
    if qemu_img(&["check", text(&path)]).is_some() {
        qemu_img(&["convert", "-O", "raw", text(&path), text(&raw)]);
        assert!(std::fs::read(&raw).unwrap() == expected, "qemu-img reads other data");
    }
}

#[test]
fn reads_compressed_images_with_backing_chains() {
    let dir = TempDir::new();
    let (base, middle, top) = (dir.path("base.raw"), dir.path("middle.qcow2"), dir.path("top.qcow2"));
    std::fs::write(&base, vec![1u8; 4 << 20]).unwrap();
    if qemu_img(&["convert", "-c", "-O", "qcow2", text(&base), text(&middle)]).is_none() {
        return;
    }
    let backing = Some(("middle.qcow2".to_string(), ImageFormat::Qcow2));
    create_qcow2(&top, &CreateOptions { size: 4 * MIB, backing, overwrite: false }).unwrap();
    let image = open(&top);
    image.write(MIB, &[2; 4096]).unwrap();
    assert_eq!(read(&image, MIB - 1, 4098), [&[1][..], &[2; 4096], &[1]].concat());
    drop(image);
    qemu_img(&["check", text(&top)]);
    let flat = dir.path("flat.raw");
    qemu_img(&["convert", "-O", "raw", text(&top), text(&flat)]);
    assert_eq!(std::fs::read(flat).unwrap()[MIB as usize..][..4096], [2; 4096]);
}

#[test]
fn discard_frees_space_of_raw_and_qcow2() {
    use std::os::unix::fs::MetadataExt;
    let dir = TempDir::new();
    let raw = dir.path("d.raw");
    create_raw(&raw, 8 * MIB, false).unwrap();
    let qcow2 = plain(&dir, "d.qcow2", 8 * MIB);
    for path in [raw, qcow2] {
        let image = open(&path);
        image.write(0, &vec![9; 4 << 20]).unwrap();
        image.flush().unwrap();
        let before = std::fs::metadata(&path).unwrap().blocks();
        image.discard(0, 4 * MIB).unwrap();
        image.flush().unwrap();
        let after = std::fs::metadata(&path).unwrap().blocks();
        assert!(after < before, "{}: {before} blocks, then {after}", path.display());
        image.write(0, &[7; 512]).unwrap();
        assert_eq!(read(&image, 0, 512), [7; 512]);
    }
}

#[test]
fn snapshots_leave_the_image_alone() {
    let dir = TempDir::new();
    let path = dir.path("s.raw");
    std::fs::write(&path, vec![3u8; 1 << 20]).unwrap();
    let image = Image::open(&path, ImageOptions { snapshot: true, ..Default::default() }).unwrap();
    assert!(!image.read_only());
    assert_eq!(image.capacity(), MIB);
    image.write(100, &[4; 1000]).unwrap();
    image.flush().unwrap();
    assert_eq!(read(&image, 99, 1002), [&[3][..], &[4; 1000], &[3]].concat());
    drop(image);
    assert_eq!(std::fs::read(&path).unwrap(), vec![3u8; 1 << 20]);
}

#[test]
fn direct_io_needs_no_alignment_of_the_caller() {
    let dir = TempDir::new();
    let path = plain(&dir, "direct.qcow2", MIB);
    let image = match Image::open(&path, ImageOptions { direct: true, ..Default::default() }) {
        Ok(image) => image,
        Err(error) => return assert!(error.to_string().contains("direct access"), "{error}"),
    };
    image.write(1000, &[5; 3000]).unwrap();
    assert_eq!(read(&image, 999, 3002), [&[0][..], &[5; 3000], &[0]].concat());
}

#[test]
fn bounds_and_permissions_are_kept() {
    let dir = TempDir::new();
    let path = dir.path("b.raw");
    create_raw(&path, MIB, false).unwrap();
    let image = Image::open(&path, ImageOptions { read_only: true, ..Default::default() }).unwrap();
    assert!(image.read_only());
    assert!(image.write(0, &[1]).is_err());
    assert!(image.discard(0, 512).is_err() || read(&image, 0, 1) == [0]);
    assert!(image.read(MIB - 1, &mut [0; 2]).is_err());
    assert!(image.read(u64::MAX, &mut [0; 2]).is_err());
    drop(image);
    let image = open(&path);
    assert!(image.write(MIB, &[1]).is_err());
    assert!(image.write(u64::MAX, &[1, 2]).is_err());
    assert!(image.write_zeroes(MIB, 1, false).is_err());
    assert!(image.discard(1, MIB).is_err());
}

#[test]
fn a_guessed_raw_image_cannot_become_a_qcow2_image() {
    let dir = TempDir::new();
    let path = dir.path("g.raw");
    create_raw(&path, MIB, false).unwrap();
    let image = open(&path);
    assert!(image.write(0, b"QFI\xfb and more").is_err());
    image.write(0, b"QFI").unwrap();
    assert!(image.write(3, b"\xfb").is_err());
    drop(image);
    let format = Some(ImageFormat::Raw);
    let image = Image::open(&path, ImageOptions { format, ..Default::default() }).unwrap();
    image.write(0, b"QFI\xfb").unwrap();
}

#[test]
fn locks_keep_a_second_writer_out_and_name_the_first() {
    let dir = TempDir::new();
    let path = plain(&dir, "l.qcow2", MIB);
    let writer = open(&path);
    let error = Image::open(&path, ImageOptions::default()).err().unwrap().to_string();
    assert!(
        error.contains("l.qcow2") && error.contains("given twice") && error.contains("\"write\""),
        "{error}"
    );
    let read_only = ImageOptions { read_only: true, ..Default::default() };
    let error = Image::open(&path, read_only.clone()).err().unwrap().to_string();
    assert!(error.contains("force-share=on"), "{error}");
    Image::open(&path, ImageOptions { locking: false, ..read_only.clone() }).unwrap();
    if let Ok(output) = Command::new("qemu-img").args(["info", text(&path)]).output() {
        assert!(!output.status.success(), "qemu-img sees our lock");
    }
    drop(writer);
    let _first = Image::open(&path, read_only.clone()).unwrap();
    let _second = Image::open(&path, read_only).unwrap();
}

#[test]
fn a_lock_of_another_program_is_named() {
    let dir = TempDir::new();
    let path = dir.path("n.raw");
    create_raw(&path, MIB, false).unwrap();
    let program = Command::new("qemu-io")
        .args(["-f", "raw", text(&path)])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut child) = program else { return };
    // Its prompt says that it has the image.
    child.stdout.as_mut().unwrap().read_exact(&mut [0; 7]).unwrap();
    let error = Image::open(&path, ImageOptions::default()).err().unwrap().to_string();
    let pid = child.id();
    drop(child.stdin.take());
    child.wait().unwrap();
    assert!(error.contains(&format!("process {pid} (qemu-io)")), "{error}");
}

#[test]
fn errors_name_the_file() {
    let dir = TempDir::new();
    let missing = dir.path("missing.img");
    let error = Image::open(&missing, ImageOptions::default()).err().unwrap().to_string();
    assert!(error.starts_with("cannot open disk image ") && error.contains("missing.img"), "{error}");
    let top = dir.path("top.qcow2");
    let backing = Some(("gone.raw".to_string(), ImageFormat::Raw));
    create_qcow2(&top, &CreateOptions { size: MIB, backing, overwrite: false }).unwrap();
    let error = Image::open(&top, ImageOptions::default()).err().unwrap().to_string();
    assert!(error.contains("top.qcow2") && error.contains("gone.raw"), "{error}");
    let error =
        create_qcow2(&top, &CreateOptions { size: MIB, ..Default::default() }).err().unwrap().to_string();
    assert!(error.contains("top.qcow2"), "{error}");
    let raw = dir.path("r.raw");
    create_raw(&raw, MIB, false).unwrap();
    let format = Some(ImageFormat::Qcow2);
    let error = Image::open(&raw, ImageOptions { format, ..Default::default() }).err().unwrap().to_string();
    assert!(error.contains("as a qcow2 image"), "{error}");
}

#[test]
fn an_image_based_on_a_pipe_is_refused() {
    let dir = TempDir::new();
    let made = Command::new("mkfifo").arg(dir.path("pipe")).status().unwrap();
    assert!(made.success());
    let top = dir.path("top.qcow2");
    let backing = Some(("pipe".to_string(), ImageFormat::Raw));
    create_qcow2(&top, &CreateOptions { size: MIB, backing, overwrite: false }).unwrap();
    // Opening the pipe would wait for somebody to write to it.
    let error = Image::open(&top, ImageOptions::default()).err().unwrap().to_string();
    assert!(error.contains("pipe") && error.contains("no file"), "{error}");
}

#[test]
fn a_backing_chain_that_leads_to_itself_is_refused() {
    let dir = TempDir::new();
    let path = dir.path("loop.qcow2");
    let backing = Some(("loop.qcow2".to_string(), ImageFormat::Qcow2));
    create_qcow2(&path, &CreateOptions { size: MIB, backing, overwrite: false }).unwrap();
    let options = ImageOptions { read_only: true, locking: false, ..Default::default() };
    let error = Image::open(&path, options).err().unwrap().to_string();
    assert!(error.contains("backing chain"), "{error}");
}

#[test]
fn damaged_images_are_errors() {
    let dir = TempDir::new();
    let path = plain(&dir, "x.qcow2", 4 * MIB);
    let image = open(&path);
    image.write(0, &vec![1; 1 << 20]).unwrap();
    drop(image);
    let good = std::fs::read(&path).unwrap();
    let mut random = 1u64;
    for _ in 0..1000 {
        let mut bytes = good.clone();
        for _ in 0..3 {
            random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            // The header, and the starts of the tables after it.
            let at = (random >> 33) % 0x60
                + [0, 0, 0x10000, 0x20000, 0x30000, 0x40000][(random >> 20) as usize % 6];
            if let Some(byte) = bytes.get_mut(at as usize) {
                *byte = random as u8;
            }
        }
        std::fs::write(&path, &bytes).unwrap();
        let Ok(image) = Image::open(&path, ImageOptions::default()) else { continue };
        let _ = image.read(0, &mut vec![0; 65536.min(image.capacity() as usize)]);
        let _ = image.write(MIB / 2, &[1; 512]);
        let _ = image.write(3 * MIB, &[1; 512]);
        let _ = image.flush();
    }
}
