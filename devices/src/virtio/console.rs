//! virtio console device (virtio 1.2, section 5.3): consoles and named serial ports on character back ends.
//!
//! Port 0 has queues 0 and 1, the control queues are 2 and 3, port n has 2n + 2 and 2n + 3. Control messages to the
//! driver are kept as one bit a kind and port, so that a driver which asks for more than it takes costs nothing.
//! Left out: the size of the console, hot-plug of ports.

use super::core::{Activation, VirtioDevice, copy_config};
use super::queue::{Served, VirtQueue};
use crate::host::chardev::{CharBackend, CharEvent, CharSink};
use base::{State, StateError};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use std::io::{Read, Write};
use std::sync::{Arc, Weak};
use virtio_bindings::virtio_ids::VIRTIO_ID_CONSOLE;

const F_MULTIPORT: u32 = 1;
const F_EMERGENCY_WRITE: u32 = 2;
/// Offset of `emerg_wr` in `struct virtio_console_config`.
const CONFIG_EMERGENCY_WRITE: u64 = 8;

/// `event` of a `struct virtio_console_control`.
const DEVICE_READY: u16 = 0;
const DEVICE_ADD: u16 = 1;
const PORT_READY: u16 = 3;
const CONSOLE_PORT: u16 = 4;
const PORT_OPEN: u16 = 6;
const PORT_NAME: u16 = 7;

const QUEUE_SIZE: u16 = 128;
const CONTROL_QUEUE_SIZE: u16 = 32;
const CONTROL_IN: usize = 2;
const CONTROL_OUT: usize = 3;
/// Bytes moved at a time.
const CHUNK: usize = 4096;
/// Ports of one device, as QEMU's `virtio-serial-pci,max_ports=31`.
pub const MAX_CONSOLE_PORTS: u32 = 31;
const STATE_VERSION: u32 = 1;

/// One port.
pub struct ConsolePort {
    /// The port's number, below [`MAX_CONSOLE_PORTS`].
    pub number: u32,
    /// What the guest finds it by (`/dev/virtio-ports/NAME`); may be empty.
    pub name: String,
    /// A console (`virtconsole`) rather than a serial port (`virtserialport`).
    pub console: bool,
    /// Whether somebody listens on the host's side before the first [`CharEvent`] says so.
    pub open: bool,
    /// Where its characters go.
    pub backend: Arc<dyn CharBackend>,
}

/// What the driver is still to be told of a port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Untold {
    exists: bool,
    console: bool,
    name: bool,
    open: bool,
}

/// The part of a port that the driver changes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct PortState {
    untold: Untold,
    /// The driver knows the port, and wants to hear when the host's side opens or closes.
    ready: bool,
    /// A program in the guest has the port open.
    guest_open: bool,
    /// Bytes of the next transmit buffer that the back end has taken already.
    sent: usize,
}

struct Port {
    number: u32,
    name: String,
    console: bool,
    backend: Arc<dyn CharBackend>,
    host_open: bool,
    state: PortState,
}

/// What the transport and the threads of the back ends share.
struct Ports {
    ports: Vec<Port>,
    multiport: bool,
    /// By queue number; empty until the driver is ready.
    queues: Vec<Option<Arc<VirtQueue>>>,
}

/// The numbers of a port's receive and transmit queues.
fn queue_numbers(port: u32) -> (usize, usize) {
    let first = if port == 0 { 0 } else { 2 * port as usize + 2 };
    (first, first + 1)
}

impl Ports {
    fn queue(&self, number: usize) -> Option<Arc<VirtQueue>> {
        self.queues.get(number).cloned().flatten()
    }

    /// Whether the guest listens on a port.
    fn listens(&self, port: &Port) -> bool {
        if self.multiport { port.state.guest_open } else { port.number == 0 }
    }

    /// Sends what the driver is still to be told, as far as it has buffers for it.
    fn tell(&mut self) {
        let Some(queue) = self.queue(CONTROL_IN) else { return };
        let mut any = false;
        for port in &mut self.ports {
            while let Some((event, value, name)) = port.next_message() {
                let mut chain = queue.pop();
                if chain.is_none() && queue.arm() {
                    chain = queue.pop();
                }
                let Some(mut chain) = chain else {
                    if any {
                        queue.signal();
                    }
                    return;
                };
                let mut message = Vec::new();
                message.extend(port.number.to_le_bytes());
                message.extend(event.to_le_bytes());
                message.extend(value.to_le_bytes());
                message.extend(name.as_bytes());
                message.truncate(chain.writer.available_bytes());
                let written = chain.writer.write(&message).unwrap_or(0);
                queue.push(chain.head(), written as u32);
                port.message_sent(event);
                any = true;
            }
        }
        if any {
            queue.signal();
        }
    }

