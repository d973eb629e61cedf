//! Listings come from the tables that parsing reads.

use super::{read, text};
use crate::options::{Request, device_table, log, table};

#[test]
fn version_is_one_that_clients_can_read() {
    let text = text("-M virt --version");
    let first = text.lines().next().expect("there is a first line");
    assert_eq!(first, format!("QEMU emulator version 10.0.2 (Mimic {})", env!("CARGO_PKG_VERSION")));
    assert!(text.lines().nth(1).is_some_and(|line| line.starts_with("Mimic ")));
}

#[test]
fn usage_lists_what_there_is() {
    let usage = text("-help");
    assert!(usage.contains("usage: qemu-system-riscv64 [options] [disk_image]"));
    for row in table::rows() {
        let listed = usage.lines().any(|line| line.split(' ').next() == Some(&format!("-{}", row.name)));
        assert_eq!(listed, row.opt.is_some(), "-{}", row.name);
    }
}

#[test]
fn each_device_lists_its_properties() {
    let all = text("-device help");
    for device in device_table::DEVICES {
        assert!(all.contains(&format!("name \"{}\"", device.name)));
        let one = text(&format!("-device {},help", device.name));
        assert!(one.starts_with(&format!("{} options:\n", device.name)));
        for prop in device.props.iter().flat_map(|table| table.iter()) {
            assert!(one.contains(&format!("  {}=<", prop.name)), "{}.{}", device.name, prop.name);
        }
    }
    assert!(text("-device virtio-blk,?").starts_with("virtio-blk-pci options:"));
}

#[test]
fn other_listings() {
    assert!(text("-machine help").contains("virt                 RISC-V VirtIO board (default)"));
    assert!(text("-M virt,help").contains("  aclint=<bool>"));
    assert!(text("-accel help").ends_with("tcg\n"));
    assert!(text("-netdev help").contains("\nuser\n"));
    assert!(text("-netdev user,help").contains("hostfwd="));
    assert!(text("-chardev help").contains("  socket\n"));
    assert!(text("-chardev socket,help").contains("reconnect="));
    assert!(text("-object help").contains("  rng-random\n"));
    assert!(text("-drive format=help").contains("qcow2 raw"));
    assert!(text("-nic help").contains("virtio-net-pci"));
    assert!(text("-smp help").contains("maxcpus="));
    let items = text("-d help");
    assert!(log::ITEMS.iter().all(|(name, _, _)| items.contains(name)));
    assert_eq!(read("-cpu help"), Ok(Request::CpuHelp));
    assert_eq!(read("-cpu ?"), Ok(Request::CpuHelp));
}
