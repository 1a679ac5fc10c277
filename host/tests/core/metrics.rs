//! Counting and timing: what is reported is what the plugin and the callers saw themselves.

use crate::plugin::{Act, Switches};
use crate::store;
use futures_util::FutureExt;
use holdall::{
    Backend, CallOptions, CounterReport, Custom, Download, ErrorKind, Head, Host, Latency, List,
    Result, Upload,
};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

fn counters(host: &Host) -> CounterReport {
    host.status().backends[0].counters.clone()
}

#[tokio::test]
async fn what_happens_is_counted() {
    let (host, backend, switches) = store().await;
    backend.upload(Upload::new("k", "12345")).await.unwrap();
    backend
        .upload(Upload::new("bad/", "12345"))
        .await
        .unwrap_err();
    let etag = backend.head(Head::new("k")).await.unwrap().etag.unwrap();
    let same = Download::new("k").if_none_match(&etag);
    assert_eq!(
        backend.download(same).await.unwrap_err().kind(),
        ErrorKind::NotModified
    );
    let read = backend.download(Download::new("k")).await.unwrap();
    read.body.collect(99).await.unwrap();
    switches.on("exists", Act::Deaf);
    drop(tokio::time::timeout(Duration::from_millis(5), backend.exists("k")).await);

    let counters = host.status().backends[0].counters.clone();
    let calls = counters.operations.iter();
    let calls: Vec<_> = calls.map(|(name, of)| (*name, of.calls)).collect();
    assert_eq!(
        calls,
        [("download", 2), ("exists", 1), ("head", 1), ("upload", 2)]
    );
    assert_eq!(counters.operations["upload"].errors["invalid_key"], 1);
    assert!(counters.operations["download"].errors.is_empty());
    assert_eq!(counters.operations["exists"].dropped, 1);
    assert_eq!(
        counters.errors.into_iter().collect::<Vec<_>>(),
        [("invalid_key", 1)]
    );
    assert_eq!((counters.bytes_in, counters.bytes_out), (5, 5));
    assert_eq!((counters.not_modified, counters.dropped), (1, 1));
    assert_eq!((counters.in_flight, counters.opens), (0, 1));
}

/// What callers saw: how often they called, and what came of it.
#[derive(Debug, Default)]
struct Tally {
    calls: BTreeMap<&'static str, u64>,
    errors: BTreeMap<&'static str, BTreeMap<String, u64>>,
    bytes_in: u64,
    bytes_out: u64,
}

impl Tally {
    fn called<T>(&mut self, operation: &'static str, outcome: Result<T>) -> Option<T> {
        *self.calls.entry(operation).or_default() += 1;
        let note = |error: holdall::Error| {
            let errors = self.errors.entry(operation).or_default();
            *errors.entry(error.code().to_owned()).or_default() += 1;
        };
        outcome.map_err(note).ok()
    }
}

