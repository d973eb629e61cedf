//! What this QMP is able to do.

use crate::context::{Context, PropertyInfo};
use crate::qapi::{Empty, Schema};
use crate::qmp::command::{Answer, Command};
use crate::qmp::{Error, event, tables};
use serde_json::Value;
use std::sync::Arc;

commands! {
    "query-commands" query_commands;
    "query-qmp-schema" query_qmp_schema;
    "query-version" query_version;
    "query-command-line-options" query_command_line_options;
}

qapi_struct! {
    /// The name of a command.
    CommandInfo {
        /// It.
        name: String,
    }
    /// Three numbers.
    VersionTriple {
        /// The first.
        major: i64,
        /// The second.
        minor: i64,
        /// The third.
        micro: i64,
    }
    /// A version of QEMU.
    VersionInfo {
        /// The numbers.
        qemu: VersionTriple,
        /// What the distribution adds.
        package: String,
    }
    /// Arguments of `query-command-line-options`.
    WhichOption {
        /// Its name; all without it.
        option: Option<String>,
    }
    /// A parameter of an option.
    CommandLineParameterInfo {
        /// Its name.
        name: String,
        /// Its type.
        r#type = "type": String,
        /// What it does.
        help: Option<String>,
    }
    /// An option.
    CommandLineOptionInfo {
        /// Its name.
        option: String,
        /// Its parameters.
        parameters: Vec<CommandLineParameterInfo>,
    }
}

fn all() -> impl Iterator<Item = &'static Command> {
    tables().into_iter().flatten()
}

fn query_commands(_: &Arc<Context>, _: Empty) -> Answer<Vec<CommandInfo>> {
    Ok(all().map(|command| CommandInfo { name: command.name.into() }).collect())
}

fn query_qmp_schema(_: &Arc<Context>, _: Empty) -> Answer<Vec<Value>> {
    let mut schema = Schema::default();
    for command in all() {
        (command.describe)(&mut schema, command.name);
    }
    event::describe(&mut schema);
    let entities = schema.entities().iter().map(serde_json::to_value).collect::<Result<_, _>>();
    entities.map_err(|fault| Error::new(fault.to_string()))
}

fn query_version(context: &Arc<Context>, _: Empty) -> Answer<VersionInfo> {
    let [major, minor, micro] = context.facts.version.map(i64::from);
    Ok(VersionInfo { qemu: VersionTriple { major, minor, micro }, package: context.facts.package.clone() })
}

fn query_command_line_options(
    context: &Arc<Context>,
    which: WhichOption,
) -> Answer<Vec<CommandLineOptionInfo>> {
    let wanted = |name: &str| which.option.as_deref().is_none_or(|wanted| wanted == name);
    let parameter = |info: PropertyInfo| CommandLineParameterInfo {
        name: info.name.into(),
        r#type: info.kind,
        help: Some(info.about.to_string()).filter(|about| !about.is_empty()),
    };
    let all = context.host.command_line_options().into_iter().filter(|(name, _)| wanted(name));
    let found: Vec<_> = all
        .map(|(name, parameters)| CommandLineOptionInfo {
            option: name.into(),
            parameters: parameters.into_iter().map(parameter).collect(),
        })
        .collect();
    match which.option {
        Some(name) if found.is_empty() => Err(Error::new(format!("invalid option name: {name}"))),
        _ => Ok(found),
    }
}
