//! A tree of files in memory, as an initramfs or a root file system will hold it.
//!
//! Packages are unpacked into such a tree and never onto the host, so a hostile path has nowhere to escape to, and no
//! privilege is needed for owners and device nodes. Directory symlinks are followed on the way to a new file, which is
//! what the merged `/usr` (`bin -> usr/bin`) needs.

use std::collections::BTreeMap;

use crate::error::{Error, Result};

/// Symlinks followed on the way to one file, as Linux allows.
const MAX_SYMLINKS: u32 = 40;

/// One file of any kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// Permission bits, 0o7777.
    pub mode: u32,
    /// Numeric owner.
    pub uid: u32,
    /// Numeric group.
    pub gid: u32,
    /// Seconds since 1970.
    pub mtime: u32,
}

/// The kinds of files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Directory.
    Dir,
    /// Regular file with its bytes.
    File(Vec<u8>),
    /// Symbolic link with its text.
    Symlink(String),
    /// A further name of the regular file at this path.
    HardLink(String),
    /// Character device: major, minor.
    Char(u32, u32),
    /// Block device: major, minor.
    Block(u32, u32),
    /// Named pipe.
    Fifo,
}

impl Node {
    /// A file of root's from 1970.
    pub fn new(kind: Kind, mode: u32) -> Node {
        Node { kind, mode, uid: 0, gid: 0, mtime: 0 }
    }
}

/// Files by their path without leading slash. A directory always precedes what is in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tree {
    nodes: BTreeMap<String, Node>,
}

impl Tree {
    /// An empty tree.
    pub fn new() -> Tree {
        Tree::default()
    }

    /// Puts a node at a path, and directories above it where there are none. A directory stays when a package brings it
    /// again as something else, as with dpkg; everything else is replaced.
    pub fn put(&mut self, path: &str, node: Node) -> Result<()> {
        self.place(path, node).map(|_| ())
    }

    /// [`Self::put`]; gives the path where the node is now, without links, unless another one stays there.
    pub fn place(&mut self, path: &str, node: Node) -> Result<Option<String>> {
        let path = clean(path)?;
        if path.is_empty() {
            return Ok(None);
        }
        let path = self.resolve_parents(&path)?;
        for (slash, _) in path.match_indices('/') {
            self.nodes.entry(path[..slash].to_owned()).or_insert_with(|| Node::new(Kind::Dir, 0o755));
        }
        match self.nodes.get(&path).map(|old| &old.kind) {
            Some(Kind::Dir) if node.kind != Kind::Dir => Ok(None),
            Some(Kind::Symlink(_)) if node.kind == Kind::Dir => Ok(None),
            _ => {
                self.nodes.insert(path.clone(), node);
                Ok(Some(path))
            }
        }
    }

    /// A path with no symbolic link in it but perhaps the last component.
    pub fn resolve(&self, path: &str) -> Result<String> {
        self.resolve_parents(&clean(path)?)
    }

    /// A regular file of root's.
    pub fn file(&mut self, path: &str, mode: u32, bytes: impl Into<Vec<u8>>) -> Result<()> {
        self.put(path, Node::new(Kind::File(bytes.into()), mode))
    }

    /// A directory of root's with mode 0755.
    pub fn dir(&mut self, path: &str) -> Result<()> {
        self.put(path, Node::new(Kind::Dir, 0o755))
    }

    /// A symbolic link.
    pub fn symlink(&mut self, path: &str, target: &str) -> Result<()> {
        self.put(path, Node::new(Kind::Symlink(target.to_owned()), 0o777))
    }

    /// The node at exactly this path.
    pub fn get(&self, path: &str) -> Option<&Node> {
        self.nodes.get(path)
    }

    /// All paths and nodes, directories before their contents.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Node)> {
        self.nodes.iter().map(|(path, node)| (path.as_str(), node))
    }

    /// Adds every node of another tree.
    pub fn merge(&mut self, other: &Tree) -> Result<()> {
        other.iter().try_for_each(|(path, node)| self.put(path, node.clone()))
    }

    /// The path with every directory symlink above its last component replaced by what it names.
    fn resolve_parents(&self, path: &str) -> Result<String> {
        let (mut rest, mut done): (Vec<String>, Vec<String>) =
            (path.rsplit('/').map(str::to_owned).collect(), Vec::new());
        let mut links = 0;
        while let Some(part) = rest.pop() {
            match part.as_str() {
                "" | "." => continue,
                ".." => {
                    done.pop();
                    continue;
                }
                _ => done.push(part),
            }
            if rest.is_empty() {
                break;
            }
            let here = done.join("/");
            if let Some(Node { kind: Kind::Symlink(target), .. }) = self.nodes.get(&here) {
                links += 1;
                if links > MAX_SYMLINKS {
                    return Err(Error::format(path, "too many symbolic links"));
                }
                done.pop();
                if target.starts_with('/') {
                    done.clear();
                }
                rest.extend(target.rsplit('/').map(str::to_owned));
            }
        }
        match done.is_empty() {
            true => Err(Error::format(path, "leads to the root directory")),
            false => Ok(done.join("/")),
        }
    }
}

/// The path relative to the root without empty and `.` components; `..` and absolute paths are refused.
pub fn clean(path: &str) -> Result<String> {
    if path.starts_with('/') || path.contains('\0') || path.split('/').any(|part| part == "..") {
        return Err(Error::format(format!("{path:?}"), "is not a path inside a package"));
    }
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    Ok(parts.join("/"))
}

#[cfg(test)]
mod tests;
