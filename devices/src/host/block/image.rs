//! An image file behind [`BlockBackend`], in a format that `imago` knows.

use super::lock::{self, Use};
use super::{BlockBackend, BlockError, SnapshotInfo, Snapshots, qcow2_check};
use imago::file::File as ImageFile;
use imago::format::builder::FormatDriverBuilder;
use imago::format::gate::ImplicitOpenGate;
use imago::io_buffers::{IoVector, IoVectorMut};
use imago::qcow2::Qcow2;
use imago::raw::Raw;
use imago::{
    DenyImplicitOpenGate, FormatAccess, FormatCreateBuilder, Mapping, StorageExt, StorageOpenOptions,
};
use parking_lot::RwLock;
use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, FileTypeExt, OpenOptionsExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// Images in one backing chain, at most. A chain that leads back to itself is longer.
const MAX_CHAIN: u32 = 64;

/// How the bytes of a disk are laid out in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageFormat {
    /// Byte for byte.
    Raw,
    /// QEMU's copy-on-write format, version 2 or 3.
    Qcow2,
}

impl ImageFormat {
    /// The format's name in options.
    pub fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Qcow2 => "qcow2",
        }
    }

    /// The format called `name`.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Raw, Self::Qcow2].into_iter().find(|format| format.name() == name)
    }
}

/// How to open an image; the default is what `-drive file=` does.
#[derive(Clone, Debug)]
pub struct ImageOptions {
    /// The format; `None` looks at the first bytes.
    pub format: Option<ImageFormat>,
    /// Refuse writes.
    pub read_only: bool,
    /// Keep all writes in a temporary file that goes away with the image.
    pub snapshot: bool,
    /// Go around the host's page cache (`cache.direct`).
    pub direct: bool,
    /// Ignore flushes (`cache.no-flush`).
    pub no_flush: bool,
    /// Give discarded ranges back to the host (`discard=unmap`).
    pub discard: bool,
    /// Take locks (`locking=`; off for `force-share=on`).
    pub locking: bool,
}

impl Default for ImageOptions {
    fn default() -> Self {
        Self {
            format: None,
            read_only: false,
            snapshot: false,
            direct: false,
            no_flush: false,
            discard: true,
            locking: true,
        }
    }
}

/// An open disk image. Dropping it writes cached metadata back.
pub struct Image {
    /// Discarding needs to be alone: others may be using the mapping that it changes.
    access: RwLock<FormatAccess<ImageFile>>,
    /// The file once more, with its lock, to open the image anew.
    file: File,
    path: PathBuf,
    format: ImageFormat,
    options: ImageOptions,
    /// The format was guessed to be raw: the guest must not turn the image into another format, which the next
    /// start would open, with whatever backing file the guest names.
    guard_magic: bool,
}

impl Image {
    /// Opens the image at `path` and the images that it is based on.
    pub fn open(path: &Path, options: ImageOptions) -> Result<Self, BlockError> {
        let writable = !options.read_only && !options.snapshot;
        let file = open_file(path, writable, &options)?;
        let probed = options.format.is_none();
        let format = match options.format {
            Some(format) => format,
            None => probe(&file).map_err(|source| BlockError::Open { path: path.into(), source })?,
        };
        let failed = |source| BlockError::Format { path: path.into(), format: format.name(), source };
        let again = file.try_clone().map_err(|source| BlockError::Open { path: path.into(), source })?;
        let mut access = open_format(file, path, format, writable, &options).map_err(failed)?;
        if options.snapshot && !options.read_only {
            access =
                overlay(access).map_err(|source| BlockError::Create { path: temporary_folder(), source })?;
        }
        let guard_magic = probed && format == ImageFormat::Raw && writable;
        let access = RwLock::new(access);
        Ok(Self { access, file: again, path: path.into(), format, options, guard_magic })
    }

    /// The format.
    pub fn format(&self) -> ImageFormat {
        self.format
    }

