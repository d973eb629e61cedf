//! What is in memory when the machine starts: firmware in flash, or a kernel, its initial file system and the device tree with
//! the stub that leads to them. It is put there again at each reset, as ROM contents would be.

use std::path::Path;

use base::GuestRam;
use firmware::content::Content;
use firmware::image::{self, Image, Machine};
use firmware::{place, stub};
use machines::arm_virt::Virt;
use machines::arm_virt::map::RAM_BASE;
use machines::{BootText, FlashPart, Parts};

use crate::options::{Firmware, SystemOptions};
use crate::system::error::SystemError;
use crate::system::fw_cfg;
use crate::system::images::{blob, firmware_file, has_flash, overlap, seed};
use devices::chips::pflash_cfi01::Backing;

/// Kernels are loaded at multiples of this, and the device tree, too.
const ALIGN: u64 = 2 << 20;
/// What a machine without any program lacks.
const NOTHING: &str = "neither -bios nor -kernel names an image, and no flash chip holds firmware";

/// The state of memory at power-on.
pub struct Boot {
    images: Vec<(String, Image)>,
    fdt: Option<(u64, Vec<u8>)>,
    tree: Vec<u8>,
    /// Where the first CPU starts, if not where a reset leads.
    kernel: Option<u64>,
}

/// Puts the file of `-bios` into the first flash chip, which is where firmware starts; whether there is firmware now.
pub fn firmware(options: &SystemOptions, parts: &mut Parts, chip: u64) -> Result<bool, SystemError> {
    let Firmware::File(name) = &options.firmware else { return Ok(has_flash(options)) };
    let origin = format!("-bios {name}");
    if has_flash(options) {
        return Err(SystemError::refused(&origin, "the first flash chip holds firmware already"));
    }
    let contents = image::read_file(&firmware_file(options, name)?)?;
    if contents.len() as u64 > chip {
        let what = format!("has {} bytes, and the flash chip {chip}", contents.len());
        return Err(SystemError::refused(&origin, what));
    }
    parts.flash[0] = Some(FlashPart { contents, backing: Backing::ReadOnly });
    Ok(true)
}

impl Boot {
    /// Reads the images, and decides where each goes. `firmware` is in flash.
    pub fn plan(options: &SystemOptions, board: &mut Virt, firmware: bool) -> Result<Self, SystemError> {
        let mut text = BootText::default();
        if options.machine.props.flag("dtb-randomness") != Some(false) {
            (text.rng_seed, text.kaslr_seed) = seed(options, 0);
            text.secure_seeds = seed(options, 1);
        }
        let (ram_base, ram_size) = board.ram_range();
        let mut images = Vec::new();
        let mut fdt_addr = RAM_BASE;
        let mut kernel = None;
        if firmware {
            // It asks for the kernel by itself.
            fw_cfg::offer_kernel(options, &board.chassis.fw_cfg)?;
            text.append = options.append.clone();
        } else if let Some(file) = &options.kernel {
            let (image, direct) = load_kernel(Path::new(file))?;
            // Where it does not say otherwise, RAM below it is the stub's.
            let distance = (128 << 20).min(ram_size / 2);
            let mut end = image.end().max(ram_base + distance).next_multiple_of(4096);
            if let Some(file) = &options.initrd {
                let initrd = blob(end, image::open_file(Path::new(file))?);
                text.initrd = Some((end, initrd.end()));
                end = initrd.end();
                images.push((format!("initrd {file}"), initrd));
            }
            text.append = options.append.clone();
            if direct && image.start() >= RAM_BASE + place::FDT_ROOM {
                fdt_addr = RAM_BASE;
            } else {
                fdt_addr = end.next_multiple_of(ALIGN);
            }
            kernel = Some(image.entry);
            if !direct {
                let code = stub::code(image.entry, fdt_addr);
                images.push(("the boot stub".into(), blob(RAM_BASE, Content::Bytes(code))));
                kernel = Some(RAM_BASE);
            }
            images.push((file.clone(), image));
        } else if options.machine.dumpdtb.is_none() {
            return Err(SystemError::Nothing(NOTHING));
        }
        board.set_boot_text(text.clone());
        let tree = match &options.dtb {
            None => board.device_tree()?,
            Some(file) => {
                let tree = image::read_file(Path::new(file))?;
                machines::with_chosen(&tree, &text)
                    .ok_or_else(|| SystemError::refused(&format!("-dtb {file}"), "is no device tree blob"))?
            }
        };
        overlap(&images)?;
        let fdt = (firmware || kernel.is_some()).then(|| (fdt_addr, tree.clone()));
        Ok(Self { images, fdt, tree, kernel })
    }

    /// The device tree.
    pub fn device_tree(&self) -> &[u8] {
        &self.tree
    }

    /// Where a kernel is entered; `None` where firmware starts in flash.
    pub fn kernel(&self) -> Option<u64> {
        self.kernel
    }

    /// Puts everything into memory.
    pub fn load(&self, ram: &GuestRam) -> Result<(), SystemError> {
        for (what, image) in &self.images {
            place::load_image(ram, image, what)?;
        }
        if let Some((addr, tree)) = &self.fdt {
            place::load_image(ram, &blob(*addr, Content::Bytes(tree.clone())), "the device tree")?;
        }
        Ok(())
    }
}

/// Whether a kernel for Linux's boot protocol is to be started without firmware; the file is looked at only to tell it from a program.
pub fn starts_linux(options: &SystemOptions, firmware: bool) -> bool {
    let Some(file) = options.kernel.as_ref().filter(|_| !firmware) else { return false };
    let mut start = [0; 4];
    let read =
        std::fs::File::open(file).and_then(|mut file| std::io::Read::read_exact(&mut file, &mut start));
    read.is_ok() && start != *b"\x7fELF"
}

/// Loads a kernel; whether it is an ELF file, which is entered without more ado. Others leave room for the stub.
fn load_kernel(path: &Path) -> Result<(Image, bool), SystemError> {
    let mut image = image::load(path, Machine::Aarch64, RAM_BASE)?;
    let is_elf = image.is_elf;
    if !is_elf && image.start() < RAM_BASE + stub::SIZE {
        image.move_to(image.start() + ALIGN);
    }
    Ok((image, is_elf))
}
