//! Control and status registers: RISC-V Privileged ISA 20240411, chapters 2 to 4 and 12; Sstc, Sscofpmf; Sdtrig.
//!
//! [`Csrs`] is the state, `table` the rows (number, name, access rule, read, write). H and V come with their
//! extensions.

pub mod bits;
mod counters;
mod saved;
pub(crate) mod table;
mod triggers;

pub use counters::{Counters, Now};
pub(crate) use saved::CsrState;
pub use table::name;
pub use triggers::Triggers;

use crate::cpu::Hart;
use crate::features::{Ext, Features};
use crate::pmp::Pmp;
use crate::vector::VILL;
use base::{CpuLines, IrqSink, Ns, TimeBase, Timer};
use bits::{cause, envcfg, irq, mstatus};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tcg_core::guest::Trap;

/// Privilege modes, by their encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[repr(u8)]
pub enum Priv {
    /// User.
    U = 0,
    /// Supervisor.
    S = 1,
    /// Machine.
    M = 3,
}

impl Priv {
    /// The mode of a 2-bit field; the reserved encoding counts as U.
    pub fn from_bits(n: u64) -> Self {
        match n & 3 {
            3 => Self::M,
            1 => Self::S,
            _ => Self::U,
        }
    }
}

/// Wires and clocks of a hart.
pub struct Wiring {
    /// `mtime`.
    pub time: Arc<TimeBase>,
    /// The hart's own input lines, which the supervisor timer drives.
    pub lines: Arc<CpuLines>,
    /// Fires when `stimecmp` is reached.
    timer: Box<dyn Timer>,
    /// Fires when a counter may have overflowed.
    overflow: Box<dyn Timer>,
}

/// The CSRs of the vector unit: Unprivileged ISA, 31.3. `vlenb` follows from VLEN.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are the manual's")]
pub struct VectorCsrs {
    pub vstart: u64,
    pub vxsat: u64,
    pub vxrm: u64,
    pub vl: u64,
    pub vtype: u64,
}

impl Default for VectorCsrs {
    fn default() -> Self {
        Self { vstart: 0, vxsat: 0, vxrm: 0, vl: 0, vtype: VILL }
    }
}

/// All CSR state of a hart. Fields are named as the registers.
#[expect(missing_docs, reason = "the names are the manual's")]
pub struct Csrs {
    /// Present privilege mode.
    pub privilege: Priv,
    pub features: Features,
    pub mhartid: u64,
    pub mstatus: u64,
    pub medeleg: u64,
    pub mideleg: u64,
    pub mie: u64,
    /// Bits of `mip` that software has set; the input lines are added when it is read.
    pub mip_soft: u64,
    pub mtvec: u64,
    pub mscratch: u64,
    pub mepc: u64,
    pub mcause: u64,
    pub mtval: u64,
    pub mcounteren: u64,
    pub menvcfg: u64,
    pub stvec: u64,
    pub sscratch: u64,
    pub sepc: u64,
    pub scause: u64,
    pub stval: u64,
    pub scounteren: u64,
    pub senvcfg: u64,
    pub satp: u64,
    pub stimecmp: u64,
    /// Dynamic rounding mode, 0..=7.
    pub frm: u64,
    pub vector: VectorCsrs,
    pub pmp: Pmp,
    pub counters: Counters,
    pub triggers: Triggers,
    /// When counters are to be looked at for overflows: machine time.
    overflow_due: Ns,
    wiring: Option<Wiring>,
}

impl Csrs {
    /// The state after reset.
    pub fn new(features: Features, mhartid: u64) -> Self {
        Self {
            privilege: Priv::M,
            features,
            mhartid,
            mstatus: mstatus::UXL64 | mstatus::SXL64,
            medeleg: 0,
            mideleg: 0,
            mie: 0,
            mip_soft: 0,
            mtvec: 0,
            mscratch: 0,
            mepc: 0,
            mcause: 0,
            mtval: 0,
            mcounteren: 0,
            menvcfg: reset_menvcfg(features),
            stvec: 0,
            sscratch: 0,
            sepc: 0,
            scause: 0,
            stval: 0,
            scounteren: 0,
            senvcfg: 0,
            satp: 0,
            stimecmp: u64::MAX,
            frm: 0,
            vector: VectorCsrs::default(),
            pmp: Pmp::default(),
            counters: Counters::new(features.has(Ext::Sscofpmf)),
            triggers: Triggers::default(),
            overflow_due: Ns::MAX,
            wiring: None,
        }
    }

