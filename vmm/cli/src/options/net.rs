//! `-netdev`, `-nic` and `-net`: the host's side of the network.

use std::net::Ipv4Addr;

use super::error::Fault;
use super::optstring::OptString;
use super::props::{Kind, Prop, Props, fixed, prop};
use super::value;

/// A kind of network back end, as `-netdev help` lists it.
#[derive(Debug, PartialEq, Eq)]
pub struct NetBackendType {
    /// The name.
    pub name: &'static str,
    /// Its parameters; `None` for what QEMU has and Mimic does not.
    pub props: Option<&'static [Prop]>,
}

/// The network back ends.
pub static BACKENDS: &[NetBackendType] = &[
    NetBackendType { name: "user", props: Some(USER) },
    NetBackendType { name: "tap", props: Some(TAP) },
    NetBackendType { name: "socket", props: None },
    NetBackendType { name: "stream", props: None },
    NetBackendType { name: "dgram", props: None },
    NetBackendType { name: "hubport", props: None },
    NetBackendType { name: "l2tpv3", props: None },
    NetBackendType { name: "vde", props: None },
    NetBackendType { name: "bridge", props: None },
    NetBackendType { name: "passt", props: None },
    NetBackendType { name: "vhost-user", props: None },
    NetBackendType { name: "vhost-vdpa", props: None },
];

static USER: &[Prop] = &[
    prop("id", Kind::Id, "", "name of the back end"),
    fixed("ipv4", Kind::Bool, "on"),
    fixed("ipv6", Kind::Bool, "off"),
    prop("net", Kind::Text, "10.0.2.0/24", "the guest's network"),
    prop("host", Kind::Text, "", "the gateway's address (network + 2)"),
    prop("dns", Kind::Text, "", "the name server's address (network + 3)"),
    prop("dhcpstart", Kind::Text, "", "the first address handed out (network + 15)"),
    prop("restrict", Kind::Bool, "off", "keep the guest from reaching out"),
    prop("hostname", Kind::Text, "", "host name told by DHCP"),
    prop("domainname", Kind::Text, "", "domain told by DHCP"),
    prop("dnssearch", Kind::List, "", "domain to search, told by DHCP; may be repeated"),
    prop("hostfwd", Kind::List, "", "[tcp|udp]:[hostaddr]:hostport-[guestaddr]:guestport; may be repeated"),
    fixed("guestfwd", Kind::Text, ""),
    fixed("tftp", Kind::Text, ""),
    fixed("tftp-server-name", Kind::Text, ""),
    fixed("bootfile", Kind::Text, ""),
    fixed("smb", Kind::Text, ""),
    fixed("smbserver", Kind::Text, ""),
    fixed("ipv6-net", Kind::Text, ""),
    fixed("ipv6-prefix", Kind::Text, ""),
    fixed("ipv6-prefixlen", Kind::Text, ""),
    fixed("ipv6-host", Kind::Text, ""),
    fixed("ipv6-dns", Kind::Text, ""),
];

static TAP: &[Prop] = &[
    prop("id", Kind::Id, "", "name of the back end"),
    prop("ifname", Kind::Text, "", "name of the interface"),
    prop("fd", Kind::Number(i32::MAX as u64), "", "use this open interface"),
    prop("script", Kind::Text, "/etc/qemu-ifup", "program that configures it, or 'no'"),
    prop("downscript", Kind::Text, "/etc/qemu-ifdown", "program that undoes that, or 'no'"),
    prop("vnet_hdr", Kind::Bool, "on", "pass offload headers"),
    prop("sndbuf", Kind::Size(1), "0", "size of the send buffer"),
    fixed("br", Kind::Text, ""),
    fixed("helper", Kind::Text, ""),
    fixed("fds", Kind::Text, ""),
    fixed("queues", Kind::Number(u32::MAX as u64), "1"),
    fixed("vhost", Kind::Bool, "off"),
    fixed("vhostforce", Kind::Bool, "off"),
    fixed("vhostfd", Kind::Text, ""),
    fixed("vhostfds", Kind::Text, ""),
    fixed("poll-us", Kind::Number(u32::MAX as u64), "0"),
];

