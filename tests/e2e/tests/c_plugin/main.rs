//! The plugin in C: loaded by the same code as any other, and run off the caller's threads.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "tests; a panic is the report"
)]

use bytes::Bytes;
use futures_util::StreamExt;
use holdall::config::Config;
use holdall::{
    Backend, Body, ByteRange, CallOptions, CancellationToken, CopyObject, Delete, Download,
    ErrorKind, Head, Host, List, Method, PluginFaults, Registration, SignUrl, Upload,
};
use serde_json::json;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

mod since_1_1;

/// What is allocated, and what went wrong, is counted for the process.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// A host with the plugin, under a lock that keeps other tests out.
struct Stage {
    host: Host,
    _alone: MutexGuard<'static, ()>,
}

impl Stage {
    fn new() -> Self {
        static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();
        let alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = FOLDER.get_or_init(|| {
            let folder = tempfile::tempdir().unwrap();
            holdall_c_plugin::build_with_hooks(folder.path());
            folder
        });
        let host = Host::builder()
            .config(Config::default())
            .plugin_dir(folder.path())
            .build()
            .unwrap();
        Self {
            host,
            _alone: alone,
        }
    }

    async fn backend(&self, name: &str, config: serde_json::Value) -> Backend {
        self.host
            .register(
                name,
                Registration::new(holdall_c_plugin::NAME).config(config),
            )
            .unwrap();
        self.host.backend(name).await.unwrap()
    }

    fn faults(&self) -> PluginFaults {
        let plugins = self.host.plugins();
        plugins
            .iter()
            .find(|plugin| plugin.name == holdall_c_plugin::NAME)
            .unwrap()
            .faults
            .unwrap()
    }
}

/// Things that the plugin has allocated and not got back, in all its instances. An instance of an earlier test may
/// still end in a thread of its own, so a count from the start of a test is an upper bound of the one at its end.
async fn allocated(backend: &Backend) -> u64 {
    let message = backend.health().await.unwrap().message;
    message.strip_suffix(" allocated").unwrap().parse().unwrap()
}

/// Waits for what happens in another thread.
async fn until<F: Future<Output = bool>>(what: &str, mut happened: impl FnMut() -> F) {
    let limit = Instant::now() + Duration::from_secs(60);
    while !happened().await {
        assert!(Instant::now() < limit, "it did not happen: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// A body whose chunks are sent by the test.
fn gated() -> (mpsc::Sender<Bytes>, Body) {
    let (to, from) = mpsc::channel(1);
    let chunks = futures_util::stream::unfold(from, |mut from| async move {
        from.recv().await.map(|chunk| (Ok(chunk), from))
    });
    (to, Body::stream(chunks))
}

#[tokio::test]
async fn every_operation_comes_and_goes() {
    let stage = Stage::new();
    let store = stage.backend("c", json!({})).await;
    let uploaded = store
        .upload(Upload::new("a/b.txt", "hello world").content_type("text/plain"))
        .await
        .unwrap();
    assert_eq!(
        (uploaded.size, uploaded.checksums.crc32c),
        (11, Some(0xc994_65aa))
    );
    let info = store.head(Head::new("a/b.txt")).await.unwrap();
    assert_eq!(
        (info.size, info.content_type.as_deref()),
        (11, Some("text/plain"))
    );
    assert_eq!(
        (&info.etag, &info.last_modified),
        (&uploaded.etag, &uploaded.last_modified)
    );
    assert_eq!(info.checksums.crc32c, Some(0xc994_65aa));
    for (range, expected) in [
        (ByteRange::Bounded(6..99), "world"),
        (ByteRange::From(10), "d"),
        (ByteRange::Last(5), "world"),
    ] {
        let part = store
            .download(Download::new("a/b.txt").range(range))
            .await
            .unwrap();
        assert_eq!(part.body.collect(100).await.unwrap(), expected);
    }
    let error = store
        .download(Download::new("a/b.txt").range(ByteRange::From(11)))
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.fact("size")),
        (ErrorKind::InvalidRange, Some("11"))
    );
    assert!(store.exists("a/b.txt").await.unwrap());
    assert!(!store.exists("a").await.unwrap());
    let lost = store
        .upload(Upload::new("a/b.txt", "x").create_only())
        .await
        .unwrap_err();
    assert_eq!(lost.kind(), ErrorKind::PreconditionFailed);
    store.copy(CopyObject::new("a/b.txt", "c")).await.unwrap();
    let page = store.list(List::new("").delimiter("/")).await.unwrap();
    assert_eq!(page.common_prefixes, ["a/"]);
    assert_eq!(
        page.entries
            .iter()
            .map(|entry| entry.key.as_str())
            .collect::<Vec<_>>(),
        ["c"]
    );
    let unsigned = store
        .signed_url(SignUrl::new(Method::Get, "c", Duration::from_secs(60)))
        .await;
    assert_eq!(
        unsigned.unwrap_err().kind(),
        ErrorKind::ConfigInvalid,
        "no gateway is configured"
    );
    assert_eq!(
        store.delete(Delete::new("c")).await.unwrap().existed,
        Some(true)
    );
    assert_eq!(
        store.delete(Delete::new("c")).await.unwrap().existed,
        Some(false)
    );
    let missing = store
        .delete(Delete::new("c").must_exist())
        .await
        .unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::FileNotFound);
    store.delete(Delete::new("a/b.txt")).await.unwrap();
    store.shutdown().await.unwrap();
}

