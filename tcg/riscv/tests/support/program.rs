//! Random programs for the oracle.
//!
//! x2, x8 and x30 point into the case's window of memory and x31 serves to load and store; instructions read them but
//! do not change them.

use tcg_core::cpu::CpuHeader;
use tcg_core::testing::Rng;
use tcg_core::testing::program::{self, Layout, Program};
use tcg_core::ty::Ty;
use tcg_riscv::cpu::Hart;
use tcg_riscv::csr::Csrs;
use tcg_riscv::csr::bits::{cause, mstatus};
use tcg_riscv::features::{Ext, Features};
use tcg_riscv::isa::{ROWS, Row};
use tcg_riscv::vector;

// A case's data: x0 to x31, f0 to f31, fcsr, vcsr, vl, vtype, the window, and v0 to v31 with room for the widest.
const F: u64 = 256;
const FCSR: u64 = 512;
const WINDOW_AT: u64 = 576;
const WINDOW: u64 = 512;
const V: u64 = WINDOW_AT + WINDOW;
const V_BYTES: u64 = 32 * vector::MAX_VLEN / 8;

const VCSR: u32 = 0x00f;
const VL: u32 = 0xc20;
const VTYPE: u32 = 0xc21;

const SP: u32 = 2;
const S0: u32 = 8;
const T5: u32 = 30;
const T6: u32 = 31;
/// Where each pointer points in the window.
const POINTERS: [(u32, u64); 3] = [(SP, 0), (S0, 128), (T5, 256)];

/// A program for a hart with `features`, of some cases of up to so many random instructions each, of rows that `choose`
/// allows.
pub fn random(
    rng: Rng,
    (cases, insns): (usize, u64),
    features: Features,
    choose: impl Fn(&Row) -> bool,
) -> Program {
    // The lengths of vectors are set where a case begins: what follows has to be legal with them.
    let sets = |row: &&Row| row.name.starts_with("vset");
    let rows: Vec<&Row> = ROWS.iter().filter(|row| runs(row) && choose(row) && !sets(row)).collect();
    let maker = Maker { rng, rows, code: Vec::new(), used: Vec::new(), vectors: hart(features), at: 0 };
    program::random(maker, cases, insns)
}

/// Rows that run alike in user mode everywhere: not what traps, waits, or reads clocks.
pub fn runs(row: &Row) -> bool {
    const NOT: [&str; 16] = [
        "ecall",
        "ebreak",
        "c.ebreak",
        "mret",
        "sret",
        "wfi",
        "sfence.vma",
        "sinval.vma",
        "sfence.w.inval",
        "sfence.inval.ir",
        "cbo.inval",
        "cbo.clean",
        "cbo.flush",
        "c.addi16sp",
        "wrs.nto",
        "wrs.sto",
    ];
    !NOT.contains(&row.name)
}

/// Extensions whose instructions depend on `vtype`.
pub const VECTORS: [Ext; 10] = [
    Ext::Zve32x,
    Ext::Zve32f,
    Ext::Zvbb,
    Ext::Zvbc,
    Ext::Zvkb,
    Ext::Zvkg,
    Ext::Zvkned,
    Ext::ZvknhaOrZvknhb,
    Ext::Zvksed,
    Ext::Zvksh,
];

struct Maker {
    rng: Rng,
    rows: Vec<&'static Row>,
    code: Vec<u8>,
    used: Vec<&'static str>,
    /// Knows what is legal with the present `vtype`.
    vectors: Box<Hart>,
    /// Where the case's data is.
    at: u64,
}

/// A hart that no memory belongs to, with the float and vector units on.
fn hart(features: Features) -> Box<Hart> {
    let mut csr = Csrs::new(features, 0);
    csr.mstatus |= mstatus::FS | mstatus::VS;
    let (x, f, v) = ([0; 32], [0; 32], Default::default());
    Box::new(Hart { head: CpuHeader::new(), x, f, v, reservation: 0, reserved_value: 0, csr })
}

fn row(name: &str) -> &'static Row {
    ROWS.iter().find(|row| row.name == name).expect("a row of this name")
}

impl Maker {
    fn emit(&mut self, word: u32) {
        let bytes = word.to_le_bytes();
        self.code.extend(if word & 3 == 3 { &bytes[..] } else { &bytes[..2] });
    }

    /// An instruction with these operands, the others zero.
    fn with(&mut self, name: &str, operands: &[(&str, u32)]) {
        let row = row(name);
        self.emit(operands.iter().fold(row.value, |word, (operand, bits)| row.with(word, operand, *bits)));
    }

