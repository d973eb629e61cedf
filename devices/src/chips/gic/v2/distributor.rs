//! The distributor: which interrupts wait, and for which CPUs (IHI 0048B chapter 4.3).

use super::{Group, Input, PRIVATE};
use crate::chips::gic::bank::{Bank, Field, View};
use crate::chips::gic::priority::NON_SECURE;
use crate::chips::gic::{Candidate, SGIS, Security, identification, more_urgent};
use crate::chips::guest_error;
use crate::chips::registers::registers;
use serde::{Deserialize, Serialize};

registers! {
    /// The registers beside those of [`Field`].
    pub enum Register {
        /// Lets each group out.
        0x000 GICD_CTLR RW = 0;
        /// How many interrupts and CPUs there are.
        0x004 GICD_TYPER R;
        /// Who made it: a GIC-400 of Arm.
        0x008 GICD_IIDR R = 0x0200_043b;
        /// Generates a software interrupt.
        0xf00 GICD_SGIR W;
    }
}

/// CPUs that each interrupt goes to, a byte an interrupt.
const ITARGETSR: std::ops::Range<u64> = 0x800..0xc00;
/// Takes software interrupts back, a byte with a bit for each sender.
const CPENDSGIR: std::ops::Range<u64> = 0xf10..0xf20;
/// Makes software interrupts pending, likewise.
const SPENDSGIR: std::ops::Range<u64> = 0xf20..0xf30;
const IDENTIFICATION: std::ops::Range<u64> = 0xfd0..0x1000;

/// GICD_CTLR: a bit a group.
const ENABLES: u32 = 3;
/// That of group 1, which the Non-secure state has in the place of group 0.
const ENABLE_GROUP_1: u32 = 2;
/// GICD_TYPER: two Security states.
const SECURITY_EXTN: u32 = 1 << 10;
/// GICD_SGIR: for CPUs that have it in group 1 (NSATT).
const FOR_GROUP_1: u32 = 1 << 15;

/// What a CPU has for itself.
#[derive(Clone, Serialize, Deserialize)]
struct Own {
    bank: Bank,
    /// Of each pending SGI, the CPUs that sent it.
    senders: [u8; SGIS as usize],
}

impl Own {
    fn new(security: Security) -> Self {
        let mut bank = Bank::private();
        if security.is_for_kernel() {
            bank.group_all(NON_SECURE);
        }
        // SGIs are always enabled.
        bank.write(View::All, Field::SetEnable, 0, (0xffff, u32::MAX));
        Self { bank, senders: [0; SGIS as usize] }
    }

    fn set_senders(&mut self, sgi: usize, senders: u8) {
        self.senders[sgi] = senders;
        self.bank.set_pending(sgi, senders != 0);
    }
}

/// The distributor.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Distributor {
    ctlr: u32,
    own: Vec<Own>,
    shared: Bank,
    /// Of each SPI, the CPUs that it goes to.
    targets: Vec<u8>,
    security: Security,
}

impl Distributor {
    pub fn new(spis: u32, cpus: usize, security: Security) -> Self {
        let mut shared = Bank::new(spis as usize / 32);
        if security.is_for_kernel() {
            shared.group_all(NON_SECURE);
        }
        let targets = vec![0; spis as usize];
        Self { ctlr: 0, own: vec![Own::new(security); cpus], shared, targets, security }
    }

    /// Back to the power-on state.
    pub fn reset(&mut self) {
        let Self { own, shared, .. } = Self::new(self.targets.len() as u32, self.own.len(), self.security);
        self.ctlr = 0;
        self.shared.reset(shared);
        self.targets.fill(0);
        for (now, fresh) in self.own.iter_mut().zip(own) {
            now.bank.reset(fresh.bank);
            now.senders = fresh.senders;
        }
    }

    /// Whether a loaded state has as many CPUs and interrupts.
    pub fn fits(&self, loaded: &Self) -> bool {
        loaded.own.len() == self.own.len()
            && self.own.iter().zip(&loaded.own).all(|(now, loaded)| now.bank.fits(&loaded.bank))
            && self.shared.fits(&loaded.shared)
            && loaded.targets.len() == self.targets.len()
            && loaded.security == self.security
    }

    /// Whether there are two Security states.
    pub fn has_two_states(&self) -> bool {
        self.security.has_two()
    }

    /// A device drives an input.
    pub fn drive(&mut self, input: Input, level: bool) {
        match input {
            Input::Private { cpu, interrupt } => {
                if let Some(own) = self.own.get_mut(cpu) {
                    own.bank.drive(interrupt, level);
                }
            }
            Input::Shared(n) => {
                self.shared.drive(n, level);
            }
        }
    }

