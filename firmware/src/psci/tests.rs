use super::*;

/// Two CPUs of affinity 0 and 1, and what was done to them.
struct Machine {
    states: [CpuState; 2],
    done: Vec<String>,
}

impl Platform for Machine {
    fn cpu_of(&self, affinity: u64) -> Option<usize> {
        (affinity < 2).then_some(affinity as usize)
    }

    fn state(&self, cpu: usize) -> CpuState {
        self.states[cpu]
    }

    fn cpu_on(&mut self, cpu: usize, entry: u64, context: u64) -> Result<(), CpuState> {
        match self.states[cpu] {
            CpuState::Off => {
                self.states[cpu] = CpuState::OnPending;
                self.done.push(format!("on {cpu} {entry:#x} {context:#x}"));
                Ok(())
            }
            state => Err(state),
        }
    }

    fn cpu_off(&mut self) {
        self.done.push("off".into());
    }

    fn suspend(&mut self) {
        self.done.push("suspend".into());
    }

    fn reset(&mut self, how: Reset) {
        self.done.push(format!("{how:?}"));
    }

    fn is_memory(&self, addr: u64) -> bool {
        addr >= 0x4000_0000
    }
}

fn machine() -> Machine {
    Machine { states: [CpuState::On, CpuState::Off], done: Vec::new() }
}

#[test]
fn cpus_are_started_once_and_asked_for() {
    let mut m = machine();
    let on = |m: &mut Machine, target, entry| call(m, 0xc400_0003, [target, entry, 0x1_0000_0007]);
    assert_eq!(on(&mut m, 2, 0x4000_0000), Return::Value(-2));
    assert_eq!(on(&mut m, 1 << 31, 0x4000_0000), Return::Value(-2));
    assert_eq!(on(&mut m, 0, 0x4000_0000), Return::Value(-4));
    assert_eq!(on(&mut m, 1, 0x1000), Return::Value(-9));
    assert_eq!(on(&mut m, 1, 0x4000_0000), Return::Value(0));
    assert_eq!(on(&mut m, 1, 0x4000_0000), Return::Value(-5));
    assert_eq!(m.done, ["on 1 0x40000000 0x100000007"]);
    let state = |m: &mut Machine, target, level| call(m, 0xc400_0004, [target, level, 0]);
    assert_eq!([state(&mut m, 0, 0), state(&mut m, 1, 0)], [Return::Value(0), Return::Value(2)]);
    assert_eq!([state(&mut m, 0, 1), state(&mut m, 9, 0)], [Return::Value(-2); 2]);
    // The 32-bit form sees halves of registers.
    m.states[1] = CpuState::Off;
    assert_eq!(call(&mut m, 0x8400_0003, [7 << 32 | 1, 0x4000_0000, u64::MAX]), Return::Value(0));
    assert_eq!(m.done[1], "on 1 0x40000000 0xffffffff");
}

#[test]
fn the_machine_goes_down() {
    let mut m = machine();
    for id in [0x8400_0008, 0x8400_0009, 0xc400_0012, 0x8400_0002] {
        assert_eq!(call(&mut m, id, [0; 3]), Return::Never);
    }
    assert_eq!(call(&mut m, 0xc400_0012, [1 << 31, 0, 0]), Return::Value(-2));
    assert_eq!(call(&mut m, 0xc400_0001, [0; 3]), Return::Value(0));
    assert_eq!(m.done, ["Off", "Reset", "Reset", "off", "suspend"]);
}

#[test]
fn what_there_is_says_so() {
    let mut m = machine();
    let mut ask = |id, arg| call(&mut m, id, [arg, 0, 0]);
    assert_eq!([ask(0x8400_0000, 0), ask(0x8000_0000, 0)], [Return::Value(0x1_0001); 2]);
    for there in [0x8400_0001, 0xc400_0001, 0x8400_0003, 0xc400_0003, 0xc400_0012, 0x8000_0000] {
        assert_eq!(ask(0x8400_000a, there), Return::Value(0), "{there:#x}");
    }
    for missing in [0, 0xc600_0000, 0xc400_0002, 0x8400_0005, 0x8400_000e, 0x8400_00ff] {
        assert_eq!(ask(0x8400_000a, missing), Return::Value(-1), "{missing:#x}");
        assert_eq!(ask(missing, 0), Return::Value(-1), "{missing:#x}");
    }
    assert_eq!(
        [ask(0x8000_0001, 0x8000_8000), ask(0x8000_0001, 0x8000_0001)],
        [Return::Value(-1), Return::Value(0)]
    );
    assert_eq!(ask(0x8400_0006, 0), Return::Value(2));
}
