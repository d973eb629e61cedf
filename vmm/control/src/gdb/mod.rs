//! The gdb server: gdb's remote serial protocol, in the dialect that QEMU speaks.
//!
//! From: "Debugging with GDB", appendix E (Remote Protocol) and G (Target Descriptions); QEMU's documentation, "GDB
//! usage". [`packet`] cuts the line into packets, [`Server`] answers them, [`Target`] is what it debugs.
//!
//! The `gdbstub` crate was looked at first. It has no place for packets of its user's own, such as QEMU's `qqemu.*`, ends
//! the session at a packet it does not understand, and fixes replies that QEMU's clients compare; so this is our own.
//!
//! Left out: non-stop mode, tracepoints, conditions that the server checks.

mod call;
mod description;
pub mod packet;
mod points;
pub mod process;
mod query;
mod resume;
mod system;
mod target;

pub use system::System;
pub use target::{Order, Orders, Target, Thread};

use crate::session::{Outlet, Protocol};
use call::Call;
use engine::memory::Space;
use engine::{End, Event, RunState, Stop, WatchKind};
use packet::{Framer, Received, frame, from_hex, number, to_hex};
use points::Points;

/// Longest packet, as the client is told.
pub const PACKET_SIZE: usize = 0x1000;
/// What a second client is sent before its connection is closed: a failed `qSupported`, in words.
pub fn busy() -> Vec<u8> {
    [&b"+"[..], &frame(b"E.another debugger is attached already")].concat()
}

/// Error numbers, as QEMU sends them.
const EFAULT: &str = "E14";
const EINVAL: &str = "E22";

/// Signals, as gdb numbers them.
const SIGINT: u8 = 2;
const SIGQUIT: u8 = 3;
const SIGTRAP: u8 = 5;
const SIGABRT: u8 = 6;

/// What a packet is answered with.
pub enum Answer {
    /// This packet.
    Reply(String),
    /// These bytes in a packet.
    Bytes(Vec<u8>),
    /// Nothing for now: the target runs.
    Later,
}

fn reply(text: impl Into<String>) -> Answer {
    Answer::Reply(text.into())
}

fn ok_if(done: bool, error: &str) -> Answer {
    reply(if done { "OK" } else { error })
}

/// What single steps leave out, as bits of QEMU's `sstep` mask.
const SSTEP_ENABLE: u64 = 1;
const SSTEP_NOIRQ: u64 = 2;
const SSTEP_NOTIMER: u64 = 4;
const SSTEP_ALL: u64 = SSTEP_ENABLE | SSTEP_NOIRQ | SSTEP_NOTIMER;

/// A gdb server.
pub struct Server<T: Target> {
    target: T,
    framer: Framer,
    /// The last packet sent, in case it is wanted again.
    last: Vec<u8>,
    /// Somebody is connected.
    attached: bool,
    /// The client was told that the target runs, and waits to hear that it stopped.
    waiting: bool,
    /// Packets are not acknowledged.
    no_ack: bool,
    /// Thread ids carry the process.
    multiprocess: bool,
    /// The thread that registers and memory are of.
    general: Thread,
    /// The thread that `c` and `s` move.
    moved: Thread,
    /// Which memory `m` and `M` mean.
    space: Space,
    sstep: u64,
    points: Points,
    /// The target is to be killed once the client has acknowledged the answer: it would find the line broken otherwise.
    killing: bool,
    /// The client was told of the end, and has not acknowledged that.
    ending: bool,
    /// Threads that are still to be listed.
    listing: Vec<Thread>,
    /// How the threads went on last.
    orders: Orders,
    /// What a thread waits for the client to do.
    call: Option<Call>,
    /// How the threads go on as long as the one that steps is in its range.
    ranged: Option<Orders>,
}

impl<T: Target> Server<T> {
    /// A server for `target`.
    pub fn new(target: T) -> Self {
        let first = target.threads().first().copied().unwrap_or(Thread { process: 1, thread: 1 });
        Self {
            target,
            framer: Framer::default(),
            last: Vec::new(),
            attached: false,
            waiting: false,
            no_ack: false,
            multiprocess: false,
            general: first,
            moved: first,
            space: Space::Virtual,
            sstep: SSTEP_ALL,
            points: Points::default(),
            killing: false,
            ending: false,
            listing: Vec::new(),
            orders: Orders::default(),
            call: None,
            ranged: None,
        }
    }

    fn send(&mut self, payload: &[u8], out: &Outlet) {
        self.last = frame(payload);
        out.send(&self.last);
    }

