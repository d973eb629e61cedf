//! Whether arguments are of their type, with QEMU's sentences where they are not.

use super::schema::{Meta, Schema};
use serde_json::Value;

/// Checks `value` against the type `name` of `schema`; `path` says where it stands, empty for the arguments themselves.
pub fn check(schema: &Schema, name: &str, value: &Value, path: &str) -> Result<(), String> {
    let expected = |what: &str| {
        let path = if path.is_empty() { "arguments" } else { path };
        Err(format!("Invalid parameter type for '{path}', expected: {what}"))
    };
    match schema.find(name) {
        Some(Meta::Builtin { json_type }) => match (*json_type, value) {
            ("string", Value::String(_)) | ("boolean", Value::Bool(_)) | ("number", Value::Number(_)) => {
                Ok(())
            }
            ("int", Value::Number(number)) if number.is_i64() || number.is_u64() => Ok(()),
            ("value", _) => Ok(()),
            ("int", _) => expected("integer"),
            (json_type, _) => expected(json_type),
        },
        Some(Meta::Array { element_type }) => {
            let Value::Array(items) = value else { return expected("array") };
            items
                .iter()
                .enumerate()
                .try_for_each(|(n, item)| check(schema, element_type, item, &format!("{path}[{n}]")))
        }
        Some(Meta::Enum { values, .. }) => {
            let Value::String(text) = value else { return expected("string") };
            if values.contains(text) {
                return Ok(());
            }
            Err(format!("Parameter '{path}' does not accept value '{text}'"))
        }
        Some(Meta::Object { members, open }) => {
            let Value::Object(given) = value else { return expected("object") };
            let inside =
                |name: &str| if path.is_empty() { name.to_string() } else { format!("{path}.{name}") };
            for member in members {
                match given.get(&member.name) {
                    Some(value) => check(schema, &member.kind, value, &inside(&member.name))?,
                    None if member.default.is_none() => {
                        return Err(format!("Parameter '{}' is missing", inside(&member.name)));
                    }
                    None => {}
                }
            }
            match given.keys().find(|key| members.iter().all(|member| member.name != **key)) {
                Some(key) if !open => Err(format!("Parameter '{}' is unexpected", inside(key))),
                _ => Ok(()),
            }
        }
        Some(Meta::Command { .. } | Meta::Event { .. }) | None => Ok(()),
    }
}
