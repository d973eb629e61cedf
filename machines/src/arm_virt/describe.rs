//! The device tree of the board, written from its table.

use super::map::{APB_CLOCK, Chip, MMIO_SLOTS, PCI_IRQ, POWER_KEY, RAM_BASE, find, ppi, virtio_mmio};
use super::{Conduit, GicVersion, Virt};
use crate::Slot;
use crate::fdt::{FdtError, Tree};
use crate::nodes::{self, reg};
use devices::chips::gpio_pwr;

/// Numbers of nodes that others refer to.
struct Handles {
    clock: u32,
    cpus: Vec<u32>,
    gic: u32,
    messages: u32,
    gpio: u32,
    secure_gpio: u32,
}

/// First cell of an interrupt of the GIC: shared or private.
const SPI: u32 = 0;
const PPI: u32 = 1;
/// Last cell: how it is triggered.
const EDGE: u32 = 1;
const LEVEL: u32 = 4;
/// linux,code of the power key: `KEY_POWER`.
const KEY_POWER: u32 = 116;
/// PSCI function numbers of 64-bit callers, as nodes of its first version name them.
const PSCI: [(&str, u32); 4] = [
    ("migrate", 0xc400_0005),
    ("cpu_on", 0xc400_0003),
    ("cpu_off", 0x8400_0002),
    ("cpu_suspend", 0xc400_0001),
];

impl Virt {
    /// The device tree blob.
    pub fn device_tree(&self) -> Result<Vec<u8>, FdtError> {
        let mut t = Tree::new()?;
        let handles = Handles {
            clock: t.new_phandle(),
            cpus: (0..self.cpus).map(|_| t.new_phandle()).collect(),
            gic: t.new_phandle(),
            messages: t.new_phandle(),
            gpio: t.new_phandle(),
            secure_gpio: t.new_phandle(),
        };
        t.node("", |t| {
            t.cells("interrupt-parent", &[handles.gic])?;
            t.flag("dma-coherent")?;
            t.text("model", "linux,dummy-virt")?;
            t.cells("#size-cells", &[2])?;
            t.cells("#address-cells", &[2])?;
            t.text("compatible", "linux,dummy-virt")?;
            self.psci(t)?;
            nodes::memory(t, RAM_BASE, self.ram_size)?;
            nodes::fw_cfg(t, &find(Chip::FwCfg))?;
            // Linux numbers virtio-mmio devices in this order.
            (0..MMIO_SLOTS as u8).try_for_each(|n| {
                let slot = virtio_mmio(n);
                t.node(&slot.node_name(), |t| {
                    t.flag("dma-coherent")?;
                    t.cells("interrupts", &[SPI, slot.irq, EDGE])?;
                    reg(t, &slot)?;
                    t.text("compatible", "virtio,mmio")
                })
            })?;
            self.gpio(t, &handles)?;
            self.pci(t, &handles)?;
            primecell(t, &find(Chip::Rtc), &handles, "arm,pl031", |_| Ok(()))?;
            let uart = find(Chip::Uart);
            primecell(t, &uart, &handles, "arm,pl011", |_| Ok(()))?;
            self.private(t)?;
            self.gic(t, &handles)?;
            let (first, second) = (find(Chip::Flash(0)), find(Chip::Flash(1)));
            if self.config.security.has_two() {
                nodes::split_flash(t, &first, &second)?;
                self.secure_world(t, &handles)?;
            } else {
                nodes::flash(t, &first, &second)?;
            }
            self.cpus(t, &handles)?;
            t.node("apb-pclk", |t| {
                t.phandle(handles.clock)?;
                t.text("clock-output-names", "clk24mhz")?;
                t.cells("clock-frequency", &[APB_CLOCK])?;
                t.cells("#clock-cells", &[0])?;
                t.text("compatible", "fixed-clock")
            })?;
            let console = format!("/{}", uart.node_name());
            t.node("aliases", |t| {
                if self.config.security.has_two() {
                    t.text("serial1", &secure_console())?;
                }
                t.text("serial0", &console)
            })?;
            nodes::chosen(t, &console, &self.boot_text)
        })?;
        t.finish()
    }

    fn psci(&self, t: &mut Tree) -> Result<(), FdtError> {
        let method = match self.config.psci {
            None => return Ok(()),
            Some(Conduit::Hvc) => "hvc",
            Some(Conduit::Smc) => "smc",
        };
        t.node("psci", |t| {
            PSCI.iter().try_for_each(|(name, number)| t.cells(name, &[*number]))?;
            t.text("method", method)?;
            t.texts("compatible", &["arm,psci-1.0", "arm,psci-0.2", "arm,psci"])
        })
    }

