//! The Telnet protocol (RFC 854) as far as a serial line needs it: the server echoes (RFC 857), suppresses go-ahead
//! (RFC 858) and wants eight bits both ways (RFC 856). What the client answers is believed; other options are
//! ignored, and with that refused.

const IAC: u8 = 255;
const DO: u8 = 253;
const WILL: u8 = 251;
const WONT: u8 = 252;
const SB: u8 = 250;
const SE: u8 = 240;
const BREAK: u8 = 243;
const BINARY: u8 = 0;
const ECHO: u8 = 1;
const SUPPRESS_GO_AHEAD: u8 = 3;

/// What a server says first.
pub(super) const GREETING: [u8; 12] =
    [IAC, WILL, ECHO, IAC, WILL, SUPPRESS_GO_AHEAD, IAC, WILL, BINARY, IAC, DO, BINARY];

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Data,
    /// After a carriage return that is no binary data.
    Return,
    Command,
    /// After WILL, WONT, DO or DONT.
    Option(u8),
    Subnegotiation,
    SubnegotiationCommand,
}

/// What was in a piece of input.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Decoded {
    /// Bytes of data, now at the start of the piece.
    pub(super) len: usize,
    /// How often the client sent a break.
    pub(super) breaks: usize,
}

/// Takes the protocol out of a client's bytes.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    state: State,
    binary: bool,
}

impl Decoder {
    /// Moves the data in `bytes` to the front.
    pub(super) fn decode(&mut self, bytes: &mut [u8]) -> Decoded {
        let mut decoded = Decoded { len: 0, breaks: 0 };
        for i in 0..bytes.len() {
            let byte = bytes[i];
            let mut data = false;
            self.state = match (self.state, byte) {
                (State::Data | State::Return, IAC) => State::Command,
                (State::Return, 0) => State::Data,
                (State::Data | State::Return, _) => {
                    data = true;
                    if byte == b'\r' && !self.binary { State::Return } else { State::Data }
                }
                (State::Command, IAC) => {
                    data = true;
                    State::Data
                }
                (State::Command, SB) => State::Subnegotiation,
                (State::Command, WILL..=254) => State::Option(byte),
                (State::Command, _) => {
                    decoded.breaks += usize::from(byte == BREAK);
                    State::Data
                }
                (State::Option(verb), option) => {
                    if option == BINARY && matches!(verb, WILL | WONT) {
                        self.binary = verb == WILL;
                    }
                    State::Data
                }
                (State::Subnegotiation, IAC) => State::SubnegotiationCommand,
                (State::Subnegotiation, _) => State::Subnegotiation,
                (State::SubnegotiationCommand, SE) => State::Data,
                (State::SubnegotiationCommand, _) => State::Subnegotiation,
            };
            if data {
                bytes[decoded.len] = byte;
                decoded.len += 1;
            }
        }
        decoded
    }
}

#[cfg(test)]
mod tests;
