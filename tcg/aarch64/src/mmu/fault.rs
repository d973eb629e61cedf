//! Faults of page walks, and the exceptions that they make: D8.15, ESR_ELx.FSC and HPFAR_EL2.

use super::Request;
use crate::cpu::Cpu;
use crate::esr::{self, status};
use tcg_core::guest::Trap;

/// Why a walk failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An address is too large.
    AddressSize,
    /// Nothing is mapped.
    Translation,
    /// The access flag is clear.
    AccessFlag,
    /// It is not allowed.
    Permission,
    /// A table can not be read.
    External,
}

/// A fault of a walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What kind.
    pub kind: Kind,
    /// Level of the table, -1 to 3.
    pub level: i8,
    /// In stage 2: the intermediate physical address.
    pub stage2: Option<u64>,
    /// In stage 2, while stage 1 was walked.
    pub in_walk: bool,
}

/// What EL2 is told about a fault of stage 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stage2Fault {
    /// The exception.
    pub trap: Trap,
    /// HPFAR_EL2.
    pub hpfar: u64,
}

impl Fault {
    /// A fault of stage 1.
    pub fn new(kind: Kind, level: i8) -> Self {
        Self { kind, level, stage2: None, in_walk: false }
    }

    /// The fault status code.
    pub fn status(self) -> u32 {
        let (at_0, below) = match self.kind {
            Kind::AddressSize => (status::ADDRESS_SIZE_0, status::ADDRESS_SIZE_BELOW),
            Kind::Translation => (status::TRANSLATION_0, status::TRANSLATION_BELOW),
            Kind::AccessFlag => (status::ACCESS_FLAG_0, status::ACCESS_FLAG_0),
            Kind::Permission => (status::PERMISSION_0, status::PERMISSION_0),
            Kind::External => (status::EXTERNAL_WALK_0, status::EXTERNAL_WALK_BELOW),
        };
        u32::try_from(self.level).map_or(below, |level| at_0 | level)
    }

    /// The exception that it makes.
    pub fn take(self, cpu: &mut Cpu, request: Request) -> Trap {
        let walk = if self.in_walk { esr::S1PTW } else { 0 };
        let trap = esr::abort(request.addr, request.access, self.status() | walk);
        if let Some(ipa) = self.stage2 {
            cpu.system.stage2_fault = Some(Stage2Fault { trap, hpfar: ipa >> 12 << 4 });
        }
        trap
    }
}
