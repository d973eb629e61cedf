//! Fields of system registers, in modules named as the registers. D17.2 of the manual.

/// SCTLR_ELx.
pub mod sctlr {
    /// Stage 1 translation is on.
    pub const M: u64 = 1;
    /// Data accesses must be aligned.
    pub const A: u64 = 1 << 1;
    /// The stack pointer must be aligned where it is a base.
    pub const SA: u64 = 1 << 3;
    /// The same at EL0.
    pub const SA0: u64 = 1 << 4;
    /// EL0 may mask interrupts.
    pub const UMA: u64 = 1 << 9;
    /// An authentication key IB is used.
    pub const EN_IB: u64 = 1 << 30;
    /// Key IA.
    pub const EN_IA: u64 = 1 << 31;
    /// Key DA.
    pub const EN_DA: u64 = 1 << 27;
    /// Key DB.
    pub const EN_DB: u64 = 1 << 13;
    /// DC ZVA at EL0.
    pub const DZE: u64 = 1 << 14;
    /// CTR_EL0 at EL0.
    pub const UCT: u64 = 1 << 15;
    /// WFI at EL0 waits.
    pub const N_TWI: u64 = 1 << 16;
    /// WFE at EL0 waits.
    pub const N_TWE: u64 = 1 << 18;
    /// What can be written can not be executed.
    pub const WXN: u64 = 1 << 19;
    /// Traps SCXTNUM_EL0 at EL0.
    pub const TSCXT: u64 = 1 << 20;
    /// Exceptions leave PAN alone.
    pub const SPAN: u64 = 1 << 23;
    /// Cache maintenance at EL0.
    pub const UCI: u64 = 1 << 26;
    /// Memory copy instructions at EL0.
    pub const MSC_EN: u64 = 1 << 33;
    /// PSTATE.SSBS after an exception.
    pub const DSSBS: u64 = 1 << 44;
    /// PAN is for pages that EL0 can only execute, too.
    pub const EPAN: u64 = 1 << 57;
    /// Bits of features that there are not.
    pub const MASK_EL1: u64 = 0xffff_f01f_ffff_ffff;
    /// The same of SCTLR_EL3.
    pub const MASK_EL3: u64 = 0xffff_f4df_ffff_ffff;
    /// Whatever the outcome of page walks depends on.
    pub const WALK: u64 = M | WXN | EPAN;
}

/// HCR_EL2.
pub mod hcr {
    /// Stage 2 translation is on.
    pub const VM: u64 = 1;
    /// Physical FIQs go to EL2.
    pub const FMO: u64 = 1 << 3;
    /// Physical IRQs go to EL2.
    pub const IMO: u64 = 1 << 4;
    /// SErrors go to EL2.
    pub const AMO: u64 = 1 << 5;
    /// A virtual FIQ is pending.
    pub const VF: u64 = 1 << 6;
    /// A virtual IRQ is pending.
    pub const VI: u64 = 1 << 7;
    /// TLB maintenance is broadcast.
    pub const FB: u64 = 1 << 9;
    /// Default cacheable: stage 1 is off, and stage 2 on.
    pub const DC: u64 = 1 << 12;
    /// Traps WFI.
    pub const TWI: u64 = 1 << 13;
    /// Traps WFE.
    pub const TWE: u64 = 1 << 14;
    /// Traps identification registers, groups 1 to 3.
    pub const TID1: u64 = 1 << 16;
    /// Group 2.
    pub const TID2: u64 = 1 << 17;
    /// Group 3.
    pub const TID3: u64 = 1 << 18;
    /// Traps SMC.
    pub const TSC: u64 = 1 << 19;
    /// Traps ACTLR.
    pub const TACR: u64 = 1 << 21;
    /// Traps cache maintenance by set and way.
    pub const TSW: u64 = 1 << 22;
    /// Traps cache maintenance to the point of coherency.
    pub const TPCP: u64 = 1 << 23;
    /// Traps cache maintenance to the point of unification.
    pub const TPU: u64 = 1 << 24;
    /// Traps TLB maintenance.
    pub const TTLB: u64 = 1 << 25;
    /// Traps writes of virtual memory controls.
    pub const TVM: u64 = 1 << 26;
    /// General exceptions go to EL2.
    pub const TGE: u64 = 1 << 27;
    /// Traps DC ZVA.
    pub const TDZ: u64 = 1 << 28;
    /// HVC is undefined.
    pub const HCD: u64 = 1 << 29;
    /// Traps reads of virtual memory controls.
    pub const TRVM: u64 = 1 << 30;
    /// EL1 is AArch64.
    pub const RW: u64 = 1 << 31;
    /// EL2 is the level of a host (VHE).
    pub const E2H: u64 = 1 << 34;
    /// Traps LORegions.
    pub const TLOR: u64 = 1 << 35;
    /// Traps error records.
    pub const TERR: u64 = 1 << 36;
    /// Aborts of external origin go to EL2.
    pub const TEA: u64 = 1 << 37;
    /// Keys are not trapped.
    pub const APK: u64 = 1 << 40;
    /// Pointer authentication is not trapped.
    pub const API: u64 = 1 << 41;
    /// SCXTNUM is not trapped.
    pub const EN_SCXT: u64 = 1 << 53;
    /// What the outcome of page walks depends on.
    pub const WALK: u64 = VM | DC | TGE | E2H | 3 << 32;
}

