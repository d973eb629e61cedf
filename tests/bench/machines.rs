//! The machines whose guests run the programs.

/// A machine, and the guest that is booted on it.
#[derive(Debug)]
pub struct Machine {
    /// The GNU name of the guest's architecture, as compilers and emulators have it in their names.
    pub guest: &'static str,
    /// The image with its kernel.
    pub image: &'static str,
    /// Words for the emulators' command lines. Both get the same CPU; one is named because defaults differ, and because
    /// some of the programs need more than QEMU's has.
    pub words: &'static [&'static str],
}

/// All machines; the first is the one that is measured if none is named.
pub static MACHINES: &[Machine] = &[
    Machine {
        guest: "riscv64",
        image: "debian-bench",
        words: &["-M", "virt", "-cpu", "rv64,v=true", "-m", "512", "-nic", "none"],
    },
    Machine {
        guest: "aarch64",
        image: "debian-bench:arm64",
        // Without pointer authentication, which QEMU computes as the architecture has it, at great cost.
        words: &["-M", "virt,gic-version=3", "-cpu", "neoverse-n1", "-m", "512", "-nic", "none"],
    },
];
