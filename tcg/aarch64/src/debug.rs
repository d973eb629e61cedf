//! A PE as debuggers see it: gdb's features of AArch64 ("AArch64 Features" of its manual), with QEMU's numbers.
//!
//! General registers, pc and PSTATE, SIMD and float registers, and which bits of a pointer its authentication code is in. Left
//! out: system registers.

use crate::Aarch64;
use crate::cpu::{Cpu, REGS};
use crate::features::Ext;
use crate::mmu;
use crate::pauth;
use crate::sysreg;
use std::borrow::Cow;
use tcg_core::debug::{Debuggable, Feature, Register};
use tcg_core::guest::PhysMem;

const SP: u32 = 31;
const PC: u32 = 32;
const CPSR: u32 = 33;
const V0: u32 = 34;
const FPSR: u32 = 66;
const FPCR: u32 = 67;
/// The masks of data and code pointers, of the lower half of addresses.
const PAUTH: u32 = 68;
/// The same of the upper half.
const UPPER: u32 = 70;
const END: u32 = 72;

const PSTATE_TYPE: &str = r#"<flags id="cpsr_flags" size="4"><field name="SP" start="0" end="0"/><field name="EL" start="2" end="3"/><field name="nRW" start="4" end="4"/><field name="F" start="6" end="6"/><field name="I" start="7" end="7"/><field name="A" start="8" end="8"/><field name="D" start="9" end="9"/><field name="BTYPE" start="10" end="11"/><field name="SSBS" start="12" end="12"/><field name="IL" start="20" end="20"/><field name="SS" start="21" end="21"/><field name="PAN" start="22" end="22"/><field name="UAO" start="23" end="23"/><field name="DIT" start="24" end="24"/><field name="TCO" start="25" end="25"/><field name="V" start="28" end="28"/><field name="C" start="29" end="29"/><field name="Z" start="30" end="30"/><field name="N" start="31" end="31"/></flags>"#;
const VECTOR_TYPES: &str = r#"<vector id="v2d" type="ieee_double" count="2"/><vector id="v2u" type="uint64" count="2"/><vector id="v2i" type="int64" count="2"/><vector id="v4f" type="ieee_single" count="4"/><vector id="v4u" type="uint32" count="4"/><vector id="v4i" type="int32" count="4"/><vector id="v8f" type="ieee_half" count="8"/><vector id="v8u" type="uint16" count="8"/><vector id="v8i" type="int16" count="8"/><vector id="v8bf16" type="bfloat16" count="8"/><vector id="v16u" type="uint8" count="16"/><vector id="v16i" type="int8" count="16"/><vector id="v1u" type="uint128" count="1"/><vector id="v1i" type="int128" count="1"/><union id="vnd"><field name="f" type="v2d"/><field name="u" type="v2u"/><field name="s" type="v2i"/></union><union id="vns"><field name="f" type="v4f"/><field name="u" type="v4u"/><field name="s" type="v4i"/></union><union id="vnh"><field name="bf" type="v8bf16"/><field name="f" type="v8f"/><field name="u" type="v8u"/><field name="s" type="v8i"/></union><union id="vnb"><field name="u" type="v16u"/><field name="s" type="v16i"/></union><union id="vnq"><field name="u" type="v1u"/><field name="s" type="v1i"/></union><union id="aarch64v"><field name="d" type="vnd"/><field name="s" type="vns"/><field name="h" type="vnh"/><field name="b" type="vnb"/><field name="q" type="vnq"/></union>"#;

fn register(name: impl Into<Cow<'static, str>>, number: u32, bits: u32, kind: &'static str) -> Register {
    Register { name: name.into(), number, bits, kind, group: "" }
}

impl Debuggable for Aarch64 {
    const ARCHITECTURE: &'static str = "aarch64";

