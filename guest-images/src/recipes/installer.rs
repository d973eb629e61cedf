//! `debian-installer`: the kernel and initrd of the network installer, as the distribution packages them.

use crate::deb;
use crate::error::{Error, Result};
use crate::recipes::{Guest, Kitchen};
use crate::tree::{Kind, Tree};

pub(crate) fn make(kitchen: &mut Kitchen) -> Result<Guest> {
    let arch = kitchen.arch.debian();
    let ending = format!("-netboot-{arch}");
    let index = kitchen.repo.index();
    // The package's name has the release's number in it: debian-installer-13-netboot-riscv64.
    let names = index.select(|p| p.name.starts_with("debian-installer-") && p.name.ends_with(&ending));
    let name = *names.last().ok_or_else(|| Error::NoPackage {
        relation: format!("debian-installer-*{ending}"),
        needed_by: String::new(),
    })?;
    let package = index.find(name)?;
    let files = kitchen.repo.fetch(&[package], kitchen.progress)?;

    let (kernel_end, initrd_end) =
        (format!("/text/debian-installer/{arch}/linux"), format!("/text/debian-installer/{arch}/initrd.gz"));
    let mut tree = Tree::new();
    let wanted = |path: &str| path.ends_with(&kernel_end) || path.ends_with(&initrd_end);
    deb::unpack(&files[0], &mut tree, &wanted)?;
    let take = |end: &str| {
        let found = tree.iter().find_map(|(path, node)| match &node.kind {
            Kind::File(bytes) if path.ends_with(end) => Some(bytes.as_slice()),
            _ => None,
        });
        found.ok_or_else(|| Error::format(&package.name, format!("there is no {end}")))
    };
    Ok(Guest {
        kernel: kitchen.save("kernel", take(&kernel_end)?)?,
        initrd: kitchen.save("initrd.gz", take(&initrd_end)?)?,
        append: format!("console={}", kitchen.arch.console()),
        disks: Vec::new(),
        memory_mib: 1024,
        scratch_mib: 8192,
        made_from: kitchen.versions(&[name])?,
    })
}
