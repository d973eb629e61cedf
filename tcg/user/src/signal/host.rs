//! The host's side of signals: handlers, masks, and what a handler may touch.

use super::{Action, FAULTS, Info, allowed_mask, bit, host_action};
use crate::{sys, trace};
use std::cell::{Cell, UnsafeCell};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicPtr, AtomicU32, AtomicU64, Ordering};

/// `struct sigaction` of the host's kernel.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct KernelAction {
    handler: u64,
    flags: u64,
    restorer: u64,
    mask: u64,
}

const SA_RESTORER: u64 = 0x0400_0000;
const SET_SIZE: u64 = 8;

impl KernelAction {
    /// Record the signal.
    pub fn catch(flags: u64) -> Self {
        let handler = handle as extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void) as usize as u64;
        let flags = flags | libc::SA_SIGINFO as u64 | libc::SA_ONSTACK as u64 | SA_RESTORER;
        Self { handler, flags, restorer: sys::restorer(), mask: !FAULTS }
    }

    /// Ignore it, or do what is the default.
    pub fn plain(handler: u64, flags: u64) -> Self {
        Self { handler, flags: flags | SA_RESTORER, restorer: sys::restorer(), mask: 0 }
    }

    fn set(&self, signal: i32) {
        let args = [signal as u64, ptr::from_ref(self) as u64, 0, SET_SIZE, 0, 0];
        // SAFETY: the handler is made for being one; the kernel only reads the structure.
        unsafe { sys::call(libc::SYS_rt_sigaction, args) };
    }

    fn get(signal: i32) -> Self {
        let mut action = Self::plain(0, 0);
        let args = [signal as u64, 0, ptr::from_mut(&mut action) as u64, SET_SIZE, 0, 0];
        // SAFETY: the kernel writes the structure.
        unsafe { sys::call(libc::SYS_rt_sigaction, args) };
        action
    }
}

/// Whether the host ignores `signal`.
pub fn is_ignored(signal: i32) -> bool {
    KernelAction::get(signal).handler == super::IGNORE
}

/// Every signal is to be caught that would do something: a debugger wants to see it first.
static CATCH_ALL: AtomicBool = AtomicBool::new(false);

/// Has all signals be caught that would do something, for a debugger to see them first, or no longer.
pub fn catch_all(all: bool) {
    CATCH_ALL.store(all, Ordering::Relaxed);
}

/// Whether that is so.
pub fn catches_all() -> bool {
    CATCH_ALL.load(Ordering::Relaxed)
}

/// Has the host do what `action` needs.
pub fn set_action(signal: i32, action: &Action) {
    host_action(signal, action).set(signal);
}

/// Has the host do what is the default.
pub fn set_default(signal: i32) {
    KernelAction::plain(0, 0).set(signal);
}

/// Has faults of accesses to guest memory be found from now on.
pub fn install_fault_handlers() {
    [libc::SIGSEGV, libc::SIGBUS].iter().for_each(|signal| KernelAction::catch(0).set(*signal));
}

/// What SIGPIPE was before the standard library ignored it.
static INHERITED_SIGPIPE: AtomicI64 = AtomicI64::new(0);

extern "C" fn note_inherited() {
    INHERITED_SIGPIPE.store(KernelAction::get(libc::SIGPIPE).handler as i64, Ordering::Relaxed);
}

#[used]
#[unsafe(link_section = ".init_array")]
static NOTE_INHERITED: extern "C" fn() = note_inherited;

/// Undoes what the standard library did to signals before `main`.
pub fn restore_inherited() {
    KernelAction::plain(INHERITED_SIGPIPE.load(Ordering::Relaxed) as u64, 0).set(libc::SIGPIPE);
}

fn change_mask(how: i32, mask: u64) -> u64 {
    let mut old = 0u64;
    let args = [how as u64, &raw const mask as u64, &raw mut old as u64, SET_SIZE, 0, 0];
    // SAFETY: the kernel reads and writes the local variables.
    unsafe { sys::call(libc::SYS_rt_sigprocmask, args) };
    old
}

/// Sets the thread's mask, faults included.
pub fn set_whole_mask(mask: u64) {
    change_mask(libc::SIG_SETMASK, mask);
}

/// The `si_code` by which a thread is told to leave a call; no kernel sends it.
const LEAVE_CALL: i32 = -0x6d6d;

