//! The GIC CPU interface as its system registers show it: GIC architecture specification (IHI 0069), 12.2. The interrupt
//! controller is a device; the PE decodes and checks accesses and passes them on.

/// Where an access is made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Level {
    /// Exception level, 1 to 3.
    pub el: u8,
    /// The levels below EL3 are in Secure state; at EL3 this chooses the bank of a banked register.
    pub secure: bool,
    /// EL3 takes FIQs, SCR_EL3.FIQ.
    pub fiq_to_el3: bool,
    /// EL3 takes IRQs, SCR_EL3.IRQ.
    pub irq_to_el3: bool,
}

/// A register of the CPU interface. Names without `ICC_` and `_EL1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IccRegister {
    /// Acknowledge, group 0.
    Iar0,
    /// Acknowledge, group 1.
    Iar1,
    /// End of interrupt, group 0.
    Eoir0,
    /// End of interrupt, group 1.
    Eoir1,
    /// Deactivate.
    Dir,
    /// Priority mask.
    Pmr,
    /// Binary point, group 0.
    Bpr0,
    /// Binary point, group 1.
    Bpr1,
    /// Control.
    Ctlr,
    /// Enable, group 0.
    Igrpen0,
    /// Enable, group 1.
    Igrpen1,
    /// Running priority.
    Rpr,
    /// Highest priority pending, group 0.
    Hppir0,
    /// Highest priority pending, group 1.
    Hppir1,
    /// Generates software interrupts of group 0.
    Sgi0r,
    /// Generates software interrupts of group 1 of the present Security state.
    Sgi1r,
    /// Generates software interrupts of group 1 of the other Security state.
    Asgi1r,
    /// Active priorities, group 0: register 0 to 3.
    Ap0r(u8),
    /// Active priorities, group 1: register 0 to 3.
    Ap1r(u8),
    /// `ICC_CTLR_EL3`.
    CtlrEl3,
    /// `ICC_IGRPEN1_EL3`.
    Igrpen1El3,
}

/// A register that the hypervisor has for its guest's virtual interface. Names without `ICH_` and `_EL2`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IchRegister {
    /// Control.
    Hcr,
    /// What there is.
    Vtr,
    /// Why the maintenance interrupt is asked for.
    Misr,
    /// List registers whose interrupts were ended.
    Eisr,
    /// List registers that are free.
    Elrsr,
    /// The guest's controls.
    Vmcr,
    /// Active priorities, group 0.
    Ap0r,
    /// Active priorities, group 1.
    Ap1r,
    /// List register, by number.
    Lr(u8),
}

/// ICH_HCR_EL2: what it traps of a guest's accesses.
pub mod ich_hcr {
    /// Registers of both groups.
    pub const TC: u64 = 1 << 10;
    /// Registers of group 0.
    pub const TALL0: u64 = 1 << 11;
    /// Registers of group 1.
    pub const TALL1: u64 = 1 << 12;
    /// ICV_DIR_EL1.
    pub const TDIR: u64 = 1 << 14;
}

/// A register of one of the interfaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GicRegister {
    /// Of the physical interface, and from where.
    Physical(IccRegister, Level),
    /// Of the virtual interface, which a guest finds under the physical one's names (ICV).
    Virtual(IccRegister),
    /// Of the hypervisor.
    Hypervisor(IchRegister),
}

/// The interrupt controller's side of the registers.
pub trait GicCpuInterface: Send + Sync {
    /// PE `cpu` reads `register`.
    fn read(&self, cpu: usize, register: GicRegister) -> u64;
    /// PE `cpu` writes `register`.
    fn write(&self, cpu: usize, register: GicRegister, value: u64);
}
