//! `-tb-cache`: the folder where translations are kept for the next run.

use super::error::SystemError;
use crate::options::LogOptions;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use tcg_core::run::{CodeConfig, Store};

/// Has translations for the guest `name` be kept in `folder`; what they depend on beside the settings in `code` is in
/// `circumstances`. Those that are listed (`-d in_asm`) have to be made.
pub fn keep(
    folder: &Path,
    name: &str,
    circumstances: &dyn fmt::Debug,
    log: &LogOptions,
    code: &mut CodeConfig,
) -> Result<(), SystemError> {
    if super::log::lists_code(log) {
        return Ok(());
    }
    let circumstances = format!("{circumstances:?} {code:?}");
    let store = Store::open(folder, name, &circumstances).map_err(|why| {
        SystemError::refused("-tb-cache", format!("cannot use {}: {why}", folder.display()))
    })?;
    code.store = Some(Arc::new(store));
    Ok(())
}
