//! Putting IPv4 fragments together (RFC 791 chapter 3.2, RFC 815).

use smoltcp::wire::{IpProtocol, Ipv4Packet};
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

/// Packets that are put together at the same time; the oldest makes room for the next.
const PACKETS: usize = 16;
/// Pieces of one packet: enough for the largest one in fragments of an MTU of 576.
const PIECES: usize = 128;
/// How long the rest of a packet may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes of the header of a packet that was put together.
const HEADER: usize = 20;

#[derive(PartialEq, Eq)]
struct Key(Ipv4Addr, Ipv4Addr, u16, IpProtocol);

struct Partial {
    key: Key,
    since: Instant,
    /// The header and what is there of the payload.
    packet: Vec<u8>,
    /// Where there is payload: (first byte, one past the last), in the order of arrival, apart from each other.
    pieces: Vec<(usize, usize)>,
    /// Bytes of the whole payload, once the last fragment has told.
    total: Option<usize>,
}

/// Packets of which fragments are missing.
#[derive(Default)]
pub(super) struct Reassembly(Vec<Partial>);

impl Reassembly {
    /// Takes a fragment, a valid packet; returns the whole packet when this was the last one missing.
    pub(super) fn add(&mut self, fragment: &Ipv4Packet<&[u8]>, now: Instant) -> Option<Vec<u8>> {
        self.0.retain(|partial| now.saturating_duration_since(partial.since) < PATIENCE);
        let key = Key(fragment.src_addr(), fragment.dst_addr(), fragment.ident(), fragment.next_header());
        let at = self.0.iter().position(|partial| partial.key == key).unwrap_or_else(|| {
            if self.0.len() >= PACKETS {
                self.0.remove(0);
            }
            self.0.push(Partial {
                key,
                since: now,
                packet: vec![0; HEADER],
                pieces: Vec::new(),
                total: None,
            });
            self.0.len() - 1
        });
        match self.0[at].add(fragment) {
            Ok(false) => None,
            Ok(true) => Some(self.0.swap_remove(at).finish(fragment)),
            Err(Malformed) => {
                self.0.swap_remove(at);
                None
            }
        }
    }
}

/// Fragments that contradict each other.
struct Malformed;

impl Partial {
    /// Adds a fragment; true when nothing is missing any longer.
    fn add(&mut self, fragment: &Ipv4Packet<&[u8]>) -> Result<bool, Malformed> {
        let data = fragment.payload();
        let first = usize::from(fragment.frag_offset());
        let end = first + data.len();
        let known_end = self.pieces.iter().map(|&(_, end)| end).max().unwrap_or(0);
        let last = !fragment.more_frags();
        let contradicts = match self.total {
            Some(total) => end > total || (last && end != total),
            None => last && end < known_end,
        };
        // The same bytes twice are a retransmission; other overlaps are an attack or a mistake (RFC 5722's reasons).
        if self.pieces.contains(&(first, end)) {
            return Ok(false);
        }
        let overlaps = self.pieces.iter().any(|&(other, other_end)| first < other_end && other < end);
        let ragged = !last && !data.len().is_multiple_of(8);
        if contradicts || overlaps || ragged || data.is_empty() || HEADER + end > usize::from(u16::MAX) {
            return Err(Malformed);
        }
        if self.pieces.len() >= PIECES {
            return Err(Malformed);
        }
        if last {
            self.total = Some(end);
        }
        if self.packet.len() < HEADER + end {
            self.packet.resize(HEADER + end, 0);
        }
        self.packet[HEADER + first..HEADER + end].copy_from_slice(data);
        self.pieces.push((first, end));
        let present: usize = self.pieces.iter().map(|&(first, end)| end - first).sum();
        Ok(self.total == Some(present))
    }

    /// The whole packet, with a header like that of `fragment`.
    fn finish(mut self, fragment: &Ipv4Packet<&[u8]>) -> Vec<u8> {
        let len = self.packet.len() as u16;
        let mut ip = Ipv4Packet::new_unchecked(&mut self.packet);
        ip.set_version(4);
        ip.set_header_len(HEADER as u8);
        ip.set_total_len(len);
        ip.set_hop_limit(fragment.hop_limit());
        ip.set_next_header(fragment.next_header());
        ip.set_src_addr(fragment.src_addr());
        ip.set_dst_addr(fragment.dst_addr());
        ip.fill_checksum();
        self.packet
    }
}
