//! Character devices.

use crate::context::{CharInfo, Context};
use crate::qapi::Empty;
use crate::qmp::command::Answer;
use std::sync::Arc;

commands! {
    "query-chardev" query_chardev;
    "query-chardev-backends" query_chardev_backends;
}

qapi_struct! {
    /// A character device.
    ChardevInfo {
        /// Its id.
        label: String,
        /// What it is.
        filename: String,
        /// Something in the machine uses it.
        frontend_open: bool,
    }
    /// A kind of character device.
    ChardevBackendInfo {
        /// Its name.
        name: String,
    }
}

fn query_chardev(context: &Arc<Context>, _: Empty) -> Answer<Vec<ChardevInfo>> {
    let info = |CharInfo { label, filename, used }| ChardevInfo { label, filename, frontend_open: used };
    Ok(context.host.chardevs().into_iter().map(info).collect())
}

fn query_chardev_backends(_: &Arc<Context>, _: Empty) -> Answer<Vec<ChardevBackendInfo>> {
    let names = ["null", "stdio", "file", "pipe", "pty", "socket"];
    Ok(names.iter().map(|name| ChardevBackendInfo { name: (*name).into() }).collect())
}
