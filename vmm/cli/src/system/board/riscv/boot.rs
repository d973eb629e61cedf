//! What is in memory when the machine starts: firmware, kernel, initial file system, device tree, and the reset
//! vector that leads to them. It is put there again at each reset, as ROM contents would be.

use std::path::{Path, PathBuf};

use base::GuestRam;
use engine::riscv::Sbi;
use firmware::content::Content;
use firmware::find;
use firmware::image::{self, Image, Machine};
use firmware::place::{self, KERNEL_ALIGN};
use firmware::reset::{self, NextStage};
use machines::BootText;
use machines::riscv_virt::Virt;
use machines::riscv_virt::map::{Chip, RAM_BASE, find as slot};
use std::sync::Arc;
use tcg_core::run::Vcpu;
use tcg_riscv::Riscv;

use crate::options::{Firmware, SystemOptions};
use crate::system::error::SystemError;
use crate::system::fw_cfg;
use crate::system::images::{blob, firmware_file, has_flash, overlap, seed};

/// What a machine without any program lacks.
const NOTHING: &str =
    "no firmware is installed (package opensbi), and neither -kernel nor -bios names an image";

/// What runs first, in the highest privilege.
enum Choice {
    /// Nothing: the kernel, or what is in flash, does.
    None,
    /// The SBI within this program.
    BuiltIn,
    /// A firmware file.
    File(PathBuf),
}

/// Where the first hart starts.
enum Start {
    /// All harts in M-mode in the mask ROM, which holds this.
    Rom(Vec<u8>),
    /// The first in S-mode at this address, on the built-in SBI.
    Supervisor(u64),
}

/// The state of memory and harts at power-on.
pub struct Boot {
    images: Vec<(String, Image)>,
    fdt: (u64, Vec<u8>),
    start: Start,
}

impl Boot {
    /// Reads the images, and decides where each goes.
    pub fn plan(options: &SystemOptions, board: &mut Virt) -> Result<Self, SystemError> {
        let flash = has_flash(options);
        let choice = choose(options, flash)?;
        let (ram_base, ram_size) = board.ram_range();
        let mut images = Vec::new();

        let mut entry = RAM_BASE;
        let mut firmware_end = RAM_BASE;
        match &choice {
            Choice::None => {}
            Choice::BuiltIn => firmware_end += KERNEL_ALIGN,
            Choice::File(path) => {
                let image = image::load(path, Machine::Riscv64, RAM_BASE)?;
                (entry, firmware_end) = (image.entry, image.end());
                images.push((path.display().to_string(), image));
            }
        }

        let mut text = BootText { rng_seed: seed(options, 0).0, ..BootText::default() };
        // The next stage of the firmware.
        let mut next = None;
        let mut end = firmware_end;
        if flash {
            next = Some(slot(Chip::Flash(0)).base);
            // Firmware in flash asks for the kernel by itself.
            fw_cfg::offer_kernel(options, &board.chassis.fw_cfg)?;
        } else if let Some(file) = &options.kernel {
            let base = place::kernel_address(firmware_end)?;
            let kernel = load_kernel(Path::new(file), base)?;
            next = Some(kernel.entry);
            end = end.max(kernel.end());
            if let Some(file) = &options.initrd {
                let addr = place::initrd_address((ram_base, ram_size), &kernel)?;
                let initrd = blob(addr, image::open_file(Path::new(file))?);
                text.initrd = Some((addr, initrd.end()));
                end = end.max(initrd.end());
                images.push((format!("initrd {file}"), initrd));
            }
            text.append = options.append.clone();
            images.push((file.clone(), kernel));
        }
        board.set_boot_text(text.clone());
        let fdt = match &options.dtb {
            None => board.device_tree()?,
            Some(file) => {
                let tree = image::read_file(Path::new(file))?;
                machines::with_chosen(&tree, &text)
                    .ok_or_else(|| SystemError::refused(&format!("-dtb {file}"), "is no device tree blob"))?
            }
        };
        let fdt_addr = place::fdt_address((ram_base, ram_size), end, fdt.len() as u64)?;
        let start = match (choice, next) {
            (Choice::BuiltIn, Some(next)) => Start::Supervisor(next),
            (Choice::BuiltIn, None) => return Err(SystemError::Nothing(NOTHING)),
            (Choice::None, next) => {
                let entry = first_instruction(flash, next, &images);
                Start::Rom(reset::rom(entry, fdt_addr, NextStage { addr: 0, supervisor: false }))
            }
            (Choice::File(_), next) => {
                let next = NextStage { addr: next.unwrap_or(0), supervisor: true };
                Start::Rom(reset::rom(entry, fdt_addr, next))
            }
        };
        overlap(&images)?;
        Ok(Self { images, fdt: (fdt_addr, fdt), start })
    }

    /// The device tree.
    pub fn device_tree(&self) -> &[u8] {
        &self.fdt.1
    }

    /// Whether the SBI of this program serves the kernel.
    pub fn needs_sbi(&self) -> bool {
        matches!(self.start, Start::Supervisor(_))
    }

    /// Puts everything into memory.
    pub fn load(&self, ram: &GuestRam, board: &Virt) -> Result<(), SystemError> {
        for (what, image) in &self.images {
            place::load_image(ram, image, what)?;
        }
        place::load_image(ram, &blob(self.fdt.0, Content::Bytes(self.fdt.1.clone())), "the device tree")?;
        if let Start::Rom(code) = &self.start {
            board.rom.fill(0, code);
        }
        Ok(())
    }

    /// Puts the harts where they start.
    pub fn reset(&self, vcpus: &mut [Vcpu<Riscv>], sbi: Option<&Arc<Sbi>>) {
        match (&self.start, sbi) {
            (Start::Supervisor(entry), Some(sbi)) => sbi.reset(vcpus, *entry, self.fdt.0),
            _ => engine::riscv::reset(vcpus, slot(Chip::MaskRom).base),
        }
    }
}

fn choose(options: &SystemOptions, flash: bool) -> Result<Choice, SystemError> {
    match &options.firmware {
        Firmware::None => Ok(Choice::None),
        Firmware::BuiltIn => Ok(Choice::BuiltIn),
        Firmware::File(name) => firmware_file(options, name).map(Choice::File),
        Firmware::Default => match find::opensbi() {
            Some(path) => Ok(Choice::File(path)),
            None if options.kernel.is_some() || flash || options.machine.dumpdtb.is_some() => {
                Ok(if options.kernel.is_some() || flash { Choice::BuiltIn } else { Choice::None })
            }
            None => Err(SystemError::Nothing(NOTHING)),
        },
    }
}

/// Loads a kernel. One that is linked below RAM, as Linux' `vmlinux` is, can run anywhere and goes to `base`.
fn load_kernel(path: &Path, base: u64) -> Result<Image, SystemError> {
    let mut kernel = image::load(path, Machine::Riscv64, base)?;
    if kernel.end() <= RAM_BASE {
        kernel.move_to(base);
    }
    Ok(kernel)
}

/// Where a machine without firmware starts: in flash, else at the start of RAM, as QEMU does. An ELF file that has
/// nothing there starts where it says.
fn first_instruction(flash: bool, next: Option<u64>, images: &[(String, Image)]) -> u64 {
    let at_start = images.iter().flat_map(|(_, image)| &image.segments).any(|s| s.addr == RAM_BASE);
    match next {
        Some(addr) if flash || !at_start => addr,
        _ => RAM_BASE,
    }
}
