//! QMP: JSON commands, answers and events, as QEMU's "QMP Protocol Specification" has them.
//!
//! Commands are functions of two arguments in `commands/`, with a row each in the table of their file. A client first
//! negotiates capabilities; then it may send any command.

#[macro_use]
mod command;
mod commands;
mod error;
mod event;
mod input;
mod json;

pub use commands::{tables, virtio_backend};
pub use error::{Class, Error};

use crate::context::{Context, Facts};
use crate::session::{Outlet, Protocol};
use command::{find, parse};
use engine::Event;
use input::Input;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// Carries out the command `name`, for those who speak no QMP themselves.
pub fn call(context: &Arc<Context>, name: &str, arguments: Value) -> Result<Value, Error> {
    (find(&tables(), name)?.run)(context, arguments)
}

/// One conversation in QMP.
pub struct Qmp {
    context: Arc<Context>,
    pretty: bool,
    input: Input,
    /// Somebody is there.
    open: bool,
    /// Capabilities are negotiated: commands are taken, and events told.
    ready: bool,
    /// `exec-oob` is among them.
    oob: bool,
}

/// `{"qemu": {...}, "package": ...}`.
fn version(facts: &Facts) -> Value {
    let [major, minor, micro] = facts.version;
    json!({"qemu": {"micro": micro, "minor": minor, "major": major}, "package": facts.package})
}

impl Qmp {
    /// A conversation about the machine of `context`, in lines or, `pretty`, indented.
    pub fn new(context: Arc<Context>, pretty: bool) -> Self {
        Self { context, pretty, input: Input::default(), open: false, ready: false, oob: false }
    }

    fn say(&self, value: &Value, out: &Outlet) {
        out.send(&json::text(value, self.pretty));
    }

    fn answer(&mut self, message: &Value) -> Value {
        let result = parse(message, self.oob).and_then(|message| {
            if self.ready {
                let command = find(&tables(), &message.name)?;
                if message.oob && !command.oob {
                    return Err(Error::new(format!("The command {} does not support OOB", message.name)));
                }
                return (command.run)(&self.context, message.arguments);
            }
            if message.name != "qmp_capabilities" {
                let what = "Expecting capabilities negotiation with 'qmp_capabilities'";
                return Err(Error::of(Class::CommandNotFound, what));
            }
            let oob = message.arguments["enable"].as_array().is_some_and(|all| all.contains(&json!("oob")));
            commands::negotiate(&self.context, message.arguments)?;
            (self.ready, self.oob) = (true, oob);
            Ok(json!({}))
        });
        let mut answer = Map::new();
        match result {
            Ok(value) => answer.insert("return".into(), value),
            Err(error) => answer.insert("error".into(), json!({"class": error.class, "desc": error.desc})),
        };
        if let Some(id) = message.get("id") {
            answer.insert("id".into(), id.clone());
        }
        Value::Object(answer)
    }
}

impl Protocol for Qmp {
    fn opened(&mut self, out: &Outlet) {
        (self.input, self.ready, self.oob, self.open) = (Input::default(), false, false, true);
        let greeting = json!({"QMP": {"version": version(&self.context.facts), "capabilities": ["oob"]}});
        self.say(&greeting, out);
    }

    fn closed(&mut self) {
        (self.ready, self.open) = (false, false);
    }

    fn input(&mut self, bytes: &[u8], out: &Outlet) {
        for &byte in bytes {
            let answer = match self.input.take(byte) {
                None => continue,
                Some(Ok(message)) => self.answer(&message),
                Some(Err(fault)) => json!({"error": {"class": Class::GenericError, "desc": fault}}),
            };
            self.say(&answer, out);
        }
    }

    fn event(&mut self, event: Event, out: &Outlet) {
        if let Some(event) = event::message(event).filter(|_| self.open && self.ready) {
            self.say(&event, out);
        }
    }
}
