//! A CPU interface, behind the system registers `ICC_*` (IHI 0069 chapter 12.2): one for both Security states, with some registers
//! banked, and what the Non-secure state may not see hidden from it (chapter 4.6 and 4.8).

use super::{FIRST_LPI, NAME};
use crate::chips::gic::priority::{PRIORITY_BITS, Priorities, seen_by_non_secure};
use crate::chips::gic::{Candidate, FIRST_SPECIAL, GROUPS, Group, SPURIOUS};
use crate::chips::guest_error;
use serde::{Deserialize, Serialize};

/// A register: the manual's name without `ICC_` and `_EL1`.
#[allow(clippy::upper_case_acronyms, non_camel_case_types, reason = "the manual's names")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Register {
    /// Acknowledges an interrupt of a group.
    IAR(Group),
    /// Ends an interrupt of a group.
    EOIR(Group),
    /// Deactivates an interrupt.
    DIR,
    /// Priority mask.
    PMR,
    /// Binary point of a group.
    BPR(Group),
    /// Control.
    CTLR,
    /// Enables a group.
    IGRPEN(Group),
    /// Running priority.
    RPR,
    /// Highest priority pending interrupt, if it is of a group.
    HPPIR(Group),
    /// Sends software interrupts of group 0.
    SGI0R,
    /// Sends software interrupts of group 1 of the present Security state.
    SGI1R,
    /// Sends software interrupts of group 1 of the other Security state.
    ASGI1R,
    /// Active priorities of a group, 32 levels a register from register 0 on.
    APR(Group, u8),
    /// Control of both Security states, for EL3.
    CTLR_EL3,
    /// Enables group 1 of both, for EL3.
    IGRPEN1_EL3,
}

/// Where an access is made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Exception level, 1 to 3.
    pub el: u8,
    /// The levels below EL3 are in Secure state.
    pub secure: bool,
    /// EL3 takes FIQs.
    pub fiq_to_el3: bool,
    /// EL3 takes IRQs.
    pub irq_to_el3: bool,
}

impl Origin {
    /// Whether the access itself is Secure.
    fn is_secure(self) -> bool {
        self.el == 3 || self.secure
    }

    /// Group 1 of the bank that it finds.
    fn group_1(self) -> Group {
        if self.secure { Group::SecureOne } else { Group::One }
    }

    /// Of a register of `group`, 0 or 1, the one of the bank.
    fn banked(self, group: Group) -> Group {
        if group == Group::Zero { group } else { self.group_1() }
    }

    /// Whether it sees the less urgent half of the priorities only.
    fn sees_half(self) -> bool {
        !self.is_secure() && self.fiq_to_el3
    }
}

/// ICC_CTLR_EL1.
mod ctlr {
    pub const CBPR: u64 = 1 << 0;
    /// Ending an interrupt does not deactivate it.
    pub const EOI_MODE: u64 = 1 << 1;
    /// Interrupt numbers of 24 bits fit into the registers.
    pub const ID_BITS: u64 = 1 << 11;
    /// Software interrupts reach affinity level 3.
    pub const A3V: u64 = 1 << 15;
    pub const PRI_BITS_SHIFT: u32 = 8;
}

/// ICC_CTLR_EL3, beside what it shares with ICC_CTLR_EL1.
mod ctlr_el3 {
    /// CBPR of the Secure and of the Non-secure state.
    pub const CBPR: [u64; 2] = [1 << 0, 1 << 1];
    /// EOImode of EL3, of the Secure and of the Non-secure state.
    pub const EOI_MODE: [u64; 3] = [1 << 2, 1 << 3, 1 << 4];
    /// There are two Security states as far as the interface knows.
    pub const NDS: u64 = 1 << 17;
}

/// Active priorities of the less urgent half, which is the Non-secure state's.
const NON_SECURE_LEVELS: u32 = 0xffff_0000;
/// Read where EL3 asks for group 0, and group 1 of the Secure or the Non-secure state waits.
const SECURE_WAITS: u32 = 1020;
const NON_SECURE_WAITS: u32 = 1021;

