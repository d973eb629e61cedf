//! `mem`: how many accesses to memory were made. An atomic operation is a load and a store.
//!
//! Options: `inline=on` (the default) counts in generated code, `callback=on` by a call at each access; `hwaddr=on` counts accesses to
//! devices; `track=r|w|rw` chooses loads or stores.

use crate::arguments::{Arguments, PluginError};
use crate::{Setting, say};
use std::sync::atomic::{AtomicU64, Ordering};
use tcg_core::observe::{Accessed, Calls, Insn, Observer, Record, Seen, Wants, slot};

struct Mem {
    inline: bool,
    callback: bool,
    hwaddr: bool,
    loads: bool,
    stores: bool,
    called: AtomicU64,
    devices: AtomicU64,
}

pub fn make(arguments: &mut Arguments<'_>, _: &Setting) -> Result<Box<dyn Observer>, PluginError> {
    let callback = arguments.flag("callback")?.unwrap_or(false);
    let hwaddr = arguments.flag("hwaddr")?.unwrap_or(false);
    let inline = arguments.flag("inline")?.unwrap_or(!callback && !hwaddr);
    let track = arguments.text("track").unwrap_or("rw");
    if !matches!(track, "r" | "w" | "rw") {
        return Err(arguments.fault("track", track, "expects r, w or rw"));
    }
    let (loads, stores) = (track != "w", track != "r");
    let (called, devices) = Default::default();
    Ok(Box::new(Mem { inline, callback, hwaddr, loads, stores, called, devices }))
}

impl Observer for Mem {
    fn wants(&self) -> Wants {
        Wants { accesses: self.inline, calls: self.callback || self.hwaddr, ..Wants::default() }
    }

    fn calls(&self, _: &Insn<'_>) -> Calls {
        Calls { accesses: self.callback || self.hwaddr, ..Calls::default() }
    }

    fn accessed(&self, seen: &mut Seen<'_>, _: u32, access: Accessed) {
        if if access.store { !self.stores } else { !self.loads } {
            return;
        }
        self.called.fetch_add(1, Ordering::Relaxed);
        if self.hwaddr && seen.phys().is_some() && seen.device() != "RAM" {
            self.devices.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn finish(&self, record: &Record) {
        if self.inline {
            let loads = if self.loads { record.total(slot::LOADS) } else { 0 };
            let stores = if self.stores { record.total(slot::STORES) } else { 0 };
            say(&format!("inline mem accesses: {}", loads + stores));
        }
        if self.callback {
            say(&format!("callback mem accesses: {}", self.called.load(Ordering::Relaxed)));
        }
        if self.hwaddr {
            say(&format!("io accesses: {}", self.devices.load(Ordering::Relaxed)));
        }
    }
}