    /// Takes the driver's control messages.
    fn listen(&mut self) {
        let Some(queue) = self.queue(CONTROL_OUT) else { return };
        queue.serve_inline(
            || false,
            |chain| {
                let mut message = [0; 8];
                // The driver's message is at least this long; what follows has no meaning yet.
                chain.reader.read_exact(&mut message).map_err(|_| "a short control message")?;
                let [p0, p1, p2, p3, e0, e1, v0, v1] = message;
                let number = u32::from_le_bytes([p0, p1, p2, p3]);
                self.obey(number, u16::from_le_bytes([e0, e1]), u16::from_le_bytes([v0, v1]));
                Ok(Served::Wrote(0))
            },
        );
        self.tell();
    }

    fn obey(&mut self, number: u32, event: u16, value: u16) {
        if event == DEVICE_READY {
            self.ports.iter_mut().for_each(|port| port.state.untold.exists = value == 1);
            return;
        }
        let Some(port) = self.ports.iter_mut().find(|port| port.number == number) else {
            tracing::debug!(target: "guest_errors", "virtio-console: message {event} for port {number}, which is none");
            return;
        };
        match event {
            PORT_READY if value == 1 => {
                port.state.ready = true;
                let untold = &mut port.state.untold;
                untold.console = port.console;
                untold.name = !port.name.is_empty();
                untold.open = port.host_open;
            }
            PORT_OPEN => {
                port.state.guest_open = value != 0;
                port.backend.resume();
            }
            _ => {}
        }
    }

    /// Hands what the guest wrote to the back end of a port, until that takes no more. A buffer stays available
    /// until the back end has all of it; its start is skipped the next time.
    fn transmit(&mut self, index: usize) {
        let port = &self.ports[index];
        let Some(queue) = self.queue(queue_numbers(port.number).1) else { return };
        let backend = port.backend.clone();
        let sent = &mut self.ports[index].state.sent;
        let full = Cell::new(false);
        queue.serve_inline(
            || full.get(),
            |chain| {
                let mut buffer = [0; CHUNK];
                let mut skip = *sent;
                while let Ok(got @ 1..) = chain.reader.read(&mut buffer) {
                    let bytes = &buffer[skip.min(got)..got];
                    skip = skip.saturating_sub(got);
                    let taken = backend.write(bytes).min(bytes.len());
                    *sent += taken;
                    if taken < bytes.len() {
                        full.set(true);
                        return Ok(Served::Later);
                    }
                }
                *sent = 0;
                Ok(Served::Wrote(0))
            },
        );
    }

    /// How many bytes the guest has room for in the next receive buffer of a port.
    fn room(&self, index: usize) -> usize {
        let port = &self.ports[index];
        let Some(queue) = self.queue(queue_numbers(port.number).0) else { return 0 };
        if !self.listens(port) {
            return 0;
        }
        let mut chain = queue.pop();
        if chain.is_none() && queue.arm() {
            chain = queue.pop();
        }
        let Some(chain) = chain else { return 0 };
        queue.unpop(1);
        chain.writer.available_bytes()
    }

    fn receive(&self, index: usize, mut bytes: &[u8]) {
        let port = &self.ports[index];
        let Some(queue) = self.queue(queue_numbers(port.number).0) else { return };
        while !bytes.is_empty() {
            let Some(mut chain) = queue.pop() else { break };
            let (now, later) = bytes.split_at(bytes.len().min(chain.writer.available_bytes()));
            if now.is_empty() || chain.writer.write_all(now).is_err() {
                queue.link().fail("a receive buffer without room");
                break;
            }
            queue.push(chain.head(), now.len() as u32);
            bytes = later;
        }
        queue.signal();
    }

    fn reset(&mut self) {
        self.queues.clear();
        self.multiport = false;
        self.ports.iter_mut().for_each(|port| port.state = PortState::default());
    }
}

impl Port {
    /// The next thing the driver is to be told: event, value, and a name.
    fn next_message(&self) -> Option<(u16, u16, &str)> {
        let untold = self.state.untold;
        if untold.exists {
            Some((DEVICE_ADD, 1, ""))
        } else if untold.console {
            Some((CONSOLE_PORT, 1, ""))
        } else if untold.name {
            Some((PORT_NAME, 1, &self.name))
        } else if untold.open {
            Some((PORT_OPEN, self.host_open.into(), ""))
        } else {
            None
        }
    }

    fn message_sent(&mut self, event: u16) {
        let untold = &mut self.state.untold;
        match event {
            DEVICE_ADD => untold.exists = false,
            CONSOLE_PORT => untold.console = false,
            PORT_NAME => untold.name = false,
            _ => untold.open = false,
        }
    }
}

/// One port, as its back end sees it.
struct Sink {
    ports: Weak<Mutex<Ports>>,
    index: usize,
}

impl CharSink for Sink {
    fn room(&self) -> usize {
        self.ports.upgrade().map_or(0, |ports| ports.lock().room(self.index))
    }

