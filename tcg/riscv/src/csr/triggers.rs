//! Debug triggers: RISC-V Debug Specification 1.0, chapter 5 (Sdtrig), as far as a hart without debug mode has them.
//!
//! Two triggers of the types `mcontrol` (2) and `mcontrol6` (6): execution, load and store addresses that equal
//! `tdata2`, before the access, with a breakpoint exception as action; limits to privilege modes, access sizes and, by
//! `tdata3` (`textra64`), to a value of `mcontext`. These are the fields that QEMU's harts have. Left out, as there: chains,
//! data values, address ranges, counts, `tcontrol`: a trigger that may fire in M-mode can fire inside its own handler.

use super::Priv;
use super::bits::cause;
use serde::{Deserialize, Serialize};
use tcg_core::guest::{Access, Point, Trap};

/// How many there are.
const COUNT: usize = 2;

const TYPE_SHIFT: u32 = 60;
const MCONTROL: u64 = 2;
const MCONTROL6: u64 = 6;
/// `tinfo`: the types that a trigger can have. (Version 0, of the specification's drafts, as QEMU shows it.)
pub const INFO: u64 = 1 << MCONTROL | 1 << MCONTROL6;

// `mcontrol` and `mcontrol6`.
const LOAD: u64 = 1;
const STORE: u64 = 1 << 1;
const EXECUTE: u64 = 1 << 2;
const KINDS: u64 = LOAD | STORE | EXECUTE;
const MODES: u64 = 1 << 3 | 1 << 4 | 1 << 6;
const SIZE_SHIFT: u32 = 16;
/// Upper bits of the size in `mcontrol`; in `mcontrol6` they follow the lower ones.
const SIZE_HIGH_SHIFT: u32 = 21;
/// Sizes that can be asked for: any, 8, 16, 32 and 64 bits.
const SIZES: [(u64, u64); 5] = [(0, 0), (1, 1), (2, 2), (3, 4), (5, 8)];

// `textra64`.
const MH_SELECT_CONTEXT: u64 = 4 << 48;
const MH_VALUE_SHIFT: u32 = 51;
/// Bits of `mcontext` without the hypervisor extension.
const CONTEXT: u64 = (1 << 13) - 1;

/// One trigger's registers.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Trigger {
    data1: u64,
    data2: u64,
    data3: u64,
}

/// A trigger that does nothing.
const OFF: Trigger = Trigger { data1: MCONTROL << TYPE_SHIFT, data2: 0, data3: 0 };

/// The triggers of one hart.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Triggers {
    select: usize,
    list: [Trigger; COUNT],
    context: u64,
    /// Where the triggers are, for the translator.
    #[serde(skip)]
    points: Vec<Point>,
}

impl Default for Triggers {
    fn default() -> Self {
        Self { select: 0, list: [OFF; COUNT], context: 0, points: Vec::new() }
    }
}

impl Triggers {
    /// Triggers that were saved, with values that they can have.
    pub(super) fn loaded(self) -> Self {
        let mut triggers = Self::default();
        for (n, Trigger { data1, data2, data3 }) in self.list.into_iter().enumerate() {
            triggers.select = n;
            (1..).zip([data1, data2, data3]).for_each(|(register, value)| triggers.set_data(register, value));
        }
        triggers.set_context(self.context);
        triggers.select = self.select.min(COUNT - 1);
        triggers
    }

    /// `tselect`.
    pub fn select(&self) -> u64 {
        self.select as u64
    }

    /// Writes `tselect`; of a number that no trigger has nothing comes.
    pub fn set_select(&mut self, n: u64) {
        if n < COUNT as u64 {
            self.select = n as usize;
        }
    }

    /// `tdata1` to `tdata3` of the trigger selected.
    pub fn data(&self, n: u16) -> u64 {
        let Trigger { data1, data2, data3 } = self.list[self.select];
        [data1, data2, data3][usize::from(n - 1)]
    }

    /// Writes `tdata1` to `tdata3` of the trigger selected.
    pub fn set_data(&mut self, n: u16, value: u64) {
        let trigger = &mut self.list[self.select];
        match n {
            1 => trigger.data1 = legal(value),
            2 => trigger.data2 = value,
            _ => trigger.data3 = value & (CONTEXT << MH_VALUE_SHIFT | MH_SELECT_CONTEXT),
        }
        self.points = self.list.iter().filter_map(Trigger::point).collect();
    }

    /// `mcontext`.
    pub fn context(&self) -> u64 {
        self.context
    }

    /// Writes `mcontext`.
    pub fn set_context(&mut self, value: u64) {
        self.context = value & CONTEXT;
    }

    /// Where the triggers are.
    pub fn points(&self) -> &[Point] {
        &self.points
    }

    /// The exception that an access of `bytes` bytes at `addr` raises in mode `privilege`, if a trigger fires.
    pub fn fires(&self, privilege: Priv, addr: u64, bytes: u64, access: Access) -> Option<Trap> {
        let fires = |trigger: &&Trigger| trigger.fires(privilege, self.context, (addr, bytes), access);
        let trigger = self.list.iter().find(fires)?;
        Some(Trap { code: cause::BREAKPOINT, value: addr.max(trigger.data2) })
    }
}

/// The nearest value that `tdata1` can have.
fn legal(value: u64) -> u64 {
    let kind = value >> TYPE_SHIFT;
    let size = match kind {
        MCONTROL => value >> SIZE_SHIFT & 3 | (value >> SIZE_HIGH_SHIFT & 3) << 2,
        MCONTROL6 => value >> SIZE_SHIFT & 7,
        _ => return OFF.data1,
    };
    let size = if SIZES.iter().any(|(code, _)| *code == size) { size } else { 0 };
    let size = match kind {
        MCONTROL => (size & 3) << SIZE_SHIFT | size >> 2 << SIZE_HIGH_SHIFT,
        _ => size << SIZE_SHIFT,
    };
    kind << TYPE_SHIFT | size | value & (KINDS | MODES)
}

impl Trigger {
    /// Bytes of the accesses it is limited to; 0 for any.
    fn size(&self) -> u64 {
        let code = match self.data1 >> TYPE_SHIFT {
            MCONTROL => self.data1 >> SIZE_SHIFT & 3 | (self.data1 >> SIZE_HIGH_SHIFT & 3) << 2,
            _ => self.data1 >> SIZE_SHIFT & 7,
        };
        SIZES.iter().find(|(c, _)| *c == code).map_or(0, |(_, bytes)| *bytes)
    }

    fn point(&self) -> Option<Point> {
        let on = |bits| self.data1 & bits != 0;
        (on(KINDS) && on(MODES)).then_some(Point {
            first: self.data2,
            last: self.data2,
            read: on(LOAD),
            write: on(STORE),
            fetch: on(EXECUTE),
        })
    }

    fn fires(&self, privilege: Priv, context: u64, (addr, bytes): (u64, u64), access: Access) -> bool {
        let kind = match access {
            Access::Read => LOAD,
            Access::Write => STORE,
            Access::Fetch => EXECUTE,
        };
        let by_mode = self.data1 & 1 << (3 + privilege as u32) != 0;
        let by_context = self.data3 & MH_SELECT_CONTEXT == 0 || self.data3 >> MH_VALUE_SHIFT == context;
        let by_address = self.data2.wrapping_sub(addr) < bytes;
        let by_size = access == Access::Fetch || self.size() == 0 || self.size() == bytes;
        self.data1 & kind != 0 && by_mode && by_context && by_address && by_size
    }
}
