//! The state behind system registers.

use super::bits::{cpacr, hcr, scr, sctlr, tcr};
use super::{COUNTER_HZ, Key};
use crate::Aarch64;
use crate::board::{Board, Wiring};
use crate::features::Features;
use crate::mmu::{SecureSpace, Stage2Fault};
use crate::pmu::Pmu;
use crate::selfhosted::DebugUnit;
use crate::timer::Timers;
use crate::tlbi::{Domain, Invalidation};
use base::Clock;
use std::sync::Arc;
use tcg_core::run::Errand;

macro_rules! stored {
    ($($name:ident)*) => {
        /// Registers that are storage, named as the manual does.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        #[expect(missing_docs, reason = "the names are the manual's")]
        pub enum Stored { $($name,)* }

        impl Stored {
            /// How many there are.
            pub const COUNT: usize = [$(Self::$name),*].len();
        }
    };
}

stored! {
    SpEl0 SpEl1 SpEl2 SpEl3
    ElrEl1 ElrEl2 ElrEl3
    SpsrEl1 SpsrEl2 SpsrEl3
    EsrEl1 EsrEl2 EsrEl3
    FarEl1 FarEl2 FarEl3
    VbarEl1 VbarEl2 VbarEl3
    SctlrEl1 SctlrEl2 SctlrEl3
    TcrEl1 TcrEl2 TcrEl3
    MairEl1 MairEl2 MairEl3
    Ttbr0El1 Ttbr0El2 Ttbr0El3
    Ttbr1El1 Ttbr1El2
    CpacrEl1 CptrEl2 CptrEl3
    ContextidrEl1 ContextidrEl2
    TpidrEl1 TpidrEl2 TpidrEl3
    ScxtnumEl0 ScxtnumEl1 ScxtnumEl2 ScxtnumEl3
    CsselrEl1 ParEl1 CntkctlEl1 DisrEl1
    HcrEl2 HcrxEl2 VttbrEl2 VtcrEl2 HpfarEl2 HstrEl2 MdcrEl2 CnthctlEl2 VpidrEl2 VmpidrEl2 VdisrEl2 VsesrEl2
    ScrEl3 SderEl3 MdcrEl3
    SpsrAbt SpsrUnd SpsrIrq SpsrFiq
    Dacr32El2 Ifsr32El2 Fpexc32El2
}

impl Stored {
    /// The register of a name that differs only in its level: `first` is that of EL1.
    const fn at(first: Self, el: u8) -> usize {
        first as usize + el as usize - 1
    }
}

/// State that only system instructions see.
pub struct System {
    /// Exception level.
    pub el: u8,
    /// PSTATE.SP: the stack pointer is that of the level, not that of EL0.
    pub sp_sel: bool,
    /// A user program under Linux: identification registers answer at EL0, as Linux emulates them, and there is neither
    /// translation nor a level above.
    pub user_ids: bool,
    /// What there is.
    pub features: Features,
    /// FPCR.
    pub fpcr: u64,
    /// FPSR's highest bits; the flags are the translator's.
    pub fpsr: u64,
    /// Keys IA, IB, DA, DB, GA.
    pub keys: [Key; 5],
    /// PSTATE.DIT.
    pub dit: bool,
    /// PSTATE.SSBS.
    pub ssbs: bool,
    /// PSTATE.PAN.
    pub pan: bool,
    /// PSTATE.UAO.
    pub uao: bool,
    /// PSTATE.SS.
    pub ss: bool,
    /// PSTATE.IL.
    pub il: bool,
    /// What the counter of user programs counts; without it the counter stands still.
    pub clock: Option<Arc<dyn Clock>>,
    /// What the board decides.
    pub board: Board,
    /// What is connected.
    pub wiring: Option<Wiring>,
    /// The PEs that TLB maintenance is told to.
    pub domain: Option<Arc<Domain>>,
    /// Maintenance that the others have not been told of yet.
    pub untold: Vec<Invalidation>,
    /// What others were told and may not have carried out yet.
    pub outstanding: Vec<Errand<Aarch64>>,
    /// The generic timer.
    pub timers: Timers,
    /// The performance monitors.
    pub pmu: Pmu,
    /// Breakpoints, watchpoints and software step.
    pub debug: DebugUnit,
    /// Loads and stores are made as EL0 would make them (LDTR, STTR).
    pub unprivileged: bool,
    /// A kernel's code is that of one ASID, as was found by a fetch. See [`crate::mmu::key::of_code`].
    pub kernel_by_asid: bool,
    /// What random numbers follow from, if they are to be the same each time; otherwise they are the host's.
    pub random: Option<u64>,
    /// What the last fault of stage 2 was.
    pub stage2_fault: Option<Stage2Fault>,
    /// TPIDR2_EL0 and others that only hold what is written.
    pub stored: [u64; Stored::COUNT],
}