    fn receive(&self, bytes: &[u8]) {
        if let Some(ports) = self.ports.upgrade() {
            ports.lock().receive(self.index, bytes);
        }
    }

    fn event(&self, event: CharEvent) {
        let Some(ports) = self.ports.upgrade() else { return };
        let mut ports = ports.lock();
        match event {
            CharEvent::Opened | CharEvent::Closed => {
                let port = &mut ports.ports[self.index];
                port.host_open = event == CharEvent::Opened;
                // A console is open for as long as it exists.
                if port.state.ready && !port.console {
                    port.state.untold.open = true;
                    ports.tell();
                }
            }
            CharEvent::Writable => ports.transmit(self.index),
            _ => {}
        }
    }
}

/// A console device.
pub struct Console {
    ports: Arc<Mutex<Ports>>,
    port_count: u32,
}

impl Console {
    /// A device with `ports`, whose numbers differ.
    pub fn new(ports: Vec<ConsolePort>) -> Self {
        let backends: Vec<_> = ports.iter().map(|port| port.backend.clone()).collect();
        let port_count =
            ports.iter().map(|port| port.number.min(MAX_CONSOLE_PORTS - 1) + 1).max().unwrap_or(1);
        let ports = ports
            .into_iter()
            .map(|port| Port {
                number: port.number,
                name: port.name,
                console: port.console,
                backend: port.backend,
                host_open: port.open || port.console,
                state: PortState::default(),
            })
            .collect();
        let ports = Arc::new(Mutex::new(Ports { ports, multiport: false, queues: Vec::new() }));
        for (index, backend) in backends.iter().enumerate() {
            backend.attach(Arc::new(Sink { ports: Arc::downgrade(&ports), index }));
        }
        Self { ports, port_count }
    }
}

#[derive(Serialize, Deserialize)]
struct ConsoleState {
    ports: Vec<PortState>,
}

impl VirtioDevice for Console {
    fn name(&self) -> &'static str {
        "virtio-console"
    }

    fn id(&self) -> u16 {
        VIRTIO_ID_CONSOLE as u16
    }

    fn features(&self) -> u64 {
        1 << F_MULTIPORT | 1 << F_EMERGENCY_WRITE
    }

    fn queue_sizes(&self) -> Vec<u16> {
        let mut sizes = vec![QUEUE_SIZE; 2 * self.port_count as usize + 2];
        (sizes[CONTROL_IN], sizes[CONTROL_OUT]) = (CONTROL_QUEUE_SIZE, CONTROL_QUEUE_SIZE);
        sizes
    }

    fn read_config(&self, offset: u64, data: &mut [u8]) {
        // `struct virtio_console_config`: no size, the number of ports.
        let mut space = [0; 12];
        space[4..8].copy_from_slice(&self.port_count.to_le_bytes());
        copy_config(&space, offset, data);
    }

    fn write_config(&mut self, offset: u64, data: &[u8]) {
        if offset == CONFIG_EMERGENCY_WRITE
            && let Some(byte) = data.first()
            && let Some(port) = self.ports.lock().ports.first()
        {
            // What the back end does not take at once is lost: the guest is about to die.
            port.backend.write(&[*byte]);
        }
    }

    fn activate(&mut self, activation: Activation) {
        let mut ports = self.ports.lock();
        ports.multiport = activation.has(F_MULTIPORT);
        ports.queues = activation.queues;
        if !ports.multiport {
            // Without control messages there is port 0 only, on the first two queues.
            ports.queues.truncate(CONTROL_IN);
        }
    }

    fn notify(&mut self, index: u16) {
        let mut ports = self.ports.lock();
        match usize::from(index) {
            CONTROL_IN => ports.tell(),
            CONTROL_OUT => ports.listen(),
            queue => {
                let found = ports.ports.iter().position(|port| {
                    let (receive, transmit) = queue_numbers(port.number);
                    queue == receive || queue == transmit
                });
                match found {
                    Some(port) if queue % 2 == 1 => ports.transmit(port),
                    Some(port) => ports.ports[port].backend.resume(),
                    None => {}
                }
            }
        }
    }

    fn reset(&mut self) {
        self.ports.lock().reset();
    }

    fn save(&self) -> State {
        let ports = self.ports.lock().ports.iter().map(|port| port.state.clone()).collect();
        State::of(STATE_VERSION, &ConsoleState { ports })
    }

    fn load(&mut self, state: &State) -> Result<(), StateError> {
        let state: ConsoleState = state.get(STATE_VERSION)?;
        let mut ports = self.ports.lock();
        if state.ports.len() != ports.ports.len() {
            return Err(StateError::Value("console ports of another device"));
        }
        ports.reset();
        for (port, saved) in ports.ports.iter_mut().zip(state.ports) {
            port.state = saved;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