/// What `-nic` has beside the parameters of its back end.
static NIC: &[Prop] = &[
    prop("model", Kind::Text, "virtio-net-pci", "the device"),
    prop("mac", Kind::Mac, "", "the guest's Ethernet address"),
    prop("addr", Kind::PciAddress, "", "PCI slot"),
];

/// Protocol of a forwarded port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// `hostfwd=`: what reaches a port of the host is passed to a port of the guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostForward {
    /// The protocol.
    pub protocol: Protocol,
    /// Host address to listen on; 0.0.0.0 is all.
    pub host: Ipv4Addr,
    /// Host port; 0 lets the host choose.
    pub host_port: u16,
    /// Guest address; `None` is the first that DHCP hands out.
    pub guest: Option<Ipv4Addr>,
    /// Guest port, never 0.
    pub guest_port: u16,
}

impl HostForward {
    /// Reads `[tcp|udp]:[hostaddr]:hostport-[guestaddr]:guestport`.
    pub fn read(rule: &str) -> Result<Self, Fault> {
        let bad = |what: &str| bad_rule(rule, what);
        let (outer, inner) = rule.split_once('-').ok_or_else(|| bad("has no '-'"))?;
        let HostEnd { protocol, host, port: host_port } = HostEnd::read_in(rule, outer)?;
        let (guest, guest_port) = inner.split_once(':').ok_or_else(|| bad("the guest's part has no ':'"))?;
        let guest_port = match port(rule, guest_port)? {
            0 => return Err(bad("the guest's port is 0")),
            port => port,
        };
        Ok(Self { protocol, host, host_port, guest: address(rule, guest)?, guest_port })
    }
}

/// The host's part of such a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostEnd {
    /// The protocol.
    pub protocol: Protocol,
    /// Host address to listen on; 0.0.0.0 is all.
    pub host: Ipv4Addr,
    /// Host port.
    pub port: u16,
}

impl HostEnd {
    /// Reads `[tcp|udp]:[hostaddr]:hostport`.
    pub fn read(text: &str) -> Result<Self, Fault> {
        Self::read_in(text, text)
    }

    fn read_in(rule: &str, outer: &str) -> Result<Self, Fault> {
        let bad = |what: &str| bad_rule(rule, what);
        let mut parts = outer.splitn(3, ':');
        let (Some(protocol), Some(host), Some(host_port)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(bad("the host's part needs two ':'"));
        };
        let protocol = match protocol {
            "" | "tcp" => Protocol::Tcp,
            "udp" => Protocol::Udp,
            _ => return Err(bad("the protocol is neither tcp nor udp")),
        };
        let host = address(rule, host)?.unwrap_or(Ipv4Addr::UNSPECIFIED);
        Ok(Self { protocol, host, port: port(rule, host_port)? })
    }
}

fn bad_rule(rule: &str, what: &str) -> Fault {
    Fault::new(format!(
        "hostfwd={rule}: {what}; a rule is [tcp|udp]:[hostaddr]:hostport-[guestaddr]:guestport"
    ))
}

fn address(rule: &str, text: &str) -> Result<Option<Ipv4Addr>, Fault> {
    match text {
        "" => Ok(None),
        "localhost" => Ok(Some(Ipv4Addr::LOCALHOST)),
        _ => text.parse().map(Some).map_err(|_| bad_rule(rule, &format!("'{text}' is no IPv4 address"))),
    }
}

fn port(rule: &str, text: &str) -> Result<u16, Fault> {
    let number = value::unsigned(text).ok().and_then(|n| u16::try_from(n).ok());
    number.ok_or_else(|| bad_rule(rule, &format!("'{text}' is no port")))
}

