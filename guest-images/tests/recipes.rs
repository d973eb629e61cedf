//! Every recipe from a real mirror, booted. Needs the network and QEMU under its own names, so it is run by hand:
//! `cargo test -p guest-images --test recipes -- --ignored`. `MIMIC_TEST_STORE` names a store to keep between runs.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use guest_images::{
    Arch, BuildStep, Disk, DiskFormat, Emulator, Guest, PullOptions, Store, TerminalProgress,
};

struct Qemu;

impl Emulator for Qemu {
    fn boot(&mut self, step: &BuildStep) -> Result<(), String> {
        let mut command = qemu(step.arch, step.memory_mib, &step.disks);
        command
            .arg("-kernel")
            .arg(&step.kernel)
            .arg("-initrd")
            .arg(&step.initrd)
            .args(["-append", &step.append]);
        match command.stdin(Stdio::null()).status() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(status.to_string()),
            Err(e) => Err(e.to_string()),
        }
    }
}

fn qemu(arch: Arch, memory_mib: u64, disks: &[Disk]) -> Command {
    let mut command = match arch {
        Arch::Riscv64 => Command::new("qemu-system-riscv64"),
        Arch::Arm64 => {
            let mut command = Command::new("qemu-system-aarch64");
            command.args(["-cpu", "neoverse-n1"]);
            command
        }
    };
    command.args(["-M", "virt", "-nographic", "-no-reboot", "-m", &memory_mib.to_string()]);
    command.args(["-netdev", "user,id=net", "-device", "virtio-net-device,netdev=net"]);
    command.args(["-device", "virtio-rng-device"]);
    for (n, disk) in disks.iter().enumerate() {
        let format = match disk.format {
            DiskFormat::Raw => "raw",
            DiskFormat::Qcow2 => "qcow2",
        };
        let read_only = if disk.read_only { ",readonly=on" } else { "" };
        command.arg("-drive");
        command.arg(format!("if=none,id=d{n},format={format},file={}{read_only}", disk.path.display()));
        command.args(["-device", &format!("virtio-blk-device,drive=d{n}")]);
    }
    command
}

fn booted(arch: Arch, guest: &Guest) -> Session {
    let mut command = qemu(arch, guest.memory_mib, &guest.disks);
    command
        .arg("-kernel")
        .arg(&guest.kernel)
        .arg("-initrd")
        .arg(&guest.initrd)
        .args(["-append", &guest.append]);
    Session::start(&mut command)
}

/// A running guest and what its console has said.
struct Session {
    child: std::process::Child,
    output: Receiver<Vec<u8>>,
    seen: String,
}

impl Session {
    fn start(command: &mut Command) -> Session {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut console = child.stdout.take().unwrap();
        let (sender, output) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(n @ 1..) = console.read(&mut buffer) {
                if sender.send(buffer[..n].to_vec()).is_err() {
                    return;
                }
            }
        });
        Session { child, output, seen: String::new() }
    }

    fn wait_for(&mut self, text: &str, seconds: u64) {
        let end = Instant::now() + Duration::from_secs(seconds);
        while !self.seen.contains(text) {
            let left = end.saturating_duration_since(Instant::now());
            match self.output.recv_timeout(left) {
                Ok(bytes) => self.seen += &String::from_utf8_lossy(&bytes),
                Err(e) => panic!("no {text:?} ({e}) in:\n{}", self.seen),
            }
        }
        let after = self.seen.find(text).unwrap() + text.len();
        self.seen.drain(..after);
    }

    fn send(&mut self, text: &str) {
        self.child.stdin.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
    }

    fn wait_for_end(mut self, seconds: u64) {
        let end = Instant::now() + Duration::from_secs(seconds);
        while self.child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < end, "the guest does not end");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Keeps a store that was made for one test until the test ends.
struct TestStore {
    store: Store,
    _directory: tempfile::TempDir,
}

fn store() -> TestStore {
    let directory = tempfile::tempdir().unwrap();
    let at =
        std::env::var_os("MIMIC_TEST_STORE").map_or_else(|| directory.path().join("store"), PathBuf::from);
    TestStore { store: Store::at(at), _directory: directory }
}

impl TestStore {
    fn pull(&self, name: &str) -> Guest {
        self.store.pull(name, &PullOptions::default(), &TerminalProgress::new(), &mut Qemu).unwrap()
    }

