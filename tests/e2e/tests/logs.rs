//! What a plugin says reaches the host's log whole, and what it should keep to itself does not.
//!
//! A process of its own: the log is the program's, and everything in it is searched.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "tests; a panic is the report"
)]

use holdall::config::{Config, Environment, GatewayConfig};
use holdall::{
    Backend, CallOptions, Custom, Download, Host, Method, PluginRef, Registration, SignUrl, Upload,
};
use holdall_e2e::artifacts;
use serde_json::json;
use std::fmt::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;

/// One log line: level, target and fields by name.
#[derive(Clone, Debug)]
struct Line {
    level: tracing::Level,
    target: String,
    fields: Vec<(&'static str, String)>,
}

impl Line {
    fn field(&self, name: &str) -> &str {
        let found = self.fields.iter().find(|(own, _)| *own == name);
        found.map_or("", |(_, value)| value)
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.fields.push((field.name(), format!("{value:?}")));
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.fields.push((field.name(), value.to_owned()));
    }
}

static LINES: Mutex<Vec<Line>> = Mutex::new(Vec::new());
/// The index of the level in [`LEVELS`].
static LEVEL: AtomicUsize = AtomicUsize::new(5);
const LEVELS: [LevelFilter; 6] = [
    LevelFilter::OFF,
    LevelFilter::ERROR,
    LevelFilter::WARN,
    LevelFilter::INFO,
    LevelFilter::DEBUG,
    LevelFilter::TRACE,
];

struct Collect;

impl tracing::Subscriber for Collect {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() <= LEVELS[LEVEL.load(Ordering::SeqCst)]
    }
    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LEVELS[LEVEL.load(Ordering::SeqCst)])
    }
    fn new_span(&self, attributes: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        // A span's fields are output too.
        let mut line = line(attributes.metadata());
        attributes.record(&mut line);
        LINES.lock().unwrap().push(line);
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        let mut line = line(event.metadata());
        event.record(&mut line);
        LINES.lock().unwrap().push(line);
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

fn line(metadata: &tracing::Metadata<'_>) -> Line {
    Line {
        level: *metadata.level(),
        target: metadata.target().to_owned(),
        fields: Vec::new(),
    }
}

fn listen(level: usize) {
    static LISTENING: LazyLock<()> = LazyLock::new(|| {
        tracing::subscriber::set_global_default(Collect).unwrap();
    });
    LEVEL.store(level, Ordering::SeqCst);
    LazyLock::force(&LISTENING);
    tracing::callsite::rebuild_interest_cache();
    LINES.lock().unwrap().clear();
}

/// The log is one.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(work)
}

struct Stand {
    host: Host,
    _plugins: tempfile::TempDir,
}

impl Stand {
    fn new(environment: Environment) -> Self {
        let plugins = tempfile::tempdir().unwrap();
        artifacts().folder_of([artifacts().misbehaving()], plugins.path());
        let mut config = Config::default();
        config.gateway =
            Some(GatewayConfig::new("https://files.example").key("1", "env:GATEWAY_SECRET"));
        let host = Host::builder()
            .plugin_dir(plugins.path())
            .config(config)
            .env(environment)
            .build()
            .unwrap();
        Self {
            host,
            _plugins: plugins,
        }
    }

    fn misbehaving(&self, name: &str, config: serde_json::Value) -> Backend {
        let registration = Registration::new(PluginRef::from("misbehaving")).config(config);
        self.host.register(name, registration).unwrap();
        self.host.handle(name).unwrap()
    }
}

const GATEWAY: (&str, &str) = ("GATEWAY_SECRET", "canary-of-the-gateway-0001");

async fn formatted(backend: &Backend) -> u64 {
    let count = backend.custom(Custom::new("formatted", "")).await.unwrap();
    std::str::from_utf8(&count).unwrap().parse().unwrap()
}

