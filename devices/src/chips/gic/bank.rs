//! The state of a run of interrupts, and the distributor's registers that hold it: one bit, two bits or a byte an
//! interrupt. Both versions have them at the same offsets.

use super::priority::{given_by_non_secure, seen_by_non_secure};
use super::{Candidate, GROUPS, Group};
use serde::{Deserialize, Serialize};

/// A group of registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    /// IGROUPR.
    Group,
    /// ISENABLER.
    SetEnable,
    /// ICENABLER.
    ClearEnable,
    /// ISPENDR.
    SetPending,
    /// ICPENDR.
    ClearPending,
    /// ISACTIVER.
    SetActive,
    /// ICACTIVER.
    ClearActive,
    /// IPRIORITYR.
    Priority,
    /// ICFGR.
    Config,
    /// IGRPMODR, of version 3.
    Modifier,
    /// NSACR, of version 3.
    Access,
}

/// Whose view of the registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum View {
    /// Of the only Security state, or of the Secure one.
    All,
    /// Of the Non-secure one: interrupts of other groups read as zero and are not changed, and priorities are halved.
    NonSecure,
}

impl Field {
    /// The field at `offset` of the distributor, and the number of the word in it.
    pub fn at(offset: u64) -> Option<(Self, usize)> {
        let (field, first) = match offset {
            0x080..0x100 => (Self::Group, 0x080),
            0x100..0x180 => (Self::SetEnable, 0x100),
            0x180..0x200 => (Self::ClearEnable, 0x180),
            0x200..0x280 => (Self::SetPending, 0x200),
            0x280..0x300 => (Self::ClearPending, 0x280),
            0x300..0x380 => (Self::SetActive, 0x300),
            0x380..0x400 => (Self::ClearActive, 0x380),
            0x400..0x800 => (Self::Priority, 0x400),
            0xc00..0xd00 => (Self::Config, 0xc00),
            0xd00..0xd80 => (Self::Modifier, 0xd00),
            0xe00..0xf00 => (Self::Access, 0xe00),
            _ => return None,
        };
        Some((field, ((offset - first) / 4) as usize))
    }

    /// How many words of this field the first 32 interrupts have.
    pub fn words_for_32(self) -> usize {
        match self {
            Self::Priority => 8,
            Self::Config | Self::Access => 2,
            _ => 1,
        }
    }

    /// Whether only a GIC with two Security states and a third group has it.
    pub fn is_of_third_group(self) -> bool {
        matches!(self, Self::Modifier | Self::Access)
    }

    /// From which value of an interrupt's NSACR on the Non-secure state has it, though the interrupt is not of its group.
    fn least_access(self, write: bool) -> Option<u32> {
        match self {
            Self::SetPending => Some(1),
            Self::ClearPending => Some(2),
            Self::SetActive | Self::ClearActive if !write => Some(2),
            _ => None,
        }
    }
}

/// Priorities have five bits, as in a GIC-400 and a GIC-600: 32 of them.
const PRIORITY_MASK: u8 = 0xf8;

/// A run of interrupts, a multiple of 32 of them. Bit `n % 32` of word `n / 32` in each bit vector.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Bank {
    /// In group 1.
    group: Vec<u32>,
    enable: Vec<u32>,
    /// Asked for by an edge or by software.
    latch: Vec<u32>,
    pub active: Vec<u32>,
    /// Levels of the inputs.
    level: Vec<u32>,
    /// Edge-triggered.
    edge: Vec<u32>,
    /// Of those that are not in group 1: in group 1 of the Secure state, rather than in group 0.
    modifier: Vec<u32>,
    /// What the Non-secure state may do with an interrupt that is not of its group: two bits each.
    access: Vec<u32>,
    priority: Vec<u8>,
}

impl Bank {
    /// `words` times 32 interrupts.
    pub fn new(words: usize) -> Self {
        let none = vec![0; words];
        Self {
            group: none.clone(),
            enable: none.clone(),
            latch: none.clone(),
            active: none.clone(),
            level: none.clone(),
            edge: none.clone(),
            modifier: none,
            access: vec![0; 2 * words],
            priority: vec![0; 32 * words],
        }
    }

    /// The interrupts of one CPU: SGIs are edges.
    pub fn private() -> Self {
        Self { edge: vec![0xffff], ..Self::new(1) }
    }

    /// Back to the power-on state `fresh`; the levels of the inputs are the devices' business and stay.
    pub fn reset(&mut self, fresh: Self) {
        let level = std::mem::take(&mut self.level);
        *self = Self { level, ..fresh };
    }