/// A bit of everything: what succeeds, fails, is too late, and is dropped.
async fn traffic(backend: &Backend, task: usize, tally: &Mutex<Tally>) {
    let key = format!("k-{task}");
    let hurried = CallOptions::new().timeout(Duration::from_millis(5));
    for round in 0..25 {
        let bytes = vec![7u8; task * 100 + round];
        let size = bytes.len() as u64;
        let uploaded = backend.upload(Upload::new(&key, bytes)).await;
        let downloaded = backend.download(Download::new(&key)).await;
        let missing = backend.head(Head::new("missing")).await;
        let refused = backend.list(List::new("")).await;
        let late = backend.with(hurried.clone());
        let late = late.custom(Custom::new("any", "")).await;
        let went_away = backend.usage().now_or_never();
        assert!(went_away.is_none(), "the plugin is deaf here");
        let body = downloaded.unwrap().body.collect(1 << 20).await.unwrap();

        let mut tally = tally.lock().unwrap();
        tally.called("upload", uploaded).unwrap();
        tally.called("download", Ok(()));
        assert!(tally.called("head", missing).is_none());
        assert!(tally.called("list", refused).is_none());
        assert!(tally.called("custom", late).is_none());
        tally.called("usage", Ok(()));
        tally.bytes_in += size;
        tally.bytes_out += body.len() as u64;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_report_equals_what_plugin_and_callers_counted() {
    let (host, backend, switches) = store().await;
    switches.on("list", Act::Fail(ErrorKind::RateLimited));
    switches.on("custom", Act::Deaf);
    switches.on("usage", Act::Deaf);
    let tally = Arc::<Mutex<Tally>>::default();
    let ended = Arc::new(AtomicBool::new(false));
    let watcher = tokio::spawn({
        let (host, ended) = (host.clone(), ended.clone());
        async move {
            while !ended.load(Ordering::Relaxed) {
                for (name, seen) in counters(&host).operations {
                    let over = seen.latency.count() + seen.dropped;
                    assert!(seen.calls >= over, "{name}: an answer without its call");
                }
                tokio::task::yield_now().await;
            }
        }
    });
    let tasks = (0..8).map(|task| {
        let (backend, tally) = (backend.clone(), tally.clone());
        tokio::spawn(async move { traffic(&backend, task, &tally).await })
    });
    futures_util::future::try_join_all(tasks).await.unwrap();
    ended.store(true, Ordering::Relaxed);
    watcher.await.unwrap();

    let (report, tally) = (counters(&host), tally.lock().unwrap());
    let names: Vec<_> = report.operations.keys().copied().collect();
    assert_eq!(names, tally.calls.keys().copied().collect::<Vec<_>>());
    for (name, seen) in &report.operations {
        assert_eq!(seen.calls, tally.calls[name], "{name}");
        let errors = seen.errors.iter();
        let errors = errors.map(|(code, count)| ((*code).to_owned(), *count));
        let expected = tally.errors.get(name).cloned().unwrap_or_default();
        assert_eq!(errors.collect::<BTreeMap<_, _>>(), expected, "{name}");
        let dropped = if *name == "usage" { seen.calls } else { 0 };
        assert_eq!(seen.dropped, dropped, "{name}");
        assert_eq!(seen.latency.count(), seen.calls - dropped, "{name}");
        assert_eq!(seen.in_flight, 0, "{name}");
        if *name != "custom" {
            // There a caller may be too late before the plugin is entered.
            assert_eq!(seen.calls, switches.entered_by(name), "{name}");
        }
    }
    let all: BTreeMap<_, _> = [
        ("file_not_found", 200),
        ("rate_limited", 200),
        ("timeout", 200),
    ]
    .into();
    assert_eq!(report.errors, all);
    assert_eq!(report.released_at_deadline, 200);
    assert_eq!((report.in_flight, report.dropped), (0, 200));
    assert_eq!(
        (report.bytes_in, report.bytes_out),
        (tally.bytes_in, tally.bytes_out)
    );
}

#[tokio::test]
async fn what_goes_on_is_in_flight_and_then_timed() {
    let (host, backend, switches) = store().await;
    switches.on("exists", Act::Gated);
    let waiting: Vec<_> = (0..5)
        .map(|_| {
            let backend = backend.clone();
            tokio::spawn(async move { backend.exists("k").await })
        })
        .collect();
    while switches.entered_by("exists") < 5 {
        tokio::task::yield_now().await;
    }
    let seen = counters(&host);
    assert_eq!(
        (seen.in_flight, seen.operations["exists"].in_flight),
        (5, 5)
    );
    assert_eq!(seen.operations["exists"].latency.count(), 0);

    let (pause, below) = (Duration::from_millis(30), Duration::from_millis(20));
    tokio::time::sleep(pause).await;
    switches.gate.add_permits(5);
    futures_util::future::try_join_all(waiting).await.unwrap();
    let exists = &counters(&host).operations["exists"];
    assert_eq!((exists.in_flight, exists.latency.count()), (0, 5));
    assert!(exists.latency.sum >= 5 * pause);
    let mut bounds = exists.latency.cumulative();
    let faster = bounds.find(|(bound, _)| *bound == Some(below)).unwrap();
    assert_eq!(faster.1, 0, "{exists:?}");
    let median = exists.latency.quantile(0.5);
    assert!(median.is_none_or(|median| median > below));
}

#[tokio::test]
async fn the_error_of_a_body_is_one_of_its_download() {
    let (host, backend, switches) = store().await;
    switches.put("k", "abc");
    switches.on("download", Act::Lie("stream"));
    switches.on("chunk", Act::Fail(ErrorKind::Unavailable));
    let body = backend.download(Download::new("k")).await.unwrap().body;
    body.collect(99).await.unwrap_err();
    let download = &counters(&host).operations["download"];
    assert_eq!(download.errors["unavailable"], 1);
    assert_eq!((download.calls, download.latency.count()), (1, 1));
}

#[tokio::test]
async fn the_report_goes_on_through_registrations_and_into_json() {
    let (host, backend, _) = store().await;
    backend.exists("k").await.unwrap();
    let other = Switches::new();
    host.register("store", crate::probe(&other)).unwrap();
    backend.exists("k").await.unwrap();
    let json = serde_json::to_value(counters(&host)).unwrap();
    let exists = &json["operations"]["exists"];
    assert_eq!((&exists["calls"], &json["opens"]), (&2.into(), &2.into()));
    let latency = &exists["latency"];
    let counts = latency["counts"].as_array().unwrap();
    assert_eq!(counts.len(), Latency::bounds().len() + 1);
    assert!(latency["sum_seconds"].as_f64().is_some_and(|sum| sum > 0.0));
}