/// Has thread `tid` leave the system call that it is in, which is made again if it goes on, and guest code.
pub fn leave_call(tid: i32) {
    let mut info: Info = [0; 128];
    info[0..4].copy_from_slice(&libc::SIGBUS.to_le_bytes());
    info[8..12].copy_from_slice(&LEAVE_CALL.to_le_bytes());
    let args = [sys::getpid() as u64, tid as u64, libc::SIGBUS as u64, info.as_ptr() as u64, 0, 0];
    // SAFETY: queues a signal; the kernel reads the information.
    unsafe { sys::call(libc::SYS_rt_tgsigqueueinfo, args) };
}

/// Blocks everything but faults; gives the mask before.
pub fn block_all() -> u64 {
    change_mask(libc::SIG_SETMASK, !FAULTS)
}

/// Blocks everything; gives the mask before.
pub fn mask_all() -> u64 {
    change_mask(libc::SIG_SETMASK, u64::MAX)
}

/// The thread's mask.
pub fn mask() -> u64 {
    allowed_mask(change_mask(libc::SIG_BLOCK, 0))
}

/// Of [`Caught::signal`]: the number of a signal.
const SIGNAL_BITS: u32 = 0xff;
/// Where in [`Caught::signal`] it stands what a tracer asks for.
const STAND_SHIFT: u32 = 8;

/// What the handler leaves for a thread.
pub struct Caught {
    /// The signal that is on its way, 0 for none, while which the host blocks all others; and above it ([`STAND_SHIFT`]) what
    /// a tracer asks for.
    signal: AtomicU32,
    info: UnsafeCell<Info>,
    /// Fault signals that somebody sent, which the host cannot block.
    sent: AtomicU64,
    /// The thread was told to leave a call.
    leave: AtomicBool,
    /// What the thread told a tracer has come to nobody but itself.
    untraced: AtomicBool,
    /// Takes the thread's CPU out of guest code.
    request: AtomicPtr<AtomicU32>,
}

thread_local! {
    static CAUGHT: Cell<*const Caught> = const { Cell::new(ptr::null()) };
}

impl Caught {
    /// For a thread whose CPU looks at `request`.
    pub fn new(request: *const AtomicU32) -> Box<Self> {
        Box::new(Self {
            signal: AtomicU32::new(0),
            info: UnsafeCell::new([0; 128]),
            sent: AtomicU64::new(0),
            leave: AtomicBool::new(false),
            untraced: AtomicBool::new(false),
            request: AtomicPtr::new(request.cast_mut()),
        })
    }

    /// Makes this what the handler fills in on the present host thread.
    pub fn use_here(&self) -> *const Self {
        CAUGHT.replace(self)
    }

    /// Goes back to what [`Self::use_here`] gave.
    pub fn use_again(before: *const Self) {
        CAUGHT.set(before);
    }

    /// Not zero while a signal is on its way, or the thread is asked to stand; for [`sys::interruptible`].
    pub fn word(&self) -> &AtomicU32 {
        &self.signal
    }

    /// Takes the signal that is on its way.
    pub fn take(&self) -> Option<(i32, Info)> {
        let signal = self.signal.load(Ordering::Relaxed) & SIGNAL_BITS;
        if signal == 0 {
            return None;
        }
        // SAFETY: the handler does not run for this thread while `signal` is set, and nobody else touches it.
        let info = unsafe { *self.info.get() };
        self.signal.fetch_and(!SIGNAL_BITS, Ordering::Relaxed);
        Some((signal as i32, info))
    }

    /// Takes a fault signal that was sent and that `mask` does not block.
    pub fn take_sent(&self, mask: u64) -> Option<i32> {
        let ready = self.sent.load(Ordering::Relaxed) & !mask;
        if ready == 0 {
            return None;
        }
        let signal = ready.trailing_zeros() as i32 + 1;
        self.sent.fetch_and(!bit(signal), Ordering::Relaxed);
        Some(signal)
    }

    /// Puts a fault signal back, to wait until it is not blocked.
    pub fn keep_sent(&self, signal: i32) {
        self.sent.fetch_or(bit(signal), Ordering::Relaxed);
    }

    /// Whether the thread was told to leave the call that it has just left.
    pub fn take_leave(&self) -> bool {
        self.leave.swap(false, Ordering::Relaxed)
    }

