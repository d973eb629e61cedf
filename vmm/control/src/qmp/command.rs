//! A command of QMP: a typed function, and what follows from its type.

use super::error::{Class, Error};
use crate::context::Context;
use crate::qapi::{Meta, Qapi, Schema, check};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::sync::Arc;

/// What a command gives.
pub type Answer<T> = Result<T, Error>;

/// One row of the tables of commands.
pub struct Command {
    /// Its name.
    pub name: &'static str,
    /// Puts it and its types into a schema.
    pub describe: fn(&mut Schema, &str),
    /// It takes no time, and can be carried out before those that wait (`exec-oob`).
    pub oob: bool,
    /// Carries it out with these arguments.
    pub run: fn(&Arc<Context>, Value) -> Answer<Value>,
}

/// Rows: `"name" function;`, and `"name" function, oob;` for those of `exec-oob`. A function takes the context and its arguments, which are an object.
macro_rules! commands {
    ($($name:literal $function:path $(, $oob:ident)?;)*) => {
        /// The commands of this file.
        pub static COMMANDS: &[crate::qmp::command::Command] = &[$(crate::qmp::command::Command {
            name: $name,
            oob: { const OOB: &[&str] = &[$(stringify!($oob))?]; !OOB.is_empty() },
            describe: |schema, name| crate::qmp::command::describe(schema, name, $function),
            run: |context, arguments| crate::qmp::command::run(context, arguments, $function),
        },)*];
    };
}

type Function<A, R> = fn(&Arc<Context>, A) -> Answer<R>;

/// Puts a command into `schema`.
pub fn describe<A: Qapi, R: Qapi>(schema: &mut Schema, name: &str, _: Function<A, R>) {
    let (arg_type, ret_type) = (A::describe(schema), R::describe(schema));
    let allow_oob = find(&super::tables(), name).is_ok_and(|command| command.oob);
    schema.add(name, Meta::Command { arg_type, ret_type, allow_oob });
}

/// Checks the arguments, and calls the function.
pub fn run<A: Qapi + DeserializeOwned, R: Serialize>(
    context: &Arc<Context>,
    arguments: Value,
    function: Function<A, R>,
) -> Answer<Value> {
    let mut schema = Schema::default();
    let name = A::describe(&mut schema);
    check(&schema, &name, &arguments, "").map_err(Error::new)?;
    let arguments = serde_json::from_value(arguments).map_err(|fault| Error::new(fault.to_string()))?;
    let value = function(context, arguments)?;
    serde_json::to_value(value).map_err(|fault| Error::new(fault.to_string()))
}

/// A message of a client, taken apart.
pub struct Message {
    /// The command.
    pub name: String,
    /// Its arguments.
    pub arguments: Value,
    /// It is to be carried out before those that wait.
    pub oob: bool,
}

/// Takes a message apart, but for its id; `oob`: `exec-oob` was agreed upon.
pub fn parse(message: &Value, oob: bool) -> Answer<Message> {
    let Value::Object(members) = message else { return Err(Error::new("QMP input must be a JSON object")) };
    let mut named: Option<(&str, String)> = None;
    let mut arguments = json!({});
    for (key, value) in members {
        match (&**key, value) {
            ("execute" | "exec-oob", _) if oob && named.is_some() => {
                return Err(Error::new("QMP input member 'exec-oob' clashes with 'execute'"));
            }
            ("execute", Value::String(text)) => named = Some((key, text.clone())),
            ("exec-oob", Value::String(text)) if oob => named = Some((key, text.clone())),
            ("execute", _) => return Err(must_be(key, "string")),
            ("exec-oob", _) if oob => return Err(must_be(key, "string")),
            ("arguments", Value::Object(_)) => arguments = value.clone(),
            ("arguments", _) => return Err(must_be(key, "object")),
            ("id", _) => {}
            _ => return Err(Error::new(format!("QMP input member '{key}' is unexpected"))),
        }
    }
    let (key, name) = named.ok_or_else(|| Error::new("QMP input lacks member 'execute'"))?;
    Ok(Message { name, arguments, oob: key == "exec-oob" })
}

fn must_be(member: &str, what: &str) -> Error {
    let article = if what == "object" { "an" } else { "a" };
    Error::new(format!("QMP input member '{member}' must be {article} {what}"))
}

/// The command of this name among `tables`.
pub fn find(tables: &[&'static [Command]], name: &str) -> Answer<&'static Command> {
    let found = tables.iter().flat_map(|table| table.iter()).find(|command| command.name == name);
    found.ok_or_else(|| Error::of(Class::CommandNotFound, format!("The command {name} has not been found")))
}
