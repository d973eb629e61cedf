//! What the oracle cannot see: traps and their values, privileged instructions, the state of the float unit, jumps
//! without compressed instructions.

mod support;

use support::bare::*;
use tcg_riscv::Riscv;
use tcg_riscv::csr::Priv;
use tcg_riscv::csr::bits::{cause, envcfg, mstatus};
use vm_memory::{Bytes, GuestAddress};

#[test]
fn illegal_instructions_tell_their_bits() {
    let illegal = u64::from(cause::ILLEGAL);
    for word in [0, 0xffff_ffff, insn("csrrw", &[("csr", 0x7ff)]), insn("fadd.s", &[("rm", 5)])] {
        let bits = if word & 3 == 3 { word } else { word & 0xffff };
        assert_eq!(trap(&mut vcpu("max", &[word])), (illegal, bits.into()), "{word:#x}");
    }
    let off = insn("sh1add", &[]);
    assert_eq!(trap(&mut vcpu("rv64,zba=off", &[off])), (illegal, off.into()));
    let half = insn("c.li", &[("rd", 5)]);
    assert_eq!(trap(&mut vcpu("rv64,c=off", &[half])), (illegal, half.into()));
}

#[test]
fn a_reserved_dynamic_rounding_mode_is_illegal() {
    let word = insn("fadd.d", &[("rm", 7)]);
    let mut cpu = vcpu("rv64", &[word]);
    cpu.cpu_mut().csr.frm = 5;
    assert_eq!(trap(&mut cpu), (cause::ILLEGAL.into(), word.into()));
}

#[test]
fn float_unit_off_clean_dirty() {
    let word = insn("fmv.d.x", &[("rd", 3), ("rs1", 5)]);
    let mut cpu = vcpu("rv64", &[word]);
    cpu.cpu_mut().csr.mstatus &= !mstatus::FS;
    assert_eq!(trap(&mut cpu), (cause::ILLEGAL.into(), word.into()));
    for fs in [1, 2, 3] {
        let mut cpu = vcpu("rv64", &[word]);
        let hart = cpu.cpu_mut();
        hart.csr.mstatus = hart.csr.mstatus & !mstatus::FS | fs << mstatus::FS_SHIFT;
        hart.x[5] = 77;
        cpu.step();
        let hart = cpu.cpu();
        assert_eq!((hart.csr.mcause, hart.f[3]), (0, 77));
        assert_eq!(hart.csr.mstatus & mstatus::FS, mstatus::FS, "from {fs}");
    }
    // A load that faults leaves the unit as it was.
    let mut cpu = vcpu("rv64", &[insn("fld", &[("rd", 3)])]);
    cpu.cpu_mut().csr.mstatus ^= 1 << mstatus::FS_SHIFT;
    assert_eq!(trap(&mut cpu), (cause::LOAD_ACCESS.into(), 0));
    assert_eq!(cpu.cpu().csr.mstatus & mstatus::FS, 2 << mstatus::FS_SHIFT);
}

#[test]
fn environment_calls_and_breakpoints() {
    for (privilege, code) in [(Priv::U, 8), (Priv::S, 9), (Priv::M, 11)] {
        let mut cpu = vcpu("rv64", &[insn("ecall", &[])]);
        cpu.cpu_mut().csr.privilege = privilege;
        assert_eq!(trap(&mut cpu), (code, 0));
    }
    assert_eq!(trap(&mut vcpu("rv64", &[insn("ebreak", &[])])), (cause::BREAKPOINT.into(), BASE));
    assert_eq!(trap(&mut vcpu("rv64", &[insn("c.ebreak", &[])])), (cause::BREAKPOINT.into(), BASE));
}

#[test]
fn privileged_instructions_are_illegal_below() {
    for (name, needs) in [("mret", Priv::M), ("sret", Priv::S), ("wfi", Priv::S), ("sfence.vma", Priv::S)] {
        for privilege in [Priv::U, Priv::S, Priv::M] {
            let word = insn(name, &[]);
            let mut cpu = vcpu("rv64", &[word]);
            cpu.cpu_mut().csr.privilege = privilege;
            if privilege < needs {
                assert_eq!(trap(&mut cpu), (cause::ILLEGAL.into(), word.into()), "{name} in {privilege:?}");
            } else if name != "wfi" {
                cpu.step();
                assert_ne!(cpu.cpu().head.pc, HANDLER, "{name} in {privilege:?}");
            }
        }
    }
}

#[test]
fn mret_goes_where_mepc_says() {
    let mut cpu = vcpu("rv64", &[insn("mret", &[])]);
    let csr = &mut cpu.cpu_mut().csr;
    (csr.mepc, csr.mstatus) = (DATA, csr.mstatus | mstatus::MPIE);
    cpu.step();
    let hart = cpu.cpu();
    assert_eq!((hart.head.pc, hart.csr.privilege), (DATA, Priv::U));
    assert!(hart.csr.mstatus & mstatus::MIE != 0);
}

