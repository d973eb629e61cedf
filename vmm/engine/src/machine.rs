//! vCPU threads and the life of a machine.

use crate::actions::{Actions, HangAction, PanicAction, WatchdogAction};
use crate::cpus::{Motion, Plan};
use crate::event::{Cause, Event};
use crate::power::{End, Power, Request, RunState, WaitingCall};
use crate::replay::{Border, Happening, Journal, Mode};
use crate::turns::{Goal, Halt, Trace, Turns};
use base::{Clock, Device, PowerEvent, Shared, set_requester};
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tcg_core::debug::{Debuggable, Stop};
use tcg_core::run::{Handle, Vcpu};
use tcg_core::saved::Saved;

/// Puts memory and vCPU state back to what they are at power-on: called with every vCPU stopped.
pub type Reload<G> = Box<dyn FnMut(&mut [Vcpu<G>]) + Send>;

/// How a machine starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// The vCPUs wait for [`Power::resume`] before their first instruction.
    pub start_paused: bool,
    /// Instructions that several vCPUs run by turns after a reset, before each goes its own way.
    pub in_step: usize,
}

/// Ends the run when a vCPU thread panics, rather than waiting for it for ever.
struct EndOnPanic(Arc<Power>);

impl Drop for EndOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.quit(Cause::HostError);
        }
    }
}

/// How often it is looked whether all vCPUs sleep for ever.
const LOOK: Duration = Duration::from_millis(250);

/// A machine that is ready to run.
pub struct Machine<G: Debuggable + Saved> {
    pub(crate) vcpus: Vec<Vcpu<G>>,
    devices: Vec<Shared<dyn Device>>,
    clock: Arc<dyn Clock>,
    pub(crate) power: Arc<Power>,
    reload: Reload<G>,
    policy: Policy,
    /// vCPUs run by turns; otherwise each has a thread of its own.
    pub(crate) turns: Option<Turns>,
}

impl<G: Debuggable + Saved> Machine<G> {
    /// A machine of `vcpus` and `devices`, which are as after a reset; `reload` runs before the first instruction and
    /// after each reset. Machine time, which is `clock`'s, runs while the vCPUs do.
    pub fn new(
        vcpus: Vec<Vcpu<G>>,
        devices: Vec<Shared<dyn Device>>,
        clock: Arc<dyn Clock>,
        power: Arc<Power>,
        reload: Reload<G>,
        policy: Policy,
    ) -> Self {
        // Known from the start: a monitor may ask before the first instruction.
        power.set_state(if policy.start_paused { RunState::Prelaunch } else { RunState::Running });
        clock.set_running(!policy.start_paused);
        let handles: Vec<Arc<Handle<G>>> = vcpus.iter().map(|vcpu| vcpu.handle().clone()).collect();
        power.set_halt(Box::new(move || handles.iter().for_each(|handle| handle.stop())));
        Self { vcpus, devices, clock, power, reload, policy, turns: None }
    }

    /// Has the vCPUs, whose code cache counts by the clock of `turns`, run by those.
    pub fn by_turns(mut self, turns: Turns) -> Self {
        self.power.end_turns_of(turns.clock(), turns.inputs());
        turns.inputs().set_stands(true);
        self.power.set_trace(turns.trace());
        self.turns = Some(turns);
        self
    }

    /// Runs until the guest turns the machine off or somebody ends it.
    pub fn run(mut self) -> io::Result<End> {
        // What others expect of it already is in their requests.
        let state = if self.policy.start_paused { RunState::Prelaunch } else { RunState::Running };
        let mut life = Life {
            state,
            plan: Plan::default(),
            in_step: 0,
            over: None,
            calls: VecDeque::new(),
            told: false,
        };
        life.in_step = self.power_on();
        let end = loop {
            match self.live(&mut life) {
                Ok(Some(end)) => break Ok(end),
                Ok(None) => {}
                Err(fault) => break Err(fault),
            }
            life.in_step = self.begin_anew();
            (life.calls, life.told) = (VecDeque::new(), false);
            if !life.state.can_resume() {
                life.state = RunState::Paused;
            }
        };
        if let Some(turns) = &self.turns {
            turns.note(Happening::End(turns.trace().hash));
            if matches!(end, Ok(end) if !matches!(end, End::Quit(_))) {
                turns.check_end();
            }
            let Trace { count, now, hash } = turns.trace();
            tracing::trace!(target: "icount", "{count} instructions, {now} ns, trace hash {hash:016x}");
        }
        self.power.end();
        if let Ok(end) = end {
            self.power.tell(Event::Ended(end));
        }
        end
    }

