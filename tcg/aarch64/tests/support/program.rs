//! Random programs for the oracle.
//!
//! x26 and x27 point into the case's window of memory and x28 serves to load and store; instructions read them but do not
//! change them. The stack pointer points into the window too.

use tcg_aarch64::decode::{self, bitmask};
use tcg_aarch64::features::{Ext, Features};
use tcg_aarch64::isa::{ROWS, Row};
use tcg_core::testing::Rng;
use tcg_core::testing::program::{self, Layout, Program};
use tcg_core::ty::Ty;

// A case's data: x0 to x30 and sp, v0 to v31, NZCV, FPSR, FPCR, and the window.
const V: u64 = 256;
const NZCV: u64 = V + 512;
const FPSR: u64 = NZCV + 8;
const FPCR: u64 = FPSR + 8;
const WINDOW_AT: u64 = 832;
const WINDOW: u64 = 704;

/// Base of most accesses: the middle of the window.
const BASE_REG: u32 = 26;
/// Another one.
const OTHER_REG: u32 = 27;
/// The case's data.
const DATA_REG: u32 = 28;
const SP: u32 = 31;

const NZCV_REG: u32 = reg(3, 4, 2, 0);
const FPCR_REG: u32 = reg(3, 4, 4, 0);
const FPSR_REG: u32 = reg(3, 4, 4, 1);

const fn reg(op1: u32, crn: u32, crm: u32, op2: u32) -> u32 {
    1 << 14 | op1 << 11 | crn << 7 | crm << 3 | op2
}

/// Bits of FPCR that programs set.
#[derive(Clone, Copy)]
pub struct Control {
    /// Any rounding mode, not just the nearest.
    pub rounding: bool,
    /// Bits of FPCR that are set now and then.
    pub bits: u64,
}

/// A program of some cases of up to so many random instructions each, of rows that `choose` allows.
pub fn random(
    rng: Rng,
    (cases, insns): (usize, u64),
    control: Control,
    choose: impl Fn(&Row) -> bool,
) -> Program {
    let rows: Vec<&Row> = ROWS.iter().filter(|row| runs(row) && choose(row)).collect();
    let maker = Maker { rng, rows, control, code: Vec::new(), used: Vec::new() };
    program::random(maker, cases, insns)
}

/// Rows that run alike in user mode everywhere: not what traps, waits, or reads clocks and keys.
pub fn runs(row: &Row) -> bool {
    const NOT: [&str; 20] = [
        "svc", "hvc", "smc", "brk", "hlt", "udf", "eret", "drps", "eretaa", "eretab", "wfe", "wfi", "wfet",
        "wfit", "sysl", "msr/imm", "ldra", "cpyfm", "cpym", "setm",
    ];
    let keyed = row.extensions.contains(&Ext::Pauth) && !row.name.starts_with("xpac");
    // The epilogues come with their prologues.
    let later = ["cpyfe", "cpye", "sete"].contains(&row.name);
    // QEMU 10 does not have it.
    let unknown = row.extensions.contains(&Ext::Rcpc3);
    !NOT.contains(&row.name) && !keyed && !later && !unknown
}

struct Maker {
    rng: Rng,
    rows: Vec<&'static Row>,
    control: Control,
    code: Vec<u8>,
    used: Vec<&'static str>,
}

fn row(name: &str) -> &'static Row {
    ROWS.iter().find(|row| row.name == name).expect("a row of this name")
}

impl Maker {
    fn emit(&mut self, word: u32) {
        self.code.extend(word.to_le_bytes());
    }

    /// An instruction with these operands, the others zero.
    fn with(&mut self, name: &str, operands: &[(&str, u32)]) {
        let row = row(name);
        self.emit(operands.iter().fold(row.value, |word, (operand, bits)| row.with(word, operand, *bits)));
    }

    /// x28 becomes `value`, below 2^32.
    fn set_data(&mut self, value: u64) {
        self.with("movz", &[("sf", 1), ("rd", DATA_REG), ("imm", value as u32 & 0xffff)]);
        self.with("movk", &[("sf", 1), ("rd", DATA_REG), ("hw", 1), ("imm", value as u32 >> 16)]);
    }

    /// A jump or branch that may leave out the instruction that follows.
    fn over(&mut self, row: &'static Row, word: u32) {
        self.emit(row.with(word, "imm", 8));
        let rd = self.destination();
        self.with("add/imm", &[("sf", 1), ("rd", rd), ("rn", rd), ("imm", 1)]);
    }