    fn features(cpu: &mut Cpu) -> Vec<Feature> {
        let plain = |file, name, types| Feature {
            file,
            name,
            types,
            numbered: false,
            bulk: false,
            registers: Vec::new(),
        };
        let mut core = plain("aarch64-core.xml", "org.gnu.gdb.aarch64.core", PSTATE_TYPE);
        core.bulk = true;
        core.registers = (0..SP).map(|n| register(REGS[n as usize].name, n, 64, "")).collect();
        core.registers.extend([
            register("sp", SP, 64, "data_ptr"),
            register("pc", PC, 64, "code_ptr"),
            register("cpsr", CPSR, 32, "cpsr_flags"),
        ]);
        let mut float = plain("aarch64-fpu.xml", "org.gnu.gdb.aarch64.fpu", VECTOR_TYPES);
        float.registers = (0..32).map(|n| register(format!("v{n}"), V0 + n, 128, "aarch64v")).collect();
        float.registers.extend([register("fpsr", FPSR, 32, "int"), register("fpcr", FPCR, 32, "int")]);
        let mut all = vec![core, float];
        if cpu.system.features.has(Ext::Pauth) {
            let mut pauth = plain("aarch64-pauth.xml", "org.gnu.gdb.aarch64.pauth_v2", "");
            let names = ["pauth_dmask", "pauth_cmask", "pauth_dmask_high", "pauth_cmask_high"];
            pauth.registers = (PAUTH..).zip(names).map(|(n, name)| register(name, n, 64, "")).collect();
            all.push(pauth);
        }
        all
    }

    fn register(cpu: &mut Cpu, number: u32) -> Option<Vec<u8>> {
        let half = |value: u64| Some((value as u32).to_le_bytes().to_vec());
        let value = match number {
            0..SP => cpu.x[number as usize],
            SP => cpu.sp,
            PC => cpu.head.pc,
            CPSR => return half(cpu.pstate()),
            V0..FPSR => return Some(cpu.v[(number - V0) as usize].to_le_bytes().to_vec()),
            FPSR => return half(sysreg::fpsr(cpu)),
            FPCR => return half(cpu.system.fpcr),
            PAUTH..UPPER if cpu.system.features.has(Ext::Pauth) => pauth::field_of(cpu, 0, false),
            UPPER..END if cpu.system.features.has(Ext::Pauth) => pauth::field_of(cpu, pauth::HALF, false),
            _ => return None,
        };
        Some(value.to_le_bytes().to_vec())
    }

    fn set_register(cpu: &mut Cpu, number: u32, value: &[u8]) -> bool {
        if let V0..FPSR = number {
            let Some(value) = value.first_chunk() else { return false };
            cpu.v[(number - V0) as usize] = u128::from_le_bytes(*value);
            return true;
        }
        let half = value.first_chunk().map(|bytes| u64::from(u32::from_le_bytes(*bytes)));
        let whole = value.first_chunk().map(|bytes| u64::from_le_bytes(*bytes));
        match (number, half, whole) {
            (0..SP, _, Some(value)) => cpu.x[number as usize] = value,
            (SP, _, Some(value)) => cpu.sp = value,
            (PC, _, Some(value)) => cpu.head.pc = value,
            (CPSR, Some(value), _) => cpu.set_pstate(value),
            // The masks are what they are.
            (PAUTH..END, ..) => {}
            (FPSR, Some(value), _) => sysreg::set_fpsr(cpu, value),
            (FPCR, Some(value), _) => sysreg::set_fpcr(cpu, value),
            _ => return false,
        }
        true
    }

    fn translate(cpu: &Cpu, mem: &dyn PhysMem, addr: u64) -> Option<u64> {
        if cpu.system.user_ids { Some(addr) } else { mmu::look::translate(&cpu.system, mem, addr) }
    }

    fn sleeps_for_ever(cpu: &Cpu) -> bool {
        cpu.system.wiring.as_ref().is_none_or(|wiring| !(wiring.may_signal)())
    }

    fn mappings(cpu: &Cpu, mem: &dyn PhysMem) -> String {
        mmu::look::mappings(&cpu.system, mem)
    }
}
