//! Stage 1: D8.2 (translation process), D8.3 (descriptors).

use super::attributes::{DEVICE, Rights, WRITE_BACK};
use super::fault::{Fault, Kind};
use super::{Regime, Request, Walk, Who, stage1_on, stage2};
use crate::features::IdReg;
use crate::sysreg::{Stored, System, hcr, scr, sctlr};
use tcg_core::guest::{Access, PhysMem};

/// Fields of TCR that concern one half of the addresses.
#[derive(Clone, Copy, Debug)]
struct Control {
    /// Bits of addresses.
    va_bits: u32,
    /// log2 of the granule.
    granule: u32,
    /// The size of addresses is out of range.
    bad_size: bool,
    tbi: bool,
    /// Not in addresses of instructions.
    tbid: bool,
    hpd: bool,
    epd: bool,
    e0pd: bool,
    /// 52-bit descriptors of the 4K and 16K granules.
    ds: bool,
    /// Hardware sets the access flag, and the dirty state.
    ha: bool,
    hd: bool,
    pa_bits: u32,
    ttbr: u64,
    upper: bool,
}

/// Bits of physical addresses by their code in ID_AA64MMFR0_EL1 and TCR.
fn address_bits(code: u64) -> u32 {
    [32, 36, 40, 42, 44, 48, 52].get(code as usize).copied().unwrap_or(52)
}

/// Bits of physical addresses that the PE has.
pub fn physical_bits(system: &System) -> u32 {
    address_bits(system.features.field(IdReg::Mmfr0, 0))
}

/// The output size that a control register asks for, within what is there.
pub fn output_bits(system: &System, code: u64, granule: u32, ds: bool) -> u32 {
    let wide = ds || granule == 16;
    let bits = address_bits(code).min(physical_bits(system));
    if wide { bits } else { bits.min(48) }
}

/// TG0: log2 of the granule.
pub fn granule0(field: u64) -> u32 {
    match field & 3 {
        1 => 16,
        2 => 14,
        _ => 12,
    }
}

fn granule1(field: u64) -> u32 {
    match field & 3 {
        1 => 14,
        3 => 16,
        _ => 12,
    }
}

/// Whether the PE has this granule; else 4K is used, or the one that it has.
pub fn supported_granule(system: &System, granule: u32) -> u32 {
    let field = |at: u32| system.features.field(IdReg::Mmfr0, at);
    let has_16k = field(20) != 0;
    match granule {
        14 if !has_16k => 12,
        granule => granule,
    }
}

impl Control {
    fn of(system: &System, regime: Regime, addr: u64) -> Self {
        let el = regime.el();
        let tcr = system.banked(Stored::TcrEl1, el);
        let bit = |n: u32| tcr >> n & 1 != 0;
        let field = |at: u32, bits: u32| tcr >> at & ((1 << bits) - 1);
        let lpa2 = system.features.field(IdReg::Mmfr0, 28) == 1;
        let has_hardware = system.features.field(IdReg::Mmfr1, 0);
        let has_hpd = system.features.field(IdReg::Mmfr1, 12) != 0;
        let has_e0pd = system.features.field(IdReg::Mmfr2, 60) != 0;
        let (tsz, granule, ps, ds, mut control);
        if regime.has_user() {
            let upper = addr >> 55 & 1 != 0;
            let n = u32::from(upper);
            tsz = if upper { field(16, 6) } else { field(0, 6) };
            granule = if upper { granule1(field(30, 2)) } else { granule0(field(14, 2)) };
            (ps, ds) = (field(32, 3), bit(59) && lpa2);
            let ttbr = match (regime, upper) {
                (Regime::El10, false) => Stored::Ttbr0El1,
                (Regime::El10, true) => Stored::Ttbr1El1,
                (_, false) => Stored::Ttbr0El2,
                (_, true) => Stored::Ttbr1El2,
            };
            control = Self {
                va_bits: 0,
                granule,
                bad_size: false,
                tbi: bit(37 + n),
                tbid: bit(51 + n),
                hpd: bit(41 + n) && has_hpd,
                epd: bit(if upper { 23 } else { 7 }),
                e0pd: bit(55 + n) && has_e0pd,
                ds,
                ha: bit(39),
                hd: bit(40),
                pa_bits: 0,
                ttbr: system.get(ttbr),
                upper,
            };
        } else {
            (tsz, granule) = (field(0, 6), granule0(field(14, 2)));
            (ps, ds) = (field(16, 3), bit(32) && lpa2);
            control = Self {
                va_bits: 0,
                granule,
                bad_size: false,
                tbi: bit(20),
                tbid: bit(29),
                hpd: bit(24) && has_hpd,
                epd: false,
                e0pd: false,
                ds,
                ha: bit(21),
                hd: bit(22),
                pa_bits: 0,
                ttbr: system.banked(Stored::Ttbr0El1, el),
                upper: false,
            };
        }
        control.granule = supported_granule(system, granule);
        control.ds = ds && control.granule != 16;
        control.ha &= has_hardware >= 1;
        control.hd &= has_hardware >= 2 && control.ha;
        control.size(system, tsz);
        control.pa_bits = output_bits(system, ps, control.granule, control.ds);
        control
    }

