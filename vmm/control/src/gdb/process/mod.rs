//! A process as gdb sees it: its threads, its files, the processes that it makes.
//!
//! The answers are those of QEMU's user mode where it has them. The conversation is held by a thread of the program that
//! has come to something, or by `tcg_user`'s watcher; [`Conversation`] is what they call.

mod host_io;
mod line;
mod signal;

pub use line::{Address, Line};

use super::packet::{number, to_hex};
use super::{Answer, Orders, Server, Target, Thread, reply};
use crate::session::{Outlet, Protocol};
use engine::memory::Space;
use engine::{Feature, Motion, Point, Stop};
use host_io::Files;
use std::io;
use std::os::fd::RawFd;
use std::sync::Arc;
use tcg_user::debug::{self, Attach, Calls, Debug, Debugger, End, Order, Why};

/// A program under the debugger.
pub struct Process {
    /// The name that the emulator was started under.
    program: String,
    debug: Arc<Debug>,
    /// How the threads go on, once the client has said so.
    orders: Option<Vec<(i32, Order)>>,
    /// The client wants it to stop while it runs.
    interrupted: bool,
    /// The client has left it for the process that it has made.
    left: bool,
    /// The client is to be asked nothing more.
    detached: bool,
    /// The client wants it to end.
    killed: bool,
    /// The client hears of new programs.
    follows_execs: bool,
    /// The client hears of new processes.
    follows_forks: bool,
    /// `siginfo` of the signal that it has stopped for.
    info: Option<Vec<u8>>,
    files: Files,
    description: Option<(&'static str, Vec<Feature>)>,
}

impl Process {
    fn new(program: String, debug: Arc<Debug>) -> Self {
        Self {
            program,
            debug,
            orders: None,
            interrupted: false,
            left: false,
            detached: false,
            killed: false,
            follows_execs: false,
            follows_forks: false,
            info: None,
            files: Files::default(),
            description: None,
        }
    }

    fn own(&self) -> u32 {
        self.debug.pid() as u32
    }

    /// The program's thread `tid`.
    fn thread(&self, tid: i32) -> Thread {
        Thread { process: self.own(), thread: tid as u32 }
    }

    /// `QCatchSyscalls:0`, `QCatchSyscalls:1[;NUMBER]...`.
    fn catch_calls(&mut self, text: &str) -> Answer {
        let mut parts = text.split(';');
        let calls = match parts.next() {
            Some("0") => Calls::None,
            Some("1") => {
                let numbers: Option<_> = parts.map(|text| number(text).map(|(n, _)| n)).collect();
                match numbers {
                    _ if text == "1" => Calls::All,
                    Some(numbers) => Calls::Some(numbers),
                    None => return reply(super::EINVAL),
                }
            }
            _ => return reply(super::EINVAL),
        };
        self.debug.catch_calls(calls);
        reply("OK")
    }

    /// `QPassSignals:SIGNAL[;SIGNAL]...`.
    fn pass_signals(&mut self, text: &str) -> Answer {
        let signals = text.split(';').filter_map(number).filter_map(|(n, _)| u8::try_from(n).ok());
        let mask = signals.filter_map(signal::from_gdb).fold(0, |mask, signal| mask | 1 << (signal - 1));
        self.debug.pass_signals(mask);
        reply("OK")
    }
}

impl Target for Process {
    const SUPPORTED: &'static str = "qXfer:auxv:read+;QCatchSyscalls+;QPassSignals+;qXfer:siginfo:read+;\
        qXfer:exec-file:read+;fork-events+;exec-events+;vContSupported+;multiprocess+;QStartNoAckMode+";
    const MOTIONS: &'static str = "vCont;c;C;s;S;t;r";
    const ATTACHED: &'static str = "0";

    fn client(&mut self, features: &str) {
        let has = |wanted| features.split(';').any(|feature| feature == wanted);
        self.follows_execs = has("exec-events+");
        self.follows_forks = has("fork-events+") && has("multiprocess+");
    }

    fn threads(&self) -> Vec<Thread> {
        let mut threads: Vec<Thread> = self.debug.threads().into_iter().map(|tid| self.thread(tid)).collect();
        if let Some(child) = self.debug.waiting_child() {
            threads.push(Thread { process: child.pid as u32, thread: child.pid as u32 });
        }
        threads
    }