    fn name(&self, thread: Thread) -> String {
        if self.multiprocess {
            format!("p{:02x}.{:02x}", thread.process, thread.thread)
        } else {
            format!("{:02x}", thread.thread)
        }
    }

    /// Why `thread` stands still.
    fn stop_reply(&self, signal: u8, thread: Thread, watch: Option<(u64, WatchKind)>) -> String {
        let mut text = format!("T{signal:02x}thread:{};", self.name(thread));
        if let Some((addr, kind)) = watch {
            let kind = match kind {
                WatchKind::Write => "watch",
                WatchKind::Read => "rwatch",
                WatchKind::Access => "awatch",
            };
            text += &format!("{kind}:{addr:016x};");
        }
        text
    }

    /// Tells that `thread` has stopped, by `signal` or at `watch`.
    fn stopped(&mut self, thread: Thread, signal: u8, watch: Option<(u64, WatchKind)>, out: &Outlet) {
        let text = self.stop_reply(signal, thread, watch);
        self.tell(thread, &text, out);
    }

    /// Tells that `thread` has stopped, as `text` says.
    fn tell(&mut self, thread: Thread, text: &str, out: &Outlet) {
        (self.general, self.moved) = (thread, thread);
        self.waiting = false;
        self.send(text.as_bytes(), out);
    }

    fn packet(&mut self, payload: &[u8], out: &Outlet) {
        let answer = match payload.first() {
            Some(b'X') => self.write_bytes(payload),
            _ => match std::str::from_utf8(payload) {
                Ok(text) => self.command(text, out),
                Err(_) => reply(""),
            },
        };
        match answer {
            Answer::Reply(text) => self.send(text.as_bytes(), out),
            Answer::Bytes(bytes) => self.send(&bytes, out),
            Answer::Later => self.waiting = true,
        }
    }

    /// Carries out one packet.
    fn command(&mut self, text: &str, out: &Outlet) -> Answer {
        let Some(letter) = text.chars().next() else { return reply("") };
        let rest = &text[letter.len_utf8()..];
        match letter {
            '!' => reply("OK"),
            '?' => {
                self.points.clear();
                self.listing.clear();
                reply(self.stop_reply(SIGTRAP, self.general, None))
            }
            'g' => self.read_all(),
            'G' => self.write_all(rest),
            'p' => self.read_register(rest),
            'P' => self.write_register(rest),
            'm' => self.read_memory(rest),
            'M' => self.write_memory(rest),
            'Z' | 'z' if !self.target.has_points(self.general) => reply("OK"),
            'Z' => self.points.insert(rest),
            'z' => self.points.remove(rest),
            'H' => self.select(rest),
            'T' => ok_if(self.thread(rest).is_some(), EINVAL),
            'c' | 'C' | 's' | 'S' => self.move_on(letter, rest),
            'b' if matches!(rest, "s" | "c") => self.back(rest == "s"),
            'v' => self.v_packet(text, out),
            'q' | 'Q' => self.query(text, out),
            'F' => self.called(rest),
            'D' => self.detach(rest),
            'k' => {
                self.target.kill();
                Answer::Later
            }
            _ => self.others(text),
        }
    }

    /// A packet that only this kind of target may know.
    fn others(&mut self, text: &str) -> Answer {
        self.target.packet(text).unwrap_or(reply(""))
    }

    fn v_packet(&mut self, text: &str, out: &Outlet) -> Answer {
        if let Some(actions) = text.strip_prefix("vCont;") {
            return self.v_cont(actions);
        }
        if text == "vCont?" {
            return reply(T::MOTIONS);
        }
        if let Some(process) = text.strip_prefix("vAttach;") {
            let wanted = number(process).map(|(n, _)| n);
            let found = self.target.threads().into_iter().find(|t| Some(u64::from(t.process)) == wanted);
            return match found {
                Some(thread) => {
                    (self.general, self.moved) = (thread, thread);
                    reply(self.stop_reply(SIGTRAP, thread, None))
                }
                None => reply(EINVAL),
            };
        }
        if text.starts_with("vKill") {
            self.send(b"OK", out);
            self.killing = !self.no_ack;
            if self.no_ack {
                self.target.kill();
            }
            return Answer::Later;
        }
        self.others(text)
    }

