use super::*;
use crate::testing::{deb_of, tar_of};
use crate::tree::Kind;

#[test]
fn a_package_is_left_as_dpkg_would_leave_it_unpacked() {
    let control = "Package: tool\nVersion: 1\nArchitecture: riscv64\nMulti-Arch: same\nDescription: a tool\n and more\n";
    let bytes = deb_of(
        &[
            ("./control", control.as_bytes()),
            ("./conffiles", b"/etc/tool.conf\nremove-on-upgrade /etc/old\n"),
            (
                "./triggers",
                b"interest-noawait /usr/lib/tool\ninterest tool-event\nactivate-noawait ldconfig\n",
            ),
            ("./postinst", b"#!/bin/sh\n"),
        ],
        &tar_of(&[("./etc/tool.conf", b"c"), ("./usr/bin/tool", b"t")]),
    );
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    let (mut database, mut placed) = (Database::default(), Vec::new());
    let place = &mut |path: &str, _| {
        placed.push(path.to_owned());
        Ok(())
    };
    database.add(file.path(), place).unwrap();
    assert_eq!(placed, ["etc/tool.conf.dpkg-new", "usr/bin/tool"]);
    assert_eq!(database.order(), "tool tool:riscv64\n");

    let tree = database.files().unwrap();
    let text = |name: &str| match tree.get(&format!("var/lib/dpkg/{name}")).map(|node| &node.kind) {
        Some(Kind::File(bytes)) => String::from_utf8(bytes.clone()).unwrap(),
        other => panic!("{name}: {other:?}"),
    };
    assert_eq!(
        text("status"),
        "Package: tool\nStatus: install ok unpacked\nVersion: 1\nArchitecture: riscv64\nMulti-Arch: same\n\
         Description: a tool\n and more\nConffiles:\n /etc/tool.conf newconffile\n\n"
    );
    assert_eq!(text("info/tool:riscv64.list"), "/.\n/etc/tool.conf\n/usr/bin/tool\n");
    assert_eq!(text("info/tool:riscv64.postinst"), "#!/bin/sh\n");
    assert_eq!(text("triggers/File"), "/usr/lib/tool tool:riscv64/noawait\n");
    assert_eq!(text("triggers/tool-event"), "tool:riscv64\n");
    assert!(tree.get("var/lib/dpkg/info/tool:riscv64.control").is_none());
}
