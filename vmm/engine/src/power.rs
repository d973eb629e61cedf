//! What the guest, the user, a debugger or a signal wants of the machine as a whole.

use crate::actions::Actions;
use crate::cpus::{Cpus, Plan};
use crate::event::{Cause, Event, Listener};
use crate::inputs::{Inputs, SourceId};
use crate::replay::{Backward, Journal};
use crate::turns::{Halt, Trace};
use base::{InstructionClock, PowerEvent, PowerSink};
use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, mpsc};
use std::time::{Duration, Instant};
use tcg_core::debug::Stop;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The guest turned the machine off, with this exit status.
    Off(u32),
    /// The guest asked for a reset, which ends the run ([`Actions::reboot_ends`]).
    Reset,
    /// The guest has crashed ([`Actions::panic`]).
    Panicked,
    /// A watchdog has bitten ([`Actions::watchdog`]).
    Watchdog,
    /// No vCPU will ever run again ([`Actions::hang`]).
    Hung,
    /// Somebody outside the guest asked for the end.
    Quit(Cause),
}

/// Where the machine is in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RunState {
    /// Not started yet.
    #[default]
    Prelaunch,
    /// The vCPUs run.
    Running,
    /// Somebody stopped the vCPUs.
    Paused,
    /// A debugger's point or step stopped the vCPUs.
    Debug,
    /// A watchdog has stopped the vCPUs.
    Watchdog,
    /// The guest has crashed.
    GuestPanicked,
    /// The guest has turned the machine off; only a reset brings it back.
    Shutdown,
}

impl RunState {
    /// Those from which the vCPUs can go on.
    const RESUMABLE: [Self; 5] =
        [Self::Prelaunch, Self::Paused, Self::Debug, Self::Watchdog, Self::GuestPanicked];

    /// QEMU's name of it (`RunState` of QMP).
    pub fn name(self) -> &'static str {
        match self {
            Self::Prelaunch => "prelaunch",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Debug => "debug",
            Self::Watchdog => "watchdog",
            Self::GuestPanicked => "guest-panicked",
            Self::Shutdown => "shutdown",
        }
    }

    /// Whether the vCPUs can go on from here.
    pub fn can_resume(self) -> bool {
        self != Self::Shutdown
    }
}

/// Gives a vCPU the result of a call: a value, or the number of an error.
pub(crate) type Finish = Box<dyn FnOnce(&mut dyn Cpus, Result<u64, i32>) + Send>;

/// What a vCPU waits for a debugger to carry out; its machine stands still until then.
pub(crate) struct WaitingCall {
    /// Its number.
    pub cpu: usize,
    /// The call, in the words of gdb's File-I/O.
    pub text: Arc<str>,
    /// What follows.
    pub finish: Finish,
}

/// Something that the machine's thread is to do with all vCPUs stopped.
type Work = Box<dyn FnOnce(&mut dyn Cpus) + Send>;

pub(crate) enum Request {
    Guest(PowerEvent),
    Reset(Cause),
    Pause,
    Start(Plan),
    Quit(Cause),
    Work(Work),
    /// A vCPU has come to a point, or made its step.
    Debug(usize, Stop),
    /// A vCPU wants something of a debugger.
    Call(WaitingCall),
    /// The debugger's answer.
    Answer(Result<u64, i32>),
    /// vCPUs that run by turns have come to where they can not simply go on.
    Halt(Halt),
    /// A replay is to be put back, or to a place.
    Back(Backward),
    /// Nothing seems to happen any more.
    Idle,
}

#[derive(Default)]
struct Inner {
    requests: VecDeque<Request>,
    state: RunState,
    /// The run has ended: nobody takes requests any more.
    ended: bool,
    /// Host threads of the vCPUs, as the host numbers them.
    threads: Vec<i32>,
    /// What was done when the vCPUs stopped last, if they run by turns.
    trace: Option<Trace>,
}

