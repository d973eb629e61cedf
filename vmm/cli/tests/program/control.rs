//! QMP, the monitor on sockets, and runs that end by themselves.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use crate::assemble::assemble;
use crate::rsp::connect;
use crate::support::{Qemu, run, start};
use serde_json::{Value, json};

/// A client of QMP.
pub struct Client {
    lines: BufReader<UnixStream>,
    /// Events that came before answers, in order.
    pub events: Vec<Value>,
}

impl Client {
    pub fn new(stream: UnixStream) -> Self {
        Self { lines: BufReader::new(stream), events: Vec::new() }
    }

    pub fn line(&mut self) -> Option<Value> {
        let mut line = String::new();
        let read = self.lines.read_line(&mut line).expect("an answer in time");
        (read > 0).then(|| serde_json::from_str(&line).unwrap_or_else(|fault| panic!("{fault}: {line}")))
    }

    fn say(&mut self, text: &str) {
        self.lines.get_mut().write_all(text.as_bytes()).expect("the server is there");
    }

    /// The answer to a message; events before it are kept.
    pub fn ask(&mut self, message: &Value) -> Value {
        self.say(&message.to_string());
        loop {
            let line = self.line().unwrap_or_else(|| panic!("no answer to {message}"));
            if line.get("event").is_none() {
                return line;
            }
            self.events.push(line);
        }
    }

    pub fn command(&mut self, name: &str, arguments: Value) -> Value {
        let answer = self.ask(&json!({"execute": name, "arguments": arguments}));
        answer.get("return").cloned().unwrap_or_else(|| panic!("{name}: {answer}"))
    }

    pub fn event(&mut self, name: &str) -> Value {
        loop {
            if let Some(at) = self.events.iter().position(|event| event["event"] == name) {
                return self.events.remove(at);
            }
            let line = self.line().unwrap_or_else(|| panic!("no {name}"));
            self.events.push(line);
        }
    }
}

const IDLE: &str = "-bios none -display none -serial none -monitor none";

#[test]
fn a_machine_is_driven_through_its_life_by_qmp() {
    let qemu = Qemu::new();
    let socket = qemu.path("qmp");
    let words = format!("{IDLE} -smp 2 -S -name guest=t -qmp unix:{},server=on,wait=off", socket.display());
    let running = start(&mut qemu.command(&words));
    let mut client = Client::new(connect(&socket));
    let greeting = client.line().expect("a greeting");
    let version = json!({"qemu": {"micro": 2, "minor": 0, "major": 10}, "package": ""});
    assert_eq!(greeting, json!({"QMP": {"version": version, "capabilities": ["oob"]}}));
    let class = |answer: &Value| answer["error"]["class"].as_str().unwrap_or("none").to_string();
    let early = client.ask(&json!({"execute": "query-status", "id": 1}));
    assert_eq!((class(&early).as_str(), &early["id"]), ("CommandNotFound", &json!(1)));
    client.command("qmp_capabilities", json!({}));
    for (message, class_of, desc) in [
        (json!({"execute": "nonsense"}), "CommandNotFound", "The command nonsense has not been found"),
        (json!({"execute": 1}), "GenericError", "QMP input member 'execute' must be a string"),
        (json!({"x": 1}), "GenericError", "QMP input member 'x' is unexpected"),
        (json!([]), "GenericError", "QMP input must be a JSON object"),
        (json!({"execute": "stop", "arguments": {"a": 1}}), "GenericError", "Parameter 'a' is unexpected"),
        (
            json!({"execute": "human-monitor-command", "arguments": {"command-line": 1}}),
            "GenericError",
            "Invalid parameter type for 'command-line', expected: string",
        ),
        (json!({"execute": "human-monitor-command"}), "GenericError", "Parameter 'command-line' is missing"),
        (json!({"execute": "query-balloon"}), "DeviceNotActive", "No balloon device has been activated"),
    ] {
        let answer = client.ask(&message);
        assert_eq!(
            (class(&answer).as_str(), &answer["error"]["desc"]),
            (class_of, &json!(desc)),
            "{message}"
        );
    }
    assert_eq!(client.command("query-status", json!({})), json!({"running": false, "status": "prelaunch"}));
    assert_eq!(client.command("query-name", json!({})), json!({"name": "t"}));
    let cpus = client.command("query-cpus-fast", json!({}));
    assert_eq!((cpus[1]["cpu-index"].as_u64(), cpus.as_array().map(Vec::len)), (Some(1), Some(2)));
    client.command("cont", json!({}));
    client.event("RESUME");
    assert_eq!(client.command("query-status", json!({})), json!({"running": true, "status": "running"}));
    client.command("stop", json!({}));
    client.event("STOP");
    let text = client.command("human-monitor-command", json!({"command-line": "info status"}));
    assert_eq!(text, "VM status: paused\r\n");
    client.command("system_reset", json!({}));
    let data = client.event("RESET")["data"].clone();
    assert_eq!(data, json!({"guest": false, "reason": "host-qmp-system-reset"}));
    client.command("system_powerdown", json!({}));
    client.event("POWERDOWN");
    // Everything that is listed is in the schema, and of types that are there.
    let schema = client.command("query-qmp-schema", json!({}));
    let schema = schema.as_array().expect("a list");
    let find = |name: &Value| schema.iter().find(|entity| entity["name"] == *name);
    for command in client.command("query-commands", json!({})).as_array().expect("a list") {
        let entity = find(&command["name"]).unwrap_or_else(|| panic!("{command} has no schema"));
        assert_eq!(entity["meta-type"], "command");
    }
    for entity in schema {
        let members = entity["members"].as_array().into_iter().flatten().map(|member| &member["type"]);
        let types =
            ["arg-type", "ret-type", "element-type"].map(|key| &entity[key]).into_iter().chain(members);
        for name in types.filter(|name| !name.is_null()) {
            assert!(find(name).is_some(), "{entity}: no {name}");
        }
    }
    client.say("{'execute': 'quit'}");
    let data = client.event("SHUTDOWN")["data"].clone();
    assert_eq!(data, json!({"guest": false, "reason": "host-qmp-quit"}));
    let end = running.finish();
    assert_eq!((end.status, &*end.err), (Some(0), ""));
}

