//! Log lines of a plugin whose operations run on threads of its own.

use crate::rig::{Loaded, SECRET};
use holdall::{CallOptions, List};
use holdall_conformance::wire::{Endpoint, Reply};
use serde_json::json;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use tracing::Instrument;
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

/// Fields of the lines of plugins, with the name of the span around each.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<Line>>>);

type Line = Vec<(String, String)>;

#[derive(Default)]
struct Fields(Line);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.push((field.name().to_owned(), format!("{value:?}")));
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.push((field.name().to_owned(), value.to_owned()));
    }
}

impl<S: tracing::Subscriber + for<'a> LookupSpan<'a>> tracing_subscriber::Layer<S> for Lines {
    fn on_event(&self, event: &tracing::Event<'_>, context: Context<'_, S>) {
        if event.metadata().target() != "holdall::plugin" {
            return;
        }
        let mut fields = Fields::default();
        event.record(&mut fields);
        let span = context.event_span(event).map_or("", |span| span.name());
        fields.0.push(("program span".to_owned(), span.to_owned()));
        self.0.lock().unwrap().push(fields.0);
    }
}

#[test]
fn lines_of_a_task_name_the_request_the_trace_and_the_span() {
    let lines = Lines::default();
    let subscriber = tracing_subscriber::registry().with(lines.clone());
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        // A name that is no key is left out, with a line.
        let page = "<ListBucketResult><Contents><Key>../x</Key><LastModified>2026-01-01T00:00:00Z</LastModified><Size>1</Size></Contents></ListBucketResult>";
        let endpoint = Endpoint::always(Reply::new(200).body(page)).await;
        let loaded = Loaded::new("s3");
        let config = json!({
            "bucket": "bucket",
            "endpoint": endpoint.url(),
            "access_key_id": "id",
            "secret_access_key": SECRET,
        });
        let backend = loaded.open("lines", config).await.unwrap();
        let options = CallOptions::new()
            .request_id("request-7")
            .trace([0xab; 16], [0xcd; 8]);
        let backend = backend.with(options);
        let span = tracing::info_span!("the_program");
        let page = backend.list(List::new("")).instrument(span).await.unwrap();
        assert_eq!(page.skipped, 1);
    });
    let lines = lines.0.lock().unwrap().clone();
    let of = |line: &[(String, String)], name: &str| {
        let found = line.iter().find(|(own, _)| own == name);
        found.map_or(String::new(), |(_, value)| value.clone())
    };
    let line = lines
        .iter()
        .find(|line| of(line, "message").contains("left out"));
    let line = line.unwrap_or_else(|| panic!("no line in {lines:?}"));
    assert_eq!(of(line, "plugin"), "s3");
    assert_eq!(of(line, "request_id"), "request-7");
    assert_eq!(of(line, "trace_id"), "ab".repeat(16));
    assert_eq!(of(line, "span_id"), "cd".repeat(8));
    assert_eq!(of(line, "program span"), "the_program");
}