    /// Whether the image is a qcow2 file that is written to, so that it can have snapshots; else what is in the way.
    pub fn takes_snapshots(&self) -> Result<(), &'static str> {
        match self.format {
            _ if self.options.snapshot => Err("its writes are kept in a temporary file (snapshot=on)"),
            _ if self.options.read_only => Err("it is read-only"),
            ImageFormat::Raw => Err("it is a raw image"),
            ImageFormat::Qcow2 => Ok(()),
        }
    }

    /// Looks at the snapshots of the image, or changes them. Nobody else uses the disk meanwhile.
    pub fn with_snapshots<T>(&self, f: impl FnOnce(&mut Snapshots) -> io::Result<T>) -> io::Result<T> {
        self.takes_snapshots().map_err(io::Error::other)?;
        let mut access = self.access.write();
        self.guarded(|| {
            access.flush()?;
            access.sync()
        })?;
        // What is known of its tables goes.
        *access = placeholder()?;
        let own = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        let file = OpenOptions::new().read(true).write(true).open(own);
        let result = file.and_then(Snapshots::open).and_then(|mut snapshots| f(&mut snapshots));
        *access = open_format(self.file.try_clone()?, &self.path, self.format, true, &self.options)?;
        result
    }

    /// Looks at the snapshots of the image, and changes nothing.
    pub fn look_at_snapshots<T>(&self, f: impl FnOnce(&Snapshots) -> io::Result<T>) -> io::Result<T> {
        let _nobody_changes_them = self.access.read();
        f(&Snapshots::open(buffered(&self.file)?)?)
    }

    /// The snapshots of the image; none where it can have none.
    pub fn snapshots(&self) -> io::Result<Vec<SnapshotInfo>> {
        match self.format {
            ImageFormat::Raw => Ok(Vec::new()),
            ImageFormat::Qcow2 => self.look_at_snapshots(|snapshots| Ok(snapshots.list())),
        }
    }

    /// The bytes of the disk that may be other than zero, for a copy: calls `piece` with offsets and lengths.
    pub fn data(&self, mut piece: impl FnMut(u64, u64) -> io::Result<()>) -> io::Result<()> {
        let size = self.capacity();
        let mut offset = 0;
        while offset < size {
            let (zero, length) = {
                let access = self.access.read();
                let mapped = self.guarded(|| access.get_mapping(offset, size - offset))?;
                (matches!(mapped.0, Mapping::Zero { .. }), mapped.1)
            };
            if length == 0 {
                return Ok(());
            }
            if !zero {
                piece(offset, length)?;
            }
            offset += length;
        }
        Ok(())
    }

    /// Runs `operation`, and turns a panic over a damaged image into an error.
    fn guarded<T>(&self, operation: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        catch_unwind(AssertUnwindSafe(operation))
            .unwrap_or_else(|_| Err(io::Error::other("the image format driver failed")))
    }
}

impl BlockBackend for Image {
    fn capacity(&self) -> u64 {
        self.access.read().size()
    }

    fn read_only(&self) -> bool {
        self.options.read_only
    }

    fn read(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let access = self.access.read();
        if offset.checked_add(buffer.len() as u64).is_none_or(|end| end > access.size()) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.guarded(|| access.readv(IoVectorMut::from(vec![IoSliceMut::new(buffer)]), offset))
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        if self.guard_magic && offset < 4 {
            let mut start = [0; 4];
            self.read(0, &mut start)?;
            let at = offset as usize;
            let n = bytes.len().min(4 - at);
            start[at..at + n].copy_from_slice(&bytes[..n]);
            if start == QCOW2_MAGIC {
                return Err(io::ErrorKind::PermissionDenied.into());
            }
        }
        let access = self.access.read();
        self.guarded(|| access.writev(IoVector::from(vec![IoSlice::new(bytes)]), offset))
    }

    fn flush(&self) -> io::Result<()> {
        if self.options.no_flush || self.options.read_only {
            return Ok(());
        }
        let access = self.access.read();
        self.guarded(|| {
            access.flush()?;
            access.sync()
        })
    }

    fn discard(&self, offset: u64, len: u64) -> io::Result<()> {
        if !self.options.discard {
            return Ok(());
        }
        let mut access = self.access.write();
        let result = self.guarded(|| {
            give_back(&access, offset, len)?;
            access.discard_to_any(offset, len)
        });
        match result {
            Err(error) if error.kind() == io::ErrorKind::Unsupported => Ok(()),
            result => result,
        }
    }

    fn write_zeroes(&self, offset: u64, len: u64, unmap: bool) -> io::Result<()> {
        if unmap && self.options.discard {
            let mut access = self.access.write();
            self.guarded(|| {
                give_back(&access, offset, len)?;
                access.discard_to_zero(offset, len)
            })
        } else {
            let access = self.access.read();
            self.guarded(|| access.write_zeroes(offset, len))
        }
    }
}

/// Punches what holds the range out of the file: `imago` itself only marks clusters of a qcow2 file as free. What
/// the range reads as does not matter any more, so the order towards the metadata does not either.
fn give_back(access: &FormatAccess<ImageFile>, mut offset: u64, len: u64) -> io::Result<()> {
    let end =
        offset.checked_add(len).filter(|end| *end <= access.size()).ok_or(io::ErrorKind::UnexpectedEof)?;
    while offset < end {
        let (mapping, length) = access.get_mapping(offset, end - offset)?;
        if length == 0 {
            break;
        }
        if let Mapping::Raw { storage, offset, writable: true, .. } = mapping {
            storage.discard(offset, length)?;
        }
        offset += length;
    }
    Ok(())
}

const QCOW2_MAGIC: [u8; 4] = *b"QFI\xfb";

fn probe(file: &File) -> io::Result<ImageFormat> {
    let mut magic = [0; 4];
    let read = buffered(file)?.read_at(&mut magic, 0)?;
    Ok(if read == 4 && magic == QCOW2_MAGIC { ImageFormat::Qcow2 } else { ImageFormat::Raw })
}