/// What clients ask for before they trust a machine: compared with QEMU 10.0.2.
#[test]
fn clients_learn_what_there_is() {
    let qemu = Qemu::new();
    let (socket, disk) = (qemu.path("qmp"), qemu.file("disk.img", &[7; 8192]));
    let words = format!(
        "{IDLE} -S -m 64 -qmp unix:{},server=on,wait=off -drive file={disk},format=raw,if=none,id=d,node-name=below \
         -device virtio-blk-pci,drive=d -device pcie-root-port,id=rp1 -device virtio-rng-pci,bus=rp1,id=cold",
        socket.display()
    );
    let running = start(&mut qemu.command(&words));
    let mut client = Client::new(connect(&socket));
    client.line();
    let fails = |answer: Value| answer["error"]["desc"].as_str().unwrap_or("none").to_string();
    client.ask(&json!({"execute": "qmp_capabilities", "arguments": {"enable": ["oob"]}}));
    // The only one of QEMU's that is here, and takes no time.
    assert_eq!(client.ask(&json!({"exec-oob": "query-yank", "id": 7})), json!({"return": [], "id": 7}));
    let refused = client.ask(&json!({"exec-oob": "query-status"}));
    assert_eq!(fails(refused), "The command query-status does not support OOB");
    let unknown = client.ask(&json!({"exec-oob": "nonsense"}));
    assert_eq!(fails(unknown), "The command nonsense has not been found");
    let both = client.ask(&json!({"exec-oob": "query-yank", "execute": "query-yank"}));
    assert_eq!(fails(both), "QMP input member 'exec-oob' clashes with 'execute'");
    for text in ["5\n", "\"x y\"\n"] {
        client.say(text);
        assert_eq!(fails(client.line().expect("an answer")), "QMP input must be a JSON object", "{text}");
    }
    client.say("nonsense\n");
    assert_eq!(fails(client.line().expect("an answer")), "JSON parse error, invalid keyword 'nonsense'");
    let added = client.command("chardev-add", json!({"id": "p", "backend": {"type": "pty", "data": {}}}));
    let pty = added["pty"].as_str().expect("a path").to_string();
    assert!(pty.starts_with("/dev/pts/") && std::path::Path::new(&pty).exists(), "{pty}");
    let chardevs = client.command("query-chardev", json!({}));
    let ours = chardevs.as_array().into_iter().flatten().find(|chardev| chardev["label"] == "p");
    assert_eq!(ours.map(|chardev| &chardev["filename"]), Some(&json!(format!("pty:{pty}"))));
    let memory = client.command("query-memdev", json!({}));
    assert_eq!((&memory[0]["id"], &memory[0]["size"]), (&json!("riscv_virt_board.ram"), &json!(64 << 20)));
    let disk = client.command("query-blockstats", json!({}))[0].clone();
    assert_eq!((&disk["node-name"], &disk["stats"]["wr_operations"]), (&json!("below"), &json!(0)));
    let listed = client.command("device-list-properties", json!({"typename": "virtio-rng-pci"}));
    let addr = listed.as_array().into_iter().flatten().find(|property| property["name"] == "addr");
    assert_eq!(addr.map(|addr| &addr["type"]), Some(&json!("str")));
    let unknown =
        client.ask(&json!({"execute": "device-list-properties", "arguments": {"typename": "nope"}}));
    assert_eq!(fails(unknown), "Device 'nope' not found");
    assert_eq!(client.command("query-machines", json!({}))[0]["cpu-max"], 512);
    let taken = client
        .ask(&json!({"execute": "device_add", "arguments": {"driver": "virtio-rng-pci", "bus": "rp1"}}));
    assert_eq!(
        fails(taken),
        "PCI: slot 0 function 0 not available for virtio-rng-pci, in use by virtio-rng-pci,id=cold"
    );
    let mut monitor = |line: &str| {
        let text = client.command("human-monitor-command", json!({"command-line": line}));
        text.as_str().expect("text").replace('\r', "")
    };
    assert_eq!(monitor("nmi"), "Error: machine does not provide NMIs\n");
    assert_eq!(monitor("set_link nn off"), "Error: Device 'nn' not found\n");
    assert_eq!(
        monitor("set_link nn"),
        "Expected 'on' or 'off'\nTry \"help set_link\" for more information\n"
    );
    assert_eq!(monitor("qom-get /machine type"), "\"virt-machine\"\n");
    assert_eq!(monitor("qom-get /machine nope"), "Error: Property 'virt-machine.nope' not found\n");
    assert_eq!(monitor("qom-list /nope"), "Error: Device '/nope' not found\n");
    assert!(monitor("qom-list /machine").contains("\nperipheral (child<container>)\n"));
    let tree = monitor("info qom-tree");
    assert!(tree.starts_with("/machine (virt-machine)\n  /peripheral (container)\n"), "{tree}");
    assert!(
        tree.contains("\n    /cold (virtio-rng-pci)\n      /virtio-backend (virtio-rng-device)\n"),
        "{tree}"
    );
    assert_eq!(monitor("info balloon"), "Error: No balloon device has been activated\n");
    assert!(monitor("info memdev").starts_with("memory backend: riscv_virt_board.ram\n  size:  67108864\n"));
    assert!(monitor("info blockstats").starts_with("d: rd_bytes=0 wr_bytes=0 rd_operations=0 "));
    assert!(
        monitor("info ramblock")
            .contains("    riscv_virt_board.ram    4 KiB  0x0000000000000000 0x0000000004000000 ")
    );
    assert!(monitor("info mtree").contains("0000000080000000-0000000083ffffff (prio 0, ram): ram\n"));
    assert!(monitor("log help").starts_with("Log items (comma separated):\n"));
    client.command("quit", json!({}));
    assert_eq!(running.finish().status, Some(0));
}

