//! What comes and goes while the machine runs.

use super::machine::failure;
use super::{Call, split};
use crate::context::Part;

fn add(call: &Call, part: Part, words: &str) -> String {
    failure(call.context.host.add(part, words).map_err(|fault| fault.desc))
}

fn remove(call: &Call, part: Part) -> String {
    failure(call.context.host.remove(part, call.rest).map_err(|fault| fault.desc))
}

pub fn device_add(call: &mut Call) -> String {
    add(call, Part::Device, call.rest)
}

pub fn device_del(call: &mut Call) -> String {
    remove(call, Part::Device)
}

pub fn netdev_add(call: &mut Call) -> String {
    add(call, Part::Netdev, call.rest)
}

pub fn netdev_del(call: &mut Call) -> String {
    remove(call, Part::Netdev)
}

pub fn chardev_add(call: &mut Call) -> String {
    add(call, Part::Chardev, call.rest)
}

pub fn chardev_remove(call: &mut Call) -> String {
    remove(call, Part::Chardev)
}

pub fn object_add(call: &mut Call) -> String {
    add(call, Part::Object, call.rest)
}

pub fn object_del(call: &mut Call) -> String {
    remove(call, Part::Object)
}

/// The first word is an address, which a drive with `if=none` has no use for.
pub fn drive_add(call: &mut Call) -> String {
    let (address, words) = split(call.rest.trim_start_matches("-n").trim_start());
    if address.is_empty() || words.is_empty() {
        return "drive_add: string expected\nTry \"help drive_add\" for more information\n".into();
    }
    match call.context.host.add(Part::Drive, words) {
        Ok(()) => "OK\n".into(),
        Err(fault) => fault.desc + "\n",
    }
}

pub fn drive_del(call: &mut Call) -> String {
    let removed = call.context.host.remove(Part::Drive, call.rest);
    removed.err().map_or(String::new(), |fault| fault.desc + "\n")
}

/// A network's name before the rule, if there is one.
fn rule<'a>(call: &Call<'a>) -> (Option<&'a str>, &'a str) {
    match split(call.rest) {
        (rule, "") => (None, rule),
        (netdev, rule) => (Some(netdev), rule),
    }
}

pub fn hostfwd_add(call: &mut Call) -> String {
    let (netdev, rule) = rule(call);
    match call.context.host.forward(netdev, rule) {
        Ok(()) => String::new(),
        Err(fault) => format!("{fault}\n"),
    }
}

pub fn hostfwd_remove(call: &mut Call) -> String {
    let (netdev, rule) = rule(call);
    match call.context.host.forward_no_more(netdev, rule) {
        Ok(true) => format!("host forwarding rule for {rule} removed\n"),
        Ok(false) => format!("host forwarding rule for {rule} not found\n"),
        Err(fault) => format!("{fault}\n"),
    }
}

pub fn usernet(call: &mut Call) -> String {
    call.context.host.forwards()
}
