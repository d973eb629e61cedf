//! `-d` and `-D`: log items are `tracing` targets of the same name; everything else that is worth a line goes to
//! stderr as a message of the program. Events about guest code carry its address in the field `pc`, by which
//! `-dfilter` chooses among them.

use std::fmt;
use std::fs::File;
use std::io;
use std::ops::RangeInclusive;
use std::path::Path;

use parking_lot::RwLock;

use tcg_core::run::{Chaining, CodeConfig, VcpuConfig};
use tcg_user::{Log, log_of_thread};
use tracing::field::{Field, Visit};
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, layer as fmt_layer};
use tracing_subscriber::layer::{Context, Filter, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use super::error::SystemError;
use crate::options::LogOptions;
use crate::options::log::{ITEMS, LogItem};

/// Lines of nothing but the message, after a fixed beginning.
struct Plain(String);

/// Takes the message out of an event.
struct Message<'a, 'w>(&'a mut Writer<'w>, fmt::Result);

impl Visit for Message<'_, '_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.1 = write!(self.0, "{value:?}");
        }
    }
}

impl<S, N> FormatEvent<S, N> for Plain
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut to: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        to.write_str(&self.0)?;
        let mut message = Message(&mut to, Ok(()));
        event.record(&mut message);
        message.1?;
        writeln!(to)
    }
}

/// Names of the items that are logged: whole targets.
static ITEMS_ON: RwLock<Vec<&'static str>> = RwLock::new(Vec::new());

/// Has these items be logged from now on, and no others. What translations show is that of those made afterwards.
pub fn choose(items: &[LogItem]) {
    let chosen = ITEMS.iter().filter(|(_, item, _)| items.contains(item));
    *ITEMS_ON.write() = chosen.map(|(name, _, _)| *name).collect();
    tracing::callsite::rebuild_interest_cache();
}

/// Every item, and whether it is logged.
pub fn items() -> Vec<(&'static str, bool)> {
    let on = ITEMS_ON.read();
    ITEMS.iter().map(|(name, ..)| (*name, on.contains(name))).collect()
}

/// Where the log goes.
enum Target {
    Stderr,
    File(File),
    /// As [`Log::OfThreads`].
    OfThreads(String),
}

static TARGET: RwLock<Target> = RwLock::new(Target::Stderr);

/// Has the log go to `place` from now on, whose file is opened by `open`.
fn set_target<E>(place: Log, open: impl FnOnce(&Path) -> Result<File, E>) -> Result<(), E> {
    *TARGET.write() = match place {
        Log::Stderr => Target::Stderr,
        Log::OfThreads(name) => Target::OfThreads(name),
        Log::File(path) => Target::File(open(&path)?),
    };
    Ok(())
}

/// Has the log go to `file`, named as for `-D`, from now on; to stderr if it is empty.
pub fn write_to(file: &str) -> io::Result<()> {
    let options =
        LogOptions { file: Some(file.into()).filter(|file: &String| !file.is_empty()), ..Default::default() };
    set_target(options.place(), |path| File::create(path))
}

/// Where the log goes now. Each line is one write, so a process that is forked meanwhile waits for nobody.
struct Output;

impl io::Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &*TARGET.read() {
            Target::File(file) => (&*file).write(bytes),
            Target::OfThreads(name) => log_of_thread(name, bytes),
            Target::Stderr => io::stderr().write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The events that `-d` and `-dfilter` choose.
struct Chosen {
    /// Addresses of guest code; empty for all.
    ranges: Vec<RangeInclusive<u64>>,
}

impl<S> Filter<S> for Chosen {
    fn enabled(&self, event: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        ITEMS_ON.read().contains(&event.target())
    }

    fn callsite_enabled(&self, event: &'static Metadata<'static>) -> Interest {
        if ITEMS_ON.read().contains(&event.target()) { Interest::always() } else { Interest::never() }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(if ITEMS_ON.read().is_empty() { LevelFilter::OFF } else { LevelFilter::TRACE })
    }

    fn event_enabled(&self, event: &Event<'_>, _: &Context<'_, S>) -> bool {
        let mut address = Address(None);
        if !self.ranges.is_empty() {
            event.record(&mut address);
        }
        address.0.is_none_or(|pc| self.ranges.iter().any(|range| range.contains(&pc)))
    }
}

/// Whether it is a message for everybody.
fn is_message(event: &Metadata<'_>) -> bool {
    *event.level() <= Level::WARN && ITEMS.iter().all(|(name, _, _)| *name != event.target())
}

/// Takes the address of guest code out of an event.
struct Address(Option<u64>);

impl Visit for Address {
    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "pc" {
            self.0 = Some(value);
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}

/// Whether translations are listed as they are made.
pub fn lists_code(options: &LogOptions) -> bool {
    let listings = [LogItem::InAsm, LogItem::Op, LogItem::OpOpt, LogItem::OutAsm];
    options.items.iter().any(|item| listings.contains(item))
}

/// Has the translator run guest code so that the chosen items show all of it.
pub fn apply(options: &LogOptions, code: &mut CodeConfig, vcpu: &mut VcpuConfig) {
    let any = |items: &[LogItem]| items.iter().any(|item| options.items.contains(item));
    if lists_code(options) {
        // What is only interpreted has no translation to show.
        vcpu.tiers.translate_after = 0;
        // In the order in which they come.
        code.background = false;
    }
    if any(&[LogItem::Nochain]) {
        code.chaining = Chaining::None;
    } else if any(&[LogItem::Exec, LogItem::Cpu]) {
        code.chaining = Chaining::Links;
    }
}

/// Starts logging, into a file that `open` opens; once in a process.
pub fn start(
    program: &str,
    options: &LogOptions,
    open: impl Fn(&Path) -> io::Result<File>,
) -> Result<(), SystemError> {
    choose(&options.items);
    let chosen = Chosen { ranges: options.ranges.clone() };
    let others = filter_fn(is_message).with_max_level_hint(LevelFilter::WARN);

    let messages = fmt_layer().event_format(Plain(format!("{program}: "))).with_writer(std::io::stderr);
    let lines = fmt_layer().event_format(Plain(String::new())).with_writer(|| Output);
    options.check().map_err(|fault| fault.at("-d tid"))?;
    set_target(options.place(), |path| {
        open(path).map_err(|source| SystemError::Write { path: path.into(), source })
    })?;
    let subscriber = tracing_subscriber::registry();
    // A second start finds the first one's settings in place.
    let _ = subscriber.with(lines.with_filter(chosen)).with(messages.with_filter(others)).try_init();
    Ok(())
}
