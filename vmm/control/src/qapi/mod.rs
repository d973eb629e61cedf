//! Types of QMP: written down once as Rust types, with serde's reading and writing, and described to clients.
//!
//! [`qapi_struct!`] and [`qapi_enum!`] make a type; [`Qapi`] puts it into a [`Schema`], which `query-qmp-schema` answers
//! with and arguments are checked by. From: QEMU's documentation, "QAPI" (Introspection).

mod check;
mod schema;

pub use check::check;
pub use schema::{Meta, Schema};

use serde::de::{Deserialize, Deserializer};
use serde_json::Value;
use std::marker::PhantomData;

/// A type that QMP knows.
pub trait Qapi {
    /// Whether a member of this type may be left out.
    const OPTIONAL: bool = false;
    /// Puts the type into `schema`, if it is not there; gives its name in it.
    fn describe(schema: &mut Schema) -> String;
    /// Whether it is left out where it is optional.
    fn absent(&self) -> bool {
        false
    }
}

macro_rules! builtin {
    ($($type:ty => $name:literal $json:literal;)*) => {
        $(impl Qapi for $type {
            fn describe(schema: &mut Schema) -> String {
                schema.builtin($name, $json)
            }
        })*
    };
}

builtin! {
    String => "str" "string";
    bool => "bool" "boolean";
    i64 => "int" "int";
    i32 => "int" "int";
    u64 => "int" "int";
    u32 => "int" "int";
    f64 => "number" "number";
    Value => "any" "value";
}

impl<T: Qapi> Qapi for Option<T> {
    const OPTIONAL: bool = true;

    fn describe(schema: &mut Schema) -> String {
        T::describe(schema)
    }

    fn absent(&self) -> bool {
        self.is_none()
    }
}

impl<T: Qapi> Qapi for Vec<T> {
    fn describe(schema: &mut Schema) -> String {
        let element = T::describe(schema);
        schema.array(element)
    }
}

/// An object with the members of `T`, and with others that depend on what these say.
#[derive(Clone, Debug)]
pub struct Open<T> {
    /// The object as it came.
    pub members: Value,
    kind: PhantomData<T>,
}

impl<'de, T> Deserialize<'de> for Open<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(Self { members: Value::deserialize(from)?, kind: PhantomData })
    }
}

impl<T: Qapi> Qapi for Open<T> {
    fn describe(schema: &mut Schema) -> String {
        let name = T::describe(schema);
        schema.open(&name);
        name
    }
}

/// For serde: whether a member is left out.
pub fn absent<T: Qapi>(value: &T) -> bool {
    value.absent()
}

/// Objects. A member's name is that of the field with dashes, unless it is given: `field = "name": type`.
macro_rules! qapi_struct {
    ($($(#[$meta:meta])* $name:ident {
        $($(#[$field_meta:meta])* $field:ident $(= $wire:literal)? : $type:ty,)*
    })*) => {
        $(
            $(#[$meta])*
            #[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
            #[serde(rename_all = "kebab-case", deny_unknown_fields)]
            pub struct $name {
                $($(#[$field_meta])* $(#[serde(rename = $wire)])?
                #[serde(skip_serializing_if = "crate::qapi::absent")]
                pub $field: $type,)*
            }

            impl crate::qapi::Qapi for $name {
                fn describe(schema: &mut crate::qapi::Schema) -> String {
                    schema.object(stringify!($name), |_schema| vec![$({
                        let wire: &[&str] = &[$($wire)?];
                        let name = wire.first().map_or_else(
                            || stringify!($field).trim_start_matches("r#").replace('_', "-"),
                            |name| (*name).to_string(),
                        );
                        _schema.member::<$type>(name)
                    },)*])
                }
            }
        )*
    };
}

/// Enumerations. A value's name is that of the variant in small letters with dashes.
macro_rules! qapi_enum {
    ($($(#[$meta:meta])* $name:ident { $($(#[$value_meta:meta])* $value:ident,)* })*) => {
        $(
            $(#[$meta])*
            #[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
            #[serde(rename_all = "kebab-case")]
            #[allow(clippy::enum_variant_names)] // They are QEMU's.
            pub enum $name { $($(#[$value_meta])* $value,)* }

            impl crate::qapi::Qapi for $name {
                fn describe(schema: &mut crate::qapi::Schema) -> String {
                    schema.enumeration(stringify!($name), &[$(Self::$value,)*])
                }
            }
        )*
    };
}

qapi_struct! {
    /// No arguments, or nothing to say.
    Empty {}
}
