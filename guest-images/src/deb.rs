//! Binary packages (deb(5)): an ar archive of `debian-binary`, `control.tar.*` and `data.tar.*`.
//!
//! Only format 2 is read, with plain, gzip, xz or zstd members. Paths are made relative and checked before anybody sees
//! them; extended attributes are not read (Debian's packages carry none).

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use crate::compress;
use crate::error::{At, Error, Result};
use crate::tree::{self, Kind, Node, Tree};

/// The most that one member may unpack to.
const MEMBER_LIMIT: u64 = 4 << 30;

/// The files of `control.tar`, such as `control`, `postinst`, `conffiles`: permission bits and bytes by name.
pub fn control(package: &Path) -> Result<BTreeMap<String, (u32, Vec<u8>)>> {
    let mut files = BTreeMap::new();
    each_node(package, "control.tar", &|_| true, &mut |path, node| {
        if let Kind::File(bytes) = node.kind {
            files.insert(path, (node.mode, bytes));
        }
        Ok(())
    })?;
    Ok(files)
}

/// Shows `visit` every file of the package whose path (without leading `./`) is `wanted`, in the package's order.
pub fn data(
    package: &Path,
    wanted: &dyn Fn(&str) -> bool,
    visit: &mut dyn FnMut(String, Node) -> Result<()>,
) -> Result<()> {
    each_node(package, "data.tar", wanted, visit)
}

/// Unpacks the wanted files into a tree.
pub fn unpack(package: &Path, tree: &mut Tree, wanted: &dyn Fn(&str) -> bool) -> Result<()> {
    data(package, wanted, &mut |path, node| tree.put(&path, node))
}

fn each_node(
    package: &Path,
    member: &str,
    wanted: &dyn Fn(&str) -> bool,
    visit: &mut dyn FnMut(String, Node) -> Result<()>,
) -> Result<()> {
    let file = File::open(package).at(package)?;
    let mut archive = ar::Archive::new(BufReader::with_capacity(256 << 10, file));
    while let Some(part) = archive.next_entry() {
        let mut part = part.at(package)?;
        let name = String::from_utf8_lossy(part.header().identifier()).trim_end_matches('/').to_owned();
        if name == "debian-binary" {
            let mut version = String::new();
            part.by_ref().take(64).read_to_string(&mut version).at(package)?;
            if !version.starts_with("2.") {
                let why = format!("package format {} is not known", version.trim());
                return Err(Error::format(package.display().to_string(), why));
            }
        } else if name.strip_prefix(member).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')) {
            let plain = compress::reader(&name, part).at(package)?.take(MEMBER_LIMIT);
            return each_tar_entry(package, plain, wanted, visit);
        }
    }
    Err(Error::format(package.display().to_string(), format!("there is no {member}")))
}

fn each_tar_entry(
    package: &Path,
    plain: impl Read,
    wanted: &dyn Fn(&str) -> bool,
    visit: &mut dyn FnMut(String, Node) -> Result<()>,
) -> Result<()> {
    let mut archive = tar::Archive::new(plain);
    for entry in archive.entries().at(package)? {
        let mut entry = entry.at(package)?;
        let bad = |why: String| Error::format(package.display().to_string(), why);
        let text = |bytes: &[u8]| {
            String::from_utf8(bytes.to_vec()).map_err(|_| bad("a path is not UTF-8".to_owned()))
        };
        let path = tree::clean(&text(&entry.path_bytes())?)?;
        if !wanted(&path) {
            continue;
        }
        let target = entry.link_name_bytes().map(|bytes| text(&bytes)).transpose()?.unwrap_or_default();
        let header = entry.header();
        let number = |value: std::io::Result<u64>| value.at(package).map(|v| v as u32);
        // Only the headers of devices have these fields filled in.
        let major = || header.device_major().at(package).map(Option::unwrap_or_default);
        let minor = || header.device_minor().at(package).map(Option::unwrap_or_default);
        let mode = header.mode().at(package)? & 0o7777;
        let (uid, gid, mtime) = (number(header.uid())?, number(header.gid())?, number(header.mtime())?);
        let kind = match header.entry_type() {
            tar::EntryType::Directory => Kind::Dir,
            tar::EntryType::Symlink => Kind::Symlink(target),
            tar::EntryType::Link => Kind::HardLink(tree::clean(&target)?),
            tar::EntryType::Char => Kind::Char(major()?, minor()?),
            tar::EntryType::Block => Kind::Block(major()?, minor()?),
            tar::EntryType::Fifo => Kind::Fifo,
            tar::EntryType::Regular | tar::EntryType::Continuous => {
                let mut bytes = Vec::new();
                entry.read_to_end(&mut bytes).at(package)?;
                Kind::File(bytes)
            }
            other => return Err(bad(format!("{path} is of the unknown kind {other:?}"))),
        };
        visit(path, Node { kind, mode, uid, gid, mtime })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
