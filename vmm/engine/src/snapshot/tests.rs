use super::file::{Header, PlainFile, copied, mapped};
use super::*;
use base::{AddressSpace, CpuLines, ManualClock, allocate_ram, shared};
use std::sync::atomic::{AtomicU32, Ordering};
use tcg_core::cpu::CpuHeader;
use tcg_core::run::{CodeCache, CodeConfig, Vcpu, VcpuConfig};
use tcg_riscv::Riscv;
use tcg_riscv::cpu::Hart;
use tcg_riscv::csr::Csrs;
use tcg_riscv::features::Features;
use vm_memory::{Bytes, GuestAddress};

const RAM: (u64, u64) = (0x8000_0000, 1 << 20);
/// Counts in x5, and at the address in x6: `addi x5, x5, 1`, `sd x5, 0(x6)`, `j -8`.
const CODE: [u32; 3] = [0x0012_8293, 0x0053_3023, 0xff9f_f06f];

/// A device that goes on for so many saves, and may refuse to be saved.
struct Busy {
    left: AtomicU32,
    remedy: Option<String>,
}

impl Device for Busy {
    fn name(&self) -> &'static str {
        "busy"
    }
    fn reset(&mut self) {}
    fn save(&self) -> State {
        let left = self.left.load(Ordering::Relaxed);
        self.left.store(left.saturating_sub(1), Ordering::Relaxed);
        State::of(1, &left)
    }
    fn load(&mut self, state: &State) -> Result<(), StateError> {
        self.left = state.get::<u32>(1)?.into();
        Ok(())
    }
    fn unsavable(&self) -> Option<String> {
        self.remedy.clone()
    }
}

struct Machine {
    saver: Arc<Saver>,
    cpus: Vec<Vcpu<Riscv>>,
    clock: Arc<ManualClock>,
}

fn machine(cpu: &str, busy: Busy) -> Machine {
    let ram = allocate_ram(&[RAM]).expect("little memory");
    let code: Vec<u8> = CODE.iter().flat_map(|word| word.to_le_bytes()).collect();
    ram.write_slice(&code, GuestAddress(RAM.0)).expect("it fits");
    let space = Arc::new(AddressSpace::new(ram.clone()));
    let code = CodeCache::new(space, CodeConfig::default()).expect("code memory");
    let mut csr = Csrs::new(Features::max(), 0);
    csr.pmp.set_addr(0, u64::MAX);
    csr.pmp.set_cfg(0, 0x1f);
    let mut hart = Hart {
        head: CpuHeader::new(),
        x: [0; 32],
        f: [0; 32],
        v: Default::default(),
        reservation: u64::MAX,
        reserved_value: 0,
        csr,
    };
    (hart.head.pc, hart.x[6]) = (RAM.0, RAM.0 + 0x8000);
    let lines = Arc::new(CpuLines::default());
    let cpus = vec![Vcpu::new(hart, lines, &code, VcpuConfig::default())];
    let clock = ManualClock::new();
    let identity = Identity { arch: "riscv64".into(), machine: "test".into(), cpu: cpu.into(), cpus: 1 };
    let devices: Vec<(String, Shared<dyn Device>)> = vec![("busy@0".into(), shared(busy))];
    Machine { saver: Saver::new(identity, devices, clock.clone(), ram), cpus, clock }
}

fn quiet() -> Busy {
    Busy { left: 0.into(), remedy: None }
}

impl Machine {
    fn run(&mut self, instructions: usize) {
        (0..instructions).for_each(|_| self.cpus[0].step());
        self.clock.advance(1000);
    }

    /// The counter in the register, that in memory, and machine time.
    fn now(&self) -> [u64; 3] {
        let ram = self.cpus[0].space().ram();
        let stored = ram.read_obj(GuestAddress(RAM.0 + 0x8000)).expect("RAM");
        [self.cpus[0].cpu().x[5], stored, self.clock.now()]
    }
}

#[test]
fn a_machine_goes_back_to_any_of_its_checkpoints() {
    let mut machine = machine("max", Busy { left: 5.into(), remedy: None });
    let mut kept = Vec::new();
    for _ in 0..4 {
        machine.run(300);
        let checkpoint = machine.saver.checkpoint(&mut machine.cpus).expect("kept");
        assert_eq!(checkpoint.now(), machine.clock.now());
        kept.push((machine.now(), checkpoint));
    }
    for n in [1, 3, 0, 2, 2] {
        machine.saver.restore(&mut machine.cpus, &kept[n].1, || Ok(())).expect("put back");
        assert_eq!(machine.now(), kept[n].0);
        // From there it comes to the next one again.
        machine.run(300);
        if let Some((next, _)) = kept.get(n + 1) {
            assert_eq!(machine.now(), *next);
        }
    }
}

#[test]
fn files_hold_all_of_a_machine() {
    let mut one = machine("max", quiet());
    one.run(1000);
    let file = Arc::new(base::anonymous_file(0).expect("memory"));
    one.saver.write(&mut one.cpus, &mut &*file).expect("written");
    let header = Header::read(&mut PlainFile(file.clone())).expect("a snapshot");
    for by_mapping in [true, false] {
        let mut two = machine("max", quiet());
        two.run(50);
        two.saver.fits(&header).expect("the same machine");
        let ram = if by_mapping {
            mapped(&header, &file)
        } else {
            copied(&header, &mut PlainFile(file.clone())).expect("read")
        };
        two.saver.read(&mut two.cpus, &header, ram, || Ok(())).expect("loaded");
        assert_eq!(two.now(), one.now());
        let again = base::anonymous_file(0).expect("memory");
        two.saver.write(&mut two.cpus, &mut &again).expect("written");
        two.run(10);
        assert_ne!(two.now(), one.now());
    }
    let other = machine("rv64", quiet());
    let refused = other.saver.fits(&header).expect_err("another CPU").to_string();
    assert!(refused.contains("the CPU model max, and this one has rv64"), "{refused}");
}

#[test]
fn devices_that_can_not_be_saved_are_named() {
    let mut machine = machine("max", Busy { left: 0.into(), remedy: Some("pull the plug first".into()) });
    let refused = machine.saver.checkpoint(&mut machine.cpus).err().expect("refused").to_string();
    assert_eq!(refused, "busy@0 can not be saved: pull the plug first");
    let mut machine = self::machine("max", Busy { left: u32::MAX.into(), remedy: None });
    let refused = machine.saver.checkpoint(&mut machine.cpus).err().expect("refused").to_string();
    assert!(refused.starts_with("busy@0 does not come to rest"), "{refused}");
}
