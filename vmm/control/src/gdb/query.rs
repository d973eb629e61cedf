//! General queries and settings: packets `q` and `Q`.

use super::packet::{from_hex, number, to_hex};
use super::{
    Answer, EFAULT, EINVAL, PACKET_SIZE, SSTEP_ENABLE, SSTEP_NOIRQ, SSTEP_NOTIMER, Server, Target,
    description, ok_if, reply,
};
use crate::session::Outlet;
use engine::memory::Space;

impl<T: Target> Server<T> {
    /// Answers a query; `text` is the whole packet.
    pub(super) fn query(&mut self, text: &str, out: &Outlet) -> Answer {
        let (name, rest) = match text.find([':', ',', '=']) {
            Some(at) => (&text[..at], &text[at + 1..]),
            None => (text, ""),
        };
        match name {
            "qSupported" => {
                self.target.client(rest);
                self.multiprocess = rest.split(';').any(|feature| feature == "multiprocess+");
                let back = if self.target.reverses() { ";ReverseStep+;ReverseContinue+" } else { "" };
                reply(format!("PacketSize={PACKET_SIZE:x};qXfer:features:read+;{}{back}", T::SUPPORTED))
            }
            "qXfer" => self.transfer(rest),
            "qAttached" => reply(T::ATTACHED),
            "QStartNoAckMode" if T::SUPPORTED.contains("QStartNoAckMode+") => {
                self.no_ack = true;
                reply("OK")
            }
            "qC" => reply(format!("QC{}", self.name(self.general))),
            "qfThreadInfo" => {
                self.listing = self.target.threads();
                self.listing.reverse();
                self.next_thread()
            }
            "qsThreadInfo" => self.next_thread(),
            "qThreadExtraInfo" => match self.thread(rest) {
                Some(thread) => {
                    let about = self.target.about(thread);
                    reply(to_hex(about.as_bytes()))
                }
                None => reply(EINVAL),
            },
            "qRcmd" => self.monitor(rest, out),
            "qqemu.Supported" => reply("sstepbits;sstep;PhyMemMode"),
            "qqemu.sstepbits" => {
                let bits = [(SSTEP_ENABLE, "ENABLE"), (SSTEP_NOIRQ, "NOIRQ"), (SSTEP_NOTIMER, "NOTIMER")];
                let mask = self.target.step_mask();
                let known = bits.iter().filter(|(bit, _)| mask & bit != 0);
                reply(known.map(|(bit, name)| format!("{name}={bit}")).collect::<Vec<_>>().join(","))
            }
            "qqemu.sstep" => reply(format!("0x{:x}", self.sstep)),
            "Qqemu.sstep" => {
                let Some((mask, "")) = number(rest.trim_start_matches("0x")) else { return reply(EINVAL) };
                let known = mask & !self.target.step_mask() == 0;
                if known {
                    self.sstep = mask;
                }
                ok_if(known, EINVAL)
            }
            "qqemu.PhyMemMode" => reply(if self.space == Space::Physical { "1" } else { "0" }),
            "Qqemu.PhyMemMode" => {
                let Some((mode, "")) = number(rest) else { return reply(EINVAL) };
                self.space = if mode == 0 { Space::Virtual } else { Space::Physical };
                reply("OK")
            }
            _ => self.others(text),
        }
    }

    fn next_thread(&mut self) -> Answer {
        reply(match self.listing.pop() {
            Some(thread) => format!("m{}", self.name(thread)),
            None => "l".into(),
        })
    }

    /// `qXfer:OBJECT:read:ANNEX:OFFSET,LENGTH`.
    fn transfer(&mut self, text: &str) -> Answer {
        let parts: Vec<&str> = text.split(':').collect();
        let [name, "read", annex, range] = parts[..] else { return reply("") };
        let Some((offset, len, "")) = super::range(range) else { return reply(EINVAL) };
        let found = if name == "features" {
            let (architecture, features) = self.target.description();
            let file = description::file(architecture, &features, annex);
            Some(file.map(String::into_bytes).ok_or("E00"))
        } else {
            self.target.object(self.general, name, annex)
        };
        let file = match found {
            None => return reply(""),
            Some(Err(error)) => return reply(error),
            Some(Ok(file)) => file,
        };
        let Some(rest) = usize::try_from(offset).ok().and_then(|offset| file.get(offset..)) else {
            return reply(EFAULT);
        };
        // Room for the letter, and for escapes of a byte each.
        let most = len.min(PACKET_SIZE / 2);
        let (letter, part) = if rest.len() > most { (b'm', &rest[..most]) } else { (b'l', rest) };
        Answer::Bytes([&[letter][..], part].concat())
    }

    /// `qRcmd,HEX`: a line for the monitor. What it prints comes before the answer, in packets of its own.
    fn monitor(&mut self, hex: &str, out: &Outlet) -> Answer {
        let line = from_hex(hex.as_bytes()).and_then(|bytes| String::from_utf8(bytes).ok());
        let Some(line) = line else { return reply(EINVAL) };
        let Some(text) = self.target.monitor(&line) else { return reply("") };
        for part in text.as_bytes().chunks(PACKET_SIZE / 2 - 8) {
            self.send(format!("O{}", to_hex(part)).as_bytes(), out);
        }
        reply("OK")
    }
}
