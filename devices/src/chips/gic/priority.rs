//! Which interrupt may break in on which: priority mask, binary points and active priorities of a CPU interface. The
//! same rules in both versions (IHI 0048B chapter 3.3, IHI 0069 chapter 4.8).

use serde::{Deserialize, Serialize};

/// An interrupt's group: group 0 is for a secure world or for FIQ, group 1 for IRQ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Group {
    /// Group 0.
    Zero = 0,
    /// Group 1.
    One = 1,
}

/// Nothing is active.
pub(super) const IDLE: u8 = 0xff;
/// Priorities have this many bits, all of which decide about preemption: one bit of an active priorities register
/// stands for each.
pub(super) const PRIORITY_BITS: u32 = 5;
const SHIFT: u32 = 8 - PRIORITY_BITS;
/// The least binary points: of group 0, and of group 1, whose point counts from one more.
const LEAST: [u8; 2] = [SHIFT as u8 - 1, SHIFT as u8];

/// Priorities at one CPU.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Priorities {
    /// PMR: only more urgent interrupts are signalled.
    mask: u8,
    /// BPR of each group.
    points: [u8; 2],
    /// Active priorities of each group, bit 0 the most urgent.
    pub active: [u32; 2],
    /// Group 1 uses group 0's binary point.
    pub common_point: bool,
}

impl Default for Priorities {
    fn default() -> Self {
        Self { mask: 0, points: LEAST, active: [0; 2], common_point: false }
    }
}

impl Priorities {
    /// Whether a loaded state is one that the interface can be in.
    pub fn fits(&self) -> bool {
        self.mask.trailing_zeros() >= SHIFT && (0..2).all(|g| (LEAST[g]..8).contains(&self.points[g]))
    }

    pub fn mask(&self) -> u8 {
        self.mask
    }

    pub fn set_mask(&mut self, value: u8) {
        self.mask = value & (IDLE << SHIFT);
    }

    /// The binary point as software reads it.
    pub fn point(&self, group: Group) -> u8 {
        match group {
            Group::One if self.common_point => (self.points[0] + 1).min(7),
            _ => self.points[group as usize],
        }
    }

    pub fn set_point(&mut self, group: Group, value: u8) {
        if group == Group::Zero || !self.common_point {
            self.points[group as usize] = (value & 7).max(LEAST[group as usize]);
        }
    }

    /// The binary points as they are kept, of group 0 and group 1.
    pub fn points(&self) -> [u8; 2] {
        self.points
    }

    /// Sets both.
    pub fn set_points(&mut self, values: [u8; 2]) {
        self.points = std::array::from_fn(|group| (values[group] & 7).max(LEAST[group]));
    }

    /// The part of a priority that decides about preemption by interrupts of `group`.
    pub fn group_part(&self, priority: u8, group: Group) -> u8 {
        priority & self.group_bits(group)
    }

    /// The bits of a priority that decide about preemption by interrupts of `group`.
    fn group_bits(&self, group: Group) -> u8 {
        let point = match group {
            Group::One if !self.common_point => self.points[1] - 1,
            _ => self.points[0],
        };
        (0xff00_u32 >> (7 - point)) as u8 & (0xff_u32 << (point + 1)) as u8
    }

    /// The priority of what runs; [`IDLE`] if nothing does.
    pub fn running(&self) -> u8 {
        match (self.active[0] | self.active[1]).trailing_zeros() {
            32 => IDLE,
            bit => (bit << SHIFT) as u8,
        }
    }

    /// The group of what runs.
    pub fn running_group(&self) -> Option<Group> {
        let [zero, one] = self.active.map(u32::trailing_zeros);
        match (zero, one) {
            (32, 32) => None,
            _ if zero <= one => Some(Group::Zero),
            _ => Some(Group::One),
        }
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