    fn ensure(&self, name: &str) -> Guest {
        self.store.ensure(name, &PullOptions::default(), &TerminalProgress::new(), &mut Qemu).unwrap()
    }
}

#[test]
#[ignore = "needs the network and qemu-system-riscv64"]
fn debian_gives_a_shell_with_network_and_scratch_disk() {
    let store = store();
    let options = PullOptions { packages: vec!["xz-utils".to_owned()], ..PullOptions::default() };
    let mut guest = store.store.pull("debian", &options, &TerminalProgress::new(), &mut Qemu).unwrap();
    let scratch = tempfile::NamedTempFile::new().unwrap();
    scratch.as_file().set_len(guest.scratch_mib << 20).unwrap();
    guest.disks.push(Disk { path: scratch.path().into(), format: DiskFormat::Raw, read_only: false });
    let mut session = booted(Arch::Riscv64, &guest);
    session.wait_for("~# ", 60);
    for (command, answer) in [
        ("uname -m", "\nriscv64"),
        ("ip -4 addr show eth0", "inet 10.0.2.15/24"),
        ("cat /etc/resolv.conf", "nameserver 10.0.2.3"),
        ("grep -c /mnt /proc/mounts", "\n1"),
        ("/usr/bin/xz --version", "XZ Utils"),
        ("echo kept > /mnt/file && cat /mnt/file", "\nkept"),
        ("sleep 60\u{3}", "^C"),
        (
            "mkdir /tmp/o /tmp/u /tmp/w && mount -t overlay -o lowerdir=/etc,upperdir=/tmp/u,workdir=/tmp/w o /tmp/o && ls /tmp/o/inittab",
            "\n/tmp/o/inittab",
        ),
    ] {
        session.send(&format!("{command}\n"));
        session.wait_for(answer, 30);
        session.wait_for("~# ", 30);
    }
    session.send("exit\n");
    session.wait_for_end(30);
    let mut session = booted(Arch::Riscv64, &guest);
    session.wait_for("~# ", 60);
    session.send("cat /mnt/file; poweroff\n");
    session.wait_for("\nkept", 30);
    session.wait_for_end(30);
}

#[test]
#[ignore = "needs the network and qemu-system-riscv64"]
fn debian_bench_prints_its_line_and_powers_off() {
    let store = store();
    let mut session = booted(Arch::Riscv64, &store.pull("debian-bench"));
    session.wait_for("MIMIC-INIT-OK ", 60);
    session.wait_for_end(30);
}

#[test]
#[ignore = "needs the network and qemu-system-riscv64"]
fn debian_installer_shows_its_language_screen() {
    let store = store();
    booted(Arch::Riscv64, &store.pull("debian-installer")).wait_for("Choose the language", 180);
}

/// Boots the disk in each way to a login, a running system, whole packages, and power-off.
fn disk_boots(starts: [&mut dyn FnMut() -> Session; 2]) {
    for start in starts {
        let mut session = start();
        session.wait_for("login: ", 300);
        session.send("root\n");
        session.wait_for(":~# ", 60);
        session.send("systemctl is-system-running --wait; dpkg --audit && echo audit=$?\n");
        session.wait_for("running\r", 120);
        session.wait_for("audit=0", 60);
        session.send("poweroff\n");
        session.wait_for_end(120);
    }
}

#[test]
#[ignore = "needs the network and qemu-system-riscv64, and takes many minutes"]
fn debian_disk_boots_through_kernel_and_u_boot() {
    let store = store();
    let guest = store.ensure("debian-disk");
    let u_boot = PathBuf::from("/usr/lib/u-boot/qemu-riscv64_smode/uboot.elf");
    let mut by_firmware = qemu(Arch::Riscv64, guest.memory_mib, &guest.disks);
    by_firmware.arg("-kernel").arg(u_boot);
    disk_boots([&mut || booted(Arch::Riscv64, &guest), &mut || Session::start(&mut by_firmware)]);
}

#[test]
#[ignore = "needs the network and qemu-system-aarch64, and takes many minutes"]
fn debian_disk_boots_through_kernel_and_uefi() {
    let store = store();
    let guest = store.ensure("debian-disk:arm64");
    let mut by_firmware = qemu(Arch::Arm64, guest.memory_mib, &guest.disks);
    by_firmware.args(["-bios", "/usr/share/qemu-efi-aarch64/QEMU_EFI.fd"]);
    disk_boots([&mut || booted(Arch::Arm64, &guest), &mut || Session::start(&mut by_firmware)]);
}
