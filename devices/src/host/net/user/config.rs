//! What `-netdev user,...` says, typed.

use super::super::NetError;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::str::FromStr;

/// An IPv4 network in prefix notation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subnet {
    address: Ipv4Addr,
    prefix: u8,
}

impl Subnet {
    /// The network that `address` is in, when `prefix` bits name it. `prefix` is 1 to 29: there must be room for the
    /// gateway, the name server and a guest.
    pub fn new(address: Ipv4Addr, prefix: u8) -> Result<Self, NetError> {
        if !(1..=29).contains(&prefix) {
            return Err(NetError::Option {
                option: format!("net={address}/{prefix}"),
                why: "the prefix length must be from 1 to 29",
            });
        }
        let subnet = Self { address, prefix };
        Ok(Self { address: Ipv4Addr::from(u32::from(address) & u32::from(subnet.mask())), prefix })
    }

    /// The network's own address: all host bits zero.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// Bits of the prefix.
    pub fn prefix(&self) -> u8 {
        self.prefix
    }

    /// The netmask.
    pub fn mask(&self) -> Ipv4Addr {
        Ipv4Addr::from(u32::MAX << (32 - u32::from(self.prefix)))
    }

    /// The directed broadcast address: all host bits one.
    pub fn broadcast(&self) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(self.address) | !u32::from(self.mask()))
    }

    /// Whether `address` lies in the network, its own and the broadcast address included.
    pub fn contains(&self, address: Ipv4Addr) -> bool {
        u32::from(address) & u32::from(self.mask()) == u32::from(self.address)
    }

    /// Whether `address` can belong to a host on the network.
    pub fn is_host(&self, address: Ipv4Addr) -> bool {
        self.contains(address) && address != self.address && address != self.broadcast()
    }

    /// The `n`th address of the network, counted from its own; wraps inside the network.
    pub fn nth(&self, n: u32) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(self.address) | (n & !u32::from(self.mask())))
    }
}

impl FromStr for Subnet {
    type Err = NetError;

    /// `ADDR`, `ADDR/BITS` or `ADDR/MASK`; without either, the class of the address decides.
    fn from_str(text: &str) -> Result<Self, NetError> {
        let fail = |why| NetError::Option { option: format!("net={text}"), why };
        let (address, rest) = text.split_once('/').map_or((text, None), |(a, m)| (a, Some(m)));
        let address: Ipv4Addr =
            address.parse().map_err(|_| fail("expected an IPv4 address, as in 10.0.2.0/24"))?;
        let prefix = match rest {
            None => match address.octets()[0] {
                0..=127 => 8,
                128..=191 => 16,
                _ => 24,
            },
            Some(bits) if !bits.contains('.') => {
                bits.parse().map_err(|_| fail("after `/` a prefix length or a netmask is expected"))?
            }
            Some(mask) => {
                let mask: Ipv4Addr =
                    mask.parse().map_err(|_| fail("after `/` a prefix length or a netmask is expected"))?;
                let ones = u32::from(mask).leading_ones();
                if ones != u32::from(mask).count_ones() {
                    return Err(fail("the netmask's ones are not contiguous"));
                }
                ones as u8
            }
        };
        Self::new(address, prefix)
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// A transport that can be forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// Connections.
    Tcp,
    /// Datagrams.
    Udp,
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

/// A port on the host that leads into the guest: `[tcp|udp]:[hostaddr]:hostport-[guestaddr]:guestport`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostFwd {
    /// What is forwarded.
    pub transport: Transport,
    /// Where the host listens; port 0 lets the host choose one.
    pub host: SocketAddrV4,
    /// Where in the guest it goes; the unspecified address means the first one that DHCP hands out.
    pub guest: SocketAddrV4,
}

impl FromStr for HostFwd {
    type Err = NetError;

