//! Giving signals to the guest: at safe points, where its state is that between two instructions.

use super::frame::Frame;
use super::{
    Action, AltStack, ByDefault, DEFAULT, FAULTS, IGNORE, Info, allowed_mask, bit, by_default, fault_info,
    host,
};
use crate::arch::HandlerEntry;
use crate::debug::End;
use crate::memory::Result;
use crate::sys;
use crate::thread::Thread;
use tcg_core::run::HostFault;

const SA_RESTORER: u64 = 0x0400_0000;
/// `SI_KERNEL`.
const SI_KERNEL: i32 = 0x80;

/// A call that was interrupted: what becomes of it is decided with the first signal that is handled.
#[derive(Clone, Copy, Debug)]
pub struct Interrupted {
    /// The call's first argument, which the result has overwritten.
    pub first: u64,
    /// Whether it is made again behind the handler.
    pub again: Again,
}

/// When a call is made again behind a handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// Whatever the handler.
    Always,
    /// If the handler's action has `SA_RESTART`.
    IfAsked,
    /// Not at all.
    Never,
}

impl Thread {
    /// Delivers what was caught. Afterwards the host's mask is the guest's again.
    pub fn deliver(&mut self) {
        loop {
            let mask = self.suspended.unwrap_or(self.mask);
            let next = self.caught.take().or_else(|| {
                let signal = self.caught.take_sent(mask)?;
                Some((signal, fault_info(signal, libc::SI_USER, 0)))
            });
            if let Some((signal, info)) = next {
                if mask & bit(signal) != 0 {
                    self.wait_in_kernel(signal, &info);
                } else if let Some((signal, info)) = self.admit(signal, info) {
                    self.give(signal, info);
                }
                continue;
            }
            // Nothing was handled: the call goes on, as if there had been no signal.
            if let Some(call) = self.interrupted.take() {
                self.cpu.repeat_call(call.first);
            }
            self.suspended = None;
            self.caught.let_through(self.mask);
            // What waited in the kernel may have come at once.
            if !self.caught.is_waiting(self.mask) {
                return;
            }
        }
    }

    /// The guest has blocked the signal meanwhile: it waits where blocked signals do.
    fn wait_in_kernel(&self, signal: i32, info: &Info) {
        if bit(signal) & FAULTS != 0 {
            return self.caught.keep_sent(signal);
        }
        let (pid, tid) = (sys::getpid() as u64, sys::gettid() as u64);
        // SAFETY: queues a signal that is blocked; the kernel reads the information.
        unsafe {
            sys::call(libc::SYS_rt_tgsigqueueinfo, [pid, tid, signal as u64, info.as_ptr() as u64, 0, 0])
        };
    }

    /// A signal that the program's own instruction made: it cannot be ignored or blocked.
    pub fn fault(&mut self, fault: HostFault) {
        let info = fault_info(fault.signal, fault.code, fault.addr);
        self.force(fault.signal, info);
    }

    fn force(&mut self, signal: i32, info: Info) {
        let Some((signal, info)) = self.admit(signal, info) else { return };
        let action = self.actions.get(signal);
        if action.handler <= IGNORE || self.mask & bit(signal) != 0 {
            self.process.strace.signal(signal, &info);
            self.die(signal, &info);
        }
        self.give(signal, info);
    }

    /// What a debugger and a tracer make of `signal`.
    fn admit(&mut self, signal: i32, info: Info) -> Option<(i32, Info)> {
        let signal = self.ask_signal(signal, &info)?;
        self.trace_signal(signal, info)
    }

    /// Does what the guest wants done on `signal`.
    pub fn give(&mut self, signal: i32, info: Info) {
        self.process.strace.signal(signal, &info);
        let action = self.actions.get(signal);
        match (action.handler, by_default(signal)) {
            (IGNORE, _) | (DEFAULT, ByDefault::Ignore) => {}
            (DEFAULT, ByDefault::Stop) => self.stop_process(),
            (DEFAULT, ByDefault::End | ByDefault::Core) => self.die(signal, &info),
            _ => self.enter_handler(signal, info, action),
        }
    }

