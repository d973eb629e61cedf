//! The CSRs in a saved state.

use super::bits::irq;
use super::{Counters, Csrs, Priv, Triggers, VectorCsrs};
use crate::features::Ext;
use crate::mmu;
use crate::pmp::Pmp;
use crate::vector::{VILL, vlmax};
use base::{IrqSink, Ns, StateError};
use serde::{Deserialize, Serialize};

macro_rules! registers {
    ($($name:ident)*) => {
        /// What is saved of a hart's CSRs.
        #[derive(Serialize, Deserialize)]
        pub(crate) struct CsrState {
            privilege: Priv,
            $($name: u64,)*
            vector: VectorCsrs,
            pmp: Pmp,
            counters: Counters,
            triggers: Triggers,
            overflow_due: Ns,
        }

        impl CsrState {
            /// That of `csr`.
            pub fn save(csr: &mut Csrs) -> Self {
                // The only input that is no level of a device's.
                csr.latch_software_interrupt();
                // All by name, so that a new field asks to be thought of.
                let Csrs { privilege, features: _, mhartid: _, $($name,)* vector, pmp, counters, triggers, overflow_due, wiring: _ } = csr;
                Self {
                    privilege: *privilege,
                    $($name: *$name,)*
                    vector: *vector,
                    pmp: pmp.clone(),
                    counters: counters.clone(),
                    triggers: triggers.clone(),
                    overflow_due: *overflow_due,
                }
            }

            fn put(self, csr: &mut Csrs) {
                $(csr.$name = self.$name;)*
                csr.privilege = self.privilege;
                csr.vector = self.vector;
                csr.pmp = self.pmp.loaded();
                csr.counters = self.counters.loaded(csr.features.has(Ext::Sscofpmf));
                csr.triggers = self.triggers.loaded();
                csr.overflow_due = self.overflow_due;
            }
        }
    };
}

registers! {
    mstatus medeleg mideleg mie mip_soft mtvec mscratch mepc mcause mtval mcounteren menvcfg
    stvec sscratch sepc scause stval scounteren senvcfg satp stimecmp frm
}

impl CsrState {
    /// Whether `csr`'s hart can have the values that translations and page walks rely on.
    pub fn check(&self, csr: &Csrs) -> Result<(), StateError> {
        let (v, features) = (&self.vector, &csr.features);
        let max = if v.vtype == VILL { 0 } else { vlmax(v.vtype, features) };
        let vector = v.vtype == VILL || max != 0;
        if !vector || v.vl > max || v.vstart >= features.vlen() || v.vxrm > 3 || v.vxsat > 1 {
            return Err(StateError::Value("vector CSRs that the hart can not have"));
        }
        if self.frm > 7 || !mmu::satp_is_legal(features, self.satp) {
            return Err(StateError::Value("frm or satp that the hart can not have"));
        }
        Ok(())
    }

    /// Puts a state that was checked back, and drives and arms what follows from it.
    pub fn load(self, csr: &mut Csrs) {
        self.put(csr);
        csr.update_stimer();
        let Some(w) = &csr.wiring else { return };
        // Latched when it was saved.
        w.lines.set(irq::SSI, false);
        w.overflow.disarm();
        if csr.overflow_due != Ns::MAX {
            w.overflow.arm(csr.overflow_due);
        }
    }
}
