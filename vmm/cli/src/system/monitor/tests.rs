use super::*;

#[derive(Default)]
struct Screen {
    text: Mutex<Vec<u8>>,
    sink: Mutex<Option<Arc<dyn CharSink>>>,
}

impl CharBackend for Screen {
    fn write(&self, bytes: &[u8]) -> usize {
        self.text.lock().extend(bytes);
        bytes.len()
    }
    fn attach(&self, guest: Arc<dyn CharSink>) {
        *self.sink.lock() = Some(guest);
    }
    fn resume(&self) {}
    fn flush(&self) {}
}

fn talk(lines: &str) -> (String, Arc<Power>) {
    let power = Arc::new(Power::default());
    let ram = base::allocate_ram(&[(0x8000_0000, 1 << 20)]).expect("memory");
    let space = Arc::new(AddressSpace::new(ram));
    let subject = Subject { power: power.clone(), space, devices: Vec::new() };
    let screen = Arc::new(Screen::default());
    let _monitor = Monitor::start(Arc::new(subject), screen.clone(), false);
    let sink = screen.sink.lock().clone().expect("attached");
    sink.event(CharEvent::Opened);
    sink.receive(lines.as_bytes());
    let text = String::from_utf8(screen.text.lock().clone()).expect("text");
    (text, power)
}

#[test]
fn it_greets_echoes_and_answers() {
    let (text, _) = talk("info stats\x7f\x7ftus\rnonsense\rhelp\r");
    assert!(
        text.starts_with("QEMU 10.0.2 monitor - type 'help' for more information\r\n(qemu) info"),
        "{text}"
    );
    assert!(text.contains("VM status: paused (prelaunch)\r\n"), "{text}");
    assert!(text.contains("unknown command: 'nonsense'"), "{text}");
    assert!(text.contains("system_reset -- reset the system"), "{text}");
}

#[test]
fn the_memory_map_has_ram() {
    let (text, _) = talk("info mtree\r");
    assert!(text.contains("0000000080000000-00000000800fffff (prio 0, i/o): ram"), "{text}");
}
