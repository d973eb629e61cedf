//! What `query-qmp-schema` answers: every command, event and type.

use super::Qapi;
use serde::Serialize;
use serde_json::Value;

/// One thing that QMP knows.
#[derive(Clone, Debug, Serialize)]
pub struct Entity {
    /// Its name.
    pub name: String,
    /// What it is.
    #[serde(flatten)]
    pub meta: Meta,
}

/// What an entity is.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "meta-type", rename_all = "kebab-case")]
pub enum Meta {
    #[serde(rename_all = "kebab-case")]
    Builtin {
        json_type: &'static str,
    },
    #[serde(rename_all = "kebab-case")]
    Array {
        element_type: String,
    },
    Enum {
        members: Vec<EnumMember>,
        values: Vec<String>,
    },
    Object {
        members: Vec<Member>,
        /// There may be members beside these.
        #[serde(skip)]
        open: bool,
    },
    #[serde(rename_all = "kebab-case")]
    Command {
        arg_type: String,
        ret_type: String,
        allow_oob: bool,
    },
    #[serde(rename_all = "kebab-case")]
    Event {
        arg_type: String,
    },
}

/// A value of an enumeration.
#[derive(Clone, Debug, Serialize)]
pub struct EnumMember {
    name: String,
}

/// A member of an object.
#[derive(Clone, Debug, Serialize)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// Name of its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// There, and null, if the member may be left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
}

/// A collection of entities.
#[derive(Debug, Default)]
pub struct Schema {
    entities: Vec<Entity>,
}

impl Schema {
    /// All of them.
    pub fn entities(&self) -> &[Entity] {
        &self.entities
    }

    /// The one of this name.
    pub fn find(&self, name: &str) -> Option<&Meta> {
        self.entities.iter().find(|entity| entity.name == name).map(|entity| &entity.meta)
    }

    /// Adds a command or an event.
    pub fn add(&mut self, name: &str, meta: Meta) {
        self.entities.push(Entity { name: name.into(), meta });
    }

    /// Adds a type unless it is there; its place is taken before its parts are described, so that it may contain itself.
    fn add_type(&mut self, name: &str, meta: impl FnOnce(&mut Self) -> Meta) -> String {
        if self.find(name).is_none() {
            let at = self.entities.len();
            self.add(name, Meta::Object { members: Vec::new(), open: false });
            self.entities[at].meta = meta(self);
        }
        name.into()
    }

    /// A type of JSON's own.
    pub fn builtin(&mut self, name: &str, json_type: &'static str) -> String {
        self.add_type(name, |_| Meta::Builtin { json_type })
    }

    /// An array.
    pub fn array(&mut self, element_type: String) -> String {
        self.add_type(&format!("[{element_type}]"), |_| Meta::Array { element_type })
    }

    /// An object; `members` describes its members.
    pub fn object(&mut self, name: &str, members: impl FnOnce(&mut Self) -> Vec<Member>) -> String {
        self.add_type(name, |schema| Meta::Object { members: members(schema), open: false })
    }

    /// Has an object take any member beside its own.
    pub fn open(&mut self, name: &str) {
        let named = self.entities.iter_mut().find(|entity| entity.name == name);
        if let Some(Meta::Object { open, .. }) = named.map(|entity| &mut entity.meta) {
            *open = true;
        }
    }

    /// One member of an object.
    pub fn member<T: Qapi>(&mut self, name: String) -> Member {
        let kind = T::describe(self);
        Member { name, kind, default: T::OPTIONAL.then_some(Value::Null) }
    }

    /// An enumeration.
    pub fn enumeration<T: Serialize>(&mut self, name: &str, values: &[T]) -> String {
        let text = |value: &T| match serde_json::to_value(value) {
            Ok(Value::String(text)) => text,
            _ => String::new(),
        };
        let values: Vec<String> = values.iter().map(text).collect();
        let members = values.iter().map(|name| EnumMember { name: name.clone() }).collect();
        self.add_type(name, |_| Meta::Enum { members, values })
    }
}
