//! Answers of QMP and of the monitor, beside QEMU's.

use std::collections::BTreeMap;
use std::process::Command;

use crate::control::Client;
use crate::rsp::connect;
use crate::support::{Qemu, Running, run, start};
use serde_json::{Value, json};

/// A machine that somebody talks to in QMP.
struct Machine {
    running: Running,
    client: Client,
}

impl Machine {
    fn start(mut command: Command, qemu: &Qemu, socket: &str) -> Self {
        let socket = qemu.path(socket);
        command.arg("-qmp").arg(format!("unix:{},server=on,wait=off", socket.display()));
        let running = start(&mut command);
        let mut client = Client::new(connect(&socket));
        client.line();
        client.command("qmp_capabilities", json!({}));
        Self { running, client }
    }

    fn ask(&mut self, name: &str, arguments: Value) -> Value {
        self.client.ask(&json!({"execute": name, "arguments": arguments}))
    }

    fn monitor(&mut self, line: &str) -> String {
        let text = self.client.command("human-monitor-command", json!({"command-line": line}));
        text.as_str().expect("text").replace('\r', "")
    }

    fn end(mut self) {
        self.client.command("quit", json!({}));
        assert_eq!(self.running.finish().status, Some(0));
    }
}

/// Ours and QEMU's with the same words, where QEMU is installed.
fn machines(qemu: &Qemu, peer: &str, words: &str) -> Option<[Machine; 2]> {
    let there = Command::new(peer).arg("--version").output().is_ok();
    assert!(there || std::env::var_os("MIMIC_PEERS").is_none(), "MIMIC_PEERS is set, and {peer} is missing");
    if !there {
        eprintln!("skipped: {peer} is not installed");
        return None;
    }
    let mut theirs = Command::new(peer);
    theirs.args(words.split_whitespace());
    Some([Machine::start(qemu.command(words), qemu, "ours"), Machine::start(theirs, qemu, "theirs")])
}

const RISCV: &str = "qemu-system-riscv64";
const ARM: &str = "qemu-system-aarch64";

/// A machine that has not begun. It needs something to run.
fn idle(qemu: &Qemu, cpu: &str) -> String {
    let image = qemu.file("image", &[0; 64]);
    format!("-M virt -cpu {cpu} -nodefaults -display none -bios {image} -S")
}

#[test]
fn cpu_models_are_those_of_the_command_line() {
    for (qemu, peer, cpu) in [(Qemu::new(), RISCV, "rva22u64"), (Qemu::aarch64(), ARM, "cortex-a72")] {
        let Some([mut ours, mut theirs]) = machines(&qemu, peer, &idle(&qemu, cpu)) else { continue };
        let definitions = |machine: &mut Machine| {
            let answer = machine.ask("query-cpu-definitions", json!({}));
            let all = answer["return"].as_array().expect("a list").clone();
            let named = |model: Value| (model["name"].as_str().expect("a name").to_string(), model);
            all.into_iter().map(named).collect::<BTreeMap<_, _>>()
        };
        let (mine, qemus) = (definitions(&mut ours), definitions(&mut theirs));
        let help = run(&mut qemu.command("-cpu help")).out;
        let listed = help.lines().skip(1).take_while(|line| !line.is_empty());
        let listed: Vec<_> = listed.filter_map(|line| line.split_whitespace().next()).collect();
        assert_eq!(mine.len(), listed.len(), "{mine:?}");
        for name in listed {
            assert_eq!(mine[name], qemus[name], "{name}");
        }
        // What QEMU tells of a model, as far as both know it. Parts of A and M are extensions of their own there only with
        // a machine that has them from the start, and a user-level profile has no PMP and no address translation.
        let parts = ["zaamo", "zalrsc", "zmmul", "pmp", "mmu"];
        let props = |machine: &mut Machine| {
            let arguments = json!({"type": "full", "model": {"name": cpu}});
            let answer = machine.ask("query-cpu-model-expansion", arguments);
            assert_eq!(answer["return"]["model"]["name"], cpu, "{answer}");
            answer["return"]["model"]["props"].as_object().expect("properties").clone()
        };
        let (mine, qemus) = (props(&mut ours), props(&mut theirs));
        let common: Vec<_> = qemus.keys().filter(|name| mine.contains_key(*name)).collect();
        assert!(common.len() > 100 || common == ["aarch64", "pmu"], "{common:?}");
        for name in common.into_iter().filter(|name| !parts.contains(&&***name)) {
            assert_eq!(mine[name], qemus[name], "{name}");
        }
        let off = if peer == RISCV { "zba" } else { "pmu" };
        for machine in [&mut ours, &mut theirs] {
            let mut expand = |kind: &str, model: Value| {
                let answer = machine.ask("query-cpu-model-expansion", json!({"type": kind, "model": model}));
                match answer.get("error") {
                    Some(error) => error["desc"].clone(),
                    None => answer["return"]["model"]["props"][off].clone(),
                }
            };
            assert_eq!(expand("full", json!({"name": cpu, "props": {off: false}})), false);
            let what = "The requested expansion type is not supported";
            assert_eq!(expand("static", json!({"name": cpu})), what);
            let what = "Invalid parameter type for 'model.props', expected: object";
            assert_eq!(expand("full", json!({"name": cpu, "props": 3})), what);
            let what = format!("Invalid parameter type for 'model.props.{off}', expected: boolean");
            assert_eq!(expand("full", json!({"name": cpu, "props": {off: 3}})), what);
        }
        ours.end();
        theirs.end();
    }
}

