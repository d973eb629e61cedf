//! The device tree of the board, written from its table.

use super::map::{Chip, MAP, PCI_IRQ, PLIC_SOURCES, RAM_BASE, TIMEBASE, find};
use super::{HartInfo, SSWI_BASE, Virt, line};
use crate::Slot;
use crate::fdt::{FdtError, Tree};
use crate::nodes::{self, reg};
use devices::chips::aclint::SSWI_SIZE;
use devices::chips::ns16550a::CLOCK_HZ as UART_CLOCK;

/// Numbers of nodes that others refer to.
struct Handles {
    /// The interrupt controller of each hart.
    harts: Vec<u32>,
    cpus: Vec<u32>,
    plic: u32,
    test: u32,
}

impl Virt {
    /// The device tree blob.
    pub fn device_tree(&self) -> Result<Vec<u8>, FdtError> {
        let mut t = Tree::new()?;
        let handles = Handles {
            harts: (0..self.harts).map(|_| t.new_phandle()).collect(),
            cpus: (0..self.harts).map(|_| t.new_phandle()).collect(),
            plic: t.new_phandle(),
            test: t.new_phandle(),
        };
        t.node("", |t| {
            t.cells("#address-cells", &[2])?;
            t.cells("#size-cells", &[2])?;
            t.text("compatible", "riscv-virtio")?;
            t.text("model", "riscv-virtio,qemu")?;
            self.power(t, &handles)?;
            nodes::memory(t, RAM_BASE, self.ram_size)?;
            self.cpus(t, &handles)?;
            self.pmu(t)?;
            // Chips that stand beside the `soc` node.
            nodes::fw_cfg(t, find(Chip::FwCfg))?;
            nodes::flash(t, find(Chip::Flash(0)), find(Chip::Flash(1)))?;
            t.node("aliases", |t| t.text("serial0", &path(find(Chip::Uart))))?;
            nodes::chosen(t, &path(find(Chip::Uart)), &self.boot_text)?;
            t.node("soc", |t| {
                t.cells("#address-cells", &[2])?;
                t.cells("#size-cells", &[2])?;
                t.text("compatible", "simple-bus")?;
                t.flag("ranges")?;
                // Linux numbers virtio-mmio devices in this order, and QEMU writes the highest first.
                let (virtio, others): (Vec<_>, Vec<_>) =
                    MAP.iter().partition(|slot| matches!(slot.chip, Chip::VirtioMmio(_)));
                others.into_iter().chain(virtio.into_iter().rev()).try_for_each(|s| self.soc(t, s, &handles))
            })
        })?;
        t.finish()
    }

    fn power(&self, t: &mut Tree, handles: &Handles) -> Result<(), FdtError> {
        for (name, value) in [("poweroff", 0x5555), ("reboot", 0x7777)] {
            t.node(name, |t| {
                t.cells("value", &[value])?;
                t.cells("offset", &[0])?;
                t.cells("regmap", &[handles.test])?;
                t.text("compatible", &format!("syscon-{name}"))
            })?;
        }
        Ok(())
    }

    fn cpus(&self, t: &mut Tree, handles: &Handles) -> Result<(), FdtError> {
        t.node("cpus", |t| {
            t.cells("#address-cells", &[1])?;
            t.cells("#size-cells", &[0])?;
            t.cells("timebase-frequency", &[TIMEBASE as u32])?;
            for hart in 0..self.harts {
                t.node(&format!("cpu@{hart:x}"), |t| {
                    t.phandle(handles.cpus[hart])?;
                    t.text("device_type", "cpu")?;
                    t.cells("reg", &[hart as u32])?;
                    t.text("status", "okay")?;
                    t.text("compatible", "riscv")?;
                    isa(t, &self.hart_info)?;
                    t.node("interrupt-controller", |t| {
                        t.cells("#interrupt-cells", &[1])?;
                        t.flag("interrupt-controller")?;
                        t.text("compatible", "riscv,cpu-intc")?;
                        t.phandle(handles.harts[hart])
                    })
                })?;
            }
            t.node("cpu-map", |t| {
                t.node("cluster0", |t| {
                    for hart in 0..self.harts {
                        t.node(&format!("core{hart}"), |t| t.cells("cpu", &[handles.cpus[hart]]))?;
                    }
                    Ok(())
                })
            })
        })
    }

    /// Which counters count which events, as OpenSBI reads it: cycles and instructions on every counter there is.
    fn pmu(&self, t: &mut Tree) -> Result<(), FdtError> {
        t.node("pmu", |t| {
            t.cells("riscv,event-to-mhpmcounters", &[1, 1, 0x7_fff9, 2, 2, 0x7_fffc])?;
            t.text("compatible", "riscv,pmu")
        })
    }