    /// An exclusive load, perhaps something that takes the value away, and the exclusive store `word`.
    fn reserved(&mut self, load: &str, operands: &[(&str, u32)], word: u32) {
        let mut all = vec![("rn", word >> 5 & 31)];
        all.extend(operands);
        self.with(load, &all);
        match self.rng.below(4) {
            0 => self.with("str/u", &[("size", 2), ("rt", 3), ("rn", word >> 5 & 31)]),
            1 if self.rng.below(2) == 0 => self.with("clrex", &[("crm", 15)]),
            _ => {}
        }
        self.emit(word);
    }

    /// The three instructions of a memory copy or set: up to 63 bytes, from and to anywhere in the window.
    fn copy(&mut self, first: &'static Row) {
        let [rd, rs, rn] = [7, 8, 9];
        let offset = |rng: &mut Rng| 256 + rng.below(128) as u32;
        let (to, mut from, size) = (offset(&mut self.rng), offset(&mut self.rng), self.rng.below(64) as u32);
        if first.name == "cpyfp" {
            // What it makes of overlapping pieces is anybody's choice.
            from = to - 64 - from % 64;
        }
        self.with("sub/imm", &[("sf", 1), ("rd", rd), ("rn", BASE_REG), ("imm", to)]);
        self.with("sub/imm", &[("sf", 1), ("rd", rs), ("rn", BASE_REG), ("imm", from)]);
        self.with("movz", &[("sf", 1), ("rd", rn), ("imm", size)]);
        let stem = &first.name[..first.name.len() - 1];
        for stage in ["p", "m", "e"] {
            let row = row(&format!("{stem}{stage}"));
            let word = row.with(row.with(row.with(row.value, "rd", rd), "rs", rs), "rn", rn);
            self.emit(word);
        }
    }

    /// A register that instructions may change.
    fn destination(&mut self) -> u32 {
        self.rng.below(26) as u32
    }

    /// A word of `row` that stays within the window and leaves the pointers alone.
    fn word(&mut self, row: &'static Row) -> u32 {
        let all = super::mode(Features::max(), 0);
        loop {
            let Some(word) = row.encode(self.rng.bits() as u32) else { continue };
            let word = self.tame(row, word);
            let meant = decode::decode(word, all).op.is_some_and(|op| op.row().name == row.name);
            if row.encode(word) == Some(word) && meant {
                return word;
            }
        }
    }

    fn tame(&mut self, row: &Row, word: u32) -> u32 {
        let mut word = word;
        if row.name.starts_with("prf") {
            return word;
        }
        match row.name {
            "mrs" | "msr" => {
                let reg = self.rng.pick(&[NZCV_REG, NZCV_REG, FPSR_REG, FPCR_REG]);
                // What is written to FPCR comes from memory alone.
                let reg = if row.name == "msr" && reg == FPCR_REG { NZCV_REG } else { reg };
                word = row.with(word, "reg", reg);
                let rt = self.destination();
                return row.with(word, "rt", rt);
            }
            "ldr/lit_w" | "ldr/lit_x" | "ldrsw/lit" | "ldr/lit_v" => {
                word = row.with(word, "imm", (self.rng.below(64) as u32).wrapping_sub(32) << 2);
            }
            _ => {}
        }
        let simd = row
            .extensions
            .iter()
            .any(|ext| matches!(ext, Ext::Fp | Ext::Fp16 | Ext::FrintTs | Ext::Jscvt | Ext::AdvSimd));
        let memory = is_memory(row);
        // Logical constants are mostly reserved otherwise.
        if row.has("immr") && row.name.ends_with("/imm") {
            while bitmask(
                (word >> 31) as u8,
                (word >> 22 & 1) as u8,
                (word >> 16 & 63) as u8,
                (word >> 10 & 63) as u8,
            )
            .is_none()
            {
                word = row.with(word, "immr", self.rng.below(64) as u32);
                word = row.with(word, "imms", self.rng.below(64) as u32);
                word = row.with(word, "n", self.rng.below(2) as u32);
            }
        }
        let mut put = |operand: &str, bits: u32| word = row.with(word, operand, bits);
        if row.has("rd") && !(simd && writes_simd(row)) {
            let n = self.destination();
            put("rd", n);
        }
        if row.has("rt") && row.name.contains("/lit") && !simd {
            let n = self.destination();
            put("rt", n);
        }
        if memory {
            let base = self.rng.pick(&[BASE_REG, BASE_REG, SP]);
            let writes_back = row.name.contains("/pre") || row.name.contains("/post");
            // A base that changes is one that nothing else needs.
            put("rn", if writes_back { SP } else { base });
            if row.has("rt") && !simd {
                let n = self.destination();
                put("rt", n);
            }
            if row.has("rt2") {
                // Two different registers.
                let n = self.destination();
                put("rt2", n);
                let other = (n + 1 + self.rng.below(24) as u32) % 26;
                put("rt", other);
            }
            if row.has("rs") {
                let n = self.destination();
                put("rs", n);
            }
            self.tame_offset(row, &mut word);
        }
        word
    }