#[test]
fn events_of_five_levels_arrive_whole() {
    let _alone = alone();
    listen(5);
    block_on(async {
        let stand = Stand::new(Environment::from_iter([GATEWAY]));
        let backend = stand.misbehaving("chatty", json!({}));
        let named = backend.with(CallOptions::new().request_id("request-45"));
        assert!(named.exists("log-levels").await.unwrap());
    });
    let lines = LINES.lock().unwrap().clone();
    for (level, message) in [
        (tracing::Level::ERROR, "level error"),
        (tracing::Level::WARN, "level warn"),
        (tracing::Level::INFO, "level info"),
        (tracing::Level::DEBUG, "level debug"),
        (tracing::Level::TRACE, "level trace"),
    ] {
        let found: Vec<_> = lines
            .iter()
            .filter(|line| line.field("message") == message)
            .collect();
        assert_eq!(found.len(), 1, "{message}: {found:?}");
        let line = found[0];
        assert_eq!((line.level, &*line.target), (level, "holdall::plugin"));
        assert_eq!(line.field("plugin"), "misbehaving");
        assert_eq!(line.field("origin"), "holdall_misbehaving");
        assert_eq!(line.field("request_id"), "request-45");
        let fields = line.field("fields");
        assert!(fields.contains("counted=counted"), "{fields}");
        assert!(fields.contains("span=outer{id=7}"), "{fields}");
    }
}

#[test]
fn a_level_that_is_off_formats_nothing() {
    let _alone = alone();
    for (level, name) in LEVELS.iter().enumerate() {
        listen(level);
        block_on(async {
            let stand = Stand::new(Environment::from_iter([GATEWAY]));
            let backend = stand.misbehaving("chatty", json!({}));
            let before = formatted(&backend).await;
            assert!(backend.exists("log-levels").await.unwrap());
            let now = formatted(&backend).await - before;
            assert_eq!(now, level as u64, "values formatted at level {:?}", name);
        });
        let lines = LINES.lock().unwrap();
        let arrived = lines
            .iter()
            .filter(|line| line.field("message").starts_with("level "));
        assert_eq!(arrived.count(), level, "lines at level {:?}", name);
    }
}

/// The lines of a level whose message begins so.
fn told(level: tracing::Level, message: &str) -> Vec<Line> {
    let lines = LINES.lock().unwrap().clone();
    let is_it = |line: &Line| line.level == level && line.field("message").starts_with(message);
    lines.into_iter().filter(is_it).collect()
}

#[test]
fn a_poll_that_holds_its_caller_is_logged() {
    let _alone = alone();
    listen(2);
    block_on(async {
        let stand = Stand::new(Environment::from_iter([GATEWAY]));
        let backend = stand.misbehaving("slow", json!({}));
        assert!(backend.exists("slow-200").await.unwrap());
        let message = "a poll of the plugin held its caller's thread";
        assert_eq!(
            told(tracing::Level::WARN, message).len(),
            0,
            "it waited, and held nothing"
        );
        assert!(backend.exists("block-200").await.unwrap());
        let found = told(tracing::Level::WARN, message);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].field("plugin"), "misbehaving");
        assert_eq!(found[0].field("operation"), "exists");
        let took: u64 = found[0].field("milliseconds").parse().unwrap();
        assert!((150..2000).contains(&took), "{took}");
    });
}

#[test]
fn a_fault_inside_a_body_is_logged_as_one_inside_a_call() {
    let _alone = alone();
    listen(2);
    block_on(async {
        let stand = Stand::new(Environment::from_iter([GATEWAY]));
        let backend = stand.misbehaving("torn", json!({}));
        let downloaded = backend
            .download(Download::new("panic-stream"))
            .await
            .unwrap();
        let error = downloaded.body.collect(1 << 20).await.unwrap_err();
        assert_eq!(error.kind(), holdall::ErrorKind::PluginFault);
    });
    let found = told(
        tracing::Level::WARN,
        "a plugin broke the contract in a body",
    );
    assert_eq!(found.len(), 1, "{:?}", LINES.lock().unwrap());
}

#[test]
fn a_reference_in_a_field_that_is_no_secret_is_logged() {
    let _alone = alone();
    listen(2);
    block_on(async {
        let stand = Stand::new(Environment::from_iter([GATEWAY]));
        let secret = json!({ "secret": "env:GATEWAY_SECRET", "panic_in": "plain" });
        stand
            .misbehaving("right", secret)
            .exists("x")
            .await
            .unwrap();
        let message = "the text looks like a reference to a secret";
        assert_eq!(told(tracing::Level::WARN, message).len(), 0);
        let plain = json!({ "panic_in": "env:NOT_SET" });
        stand.misbehaving("wrong", plain).exists("x").await.unwrap();
        let found = told(tracing::Level::WARN, message);
        assert!(!found.is_empty());
        assert_eq!(found[0].field("field"), "backend.wrong.config.panic_in");
    });
}

