//! `-d` and `-D`: log items are `tracing` targets of the same name; everything else that is worth a line goes to
//! stderr as a message of the program.

use std::fmt;
use std::fs::File;
use std::sync::Mutex;

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, layer as fmt_layer};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use super::error::SystemError;
use crate::options::LogOptions;
use crate::options::log::ITEMS;

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

/// Starts logging; once in a process.
pub fn start(program: &str, options: &LogOptions) -> Result<(), SystemError> {
    let names = || ITEMS.iter().map(|(name, item, _)| (*name, options.items.contains(item)));
    let items = names().filter(|(_, on)| *on).map(|(name, _)| (name, LevelFilter::TRACE));
    let items = Targets::new().with_targets(items);
    let others = Targets::new().with_default(LevelFilter::WARN);
    let others = others.with_targets(names().map(|(name, _)| (name, LevelFilter::OFF)));

    let messages = fmt_layer().event_format(Plain(format!("{program}: "))).with_writer(std::io::stderr);
    let lines = fmt_layer().event_format(Plain(String::new()));
    let lines = match &options.file {
        None => lines.with_writer(std::io::stderr).boxed(),
        Some(path) => {
            let file =
                File::create(path).map_err(|source| SystemError::Write { path: path.into(), source })?;
            lines.with_writer(Mutex::new(file)).boxed()
        }
    };
    let subscriber = tracing_subscriber::registry();
    // A second start finds the first one's settings in place.
    let _ = subscriber.with(lines.with_filter(items)).with(messages.with_filter(others)).try_init();
    Ok(())
}
