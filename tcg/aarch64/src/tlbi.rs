//! Broadcast of TLB maintenance: D8.14 (TLBI).

use crate::Aarch64;
use std::sync::{Arc, OnceLock};
use tcg_core::run::{Handle, Vcpu};

/// The PEs that share translations: the Inner Shareable domain.
#[derive(Default)]
pub struct Domain {
    pes: OnceLock<Vec<Arc<Handle<Aarch64>>>>,
}

impl Domain {
    /// Puts `vcpus` into one domain: once for a machine, before it runs.
    pub fn connect(vcpus: &mut [Vcpu<Aarch64>]) {
        let domain = Arc::new(Self::default());
        // It was made just now, so it is empty.
        let _ = domain.pes.set(vcpus.iter().map(|vcpu| vcpu.handle().clone()).collect());
        for vcpu in vcpus {
            vcpu.cpu_mut().system.domain = Some(domain.clone());
        }
    }

    /// Every PE in it.
    pub fn pes(&self) -> &[Arc<Handle<Aarch64>>] {
        self.pes.get().map_or(&[], Vec::as_slice)
    }
}