#[tokio::test]
async fn configuration_reaches_it_and_instances_are_apart() {
    let stage = Stage::new();
    let (small, other) = (
        stage.backend("small", json!({"max_objects": 1})).await,
        stage.backend("other", json!({})).await,
    );
    small.upload(Upload::new("a", "1")).await.unwrap();
    small.upload(Upload::new("a", "22")).await.unwrap();
    let full = small.upload(Upload::new("b", "1")).await.unwrap_err();
    assert_eq!(
        (full.kind(), full.fact("limit")),
        (ErrorKind::QuotaExceeded, Some("1"))
    );
    assert!(!other.exists("a").await.unwrap());
    for config in [
        json!({"max_objects": 0}),
        json!({"max_object": 1}),
        json!([]),
    ] {
        let bad = stage.host.register(
            "bad",
            Registration::new(holdall_c_plugin::NAME).config(config.clone()),
        );
        let error = match bad {
            Ok(_) => stage.host.backend("bad").await.unwrap_err(),
            Err(error) => error,
        };
        assert_eq!(error.kind(), ErrorKind::ConfigInvalid, "{config}");
    }
}

#[tokio::test]
async fn streams_move_both_ways_in_chunks() {
    let stage = Stage::new();
    let store = stage.backend("c", json!({})).await;
    let before = allocated(&store).await;
    let chunks: Vec<Bytes> = (0..48u8)
        .map(|number| Bytes::from(vec![number; 100_000]))
        .collect();
    let whole: Vec<u8> = chunks.concat();
    let (to, body) = gated();
    let feeder = tokio::spawn(async move {
        for chunk in chunks {
            // Each one waits until the plugin has pulled the one before.
            to.send(chunk).await.unwrap();
        }
    });
    let uploaded = store.upload(Upload::new("large", body)).await.unwrap();
    feeder.await.unwrap();
    assert_eq!(uploaded.size, whole.len() as u64);
    let mut body = store
        .download(Download::new("large").chunk_hint(256 << 10))
        .await
        .unwrap()
        .body;
    let mut back = Vec::new();
    while let Some(chunk) = body.chunk().await {
        let chunk = chunk.unwrap();
        assert!(chunk.len() <= 256 << 10);
        back.extend_from_slice(&chunk);
    }
    assert!(back == whole);
    assert_eq!(body.trailers().unwrap().size, whole.len() as u64);
    // Half a body, then none at all.
    let mut half = store.download(Download::new("large")).await.unwrap().body;
    half.chunk().await.unwrap().unwrap();
    let unread = store.download(Download::new("large")).await.unwrap().body;
    store.delete(Delete::new("large")).await.unwrap();
    drop((body, half, unread));
    until("all is given back", || async {
        allocated(&store).await <= before
    })
    .await;
}

