//! Networks and displays, as far as clients ask.

use crate::context::{Context, Part};
use crate::qapi::{Empty, Open};
use crate::qmp::command::Answer;
use crate::qmp::{Class, Error};
use serde_json::Value;
use std::sync::Arc;

commands! {
    "query-rx-filter" query_rx_filter;
    "query-vnc" query_vnc;
    "query-vnc-servers" query_vnc_servers;
    "set_link" set_link;
    "netdev_add" netdev_add;
    "netdev_del" netdev_del;
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
    /// Arguments of `netdev_add`, beside those of the kind.
    NetdevAdd {
        /// Its id.
        id: String,
        /// What it is.
        r#type = "type": String,
    }
    /// Arguments of `netdev_del`.
    NetdevDel {
        /// Its id.
        id: String,
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

fn netdev_add(context: &Arc<Context>, netdev: Open<NetdevAdd>) -> Answer<Empty> {
    context.host.add(Part::Netdev, &netdev.members.to_string())?;
    Ok(Empty {})
}

fn netdev_del(context: &Arc<Context>, which: NetdevDel) -> Answer<Empty> {
    context.host.remove(Part::Netdev, &which.id)?;
    Ok(Empty {})
}
