//! The guest within this program.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, FromRawFd};

use super::{Boot, Fault};
use crate::personality::Arch;

/// Assembled from `hello/hello.s` by `build.rs`.
static IMAGE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/hello.bin"));

/// Boots it as a kernel, from a file that is nowhere but in memory.
pub fn boot() -> Result<Boot, Fault> {
    let file = in_memory().map_err(|error| Fault::host(format!("cannot make a file in memory: {error}")))?;
    Ok(Boot {
        bios: Some("builtin".into()),
        kernel: Some(format!("/proc/self/fd/{}", file.as_raw_fd())),
        bare: true,
        _open: Some(file),
        ..Boot::of(Arch::Riscv64)
    })
}

fn in_memory() -> io::Result<File> {
    // SAFETY: the name is a NUL-terminated literal; the call has no other precondition.
    let fd = unsafe { libc::memfd_create(c"hello".as_ptr(), libc::MFD_CLOEXEC) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just handed out `fd`, nobody else owns it.
    let mut file = unsafe { File::from_raw_fd(fd) };
    file.write_all(IMAGE)?;
    Ok(file)
}