    /// What the secure world has for itself.
    fn secure_world(&self, t: &mut Tree, handles: &Handles) -> Result<(), FdtError> {
        let ram = find(Chip::SecureRam);
        t.node(&ram.node_name(), |t| {
            t.text("device_type", "memory")?;
            reg(t, &ram)?;
            nodes::secure_only(t)
        })?;
        primecell(t, &find(Chip::SecureUart), handles, "arm,pl011", nodes::secure_only)?;
        primecell(t, &find(Chip::SecureGpio), handles, "arm,pl061", |t| {
            gpio_controller(t, handles.secure_gpio)?;
            nodes::secure_only(t)
        })?;
        for (name, pin) in [("gpio-poweroff", gpio_pwr::POWER_OFF), ("gpio-restart", gpio_pwr::RESTART)] {
            t.node(name, |t| {
                t.text("compatible", name)?;
                t.cells("gpios", &[handles.secure_gpio, pin, 0])?;
                nodes::secure_only(t)
            })?;
        }
        nodes::secure_chosen(t, &secure_console(), &self.boot_text)
    }

    fn gpio(&self, t: &mut Tree, handles: &Handles) -> Result<(), FdtError> {
        t.node("gpio-keys", |t| {
            t.text("compatible", "gpio-keys")?;
            t.node("poweroff", |t| {
                t.cells("gpios", &[handles.gpio, POWER_KEY, 0])?;
                t.cells("linux,code", &[KEY_POWER])?;
                t.text("label", "GPIO Key Poweroff")
            })
        })?;
        primecell(t, &find(Chip::Gpio), handles, "arm,pl061", |t| gpio_controller(t, handles.gpio))
    }

    /// The node is named after the memory window.
    fn pci(&self, t: &mut Tree, handles: &Handles) -> Result<(), FdtError> {
        let line = |n| vec![handles.gic, 0, 0, SPI, PCI_IRQ + n, LEVEL];
        nodes::pci(t, &find(Chip::PciMemory), &self.windows, line, |t| match self.config.gic {
            GicVersion::V3 { its: false } => Ok(()),
            _ => t.cells("msi-map", &[0, handles.messages, 0, 0x1_0000]),
        })
    }

    /// Last cell of a private interrupt by level; for a GICv2 with the CPUs that have it.
    fn private_level(&self) -> u32 {
        match self.config.gic {
            GicVersion::V2 => ((1 << self.cpus) - 1) << 8 | LEVEL,
            GicVersion::V3 { .. } => LEVEL,
        }
    }

    /// What CPUs have by themselves: performance monitors and timers.
    fn private(&self, t: &mut Tree) -> Result<(), FdtError> {
        let level = self.private_level();
        if self.config.pmu {
            t.node("pmu", |t| {
                t.cells("interrupts", &[PPI, ppi::PMU, level])?;
                t.text("compatible", "arm,armv8-pmuv3")
            })?;
        }
        let mut timers =
            vec![ppi::SECURE_TIMER, ppi::PHYSICAL_TIMER, ppi::VIRTUAL_TIMER, ppi::HYPERVISOR_TIMER];
        if self.config.virtualization && self.config.has_vhe {
            timers.push(ppi::HYPERVISOR_VIRTUAL_TIMER);
        }
        t.node("timer", |t| {
            let cells: Vec<u32> = timers.iter().flat_map(|n| [PPI, *n, level]).collect();
            t.cells("interrupts", &cells)?;
            t.flag("always-on")?;
            t.texts("compatible", &["arm,armv8-timer", "arm,armv7-timer"])
        })
    }