#[tokio::test]
async fn a_blocking_call_leaves_the_runtime_alone() {
    // One thread for everything: whatever blocked it would stop the ticks.
    let stage = Stage::new();
    let store = stage.backend("c", json!({})).await;
    let ticks = AtomicU64::new(0);
    let ticking = async {
        loop {
            tokio::time::sleep(Duration::from_millis(5)).await;
            ticks.fetch_add(1, Ordering::Relaxed);
        }
    };
    let began = Instant::now();
    let all = futures_util::future::join_all((0..20).map(|_| store.exists("sleep-300/a")));
    tokio::select! {
        () = ticking => unreachable!("it never ends"),
        answers = all => assert!(answers.into_iter().all(|answer| !answer.unwrap())),
    }
    let took = began.elapsed();
    assert!(
        took >= Duration::from_millis(300),
        "the hook did not sleep: {took:?}"
    );
    assert!(
        took < 20 * Duration::from_millis(300),
        "twenty calls went one by one: {took:?}"
    );
    assert!(
        ticks.load(Ordering::Relaxed) >= 10,
        "{ticks:?} ticks in {took:?}"
    );
}

#[tokio::test]
async fn a_caller_is_released_at_its_deadline_and_the_late_result_freed() {
    let stage = Stage::new();
    let store = stage.backend("c", json!({})).await;
    store
        .upload(Upload::new("sleep-2000/a", "late"))
        .await
        .unwrap();
    let (before, faults) = (allocated(&store).await, stage.faults());
    let began = Instant::now();
    let hurried = store.with(CallOptions::new().timeout(Duration::from_millis(50)));
    let error = hurried
        .download(Download::new("sleep-2000/a"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(
        began.elapsed() < Duration::from_millis(1900),
        "{:?}",
        began.elapsed()
    );
    // Others are served meanwhile.
    assert!(!store.exists("b").await.unwrap());
    assert!(
        began.elapsed() < Duration::from_millis(1900),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(stage.faults().late_results, faults.late_results);
    until("the late result", || async {
        stage.faults().late_results == faults.late_results + 1
    })
    .await;
    until("it is freed", || async {
        allocated(&store).await <= before
    })
    .await;
    assert_eq!(stage.faults().abandoned, faults.abandoned + 1);
    // A plugin that takes its time is not broken.
    assert!(store.exists("sleep-0/a").await.is_ok());
    assert_eq!(store.generation_number().unwrap(), 1);
}

#[tokio::test]
async fn an_upload_whose_caller_leaves_is_cancelled_and_leaves_nothing() {
    let stage = Stage::new();
    let store = stage.backend("c", json!({})).await;
    store.upload(Upload::new("k", "old")).await.unwrap();
    let before = allocated(&store).await;
    let (to, body) = gated();
    let cancel = CancellationToken::new();
    let cancellable = store.with(CallOptions::new().cancel(cancel.clone()));
    let uploading = tokio::spawn(async move { cancellable.upload(Upload::new("k", body)).await });
    // The second is taken only once the plugin, in its thread, has pulled the first.
    to.send(Bytes::from_static(b"ne")).await.unwrap();
    to.send(Bytes::from_static(b"w")).await.unwrap();
    until("the plugin waits for more", || async { to.capacity() == 1 }).await;
    cancel.cancel();
    assert_eq!(
        uploading.await.unwrap().unwrap_err().kind(),
        ErrorKind::Cancelled
    );
    // The body is dropped although the plugin was inside of it, and so is what was stored.
    tokio::time::timeout(Duration::from_secs(20), to.closed())
        .await
        .unwrap();
    until("all is given back", || async {
        allocated(&store).await <= before
    })
    .await;
    let object = store.download(Download::new("k")).await.unwrap().body;
    assert_eq!(object.collect(10).await.unwrap(), "old");
}

#[tokio::test]
async fn the_error_of_a_source_comes_back_whole() {
    let stage = Stage::new();
    let store = stage.backend("c", json!({})).await;
    let broken = holdall::Error::new(ErrorKind::RateLimited)
        .with_message("slow down")
        .with_fact("wait", 7);
    let chunks = futures_util::stream::iter([Ok(Bytes::from_static(b"first")), Err(broken)]);
    // After a pause, so that the error arrives while the plugin waits for it.
    let late = chunks.then(|chunk| async {
        tokio::time::sleep(Duration::from_millis(5)).await;
        chunk
    });
    let error = store
        .upload(Upload::new("k", Body::stream(late)))
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.fact("wait")),
        (ErrorKind::RateLimited, Some("7"))
    );
    assert!(!store.exists("k").await.unwrap());
}

#[tokio::test]
async fn a_backend_ends_after_its_last_body() {
    let stage = Stage::new();
    let watch = stage.backend("watch", json!({})).await;
    let before = allocated(&watch).await;
    let store = stage.backend("c", json!({})).await;
    store
        .upload(Upload::new("k", vec![7; 300_000]))
        .await
        .unwrap();
    let mut body = store
        .download(Download::new("k").chunk_hint(64 << 10))
        .await
        .unwrap()
        .body;
    assert_eq!(body.chunk().await.unwrap().unwrap().len(), 64 << 10);
    drop(store);
    stage.host.remove("c");
    assert!(allocated(&watch).await > before);
    let mut rest = 0;
    while let Some(chunk) = body.chunk().await {
        rest += chunk.unwrap().len();
    }
    assert_eq!(rest, 300_000 - (64 << 10));
    drop(body);
    until("the store is freed", || async {
        allocated(&watch).await <= before
    })
    .await;
}

#[tokio::test]
async fn a_plugin_that_blocks_may_be_pending_too() {
    let stage = Stage::new();
    let store = stage.backend("c", json!({})).await;
    let before = allocated(&store).await;
    assert!(store.exists("pending-50/a").await.unwrap());
    // A pending operation ends with its caller: there is nothing to wait for.
    let hurried = store.with(CallOptions::new().timeout(Duration::from_millis(20)));
    let late = stage.faults().late_results;
    let error = hurried.exists("pending-200/a").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    until("all is given back", || async {
        allocated(&store).await <= before
    })
    .await;
    assert_eq!(stage.faults().late_results, late);
}

/// Runtimes come and go; a job of one that has ended still ends.
#[test]
fn a_runtime_may_end_before_its_calls() {
    let stage = Stage::new();
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
    };
    let first = runtime();
    let store = first.block_on(stage.backend("c", json!({})));
    let faults = stage.faults();
    let left = store.clone();
    first.spawn(async move { left.exists("sleep-200/a").await });
    first.block_on(async { tokio::time::sleep(Duration::from_millis(50)).await });
    drop(first);
    runtime().block_on(async {
        until("the late result", || async {
            stage.faults().late_results == faults.late_results + 1
        })
        .await;
        assert!(!store.exists("a").await.unwrap());
    });
}

