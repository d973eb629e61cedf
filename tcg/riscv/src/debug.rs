//! A hart as debuggers see it: gdb's features of RISC-V ("RISC-V Features" of its manual), with QEMU's numbers.
//!
//! General registers and pc, float registers, vector registers, the privilege mode, and every CSR that the hart has. A
//! debugger reads and writes CSRs as M-mode software would, whatever mode the hart is in.

use crate::Riscv;
use crate::cpu::{F_NAMES, Hart, V_NAMES, X_NAMES};
use crate::csr::bits::mstatus;
use crate::csr::{Priv, table};
use crate::features::Ext;
use crate::mmu;
use std::borrow::Cow;
use tcg_core::debug::{Debuggable, Feature, Register};
use tcg_core::guest::PhysMem;

const PC: u32 = 32;
const F0: u32 = 33;
const V0: u32 = 65;
const DOUBLE: &str = r#"<union id="riscv_double"><field name="float" type="ieee_single"/><field name="double" type="ieee_double"/></union>"#;
/// The type of a vector register, by how many lanes of 128, 64, 32, 16 and 8 bits it has.
macro_rules! vector_type {
    ($q:literal $l:literal $w:literal $s:literal $b:literal) => {
        concat!(
            r#"<vector id="quads" type="uint128" count=""#,
            $q,
            r#""/><vector id="longs" type="uint64" count=""#,
            $l,
            r#""/><vector id="words" type="uint32" count=""#,
            $w,
            r#""/><vector id="shorts" type="uint16" count=""#,
            $s,
            r#""/><vector id="bytes" type="uint8" count=""#,
            $b,
            r#""/><union id="riscv_vector"><field name="q" type="quads"/><field name="l" type="longs"/><field name="w" type="words"/><field name="s" type="shorts"/><field name="b" type="bytes"/></union>"#
        )
    };
}

fn vector_type(vlen: u64) -> &'static str {
    match vlen {
        1024 => vector_type!(8 16 32 64 128),
        512 => vector_type!(4 8 16 32 64),
        256 => vector_type!(2 4 8 16 32),
        _ => vector_type!(1 2 4 8 16),
    }
}

/// Where registers stand in the debugger's numbering, which leaves no room for a vector unit that is not there.
#[derive(Clone, Copy)]
struct Numbers {
    vectors: bool,
}

/// What a number stands for.
#[derive(Clone, Copy)]
enum Place {
    X(usize),
    Pc,
    F(usize),
    V(usize),
    Privilege,
    Csr(u16),
}

impl Numbers {
    fn of(hart: &Hart) -> Self {
        Self { vectors: hart.csr.features.has(Ext::Zve32x) }
    }

    fn privilege(self) -> u32 {
        if self.vectors { V0 + 32 } else { V0 }
    }

    fn csr(self, number: u16) -> u32 {
        self.privilege() + 1 + u32::from(number)
    }

    fn place(self, number: u32) -> Option<Place> {
        Some(match number {
            0..PC => Place::X(number as usize),
            PC => Place::Pc,
            F0..V0 => Place::F((number - F0) as usize),
            _ if number < self.privilege() => Place::V((number - V0) as usize),
            _ if number == self.privilege() => Place::Privilege,
            _ => Place::Csr(u16::try_from(number - self.privilege() - 1).ok()?),
        })
    }
}

fn register(name: impl Into<Cow<'static, str>>, number: u32, bits: u32, kind: &'static str) -> Register {
    Register { name: name.into(), number, bits, kind, group: "" }
}

/// Numbers of the CSRs that the hart has.
fn csrs(hart: &mut Hart) -> Vec<u16> {
    // Rows ask what the present mode and the state of the units allow; here everything is.
    let (privilege, status) = (hart.csr.privilege, hart.csr.mstatus);
    hart.csr.privilege = Priv::M;
    hart.csr.mstatus |= mstatus::FS | mstatus::VS;
    let there = (0..0x1000).filter(|n| table::find(*n).is_some_and(|row| (row.allowed)(hart, *n))).collect();
    (hart.csr.privilege, hart.csr.mstatus) = (privilege, status);
    there
}

fn has_csr(hart: &mut Hart, number: u16) -> bool {
    table::find(number).is_some() && csrs(hart).binary_search(&number).is_ok()
}

/// Whether the register of this number is a CSR that user mode may have: bits 9 and 8 of a CSR's number are the lowest privilege.
pub fn is_of_user_mode(hart: &Hart, number: u32) -> bool {
    matches!(Numbers::of(hart).place(number), Some(Place::Csr(n)) if n >> 8 & 3 == 0)
}