/// Odd enough to be spelt in several ways: as it is, escaped by `Debug` and JSON, percent-encoded.
const CANARY: &str = "canary/of \"the\" plugin+0002";

/// Whatever the host gives out about a backend that tells its secret wherever it can.
async fn outputs(stand: &Stand, name: &str, config: serde_json::Value) -> String {
    let mut all = String::new();
    let backend = stand.misbehaving(name, config);
    let mut errors = Vec::new();
    // A backend that panics is left alone for a while: that comes last.
    for key in [
        "fine",
        "tell-error",
        "tell-log",
        "tell-task",
        "tell-stream",
        "tell-panic",
    ] {
        match backend.download(Download::new(key)).await {
            Ok(downloaded) => errors.extend(downloaded.body.collect(100).await.err()),
            Err(error) => errors.push(error),
        }
        errors.extend(backend.upload(Upload::new(key, "x")).await.err());
        errors.extend(backend.exists(key).await.err());
        let sign = SignUrl::new(Method::Get, key, Duration::from_secs(60));
        match backend.signed_url(sign).await {
            Ok(url) => writeln!(all, "{url:?} {}", url.url).unwrap(),
            Err(error) => errors.push(error),
        }
        match backend.health().await {
            Ok(health) => writeln!(all, "{health:?}").unwrap(),
            Err(error) => errors.push(error),
        }
        match backend.info().await {
            Ok(facts) => writeln!(all, "{facts:?}").unwrap(),
            Err(error) => errors.push(error),
        }
        let status = stand.host.status();
        writeln!(
            all,
            "{status:?} {}",
            serde_json::to_string(&status).unwrap()
        )
        .unwrap();
    }
    assert!(errors.len() >= 3, "{errors:?}");
    for error in errors {
        let mut source: Option<&dyn std::error::Error> = Some(&error);
        while let Some(cause) = source {
            writeln!(all, "{cause} {cause:?}").unwrap();
            source = cause.source();
        }
        writeln!(
            all,
            "{} {:?}",
            error.code(),
            error.facts().collect::<Vec<_>>()
        )
        .unwrap();
    }
    writeln!(
        all,
        "{:?} {backend:?} {:?}",
        stand.host,
        stand.host.config()
    )
    .unwrap();
    writeln!(all, "{:?}", stand.host.check_config()).unwrap();
    all
}

#[test]
fn no_output_of_a_failing_run_shows_a_secret() {
    let _alone = alone();
    listen(5);
    let text = block_on(async {
        let environment = Environment::from_iter([GATEWAY, ("CANARY", CANARY)]);
        let stand = Stand::new(environment);
        let mut all = outputs(&stand, "by-reference", json!({ "secret": "env:CANARY" })).await;
        all += &outputs(&stand, "in-place", json!({ "secret": CANARY })).await;
        all += &outputs(
            &stand,
            "refused",
            json!({ "secret": CANARY, "tell_when_opening": true }),
        )
        .await;
        // A configuration that is wrong elsewhere, and one whose secret is of the wrong type.
        let wrong = json!({ "secret": CANARY, "fail": "many", "unknown": 1 });
        all += &outputs(&stand, "wrong", wrong).await;
        all += &outputs(&stand, "wrong-type", json!({ "secret": [CANARY] })).await;
        all
    });
    // The plugin did tell, and the log has its lines.
    assert!(text.contains("told: [redacted]"), "{text}");
    let lines = LINES.lock().unwrap();
    let told = lines
        .iter()
        .filter(|line| line.field("message").contains("told"));
    assert!(told.clone().count() >= 12, "{lines:#?}");
    assert!(
        told.clone()
            .any(|line| line.field("message").contains("a panic in")),
        "{lines:#?}"
    );

    let escaped = format!("{CANARY:?}");
    let canaries = [
        CANARY,
        escaped.trim_matches('"'),
        GATEWAY.1,
        "canary",
        "plugin%2B0002",
    ];
    for (place, text) in [("an answer", text), ("the log", format!("{lines:?}"))] {
        for canary in canaries {
            let at = text.find(canary);
            let near = at.map(|at| {
                text[at.saturating_sub(200)..]
                    .chars()
                    .take(300)
                    .collect::<String>()
            });
            assert_eq!(
                at,
                None,
                "{place} shows {canary:?}: {}",
                near.unwrap_or_default()
            );
        }
    }
}