    /// x31 becomes `value`, below 2^31.
    fn set_t6(&mut self, value: u64) {
        let value = value as u32;
        self.with("lui", &[("rd", T6), ("imm", value.wrapping_add(0x800) & 0xffff_f000)]);
        self.with("addi", &[("rd", T6), ("rs1", T6), ("imm", value & 0xfff)]);
    }

    /// Loads or stores v0 to v31.
    fn all_vectors(&mut self, name: &str) {
        let eight = 8 * self.vectors.csr.features.vlenb() as u32;
        self.with("addi", &[("rd", 1), ("rs1", T6), ("imm", V as u32)]);
        for n in 0..4 {
            self.with(name, &[("vd", 8 * n), ("rs1", 1), ("nf", 7)]);
            self.with("addi", &[("rd", 1), ("rs1", 1), ("imm", eight)]);
        }
    }

    /// A `vtype` for the case, and a length: all there is room for, or any.
    fn configure(&mut self) {
        let features = &self.vectors.csr.features.clone();
        let vtype = loop {
            let vtype = self.rng.pick(&[0, 0, 1, 1, 2, 3, 5, 6, 7])
                | self.rng.pick(&[0, 1, 2, 2, 3]) << 3
                | self.rng.below(4) << 6;
            if vector::vlmax(vtype, features) != 0 {
                break vtype;
            }
        };
        let max = vector::vlmax(vtype, features);
        let avl = if self.rng.below(2) == 0 { max } else { self.rng.below(max + 1) };
        vector::configure(&mut self.vectors, avl, vtype);
        let vtype = vtype as u32;
        let name = match self.rng.below(3) {
            _ if avl == max && self.rng.below(2) == 0 => {
                self.with("vsetvli", &[("rd", 1), ("vtype", vtype)]);
                "vsetvli"
            }
            0 if avl < 32 => {
                self.with("vsetivli", &[("avl", avl as u32), ("vtype", vtype)]);
                "vsetivli"
            }
            1 => {
                self.with("addi", &[("rd", 1), ("imm", vtype)]);
                self.with("addi", &[("rd", 2), ("imm", avl as u32)]);
                self.with("vsetvl", &[("rd", 3), ("rs1", 2), ("rs2", 1)]);
                "vsetvl"
            }
            _ => {
                self.with("addi", &[("rd", 2), ("imm", avl as u32)]);
                self.with("vsetvli", &[("rs1", 2), ("vtype", vtype)]);
                "vsetvli"
            }
        };
        self.used.push(name);
    }

    /// A vector instruction that is legal now; false if none of `row` was found.
    fn vector(&mut self, row: &'static Row) -> bool {
        // QEMU 10 stops with an assertion of its own when such a load crosses a page.
        let window = self.at + WINDOW_AT;
        if row.name.starts_with("vl/first") && (window ^ (window + 4 * WINDOW)) >> 12 != 0 {
            return false;
        }
        // QEMU 10 does not have it with fractions of registers.
        if row.name.starts_with("vsha2") && self.vectors.csr.vector.vtype & 4 != 0 {
            return false;
        }
        for _ in 0..400 {
            let mut word = self.word(row);
            // Registers that are more likely to be where groups begin.
            for operand in ["vd", "vs1", "vs2"] {
                if row.has(operand) && self.rng.below(2) == 0 {
                    word = row.with(word, operand, self.rng.below(8) as u32 * 4);
                }
            }
            if row.name.starts_with("vl") || row.name.starts_with("vs/") {
                word =
                    row.with(word, "nf", if self.rng.below(2) == 0 { 0 } else { self.rng.below(8) as u32 });
            }
            let index_eew = if row.has("w") { word >> 12 & 3 } else { 0 };
            let sew = self.vectors.csr.vector.vtype as u32 >> 3 & 7;
            let indexed = row.name.contains("ux/") || row.name.contains("ox/");
            if row.encode(word) != Some(word) || indexed && index_eew != 0 && index_eew != sew {
                continue;
            }
            let illegal =
                vector::execute(&mut self.vectors, word).is_err_and(|trap| trap.code == cause::ILLEGAL);
            let indices = row.with(0, "vs2", word >> 20 & 31) >> 20;
            let narrow = [("vd", indices), ("vs2", indices), ("imm", 15), ("vm", 1)];
            if indexed && index_eew != 0 {
                let vand = super::program::row("vand.vi");
                let bits =
                    narrow.iter().fold(vand.value, |word, (operand, bits)| vand.with(word, operand, *bits));
                if vector::execute(&mut self.vectors, bits).is_err() {
                    continue;
                }
            }
            if illegal {
                continue;
            }
            if indexed && index_eew != 0 {
                self.with("vand.vi", &narrow);
            }
            if row.has("rs2") {
                let stride = self.rng.pick(&[0, 1, 2, 0xfff, 0xffe]);
                self.with("addi", &[("rd", 5), ("imm", stride)]);
                word = row.with(word, "rs2", 5);
            }
            self.emit(word);
            return true;
        }
        false
    }

