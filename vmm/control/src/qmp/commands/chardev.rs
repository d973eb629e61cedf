//! Character devices.

use crate::context::{CharInfo, Context, Part};
use crate::qapi::Empty;
use crate::qmp::Error;
use crate::qmp::command::Answer;
use serde_json::{Map, Value, json};
use std::sync::Arc;

commands! {
    "query-chardev" query_chardev;
    "query-chardev-backends" query_chardev_backends;
    "chardev-add" chardev_add;
    "chardev-remove" chardev_remove;
}

qapi_struct! {
    /// A character device.
    ChardevInfo {
        /// Its id.
        label: String,
        /// What it is.
        filename: String,
        /// Something in the machine uses it.
        frontend_open: bool,
    }
    /// What a character device is: a kind, and `data` that depends on it.
    ChardevBackend {
        /// The kind.
        r#type = "type": String,
        /// The rest.
        data: Value,
    }
    /// Arguments of `chardev-add`.
    ChardevAdd {
        /// Its id.
        id: String,
        /// What it is.
        backend: ChardevBackend,
    }
    /// What there is to know of a new one.
    ChardevReturn {
        /// The pseudo terminal that it is.
        pty: Option<String>,
    }
    /// Arguments of `chardev-remove`.
    ChardevRemove {
        /// Its id.
        id: String,
    }
    /// A kind of character device.
    ChardevBackendInfo {
        /// Its name.
        name: String,
    }
}

fn query_chardev(context: &Arc<Context>, _: Empty) -> Answer<Vec<ChardevInfo>> {
    let info = |CharInfo { label, filename, used }| ChardevInfo { label, filename, frontend_open: used };
    Ok(context.host.chardevs().into_iter().map(info).collect())
}

fn query_chardev_backends(_: &Arc<Context>, _: Empty) -> Answer<Vec<ChardevBackendInfo>> {
    let names = ["null", "stdio", "file", "pipe", "pty", "socket"];
    Ok(names.iter().map(|name| ChardevBackendInfo { name: (*name).into() }).collect())
}

fn chardev_add(context: &Arc<Context>, add: ChardevAdd) -> Answer<ChardevReturn> {
    let ChardevBackend { r#type: kind, data } = add.backend;
    let Value::Object(data) = data else {
        return Err(Error::new("Invalid parameter type for 'backend.data', expected: object"));
    };
    let mut settings = Map::from_iter([("backend".into(), json!(kind)), ("id".into(), json!(&add.id))]);
    for (name, value) in data {
        // On the command line the address stands beside the rest, and a file is called a path.
        let name = match &*name {
            "addr" => {
                let place = value.get("data").and_then(Value::as_object);
                let place =
                    place.ok_or_else(|| Error::new("Parameter 'backend.data.addr.data' is missing"))?;
                settings.extend(place.iter().map(|(name, value)| (as_option(name), value.clone())));
                continue;
            }
            "out" | "device" => "path",
            "in" => "input-path",
            other => other,
        };
        settings.insert(name.into(), value);
    }
    if kind == "socket" {
        // Without a word it listens, and nobody waits: other than on the command line.
        let server = settings.entry("server").or_insert(json!(true)) == &json!(true);
        if server {
            settings.entry("wait").or_insert(json!(false));
        }
    }
    context.host.add(Part::Chardev, &Value::Object(settings).to_string())?;
    let added = context.host.chardevs().into_iter().find(|chardev| chardev.label == add.id);
    let pty = added.and_then(|chardev| chardev.filename.strip_prefix("pty:").map(String::from));
    Ok(ChardevReturn { pty })
}

/// The name that a member of a socket's address has on the command line.
fn as_option(name: &str) -> String {
    if name == "str" { "fd".into() } else { name.into() }
}

fn chardev_remove(context: &Arc<Context>, which: ChardevRemove) -> Answer<Empty> {
    context.host.remove(Part::Chardev, &which.id)?;
    Ok(Empty {})
}
