//! `-object`: what devices and the machine lean on.

use super::error::Fault;
use super::optstring::OptString;
use super::props::{Kind, Prop, Props, fixed, prop};

/// A type of object, as `-object help` lists it.
#[derive(Debug, PartialEq, Eq)]
pub struct ObjectType {
    /// The name.
    pub name: &'static str,
    /// Its properties.
    pub props: &'static [Prop],
}

/// The objects.
pub static TYPES: &[ObjectType] = &[
    ObjectType { name: "iothread", props: &[] },
    ObjectType { name: "memory-backend-memfd", props: MEMFD },
    ObjectType { name: "memory-backend-ram", props: RAM },
    ObjectType { name: "rng-builtin", props: &[] },
    ObjectType { name: "rng-random", props: RNG_RANDOM },
];

/// Types that QEMU has and Mimic does not.
static OTHER_TYPES: &[&str] = &[
    "memory-backend-file",
    "memory-backend-shm",
    "rng-egd",
    "secret",
    "secret_keyring",
    "tls-creds-x509",
    "tls-creds-psk",
    "tls-creds-anon",
    "throttle-group",
    "filter-buffer",
    "filter-dump",
    "filter-mirror",
    "filter-redirector",
    "filter-replay",
    "filter-rewriter",
    "can-bus",
    "can-host-socketcan",
    "colo-compare",
    "cryptodev-backend-builtin",
    "cryptodev-backend",
    "cryptodev-vhost-user",
    "dbus-vmstate",
    "input-barrier",
    "input-linux",
    "main-loop",
    "pr-manager-helper",
    "thread-context",
    "tls-cipher-suites",
    "authz-list",
    "authz-list-file",
    "authz-simple",
    "acpi-generic-initiator",
    "acpi-generic-port",
    "qtest",
];

static RNG_RANDOM: &[Prop] =
    &[prop("filename", Kind::Text, "/dev/urandom", "file that random bytes come from")];
static RAM: &[Prop] = &[
    prop("size", Kind::Size(1), "", "size of the memory"),
    prop("share", Kind::Bool, "off", "share it with other processes"),
    prop("prealloc", Kind::Bool, "off", "take the memory from the host at start"),
    prop("merge", Kind::Bool, "on", "let the host merge equal pages"),
    prop("dump", Kind::Bool, "on", "include it in a core dump"),
    prop("reserve", Kind::Bool, "on", "reserve swap space for it"),
];
static MEMFD: &[Prop] = &[
    prop("size", Kind::Size(1), "", "size of the memory"),
    prop("share", Kind::Bool, "on", "share it with other processes"),
    prop("prealloc", Kind::Bool, "off", "take the memory from the host at start"),
    prop("merge", Kind::Bool, "on", "let the host merge equal pages"),
    prop("dump", Kind::Bool, "on", "include it in a core dump"),
    prop("reserve", Kind::Bool, "on", "reserve swap space for it"),
    prop("seal", Kind::Bool, "on", "seal its size"),
    fixed("hugetlb", Kind::Bool, "off"),
    fixed("hugetlbsize", Kind::Size(1), "0"),
];
static ID: &[Prop] = &[prop("id", Kind::Id, "", "name of the object")];

/// What an object is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ObjectKind {
    /// A thread for I/O: accepted, Mimic arranges its threads itself.
    IoThread,
    /// Guest memory.
    Memory {
        /// Bytes, not 0.
        size: u64,
        /// Shared with other processes.
        share: bool,
        /// Taken from the host at start.
        prealloc: bool,
    },
    /// Random bytes of the host's generator.
    RngBuiltin,
    /// Random bytes read from a file.
    RngRandom {
        /// The file.
        filename: String,
    },
}

/// `-object`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// The name that others use.
    pub id: String,
    /// What it is.
    pub kind: ObjectKind,
    /// As typed, for messages.
    pub origin: String,
}

impl Object {
    /// Reads one `-object`.
    pub fn read(mut settings: OptString, origin: &str) -> Result<Self, Fault> {
        let name = settings.take("qom-type").ok_or_else(|| Fault::new("names no type; 'help' lists them"))?;
        let found = TYPES.iter().find(|t| t.name == name).ok_or_else(|| {
            if OTHER_TYPES.contains(&&*name) {
                return Fault::not_available(&format!("object '{name}'"));
            }
            let names = TYPES.iter().map(|t| t.name);
            Fault::unknown(format!("there is no object type '{name}'"), &name, names)
        })?;
        let props = Props::read(settings, &[found.props, ID], &format!("the object '{name}'"))?;
        let id = props.text("id").ok_or_else(|| Fault::new("has no id; say id=NAME"))?;
        let kind = match found.name {
            "iothread" => ObjectKind::IoThread,
            "rng-builtin" => ObjectKind::RngBuiltin,
            "rng-random" => ObjectKind::RngRandom {
                filename: props.text("filename").unwrap_or("/dev/urandom").to_string(),
            },
            _ => ObjectKind::Memory {
                size: props
                    .bytes("size")
                    .filter(|size| *size > 0)
                    .ok_or_else(|| Fault::new("has no size; say size=2G"))?,
                share: props.flag("share").unwrap_or(found.name == "memory-backend-memfd"),
                prealloc: props.flag("prealloc").unwrap_or(false),
            },
        };
        Ok(Self { id: id.into(), kind, origin: origin.into() })
    }
}
