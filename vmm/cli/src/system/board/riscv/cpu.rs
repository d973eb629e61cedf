//! The CPU model that `-cpu` names.

use std::sync::Arc;

use base::{CpuLines, TimeBase};
use control::CpuModelInfo;
use machines::riscv_virt::HartInfo;
use tcg_core::cpu::CpuHeader;
use tcg_riscv::cpu::Hart;
use tcg_riscv::csr::Csrs;
use tcg_riscv::features::{self, Ext, Features};

use crate::options::CpuModel;
use crate::system::error::SystemError;

/// Bytes that the cache-block instructions work on.
const CACHE_BLOCK: u32 = 64;

/// What every hart of the machine is.
pub struct Model {
    name: String,
    features: Features,
}

/// `-cpu help`.
pub fn listing() -> String {
    Features::help()
}

/// The models that there are.
pub fn models() -> Vec<CpuModelInfo> {
    let info = |model: features::Model| CpuModelInfo {
        name: model.name,
        type_name: type_name(model.name),
        settled: model.settled,
    };
    features::models().map(info).collect()
}

/// QEMU's name of the type of a model.
fn type_name(model: &str) -> String {
    format!("{model}-riscv-cpu")
}

/// The model that `-cpu` asks for, or the machine's default.
pub fn model(asked: Option<&CpuModel>) -> Result<Model, SystemError> {
    let Some(asked) = asked else { return Ok(Model { name: "rv64".into(), features: Features::rv64() }) };
    let properties = asked.props.iter().map(|(name, value)| format!(",{name}={value}"));
    let text: String = std::iter::once(asked.name.clone()).chain(properties).collect();
    let features = Features::parse(&text);
    features
        .map(|features| Model { name: asked.name.clone(), features })
        .map_err(|fault| SystemError::refused(&asked.origin, fault.to_string()))
}

impl Model {
    /// QEMU's name of its type.
    pub fn type_name(&self) -> String {
        type_name(&self.name)
    }

    /// Its properties that are on or off.
    pub fn switches(&self) -> Vec<(String, bool)> {
        self.features.switches().into_iter().map(|(name, on)| (name.into(), on)).collect()
    }

    /// What the device tree says.
    pub fn info(&self) -> HartInfo {
        HartInfo {
            isa: self.features.isa_string(),
            extensions: self.features.names().into_iter().map(String::from).collect(),
            mmu: self.features.mmu_type(),
            cache_block: self.features.has(Ext::Zicbom).then_some(CACHE_BLOCK),
        }
    }

    /// Hart `number`, with its wires.
    pub fn hart(&self, number: u64, time: &Arc<TimeBase>, lines: &Arc<CpuLines>) -> Hart {
        let mut csr = Csrs::new(self.features, number);
        csr.wire(time.clone(), lines.clone());
        Hart {
            head: CpuHeader::new(),
            x: [0; 32],
            f: [0; 32],
            v: Default::default(),
            reservation: u64::MAX,
            reserved_value: 0,
            csr,
        }
    }
}
