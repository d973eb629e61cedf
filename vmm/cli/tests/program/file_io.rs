//! Semihosting of which the debugger is the host: gdb's File-I/O.

use std::process::Command;

use crate::arm::says_and_exits;
use crate::assemble::assemble;
use crate::bare::SEMIHOSTED;
use crate::rsp::Rsp;
use crate::support::{Qemu, Running, run, start};

/// The words of a machine that waits for a debugger.
fn words(program: &str, socket: &str) -> String {
    format!(
        "-nodefaults -display none -semihosting-config enable=on,target=gdb -gdb unix:{socket},server=on,wait=off -S \
         {program}"
    )
}

/// A program that says `hello` and writes that into the file `out` here; the words of its machine.
fn riscv(qemu: &Qemu) -> String {
    let source = SEMIHOSTED.replace("LENGTH", "3").replace("NAME", "out");
    let image = qemu.file("guest.bin", &assemble(&source).expect("well formed"));
    format!("-M virt -bios none -kernel {image}")
}

fn arm(qemu: &Qemu) -> String {
    format!("-M virt -cpu max -kernel {}", qemu.file("guest.bin", &says_and_exits("hello\n", 42)))
}

fn there(tool: &str) -> bool {
    let there = Command::new(tool).arg("--version").output().is_ok();
    assert!(there || std::env::var_os("MIMIC_PEERS").is_none(), "MIMIC_PEERS is set, and {tool} is missing");
    if !there {
        eprintln!("skipped: {tool} is not installed");
    }
    there
}

/// The machine goes on to its end; the packets that it sends, answered by `answers` as they come.
fn talk(rsp: &mut Rsp, answers: &[&str]) -> Vec<String> {
    let mut heard = Vec::new();
    let mut answers = answers.iter();
    rsp.send("vCont;c");
    while let Some(packet) = rsp.next() {
        heard.push(packet.clone());
        match packet.as_bytes()[0] {
            b'F' => rsp.send(answers.next().expect("no more is asked for")),
            b'T' => rsp.send("vCont;c"),
            _ => break,
        }
    }
    heard
}

/// What the program of [`riscv`] and [`arm`] asks for, of ours or of QEMU's.
fn heard(command: &mut Command, socket: &std::path::Path, answers: &[&str]) -> Vec<String> {
    let running: Running = start(command);
    let mut rsp = Rsp::connect(socket);
    rsp.ask("qSupported:multiprocess+");
    let heard = talk(&mut rsp, answers);
    assert_eq!(running.finish().status, Some(42));
    heard
}

#[test]
fn requests_are_qemus() {
    let answers = ["F6", "F5", "F6"];
    for (qemu, peer, program) in [
        (Qemu::new(), "qemu-system-riscv64", riscv as fn(&Qemu) -> String),
        (Qemu::aarch64(), "qemu-system-aarch64", arm),
    ] {
        let program = program(&qemu);
        let socket = qemu.path("ours");
        let words_of = |socket: &std::path::Path| words(&program, socket.to_str().expect("text"));
        let ours = heard(&mut qemu.command(&words_of(&socket)), &socket, &answers);
        assert_eq!(ours.last().map(|end| &**end), Some("W2a"));
        assert!(ours[0].starts_with("Fwrite,2,") && ours[0].ends_with(",6"), "{ours:?}");
        if there(peer) {
            let socket = qemu.path("theirs");
            let mut command = Command::new(peer);
            let theirs = heard(command.args(words_of(&socket).split_whitespace()), &socket, &answers);
            // QEMU puts an x behind the length of a name, where gdb expects nothing, and may end before its last word is read.
            let theirs: Vec<_> = theirs.iter().map(|packet| packet.replace("x,", ",")).collect();
            assert!(ours.starts_with(&theirs) && theirs.len() + 1 >= ours.len(), "{ours:?} {theirs:?}");
        }
    }
}

#[test]
fn the_machine_stands_still_meanwhile() {
    let qemu = Qemu::new();
    let socket = qemu.path("gdb");
    let words = words(&riscv(&qemu), socket.to_str().expect("text"));
    let running = start(&mut qemu.command(&words));
    let mut rsp = Rsp::connect(&socket);
    rsp.ask("qSupported:multiprocess+");
    rsp.send("vCont;c");
    let request = rsp.next().expect("a request");
    let text = request.split(',').nth(2).expect("an address");
    assert_eq!(rsp.ask(&format!("m{text},6")), "68656c6c6f0a");
    assert_eq!(rsp.monitor("info status"), "VM status: paused (debug)\r\n");
    // The instruction behind the one that asked.
    let pc = rsp.register(32);
    assert_eq!(rsp.ask(&format!("m{pc:x},4")), "13507040");
    // Its user wants the program to stop; the call is done.
    assert_eq!(rsp.ask("F6,0,C"), "T02thread:p01.01;");
    assert_eq!(rsp.register(10), 0);
    // An answer to nothing is nothing.
    assert_eq!(rsp.ask("F6"), "");
    rsp.send("vCont;c");
    let request = rsp.next().expect("a request");
    assert!(request.starts_with("Fopen,"), "{request}");
    // A machine that is let go on without an answer has been refused: there is no file to write to.
    assert_eq!(rsp.ask("vCont;c"), "W2a");
    drop(rsp);
    assert_eq!(running.finish().status, Some(42));
}

#[test]
fn a_step_over_a_call_is_one_step() {
    let qemu = Qemu::aarch64();
    let socket = qemu.path("gdb");
    let words = words(&arm(&qemu), socket.to_str().expect("text"));
    let running = start(&mut qemu.command(&words));
    let mut rsp = Rsp::connect(&socket);
    rsp.ask("qSupported:multiprocess+");
    let step = "vCont;s:p1.1";
    let request = loop {
        match rsp.ask(step) {
            answer if answer.starts_with('F') => break answer,
            answer => assert_eq!(answer, "T05thread:p01.01;"),
        }
    };
    assert!(request.starts_with("Fwrite,2,"), "{request}");
    assert_eq!(rsp.ask("F6"), "T05thread:p01.01;");
    let behind = rsp.register(32);
    assert_eq!(rsp.ask(&format!("m{:x},4", behind - 4)), "00005ed4", "hlt #0xf000");
    rsp.send("k");
    assert_eq!(running.finish().status, Some(0));
}

/// The real gdb has the console and the file.
#[test]
fn gdb_itself_is_the_host() {
    if !there("gdb-multiarch") {
        return;
    }
    for (qemu, program) in [(Qemu::new(), riscv as fn(&Qemu) -> String), (Qemu::aarch64(), arm)] {
        let socket = qemu.path("gdb");
        let words = words(&program(&qemu), socket.to_str().expect("text"));
        let running = start(&mut qemu.command(&words));
        // It is there once somebody has connected; gdb waits for it as well.
        drop(crate::rsp::connect(&socket));
        let architecture = if words.contains("-cpu max") { "aarch64" } else { "riscv:rv64" };
        let script = format!(
            "set confirm off\nset architecture {architecture}\ntarget remote {}\ncontinue\n",
            socket.display()
        );
        let script = qemu.file("script", script.as_bytes());
        let folder = qemu.path("");
        let mut gdb = Command::new("gdb-multiarch");
        let talk = run(gdb.current_dir(&folder).args(["-q", "-nx", "-batch", "-x", &script]));
        let all = talk.out + &talk.err;
        assert!(all.contains("hello\n"), "{all}");
        assert_eq!(running.finish().status, Some(42));
        if architecture != "aarch64" {
            assert_eq!(std::fs::read(folder.join("out")).expect("gdb wrote it"), b"hello\n");
        }
    }
}
