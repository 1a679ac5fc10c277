//! The factory: single flight, failures, back-off. Cases P-02, P-03, P-08, P-16.

use crate::plugin::{Act, Switches};
use crate::{bare, host, probe, store, with};
use holdall::{Backend, ErrorKind, KeyPolicy, Retry, Upload};
use serde_json::json;
use std::sync::atomic::Ordering;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p_02_a_thousand_first_gets_open_once() {
    let (host, switches) = (host(), Switches::new());
    switches.on("open", Act::Gated);
    host.register("store", probe(&switches)).unwrap();
    let gets: Vec<_> = (0..1000)
        .map(|_| tokio::spawn(host.backend("store")))
        .collect();
    switches.gate.add_permits(1);
    for get in gets {
        get.await.unwrap().unwrap();
    }
    assert_eq!(switches.opens(), 1);
}

#[tokio::test(start_paused = true)]
async fn p_03_a_failed_open_reaches_all_waiters_and_is_not_kept() {
    let (host, switches) = (host(), Switches::new());
    switches.on("open", Act::Fail(ErrorKind::Unavailable));
    host.register("store", probe(&switches)).unwrap();
    let gets = (0..64).map(|_| host.backend("store"));
    for outcome in futures_util::future::join_all(gets).await {
        let error = outcome.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert_eq!(error.place().backend.as_deref(), Some("store"));
        assert_eq!(error.place().plugin.as_deref(), Some("probe"));
    }
    assert_eq!(switches.opens(), 1, "one attempt for all of them");
    switches.off("open");
    host.backend("store").await.unwrap();
    assert_eq!(switches.opens(), 2, "and the next get tries at once");
}

#[tokio::test(start_paused = true)]
async fn repeated_failures_back_off_and_say_when() {
    let (host, switches) = (host(), Switches::new());
    switches.on("open", Act::Fail(ErrorKind::Unavailable));
    host.register("store", probe(&switches)).unwrap();
    let mut waits = Vec::new();
    for attempt in 1..=5 {
        host.backend("store").await.unwrap_err();
        assert_eq!(switches.opens(), attempt);
        let again = host.backend("store").await.unwrap_err();
        if let Retry::After(wait) = again.retry() {
            assert_eq!(switches.opens(), attempt, "no attempt during the back-off");
            assert_eq!(again.kind(), ErrorKind::Unavailable, "the last error");
            waits.push(wait.as_millis());
            assert_eq!(host.status().backends[0].state, "backing_off");
            tokio::time::advance(wait).await;
        } else {
            // The second get of all: at once.
            assert_eq!((attempt, switches.opens()), (1, 2));
            break;
        }
    }
    // Attempt 2 has failed now: 100 ms, then doubling.
    for attempt in 3..=6 {
        let refused = host.backend("store").await.unwrap_err();
        let Retry::After(wait) = refused.retry() else {
            panic!("{refused:?}")
        };
        waits.push(wait.as_millis());
        tokio::time::advance(wait).await;
        host.backend("store").await.unwrap_err();
        assert_eq!(switches.opens(), attempt);
    }
    assert_eq!(waits, [100, 200, 400, 800]);
    switches.off("open");
    tokio::time::advance(Duration::from_secs(30)).await;
    host.backend("store").await.unwrap();
    host.reset_instances();
    switches.on("open", Act::Fail(ErrorKind::Unavailable));
    host.backend("store").await.unwrap_err();
    host.backend("store").await.unwrap_err();
    assert_eq!(switches.opens(), 9, "a success forgets the failures");
}

/// Ten callers that never let up, for a minute: the store that is down is asked now and then.
#[tokio::test(start_paused = true)]
async fn a_failure_storm_opens_few_times() {
    let (host, switches) = (host(), Switches::new());
    switches.on("open", Act::Fail(ErrorKind::Unavailable));
    host.register("store", probe(&switches)).unwrap();
    let mut answers = 0;
    for _ in 0..6000 {
        let gets = (0..10).map(|_| host.backend("store"));
        for outcome in futures_util::future::join_all(gets).await {
            assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Unavailable);
            answers += 1;
        }
        tokio::time::advance(Duration::from_millis(10)).await;
    }
    assert_eq!(answers, 60_000);
    // Two at once, then after 0.1, 0.2, 0.4 ... 25.6 s; 51 s later the minute is over.
    let opens = switches.opens();
    assert!((8..=11).contains(&opens), "{opens} opens in a minute");
}

