//! A hart with nothing around it but a little RAM: code at [`BASE`], a trap handler at [`HANDLER`], data at [`DATA`].

use base::CpuLines;
use std::sync::Arc;
use tcg_core::cpu::CpuHeader;
use tcg_core::run::{CodeCache, CodeConfig, Tiers, Vcpu, VcpuConfig};
use tcg_riscv::Riscv;
use tcg_riscv::cpu::Hart;
use tcg_riscv::csr::Csrs;
use tcg_riscv::csr::bits::{cause, mstatus};
use tcg_riscv::features::Features;
use tcg_riscv::isa::ROWS;
use vm_memory::{Bytes, GuestAddress};

/// Where code stands.
pub const BASE: u64 = 0x8000_0000;
/// Where data may stand.
pub const DATA: u64 = BASE + 0x2000;
/// Where traps go.
pub const HANDLER: u64 = BASE + 0x1000;

/// The state of that hart at [`BASE`].
pub fn hart(cpu: &str) -> Hart {
    let mut csr = Csrs::new(Features::parse(cpu).expect("known names"), 0);
    csr.mtvec = HANDLER;
    csr.mstatus |= mstatus::FS;
    csr.pmp.set_addr(0, u64::MAX);
    csr.pmp.set_cfg(0, 0x1f);
    let mut head = CpuHeader::new();
    head.pc = BASE;
    Hart {
        head,
        x: [0; 32],
        f: [0; 32],
        v: Default::default(),
        reservation: u64::MAX,
        reserved_value: 0,
        csr,
    }
}

/// A hart with code, and nothing to do behind it, at [`BASE`] and its trap handler at [`HANDLER`].
pub fn vcpu(cpu: &str, code: &[u32]) -> Vcpu<Riscv> {
    vcpu_with(cpu, code, VcpuConfig::default())
}

/// The same, translated as `config` says.
pub fn vcpu_with(cpu: &str, code: &[u32], config: VcpuConfig) -> Vcpu<Riscv> {
    vcpu_in(cpu, code, config, CodeConfig::default())
}

/// The same, with translations made and kept as `cache` says.
pub fn vcpu_in(cpu: &str, code: &[u32], config: VcpuConfig, cache: CodeConfig) -> Vcpu<Riscv> {
    let ram = base::allocate_ram(&[(BASE, 0x4000)]).expect("little memory");
    let space = Arc::new(base::AddressSpace::new(ram));
    // Nothing happens behind the code.
    let nops = std::iter::repeat_n(0x13, 1024 - code.len());
    let bytes: Vec<u8> = code.iter().copied().chain(nops).flat_map(|word| word.to_le_bytes()).collect();
    space.ram().write_slice(&bytes, GuestAddress(BASE)).expect("it fits");
    let code = CodeCache::new(space, cache).expect("code memory");
    Vcpu::new(hart(cpu), Arc::new(CpuLines::default()), &code, config)
}

/// The word of `row` with these operands, the others zero.
pub fn insn(row: &str, operands: &[(&str, u32)]) -> u32 {
    let row = ROWS.iter().find(|r| r.name == row).expect("a row of this name");
    operands.iter().fold(row.value, |word, (operand, bits)| row.with(word, operand, *bits))
}

/// How soon code is translated: at once, in the middle of a loop, never.
pub const TIERS: [u32; 3] = [0, 8, u32::MAX];

/// Runs to an `ecall`, in the handler or elsewhere; with the code in the handler at [`HANDLER`].
pub fn run_to_ecall(
    code: &[u32],
    handler: &[u32],
    after: u32,
    prepare: impl FnOnce(&mut Hart),
) -> Vcpu<Riscv> {
    let tiers = Tiers { translate_after: after };
    let mut cpu = vcpu_with("max", code, VcpuConfig { tiers, ..VcpuConfig::default() });
    let bytes: Vec<u8> = handler.iter().flat_map(|word| word.to_le_bytes()).collect();
    cpu.space().ram().write_slice(&bytes, GuestAddress(HANDLER)).expect("it fits");
    cpu.cpu_mut().x[7] = DATA;
    prepare(cpu.cpu_mut());
    stop_at_ecall(&mut cpu);
    cpu.run();
    cpu
}

/// Has [`Vcpu::run`] come back at an `ecall` in M-mode.
pub fn stop_at_ecall(cpu: &mut Vcpu<Riscv>) {
    cpu.set_trap_hook(Box::new(|cpu, trap| {
        let stop = trap.code == cause::ECALL_S + 2;
        if stop {
            cpu.handle().stop();
        }
        stop
    }));
}

/// After one step: cause and value of the trap taken into M-mode, from [`BASE`].
pub fn trap(vcpu: &mut Vcpu<Riscv>) -> (u64, u64) {
    vcpu.step();
    let hart = vcpu.cpu();
    assert_eq!(hart.head.pc, HANDLER, "no trap was taken");
    assert_eq!(hart.csr.mepc, BASE);
    (hart.csr.mcause, hart.csr.mtval)
}

/// What a CSR instruction is called with.
pub fn csr(name: &str, number: u32, rd: u32, operand: u32) -> u32 {
    insn(name, &[("csr", number), ("rd", rd), ("rs1", operand), ("uimm", operand)])
}

/// `addi`.
pub fn addi(rd: u32, rs1: u32, imm: i32) -> u32 {
    insn("addi", &[("rd", rd), ("rs1", rs1), ("imm", imm as u32)])
}

/// A branch to `offset` unless the register is zero.
pub fn back_unless_zero(rs1: u32, offset: i32) -> u32 {
    insn("bne", &[("rs1", rs1), ("imm", offset as u32)])
}

/// A handler that goes on behind the instruction that trapped: four instructions.
pub fn skip_and_return() -> [u32; 4] {
    [csr("csrrs", 0x341, 30, 0), addi(30, 30, 4), csr("csrrw", 0x341, 0, 30), insn("mret", &[])]
}
