//! The oracle: another implementation that runs a program for the guest on Linux. The program is the smallest static ELF
//! executable (System V ABI, ELF-64): one segment that may be read, written and executed.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// What `emulator` has `image`, loaded at `base` (page-aligned) and entered there, write to its standard output; `None` if
/// the emulator is not installed. The executable for `machine` (`e_machine` and `e_flags`) is `file` while it runs.
///
/// # Panics
/// If the program fails, or the emulator is missing although `MIMIC_PEERS` is set.
pub fn output(emulator: &str, machine: (u16, u32), base: u64, image: &[u8], file: &Path) -> Option<Vec<u8>> {
    fs::write(file, executable(machine, base, image)).expect("a scratch file");
    fs::set_permissions(file, PermissionsExt::from_mode(0o755)).expect("a scratch file");
    let run = match Command::new(emulator).args(["-cpu", "max"]).arg(file).output() {
        Ok(run) => run,
        Err(error) => {
            let needed = std::env::var_os("MIMIC_PEERS").is_some();
            assert!(!needed, "{emulator} has to be there (MIMIC_PEERS is set): {error}");
            return None;
        }
    };
    assert!(run.status.success(), "the oracle: {} of {}", run.status, file.display());
    fs::remove_file(file).expect("a scratch file");
    Some(run.stdout)
}

fn executable((machine, flags): (u16, u32), base: u64, image: &[u8]) -> Vec<u8> {
    const HEADERS: u64 = 0x1000;
    let size = image.len() as u64;
    let mut elf = Vec::new();
    // Identification: 64-bit, little-endian, version 1, System V.
    elf.extend([0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    // ET_EXEC, machine, version; entry, program headers, no section headers.
    halves(&mut elf, &[2, machine]);
    words(&mut elf, &[1]);
    doubles(&mut elf, &[base, 64, 0]);
    // Flags, header sizes and counts.
    words(&mut elf, &[flags]);
    halves(&mut elf, &[64, 56, 1, 0, 0, 0]);
    // PT_LOAD, RWX.
    words(&mut elf, &[1, 7]);
    doubles(&mut elf, &[HEADERS, base, base, size, size, 0x1000]);
    elf.resize(HEADERS as usize, 0);
    elf.extend(image);
    elf
}

fn halves(elf: &mut Vec<u8>, values: &[u16]) {
    values.iter().for_each(|v| elf.extend(v.to_le_bytes()));
}

fn words(elf: &mut Vec<u8>, values: &[u32]) {
    values.iter().for_each(|v| elf.extend(v.to_le_bytes()));
}

fn doubles(elf: &mut Vec<u8>, values: &[u64]) {
    values.iter().for_each(|v| elf.extend(v.to_le_bytes()));
}