#[test]
fn a_shutdown_that_waits_can_be_seen() {
    let qemu = Qemu::new();
    let program = "li t0, 0x100000\n li t1, 0x5555\n sw t1, 0(t0)\nwait:\n wfi\n j wait\n";
    let image = qemu.file("end.bin", &assemble(program).expect("well formed"));
    let socket = qemu.path("qmp");
    let words = format!(
        "{IDLE} -kernel {image} -no-shutdown -S -chardev socket,id=c,path={},server=on,wait=off -mon c,mode=control",
        socket.display()
    );
    let running = start(&mut qemu.command(&words));
    let mut client = Client::new(connect(&socket));
    client.line();
    client.command("qmp_capabilities", json!({"enable": ["oob"]}));
    client.command("cont", json!({}));
    let data = client.event("SHUTDOWN")["data"].clone();
    assert_eq!(data, json!({"guest": true, "reason": "guest-shutdown"}));
    client.event("STOP");
    assert_eq!(client.command("query-status", json!({}))["status"], "shutdown");
    let answer = client.ask(&json!({"execute": "cont"}));
    assert_eq!(answer["error"]["desc"], "Resetting the Virtual Machine is required");
    client.say("{\"execute\": \"quit\"}");
    assert_eq!(running.finish().status, Some(0));
}