    /// Whether a loaded state has as many interrupts, and only what they can be.
    pub fn fits(&self, loaded: &Self) -> bool {
        let words = self.enable.len();
        let vectors = [
            &loaded.group,
            &loaded.enable,
            &loaded.latch,
            &loaded.active,
            &loaded.level,
            &loaded.edge,
            &loaded.modifier,
        ];
        vectors.iter().all(|v| v.len() == words)
            && loaded.access.len() == 2 * words
            && loaded.priority.len() == self.priority.len()
            && loaded.priority.iter().all(|p| p & !PRIORITY_MASK == 0)
    }

    /// Whether any interrupt from number `first` on is enabled.
    pub fn any_enabled(&self, first: usize) -> bool {
        (first..self.len()).any(|n| self.enable[n / 32] >> (n % 32) & 1 != 0)
    }

    /// Interrupts.
    pub fn len(&self) -> usize {
        self.priority.len()
    }

    fn pending(&self, word: usize) -> u32 {
        self.latch[word] | self.level[word] & !self.edge[word]
    }

    /// Drives the input of interrupt `n`; whether anything changed.
    pub fn drive(&mut self, n: usize, level: bool) -> bool {
        let (word, bit) = (n / 32, 1 << (n % 32));
        if n >= self.len() || (self.level[word] & bit != 0) == level {
            return false;
        }
        self.level[word] ^= bit;
        if level && self.edge[word] & bit != 0 {
            self.latch[word] |= bit;
        }
        true
    }

    /// Makes interrupt `n` pending, or takes that back.
    pub fn set_pending(&mut self, n: usize, pending: bool) {
        if n < self.len() {
            let bit = 1 << (n % 32);
            let word = &mut self.latch[n / 32];
            *word = if pending { *word | bit } else { *word & !bit };
        }
    }

    /// A CPU takes interrupt `n`.
    pub fn acknowledge(&mut self, n: usize) {
        self.latch[n / 32] &= !(1 << (n % 32));
        self.active[n / 32] |= 1 << (n % 32);
    }

    /// A CPU is done with interrupt `n`.
    pub fn deactivate(&mut self, n: usize) {
        if n < self.len() {
            self.active[n / 32] &= !(1 << (n % 32));
        }
    }

    /// The group that interrupt `n` is in.
    pub fn group(&self, n: usize) -> Group {
        let has = |bits: &[u32]| bits[n / 32] >> (n % 32) & 1 != 0;
        match (has(&self.group), has(&self.modifier)) {
            (true, _) => Group::One,
            (false, true) => Group::SecureOne,
            (false, false) => Group::Zero,
        }
    }

    /// Puts every interrupt into group 1, at `priority`.
    pub fn group_all(&mut self, priority: u8) {
        self.group.fill(u32::MAX);
        self.priority.fill(priority & PRIORITY_MASK);
    }

    /// There is one Security state from now on.
    pub fn join_groups(&mut self) {
        self.modifier.fill(0);
        self.access.fill(0);
    }

    /// What the Non-secure state may do with interrupt `n`, if it is not of its group: NSACR.
    pub fn access(&self, n: usize) -> u32 {
        self.access[n / 16] >> (2 * (n % 16)) & 3
    }

    /// The most urgent interrupt that waits: of the least priority value, and of the least number among equals. `first` is the
    /// number of the bank's first interrupt; groups that are not in `groups` do not count, nor those that are not
    /// `allowed`.
    pub fn best(
        &self,
        first: u32,
        groups: [bool; GROUPS],
        allowed: impl Fn(usize) -> bool,
    ) -> Option<Candidate> {
        let mut best: Option<Candidate> = None;
        for word in 0..self.enable.len() {
            let (one, modifier) = (self.group[word], self.modifier[word]);
            let of_groups = [!one & !modifier, one, !one & modifier];
            let of_groups =
                (0..GROUPS).filter(|group| groups[*group]).fold(0, |all, group| all | of_groups[group]);
            let mut bits = self.pending(word) & self.enable[word] & !self.active[word] & of_groups;
            while bits != 0 {
                let n = word * 32 + bits.trailing_zeros() as usize;
                bits &= bits - 1;
                let priority = self.priority[n];
                if best.is_none_or(|best| priority < best.priority) && allowed(n) {
                    best = Some(Candidate { interrupt: first + n as u32, priority, group: self.group(n) });
                }
            }
        }
        best
    }

