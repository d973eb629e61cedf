//! Saving machines and putting them back: the files that come of it, jobs of QMP, the monitor, and guests under load.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use guest_images::{Guest, Store};
use serde_json::{Value, json};

use crate::assemble::assemble;
use crate::control::Client;
use crate::rsp::connect;
use crate::support::{Qemu, Running, run, start};

/// Counts in memory, for ever.
const COUNT: &str = "
 li t0, 0x801
 slli t0, t0, 20
 li t1, 0
again:
 addi t1, t1, 1
 sd t1, 0(t0)
 j again
";

/// A client of QMP of the machine with `words`.
fn attached(qemu: &Qemu, words: &str) -> (Running, Client) {
    attached_with(qemu, words, &[])
}

/// The same, with words that are given as they are.
fn attached_with(qemu: &Qemu, words: &str, more: &[&str]) -> (Running, Client) {
    let socket = qemu.path("qmp");
    // The last machine's.
    let _ = fs::remove_file(&socket);
    let words = format!("{words} -qmp unix:{},server=on,wait=off", socket.display());
    let running = start(qemu.command(&words).args(more));
    let mut client = Client::new(connect(&socket));
    client.line();
    client.command("qmp_capabilities", json!({}));
    (running, client)
}

fn monitor(client: &mut Client, line: &str) -> String {
    let text = client.command("human-monitor-command", json!({"command-line": line}));
    text.as_str().expect("text").replace('\r', "")
}

/// The states that job `id` comes to.
fn follow(client: &mut Client, id: &str, to: &str) -> Vec<String> {
    let mut states = Vec::new();
    loop {
        let event = client.event("JOB_STATUS_CHANGE");
        assert_eq!(event["data"]["id"], id);
        states.push(event["data"]["status"].as_str().expect("a state").to_string());
        if states.last().is_some_and(|state| state == to) {
            return states;
        }
    }
}

/// A qcow2 image, where `qemu-img` is installed.
fn qcow2(qemu: &Qemu, name: &str, size: &str) -> Option<String> {
    let path = qemu.path(name).display().to_string();
    let made = Command::new("qemu-img").args(["create", "-q", "-f", "qcow2", &path, size]).status();
    made.is_ok_and(|status| status.success()).then_some(path)
}

fn check(image: &str) {
    let checked = Command::new("qemu-img").args(["check", image]).output().expect("qemu-img");
    let text = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(text.contains("No errors were found") && !text.contains("leaked"), "{text}");
}

/// State and RAM of a snapshot in a folder, but for when it was made.
fn state(path: &Path) -> (Value, Vec<u8>) {
    let bytes = fs::read(path).expect("a state");
    assert_eq!(&bytes[..8], b"MIMICSNP");
    let size = u32::from_le_bytes(bytes[12..16].try_into().expect("four bytes")) as usize;
    let mut state: Value = serde_json::from_slice(&bytes[16..16 + size]).expect("JSON");
    state["wall"] = Value::Null;
    (state, bytes[(16 + size).next_multiple_of(64 << 10)..].to_vec())
}

const MACHINE: &str = "-bios none -display none -serial none -monitor none -m 64";

