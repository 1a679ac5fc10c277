//! Who outlives whom, with loaded libraries: the host goes first and what it gave out goes on, and
//! what a plugin leaves behind survives its removal. HOSTING rows 29 and 30.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "tests; a panic is the report"
)]

use futures_util::FutureExt;
use holdall::config::Config;
use holdall::{Backend, Custom, Download, ErrorKind, Host, PluginRef, Registration, Upload};
use holdall_e2e::artifacts;
use std::path::Path;
use std::time::{Duration, Instant};

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let built = artifacts();
    let libraries = [
        built.plugin("memory"),
        built.plugin("local"),
        built.misbehaving(),
    ];
    built.folder_of(libraries, folder.path());
    folder
}

fn host(folder: &Path) -> Host {
    let builder = Host::builder().config(Config::default());
    builder.plugin_dir(folder).build().unwrap()
}

fn handle(host: &Host, plugin: &str, config: serde_json::Value) -> Backend {
    let registration = Registration::new(PluginRef::from(plugin)).config(config);
    host.register(plugin, registration).unwrap();
    host.handle(plugin).unwrap()
}

async fn number(backend: &Backend, name: &str) -> u64 {
    let answer = backend.custom(Custom::new(name, "")).await.unwrap();
    std::str::from_utf8(&answer).unwrap().parse().unwrap()
}

/// Waits for what another thread does; the bound is for one that never does it.
fn until(what: &str, mut happened: impl FnMut() -> bool) {
    let limit = Instant::now() + Duration::from_secs(60);
    while !happened() {
        assert!(Instant::now() < limit, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[tokio::test]
async fn row_30_host_then_handles_then_bodies() {
    let (folder, root) = (folder(), tempfile::tempdir().unwrap());
    let large = vec![7u8; 3 << 20];
    for (plugin, config) in [
        ("memory", serde_json::json!({})),
        ("local", serde_json::json!({ "root": root.path() })),
    ] {
        let host = host(folder.path());
        let backend = handle(&host, plugin, config);
        backend
            .upload(Upload::new("k", large.clone()))
            .await
            .unwrap();
        let read = backend.download(Download::new("k")).await.unwrap();
        let error = backend.download(Download::new("none")).await.unwrap_err();
        let facts = backend.info().await.unwrap();

        drop(host);
        assert!(backend.exists("k").await.unwrap(), "{plugin}");
        let again = backend.download(Download::new("k")).await.unwrap();
        drop(backend);
        let mut body = read.body;
        let first = body.chunk().await.unwrap().unwrap();
        assert_eq!(again.body.collect(4 << 20).await.unwrap(), large);
        let rest = body.collect(4 << 20).await.unwrap();
        assert_eq!(first.len() + rest.len(), large.len());
        // Bytes, errors and facts own what they say, or hold the owner.
        assert!(first.iter().chain(&rest).all(|byte| *byte == 7));
        assert_eq!(error.kind(), ErrorKind::FileNotFound);
        assert!(error.to_string().contains("none"), "{error}");
        assert_eq!(facts.plugin, plugin);
    }
}

#[tokio::test]
async fn row_30_futures_end_last() {
    let folder = folder();
    let host = host(folder.path());
    let backend = handle(&host, "misbehaving", serde_json::json!({}));
    backend.exists("k").await.unwrap();
    let pending = |key: &'static str| {
        let backend = backend.clone();
        let mut call = Box::pin(async move { backend.exists(key).await });
        assert!((&mut call).now_or_never().is_none(), "{key}");
        call
    };
    // Dropped while it is going on, gone on with after everything else has gone, and with a panic.
    let (hangs, slow, panics) = (pending("hang"), pending("slow-30"), pending("panic-drop"));
    let unread = backend.download(Download::new("k")).await.unwrap().body;
    drop((host, backend));
    assert!(slow.await.unwrap());
    drop(hangs);
    drop(panics);
    drop(unread);
}

#[test]
fn row_29_what_a_plugin_leaves_behind_survives_its_removal() {
    let folder = folder();
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(1).enable_all().build().unwrap()
    };
    // A thread of ours, on which the plugin registers a destructor, ends after the plugin was
    // removed and the host dropped.
    let ours = runtime();
    let host_here = host(folder.path());
    let backend = handle(&host_here, "misbehaving", serde_json::json!({}));
    let left = ours.block_on(async {
        let before = [
            number(&backend, "locals").await,
            number(&backend, "woken").await,
        ];
        let call = backend.clone();
        let on_worker = tokio::spawn(async move { call.exists("thread-local").await });
        on_worker.await.unwrap().unwrap();
        backend.exists("background").await.unwrap();
        assert!(backend.exists("escaped-waker").now_or_never().is_none());
        before
    });
    assert!(host_here.remove("misbehaving"));
    drop((backend, host_here));
    drop(ours);

    // A new host finds the same code, still mapped, and asks it.
    let (theirs, host_there) = (runtime(), host(folder.path()));
    let backend = handle(&host_there, "misbehaving", serde_json::json!({}));
    let ask = |name: &str| theirs.block_on(number(&backend, name));
    until("the destructor", || ask("locals") > left[0]);
    until("the waker", || ask("woken") > left[1]);
    let ticks = ask("ticks");
    until("the thread", || ask("ticks") > ticks);
}
