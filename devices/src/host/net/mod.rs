//! Network back ends: user-mode NAT and tap.
