//! `-plugin`: one that is built in, by QEMU's name or the path of QEMU's file, and its options; and what else watches what the guest
//! executes.

use tcg_plugins::Plugin;

use super::error::Fault;

/// What watches the guest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WatchOptions {
    /// `-plugin`.
    pub plugins: Vec<Plugin>,
    /// `-coverage`: the file that the counts of source lines go to.
    pub coverage: Option<String>,
    /// `-perfmap`.
    pub perf_map: bool,
    /// `-jitdump`.
    pub jit_dump: bool,
}

/// Reads `[file=]FILE[,OPTION=VALUE]...`; an option without value is switched on.
pub fn read(argument: &str) -> Result<Plugin, Fault> {
    let mut plugin = Plugin::default();
    for (n, word) in argument.split(',').enumerate() {
        match word.split_once('=') {
            Some(("file", file)) => plugin.file = file.into(),
            // As in QEMU's older form.
            Some(("arg", option)) => {
                let (key, value) = option.split_once('=').unwrap_or((option, "on"));
                plugin.options.push((key.into(), value.into()));
            }
            Some((key, value)) => plugin.options.push((key.into(), value.into())),
            None if n == 0 => plugin.file = word.into(),
            None if word.is_empty() => {}
            None => plugin.options.push((word.into(), "on".into())),
        }
    }
    match plugin.file.is_empty() {
        true => Err(Fault::new("names no plugin")),
        false => Ok(plugin),
    }
}
