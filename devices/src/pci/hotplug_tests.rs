//! A root port driven as Linux' pciehp drives it.

use super::tests::{Bench, Probe, bench, numbers};
use super::*;
use base::{Device, Mmio, Width, shared};
use parking_lot::Mutex;
use std::sync::Arc;

/// Where the port is: slot 3, function 0 of bus 0.
const PORT: u8 = 3 << 3;
const BUS: u64 = 5;

struct Plugged {
    bench: Bench,
    /// Where the Express capability is.
    express: u64,
    gone: Arc<Mutex<Vec<PciPlace>>>,
}

/// Registers of the capability.
const SLOT_CAPABILITIES: u64 = 0x14;
const LINK_STATUS: u64 = 0x12;
const CONTROL: u64 = 0x18;
const STATUS: u64 = 0x1a;
/// Bits of slot status.
const BUTTON: u64 = 1;
const PRESENCE_CHANGED: u64 = 8;
const COMPLETED: u64 = 16;
const PRESENT: u64 = 64;
const LINK_CHANGED: u64 = 256;
/// Slot control: interrupts for everything, indicators off; power off and on.
const OFF: u64 = 0x17f9;
const ON: u64 = 0x11f9;

fn with_port(hotplug: bool) -> Plugged {
    let bench = bench();
    let socket = PciSocket { address: Some((3, 0)), ..PciSocket::default() };
    let options = SlotOptions { port: 0, slot: 7, hotplug };
    let place = bench.host.lock().add_port(socket, options).expect("a free slot");
    assert_eq!(place.devfn, PORT);
    let gone = Arc::<Mutex<Vec<PciPlace>>>::default();
    let told = gone.clone();
    bench.host.lock().on_departure(move |place| told.lock().push(place));
    let mut at = bench.get(3, 0x34, Width::B1);
    while bench.get(3, at, Width::B1) != 0x10 {
        at = bench.get(3, at + 1, Width::B1);
        assert_ne!(at, 0, "no Express capability");
    }
    // Bus numbers, and a window of memory and of ports.
    bench.set(3, 0x18, Width::B4, BUS << 16 | BUS << 8);
    bench.set(3, 0x20, Width::B4, 0x4010_4010);
    bench.set(3, 0x1c, Width::B2, 0x1010);
    bench.set(3, 4, Width::B2, 7);
    Plugged { bench, express: at, gone }
}

impl Plugged {
    fn read(&self, at: u64) -> u64 {
        self.bench.get(3, self.express + at, Width::B2)
    }

    fn write(&self, at: u64, value: u64) {
        self.bench.set(3, self.express + at, Width::B2, value);
    }

    /// Takes the events, and says which there were.
    fn events(&self) -> u64 {
        let events = self.read(STATUS);
        self.write(STATUS, events);
        events
    }

    fn behind(&self, offset: u64, width: Width) -> u64 {
        self.bench.get(BUS << 5, offset, width)
    }

    fn plug(&self) -> (Result<PciPlace, PciError>, Option<Arc<PciInterrupt>>) {
        let mut interrupt = None;
        let socket = PciSocket { port: Some(PORT), ..PciSocket::default() };
        let place = self.bench.host.lock().plug(socket, |wiring| {
            assert!(wiring.express);
            let probe = Probe::new(wiring);
            interrupt = Some(probe.interrupt.clone());
            shared(probe)
        });
        (place, interrupt)
    }

    fn unplug(&self) -> Result<Unplug, PciError> {
        self.bench.host.lock().request_unplug(PciPlace { port: Some(PORT), devfn: 0 })
    }
}