/// Threads of the pool that there are.
fn pool_threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let names =
        tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
    // The kernel keeps fifteen characters.
    names
        .filter(|name| name.trim() == "holdall-blockin")
        .count()
}

/// The pool has 256 threads and gives one plugin 192 of them at most: when a plugin has all that it
/// may have, another is served by what is left, and its own callers wait no longer than they said.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_that_fills_its_share_of_the_pool_keeps_no_other_waiting() {
    const SHARE: usize = 192;
    let stage = Stage::new();
    let stuck = stage.backend("stuck", json!({})).await;
    let folder = tempfile::tempdir().unwrap();
    let other = Registration::new(holdall_c_plugin::build(folder.path()));
    stage.host.register("other", other).unwrap();
    let other = stage.host.backend("other").await.unwrap();

    // Uploads without bytes: each holds a thread until its caller goes on.
    let uploads: Vec<_> = (0..SHARE + 40)
        .map(|number| {
            let (to, body) = gated();
            let store = stuck.clone();
            let key = format!("k-{number}");
            let upload = async move { store.upload(Upload::new(&key, body)).await };
            (to, tokio::spawn(upload))
        })
        .collect();
    until("its share is taken", || async { pool_threads() >= SHARE }).await;
    let calls = (0..1_000).map(|number| {
        let other = other.clone();
        async move {
            let key = format!("k-{}", number % 50);
            other.upload(Upload::new(&key, "abc")).await.unwrap();
            assert!(other.exists(&key).await.unwrap());
        }
    });
    let calls = futures_util::stream::iter(calls).buffer_unordered(100);
    let all = tokio::time::timeout(Duration::from_secs(120), calls.count());
    assert_eq!(all.await.expect("the others are served"), 1_000);
    assert!(pool_threads() <= 256, "{}", pool_threads());

    // The 193rd waits outside, and no longer than it wants to.
    let hurried = stuck.with(CallOptions::new().timeout(Duration::from_millis(50)));
    let error = hurried.exists("k").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(uploads.iter().all(|(_, upload)| !upload.is_finished()));

    for (to, upload) in uploads {
        drop(to);
        assert_eq!(upload.await.unwrap().unwrap().size, 0);
    }
    assert!(stuck.exists("k-0").await.unwrap());
}

