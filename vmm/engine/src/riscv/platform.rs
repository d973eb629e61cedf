//! The machine as the SBI sees it during one call.

use super::{Sbi, interrupt};
use crate::parking::{Life, Start};
use base::PowerEvent;
use firmware::sbi::{Fence, HartState, Platform, Pmu, Reset};
use tcg_core::run::{Errand, Vcpu};
use tcg_riscv::Riscv;
use tcg_riscv::csr::{Counters, bits::irq};
use tcg_riscv::{cpu::Hart, mmu};
use vm_memory::{Bytes, GuestAddress};

/// A call in progress.
pub(super) struct Calling<'a> {
    pub sbi: &'a Sbi,
    pub vcpu: &'a mut Vcpu<Riscv>,
}

/// Ranges longer than this many pages are flushed as a whole.
const MAX_PAGES: u64 = 64;

fn carry_out(hart: &mut Hart, fence: Fence) {
    let Fence::Translations { start, size, asid } = fence else {
        // Translated code follows memory by itself.
        return;
    };
    let everything = size == u64::MAX || start == 0 && size == 0 || size > MAX_PAGES << base::PAGE_SHIFT;
    if everything {
        return mmu::flush(hart, None, asid);
    }
    let first = start & !(base::PAGE_SIZE - 1);
    for page in (first..start.saturating_add(size)).step_by(base::PAGE_SIZE as usize) {
        mmu::flush(hart, Some(page), asid);
    }
}

impl Platform for Calling<'_> {
    fn harts(&self) -> u64 {
        self.sbi.harts.count() as u64
    }

    fn this_hart(&self) -> u64 {
        self.vcpu.cpu().csr.mhartid
    }

    fn set_timer(&mut self, time: u64) {
        let csr = &mut self.vcpu.cpu_mut().csr;
        csr.stimecmp = time;
        csr.update_stimer();
    }

    fn send_ipi(&mut self, hart: u64) {
        if let Some(handle) = self.sbi.harts.handles().get(hart as usize) {
            interrupt(handle.lines());
        }
    }

    fn clear_ipi(&mut self) {
        let csr = &mut self.vcpu.cpu_mut().csr;
        csr.latch_software_interrupt();
        csr.mip_soft &= !(1 << irq::SSI);
    }

    fn remote_fence(&mut self, harts: u64, fence: Fence) {
        let this = self.this_hart();
        let mut errands = Vec::new();
        for (n, handle) in self.sbi.harts.handles().iter().enumerate() {
            let n = n as u64;
            if harts >> n & 1 == 0 {
                continue;
            }
            if n == this {
                carry_out(self.vcpu.cpu_mut(), fence);
                continue;
            }
            errands.push(handle.give(move |vcpu| carry_out(vcpu.cpu_mut(), fence)));
        }
        // Where harts run by turns, the others do it before anything else. Else they may be waiting for this hart in the same way.
        while !self.vcpu.takes_turns() && !errands.iter().all(Errand::is_over) && !self.vcpu.stopping() {
            self.vcpu.do_posted_work();
            std::thread::yield_now();
        }
    }

    fn hart_state(&self, hart: u64) -> HartState {
        match self.sbi.harts.life(hart as usize) {
            Life::On => HartState::Started,
            Life::Starting => HartState::StartPending,
            Life::Off => HartState::Stopped,
        }
    }

    fn start_hart(&mut self, hart: u64, addr: u64, opaque: u64) {
        // The SBI has asked for its state before, and one that was started meanwhile goes its way.
        let _ = self.sbi.harts.start(hart as usize, Start { entry: addr, argument: opaque });
    }

    fn stop_this_hart(&mut self) {
        let hart = self.this_hart() as usize;
        self.sbi.harts.stop(hart);
    }

    fn wait(&mut self) {
        let cpu = self.vcpu.cpu();
        if cpu.csr.mip() & cpu.csr.mie == 0 {
            self.vcpu.sleep(None);
        }
    }

    fn reset(&mut self, how: Reset) {
        self.sbi.power.power(match how {
            Reset::Shutdown { failure } => PowerEvent::Off { code: failure.into() },
            Reset::Reboot => PowerEvent::Reset,
        });
        // The hart waits for the machine to act on it.
        self.stop_this_hart();
    }

    fn console_write(&mut self, bytes: &[u8]) {
        (self.sbi.console)(bytes);
    }

    /// What is typed goes to the UART.
    fn console_read(&mut self) -> Option<u8> {
        None
    }

    fn read_memory(&self, addr: u64, bytes: &mut [u8]) -> bool {
        self.vcpu.space().ram().read_slice(bytes, GuestAddress(addr)).is_ok()
    }

    fn write_memory(&mut self, addr: u64, bytes: &[u8]) -> bool {
        self.vcpu.space().ram().write_slice(bytes, GuestAddress(addr)).is_ok()
    }

    fn pmu(&mut self) -> &mut dyn Pmu {
        self
    }
}

/// Events, as the SBI numbers hardware events.
const CYCLES: u64 = 1;
const INSTRUCTIONS: u64 = 2;

impl Calling<'_> {
    fn change_counters(&mut self, change: impl FnOnce(&mut Counters)) {
        let hart = self.vcpu.cpu_mut();
        let now = hart.now();
        hart.change_counters(now, change);
    }
}

impl Pmu for Calling<'_> {
    fn counters(&self) -> u64 {
        0xffff_fffd
    }

    fn can_count(&self, n: u64, event: u64) -> bool {
        match event {
            CYCLES => n == 0 || n > 2,
            INSTRUCTIONS => n >= 2,
            _ => false,
        }
    }

    fn select(&mut self, n: u64, event: u64) {
        if n > 2 {
            self.change_counters(|counters| counters.set_event(n as usize, event));
        }
    }

    fn running(&self, n: u64) -> bool {
        self.vcpu.cpu().csr.counters.inhibit() >> n & 1 == 0
    }

    fn start(&mut self, n: u64, value: Option<u64>) {
        self.change_counters(|counters| {
            counters.set_inhibit(counters.inhibit() & !(1 << n));
            counters.look(n as usize);
            if let Some(value) = value {
                counters.set(n as usize, value);
            }
        });
    }

    fn stop(&mut self, n: u64) {
        self.change_counters(|counters| counters.set_inhibit(counters.inhibit() | 1 << n));
    }
}
