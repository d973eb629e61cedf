//! Device tree nodes that boards have in common.

use crate::fdt::{FdtError, Tree};
use crate::parts::BootText;
use crate::slot::Slot;
use devices::pci::{PciWindow, PciWindows};

/// `reg` of a slot.
pub fn reg<C>(t: &mut Tree, slot: &Slot<C>) -> Result<(), FdtError> {
    t.wide("reg", &[slot.base, slot.size])
}

/// RAM.
pub fn memory(t: &mut Tree, base: u64, size: u64) -> Result<(), FdtError> {
    t.node(&format!("memory@{base:x}"), |t| {
        t.text("device_type", "memory")?;
        t.wide("reg", &[base, size])
    })
}

/// fw_cfg.
pub fn fw_cfg<C>(t: &mut Tree, slot: &Slot<C>) -> Result<(), FdtError> {
    t.node(&slot.node_name(), |t| {
        t.flag("dma-coherent")?;
        reg(t, slot)?;
        t.text("compatible", "qemu,fw-cfg-mmio")
    })
}

/// Both flash chips.
pub fn flash<C>(t: &mut Tree, first: &Slot<C>, second: &Slot<C>) -> Result<(), FdtError> {
    t.node(&first.node_name(), |t| {
        cfi_flash(t)?;
        t.wide("reg", &[first.base, first.size, second.base, second.size])
    })
}

/// Both flash chips, the first one the secure world's.
pub fn split_flash<C>(t: &mut Tree, first: &Slot<C>, second: &Slot<C>) -> Result<(), FdtError> {
    t.node(&format!("secflash@{:x}", first.base), |t| {
        cfi_flash(t)?;
        reg(t, first)?;
        secure_only(t)
    })?;
    t.node(&second.node_name(), |t| {
        cfi_flash(t)?;
        reg(t, second)
    })
}

fn cfi_flash(t: &mut Tree) -> Result<(), FdtError> {
    t.cells("bank-width", &[4])?;
    t.text("compatible", "cfi-flash")
}

/// `chosen`; `console` is the path of the UART.
pub fn chosen(t: &mut Tree, console: &str, text: &BootText) -> Result<(), FdtError> {
    t.node("chosen", |t| {
        t.text("stdout-path", console)?;
        seeds(t, &text.rng_seed, text.kaslr_seed)?;
        if let Some(append) = &text.append {
            t.text("bootargs", append)?;
        }
        if let Some((start, end)) = text.initrd {
            t.wide("linux,initrd-start", &[start])?;
            t.wide("linux,initrd-end", &[end])?;
        }
        Ok(())
    })
}

/// `secure-chosen`, the same for the software of a secure world.
pub fn secure_chosen(t: &mut Tree, console: &str, text: &BootText) -> Result<(), FdtError> {
    t.node("secure-chosen", |t| {
        t.text("stdout-path", console)?;
        seeds(t, &text.secure_seeds.0, text.secure_seeds.1)
    })
}

fn seeds(t: &mut Tree, rng: &[u8], kaslr: Option<u64>) -> Result<(), FdtError> {
    if !rng.is_empty() {
        let words = rng.chunks_exact(4);
        let words: Vec<u32> = words.map(|w| u32::from_be_bytes([w[0], w[1], w[2], w[3]])).collect();
        t.cells("rng-seed", &words)?;
    }
    kaslr.map_or(Ok(()), |seed| t.wide("kaslr-seed", &[seed]))
}

/// Says that a node is the secure world's alone.
pub fn secure_only(t: &mut Tree) -> Result<(), FdtError> {
    t.text("secure-status", "okay")?;
    t.text("status", "disabled")
}

/// The PCI host. `line` gives the interrupt specifier of each of its four lines, parent first; `body` adds what is the
/// board's own.
pub fn pci<C>(
    t: &mut Tree,
    slot: &Slot<C>,
    windows: &PciWindows,
    line: impl Fn(u32) -> Vec<u32>,
    body: impl FnOnce(&mut Tree) -> Result<(), FdtError>,
) -> Result<(), FdtError> {
    let mut map = Vec::new();
    for device in 0..4u32 {
        for pin in 0..4u32 {
            map.extend([device << 11, 0, 0, pin + 1]);
            map.extend(line((device + pin) % 4));
        }
    }
    let window = |kind: u32, window: &PciWindow| {
        let halves = |v: u64| [(v >> 32) as u32, v as u32];
        let [[bh, bl], [ch, cl], [sh, sl]] = [window.bus, window.cpu, window.size].map(halves);
        [kind, bh, bl, ch, cl, sh, sl]
    };
    let mut ranges = window(0x0100_0000, &windows.io).to_vec();
    ranges.extend(window(0x0200_0000, &windows.memory));
    if let Some(high) = &windows.high_memory {
        ranges.extend(window(0x0300_0000, high));
    }
    let buses = (windows.ecam.size >> 20) as u32;
    t.node(&slot.node_name(), |t| {
        t.cells("interrupt-map-mask", &[0x1800, 0, 0, 7])?;
        t.cells("interrupt-map", &map)?;
        t.cells("ranges", &ranges)?;
        t.wide("reg", &[windows.ecam.cpu, windows.ecam.size])?;
        t.flag("dma-coherent")?;
        t.cells("bus-range", &[0, buses - 1])?;
        t.cells("linux,pci-domain", &[0])?;
        t.text("device_type", "pci")?;
        t.text("compatible", "pci-host-ecam-generic")?;
        t.cells("#size-cells", &[2])?;
        t.cells("#interrupt-cells", &[1])?;
        t.cells("#address-cells", &[3])?;
        body(t)
    })
}