/// The same file for a look at some bytes of it: direct access would need an aligned buffer.
fn buffered(file: &File) -> io::Result<File> {
    File::open(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

/// Opens and locks one file of a chain.
fn open_file(path: &Path, writable: bool, options: &ImageOptions) -> Result<File, BlockError> {
    let flags = if options.direct { libc::O_DIRECT } else { 0 };
    let file = OpenOptions::new()
        .read(true)
        .write(writable)
        .custom_flags(flags)
        .open(path)
        .map_err(|source| BlockError::Open { path: path.into(), source: explain(source, options) })?;
    if options.locking {
        lock::acquire(&file, path, if writable { Use::Write } else { Use::Read })?;
    }
    Ok(file)
}

/// Says what an error of the host is likely to mean.
fn explain(error: io::Error, options: &ImageOptions) -> io::Error {
    match error.raw_os_error() {
        Some(libc::EINVAL) if options.direct => {
            io::Error::other("its file system knows no direct access (cache=none, cache.direct=on)")
        }
        _ => error,
    }
}

fn storage(file: File, path: &Path, writable: bool, direct: bool) -> io::Result<ImageFile> {
    // An absolute name, for the sake of names relative to it.
    let path = std::path::absolute(path)?;
    ImageFile::from_open_file(file, StorageOpenOptions::new().filename(path).write(writable).direct(direct))
}

fn open_format(
    file: File,
    path: &Path,
    format: ImageFormat,
    writable: bool,
    options: &ImageOptions,
) -> io::Result<FormatAccess<ImageFile>> {
    if writable && format == ImageFormat::Qcow2 {
        qcow2_check::check(&buffered(&file)?)?;
    }
    let storage = storage(file, path, writable, options.direct)?;
    let chain = Chain { options: options.clone(), depth: 0 };
    let open = || match format {
        ImageFormat::Raw => Ok(FormatAccess::new(Raw::builder(storage).write(writable).open(chain)?)),
        ImageFormat::Qcow2 => {
            Ok(FormatAccess::new(Qcow2::<ImageFile>::builder(storage).write(writable).open(chain)?))
        }
    };
    catch_unwind(AssertUnwindSafe(open)).unwrap_or_else(|_| Err(io::Error::other("the image is damaged")))
}

/// Opens the files that an image names: its backing chain and its external data file.
struct Chain {
    options: ImageOptions,
    depth: u32,
}

impl ImplicitOpenGate<ImageFile> for Chain {
    fn open_format<F: FormatDriverBuilder<ImageFile>>(
        &mut self,
        builder: F,
    ) -> io::Result<FormatAccess<ImageFile>> {
        let depth = self.depth + 1;
        if depth > MAX_CHAIN {
            return Err(io::Error::other(format!("its backing chain is longer than {MAX_CHAIN} images")));
        }
        Ok(FormatAccess::new(builder.open(Chain { options: self.options.clone(), depth })?))
    }

    fn open_storage(&mut self, wanted: StorageOpenOptions) -> io::Result<ImageFile> {
        let path =
            wanted.get_filename().ok_or_else(|| io::Error::other("a part of the image has no name"))?;
        // An image may name anything: opening a pipe would wait for ever, and opening a device may do something.
        let kind = std::fs::metadata(path).map(|data| data.file_type());
        if kind.is_ok_and(|kind| !(kind.is_file() || kind.is_block_device())) {
            let what = format!("{}, which it names, is no file and no block device", path.display());
            return Err(io::Error::other(what));
        }
        let writable = wanted.get_writable() && !self.options.read_only && !self.options.snapshot;
        let file = open_file(path, writable, &self.options).map_err(io::Error::other)?;
        storage(file, path, writable, self.options.direct)
    }
}

/// An image without a byte.
fn placeholder() -> io::Result<FormatAccess<ImageFile>> {
    let empty = ImageFile::try_from(base::anonymous_file(0).map_err(io::Error::other)?)?;
    Ok(FormatAccess::new(Raw::builder(empty).open(DenyImplicitOpenGate::default())?))
}

fn temporary_folder() -> PathBuf {
    std::env::var_os("TMPDIR").map_or_else(|| "/var/tmp".into(), PathBuf::from)
}

/// A temporary file without a name.
pub(super) fn nameless_file() -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_TMPFILE)
        .mode(0o600)
        .open(temporary_folder())
}

/// Puts an empty image on top of `base`, in a file without a name.
fn overlay(base: FormatAccess<ImageFile>) -> io::Result<FormatAccess<ImageFile>> {
    let storage = ImageFile::try_from(nameless_file()?)?;
    let size = base.size();
    let overlay = Qcow2::<ImageFile>::create_builder(storage)
        .size(size)
        .create_open(DenyImplicitOpenGate::default(), |storage| {
            Ok(Qcow2::<ImageFile>::builder(storage).write(true).backing(Some(base)))
        })?;
    Ok(FormatAccess::new(overlay))
}