/// What vCPUs that run by turns have.
struct ByTurns {
    clock: Arc<InstructionClock>,
    inputs: Arc<Inputs>,
    /// The power button, which is an input like others.
    button: SourceId,
}

/// Collects requests from any thread for the machine's own.
#[derive(Default)]
pub struct Power {
    inner: Mutex<Inner>,
    arrived: Condvar,
    listeners: Mutex<Vec<Listener>>,
    actions: Mutex<Actions>,
    /// What vCPUs that run by turns have.
    turns: OnceLock<ByTurns>,
    /// The guest, or a timer of the machine's, wants something of it.
    run_asks: AtomicBool,
    /// A debugger is attached.
    debugged: AtomicBool,
    /// Has every vCPU leave guest code: those that have threads.
    halt: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

impl Power {
    /// Ends the run, whatever the guest does.
    pub fn quit(&self, cause: Cause) {
        self.push(Request::Quit(cause));
    }

    /// Ends the run since machine time says so; from a timer. vCPUs that run by turns stand where it fired, in each run.
    pub fn quit_in_time(&self, cause: Cause) {
        self.ask(Request::Quit(cause));
    }

    /// A debugger is attached, or no longer: the end of a replay is then a place to go back from.
    pub fn set_debugged(&self, debugged: bool) {
        self.debugged.store(debugged, Ordering::Relaxed);
    }

    pub(crate) fn debugged(&self) -> bool {
        self.debugged.load(Ordering::Relaxed)
    }

    /// Stops the machine until the debugger has carried `call` out.
    pub(crate) fn call_debugger(&self, call: WaitingCall) {
        self.ask(Request::Call(call));
    }

    /// The debugger has carried out the call that it was told of last, which gave this value or failed with this number of an error; the
    /// machine stands still as before. Where it was let go on meanwhile the call has failed, and this says nothing.
    pub fn answer(&self, answer: Result<u64, i32>) {
        self.push(Request::Answer(answer));
    }

    /// Resets the machine, as its reset button would.
    pub fn reset(&self, cause: Cause) {
        self.push(Request::Reset(cause));
    }

    /// Presses the power button: those who watch are told, among them the board if it has one. Where vCPUs run by turns that is when
    /// the present turn is over.
    pub fn powerdown(&self) {
        match self.turns.get() {
            Some(turns) => turns.inputs.push(turns.button, Vec::new()),
            None => self.tell(Event::Powerdown),
        }
    }

    /// What is done about the guest's own acts.
    pub fn actions(&self) -> Actions {
        *self.actions.lock()
    }

    /// Changes that; from the next act on.
    pub fn set_actions(&self, change: impl FnOnce(&mut Actions)) {
        change(&mut self.actions.lock());
    }

    /// Stops the vCPUs, soon; [`Power::state`] says so at once.
    pub fn pause(&self) {
        self.push(Request::Pause);
        self.expect(&[RunState::Running], RunState::Paused);
    }

    /// Lets the vCPUs go on, soon; [`Power::state`] says so at once.
    pub fn resume(&self) {
        self.start(Plan::default());
    }

    /// The same, as `plan` says.
    pub fn start(&self, plan: Plan) {
        self.push(Request::Start(plan));
        self.expect(&RunState::RESUMABLE, RunState::Running);
    }

