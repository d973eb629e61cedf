//! Loading a program: ELF images, their interpreter, scripts.
//!
//! From: System V gABI chapter 5 (program loading), and `execve(2)` for scripts.

use crate::arch::Abi;
use crate::memory::{Backing, Memory, pages_up};
use crate::sysroot::Sysroot;
use base::PAGE_SIZE;
use object::LittleEndian as Le;
use object::elf::{
    ET_DYN, ET_EXEC, FileHeader64, PF_R, PF_W, PF_X, PT_INTERP, PT_LOAD, ProgramFlags, ProgramHeader64,
};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Why a program cannot run.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("cannot open '{}': {source}", path.display())]
    Open {
        /// It.
        path: PathBuf,
        /// The host's reason.
        source: std::io::Error,
    },
    /// It is nothing that is run here.
    #[error("{}: {why}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Its place in memory is not to be had.
    #[error("{}: no room for {len:#x} bytes at {addr:#x} in the guest's address space", path.display())]
    Room {
        /// The file.
        path: PathBuf,
        /// Address; 0 for anywhere.
        addr: u64,
        /// Bytes.
        len: u64,
    },
}

/// A loaded ELF file.
#[derive(Clone, Debug)]
pub struct Image {
    /// Where it starts.
    pub entry: u64,
    /// What is to be added to the file's addresses.
    pub bias: u64,
    /// Address of the program headers.
    pub headers: u64,
    /// Their number.
    pub header_count: u64,
    /// Start of the lowest segment.
    pub start: u64,
    /// End of the highest segment.
    pub end: u64,
    /// From the lowest segment that is executed to the end of what is in the file of the highest.
    pub code: Range<u64>,
    /// The highest segment, as far as it is in the file.
    pub data: Range<u64>,
    interpreter: Option<PathBuf>,
}

/// A program in memory.
#[derive(Debug)]
pub struct Program {
    /// The program itself.
    pub image: Image,
    /// Its interpreter.
    pub interpreter: Option<Image>,
    /// The file.
    pub path: PathBuf,
    /// Arguments, with those that a script puts first.
    pub args: Vec<OsString>,
}

/// What a file is, by its first bytes.
#[derive(Debug, PartialEq, Eq)]
pub enum Kind {
    /// An ELF file of this `e_machine`, 64-bit and little-endian.
    Elf(u16),
    /// A script: interpreter, and one argument.
    Script(PathBuf, Option<OsString>),
    /// Something else.
    Other,
}

/// Longest first line of a script.
const SCRIPT_LINE: usize = 256;
/// How often a script's interpreter may be a script itself.
const SCRIPT_DEPTH: usize = 5;

/// Tells what a file is.
pub fn kind(file: &File) -> Kind {
    let mut head = [0; SCRIPT_LINE];
    let len = file.read_at(&mut head, 0).unwrap_or(0);
    let head = &head[..len];
    if let Some(line) = head.strip_prefix(b"#!") {
        let line = line.split(|byte| *byte == b'\n').next().unwrap_or(&[]);
        let line = line.trim_ascii();
        let end = line.iter().position(|byte| b" \t".contains(byte)).unwrap_or(line.len());
        let argument = line[end..].trim_ascii();
        let argument = (!argument.is_empty()).then(|| OsString::from_vec(argument.to_vec()));
        return Kind::Script(OsStr::from_bytes(&line[..end]).into(), argument);
    }
    if len >= 20 && head.starts_with(b"\x7fELF\x02\x01") {
        return Kind::Elf(u16::from_le_bytes([head[18], head[19]]));
    }
    Kind::Other
}

fn open(path: &Path) -> Result<File, LoadError> {
    File::open(path).map_err(|source| LoadError::Open { path: path.into(), source })
}

fn format(path: &Path, why: &str) -> LoadError {
    LoadError::Format { path: path.into(), why: why.into() }
}

/// Loads `path`, to be called with `args`.
pub fn program(
    memory: &Memory,
    abi: &Abi,
    sysroot: &Sysroot,
    path: &Path,
    mut args: Vec<OsString>,
) -> Result<Program, LoadError> {
    let mut path = path.to_path_buf();
    let mut file = open(&path)?;
    for _ in 0..SCRIPT_DEPTH {
        let Kind::Script(interpreter, argument) = kind(&file) else { break };
        if args.is_empty() {
            args.push(path.clone().into());
        }
        args[0] = path.into();
        args.splice(0..0, [Some(interpreter.clone().into()), argument].into_iter().flatten());
        path = sysroot.resolve_path(&interpreter);
        file = open(&path)?;
    }
    let image = elf(memory, abi, &file, &path, true)?;
    let interpreter = match &image.interpreter {
        None => None,
        Some(name) => {
            let name = sysroot.resolve_path(name);
            Some(elf(memory, abi, &open(&name)?, &name, false)?)
        }
    };
    Ok(Program { image, interpreter, path, args })
}

