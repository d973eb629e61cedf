//! Kernel and firmware images: ELF, Linux `Image`, gzip, raw bytes.

use firmware::content::Content;
use firmware::image::{Image, Machine, parse};
use firmware::place::{fdt_address, initrd_address, kernel_address, load_image};

const RAM: (u64, u64) = (0x8000_0000, 4 << 20);
const BASE: u64 = RAM.0 + (2 << 20);

/// Takes `data` as a kernel that is put into a machine with 4 MiB of RAM, with what goes behind it.
pub fn image(data: &[u8]) {
    for machine in [Machine::Aarch64, Machine::Riscv64] {
        if let Ok(parsed) = parse(Content::Bytes(data.to_vec()), machine, BASE) {
            place(&parsed);
        }
    }
}

fn place(image: &Image) {
    assert!(!image.segments.is_empty());
    for segment in &image.segments {
        assert!(segment.content.len() <= segment.size);
        assert!(segment.addr >= image.start() && segment.addr + segment.size <= image.end());
    }
    let ram = base::allocate_ram(&[RAM]).expect("the host has 4 MiB");
    let loaded = load_image(&ram, image, "the image");
    let fits = |addr: u64, size: u64| addr >= RAM.0 && addr + size <= RAM.0 + RAM.1;
    let all_fit = image.segments.iter().all(|s| fits(s.addr, s.size));
    assert_eq!(loaded.is_ok(), all_fit, "{loaded:?}");
    if let Ok(kernel) = kernel_address(image.end()) {
        assert!(kernel >= image.end());
    }
    if let Ok(initrd) = initrd_address(RAM, image) {
        assert!(initrd >= image.end() && initrd.is_multiple_of(4096));
    }
    if let Ok(fdt) = fdt_address(RAM, image.end(), 0x1000) {
        assert!(fdt >= image.end() && fits(fdt, 0x1000));
    }
}