    /// Takes TxSZ, within what the granule can do.
    fn size(&mut self, system: &System, tsz: u64) {
        let small = system.features.field(IdReg::Mmfr2, 28) != 0;
        let large = system.features.field(IdReg::Mmfr2, 16) != 0 && self.granule == 16;
        let most = match (small, self.granule) {
            (false, _) => 39,
            (true, 16) => 47,
            (true, _) => 48,
        };
        let least = if self.ds || large { 12 } else { 16 };
        self.bad_size = !(least..=most).contains(&tsz);
        self.va_bits = 64 - tsz.clamp(least, most) as u32;
    }

    /// The level at which walks start.
    fn first_level(&self) -> i8 {
        4 - ((self.va_bits - 4) / (self.granule - 3)) as i8
    }
}

/// The bits that addresses in the half of `ptr` have, and whether they have tags; those of instructions or of data.
pub fn pointer(system: &System, regime: Regime, ptr: u64, of_code: bool) -> (u32, bool) {
    let control = Control::of(system, regime, ptr);
    (control.va_bits, control.tbi && !(of_code && control.tbid))
}

/// Fields of descriptors.
pub mod descriptor {
    /// There is one.
    pub const VALID: u64 = 1;
    /// It leads to another table, or is a page.
    pub const TABLE: u64 = 2;
    /// Of Secure regimes: Non-secure memory.
    pub const NS: u64 = 1 << 5;
    /// Of Secure regimes: the tables below are Non-secure memory, and all that they lead to.
    pub const NS_TABLE: u64 = 1 << 63;
    /// Access flag.
    pub const AF: u64 = 1 << 10;
    /// Read-only.
    pub const READ_ONLY: u64 = 1 << 7;
    /// Stage 2: stores are allowed.
    pub const STAGE2_WRITE: u64 = 1 << 7;
    /// EL0 has access.
    pub const USER: u64 = 1 << 6;
    /// Of one ASID.
    pub const NOT_GLOBAL: u64 = 1 << 11;
    /// The dirty state is managed.
    pub const DBM: u64 = 1 << 51;
    /// Never executed at the privileged level.
    pub const PXN: u64 = 1 << 53;
    /// Never executed (at EL0, if there is one).
    pub const UXN: u64 = 1 << 54;
}
use descriptor as d;

/// The address that a descriptor holds, without the bits below `low`: 52 bits where the format has them.
pub fn output_address(descriptor: u64, low: u32, granule: u32, ds: bool) -> u64 {
    let plain = descriptor & ((1 << 48) - 1);
    if ds {
        // Bits 51 and 50 stand in 9 and 8.
        let plain = descriptor & ((1 << 50) - 1);
        plain >> low << low | (descriptor >> 8 & 3) << 50
    } else if granule == 16 {
        // Bits 51 to 48 stand in 15 to 12.
        plain >> low << low | (descriptor >> 12 & 15) << 48
    } else {
        plain >> low << low
    }
}

/// Whether blocks are allowed at `level`.
pub fn may_be_block(level: i8, granule: u32, ds: bool, wide: bool) -> bool {
    match (granule, level) {
        (12, 1 | 2) | (14 | 16, 2) => true,
        (12, 0) | (14, 1) => ds,
        (16, 1) => wide,
        _ => false,
    }
}

/// What tables above restrict.
#[derive(Clone, Copy, Default)]
struct Hierarchy {
    no_user: bool,
    read_only: bool,
    uxn: bool,
    pxn: bool,
}

