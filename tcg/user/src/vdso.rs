//! The vDSO: a small shared object, made by code, with the functions that C libraries look for and with unwind
//! information that leads through signal frames.
//!
//! From: System V gABI chapters 4 and 5 (ELF, hash table, symbol versions by the GNU extension), DWARF 5 section 6.4,
//! and the Linux Standard Base for `.eh_frame_hdr`.

use crate::arch::VdsoParts;

const BASE: usize = 0;
const EHDR: usize = 64;
const PHDR: usize = 56;
const SYM: usize = 24;

/// The object.
pub struct Vdso {
    /// The file, loaded as it is at any page.
    pub image: Vec<u8>,
    /// Offset of the function that signal handlers return to.
    pub sigreturn: u64,
}

struct Bytes(Vec<u8>);

impl Bytes {
    fn u8(&mut self, v: u8) -> &mut Self {
        self.0.push(v);
        self
    }
    fn u16(&mut self, v: u16) -> &mut Self {
        self.0.extend(v.to_le_bytes());
        self
    }
    fn u32(&mut self, v: u32) -> &mut Self {
        self.0.extend(v.to_le_bytes());
        self
    }
    fn u64(&mut self, v: u64) -> &mut Self {
        self.0.extend(v.to_le_bytes());
        self
    }
    fn uleb(&mut self, mut v: u64) -> &mut Self {
        while v >= 0x80 {
            self.u8(v as u8 | 0x80);
            v >>= 7;
        }
        self.u8(v as u8)
    }
    fn align(&mut self, to: usize) -> usize {
        self.0.resize(self.0.len().next_multiple_of(to), 0);
        self.0.len()
    }
    fn at(&self) -> usize {
        self.0.len()
    }
}

/// The hash of the gABI.
fn hash(name: &[u8]) -> u32 {
    name.iter().fold(0u32, |h, c| {
        let h = (h << 4).wrapping_add(u32::from(*c));
        let high = h & 0xf000_0000;
        (h ^ high >> 24) & !high
    })
}

/// Name of the object.
const SONAME: &str = "linux-vdso.so.1";