    /// The thread that `text` names; 0 and -1 stand for any.
    fn thread(&self, text: &str) -> Option<Thread> {
        let (process, thread) = match text.strip_prefix('p') {
            Some(both) => {
                let (process, thread) = both.split_once('.').unwrap_or((both, "-1"));
                (Some(process), thread)
            }
            None => (None, text),
        };
        let any = |text: &str| matches!(text, "-1" | "0");
        let parse = |text: &str| number(text).filter(|(_, rest)| rest.is_empty()).map(|(n, _)| n);
        let fits = |wanted: Option<&str>, number: u32| match wanted {
            None => Some(true),
            Some(text) if any(text) => Some(true),
            Some(text) => parse(text).map(|wanted| wanted == u64::from(number)),
        };
        let threads = self.target.threads();
        let fits = |t: &&Thread| {
            fits(process, t.process) == Some(true) && fits(Some(thread), t.thread) == Some(true)
        };
        // Any thread is the one that is selected, as long as it is there.
        threads.iter().find(|t| **t == self.general && fits(t)).or_else(|| threads.iter().find(fits)).copied()
    }

    fn select(&mut self, text: &str) -> Answer {
        let Some(kind) = text.chars().next() else { return reply(EINVAL) };
        let Some(thread) = self.thread(&text[kind.len_utf8()..]) else { return reply(EINVAL) };
        match kind {
            'g' => self.general = thread,
            'c' => self.moved = thread,
            _ => return reply(EINVAL),
        }
        reply("OK")
    }

    /// Numbers of the registers that `g` and `G` carry.
    fn bulk(&mut self) -> Vec<u32> {
        let (_, features) = self.target.description();
        let bulk = features.iter().filter(|feature| feature.bulk);
        bulk.flat_map(|feature| feature.registers.iter().map(|register| register.number)).collect()
    }

    fn read_all(&mut self) -> Answer {
        let numbers = self.bulk();
        let values = self.target.registers(self.general, numbers);
        reply(values.iter().flatten().map(|value| to_hex(value)).collect::<String>())
    }

    fn write_all(&mut self, text: &str) -> Answer {
        let Some(bytes) = from_hex(text.as_bytes()) else { return reply(EINVAL) };
        let numbers = self.bulk();
        let old = self.target.registers(self.general, numbers.clone());
        let mut bytes = &bytes[..];
        for (number, old) in numbers.into_iter().zip(old) {
            let Some((value, rest)) = old.and_then(|old| bytes.split_at_checked(old.len())) else { break };
            self.target.set_register(self.general, number, value.to_vec());
            bytes = rest;
        }
        reply("OK")
    }

    fn read_register(&mut self, text: &str) -> Answer {
        let Some((number, "")) = number(text) else { return reply(EINVAL) };
        let Ok(number) = u32::try_from(number) else { return reply(EFAULT) };
        let value = self.target.registers(self.general, vec![number]).pop().flatten();
        reply(value.map_or(EFAULT.into(), |value| to_hex(&value)))
    }

    fn write_register(&mut self, text: &str) -> Answer {
        let parsed = number(text).and_then(|(n, rest)| {
            Some((u32::try_from(n).ok()?, from_hex(rest.strip_prefix('=')?.as_bytes())?))
        });
        let Some((number, value)) = parsed else { return reply(EINVAL) };
        ok_if(self.target.set_register(self.general, number, value), EFAULT)
    }

    fn read_memory(&mut self, text: &str) -> Answer {
        let Some((addr, len, "")) = range(text) else { return reply(EINVAL) };
        if len > PACKET_SIZE / 2 {
            return reply(EINVAL);
        }
        let bytes = self.target.read(self.general, self.space, addr, len);
        reply(bytes.map_or(EFAULT.into(), |bytes| to_hex(&bytes)))
    }

    fn write_memory(&mut self, text: &str) -> Answer {
        let parsed = range(text)
            .and_then(|(addr, len, rest)| Some((addr, len, from_hex(rest.strip_prefix(':')?.as_bytes())?)));
        match parsed {
            Some((addr, len, bytes)) if bytes.len() == len => {
                ok_if(self.target.write(self.general, self.space, addr, bytes), EFAULT)
            }
            _ => reply(EINVAL),
        }
    }

    /// `X addr,len:bytes`.
    fn write_bytes(&mut self, payload: &[u8]) -> Answer {
        let Some(colon) = payload.iter().position(|byte| *byte == b':') else { return reply(EINVAL) };
        let head = std::str::from_utf8(&payload[1..colon]).ok().and_then(range);
        let bytes = &payload[colon + 1..];
        match head {
            Some((addr, len, "")) if len == bytes.len() => {
                ok_if(self.target.write(self.general, self.space, addr, bytes.to_vec()), EFAULT)
            }
            _ => reply(EINVAL),
        }
    }

    /// `D`, `D;PROCESS`: the client leaves.
    fn detach(&mut self, text: &str) -> Answer {
        let process = text.strip_prefix(';').and_then(number).and_then(|(n, _)| u32::try_from(n).ok());
        if process.is_some_and(|process| self.target.part_from(process)) {
            return reply("OK");
        }
        self.leave();
        reply("OK")
    }