/// The headers of an ELF file that can be loaded.
struct Headers {
    entry: u64,
    fixed: bool,
    table_offset: u64,
    segments: Vec<ProgramHeader64<Le>>,
}

fn headers(file: &File, path: &Path, abi: &Abi) -> Result<Headers, LoadError> {
    let bad = |why: &str| format(path, why);
    let mut bytes = [0; size_of::<FileHeader64<Le>>()];
    if file.read_exact_at(&mut bytes, 0).is_err() {
        return Err(bad("not an ELF file"));
    }
    match kind(file) {
        Kind::Elf(machine) if machine == abi.machine => {}
        Kind::Elf(_) => return Err(bad("Invalid ELF image for this architecture")),
        _ => return Err(bad("not a 64-bit little-endian ELF file")),
    }
    let (head, _) =
        object::pod::from_bytes::<FileHeader64<Le>>(&bytes).map_err(|()| bad("malformed ELF header"))?;
    let fixed = match head.e_type.get(Le) {
        ET_EXEC => true,
        ET_DYN => false,
        _ => return Err(bad("the ELF file is no program")),
    };
    let count = usize::from(head.e_phnum.get(Le));
    let size = size_of::<ProgramHeader64<Le>>();
    if usize::from(head.e_phentsize.get(Le)) != size || count == 0 {
        return Err(bad("malformed ELF program headers"));
    }
    let table_offset = head.e_phoff.get(Le);
    let mut table = vec![0; count * size];
    let read = file.read_exact_at(&mut table, table_offset);
    let (segments, _) = object::pod::slice_from_bytes::<ProgramHeader64<Le>>(&table, count)
        .map_err(|()| bad("malformed ELF program headers"))?;
    read.map_err(|_| bad("the ELF file is cut short"))?;
    Ok(Headers { entry: head.e_entry.get(Le), fixed, table_offset, segments: segments.to_vec() })
}

/// What the kernel checks of an ELF file before the old program is gone.
///
/// # Errors
/// The errno of `execve(2)`.
pub fn check(abi: &Abi, sysroot: &Sysroot, file: &File) -> Result<(), i32> {
    let nowhere = Path::new("");
    let head = headers(file, nowhere, abi).map_err(|_| libc::ENOEXEC)?;
    let Some(name) = interpreter(file, &head).map_err(|_| libc::ENOEXEC)? else { return Ok(()) };
    let name = sysroot.resolve_path(&name);
    let file = File::open(&name).map_err(|error| error.raw_os_error().unwrap_or(libc::ENOENT))?;
    let may_run = file.metadata().is_ok_and(|data| data.is_file() && data.mode() & 0o111 != 0);
    if !may_run {
        return Err(libc::EACCES);
    }
    headers(&file, nowhere, abi).map(|_| ()).map_err(|_| libc::ELIBBAD)
}