#[test]
fn jobs_save_load_and_delete_as_those_of_qemu() {
    let qemu = Qemu::new();
    let Some(disk) = qcow2(&qemu, "d.qcow2", "64M") else { return };
    let image = qemu.file("count.bin", &assemble(COUNT).expect("well formed"));
    let raw = qemu.file("r.img", &vec![0; 1 << 20]);
    let words = format!(
        "{MACHINE} -S -kernel {image} -blockdev driver=file,filename={disk},node-name=f0 \
         -blockdev driver=qcow2,file=f0,node-name=d0 -device virtio-blk-device,drive=d0 \
         -blockdev driver=file,filename={raw},node-name=r0 -device virtio-blk-device,drive=r0"
    );
    let (running, mut client) = attached(&qemu, &words);
    let job = |id: &str, tag: &str, devices: &[&str]| json!({"job-id": id, "tag": tag, "vmstate": "d0", "devices": devices});
    let whole = ["created", "running", "waiting", "pending", "concluded"];
    let broken = ["created", "running", "aborting", "concluded"];
    client.command("snapshot-save", job("j1", "a", &["d0"]));
    assert_eq!(follow(&mut client, "j1", "concluded"), whole);
    let info = json!([{"id": "j1", "type": "snapshot-save", "status": "concluded", "current-progress": 1, "total-progress": 1}]);
    assert_eq!(client.command("query-jobs", json!({})), info);
    let again = client.ask(&json!({"execute": "snapshot-save", "arguments": job("j1", "a", &["d0"])}));
    assert_eq!(again["error"]["desc"], "Job ID 'j1' already in use");
    client.command("job-dismiss", json!({"id": "j1"}));
    assert_eq!(follow(&mut client, "j1", "null"), ["null"]);
    let gone = client.ask(&json!({"execute": "job-dismiss", "arguments": {"id": "j1"}}));
    assert_eq!(gone["error"]["desc"], "Job not found");
    for (command, arguments, fault) in [
        ("snapshot-save", job("x", "a", &["d0"]), "Snapshot 'a' already exists in one or more devices"),
        (
            "snapshot-save",
            job("x", "b", &["d0", "r0"]),
            "Device 'r0' is writable but does not support snapshots",
        ),
        ("snapshot-save", job("x", "b", &[]), "At least one device is required for snapshot"),
        ("snapshot-load", job("x", "zz", &["d0"]), "Snapshot 'zz' does not exist in one or more devices"),
    ] {
        client.command(command, arguments);
        assert_eq!(follow(&mut client, "x", "concluded"), broken);
        let jobs = client.command("query-jobs", json!({}));
        let error = jobs[0]["error"].as_str().unwrap_or_default();
        assert!(error.starts_with(fault), "{error}");
        client.command("job-dismiss", json!({"id": "x"}));
        follow(&mut client, "x", "null");
    }
    // A machine that runs stops for it, and goes on.
    client.command("cont", json!({}));
    client.event("RESUME");
    client.command("snapshot-load", job("j2", "a", &["d0"]));
    assert_eq!(follow(&mut client, "j2", "concluded"), whole);
    client.event("STOP");
    client.event("RESUME");
    assert_eq!(client.command("query-status", json!({}))["status"], "running");
    let nodes = client.command("query-named-block-nodes", json!({"flat": true}));
    assert_eq!(nodes[0]["image"]["snapshots"][0]["name"], "a", "{nodes}");
    assert!(
        monitor(&mut client, "savevm x")
            .contains("is writable but does not support snapshots: it is a raw image")
    );
    let listed = monitor(&mut client, "info snapshots");
    assert!(
        listed.contains("None\n\nList of partial (non-loadable) snapshots on '':\nID      TAG"),
        "{listed}"
    );
    client.command("snapshot-delete", json!({"job-id": "j3", "tag": "a", "devices": ["d0"]}));
    assert_eq!(follow(&mut client, "j3", "concluded"), whole);
    assert_eq!(monitor(&mut client, "info snapshots"), "There is no snapshot available.\n");
    client.command("quit", json!({}));
    assert_eq!(running.finish().status, Some(0));
    check(&disk);
}

