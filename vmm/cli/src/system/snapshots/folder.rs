//! The folder of `-snapshot-dir`.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base::RamImage;
use control::SnapshotInfo;
use devices::host::block::{BlockBackend, Image};
use engine::snapshot::SnapshotError;
use engine::snapshot::file::{Header, Output, PlainFile, mapped};

const STATE: &str = "state";
/// Bytes of a disk that are copied at a time.
const PIECE: u64 = 1 << 20;

/// Whether a name can be that of a file, and of a snapshot.
pub fn is_tag(tag: &str) -> bool {
    (1..=200).contains(&tag.len()) && !tag.contains('/') && !tag.starts_with('.') && !tag.contains('\0')
}

/// A folder with snapshots.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new(path: &str) -> Self {
        Self(path.into())
    }

    fn state(&self, tag: &str) -> PathBuf {
        self.0.join(format!("{tag}.{STATE}"))
    }

    fn disk(&self, tag: &str, node: &str) -> PathBuf {
        self.0.join(format!("{tag}.{}.raw", node.trim_start_matches('#').replace('/', "_")))
    }

    pub fn has(&self, tag: &str) -> bool {
        self.state(tag).exists()
    }

    pub fn has_disk(&self, tag: &str, node: &str) -> bool {
        self.disk(tag, node).exists()
    }

    /// Those that can be read.
    pub fn list(&self) -> Vec<SnapshotInfo> {
        let Ok(entries) = fs::read_dir(&self.0) else { return Vec::new() };
        let info = |path: PathBuf| {
            let tag = path.file_name()?.to_str()?.strip_suffix(STATE)?.strip_suffix('.')?.to_string();
            let file = File::open(&path).ok()?;
            let data = file.metadata().ok()?;
            let header = Header::read(&mut PlainFile(Arc::new(file))).ok()?;
            Some(SnapshotInfo {
                id: "--".into(),
                tag,
                state_size: data.len(),
                date: data.mtime() as u64 * 1_000_000_000 + data.mtime_nsec() as u64,
                clock: header.state().now(),
            })
        };
        let mut all: Vec<SnapshotInfo> = entries.flatten().filter_map(|entry| info(entry.path())).collect();
        all.sort_by_key(|state| state.date);
        all
    }

    /// A new file that takes the place of `path` once `fill` has filled it: whoever has the old one mapped keeps that.
    fn replace<E: From<SnapshotError>>(
        &self,
        path: &Path,
        fill: impl FnOnce(&File) -> Result<(), E>,
    ) -> Result<(), E> {
        let failed = |what: &str, at: &Path| SnapshotError::host(format!("{what} {}", at.display()));
        fs::create_dir_all(&self.0).map_err(failed("cannot create the folder", &self.0))?;
        let mut part = path.as_os_str().to_owned();
        part.push(".part");
        let part = PathBuf::from(part);
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&part);
        let file = file.map_err(failed("cannot create", &part))?;
        let filled = fill(&file)
            .and_then(|()| fs::rename(&part, path).map_err(|e| failed("cannot write", path)(e).into()));
        if filled.is_err() {
            // It is of no use to anybody, and one that stays does no harm.
            let _ = fs::remove_file(&part);
        }
        filled
    }

    /// Has `fill` write the state of snapshot `tag`.
    pub fn save(
        &self,
        tag: &str,
        fill: impl FnOnce(&mut dyn Output) -> Result<(), SnapshotError>,
    ) -> Result<(), SnapshotError> {
        self.replace(&self.state(tag), |file| {
            let mut file = file;
            fill(&mut file)
        })
    }

    /// Opens the state of snapshot `tag`, which `check` has to agree to.
    pub fn open(
        &self,
        tag: &str,
        check: impl FnOnce(&Header) -> Result<(), SnapshotError>,
    ) -> Result<(Header, RamImage), SnapshotError> {
        let path = self.state(tag);
        let file =
            File::open(&path).map_err(SnapshotError::host(format!("cannot open {}", path.display())))?;
        let file = Arc::new(file);
        let header = Header::read(&mut PlainFile(file.clone()))?;
        check(&header)?;
        let ram = mapped(&header, &file);
        Ok((header, ram))
    }

    /// Keeps what a raw disk holds.
    pub fn save_disk(&self, tag: &str, node: &str, image: &Image) -> Result<(), SnapshotError> {
        let path = self.disk(tag, node);
        self.replace(&path, |file| {
            copy(image, file).map_err(SnapshotError::host(format!("cannot write {}", path.display())))
        })
    }

    /// The same in a file that has no name, and goes with this process.
    pub fn hold_disk(&self, image: &Image) -> Result<File, SnapshotError> {
        let held = || {
            fs::create_dir_all(&self.0)?;
            let file = tempfile::tempfile_in(&self.0)?;
            copy(image, &file)?;
            Ok(file)
        };
        held().map_err(SnapshotError::host(format!("cannot write a file in {}", self.0.display())))
    }

    /// Puts back what a raw disk held.
    pub fn load_disk(&self, tag: &str, node: &str, image: &Image) -> io::Result<()> {
        put_back(&File::open(self.disk(tag, node))?, image)
    }

    /// Forgets a snapshot; what is not there is gone already.
    pub fn delete(&self, tag: &str, nodes: &[&str]) {
        let _ = fs::remove_file(self.state(tag));
        for node in nodes {
            let _ = fs::remove_file(self.disk(tag, node));
        }
    }
}

/// Copies what a disk holds.
fn copy(image: &Image, file: &File) -> io::Result<()> {
    file.set_len(image.capacity())?;
    let mut bytes = Vec::new();
    image.data(|offset, length| {
        for at in (offset..offset + length).step_by(PIECE as usize) {
            bytes.resize((offset + length - at).min(PIECE) as usize, 0);
            image.read(at, &mut bytes)?;
            if bytes.iter().any(|byte| *byte != 0) {
                file.write_all_at(&bytes, at)?;
            }
        }
        Ok(())
    })
}

/// Has a disk hold what it held when `file` was copied.
pub fn put_back(file: &File, image: &Image) -> io::Result<()> {
    if file.metadata()?.len() != image.capacity() {
        return Err(io::Error::other("the disk had another size when the snapshot was made"));
    }
    let (mut old, mut new) = (Vec::new(), Vec::new());
    for at in (0..image.capacity()).step_by(PIECE as usize) {
        let length = (image.capacity() - at).min(PIECE) as usize;
        old.resize(length, 0);
        new.resize(length, 0);
        file.read_exact_at(&mut old, at)?;
        image.read(at, &mut new)?;
        if old != new {
            image.write(at, &old)?;
        }
    }
    image.flush()
}