#[tokio::test]
async fn a_caller_that_goes_away_ends_no_open() {
    let (host, switches) = (host(), Switches::new());
    switches.on("open", Act::Gated);
    host.register("store", probe(&switches)).unwrap();
    let first = tokio::time::timeout(Duration::from_millis(20), host.backend("store"));
    assert!(first.await.is_err());
    assert_eq!(host.status().backends[0].state, "opening");
    switches.gate.add_permits(1);
    host.backend("store").await.unwrap();
    assert_eq!(switches.opens(), 1);
}

#[tokio::test]
async fn p_08_refused_credentials_open_the_instance_anew() {
    let (_host, backend, switches) = store().await;
    switches.on("exists", Act::Fail(ErrorKind::Unauthenticated));
    let error = backend.exists("k").await.unwrap_err();
    assert_eq!(
        (error.kind(), switches.opens()),
        (ErrorKind::Unauthenticated, 1)
    );
    switches.off("exists");
    backend.exists("k").await.unwrap();
    assert_eq!(switches.opens(), 2);
    assert_eq!(switches.drops.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn p_16_a_panic_is_an_error_and_the_instance_is_rebuilt() {
    let (host, backend, switches) = store().await;
    let other = Switches::new();
    host.register("other", probe(&other)).unwrap();
    let neighbour = host.backend("other").await.unwrap();
    switches.on("exists", Act::Panic);
    let error = backend.exists("k").await.unwrap_err();
    assert_eq!(
        (error.kind(), error.kind().status()),
        (ErrorKind::PluginFault, 500)
    );
    assert!(format!("{error:?}").contains("exists panics"), "{error:?}");
    assert_eq!(error.place().key.as_deref(), Some("k"));
    neighbour.exists("k").await.unwrap();
    assert_eq!(other.opens(), 1, "others go on as they are");
    switches.off("exists");
    backend.exists("k").await.unwrap();
    assert_eq!(switches.opens(), 2);
    let plugins = host.plugins();
    let probe = plugins
        .iter()
        .find(|plugin| plugin.name == "probe")
        .unwrap();
    assert!(probe.faults.unwrap().panics_in_calls >= 1);
}

#[tokio::test]
async fn every_operation_survives_a_panic() {
    use holdall::{
        CopyObject, Custom, Delete, DeleteMany, Download, Head, List, Method, Rename, SignUrl,
    };
    let (_host, backend, switches) = store().await;
    let life = Duration::from_secs(60);
    for operation in [
        "upload",
        "download",
        "delete",
        "exists",
        "signed_url",
        "head",
        "list",
        "copy",
        "rename",
        "delete_many",
        "health",
        "usage",
        "shutdown",
        "custom",
        "open",
    ] {
        // Each on a fresh registration, so that the back-off of rebuilds stays out of it.
        _host.register("store", probe(&switches)).unwrap();
        switches.on(operation, Act::Panic);
        let backend: &Backend = &backend;
        let kind = match operation {
            "upload" => backend.upload(Upload::new("k", "x")).await.err(),
            "download" => backend.download(Download::new("k")).await.err(),
            "delete" => backend.delete(Delete::new("k")).await.err(),
            "signed_url" => backend
                .signed_url(SignUrl::new(Method::Get, "k", life))
                .await
                .err(),
            "head" => backend.head(Head::new("k")).await.err(),
            "list" => backend.list(List::new("")).await.err(),
            "copy" => backend.copy(CopyObject::new("a", "b")).await.err(),
            "rename" => backend.rename(Rename::new("a", "b")).await.err(),
            "delete_many" => backend.delete_many(DeleteMany::new(["a"])).await.err(),
            "health" => backend.health().await.err(),
            "usage" => backend.usage().await.err(),
            "shutdown" => {
                backend.info().await.unwrap();
                backend.shutdown().await.err()
            }
            "custom" => backend.custom(Custom::new("c", "x")).await.err(),
            _ => backend.exists("k").await.err(),
        };
        let kind = kind.map(|error| error.kind());
        assert_eq!(kind, Some(ErrorKind::PluginFault), "{operation}");
        switches.off(operation);
    }
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_faults_again_and_again_is_not_rebuilt_without_end() {
    let (_host, backend, switches) = store().await;
    switches.on("exists", Act::Fail(ErrorKind::PluginFault));
    for _ in 0..50 {
        assert_eq!(
            backend.exists("k").await.unwrap_err().kind(),
            ErrorKind::PluginFault
        );
    }
    assert_eq!(switches.opens(), 6, "five rebuilds are free, then it waits");
    let refused = backend.exists("k").await.unwrap_err();
    let Retry::After(wait) = refused.retry() else {
        panic!("{refused:?}")
    };
    switches.off("exists");
    tokio::time::advance(wait).await;
    backend.exists("k").await.unwrap();
}

#[tokio::test]
async fn a_bad_configuration_reaches_no_plugin_and_tells_every_field() {
    let (host, switches) = (host(), Switches::new());
    let registration = with("probe", &switches, json!({ "secrte": "x", "claims": 7 }));
    host.register("store", registration).unwrap();
    let error = host.backend("store").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConfigInvalid);
    assert_eq!(error.facts().count(), 2, "{error:?}");
    assert!(
        format!("{error:?}").contains("did you mean \\\"secret\\\"?"),
        "{error:?}"
    );
    assert_eq!(switches.opens(), 0);
}

#[tokio::test]
async fn a_store_with_partial_objects_needs_consent() {
    let (host, switches) = (host(), Switches::new());
    let registration = with("bare", &switches, json!({ "claims": [] }));
    host.register("store", registration.clone()).unwrap();
    let error = host.backend("store").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConfigInvalid);
    assert!(
        error
            .fact("fix")
            .unwrap()
            .contains("allow_non_atomic_put = true")
    );
    host.register("store", registration.allow_non_atomic_put())
        .unwrap();
    let backend = host.backend("store").await.unwrap();
    backend.upload(Upload::new("k", "x")).await.unwrap();
}

#[tokio::test]
async fn opaque_keys_need_a_store_that_keeps_them() {
    let (host, switches) = (host(), Switches::new());
    let registration = probe(&switches).key_policy(KeyPolicy::Opaque);
    host.register("store", registration).unwrap();
    let error = host.backend("store").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConfigInvalid);
}

