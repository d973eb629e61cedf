//! What comes and goes while the machine runs: the answers and events of QEMU 10.0.2, and Debian's kernel with its `pciehp`.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use guest_images::{Guest, Store};
use serde_json::{Value, json};

use crate::control::Client;
use crate::rsp::connect;
use crate::support::{Qemu, Running, start};

/// A client of QMP of the machine with `words`.
fn attached(qemu: &Qemu, words: &str, append: &[&str]) -> (Running, Client) {
    let socket = qemu.path("qmp");
    let _ = fs::remove_file(&socket);
    let words = format!("{words} -qmp unix:{},server=on,wait=off", socket.display());
    let running = start(qemu.command(&words).args(append));
    let mut client = Client::new(connect(&socket));
    client.line();
    client.command("qmp_capabilities", json!({}));
    (running, client)
}

fn monitor(client: &mut Client, line: &str) -> String {
    let text = client.command("human-monitor-command", json!({"command-line": line}));
    text.as_str().expect("text").replace('\r', "")
}

fn refused(client: &mut Client, command: &str, arguments: Value, class: &str, desc: &str) {
    let answer = client.ask(&json!({"execute": command, "arguments": arguments}));
    assert_eq!(answer["error"], json!({"class": class, "desc": desc}), "{command} {arguments}");
}

fn names(client: &mut Client, path: &str) -> Vec<String> {
    let list = client.command("qom-list", json!({"path": path}));
    let name = |entry: &Value| entry["name"].as_str().expect("a name").to_string();
    let mut names: Vec<String> = list.as_array().expect("a list").iter().map(name).collect();
    names.sort();
    names
}

/// The two events of a device that has gone.
fn deleted(client: &mut Client, id: &str) {
    let path = format!("/machine/peripheral/{id}");
    assert_eq!(client.event("DEVICE_DELETED")["data"], json!({"path": format!("{path}/virtio-backend")}));
    assert_eq!(client.event("DEVICE_DELETED")["data"], json!({"device": id, "path": path}));
}

const GENERIC: &str = "GenericError";
const NOT_FOUND: &str = "DeviceNotFound";