    /// Connects the hart to time and to its own input lines.
    pub fn wire(&mut self, time: Arc<TimeBase>, lines: Arc<CpuLines>) {
        let raise = lines.clone();
        let timer = time.clock().timer(Box::new(move || raise.set(irq::STI, true)));
        let look = lines.clone();
        let overflow = time.clock().timer(Box::new(move || look.kick()));
        self.wiring = Some(Wiring { time, lines, timer, overflow });
    }

    /// Back to the state after reset, with the wires kept.
    pub fn reset(&mut self) {
        let wiring = self.wiring.take();
        *self = Self::new(self.features, self.mhartid);
        self.wiring = wiring;
        self.update_stimer();
    }

    /// `time`.
    pub fn time(&self) -> u64 {
        self.wiring.as_ref().map_or(0, |w| w.time.ticks())
    }

    /// Nanoseconds of machine time: what the counters count.
    pub fn now(&self) -> u64 {
        self.wiring.as_ref().map_or(0, |w| w.time.clock().now())
    }

    /// Has the hart look at its counters at machine time `due`, unless it does so before anyway.
    fn expect_overflow(&mut self, due: Ns) {
        if due < self.overflow_due {
            self.overflow_due = due;
            if let Some(w) = &self.wiring {
                w.overflow.arm(due);
            }
        }
    }

    /// True once when it is time to look at the counters.
    pub fn take_overflow_due(&mut self) -> bool {
        let due = self.overflow_due != Ns::MAX && self.now() >= self.overflow_due;
        if due {
            self.overflow_due = Ns::MAX;
        }
        due
    }

    /// Takes a supervisor software interrupt, which comes as a pulse that software takes back, over from the line.
    pub fn latch_software_interrupt(&mut self) {
        if let Some(w) = &self.wiring
            && w.lines.levels() >> irq::SSI & 1 != 0
        {
            w.lines.set(irq::SSI, false);
            self.mip_soft |= 1 << irq::SSI;
        }
    }

    /// The levels of the input lines.
    pub fn levels(&self) -> u64 {
        self.wiring.as_ref().map_or(0, |w| w.lines.levels())
    }

    /// `mip`.
    pub fn mip(&self) -> u64 {
        (self.levels() | self.mip_soft) & (irq::ALL | 1 << irq::LCOFI)
    }

    /// Whether `stimecmp` drives the supervisor timer interrupt. Only an SBI that is built in sets the bit on a hart
    /// without Sstc, to use the same timer.
    pub fn has_stimer(&self) -> bool {
        self.menvcfg & envcfg::STCE != 0
    }

    /// Sets the supervisor timer's line as `stimecmp` says now, and its timer for later.
    pub fn update_stimer(&mut self) {
        let on = self.has_stimer();
        let Some(w) = &self.wiring else { return };
        w.timer.disarm();
        let due = on && w.time.ticks() >= self.stimecmp;
        w.lines.set(irq::STI, due);
        if on
            && !due
            && let Some(deadline) = w.time.deadline_of(self.stimecmp)
        {
            w.timer.arm(deadline);
        }
    }

    /// `sstatus` is this much of `mstatus`.
    pub fn status_with_summary(&self) -> u64 {
        let dirty = [mstatus::FS, mstatus::VS].iter().any(|field| self.mstatus & field == *field);
        self.mstatus | if dirty { mstatus::SD } else { 0 }
    }

    /// Writes the `mask` bits of `mstatus`, as far as they can be written.
    pub fn write_status(&mut self, value: u64, mask: u64) {
        let mask = mask & mstatus::WRITABLE;
        let vector = if self.features.has(Ext::Zve32x) { 0 } else { mstatus::VS };
        let mut new = self.mstatus & !mask | value & mask & !vector;
        if new >> mstatus::MPP_SHIFT & 3 == 2 {
            new = new & !mstatus::MPP | self.mstatus & mstatus::MPP;
        }
        self.mstatus = new;
    }