impl System {
    /// The state at EL0 of a user program.
    pub fn new(features: Features) -> Self {
        let mut stored = [0; Stored::COUNT];
        stored[Stored::SctlrEl1 as usize] = sctlr::UCI
            | sctlr::UCT
            | sctlr::DZE
            | sctlr::N_TWI
            | sctlr::N_TWE
            | sctlr::EN_IA
            | sctlr::EN_IB
            | sctlr::EN_DA
            | sctlr::EN_DB
            | sctlr::MSC_EN;
        stored[Stored::CpacrEl1 as usize] = cpacr::FPEN;
        // 48 bits below the tag.
        stored[Stored::TcrEl1 as usize] = 16 | 16 << 16 | tcr::TBI0;
        // The virtual counter is open.
        stored[Stored::CntkctlEl1 as usize] = 2;
        Self {
            el: 0,
            sp_sel: false,
            user_ids: true,
            features,
            fpcr: 0,
            fpsr: 0,
            keys: [[0; 2]; 5],
            dit: false,
            ssbs: false,
            pan: false,
            uao: false,
            ss: false,
            il: false,
            clock: None,
            board: Board {
                number: 0,
                mpidr: 0,
                has_el2: false,
                has_el3: false,
                secure_space: SecureSpace::NONE,
                cntfrq: COUNTER_HZ,
            },
            wiring: None,
            domain: None,
            untold: Vec::new(),
            outstanding: Vec::new(),
            timers: Timers::default(),
            pmu: Pmu::default(),
            debug: DebugUnit::default(),
            unprivileged: false,
            kernel_by_asid: false,
            random: None,
            stage2_fault: None,
            stored,
        }
    }

    /// A register that is storage.
    pub fn get(&self, register: Stored) -> u64 {
        self.stored[register as usize]
    }

    /// Sets one.
    pub fn set(&mut self, register: Stored, value: u64) {
        self.stored[register as usize] = value;
    }

    /// The register of level `el` (1 to 3), by that of EL1.
    pub fn banked(&self, of_el1: Stored, el: u8) -> u64 {
        self.stored[Stored::at(of_el1, el)]
    }

    /// Sets it.
    pub fn set_banked(&mut self, of_el1: Stored, el: u8, value: u64) {
        self.stored[Stored::at(of_el1, el)] = value;
    }

    /// Whether level `el` is in Secure state.
    pub fn is_secure(&self, el: u8) -> bool {
        self.board.has_el3 && (el == 3 || self.get(Stored::ScrEl3) & scr::NS == 0)
    }

    /// Whether EL2 is there in the present Security state. Secure EL2 is left out.
    pub fn el2_enabled(&self) -> bool {
        self.board.has_el2 && !(self.board.has_el3 && self.get(Stored::ScrEl3) & scr::NS == 0)
    }

    /// HCR_EL2 as it has effect at levels below EL2, D17.2.48.
    pub fn hcr(&self) -> u64 {
        if !self.el2_enabled() {
            return 0;
        }
        let value = self.get(Stored::HcrEl2);
        let forced = if value & hcr::TGE == 0 {
            value
        } else if value & hcr::E2H == 0 {
            value & !hcr::VM | hcr::FMO | hcr::IMO | hcr::AMO
        } else {
            // For a host's programs there is no guest to keep apart.
            const NONE: u64 = hcr::VM
                | hcr::FB
                | hcr::DC
                | hcr::TWI
                | hcr::TWE
                | hcr::TID1
                | hcr::TID2
                | hcr::TID3
                | hcr::TSC
                | hcr::TACR
                | hcr::TSW
                | hcr::TPCP
                | hcr::TPU
                | hcr::TTLB
                | hcr::TVM
                | hcr::TRVM
                | hcr::TDZ
                | hcr::HCD;
            value & !NONE | hcr::FMO | hcr::IMO | hcr::AMO
        };
        if forced & hcr::DC != 0 { forced | hcr::VM } else { forced }
    }

    /// Whether EL2 is a host, and EL0 its programs.
    pub fn in_host(&self) -> bool {
        self.hcr() & (hcr::E2H | hcr::TGE) == hcr::E2H | hcr::TGE
    }

    /// Whether EL2 is the level of a host, whatever EL0 is now.
    pub fn is_host_el2(&self) -> bool {
        self.hcr() & hcr::E2H != 0
    }

    /// The level whose SCTLR is for code at `el`.
    pub fn control_el(&self, el: u8) -> u8 {
        match el {
            0 if self.in_host() => 2,
            0 => 1,
            el => el,
        }
    }

    /// SCTLR of code at `el`.
    pub fn sctlr(&self, el: u8) -> u64 {
        self.banked(Stored::SctlrEl1, self.control_el(el))
    }

    /// Where floating point is off for code at `el`: the level that the trap goes to.
    pub fn float_trap(&self, el: u8) -> Option<u8> {
        let fpen = |control: u64| match control >> cpacr::FPEN_SHIFT & 3 {
            3 => false,
            1 => el == 0,
            _ => true,
        };
        if el <= 1 && !self.in_host() && fpen(self.get(Stored::CpacrEl1)) {
            return Some(1);
        }
        if el <= 2 && self.el2_enabled() {
            let control = self.get(Stored::CptrEl2);
            let off = if self.is_host_el2() {
                match control >> cpacr::FPEN_SHIFT & 3 {
                    3 => false,
                    1 => el == 0 && self.in_host(),
                    _ => true,
                }
            } else {
                control & super::bits::cptr::TFP != 0
            };
            if off {
                return Some(2);
            }
        }
        let off = self.board.has_el3 && self.get(Stored::CptrEl3) & super::bits::cptr::TFP != 0;
        off.then_some(3)
    }
}
