//! The CPU model that `-cpu` names.

use tcg_aarch64::features::{Ext, Features, IdReg};

use crate::options::SystemOptions;
use crate::system::error::SystemError;

/// What every CPU of the machine is.
pub struct Model {
    /// What it has.
    pub features: Features,
    /// Performance monitors (`pmu=`).
    pub pmu: bool,
}

/// Frequency of the system counter, in Hz: that of the older cores as QEMU has it, and that of Armv8.6 on.
const OLD_COUNTER: u64 = 62_500_000;
const NEW_COUNTER: u64 = 1_000_000_000;

/// `-cpu help`.
pub fn listing() -> String {
    Features::help()
}

/// The model that `-cpu` asks for. QEMU's usual one for this board runs 32-bit code only.
pub fn model(options: &SystemOptions) -> Result<Model, SystemError> {
    let Some(asked) = &options.cpu else {
        let what = "the usual CPU of this machine, cortex-a15, runs 32-bit code, which is not available in this \
                    version of Mimic; say -cpu max or another of -cpu help";
        return Err(SystemError::refused("-machine virt", what));
    };
    let (pmu, others): (Vec<_>, Vec<_>) = asked.props.iter().partition(|(name, _)| name == "pmu");
    let properties = others.iter().map(|(name, value)| format!(",{name}={value}"));
    let text: String = std::iter::once(asked.name.clone()).chain(properties).collect();
    let refused = |what: String| SystemError::refused(&asked.origin, what);
    let features = Features::parse(&text).map_err(|fault| refused(fault.to_string()))?;
    let pmu = match pmu.last().map(|(_, value)| &**value) {
        None | Some("on" | "true" | "yes") => true,
        Some("off" | "false" | "no") => false,
        Some(value) => return Err(refused(format!("CPU property 'pmu' is 'on' or 'off', not '{value}'"))),
    };
    Ok(Model { features, pmu })
}

impl Model {
    /// `compatible` in the device tree; that of `max` is QEMU's, too.
    pub fn compatible(&self) -> String {
        match self.features.model_name() {
            "max" => "arm,cortex-a57".into(),
            name => format!("arm,{name}"),
        }
    }

    /// Whether EL2 can be the level of a host.
    pub fn has_vhe(&self) -> bool {
        self.features.field(IdReg::Mmfr1, 8) != 0
    }

    /// Frequency of the system counter, in Hz.
    pub fn counter(&self) -> u64 {
        if self.features.has(Ext::Ecv) { NEW_COUNTER } else { OLD_COUNTER }
    }
}