/// Bits of an interrupt's number.
pub(super) const NUMBER: u64 = 0xff_ffff;

/// A software interrupt on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sgi {
    /// 0 to 15.
    pub number: usize,
    /// The group that it is sent for.
    group: Group,
    /// By the Non-secure state, where there are two.
    non_secure: bool,
    /// CPUs by affinity level 0; `None` for all but the sender.
    targets: Option<u16>,
}

impl Sgi {
    /// What a write of `value` to ICC_SGI0R_EL1 and the like sends; `None` if it reaches nobody.
    pub fn read(register: Register, value: u64, (origin, has_two): (Origin, bool)) -> Option<Self> {
        let group = match register {
            Register::SGI0R => Group::Zero,
            Register::ASGI1R if origin.secure => Group::One,
            Register::ASGI1R => Group::SecureOne,
            _ => origin.group_1(),
        };
        let non_secure = has_two && !origin.secure;
        let number = (value >> 24 & 15) as usize;
        if value >> 40 & 1 != 0 {
            return Some(Self { number, group, non_secure, targets: None });
        }
        // Affinity levels 1 to 3 and the range selector: CPUs are told apart by level 0 below 16.
        let others = value >> 16 & 0xff | value >> 32 & 0xff | value >> 44 & 0xf | value >> 48 & 0xff;
        (others == 0).then_some(Self { number, group, non_secure, targets: Some(value as u16) })
    }

    /// Whether it reaches CPU `cpu` when CPU `from` sends it.
    pub fn reaches(&self, from: usize, cpu: usize) -> bool {
        match self.targets {
            None => from != cpu,
            Some(targets) => cpu < 16 && targets >> cpu & 1 != 0,
        }
    }

    /// Whether a CPU takes it that has it in `group`: group 1 of the Secure state may be sent for group 0, and the Non-secure
    /// state sends those of other groups that `access` gives it.
    pub fn is_taken(&self, group: Group, access: u32) -> bool {
        let matches = group == self.group || (self.group, group) == (Group::SecureOne, Group::Zero);
        let least = match group {
            Group::One => 0,
            Group::Zero => 1,
            Group::SecureOne => 2,
        };
        matches && (!self.non_secure || access >= least)
    }
}

/// The CPU interface of one CPU.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct Interface {
    enables: [bool; GROUPS],
    /// Ending an interrupt does not deactivate it: at EL3, in the Secure and in the Non-secure state.
    eoi_mode: [bool; 3],
    priorities: Priorities,
}

impl Interface {
    /// Whether a loaded state is a possible one.
    pub fn fits(&self) -> bool {
        self.priorities.fits()
    }

    /// Whether each group is let in.
    pub fn enables(&self) -> [bool; GROUPS] {
        self.enables
    }

    /// The priority mask; nothing gets past 0.
    pub fn mask(&self) -> u8 {
        self.priorities.mask()
    }

    /// Whether an interrupt may break in now.
    pub fn lets_in(&self, candidate: &Candidate) -> bool {
        self.priorities.lets_in(candidate.priority, candidate.group)
    }

    /// Which of the modes of ending applies.
    fn splits_end(&self, origin: Origin) -> bool {
        self.eoi_mode[mode_of(origin)]
    }

    /// The interrupt that a read by way of `group`, 0 or 1, may see; or the number that it gets instead. `has_two`: there are two
    /// Security states.
    fn visible(
        best: Option<Candidate>,
        group: Group,
        (origin, has_two): (Origin, bool),
    ) -> Result<Candidate, u32> {
        let best = best.ok_or(SPURIOUS)?;
        let is_secure = has_two && best.group != Group::One;
        match (group, best.group) {
            (Group::Zero, Group::Zero) if !is_secure || origin.is_secure() => Ok(best),
            (Group::Zero, Group::Zero) => Err(SPURIOUS),
            (Group::Zero, _) if origin.el < 3 => Err(SPURIOUS),
            (Group::Zero, _) => Err(if is_secure { SECURE_WAITS } else { NON_SECURE_WAITS }),
            (_, Group::Zero) => Err(SPURIOUS),
            // Each state its own, and EL3 both.
            _ if origin.el == 3 || origin.secure == is_secure => Ok(best),
            _ => Err(SPURIOUS),
        }
    }

