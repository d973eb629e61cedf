//! Host back ends: where a device's bytes, blocks and frames come from and go to.

pub mod block;
pub mod chardev;
pub mod net;
