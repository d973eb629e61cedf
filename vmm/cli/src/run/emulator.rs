//! This program inside another root directory, so that programs there can be run by it after a chroot.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Component, Path, PathBuf};

use guest_images::Arch;

/// What a host's tools and `binfmt_misc` call the emulator of an architecture.
fn name(arch: Arch) -> &'static str {
    match arch {
        Arch::Arm64 => "qemu-aarch64-static",
        Arch::Riscv64 => "qemu-riscv64-static",
    }
}

/// Files of the host that are mapped into this process: the program itself and the libraries that it needs, under the
/// names by which they are looked for.
fn libraries() -> io::Result<Vec<PathBuf>> {
    let maps = fs::read_to_string("/proc/self/maps")?;
    let mut files: Vec<PathBuf> =
        maps.lines().filter_map(|line| line.find('/').map(|at| PathBuf::from(&line[at..]))).collect();
    files.dedup();
    let is_library = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().contains(".so")) && path.exists()
    };
    files.retain(is_library);
    // The loader stands under its own name in the header of a program that has libraries.
    if !files.is_empty() {
        files.push("/lib64/ld-linux-x86-64.so.2".into());
    }
    Ok(files)
}

/// Copies this program and its libraries into `root`.
///
/// # Errors
/// A file that cannot be read or written.
pub fn put_into(root: &Path, arch: Arch) -> io::Result<()> {
    let copy = |from: &Path, to: &Path| {
        let inside: PathBuf = to.components().filter(|part| matches!(part, Component::Normal(_))).collect();
        let to = root.join(inside);
        fs::create_dir_all(to.parent().unwrap_or(root))?;
        fs::copy(from, to).map(drop)
    };
    // Debian's own scripts refuse a system whose library folders are not links into /usr.
    match symlink("usr/lib64", root.join("lib64")) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        other => other?,
    }
    fs::create_dir_all(root.join("usr/lib64"))?;
    copy(&std::env::current_exe()?, &Path::new("/usr/bin").join(name(arch)))?;
    libraries()?.iter().try_for_each(|library| copy(library, library))
}