    fn from_str(text: &str) -> Result<Self, NetError> {
        let fail = |why| NetError::Option { option: format!("hostfwd={text}"), why };
        let shape = "expected [tcp|udp]:[hostaddr]:hostport-[guestaddr]:guestport, as in tcp::2222-:22";
        let (transport, rest) = text.split_once(':').ok_or_else(|| fail(shape))?;
        let transport = match transport {
            "" | "tcp" => Transport::Tcp,
            "udp" => Transport::Udp,
            _ => return Err(fail("the protocol before the first `:` must be tcp or udp")),
        };
        let (host, guest) = rest.split_once('-').ok_or_else(|| fail(shape))?;
        let end = |side: &str, bad_address, bad_port| {
            let (address, port) = side.split_once(':').ok_or_else(|| fail(shape))?;
            let address = match address {
                "" => Ipv4Addr::UNSPECIFIED,
                text => text.parse().map_err(|_| fail(bad_address))?,
            };
            Ok(SocketAddrV4::new(address, port.parse().map_err(|_| fail(bad_port))?))
        };
        let host = end(
            host,
            "the host address must be an IPv4 address of this machine, or empty for all of them",
            "the host port must be a number from 0 (any free port) to 65535",
        )?;
        let guest = end(
            guest,
            "the guest address must be an IPv4 address, or empty for the guest's DHCP address",
            "the guest port must be a number from 1 to 65535",
        )?;
        if guest.port() == 0 {
            return Err(fail("the guest port must be a number from 1 to 65535"));
        }
        Ok(Self { transport, host, guest })
    }
}

impl fmt::Display for HostFwd {
    /// The rule in the form that it is parsed from.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}-{}", self.transport, self.host, self.guest)
    }
}

/// The options of a user-mode network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserNetConfig {
    /// `net=`: the guest's network.
    pub net: Subnet,
    /// `host=`: the gateway, which stands for the host itself.
    pub host: Ipv4Addr,
    /// `dns=`: the virtual name server.
    pub dns: Ipv4Addr,
    /// `dhcpstart=`: the first address that DHCP hands out.
    pub dhcp_start: Ipv4Addr,
    /// `hostname=`: the name that DHCP gives the guest.
    pub hostname: Option<String>,
    /// `domainname=`: the domain that DHCP gives the guest.
    pub domain: Option<String>,
    /// `restrict=on`: nothing the guest sends leaves for the host or beyond, except over `hostfwd`.
    pub restrict: bool,
    /// `hostfwd=`, any number of them.
    pub hostfwd: Vec<HostFwd>,
    /// The name server behind [`UserNetConfig::dns`]; `None` takes the first one of `/etc/resolv.conf`.
    pub upstream_dns: Option<SocketAddr>,
}

impl UserNetConfig {
    /// The usual plan on a network: gateway at .2, name server at .3, guests from .15 (on a small network, from .4).
    pub fn on(net: Subnet) -> Self {
        Self {
            net,
            host: net.nth(2),
            dns: net.nth(3),
            dhcp_start: net.nth(if net.prefix <= 27 { 15 } else { 4 }),
            hostname: None,
            domain: None,
            restrict: false,
            hostfwd: Vec::new(),
            upstream_dns: None,
        }
    }

    /// Finds what cannot work before anything is opened.
    pub(super) fn check(&self) -> Result<(), NetError> {
        let fail = |option: String, why| Err(NetError::Option { option, why });
        for (name, address) in [("host", self.host), ("dns", self.dns), ("dhcpstart", self.dhcp_start)] {
            if !self.net.is_host(address) {
                return fail(
                    format!("{name}={address}"),
                    "the address is not a host address of the network in net=",
                );
            }
        }
        if self.host == self.dns {
            return fail(
                format!("dns={}", self.dns),
                "the name server and the gateway need different addresses",
            );
        }
        if self.dhcp_start == self.host || self.dhcp_start == self.dns {
            return fail(
                format!("dhcpstart={}", self.dhcp_start),
                "the address is the gateway's or the name server's",
            );
        }
        for (name, text) in [("hostname", &self.hostname), ("domainname", &self.domain)] {
            if let Some(text) = text.as_ref().filter(|text| text.is_empty() || text.len() > 63) {
                return fail(format!("{name}={text}"), "the name must have from 1 to 63 bytes");
            }
        }
        Ok(())
    }
}

impl Default for UserNetConfig {
    fn default() -> Self {
        Self::on(Subnet { address: Ipv4Addr::new(10, 0, 2, 0), prefix: 24 })
    }
}
