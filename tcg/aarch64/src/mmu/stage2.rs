//! Stage 2: D8.2.2 (VTCR_EL2), D8.3.2 (descriptors), D8.4.2 (rights).

use super::attributes::{self, Rights};
use super::fault::{Fault, Kind};
use super::stage1::{
    descriptor as d, granule0, may_be_block, output_address, output_bits, supported_granule,
};
use super::{Walk, Who};
use crate::features::IdReg;
use crate::sysreg::{Stored, System};
use tcg_core::guest::{Access, PhysMem};

/// An intermediate physical address to be translated.
#[derive(Clone, Copy)]
pub struct Request {
    ipa: u64,
    access: Access,
    user: bool,
    /// It is that of a table of stage 1.
    in_walk: bool,
}

impl Request {
    /// What stage 1 made of a request.
    pub fn of(request: super::Request, ipa: u64) -> Self {
        let Who { user, .. } = request.who;
        Self { ipa, access: request.access, user, in_walk: false }
    }

    /// A descriptor of stage 1.
    pub fn of_table(ipa: u64) -> Self {
        Self { ipa, access: Access::Read, user: false, in_walk: true }
    }
}

/// VTCR_EL2, taken apart.
struct Control {
    ipa_bits: u32,
    granule: u32,
    first: i8,
    ds: bool,
    ha: bool,
    hd: bool,
    pa_bits: u32,
    bad: bool,
}

impl Control {
    fn of(system: &System) -> Self {
        let vtcr = system.get(Stored::VtcrEl2);
        let bit = |n: u32| vtcr >> n & 1 != 0;
        let granule = supported_granule(system, granule0(vtcr >> 14));
        let ds = bit(32) && granule != 16 && system.features.field(IdReg::Mmfr0, 28) == 1;
        let tsz = (vtcr & 63) as u32;
        let (least, most) = (if ds || granule == 16 { 12 } else { 16 }, 48);
        let ipa_bits = 64 - tsz.clamp(least, most);
        let sl0 = (vtcr >> 6 & 3) as i8;
        let first = match granule {
            12 if ds && bit(33) => -1,
            12 if sl0 == 3 => 3,
            12 => 2 - sl0,
            _ => 3 - sl0,
        };
        // Up to sixteen tables stand side by side at the first level.
        let covered = granule + (granule - 3) * (3 - first) as u32;
        let bad = !(least..=most).contains(&tsz)
            || ipa_bits <= covered
            || ipa_bits > covered + granule - 3 + 4
            || first < 0 && !ds;
        let hardware = system.features.field(IdReg::Mmfr1, 0);
        Self {
            ipa_bits,
            granule,
            first,
            ds,
            ha: bit(21) && hardware >= 1,
            hd: bit(21) && bit(22) && hardware >= 2,
            pa_bits: output_bits(system, vtcr >> 16 & 7, granule, ds),
            bad,
        }
    }
}

/// Walks stage 2.
pub fn walk(system: &System, mem: &dyn PhysMem, request: Request) -> Result<Walk, Fault> {
    let control = Control::of(system);
    let fault = |kind, level| Err(Fault { kind, level, stage2: Some(request.ipa), in_walk: request.in_walk });
    if control.bad || request.ipa >> control.ipa_bits != 0 {
        return fault(Kind::Translation, 0);
    }
    let (granule, stride) = (control.granule, control.granule - 3);
    let shift = |level: i8| granule + stride * (3 - level) as u32;
    let index_bits = control.ipa_bits - shift(control.first);
    let vttbr = system.get(Stored::VttbrEl2);
    let low = (index_bits + 3).max(if control.pa_bits > 48 { 6 } else { 0 });
    let high = if control.pa_bits > 48 { (vttbr >> 2 & 15) << 48 } else { 0 };
    let mut table = (vttbr & ((1 << 48) - 1)) >> low << low | high;
    if table >> control.pa_bits != 0 {
        return fault(Kind::AddressSize, 0);
    }
    let mut index_mask = (1u64 << index_bits) - 1;
    let mut level = control.first;
    loop {
        let at = table | (request.ipa >> shift(level) & index_mask) << 3;
        let Some(mut old) = mem.read_u64(at) else { return fault(Kind::External, level) };
        let is_table = old & d::TABLE != 0 && level < 3;
        let is_leaf = if level == 3 {
            old & d::TABLE != 0
        } else {
            old & d::TABLE == 0 && may_be_block(level, granule, control.ds, control.pa_bits > 48)
        };
        if old & d::VALID == 0 || !is_table && !is_leaf {
            return fault(Kind::Translation, level);
        }
        let low = if is_table { granule } else { shift(level) };
        let out = output_address(old, low, granule, control.ds);
        if out >> control.pa_bits != 0 {
            return fault(Kind::AddressSize, level);
        }
        if is_table {
            (table, index_mask) = (out, (1 << stride) - 1);
            level += 1;
            continue;
        }
        loop {
            let mut new = old;
            if old & d::AF == 0 {
                if !control.ha {
                    return fault(Kind::AccessFlag, level);
                }
                new |= d::AF;
            }
            if request.access == Access::Write && control.hd && old & d::DBM != 0 {
                new |= d::STAGE2_WRITE;
            }
            let rights = rights(system, new, request.user);
            let allowed = match request.access {
                Access::Read => rights.read,
                Access::Write => rights.write,
                Access::Fetch => rights.fetch,
            };
            if !allowed {
                return fault(Kind::Permission, level);
            }
            if new != old {
                match mem.cas_u64(at, old, new) {
                    Some(true) => {}
                    Some(false) => {
                        let Some(now) = mem.read_u64(at) else { return fault(Kind::External, level) };
                        if now & 3 != old & 3 {
                            return fault(Kind::Translation, level);
                        }
                        old = now;
                        continue;
                    }
                    None => return fault(Kind::External, level),
                }
            }
            let size = 1u64 << low;
            return Ok(Walk {
                phys: out & !(size - 1) | request.ipa & (size - 1),
                size_log2: low,
                rights,
                attributes: attributes_of(system, new),
                shareability: (new >> 8 & 3) as u8,
                secure: false,
                // There are no ASIDs here.
                global: true,
            });
        }
    }
}

/// Memory attributes; forced write-back ones (FEAT_S2FWB) leave stage 1 its choice.
fn attributes_of(system: &System, descriptor: u64) -> u8 {
    const FWB: u64 = 1 << 46;
    let field = descriptor >> 2 & 15;
    if system.get(Stored::HcrEl2) & FWB == 0 {
        return attributes::of_stage2(field);
    }
    match field & 7 {
        5 => attributes::NON_CACHEABLE,
        6 | 7 => attributes::WRITE_BACK,
        device => (device as u8 & 3) << 2,
    }
}

fn rights(system: &System, descriptor: u64, user: bool) -> Rights {
    let (read, write) = (descriptor >> 6 & 1 != 0, descriptor >> 7 & 1 != 0);
    let xnx = system.features.field(IdReg::Mmfr1, 28) != 0;
    let fetch = match (descriptor >> 53 & 3, xnx) {
        (0, _) => true,
        (1, true) => user,
        (3, true) => !user,
        (n, false) => n & 2 == 0,
        _ => false,
    };
    Rights { read, write, fetch }
}
