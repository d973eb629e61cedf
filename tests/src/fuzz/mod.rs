//! Fuzz targets: everything that takes bytes from a guest, from an image, from the network or from whoever attaches to a
//! machine, given any bytes.
//!
//! A target is a plain function that panics over a finding. `tests/fuzz` runs it under libFuzzer, `tests/tests/fuzz.rs`
//! on the seeds of `tests/fuzz/seeds` and on [`Mutations`] of them. Most read their input as a series of steps
//! ([`arbitrary`]), so that mutations of an input go deep instead of failing at its first header. Every step is bounded,
//! so that an input that takes long is a finding, too.

mod control;
mod device_tree;
mod elf_loader;
mod fw_cfg;
mod image;
mod mutate;
mod nat;
mod process;
mod qcow2;
mod replay_log;
mod translator;
mod user_syscall;
mod virtqueue;

pub use control::control;
pub use device_tree::device_tree;
pub use elf_loader::elf_loader;
pub use fw_cfg::fw_cfg;
pub use image::image;
pub use mutate::Mutations;
pub use nat::nat;
pub use qcow2::qcow2;
pub use replay_log::replay_log;
pub use translator::translator;
pub use user_syscall::user_syscall;
pub use virtqueue::virtqueue;

/// The body of a target.
pub type Target = fn(&[u8]);

/// Every target by its name, which is also that of its file in `tests/fuzz/fuzz_targets` and of its seeds.
pub const TARGETS: [(&str, Target); 11] = [
    ("control", control),
    ("device_tree", device_tree),
    ("elf_loader", elf_loader),
    ("fw_cfg", fw_cfg),
    ("image", image),
    ("nat", nat),
    ("qcow2", qcow2),
    ("replay_log", replay_log),
    ("translator", translator),
    ("user_syscall", user_syscall),
    ("virtqueue", virtqueue),
];

/// Steps of one input, at most.
const STEPS: usize = 256;

/// From now on the panic hook does not hear of panics inside `imago`: [`devices::host::block::Image`] catches them,
/// because a damaged image makes that crate panic.
pub fn overlook_caught_panics() {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let caught = panic.location().is_some_and(|at| at.file().contains("/imago-"));
        if !caught {
            hook(panic);
        }
    }));
}