    /// Takes what a tracer asks for: bits of [`trace::Request`].
    pub fn take_stand(&self) -> u32 {
        self.signal.fetch_and(SIGNAL_BITS, Ordering::Relaxed) >> STAND_SHIFT
    }

    /// Whether a tracer asks the thread to stand.
    pub fn is_asked_to_stand(&self) -> bool {
        self.signal.load(Ordering::Relaxed) >> STAND_SHIFT != 0
    }

    /// Whether nobody has heard what the thread has just told a tracer.
    pub fn take_untraced(&self) -> bool {
        self.untraced.swap(false, Ordering::Relaxed)
    }

    /// Fault signals that wait.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Forgets all: a new process begins with no signals on their way.
    pub fn forget(&self) {
        self.signal.store(0, Ordering::Relaxed);
        self.sent.store(0, Ordering::Relaxed);
    }

    /// Has the thread's mask be `mask`, save for faults, unless there is something to deliver first: then the host blocks all until
    /// it is.
    pub fn let_through(&self, mask: u64) {
        self.unless_waiting(mask, mask & !FAULTS);
    }

    /// The same, faults included: for a program that takes over.
    pub fn let_program_through(&self, mask: u64) {
        self.unless_waiting(mask, mask);
    }

    fn unless_waiting(&self, mask: u64, host_mask: u64) {
        // A signal that came between the look and the change would not keep the next one out.
        block_all();
        if !self.is_waiting(mask) {
            set_whole_mask(host_mask);
        }
    }

    /// Whether there is something to deliver under `mask`.
    pub fn is_waiting(&self, mask: u64) -> bool {
        self.signal.load(Ordering::Relaxed) & SIGNAL_BITS != 0
            || self.sent.load(Ordering::Relaxed) & !mask != 0
    }
}

/// Every signal that is caught comes here.
extern "C" fn handle(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel gives the handler both.
    let code = unsafe { (*info).si_code };
    let fault = bit(signal) & FAULTS != 0;
    if fault && code > 0 {
        // SAFETY: as above.
        if !unsafe { tcg_core::host::recover(info, context) } {
            emulator_fault(signal);
        }
        return;
    }
    // SAFETY: set by `use_here` for as long as its owner runs on this thread.
    let Some(caught) = (unsafe { CAUGHT.get().as_ref() }) else { return };
    // SAFETY: the kernel gives the handler a context to change.
    let context = unsafe { &mut *context.cast::<libc::ucontext_t>() };
    if fault && code == trace::STANDS {
        return caught.untraced.store(true, Ordering::Relaxed);
    } else if fault && code == LEAVE_CALL {
        caught.leave.store(true, Ordering::Relaxed);
    } else if fault && code == trace::STAND {
        // SAFETY: as above; whoever queues such a signal gives it a value.
        let request = unsafe { (*info).si_value().sival_ptr as usize as u32 };
        caught.leave.store(true, Ordering::Relaxed);
        caught.signal.fetch_or((request & 0xff) << STAND_SHIFT, Ordering::Relaxed);
    } else if fault {
        caught.sent.fetch_or(bit(signal), Ordering::Relaxed);
    } else {
        // SAFETY: as in `take`: all other signals are blocked from now on, so nobody reads or writes it meanwhile.
        unsafe { ptr::copy_nonoverlapping(info.cast(), caught.info.get(), 1) };
        caught.signal.fetch_or(signal as u32, Ordering::Relaxed);
        // SAFETY: the kernel's mask is the first word of the C library's.
        unsafe { *(&raw mut context.uc_sigmask).cast::<u64>() = !FAULTS };
    }
    // SAFETY: the word lives as long as the thread's CPU.
    if let Some(request) = unsafe { caught.request.load(Ordering::Relaxed).as_ref() } {
        request.store(1, Ordering::SeqCst);
    }
    let pc = &mut context.uc_mcontext.gregs[libc::REG_RIP as usize];
    if let Some(next) = sys::abort(*pc as u64) {
        *pc = next as i64;
    }
}

/// The emulator itself is at fault: says so, and lets the signal end the process.
fn emulator_fault(signal: i32) {
    let text = b"mimic: internal error: the emulator itself accessed memory that is not there\n";
    // SAFETY: writes a constant.
    unsafe { libc::write(2, text.as_ptr().cast(), text.len()) };
    set_default(signal);
}
