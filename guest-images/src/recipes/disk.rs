//! `debian-disk`: Debian with systemd and apt on a disk that boots through U-Boot and through `-kernel`, and on arm64
//! through UEFI and GRUB.
//!
//! The host unpacks the packages into a tar archive, with dpkg's database beside them ([`super::dpkg`]); a guest formats
//! the disk, extracts the archive from a second disk and configures the packages in a chroot. A third disk brings back
//! the guest's report. So the host needs neither privilege nor tools, and every program of the image runs on the
//! architecture that it was built for.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use crate::Arch;
use crate::error::{At, Error, Result};
use crate::initramfs::{self, Flavour, InitramfsSpec};
use crate::recipes::dpkg::Database;
use crate::recipes::{BuildStep, Disk, DiskFormat, Guest, Kitchen, qcow2};
use crate::repo::Package;
use crate::tree::{Kind, Node, Tree};

/// Size of the disk; the image file grows with what is written.
const DISK_SIZE: u64 = 8 << 30;
/// First sector of the partition: 1 MiB, as partitioning tools align.
const FIRST_SECTOR: u32 = 2048;
/// Sectors of the EFI system partition: 64 MiB.
const EFI_SECTORS: u32 = 64 << 11;
/// What the report disk begins with before the guest has written it.
const REPORT_MAGIC: &[u8] = b"MIMIC-REPORT";
const REPORT_SIZE: usize = 64 << 10;

const INSTALL: &str = include_str!("scripts/install.sh");

/// Beside what is essential or required: boot, network and what a person expects to find.
const PACKAGES: [&str; 25] = [
    "apt",
    "ca-certificates",
    "dbus",
    "debian-archive-keyring",
    "e2fsprogs",
    "initramfs-tools",
    "iproute2",
    "iputils-ping",
    "kmod",
    "less",
    "libnss-resolve",
    "libpam-systemd",
    "login",
    "nano",
    "netbase",
    "passwd",
    "procps",
    "systemd-resolved",
    "systemd-sysv",
    "tzdata",
    "u-boot-menu",
    "udev",
    "wget",
    "xz-utils",
    "zstd",
];

/// Drivers in the initramfs that the installed system makes for itself.
const BOOT_MODULES: &str =
    "virtio_mmio\nvirtio_pci\nvirtio_blk\nvirtio_scsi\nvirtio_rng\nnvme\next4\ncrc32c_generic\n";

pub(crate) fn make(kitchen: &mut Kitchen) -> Result<Guest> {
    let kernel = kitchen.kernel()?;
    let kernel_name = kitchen.kernel_package()?.name.clone();
    let scratch = tempfile::tempdir_in(kitchen.directory).at(kitchen.directory)?;
    let console = kitchen.arch.console();

    let payload = scratch.path().join("payload.tar");
    let order = write_payload(kitchen, &payload)?;
    let report = scratch.path().join("report.raw");
    let mut blank = REPORT_MAGIC.to_vec();
    blank.resize(REPORT_SIZE, 0);
    std::fs::write(&report, blank).at(&report)?;
    let disk = kitchen.directory.join("disk.qcow2");
    let mut file = File::create(&disk).at(&disk)?;
    qcow2::write_empty(DISK_SIZE, &mut file).at(&disk)?;

    let kernel_path = kitchen.save("kernel", &kernel.image)?;
    let install = InitramfsSpec::new(Flavour::Install)
        .add_package_closure("e2fsprogs")
        .add_file("etc/install/install.sh", 0o644, INSTALL)?
        .add_file("etc/install/mbr", 0o644, partition_table(DISK_SIZE, efi_sectors(kitchen.arch)))?
        .add_file("etc/install/order", 0o644, order)?
        .add_file("etc/install/arch", 0o644, kitchen.arch.debian())?;
    let install_initrd = scratch.path().join("install.cpio");
    initramfs::write(&install.build(kitchen.repo, &kernel, kitchen.progress)?, &install_initrd)?;
    let initrd = kitchen.directory.join("initrd.cpio");
    let root = InitramfsSpec::new(Flavour::Root).build(kitchen.repo, &kernel, kitchen.progress)?;
    initramfs::write(&root, &initrd)?;

    let target = Disk { path: disk, format: DiskFormat::Qcow2, read_only: false };
    let step = BuildStep {
        what: "configuring the packages".to_owned(),
        arch: kitchen.arch,
        kernel: kernel_path.clone(),
        initrd: install_initrd,
        append: format!("console={console} quiet"),
        disks: vec![
            target.clone(),
            Disk { path: payload, format: DiskFormat::Raw, read_only: true },
            Disk { path: report.clone(), format: DiskFormat::Raw, read_only: false },
        ],
        memory_mib: 1024,
    };
    kitchen
        .progress
        .note("Debian's own installation scripts now run in the emulator; this takes some minutes.");
    let failed = |why: String| Error::Build { what: "debian-disk".to_owned(), why };
    kitchen.emulator.boot(&step).map_err(failed)?;
    check_report(&report)?;

    Ok(Guest {
        kernel: kernel_path,
        initrd,
        append: format!("root=LABEL=debian rw console={console}"),
        disks: vec![target],
        memory_mib: 1024,
        scratch_mib: 0,
        made_from: kitchen.versions(&[&kernel_name, "base-files", "systemd", "dpkg", "busybox-static"])?,
    })
}