/// Walks stage 1.
pub fn walk(system: &System, mem: &dyn PhysMem, request: Request) -> Result<Walk, Fault> {
    let Request { addr, who, .. } = request;
    if !stage1_on(system, who.regime) {
        return flat(system, request);
    }
    let control = Control::of(system, who.regime, addr);
    check_address(&control, request)?;
    let first = control.first_level();
    let (granule, stride) = (control.granule, control.granule - 3);
    let shift = |level: i8| granule + stride * (3 - level) as u32;
    let index_bits = control.va_bits - shift(first);
    let mut table = table_base(&control, index_bits)?;
    let mut index_mask = (1u64 << index_bits) - 1;
    let in_secure = system.is_secure(who.regime.el());
    let mut above = Hierarchy::default();
    let mut secure = in_secure;
    let mut level = first;
    loop {
        let at = table | (addr >> shift(level) & index_mask) << 3;
        let (phys, old) = read_descriptor(system, mem, at, (level, secure), who)?;
        let fault = |kind| Err(Fault::new(kind, level));
        if old & d::VALID == 0 {
            return fault(Kind::Translation);
        }
        let is_table = old & d::TABLE != 0 && level < 3;
        let is_leaf = if level == 3 {
            old & d::TABLE != 0
        } else {
            old & d::TABLE == 0 && may_be_block(level, granule, control.ds, control.pa_bits > 48)
        };
        if !is_table && !is_leaf {
            return fault(Kind::Translation);
        }
        let low = if is_table { granule } else { shift(level) };
        let out = output_address(old, low, granule, control.ds);
        if out >> control.pa_bits != 0 {
            return fault(Kind::AddressSize);
        }
        if is_table {
            secure &= old & d::NS_TABLE == 0;
            if !control.hpd {
                above.no_user |= old >> 61 & 1 != 0;
                above.read_only |= old >> 62 & 1 != 0;
                above.uxn |= old >> 60 & 1 != 0;
                above.pxn |= old >> 59 & 1 != 0;
            }
            (table, index_mask) = (out, (1 << stride) - 1);
            level += 1;
            continue;
        }
        secure &= old & d::NS == 0;
        let leaf = Leaf { at: phys, old, level, above, leaves_secure: in_secure && !secure };
        let (descriptor, rights) = leaf.settle(system, mem, &control, request)?;
        let size = 1u64 << low;
        let mair = system.banked(Stored::MairEl1, who.regime.el());
        return Ok(Walk {
            phys: out & !(size - 1) | addr & (size - 1),
            size_log2: low,
            rights,
            attributes: (mair >> (8 * (descriptor >> 2 & 7))) as u8,
            // With DS the field is that of TCR.
            shareability: (descriptor >> 8 & 3) as u8,
            secure,
            // Tables outside of Secure memory have no global pages for Secure code.
            global: descriptor & d::NOT_GLOBAL == 0 && secure == in_secure,
        });
    }
}

/// Stage 1 that is off: addresses are physical, memory is Device.
fn flat(system: &System, request: Request) -> Result<Walk, Fault> {
    let Request { addr, access, who } = request;
    let tcr = system.banked(Stored::TcrEl1, who.regime.el());
    let tbi =
        if who.regime.has_user() { tcr >> (37 + (addr >> 55 & 1)) & 1 != 0 } else { tcr >> 20 & 1 != 0 };
    let addr_size = if tbi && access != Access::Fetch { 56 } else { 64 };
    if addr >> physical_bits(system) & (u64::MAX >> (64 - addr_size + physical_bits(system))) != 0 {
        return Err(Fault::new(Kind::AddressSize, 0));
    }
    let phys = addr & (u64::MAX >> (64 - addr_size));
    let cacheable = who.regime == Regime::El10 && system.hcr() & hcr::DC != 0;
    let attributes = if cacheable { WRITE_BACK } else { DEVICE };
    let size_log2 = if addr_size == 64 { 30 } else { base::PAGE_SHIFT };
    let shareability = if cacheable { 0 } else { 2 };
    let secure = system.is_secure(who.regime.el());
    Ok(Walk { phys, size_log2, rights: Rights::ALL, attributes, shareability, secure, global: true })
}

/// Whether the address is one that the half has.
fn check_address(control: &Control, request: Request) -> Result<(), Fault> {
    let Request { addr, access, who } = request;
    let tagged = control.tbi && !(control.tbid && access == Access::Fetch);
    let top = if tagged { 55 } else { 63 };
    let extended = (addr << (63 - top)) as i64 >> (63 - top);
    // All bits above the address are alike, and say which half it is in.
    let sign = if control.upper { -1 } else { 0 };
    let canonical = control.va_bits > top || extended >> control.va_bits == sign;
    if control.bad_size || !canonical || control.epd || control.e0pd && who.user {
        return Err(Fault::new(Kind::Translation, 0));
    }
    Ok(())
}

