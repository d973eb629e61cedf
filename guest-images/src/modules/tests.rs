use super::*;
use crate::testing::{gzip, module};

fn modules() -> Modules {
    let mut modules = Modules::default();
    for (path, info) in [
        ("kernel/fs/ext4.ko.gz", &["license=GPL", "depends=jbd2,crc-16", "alias=fs-ext4"][..]),
        ("kernel/fs/jbd2.ko.gz", &["depends=", "softdep=pre: crypto-crc32c post: other"]),
        ("kernel/lib/crc-16.ko.gz", &["depends="]),
        ("kernel/crypto/crc32c.ko.gz", &["depends=", "alias=crypto-crc32c"]),
    ] {
        modules.add(path, gzip(&module(info)));
    }
    modules.add("modules.order", b"no module".to_vec());
    modules
}

#[test]
fn modinfo_is_read() {
    let info = ModInfo::parse(&module(&[
        "depends=a-b,c",
        "softdep=pre: x-y z post: w",
        "alias=fs-f",
        "alias=g",
        "vermagic=6",
    ]));
    let texts = |list: &[&str]| list.iter().map(|s| s.to_string()).collect::<Vec<_>>();
    let expected =
        ModInfo { depends: texts(&["a_b", "c"]), pre: texts(&["x_y", "z"]), aliases: texts(&["fs-f", "g"]) };
    assert_eq!(info.unwrap(), expected);
    assert!(ModInfo::parse(b"\x7fELF and no more").is_err());
}

#[test]
fn dependencies_come_first() {
    let order: Vec<String> =
        modules().closure(&["ext4", "virtio_pci"]).unwrap().into_iter().map(|m| m.name).collect();
    assert_eq!(order, ["jbd2", "crc_16", "ext4"]);
}

#[test]
fn tables_are_what_modprobe_reads() {
    let mut tree = Tree::new();
    modules().install(&["ext4", "crc32c"], "6.12-test", &mut tree).unwrap();
    let text = |name: &str| match &tree.get(&format!("lib/modules/6.12-test/{name}")).unwrap().kind {
        Kind::File(bytes) => String::from_utf8(bytes.clone()).unwrap(),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        text("modules.dep"),
        "jbd2.ko: crc32c.ko\ncrc_16.ko:\next4.ko: crc_16.ko jbd2.ko crc32c.ko\ncrc32c.ko:\n"
    );
    assert_eq!(text("modules.alias"), "alias fs-ext4 ext4\nalias crypto-crc32c crc32c\n");
    assert!(tree.get("lib/modules/6.12-test/ext4.ko").is_some());
}

#[test]
fn circles_end_and_missing_dependencies_are_named() {
    let mut modules = Modules::default();
    modules.add("a.ko", module(&["depends=b", "softdep=pre: b"]));
    modules.add("b.ko", module(&["depends=a"]));
    modules.install(&["a"], "x", &mut Tree::new()).unwrap();
    modules.add("c.ko", module(&["depends=gone"]));
    let error = modules.install(&["c"], "x", &mut Tree::new()).unwrap_err().to_string();
    assert!(error.contains("kernel module gone"), "{error}");
}
