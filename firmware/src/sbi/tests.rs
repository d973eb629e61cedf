//! Calls against a platform that records what is asked of it.

use super::*;

#[derive(Default)]
struct Recorder {
    harts: u64,
    states: Vec<HartState>,
    log: Vec<String>,
    typed: Vec<u8>,
    memory: Vec<u8>,
}

impl Recorder {
    fn new(harts: u64) -> Self {
        let mut states = vec![HartState::Stopped; harts as usize];
        states[0] = HartState::Started;
        Self { harts, states, memory: vec![b'x'; 64], ..Self::default() }
    }

    fn call(&mut self, extension: u64, function: u64, args: &[u64]) -> Return {
        let mut all = [0; 6];
        all[..args.len()].copy_from_slice(args);
        call(self, Call { extension, function, args: all })
    }
}

impl Pmu for Recorder {
    fn counters(&self) -> u64 {
        0b1101
    }
    fn can_count(&self, n: u64, event: u64) -> bool {
        n == 3 && event == 1
    }
    fn select(&mut self, n: u64, event: u64) {
        self.log.push(format!("select {n} {event}"));
    }
    fn running(&self, _n: u64) -> bool {
        false
    }
    fn start(&mut self, n: u64, value: Option<u64>) {
        self.log.push(format!("start {n} {value:?}"));
    }
    fn stop(&mut self, _n: u64) {}
}

impl Platform for Recorder {
    fn harts(&self) -> u64 {
        self.harts
    }
    fn this_hart(&self) -> u64 {
        0
    }
    fn set_timer(&mut self, time: u64) {
        self.log.push(format!("timer {time}"));
    }
    fn send_ipi(&mut self, hart: u64) {
        self.log.push(format!("ipi {hart}"));
    }
    fn clear_ipi(&mut self) {}
    fn remote_fence(&mut self, harts: u64, fence: Fence) {
        self.log.push(format!("fence {harts:#b} {fence:?}"));
    }
    fn hart_state(&self, hart: u64) -> HartState {
        self.states[hart as usize]
    }
    fn start_hart(&mut self, hart: u64, addr: u64, opaque: u64) {
        self.states[hart as usize] = HartState::Started;
        self.log.push(format!("start {hart} {addr:#x} {opaque}"));
    }
    fn stop_this_hart(&mut self) {
        self.states[0] = HartState::Stopped;
    }
    fn wait(&mut self) {}
    fn reset(&mut self, how: Reset) {
        self.log.push(format!("{how:?}"));
    }
    fn console_write(&mut self, bytes: &[u8]) {
        self.log.push(String::from_utf8_lossy(bytes).into_owned());
    }
    fn console_read(&mut self) -> Option<u8> {
        self.typed.pop()
    }
    fn read_memory(&self, addr: u64, bytes: &mut [u8]) -> bool {
        let from = self.memory.get(addr as usize..).and_then(|m| m.get(..bytes.len()));
        from.map(|from| bytes.copy_from_slice(from)).is_some()
    }
    fn write_memory(&mut self, addr: u64, bytes: &[u8]) -> bool {
        let to = self.memory.get_mut(addr as usize..).and_then(|m| m.get_mut(..bytes.len()));
        to.map(|to| to.copy_from_slice(bytes)).is_some()
    }
    fn pmu(&mut self) -> &mut dyn Pmu {
        self
    }
}

const OK: fn(u64) -> Return = |value| Return::Pair(SbiError::Success, value);

#[test]
fn base_tells_what_there_is() {
    let mut p = Recorder::new(2);
    assert_eq!(p.call(0x10, 0, &[]), OK(0x0200_0000));
    assert_eq!(p.call(0x10, 3, &[0x48_534d]), OK(1));
    assert_eq!(p.call(0x10, 3, &[0x5355_5350]), OK(0));
    assert_eq!(p.call(0x1234, 0, &[]), Return::Pair(SbiError::NotSupported, 0));
}

#[test]
fn hart_masks() {
    let mut p = Recorder::new(4);
    assert_eq!(p.call(0x73_5049, 0, &[0b11, 2]), OK(0));
    assert_eq!(p.log, ["ipi 2", "ipi 3"]);
    assert_eq!(p.call(0x73_5049, 0, &[0b11, 3]), Return::Pair(SbiError::InvalidParam, 0));
    assert_eq!(p.call(0x73_5049, 0, &[1, 64]), Return::Pair(SbiError::InvalidParam, 0));
    p.call(0x5246_4e43, 2, &[0, u64::MAX, 0x1000, 0x2000, 7]);
    assert_eq!(p.log[2], "fence 0b1111 Translations { start: 4096, size: 8192, asid: Some(7) }");
}

#[test]
fn harts_start_once_and_where_there_is_memory() {
    let mut p = Recorder::new(2);
    let start = |p: &mut Recorder, hart, addr| p.call(0x48_534d, 0, &[hart, addr, 5]);
    assert_eq!(start(&mut p, 2, 0), Return::Pair(SbiError::InvalidParam, 0));
    assert_eq!(start(&mut p, 0, 0), Return::Pair(SbiError::AlreadyAvailable, 0));
    assert_eq!(start(&mut p, 1, 0x9999), Return::Pair(SbiError::InvalidAddress, 0));
    assert_eq!(start(&mut p, 1, 0x10), OK(0));
    assert_eq!(p.call(0x48_534d, 2, &[1]), OK(0));
    assert_eq!(p.call(0x48_534d, 1, &[]), Return::Never);
}

#[test]
fn the_console_moves_pieces() {
    let mut p = Recorder::new(1);
    assert_eq!(p.call(0x4442_434e, 0, &[3, 0, 0]), OK(3));
    assert_eq!(p.log, ["xxx"]);
    assert_eq!(p.call(0x4442_434e, 0, &[u64::MAX, 0, 0]), Return::Pair(SbiError::InvalidParam, 0));
    p.typed = b"ih".to_vec();
    assert_eq!(p.call(0x4442_434e, 1, &[16, 8, 0]), OK(2));
    assert_eq!(&p.memory[8..10], b"hi");
    assert_eq!(p.call(2, 0, &[]), Return::Legacy(u64::MAX));
}

#[test]
fn counters_are_matched() {
    let mut p = Recorder::new(1);
    assert_eq!(p.call(0x50_4d55, 0, &[]), OK(4));
    assert_eq!(p.call(0x50_4d55, 1, &[3]), OK(0xc03 | 63 << 12));
    assert_eq!(p.call(0x50_4d55, 1, &[1]), Return::Pair(SbiError::InvalidParam, 0));
    assert_eq!(p.call(0x50_4d55, 2, &[0, 0b1101, 4 | 2, 1]), OK(3));
    assert_eq!(p.log, ["select 3 1", "start 3 Some(0)"]);
}
