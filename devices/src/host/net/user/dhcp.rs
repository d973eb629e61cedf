//! The DHCP server (RFC 2131, options of RFC 2132).
//!
//! Leases are bound to MAC addresses and last for the run. Relays, and clients that speak plain BOOTP, are left out.

use super::config::UserNetConfig;
use super::link::Link;
use smoltcp::wire::{
    DHCP_CLIENT_PORT, DHCP_SERVER_PORT, DhcpMessageType, DhcpOption, DhcpPacket, DhcpRepr, EthernetAddress,
};
use std::net::{Ipv4Addr, SocketAddrV4};

/// Leases there can be at once; a new client then takes the place of the one not heard of for longest.
const LEASES: u32 = 16;
/// Seconds that a lease lasts before the client has to ask again: a day, as the guest expects from QEMU.
const LEASE_SECONDS: u32 = 86400;
/// The smallest message that all clients take (RFC 1542, chapter 2.1).
const MIN_MESSAGE: usize = 300;

const OPTION_HOST_NAME: u8 = 12;
const OPTION_DOMAIN_NAME: u8 = 15;
const OPTION_REQUESTED_IP: u8 = 50;
const OPTION_MESSAGE_TYPE: u8 = 53;
const OPTION_SERVER_ID: u8 = 54;

/// What a client asked for.
struct Request {
    kind: DhcpMessageType,
    transaction: u32,
    mac: EthernetAddress,
    broadcast: bool,
    client_ip: Ipv4Addr,
    requested: Option<Ipv4Addr>,
    server: Option<Ipv4Addr>,
}

impl Request {
    fn parse(message: &[u8]) -> Option<Self> {
        let packet = DhcpPacket::new_checked(message).ok()?;
        let mac = packet.client_hardware_address();
        if packet.hardware_len() != 6 || !mac.is_unicast() {
            return None;
        }
        let address = |data: &[u8]| <[u8; 4]>::try_from(data).ok().map(Ipv4Addr::from);
        let (mut kind, mut requested, mut server) = (None, None, None);
        for option in packet.options() {
            match (option.kind, option.data) {
                (OPTION_MESSAGE_TYPE, &[byte]) => kind = Some(DhcpMessageType::from(byte)),
                (OPTION_REQUESTED_IP, data) => requested = address(data),
                (OPTION_SERVER_ID, data) => server = address(data),
                _ => {}
            }
        }
        Some(Self {
            kind: kind?,
            transaction: packet.transaction_id(),
            mac,
            broadcast: packet.flags().contains(smoltcp::wire::DhcpFlags::BROADCAST),
            client_ip: packet.client_ip(),
            requested,
            server,
        })
    }
}

/// The server and its leases.
#[derive(Default)]
pub(super) struct Dhcp {
    /// Who has what, the client heard of last at the end.
    leases: Vec<(EthernetAddress, Ipv4Addr)>,
}

impl Dhcp {
    /// Answers a client's message.
    pub(super) fn input(&mut self, message: &[u8], config: &UserNetConfig, link: &mut Link) {
        let Some(request) = Request::parse(message) else { return };
        let here = request.server.is_none_or(|server| server == config.host);
        match request.kind {
            DhcpMessageType::Discover => {
                let address = self.lease(request.mac, request.requested, config);
                reply(&request, DhcpMessageType::Offer, address, config, link);
            }
            DhcpMessageType::Request if here => {
                let wanted = request.requested.unwrap_or(request.client_ip);
                if wanted == self.lease(request.mac, Some(wanted), config) {
                    reply(&request, DhcpMessageType::Ack, wanted, config, link);
                } else {
                    reply(&request, DhcpMessageType::Nak, Ipv4Addr::UNSPECIFIED, config, link);
                }
            }
            DhcpMessageType::Inform => {
                reply(&request, DhcpMessageType::Ack, Ipv4Addr::UNSPECIFIED, config, link);
            }
            DhcpMessageType::Release | DhcpMessageType::Decline => {
                self.leases.retain(|(mac, _)| *mac != request.mac);
            }
            _ => {}
        }
    }

    /// The address of `mac`: the one it has, the one it wants when that is free, or the first free one.
    fn lease(&mut self, mac: EthernetAddress, wanted: Option<Ipv4Addr>, config: &UserNetConfig) -> Ipv4Addr {
        if let Some(at) = self.leases.iter().position(|(owner, _)| *owner == mac) {
            let lease = self.leases.remove(at);
            self.leases.push(lease);
            return lease.1;
        }
        let free = |address: &Ipv4Addr| !self.leases.iter().any(|(_, taken)| taken == address);
        let pool = || {
            let first = u32::from(config.dhcp_start);
            (0..LEASES).filter_map(move |n| first.checked_add(n)).map(Ipv4Addr::from).filter(|address| {
                config.net.is_host(*address) && *address != config.host && *address != config.dns
            })
        };
        let address = wanted
            .filter(|wanted| pool().any(|address| address == *wanted) && free(wanted))
            .or_else(|| pool().find(free))
            .unwrap_or_else(
                || if self.leases.is_empty() { config.dhcp_start } else { self.leases.remove(0).1 },
            );
        self.leases.push((mac, address));
        address
    }
}

fn reply(
    request: &Request,
    kind: DhcpMessageType,
    address: Ipv4Addr,
    config: &UserNetConfig,
    link: &mut Link,
) {
    let given = kind != DhcpMessageType::Nak;
    let leased = given && request.kind != DhcpMessageType::Inform;
    // A guest that is cut off is told no way out.
    let open = given && !config.restrict;
    let mut more = Vec::new();
    if let Some(name) = config.hostname.as_ref().filter(|_| given) {
        more.push(DhcpOption { kind: OPTION_HOST_NAME, data: name.as_bytes() });
    }
    if let Some(name) = config.domain.as_ref().filter(|_| given) {
        more.push(DhcpOption { kind: OPTION_DOMAIN_NAME, data: name.as_bytes() });
    }
    let repr = DhcpRepr {
        message_type: kind,
        transaction_id: request.transaction,
        secs: 0,
        client_hardware_address: request.mac,
        client_ip: if given { request.client_ip } else { Ipv4Addr::UNSPECIFIED },
        your_ip: address,
        server_ip: config.host,
        router: open.then_some(config.host),
        subnet_mask: given.then(|| config.net.mask()),
        relay_agent_ip: Ipv4Addr::UNSPECIFIED,
        broadcast: request.broadcast,
        requested_ip: None,
        client_identifier: None,
        server_identifier: Some(config.host),
        parameter_request_list: None,
        dns_servers: open.then(|| [config.dns].into_iter().collect()),
        max_size: None,
        lease_duration: leased.then_some(LEASE_SECONDS),
        renew_duration: None,
        rebind_duration: None,
        additional_options: &more,
    };
    let mut message = vec![0; repr.buffer_len().max(MIN_MESSAGE)];
    if repr.emit(&mut DhcpPacket::new_unchecked(&mut message[..])).is_err() {
        return;
    }
    // RFC 2131 chapter 4.1: where the answer goes.
    let to = if !given
        || (request.client_ip.is_unspecified() && request.broadcast)
        || !config.net.is_host(address)
    {
        Ipv4Addr::BROADCAST
    } else {
        address
    };
    let to = if request.client_ip.is_unspecified() || !given { to } else { request.client_ip };
    let from = SocketAddrV4::new(config.host, DHCP_SERVER_PORT);
    link.send_udp_to_mac(request.mac, from, SocketAddrV4::new(to, DHCP_CLIENT_PORT), &message);
}