    /// Whether any interrupt but one of software may get out to `cpu`.
    pub fn lets_any_out(&self, cpu: usize) -> bool {
        let own = self.own.get(cpu).is_some_and(|own| own.bank.any_enabled(SGIS as usize));
        self.ctlr & ENABLES != 0 && (own || self.shared.any_enabled(0))
    }

    /// The most urgent interrupt that waits for `cpu`.
    pub fn best(&self, cpu: usize) -> Option<Candidate> {
        let groups = [self.ctlr & 1 != 0, self.ctlr & ENABLE_GROUP_1 != 0, false];
        let own = self.own[cpu].bank.best(0, groups, |_| true);
        // With one CPU nothing can be chosen.
        let here = |n: usize| self.own.len() == 1 || self.targets[n] >> cpu & 1 != 0;
        more_urgent(own, self.shared.best(PRIVATE, groups, here))
    }

    /// CPU `cpu` takes `interrupt`: the value to acknowledge it with, which names the sender of an SGI.
    pub fn acknowledge(&mut self, cpu: usize, interrupt: u32) -> u32 {
        let own = &mut self.own[cpu];
        match interrupt {
            0..SGIS => {
                let sgi = interrupt as usize;
                let senders = own.senders[sgi];
                own.bank.acknowledge(sgi);
                own.set_senders(sgi, senders & senders.wrapping_sub(1));
                (senders.trailing_zeros() & 7) << 10 | interrupt
            }
            SGIS..PRIVATE => {
                own.bank.acknowledge(interrupt as usize);
                interrupt
            }
            _ => {
                self.shared.acknowledge((interrupt - PRIVATE) as usize);
                interrupt
            }
        }
    }

    /// CPU `cpu` is done with `interrupt`.
    pub fn deactivate(&mut self, cpu: usize, interrupt: u32) {
        match interrupt.checked_sub(PRIVATE) {
            None => self.own[cpu].bank.deactivate(interrupt as usize),
            Some(n) => self.shared.deactivate(n as usize),
        }
    }

    /// The group of `interrupt`, as CPU `cpu` sees it; `None` if it does not exist.
    pub fn group(&self, cpu: usize, interrupt: u32) -> Option<Group> {
        match interrupt.checked_sub(PRIVATE) {
            None => Some(self.own[cpu].bank.group(interrupt as usize)),
            Some(n) => ((n as usize) < self.shared.len()).then(|| self.shared.group(n as usize)),
        }
    }

    /// Whether a view has `interrupt`, as CPU `cpu` sees it.
    fn is_visible(&self, view: View, cpu: usize, interrupt: usize) -> bool {
        view == View::All || self.group(cpu, interrupt as u32) == Some(Group::One)
    }

    /// Reads the word at `offset`.
    pub fn read(&self, (cpu, view): (usize, View), offset: u64) -> u32 {
        if let Some((field, word)) = Self::field_at(offset) {
            return match word.checked_sub(field.words_for_32()) {
                None => self.own[cpu].bank.read(view, field, word),
                Some(word) => self.shared.read(view, field, word),
            };
        }
        let bytes = |byte: &dyn Fn(usize) -> u8, first: u64| {
            let n = (offset - first) as usize;
            let seen = |n: usize| if self.is_visible(view, cpu, n) { byte(n) } else { 0 };
            u32::from_le_bytes(std::array::from_fn(|i| seen(n + i)))
        };
        match offset {
            _ if ITARGETSR.contains(&offset) => bytes(&|n| self.target(cpu, n), ITARGETSR.start),
            _ if CPENDSGIR.contains(&offset) => bytes(&|n| self.own[cpu].senders[n], CPENDSGIR.start),
            _ if SPENDSGIR.contains(&offset) => bytes(&|n| self.own[cpu].senders[n], SPENDSGIR.start),
            _ if IDENTIFICATION.contains(&offset) => identification(offset - IDENTIFICATION.start, 0x90, 2),
            _ => match Register::read_at(offset) {
                Some(Register::GICD_CTLR) if view == View::NonSecure => self.ctlr >> 1,
                Some(Register::GICD_CTLR) => self.ctlr,
                Some(Register::GICD_TYPER) => {
                    let lines = self.shared.len() as u32 / 32;
                    let security = if self.security.has_two() { SECURITY_EXTN } else { 0 };
                    lines | (self.own.len() as u32 - 1) << 5 | security
                }
                Some(Register::GICD_IIDR) => 0x0200_043b,
                _ => 0,
            },
        }
    }

