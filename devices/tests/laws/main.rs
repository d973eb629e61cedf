//! The laws that every device keeps, whatever it is: see [`law`]. A device is added by one `device_laws!` line in the
//! file of its family.

#[macro_use]
mod law;
mod chips;
mod functions;
mod virtio;
