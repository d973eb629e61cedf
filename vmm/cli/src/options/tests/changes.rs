//! What is added and taken away while the machine runs.

use control::Part;

use super::options;
use crate::options::{CharBackend, Removal, SocketRole, SystemOptions};

fn machine() -> SystemOptions {
    options(
        "-nodefaults -netdev user,id=n -chardev null,id=c -drive file=d,if=none,id=d -device pcie-root-port,id=rp",
    )
}

#[test]
fn what_is_added_is_checked_as_at_the_start() {
    let before = machine();
    let with = |part, words: &str| before.with(part, words);
    // In the order that JSON is read in.
    let device = with(Part::Device, "virtio-blk-pci,bus=rp,drive=d,id=x").expect("a device");
    assert!(device.has(Part::Device, "x") && !before.has(Part::Device, "x"));
    assert_eq!(
        with(Part::Device, r#"{"driver":"virtio-blk-pci","drive":"d","bus":"rp","id":"x"}"#),
        Ok(device.clone())
    );
    for (part, words, fault) in [
        (Part::Device, "virtio-blk-pci,drive=none,bus=rp", "there is no drive or block node 'none'"),
        (
            Part::Device,
            "virtio-net-pci,netdev=n,bus=nowhere",
            "there is no bus 'nowhere' for the device 'virtio-net-pci'",
        ),
        (Part::Device, "virtio-rng-pci,bus=rp,addr=1", "addr=01: the bus 'rp' has slot 0 only"),
        (Part::Device, "pcie-root-port,bus=rp", "bus=rp: a root port stands on pcie.0"),
        (Part::Netdev, "user,id=n", "there is another network back end 'n' already"),
        (Part::Drive, "file=e", "only a drive with if=none can be added while the machine runs"),
    ] {
        let said = with(part, words).expect_err(words).fault.to_string();
        assert!(said.starts_with(fault), "{said}");
    }
    let late = with(Part::Chardev, "socket,path=s,server=on,id=s").expect("a character device");
    let waits = |chardev: &CharBackend| match chardev {
        CharBackend::Socket { role: SocketRole::Server { wait }, .. } => *wait,
        _ => true,
    };
    assert!(!waits(&late.chardev("s").expect("it is there").backend), "nobody waits");
    assert!(!device.takes_devices(None) && device.takes_devices(Some("rp")));
    assert!(device.has_bus("rp") && device.has_bus("pcie.0") && !device.has_bus("x"));
}

#[test]
fn nothing_goes_while_it_is_used() {
    let machine = machine();
    let used = machine.with(Part::Device, "virtio-blk-pci,drive=d,bus=rp,id=x").expect("a device");
    assert_eq!(used.without(Part::Drive, "d"), Err(Removal::InUse));
    assert_eq!(used.without(Part::Drive, "e"), Err(Removal::NotThere));
    assert_eq!(used.without(Part::Device, "rp"), Err(Removal::InUse));
    let free = used.without(Part::Device, "x").expect("nobody uses it");
    assert_eq!(free, machine);
    assert!(!free.without(Part::Drive, "d").expect("nobody uses it").has(Part::Drive, "d"));
    for (part, id) in [(Part::Netdev, "n"), (Part::Chardev, "c")] {
        assert!(!machine.without(part, id).expect("nobody uses it").has(part, id));
    }
}
