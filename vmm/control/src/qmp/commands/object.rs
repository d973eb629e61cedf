//! Objects: the tree that clients walk, types, and plugging while the machine runs.

use super::machine::cpu_path;
use crate::context::{Context, DeviceInfo, Part, PropertyInfo};
use crate::qapi::{Empty, Open};
use crate::qmp::command::Answer;
use crate::qmp::{Class, Error};
use serde_json::{Value, json};
use std::sync::Arc;

commands! {
    "qom-list" qom_list;
    "qom-get" qom_get;
    "qom-list-types" qom_list_types;
    "qom-list-properties" properties;
    "device-list-properties" properties;
    "device_add" device_add;
    "device_del" device_del;
    "object-add" object_add;
    "object-del" object_del;
}

qapi_struct! {
    /// Arguments of `qom-list`.
    Where {
        /// The object.
        path: String,
    }
    /// A property of an object.
    ObjectPropertyInfo {
        /// Its name.
        name: String,
        /// Its type.
        r#type = "type": String,
        /// What it is.
        description: Option<String>,
    }
    /// Arguments of `qom-get`.
    Which {
        /// The object.
        path: String,
        /// The property.
        property: String,
    }
    /// Arguments of `qom-list-types`.
    Types {
        /// What they implement.
        implements: Option<String>,
        /// With those that are only a basis.
        r#abstract = "abstract": Option<bool>,
    }
    /// A type.
    ObjectTypeInfo {
        /// Its name.
        name: String,
        /// What it is a kind of.
        parent: Option<String>,
    }
    /// Arguments of `device-list-properties` and `qom-list-properties`.
    OfType {
        /// The type.
        typename: String,
    }
    /// Arguments of `device_add`, beside the properties of the type.
    DeviceAdd {
        /// The type.
        driver: String,
        /// The bus that it is plugged into.
        bus: Option<String>,
        /// Its id.
        id: Option<String>,
    }
    /// Arguments of `object-add`, beside the properties of the type.
    ObjectAdd {
        /// The type.
        qom_type: String,
        /// Its id.
        id: String,
    }
    /// Arguments of `device_del` and `object-del`.
    WhichPart {
        /// Its id.
        id: String,
    }
}

/// An object of the tree: its path, its type, and its properties beyond those that all have.
struct Object {
    path: String,
    kind: String,
    properties: Vec<(&'static str, &'static str, Value)>,
}

fn objects(context: &Context) -> Vec<Object> {
    let plain =
        |path: &str, kind: &str| Object { path: path.into(), kind: kind.into(), properties: Vec::new() };
    let mut all = vec![
        plain("/machine", &format!("{}-machine", context.facts.machine)),
        plain("/machine/peripheral", "container"),
        plain("/machine/peripheral-anon", "container"),
        plain("/machine/unattached", "container"),
        plain("/objects", "container"),
        plain("/chardevs", "container"),
    ];
    let device = || common(false);
    for n in 0..context.facts.cpus {
        all.push(Object { path: cpu_path(n), kind: context.facts.cpu_type.clone(), properties: device() });
    }
    for (n, (_, chip)) in context.devices.iter().enumerate() {
        let path = cpu_path(context.facts.cpus + n as u32);
        all.push(Object { path, kind: chip.lock().name().into(), properties: device() });
    }
    for info in context.host.devices() {
        all.extend(plugged(info));
    }
    all
}

/// What every device has.
fn common(hotplugged: bool) -> Vec<(&'static str, &'static str, Value)> {
    vec![
        ("realized", "bool", json!(true)),
        ("hotplugged", "bool", json!(hotplugged)),
        ("hotpluggable", "bool", json!(true)),
    ]
}

/// A device of the user's, and the part of a virtio device that is the same on every bus.
fn plugged(info: DeviceInfo) -> Vec<Object> {
    let mut properties = common(info.hotplugged);
    properties.push(("parent_bus", "link<bus>", json!(info.bus)));
    properties.extend(info.address.map(|address| ("addr", "str", json!(address))));
    let given = info.properties.into_iter().filter(|(name, _)| !matches!(*name, "id" | "bus" | "addr"));
    properties.extend(given.map(|(name, value)| (name, "str", json!(value))));
    let behind = virtio_backend(&info.path, info.driver).map(|(path, kind)| Object {
        path,
        kind,
        properties: common(info.hotplugged),
    });
    let device = Object { path: info.path, kind: info.driver.into(), properties };
    std::iter::once(device).chain(behind).collect()
}

