//! What a thread does for a debugger, at the places where its state is that between two instructions.

use super::{Board, CpuPtr, Debug, End, Motion, Order, Slot, State, Why, lock};
use crate::cpu::Cpu;
use crate::signal::{Info, bit};
use crate::sys;
use crate::thread::Thread;
use std::sync::MutexGuard;
use std::sync::atomic::Ordering;
use tcg_core::debug::Stop;

impl Debug {
    /// A thread begins: the present one, with CPU `cpu`.
    fn join(&self, cpu: &mut dyn Cpu) {
        let mut board = lock(&self.board);
        cpu.set_points(&board.points);
        let request = cpu.request_word();
        board.slots.push(Slot {
            tid: sys::gettid(),
            state: State::Runs,
            cpu: pointer(cpu),
            request,
            order: Order::RUN,
            out: false,
            behind: false,
        });
    }

    /// Waits while the thread is not to run, in state `state`.
    fn wait_while_told<'a>(
        &'a self,
        mut board: MutexGuard<'a, Board>,
        tid: i32,
        state: State,
    ) -> MutexGuard<'a, Board> {
        loop {
            let (halted, dying) = (board.halted, board.dying);
            let Some(slot) = board.slot(tid) else { return board };
            if dying || state == State::InCall && slot.out || !halted && slot.order.motion != Motion::Hold {
                slot.state = State::Runs;
                return board;
            }
            slot.state = state;
            self.changed.notify_all();
            board = self.wait(board);
        }
    }
}

/// A pointer to `cpu`, for while its owner does not touch it.
fn pointer(cpu: &mut dyn Cpu) -> CpuPtr {
    let cpu: *mut (dyn Cpu + '_) = cpu;
    // SAFETY: only the lifetime is forgotten; the slot goes before the CPU does.
    CpuPtr(unsafe { std::mem::transmute::<*mut (dyn Cpu + '_), *mut (dyn Cpu + 'static)>(cpu) })
}

impl Thread {
    /// The thread has begun.
    pub fn join_debug(&mut self) {
        if let Some(debug) = &self.debug {
            debug.join(&mut *self.cpu);
        }
    }

    /// The thread ends; true if it was the last.
    pub fn part_debug(&mut self) -> bool {
        let Some(debug) = &self.debug else { return false };
        let mut board = lock(&debug.board);
        board.slots.retain(|slot| slot.tid != sys::gettid());
        debug.changed.notify_all();
        board.slots.is_empty()
    }

    /// Stands still while the debugger wants it; what to do then.
    pub fn stand(&mut self) -> Motion {
        let Some(debug) = &self.debug else { return Motion::Run };
        let tid = sys::gettid();
        let mut board = lock(&debug.board);
        if let Some(slot) = board.slot(tid) {
            slot.cpu = pointer(&mut *self.cpu);
        }
        let mut board = debug.wait_while_told(board, tid, State::Stands);
        let behind = board.slot(tid).is_some_and(|slot| std::mem::take(&mut slot.behind));
        if behind {
            self.cpu.set_points(&board.points);
        }
        let Some(slot) = board.slot(tid) else { return Motion::Run };
        let (signal, motion) = (slot.order.signal.take(), slot.order.motion.clone());
        drop(board);
        self.caught.take_leave();
        send_self(signal);
        motion
    }

    /// Makes a call of the host's that may wait.
    pub fn in_call<T>(&mut self, call: impl FnOnce(&mut Self) -> T) -> T {
        let Some(debug) = self.debug.clone() else { return call(self) };
        let tid = sys::gettid();
        let mut board = lock(&debug.board);
        if let Some(slot) = board.slot(tid) {
            (slot.state, slot.cpu) = (State::InCall, pointer(&mut *self.cpu));
            debug.changed.notify_all();
        }
        drop(board);
        let done = call(self);
        drop(debug.wait_while_told(lock(&debug.board), tid, State::InCall));
        done
    }

    /// Tells the debugger, if there is one; the signal that it says the thread is to have.
    fn ask_debugger(&mut self, why: Why) -> Option<i32> {
        let debug = self.debug.clone()?;
        let tid = sys::gettid();
        let mut board = lock(&debug.board);
        let slot = board.slot(tid)?;
        slot.cpu = pointer(&mut *self.cpu);
        let waits = board.halted || board.slot(tid)?.order.motion == Motion::Hold;
        let mut board = debug.wait_while_told(board, tid, State::Stands);
        if waits && matches!(why, Why::Point(_)) {
            // Another talked first, and what the debugger wanted of this thread then may be of no interest now. If it is, the
            // next instruction tells.
            return None;
        }
        board.slot(tid)?.state = State::Stands;
        debug.halt_others(board, Some(tid));
        // The debugger may have left.
        let orders =
            if debug.attached() || matches!(why, Why::Start) { debug.converse(tid, why) } else { None };
        debug.release(orders);
        let board = lock(&debug.board);
        let mut board = debug.wait_while_told(board, tid, State::Stands);
        board.slot(tid).and_then(|slot| slot.order.signal.take())
    }

    /// Tells the debugger of something that is no signal.
    pub fn tell(&mut self, why: Why) {
        let signal = self.ask_debugger(why);
        send_self(signal);
    }

    /// Whether a debugger is connected.
    pub fn is_debugged(&self) -> bool {
        self.debug.as_ref().is_some_and(|debug| debug.attached())
    }

    /// Asks the debugger about `signal`: the one to give, if any.
    pub fn ask_signal(&mut self, signal: i32, info: &Info) -> Option<i32> {
        let passed = |debug: &Debug| debug.passed.load(Ordering::Relaxed) & bit(signal) != 0;
        match &self.debug {
            Some(debug) if debug.attached() && !passed(debug) => {
                self.ask_debugger(Why::Signal(signal, *info))
            }
            _ => Some(signal),
        }
    }

    /// Tells that the thread makes (`before`) or has made system call `number`, if the debugger wants to hear of it.
    pub fn tell_call(&mut self, number: u64, before: bool) {
        let Some(debug) = self.debug.as_ref().filter(|debug| debug.attached()) else { return };
        let wanted = match &lock(&debug.board).calls {
            super::Calls::None => false,
            super::Calls::All => true,
            super::Calls::Some(numbers) => numbers.contains(&number),
        };
        if wanted {
            self.tell(if before { Why::Calls(number) } else { Why::Called(number) });
        }
    }

    /// Tells of a step that was made, unless it is to go further.
    pub fn tell_step(&mut self) {
        let Some(debug) = &self.debug else { return };
        let motion = lock(&debug.board).slot(sys::gettid()).map(|slot| slot.order.motion.clone());
        if let Some(Motion::Step(range)) = motion
            && !range.contains(&self.cpu.pc())
        {
            self.tell(Why::Point(Stop::Step));
        }
    }

    /// Tells how the process ends.
    pub fn tell_end(&mut self, end: End) {
        if let Some(debug) = self.debug.clone() {
            let tid = sys::gettid();
            let mut board = lock(&debug.board);
            if let Some(slot) = board.slot(tid) {
                (slot.state, slot.cpu) = (State::Stands, pointer(&mut *self.cpu));
                debug.changed.notify_all();
            }
            drop(board);
            debug.end(Some(tid), end);
        }
    }
}

/// Sends the present thread a signal, which it is given as any other.
fn send_self(signal: Option<i32>) {
    if let Some(signal) = signal {
        // SAFETY: sends a signal.
        unsafe {
            let (pid, tid) = (sys::getpid() as u64, sys::gettid() as u64);
            sys::call(libc::SYS_tgkill, [pid, tid, signal as u64, 0, 0, 0])
        };
    }
}