#[test]
fn the_monitor_keeps_states_in_the_first_disk() {
    let qemu = Qemu::new();
    let Some(disk) = qcow2(&qemu, "d.qcow2", "8M") else { return };
    let image = qemu.file("count.bin", &assemble(COUNT).expect("well formed"));
    let words = format!("{MACHINE} -kernel {image} -drive if=virtio,id=disk,file={disk},format=qcow2");
    let (running, mut client) = attached(&qemu, &words);
    let counter = |client: &mut Client| {
        monitor(client, "stop");
        let text = monitor(client, "xp/1gd 0x80100000");
        text.rsplit(' ').next().and_then(|n| n.trim().parse::<u64>().ok()).expect("a number")
    };
    let first = loop {
        let now = counter(&mut client);
        if now > 0 {
            break now;
        }
        monitor(&mut client, "cont");
    };
    assert_eq!(monitor(&mut client, "savevm early"), "");
    monitor(&mut client, "cont");
    std::thread::sleep(Duration::from_millis(50));
    let later = counter(&mut client);
    assert!(later > first);
    assert_eq!(monitor(&mut client, "savevm"), "");
    assert_eq!(monitor(&mut client, "loadvm early"), "");
    assert_eq!(counter(&mut client), first, "it is what it was");
    assert_eq!(monitor(&mut client, "savevm early"), "", "one of the same name is replaced");
    let list = monitor(&mut client, "info snapshots");
    let lines: Vec<&str> = list.lines().collect();
    assert_eq!(
        lines[..2],
        [
            "List of snapshots present on all disks:",
            "ID      TAG               VM_SIZE                DATE        VM_CLOCK     ICOUNT"
        ]
    );
    assert!(lines[2].starts_with("--      vm-20") && lines[3].starts_with("--      early "), "{list}");
    assert_eq!(
        monitor(&mut client, "loadvm"),
        "loadvm: string expected\nTry \"help loadvm\" for more information\n"
    );
    assert_eq!(monitor(&mut client, "delvm nothing"), "");
    monitor(&mut client, "cont");
    client.command("quit", json!({}));
    running.finish();
    check(&disk);
    let theirs = Command::new("qemu-img").args(["snapshot", "-l", &disk]).output().expect("qemu-img");
    assert!(String::from_utf8_lossy(&theirs.stdout).contains("early"), "{theirs:?}");
    // Another process goes on from there.
    let (running, mut client) = attached(&qemu, &format!("{words} -S -loadvm early"));
    assert_eq!(counter(&mut client), first);
    client.command("quit", json!({}));
    running.finish();
    for (more, fault) in [
        ("-loadvm nope", "-loadvm nope: Snapshot 'nope' does not exist in one or more devices"),
        ("-loadvm early -smp 2", "a machine with a number of CPUs of 1, and this one has 2"),
        ("-loadvm early -m 128", "RAM of 64 MiB at 0x80000000, and this one has 128 MiB at 0x80000000"),
        ("-loadvm early -cpu max", "the CPU model rv64-riscv-cpu, and this one has max"),
        ("-loadvm early -M virt,aclint=on", "the device"),
        (
            "-loadvm early -device virtio-rng-pci",
            "it has virtio-blk-pci at 01.0 where there is virtio-rng-pci at 01.0",
        ),
    ] {
        let end = run(&mut qemu.command(&format!("{words} {more}")));
        assert_eq!(end.status, Some(1), "{more}: {}", end.err);
        assert!(end.err.contains(fault) && end.err.lines().count() == 1, "{more}: {}", end.err);
    }
    let end = run(&mut qemu.command(&format!("{MACHINE} -kernel {image} -loadvm x")));
    assert!(end.err.contains("no block device can store vmstate for snapshot"), "{}", end.err);
    check(&disk);
}

/// A checkpoint has what disks held under a name that is nobody's: snapshots of the same tag are others, and none is left at the end.
#[test]
fn checkpoints_and_snapshots_of_one_tag_are_two_things() {
    let qemu = Qemu::new();
    let Some(disk) = qcow2(&qemu, "d.qcow2", "8M") else { return };
    let listed = || {
        let list = Command::new("qemu-img").args(["snapshot", "-l", "-U", &disk]).output().expect("qemu-img");
        String::from_utf8_lossy(&list.stdout).into_owned()
    };
    let raw = qemu.file("raw.img", &[1; 4096]);
    let folder = qemu.path("states");
    let words = format!(
        "{MACHINE} -drive if=virtio,id=disk,file={disk},format=qcow2 -drive if=virtio,id=raw,file={raw},format=raw \
         -snapshot-dir {}",
        folder.display()
    );
    for signal in [None, Some(libc::SIGTERM), Some(libc::SIGKILL)] {
        let (running, mut client) = attached(&qemu, &words);
        for line in
            ["checkpoint two", "savevm two", "checkpoint two", "delvm two", "restore two", "checkpoint other"]
        {
            assert_eq!(monitor(&mut client, line), "", "{line}");
        }
        assert_eq!(
            monitor(&mut client, "loadvm two"),
            "Error: Snapshot 'two' does not exist in one or more devices\n"
        );
        assert!(monitor(&mut client, "info snapshots").starts_with("There is no snapshot available."));
        assert!(listed().contains("two") && listed().contains("other"), "they are there while it runs");
        match signal {
            None => drop(client.command("quit", json!({}))),
            Some(signal) => running.signal(signal),
        }
        running.finish();
        if signal == Some(libc::SIGKILL) {
            // Only what is within a disk is there until somebody uses that again.
            assert!(listed().contains(".checkpoint.two"));
            attached(&qemu, &words).1.command("quit", json!({}));
        }
        assert_eq!(listed(), "", "{signal:?}");
        let left: Vec<_> =
            fs::read_dir(&folder).into_iter().flatten().flatten().map(|file| file.path()).collect();
        assert!(left.is_empty(), "{left:?}");
        check(&disk);
    }
}