    fn about(&mut self, thread: Thread) -> String {
        self.debug.thread_name(thread.thread as i32)
    }

    fn description(&mut self) -> (&'static str, Vec<Feature>) {
        if self.description.is_none() {
            self.description = self.debug.description();
        }
        self.description.clone().unwrap_or(("", Vec::new()))
    }

    fn registers(&mut self, thread: Thread, numbers: Vec<u32>) -> Vec<Option<Vec<u8>>> {
        numbers.into_iter().map(|number| self.debug.register(thread.thread as i32, number)).collect()
    }

    fn set_register(&mut self, thread: Thread, number: u32, value: Vec<u8>) -> bool {
        self.debug.set_register(thread.thread as i32, number, &value)
    }

    fn read(&mut self, _: Thread, _: Space, addr: u64, len: usize) -> Option<Vec<u8>> {
        self.debug.read(addr, len)
    }

    fn write(&mut self, _: Thread, _: Space, addr: u64, bytes: Vec<u8>) -> bool {
        self.debug.write(addr, &bytes)
    }

    fn set_points(&mut self, points: Vec<Point>) {
        self.debug.set_points(points);
    }

    fn has_points(&self, thread: Thread) -> bool {
        thread.process == self.own()
    }

    fn stop(&mut self) {
        // It stands still, or nobody would have heard the client.
    }

    fn interrupt(&mut self) {
        self.interrupted = true;
    }

    fn resume(&mut self, orders: Orders) -> bool {
        let order = |order: super::Order| Order {
            motion: match order.motion {
                Motion::Run => debug::Motion::Run,
                Motion::Step { .. } => debug::Motion::Step(order.range),
                Motion::Hold => debug::Motion::Hold,
            },
            signal: order.signal.and_then(signal::from_gdb),
        };
        let own = self.own();
        let threads = self.threads().into_iter().zip(orders.threads);
        let threads = threads.filter(|(thread, _)| thread.process == own);
        self.orders = Some(threads.map(|(thread, said)| (thread.thread as i32, order(said))).collect());
        self.info = None;
        true
    }

    fn detach(&mut self) {
        self.detached = true;
    }

    fn part_from(&mut self, process: u32) -> bool {
        let Some(child) = self.debug.waiting_child() else { return false };
        if process == child.pid as u32 {
            return self.debug.decide(false);
        }
        self.left = process == self.own();
        self.left
    }

    fn kill(&mut self) {
        eprintln!("{}: QEMU: Terminated via GDBstub", self.program);
        self.killed = true;
    }

    fn monitor(&mut self, _: &str) -> Option<String> {
        None
    }

    fn object(&mut self, thread: Thread, name: &str, _: &str) -> Option<Result<Vec<u8>, &'static str>> {
        Some(match name {
            "auxv" => Ok(self.debug.auxv()),
            "exec-file" => Ok(self.debug.exec_file()),
            "siginfo" => self.info.clone().filter(|_| thread.process == self.own()).ok_or(super::EFAULT),
            _ => return None,
        })
    }

    fn packet(&mut self, text: &str) -> Option<Answer> {
        if let Some(text) = text.strip_prefix("vFile:") {
            return Some(self.files.packet(&self.debug, text));
        }
        if let Some(text) = text.strip_prefix("QCatchSyscalls:") {
            return Some(self.catch_calls(text));
        }
        if let Some(text) = text.strip_prefix("QPassSignals:") {
            return Some(self.pass_signals(text));
        }
        let bias = self.debug.bias();
        (text == "qOffsets").then(|| reply(format!("Text={bias:016x};Data={bias:016x};Bss={bias:016x}")))
    }
}

/// A conversation about a process with whoever connects.
pub struct Conversation {
    server: Server<Process>,
    line: Line,
    /// The program waits for the first client.
    suspends: bool,
}

