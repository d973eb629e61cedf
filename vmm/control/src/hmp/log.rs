//! Commands about the log, and about what makes it complete.
//!
//! QEMU's trace events are the log's items here: there is one way to be told of something.

use super::machine::failure;
use super::{Call, split};
use engine::Chaining;

/// What `trace on` logs.
const TRACED: [&str; 2] = ["exec", "int"];

pub fn log(call: &mut Call) -> String {
    if matches!(call.rest, "help" | "?") {
        return call.context.host.log_help();
    }
    let words: Vec<String> = call.rest.split(',').map(String::from).collect();
    choose(call, &words)
}

pub fn logfile(call: &mut Call) -> String {
    failure(call.context.host.log_file(call.rest))
}

pub fn one_insn_per_tb(call: &mut Call) -> String {
    let one = match call.rest {
        "" | "on" => true,
        "off" => false,
        other => return format!("Error: unexpected option {other}\n"),
    };
    let done = move |cpus: &mut dyn engine::Cpus| cpus.cpu(0).map(|cpu| cpu.code().set_one_insn(one));
    call.context.power.with_cpus(done);
    String::new()
}

pub fn trace(call: &mut Call) -> String {
    match call.rest {
        "on" => switch(call, &TRACED, true),
        "off" => switch(call, &TRACED, false),
        _ => "Error: say on or off\n".into(),
    }
}

pub fn trace_event(call: &mut Call) -> String {
    let (name, how) = split(call.rest);
    let known = call.context.host.log_items().iter().any(|(item, _)| *item == name);
    match how {
        _ if !known => format!("Error: unknown event \"{name}\"\n"),
        "on" => switch(call, &[name], true),
        "off" => switch(call, &[name], false),
        _ => "Error: say on or off\n".into(),
    }
}

pub fn trace_events(call: &mut Call) -> String {
    let line = |(name, on): (&str, bool)| format!("{name} : state {}\n", u8::from(on));
    call.context.host.log_items().into_iter().map(line).collect()
}

/// Switches `names` on or off, and leaves others as they are.
fn switch(call: &Call, names: &[&str], on: bool) -> String {
    let items = call.context.host.log_items().into_iter();
    let wanted = items.filter(|(name, was)| if names.contains(name) { on } else { *was });
    let mut words: Vec<String> = wanted.map(|(name, _)| name.into()).collect();
    if words.is_empty() {
        words.push("none".into());
    }
    choose(call, &words)
}

/// Has the items of these names be logged, and no others; those about each block see each from now on.
fn choose(call: &Call, words: &[String]) -> String {
    let done = call.context.host.log(&words.join(","));
    if done.is_ok() {
        let any = |names: &[&str]| words.iter().any(|word| names.contains(&&**word));
        let chaining = match () {
            () if any(&["nochain"]) => Chaining::None,
            () if any(&["exec", "cpu"]) => Chaining::Links,
            () => Chaining::All,
        };
        let work =
            move |cpus: &mut dyn engine::Cpus| cpus.cpu(0).map(|cpu| cpu.code().set_chaining(chaining));
        call.context.power.with_cpus(work);
    }
    failure(done)
}