    /// Puts memory and vCPUs into their state at power-on; gives how many instructions they run by turns if each has a thread.
    fn power_on(&mut self) -> usize {
        self.vcpus.iter_mut().for_each(Vcpu::wake);
        (self.reload)(&mut self.vcpus);
        let in_step = if self.vcpus.len() > 1 { self.policy.in_step } else { 0 };
        match &mut self.turns {
            Some(turns) => {
                turns.begin(self.vcpus.len(), in_step);
                0
            }
            None => in_step,
        }
    }

    /// The same for a machine that ran: a reset.
    pub(crate) fn begin_anew(&mut self) -> usize {
        self.power.forget_guest();
        for device in &self.devices {
            device.lock().reset();
        }
        self.power_on()
    }

    fn journal(&self) -> Option<&Journal> {
        self.turns.as_ref().and_then(|turns| turns.inputs().journal())
    }

    /// What `request` is to a machine whose run is recorded or replayed; `None`: nothing.
    fn on_record(&self, request: Request) -> Option<Request> {
        let Some((turns, journal)) = self.turns.as_ref().zip(self.journal()) else { return Some(request) };
        match (request, journal.mode()) {
            (Request::Reset(cause), Mode::Record) => {
                turns.note(Happening::Reset(cause));
                Some(Request::Reset(cause))
            }
            (Request::Reset(_), Mode::Replay) => {
                tracing::warn!(
                    "-icount rr=replay: the machine is reset when it was recorded to be, and at no other time"
                );
                None
            }
            (Request::Halt(Halt::Border(Border::Reset(cause))), _) => {
                journal.pass_reset();
                Some(Request::Reset(cause))
            }
            (request, _) => Some(request),
        }
    }

    /// One life: from power-on to the end of the run, or to a reset (`None`).
    fn live(&mut self, life: &mut Life) -> io::Result<Option<End>> {
        loop {
            self.power.set_state(life.state);
            let request = match life.state {
                RunState::Running => self.run_until_request(life)?,
                _ => self.power.next(),
            };
            let actions = self.power.actions();
            let Some(request) = self.on_record(request) else { continue };
            let (end, cause) = match request {
                Request::Quit(cause) => {
                    self.power.tell(Event::Shutdown(cause));
                    return Ok(Some(End::Quit(cause)));
                }
                Request::Guest(PowerEvent::Off { code }) => (End::Off(code), Cause::GuestShutdown),
                Request::Guest(PowerEvent::PvShutdown) => {
                    self.power.tell(Event::PvShutdown);
                    (End::Off(0), Cause::GuestShutdown)
                }
                Request::Guest(PowerEvent::Reset) if actions.reboot_ends => (End::Reset, Cause::GuestReset),
                Request::Reset(cause) if actions.reboot_ends => (End::Reset, cause),
                Request::Guest(PowerEvent::Reset) => return self.reset(Cause::GuestReset),
                Request::Reset(cause) => return self.reset(cause),
                Request::Guest(PowerEvent::Panicked) => match self.panicked(life) {
                    Some(end) => (end, Cause::GuestPanic),
                    None => continue,
                },
                Request::Guest(PowerEvent::CrashLoaded) => {
                    self.power.tell(Event::GuestCrashLoaded);
                    continue;
                }
                Request::Guest(PowerEvent::Watchdog) => match self.bitten(life, actions) {
                    Bitten::Ends(cause) => (End::Watchdog, cause),
                    Bitten::Resets => return self.reset(Cause::GuestReset),
                    Bitten::GoesOn => continue,
                },
                Request::Idle if actions.hang != HangAction::None && self.sleeps_for_ever() => {
                    (End::Hung, Cause::HostError)
                }
                Request::Work(work) => {
                    work(&mut self.vcpus);
                    continue;
                }
                Request::Pause if life.state == RunState::Running => {
                    self.stand(life, RunState::Paused, None);
                    continue;
                }
                Request::Debug(cpu, stop) if life.state == RunState::Running => {
                    self.stand(life, RunState::Debug, Some((cpu, stop)));
                    continue;
                }
                Request::Call(call) => {
                    life.calls.push_back(call);
                    if life.state == RunState::Running {
                        self.call(life);
                    }
                    continue;
                }
                Request::Answer(answer) => {
                    if let Some(call) = life.take_told() {
                        (call.finish)(&mut self.vcpus, answer);
                    }
                    continue;
                }
                Request::Start(_) if life.over.is_some() && self.replay_is_debugged() => {
                    self.stop_at_end(life);
                    continue;
                }
                Request::Start(plan) if life.state.can_resume() => match life.over.take() {
                    Some(over) => over,
                    None => {
                        // A call that was not answered has failed.
                        drop(life.take_told());
                        self.go_on(life, plan);
                        self.call(life);
                        continue;
                    }
                },
                Request::Halt(Halt::Fault) => (End::Quit(Cause::HostError), Cause::HostError),
                Request::Halt(halt) if life.state == RunState::Running => {
                    self.halted(life, halt);
                    continue;
                }
                Request::Back(backward) => {
                    self.power.set_state(RunState::Running);
                    life.over = None;
                    let (state, debug) = self.go_back(backward);
                    self.stand(life, state, debug);
                    continue;
                }
                Request::Pause
                | Request::Debug(..)
                | Request::Halt(_)
                | Request::Start(_)
                | Request::Idle => continue,
            };
            if self.replay_is_debugged() && !matches!(end, End::Quit(_)) {
                // Whoever goes backwards wants to from here.
                life.over = Some((end, cause));
                self.stop_at_end(life);
                continue;
            }
            self.power.tell(Event::Shutdown(cause));
            if !actions.shutdown_pauses || end == End::Hung {
                return Ok(Some(end));
            }
            self.stand(life, RunState::Shutdown, None);
        }
    }

