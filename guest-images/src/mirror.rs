//! The Debian mirror that the machine itself uses, read from its apt configuration.
//!
//! Both forms of sources.list(5) are read: one line per source (`*.list`) and deb822 stanzas (`*.sources`). A source
//! counts when it is of type `deb`, offers the component `main` and names a suite of Debian; `mirror+file:` lists, as
//! Debian's cloud images have them, are followed. Third parties name Debian suites too, so sources that look most like
//! the distribution's own come first, and [`crate::repo`] asks each for its `Origin`.

use std::fs;
use std::path::Path;

use crate::error::{Error, Result};
use crate::repo::control;

/// Codenames and aliases of Debian's suites.
const SUITES: [&str; 11] = [
    "buster",
    "bullseye",
    "bookworm",
    "trixie",
    "forky",
    "duke",
    "sid",
    "oldstable",
    "stable",
    "testing",
    "unstable",
];

/// One source of packages.
#[derive(Debug, Default)]
struct Source {
    uris: Vec<String>,
    suites: Vec<String>,
    components: Vec<String>,
    signed_by: String,
}

/// Addresses of Debian mirrors in the configuration below `etc_apt` (normally `/etc/apt`), the likeliest first.
pub fn debian_mirrors(etc_apt: &Path) -> Result<Vec<String>> {
    let mut sources = Vec::new();
    let mut files = vec![etc_apt.join("sources.list")];
    if let Ok(entries) = fs::read_dir(etc_apt.join("sources.list.d")) {
        let mut parts: Vec<_> = entries.flatten().map(|e| e.path()).collect();
        parts.sort();
        files.extend(parts);
    }
    for file in &files {
        // A file that cannot be read is apt's to complain about.
        let Ok(text) = fs::read_to_string(file) else { continue };
        match file.extension().and_then(|e| e.to_str()) {
            Some("list") => sources.extend(text.lines().filter_map(one_line)),
            Some("sources") => sources.extend(control::paragraphs(&text).filter_map(|p| deb822(&p))),
            _ => {}
        }
    }
    let mut found: Vec<(bool, String)> = Vec::new();
    for source in sources.iter().filter(|s| s.is_debian()) {
        for uri in source.uris.iter().flat_map(|uri| follow(uri)) {
            let uri = uri.trim_end_matches('/').to_owned();
            if !found.iter().any(|(_, known)| *known == uri) {
                found.push((!source.looks_official(&uri), uri));
            }
        }
    }
    found.sort_by_key(|(doubtful, _)| *doubtful);
    if found.is_empty() {
        return Err(Error::NoMirror { looked_in: etc_apt.display().to_string() });
    }
    Ok(found.into_iter().map(|(_, uri)| uri).collect())
}

impl Source {
    fn is_debian(&self) -> bool {
        let is_suite = |s: &String| {
            let base = s.strip_suffix("-updates").or_else(|| s.strip_suffix("-backports")).unwrap_or(s);
            SUITES.contains(&base)
        };
        self.components.iter().any(|c| c == "main") && self.suites.iter().any(is_suite)
    }

    fn looks_official(&self, uri: &str) -> bool {
        uri.ends_with("/debian")
            && (self.signed_by.is_empty() || self.signed_by.contains("debian-archive-keyring"))
    }
}

/// `deb [option=value ...] URI SUITE COMPONENT...`
fn one_line(line: &str) -> Option<Source> {
    let line = line.split('#').next()?;
    let mut rest = line.trim().strip_prefix("deb")?;
    if !rest.starts_with([' ', '\t', '[']) {
        return None;
    }
    rest = rest.trim_start();
    let mut signed_by = String::new();
    if let Some(after) = rest.strip_prefix('[') {
        let (options, after) = after.split_once(']')?;
        signed_by =
            options.split_whitespace().find_map(|o| o.strip_prefix("signed-by=")).unwrap_or("").to_owned();
        rest = after;
    }
    let mut words = rest.split_whitespace().map(str::to_owned);
    Some(Source {
        uris: vec![words.next()?],
        suites: vec![words.next()?],
        components: words.collect(),
        signed_by,
    })
}

fn deb822(paragraph: &control::Paragraph) -> Option<Source> {
    let words = |field| -> Vec<String> {
        paragraph.get(field).unwrap_or("").split_whitespace().map(str::to_owned).collect()
    };
    let enabled = !matches!(paragraph.get("Enabled"), Some("no" | "false" | "off" | "0"));
    (enabled && words("Types").iter().any(|t| t == "deb")).then(|| Source {
        uris: words("URIs"),
        suites: words("Suites"),
        components: words("Components"),
        signed_by: paragraph.get("Signed-By").unwrap_or("").to_owned(),
    })
}

/// The addresses behind one URI: itself, or the lines of a `mirror+file:` list.
fn follow(uri: &str) -> Vec<String> {
    if uri.starts_with("http://") || uri.starts_with("https://") {
        return vec![uri.to_owned()];
    }
    let Some(path) = uri.strip_prefix("mirror+file:") else { return Vec::new() };
    // `mirror+file:///path` and `mirror+file:/path` name the same file.
    let path = format!("/{}", path.trim_start_matches('/'));
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines()
        .filter_map(|line| line.split_whitespace().next())
        .filter(|uri| uri.starts_with("http://") || uri.starts_with("https://"))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests;
