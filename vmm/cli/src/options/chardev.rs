//! `-chardev`, and the short forms that `-serial` and `-monitor` take.

use super::error::Fault;
use super::optstring::OptString;
use super::props::{Kind, Prop, Props, fixed, prop};

/// A kind of character device, as `-chardev help` lists it.
#[derive(Debug, PartialEq, Eq)]
pub struct CharType {
    /// The name.
    pub name: &'static str,
    /// Its parameters; `None` for what QEMU has and Mimic does not.
    pub props: Option<&'static [Prop]>,
}

const fn here(name: &'static str, props: &'static [Prop]) -> CharType {
    CharType { name, props: Some(props) }
}

const fn later(name: &'static str) -> CharType {
    CharType { name, props: None }
}

/// The character devices.
pub static TYPES: &[CharType] = &[
    here("null", &[]),
    here("stdio", STDIO),
    here("file", FILE),
    here("pipe", PATH),
    here("pty", PTY),
    here("socket", SOCKET),
    here("vc", VC),
    here("test", TEST),
    later("ringbuf"),
    later("udp"),
    later("serial"),
    later("parallel"),
    later("hub"),
    later("memory"),
    later("mux"),
    later("msmouse"),
    later("wctablet"),
    later("braille"),
    later("testdev"),
    later("spicevmc"),
    later("spiceport"),
    later("qemu-vdagent"),
    later("dbus"),
];

/// Parameters that each has.
pub static COMMON: &[Prop] = &[
    prop("id", Kind::Id, "", "name of the character device"),
    prop("mux", Kind::Bool, "off", "let several front ends share it (Ctrl-A c switches)"),
    prop("logfile", Kind::Text, "", "copy of all output"),
    prop("logappend", Kind::Bool, "off", "keep what is in the log file"),
];
static STDIO: &[Prop] = &[prop("signal", Kind::Bool, "on", "Ctrl-C ends the program")];
static FILE: &[Prop] = &[
    prop("path", Kind::Text, "", "file that output goes to"),
    prop("append", Kind::Bool, "off", "keep what is in the file"),
    prop("input-path", Kind::Text, "", "file that input comes from"),
];
static PATH: &[Prop] = &[prop("path", Kind::Text, "", "PATH.in and PATH.out, or one FIFO for both ways")];
static PTY: &[Prop] = &[prop("path", Kind::Text, "", "symbolic link to make to the terminal")];
static TEST: &[Prop] = &[prop("path", Kind::Text, "", "unix socket of a runner of tests (mimic test)")];
static VC: &[Prop] = &[
    prop("width", Kind::Number(u32::MAX as u64), "", "width in pixels (nothing shows it)"),
    prop("height", Kind::Number(u32::MAX as u64), "", "height in pixels"),
    prop("cols", Kind::Number(u32::MAX as u64), "", "width in characters"),
    prop("rows", Kind::Number(u32::MAX as u64), "", "height in characters"),
];
static SOCKET: &[Prop] = &[
    prop("path", Kind::Text, "", "path of a unix socket"),
    prop("abstract", Kind::Bool, "off", "the path is a name in the abstract name space"),
    prop("tight", Kind::Bool, "on", "an abstract name has no trailing zeroes"),
    prop("host", Kind::Text, "", "host of a TCP socket"),
    prop("port", Kind::Text, "", "port of a TCP socket"),
    prop("to", Kind::Number(65535), "", "server: last port to try"),
    prop("fd", Kind::Text, "", "an open socket"),
    prop("ipv4", Kind::Bool, "", "use IPv4"),
    prop("ipv6", Kind::Bool, "", "use IPv6"),
    prop("nodelay", Kind::Bool, "off", "send small packets at once"),
    prop("delay", Kind::Bool, "on", "gather small packets"),
    prop("server", Kind::Bool, "off", "listen instead of connecting"),
    prop("wait", Kind::Bool, "on", "server: start when a client has connected"),
    prop(
        "reconnect",
        Kind::Number(u32::MAX as u64),
        "0",
        "client: seconds between attempts to connect again",
    ),
    prop("reconnect-ms", Kind::Number(u32::MAX as u64), "0", "the same in milliseconds"),
    prop("telnet", Kind::Bool, "off", "speak the telnet protocol"),
    fixed("websocket", Kind::Bool, "off"),
    fixed("tn3270", Kind::Bool, "off"),
    fixed("tls-creds", Kind::Text, ""),
    fixed("tls-authz", Kind::Text, ""),
];

