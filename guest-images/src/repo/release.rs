//! A suite's `Release` file: what it is, and the checksums of its indices (Debian's repository format).

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::http::Expected;
use crate::repo::control;

/// The fields of a `Release` file that a fetch depends on.
#[derive(Debug)]
pub struct Release {
    /// Who made the archive.
    pub origin: String,
    /// Name of the release, such as `trixie`.
    pub codename: String,
    /// Alias of the release, such as `stable`.
    pub suite: String,
    /// Whether indices can be fetched by their checksum, which no update of the mirror can pull away.
    pub by_hash: bool,
    files: BTreeMap<String, Expected>,
}

impl Release {
    /// Reads the file; `url` is for messages.
    pub fn parse(text: &str, url: &str) -> Result<Release> {
        let paragraph =
            control::paragraphs(text).next().ok_or_else(|| Error::format(url, "the file is empty"))?;
        let field = |name| paragraph.get(name).unwrap_or("").to_owned();
        let sums = paragraph.get("SHA256").ok_or_else(|| Error::format(url, "there is no SHA256 field"))?;
        let files = sums.lines().filter_map(|line| {
            let mut words = line.split_whitespace();
            let (sha256, size) = (words.next()?.to_ascii_lowercase(), words.next()?.parse().ok()?);
            Some((words.next()?.to_owned(), Expected { sha256, size }))
        });
        Ok(Release {
            origin: field("Origin"),
            codename: field("Codename"),
            suite: field("Suite"),
            by_hash: paragraph.get("Acquire-By-Hash") == Some("yes"),
            files: files.collect(),
        })
    }

    /// What the release promises of a file below `dists/SUITE/`.
    pub fn file(&self, path: &str) -> Option<&Expected> {
        self.files.get(path)
    }
}
