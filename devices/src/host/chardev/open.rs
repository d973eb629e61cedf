//! From a description to a back end.

use super::config::{CharConfig, CharError, CharKind, CharLog, SocketConfig, SocketRole};
use super::line::{End, Fixed, Line, Source};
use super::port::Port;
use super::{CharBackend, pty, socket, stdio, sys};
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;

const WRITABLE: &str = "check that its directory exists and that it is writable";

/// Opens the back end that `config` describes. `label` is its name for people: the `id=` of a `-chardev`, or
/// `serial0` and the like. A server with `wait` blocks until the first client is there.
///
/// # Errors
/// What the host refuses, with the file or address at fault.
pub fn open(config: &CharConfig, label: &str) -> Result<Arc<dyn CharBackend>, CharError> {
    let log = config.log.as_ref().map(|log| open_log(log, label)).transpose()?;
    let (source, line) = match &config.kind {
        CharKind::Null => (fixed(), Some(Line::new(None, None, End::Keep))),
        CharKind::Stdio { signal } => open_stdio(*signal, label)?,
        CharKind::File { path, append } => {
            let file = create(path, *append).and_then(|file| {
                sys::set_nonblocking(file.as_fd())?;
                Ok(file)
            });
            let file = file.map_err(|e| cannot_open(label, path, e, WRITABLE))?;
            (fixed(), Some(Line::new(None, Some(file), End::Keep)))
        }
        CharKind::Pipe { path } => (fixed(), Some(open_pipe(path, label)?)),
        CharKind::Pty => open_pty(label)?,
        CharKind::Socket(socket) => open_socket(socket, label)?,
    };
    let port = Port::start(label, source, line, log)
        .map_err(|source| CharError::Start { label: label.into(), source })?;
    Ok(port)
}

fn fixed() -> Box<dyn Source> {
    Box::new(Fixed { _held: () })
}

fn cannot_open(label: &str, path: &Path, source: io::Error, advice: &'static str) -> CharError {
    CharError::Open { label: label.into(), path: path.into(), source, advice }
}

fn create(path: &Path, append: bool) -> io::Result<File> {
    File::options().create(true).write(true).append(append).truncate(!append).open(path)
}

fn open_log(log: &CharLog, label: &str) -> Result<File, CharError> {
    create(&log.path, log.append).map_err(|e| cannot_open(label, &log.path, e, WRITABLE))
}

type Opened = (Box<dyn Source>, Option<Line>);

fn open_stdio(signal: bool, label: &str) -> Result<Opened, CharError> {
    let label = label.to_string();
    match stdio::open(signal) {
        Ok((source, line)) => Ok((source, Some(line))),
        Err(e) if e.kind() == ErrorKind::ResourceBusy => Err(CharError::StdioTaken { label }),
        Err(source) => Err(CharError::Terminal { label, source }),
    }
}

/// Both FIFOs are opened for reading and writing: that does not wait for the other side, and outlives it.
fn open_pipe(path: &Path, label: &str) -> Result<Line, CharError> {
    let open = |path: &Path| {
        let file = File::options().read(true).write(true).open(path)?;
        sys::set_nonblocking(file.as_fd())?;
        Ok(file)
    };
    let with_suffix = |suffix: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        open(name.as_ref())
    };
    let files: io::Result<_> = match (with_suffix(".in"), with_suffix(".out")) {
        (Ok(input), Ok(output)) => Ok((input, output)),
        _ => open(path).and_then(|file| Ok((file.try_clone()?, file))),
    };
    let (input, output) = files
        .map_err(|e| cannot_open(label, path, e, "make its two FIFOs first, with mkfifo PATH.in PATH.out"))?;
    Ok(Line::new(Some(input), Some(output), End::Keep))
}

fn open_pty(label: &str) -> Result<Opened, CharError> {
    let pty = pty::open().map_err(|source| CharError::Pty { label: label.into(), source })?;
    // Where programs that start us look for it. Nobody may be there to read it, which does not matter.
    let path = pty.path().unwrap_or_default();
    let _ = writeln!(io::stdout(), "char device redirected to {} (label {label})", path.display());
    Ok((Box::new(pty), None))
}

fn open_socket(config: &SocketConfig, label: &str) -> Result<Opened, CharError> {
    let wait = match config.role {
        SocketRole::Client { reconnect } => {
            return socket::client(config, reconnect).map_err(|source| CharError::Connect {
                label: label.into(),
                address: config.address.clone(),
                source,
            });
        }
        SocketRole::Server { wait } => wait,
    };
    let cannot_listen = |source: io::Error| CharError::Listen {
        label: label.into(),
        address: config.address.clone(),
        advice: socket::listen_advice(&config.address, &source),
        source,
    };
    let listener = socket::Listener::new(&config.address, config.telnet).map_err(cannot_listen)?;
    let listener = listener.with_answer_when_busy(config.busy.clone());
    let line = wait.then(|| {
        let address = listener.address(&config.address);
        // As above.
        let _ = writeln!(
            io::stderr(),
            "character device {label}: waiting for connection on: disconnected:{address},server=on"
        );
        listener.wait_for_client()
    });
    Ok((listener.into_source().map_err(cannot_listen)?, line))
}

#[cfg(test)]
mod tests;
