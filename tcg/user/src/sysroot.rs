//! `-L`: files of the guest's system under a folder of their own.

use std::ffi::{CStr, CString, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Where files that the guest names are looked for first.
#[derive(Clone, Debug, Default)]
pub struct Sysroot(Option<PathBuf>);

impl Sysroot {
    /// Files are looked for under `folder` first.
    pub fn new(folder: Option<PathBuf>) -> Self {
        Self(folder.filter(|folder| folder != Path::new("/")))
    }

    /// The folder.
    pub fn folder(&self) -> Option<&Path> {
        self.0.as_deref()
    }

    /// The host's name of a file that the guest names. What `/proc` tells is of the process, wherever its files are.
    pub fn resolve_path(&self, path: &Path) -> PathBuf {
        let root = self.0.as_ref().filter(|_| !path.starts_with("/proc"));
        let inside = root.and_then(|root| {
            let inside = root.join(path.strip_prefix("/").ok()?);
            inside.symlink_metadata().is_ok().then_some(inside)
        });
        inside.unwrap_or_else(|| path.into())
    }

    /// The same; `None` if it is the guest's name.
    pub fn resolve(&self, path: &CStr) -> Option<CString> {
        self.0.as_ref()?;
        let path = Path::new(OsStr::from_bytes(path.to_bytes()));
        let resolved = self.resolve_path(path);
        if resolved == path { None } else { CString::new(resolved.as_os_str().as_bytes()).ok() }
    }
}