/// `user`: a network of the guest's own behind address translation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserNet {
    /// The network's address.
    pub network: Ipv4Addr,
    /// Length of its prefix in bits.
    pub prefix: u8,
    /// The gateway, which stands for the host.
    pub gateway: Ipv4Addr,
    /// The name server.
    pub dns: Ipv4Addr,
    /// The first address that DHCP hands out.
    pub dhcp_start: Ipv4Addr,
    /// The guest reaches nothing but this network and forwarded ports.
    pub restrict: bool,
    /// Host name told by DHCP.
    pub hostname: Option<String>,
    /// Domain told by DHCP.
    pub domain: Option<String>,
    /// Domains to search, told by DHCP.
    pub search: Vec<String>,
    /// Forwarded ports.
    pub forwards: Vec<HostForward>,
}

impl UserNet {
    fn read(props: &Props) -> Result<Self, Fault> {
        let (network, prefix) = network(props.text("net").unwrap_or("10.0.2.0/24"))?;
        let mask = u32::MAX << (32 - u32::from(prefix));
        let inside = |name: &str, offset: u32| match props.text(name) {
            None => Ok(Ipv4Addr::from(u32::from(network) | offset & !mask)),
            Some(text) => {
                let address: Option<Ipv4Addr> = text.parse().ok();
                let address = address.filter(|a| u32::from(*a) & mask == u32::from(network));
                address
                    .ok_or_else(|| Fault::new(format!("{name}={text}: is no address in {network}/{prefix}")))
            }
        };
        let (gateway, dhcp_start) = (inside("host", 2)?, inside("dhcpstart", 15)?);
        // A name server beyond the network is reached as any other host.
        let dns = match props.text("dns") {
            Some(text) => text.parse().map_err(|_| Fault::new(format!("dns={text}: is no IPv4 address")))?,
            None => inside("dns", 3)?,
        };
        if gateway == dns {
            return Err(Fault::new(format!("host={gateway}: is the name server's address too")));
        }
        if dhcp_start == gateway || dhcp_start == dns {
            return Err(Fault::new(format!(
                "dhcpstart={dhcp_start}: is the gateway's or the name server's address"
            )));
        }
        let text = |name| props.text(name).map(String::from);
        Ok(Self {
            network,
            prefix,
            gateway,
            dns,
            dhcp_start,
            restrict: props.flag("restrict").unwrap_or(false),
            hostname: text("hostname"),
            domain: text("domainname"),
            search: props.list("dnssearch").map(String::from).collect(),
            forwards: props.list("hostfwd").map(HostForward::read).collect::<Result<_, _>>()?,
        })
    }
}

/// `addr[/prefix|/mask]`; without either, by the class of the address.
fn network(text: &str) -> Result<(Ipv4Addr, u8), Fault> {
    let fault = || Fault::new(format!("net={text}: expects a network, as 10.0.2.0/24"));
    let (address, mask) = text.split_once('/').map_or((text, None), |(a, m)| (a, Some(m)));
    let address: u32 = address.parse::<Ipv4Addr>().map_err(|_| fault())?.into();
    let prefix = match mask {
        Some(mask) => match mask.parse::<Ipv4Addr>() {
            Ok(mask) if u32::from(mask).leading_ones() == u32::from(mask).count_ones() => {
                u32::from(mask).count_ones() as u8
            }
            Ok(_) => return Err(fault()),
            Err(_) => mask.parse().map_err(|_| fault())?,
        },
        None if address < 1 << 31 => 8,
        None if address < 0b11 << 30 => 16,
        None => 24,
    };
    // A gateway, a name server and one guest have to fit.
    if !(4..=29).contains(&prefix) {
        return Err(fault());
    }
    Ok((Ipv4Addr::from(address & (u32::MAX << (32 - u32::from(prefix)))), prefix))
}

/// `tap`: an interface of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TapNet {
    /// Its name; the host chooses when there is none.
    pub ifname: Option<String>,
    /// A file descriptor that is the open interface.
    pub fd: Option<i32>,
    /// Program that configures the interface; `None` for none.
    pub script: Option<String>,
    /// Program that undoes that; `None` for none.
    pub downscript: Option<String>,
    /// `vnet_hdr=`; `None` when nothing was said.
    pub vnet_hdr: Option<bool>,
    /// Size of the send buffer in bytes; 0 is no limit.
    pub send_buffer: u64,
}