/// Where a socket is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SocketAddress {
    /// A unix socket.
    Unix {
        /// Its path or name.
        path: String,
        /// Whether it is in the abstract name space.
        abstract_name: bool,
    },
    /// A TCP socket.
    Tcp {
        /// Host; empty is all addresses for a server, localhost for a client.
        host: String,
        /// Port, a number or a service name.
        port: String,
        /// A server may take any port up to this one.
        last_port: Option<u16>,
        /// `ipv4=`; `None` when nothing was said.
        ipv4: Option<bool>,
        /// `ipv6=`; `None` when nothing was said.
        ipv6: Option<bool>,
        /// Send small packets at once.
        nodelay: bool,
    },
    /// A file descriptor that is the open socket.
    Fd(i32),
}

/// Which end of a connection a socket is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SocketRole {
    /// It connects; when the connection ends it tries again after so many milliseconds, 0 for never.
    Client {
        /// Milliseconds between attempts.
        reconnect_ms: u64,
    },
    /// It listens; with `wait` the machine starts when a client has connected.
    Server {
        /// Whether start waits.
        wait: bool,
    },
}

/// What a character device is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CharBackend {
    /// Output is lost, there is no input.
    Null,
    /// A virtual console, which nothing shows here: as [`Null`](Self::Null).
    Vc,
    /// The terminal.
    Stdio {
        /// Whether Ctrl-C ends the program instead of going to the guest.
        signal: bool,
    },
    /// Files.
    File {
        /// Output.
        path: String,
        /// Whether what is in it is kept.
        append: bool,
        /// Input.
        input: Option<String>,
    },
    /// FIFOs `PATH.in` and `PATH.out`, or `PATH` both ways.
    Pipe {
        /// The path.
        path: String,
    },
    /// A new pseudo-terminal, whose name is told on stderr.
    Pty {
        /// A symbolic link to make to it.
        link: Option<String>,
    },
    /// A line to a runner of tests.
    Test {
        /// The socket where it listens.
        path: String,
    },
    /// A socket.
    Socket {
        /// Where.
        address: SocketAddress,
        /// Which end.
        role: SocketRole,
        /// Speak the telnet protocol.
        telnet: bool,
    },
}

/// `-chardev`, or what `-serial` and `-monitor` name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chardev {
    /// The name that others use; of a short form `serial0`, `compat_monitor0`, as QEMU labels them.
    pub id: String,
    /// What it is.
    pub backend: CharBackend,
    /// Several front ends share it, and the escape key works.
    pub mux: bool,
    /// A file that all output is copied to.
    pub log: Option<String>,
    /// Whether what is in that file is kept.
    pub log_append: bool,
    /// As typed, for messages.
    pub origin: String,
}

impl Chardev {
    /// Reads one `-chardev`.
    pub fn read(mut settings: OptString, origin: &str) -> Result<Self, Fault> {
        let name =
            settings.take("backend").ok_or_else(|| Fault::new("names no back end; 'help' lists them"))?;
        let table = char_type(&name)?;
        let props = Props::read(settings, &[table, COMMON], &format!("the character device '{name}'"))?;
        let id = props.text("id").ok_or_else(|| Fault::new("has no id; say id=NAME"))?;
        Ok(Self {
            id: id.into(),
            backend: backend(&name, &props)?,
            mux: props.flag("mux").unwrap_or(false),
            log: props.text("logfile").map(String::from),
            log_append: props.flag("logappend").unwrap_or(false),
            origin: origin.into(),
        })
    }

    /// Reads a short form other than `none` and `chardev:ID`, as `stdio`, `file:PATH`, `tcp:HOST:PORT,server=on`;
    /// `mon:` before it shares it with a monitor.
    pub fn read_short(text: &str, id: &str, origin: &str) -> Result<Self, Fault> {
        let (mux, short) = text.strip_prefix("mon:").map_or((false, text), |rest| (true, rest));
        let (word, rest) = short.split_once(':').map_or((short, None), |(word, rest)| (word, Some(rest)));
        // Those that have options may have a log among them.
        let (mut log, mut log_append) = (None, false);
        let mut socket = |mut settings: OptString| {
            log = settings.take("logfile");
            log_append = settings.take("logappend").as_deref() == Some("on");
            socket(settings)
        };
        let backend = match (word, rest) {
            ("null", None) => CharBackend::Null,
            ("vc", _) => CharBackend::Vc,
            // The monitor shares the terminal, so Ctrl-C goes to the guest.
            ("stdio", None) => CharBackend::Stdio { signal: !mux },
            ("pty", None) => CharBackend::Pty { link: None },
            ("pty", Some(link)) => CharBackend::Pty { link: Some(link.into()) },
            ("file", Some(path)) => CharBackend::File { path: path.into(), append: false, input: None },
            ("pipe", Some(path)) => CharBackend::Pipe { path: path.into() },
            ("unix", Some(rest)) => socket(OptString::parse(rest, Some("path")))?,
            ("tcp" | "telnet", Some(rest)) => {
                let (address, options) = rest.split_once(',').unwrap_or((rest, ""));
                let split = address.rsplit_once(':');
                let (host, port) =
                    split.ok_or_else(|| Fault::new(format!("{text}: expects {word}:[HOST]:PORT")))?;
                let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
                let mut settings = OptString::parse(options, None);
                let set = |key: &str, value: &str| super::optstring::Setting {
                    key: key.into(),
                    value: value.into(),
                };
                settings.settings.extend([set("host", host), set("port", port)]);
                if word == "telnet" {
                    settings.settings.push(set("telnet", "on"));
                }
                socket(settings)?
            }
            ("udp" | "con" | "msmouse" | "braille" | "websocket" | "tn3270", _) => {
                return Err(Fault::not_available(&format!("character device '{word}'")));
            }
            _ if short.starts_with('/') => return Err(Fault::not_available("a host device")),
            _ => {
                let names = [
                    "none",
                    "null",
                    "stdio",
                    "mon:stdio",
                    "pty",
                    "vc",
                    "file",
                    "pipe",
                    "unix",
                    "tcp",
                    "telnet",
                ];
                let what = format!("there is no character device '{text}'");
                return Err(Fault::unknown(what, short, names));
            }
        };
        Ok(Self { id: id.into(), backend, mux, log, log_append, origin: origin.into() })
    }
}

