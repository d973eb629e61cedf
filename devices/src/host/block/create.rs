//! Making disk images.

use super::BlockError;
use imago::file::File as ImageFile;
use imago::qcow2::Qcow2;
use imago::{FormatCreateBuilder, Storage, StorageCreateOptions};
use std::io;
use std::path::Path;

/// How to make a qcow2 image.
#[derive(Clone, Debug, Default)]
pub struct CreateOptions {
    /// Size of the disk in bytes.
    pub size: u64,
    /// The image it is based on, as the image names it (relative to itself), and that image's format.
    pub backing: Option<(String, super::ImageFormat)>,
    /// Replace a file that exists.
    pub overwrite: bool,
}

/// Makes an empty file of `size` bytes, sparse where the host can.
pub fn create_raw(path: &Path, size: u64, overwrite: bool) -> Result<(), BlockError> {
    create_file(path, size, overwrite).map(drop).map_err(|source| failed(path, source))
}

/// Makes an empty qcow2 image (version 3, 64 KiB clusters).
pub fn create_qcow2(path: &Path, options: &CreateOptions) -> Result<(), BlockError> {
    let create = || -> io::Result<()> {
        let file = create_file(path, 0, options.overwrite)?;
        let mut builder = Qcow2::<ImageFile>::create_builder(file).size(options.size);
        if let Some((name, format)) = &options.backing {
            builder = builder.backing(name.clone(), format.name().into());
        }
        builder.create()
    };
    create().map_err(|source| failed(path, source))
}

fn create_file(path: &Path, size: u64, overwrite: bool) -> io::Result<ImageFile> {
    let options = StorageCreateOptions::new().filename(path).size(size).overwrite(overwrite);
    ImageFile::create_open(options)
}

fn failed(path: &Path, source: io::Error) -> BlockError {
    BlockError::Create { path: path.into(), source }
}
