//! Breakpoints and watchpoints that the client has set: packets `Z` and `z`.

use super::packet::number;
use super::{Answer, EINVAL, reply};
use engine::Point;

/// Most that a client may set.
const MOST: usize = 1024;
/// Longest range that a watchpoint covers, in bytes.
const LONGEST: u64 = 1 << 32;

/// The kind of a point, as the packet numbers it: 0 and 1 breakpoint, 2 write, 3 read, 4 access watchpoint.
type Kind = u64;

/// The points of the client.
#[derive(Default)]
pub struct Points {
    set: Vec<(Kind, u64, u64)>,
    /// The target has them already.
    told: bool,
}

/// `kind,addr,len`.
fn parse(text: &str) -> Option<(Kind, u64, u64)> {
    let (kind, rest) = number(text)?;
    let (addr, rest) = number(rest.strip_prefix(',')?)?;
    let (len, _) = number(rest.strip_prefix(',')?)?;
    // The length of a breakpoint tells what instruction stands there, and that is of no interest here.
    let len = if kind < 2 { 1 } else { len };
    Some((kind, addr, len))
}

impl Points {
    /// `Z`.
    pub(crate) fn insert(&mut self, text: &str) -> Answer {
        match parse(text) {
            Some((5.., ..)) => reply(""),
            Some(point @ (_, addr, 1..=LONGEST)) if addr.checked_add(point.2 - 1).is_some() => {
                if !self.set.contains(&point) {
                    if self.set.len() >= MOST {
                        return reply("E.too many breakpoints");
                    }
                    self.set.push(point);
                    self.told = false;
                }
                reply("OK")
            }
            _ => reply(EINVAL),
        }
    }

    /// `z`.
    pub(crate) fn remove(&mut self, text: &str) -> Answer {
        let Some(point) = parse(text) else { return reply(EINVAL) };
        if point.0 > 4 {
            return reply("");
        }
        match self.set.iter().position(|p| *p == point) {
            Some(at) => {
                self.set.swap_remove(at);
                self.told = false;
                reply("OK")
            }
            None => reply(EINVAL),
        }
    }

    /// Whether there is a breakpoint at `pc`.
    pub fn breaks_at(&self, pc: u64) -> bool {
        self.set.iter().any(|(kind, addr, _)| *kind < 2 && *addr == pc)
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.told &= self.set.is_empty();
        self.set.clear();
    }

    /// All of them, unless nothing has changed since they were last asked for.
    pub fn news(&mut self) -> Option<Vec<Point>> {
        if std::mem::replace(&mut self.told, true) {
            return None;
        }
        let point = |&(kind, addr, len): &(Kind, u64, u64)| Point {
            first: addr,
            last: addr + (len - 1),
            read: matches!(kind, 3 | 4),
            write: matches!(kind, 2 | 4),
            fetch: kind < 2,
        };
        Some(self.set.iter().map(point).collect())
    }
}
