//! A root directory of a distribution's packages, for user mode: with `-L`, or to enter by chroot.
//!
//! Files are unpacked and the packages are in dpkg's database as unpacked, so that `dpkg --configure -a` inside finishes the
//! installation. Until then configuration files are the packages' own, and there are the users that `base-passwd` brings.
//!
//! Paths of packages are resolved in a [`Tree`] that knows all that was unpacked, into an empty directory: no symbolic link
//! leads out of it. Left out: device nodes, which need privilege and which a chroot gets by mounting; owners, for whoever
//! is not root.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};

use crate::error::{At, Error, Result};
use crate::recipes::dpkg::Database;
use crate::repo::Repository;
use crate::tree::{Kind, Node, Tree};
use crate::{Progress, repo::Package};

/// Programs that a person expects beside what is essential or required.
const PACKAGES: [&str; 4] = ["apt", "ca-certificates", "debian-archive-keyring", "netbase"];

/// Ends the names under which dpkg keeps configuration files that it has yet to install.
const NEW: &str = ".dpkg-new";

/// Unpacks what a system needs, and `extra`, into `directory`, which is made or empty.
pub(crate) fn make(
    repo: &Repository,
    suite: &str,
    extra: &[String],
    directory: &Path,
    progress: &dyn Progress,
) -> Result<()> {
    let mut root = Root::new(directory)?;
    let packages = packages(repo, extra)?;
    let files = repo.fetch(&packages, progress)?;
    let mut database = Database::default();
    progress.begin("unpacking", Some(packages.iter().map(|p| p.expected.size).sum()));
    let mut done = 0;
    for (package, file) in packages.iter().zip(&files) {
        database.add(file, &mut |path, node| root.put(path.strip_suffix(NEW).unwrap_or(path), node))?;
        done += package.expected.size;
        progress.at(done);
    }
    progress.end();
    for (path, node) in database.files()?.iter() {
        root.put(path, node.clone())?;
    }
    root.settle(repo, suite)
}

/// The packages; `base-files` comes first, because its links make the merged `/usr`.
fn packages<'a>(repo: &'a Repository, extra: &'a [String]) -> Result<Vec<&'a Package>> {
    let index = repo.index();
    let mut names = index.select(|p| p.essential || p.priority == "required");
    names.extend(PACKAGES);
    let extra: Vec<&str> = extra.iter().map(String::as_str).collect();
    names.extend(&extra);
    let mut packages = index.closure(names)?;
    packages.sort_by_key(|p| p.name != "base-files");
    Ok(packages)
}

/// A root directory that grows.
struct Root<'a> {
    directory: &'a Path,
    /// What is there, regular files without their bytes.
    tree: Tree,
    owners: bool,
}

impl<'a> Root<'a> {
    fn new(directory: &'a Path) -> Result<Self> {
        match fs::create_dir(directory) {
            Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
            other => other.at(directory)?,
        }
        if fs::read_dir(directory).at(directory)?.next().is_some() {
            return Err(Error::format(directory.display().to_string(), "the directory is not empty"));
        }
        // The owner of what one makes is oneself.
        let own = tempfile::NamedTempFile::new_in(directory).at(directory)?;
        let owners = lchown(own.path(), Some(0), Some(0)).is_ok();
        Ok(Self { directory, tree: Tree::new(), owners })
    }

    /// Puts a file where dpkg would.
    fn put(&mut self, path: &str, node: Node) -> Result<()> {
        let known = match node.kind {
            Kind::File(_) => Node { kind: Kind::File(Vec::new()), ..node },
            _ => node.clone(),
        };
        let Some(path) = self.tree.place(path, known)? else { return Ok(()) };
        // Directories above it come into being with it.
        let place = self.directory.join(&path);
        if let Some(above) = place.parent() {
            fs::create_dir_all(above).at(above)?;
        }
        self.write(&place, &node)?;
        if self.owners {
            lchown(&place, Some(node.uid), Some(node.gid)).at(&place)?;
        }
        match node.kind {
            Kind::Dir | Kind::File(_) => {
                fs::set_permissions(&place, fs::Permissions::from_mode(node.mode)).at(&place)
            }
            _ => Ok(()),
        }
    }

    fn write(&self, place: &Path, node: &Node) -> Result<()> {
        if !matches!(node.kind, Kind::Dir) {
            match fs::remove_file(place) {
                Err(e) if e.kind() == ErrorKind::NotFound => {}
                other => other.at(place)?,
            }
        }
        match &node.kind {
            Kind::Dir => match fs::create_dir(place) {
                Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(()),
                other => other,
            },
            Kind::File(bytes) => fs::write(place, bytes),
            Kind::Symlink(target) => symlink(target, place),
            Kind::HardLink(target) => fs::hard_link(self.inside(target)?, place),
            Kind::Char(..) | Kind::Block(..) | Kind::Fifo => Ok(()),
        }
        .at(place)
    }

    /// The host's name of a file inside.
    fn inside(&self, path: &str) -> Result<PathBuf> {
        Ok(self.directory.join(self.tree.resolve(path)?))
    }

    /// What an installer would have made.
    fn settle(&mut self, repo: &Repository, suite: &str) -> Result<()> {
        for name in ["passwd", "group"] {
            let master = self.inside(&format!("usr/share/base-passwd/{name}.master"))?;
            if let Ok(bytes) = fs::read(master) {
                self.put(&format!("etc/{name}"), Node::new(Kind::File(bytes), 0o644))?;
            }
        }
        self.put("tmp", Node::new(Kind::Dir, 0o1777))?;
        let mut file = |path: &str, text: String| self.put(path, Node::new(Kind::File(text.into()), 0o644));
        file("etc/hostname", "debian\n".into())?;
        file("etc/hosts", "127.0.0.1 localhost debian\n::1 localhost\n".into())?;
        let key = "/usr/share/keyrings/debian-archive-keyring.gpg";
        let sources = format!(
            "Types: deb\nURIs: {}\nSuites: {suite}\nComponents: main\nSigned-By: {key}\n",
            repo.mirror()
        );
        file("etc/apt/sources.list.d/debian.sources", sources)
    }
}

#[cfg(test)]
mod tests;