    fn soc(&self, t: &mut Tree, slot: &Slot<Chip>, handles: &Handles) -> Result<(), FdtError> {
        match slot.chip {
            Chip::TestFinisher => t.node(&slot.node_name(), |t| {
                t.phandle(handles.test)?;
                reg(t, slot)?;
                t.texts("compatible", &["sifive,test1", "sifive,test0", "syscon"])
            }),
            Chip::Rtc => t.node(&slot.node_name(), |t| {
                wired(t, slot, handles)?;
                t.text("compatible", "google,goldfish-rtc")
            }),
            Chip::Uart => t.node(&slot.node_name(), |t| {
                wired(t, slot, handles)?;
                t.cells("clock-frequency", &[UART_CLOCK as u32])?;
                t.text("compatible", "ns16550a")
            }),
            Chip::VirtioMmio(_) => t.node(&slot.node_name(), |t| {
                wired(t, slot, handles)?;
                t.text("compatible", "virtio,mmio")
            }),
            Chip::Clint => self.clint(t, slot, handles),
            Chip::Plic => t.node(&slot.node_name(), |t| {
                t.phandle(handles.plic)?;
                t.cells("riscv,ndev", &[PLIC_SOURCES - 1])?;
                reg(t, slot)?;
                t.cells("interrupts-extended", &hart_lines(handles, &[line::MEI, line::SEI]))?;
                t.flag("interrupt-controller")?;
                t.texts("compatible", &["sifive,plic-1.0.0", "riscv,plic0"])?;
                t.cells("#address-cells", &[0])?;
                t.cells("#interrupt-cells", &[1])
            }),
            Chip::PciEcam => {
                let line = |n| vec![handles.plic, PCI_IRQ + n];
                nodes::pci(t, slot, &self.windows, line, |_| Ok(()))
            }
            Chip::MaskRom | Chip::FwCfg | Chip::Flash(_) | Chip::PciIo | Chip::PciMemory => Ok(()),
        }
    }

    fn clint(&self, t: &mut Tree, slot: &Slot<Chip>, handles: &Handles) -> Result<(), FdtError> {
        if !self.aclint {
            return t.node(&slot.node_name(), |t| {
                t.cells("interrupts-extended", &hart_lines(handles, &[line::MSI, line::MTI]))?;
                reg(t, slot)?;
                t.texts("compatible", &["sifive,clint0", "riscv,clint0"])
            });
        }
        let swi = |t: &mut Tree, (base, size), number, compatible| {
            t.node(&format!("{}@{base:x}", if number == line::SSI { "sswi" } else { "mswi" }), |t| {
                t.cells("interrupts-extended", &hart_lines(handles, &[number]))?;
                t.wide("reg", &[base, size])?;
                t.cells("#interrupt-cells", &[0])?;
                t.flag("interrupt-controller")?;
                t.text("compatible", compatible)
            })
        };
        swi(t, (slot.base, super::MTIMER_OFFSET), line::MSI, "riscv,aclint-mswi")?;
        swi(t, (SSWI_BASE, SSWI_SIZE), line::SSI, "riscv,aclint-sswi")?;
        let base = slot.base + super::MTIMER_OFFSET;
        let (mtime, comparators) = (base + 0x7ff8, 0x7ff8);
        t.node(&format!("mtimer@{base:x}"), |t| {
            t.cells("interrupts-extended", &hart_lines(handles, &[line::MTI]))?;
            t.wide("reg", &[mtime, 8, base, comparators])?;
            t.text("compatible", "riscv,aclint-mtimer")
        })
    }
}

fn isa(t: &mut Tree, info: &HartInfo) -> Result<(), FdtError> {
    if let Some(size) = info.cache_block {
        for name in ["riscv,cbop-block-size", "riscv,cboz-block-size", "riscv,cbom-block-size"] {
            t.cells(name, &[size])?;
        }
    }
    let names: Vec<&str> = info.extensions.iter().map(String::as_str).collect();
    t.texts("riscv,isa-extensions", &names)?;
    t.text("riscv,isa-base", "rv64i")?;
    t.text("riscv,isa", &info.isa)?;
    t.text("mmu-type", info.mmu)
}

fn path(slot: &Slot<Chip>) -> String {
    format!("/soc/{}", slot.node_name())
}

/// `reg` and the interrupt of a chip on the PLIC.
fn wired(t: &mut Tree, slot: &Slot<Chip>, handles: &Handles) -> Result<(), FdtError> {
    t.cells("interrupts", &[slot.irq])?;
    t.cells("interrupt-parent", &[handles.plic])?;
    reg(t, slot)
}

/// The inputs `numbers` of every hart.
fn hart_lines(handles: &Handles, numbers: &[u32]) -> Vec<u32> {
    handles.harts.iter().flat_map(|hart| numbers.iter().flat_map(|n| [*hart, *n])).collect()
}