/// Where the part of a virtio device is that is the same on every bus, and its type.
pub fn virtio_backend(path: &str, driver: &str) -> Option<(String, String)> {
    let name = driver.strip_suffix("-pci").filter(|name| name.starts_with("virtio-"))?;
    Some((format!("{path}/virtio-backend"), format!("{name}-device")))
}

/// The path in its usual form.
fn canonical(path: &str) -> String {
    let path = path.trim_end_matches('/');
    if path.is_empty() { String::new() } else { path.into() }
}

fn find(context: &Context, path: &str) -> Answer<Option<Object>> {
    let wanted = canonical(path);
    if wanted.is_empty() {
        return Ok(None);
    }
    let found = objects(context).into_iter().find(|object| object.path == wanted);
    let missing = || Error::of(Class::DeviceNotFound, format!("Device '{path}' not found"));
    found.map(Some).ok_or_else(missing)
}

fn qom_list(context: &Arc<Context>, at: Where) -> Answer<Vec<ObjectPropertyInfo>> {
    let object = find(context, &at.path)?;
    let prefix = canonical(&at.path) + "/";
    let info =
        |name: &str, kind: String| ObjectPropertyInfo { name: name.into(), r#type: kind, description: None };
    let mut list = vec![info("type", "string".into())];
    if let Some(object) = object {
        list.extend(object.properties.iter().map(|(name, kind, _)| info(name, (*kind).into())));
    }
    for child in objects(context) {
        if let Some(name) = child.path.strip_prefix(&prefix).filter(|name| !name.contains('/')) {
            list.push(info(name, format!("child<{}>", child.kind)));
        }
    }
    Ok(list)
}

fn qom_get(context: &Arc<Context>, which: Which) -> Answer<Value> {
    let object = find(context, &which.path)?;
    let kind = object.as_ref().map_or("container", |object| &object.kind);
    if which.property == "type" {
        return Ok(json!(kind));
    }
    let mut properties = object.iter().flat_map(|object| &object.properties);
    let found = properties.find(|(name, ..)| *name == which.property).map(|(_, _, value)| value.clone());
    found.ok_or_else(|| Error::new(format!("Property '{kind}.{}' not found", which.property)))
}

/// Types of the devices and of the CPU that there are.
fn types(context: &Context) -> Vec<ObjectTypeInfo> {
    let mut names: Vec<(String, &str)> = context
        .devices
        .iter()
        .map(|(_, device)| (device.lock().name().to_string(), "device"))
        .chain([
            (context.facts.cpu_type.clone(), "cpu"),
            (format!("{}-machine", context.facts.machine), "machine"),
        ])
        .chain(context.host.device_types().into_iter().map(|name| (name.to_string(), "device")))
        .collect();
    names.sort();
    names.dedup();
    names.into_iter().map(|(name, parent)| ObjectTypeInfo { name, parent: Some(parent.into()) }).collect()
}

fn qom_list_types(context: &Arc<Context>, wanted: Types) -> Answer<Vec<ObjectTypeInfo>> {
    let fits = |info: &ObjectTypeInfo| wanted.implements.is_none() || wanted.implements == info.parent;
    Ok(types(context).into_iter().filter(fits).collect())
}

fn properties(context: &Arc<Context>, of: OfType) -> Answer<Vec<ObjectPropertyInfo>> {
    let info = |PropertyInfo { name, kind, about }: PropertyInfo| ObjectPropertyInfo {
        name: name.into(),
        r#type: kind,
        description: Some(about.to_string()).filter(|about| !about.is_empty()),
    };
    if let Some(properties) = context.host.device_properties(&of.typename) {
        return Ok(properties.into_iter().map(info).collect());
    }
    if types(context).iter().any(|info| info.name == of.typename) {
        return Ok(Vec::new());
    }
    Err(Error::of(Class::DeviceNotFound, format!("Device '{}' not found", of.typename)))
}

fn device_add(context: &Arc<Context>, device: Open<DeviceAdd>) -> Answer<Empty> {
    context.host.add(Part::Device, &device.members.to_string())?;
    Ok(Empty {})
}

fn device_del(context: &Arc<Context>, which: WhichPart) -> Answer<Empty> {
    context.host.remove(Part::Device, &which.id)?;
    Ok(Empty {})
}

fn object_add(context: &Arc<Context>, object: Open<ObjectAdd>) -> Answer<Empty> {
    context.host.add(Part::Object, &object.members.to_string())?;
    Ok(Empty {})
}

fn object_del(context: &Arc<Context>, which: WhichPart) -> Answer<Empty> {
    context.host.remove(Part::Object, &which.id)?;
    Ok(Empty {})
}
