//! The images in the user's cache directory: which there are, making them, finding them, removing them.
//!
//! Below `$XDG_CACHE_HOME/mimic` (or `~/.cache/mimic`): `images/NAME-ARCH/` with the guest's files and `guest.json`,
//! `packages/` and `lists/` with what was fetched, `translations/` for the emulator, `lock`. An image is made in a directory of its own and renamed into
//! place, so an image that is there is whole; the lock keeps two pulls apart.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::error::{At, Error, Result};
use crate::initramfs::{self, InitramfsSpec};
use crate::recipes::{Emulator, Guest, Kitchen, RECIPES, Recipe};
use crate::repo::{Repository, Settings, Verifier};
use crate::{Arch, Client, Progress, mirror, root};

/// The release that images are made from.
const SUITE: &str = "trixie";
const MANIFEST: &str = "guest.json";
/// Begins the names of directories in which images are being made.
const UNFINISHED: &str = ".new-";

/// Images in one directory.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
}

/// One line of `image list`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageInfo {
    /// The image.
    pub name: String,
    /// Its architecture.
    pub arch: Arch,
    /// What it is.
    pub description: &'static str,
    /// Bytes on disk, if it is here.
    pub size: Option<u64>,
}

/// Where packages come from, and what to add.
#[derive(Debug, Clone, Default)]
pub struct PullOptions {
    /// Address of a Debian mirror; without it, the one in the machine's apt configuration.
    pub mirror: Option<String>,
    /// Keyring that the release must be signed with; without it, the distribution's, if installed.
    pub keyring: Option<PathBuf>,
    /// Packages to add to the image.
    pub packages: Vec<String>,
}

impl Store {
    /// The store in the user's cache directory.
    pub fn open_default() -> Result<Store> {
        let from = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let cache = from("XDG_CACHE_HOME").or_else(|| Some(from("HOME")?.join(".cache")));
        Ok(Store::at(cache.ok_or(Error::NoCacheDirectory)?.join("mimic")))
    }

    /// A store in another directory, which need not exist yet.
    pub fn at(root: impl Into<PathBuf>) -> Store {
        Store { root: root.into() }
    }

    /// Where translations of guests' code are kept.
    pub fn translations(&self) -> PathBuf {
        self.root.join("translations")
    }

    /// Every image that there is a recipe for.
    pub fn list(&self) -> Vec<ImageInfo> {
        let of = |recipe: &Recipe, arch| {
            let directory = self.directory(recipe, arch);
            let size = directory.join(MANIFEST).exists().then(|| size_of(&directory));
            ImageInfo { name: recipe.name.to_owned(), arch, description: recipe.description, size }
        };
        Arch::BOOTABLE
            .into_iter()
            .flat_map(|arch| RECIPES.iter().map(move |recipe| of(recipe, arch)))
            .collect()
    }

    /// Whether there is a recipe of this name (`NAME` or `NAME:ARCH`).
    pub fn knows(&self, name: &str) -> bool {
        find(name).is_ok()
    }