    fn reset(&self, cause: Cause) -> io::Result<Option<End>> {
        self.power.tell(Event::Reset(cause));
        Ok(None)
    }

    /// The vCPUs stand still from now on.
    fn stand(&self, life: &mut Life, state: RunState, debug: Option<(usize, Stop)>) {
        self.stand_for(life, state, None, debug);
    }

    /// The same where an event names the `reason`: whoever hears of it finds the machine standing.
    fn stand_for(
        &self,
        life: &mut Life,
        state: RunState,
        reason: Option<Event>,
        debug: Option<(usize, Stop)>,
    ) {
        self.halt(life, state);
        if let Some(reason) = reason {
            self.power.tell(reason);
        }
        self.power.tell(Event::Stopped { state, debug });
    }

    fn halt(&self, life: &mut Life, state: RunState) {
        self.clock.set_running(false);
        self.power.forget_debug();
        (life.state, life.plan) = (state, Plan::default());
        self.power.set_state(state);
    }

    /// The vCPUs stand still while the debugger carries out what one of them waits for.
    fn call(&self, life: &mut Life) {
        let Some(WaitingCall { cpu, text, .. }) = life.calls.front() else { return };
        let call = Event::Call { cpu: *cpu, text: text.clone() };
        life.told = true;
        self.halt(life, RunState::Debug);
        self.power.tell(call);
    }

    /// vCPUs that run by turns have come to where they can not go on.
    fn halted(&mut self, life: &mut Life, halt: Halt) {
        let mut debug = None;
        if let (Halt::Border(Border::End(hash)), Some(turns)) = (halt, &self.turns) {
            let file =
                self.journal().map_or_else(Default::default, |journal| journal.path().display().to_string());
            let (count, here) = (turns.trace().count, turns.trace().hash);
            match hash.filter(|hash| *hash != here) {
                None => tracing::warn!("{file} ends here, at instruction {count}; the machine is stopped"),
                Some(hash) => tracing::error!(
                    "the replay has left {file} before its end at instruction {count}: the trace hash is {here:016x}, and was {hash:016x}"
                ),
            }
            debug = Some((0, Stop::End));
        }
        self.stand(life, RunState::Paused, debug);
    }

    fn replay_is_debugged(&self) -> bool {
        self.power.replays() && self.power.debugged()
    }

    /// The guest of a replay has ended its run under a debugger.
    fn stop_at_end(&mut self, life: &mut Life) {
        let hash = match self.journal().and_then(Journal::border) {
            Some((_, Border::End(hash))) => hash,
            _ => None,
        };
        self.halted(life, Halt::Border(Border::End(hash)));
    }

    fn go_on(&self, life: &mut Life, plan: Plan) {
        let was_running = life.state == RunState::Running;
        let runs = (0..self.vcpus.len()).any(|n| plan.motion(n) == Motion::Run);
        self.clock.set_running(runs || !plan.hold_time);
        (life.state, life.plan) = (RunState::Running, plan);
        if !was_running {
            self.power.set_state(RunState::Running);
            self.power.tell(Event::Resumed);
        }
    }