    /// ITARGETSR: private interrupts go to their CPU; with one CPU nothing can be chosen.
    fn target(&self, cpu: usize, interrupt: usize) -> u8 {
        match interrupt.checked_sub(PRIVATE as usize) {
            _ if self.own.len() == 1 => 0,
            None => 1 << cpu,
            Some(n) => self.targets.get(n).copied().unwrap_or(0),
        }
    }

    /// Writes those bits of the word at `offset` that are in `mask`.
    pub fn write(&mut self, (cpu, view): (usize, View), offset: u64, (value, mask): (u32, u32)) {
        if let Some((field, word)) = Self::field_at(offset) {
            return self.write_field((cpu, view), field, word, (value, mask));
        }
        let given = |byte: u64| (value >> (8 * byte)) as u8;
        let written = (0..4).filter(|byte| mask >> (8 * byte) & 0xff != 0);
        match offset {
            _ if ITARGETSR.contains(&offset) => {
                let all = (0xff_u32 >> (8 - self.own.len())) as u8;
                for byte in written {
                    let n = offset - ITARGETSR.start + byte;
                    if !self.is_visible(view, cpu, n as usize) {
                        continue;
                    }
                    let n = n.checked_sub(PRIVATE.into());
                    if let Some(target) = n.and_then(|n| self.targets.get_mut(n as usize)) {
                        *target = given(byte) & all;
                    }
                }
            }
            _ if CPENDSGIR.contains(&offset) => {
                for byte in written {
                    let sgi = (offset - CPENDSGIR.start + byte) as usize;
                    if self.is_visible(view, cpu, sgi) {
                        let senders = self.own[cpu].senders[sgi] & !given(byte);
                        self.own[cpu].set_senders(sgi, senders);
                    }
                }
            }
            _ if SPENDSGIR.contains(&offset) => {
                for byte in written {
                    let sgi = (offset - SPENDSGIR.start + byte) as usize;
                    if self.is_visible(view, cpu, sgi) {
                        let senders = self.own[cpu].senders[sgi] | given(byte);
                        self.own[cpu].set_senders(sgi, senders);
                    }
                }
            }
            _ => match Register::write_at(offset) {
                Some(Register::GICD_CTLR) if view == View::NonSecure => {
                    let mask = mask << 1 & ENABLE_GROUP_1;
                    self.ctlr = self.ctlr & !mask | value << 1 & mask;
                }
                Some(Register::GICD_CTLR) => self.ctlr = (self.ctlr & !mask | value & mask) & ENABLES,
                Some(Register::GICD_SGIR) => self.generate((cpu, view), value),
                _ => guest_error(super::NAME, format_args!("write of {value:#x} at {offset:#x}")),
            },
        }
    }

    /// The register group at `offset`, as far as this version has it.
    fn field_at(offset: u64) -> Option<(Field, usize)> {
        Field::at(offset).filter(|(field, _)| !field.is_of_third_group())
    }

    fn write_field(
        &mut self,
        (cpu, view): (usize, View),
        field: Field,
        word: usize,
        (value, mask): (u32, u32),
    ) {
        let private = field.words_for_32();
        let Some(word) = word.checked_sub(private) else {
            // SGIs are edges, always enabled, and become pending by registers of their own.
            let fixed = match field {
                Field::SetEnable | Field::ClearEnable | Field::SetPending | Field::ClearPending => 0xffff,
                Field::Config if word == 0 => u32::MAX,
                _ => 0,
            };
            return self.own[cpu].bank.write(view, field, word, (value, mask & !fixed));
        };
        self.shared.write(view, field, word, (value, mask));
    }

    /// GICD_SGIR.
    fn generate(&mut self, (from, view): (usize, View), value: u32) {
        let all = 0xff_u32 >> (8 - self.own.len());
        let targets = match value >> 24 & 3 {
            0 => value >> 16 & all,
            1 => all & !(1 << from),
            2 => 1 << from,
            _ => return guest_error(super::NAME, format_args!("GICD_SGIR with {value:#x}")),
        };
        let sgi = (value & 15) as usize;
        for (cpu, own) in self.own.iter_mut().enumerate().filter(|(cpu, _)| targets >> cpu & 1 != 0) {
            debug_assert!(cpu < super::MAX_CPUS, "CPUs are counted in new");
            // The Secure state says for which group; the other one has its own only.
            let wanted = match (view, self.security.has_two()) {
                (View::NonSecure, _) => Some(Group::One),
                (View::All, true) if value & FOR_GROUP_1 != 0 => Some(Group::One),
                (View::All, true) => Some(Group::Zero),
                (View::All, false) => None,
            };
            if wanted.is_some_and(|group| group != own.bank.group(sgi)) {
                continue;
            }
            let senders = own.senders[sgi] | 1 << from;
            own.set_senders(sgi, senders);
        }
    }
}
