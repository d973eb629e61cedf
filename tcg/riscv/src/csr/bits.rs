//! Bit names of the CSRs, as in the RISC-V Privileged ISA 20240411.

/// `mstatus`, `sstatus`.
pub mod mstatus {
    /// Interrupts enabled in S-mode.
    pub const SIE: u64 = 1 << 1;
    /// Interrupts enabled in M-mode.
    pub const MIE: u64 = 1 << 3;
    /// SIE before the trap into S-mode.
    pub const SPIE: u64 = 1 << 5;
    /// MIE before the trap into M-mode.
    pub const MPIE: u64 = 1 << 7;
    /// Privilege before the trap into S-mode.
    pub const SPP: u64 = 1 << 8;
    /// State of the vector unit: shift of the 2-bit field.
    pub const VS_SHIFT: u32 = 9;
    /// The VS field.
    pub const VS: u64 = 3 << VS_SHIFT;
    /// Privilege before the trap into M-mode: shift of the 2-bit field.
    pub const MPP_SHIFT: u32 = 11;
    /// The MPP field.
    pub const MPP: u64 = 3 << MPP_SHIFT;
    /// State of the float unit: shift of the 2-bit field.
    pub const FS_SHIFT: u32 = 13;
    /// The FS field.
    pub const FS: u64 = 3 << FS_SHIFT;
    /// Loads and stores use the privilege in MPP.
    pub const MPRV: u64 = 1 << 17;
    /// S-mode may access user pages.
    pub const SUM: u64 = 1 << 18;
    /// Loads may read executable pages.
    pub const MXR: u64 = 1 << 19;
    /// `satp` and `sfence.vma` trap in S-mode.
    pub const TVM: u64 = 1 << 20;
    /// `wfi` traps below M-mode.
    pub const TW: u64 = 1 << 21;
    /// `sret` traps in S-mode.
    pub const TSR: u64 = 1 << 22;
    /// XLEN 64 in U-mode, read-only.
    pub const UXL64: u64 = 2 << 32;
    /// XLEN 64 in S-mode, read-only.
    pub const SXL64: u64 = 2 << 34;
    /// Some extension's state is dirty, read-only summary.
    pub const SD: u64 = 1 << 63;
    /// What only says which interrupts are taken, and how it was before a trap.
    pub const INTERRUPTS: u64 = SIE | MIE | SPIE | MPIE | SPP;
    /// What `sstatus` shows of it besides SD.
    pub const SSTATUS: u64 = SIE | SPIE | SPP | VS | FS | SUM | MXR | UXL64;
    /// What software may change.
    pub const WRITABLE: u64 =
        SIE | MIE | SPIE | MPIE | SPP | VS | MPP | FS | MPRV | SUM | MXR | TVM | TW | TSR;
}

/// `mip`, `mie` and the CPU's input lines, which have the same numbers.
pub mod irq {
    /// Supervisor software.
    pub const SSI: u32 = 1;
    /// Machine software.
    pub const MSI: u32 = 3;
    /// Supervisor timer.
    pub const STI: u32 = 5;
    /// Machine timer.
    pub const MTI: u32 = 7;
    /// Supervisor external.
    pub const SEI: u32 = 9;
    /// Machine external.
    pub const MEI: u32 = 11;
    /// Counter overflow.
    pub const LCOFI: u32 = 13;
    /// From most to least urgent.
    pub const BY_PRIORITY: [u32; 7] = [MEI, MSI, MTI, SEI, SSI, STI, LCOFI];
    /// What S-mode can have delegated.
    pub const SUPERVISOR: u64 = 1 << SSI | 1 << STI | 1 << SEI;
    /// What M-mode can enable.
    pub const ALL: u64 = SUPERVISOR | 1 << MSI | 1 << MTI | 1 << MEI;
}

/// `menvcfg`, `senvcfg`.
pub mod envcfg {
    /// `fence` of I/O implies memory.
    pub const FIOM: u64 = 1;
    /// What `cbo.inval` does below: shift of the 2-bit field.
    pub const CBIE_SHIFT: u32 = 4;
    /// The CBIE field.
    pub const CBIE: u64 = 3 << CBIE_SHIFT;
    /// `cbo.clean`, `cbo.flush` allowed below.
    pub const CBCFE: u64 = 1 << 6;
    /// `cbo.zero` allowed below.
    pub const CBZE: u64 = 1 << 7;
    /// Hardware updates accessed and dirty bits.
    pub const ADUE: u64 = 1 << 61;
    /// Page-based memory types.
    pub const PBMTE: u64 = 1 << 62;
    /// `stimecmp` works.
    pub const STCE: u64 = 1 << 63;
}

/// Exception causes.
pub mod cause {
    /// Instruction address misaligned.
    pub const FETCH_MISALIGNED: u32 = 0;
    /// Instruction access fault.
    pub const FETCH_ACCESS: u32 = 1;
    /// Illegal instruction.
    pub const ILLEGAL: u32 = 2;
    /// Breakpoint.
    pub const BREAKPOINT: u32 = 3;
    /// Load address misaligned.
    pub const LOAD_MISALIGNED: u32 = 4;
    /// Load access fault.
    pub const LOAD_ACCESS: u32 = 5;
    /// Store address misaligned.
    pub const STORE_MISALIGNED: u32 = 6;
    /// Store access fault.
    pub const STORE_ACCESS: u32 = 7;
    /// Environment call from U-mode; from S-mode and M-mode it is this plus 1 and 3.
    pub const ECALL_U: u32 = 8;
    /// Environment call from S-mode.
    pub const ECALL_S: u32 = 9;
    /// Instruction page fault.
    pub const FETCH_PAGE: u32 = 12;
    /// Load page fault.
    pub const LOAD_PAGE: u32 = 13;
    /// Store page fault.
    pub const STORE_PAGE: u32 = 15;
    /// In `mcause`: an interrupt.
    pub const INTERRUPT: u64 = 1 << 63;
    /// Exceptions that M-mode can delegate.
    pub const DELEGABLE: u64 = 0xb3ff;
}