#[test]
fn csr_instructions_read_and_write_what_they_name() {
    let scratch = |name: &str, operands: &[(&str, u32)]| {
        let all: Vec<_> = [("csr", 0x340), ("rd", 6)].into_iter().chain(operands.iter().copied()).collect();
        let mut cpu = vcpu("rv64", &[insn(name, &all)]);
        (cpu.cpu_mut().csr.mscratch, cpu.cpu_mut().x[5]) = (0b1100, 0b1010);
        cpu.step();
        (cpu.cpu().x[6], cpu.cpu().csr.mscratch)
    };
    assert_eq!(scratch("csrrw", &[("rs1", 5)]), (0b1100, 0b1010));
    assert_eq!(scratch("csrrs", &[("rs1", 5)]), (0b1100, 0b1110));
    assert_eq!(scratch("csrrc", &[("rs1", 5)]), (0b1100, 0b0100));
    assert_eq!(scratch("csrrwi", &[("uimm", 3)]), (0b1100, 3));
    assert_eq!(scratch("csrrsi", &[("uimm", 3)]), (0b1100, 0b1111));
    assert_eq!(scratch("csrrci", &[("uimm", 4)]), (0b1100, 0b1000));
    // Set and clear of nothing only read, so they may name read-only registers.
    let mut cpu = vcpu("rv64", &[insn("csrrs", &[("csr", 0xf14), ("rd", 6)])]);
    cpu.step();
    assert_eq!(cpu.cpu().head.pc, BASE + 4);
    let word = insn("csrrs", &[("csr", 0xf14), ("rd", 6), ("rs1", 5)]);
    assert_eq!(trap(&mut vcpu("rv64", &[word])), (cause::ILLEGAL.into(), word.into()));
}

#[test]
fn registers_of_traps_want_their_privilege_and_even_addresses() {
    for (number, needs) in (0x140..=0x143).map(|n| (n, Priv::S)).chain((0x340..=0x343).map(|n| (n, Priv::M)))
    {
        for privilege in [Priv::U, Priv::S, Priv::M] {
            let word = insn("csrrw", &[("csr", number), ("rd", 6), ("rs1", 5)]);
            let again = insn("csrrs", &[("csr", number), ("rd", 7)]);
            let mut cpu = vcpu("rv64", &[word, again]);
            cpu.cpu_mut().csr.privilege = privilege;
            cpu.cpu_mut().x[5] = 0x1237;
            if privilege < needs {
                assert_eq!(
                    trap(&mut cpu),
                    (cause::ILLEGAL.into(), word.into()),
                    "{number:#x} in {privilege:?}"
                );
                continue;
            }
            (0..2).for_each(|_| cpu.step());
            let kept = if number & 3 == 1 { 0x1236 } else { 0x1237 };
            assert_eq!((cpu.cpu().x[6], cpu.cpu().x[7]), (0, kept), "{number:#x} in {privilege:?}");
        }
    }
}

#[test]
fn without_compressed_instructions_jumps_stay_aligned() {
    let misaligned = u64::from(cause::FETCH_MISALIGNED);
    let cpu = || "rv64,c=off";
    assert_eq!(trap(&mut vcpu(cpu(), &[insn("jal", &[("imm", 6)])])), (misaligned, BASE + 6));
    assert_eq!(trap(&mut vcpu(cpu(), &[insn("beq", &[("imm", 6)])])), (misaligned, BASE + 6));
    assert_eq!(trap(&mut vcpu(cpu(), &[insn("bge", &[("imm", 6)])])), (misaligned, BASE + 6));
    let mut jalr = vcpu(cpu(), &[insn("jalr", &[("rd", 1), ("rs1", 5), ("imm", 2)])]);
    jalr.cpu_mut().x[5] = BASE;
    assert_eq!(trap(&mut jalr), (misaligned, BASE + 2));
    assert_eq!(jalr.cpu().x[1], 0, "nothing is linked");
    for name in ["bne", "blt"] {
        let mut not_taken = vcpu(cpu(), &[insn(name, &[("imm", 6)])]);
        not_taken.step();
        assert_eq!(not_taken.cpu().head.pc, BASE + 4);
    }
    let mut with = vcpu("rv64", &[insn("jal", &[("imm", 6)])]);
    with.step();
    assert_eq!(with.cpu().head.pc, BASE + 6);
}

#[test]
fn atomics_want_aligned_addresses() {
    let rows = [
        ("lr.d", cause::LOAD_MISALIGNED),
        ("sc.d", cause::STORE_MISALIGNED),
        ("amoadd.w", cause::STORE_MISALIGNED),
    ];
    for (name, code) in rows {
        let mut cpu = vcpu("rv64", &[insn(name, &[("rs1", 5), ("rd", 6)])]);
        cpu.cpu_mut().x[5] = DATA + 2;
        assert_eq!(trap(&mut cpu), (code.into(), DATA + 2), "{name}");
        assert_eq!(cpu.cpu().x[6], 0);
    }
}

