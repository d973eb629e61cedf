//! `binfmt_misc`: having the kernel run other architectures' programs by Mimic.
//!
//! From: `Documentation/admin-guide/binfmt-misc.rst`. Entries have the names that QEMU's have, so that tools which look for
//! them find them.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::personality::UserArch;

/// Where the kernel has it.
const FOLDER: &str = "/proc/sys/fs/binfmt_misc";
/// Open the program for us (O) with its credentials (C), tell its name (P), and keep this emulator open, so that it is
/// found after a chroot (F).
const FLAGS: &str = "OCPF";
/// `e_ident` up to the ABI: 64-bit, little-endian, version 1.
const IDENT: [u8; 16] = *b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0";
/// All of it but the ABI counts, which is 0 or 3 for Linux.
const IDENT_MASK: [u8; 16] = [255, 255, 255, 255, 255, 255, 255, 0, 255, 255, 255, 255, 255, 255, 255, 255];

/// Bytes as an entry has them.
fn escaped(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("\\x{byte:02x}")).collect()
}

/// Name of the entry of an architecture.
fn name(arch: &str) -> String {
    format!("qemu-{arch}")
}

/// The line that registers `arch` for `interpreter`.
fn entry(arch: &str, machine: u16, interpreter: &Path, flags: &str) -> String {
    // ET_EXEC or ET_DYN; then the machine.
    let magic = [&IDENT[..], &[2, 0], &machine.to_le_bytes()].concat();
    let mask = [&IDENT_MASK[..], &[0xfe, 0xff], &[0xff, 0xff]].concat();
    let (magic, mask) = (escaped(&magic), escaped(&mask));
    format!(":{}:M:0:{magic}:{mask}:{}:{flags}", name(arch), interpreter.display())
}

/// What `--register` or `--unregister` writes: file and text.
type Write = (PathBuf, String);

/// `mimic user --register|--unregister [--flags FLAGS] [ARCH...]`: the exit status, or `None` where `words` are about
/// something else.
pub fn command(words: &[OsString]) -> Option<u8> {
    let first = words.first()?.to_str()?;
    let done = match first {
        "--register" => writes(&words[1..], true),
        "--unregister" => writes(&words[1..], false),
        _ => return None,
    };
    Some(match done.and_then(|writes| carry_out(&writes)) {
        Ok(()) => 0,
        Err(fault) => {
            eprintln!("mimic: user {first}: {fault}");
            1
        }
    })
}

fn writes(words: &[OsString], register: bool) -> Result<Vec<Write>, String> {
    let mut flags = FLAGS.to_string();
    let mut chosen = Vec::new();
    let mut words = words.iter().map(|word| word.to_string_lossy());
    while let Some(word) = words.next() {
        if word == "--flags" {
            flags = words.next().ok_or("--flags needs an argument, some of OCFP")?.into_owned();
            if flags.chars().any(|flag| !"OCFP".contains(flag)) {
                return Err(format!("--flags {flags}: the flags are O, C, F and P"));
            }
            continue;
        }
        let known = || UserArch::ALL.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
        let found = UserArch::ALL.iter().find(|(name, _)| *name == word);
        chosen.push(*found.ok_or_else(|| format!("'{word}' is no architecture; there are {}", known()))?);
    }
    if chosen.is_empty() {
        chosen = UserArch::ALL.to_vec();
    }
    let own = std::env::current_exe().map_err(|error| format!("cannot find this program's file: {error}"))?;
    let folder = Path::new(FOLDER);
    let write = |(name_of, arch): &(&str, UserArch)| match register {
        true => (folder.join("register"), entry(name_of, arch.machine(), &own, &flags)),
        false => (folder.join(name(name_of)), "-1".to_string()),
    };
    Ok(chosen.iter().map(write).collect())
}

/// Writes; where that is not possible, says what would have been written.
fn carry_out(writes: &[Write]) -> Result<(), String> {
    for (file, text) in writes {
        let opened = fs::OpenOptions::new().write(true).open(file);
        let Err(error) = opened.and_then(|mut file| file.write_all(text.as_bytes())) else {
            println!("{}: {text}", file.display());
            continue;
        };
        let Some(obstacle) = obstacle(Path::new(FOLDER), &error) else { return Err(why(file, &error)) };
        println!("not written, {obstacle}: echo '{text}' > {}", file.display());
    }
    Ok(())
}