#[test]
fn a_folder_keeps_states_and_raw_disks() {
    let qemu = Qemu::new();
    let image = qemu.file("count.bin", &assemble(COUNT).expect("well formed"));
    let disk = qemu.file("r.img", &vec![7; 3 << 20]);
    let folder = qemu.path("states");
    let words = format!(
        "{MACHINE} -smp 2 -kernel {image} -drive if=virtio,id=disk,file={disk},format=raw -snapshot-dir {}",
        folder.display()
    );
    let (running, mut client) = attached(&qemu, &words);
    std::thread::sleep(Duration::from_millis(50));
    monitor(&mut client, "stop");
    assert_eq!(monitor(&mut client, "savevm a"), "");
    fs::write(&disk, vec![8; 3 << 20]).expect("the disk's file");
    monitor(&mut client, "cont");
    std::thread::sleep(Duration::from_millis(50));
    monitor(&mut client, "stop");
    assert_eq!(monitor(&mut client, "loadvm a"), "");
    assert_eq!(monitor(&mut client, "savevm b"), "");
    assert!(
        state(&folder.join("a.state")) == state(&folder.join("b.state")),
        "saved, loaded and saved again"
    );
    assert!(fs::read(&disk).expect("the disk's file").iter().all(|byte| *byte == 7));
    assert!(monitor(&mut client, "info snapshots").contains("--      a "));
    for tag in ["../a", ".a", ""] {
        let said = monitor(&mut client, &format!("delvm {tag}"));
        assert!(said.contains("is no name for a snapshot") || said.contains("string expected"), "{said}");
    }
    client.command("quit", json!({}));
    running.finish();
    // Damage is a sentence.
    let good = fs::read(folder.join("a.state")).expect("a state");
    let mut end_missing = good.clone();
    end_missing.truncate(1 << 20);
    let mut no_state = good.clone();
    no_state[100] = 0;
    for (bytes, fault) in [
        (&b"nothing"[..], "it is too short"),
        (&[0; 64][..], "it is no snapshot of Mimic's"),
        (&end_missing, "its end is missing"),
        (&no_state, "its state is not what a machine has"),
    ] {
        fs::write(folder.join("bad.state"), bytes).expect("a file");
        fs::copy(folder.join("a.disk.raw"), folder.join("bad.disk.raw")).expect("a copy");
        let end = run(&mut qemu.command(&format!("{words} -loadvm bad")));
        assert!(end.err.contains(fault) && end.err.lines().count() == 1, "{}", end.err);
        assert_eq!(end.status, Some(1));
    }
}

fn guest(name: &str) -> Option<Guest> {
    let found = Store::open_default().and_then(|store| store.path(name));
    if found.is_err() {
        eprintln!("skipped: the image {name} is not here; mimic image pull {name}");
    }
    found.ok()
}

/// Writes random bytes to the disk, reads them back around the caches, and pings, round after round.
const LOAD: &str = "stty -echo; umount /mnt; ping -i 0.2 10.0.2.2 > /tmp/ping & n=0; while :; do n=$((n+1)); \
    dd if=/dev/urandom of=/tmp/x bs=64k count=16 2>/dev/null; \
    dd if=/tmp/x of=/dev/vda bs=64k seek=$((n%8*16)) conv=fsync 2>/dev/null; echo 3 > /proc/sys/vm/drop_caches; \
    dd if=/dev/vda of=/tmp/y bs=64k skip=$((n%8*16)) count=16 2>/dev/null; \
    cmp /tmp/x /tmp/y && echo \"round $n good $(grep -c seq= /tmp/ping) $(cut -d. -f1 /proc/uptime)\" || echo BA''D; done\n";