    /// What a float register holds: narrow floats have ones above.
    fn float(&mut self) -> u64 {
        match self.rng.below(8) {
            0..3 => self.rng.value(Ty::F64),
            3..6 => self.rng.value(Ty::F32) | 0xffff_ffff << 32,
            6 => self.rng.value(Ty::F16) | !0xffff,
            _ => self.rng.bits(),
        }
    }

    /// A jump or branch that may leave out the four bytes that follow.
    fn over(&mut self, row: &'static Row) {
        let word = self.word(row);
        let distance = 4 + row.width / 8;
        self.emit(row.with(word, "imm", distance));
        let rd = self.destination();
        self.with("addi", &[("rd", rd), ("rs1", rd), ("imm", 1)]);
    }

    /// LR, perhaps something that takes the value away, and SC, perhaps elsewhere.
    fn reserved(&mut self, row: &'static Row) {
        let size = &row.name[3..];
        let (rd, other, from) = (self.destination(), self.destination(), self.rng.below(32) as u32);
        self.with(row.name, &[("rd", rd), ("rs1", T5)]);
        if self.rng.below(4) == 0 {
            self.with("sw", &[("rs1", T5), ("rs2", from)]);
        }
        let at = if self.rng.below(4) == 0 { S0 } else { T5 };
        self.with(&format!("sc.{size}"), &[("rd", other), ("rs1", at), ("rs2", from)]);
    }

    /// A register that instructions may change.
    fn destination(&mut self) -> u32 {
        loop {
            let n = self.rng.below(31) as u32;
            if POINTERS.iter().all(|(pointer, _)| *pointer != n) {
                return n;
            }
        }
    }

    /// A word of `row` that stays within the window and leaves the pointers alone.
    fn word(&mut self, row: &'static Row) -> u32 {
        loop {
            let Some(word) = row.encode(self.rng.bits() as u32) else { continue };
            let word = self.tame(row, word);
            if row.encode(word) == Some(word) {
                return word;
            }
        }
    }

    fn tame(&mut self, row: &Row, word: u32) -> u32 {
        let compressed = row.width == 16;
        let mut word = word;
        let mut put = |operand: &str, bits: u32| word = row.with(word, operand, bits);
        if row.has("rd") {
            let n = self.destination();
            put("rd", if bits_of(row, "rd") == 3 { 1 + n % 7 } else { n });
        }
        if row.has("rm") {
            put("rm", self.rng.pick(&[0, 1, 2, 3, 4, 7, 7, 7]));
        }
        match row.name {
            "csrrw" | "csrrs" | "csrrc" => put("csr", 1),
            "csrrwi" => {
                put("csr", 1 + self.rng.below(3) as u32);
                put("uimm", self.rng.below(5) as u32);
            }
            "csrrsi" | "csrrci" => put("csr", 1),
            name if accesses_memory(name) => {
                // x8 is the first of those that three bits name.
                put("rs1", if compressed { 0 } else { T5 });
                if !compressed && row.has("imm") {
                    put("imm", (self.rng.below(WINDOW - 8) as u32).wrapping_sub(256));
                }
            }
            _ => {}
        }
        word
    }
}

impl program::Maker for Maker {
    const LAYOUT: Layout = Layout { base: 0x1_0000, code: 0x8_0000, case: V + V_BYTES };

    fn rng(&mut self) -> &mut Rng {
        &mut self.rng
    }

    fn code_len(&self) -> usize {
        self.code.len()
    }

    fn load_state(&mut self, at: u64) {
        self.at = at;
        self.set_t6(at);
        self.with("ld", &[("rd", 1), ("rs1", T6), ("imm", FCSR as u32)]);
        self.with("csrrw", &[("csr", 3), ("rs1", 1)]);
        for n in 0..32 {
            self.with("fld", &[("rd", n), ("rs1", T6), ("imm", F as u32 + 8 * n)]);
        }
        self.with("ld", &[("rd", 1), ("rs1", T6), ("imm", FCSR as u32 + 8)]);
        self.with("csrrw", &[("csr", VCSR), ("rs1", 1)]);
        self.all_vectors("vl/whole8");
        self.configure();
        for n in 1..32 {
            self.with("ld", &[("rd", n), ("rs1", T6), ("imm", 8 * n)]);
        }
    }