/// Unpacks the packages and their database into a tar archive; the order of the packages.
fn write_payload(kitchen: &Kitchen, path: &Path) -> Result<String> {
    let packages = packages(kitchen)?;
    let files = kitchen.repo.fetch(&packages, kitchen.progress)?;
    let out = BufWriter::new(File::create(path).at(path)?);
    let mut archive = tar::Builder::new(out);
    let mut database = Database::default();
    kitchen.progress.begin("unpacking", Some(packages.iter().map(|p| p.expected.size).sum()));
    let mut done = 0;
    for (package, file) in packages.iter().zip(&files) {
        database.add(file, &mut |name, node| append(&mut archive, name, &node).at(path))?;
        done += package.expected.size;
        kitchen.progress.at(done);
    }
    kitchen.progress.end();
    let order = database.order();
    for tree in [database.files()?, settings(kitchen)?] {
        for (name, node) in tree.iter() {
            append(&mut archive, name, node).at(path)?;
        }
    }
    let mut out = archive.into_inner().at(path)?;
    out.flush().at(path)?;
    Ok(order)
}

/// The packages of the system; `base-files` comes first, because its links make the merged `/usr`.
fn packages<'a>(kitchen: &Kitchen<'a>) -> Result<Vec<&'a Package>> {
    let index = kitchen.repo.index();
    let mut names: BTreeSet<&str> = index.select(|p| p.essential || p.priority == "required");
    names.extend(PACKAGES);
    names.insert(kitchen.arch.kernel_metapackage());
    names.extend(kitchen.arch.uefi_packages());
    names.extend(kitchen.extra.iter().map(String::as_str));
    let mut packages = index.closure(names)?;
    packages.sort_by_key(|p| p.name != "base-files");
    Ok(packages)
}

/// What an installer would have asked or found out.
fn settings(kitchen: &Kitchen) -> Result<Tree> {
    let mut tree = Tree::new();
    let mut file = |path: &str, text: &str| tree.file(path, 0o644, text);
    file("etc/hostname", "debian\n")?;
    file("etc/hosts", "127.0.0.1 localhost\n127.0.1.1 debian\n::1 localhost ip6-localhost ip6-loopback\n")?;
    let mut mounts = "LABEL=debian / ext4 errors=remount-ro 0 1\n".to_owned();
    if efi_sectors(kitchen.arch) != 0 {
        mounts += "LABEL=EFI /boot/efi vfat umask=0077 0 1\n";
        let grub = format!(
            "GRUB_TIMEOUT=1\nGRUB_TERMINAL=console\nGRUB_CMDLINE_LINUX_DEFAULT=\nGRUB_CMDLINE_LINUX=console={}\n",
            kitchen.arch.console()
        );
        file("etc/default/grub.d/guest.cfg", &grub)?;
    }
    file("etc/fstab", &mounts)?;
    file("etc/systemd/network/80-ether.network", "[Match]\nType=ether\n\n[Network]\nDHCP=yes\n")?;
    let boot = format!(
        "U_BOOT_ROOT=\"root=LABEL=debian\"\nU_BOOT_PARAMETERS=\"rw console={}\"\nU_BOOT_TIMEOUT=\"1\"\n",
        kitchen.arch.console()
    );
    file("etc/u-boot-menu/conf.d/guest.conf", &boot)?;
    file("etc/initramfs-tools/conf.d/guest", "MODULES=list\n")?;
    file("usr/share/initramfs-tools/modules.d/guest", BOOT_MODULES)?;
    let sources = format!(
        "Types: deb\nURIs: {}\nSuites: {}\nComponents: main\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n",
        kitchen.repo.mirror(),
        kitchen.suite
    );
    file("etc/apt/sources.list.d/debian.sources", &sources)?;
    Ok(tree)
}