#[test]
fn the_monitor_shows_registers_and_memory() {
    let qemu = Qemu::new();
    let image = qemu.file("guest.bin", &assemble("li a5, 0x1234\nstay:\n j stay\n").expect("well formed"));
    let mut running = start(
        &mut qemu
            .command(&format!("-bios none -display none -serial none -kernel {image} -S -monitor stdio")),
    );
    running.expect("(qemu) ");
    for (line, answer) in [
        ("x/2xw 0x80000000", "0000000080000000: 0x00001"),
        ("x/2i $pc", "0x00001000:  00000297          auipc t0, "),
        ("xp/1bd 0x80000000+3-3", "0000000080000000:"),
        ("xp /2wx 0x80000000", "0000000080000000: 0x00001"),
        ("p /x 0x10/4", "0x4"),
        // Logic binds closer than sums, as in QEMU.
        ("print/x 2*(3+4)-1|0x10", "0xfffffffffffffffd"),
        ("p $nothing", "unknown register"),
        ("x 0", "Cannot access memory"),
        ("info registers", "\r\nCPU#0\r\n pc       0000000000001000"),
        ("info mem", "No translation or protection"),
        ("info cpus", "* CPU #0: thread_id="),
        ("info chardev", "compat_monitor0: filename=stdio"),
        ("gva2gpa 0x80000010", "gpa: 0x80000010"),
        ("log guest_errors", "(qemu) "),
        ("device_add virtio-net-pci,id=a", "Error: Bus 'pcie.0' does not support hotplugging"),
        ("gdbserver none", "Disabled gdbserver"),
        ("info nonsense", "unknown command: 'info nonsense'"),
        ("help stop", "stop|s  -- stop emulation"),
    ] {
        running.say(&format!("{line}\n"));
        running.expect(answer);
    }
    running.say("quit\n");
    assert_eq!(running.finish().status, Some(0));
}

#[test]
fn the_monitor_switches_the_log_and_shows_translations() {
    let qemu = Qemu::new();
    let program = "li t0, 0x100000\n li t1, 0\n li t2, 50000\nround:\n addi t1, t1, 1\n bne t1, t2, round\nstay:\n j stay\n";
    let image = qemu.file("guest.bin", &assemble(program).expect("well formed"));
    let log = qemu.path("log");
    let words =
        format!("-bios none -display none -serial none -kernel {image} -S -monitor stdio -d tb_stats");
    let mut running = start(&mut qemu.command(&words));
    running.expect("(qemu) ");
    let mut ask = |lines: &[&str], answer: &str| {
        lines.iter().for_each(|line| running.say(&format!("{line}\n")));
        running.expect(answer);
    };
    ask(&["info jit"], "one-insn-per-tb: off");
    ask(&["one-insn-per-tb on", "info jit"], "one-insn-per-tb: on");
    ask(&["one-insn-per-tb off", "one-insn-per-tb maybe"], "Error: unexpected option maybe");
    ask(&["info trace-events"], "exec : state 0");
    ask(&["trace-event exec on", "info trace-events"], "exec : state 1");
    ask(&["trace-event nothing on"], "Error: unknown event \"nothing\"");
    ask(
        &["trace-event exec off", &format!("logfile {}", log.display()), "trace on", "c", "info status"],
        "VM status: running",
    );
    let limit = Instant::now() + crate::support::PATIENCE;
    // Blocks are seen while they are interpreted, and when they are first entered afterwards: of two loops about twenty times.
    let traced = |text: String| text.lines().filter(|line| line.starts_with("Trace 0: ")).count() >= 12;
    while !traced(std::fs::read_to_string(&log).unwrap_or_default()) {
        assert!(Instant::now() < limit, "no trace");
        std::thread::sleep(Duration::from_millis(10));
    }
    ask(&["trace off", "stop", "info status"], "VM status: paused");
    // Ten rows at most are shown, and this many there are not.
    ask(&["info tb-list 5"], "block ");
    ask(&["log tb_stats", "logfile /nowhere/log"], "Error: /nowhere/log: No such file");
    running.say("quit\n");
    assert_eq!(running.finish().status, Some(0));
    let text = std::fs::read_to_string(log).expect("a log");
    assert!(text.contains(" guest instructions executed in translations\n"), "{text}");
}

