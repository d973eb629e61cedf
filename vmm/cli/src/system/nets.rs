//! Network back ends.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::process::Command;
use std::sync::Arc;

use devices::host::net::tap::Tap;
use devices::host::net::user::{HostFwd, Subnet, Transport, UserNet, UserNetConfig};
use devices::host::net::{FrameSink, NetBackend, NetError, Offloads};

use super::error::SystemError;
use crate::options::{self, Netdev, Protocol, TapNet};

/// A network back end that is open.
#[derive(Clone)]
enum Open {
    User(Arc<UserNet>),
    Tap(Arc<Scripted>),
}

impl Open {
    fn backend(&self) -> Arc<dyn NetBackend> {
        match self {
            Self::User(net) => net.clone(),
            Self::Tap(tap) => tap.clone(),
        }
    }
}

/// The network back ends that are open, by their ids.
#[derive(Default)]
pub struct Nets {
    open: BTreeMap<String, Open>,
}

impl Nets {
    /// The back end that `netdev` describes, opened when it is asked for first.
    pub fn get(&mut self, netdev: &Netdev) -> Result<Arc<dyn NetBackend>, SystemError> {
        if let Some(open) = self.open.get(&netdev.id) {
            return Ok(open.backend());
        }
        let opened = open(netdev)?;
        let backend = opened.backend();
        self.open.insert(netdev.id.clone(), opened);
        Ok(backend)
    }

    /// Nobody is connected to it any more.
    pub fn detach(&self, id: &str) {
        if let Some(open) = self.open.get(id) {
            open.backend().attach(Arc::new(Nobody));
        }
    }

    /// Closes it, once its last user has let go of it.
    pub fn close(&mut self, id: &str) {
        self.open.remove(id);
    }

    /// Every user-mode network.
    pub fn users(&self) -> Vec<(String, Arc<UserNet>)> {
        let user = |(name, open): (&String, &Open)| match open {
            Open::User(net) => Some((name.clone(), net.clone())),
            Open::Tap(_) => None,
        };
        self.open.iter().filter_map(user).collect()
    }
}

/// The device of a back end that has none: frames are lost.
struct Nobody;

impl FrameSink for Nobody {
    fn receive(&self, _: &[u8]) -> bool {
        true
    }

    fn flush(&self) {}
}

/// Opens the back end that `netdev` describes.
fn open(netdev: &Netdev) -> Result<Open, SystemError> {
    let failed = |source| SystemError::Net { origin: netdev.origin.clone(), source };
    match &netdev.backend {
        options::NetBackend::User(user) => {
            let config = user_config(user).map_err(failed)?;
            Ok(Open::User(Arc::new(UserNet::new(config).map_err(failed)?)))
        }
        options::NetBackend::Tap(tap) => {
            let refused = |what: &str| Err(SystemError::refused(&netdev.origin, what));
            if tap.fd.is_some() {
                return refused("fd=: not available in this version of Mimic");
            }
            let interface = Tap::new(tap.ifname.as_deref().unwrap_or("tap%d")).map_err(failed)?;
            let scripted = Scripted::start(interface, tap);
            scripted.map(|tap| Open::Tap(Arc::new(tap))).or_else(|what| refused(&what))
        }
    }
}

/// A forwarded port in the words of the back end, which the guest at `guest` gets if the rule names none.
pub fn forward(rule: &options::HostForward, guest: Ipv4Addr) -> HostFwd {
    HostFwd {
        transport: transport(rule.protocol),
        host: SocketAddrV4::new(rule.host, rule.host_port),
        guest: SocketAddrV4::new(rule.guest.unwrap_or(guest), rule.guest_port),
    }
}

/// A protocol in the words of the back end.
pub fn transport(protocol: Protocol) -> Transport {
    match protocol {
        Protocol::Tcp => Transport::Tcp,
        Protocol::Udp => Transport::Udp,
    }
}

fn user_config(user: &options::UserNet) -> Result<UserNetConfig, NetError> {
    Ok(UserNetConfig {
        host: user.gateway,
        dns: user.dns,
        dhcp_start: user.dhcp_start,
        hostname: user.hostname.clone(),
        domain: user.domain.clone().or_else(|| user.search.first().cloned()),
        restrict: user.restrict,
        hostfwd: user.forwards.iter().map(|rule| forward(rule, user.dhcp_start)).collect(),
        ..UserNetConfig::on(Subnet::new(user.network, user.prefix)?)
    })
}

/// A tap interface that a script configures at the start, and another one at the end.
struct Scripted {
    tap: Tap,
    down: Option<String>,
}

impl Scripted {
    fn start(tap: Tap, options: &TapNet) -> Result<Self, String> {
        if let Some(script) = &options.script {
            run(script, tap.name())?;
        }
        Ok(Self { tap, down: options.downscript.clone() })
    }
}

fn run(script: &str, interface: &str) -> Result<(), String> {
    let advice = "name another with script=, or say script=no";
    match Command::new(script).arg(interface).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("the script {script} failed ({status}); {advice}")),
        Err(error) => Err(format!("cannot run the script {script}: {error}; {advice}")),
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        if let Some(script) = &self.down
            && let Err(what) = run(script, self.tap.name())
        {
            tracing::warn!("{what}");
        }
    }
}

impl NetBackend for Scripted {
    fn offloads(&self) -> Offloads {
        self.tap.offloads()
    }

    fn send(&self, frame: &[u8]) {
        self.tap.send(frame);
    }

    fn attach(&self, guest: Arc<dyn FrameSink>) {
        self.tap.attach(guest);
    }

    fn resume(&self) {
        self.tap.resume();
    }
}
