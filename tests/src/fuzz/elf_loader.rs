//! Programs: any bytes as an ELF file or a script, for both guests of user mode.

use super::process::in_child;
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsRawFd, FromRawFd};
use std::path::Path;
use tcg_aarch64::Aarch64;
use tcg_riscv::Riscv;
use tcg_user::testing::load;

/// Takes `data` as a program: the first byte chooses the guest, the rest is the file.
pub fn elf_loader(data: &[u8]) {
    let Some((first, bytes)) = data.split_first() else { return };
    let run = || {
        // SAFETY: makes a file of nobody else's.
        let mut file = unsafe { File::from_raw_fd(libc::memfd_create(c"program".as_ptr(), 0)) };
        file.write_all(bytes).expect("memory takes it");
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        // A sanitizer leaves no place for a guest: then there is nothing to see.
        let _ = match first & 1 {
            0 => load::<Riscv>(Path::new(&path)),
            _ => load::<Aarch64>(Path::new(&path)),
        };
    };
    in_child(run);
    // Once more where a fuzzer sees how far it comes.
    run();
}
