//! The CPU model that `-cpu` names.

use control::CpuModelInfo;
use tcg_aarch64::features::{Ext, Features, IdReg};

use crate::options::CpuModel;
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

/// The models that there are.
pub fn models() -> Vec<CpuModelInfo> {
    let info = |name| CpuModelInfo { name, type_name: type_name(name), settled: false };
    Features::models().map(info).collect()
}

/// QEMU's name of the type of a model.
fn type_name(model: &str) -> String {
    format!("{model}-arm-cpu")
}

/// The model that `-cpu` asks for. QEMU's usual one for this board runs 32-bit code only.
pub fn model(asked: Option<&CpuModel>) -> Result<Model, SystemError> {
    let Some(asked) = asked else {
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
    /// QEMU's name of its type.
    pub fn type_name(&self) -> String {
        type_name(self.features.model_name())
    }

    /// Its properties that are on or off.
    pub fn switches(&self) -> Vec<(String, bool)> {
        let switches = self.features.switches().into_iter().filter(|(name, _)| name != "pmu");
        switches.chain([("pmu".into(), self.pmu)]).collect()
    }

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
