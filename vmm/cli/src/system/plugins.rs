//! `-plugin`, `-coverage`, `-perfmap` and their like, of a machine.

use std::path::Path;
use std::sync::Arc;

use base::{PowerEvent, PowerSink};
use engine::Power;
use tcg_core::observe::Image;

use super::error::SystemError;
use super::images;
use crate::options::{Firmware, SystemOptions};
use crate::watch::Watch;

/// Who watches the run; `power` is how plugins end it.
pub fn watch(options: &SystemOptions, power: &Arc<Power>) -> Result<Watch, SystemError> {
    let power = power.clone();
    let end = Arc::new(move |status: u8| power.power(PowerEvent::Off { code: status.into() }));
    let guest = options.machine.kind.arch.name();
    Watch::new(&options.watch, &options.log, guest, end)
        .map_err(|(option, fault)| SystemError::refused(option, fault))
}

/// The programs that the machine starts with, as far as they are ELF files.
pub fn images(options: &SystemOptions) -> Vec<Image> {
    let firmware = match &options.firmware {
        Firmware::File(name) => images::firmware_file(options, name).ok(),
        _ => None,
    };
    let kernel = options.kernel.as_ref().map(|file| Path::new(file).to_path_buf());
    firmware.into_iter().chain(kernel).filter_map(|path| tcg_plugins::image::of_elf(&path)).collect()
}
