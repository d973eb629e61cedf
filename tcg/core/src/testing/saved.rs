//! Laws of saved CPU states: saved, loaded and saved again they are the same; a state that was tampered with is refused or harmless.

use super::Rng;
use crate::run::{CodeCache, CodeConfig, Vcpu, VcpuConfig};
use crate::saved::Saved;
use base::{AddressSpace, CpuLines, State, allocate_ram};
use serde_json::Value;
use std::sync::Arc;
use vm_memory::{Bytes, GuestAddress};

/// A guest's CPUs to try.
pub struct Subject<G: Saved> {
    /// Makes a CPU, the same each time, connected to these lines.
    pub make: fn(&Arc<CpuLines>) -> G::Cpu,
    /// Gives every register some value that it can have.
    pub scribble: fn(&mut G::Cpu, &mut Rng),
    /// Start of RAM.
    pub ram: u64,
}

const SEEDS: std::ops::Range<u64> = 0..50;
/// States tampered with.
const TAMPERED: u64 = 3000;
const RAM: u64 = 0x1_0000;

impl<G: Saved> Subject<G> {
    fn fresh(&self) -> G::Cpu {
        (self.make)(&Arc::default())
    }

    fn used(&self, seed: u64) -> G::Cpu {
        let mut cpu = self.fresh();
        (self.scribble)(&mut cpu, &mut Rng::new(seed));
        cpu
    }

    /// Into a new CPU and into one that was used, and nonsense into none.
    pub fn save_load_save_is_equal(&self) {
        for seed in SEEDS {
            let mut cpu = self.used(seed);
            let saved = G::save(&mut cpu);
            assert_eq!(G::save(&mut cpu), saved, "saving changes nothing, seed {seed}");
            for (kind, mut other) in [("new", self.fresh()), ("used", self.used(seed + 1000))] {
                G::load(&mut other, &saved).expect("a state of the same CPU");
                assert_eq!(G::save(&mut other), saved, "into a {kind} CPU, seed {seed}");
            }
            G::load(&mut cpu, &State { version: saved.version + 1, ..saved.clone() })
                .expect_err("a new version");
            G::load(&mut cpu, &State::of(saved.version, &"nonsense")).expect_err("another shape");
            assert_eq!(G::save(&mut cpu), saved, "after loads that failed, seed {seed}");
        }
    }

    /// What a state says that was tampered with, a CPU does not go down of.
    pub fn tampered_states_are_harmless(&self) {
        let ram = allocate_ram(&[(self.ram, RAM)]).expect("memory");
        let mut rng = Rng::new(1);
        let code: Vec<u8> = (0..RAM).map(|_| rng.bits() as u8).collect();
        ram.write_slice(&code, GuestAddress(self.ram)).expect("RAM");
        let space = Arc::new(AddressSpace::new(ram));
        let code = CodeCache::new(space, CodeConfig::default()).expect("code memory");
        let lines = Arc::<CpuLines>::default();
        let mut vcpu = Vcpu::<G>::new((self.make)(&lines), lines, &code, VcpuConfig::default());
        let mut loaded = 0;
        for seed in 0..TAMPERED {
            let mut rng = Rng::new(seed);
            let mut state = G::save(&mut self.used(seed));
            for _ in 0..=rng.below(3) {
                tamper(&mut state.value, &mut rng);
            }
            vcpu.forget();
            if G::load(vcpu.cpu_mut(), &state).is_ok() {
                loaded += 1;
                if rng.chance(50) {
                    vcpu.cpu_mut().as_mut().pc = self.ram + (rng.below(RAM) & !3);
                }
                (0..10).for_each(|_| vcpu.step());
                // Whatever it has come to can be saved and loaded.
                let saved = G::save(vcpu.cpu_mut());
                G::load(vcpu.cpu_mut(), &saved).expect("a state of this CPU");
            }
        }
        assert!(loaded > TAMPERED / 10, "{loaded} states were loaded: nearly all are refused");
    }
}

/// Changes one number, string, list or object somewhere in `value`.
fn tamper(value: &mut Value, rng: &mut Rng) {
    let inner: Vec<&mut Value> = match value {
        Value::Array(items) if !items.is_empty() && !rng.chance(5) => items.iter_mut().collect(),
        Value::Object(members) if !rng.chance(5) => members.values_mut().collect(),
        _ => Vec::new(),
    };
    let count = inner.len() as u64;
    if let Some(chosen) = inner.into_iter().nth(rng.below(count.max(1)) as usize) {
        return tamper(chosen, rng);
    }
    match value {
        Value::Number(_) => {
            let numbers = [0, 1, 3, u64::MAX, 1 << 63, rng.bits(), 1 << rng.below(64)];
            *value = rng.pick(&numbers).into();
        }
        Value::Bool(on) => *on = !*on,
        Value::Array(items) if rng.chance(50) => drop(items.pop()),
        Value::Array(items) => items.push(0.into()),
        other => *other = Value::Null,
    }
}
