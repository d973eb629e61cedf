//! What one guest instruction becomes, as text to be kept and compared: listing, optimised IR, host code and its
//! amount. The same on every CPU: the host code is that for a CPU with all extensions.

use crate::build::{Limits, guest_block};
use crate::guest::{Fetch, Guest, Trap};
use crate::host::{CodeBuffer, Compiled, Env, HostFeatures, HostInsn, TlbShape, disassemble};
use crate::ir::{Names, Region};
use crate::opt::{Scratch, optimise};
use crate::run::VcpuConfig;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

/// Where the instruction stands: within a page, so that jumps nearby are linked.
const PC: u64 = 0x1000_0100;

/// Width of the column of IR.
const COLUMN: usize = 56;

/// Gives the bytes of the instruction, and zeros behind it.
struct Bytes<'a>(&'a [u8]);

impl Fetch for Bytes<'_> {
    fn u16(&mut self, addr: u64) -> Result<u16, Trap> {
        let at = addr.wrapping_sub(PC) as usize;
        let byte = |n: usize| self.0.get(at + n).copied().unwrap_or(0);
        Ok(u16::from_le_bytes([byte(0), byte(1)]))
    }
}

/// The host code of a region in two parts.
struct Parts {
    /// The way through it. Jumps that can be linked stand for all that they are made of, as `goto`.
    hot: Vec<String>,
    insns: usize,
    bytes: usize,
    /// Bytes of everything else: leaving, and what is rarely needed.
    cold: usize,
}

/// The entry of the instruction `code` under `mode`.
pub fn entry<G: Guest>(code: &[u8], mode: u64) -> String {
    let fetch = &mut Bytes(code);
    let (insn, _) = G::decode(fetch, PC, mode).expect("this fetch does not fault");
    let mut region = guest_block::<G>(fetch, PC, mode, &Limits::new(1), Region::default())
        .expect("this fetch does not fault")
        .region;
    optimise(&mut region, G::regs(), G::helpers(), &mut Scratch::default());
    let ir = Names { regs: G::regs(), helpers: G::helpers() }.print(&region);

    let env = Env {
        regs: G::regs(),
        helpers: G::helpers(),
        random_registers: None,
        process: false,
        direct: false,
        tlb: TlbShape { entries: VcpuConfig::default().tlb_entries, alone: true },
        turns: false,
        heat: false,
        samples: false,
        several_pages: false,
    };
    let mut buffer = CodeBuffer::with_features(1 << 16, HostFeatures::ALL).expect("little code memory");
    let mut compiler = buffer.compiler();
    let piece = compiler.compile(&region, &env).expect("one instruction fits");
    let compiled = buffer.place(piece, 1).expect("one instruction fits");
    let listing = disassemble(buffer.code(&compiled), 0);
    let Parts { hot, insns, bytes, cold } = parts(&compiled, &listing);

    // The first line of the IR says where it stands, which is the same for all.
    let ir: Vec<&str> = ir.lines().skip(1).filter(|line| *line != "b0:").collect();
    let mut text =
        format!("{}\n  {insns} instructions, {bytes} bytes; {cold} bytes aside\n", G::print(insn, PC));
    for n in 0..ir.len().max(hot.len()) {
        let (ir, host) = (ir.get(n).unwrap_or(&""), hot.get(n).map_or("", String::as_str));
        let line = format!("  {ir:<COLUMN$}| {host}");
        writeln!(text, "{}", line.trim_end()).expect("a string takes everything");
    }
    text
}

/// Tells the way through a region from the rest, by its exits: what they consist of is left out, and what stands
/// behind the last of them is aside.
fn parts(compiled: &Compiled, listing: &[HostInsn]) -> Parts {
    let mut parts = Parts { hot: Vec::new(), insns: 0, bytes: 0, cold: 0 };
    let mut sites = compiled.sites.iter().filter(|site| site.patch.is_some());
    let mut next = sites.next();
    let mut leaving = false;
    for insn in listing {
        if leaving || next.is_none() && !compiled.sites.is_empty() {
            parts.cold += insn.bytes.len();
            leaving &= !insn.text.starts_with("jmp");
            continue;
        }
        match next.and_then(|site| Some((site.pc?, site.patch?))) {
            Some((pc, patch)) if insn.at + 1 == u64::from(patch.at - compiled.entry) => {
                parts.hot.push(format!("goto {pc:#x}"));
                (leaving, next) = (true, sites.next());
            }
            _ if insn.text == "nop" => {
                parts.cold += insn.bytes.len();
                continue;
            }
            _ => parts.hot.push(local(&insn.text, compiled.len)),
        }
        parts.insns += 1;
        parts.bytes += insn.bytes.len();
    }
    parts
}

/// The instruction `text` of a region of `len` bytes, without the address of the common exit, which is elsewhere.
fn local(text: &str, len: u32) -> String {
    let target = text.strip_prefix("jmp 0x").and_then(|digits| u64::from_str_radix(digits, 16).ok());
    if target.is_some_and(|at| at > len.into()) { "jmp leave".into() } else { text.into() }
}

/// Compares `files` (name without extension, text) with what `folder` keeps, and says how to accept the difference by
/// `bless`, a command that sets `MIMIC_BLESS`; with that set, the folder is written anew.
///
/// # Panics
/// If a file differs, or one is kept that there is no text for.
pub fn check(folder: &Path, files: &BTreeMap<String, String>, bless: &str) {
    if std::env::var_os("MIMIC_BLESS").is_some() {
        std::fs::create_dir_all(folder).expect("our own folder");
        for old in std::fs::read_dir(folder).expect("our own folder") {
            std::fs::remove_file(old.expect("readable").path()).expect("our own file");
        }
        for (family, text) in files {
            std::fs::write(folder.join(format!("{family}.txt")), text).expect("our own folder");
        }
        return;
    }
    let mut differences = Vec::new();
    for (family, text) in files {
        let old = std::fs::read_to_string(folder.join(format!("{family}.txt"))).unwrap_or_default();
        differences.extend(difference(&old, text).map(|what| format!("{family}.txt, {what}")));
    }
    let kept = std::fs::read_dir(folder).expect("our own folder").count();
    assert!(
        differences.is_empty() && kept == files.len(),
        "{} of {} files differ, {kept} are kept:\n{}\nIf that is meant: {bless}",
        differences.len(),
        files.len(),
        differences.join("\n"),
    );
}

/// The first line in which two texts differ.
fn difference(old: &str, new: &str) -> Option<String> {
    let (mut old, mut new) = (old.lines(), new.lines());
    let mut entry = "";
    for number in 1.. {
        let pair = (old.next(), new.next());
        match pair {
            (None, None) => return None,
            (a, b) if a == b => {
                let line = a.unwrap_or("");
                if !line.starts_with(' ') && !line.is_empty() {
                    entry = line;
                }
            }
            (a, b) => {
                let show = |line: Option<&str>| line.unwrap_or("(end)").to_owned();
                return Some(format!("line {number}, in {entry}\n  was {}\n  is  {}", show(a), show(b)));
            }
        }
    }
    None
}
