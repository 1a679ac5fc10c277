//! Deadlines and cancelling.

use crate::plugin::{Act, Switches};
use crate::{host, probe, store};
use holdall::{CallOptions, CancellationToken, Download, ErrorKind, Head, Upload};
use std::time::{Duration, Instant};

#[tokio::test]
async fn a_caller_of_a_deaf_plugin_is_released_at_its_deadline() {
    let (host, backend, switches) = store().await;
    switches.on("exists", Act::Deaf);
    let started = Instant::now();
    let hurried = backend.with(CallOptions::new().timeout(Duration::from_millis(30)));
    let error = hurried.exists("k").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(started.elapsed() >= Duration::from_millis(30));
    assert!(error.place().elapsed >= Duration::from_millis(30));
    switches.off("exists");
    backend.exists("k").await.unwrap();
    assert_eq!(switches.opens(), 1, "the instance is as good as before");
    let counters = host.status().backends[0].counters.clone();
    assert_eq!((counters.released_at_deadline, counters.in_flight), (1, 0));
    assert_eq!(counters.errors["timeout"], 1);
}

#[tokio::test]
async fn the_configured_timeout_bounds_operations_but_not_bodies() {
    let (host, switches) = (host(), Switches::new());
    let timeout = Duration::from_millis(40);
    host.register("store", probe(&switches).timeout(timeout))
        .unwrap();
    let backend = host.backend("store").await.unwrap();
    switches.put("k", "abc");
    switches.on("download", Act::Lie("stream"));
    switches.on("chunk", Act::Gated);
    switches.on("exists", Act::Deaf);
    assert_eq!(
        backend.exists("k").await.unwrap_err().kind(),
        ErrorKind::Timeout
    );
    let mut body = backend.download(Download::new("k")).await.unwrap().body;
    tokio::time::sleep(2 * timeout).await;
    switches.gate.add_permits(1);
    assert_eq!(&body.chunk().await.unwrap().unwrap()[..], b"a");
}

#[tokio::test]
async fn a_deadline_of_the_caller_bounds_the_body_too() {
    let (_host, backend, switches) = store().await;
    switches.put("k", "abc");
    switches.on("download", Act::Lie("stream"));
    switches.on("chunk", Act::Deaf);
    let hurried = backend.with(CallOptions::new().timeout(Duration::from_millis(30)));
    let mut body = hurried.download(Download::new("k")).await.unwrap().body;
    let error = body.chunk().await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
}

#[tokio::test]
async fn an_open_that_never_ends_is_bounded_too() {
    let (host, switches) = (host(), Switches::new());
    switches.on("open", Act::Deaf);
    let timeout = Duration::from_millis(20);
    host.register("store", probe(&switches).timeout(timeout))
        .unwrap();
    assert_eq!(
        host.backend("store").await.unwrap_err().kind(),
        ErrorKind::Timeout
    );
}

#[tokio::test]
async fn a_clone_of_the_flag_cancels() {
    let (_host, backend, switches) = store().await;
    switches.on("exists", Act::Deaf);
    let cancel = CancellationToken::new();
    let call = backend.with(CallOptions::new().cancel(cancel.clone()));
    let running = tokio::spawn(async move { call.exists("k").await });
    while switches.entered() == 0 {
        tokio::task::yield_now().await;
    }
    cancel.cancel();
    assert_eq!(
        running.await.unwrap().unwrap_err().kind(),
        ErrorKind::Cancelled
    );
    let entered = switches.entered();
    let late = backend.with(CallOptions::new().cancel(cancel));
    assert_eq!(
        late.exists("k").await.unwrap_err().kind(),
        ErrorKind::Cancelled
    );
    assert_eq!(
        switches.entered(),
        entered,
        "nothing is begun for one who has gone"
    );
}

#[tokio::test]
async fn an_error_says_who_where_and_how_long() {
    let (_host, backend, _) = store().await;
    let error = backend.head(Head::new("a/b")).await.unwrap_err();
    let place = error.place();
    assert_eq!(place.backend.as_deref(), Some("store"));
    assert_eq!(place.plugin.as_deref(), Some("probe"));
    assert_eq!(
        place.plugin_version.as_deref(),
        Some(env!("CARGO_PKG_VERSION"))
    );
    assert_eq!(place.operation, Some(holdall::Operation::Head));
    assert_eq!((place.key.as_deref(), place.attempts), (Some("a/b"), 1));
    assert_eq!(
        error.to_string(),
        r#"head: file not found, key "a/b", backend "store""#
    );
}

#[test]
fn handles_go_everywhere() {
    fn everywhere<T: Send + Sync + Clone + 'static>() {}
    fn send<T: Send>(_: T) {}
    everywhere::<holdall::Backend>();
    everywhere::<holdall::Host>();
    fn futures(host: &holdall::Host, backend: &holdall::Backend) {
        send(host.backend("x"));
        send(backend.exists("k"));
        send(backend.upload(Upload::new("k", "x")));
        send(backend.download(Download::new("k")));
        send(backend.delete_prefix("k"));
        send(backend.rename(holdall::Rename::new("a", "b")));
        send(backend.delete_many(holdall::DeleteMany::new(["a"])));
    }
    let _ = futures;
}
