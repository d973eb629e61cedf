//! A Debian archive as a verified source of packages.
//!
//! `dists/SUITE/InRelease` with the signature inside it, `main/binary-ARCH/Packages.xz` by the checksum in it, packages by
//! the checksums in that (the archive layout of Debian's repository format). Everything lands in a cache directory.

pub mod control;
mod index;
mod release;
mod signature;
pub mod version;

use std::fs;
use std::path::{Path, PathBuf};

pub use index::{Index, Package, Relation};
pub use release::Release;
pub use signature::{Verdict, Verifier};

use crate::error::{At, Error, Result};
use crate::http::{self, Client};
use crate::{Arch, Progress, compress};

/// The plain text of a suite's index stays far below this.
const INDEX_LIMIT: u64 = 512 << 20;
/// An `InRelease` file is about 140 kB.
const RELEASE_LIMIT: u64 = 8 << 20;

/// Which archive, and how far to trust it.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Addresses of mirrors, tried in this order.
    pub mirrors: Vec<String>,
    /// Codename of the release.
    pub suite: String,
    /// Architecture of the packages.
    pub arch: Arch,
    /// Who checks the signature.
    pub verifier: Verifier,
    /// Directory for everything fetched.
    pub cache: PathBuf,
}

/// One suite for one architecture on one mirror.
pub struct Repository {
    client: Client,
    mirror: String,
    cache: PathBuf,
    index: Index,
}

impl Repository {
    /// Fetches and verifies the suite's index from the first mirror that has the suite.
    pub fn open(client: Client, settings: &Settings, progress: &dyn Progress) -> Result<Repository> {
        let mut unreachable = None;
        for mirror in &settings.mirrors {
            let mirror = mirror.trim_end_matches('/');
            match Release::fetch(&client, mirror, settings, progress) {
                Ok(Some(release)) => {
                    let index = fetch_index(&client, mirror, &release, settings, progress)?;
                    let cache = settings.cache.join("packages");
                    return Ok(Repository { client, mirror: mirror.to_owned(), cache, index });
                }
                Ok(None) => {}
                Err(e @ Error::Fetch { .. }) => unreachable = Some(e),
                Err(e) => return Err(e),
            }
        }
        Err(unreachable.unwrap_or_else(|| Error::NoSuite {
            tried: settings.mirrors.join(", "),
            suite: settings.suite.clone(),
        }))
    }

    /// The suite's packages.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// Address of the mirror.
    pub fn mirror(&self) -> &str {
        &self.mirror
    }

    /// Fetches the packages that the cache lacks; their files, in the same order.
    pub fn fetch(&self, packages: &[&Package], progress: &dyn Progress) -> Result<Vec<PathBuf>> {
        fs::create_dir_all(&self.cache).at(&self.cache)?;
        let what = match packages {
            [one] => one.name.clone(),
            many => format!("{} packages", many.len()),
        };
        progress.begin(&what, Some(packages.iter().map(|p| p.expected.size).sum()));
        let fetched = self.fetch_each(packages, progress);
        progress.end();
        fetched
    }

    fn fetch_each(&self, packages: &[&Package], progress: &dyn Progress) -> Result<Vec<PathBuf>> {
        let mut before = 0;
        let mut places = Vec::new();
        for package in packages {
            let place = self.cache.join(cache_name(package));
            if !http::is_present(&place, &package.expected)? {
                let url = format!("{}/{}", self.mirror, package.filename);
                self.client
                    .download(&url, &package.expected, &place, &mut |have| progress.at(before + have))?;
            }
            before += package.expected.size;
            progress.at(before);
            places.push(place);
        }
        Ok(places)
    }
}

impl Release {
    /// The suite's release file if this mirror has it and it is Debian's; the user hears how far it could be verified.
    fn fetch(
        client: &Client,
        mirror: &str,
        settings: &Settings,
        progress: &dyn Progress,
    ) -> Result<Option<Release>> {
        let url = format!("{mirror}/dists/{}/InRelease", settings.suite);
        let lists = settings.cache.join("lists");
        fs::create_dir_all(&lists).at(&lists)?;
        let Some(signed) = client.small(&url, RELEASE_LIMIT)? else { return Ok(None) };
        let place = save(&lists, "InRelease", &signed)?;
        match settings.verifier.check(&place, &url)? {
            Verdict::Good(owner) => progress.note(&format!("Debian {}: signed by {owner}", settings.suite)),
            Verdict::Unchecked(why) => {
                progress.note(&format!("warning: the signature of {url} could not be checked: {why}"));
            }
        }
        let signed = String::from_utf8(signed).map_err(|e| Error::format(&url, e))?;
        let text = signature::signed_text(&signed).ok_or_else(|| {
            Error::format(&url, "it is no text with a signature (has a proxy replaced it?)")
        })?;
        let release = Release::parse(&text, &url)?;
        let right =
            release.origin == "Debian" && [&release.codename, &release.suite].contains(&&settings.suite);
        Ok(right.then_some(release))
    }
}

fn fetch_index(
    client: &Client,
    mirror: &str,
    release: &Release,
    settings: &Settings,
    progress: &dyn Progress,
) -> Result<Index> {
    let directory = format!("main/binary-{}", settings.arch);
    let path = format!("{directory}/Packages.xz");
    let base = format!("{mirror}/dists/{}", settings.suite);
    let expected = release
        .file(&path)
        .ok_or_else(|| Error::format(format!("{base}/InRelease"), format!("there is no {path}")))?;
    let url = match release.by_hash {
        true => format!("{base}/{directory}/by-hash/SHA256/{}", expected.sha256),
        false => format!("{base}/{path}"),
    };
    let place =
        settings.cache.join("lists").join(format!("{}-{}-Packages.xz", settings.suite, settings.arch));
    if !http::is_present(&place, expected)? {
        progress.begin("package index", Some(expected.size));
        let fetched = client.download(&url, expected, &place, &mut |have| progress.at(have));
        progress.end();
        fetched?;
    }
    let file = fs::File::open(&place).at(&place)?;
    let text = compress::read_all("Packages.xz", std::io::BufReader::new(file), INDEX_LIMIT).at(&place)?;
    Ok(Index::parse(&String::from_utf8_lossy(&text)))
}

fn save(directory: &Path, name: &str, bytes: &[u8]) -> Result<PathBuf> {
    let path = directory.join(name);
    fs::write(&path, bytes).at(&path)?;
    Ok(path)
}

/// A file name that no text in the index can turn into a path.
fn cache_name(package: &Package) -> String {
    let plain = |text: &str| -> String {
        let keep = |c: char| c.is_ascii_alphanumeric() || "+-.~".contains(c);
        text.chars().map(|c| if keep(c) { c } else { '_' }).collect()
    };
    // The checksum keeps apart what the replaced characters might make equal.
    let sum = plain(&package.expected.sha256);
    let short = sum.get(..12).unwrap_or(&sum);
    format!("{}_{}_{}_{short}.deb", plain(&package.name), plain(&package.version), plain(&package.arch))
}

#[cfg(test)]
mod tests;
