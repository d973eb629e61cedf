//! What firmware in flash asks the machine for through fw_cfg: a kernel to start.

use std::path::Path;

use base::Shared;
use devices::chips::fw_cfg::{FwCfg, key};
use firmware::image;

use super::error::SystemError;
use crate::options::SystemOptions;

/// Offers kernel, initial file system and command line, as far as there are any.
pub fn offer_kernel(options: &SystemOptions, device: &Shared<FwCfg>) -> Result<(), SystemError> {
    let mut device = device.lock();
    let mut offer = |size: u16, data: u16, bytes: Vec<u8>| {
        device.set_key(size, (bytes.len() as u32).to_le_bytes().to_vec());
        device.set_key(data, bytes);
    };
    if let Some(file) = &options.kernel {
        offer(key::KERNEL_SIZE, key::KERNEL_DATA, image::read_file(Path::new(file))?);
    }
    if let Some(file) = &options.initrd {
        offer(key::INITRD_SIZE, key::INITRD_DATA, image::read_file(Path::new(file))?);
    }
    if let Some(line) = &options.append {
        let mut bytes = line.clone().into_bytes();
        bytes.push(0);
        offer(key::CMDLINE_SIZE, key::CMDLINE_DATA, bytes);
    }
    Ok(())
}