/// Maps an ELF file. The `main` program may be placed low; what is not goes where mappings go.
fn elf(memory: &Memory, abi: &Abi, file: &File, path: &Path, main: bool) -> Result<Image, LoadError> {
    let head = headers(file, path, abi)?;
    let loads: Vec<_> = head.segments.iter().filter(|s| s.p_type.get(Le) == PT_LOAD).collect();
    let low = loads.iter().map(|s| s.p_vaddr.get(Le) & !(PAGE_SIZE - 1)).min();
    let high = loads.iter().map(|s| s.p_vaddr.get(Le).saturating_add(s.p_memsz.get(Le))).max();
    let (Some(low), Some(high)) = (low, high.filter(|high| *high < 1 << 47)) else {
        return Err(format(path, "the ELF file has nothing to load"));
    };
    let span = pages_up(high - low);
    let room = |addr| LoadError::Room { path: path.into(), addr, len: span };
    // The whole span is taken first, so that nothing else comes to lie between the segments.
    let hint = match (head.fixed, main) {
        (true, _) => low,
        (false, true) => (memory.space().range().end / 3 * 2) & !(PAGE_SIZE - 1),
        (false, false) => 0,
    };
    let fixed = if head.fixed { libc::MAP_FIXED_NOREPLACE } else { 0 };
    let flags = Backing::ZERO.flags | libc::MAP_NORESERVE | fixed;
    let start = memory
        .map(hint, span, libc::PROT_NONE, Backing { flags, ..Backing::ZERO })
        .map_err(|_| room(hint))?;
    let bias = start.wrapping_sub(low);
    for segment in &loads {
        map_segment(memory, file, segment, bias).ok_or_else(|| format(path, "malformed ELF segment"))?;
    }
    let headers = loads.iter().find_map(|s| {
        let inside = head.table_offset.checked_sub(s.p_offset.get(Le))?;
        (inside < s.p_filesz.get(Le)).then(|| s.p_vaddr.get(Le).wrapping_add(inside).wrapping_add(bias))
    });
    let in_file = |s: &&ProgramHeader64<Le>| {
        let start = s.p_vaddr.get(Le).wrapping_add(bias);
        start..start.wrapping_add(s.p_filesz.get(Le))
    };
    let code = loads.iter().filter(|s| s.p_flags.get(Le).0 & PF_X.0 != 0).map(in_file);
    let code = code.reduce(|all, one| all.start.min(one.start)..all.end.max(one.end));
    let data = loads.iter().map(in_file).reduce(|all, one| all.start.max(one.start)..all.end.max(one.end));
    Ok(Image {
        code: code.unwrap_or_default(),
        data: data.unwrap_or_default(),
        entry: head.entry.wrapping_add(bias),
        bias,
        headers: headers.unwrap_or(0),
        header_count: head.segments.len() as u64,
        start: low.wrapping_add(bias),
        end: high.wrapping_add(bias),
        interpreter: interpreter(file, &head).map_err(|why| format(path, why))?,
    })
}

fn interpreter(file: &File, head: &Headers) -> Result<Option<PathBuf>, &'static str> {
    let Some(segment) = head.segments.iter().find(|s| s.p_type.get(Le) == PT_INTERP) else { return Ok(None) };
    let len = segment.p_filesz.get(Le);
    if !(2..=libc::PATH_MAX as u64).contains(&len) {
        return Err("the ELF interpreter has no possible name");
    }
    let mut name = vec![0; len as usize];
    file.read_exact_at(&mut name, segment.p_offset.get(Le)).map_err(|_| "the ELF file is cut short")?;
    let end = name.iter().position(|byte| *byte == 0).ok_or("the name of the ELF interpreter has no end")?;
    name.truncate(end);
    Ok(Some(OsString::from_vec(name).into()))
}

/// Maps one segment inside the span that was taken; `None` if it makes no sense.
fn map_segment(memory: &Memory, file: &File, segment: &ProgramHeader64<Le>, bias: u64) -> Option<()> {
    let (addr, offset) = (segment.p_vaddr.get(Le).wrapping_add(bias), segment.p_offset.get(Le));
    let (in_file, in_memory) = (segment.p_filesz.get(Le), segment.p_memsz.get(Le));
    let flags = segment.p_flags.get(Le).0;
    let bit = |flag: ProgramFlags, prot| if flags & flag.0 != 0 { prot } else { 0 };
    let prot = bit(PF_R, libc::PROT_READ) | bit(PF_W, libc::PROT_WRITE) | bit(PF_X, libc::PROT_EXEC);
    let lead = addr % PAGE_SIZE;
    if lead != offset % PAGE_SIZE || in_file > in_memory {
        return None;
    }
    let start = addr - lead;
    let file_end = start + pages_up(lead.checked_add(in_file)?);
    let end = start + pages_up(lead.checked_add(in_memory)?);
    let fixed = libc::MAP_PRIVATE | libc::MAP_FIXED;
    if in_file > 0 {
        let backing = Backing { flags: fixed, fd: file.as_raw_fd(), offset: offset - lead };
        memory.map(start, file_end - start, prot, backing).ok()?;
    }
    if end > file_end || in_file == 0 {
        let from = if in_file > 0 { file_end } else { start };
        if end > from {
            let flags = fixed | libc::MAP_ANONYMOUS;
            memory.map(from, end - from, prot, Backing { flags, ..Backing::ZERO }).ok()?;
        }
    }
    let data_end = addr + in_file;
    if in_memory > in_file && in_file > 0 && data_end < file_end && prot & libc::PROT_WRITE != 0 {
        // Past the end of a short file nothing can be written; then there is nothing to clear either.
        let _ = memory.write_bytes(data_end, &vec![0; (file_end - data_end) as usize]);
    }
    Some(())
}