#[tokio::test]
async fn an_instance_that_was_shut_down_is_not_replaced_in_secret() {
    let (host, backend, switches) = store().await;
    backend.shutdown().await.unwrap();
    backend.shutdown().await.unwrap();
    for _ in 0..2 {
        let kind = backend.exists("k").await.unwrap_err().kind();
        assert_eq!(kind, ErrorKind::Unavailable);
    }
    assert_eq!(host.status().backends[0].state, "shut_down");
    switches.off("exists");
    host.reset_instances();
    backend.exists("k").await.unwrap();
    assert_eq!(switches.opens(), 2);
}

#[tokio::test]
async fn a_sick_instance_is_opened_anew() {
    let (_host, backend, switches) = store().await;
    switches.on("health", Act::Lie("down"));
    assert!(!backend.health().await.unwrap().healthy);
    switches.off("health");
    assert!(backend.health().await.unwrap().healthy);
    assert_eq!(switches.opens(), 2);
    let (_host, backend, _) = bare(json!({})).await;
    assert_eq!(
        backend.health().await.unwrap_err().kind(),
        ErrorKind::Unsupported
    );
}

#[tokio::test]
async fn a_fault_that_is_only_data_costs_the_instance_too() {
    let (host, backend, switches) = bare(json!({})).await;
    switches.on("delete", Act::Panic);
    let answers = backend
        .delete_many(holdall::DeleteMany::new(["a", "b"]))
        .await
        .unwrap();
    assert!(answers.iter().all(|answer| answer.is_err()));
    backend.exists("k").await.unwrap();
    assert_eq!(switches.opens(), 2);
    assert_eq!(host.status().backends[0].counters.evictions, 1);
}
