//! Networks and displays, as far as clients ask.

use crate::context::Context;
use crate::qapi::Empty;
use crate::qmp::command::Answer;
use crate::qmp::{Class, Error};
use serde_json::Value;
use std::sync::Arc;

commands! {
    "query-rx-filter" query_rx_filter;
    "query-vnc" query_vnc;
    "query-vnc-servers" query_vnc_servers;
    "set_link" set_link;
}

qapi_struct! {
    /// Arguments of `query-rx-filter`.
    WhichNic {
        /// The device.
        name: Option<String>,
    }
    /// The VNC server.
    VncInfo {
        /// There is one.
        enabled: bool,
    }
    /// Arguments of `set_link`.
    SetLink {
        /// The device.
        name: String,
        /// The cable is plugged.
        up: bool,
    }
}

fn query_rx_filter(_: &Arc<Context>, which: WhichNic) -> Answer<Vec<Value>> {
    match which.name {
        Some(name) => Err(Error::new(format!("invalid net client name: {name}"))),
        None => Ok(Vec::new()),
    }
}

fn query_vnc(_: &Arc<Context>, _: Empty) -> Answer<VncInfo> {
    Ok(VncInfo { enabled: false })
}

fn query_vnc_servers(_: &Arc<Context>, _: Empty) -> Answer<Vec<Value>> {
    Ok(Vec::new())
}

fn set_link(context: &Arc<Context>, link: SetLink) -> Answer<Empty> {
    let there = context.host.networks().iter().any(|net| net.id == link.name);
    if there {
        return Err(Error::new(format!("The link of '{}' can not be changed", link.name)));
    }
    Err(Error::of(Class::DeviceNotFound, format!("Device '{}' not found", link.name)))
}
