//! What can go wrong, as one sentence that names the file, address or option at fault.

use std::path::{Path, PathBuf};

/// The result of everything in this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// A failure that the user can act upon.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The machine's apt configuration names no Debian mirror.
    #[error("no Debian mirror is configured under {looked_in}: name one with --mirror URL")]
    NoMirror {
        /// The directory that was searched.
        looked_in: String,
    },
    /// None of the mirrors serves the suite.
    #[error("none of the mirrors {tried} serves Debian {suite}: name another one with --mirror URL")]
    NoSuite {
        /// The mirrors that were asked.
        tried: String,
        /// Codename of the suite.
        suite: String,
    },
    /// A transfer failed for good.
    #[error("cannot fetch {url}: {why}")]
    Fetch {
        /// Address of the file.
        url: String,
        /// What happened last.
        why: String,
    },
    /// A file arrived whole and is not the one that the index promises.
    #[error("{url} has the SHA-256 {found}, but {expected} was promised")]
    Checksum {
        /// Address of the file.
        url: String,
        /// Hexadecimal digest of what arrived.
        found: String,
        /// Hexadecimal digest in the index.
        expected: String,
    },
    /// The signature of the suite does not hold.
    #[error("{url} is not signed by a key in {keyring}: {why}")]
    Signature {
        /// Address of the release file.
        url: String,
        /// The keyring.
        keyring: PathBuf,
        /// The verifier's own words.
        why: String,
    },
    /// The index does not have the package, or not in a version that is asked for.
    #[error("no package satisfies \"{relation}\"{needed_by}")]
    NoPackage {
        /// The relation in Debian's syntax.
        relation: String,
        /// Empty, or ", which NAME needs".
        needed_by: String,
    },
    /// Data in a format that cannot be read.
    #[error("{what}: {why}")]
    Format {
        /// File or field.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// A file of the host cannot be used.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The host's reason.
        source: std::io::Error,
    },
    /// There is neither `XDG_CACHE_HOME` nor `HOME`.
    #[error("there is no cache directory: set XDG_CACHE_HOME or HOME")]
    NoCacheDirectory,
    /// No recipe has this name.
    #[error("there is no image \"{name}\": the images are {known}")]
    UnknownImage {
        /// What was asked for.
        name: String,
        /// All names.
        known: String,
    },
    /// No recipe knows this architecture.
    #[error("there is no image for the architecture \"{name}\": the architectures are {known}")]
    UnknownArch {
        /// What was asked for.
        name: String,
        /// All architectures.
        known: String,
    },
    /// The image has not been pulled.
    #[error("the image \"{name}\" is not here: fetch it with `mimic image pull {name}`")]
    Absent {
        /// The image.
        name: String,
    },
    /// The guest that builds the image did not finish.
    #[error("building {what} in the guest failed: {why}")]
    Build {
        /// The step.
        what: String,
        /// The last lines of the guest's own report.
        why: String,
    },
}

impl Error {
    pub(crate) fn format(what: impl Into<String>, why: impl std::fmt::Display) -> Error {
        Error::Format { what: what.into(), why: why.to_string() }
    }
}

/// Puts the path into an I/O error.
pub(crate) trait At<T> {
    fn at(self, path: &Path) -> Result<T>;
}

impl<T> At<T> for std::io::Result<T> {
    fn at(self, path: &Path) -> Result<T> {
        self.map_err(|source| Error::Io { path: path.to_owned(), source })
    }
}