/// What stands in the way of any entry in `folder`, if that is what `error` tells.
fn obstacle(folder: &Path, error: &io::Error) -> Option<String> {
    let is_there = folder.join("register").exists();
    match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            Some("which needs root".into())
        }
        io::ErrorKind::NotFound if !is_there => Some(format!(
            "since binfmt_misc is not mounted, which mount -t binfmt_misc binfmt_misc {} does",
            folder.display()
        )),
        _ => None,
    }
}

fn why(file: &Path, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => format!("there is no entry {}", file.display()),
        io::ErrorKind::AlreadyExists => "there is such an entry already; --unregister removes it".into(),
        _ => format!("cannot write to {}: {error}", file.display()),
    }
}

/// How the kernel calls an interpreter (`AT_EXECFD`, `AT_FLAGS`): the words of a command line that says the same, or `None`
/// where somebody else called.
pub fn words(args: &[OsString]) -> Option<Vec<OsString>> {
    const AT_EXECFD: u64 = 2;
    const PRESERVE_ARGV0: u64 = 1;
    let fd = auxiliary(AT_EXECFD)?;
    let has_argv0 = auxiliary(libc::AT_FLAGS).unwrap_or(0) & PRESERVE_ARGV0 != 0;
    // The program is opened once more by its name.
    // SAFETY: the kernel made the descriptor for us, and nobody has it yet.
    drop(unsafe { <fs::File as std::os::fd::FromRawFd>::from_raw_fd(fd as i32) });
    let mut rest = args.iter().skip(1).cloned();
    let mut program = rest.next()?;
    if program.as_bytes().starts_with(b"-") {
        program = Path::new(".").join(program).into();
    }
    let mut words = Vec::new();
    if has_argv0 {
        words.extend(["-0".into(), rest.next()?]);
    }
    words.push(program);
    words.extend(rest);
    Some(words)
}

/// An entry of our own auxiliary vector. Zero, which no descriptor of a program is, says that there is none.
fn auxiliary(tag: u64) -> Option<u64> {
    // SAFETY: reads what the kernel has given the process.
    Some(unsafe { libc::getauxval(tag) }).filter(|value| *value != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_as_the_kernel_wants_it() {
        let line = entry("riscv64", 243, Path::new("/opt/mimic"), "OC");
        assert_eq!(
            line,
            ":qemu-riscv64:M:0:\\x7f\\x45\\x4c\\x46\\x02\\x01\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\
             \\x02\\x00\\xf3\\x00:\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\x00\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff\
             \\xfe\\xff\\xff\\xff:/opt/mimic:OC"
        );
        // The kernel's limit for a line.
        assert!(line.len() < 1920);
    }

    #[test]
    fn without_the_file_system_or_the_right_it_is_only_told() {
        let told = |folder: &str, kind: io::ErrorKind| obstacle(Path::new(folder), &kind.into());
        let nowhere = told("/nowhere", io::ErrorKind::NotFound).expect("it is not mounted");
        assert!(nowhere.contains("mount -t binfmt_misc binfmt_misc /nowhere"), "{nowhere}");
        assert_eq!(told("/nowhere", io::ErrorKind::PermissionDenied).as_deref(), Some("which needs root"));
        assert_eq!(told("/nowhere", io::ErrorKind::AlreadyExists), None);
    }

    #[test]
    fn words_that_are_wrong_are_named() {
        let fault = |words: &[&str]| {
            let words: Vec<OsString> = words.iter().map(OsString::from).collect();
            writes(&words, true).expect_err("they are wrong")
        };
        assert!(fault(&["sparc"]).contains("'sparc' is no architecture"));
        assert!(fault(&["--flags", "X"]).contains("the flags are"));
        assert!(fault(&["--flags"]).contains("needs an argument"));
    }
}