    /// The privilege that loads and stores use.
    pub fn data_privilege(&self) -> Priv {
        if self.mstatus & mstatus::MPRV != 0 {
            Priv::from_bits(self.mstatus >> mstatus::MPP_SHIFT)
        } else {
            self.privilege
        }
    }

    /// The most urgent interrupt that is to be taken now.
    pub fn deliverable(&self) -> Option<u32> {
        let pending = self.mip() & self.mie;
        if pending == 0 {
            return None;
        }
        let enabled =
            |at: Priv, bit: u64| self.privilege < at || self.privilege == at && self.mstatus & bit != 0;
        let pick = |set: u64| irq::BY_PRIORITY.into_iter().find(|n| set >> n & 1 != 0);
        let machine = if enabled(Priv::M, mstatus::MIE) { pending & !self.mideleg } else { 0 };
        let supervisor = if enabled(Priv::S, mstatus::SIE) { pending & self.mideleg } else { 0 };
        pick(machine).or_else(|| pick(supervisor))
    }
}

/// What is on before any firmware has run, so that a kernel started without one finds it: QEMU's choice.
fn reset_menvcfg(features: Features) -> u64 {
    let when = |ext, bits| if features.has(ext) { bits } else { 0 };
    when(Ext::Svadu, envcfg::ADUE) | when(Ext::Svpbmt, envcfg::PBMTE)
}

/// A CSR instruction, taken apart.
#[derive(Clone, Copy, Debug)]
pub struct Access {
    /// Number of the register.
    pub number: u16,
    /// What the write does with the operand; `None`: the instruction only reads.
    pub write: Option<Update>,
    /// Whether the old value is wanted (it is not with `csrrw x0`, and then nothing is read).
    pub read: bool,
}

/// What a CSR write does with its operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Update {
    /// Replaces the register.
    Write,
    /// Sets the operand's bits.
    Set,
    /// Clears the operand's bits.
    Clear,
}

/// The register does not exist, or not for this privilege: the instruction is illegal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Illegal;

/// Why a CSR instruction was not carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It is illegal.
    Illegal,
    /// It looks at a count of instructions, and these are not counted yet.
    Uncounted,
}

/// The least privilege that register `number` is accessed with.
pub fn least_privilege(number: u16) -> Priv {
    Priv::from_bits(u64::from(number >> 8) & 3)
}

/// What `xscratch`, `xepc`, `xcause` and `xtval` keep of a value: return addresses are even.
pub fn kept_bits(number: u16) -> u64 {
    if matches!(number, 0x141 | 0x341) { !1 } else { u64::MAX }
}

/// Whether register `number` is `mstatus` or `sstatus`.
pub fn is_status(number: u16) -> bool {
    matches!(number, 0x100 | 0x300)
}

/// Carries out a CSR instruction; gives the old value.
pub fn access(hart: &mut Hart, access: Access, operand: u64) -> Result<u64, Refused> {
    let number = access.number;
    let row = table::find(number).ok_or(Refused::Illegal)?;
    let needs = least_privilege(number);
    let read_only = number >> 10 == 3;
    if hart.csr.privilege < needs || read_only && access.write.is_some() || !(row.allowed)(hart, number) {
        return Err(Refused::Illegal);
    }
    counters::needs_counting(&hart.csr.counters, number, None)?;
    let old = if access.read || access.write != Some(Update::Write) { (row.read)(hart, number) } else { 0 };
    if let Some(update) = access.write {
        // A read-modify-write of `mip` must not make an input line's level a bit of its own.
        let base = if number == 0x344 || number == 0x144 { hart.csr.mip_soft } else { old };
        let new = match update {
            Update::Write => operand,
            Update::Set => base | operand,
            Update::Clear => base & !operand,
        };
        counters::needs_counting(&hart.csr.counters, number, Some(new))?;
        (row.write)(hart, number, new);
    }
    Ok(old)
}

/// The trap that an illegal instruction takes; `insn` is its bits.
pub fn illegal(insn: u32) -> Trap {
    Trap { code: cause::ILLEGAL, value: insn.into() }
}