#[test]
fn a_function_comes_and_goes() {
    let p = with_port(true);
    let lines = &p.bench.lines;
    assert_eq!(p.bench.get(3, 0x08, Width::B4), 0x0604_0000);
    assert_eq!(p.bench.get(3, 0x0e, Width::B1), 1, "a bridge");
    assert_eq!(p.bench.get(3, p.express + SLOT_CAPABILITIES, Width::B4), 7 << 19 | 0b101_1011);
    assert_eq!((p.read(STATUS), p.read(LINK_STATUS) >> 13), (0, 0), "empty");
    assert_eq!(p.read(CONTROL), 0x7c0, "power off, indicators off");
    p.write(CONTROL, OFF);
    assert_eq!(p.events(), COMPLETED);
    assert!(!lines.level(3), "taken");

    let (place, _) = p.plug();
    assert_eq!(place, Ok(PciPlace { port: Some(PORT), devfn: 0 }));
    assert!(lines.level(3), "INTA of slot 3");
    assert_eq!(p.read(STATUS), BUTTON | PRESENCE_CHANGED | PRESENT);
    assert_eq!(p.behind(0, Width::B4), 0xffff_ffff, "it has no power");
    p.events();
    assert!(!lines.level(3));
    p.write(CONTROL, ON);
    assert_eq!(p.events(), COMPLETED | LINK_CHANGED | PRESENT);
    assert_eq!(p.read(LINK_STATUS) >> 13, 1, "the link is up");
    assert_eq!(p.behind(0, Width::B4), 0x5678_1234);
    assert_eq!(p.bench.get(BUS << 5 | 1, 0, Width::B4), 0xffff_ffff, "slot 0 only");
    assert_eq!(p.plug().0, Err(PciError::Taken { slot: 0, function: 0, name: "probe" }));

    // Its memory is seen through the port's window only.
    let mapped = || p.bench.mappings().iter().any(|m| m.1 == 0x4010_0000);
    p.bench.set(BUS << 5, 0x18, Width::B4, 0x4010_0000);
    p.bench.set(BUS << 5, 4, Width::B2, 6);
    assert!(mapped());
    p.bench.set(3, 0x20, Width::B4, 0x4020_4020);
    assert!(!mapped());
    p.bench.set(3, 0x20, Width::B4, 0x4010_4010);
    assert!(mapped());

    assert_eq!(p.unplug(), Ok(Unplug::Asked));
    assert!(lines.level(3));
    assert_eq!(p.events(), BUTTON | PRESENT);
    assert_eq!(p.unplug(), Err(PciError::Leaving));
    // The guest lets the indicator blink, and turns power and indicator off.
    p.write(CONTROL, ON & !0x300 | 0x200);
    assert!(p.gone.lock().is_empty() && mapped());
    p.write(CONTROL, OFF);
    assert_eq!(*p.gone.lock(), [PciPlace { port: Some(PORT), devfn: 0 }]);
    assert!(!mapped());
    assert_eq!(p.events(), COMPLETED | PRESENCE_CHANGED | LINK_CHANGED);
    assert_eq!(p.behind(0, Width::B4), 0xffff_ffff);
    // In a slot without power it goes as it came.
    assert!(p.plug().0.is_ok());
    assert_eq!(p.unplug(), Ok(Unplug::Done));
    assert_eq!(p.gone.lock().len(), 2);
}

#[test]
fn pins_behind_a_port_are_the_ports() {
    let p = with_port(true);
    let probe = p.plug().1.expect("a place");
    p.write(CONTROL, ON & !0x20);
    probe.set_intx(true);
    assert!(p.bench.lines.level(3));
    p.write(CONTROL, OFF & !0x20);
    assert!(!p.bench.lines.level(3), "what is gone drives nothing");
}

#[test]
fn messages_tell_of_events_and_name_their_bus() {
    let p = with_port(true);
    let heard = Arc::<Mutex<Vec<(u32, u32)>>>::default();
    let told = heard.clone();
    let ring = Arc::new(move |requester, data| told.lock().push((requester, data)));
    p.bench.host.lock().set_doorbell(Doorbell { address: 0x2000, ring });
    let probe = p.plug().1.expect("a place");
    p.write(CONTROL, ON);
    p.bench.set(BUS << 5, 0x14, Width::B4, 0x4010_0000);
    p.bench.set(BUS << 5, 4, Width::B2, 6);
    p.bench.set(BUS << 5, 0x42, Width::B2, 0x8000);
    p.bench.space.write(0x4010_0000, Width::B8, 0x2000);
    p.bench.space.write(0x4010_0008, Width::B8, 77);
    probe.fire(0);
    assert_eq!(*heard.lock(), [(5 << 8, 77)]);
}

