//! The table: a line a program, and the geometric mean of each class.

use crate::sides::Times;
use std::fmt::Write;
use std::time::Duration;

/// A number for a line's column, if there is one.
type Cell = Option<f64>;

/// The report on programs, each a name and a class, and on the boot; times of the host, QEMU and Mimic.
pub fn report(programs: &[(&'static str, &'static str)], boot: bool, sides: [&Times; 3]) -> String {
    let mut out = String::new();
    let mut line = |first: &str, cells: [String; 5]| {
        let [native, qemu, mimic, faster, slower] = cells;
        let text = format!("{first:<16} {native:>9} {qemu:>9} {mimic:>9} {faster:>12} {slower:>14}");
        writeln!(out, "{}", text.trim_end()).expect("a string takes everything");
    };
    let heads = ["native s", "QEMU s", "Mimic s", "QEMU/Mimic", "Mimic/native"];
    line("program", heads.map(String::from));
    if boot {
        line("boot", cells(sides, "boot"));
    }
    let means = |members: &[&str]| {
        let mean = |ratio: fn([&Times; 3], &str) -> Cell| {
            let logs: Vec<f64> = members.iter().filter_map(|name| ratio(sides, name)).map(f64::ln).collect();
            let mean = logs.iter().sum::<f64>() / logs.len() as f64;
            times((!logs.is_empty()).then(|| mean.exp()))
        };
        let empty = String::new;
        [empty(), empty(), empty(), mean(faster), mean(slower)]
    };
    let mut last = "";
    for (_, class) in programs {
        if *class == last {
            continue;
        }
        last = class;
        let members = programs.iter().filter(|(_, of)| of == class);
        let members: Vec<&str> = members.map(|(name, _)| *name).collect();
        members.iter().for_each(|name| line(name, cells(sides, name)));
        line(&format!("  {class}, mean"), means(&members));
    }
    let all: Vec<&str> = programs.iter().map(|(name, _)| *name).collect();
    line("all, mean", means(&all));
    out
}

fn cells(sides: [&Times; 3], name: &str) -> [String; 5] {
    let [native, qemu, mimic] = sides.map(|times| seconds(times.get(name)));
    [native, qemu, mimic, times(faster(sides, name)), times(slower(sides, name))]
}

/// How many times as fast as QEMU.
fn faster([_, qemu, mimic]: [&Times; 3], name: &str) -> Cell {
    ratio(qemu.get(name), mimic.get(name))
}

/// How many times as slow as the host.
fn slower([native, _, mimic]: [&Times; 3], name: &str) -> Cell {
    ratio(mimic.get(name), native.get(name))
}

fn ratio(a: Option<&Duration>, b: Option<&Duration>) -> Cell {
    Some(a?.as_secs_f64() / b?.as_secs_f64())
}

fn seconds(time: Option<&Duration>) -> String {
    time.map_or("-".into(), |time| format!("{:.3}", time.as_secs_f64()))
}

fn times(cell: Cell) -> String {
    cell.map_or("-".into(), |ratio| format!("{ratio:.2}"))
}