    /// An image that is here.
    pub fn path(&self, name: &str) -> Result<Guest> {
        let (recipe, arch) = find(name)?;
        let directory = self.directory(recipe, arch);
        let manifest = directory.join(MANIFEST);
        let text = match fs::read(&manifest) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return Err(Error::Absent { name: name.to_owned() });
            }
            other => other.at(&manifest)?,
        };
        let mut guest: Guest =
            serde_json::from_slice(&text).map_err(|e| Error::format(manifest.display().to_string(), e))?;
        each_path(&mut guest, |path| *path = directory.join(&*path));
        Ok(guest)
    }

    /// An image that is here, or else is made now.
    pub fn ensure(
        &self,
        name: &str,
        options: &PullOptions,
        progress: &dyn Progress,
        emulator: &mut dyn Emulator,
    ) -> Result<Guest> {
        match self.path(name) {
            Err(Error::Absent { .. }) => self.pull(name, options, progress, emulator),
            other => other,
        }
    }

    /// Makes an image from the newest packages, in place of the one that is here.
    pub fn pull(
        &self,
        name: &str,
        options: &PullOptions,
        progress: &dyn Progress,
        emulator: &mut dyn Emulator,
    ) -> Result<Guest> {
        let (recipe, arch) = find(name)?;
        let _lock = self.lock(progress)?;
        let repo = self.repository(arch, options, progress)?;
        let images = self.root.join("images");
        fs::create_dir_all(&images).at(&images)?;
        remove_unfinished(&images)?;
        let work = tempfile::Builder::new().prefix(UNFINISHED).tempdir_in(&images).at(&images)?;
        let mut kitchen = Kitchen {
            arch,
            repo: &repo,
            suite: SUITE,
            extra: &options.packages,
            progress,
            emulator,
            directory: work.path(),
        };
        let mut guest = (recipe.make)(&mut kitchen)?;
        each_path(&mut guest, |path| *path = path.file_name().map(PathBuf::from).unwrap_or_default());
        let manifest = work.path().join(MANIFEST);
        let text = serde_json::to_vec_pretty(&guest).map_err(|e| Error::format(MANIFEST, e))?;
        fs::write(&manifest, text).at(&manifest)?;

        let place = self.directory(recipe, arch);
        if place.exists() {
            fs::remove_dir_all(&place).at(&place)?;
        }
        fs::rename(work.keep(), &place).at(&place)?;
        self.path(name)
    }

    /// Removes an image; the bytes that are free again. With the last image go the packages that were fetched.
    pub fn remove(&self, name: &str, progress: &dyn Progress) -> Result<u64> {
        let (recipe, arch) = find(name)?;
        let directory = self.directory(recipe, arch);
        if !directory.exists() {
            return Err(Error::Absent { name: name.to_owned() });
        }
        let _lock = self.lock(progress)?;
        let mut freed = size_of(&directory);
        fs::remove_dir_all(&directory).at(&directory)?;
        if self.list().iter().all(|image| image.size.is_none()) {
            for cache in
                ["packages", "lists"].map(|name| self.root.join(name)).iter().filter(|path| path.exists())
            {
                freed += size_of(cache);
                fs::remove_dir_all(cache).at(cache)?;
            }
        }
        Ok(freed)
    }

    /// Makes an initramfs beside the images, such as one with further programs for a test, and writes it to `out`. The
    /// kernel that its modules fit is that of the image `debian` from the same packages.
    pub fn initramfs(
        &self,
        arch: Arch,
        spec: &InitramfsSpec,
        options: &PullOptions,
        out: &Path,
        progress: &dyn Progress,
    ) -> Result<()> {
        let _lock = self.lock(progress)?;
        let repo = self.repository(arch, options, progress)?;
        let kernel = crate::recipes::kernel(&repo, arch, progress)?;
        initramfs::write(&spec.build(&repo, &kernel, progress)?, out)
    }

    /// Unpacks a system's essential packages, and those of `options`, into a directory for user mode.
    pub fn root(
        &self,
        arch: Arch,
        options: &PullOptions,
        directory: &Path,
        progress: &dyn Progress,
    ) -> Result<()> {
        let _lock = self.lock(progress)?;
        let repo = self.repository(arch, options, progress)?;
        root::make(&repo, SUITE, &options.packages, directory, progress)
    }

    fn repository(&self, arch: Arch, options: &PullOptions, progress: &dyn Progress) -> Result<Repository> {
        let mirrors = match &options.mirror {
            Some(url) => vec![url.clone()],
            None => mirror::debian_mirrors(Path::new("/etc/apt"))?,
        };
        let verifier = Verifier { keyring: options.keyring.clone(), ..Verifier::default() };
        let settings =
            Settings { mirrors, suite: SUITE.to_owned(), arch, verifier, cache: self.root.clone() };
        Repository::open(Client::default(), &settings, progress)
    }

    fn directory(&self, recipe: &Recipe, arch: Arch) -> PathBuf {
        self.root.join("images").join(format!("{}-{arch}", recipe.name))
    }

    /// Waits until no other process makes or removes images. The lock ends with the returned file.
    fn lock(&self, progress: &dyn Progress) -> Result<File> {
        fs::create_dir_all(&self.root).at(&self.root)?;
        let path = self.root.join("lock");
        let file = File::options().create(true).truncate(false).write(true).open(&path).at(&path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => {
                progress.note("waiting for another process that is making an image");
                file.lock().at(&path)?;
            }
            Err(fs::TryLockError::Error(e)) => return Err(e).at(&path),
        }
        Ok(file)
    }
}

/// The architecture of the image `name`.
///
/// # Errors
/// There is no such image.
pub fn arch_of(name: &str) -> Result<Arch> {
    find(name).map(|(_, arch)| arch)
}

/// `NAME` or `NAME:ARCH`.
fn find(name: &str) -> Result<(&'static Recipe, Arch)> {
    let (base, arch) = match name.split_once(':') {
        Some((base, arch)) => (base, arch.parse()?),
        None => (name, Arch::Riscv64),
    };
    if !Arch::BOOTABLE.contains(&arch) {
        let known = Arch::BOOTABLE.map(Arch::debian).join(", ");
        return Err(Error::UnknownArch { name: arch.debian().to_owned(), known });
    }
    let recipe = RECIPES.iter().find(|recipe| recipe.name == base).ok_or_else(|| Error::UnknownImage {
        name: base.to_owned(),
        known: RECIPES.iter().map(|recipe| recipe.name).collect::<Vec<_>>().join(", "),
    })?;
    Ok((recipe, arch))
}

fn each_path(guest: &mut Guest, act: impl Fn(&mut PathBuf)) {
    act(&mut guest.kernel);
    act(&mut guest.initrd);
    guest.disks.iter_mut().for_each(|disk| act(&mut disk.path));
}

/// Bytes that the files of a directory tree take on disk; what cannot be read counts nothing.
fn size_of(directory: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let size = |entry: fs::DirEntry| match entry.metadata() {
        Ok(meta) if meta.is_dir() => size_of(&entry.path()),
        Ok(meta) => meta.blocks() * 512,
        Err(_) => 0,
    };
    entries.map(size).sum()
}

/// Removes what an interrupted pull left behind; called under the lock.
fn remove_unfinished(images: &Path) -> Result<()> {
    for entry in fs::read_dir(images).at(images)?.flatten() {
        if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
            fs::remove_dir_all(entry.path()).at(&entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