    /// The guest says that it has crashed; gives the end of the run, if it is one.
    fn panicked(&self, life: &mut Life) -> Option<End> {
        let actions = self.power.actions();
        let action = match actions.panic {
            PanicAction::Pause => "pause",
            PanicAction::Shutdown if actions.shutdown_pauses => "pause",
            PanicAction::Shutdown | PanicAction::ExitFailure => "poweroff",
            PanicAction::None => "run",
        };
        let panicked = Event::GuestPanicked { action };
        if action == "pause" {
            self.stand_for(life, RunState::GuestPanicked, Some(panicked), None);
            return None;
        }
        self.power.tell(panicked);
        (action == "poweroff").then_some(End::Panicked)
    }

    /// The watchdog has bitten.
    fn bitten(&self, life: &mut Life, actions: Actions) -> Bitten {
        let bitten = Event::Watchdog(actions.watchdog);
        if actions.watchdog == WatchdogAction::Pause {
            self.stand_for(life, RunState::Watchdog, Some(bitten), None);
            return Bitten::GoesOn;
        }
        self.power.tell(bitten);
        match actions.watchdog {
            WatchdogAction::Reset if actions.reboot_ends => Bitten::Ends(Cause::GuestReset),
            WatchdogAction::Reset => Bitten::Resets,
            WatchdogAction::Poweroff => Bitten::Ends(Cause::GuestShutdown),
            WatchdogAction::Shutdown => {
                self.power.tell(Event::Powerdown);
                Bitten::GoesOn
            }
            WatchdogAction::Debug => {
                tracing::warn!("watchdog: timer fired");
                Bitten::GoesOn
            }
            // No board here has a line for it.
            WatchdogAction::InjectNmi | WatchdogAction::None | WatchdogAction::Pause => Bitten::GoesOn,
        }
    }

    /// Whether those who were asleep a moment ago will sleep on.
    fn sleeps_for_ever(&self) -> bool {
        self.vcpus.iter().all(|vcpu| G::sleeps_for_ever(vcpu.cpu()))
    }

    /// Lets the vCPUs go on as `plan` says until somebody wants something.
    fn run_until_request(&mut self, life: &mut Life) -> io::Result<Request> {
        let plan = &mut life.plan;
        // Whoever stopped them has said why before.
        self.vcpus.iter_mut().for_each(Vcpu::take_stop);
        // What waits already costs no threads.
        if let Some(request) = self.power.try_next() {
            return Ok(request);
        }
        let runs = (0..self.vcpus.len()).any(|n| plan.motion(n) == Motion::Run);
        let step = (0..self.vcpus.len()).find(|n| matches!(plan.motion(*n), Motion::Step { .. }));
        let steps = step.is_some();
        if let Some(number) = step.filter(|_| self.journal().is_some())
            && let Some(mut turns) = self.turns.take()
        {
            // The others have their turns, and interrupts come.
            turns.goal = Goal::Step(number);
            let given = plan.clone();
            plan.hold_steppers();
            let request = self.run_turns(turns, given);
            if let Some(turns) = &mut self.turns {
                turns.goal = Goal::None;
            }
            return request;
        }
        if !runs || steps && self.turns.is_some() {
            for (n, vcpu) in self.vcpus.iter_mut().enumerate() {
                if let Motion::Step { interrupts } = plan.motion(n) {
                    set_requester(n as u32);
                    let stop = vcpu.step_for_debugger(interrupts);
                    self.power.push(Request::Debug(n, stop));
                }
            }
            plan.hold_steppers();
            if let Some(turns) = &self.turns {
                turns.clock().fire_due();
                self.power.set_trace(turns.trace());
            }
            return Ok(self.power.next());
        }
        if let Some(request) = self.run_in_step(std::mem::take(&mut life.in_step), plan) {
            return Ok(request);
        }
        if let Some(turns) = self.turns.take() {
            return self.run_turns(turns, plan.clone());
        }
        let handles: Vec<Arc<Handle<G>>> = self.vcpus.iter().map(|v| v.handle().clone()).collect();
        let mut threads: Vec<JoinHandle<Vcpu<G>>> = Vec::new();
        for (n, mut vcpu) in self.vcpus.drain(..).enumerate() {
            let thread = std::thread::Builder::new().name(format!("vcpu{n}"));
            let (power, motion) = (self.power.clone(), plan.motion(n));
            threads.push(thread.spawn(move || {
                let _fault = EndOnPanic(power.clone());
                set_requester(n as u32);
                // SAFETY: only asks for a number.
                power.set_thread(n, unsafe { libc::gettid() });
                let stop = match motion {
                    Motion::Run => vcpu.run(),
                    Motion::Step { interrupts } => Some(vcpu.step_for_debugger(interrupts)),
                    Motion::Hold => None,
                };
                if let Some(stop) = stop {
                    power.push(Request::Debug(n, stop));
                }
                vcpu
            })?);
        }
        plan.hold_steppers();
        let request = self.wait(&handles);
        for (n, handle) in handles.iter().enumerate() {
            if plan.motion(n) == Motion::Run {
                handle.stop();
            }
        }
        for thread in threads {
            // A panic of a vCPU thread is a fault of ours: it goes on in this thread.
            let mut vcpu = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            // One that came to a point by itself has not seen the request.
            vcpu.take_stop();
            self.vcpus.push(vcpu);
        }
        Ok(request)
    }