    /// Reads `register` while `best` waits: the value, and the interrupt that the read acknowledges.
    pub fn read(
        &mut self,
        register: Register,
        from: (Origin, bool),
        best: Option<Candidate>,
    ) -> (u64, Option<u32>) {
        let origin = from.0;
        let value = match register {
            Register::IAR(group) => {
                let best = best.filter(|best| self.lets_in(best));
                return match Self::visible(best, group, from) {
                    Err(number) => (number.into(), None),
                    Ok(taken) => {
                        self.priorities.raise(taken.priority, taken.group);
                        (taken.interrupt.into(), Some(taken.interrupt))
                    }
                };
            }
            Register::HPPIR(group) => {
                Self::visible(best, group, from).map_or_else(|number| number, |best| best.interrupt).into()
            }
            Register::PMR if origin.sees_half() => self.priorities.non_secure_mask().into(),
            Register::PMR => self.priorities.mask().into(),
            // EL3 has the points themselves.
            Register::BPR(group) => match origin.banked(group) {
                group if origin.el == 3 => self.priorities.kept_point(group).into(),
                group => self.priorities.point(group).into(),
            },
            Register::IGRPEN(group) => self.enables[origin.banked(group) as usize].into(),
            Register::RPR if origin.sees_half() => seen_by_non_secure(self.priorities.running()).into(),
            Register::RPR => self.priorities.running().into(),
            Register::APR(group, 0) => self.priorities.active[origin.banked(group) as usize].into(),
            Register::CTLR => control(self.common_point(origin.secure), self.eoi_mode[bank_of(origin)]),
            Register::CTLR_EL3 => {
                let bit = |is: bool, bit: u64| if is { bit } else { 0 };
                let modes = (0..3).fold(0, |all, n| all | bit(self.eoi_mode[n], ctlr_el3::EOI_MODE[n]));
                let points = bit(self.common_point(true), ctlr_el3::CBPR[0])
                    | bit(self.common_point(false), ctlr_el3::CBPR[1]);
                control(false, false) | modes | points | ctlr_el3::NDS
            }
            Register::IGRPEN1_EL3 => {
                u64::from(self.enables[Group::One as usize])
                    | u64::from(self.enables[Group::SecureOne as usize]) << 1
            }
            // Write-only, or beyond the levels there are.
            Register::EOIR(_) | Register::DIR => 0,
            Register::SGI0R | Register::SGI1R | Register::ASGI1R | Register::APR(..) => 0,
        };
        (value, None)
    }

    /// Writes `register`: the interrupt that is deactivated by it.
    pub fn write(&mut self, register: Register, from: (Origin, bool), value: u64) -> Option<u32> {
        let (origin, has_two) = from;
        match register {
            Register::EOIR(group) => return self.end(group, from, (value & NUMBER) as u32),
            Register::DIR if self.splits_end(origin) => return existing((value & NUMBER) as u32),
            Register::PMR if origin.sees_half() => self.priorities.set_non_secure_mask(value as u8),
            Register::PMR => self.priorities.set_mask(value as u8),
            Register::BPR(group) => match origin.banked(group) {
                group if origin.el == 3 => self.priorities.set_kept_point(group, value as u8),
                group => self.priorities.set_point(group, value as u8),
            },
            Register::IGRPEN(group) => self.enables[origin.banked(group) as usize] = value & 1 != 0,
            Register::APR(group, 0) => {
                let group = origin.banked(group);
                // The Non-secure state can not claim to serve something more urgent than it may have.
                let may = if has_two && group == Group::One { NON_SECURE_LEVELS } else { u32::MAX };
                self.priorities.active[group as usize] = value as u32 & may;
            }
            Register::CTLR => {
                let (common, mode) = control_of(value);
                // With two states only EL3 chooses the points.
                if !has_two {
                    self.set_common_point(origin.secure, common);
                }
                self.eoi_mode[bank_of(origin)] = mode;
            }
            Register::CTLR_EL3 => {
                self.eoi_mode = ctlr_el3::EOI_MODE.map(|bit| value & bit != 0);
                for (secure, bit) in [true, false].into_iter().zip(ctlr_el3::CBPR) {
                    self.set_common_point(secure, value & bit != 0);
                }
            }
            Register::IGRPEN1_EL3 => {
                self.enables[Group::One as usize] = value & 1 != 0;
                self.enables[Group::SecureOne as usize] = value & 2 != 0;
            }
            Register::APR(..) => {}
            _ => guest_error(NAME, format_args!("write of {value:#x} to {register:?}")),
        }
        None
    }