    fn set_attached(&mut self, attached: bool) {
        self.attached = attached;
        self.target.attached(attached);
    }

    /// The client goes, and the target runs on.
    fn leave(&mut self) {
        self.points.clear();
        self.target.set_points(Vec::new());
        self.space = Space::Virtual;
        self.waiting = false;
        self.call = None;
        self.set_attached(false);
        self.target.detach();
    }
}

/// `addr,len` at the start of `text`, and what follows.
fn range(text: &str) -> Option<(u64, usize, &str)> {
    let (addr, rest) = number(text)?;
    let (len, rest) = number(rest.strip_prefix(',')?)?;
    Some((addr, usize::try_from(len).ok()?, rest))
}

impl<T: Target> Protocol for Server<T> {
    fn opened(&mut self, _: &Outlet) {
        self.framer = Framer::default();
        self.waiting = false;
        self.call = None;
        self.multiprocess = false;
        self.no_ack = false;
        self.set_attached(true);
        self.sstep = self.target.step_mask();
        self.space = Space::Virtual;
        self.target.stop();
    }

    fn closed(&mut self) {
        self.ending = false;
        if std::mem::take(&mut self.killing) {
            self.target.kill();
        }
        if self.attached {
            self.set_attached(false);
            // The client left without a word: the target stays where it is, but nothing of the client's does.
            self.points.clear();
            self.target.set_points(Vec::new());
            self.waiting = false;
        }
    }

    fn is_settled(&self) -> bool {
        !self.ending
    }

    fn input(&mut self, bytes: &[u8], out: &Outlet) {
        self.ending = false;
        for &byte in bytes {
            if std::mem::take(&mut self.killing) {
                return self.target.kill();
            }
            match self.framer.take(byte) {
                None => {}
                Some(Received::Interrupt) => {
                    self.ranged = None;
                    self.target.interrupt();
                }
                Some(Received::Again) => out.send(&self.last),
                Some(Received::Damaged) if self.no_ack => {}
                Some(Received::Damaged) => out.send(b"-"),
                Some(Received::Packet(payload)) => {
                    if !self.no_ack {
                        out.send(b"+");
                    }
                    if !self.attached {
                        // It has detached, and talks on: it is back.
                        self.set_attached(true);
                    }
                    // Nothing but an interrupt can be asked of a target that runs.
                    self.target.stop();
                    self.waiting = false;
                    self.packet(&payload, out);
                }
            }
        }
    }

    fn event(&mut self, event: Event, out: &Outlet) {
        match event {
            Event::Stopped { state: RunState::Debug, debug: Some((cpu, Stop::Step)) }
                if self.waiting && self.steps_on(cpu) => {}
            Event::Stopped { state, debug } if self.waiting => {
                if let Some((_, edge @ (Stop::Beginning | Stop::End))) = debug {
                    let edge = if edge == Stop::Beginning { "begin" } else { "end" };
                    let text = self.stop_reply(SIGTRAP, self.moved, None);
                    return self.tell(self.moved, &format!("{text}replaylog:{edge};"), out);
                }
                let (signal, watch) = match (state, debug) {
                    (RunState::Debug, Some((_, Stop::Watchpoint { addr, kind }))) => {
                        (SIGTRAP, Some((addr, kind)))
                    }
                    (RunState::Debug, _) => (SIGTRAP, None),
                    (RunState::Shutdown, _) => (SIGQUIT, None),
                    (RunState::GuestPanicked, _) => (SIGABRT, None),
                    _ => (SIGINT, None),
                };
                if let Some((cpu, _)) = debug
                    && let Some(thread) = self.target.threads().get(cpu)
                {
                    self.moved = *thread;
                }
                self.stopped(self.moved, signal, watch, out);
            }
            Event::Call { cpu, text } if self.attached => {
                self.call(cpu, text);
                if std::mem::take(&mut self.waiting)
                    && let Some(call) = self.take_call()
                {
                    self.send(call.as_bytes(), out);
                }
            }
            // The client has gone meanwhile: the call fails.
            Event::Call { .. } => self.target.detach(),
            // Somebody else had the target go on.
            Event::Resumed => drop(self.call.take_if(|call| !call.sent)),
            Event::Ended(end) if self.attached => {
                let status = match end {
                    End::Off(code) => code as u8,
                    _ => 0,
                };
                self.send(format!("W{status:02x}").as_bytes(), out);
                self.ending = !self.no_ack;
            }
            _ => {}
        }
    }
}
