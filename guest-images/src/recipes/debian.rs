//! `debian`: the distribution's kernel with an initramfs made here; `debian-bench`: the same kernel to time boots.

use crate::error::Result;
use crate::initramfs::{self, Flavour, InitramfsSpec};
use crate::recipes::{Guest, Kitchen};

pub(crate) fn make(kitchen: &mut Kitchen) -> Result<Guest> {
    make_flavour(kitchen, Flavour::Shell)
}

pub(crate) fn make_bench(kitchen: &mut Kitchen) -> Result<Guest> {
    make_flavour(kitchen, Flavour::Bench)
}

fn make_flavour(kitchen: &Kitchen, flavour: Flavour) -> Result<Guest> {
    let kernel = kitchen.kernel()?;
    let spec = InitramfsSpec { packages: kitchen.extra.to_vec(), ..InitramfsSpec::new(flavour) };
    let tree = spec.build(kitchen.repo, &kernel, kitchen.progress)?;
    let initrd = kitchen.directory.join("initrd.cpio");
    initramfs::write(&tree, &initrd)?;
    let console = kitchen.arch.console();
    Ok(Guest {
        kernel: kitchen.save("kernel", &kernel.image)?,
        initrd,
        append: match flavour {
            // A boot that is timed shows all that it does.
            Flavour::Bench => format!("console={console}"),
            _ => format!("console={console} quiet"),
        },
        disks: Vec::new(),
        memory_mib: 512,
        scratch_mib: if flavour == Flavour::Shell { 1024 } else { 0 },
        made_from: kitchen.versions(&[&kitchen.kernel_package()?.name, "busybox-static"])?,
    })
}