fn append(archive: &mut tar::Builder<impl Write>, path: &str, node: &Node) -> std::io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_mode(node.mode);
    header.set_uid(node.uid.into());
    header.set_gid(node.gid.into());
    header.set_mtime(node.mtime.into());
    header.set_size(0);
    let mut special = |kind, major, minor| {
        header.set_entry_type(kind);
        header.set_device_major(major)?;
        header.set_device_minor(minor)
    };
    match &node.kind {
        Kind::File(bytes) => {
            header.set_size(bytes.len() as u64);
            return archive.append_data(&mut header, path, bytes.as_slice());
        }
        Kind::Symlink(target) => {
            header.set_entry_type(tar::EntryType::Symlink);
            return archive.append_link(&mut header, path, target);
        }
        Kind::HardLink(target) => {
            header.set_entry_type(tar::EntryType::Link);
            return archive.append_link(&mut header, path, target);
        }
        Kind::Dir => header.set_entry_type(tar::EntryType::Directory),
        Kind::Fifo => header.set_entry_type(tar::EntryType::Fifo),
        Kind::Char(major, minor) => special(tar::EntryType::Char, *major, *minor)?,
        Kind::Block(major, minor) => special(tar::EntryType::Block, *major, *minor)?,
    }
    archive.append_data(&mut header, path, std::io::empty())
}

/// Sectors of the EFI system partition; 0 where nothing would read it.
fn efi_sectors(arch: Arch) -> u32 {
    if arch.uefi_packages().is_empty() { 0 } else { EFI_SECTORS }
}

/// A DOS partition table: an active Linux partition from 1 MiB, and an EFI system partition behind it if that has a size.
fn partition_table(disk_size: u64, efi: u32) -> Vec<u8> {
    let end = u32::try_from(disk_size / 512).unwrap_or(u32::MAX) - efi;
    let mut sector = vec![0; 512];
    let mut entries = vec![(0x80, 0x83, FIRST_SECTOR, end - FIRST_SECTOR)]; // active; Linux
    if efi != 0 {
        entries.push((0, 0xef, end, efi)); // EFI
    }
    for (entry, (status, kind, first, sectors)) in sector[446..510].chunks_exact_mut(16).zip(entries) {
        entry[0] = status;
        entry[1..4].copy_from_slice(&[0xfe, 0xff, 0xff]); // cylinder, head and sector: see the sector numbers
        entry[4] = kind;
        entry[5..8].copy_from_slice(&[0xfe, 0xff, 0xff]);
        entry[8..12].copy_from_slice(&first.to_le_bytes());
        entry[12..16].copy_from_slice(&sectors.to_le_bytes());
    }
    sector[510..].copy_from_slice(&[0x55, 0xaa]);
    sector
}

/// Whether the guest reports success; if not, the end of its log is the reason.
fn check_report(path: &PathBuf) -> Result<()> {
    let mut bytes = Vec::new();
    File::open(path).at(path)?.take(REPORT_SIZE as u64).read_to_end(&mut bytes).at(path)?;
    let text = String::from_utf8_lossy(&bytes);
    let text = text.trim_end_matches('\0');
    let failed = |why: String| Err(Error::Build { what: "debian-disk".to_owned(), why });
    match text.split_once('\n') {
        Some(("OK", _)) => Ok(()),
        Some(("FAILED", log)) => {
            let lines: Vec<&str> = log.lines().collect();
            failed(lines[lines.len().saturating_sub(12)..].join("\n"))
        }
        _ => failed("the guest ended without a report".to_owned()),
    }
}

#[cfg(test)]
mod tests;