impl TapNet {
    fn read(props: &Props) -> Result<Self, Fault> {
        let fd = props.number("fd").map(|fd| fd as i32); // the row allows i32::MAX at most
        if fd.is_some() {
            for other in ["ifname", "script", "downscript", "vnet_hdr"] {
                if props.text(other).is_some() {
                    return Err(Fault::new(format!("{other}= can not stand with fd=")));
                }
            }
        }
        let script = |name, default: &str| match props.text(name).unwrap_or(default) {
            "no" | "" => None,
            path => Some(path.to_string()),
        };
        Ok(Self {
            ifname: props.text("ifname").map(String::from),
            fd,
            script: script("script", "/etc/qemu-ifup"),
            downscript: script("downscript", "/etc/qemu-ifdown"),
            vnet_hdr: props.flag("vnet_hdr"),
            send_buffer: props.bytes("sndbuf").unwrap_or(0),
        })
    }
}

/// What a network back end is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NetBackend {
    /// `user`.
    User(UserNet),
    /// `tap`.
    Tap(TapNet),
}

/// `-netdev`, and the host's side of `-nic`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Netdev {
    /// The name that devices use.
    pub id: String,
    /// What it is.
    pub backend: NetBackend,
    /// As typed, for messages.
    pub origin: String,
}

/// The device that a `-nic` asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NicDevice {
    /// `model=`: the device's driver.
    pub model: String,
    /// The device's settings: `netdev=`, and `mac=` and `addr=` where given.
    pub settings: Vec<(&'static str, String)>,
}

fn backend_type(name: &str) -> Result<&'static [Prop], Fault> {
    match BACKENDS.iter().find(|b| b.name == name) {
        Some(NetBackendType { props: Some(props), .. }) => Ok(props),
        Some(_) => Err(Fault::not_available(&format!("network back end '{name}'"))),
        None => {
            let names = BACKENDS.iter().filter(|b| b.props.is_some()).map(|b| b.name);
            Err(Fault::unknown(format!("there is no network back end '{name}'"), name, names))
        }
    }
}

fn read_backend(name: &str, props: &Props) -> Result<NetBackend, Fault> {
    Ok(if name == "tap" {
        NetBackend::Tap(TapNet::read(props)?)
    } else {
        NetBackend::User(UserNet::read(props)?)
    })
}

impl Netdev {
    /// Reads one `-netdev`.
    pub fn read(mut settings: OptString, origin: &str) -> Result<Self, Fault> {
        let name = settings.take("type").ok_or_else(|| Fault::new("names no back end; say user or tap"))?;
        let props =
            Props::read(settings, &[backend_type(&name)?], &format!("the network back end '{name}'"))?;
        let id = props.text("id").ok_or_else(|| Fault::new("has no id; say id=NAME"))?.to_string();
        Ok(Self { id, backend: read_backend(&name, &props)?, origin: origin.into() })
    }

    /// Reads one `-nic` that is not `none`; `number` names its back end when no `id=` does.
    pub fn read_nic(
        mut settings: OptString,
        number: usize,
        origin: &str,
    ) -> Result<(Self, NicDevice), Fault> {
        let name = settings.take("type").unwrap_or_else(|| "user".into());
        let what = format!("the network back end '{name}'");
        let props = Props::read(settings, &[backend_type(&name)?, NIC], &what)?;
        let id = props.text("id").map_or_else(|| format!("#net{number}"), String::from);
        let mut device = vec![("netdev", id.clone())];
        for key in ["mac", "addr"] {
            device.extend(props.text(key).map(|text| (key, text.to_string())));
        }
        let model = props.text("model").unwrap_or("virtio-net-pci").to_string();
        let netdev = Self { id, backend: read_backend(&name, &props)?, origin: origin.into() };
        Ok((netdev, NicDevice { model, settings: device }))
    }
}