    fn insn(&mut self) {
        let row = self.rng.pick(&self.rows);
        if row.extensions.iter().any(|ext| VECTORS.contains(ext)) {
            if self.vector(row) {
                self.used.push(row.name);
            }
            return;
        }
        self.used.push(row.name);
        match row.name {
            "jal" | "c.j" => self.over(row),
            "jalr" => {
                self.with("auipc", &[("rd", 5)]);
                let rd = self.destination();
                self.with("jalr", &[("rd", rd), ("rs1", 5), ("imm", 8)]);
            }
            "c.jr" | "c.jalr" => {
                self.with("auipc", &[("rd", 5)]);
                self.with("addi", &[("rd", 5), ("rs1", 5), ("imm", 10)]);
                self.with(row.name, &[("rs1", 5)]);
            }
            "lr.w" | "lr.d" => self.reserved(row),
            _ if row.has("imm") && row.name.trim_start_matches("c.").starts_with('b') => self.over(row),
            // QEMU 10 leaves these out, flags and all, when nothing reads the result.
            name if name.starts_with("fround") => {
                let rd = self.destination();
                let word = self.word(row);
                self.emit(row.with(word, "rd", rd));
                self.with("fsd", &[("rs1", T5), ("rs2", rd)]);
            }
            _ => {
                let word = self.word(row);
                self.emit(word);
            }
        }
    }

    fn store_state(&mut self, at: u64) {
        self.set_t6(at);
        for n in 1..31 {
            self.with("sd", &[("rs2", n), ("rs1", T6), ("imm", 8 * n)]);
        }
        for n in 0..32 {
            self.with("fsd", &[("rs2", n), ("rs1", T6), ("imm", F as u32 + 8 * n)]);
        }
        for (n, csr) in [3, VCSR, VL, VTYPE].into_iter().enumerate() {
            self.with("csrrs", &[("rd", 1), ("csr", csr)]);
            self.with("sd", &[("rs2", 1), ("rs1", T6), ("imm", FCSR as u32 + 8 * n as u32)]);
        }
        self.all_vectors("vs/whole");
    }

    fn data(&mut self, at: u64) -> Vec<u8> {
        let mut words: Vec<u64> = (0..32).map(|_| self.rng.value(Ty::I64)).collect();
        for (n, offset) in POINTERS {
            words[n as usize] = at + WINDOW_AT + offset;
        }
        words.extend((0..32).map(|_| self.float()));
        let (fcsr, vcsr) = (self.rng.below(5) << 5 | self.rng.below(32), self.rng.below(8));
        words.extend([fcsr, vcsr, 0, 0, 0, 0, 0, 0]);
        words.extend(
            (0..WINDOW / 8)
                .map(|_| if self.rng.below(2) == 0 { self.rng.value(Ty::I64) } else { self.float() }),
        );
        words.extend((0..V_BYTES / 8).map(|_| match self.rng.below(4) {
            0 => self.rng.value(Ty::I64),
            1 => self.float(),
            2 => self.rng.bits() & 0x0f07_1f03_0f07_1f03,
            _ => self.float() & 0xffff_ffff | self.float() << 32,
        }));
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    // write(1, data, bytes); exit(0).
    fn finish(mut self, bytes: u64) -> (Vec<u8>, Vec<&'static str>) {
        self.set_t6(bytes);
        self.with("addi", &[("rd", 12), ("rs1", T6)]);
        self.set_t6(Self::LAYOUT.data(0));
        self.with("addi", &[("rd", 11), ("rs1", T6)]);
        for (n, value) in [(10, 1), (17, 64)] {
            self.with("addi", &[("rd", n), ("imm", value)]);
        }
        self.with("ecall", &[]);
        for (n, value) in [(10, 0), (17, 93)] {
            self.with("addi", &[("rd", n), ("imm", value)]);
        }
        self.with("ecall", &[]);
        (self.code, self.used)
    }
}

/// How many bits of the word an operand has.
fn bits_of(row: &Row, operand: &str) -> u32 {
    let segments = row.operands.iter().find(|(name, _)| *name == operand).map_or(&[][..], |(_, s)| *s);
    segments.iter().map(|(_, _, len)| len).sum()
}

fn accesses_memory(name: &str) -> bool {
    const PLAIN: [&str; 17] = [
        "lb", "lh", "lw", "ld", "lbu", "lhu", "lwu", "sb", "sh", "sw", "sd", "flh", "flw", "fld", "fsh",
        "fsw", "fsd",
    ];
    let name = name.trim_start_matches("c.");
    let vector = name == "vlm.v" || name == "vsm.v" || name.starts_with('v') && name.contains('/');
    vector || PLAIN.contains(&name) || ["amo", "sc.", "cbo."].iter().any(|start| name.starts_with(start))
}
