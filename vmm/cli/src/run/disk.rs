//! A disk image of the user's: its own boot loader is found by U-Boot.

use firmware::find;

use super::{Boot, Fault, escape};

/// U-Boot as a payload for S-mode, as distributions install it.
const U_BOOT: &str = "u-boot.bin";

/// Boots the disk in `file`.
pub fn boot(file: &str, format: &str) -> Result<Boot, Fault> {
    let Some(loader) = find::named(U_BOOT) else {
        return Err(Fault::host(format!(
            "{file} is a disk, and finding the system on it takes U-Boot: install the package u-boot-qemu"
        )));
    };
    Ok(Boot {
        // U-Boot asks an SBI of its own for nothing that ours lacks.
        bios: Some("builtin".into()),
        kernel: Some(loader.display().to_string()),
        drives: vec![format!("format={format},file={}", escape(file))],
        ..Boot::default()
    })
}
