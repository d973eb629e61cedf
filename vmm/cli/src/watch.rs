//! What watches the guest: plugins, coverage and statistics become one record for the translator, and `perf` is told of its code.

use std::sync::Arc;

use tcg_core::observe::{Observer, Record};
use tcg_core::run::{CodeConfig, Listener, VcpuConfig};
use tcg_plugins::perf::Perf;
use tcg_plugins::tb_stats::TbStats;
use tcg_plugins::{Coverage, End, Setting};

use crate::options::LogOptions;
use crate::options::log::LogItem;
use crate::options::plugin::WatchOptions;

/// Who watches a run.
#[derive(Default)]
pub struct Watch {
    /// What is counted and called; `None`: nothing.
    pub record: Option<Arc<Record>>,
    listener: Listener,
}

impl Watch {
    /// What `options` and `log` ask for, for guests of architecture `guest`; `end` ends the run. The error names the option
    /// at fault and says what is wrong with it.
    pub fn new(
        options: &WatchOptions,
        log: &LogOptions,
        guest: &'static str,
        end: End,
    ) -> Result<Self, (&'static str, String)> {
        let setting = Setting { guest, end };
        let mut observers: Vec<Box<dyn Observer>> = Vec::new();
        for plugin in &options.plugins {
            let made = tcg_plugins::make(plugin, &setting);
            observers.push(made.map_err(|fault| ("-plugin", fault.to_string()))?);
        }
        if let Some(file) = &options.coverage {
            let coverage = Coverage::new(file).map_err(|fault| ("-coverage", fault))?;
            observers.push(Box::new(coverage));
        }
        if log.items.contains(&LogItem::TbStats) {
            observers.push(Box::new(TbStats));
        }
        let mut listener = Listener::default();
        if options.perf_map || options.jit_dump {
            let perf = Perf::new(options.perf_map, options.jit_dump).map_err(|(path, error)| {
                let option = if path.starts_with("/tmp") { "-perfmap" } else { "-jitdump" };
                (option, format!("cannot write '{}': {error}", path.display()))
            })?;
            listener.0 = Some(Arc::new(perf));
        }
        let record = (!observers.is_empty()).then(|| Record::new(observers));
        Ok(Self { record, listener })
    }

    /// Has the translator do its part.
    pub fn apply(&self, code: &mut CodeConfig, vcpu: &mut VcpuConfig) {
        code.record = self.record.clone();
        code.listener = self.listener.clone();
        if self.record.as_ref().is_some_and(|record| record.watches()) {
            // The interpreter looks each instruction up each time.
            vcpu.tiers.translate_after = 0;
        }
    }
}