fn char_type(name: &str) -> Result<&'static [Prop], Fault> {
    match TYPES.iter().find(|t| t.name == name) {
        Some(CharType { props: Some(props), .. }) => Ok(props),
        Some(_) => Err(Fault::not_available(&format!("character device '{name}'"))),
        None => {
            let names = TYPES.iter().filter(|t| t.props.is_some()).map(|t| t.name);
            Err(Fault::unknown(format!("there is no character device '{name}'"), name, names))
        }
    }
}

fn backend(name: &str, props: &Props) -> Result<CharBackend, Fault> {
    let path =
        || props.text("path").map(String::from).ok_or_else(|| Fault::new("names no file; say path=FILE"));
    Ok(match name {
        "stdio" => CharBackend::Stdio { signal: props.flag("signal").unwrap_or(true) },
        "file" => CharBackend::File {
            path: path()?,
            append: props.flag("append").unwrap_or(false),
            input: props.text("input-path").map(String::from),
        },
        "pipe" => CharBackend::Pipe { path: path()? },
        "test" => CharBackend::Test { path: path()? },
        "pty" => CharBackend::Pty { link: props.text("path").map(String::from) },
        "socket" => read_socket(props)?,
        "vc" => CharBackend::Vc,
        _ => CharBackend::Null,
    })
}

fn socket(settings: OptString) -> Result<CharBackend, Fault> {
    read_socket(&Props::read(settings, &[SOCKET], "the character device 'socket'")?)
}

fn read_socket(props: &Props) -> Result<CharBackend, Fault> {
    let named: Vec<&str> =
        ["path", "port", "fd"].into_iter().filter(|key| props.text(key).is_some()).collect();
    let address = match named[..] {
        ["path"] => SocketAddress::Unix {
            path: props.text("path").unwrap_or_default().into(),
            abstract_name: props.flag("abstract").unwrap_or(false),
        },
        ["port"] => SocketAddress::Tcp {
            host: props.text("host").unwrap_or_default().into(),
            port: props.text("port").unwrap_or_default().into(),
            last_port: props.number("to").map(|port| port as u16), // the row allows 65535 at most
            ipv4: props.flag("ipv4"),
            ipv6: props.flag("ipv6"),
            nodelay: props.flag("nodelay").or(props.flag("delay").map(|delay| !delay)).unwrap_or(false),
        },
        ["fd"] => {
            let text = props.text("fd").unwrap_or_default();
            let fd = text.parse().ok().filter(|fd| *fd >= 0);
            SocketAddress::Fd(fd.ok_or_else(|| Fault::new(format!("fd={text}: is not a file descriptor")))?)
        }
        [] => return Err(Fault::new("names no socket; say path=FILE, or host=HOST,port=PORT")),
        _ => return Err(Fault::new(format!("{}= and {}= can not stand together", named[0], named[1]))),
    };
    let reconnect = props.number("reconnect").map(|s| s.saturating_mul(1000));
    let reconnect_ms = props.number("reconnect-ms").or(reconnect);
    let role = if props.flag("server").unwrap_or(false) {
        if reconnect_ms.is_some() {
            return Err(Fault::new("reconnect= is for a client, and server=on stands beside it"));
        }
        SocketRole::Server { wait: props.flag("wait").unwrap_or(true) }
    } else {
        if props.text("wait").is_some() {
            return Err(Fault::new("wait= is for a server; say server=on beside it"));
        }
        SocketRole::Client { reconnect_ms: reconnect_ms.unwrap_or(0) }
    };
    Ok(CharBackend::Socket { address, role, telnet: props.flag("telnet").unwrap_or(false) })
}