    /// The bits of `word` of `field` that a view has.
    fn visible(&self, view: View, field: Field, word: usize, write: bool) -> u32 {
        if view == View::All {
            return u32::MAX;
        }
        let one = |n: usize| n < self.len() && self.group(n) == Group::One;
        let spread = |count: usize, bits: u32| {
            let first = word * count;
            (0..count).filter(|n| one(first + n)).fold(0, |all, n| all | bits << (n * (32 / count)))
        };
        match field {
            Field::Group | Field::Modifier | Field::Access => 0,
            Field::Priority => spread(4, 0xff),
            Field::Config => spread(16, 3),
            field => {
                let first = 32 * word;
                let least = field.least_access(write).unwrap_or(u32::MAX);
                let open = |n: &usize| first + n < self.len() && self.access(first + n) >= least;
                spread(32, 1) | (0..32).filter(open).fold(0, |all, n| all | 1 << n)
            }
        }
    }

    /// What `word` of `field` reads; 0 beyond the last interrupt.
    pub fn read(&self, view: View, field: Field, word: usize) -> u32 {
        let visible = self.visible(view, field, word, false);
        let value = self.read_all(field, word) & visible;
        match (view, field) {
            (View::NonSecure, Field::Priority) => {
                u32::from_le_bytes(value.to_le_bytes().map(seen_by_non_secure)) & visible
            }
            _ => value,
        }
    }

    fn read_all(&self, field: Field, word: usize) -> u32 {
        let bits = |bits: &[u32]| bits.get(word).copied().unwrap_or(0);
        match field {
            Field::Group => bits(&self.group),
            Field::SetEnable | Field::ClearEnable => bits(&self.enable),
            Field::SetPending | Field::ClearPending if word < self.latch.len() => self.pending(word),
            Field::SetPending | Field::ClearPending => 0,
            Field::Modifier => bits(&self.modifier),
            Field::Access => bits(&self.access),
            Field::SetActive | Field::ClearActive => bits(&self.active),
            Field::Priority => match self.priority.get(4 * word..4 * word + 4) {
                Some(bytes) => u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]),
                None => 0,
            },
            Field::Config => {
                let half = self.edge.get(word / 2).map_or(0, |edge| edge >> (16 * (word % 2)) & 0xffff);
                (0..16).filter(|n| half >> n & 1 != 0).map(|n| 2 << (2 * n)).sum()
            }
        }
    }

    /// Writes `word` of `field`, only the bits in `mask`.
    pub fn write(&mut self, view: View, field: Field, word: usize, (value, mask): (u32, u32)) {
        let mask = mask & self.visible(view, field, word, true);
        let value = match (view, field) {
            (View::NonSecure, Field::Priority) => {
                u32::from_le_bytes(value.to_le_bytes().map(given_by_non_secure))
            }
            _ => value,
        };
        self.write_all(field, word, value, mask);
    }

    fn write_all(&mut self, field: Field, word: usize, value: u32, mask: u32) {
        let given = value & mask;
        let set = |bits: &mut [u32]| bits.get_mut(word).map_or((), |word| *word |= given);
        let clear = |bits: &mut [u32]| bits.get_mut(word).map_or((), |word| *word &= !given);
        let replace = |bits: &mut [u32]| bits.get_mut(word).map_or((), |word| *word = *word & !mask | given);
        match field {
            Field::Group => replace(&mut self.group),
            Field::Modifier => replace(&mut self.modifier),
            Field::Access => replace(&mut self.access),
            Field::SetEnable => set(&mut self.enable),
            Field::ClearEnable => clear(&mut self.enable),
            Field::SetPending => set(&mut self.latch),
            Field::ClearPending => clear(&mut self.latch),
            Field::SetActive => set(&mut self.active),
            Field::ClearActive => clear(&mut self.active),
            Field::Priority => {
                let [old, given] = [self.read_all(field, word) & !mask, given];
                if let Some(bytes) = self.priority.get_mut(4 * word..4 * word + 4) {
                    bytes.copy_from_slice(&(old | given).to_le_bytes());
                    bytes.iter_mut().for_each(|byte| *byte &= PRIORITY_MASK);
                }
            }
            Field::Config => {
                if let Some(edge) = self.edge.get_mut(word / 2) {
                    for n in (0..16).filter(|n| mask >> (2 * n + 1) & 1 != 0) {
                        let bit = 1 << (16 * (word as u32 % 2) + n);
                        *edge = if value >> (2 * n + 1) & 1 != 0 { *edge | bit } else { *edge & !bit };
                    }
                }
            }
        }
    }
}