/// Not thread-safe, and says so: its operations, and the chunks and the ends of its bodies.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_library_that_is_not_thread_safe_is_entered_by_one_thread() {
    let folder = tempfile::tempdir().unwrap();
    let library = holdall_c_plugin::build_alone(folder.path());
    let host = Host::builder().config(Config::default()).build().unwrap();
    let patient = Registration::new(library).max_wait(Duration::from_secs(120));
    host.register("alone", patient.config(json!({}))).unwrap();
    let store = host.backend("alone").await.unwrap();
    let visits = (0..64).map(|number| {
        let store = store.clone();
        tokio::spawn(async move {
            let key = format!("sleep-1/{number}");
            store.upload(Upload::new(&key, "abc")).await.unwrap();
            assert!(store.exists(&key).await.unwrap());
            let body = store.download(Download::new(&key)).await.unwrap().body;
            assert_eq!(body.collect(10).await.unwrap(), "abc");
            // Dropped before its first chunk.
            drop(store.download(Download::new(&key)).await.unwrap());
        })
    });
    for visit in visits.collect::<Vec<_>>() {
        visit.await.unwrap();
    }
    let message = store.health().await.unwrap().message;
    assert_eq!(message, "1 inside at most");
}

/// The host copied its tables, and uses the copy only.
#[tokio::test]
async fn a_plugin_that_writes_over_its_own_tables_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let library = holdall_c_plugin::build_alone(folder.path());
    let host = Host::builder().config(Config::default()).build().unwrap();
    for round in ["before", "after"] {
        // The second time it is opened anew, by a table that is garbage by now.
        let registration = Registration::new(library.clone()).config(json!({}));
        host.register(round, registration).unwrap();
        let store = host.backend(round).await.unwrap();
        store.upload(Upload::new("a", "abc")).await.unwrap();
        assert!(!store.exists("scribble").await.unwrap());
        assert!(store.exists("a").await.unwrap());
        let got = store.download(Download::new("a")).await.unwrap();
        assert_eq!(got.body.collect(10).await.unwrap(), "abc");
        assert_eq!(store.list(List::new("")).await.unwrap().entries.len(), 1);
        assert_eq!(store.head(Head::new("a")).await.unwrap().size, 3);
        let deleted = store.delete(Delete::new("a")).await.unwrap();
        assert_eq!(deleted.existed, Some(true));
        assert!(store.health().await.unwrap().healthy);
        store.shutdown().await.unwrap();
    }
}
