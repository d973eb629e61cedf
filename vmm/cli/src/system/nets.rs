//! Network back ends.

use std::net::SocketAddrV4;
use std::process::Command;
use std::sync::Arc;

use devices::host::net::tap::Tap;
use devices::host::net::user::{HostFwd, Subnet, Transport, UserNet, UserNetConfig};
use devices::host::net::{FrameSink, NetBackend, NetError, Offloads};

use super::error::SystemError;
use crate::options::{self, Netdev, Protocol, TapNet};

/// Opens the back end that `netdev` describes.
pub fn open(netdev: &Netdev) -> Result<Arc<dyn NetBackend>, SystemError> {
    let failed = |source| SystemError::Net { origin: netdev.origin.clone(), source };
    match &netdev.backend {
        options::NetBackend::User(user) => {
            let config = user_config(user).map_err(failed)?;
            Ok(Arc::new(UserNet::new(config).map_err(failed)?))
        }
        options::NetBackend::Tap(tap) => {
            let refused = |what: &str| Err(SystemError::refused(&netdev.origin, what));
            if tap.fd.is_some() {
                return refused("fd=: not available in this version of Mimic");
            }
            let interface = Tap::new(tap.ifname.as_deref().unwrap_or("tap%d")).map_err(failed)?;
            let scripted = Scripted::start(interface, tap);
            scripted.map(|tap| Arc::new(tap) as _).or_else(|what| refused(&what))
        }
    }
}

fn user_config(user: &options::UserNet) -> Result<UserNetConfig, NetError> {
    let forward = |rule: &options::HostForward| HostFwd {
        transport: match rule.protocol {
            Protocol::Tcp => Transport::Tcp,
            Protocol::Udp => Transport::Udp,
        },
        host: SocketAddrV4::new(rule.host, rule.host_port),
        guest: SocketAddrV4::new(rule.guest.unwrap_or(user.dhcp_start), rule.guest_port),
    };
    Ok(UserNetConfig {
        host: user.gateway,
        dns: user.dns,
        dhcp_start: user.dhcp_start,
        hostname: user.hostname.clone(),
        domain: user.domain.clone().or_else(|| user.search.first().cloned()),
        restrict: user.restrict,
        hostfwd: user.forwards.iter().map(forward).collect(),
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
