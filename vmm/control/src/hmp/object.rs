//! The tree of objects, for people.

use super::{Call, machine, split};
use crate::qmp;
use serde_json::{Value, json};

pub fn qom_list(call: &mut Call) -> String {
    let path = if call.rest.is_empty() { "/" } else { call.rest };
    match qmp::call(call.context, "qom-list", json!({"path": path})) {
        Ok(list) => list.as_array().into_iter().flatten().map(|row| line(row) + "\n").collect(),
        Err(error) => machine::failure(Err(error.desc)),
    }
}

/// `NAME (TYPE)`.
fn line(property: &Value) -> String {
    let text = |member: &str| property[member].as_str().unwrap_or_default().to_string();
    format!("{} ({})", text("name"), text("type"))
}

pub fn qom_get(call: &mut Call) -> String {
    let (path, property) = split(call.rest);
    if property.is_empty() {
        return "qom-get: expects a path and the name of a property\nTry \"help qom-get\" for more information\n".into();
    }
    match qmp::call(call.context, "qom-get", json!({"path": path, "property": property})) {
        Ok(value) => format!("{value:#}\n"),
        Err(error) => machine::failure(Err(error.desc)),
    }
}

pub fn qom_tree(call: &mut Call) -> String {
    let path = if call.rest.is_empty() { "/machine" } else { call.rest };
    let kind = qmp::call(call.context, "qom-get", json!({"path": path, "property": "type"}));
    match kind {
        Ok(kind) => branch(call, path, path, kind.as_str().unwrap_or_default(), 0),
        Err(error) => machine::failure(Err(error.desc)),
    }
}

/// The object at `path`, shown as `name`, and all below it.
fn branch(call: &Call, path: &str, name: &str, kind: &str, depth: usize) -> String {
    let mut text = format!("{:indent$}{name} ({kind})\n", "", indent = 2 * depth);
    let list = qmp::call(call.context, "qom-list", json!({"path": path})).unwrap_or_default();
    for child in list.as_array().into_iter().flatten() {
        let child_kind =
            child["type"].as_str().and_then(|kind| kind.strip_prefix("child<")?.strip_suffix('>'));
        let (Some(kind), Some(name)) = (child_kind, child["name"].as_str()) else { continue };
        let path = format!("{}/{name}", path.trim_end_matches('/'));
        text += &branch(call, &path, &format!("/{name}"), kind, depth + 1);
    }
    text
}
