//! Disk images: hostile qcow2 files, with whatever backing and data files they name, under a guest's requests.

use arbitrary::{Arbitrary, Unstructured};
use devices::host::block::{BlockBackend, Image, ImageFormat, ImageOptions, Snapshots};
use std::fs;
use std::io;
use std::path::Path;
use tempfile::TempDir;

/// Requests, at most.
const REQUESTS: u8 = 16;
/// Bytes of one request that moves data, at most.
const MOVED: usize = 128 << 10;
/// Bytes of one request that moves none, at most.
const RANGE: u64 = 1 << 20;
/// Files that an image can name.
const OTHERS: [(&str, usize); 2] = [("base", 8 << 10), ("data", 4 << 10)];

#[derive(Arbitrary, Debug)]
struct Options {
    qcow2: bool,
    read_only: bool,
    snapshot: bool,
    discard: bool,
    locking: bool,
    requests: u8,
}

#[derive(Arbitrary, Debug)]
enum Request {
    Read { at: u32, len: u32 },
    Write { at: u32, len: u32, fill: u8 },
    Flush,
    Discard { at: u32, len: u32 },
    WriteZeroes { at: u32, len: u32, unmap: bool },
    Snapshot(Snapshot),
}

#[derive(Arbitrary, Debug)]
enum Snapshot {
    Create { state: u16 },
    Read { index: u8 },
    Revert { index: u8 },
    Delete { index: u8 },
}

thread_local! {
    static FOLDER: TempDir = TempDir::new().expect("a folder for temporary files");
}

/// Takes `data` as options, requests and an image file, which is opened and used as the options and requests say.
pub fn qcow2(data: &[u8]) {
    let mut input = Unstructured::new(data);
    let Ok(options) = input.arbitrary::<Options>() else { return };
    let requests: Result<Vec<Request>, _> =
        (0..options.requests % (REQUESTS + 1)).map(|_| input.arbitrary()).collect();
    let Ok(requests) = requests else { return };
    // Names in the image stay in the folder: an image may name any file of this machine, to be read and written.
    let image: Vec<u8> = input.take_rest().iter().map(|b| if *b == b'/' { b'.' } else { *b }).collect();
    FOLDER.with(|folder| open_and_use(folder.path(), &image, &options, &requests));
}

fn open_and_use(folder: &Path, image: &[u8], options: &Options, requests: &[Request]) {
    let path = folder.join("image");
    fs::write(&path, image).expect("the temporary file can be written");
    for (name, size) in OTHERS {
        fs::write(folder.join(name), vec![0x5a; size]).expect("the temporary file can be written");
    }
    let options = ImageOptions {
        format: options.qcow2.then_some(ImageFormat::Qcow2),
        read_only: options.read_only,
        snapshot: options.snapshot,
        discard: options.discard,
        locking: options.locking,
        ..ImageOptions::default()
    };
    let read_only = options.read_only;
    let Ok(disk) = Image::open(&path, options) else { return };
    for request in requests {
        serve(&disk, request);
    }
    drop(disk);
    if read_only {
        assert_eq!(fs::read(&path).expect("it is still there"), image, "nothing was written");
    }
    let base = fs::read(folder.join("base")).expect("it is still there");
    assert!(base.iter().all(|b| *b == 0x5a) || image.windows(4).any(|w| w == b"base"));
}

/// A place in the disk: small numbers are offsets, others a share of the capacity.
fn offset(disk: &Image, at: u32) -> u64 {
    match at {
        0..0x100_0000 => at.into(),
        _ => ((u128::from(at) * u128::from(disk.capacity())) >> 32) as u64,
    }
}

fn serve(disk: &Image, request: &Request) {
    // Whether a damaged image serves a request is its own affair.
    match *request {
        Request::Read { at, len } => {
            let mut buffer = vec![0; len as usize % MOVED];
            let offset = offset(disk, at);
            let end = offset.checked_add(buffer.len() as u64);
            let fits = end.is_some_and(|end| end <= disk.capacity());
            let read = disk.read(offset, &mut buffer);
            assert!(fits || read.is_err(), "there is nothing behind the end");
        }
        Request::Write { at, len, fill } => {
            let bytes = vec![fill; len as usize % MOVED];
            let written = disk.write(offset(disk, at), &bytes);
            assert!(!disk.read_only() || written.is_err() || bytes.is_empty());
        }
        Request::Flush => drop(disk.flush()),
        Request::Discard { at, len } => drop(disk.discard(offset(disk, at), u64::from(len) % RANGE)),
        Request::WriteZeroes { at, len, unmap } => {
            drop(disk.write_zeroes(offset(disk, at), u64::from(len) % RANGE, unmap));
        }
        Request::Snapshot(ref request) => {
            let done = disk.with_snapshots(|snapshots| snapshot(snapshots, request));
            assert!(!disk.read_only() || done.is_err());
        }
    }
}

fn snapshot(snapshots: &mut Snapshots, request: &Snapshot) -> io::Result<()> {
    let known = snapshots.list().len();
    let index = |index: u8| usize::from(index).checked_rem(known).ok_or(io::ErrorKind::NotFound);
    match *request {
        Snapshot::Create { state } => {
            let mut writer = snapshots.state_writer();
            writer.restart(state.into())?;
            writer.write(0, &vec![1; usize::from(state)])?;
            writer.finish("s", 0, 0)
        }
        Snapshot::Read { index: n } => {
            let mut reader = snapshots.state_reader(index(n)?)?;
            let size = reader.size().min(RANGE) as usize;
            reader.read(0, &mut vec![0; size])
        }
        Snapshot::Revert { index: n } => snapshots.revert(index(n)?),
        Snapshot::Delete { index: n } => snapshots.delete(index(n)?),
    }
}