/// SCR_EL3.
pub mod scr {
    /// Lower levels are Non-secure.
    pub const NS: u64 = 1;
    /// IRQs go to EL3.
    pub const IRQ: u64 = 1 << 1;
    /// FIQs go to EL3.
    pub const FIQ: u64 = 1 << 2;
    /// External aborts go to EL3.
    pub const EA: u64 = 1 << 3;
    /// Secure code is not fetched from Non-secure memory.
    pub const SIF: u64 = 1 << 9;
    /// SMC is undefined.
    pub const SMD: u64 = 1 << 7;
    /// HVC is there.
    pub const HCE: u64 = 1 << 8;
    /// The next lower level is AArch64.
    pub const RW: u64 = 1 << 10;
    /// Secure EL1 has the Secure timer.
    pub const ST: u64 = 1 << 11;
    /// Traps WFI.
    pub const TWI: u64 = 1 << 12;
    /// Traps WFE.
    pub const TWE: u64 = 1 << 13;
    /// Traps LORegions.
    pub const TLOR: u64 = 1 << 14;
    /// Keys are not trapped.
    pub const APK: u64 = 1 << 16;
    /// Pointer authentication is not trapped.
    pub const API: u64 = 1 << 17;
    /// SCXTNUM is not trapped.
    pub const EN_SCXT: u64 = 1 << 25;
    /// HCRX_EL2 is accessible.
    pub const HXE_EN: u64 = 1 << 38;
}

/// TCR_ELx.
pub mod tcr {
    /// Which TTBR has the ASID.
    pub const A1: u64 = 1 << 22;
    /// ASIDs have 16 bits.
    pub const AS: u64 = 1 << 36;
    /// Top byte ignore of the lower half.
    pub const TBI0: u64 = 1 << 37;
}

/// CPACR_EL1, and CPTR_EL2 of a host.
pub mod cpacr {
    /// Where floating point is not trapped: bit 20 at EL1 (EL2), bit 21 at EL0, too.
    pub const FPEN_SHIFT: u32 = 20;
    /// Nowhere.
    pub const FPEN: u64 = 3 << FPEN_SHIFT;
}

/// CPTR_EL2 and CPTR_EL3.
pub mod cptr {
    /// Traps floating point.
    pub const TFP: u64 = 1 << 10;
    /// Traps CPACR_EL1.
    pub const TCPAC: u64 = 1 << 31;
}

/// MDCR_EL2 and MDCR_EL3.
pub mod mdcr {
    /// Traps PMCR_EL0.
    pub const TPMCR: u64 = 1 << 5;
    /// Traps the performance monitors.
    pub const TPM: u64 = 1 << 6;
    /// Debug exceptions go to EL2.
    pub const TDE: u64 = 1 << 8;
    /// Traps debug registers.
    pub const TDA: u64 = 1 << 9;
    /// Traps OS lock registers.
    pub const TDOSA: u64 = 1 << 10;
    /// Traps debug ROM registers.
    pub const TDRA: u64 = 1 << 11;
    /// MDCR_EL2: event counters stand still at EL2.
    pub const HPMD: u64 = 1 << 17;
    /// MDCR_EL3: event counters count in Secure state.
    pub const SPME: u64 = 1 << 17;
    /// MDCR_EL3: there are no debug exceptions in Secure state.
    pub const SDD: u64 = 1 << 16;
}

/// MDSCR_EL1.
pub mod mdscr {
    /// Software step.
    pub const SS: u64 = 1;
    /// Debug registers at EL0 are trapped.
    pub const TDCC: u64 = 1 << 12;
    /// Debug exceptions within a level.
    pub const KDE: u64 = 1 << 13;
    /// Breakpoints and watchpoints.
    pub const MDE: u64 = 1 << 15;
}