#[test]
fn answers_and_events_are_those_of_qemu() {
    let qemu = Qemu::new();
    let disk = qemu.file("d.img", &vec![0; 1 << 20]);
    let words = "-S -bios none -display none -serial none -monitor none -m 64 -netdev user,id=n0 \
        -device pcie-root-port,id=rp1,chassis=1,slot=1 -device pcie-root-port,id=rp2,slot=2,hotplug=off \
        -device pcie-root-port,id=rp3,slot=3 -device virtio-rng-pci,bus=rp3,id=cold";
    let (_running, mut client) = attached(&qemu, words, &[]);
    let c = &mut client;
    refused(
        c,
        "device_add",
        json!({"driver": "nonsense"}),
        GENERIC,
        "'nonsense' is not a valid device model name",
    );
    refused(c, "device_add", json!({"id": "x"}), GENERIC, "Parameter 'driver' is missing");
    let rng = |bus: &str, id: &str| json!({"driver": "virtio-rng-pci", "bus": bus, "id": id});
    refused(c, "device_add", rng("nope", "a"), GENERIC, "Bus 'nope' not found");
    refused(c, "device_add", rng("pcie.0", "a"), GENERIC, "Bus 'pcie.0' does not support hotplugging");
    refused(
        c,
        "device_add",
        json!({"driver": "virtio-rng-pci"}),
        GENERIC,
        "Bus 'pcie.0' does not support hotplugging",
    );
    refused(c, "device_add", rng("rp2", "a"), GENERIC, "Bus 'rp2' does not support hotplugging");
    c.command("device_add", rng("rp1", "a"));
    refused(c, "device_add", rng("rp1", "a"), GENERIC, "Duplicate device ID 'a'");
    assert!(c.ask(&json!({"execute": "device_add", "arguments": rng("rp1", "b")}))["error"].is_object());
    assert_eq!(names(c, "/machine/peripheral"), ["a", "cold", "rp1", "rp2", "rp3", "type"]);
    assert_eq!(
        names(c, "/machine/peripheral/a/virtio-backend"),
        ["hotpluggable", "hotplugged", "realized", "type"]
    );
    let got = |c: &mut Client, id: &str, property: &str| {
        c.command("qom-get", json!({"path": format!("/machine/peripheral/{id}"), "property": property}))
    };
    assert_eq!(got(c, "a", "hotplugged"), json!(true));
    assert_eq!(got(c, "cold", "hotplugged"), json!(false));
    refused(c, "device_del", json!({"id": "nope"}), NOT_FOUND, "Device 'nope' not found");
    refused(c, "device_del", json!({"id": "rp1"}), GENERIC, "Bus 'pcie.0' does not support hotplugging");
    // The slot has no power yet: nobody is asked.
    c.command("device_del", json!({"id": "a"}));
    deleted(c, "a");
    // This one is powered, and there is no guest that lets go of it.
    c.command("device_del", json!({"id": "cold"}));
    refused(
        c,
        "device_del",
        json!({"id": "cold"}),
        GENERIC,
        "Device cold is already in the process of unplug",
    );
    c.command("system_reset", json!({}));
    deleted(c, "cold");
    assert_eq!(names(c, "/machine/peripheral"), ["rp1", "rp2", "rp3", "type"]);

    let node = |driver: &str, name: &str| json!({"driver": driver, "node-name": name, "filename": disk});
    let missing = json!({"driver": "file", "node-name": "f", "filename": "/nope"});
    assert!(c.ask(&json!({"execute": "blockdev-add", "arguments": missing}))["error"].is_object());
    c.command("blockdev-add", node("file", "f"));
    assert_eq!(c.command("query-named-block-nodes", json!({}))[0]["node-name"], "f");
    assert_eq!(c.command("query-block", json!({})), json!([]));
    refused(c, "blockdev-add", node("file", "f"), GENERIC, "Duplicate nodes with node-name='f'");
    c.command("blockdev-add", json!({"driver": "raw", "node-name": "r", "file": "f"}));
    refused(c, "blockdev-del", json!({"node-name": "f"}), GENERIC, "Block device f is in use");
    refused(c, "blockdev-del", json!({"node-name": "z"}), GENERIC, "Failed to find node with node-name='z'");
    c.command(
        "device_add",
        json!({"driver": "virtio-blk-pci", "bus": "rp1", "addr": "0x0", "drive": "r", "id": "d"}),
    );
    assert_eq!(c.command("query-block", json!({}))[0]["qdev"], "/machine/peripheral/d");
    refused(c, "blockdev-del", json!({"node-name": "r"}), GENERIC, "Block device r is in use");
    c.command("device_del", json!({"id": "d"}));
    deleted(c, "d");
    c.command("blockdev-del", json!({"node-name": "r"}));
    c.command("blockdev-del", json!({"node-name": "f"}));

    refused(c, "netdev_add", json!({"type": "user", "id": "n0"}), GENERIC, "Duplicate ID 'n0'");
    c.command("netdev_add", json!({"type": "user", "id": "n1"}));
    refused(c, "netdev_del", json!({"id": "zz"}), NOT_FOUND, "Device 'zz' not found");
    c.command("netdev_del", json!({"id": "n1"}));
    c.command("object-add", json!({"qom-type": "rng-random", "id": "r0", "filename": "/dev/urandom"}));
    refused(c, "object-del", json!({"id": "zz"}), GENERIC, "object 'zz' not found");
    c.command("object-del", json!({"id": "r0"}));
    let unix = qemu.path("c2").display().to_string();
    let socket = json!({"addr": {"type": "unix", "data": {"path": unix}}});
    c.command("chardev-add", json!({"id": "c2", "backend": {"type": "socket", "data": socket}}));
    drop(connect(&qemu.path("c2")));
    let null = json!({"id": "c0", "backend": {"type": "null", "data": {}}});
    c.command("chardev-add", null.clone());
    refused(c, "chardev-add", null, GENERIC, "Chardev with id 'c0' already exists");
    refused(c, "chardev-remove", json!({"id": "zz"}), GENERIC, "Chardev 'zz' not found");
    c.command("chardev-remove", json!({"id": "c0"}));
    c.command("chardev-remove", json!({"id": "c2"}));
    refused(c, "query-hotpluggable-cpus", json!({}), GENERIC, "machine does not support hot-plugging CPUs");

    for (line, says) in [
        ("device_add", "Error: Parameter 'driver' is missing\n"),
        ("device_add virtio-rng-pci,bus=nope", "Error: Bus 'nope' not found\n"),
        ("device_del nope", "Error: Device 'nope' not found\n"),
        ("netdev_add user,id=n5", ""),
        ("netdev_del n5", ""),
        ("netdev_del n5", "Error: Device 'n5' not found\n"),
        (&format!("drive_add 0 file={disk},if=none,id=dd,format=raw"), "OK\n"),
        (&format!("drive_add 0 file={disk},if=none,id=dd,format=raw"), "Duplicate ID 'dd' for drive\n"),
        ("device_add virtio-blk-pci,drive=dd,bus=rp1,id=dev", ""),
        ("device_del dev", ""),
        ("drive_del dd", "Device 'dd' not found\n"),
        ("drive_add", "drive_add: string expected\nTry \"help drive_add\" for more information\n"),
        ("chardev-add null,id=c7", ""),
        ("chardev-remove c7", ""),
        ("chardev-remove c7", "Error: Chardev 'c7' not found\n"),
        ("object_add rng-random,id=r5,filename=/dev/urandom", ""),
        ("object_del r5", ""),
        ("object_del r5", "Error: object 'r5' not found\n"),
        ("hostfwd_add zz tcp:127.0.0.1:0-:22", "unrecognized netdev id 'zz'\n"),
    ] {
        assert_eq!(monitor(c, line), says, "{line}");
    }
    let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port();
    assert_eq!(monitor(c, &format!("hostfwd_add tcp:127.0.0.1:{port}-:22")), "");
    assert!(monitor(c, "info usernet").contains(&format!("127.0.0.1:{port} -> 10.0.2.15:22")));
    TcpStream::connect(("127.0.0.1", port)).expect("somebody listens");
    let rule = format!("tcp:127.0.0.1:{port}");
    let removed = format!("host forwarding rule for {rule} removed\n");
    assert_eq!(monitor(c, &format!("hostfwd_remove n0 {rule}")), removed);
    let gone = format!("host forwarding rule for {rule} not found\n");
    assert_eq!(monitor(c, &format!("hostfwd_remove {rule}")), gone);
    // What is described in `query-qmp-schema` is what is checked.
    refused(
        c,
        "device_add",
        json!({"driver": 1}),
        GENERIC,
        "Invalid parameter type for 'driver', expected: string",
    );
}