    fn tame_offset(&mut self, row: &Row, word: &mut u32) {
        let mut put = |operand: &str, bits: u32| *word = row.with(*word, operand, bits);
        let exact = self.rng.below(16) as u32;
        match row.name {
            // Index registers: zero, or one of the pointers' differences would be luck.
            "ld/multi_post" | "st/multi_post" | "ld/single_post" | "st/single_post" => {
                put("rn", SP);
                put("rm", 31);
            }
            "ld/multiple" | "st/multiple" | "ld/single" | "st/single" => put("rn", BASE_REG),
            name if name.ends_with("/r") || name.contains("/r_") => {
                put("rm", 31);
            }
            name if name.contains("/u") => put("imm", exact),
            name if row.has("rt2") && row.has("imm") => {
                let wanders = name.contains("/pre") || name.contains("/post");
                let reach = if wanders { 1 } else { 8 };
                let imm = (self.rng.below(2 * reach + 1) as u32).wrapping_sub(reach as u32);
                put("imm", if name.starts_with("ldpsw") { imm << 2 } else { imm });
            }
            name if row.has("imm") => {
                let aligned = row.extensions.contains(&Ext::Rcpc2);
                // The stack pointer wanders where it is written back: a little only.
                let wanders = name.contains("/pre") || name.contains("/post");
                let imm = (self.rng.below(if wanders { 9 } else { 512 }) as u32).wrapping_sub(if wanders {
                    4
                } else {
                    256
                });
                put("imm", if aligned { imm & !7 } else { imm });
                if aligned {
                    put("rn", BASE_REG);
                }
            }
            // Registers that hold a pair are even.
            "casp" => {
                let (a, b) = (self.rng.below(12) as u32 * 2, self.rng.below(12) as u32 * 2);
                put("rs", a);
                put("rt", b);
                put("rn", BASE_REG);
            }
            _ => put("rn", BASE_REG),
        }
        if row.name.starts_with("st") && row.name.contains('x') && row.has("rs") {
            // The status register is neither base nor data.
            put("rs", 25);
            let n = self.rng.below(24) as u32;
            put("rt", n);
        }
    }
}

impl program::Maker for Maker {
    const LAYOUT: Layout = Layout { base: 0x1_0000, code: 0x10_0000, case: WINDOW_AT + WINDOW };

    fn rng(&mut self) -> &mut Rng {
        &mut self.rng
    }

    fn code_len(&self) -> usize {
        self.code.len()
    }

    fn load_state(&mut self, at: u64) {
        self.set_data(at);
        for (offset, reg) in [(NZCV, NZCV_REG), (FPSR, FPSR_REG), (FPCR, FPCR_REG), (8 * 31, 0)] {
            let imm = offset as u32 / 8;
            self.with("ldr/u", &[("size", 3), ("rt", 1), ("rn", DATA_REG), ("imm", imm)]);
            match reg {
                0 => self.with("add/imm", &[("sf", 1), ("rd", SP), ("rn", 1)]),
                reg => self.with("msr", &[("reg", reg), ("rt", 1)]),
            }
        }
        for n in 0..32 {
            let imm = V as u32 / 16 + n;
            self.with("ldr/u_q", &[("rt", n), ("rn", DATA_REG), ("imm", imm)]);
        }
        for n in (0..31).filter(|n| *n != DATA_REG) {
            self.with("ldr/u", &[("size", 3), ("rt", n), ("rn", DATA_REG), ("imm", n)]);
        }
    }