    fn gic(&self, t: &mut Tree, handles: &Handles) -> Result<(), FdtError> {
        let distributor = find(Chip::GicDistributor);
        let range = |chip| {
            let slot = find(chip);
            [slot.base, slot.size]
        };
        t.node(&distributor.node_name(), |t| {
            t.phandle(handles.gic)?;
            if self.config.virtualization {
                t.cells("interrupts", &[PPI, ppi::GIC_MAINTENANCE, LEVEL])?;
            }
            match self.config.gic {
                GicVersion::V2 => {
                    let mut ranges = vec![range(Chip::GicDistributor), range(Chip::GicInterface)];
                    if self.config.virtualization {
                        ranges.extend([range(Chip::GicHypervisor), range(Chip::GicGuest)]);
                    }
                    t.wide("reg", ranges.as_flattened())?;
                    t.text("compatible", "arm,cortex-a15-gic")?;
                    let messages = find(Chip::GicV2m);
                    node_cells(t)?;
                    t.node(&messages.node_name(), |t| {
                        t.phandle(handles.messages)?;
                        reg(t, &messages)?;
                        t.flag("msi-controller")?;
                        t.text("compatible", "arm,gic-v2m-frame")
                    })
                }
                GicVersion::V3 { its } => {
                    let ranges = [range(Chip::GicDistributor), range(Chip::GicRedistributors)];
                    t.wide("reg", ranges.as_flattened())?;
                    t.cells("#redistributor-regions", &[1])?;
                    t.text("compatible", "arm,gic-v3")?;
                    node_cells(t)?;
                    if !its {
                        return Ok(());
                    }
                    let service = find(Chip::GicIts);
                    t.node(&service.node_name(), |t| {
                        t.phandle(handles.messages)?;
                        reg(t, &service)?;
                        t.cells("#msi-cells", &[1])?;
                        t.flag("msi-controller")?;
                        t.text("compatible", "arm,gic-v3-its")
                    })
                }
            }
        })
    }

    fn cpus(&self, t: &mut Tree, handles: &Handles) -> Result<(), FdtError> {
        t.node("cpus", |t| {
            t.cells("#size-cells", &[0])?;
            t.cells("#address-cells", &[1])?;
            self.cpu_map(t, handles)?;
            for cpu in 0..self.cpus {
                t.node(&format!("cpu@{cpu:x}"), |t| {
                    t.phandle(handles.cpus[cpu])?;
                    t.cells("reg", &[cpu as u32])?;
                    if self.cpus > 1 && self.config.psci.is_some() {
                        t.text("enable-method", "psci")?;
                    }
                    t.text("compatible", &self.config.cpu)?;
                    t.text("device_type", "cpu")
                })?;
            }
            Ok(())
        })
    }

    /// Sockets of one cluster each.
    fn cpu_map(&self, t: &mut Tree, handles: &Handles) -> Result<(), FdtError> {
        let (cores, threads) = (self.config.topology.cores, self.config.topology.threads);
        t.node("cpu-map", |t| {
            for (socket, cpus) in handles.cpus.chunks(cores * threads).enumerate() {
                t.node(&format!("socket{socket}"), |t| {
                    t.node("cluster0", |t| {
                        for (core, cpus) in cpus.chunks(threads).enumerate() {
                            t.node(&format!("core{core}"), |t| match cpus {
                                [only] if threads == 1 => t.cells("cpu", &[*only]),
                                cpus => cpus.iter().enumerate().try_for_each(|(thread, cpu)| {
                                    t.node(&format!("thread{thread}"), |t| t.cells("cpu", &[*cpu]))
                                }),
                            })?;
                        }
                        Ok(())
                    })
                })?;
            }
            Ok(())
        })
    }
}

/// The path of the secure world's UART.
fn secure_console() -> String {
    format!("/{}", find(Chip::SecureUart).node_name())
}

fn gpio_controller(t: &mut Tree, phandle: u32) -> Result<(), FdtError> {
    t.phandle(phandle)?;
    t.flag("gpio-controller")?;
    t.cells("#gpio-cells", &[2])
}

/// What the interrupt controller's node says to those that refer to it, and to those inside.
fn node_cells(t: &mut Tree) -> Result<(), FdtError> {
    t.flag("ranges")?;
    t.cells("#size-cells", &[2])?;
    t.cells("#address-cells", &[2])?;
    t.flag("interrupt-controller")?;
    t.cells("#interrupt-cells", &[3])
}

/// One of Arm's PrimeCells, on the board's clock.
fn primecell(
    t: &mut Tree,
    slot: &Slot<Chip>,
    handles: &Handles,
    compatible: &str,
    body: impl FnOnce(&mut Tree) -> Result<(), FdtError>,
) -> Result<(), FdtError> {
    t.node(&slot.node_name(), |t| {
        if matches!(slot.chip, Chip::Uart | Chip::SecureUart) {
            t.texts("clock-names", &["uartclk", "apb_pclk"])?;
            t.cells("clocks", &[handles.clock, handles.clock])?;
        } else {
            t.text("clock-names", "apb_pclk")?;
            t.cells("clocks", &[handles.clock])?;
        }
        t.cells("interrupts", &[SPI, slot.irq, LEVEL])?;
        reg(t, slot)?;
        t.texts("compatible", &[compatible, "arm,primecell"])?;
        body(t)
    })
}