/// What makes a debugger of a process that listens at `address`; the program waits for a client if it `suspends`. The emulator
/// is called `program`.
///
/// # Errors
/// The address can not be listened at.
pub fn listen(program: &str, address: &Address, suspends: bool) -> io::Result<Attach> {
    let line = Line::listen(address)?;
    let program = program.to_string();
    Ok(Box::new(move |debug| {
        let server = Server::new(Process::new(program, debug));
        Ok(Box::new(Conversation { server, line, suspends }))
    }))
}

/// What makes the debugger that an emulator before this one has handed over by `text`; `None` where that is no such text.
pub fn inherit(program: &str, text: &str) -> Option<Attach> {
    let numbers: Option<Vec<RawFd>> = text.split(',').map(|part| part.parse().ok()).collect();
    let [wire, multiprocess, no_ack, follows_forks] = numbers?.try_into().ok()?;
    // SAFETY: the emulator that this one takes over from has left it open for this.
    let line = unsafe { Line::inherited(wire) }.ok()?;
    let program = program.to_string();
    Some(Box::new(move |debug| {
        let mut server = Server::new(Process::new(program, debug));
        (server.multiprocess, server.no_ack) = (multiprocess != 0, no_ack != 0);
        (server.attached, server.waiting) = (true, true);
        (server.target.follows_execs, server.target.follows_forks) = (true, follows_forks != 0);
        Ok(Box::new(Conversation { server, line, suspends: true }))
    }))
}

impl Conversation {
    fn outlet(&self) -> Option<Outlet> {
        Some(Outlet::to(self.line.wire()?.clone()))
    }

    /// Lets a client in who waits for that.
    fn welcome(&mut self) -> bool {
        if !self.line.accept() {
            return false;
        }
        self.server.target.debug.set_attached(true);
        if let Some(out) = self.outlet() {
            self.server.opened(&out);
        }
        let first = self.server.target.threads().first().copied();
        (self.server.general, self.server.moved) =
            first.map_or((self.server.general, self.server.moved), |first| (first, first));
        true
    }

    /// Answers the client until the program is to go on: how.
    fn answer(&mut self) -> Option<Vec<(i32, Order)>> {
        let Some(out) = self.outlet() else { return Some(Vec::new()) };
        self.server.target.orders = None;
        loop {
            if std::mem::take(&mut self.server.target.left) {
                self.leave_for_child();
                return Some(Vec::new());
            }
            if std::mem::take(&mut self.server.target.detached) {
                self.server.target.debug.decide(false);
                self.server.target.debug.set_attached(false);
                self.line.hang_up();
                return Some(Vec::new());
            }
            if let Some(orders) = self.server.target.orders.take() {
                return Some(orders);
            }
            self.end_if_killed();
            let Some(byte) = self.line.byte() else {
                self.part();
                return Some(Vec::new());
            };
            self.server.input(&[byte], &out);
        }
    }

    fn end_if_killed(&mut self) {
        if self.server.target.killed {
            self.line.close(true);
            self.server.target.debug.end_process(0);
        }
    }

    /// The client is gone without a word: the program goes on without it.
    fn part(&mut self) {
        self.server.closed();
        self.end_if_killed();
        let target = &mut self.server.target;
        target.debug.decide(false);
        target.debug.set_points(Vec::new());
        target.debug.set_attached(false);
        self.line.hang_up();
    }

    /// The client goes with the child.
    fn leave_for_child(&mut self) {
        let debug = self.server.target.debug.clone();
        debug.set_points(Vec::new());
        self.line.close(false);
        debug.decide(true);
        debug.set_attached(false);
    }

