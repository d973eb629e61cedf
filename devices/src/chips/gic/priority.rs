//! Which interrupt may break in on which: priority mask, binary points and active priorities of a CPU interface. The
//! same rules in both versions (IHI 0048B chapter 3.3, IHI 0069 chapter 4.8).

use serde::{Deserialize, Serialize};

/// An interrupt's group: group 0 is for EL3, a secure world or FIQ, group 1 for IRQ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Group {
    /// Group 0.
    Zero = 0,
    /// Group 1; with two Security states that of the Non-secure one.
    One = 1,
    /// Group 1 of the Secure state, which version 3 tells apart.
    SecureOne = 2,
}

/// How many groups there are.
pub(super) const GROUPS: usize = 3;

/// Nothing is active.
pub(super) const IDLE: u8 = 0xff;
/// Priorities have this many bits, all of which decide about preemption: one bit of an active priorities register
/// stands for each.
pub(super) const PRIORITY_BITS: u32 = 5;
const SHIFT: u32 = 8 - PRIORITY_BITS;
/// The least binary points by group: that of group 1 counts from one more.
const LEAST: [u8; GROUPS] = [SHIFT as u8 - 1, SHIFT as u8, SHIFT as u8 - 1];
/// The Non-secure state has the less urgent half of the priorities, from here on.
pub(super) const NON_SECURE: u8 = 0x80;

/// A priority as the Non-secure state sees it: 0 if it is of the other half.
pub(super) fn seen_by_non_secure(priority: u8) -> u8 {
    match priority {
        IDLE => IDLE,
        priority if priority & NON_SECURE == 0 => 0,
        priority => priority << 1,
    }
}

/// The priority that `value` is, where the Non-secure state writes it.
pub(super) fn given_by_non_secure(value: u8) -> u8 {
    NON_SECURE | value >> 1
}

/// Priorities at one CPU.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Priorities {
    /// PMR: only more urgent interrupts are signalled.
    mask: u8,
    /// BPR of each group.
    points: [u8; GROUPS],
    /// Active priorities of each group, bit 0 the most urgent.
    pub active: [u32; GROUPS],
    /// Group 1 uses group 0's binary point.
    pub common_point: bool,
    /// The same of group 1 of the Secure state.
    pub secure_common_point: bool,
}

impl Default for Priorities {
    fn default() -> Self {
        Self { mask: 0, points: LEAST, active: [0; GROUPS], common_point: false, secure_common_point: false }
    }
}

impl Priorities {
    /// Whether a loaded state is one that the interface can be in.
    pub fn fits(&self) -> bool {
        self.mask.trailing_zeros() >= SHIFT && (0..GROUPS).all(|g| (LEAST[g]..8).contains(&self.points[g]))
    }

    pub fn mask(&self) -> u8 {
        self.mask
    }

    pub fn set_mask(&mut self, value: u8) {
        self.mask = value & (IDLE << SHIFT);
    }

    /// The mask as the Non-secure state sees it.
    pub fn non_secure_mask(&self) -> u8 {
        match self.mask {
            mask if mask & NON_SECURE == 0 => 0,
            mask => mask << 1,
        }
    }

    /// Sets it, unless the Secure state has set a more urgent one.
    pub fn set_non_secure_mask(&mut self, value: u8) {
        if self.mask & NON_SECURE != 0 {
            self.set_mask(given_by_non_secure(value));
        }
    }

    /// The binary point as software reads it.
    pub fn point(&self, group: Group) -> u8 {
        match group {
            Group::One if self.common_point => (self.points[0] + 1).min(7),
            Group::SecureOne if self.secure_common_point => self.points[0],
            _ => self.points[group as usize],
        }
    }

    pub fn set_point(&mut self, group: Group, value: u8) {
        match group {
            Group::One if self.common_point => {}
            Group::SecureOne if self.secure_common_point => self.set_kept_point(Group::Zero, value),
            _ => self.set_kept_point(group, value),
        }
    }

    /// The binary point as it is kept.
    pub fn kept_point(&self, group: Group) -> u8 {
        self.points[group as usize]
    }

    /// Sets it, whether it is in use or not.
    pub fn set_kept_point(&mut self, group: Group, value: u8) {
        self.points[group as usize] = (value & 7).max(LEAST[group as usize]);
    }

    /// The part of a priority that decides about preemption by interrupts of `group`.
    pub fn group_part(&self, priority: u8, group: Group) -> u8 {
        priority & self.group_bits(group)
    }

    /// The bits of a priority that decide about preemption by interrupts of `group`.
    fn group_bits(&self, group: Group) -> u8 {
        let point = match group {
            Group::One if !self.common_point => self.points[1] - 1,
            Group::SecureOne if !self.secure_common_point => self.points[2],
            _ => self.points[0],
        };
        (0xff00_u32 >> (7 - point)) as u8 & (0xff_u32 << (point + 1)) as u8
    }

    /// The priority of what runs; [`IDLE`] if nothing does.
    pub fn running(&self) -> u8 {
        match self.active.iter().fold(0, |all, group| all | group).trailing_zeros() {
            32 => IDLE,
            bit => (bit << SHIFT) as u8,
        }
    }

    /// The group of what runs.
    pub fn running_group(&self) -> Option<Group> {
        let first = |group: &Group| self.active[*group as usize].trailing_zeros();
        let group = [Group::Zero, Group::SecureOne, Group::One].into_iter().min_by_key(first)?;
        (first(&group) < 32).then_some(group)
    }

    /// Whether an interrupt of this priority and group may break in.
    pub fn lets_in(&self, priority: u8, group: Group) -> bool {
        let (running, bits) = (self.running(), self.group_bits(group));
        priority < self.mask && (running == IDLE || priority & bits < running & bits)
    }

    /// An interrupt is taken.
    pub fn raise(&mut self, priority: u8, group: Group) {
        self.active[group as usize] |= 1 << (self.group_part(priority, group) >> SHIFT);
    }

    /// Its handler has ended: back to the priority before.
    pub fn drop(&mut self, group: Group) {
        let active = &mut self.active[group as usize];
        *active &= active.wrapping_sub(1);
    }
}