#[test]
fn ports_answer_with_ones_and_the_device_tree_is_written() {
    for (qemu, peer, cpu) in [(Qemu::new(), RISCV, "rv64"), (Qemu::aarch64(), ARM, "max")] {
        let Some([mut ours, mut theirs]) = machines(&qemu, peer, &idle(&qemu, cpu)) else { continue };
        let tree = qemu.path("tree");
        for line in [
            "i /x 0x60",
            "i/w 0x10060+0x80",
            "i /hd 5",
            "i /bc 0xffff",
            "i /gx 5",
            "o /b 0x60 5",
            "o/h 0x60 4+1",
            "help i",
            "help o",
            "help dumpdtb",
            "dumpdtb",
            &format!("dumpdtb {}", tree.display()),
        ] {
            assert_eq!(ours.monitor(line), theirs.monitor(line), "{line}");
        }
        for line in ["i", "o 5"] {
            assert_eq!(ours.monitor(line), "unexpected end of expression\n");
            assert!(theirs.monitor(line).starts_with("unexpected end of expression\n"));
        }
        for machine in [&mut ours, &mut theirs] {
            std::fs::remove_file(&tree).expect("the one before wrote it");
            assert_eq!(machine.ask("dumpdtb", json!({"filename": tree})), json!({"return": {}}));
            let bytes = std::fs::read(&tree).expect("it was written");
            assert_eq!(bytes[..4], [0xd0, 0x0d, 0xfe, 0xed]);
            let start = "Error saving FDT to file /nowhere/tree: ";
            let refused = machine.ask("dumpdtb", json!({"filename": "/nowhere/tree"}));
            assert!(refused["error"]["desc"].as_str().is_some_and(|what| what.starts_with(start)));
        }
        ours.end();
        theirs.end();
    }
}

/// Both refuse a second thing of the same name.
#[test]
fn names_stand_for_one_thing() {
    let qemu = Qemu::new();
    let idle = idle(&qemu, "rv64");
    let (one, two) = (qemu.file("one", &[0; 4096]), qemu.file("two", &[0; 4096]));
    let drive = format!("-drive if=none,format=raw,file={one},id=d,node-name=n");
    let Some([mut ours, mut theirs]) = machines(&qemu, RISCV, &format!("{idle} {drive}")) else { return };
    for name in ["n", "d"] {
        let arguments = json!({"driver": "file", "node-name": name, "filename": two});
        for machine in [&mut ours, &mut theirs] {
            let answer = machine.ask("blockdev-add", arguments.clone());
            let what = answer["error"]["desc"].as_str().unwrap_or("none");
            assert!(
                what.contains("node-name='n'") || what.contains("node-name='d'") || what.contains("conflict"),
                "{answer}"
            );
        }
    }
    ours.end();
    theirs.end();
    let node = |name: &str| format!("-blockdev file,node-name={name},filename={two}");
    let pairs = [
        (drive.clone(), node("n")),
        (drive.clone(), node("d")),
        (drive.clone(), format!("-drive if=none,format=raw,file={two},id=e,node-name=n")),
        (drive.clone(), format!("-drive if=none,format=raw,file={two},id=d")),
        (node("n"), node("n")),
        ("-netdev user,id=n".into(), "-netdev user,id=n".into()),
        ("-netdev user,id=n".into(), "-nic user,id=n".into()),
        ("-chardev null,id=n".into(), "-chardev null,id=n".into()),
        ("-device virtio-rng-pci,id=n".into(), "-device virtio-rng-pci,id=n".into()),
        (
            "-object rng-random,id=n,filename=/dev/urandom".into(),
            "-object memory-backend-ram,id=n,size=1M".into(),
        ),
    ];
    for (first, second) in pairs {
        let words = format!("{idle} {first} {second}");
        let mut theirs = Command::new(RISCV);
        theirs.args(words.split_whitespace());
        for end in [run(&mut qemu.command(&words)), run(&mut theirs)] {
            assert_eq!((end.status, end.err.lines().count()), (Some(1), 1), "{words}: {}", end.err);
        }
    }
}

/// What both know of the command line is of one type.
#[test]
fn options_and_their_parameters_are_told() {
    for (qemu, peer, cpu) in [(Qemu::new(), RISCV, "rv64"), (Qemu::aarch64(), ARM, "max")] {
        let Some([mut ours, mut theirs]) = machines(&qemu, peer, &idle(&qemu, cpu)) else { continue };
        let told = |machine: &mut Machine| {
            let answer = machine.ask("query-command-line-options", json!({}));
            let mut all = BTreeMap::new();
            for option in answer["return"].as_array().expect("a list") {
                for parameter in option["parameters"].as_array().expect("a list") {
                    all.insert(
                        (option["option"].to_string(), parameter["name"].to_string()),
                        parameter["type"].clone(),
                    );
                }
            }
            all
        };
        let (mine, qemus) = (told(&mut ours), told(&mut theirs));
        let both: Vec<_> = mine.iter().filter(|(key, _)| qemus.contains_key(*key)).collect();
        assert!(both.len() > 80, "{}", both.len());
        for (key, kind) in both {
            assert_eq!(*kind, qemus[key], "{key:?}");
        }
        let one = ours.ask("query-command-line-options", json!({"option": "msg"}));
        assert_eq!(one["return"][0]["option"], "msg");
        for machine in [&mut ours, &mut theirs] {
            let none = machine.ask("query-command-line-options", json!({"option": "nope"}));
            assert_eq!(none["error"]["desc"], "invalid option name: nope");
        }
        ours.end();
        theirs.end();
    }
}
