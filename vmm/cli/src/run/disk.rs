//! A disk image of the user's: its own boot loader is found by U-Boot, or by UEFI firmware.

use firmware::find;

use super::{Boot, Fault, escape};
use crate::personality::Arch;

/// U-Boot as a payload for S-mode, as distributions install it.
const U_BOOT: &str = "u-boot.bin";

/// UEFI firmware for aarch64, as distributions install it.
const UEFI: &str = "QEMU_EFI.fd";

/// Boots the disk in `file` on a machine of `arch`.
pub fn boot(file: &str, format: &str, arch: Arch) -> Result<Boot, Fault> {
    let drives = vec![format!("format={format},file={}", escape(file))];
    match arch {
        Arch::Aarch64 => uefi(file, drives),
        Arch::Riscv64 => u_boot(file, drives),
    }
}

fn uefi(file: &str, drives: Vec<String>) -> Result<Boot, Fault> {
    let Some(firmware) = find::named(UEFI) else {
        return Err(Fault::host(format!(
            "{file} is a disk, and finding the system on it takes UEFI firmware: install the package qemu-efi-aarch64"
        )));
    };
    Ok(Boot { bios: Some(firmware.display().to_string()), drives, ..Boot::of(Arch::Aarch64) })
}

fn u_boot(file: &str, drives: Vec<String>) -> Result<Boot, Fault> {
    let Some(loader) = find::named(U_BOOT) else {
        return Err(Fault::host(format!(
            "{file} is a disk, and finding the system on it takes U-Boot: install the package u-boot-qemu"
        )));
    };
    Ok(Boot {
        // U-Boot asks an SBI of its own for nothing that ours lacks.
        bios: Some("builtin".into()),
        kernel: Some(loader.display().to_string()),
        drives,
        ..Boot::of(Arch::Riscv64)
    })
}
