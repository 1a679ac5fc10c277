//! Who outlives whom, with loaded libraries: the host goes first and what it gave out goes on, and
//! what a plugin leaves behind survives its removal. HOSTING rows 29 and 30.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "tests; a panic is the report"
)]

use futures_util::FutureExt;
use holdall::config::Config;
use holdall::{Backend, Bytes, Custom, Download, ErrorKind, Host, PluginRef, Registration, Upload};
use holdall_e2e::artifacts;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
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

/// From the environment, for `scripts/upgrades`.
fn count(name: &str, default: usize) -> usize {
    let given = std::env::var(name).ok();
    given.map_or(default, |text| text.parse().unwrap())
}

/// Operations of one caller, one after the other, until told to end: no error, and each is answered by one
/// generation, never by one before the last that this caller saw.
async fn operations(backend: Backend, done: Arc<AtomicU64>, end: Arc<AtomicBool>) -> usize {
    let mut seen: Vec<Bytes> = Vec::new();
    while !end.load(Ordering::Relaxed) {
        let body = backend.download("where").await.unwrap().body;
        let bytes = body.collect(1024).await.unwrap();
        let (first, _) = bytes.split_at(16);
        assert_eq!(bytes.len(), 8 * 16);
        assert!(bytes.chunks(16).all(|chunk| chunk == first), "{bytes:?}");
        let asked = backend.custom(Custom::new("where", "")).await.unwrap();
        for mark in [bytes.slice(..16), asked] {
            if seen.last() != Some(&mark) {
                assert!(!seen.contains(&mark), "back to {mark:?} of {seen:?}");
                seen.push(mark);
            }
        }
        backend.upload(("k", "bytes")).await.unwrap();
        assert!(backend.exists("k").await.unwrap());
        done.fetch_add(4, Ordering::Relaxed);
    }
    seen.len()
}

/// Resident memory of this process, in KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    line.unwrap()
        .split_whitespace()
        .nth(1)
        .unwrap()
        .parse()
        .unwrap()
}

/// Each new file fails at its first opening, which no caller sees, and serves at its second.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn upgrades_under_operations_fail_none_and_mix_none() {
    const CALLERS: usize = 8;
    let upgrades = count("HOLDALL_TEST_UPGRADES", 3);
    let least = count("HOLDALL_TEST_OPERATIONS", 2_000);
    let folder = tempfile::tempdir().unwrap();
    artifacts().folder_of([artifacts().misbehaving()], folder.path());
    let file = folder.path().join("libholdall_misbehaving.so");
    let library = std::fs::read(&file).unwrap();
    let mut config = Config::default();
    config.upgrade.generations = 1000;
    let host = Host::builder().config(config).plugin_dir(folder.path());
    let host = host.build().unwrap();
    let registration = Registration::new(PluginRef::from("misbehaving"));
    let registration = registration.config(serde_json::json!({ "fail": 1 }));
    host.register("store", registration).unwrap();
    assert!(
        host.backend("store").await.is_err(),
        "the first opening fails"
    );
    let backend = loop {
        match host.backend("store").await {
            Ok(backend) => break backend,
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    };
    let (done, end) = (
        Arc::new(AtomicU64::new(0)),
        Arc::new(AtomicBool::new(false)),
    );
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| tokio::spawn(operations(backend.clone(), done.clone(), end.clone())))
        .collect();
    // A caller whose operation fails ends early.
    let wait_for = async |operations: u64| {
        while done.load(Ordering::Relaxed) < operations {
            assert!(callers.iter().all(|caller| !caller.is_finished()));
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let before = resident();
    for number in 1..=upgrades {
        // As many operations between two upgrades as at the end.
        let share = (least * number / (upgrades + 1)) as u64;
        wait_for(share).await;
        let new = folder.path().join("new");
        std::fs::write(&new, [&library[..], &number.to_le_bytes()].concat()).unwrap();
        std::fs::rename(new, &file).unwrap();
        let failed = host.upgrade_plugins().await;
        assert!(failed.iter().all(|one| one.error.is_some()), "{failed:?}");
        let switched = host.upgrade_plugins().await;
        assert!(
            switched.iter().all(|one| one.error.is_none()),
            "{switched:?}"
        );
        assert_eq!((failed.len(), switched.len()), (1, 1));
    }
    wait_for(least as u64).await;
    end.store(true, Ordering::Relaxed);
    for caller in callers {
        let generations = caller.await.unwrap();
        assert!(generations > upgrades / 2, "{generations} generations seen");
    }
    let grown = resident().saturating_sub(before) / upgrades as u64;
    println!(
        "{upgrades} upgrades, as many rolled back, under {} operations: 0 failed, 0 mixed; {grown} KiB of \
         resident memory for each generation",
        done.load(Ordering::Relaxed)
    );
}