    fn common_point(&self, secure: bool) -> bool {
        if secure { self.priorities.secure_common_point } else { self.priorities.common_point }
    }

    fn set_common_point(&mut self, secure: bool, on: bool) {
        *(if secure {
            &mut self.priorities.secure_common_point
        } else {
            &mut self.priorities.common_point
        }) = on;
    }

    /// Ends `interrupt`, unless what runs is of another group or of a state that the access is not of.
    fn end(&mut self, group: Group, (origin, has_two): (Origin, bool), interrupt: u32) -> Option<u32> {
        let interrupt = existing(interrupt)?;
        let running = self.priorities.running_group()?;
        let may = match (group, running) {
            (Group::Zero, Group::Zero) => !has_two || origin.is_secure(),
            (Group::One, Group::SecureOne) => origin.is_secure(),
            (Group::One, Group::One) => origin.el == 3 || !origin.secure,
            _ => false,
        };
        if !may {
            return None;
        }
        self.priorities.drop(running);
        (!self.splits_end(origin)).then_some(interrupt)
    }
}

/// Whether `origin` may deactivate an interrupt of `group`: the pseudocode of ICC_DIR_EL1.
pub(super) fn may_deactivate(group: Group, (origin, has_two): (Origin, bool)) -> bool {
    match (origin.el, origin.secure, group) {
        (3, ..) => true,
        (_, false, Group::Zero) => !has_two && !origin.fiq_to_el3,
        (_, false, Group::SecureOne) => false,
        (_, true, Group::Zero) => !origin.fiq_to_el3,
        (_, _, Group::One | Group::SecureOne) => !origin.irq_to_el3,
    }
}

/// The bank of what each Security state has for itself, behind that of EL3.
fn bank_of(origin: Origin) -> usize {
    if origin.secure { 1 } else { 2 }
}

/// Whose mode of ending applies.
fn mode_of(origin: Origin) -> usize {
    if origin.el == 3 { 0 } else { bank_of(origin) }
}

/// ICC_CTLR_EL1 and ICV_CTLR_EL1: what can be written, and what there is.
pub(super) fn control(common_point: bool, eoi_mode: bool) -> u64 {
    let bit = |is: bool, bit| if is { bit } else { 0 };
    bit(common_point, ctlr::CBPR)
        | bit(eoi_mode, ctlr::EOI_MODE)
        | u64::from(PRIORITY_BITS - 1) << ctlr::PRI_BITS_SHIFT
        | ctlr::ID_BITS
        | ctlr::A3V
}

/// What a write of it sets: one binary point for both groups, and whether ending an interrupt leaves it active.
pub(super) fn control_of(value: u64) -> (bool, bool) {
    (value & ctlr::CBPR != 0, value & ctlr::EOI_MODE != 0)
}

/// `interrupt`, unless the number names none.
pub(super) fn existing(interrupt: u32) -> Option<u32> {
    (!(FIRST_SPECIAL..FIRST_LPI).contains(&interrupt)).then_some(interrupt)
}