/// Debian's kernel and shell, where `mimic image pull` has put it.
fn debian(name: &str) -> Option<Guest> {
    let found = Store::open_default().and_then(|store| store.path(name));
    if found.is_err() {
        eprintln!("skipped: the image {name} is not here; mimic image pull {name}");
    }
    found.ok()
}

/// What a guest does about slot 1 after something was plugged in, and after it was asked to let go.
struct Slot {
    on: &'static str,
    off: &'static str,
}

/// Plugs disks and networks into Debian's kernel, which finds, uses and lets go of them.
fn linux_sees_it(qemu: &Qemu, guest: &Guest, (words, console): (&str, &str), slot: &Slot) {
    let mut bytes = vec![0; 1 << 20];
    bytes[..6].copy_from_slice(b"hello\n");
    let disk = qemu.file("plug.img", &bytes);
    let states = qemu.path("states");
    let words = format!(
        "{words} -m 512 -smp 2 -nographic -kernel {} -initrd {} -snapshot-dir {} \
         -device pcie-root-port,id=rp1,chassis=1,slot=1,addr=2.0,multifunction=on \
         -device pcie-root-port,id=rp2,chassis=2,slot=2,addr=2.1 -device virtio-rng-pci,bus=rp2,id=cold",
        guest.kernel.display(),
        guest.initrd.display(),
        states.display(),
    );
    let (mut running, mut client) = attached(qemu, &words, &["-append", &format!("console={console} quiet")]);
    let c = &mut client;
    running.expect("~# ");
    running.say("modprobe -a virtio_blk virtio_net; echo ready-$((1 + 1))\n");
    running.expect("ready-2");
    for round in 0..2 {
        c.command("blockdev-add", json!({"driver": "file", "filename": disk, "node-name": "f"}));
        let device = json!({"driver": "virtio-blk-pci", "bus": "rp1", "addr": "0x0", "drive": "f", "id": "disk", "serial": "plugged"});
        c.command("device_add", device);
        running.say(slot.on);
        running.say(&format!(
            "until [ \"$(head -c 5 /dev/vda 2>/dev/null)\" = hello ]; do sleep 0.1; done; echo here-$((40 + {round}))\n"
        ));
        running.expect(&format!("here-{}", 40 + round));
        if round == 0 {
            // The state of what was plugged in is part of the machine's.
            assert_eq!(monitor(c, "savevm with"), "");
            assert_eq!(monitor(c, "loadvm with"), "");
            running.say("sum /dev/vda; echo read-$((1 + 1))\n");
            running.expect("read-2");
        }
        c.command("device_del", json!({"id": "disk"}));
        running.say(slot.off);
        deleted(c, "disk");
        running.say(&format!("until ! [ -e /dev/vda ]; do sleep 0.1; done; echo gone-$((50 + {round}))\n"));
        running.expect(&format!("gone-{}", 50 + round));
        c.command("blockdev-del", json!({"node-name": "f"}));
    }
    let without = monitor(c, "loadvm with");
    assert!(without.contains("virtio-blk-pci at 02.0/00.0"), "{without}");
    // A network that was not there when the machine started.
    let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port();
    c.command(
        "netdev_add",
        json!({"type": "user", "id": "net", "hostfwd": [{"str": format!("tcp:127.0.0.1:{port}-:7")}]}),
    );
    c.command("device_add", json!({"driver": "virtio-net-pci", "bus": "rp1", "netdev": "net", "id": "nic"}));
    running.say(slot.on);
    running.say("until [ -e /sys/class/net/eth0 ]; do sleep 0.1; done; ip link set eth0 up; ip addr add 10.0.2.15/24 dev eth0; echo net-$((1 + 2))\n");
    running.expect("net-3");
    running.say("nc -l -p 7 -e cat & sleep 1; echo echo-$((1 + 3))\n");
    running.expect("echo-4");
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("a forwarded port");
    stream.write_all(b"ping").expect("sent");
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).expect("an echo");
    assert_eq!(&answer, b"ping");
    c.command("device_del", json!({"id": "nic"}));
    running.say(slot.off);
    deleted(c, "nic");
    c.command("netdev_del", json!({"id": "net"}));
    running.say("poweroff\n");
    let end = running.finish();
    assert_eq!(end.status, Some(0), "{}{}", end.out, end.err);
}

/// Debian's riscv64 kernel has no `pciehp`: its shell turns power on and off.
#[test]
fn riscv_linux_sees_devices_come_and_go() {
    let Some(guest) = debian("debian") else { return };
    let slot = Slot {
        on: "printf '\\300\\001' | dd of=/sys/bus/pci/devices/0000:00:02.0/config bs=1 seek=108 conv=notrunc 2>&1; \
             sleep 1; echo 1 > /sys/bus/pci/rescan\n",
        off: "echo 1 > /sys/bus/pci/devices/0000:01:00.0/remove; printf '\\300\\007' | \
             dd of=/sys/bus/pci/devices/0000:00:02.0/config bs=1 seek=108 conv=notrunc 2>&1\n",
    };
    linux_sees_it(&Qemu::new(), &guest, ("-M virt", "ttyS0"), &slot);
}

#[test]
fn arm_linux_sees_devices_come_and_go() {
    let Some(guest) = debian("debian:arm64") else { return };
    let words = ("-M virt,gic-version=3 -cpu max", "ttyAMA0");
    linux_sees_it(&Qemu::aarch64(), &guest, words, &Slot { on: "", off: "" });
}