/// What labgrid's `QEMUDriver` does: QMP on the standard streams, the serial port on a socket that it listens at.
#[test]
fn a_driver_takes_serial_port_and_qmp_as_labgrid_does() {
    let qemu = Qemu::new();
    let version = run(&mut qemu.command("-version")).out;
    assert!(version.starts_with("QEMU emulator version 10.0.2"), "{version}");
    let program = "li s1, 0x10000000\n li t0, 72\n sb t0, 0(s1)\nstay:\n wfi\n j stay\n";
    let image = qemu.file("guest.bin", &assemble(program).expect("well formed"));
    let socket = qemu.path("serialrw");
    let listener = std::os::unix::net::UnixListener::bind(&socket).expect("a socket");
    let words = format!(
        "-kernel {image} -bios none -machine virt -cpu rv64 -m 128M -nographic -S -qmp stdio -chardev \
         socket,id=serialsocket,path={} -serial chardev:serialsocket",
        socket.display()
    );
    let mut running = start(&mut qemu.command(&words));
    let (mut serial, _) = listener.accept().expect("it connects");
    running.expect("\"QMP\"");
    running.say("{\"execute\": \"qmp_capabilities\"}");
    running.expect("{\"return\": {}}");
    running.say("{\"execute\": \"cont\"}");
    running.expect("\"RESUME\"");
    let mut byte = [0];
    serial.set_read_timeout(Some(crate::support::PATIENCE)).expect("a socket");
    std::io::Read::read_exact(&mut serial, &mut byte).expect("the guest writes");
    assert_eq!(byte, *b"H");
    running.say("{\"execute\": \"query-status\"}");
    running.expect("\"running\": true");
    running.say("{\"execute\": \"quit\"}");
    let end = running.finish();
    assert_eq!((end.status, &*end.err), (Some(0), ""));
}

#[test]
fn runs_that_go_nowhere_end_with_a_status_of_their_own() {
    let qemu = Qemu::new();
    let spin = qemu.file("spin.bin", &assemble("stay:\n j stay\n").expect("well formed"));
    let sleep = qemu.file("sleep.bin", &assemble("stay:\n wfi\n j stay\n").expect("well formed"));
    let before = Instant::now();
    let end = run(&mut qemu.command(&format!("{IDLE} -kernel {spin} -timeout 0.3")));
    assert_eq!(end.status, Some(124), "{}", end.err);
    assert!(end.err.contains("the time of -timeout is up"), "{}", end.err);
    assert!(before.elapsed() > Duration::from_millis(300));
    let end =
        run(&mut qemu
            .command(&format!("{IDLE} -kernel {spin} --timeout 0.2,clock=vm --exit-codes timeout=9")));
    assert_eq!(end.status, Some(9), "{}", end.err);
    let end =
        run(&mut qemu
            .command(&format!("{IDLE} -smp 2 -kernel {sleep} -action hang=exit-failure -timeout 30")));
    assert_eq!(end.status, Some(1), "{}", end.err);
    assert!(end.err.contains("interrupts that they can not get"), "{}", end.err);
}
