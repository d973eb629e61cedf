//! Calls that a program makes on the client's machine: files, and its console.
//!
//! From: "Debugging with GDB", appendix E.13 (File-I/O Remote Protocol Extension). Programs ask for them by semihosting.

use super::packet::number;
use super::{Answer, SIGINT, SIGTRAP, Server, Target, reply};
use engine::Motion;
use std::sync::Arc;

/// A call that a thread waits for.
pub(super) struct Call {
    /// Its number among the threads.
    thread: usize,
    text: Arc<str>,
    /// The client knows of it.
    pub sent: bool,
}

/// An error of which nothing else is known (`EUNKNOWN`).
const UNKNOWN: i32 = 9999;

impl<T: Target> Server<T> {
    /// The thread that stands `thread`th waits for a call.
    pub(super) fn call(&mut self, thread: usize, text: Arc<str>) {
        self.call = Some(Call { thread, text, sent: false });
        if let Some(thread) = self.target.threads().get(thread) {
            // Its addresses are the call's.
            (self.general, self.moved) = (*thread, *thread);
        }
    }

    /// The packet that asks for the call that waits and was not sent.
    pub(super) fn take_call(&mut self) -> Option<String> {
        let call = self.call.as_mut().filter(|call| !call.sent)?;
        call.sent = true;
        Some(format!("F{}", call.text))
    }

    /// `F VALUE[,ERRNO[,C]]`: the client has carried the call out; `C`: and its user wants the program to stop.
    pub(super) fn called(&mut self, text: &str) -> Answer {
        let Some(call) = self.call.take_if(|call| call.sent) else { return reply("") };
        let mut parts = text.split([',', ';']);
        let mut hex = || parts.next().and_then(number).map(|(n, _)| n);
        let failed = text.starts_with('-');
        let answer = match (failed, hex()) {
            (false, Some(value)) => Ok(value),
            _ => Err(hex().and_then(|errno| i32::try_from(errno).ok()).unwrap_or(UNKNOWN)),
        };
        self.target.answer(answer);
        if text.split([',', ';']).nth(2) == Some("C") {
            return reply(self.stop_reply(SIGINT, self.moved, None));
        }
        let motion = self.orders.threads.get(call.thread).map(|order| order.motion);
        if !matches!(motion, Some(Motion::Step { .. })) {
            self.target.resume(self.orders.clone());
            return Answer::Later;
        }
        // The call was its step.
        match self.steps_on(call.thread) {
            true => Answer::Later,
            false => reply(self.stop_reply(SIGTRAP, self.moved, None)),
        }
    }
}