    /// Tells the client what thread `tid` has come to.
    fn tell(&mut self, tid: i32, why: &Why, out: &Outlet) {
        let thread = self.server.target.thread(tid);
        let mut info = plain_info(libc::SIGTRAP);
        match why {
            // An emulator before this one was told to go on.
            Why::Start => {
                let file = to_hex(&self.server.target.debug.exec_file());
                let text = self.server.stop_reply(super::SIGTRAP, thread, None);
                self.server.tell(thread, &format!("{text}exec:{file};"), out);
            }
            Why::Followed => {}
            Why::Wanted => self.server.stopped(thread, super::SIGINT, None, out),
            Why::Point(Stop::Watchpoint { addr, kind }) => {
                self.server.stopped(thread, super::SIGTRAP, Some((*addr, *kind)), out);
            }
            Why::Point(_) => self.server.stopped(thread, super::SIGTRAP, None, out),
            Why::Signal(number, about) => {
                info = about.to_vec();
                self.server.stopped(thread, signal::to_gdb(*number), None, out);
            }
            Why::Calls(number) | Why::Called(number) => {
                let what = if matches!(why, Why::Calls(_)) { "syscall_entry" } else { "syscall_return" };
                let text = self.server.stop_reply(super::SIGTRAP, thread, None);
                self.server.tell(thread, &format!("{text}{what}:{number:x};"), out);
            }
            Why::Forked(child) => {
                let made = Thread { process: child.pid as u32, thread: child.pid as u32 };
                let text = self.server.stop_reply(super::SIGTRAP, thread, None);
                let text = format!("{text}fork:{};", self.server.name(made));
                self.server.tell(thread, &text, out);
            }
        }
        self.server.target.info = Some(info);
    }
}

/// A `siginfo` that says no more than the signal.
fn plain_info(signal: i32) -> Vec<u8> {
    let mut info = vec![0; 128];
    info[..4].copy_from_slice(&signal.to_le_bytes());
    info
}

impl Debugger for Conversation {
    fn talk(&mut self, tid: i32, why: Why) -> Option<Vec<(i32, Order)>> {
        let attached = self.server.target.debug.attached();
        match why {
            Why::Start if self.line.wire().is_some() => self.server.target.debug.set_attached(true),
            Why::Start if !self.suspends || !self.welcome() => return None,
            Why::Start => return self.answer(),
            Why::Wanted if !self.line.is_ready() => return None,
            Why::Wanted if !attached => {
                // Somebody has come: it stands until they have said what they want.
                return if self.welcome() { self.answer() } else { None };
            }
            Why::Followed => {
                let thread = self.server.target.thread(tid);
                (self.server.general, self.server.moved) = (thread, thread);
                self.server.points = Default::default();
                return self.answer();
            }
            _ => {}
        }
        let out = self.outlet()?;
        if matches!(why, Why::Wanted) {
            return self.hear(tid, &out);
        }
        self.tell(tid, &why, &out);
        self.answer()
    }

    fn ended(&mut self, end: End) {
        if self.server.target.debug.attached()
            && let Some(out) = self.outlet()
        {
            let text = match end {
                End::Exited(status) => format!("W{:02x}", status as u8),
                End::Killed(number) => format!("X{:02x}", signal::to_gdb(number)),
            };
            self.server.send(text.as_bytes(), &out);
            if !self.server.no_ack {
                self.line.wait();
            }
        }
        self.line.close(true);
    }

    fn descriptors(&self) -> Vec<RawFd> {
        self.line.descriptors()
    }

    fn follows_forks(&self) -> bool {
        self.server.target.follows_forks
    }

    fn abandon(&mut self) {
        self.line.close(false);
    }

    fn has_input(&self) -> bool {
        self.line.has_heard()
    }

    fn hand_over(&mut self, goes: bool) -> Option<String> {
        if !self.server.target.follows_execs {
            return None;
        }
        let wire = self.line.keep_open(goes)?;
        let flag = |set: bool| u8::from(set);
        let (acks, forks) = (flag(self.server.no_ack), flag(self.server.target.follows_forks));
        Some(format!("{wire},{},{acks},{forks}", flag(self.server.multiprocess)))
    }
}

impl Conversation {
    /// Hears what the client says while the program runs: an interrupt, or its end.
    fn hear(&mut self, tid: i32, out: &Outlet) -> Option<Vec<(i32, Order)>> {
        while self.line.is_ready() {
            let Some(byte) = self.line.byte() else {
                self.part();
                return Some(Vec::new());
            };
            let before = self.server.waiting;
            self.server.input(&[byte], out);
            let target = &mut self.server.target;
            if std::mem::take(&mut target.interrupted) {
                self.tell(tid, &Why::Wanted, out);
                return self.answer();
            }
            if before && !self.server.waiting {
                // A packet: it stands now, and is asked on.
                return self.answer();
            }
        }
        None
    }
}
