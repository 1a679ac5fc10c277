//! The policy `retry` over the loaded plugin `s3`: requests and waits, counted at the provider.

use crate::rig::{Ask, Loaded, asked};
use holdall::policy::{Deadlines, Policy, Retries};
use holdall::{ErrorKind, Retry, Upload};
use holdall_conformance::wire::{Dialect, Endpoint, Fault, Reply};
use serde_json::json;
use std::time::{Duration, Instant};

struct Row {
    name: &'static str,
    ask: Ask,
    /// What the provider answers, again and again.
    reply: fn() -> Reply,
    /// Repeats that the plugin makes itself.
    own: u32,
    /// Attempts of the policy.
    attempts: u32,
    /// Requests at the provider.
    requests: usize,
    /// Least time, in milliseconds.
    least: u64,
    end: ErrorKind,
}

fn fault(fault: Fault) -> Reply {
    Dialect::S3.fault(fault)
}

#[rustfmt::skip] // One row a line.
const ROWS: &[Row] = &[
    Row { name: "503", ask: Ask::Get, reply: || Reply::new(503), own: 0, attempts: 3, requests: 3, least: 30, end: ErrorKind::Unavailable },
    Row { name: "503 to a PUT", ask: Ask::Put, reply: || Reply::new(503), own: 0, attempts: 3, requests: 3, least: 30, end: ErrorKind::Unavailable },
    Row { name: "503 to a delete", ask: Ask::Delete, reply: || Reply::new(503), own: 0, attempts: 3, requests: 3, least: 30, end: ErrorKind::Unavailable },
    Row { name: "503 to a listing", ask: Ask::List, reply: || Reply::new(503), own: 0, attempts: 2, requests: 2, least: 10, end: ErrorKind::Unavailable },
    Row { name: "429 with Retry-After", ask: Ask::Get, reply: || Reply::new(429).retry_after(1), own: 0, attempts: 3, requests: 3, least: 2_000, end: ErrorKind::RateLimited },
    Row { name: "429 with a longer Retry-After than the policy waits", ask: Ask::Get, reply: || Reply::new(429).retry_after(60), own: 0, attempts: 3, requests: 1, least: 0, end: ErrorKind::RateLimited },
    Row { name: "403", ask: Ask::Get, reply: || fault(Fault::Denied), own: 0, attempts: 3, requests: 1, least: 0, end: ErrorKind::PermissionDenied },
    Row { name: "404", ask: Ask::Get, reply: || fault(Fault::NoSuchKey), own: 0, attempts: 3, requests: 1, least: 0, end: ErrorKind::FileNotFound },
    Row { name: "one repeat of the plugin in four attempts", ask: Ask::Get, reply: || Reply::new(503), own: 1, attempts: 4, requests: 4, least: 0, end: ErrorKind::Unavailable },
    Row { name: "two repeats of the plugin in three attempts", ask: Ask::Get, reply: || Reply::new(503), own: 2, attempts: 3, requests: 3, least: 0, end: ErrorKind::Unavailable },
    Row { name: "more repeats of the plugin than attempts", ask: Ask::Get, reply: || Reply::new(503), own: 2, attempts: 2, requests: 3, least: 0, end: ErrorKind::Unavailable },
];

fn config(url: &str, own: u32) -> serde_json::Value {
    json!({
        "endpoint": url, "bucket": "bucket", "answer_timeout_seconds": 5,
        "access_key_id": "k", "secret_access_key": crate::rig::SECRET, "retries": own,
    })
}

fn policy(attempts: u32) -> Policy {
    let mut retries = Retries::default();
    retries.attempts = attempts;
    retries.first = Duration::from_millis(10);
    let mut policy = Policy::new();
    policy.retry = Some(retries);
    policy
}

#[tokio::test(flavor = "multi_thread")]
async fn attempts_and_waits_are_those_of_the_table() {
    let loaded = Loaded::new("s3");
    for row in ROWS {
        let endpoint = Endpoint::always((row.reply)()).await;
        let config = config(&endpoint.url(), row.own);
        let backend = loaded.open_with("b", config, policy(row.attempts)).await;
        let backend = backend.unwrap();
        endpoint.take_seen();
        let begun = Instant::now();
        let error = asked(&backend, row.ask).await.unwrap_err();
        assert_eq!(error.kind(), row.end, "{}: {error:?}", row.name);
        let seen = endpoint.seen().len();
        assert_eq!(seen, row.requests, "{}", row.name);
        let took = begun.elapsed();
        assert!(
            took >= Duration::from_millis(row.least),
            "{}: {took:?}",
            row.name
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_a_hang_and_a_recovery() {
    let loaded = Loaded::new("s3");
    // Half an answer, then the end of the connection: the outcome of the write is unknown.
    let endpoint = Endpoint::always(Dialect::S3.fault(Fault::Unavailable).cut(1)).await;
    let open = |name, url: String, policy| loaded.open_with(name, config(&url, 0), policy);
    let backend = open("reset", endpoint.url(), policy(3)).await.unwrap();
    endpoint.take_seen();
    let error = asked(&backend, Ask::Put).await.unwrap_err();
    assert_eq!(error.retry(), Retry::IfIdempotent, "{error:?}");
    assert_eq!(endpoint.take_seen().len(), 3);
    // Under a condition the object is asked for between; there is no answer to that either.
    let conditional = Upload::new("k", "stored").create_only();
    backend.upload(conditional).await.unwrap_err();
    let seen = endpoint.take_seen();
    assert_eq!(
        seen.iter().filter(|it| it.method == "PUT").count(),
        1,
        "{seen:?}"
    );

    let mut bounded = policy(3);
    bounded.deadline = Deadlines::all(Duration::from_secs(1));
    let endpoint = Endpoint::always(Dialect::S3.object("bytes").stalled(0)).await;
    let backend = open("hang", endpoint.url(), bounded).await.unwrap();
    endpoint.then_always(
        Reply::new(200)
            .body("x")
            .slowly(1, Duration::from_secs(600)),
    );
    endpoint.take_seen();
    let error = asked(&backend, Ask::List).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error:?}");
    assert_eq!(endpoint.take_seen().len(), 1);

    let mut count = 0;
    let endpoint = Endpoint::start(move |_| {
        count += 1;
        match count {
            1 | 2 => Reply::new(503),
            _ => Dialect::S3.object("bytes"),
        }
    })
    .await;
    let backend = open("recovers", endpoint.url(), policy(3)).await.unwrap();
    assert_eq!(asked(&backend, Ask::Get).await.unwrap(), "bytes");
    assert_eq!(endpoint.seen().len(), 3);
}