    /// The same for vCPUs that run by turns.
    fn run_turns(&mut self, mut turns: Turns, mut plan: Plan) -> io::Result<Request> {
        if turns.inputs().journal().is_some() {
            // The run stays what it is, whoever is meant to stand.
            turns.hold((0..self.vcpus.len()).filter(|n| plan.motion(*n) == Motion::Hold).collect());
            plan = Plan::default();
        }
        let handles: Vec<Arc<Handle<G>>> = self.vcpus.iter().map(|v| v.handle().clone()).collect();
        let (mut vcpus, power) = (std::mem::take(&mut self.vcpus), self.power.clone());
        let thread = std::thread::Builder::new().name("vcpus".into()).spawn(move || {
            let _fault = EndOnPanic(power.clone());
            // SAFETY: only asks for a number.
            let id = unsafe { libc::gettid() };
            (0..vcpus.len()).for_each(|n| power.set_thread(n, id));
            match turns.run(&mut vcpus, &plan, &power) {
                Some(Halt::Debug(number, stop)) => power.push(Request::Debug(number, stop)),
                Some(halt) => power.push(Request::Halt(halt)),
                None => {}
            }
            (vcpus, turns)
        })?;
        let request = self.wait(&handles);
        handles.iter().for_each(|handle| handle.stop());
        let (vcpus, turns) = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        self.power.run_is_heard();
        self.vcpus = vcpus;
        self.vcpus.iter_mut().for_each(Vcpu::take_stop);
        self.power.set_trace(turns.trace());
        self.turns = Some(turns);
        Ok(request)
    }

    /// Has all vCPUs run so many instructions by turns, unless a debugger is in the way.
    fn run_in_step(&mut self, instructions: usize, plan: &Plan) -> Option<Request> {
        for _ in 0..instructions {
            for (n, vcpu) in self.vcpus.iter_mut().enumerate() {
                if vcpu.at_breakpoint() || plan.motion(n) != Motion::Run {
                    return None;
                }
                set_requester(n as u32);
                match vcpu.step_for_debugger(true) {
                    Stop::Step => {}
                    stop => return Some(Request::Debug(n, stop)),
                }
            }
        }
        None
    }

    /// Waits for a request while the vCPUs run.
    fn wait(&self, handles: &[Arc<Handle<G>>]) -> Request {
        if self.power.actions().hang == HangAction::None {
            return self.power.next();
        }
        loop {
            match self.power.next_within(LOOK) {
                Some(request) => return request,
                None if handles.iter().all(|handle| handle.asleep()) => return Request::Idle,
                None => {}
            }
        }
    }
}

/// What a watchdog's bite leads to.
enum Bitten {
    Ends(Cause),
    Resets,
    GoesOn,
}

/// What a machine is doing.
struct Life {
    state: RunState,
    plan: Plan,
    /// Instructions that the vCPUs are still to run by turns.
    in_step: usize,
    /// How a replay ended that a debugger keeps at its end.
    over: Option<(End, Cause)>,
    /// What vCPUs wait for a debugger to carry out.
    calls: VecDeque<WaitingCall>,
    /// It was told of the first.
    told: bool,
}

impl Life {
    /// The call that the debugger was told of, which is done.
    fn take_told(&mut self) -> Option<WaitingCall> {
        std::mem::take(&mut self.told).then(|| self.calls.pop_front()).flatten()
    }
}
