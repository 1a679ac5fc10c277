//! `tracing` inside a plugin arrives at the host's log.
//!
//! A loaded library has its own copy of `tracing`, which has no subscriber; this one subscribes,
//! and passes every event on with its target, place, fields and the spans around it. The host's
//! level is asked first, so that a disabled event formats nothing.

use super::guard;
use super::host::{LogLine, Services};
use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use tracing_core::field::{Field, Visit};
use tracing_core::span::{Attributes, Current, Id, Record};
use tracing_core::subscriber::Interest;
use tracing_core::{Dispatch, Event, Level, Metadata, Subscriber};

/// Listens to this library's events from now on. Only for a loaded plugin: one that is linked in
/// shares the program's own subscriber.
pub(crate) fn install(services: Services) {
    // Fails when the plugin has set one of its own, which is its right.
    let _ = tracing_core::dispatcher::set_global_default(Dispatch::new(Bridge::new(services)));
}

struct Bridge {
    services: Services,
    next_span: AtomicU64,
    spans: Mutex<HashMap<u64, Span>>,
}

struct Span {
    metadata: &'static Metadata<'static>,
    fields: String,
    handles: usize,
}

thread_local! {
    static ENTERED: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

impl Bridge {
    fn new(services: Services) -> Self {
        Self {
            services,
            next_span: AtomicU64::new(1),
            spans: Mutex::default(),
        }
    }

    fn spans(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Span>> {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `outer{a=1}:inner{b=2}`, empty outside any span.
    fn path(&self) -> String {
        let entered = ENTERED.with_borrow(Clone::clone);
        if entered.is_empty() {
            return String::new();
        }
        let spans = self.spans();
        let names =
            entered
                .iter()
                .filter_map(|id| spans.get(id))
                .map(|span| match span.fields.as_str() {
                    "" => span.metadata.name().to_owned(),
                    fields => format!("{}{{{fields}}}", span.metadata.name()),
                });
        names.collect::<Vec<_>>().join(":")
    }
}

fn number(level: &Level) -> u32 {
    match *level {
        Level::ERROR => 1,
        Level::WARN => 2,
        Level::INFO => 3,
        Level::DEBUG => 4,
        Level::TRACE => 5,
    }
}

#[derive(Default)]
struct Fields {
    message: String,
    rest: Vec<(&'static str, String)>,
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        match field.name() {
            "message" => self.message = text,
            name => self.rest.push((name, text)),
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => value.clone_into(&mut self.message),
            name => self.rest.push((name, value.to_owned())),
        }
    }
}

fn inline(fields: &Fields) -> String {
    let mut text = String::new();
    for (index, (name, value)) in fields.rest.iter().enumerate() {
        let _ = write!(text, "{}{name}={value}", if index > 0 { " " } else { "" });
    }
    text
}

impl Subscriber for Bridge {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        // The host may change its level at any time.
        Interest::sometimes()
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        number(metadata.level()) <= self.services.log_level()
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let id = self.next_span.fetch_add(1, Ordering::Relaxed);
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let span = Span {
            metadata: attributes.metadata(),
            fields: inline(&fields),
            handles: 1,
        };
        self.spans().insert(id, span);
        Id::from_u64(id)
    }

    fn record(&self, id: &Id, record: &Record<'_>) {
        let mut fields = Fields::default();
        record.record(&mut fields);
        if let Some(span) = self.spans().get_mut(&id.into_u64()) {
            if !span.fields.is_empty() {
                span.fields.push(' ');
            }
            span.fields.push_str(&inline(&fields));
        }
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let path = self.path();
        if !path.is_empty() {
            fields.rest.push(("span", path));
        }
        let metadata = event.metadata();
        let line = LogLine {
            level: number(metadata.level()),
            target: metadata.target(),
            message: &fields.message,
            place: metadata
                .file()
                .map(|file| (file, metadata.line().unwrap_or(0))),
            fields: &fields.rest,
        };
        self.services.log(&line, guard::current_call());
    }

    fn enter(&self, id: &Id) {
        ENTERED.with_borrow_mut(|entered| entered.push(id.into_u64()));
    }

    fn exit(&self, id: &Id) {
        ENTERED.with_borrow_mut(|entered| {
            if let Some(at) = entered.iter().rposition(|one| *one == id.into_u64()) {
                entered.remove(at);
            }
        });
    }

    fn clone_span(&self, id: &Id) -> Id {
        if let Some(span) = self.spans().get_mut(&id.into_u64()) {
            span.handles += 1;
        }
        id.clone()
    }

    fn try_close(&self, id: Id) -> bool {
        let mut spans = self.spans();
        let Some(span) = spans.get_mut(&id.into_u64()) else {
            return false;
        };
        span.handles -= 1;
        let last = span.handles == 0;
        if last {
            spans.remove(&id.into_u64());
        }
        last
    }

    fn current_span(&self) -> Current {
        let Some(id) = ENTERED.with_borrow(|entered| entered.last().copied()) else {
            return Current::none();
        };
        match self.spans().get(&id) {
            Some(span) => Current::new(Id::from_u64(id), span.metadata),
            None => Current::none(),
        }
    }
}
