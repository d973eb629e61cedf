//! The first stack of a program: arguments, environment and the auxiliary vector.
//!
//! From: System V gABI chapter 3 as the psABIs have it, and `getauxval(3)`.

use crate::cpu::Cpu;
use crate::load::Program;
use crate::memory::{Memory, Result};
use crate::signal::Frame;
use base::PAGE_SIZE;
use std::ffi::OsString;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;

/// What the stack is made of besides the program.
pub struct Setup<'a> {
    /// Environment, `NAME=value`.
    pub env: &'a [OsString],
    /// The name that the program was called by.
    pub exec_name: &'a OsString,
    /// Address of the vDSO.
    pub vdso: u64,
    /// Sixteen random bytes.
    pub random: [u8; 16],
}

/// A stack that is ready.
pub struct Stack {
    /// Stack pointer to start with.
    pub sp: u64,
    /// The auxiliary vector, for `/proc/self/auxv`.
    pub auxv: Vec<(u64, u64)>,
    /// Where the arguments' strings are.
    pub args: Range<u64>,
    /// Where those of the environment are.
    pub env: Range<u64>,
}

/// Strings go down from the top.
struct Strings<'a> {
    memory: &'a Memory,
    top: u64,
}

impl Strings<'_> {
    fn push(&mut self, bytes: &[u8]) -> Result<u64> {
        self.top -= bytes.len() as u64;
        self.memory.write_bytes(self.top, bytes)?;
        Ok(self.top)
    }

    fn push_string(&mut self, text: &[u8]) -> Result<u64> {
        let bytes: Vec<u8> = text.iter().copied().chain([0]).collect();
        self.push(&bytes)
    }
}

fn ids() -> [u64; 4] {
    // SAFETY: no arguments, no effect.
    unsafe { [libc::getuid(), libc::geteuid(), libc::getgid(), libc::getegid()].map(u64::from) }
}

/// Makes the stack of `program`.
pub fn build(memory: &Memory, cpu: &dyn Cpu, program: &Program, setup: &Setup) -> Result<Stack> {
    memory.fit_stack()?;
    let mut strings = Strings { memory, top: memory.stack().end };
    let abi = cpu.abi();
    strings.push(&[0; 8])?;
    let exec_name = strings.push_string(setup.exec_name.as_bytes())?;
    let env: Vec<u64> =
        setup.env.iter().rev().map(|text| strings.push_string(text.as_bytes())).collect::<Result<_>>()?;
    let (args_end, env_range) = (strings.top, strings.top..exec_name);
    let args: Vec<u64> =
        program.args.iter().rev().map(|text| strings.push_string(text.as_bytes())).collect::<Result<_>>()?;
    let args_range = strings.top..args_end;
    let platform = if abi.platform.is_empty() { 0 } else { strings.push_string(abi.platform.as_bytes())? };
    let random = strings.push(&setup.random)?;

    let [uid, euid, gid, egid] = ids();
    let [hwcap, hwcap2] = cpu.hwcap();
    let mut auxv = vec![
        (libc::AT_SYSINFO_EHDR, setup.vdso),
        (libc::AT_HWCAP, hwcap),
        (libc::AT_PAGESZ, PAGE_SIZE),
        (libc::AT_CLKTCK, 100),
        (libc::AT_PHDR, program.image.headers),
        (libc::AT_PHENT, 56),
        (libc::AT_PHNUM, program.image.header_count),
        (libc::AT_BASE, program.interpreter.as_ref().map_or(0, |image| image.bias)),
        (libc::AT_FLAGS, 0),
        (libc::AT_ENTRY, program.image.entry),
        (libc::AT_UID, uid),
        (libc::AT_EUID, euid),
        (libc::AT_GID, gid),
        (libc::AT_EGID, egid),
        (libc::AT_SECURE, 0),
        (libc::AT_RANDOM, random),
        (libc::AT_HWCAP2, hwcap2),
        (libc::AT_EXECFN, exec_name),
        (libc::AT_MINSIGSTKSZ, abi.min_signal_stack.max(Frame::size(cpu.mcontext_size()))),
    ];
    if platform != 0 {
        auxv.push((libc::AT_PLATFORM, platform));
    }
    auxv.push((libc::AT_NULL, 0));

    let mut words = vec![args.len() as u64];
    words.extend(args.iter().rev());
    words.push(0);
    words.extend(env.iter().rev());
    words.push(0);
    words.extend(auxv.iter().flat_map(|(tag, value)| [*tag, *value]));
    let sp = (strings.top - words.len() as u64 * 8) & !15;
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    memory.write_bytes(sp, &bytes)?;
    Ok(Stack { sp, auxv, args: args_range, env: env_range })
}
