//! Debian's own kernel. Runs where `mimic image pull debian` has put it; elsewhere there is nothing to test with.

use guest_images::{Guest, Store};

use crate::support::{Qemu, mimic, start};

fn image(name: &str) -> Option<Guest> {
    let found = Store::open_default().and_then(|store| store.path(name));
    if found.is_err() {
        eprintln!("skipped: the image {name} is not here; mimic image pull {name}");
    }
    found.ok()
}

#[test]
fn it_comes_to_a_prompt_and_powers_off() {
    if image("debian").is_none() {
        return;
    }
    let mut running = start(mimic().args(["run", "debian", "--cpus", "2", "--snapshot"]));
    running.expect("debian:~# ");
    running.say("ip -4 address show eth0 | grep -o '10\\.0\\.2\\.[0-9]*/'; nproc; ls /dev/vda\n");
    running.expect("10.0.2.15/");
    running.expect("/dev/vda");
    running.say("poweroff\n");
    let end = running.finish();
    assert_eq!(end.status, Some(0), "{}{}", end.out, end.err);
}

#[test]
fn it_boots_on_every_firmware() {
    let Some(guest) = image("debian-bench") else { return };
    for bios in ["builtin", "default"] {
        let qemu = Qemu::new();
        let words = format!(
            "-M virt -m 512 -smp 4 -nographic -no-reboot -bios {bios} -kernel {} -initrd {} -append console=ttyS0",
            guest.kernel.display(),
            guest.initrd.display()
        );
        let mut running = start(&mut qemu.command(&words));
        running.expect("Brought up 1 node, 4 CPUs");
        running.expect("MIMIC-INIT-OK");
        let end = running.finish();
        assert_eq!(end.status, Some(0), "{bios}: {}{}", end.out, end.err);
    }
}