/// The first table.
fn table_base(control: &Control, index_bits: u32) -> Result<u64, Fault> {
    let ttbr = control.ttbr & ((1 << 48) - 1);
    let low = index_bits + 3;
    let base = if control.pa_bits > 48 {
        let low = low.max(6);
        ttbr >> low << low | (control.ttbr >> 2 & 15) << 48
    } else {
        let base = ttbr & !1;
        if base >> control.pa_bits != 0 {
            return Err(Fault::new(Kind::AddressSize, 0));
        }
        base >> low << low
    };
    Ok(base)
}

/// The descriptor at `at`, which stage 2 may translate, and where it really is; of a table of `level`, in Secure memory or not.
fn read_descriptor(
    system: &System,
    mem: &dyn PhysMem,
    at: u64,
    (level, secure): (i8, bool),
    who: Who,
) -> Result<(u64, u64), Fault> {
    let below = who.regime == Regime::El10 && system.hcr() & hcr::VM != 0;
    let (phys, secure) = if below {
        let walk = stage2::walk(system, mem, stage2::Request::of_table(at))?;
        (walk.phys, walk.secure)
    } else {
        (at, secure)
    };
    let (phys, _) = system.board.secure_space.place(phys, secure, base::PAGE_SHIFT);
    let value = mem.read_u64(phys).ok_or(Fault::new(Kind::External, level))?;
    Ok((phys, value))
}

/// A block or page that a walk ended at.
struct Leaf {
    at: u64,
    old: u64,
    level: i8,
    above: Hierarchy,
    /// Non-secure memory, for Secure code.
    leaves_secure: bool,
}

impl Leaf {
    /// Checks the access flag and the rights, and has hardware update the descriptor where it may. Gives the descriptor
    /// as it is then.
    fn settle(
        self,
        system: &System,
        mem: &dyn PhysMem,
        control: &Control,
        request: Request,
    ) -> Result<(u64, Rights), Fault> {
        let mut old = self.old;
        loop {
            let mut new = old;
            if old & d::AF == 0 {
                if !control.ha {
                    return Err(Fault::new(Kind::AccessFlag, self.level));
                }
                new |= d::AF;
            }
            let clean = control.hd && old & d::DBM != 0 && old & d::READ_ONLY != 0;
            if clean && request.access == Access::Write {
                new &= !d::READ_ONLY;
            }
            // A store finds it writable, if nothing else is in the way.
            let rights = self.rights(system, new, request.who);
            let allowed = match request.access {
                Access::Read => rights.read,
                Access::Write => rights.write,
                Access::Fetch => rights.fetch,
            };
            if !allowed {
                return Err(Fault::new(Kind::Permission, self.level));
            }
            if new == old {
                return Ok((old, rights));
            }
            match mem.cas_u64(self.at, old, new) {
                Some(true) => return Ok((new, rights)),
                Some(false) => {
                    old = mem.read_u64(self.at).ok_or(Fault::new(Kind::External, self.level))?;
                    if old & 3 != self.old & 3 {
                        return Err(Fault::new(Kind::Translation, self.level));
                    }
                }
                None => return Err(Fault::new(Kind::External, self.level)),
            }
        }
    }

    fn rights(&self, system: &System, descriptor: u64, who: Who) -> Rights {
        let rights = self.rights_of_pages(system, descriptor, who);
        let sif = self.leaves_secure && system.get(Stored::ScrEl3) & scr::SIF != 0;
        Rights { fetch: rights.fetch && !sif, ..rights }
    }

    fn rights_of_pages(&self, system: &System, descriptor: u64, who: Who) -> Rights {
        let sctlr = system.banked(Stored::SctlrEl1, who.regime.el());
        let wxn = sctlr & sctlr::WXN != 0;
        let writable = descriptor & d::READ_ONLY == 0 && !self.above.read_only;
        let uxn = descriptor & d::UXN != 0 || self.above.uxn;
        if !who.regime.has_user() {
            let fetch = !(uxn || wxn && writable);
            return Rights { read: true, write: writable, fetch };
        }
        let user = descriptor & d::USER != 0 && !self.above.no_user;
        let user_write = user && writable;
        let user_fetch = !(uxn || wxn && user_write);
        if who.user {
            return Rights { read: user, write: user_write, fetch: user_fetch };
        }
        let pxn = descriptor & d::PXN != 0 || self.above.pxn;
        // What EL0 can write is not executed at a higher level.
        let fetch = !(pxn || user_write || wxn && writable);
        let epan = sctlr & sctlr::EPAN != 0 && system.features.field(IdReg::Mmfr1, 20) >= 3;
        let forbidden = who.pan && (user || epan && !uxn);
        Rights { read: !forbidden, write: writable && !forbidden, fetch }
    }
}