    fn enter_handler(&mut self, signal: i32, info: Info, action: Action) {
        let again = self.interrupted.take().filter(|call| match call.again {
            Again::Always => true,
            Again::IfAsked => action.flags & libc::SA_RESTART as u64 != 0,
            Again::Never => false,
        });
        if let Some(call) = again {
            self.cpu.repeat_call(call.first);
        }
        if action.flags & libc::SA_RESETHAND as u64 != 0 {
            self.actions.set(signal, Action { handler: DEFAULT, ..action });
        }
        let size = Frame::size(self.cpu.mcontext_size());
        let sp = self.cpu.sp();
        let on_alternate = self.alt_stack.holds(sp);
        let switches = action.flags & libc::SA_ONSTACK as u64 != 0
            && self.alt_stack.flags & libc::SS_DISABLE == 0
            && !on_alternate;
        let top = if switches { self.alt_stack.sp + self.alt_stack.size } else { sp };
        let at = top.wrapping_sub(size) & !15;
        let overflows = (on_alternate || switches) && !self.alt_stack.holds(at);
        let flags = if on_alternate { libc::SS_ONSTACK } else { 0 };
        let alt_stack = AltStack { flags: self.alt_stack.flags | flags, ..self.alt_stack };
        let mcontext = self.cpu.save(Frame::mcontext(at));
        let frame = Frame { info, alt_stack, mask: self.mask, mcontext };
        if overflows || frame.write(&self.process.memory, at).is_err() {
            // There is no stack to tell it on.
            self.die(libc::SIGSEGV, &fault_info(libc::SIGSEGV, SI_KERNEL, 0));
        }
        if self.alt_stack.flags & SS_AUTODISARM != 0 && switches {
            self.alt_stack = AltStack::NONE;
        }
        let deferred = if action.flags & libc::SA_NODEFER as u64 != 0 { 0 } else { bit(signal) };
        let mask = self.suspended.take().unwrap_or(self.mask);
        self.mask = allowed_mask(mask | action.mask | deferred);
        let restorer = if action.flags & SA_RESTORER != 0 { action.restorer } else { self.process.sigreturn };
        self.cpu.enter_handler(HandlerEntry {
            signal: signal as u64,
            handler: action.handler,
            sp: at,
            ucontext: Frame::ucontext(at),
            restorer,
        });
    }

    /// `rt_sigreturn`.
    pub fn return_from_handler(&mut self) -> Result<()> {
        let size = self.cpu.mcontext_size();
        let frame = Frame::read(&self.process.memory, self.cpu.sp(), size)?;
        self.cpu.restore(&frame.mcontext);
        self.mask = allowed_mask(frame.mask);
        let flags = frame.alt_stack.flags & !libc::SS_ONSTACK;
        self.alt_stack = AltStack { flags, ..frame.alt_stack };
        self.caught.let_through(self.mask);
        Ok(())
    }

    /// A frame that cannot be read back.
    pub fn bad_frame(&mut self) {
        self.force(libc::SIGSEGV, fault_info(libc::SIGSEGV, SI_KERNEL, 0));
    }

    /// Ends the process by `signal`, so that its parent sees the same as of a native one.
    pub fn die(&mut self, signal: i32, info: &Info) -> ! {
        crate::observed::finish();
        host::block_all();
        self.tell_crash(signal, info);
        self.tell_end(End::Killed(signal));
        let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: reads the local structure. No dump by the kernel: it would be one of the emulator.
        unsafe { libc::setrlimit(libc::RLIMIT_CORE, &none) };
        host::set_default(signal);
        // SAFETY: sends the signal to this thread, which lets it through: that ends the process.
        unsafe {
            let (pid, tid) = (sys::getpid() as u64, sys::gettid() as u64);
            sys::call(libc::SYS_tgkill, [pid, tid, signal as u64, 0, 0, 0]);
            host::set_whole_mask(!bit(signal));
            libc::_exit(128 + signal)
        }
    }
}

const SS_AUTODISARM: i32 = 1 << 31;