/// The last round that the guest has told of: its number, how many pings had come back, and its time in seconds.
fn last_round(seen: &str) -> Option<[u64; 3]> {
    // The line that is being written is not taken.
    let whole = &seen[..seen.rfind('\n')?];
    let line = whole.lines().rev().find(|line| line.starts_with("round "))?;
    let words: Vec<u64> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    words.try_into().ok()
}

/// Waits until the guest has told of so many rounds more than it has ever told of.
fn next_rounds(running: &mut Running, rounds: u64) -> [u64; 3] {
    if last_round(&running.seen()).is_none() {
        running.expect(" good ");
        running.expect("\n");
    }
    let seen = running.seen();
    let told = |line: &str| line.strip_prefix("round ")?.split(' ').next()?.parse::<u64>().ok();
    let most = seen.lines().filter_map(told).max().unwrap_or(0);
    running.expect(&format!("round {} good", most + rounds));
    last_round(&running.seen()).expect("a round")
}

/// Waits until more pings have come back than in `round`: each takes a second, and there may be many rounds in one.
fn network_goes_on(running: &mut Running, round: [u64; 3]) {
    let [_, pings, start] = round;
    loop {
        let now = next_rounds(running, 1);
        if now[1] > pings {
            return;
        }
        assert!(now[2] < start + 60, "the network goes on: {round:?} {now:?}");
    }
}

/// Saves and loads in the middle of disk and network load.
fn under_load(qemu: &Qemu, machine: &str, guest: &Guest) {
    let Some(disk) = qcow2(qemu, "d.qcow2", "64M") else { return };
    let folder = qemu.path("states");
    let words = format!(
        "{machine} -m 512 -smp 2 -display none -monitor none -serial stdio -kernel {} -initrd {} \
         -drive if=virtio,id=disk,file={disk},format=qcow2 -device virtio-rng-pci -nic user,model=virtio-net-pci \
         -snapshot-dir {}",
        guest.kernel.display(),
        guest.initrd.display(),
        folder.display()
    );
    let append = ["-append", &guest.append];
    let (mut running, mut client) = attached_with(qemu, &words, &append);
    running.expect("debian:~# ");
    running.say(LOAD);
    next_rounds(&mut running, 3);
    assert_eq!(monitor(&mut client, "savevm a"), "");
    next_rounds(&mut running, 3);
    let before = Instant::now();
    assert_eq!(monitor(&mut client, "loadvm a"), "");
    eprintln!("loadvm took {:?} in all", before.elapsed());
    // The counts are those of the state that came back.
    let round = next_rounds(&mut running, 1);
    next_rounds(&mut running, 3);
    network_goes_on(&mut running, round);
    monitor(&mut client, "stop");
    assert_eq!(monitor(&mut client, "loadvm a"), "");
    assert_eq!(monitor(&mut client, "savevm b"), "");
    let (one, two) = (state(&folder.join("a.state")), state(&folder.join("b.state")));
    let devices = |state: &Value| state["devices"].as_array().cloned().unwrap_or_default();
    devices(&one.0).iter().zip(devices(&two.0)).for_each(|(one, two)| assert_eq!(*one, two));
    assert!(one == two, "saved, loaded and saved again");
    client.command("quit", json!({}));
    let end = running.finish();
    assert!(!end.out.contains("BAD"), "{}", end.out);
    check(&disk);
    // Another process goes on, with a network that knows of nothing.
    let (mut running, mut client) = attached_with(qemu, &format!("{words} -loadvm b"), &append);
    let round = next_rounds(&mut running, 1);
    next_rounds(&mut running, 2);
    network_goes_on(&mut running, round);
    client.command("quit", json!({}));
    let end = running.finish();
    assert!(!end.out.contains("BAD"), "{}", end.out);
    check(&disk);
}

#[test]
fn a_riscv_guest_goes_on_under_load() {
    let Some(debian) = guest("debian") else { return };
    under_load(&Qemu::new(), "-M virt -bios builtin", &debian);
}

#[test]
fn an_arm_guest_goes_on_under_load() {
    let Some(debian) = guest("debian:arm64") else { return };
    under_load(&Qemu::aarch64(), "-M virt,gic-version=max -cpu max", &debian);
}
