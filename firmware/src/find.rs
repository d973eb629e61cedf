//! Finding firmware files where distributions put them.

use std::path::PathBuf;

/// Where Debian, Fedora, Arch and a local QEMU keep firmware.
const DIRECTORIES: [&str; 7] = [
    "/usr/share/qemu",
    "/usr/lib/riscv64-linux-gnu/opensbi/generic",
    "/usr/share/opensbi/lp64/generic/firmware",
    "/usr/lib/u-boot/qemu-riscv64_smode",
    "/usr/share/qemu-efi-aarch64",
    "/usr/lib/u-boot/qemu_arm64",
    "/usr/local/share/qemu",
];

/// Names of OpenSBI for the `virt` board, the kind that is told where the next stage is.
const OPENSBI: [&str; 2] = ["opensbi-riscv64-generic-fw_dynamic.bin", "fw_dynamic.bin"];

/// OpenSBI as the distribution has installed it.
pub fn opensbi() -> Option<PathBuf> {
    DIRECTORIES.iter().flat_map(|dir| OPENSBI.map(|name| PathBuf::from(dir).join(name))).find(|p| p.is_file())
}

/// A firmware file by the name that the user gave: a path, or a name in one of the usual directories.
pub fn named(name: &str) -> Option<PathBuf> {
    let direct = PathBuf::from(name);
    if direct.is_file() {
        return Some(direct);
    }
    let is_plain = !name.contains('/');
    DIRECTORIES.iter().map(|dir| PathBuf::from(dir).join(name)).find(|p| is_plain && p.is_file())
}
