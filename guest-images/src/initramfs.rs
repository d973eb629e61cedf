//! The initramfs: busybox, the kernel's modules, further packages and files, and an `/init`.

use std::path::Path;

use crate::error::{At, Result};
use crate::modules::KernelFiles;
use crate::repo::Repository;
use crate::tree::{Kind, Node, Tree};
use crate::{Progress, cpio, deb};

const LIB: &str = include_str!("recipes/scripts/lib.sh");
const INITTAB: &str = include_str!("recipes/scripts/inittab");
const CONSOLE: &str = include_str!("recipes/scripts/console.sh");
const PROFILE: &str = include_str!("recipes/scripts/profile");
const UDHCPC: &str = include_str!("recipes/scripts/udhcpc.sh");

/// Modules for the devices of the boards and for what a person does in the guest. Drivers are loaded when their device
/// is there, the others by the kernel on first use.
const MODULES: [&str; 20] = [
    "virtio_mmio",
    "virtio_pci",
    "virtio_blk",
    "virtio_net",
    "virtio_rng",
    "virtio_console",
    "virtio_scsi",
    "virtio_balloon",
    "virtio_input",
    "nvme",
    "ext4",
    "crc32c_generic",
    "vfat",
    "nls_cp437",
    "nls_ascii",
    "overlay",
    "squashfs",
    "9p",
    "9pnet_virtio",
    "loop",
];

/// What an initramfs does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flavour {
    /// A root shell on the console with network and a scratch disk.
    Shell,
    /// Prints `MIMIC-INIT-OK` and the uptime, runs the programs in `/bench`, powers off. Needs no module.
    Bench,
    /// Mounts `root=` and hands over to the system there.
    Root,
    /// Builds a system on a disk (see [`crate::recipes::disk`]).
    Install,
}

impl Flavour {
    fn init(self) -> &'static str {
        match self {
            Flavour::Shell => include_str!("recipes/scripts/init-shell.sh"),
            Flavour::Bench => include_str!("recipes/scripts/init-bench.sh"),
            Flavour::Root => include_str!("recipes/scripts/init-root.sh"),
            Flavour::Install => include_str!("recipes/scripts/init-install.sh"),
        }
    }
}

/// What goes into an initramfs beside busybox.
#[derive(Debug, Clone)]
pub struct InitramfsSpec {
    /// The `/init`.
    pub flavour: Flavour,
    /// Packages to unpack with all that they depend upon. Their maintainer scripts do not run. Busybox's shell prefers
    /// its own applets, so a program of the same name is called by its full path.
    pub packages: Vec<String>,
    /// Files that are put in last.
    pub files: Tree,
}

impl InitramfsSpec {
    /// Nothing beside busybox and the flavour's own parts.
    pub fn new(flavour: Flavour) -> InitramfsSpec {
        InitramfsSpec { flavour, packages: Vec::new(), files: Tree::new() }
    }

    /// Adds a package and all that it depends upon.
    pub fn add_package_closure(mut self, name: &str) -> InitramfsSpec {
        self.packages.push(name.to_owned());
        self
    }

    /// Adds a regular file of root's.
    pub fn add_file(mut self, path: &str, mode: u32, bytes: impl Into<Vec<u8>>) -> Result<InitramfsSpec> {
        self.files.file(path, mode, bytes)?;
        Ok(self)
    }

    /// Fetches what is named and puts it together.
    pub fn build(&self, repo: &Repository, kernel: &KernelFiles, progress: &dyn Progress) -> Result<Tree> {
        let mut tree = skeleton()?;
        let index = repo.index();
        let mut packages = index.closure(self.packages.iter().map(String::as_str))?;
        packages.push(index.find("busybox-static")?);
        for package in repo.fetch(&packages, progress)? {
            deb::unpack(&package, &mut tree, &is_useful)?;
        }
        tree.symlink("usr/bin/sh", "busybox")?;
        if self.flavour != Flavour::Bench {
            kernel.modules.install(&MODULES, &kernel.release, &mut tree)?;
            tree.file("etc/init-lib.sh", 0o644, LIB)?;
            tree.file("etc/inittab", 0o644, INITTAB)?;
            tree.file("etc/console.sh", 0o755, CONSOLE)?;
            tree.file("etc/profile", 0o644, PROFILE)?;
            tree.file("etc/udhcpc/default.script", 0o755, UDHCPC)?;
        }
        tree.file("init", 0o755, self.flavour.init())?;
        tree.merge(&self.files)?;
        Ok(tree)
    }
}

/// Writes a tree as an initramfs.
pub(crate) fn write(tree: &Tree, path: &Path) -> Result<()> {
    let mut out = std::io::BufWriter::new(std::fs::File::create(path).at(path)?);
    cpio::write(tree, &mut out).at(path)?;
    std::io::Write::flush(&mut out).at(path)
}

/// Documentation stays out of memory.
fn is_useful(path: &str) -> bool {
    !["usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/lintian", "usr/share/info"]
        .iter()
        .any(|directory| path.starts_with(directory))
}

/// Directories, the merged `/usr`, the first device nodes and the names every program expects.
fn skeleton() -> Result<Tree> {
    let mut tree = Tree::new();
    for directory in
        ["dev", "etc", "mnt", "proc", "run", "sys", "tmp", "var", "usr/bin", "usr/lib", "usr/local/bin"]
    {
        tree.dir(directory)?;
    }
    tree.put("root", Node::new(Kind::Dir, 0o700))?;
    for directory in ["bin", "sbin", "lib"] {
        tree.symlink(directory, &format!("usr/{directory}"))?;
    }
    // The kernel looks for /sbin/modprobe; busybox puts everything into one directory.
    tree.symlink("usr/sbin", "bin")?;
    tree.symlink("var/run", "/run")?;
    tree.put("dev/console", Node::new(Kind::Char(5, 1), 0o600))?;
    tree.put("dev/null", Node::new(Kind::Char(1, 3), 0o666))?;
    tree.file(
        "etc/passwd",
        0o644,
        "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/usr/bin/false\n",
    )?;
    tree.file("etc/group", 0o644, "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n")?;
    tree.file("etc/hosts", 0o644, "127.0.0.1 localhost debian\n::1 localhost\n")?;
    tree.file("etc/resolv.conf", 0o644, "")?;
    Ok(tree)
}