    /// Has the machine's thread run `work` with all vCPUs stopped, and waits for it. Vcpus that run go on afterwards,
    /// and nobody is told. `None`: the run has ended. Must not be called from a listener, a device or a vCPU.
    pub fn with_cpus<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut dyn Cpus) -> T + Send + 'static,
    ) -> Option<T> {
        let (to, here) = mpsc::sync_channel(1);
        self.push(Request::Work(Box::new(move |cpus| {
            // Whoever asked may have gone.
            let _ = to.send(work(cpus));
        })));
        here.recv().ok()
    }

    /// The same without waiting for it: so `work` can be given before the machine runs, and is done before its first instruction.
    pub fn first(&self, work: impl FnOnce(&mut dyn Cpus) + Send + 'static) {
        self.push(Request::Work(Box::new(work)));
    }

    /// Waits until the machine has taken up everything that was asked of it; false: the run has ended.
    pub fn settle(&self) -> bool {
        self.with_cpus(|_| ()).is_some()
    }

    /// Registers somebody who is told what happens.
    pub fn on_event(&self, listener: Listener) {
        self.listeners.lock().push(listener);
    }

    /// The host threads that run the vCPUs, or ran them last, as the host numbers them.
    pub fn threads(&self) -> Vec<i32> {
        self.inner.lock().threads.clone()
    }

    /// What the vCPUs had done when they stopped last; `None` unless they run by turns.
    pub fn trace(&self) -> Option<Trace> {
        self.inner.lock().trace
    }

    pub(crate) fn set_trace(&self, trace: Trace) {
        self.inner.lock().trace = Some(trace);
    }

    /// The vCPUs run by turns that `clock` counts, with `inputs`: what the guest asks ends the present one.
    pub(crate) fn end_turns_of(self: &Arc<Self>, clock: &Arc<InstructionClock>, inputs: &Arc<Inputs>) {
        let this = Arc::downgrade(self);
        let press = move |_: &[u8]| {
            if let Some(power) = this.upgrade() {
                power.tell(Event::Powerdown);
            }
        };
        let button = inputs.source("the power button", Box::new(press));
        // A machine is made once.
        let _ = self.turns.set(ByTurns { clock: clock.clone(), inputs: inputs.clone(), button });
    }

    /// The log of the run, if it is recorded or replayed.
    pub fn journal(&self) -> Option<&Journal> {
        self.turns.get()?.inputs.journal()
    }

    /// How many instructions the vCPUs have carried out, if they run by turns.
    pub fn count(&self) -> Option<u64> {
        self.turns.get().map(|turns| turns.clock.ticks().count())
    }

    /// Whether the run repeats a recorded one.
    pub fn replays(&self) -> bool {
        self.turns.get().is_some_and(|turns| turns.inputs.replays())
    }

    /// Has a replay stop at instruction `count`, or nowhere. False: that is past, or there is no replay.
    pub fn stop_replay_at(&self, count: Option<u64>) -> bool {
        let Some(turns) = self.turns.get().filter(|turns| turns.inputs.replays()) else { return false };
        let (inputs, clock) = (turns.inputs.clone(), turns.clock.clone());
        let set = move |_: &mut dyn Cpus| {
            let ahead = count.is_none_or(|count| count > clock.ticks().count());
            if ahead {
                inputs.set_stop(count.unwrap_or(u64::MAX));
            }
            ahead
        };
        self.with_cpus(set) == Some(true)
    }

    /// Where a replay is to stop.
    pub fn replay_stop(&self) -> Option<u64> {
        self.turns.get().map(|turns| turns.inputs.stop()).filter(|count| *count != u64::MAX)
    }

    /// Has a replay go back, or to a place, and stop there. False: there is no replay.
    pub fn back(&self, backward: Backward) -> bool {
        let can = self.replays();
        if can {
            self.inner.lock().state = RunState::Running;
            self.push(Request::Back(backward));
        }
        can
    }

    /// Whether somebody wants the machine to stop or end.
    pub(crate) fn is_wanted(&self) -> bool {
        let inner = self.inner.lock();
        inner.requests.iter().any(|request| matches!(request, Request::Quit(_) | Request::Pause))
    }

    /// What the guest has asked for first.
    pub(crate) fn take_guest(&self) -> Option<PowerEvent> {
        let requests = &mut self.inner.lock().requests;
        let first = requests.iter().position(|request| matches!(request, Request::Guest(_)))?;
        match requests.remove(first) {
            Some(Request::Guest(event)) => Some(event),
            _ => None,
        }
    }

    /// Whether the run itself has asked for something since vCPUs were given turns: its guest, or machine time.
    pub(crate) fn run_asks(&self) -> bool {
        self.run_asks.load(Ordering::SeqCst)
    }

    /// The machine has taken over from those who give turns.
    pub(crate) fn run_is_heard(&self) {
        self.run_asks.store(false, Ordering::SeqCst);
    }

    /// `halt` has every vCPU leave guest code.
    pub(crate) fn set_halt(&self, halt: Box<dyn Fn() + Send + Sync>) {
        // A machine is made once.
        let _ = self.halt.set(halt);
    }

    /// The run itself wants `request`, at this very place of it: a vCPU that has threads beside it leaves guest code with the block that it is
    /// in, as it would for QEMU, and one that takes turns behind the instruction.
    fn ask(&self, request: Request) {
        self.run_asks.store(true, Ordering::SeqCst);
        self.push(request);
        match (self.turns.get(), self.halt.get()) {
            (Some(turns), _) => turns.clock.ticks().set_limit(0),
            (None, Some(halt)) => halt(),
            (None, None) => {}
        }
    }

    pub(crate) fn set_thread(&self, cpu: usize, thread: i32) {
        let threads = &mut self.inner.lock().threads;
        if threads.len() <= cpu {
            threads.resize(cpu + 1, 0);
        }
        threads[cpu] = thread;
    }

    /// What the machine will do with the request just made, for who asks before it has.
    fn expect(&self, from: &[RunState], to: RunState) {
        let mut inner = self.inner.lock();
        if from.contains(&inner.state) {
            inner.state = to;
        }
    }

    /// Where the machine is in its life.
    pub fn state(&self) -> RunState {
        self.inner.lock().state
    }

    pub(crate) fn set_state(&self, state: RunState) {
        self.inner.lock().state = state;
    }

    /// Tells those who watch.
    pub fn tell(&self, event: Event) {
        self.listeners.lock().iter().for_each(|listener| listener(event.clone()));
    }

    pub(crate) fn push(&self, request: Request) {
        let mut inner = self.inner.lock();
        if inner.ended {
            return;
        }
        // A guest that asks in a loop fills no memory.
        if let Request::Guest(event) = &request
            && inner.requests.iter().any(|waiting| matches!(waiting, Request::Guest(other) if other == event))
        {
            return;
        }
        inner.requests.push_back(request);
        self.arrived.notify_all();
    }

    /// The next request, if there is one.
    pub(crate) fn try_next(&self) -> Option<Request> {
        self.inner.lock().requests.pop_front()
    }

    /// Waits for the next request; `None` after `limit`.
    pub(crate) fn next_within(&self, limit: Duration) -> Option<Request> {
        let until = Instant::now() + limit;
        let mut inner = self.inner.lock();
        loop {
            if let Some(request) = inner.requests.pop_front() {
                return Some(request);
            }
            if self.arrived.wait_until(&mut inner, until).timed_out() {
                return inner.requests.pop_front();
            }
        }
    }

    /// Waits for the next request.
    pub(crate) fn next(&self) -> Request {
        loop {
            if let Some(request) = self.next_within(Duration::from_secs(3600)) {
                return request;
            }
        }
    }

    /// Forgets what the guest asked for before its reset.
    pub(crate) fn forget_guest(&self) {
        self.inner.lock().requests.retain(|request| !matches!(request, Request::Guest(_)));
    }

    /// Forgets stops of vCPUs that did not lead to the one of the machine.
    pub(crate) fn forget_debug(&self) {
        let is_stop = |request: &Request| matches!(request, Request::Debug(..) | Request::Halt(_));
        self.inner.lock().requests.retain(|request| !is_stop(request));
    }

    /// Nobody takes requests from now on: who waits for work to be done is told.
    pub(crate) fn end(&self) {
        let mut inner = self.inner.lock();
        inner.ended = true;
        let left = std::mem::take(&mut inner.requests);
        drop(inner);
        drop(left);
    }
}

impl PowerSink for Power {
    fn power(&self, event: PowerEvent) {
        self.ask(Request::Guest(event));
    }
}