/// Builds the object for `machine`.
pub fn build(machine: u16, parts: &VdsoParts) -> Vdso {
    const PHDRS: usize = 4;
    let mut strings = vec![0u8];
    let mut string = |text: &str| {
        let at = strings.len() as u32;
        strings.extend(text.bytes().chain([0]));
        at
    };
    let (soname, version) = (string(SONAME), string(parts.version));
    let names: Vec<u32> = parts.functions.iter().map(|f| string(f.name)).collect();
    let count = parts.functions.len() + 1;

    let mut out = Bytes(vec![0; EHDR + PHDRS * PHDR]);
    // Code comes first, since everything else points at it. The unwinder looks up the address before the return
    // address, so something stands before the first function.
    out.align(16);
    out.u32(0);
    out.align(16);
    let code_start = out.at();
    let mut places = Vec::new();
    for function in &parts.functions {
        out.align(16);
        places.push((out.at(), function.code.len()));
        out.0.extend(&function.code);
    }
    let strtab = out.align(8);
    out.0.extend(&strings);
    let symtab = out.align(8);
    out.0.extend([0; SYM]);
    for (name, (at, len)) in names.iter().zip(&places) {
        // Global function in some section.
        out.u32(*name).u8(0x12).u8(0).u16(1).u64(*at as u64).u64(*len as u64);
    }
    let hashtab = out.align(8);
    // One bucket, so a chain through all symbols.
    out.u32(1).u32(count as u32).u32(if count > 1 { 1 } else { 0 });
    out.u32(0);
    for n in 1..count {
        out.u32(if n + 1 < count { n as u32 + 1 } else { 0 });
    }
    let versym = out.align(8);
    out.u16(0);
    for _ in 1..count {
        out.u16(2);
    }
    let verdef = out.align(8);
    for (flags, index, name, text, next) in
        [(1u16, 1u16, soname, SONAME, 28u32), (0, 2, version, parts.version, 0)]
    {
        out.u16(1).u16(flags).u16(index).u16(1).u32(hash(text.as_bytes())).u32(20).u32(next);
        out.u32(name).u32(0);
    }
    let eh_frame = out.align(8);
    let fde = unwind(&mut out, parts, eh_frame, places[0]);
    let eh_frame_hdr = out.align(4);
    // Version 1; pointer to .eh_frame pc-relative, count absolute, table relative to here.
    out.u8(1).u8(0x1b).u8(0x03).u8(0x3b);
    let here = out.at();
    out.u32((eh_frame as i64 - here as i64) as u32).u32(1);
    let relative = |at: usize| (at as i64 - eh_frame_hdr as i64) as u32;
    out.u32(relative(places[0].0 - 1)).u32(relative(fde));
    let eh_frame_hdr_len = out.at() - eh_frame_hdr;
    let dynamic = out.align(16);
    let tags = [
        (14, soname as usize),
        (4, hashtab),
        (5, strtab),
        (6, symtab),
        (10, strings.len()),
        (11, SYM),
        (0x6fff_fff0, versym),
        (0x6fff_fffc, verdef),
        (0x6fff_fffd, 2),
        (0, 0),
    ];
    for (tag, value) in tags {
        out.u64(tag).u64(value as u64);
    }
    let dynamic_len = out.at() - dynamic;
    let total = out.at();

    let mut head = Bytes(Vec::new());
    head.0.extend(b"\x7fELF\x02\x01\x01");
    head.align(16);
    head.u16(3).u16(machine).u32(1).u64(code_start as u64).u64(EHDR as u64).u64(0);
    head.u32(0).u16(EHDR as u16).u16(PHDR as u16).u16(PHDRS as u16).u16(64).u16(0).u16(0);
    let mut segment = |kind: u32, flags: u32, at: usize, len: usize, align: u64| {
        head.u32(kind).u32(flags).u64(at as u64).u64(at as u64).u64(at as u64);
        head.u64(len as u64).u64(len as u64).u64(align);
    };
    segment(1, 5, BASE, total, 4096);
    segment(2, 4, dynamic, dynamic_len, 8);
    segment(0x6474_e550, 4, eh_frame_hdr, eh_frame_hdr_len, 4);
    segment(0x6474_e551, 6, 0, 0, 16);
    out.0[..head.0.len()].copy_from_slice(&head.0);
    Vdso { image: out.0, sigreturn: places[0].0 as u64 }
}

/// Call frame information of a signal frame; gives the offset of the FDE.
fn unwind(out: &mut Bytes, parts: &VdsoParts, cie: usize, (code, len): (usize, usize)) -> usize {
    // Offsets are unsigned and factored by 8.
    const DATA_ALIGN: i64 = 8;
    let begin = |out: &mut Bytes| {
        out.u32(0);
        out.at()
    };
    let end = |out: &mut Bytes, from: usize| {
        while !(out.at() - from).is_multiple_of(8) {
            out.u8(0);
        }
        let len = (out.at() - from) as u32;
        out.0[from - 4..from].copy_from_slice(&len.to_le_bytes());
    };
    // The length word comes first, so that the rest ends 8-aligned.
    let start = begin(out);
    out.u32(0).u8(1);
    out.0.extend(b"zRS\0");
    // Factors, return register, augmentation: pointers are pc-relative 32-bit words.
    out.uleb(1).u8(DATA_ALIGN as u8).uleb(parts.return_register.into()).uleb(1).u8(0x1b);
    // DW_CFA_def_cfa.
    out.u8(0x0c).uleb(parts.stack_register.into()).uleb(0);
    for (register, offset) in &parts.saved {
        // DW_CFA_offset_extended.
        out.u8(0x05).uleb((*register).into()).uleb(offset / DATA_ALIGN as u64);
    }
    end(out, start);
    let fde = out.at();
    let start = begin(out);
    let to_cie = start - cie;
    out.u32(to_cie as u32);
    let here = out.at();
    // From the byte before the function, for the look-up described above.
    out.u32((code as i64 - 1 - here as i64) as u32).u32(len as u32 + 1).uleb(0);
    end(out, start);
    out.u32(0);
    fde
}