    fn insn(&mut self) {
        let row = self.rng.pick(&self.rows);
        self.used.push(row.name);
        let word = self.word(row);
        match row.name {
            "b" | "bl" | "b/cond" | "bc/cond" | "cbz" | "cbnz" | "tbz" | "tbnz" => self.over(row, word),
            "br" | "blr" | "ret" => {
                self.with("adr", &[("rd", 5), ("imm", 12)]);
                self.emit(row.with(word, "rn", 5));
                self.with("add/imm", &[("sf", 1), ("rd", 6), ("rn", 6), ("imm", 1)]);
            }
            name if name.starts_with("stxr") || name.starts_with("stlxr") => {
                let (size, rt) = (word >> 30, self.destination());
                self.reserved("ldxr", &[("size", size), ("rt", rt)], word);
            }
            name if name.starts_with("stxp") || name.starts_with("stlxp") => {
                let (sf, rt) = (word >> 30 & 1, self.rng.below(12) as u32 * 2);
                self.reserved("ldxp", &[("sf", sf), ("rt", rt), ("rt2", rt + 1)], word);
            }
            "cpyfp" | "cpyp" | "setp" => self.copy(row),
            // The base goes up by up to 64 bytes: the stack pointer is set back.
            "ld/multi_post" | "st/multi_post" | "ld/single_post" | "st/single_post" => {
                self.emit(word);
                self.with("add/imm", &[("sf", 1), ("rd", SP), ("rn", BASE_REG), ("imm", 48)]);
            }
            // 128 bytes are not set aside in the window.
            "sys" => {}
            _ => self.emit(word),
        }
    }

    fn store_state(&mut self, _: u64) {
        // x28 is only read by instructions, so it still points to the data.
        for n in (0..31).filter(|n| *n != DATA_REG) {
            self.with("str/u", &[("size", 3), ("rt", n), ("rn", DATA_REG), ("imm", n)]);
        }
        self.with("add/imm", &[("sf", 1), ("rd", 1), ("rn", SP)]);
        self.with("str/u", &[("size", 3), ("rt", 1), ("rn", DATA_REG), ("imm", 31)]);
        for n in 0..32 {
            let imm = V as u32 / 16 + n;
            self.with("str/u_q", &[("rt", n), ("rn", DATA_REG), ("imm", imm)]);
        }
        for (offset, reg) in [(NZCV, NZCV_REG), (FPSR, FPSR_REG), (FPCR, FPCR_REG)] {
            self.with("mrs", &[("reg", reg), ("rt", 1)]);
            self.with("str/u", &[("size", 3), ("rt", 1), ("rn", DATA_REG), ("imm", offset as u32 / 8)]);
        }
    }

    fn data(&mut self, at: u64) -> Vec<u8> {
        let mut words: Vec<u64> = (0..32).map(|_| self.rng.value(Ty::I64)).collect();
        for (n, offset) in [(BASE_REG, 320), (OTHER_REG, 128), (DATA_REG, 0), (SP, 384)] {
            words[n as usize] = if n == DATA_REG { at } else { at + WINDOW_AT + offset };
        }
        for _ in 0..32 {
            let v = self.rng.vector();
            words.extend([v as u64, (v >> 64) as u64]);
        }
        let rounding = if self.control.rounding { self.rng.below(4) << 22 } else { 0 };
        let bits = if self.rng.below(2) == 0 { self.rng.bits() & self.control.bits } else { 0 };
        words.extend([self.rng.below(16) << 28, self.rng.bits() & 0x0800_009f, rounding | bits]);
        words.resize(WINDOW_AT as usize / 8, 0);
        words.extend((0..WINDOW / 8).map(|_| {
            if self.rng.below(2) == 0 { self.rng.value(Ty::I64) } else { self.rng.vector() as u64 }
        }));
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    // write(1, data, bytes); exit(0).
    fn finish(mut self, bytes: u64) -> (Vec<u8>, Vec<&'static str>) {
        self.set_data(bytes);
        self.with("orr", &[("sf", 1), ("rd", 2), ("rn", 31), ("rm", DATA_REG)]);
        self.set_data(Self::LAYOUT.data(0));
        self.with("orr", &[("sf", 1), ("rd", 1), ("rn", 31), ("rm", DATA_REG)]);
        for (n, value) in [(0, 1), (8, 64)] {
            self.with("movz", &[("sf", 1), ("rd", n), ("imm", value)]);
        }
        self.with("svc", &[]);
        for (n, value) in [(0, 0), (8, 93)] {
            self.with("movz", &[("sf", 1), ("rd", n), ("imm", value)]);
        }
        self.with("svc", &[]);
        (self.code, self.used)
    }
}

/// Whether `rd` is a SIMD register.
fn writes_simd(row: &Row) -> bool {
    if row.extensions.contains(&Ext::AdvSimd) {
        return !["umov", "smov"].contains(&row.name);
    }
    let general =
        ["fcvtn", "fcvta", "fcvtp", "fcvtm", "fcvtz", "fjcvtzs", "fmov/to_", "fmov/top_to", "fmov/half_to"];
    !general.iter().any(|start| row.name.starts_with(start))
}

fn is_memory(row: &Row) -> bool {
    // Loads and stores have x1x0 in bits 28 to 25 (C4.1).
    row.value >> 27 & 1 == 1 && row.value >> 25 & 1 == 0 && !row.name.contains("/lit")
}