#[test]
fn store_conditional_needs_the_reservation() {
    let reserve = insn("lr.w", &[("rd", 6), ("rs1", 5)]);
    let store = insn("sc.w", &[("rd", 7), ("rs1", 5), ("rs2", 5)]);
    let mut cpu = vcpu("rv64", &[store, reserve, store, store]);
    cpu.cpu_mut().x[5] = DATA;
    let results: Vec<u64> = (0..4)
        .map(|_| {
            cpu.step();
            cpu.cpu().x[7]
        })
        .collect();
    assert_eq!(results, [1, 1, 0, 1]);
    let stored: u32 = cpu.space().ram().read_obj(GuestAddress(DATA)).expect("it is RAM");
    assert_eq!(u64::from(stored), DATA & 0xffff_ffff);
    // A trap ends the reservation.
    let mut cpu = vcpu("rv64", &[reserve, insn("ecall", &[])]);
    cpu.cpu_mut().x[5] = DATA;
    (0..2).for_each(|_| cpu.step());
    assert_eq!(cpu.cpu().reservation, u64::MAX);
}

#[test]
fn cache_blocks() {
    let zero = insn("cbo.zero", &[("rs1", 5)]);
    let mut cpu = vcpu("rv64", &[zero]);
    cpu.cpu_mut().x[5] = DATA + 70;
    cpu.space().ram().write_slice(&[0xff; 192], GuestAddress(DATA)).expect("it is RAM");
    cpu.step();
    let mut memory = [0; 192];
    cpu.space().ram().read_slice(&mut memory, GuestAddress(DATA)).expect("it is RAM");
    let zeros: Vec<usize> = (0..192).filter(|i| memory[*i] == 0).collect();
    assert_eq!(zeros, (64..128).collect::<Vec<_>>());
    for (name, enable) in
        [("cbo.zero", envcfg::CBZE), ("cbo.flush", envcfg::CBCFE), ("cbo.inval", envcfg::CBIE)]
    {
        let word = insn(name, &[("rs1", 5)]);
        let in_user_mode = |menvcfg| {
            let mut cpu = vcpu("rv64", &[word]);
            cpu.cpu_mut().csr.privilege = Priv::U;
            (cpu.cpu_mut().csr.menvcfg, cpu.cpu_mut().csr.senvcfg) = (menvcfg, enable);
            cpu.cpu_mut().x[5] = DATA;
            cpu
        };
        assert_eq!(trap(&mut in_user_mode(0)), (cause::ILLEGAL.into(), word.into()), "{name}");
        let mut allowed = in_user_mode(enable);
        allowed.step();
        assert_eq!(allowed.cpu().head.pc, BASE + 4, "{name}");
    }
    // What a load would fault at is a store's fault here.
    let mut cpu = vcpu("rv64", &[insn("cbo.flush", &[])]);
    assert_eq!(trap(&mut cpu), (cause::STORE_ACCESS.into(), 0));
}

/// A device that must not be touched.
struct Untouchable;

impl base::Device for Untouchable {
    fn name(&self) -> &'static str {
        "untouchable"
    }
    fn reset(&mut self) {}
    fn save(&self) -> base::State {
        base::State { version: 1, value: Default::default() }
    }
    fn load(&mut self, _: &base::State) -> Result<(), base::StateError> {
        Ok(())
    }
}

impl base::Mmio for Untouchable {
    fn read(&mut self, _: u64, _: base::Width) -> u64 {
        panic!("it was read")
    }
    fn write(&mut self, _: u64, _: base::Width, _: u64) {
        panic!("it was written")
    }
}

#[test]
fn cache_block_management_touches_no_device() {
    for name in ["cbo.clean", "cbo.flush", "cbo.inval"] {
        let mut cpu = vcpu("rv64", &[insn(name, &[("rs1", 5)])]);
        let device = base::Slot::Device(base::shared(Untouchable));
        cpu.space().map("untouchable", 0x1000, 0x1000, device).expect("nothing is there");
        cpu.cpu_mut().x[5] = 0x1004;
        cpu.step();
        assert_eq!(cpu.cpu().head.pc, BASE + 4, "{name}");
    }
}

/// Only an order of stores before later loads costs something on a host that has all others anyway.
#[test]
fn fences_cost_what_they_order() {
    use tcg_core::testing::Rig;
    let costs = |pred: u32, succ: u32| {
        let mut rig = Rig::<Riscv>::new(hart("rv64"), (BASE, 0x1000), 4);
        rig.write(BASE, &insn("fence", &[("pred", pred), ("succ", succ)]).to_le_bytes());
        let mode = tcg_riscv::mode::of(&rig.cpu().csr);
        let block = tcg_core::build::guest_block::<Riscv>(
            &mut rig.fetch(),
            BASE,
            mode,
            &tcg_core::build::Limits::new(1),
            tcg_core::ir::Region::default(),
        )
        .expect("it is there");
        rig.list_host(&block.region, None).contains("lock")
    };
    let (r, w, i, o) = (2, 1, 8, 4);
    for (pred, succ, barrier) in [
        (r | w, r | w, true),
        (w, r, true),
        (o, i, true),
        (w, i, true),
        (w, w, false),
        (r, r | w, false),
        (r | w, w, false),
        (w, o, false),
        (i, i, false),
    ] {
        assert_eq!(costs(pred, succ), barrier, "{pred} {succ}");
    }
}