#[test]
fn a_reset_lets_go_of_what_was_to_go() {
    let p = with_port(true);
    p.plug().0.expect("a place");
    p.write(CONTROL, ON);
    p.bench.host.lock().reset();
    assert_eq!((p.gone.lock().len(), p.read(CONTROL), p.read(STATUS)), (0, 0x1c0, PRESENT), "it stays");
    assert_eq!(p.unplug(), Ok(Unplug::Asked));
    p.bench.host.lock().reset();
    assert_eq!((p.gone.lock().len(), p.read(CONTROL), p.read(STATUS) & PRESENT), (1, 0x7c0, 0));
}

#[test]
fn functions_of_bus_0_stay() {
    let p = with_port(false);
    let host = || p.bench.host.lock();
    let make = |wiring| -> base::Shared<dyn PciFunction> { shared(Probe::new(wiring)) };
    assert!(matches!(host().plug(PciSocket::default(), make), Err(PciError::NoHotplug(_))));
    let probe = PciPlace { port: None, devfn: 1 << 3 };
    assert!(matches!(host().request_unplug(probe), Err(PciError::NoHotplug(_))));
    assert!(matches!(p.plug().0, Err(PciError::NoHotplug(_))), "the port has no hot-plug");
    let before = PciSocket { port: Some(PORT), address: Some((1, 0)), ..PciSocket::default() };
    assert_eq!(host().add(before, make), Err(PciError::OneSlot { slot: 1 }));
    host()
        .add(PciSocket { port: Some(PORT), ..PciSocket::default() }, make)
        .expect("before the machine runs");
    assert_eq!(p.behind(0, Width::B4), 0x5678_1234, "it has power from the start");
}

#[test]
fn a_state_is_of_what_is_plugged_in() {
    let p = with_port(true);
    p.plug().0.expect("a place");
    p.write(CONTROL, ON);
    p.bench.set(BUS << 5, 0x18, Width::B4, 0x4010_0000);
    p.bench.set(BUS << 5, 4, Width::B2, 6);
    assert_eq!(p.unplug(), Ok(Unplug::Asked));
    let saved = p.bench.host.lock().save();
    let other = with_port(true);
    let differs = other.bench.host.lock().load(&saved).expect_err("nothing is plugged in").to_string();
    assert_eq!(
        differs,
        "it has probe at 03.0/00.0 where there is nothing more; plug in, or take away, what differs"
    );
    other.plug().0.expect("a place");
    other.bench.host.lock().load(&saved).expect("the same parts");
    assert_eq!(other.bench.host.lock().save(), saved);
    assert_eq!(other.bench.mappings(), p.bench.mappings());
    assert!(other.bench.lines.level(3), "the button was pressed");
    other.write(CONTROL, OFF);
    assert_eq!(other.gone.lock().len(), 1);
}

#[test]
fn any_access_to_a_port_is_survived() {
    let p = with_port(true);
    let mut next = numbers();
    for n in 0..20_000 {
        let width = [Width::B1, Width::B2, Width::B4, Width::B8][next() as usize % 4];
        let bus = [0, BUS][next() as usize % 2];
        let offset = ((bus << 20) | ((3 * (next() % 2)) << 15) | (next() % 0x100)) & !(width.bytes() - 1);
        let mut host = p.bench.host.lock();
        match next() % 2 {
            0 => drop(host.read(offset, width.min(Width::B4))),
            _ => host.write(offset, width.min(Width::B4), next()),
        }
        drop(host);
        if n % 64 == 0 {
            // Refused as often as not.
            let _ = p.plug();
            let _ = p.unplug();
        }
    }
    let saved = p.bench.host.lock().save();
    p.bench.host.lock().load(&saved).expect("its own");
    assert_eq!(p.bench.host.lock().save(), saved);
}