impl Debuggable for Riscv {
    const ARCHITECTURE: &'static str = "riscv:rv64";

    fn features(hart: &mut Hart) -> Vec<Feature> {
        let numbers = Numbers::of(hart);
        let plain = |file, name| Feature {
            file,
            name,
            types: "",
            numbered: false,
            bulk: false,
            registers: Vec::new(),
        };
        let x = (0..32).map(|n| {
            let kind = match n {
                1 => "code_ptr",
                2..=4 | 8 => "data_ptr",
                _ => "int",
            };
            // gdb's name of s0 where it is the frame pointer.
            let name = if n == 8 { "fp" } else { X_NAMES[n as usize] };
            register(name, n, 64, kind)
        });
        let mut general = plain("riscv-64bit-cpu.xml", "org.gnu.gdb.riscv.cpu");
        general.bulk = true;
        general.registers = x.chain([register("pc", PC, 64, "code_ptr")]).collect();
        let mut float = plain("riscv-64bit-fpu.xml", "org.gnu.gdb.riscv.fpu");
        float.types = DOUBLE;
        float.registers =
            (0..32).map(|n| register(F_NAMES[n as usize], F0 + n, 64, "riscv_double")).collect();
        let mut all = vec![general, float];
        if numbers.vectors {
            let mut vector = plain("riscv-vector.xml", "org.gnu.gdb.riscv.vector");
            let vlen = hart.csr.features.vlen();
            (vector.types, vector.numbered) = (vector_type(vlen), true);
            let row = |n: u32| Register {
                group: "vector",
                ..register(V_NAMES[n as usize], V0 + n, vlen as u32, "riscv_vector")
            };
            vector.registers = (0..32).map(row).collect();
            all.push(vector);
        }
        let mut privilege = plain("riscv-64bit-virtual.xml", "org.gnu.gdb.riscv.virtual");
        privilege.registers = vec![register("priv", numbers.privilege(), 64, "")];
        let mut csr = plain("riscv-csr.xml", "org.gnu.gdb.riscv.csr");
        csr.numbered = true;
        let row = |n| register(table::name(n).unwrap_or_default(), numbers.csr(n), 64, "int");
        csr.registers = csrs(hart).into_iter().map(row).collect();
        all.extend([privilege, csr]);
        all
    }

    fn register(hart: &mut Hart, number: u32) -> Option<Vec<u8>> {
        let value = match Numbers::of(hart).place(number)? {
            Place::X(n) => hart.x[n],
            Place::Pc => hart.head.pc,
            Place::F(n) => hart.f[n],
            Place::V(n) => {
                let vlenb = hart.csr.features.vlenb();
                return Some(hart.v.bytes()[n * vlenb..][..vlenb].to_vec());
            }
            Place::Privilege => hart.csr.privilege as u64,
            Place::Csr(n) if has_csr(hart, n) => (table::find(n)?.read)(hart, n),
            Place::Csr(_) => return None,
        };
        Some(value.to_le_bytes().to_vec())
    }

    fn set_register(hart: &mut Hart, number: u32, value: &[u8]) -> bool {
        let Some(place) = Numbers::of(hart).place(number) else { return false };
        if let Place::V(n) = place {
            let vlenb = hart.csr.features.vlenb();
            let Some(value) = value.get(..vlenb) else { return false };
            hart.v.bytes_mut()[n * vlenb..][..vlenb].copy_from_slice(value);
            return true;
        }
        let Some(value) = value.first_chunk().map(|bytes| u64::from_le_bytes(*bytes)) else { return false };
        match place {
            Place::X(0) => {}
            Place::X(n) => hart.x[n] = value,
            Place::Pc => hart.head.pc = value & !1,
            Place::F(n) => hart.f[n] = value,
            Place::Privilege => {
                let now = hart.now();
                hart.set_privilege(Priv::from_bits(value), now);
            }
            Place::Csr(n) => {
                let read_only = n >> 10 == 3;
                let Some(row) = table::find(n).filter(|_| !read_only) else { return false };
                if !has_csr(hart, n) {
                    return false;
                }
                (row.write)(hart, n, value);
            }
            Place::V(_) => return false,
        }
        true
    }

    fn translate(hart: &Hart, mem: &dyn PhysMem, addr: u64) -> Option<u64> {
        mmu::translate(&hart.csr, mem, addr)
    }

    fn sleeps_for_ever(hart: &Hart) -> bool {
        hart.csr.mie == 0
    }

    fn mappings(hart: &Hart, mem: &dyn PhysMem) -> String {
        mmu::mappings(&hart.csr, mem)
    }
}
