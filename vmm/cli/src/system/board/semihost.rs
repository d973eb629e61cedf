//! `-semihosting`: what programs are told they were started by, and their console.

use std::collections::VecDeque;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use devices::host::chardev::{CharBackend, CharEvent, CharSink};
use engine::{Power, Semihost, SemihostConsole, SemihostInput};
use firmware::semihosting::{Semihosting, Stream};
use parking_lot::{Condvar, Mutex};

use crate::options::SystemOptions;
use crate::system::chardevs::Chardevs;
use crate::system::error::SystemError;
use crate::system::write_all;

/// Semihosting as the command line has it, for a machine whose RAM starts at `ram_base`.
pub fn start(
    ram_base: u64,
    options: &SystemOptions,
    chardevs: &Chardevs,
    power: &Arc<Power>,
) -> Result<Option<Arc<Semihost>>, SystemError> {
    let Some(semihosting) = &options.semihosting else { return Ok(None) };
    let line = if semihosting.args.is_empty() {
        options.kernel.iter().chain(&options.append).cloned().collect::<Vec<_>>().join(" ")
    } else {
        semihosting.args.join(" ")
    };
    let console: Box<dyn SemihostConsole> = match &semihosting.chardev {
        None => Box::new(Streams),
        Some(id) => Box::new(Line::new(chardevs.front_end(id)?)),
    };
    let ram = (ram_base, options.memory_size());
    let calls = match semihosting.debugger {
        true => Semihosting::with_debugger(line),
        false => Semihosting::new(line),
    };
    Ok(Some(Semihost::new(calls, console, power.clone(), ram, semihosting.user)))
}

/// Output goes to the program's own streams, and there is no input.
struct Streams;

impl SemihostConsole for Streams {
    fn write(&self, stream: Stream, bytes: &[u8]) {
        // Nobody may be there to read it.
        let _ = match stream {
            Stream::Output => std::io::stdout().write_all(bytes).and_then(|()| std::io::stdout().flush()),
            Stream::Error | Stream::Debug => std::io::stderr().write_all(bytes),
        };
    }

    fn read(&self, _: Duration) -> SemihostInput {
        SemihostInput::End
    }
}

/// Input that a program has not read, at most.
const WAITING: usize = 4096;

/// What was typed.
#[derive(Default)]
struct Typed {
    bytes: Mutex<VecDeque<u8>>,
    arrived: Condvar,
}

impl CharSink for Typed {
    fn room(&self) -> usize {
        WAITING - self.bytes.lock().len().min(WAITING)
    }

    fn receive(&self, bytes: &[u8]) {
        self.bytes.lock().extend(bytes);
        self.arrived.notify_all();
    }

    fn event(&self, _: CharEvent) {}
}

/// A console on a character device.
struct Line {
    backend: Arc<dyn CharBackend>,
    typed: Arc<Typed>,
}

impl Line {
    fn new(backend: Arc<dyn CharBackend>) -> Self {
        let typed = Arc::<Typed>::default();
        backend.attach(typed.clone());
        Self { backend, typed }
    }
}

impl SemihostConsole for Line {
    fn write(&self, _: Stream, bytes: &[u8]) {
        write_all(&*self.backend, bytes);
    }

    fn read(&self, limit: Duration) -> SemihostInput {
        let mut bytes = self.typed.bytes.lock();
        if bytes.is_empty() {
            self.typed.arrived.wait_for(&mut bytes, limit);
        }
        let byte = bytes.pop_front();
        drop(bytes);
        self.backend.resume();
        byte.map_or(SemihostInput::None, SemihostInput::Byte)
    }
}
