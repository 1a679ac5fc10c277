//! Built plugins in a folder, used through the host as an embedder would.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "tests; a panic is the report"
)]
#![allow(
    clippy::await_holding_lock,
    reason = "each test has a runtime of its own; the lock keeps whole tests apart"
)]

use futures_util::future::join_all;
use holdall::config::Config;
use holdall::{
    Backend, ByteRange, CallOptions, CopyObject, Custom, Delete, DeleteMany, Download, ErrorKind,
    Head, Host, List, Method, PluginRef, Registration, Rename, SignUrl, Upload,
};
use holdall_e2e::artifacts;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Counters of the misbehaving are the process's, and so is what is mapped.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

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
    let host = Host::builder()
        .config(Config::default())
        .plugin_dir(folder)
        .build()
        .unwrap();
    host.register("memory", Registration::new(PluginRef::from("memory")))
        .unwrap();
    host
}

async fn misbehaving(host: &Host, name: &str, config: serde_json::Value) -> Backend {
    host.register(
        name,
        Registration::new(PluginRef::from("misbehaving")).config(config),
    )
    .unwrap();
    host.handle(name).unwrap()
}

async fn number(backend: &Backend, name: &str) -> u64 {
    let answer = backend.custom(Custom::new(name, "")).await.unwrap();
    std::str::from_utf8(&answer).unwrap().parse().unwrap()
}

fn mapped(name: &str) -> bool {
    std::fs::read_to_string("/proc/self/maps")
        .unwrap()
        .contains(&format!("holdall:{name}:"))
}

/// A status is asked for often, and its size is bounded by the number of plugins and backends: schemas are
/// in the report of the scan, for who asks for them.
#[tokio::test]
async fn a_status_has_no_schemas_and_few_bytes_for_each_plugin() {
    let _alone = alone();
    let folder = folder();
    let host = host(folder.path());
    host.backend("memory").await.unwrap();
    let status = host.status();
    let text = status.to_json().to_string();
    assert_eq!(status.plugins.len(), 3);
    assert!(!text.contains("config_schema"), "{text}");
    assert!(text.len() < 3 * 4096 + 4096, "{} bytes", text.len());
    for file in &status.scan.files {
        let about = &file.descriptor.as_ref().unwrap().about;
        assert!(about.config_schema.to_string().len() > 100, "{about:?}");
    }
}

#[tokio::test]
async fn a_loaded_plugin_does_every_operation() {
    let folder = folder();
    let host = host(folder.path());
    let memory = host.backend("memory").await.unwrap();
    let uploaded = memory
        .upload(
            Upload::new("a/b.txt", "hello world")
                .content_type("text/plain")
                .metadata("k", "é"),
        )
        .await
        .unwrap();
    assert_eq!(
        (uploaded.size, uploaded.checksums.crc32c),
        (11, Some(0xc994_65aa))
    );
    let info = memory.head(Head::new("a/b.txt")).await.unwrap();
    assert_eq!(info.content_type.as_deref(), Some("text/plain"));
    assert_eq!(info.metadata, [("k".to_owned(), "é".to_owned())]);
    assert_eq!(info.etag, uploaded.etag);
    let part = memory
        .download(Download::new("a/b.txt").range(ByteRange::Bounded(6..99)))
        .await
        .unwrap();
    assert_eq!(part.range, 6..11);
    assert_eq!(part.body.collect(100).await.unwrap(), "world");
    assert!(memory.exists("a/b.txt").await.unwrap());
    assert!(!memory.exists("a").await.unwrap());
    memory.copy(CopyObject::new("a/b.txt", "c")).await.unwrap();
    memory.rename(Rename::new("c", "d")).await.unwrap();
    let page = memory.list(List::new("").delimiter("/")).await.unwrap();
    assert_eq!(page.common_prefixes, ["a/"]);
    assert_eq!(
        page.entries
            .iter()
            .map(|e| e.key.as_str())
            .collect::<Vec<_>>(),
        ["d"]
    );
    let results = memory
        .delete_many(DeleteMany::new(["d", "missing"]))
        .await
        .unwrap();
    assert!(results.iter().all(Result::is_ok));
    assert_eq!(
        memory.delete(Delete::new("a/b.txt")).await.unwrap().existed,
        Some(true)
    );
    let gone = memory.download(Download::new("a/b.txt")).await.unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::FileNotFound);
    assert_eq!(gone.place().key.as_deref(), Some("a/b.txt"));
    assert_eq!(gone.place().plugin.as_deref(), Some("memory"));
    assert_eq!(gone.place().backend.as_deref(), Some("memory"));
    assert!(memory.health().await.unwrap().healthy);
}

/// Nothing is mapped by a scan; the first use of a backend maps its plugin and no other.
#[test]
fn plugins_are_mapped_at_first_use() {
    let _alone = alone();
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "child_maps_one_plugin",
            "--nocapture",
            "--test-threads=1",
        ])
        .env("HOLDALL_E2E_CHILD", "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(
        child.status.success() && said.contains("child: mapped one"),
        "{said}"
    );
}

/// A process of its own: in the other tests everything is mapped sooner or later.
#[tokio::test]
async fn child_maps_one_plugin() {
    if std::env::var_os("HOLDALL_E2E_CHILD").is_none() {
        return;
    }
    let folder = folder();
    for index in 0..100 {
        // A link that leaves the directory is refused; one that stays in it is not.
        std::os::unix::fs::symlink(
            artifacts().misbehaving().file_name().unwrap(),
            folder.path().join(format!("copy-{index}.so")),
        )
        .unwrap();
    }
    let host = host(folder.path());
    assert_eq!(host.plugins().len(), 3);
    assert_eq!(host.shadowed().len(), 100, "one name, one owner");
    assert!(
        !mapped("memory") && !mapped("local") && !mapped("misbehaving"),
        "a scan maps nothing"
    );
    host.backend("memory").await.unwrap();
    assert!(
        mapped("memory") && !mapped("local") && !mapped("misbehaving"),
        "one use, one mapping"
    );
    println!("child: mapped one");
}

/// Without a folder nothing is read, whatever the environment says.
#[test]
fn no_folder_no_scan() {
    let host = Host::builder().config(Config::default()).build().unwrap();
    let report = host.scan_report();
    assert!(report.files.is_empty() && report.folders.is_empty());
}

/// A file with any name serves its scheme; the name of the file means nothing.
#[tokio::test]
async fn the_file_name_means_nothing() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(artifacts().plugin("memory"), folder.path().join("zzz.dat")).unwrap();
    let host = host(folder.path());
    let memory = host.backend("memory").await.unwrap();
    memory.upload(Upload::new("a", "b")).await.unwrap();
}

/// P-01, P-02: registering opens nothing; a thousand first gets open once, and get the same instance.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_first_gets_open_once() {
    let _alone = alone();
    let folder = folder();
    let host = host(folder.path());
    let probe = misbehaving(&host, "probe", serde_json::json!({})).await;
    let before = number(&probe, "opens").await;
    misbehaving(&host, "slow", serde_json::json!({ "slow_ms": 50 })).await;
    assert_eq!(
        number(&probe, "opens").await,
        before,
        "registering opens nothing"
    );
    let gets = (0..1000).map(|_| {
        let host = host.clone();
        tokio::spawn(async move { number(&host.backend("slow").await.unwrap(), "number").await })
    });
    let numbers: Vec<u64> = join_all(gets)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    assert_eq!(number(&probe, "opens").await, before + 1);
    assert!(numbers.iter().all(|number| *number == numbers[0]));
}

/// P-03: a failed open is not cached; the next get tries at once, then there is a wait.
#[tokio::test]
async fn a_failed_open_is_tried_again() {
    let _alone = alone();
    let folder = folder();
    let host = host(folder.path());
    misbehaving(&host, "flaky", serde_json::json!({ "fail": 1 })).await;
    let error = host.backend("flaky").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(
        host.backend("flaky").await.is_ok(),
        "the next get tries at once"
    );
}

/// P-04: an unknown name says what there is, where it was looked for, and what may be meant.
#[tokio::test]
async fn an_unknown_name_is_helped() {
    let folder = folder();
    let host = host(folder.path());
    let error = host.backend("memori").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BackendNotRegistered);
    let facts = format!("{:?}", error.facts().collect::<Vec<_>>());
    assert!(
        facts.contains("memori") && facts.contains("memory"),
        "{facts}"
    );
    let empty = Host::builder().config(Config::default()).build().unwrap();
    let error = empty.backend("x").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BackendNotRegistered);
}

/// P-05, P-15: a new registration serves new operations; a body goes on with the old instance.
#[tokio::test]
async fn registering_again_starts_a_generation() {
    let folder = folder();
    let host = host(folder.path());
    let memory = host.backend("memory").await.unwrap();
    memory
        .upload(Upload::new("a", vec![7u8; 100]))
        .await
        .unwrap();
    let held = memory.download(Download::new("a")).await.unwrap();
    let pinned = memory.pin().unwrap();
    let generation = host
        .register("memory", Registration::new(PluginRef::from("memory")))
        .unwrap();
    assert_eq!(generation, 2);
    assert!(!memory.exists("a").await.unwrap(), "the handle follows");
    assert!(pinned.exists("a").await.unwrap(), "the pinned one does not");
    drop((memory, pinned, host));
    assert_eq!(
        held.body.collect(1000).await.unwrap().len(),
        100,
        "a body keeps what it began on"
    );
}

/// P-16, and every door through which a panic could leave.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn panics_stay_inside() {
    let _alone = alone();
    let folder = folder();
    let host = host(folder.path());
    let memory = host.backend("memory").await.unwrap();
    memory.upload(Upload::new("witness", "x")).await.unwrap();
    let five = Duration::from_secs(5);

    for operation in 0..14 {
        let keyless = match operation {
            11 => "health",
            12 => "usage",
            13 => "shutdown",
            _ => "",
        };
        // A registration of its own, so that the breaker of one does not delay the next.
        let backend = misbehaving(
            &host,
            &format!("panics-{operation}"),
            serde_json::json!({ "panic_in": keyless }),
        )
        .await;
        let first = number(&backend, "number").await;
        let error = match operation {
            0 => backend.upload(Upload::new("panic", "x")).await.map(drop),
            1 => backend.download(Download::new("panic")).await.map(drop),
            2 => backend.delete(Delete::new("panic")).await.map(drop),
            3 => backend.exists("panic").await.map(drop),
            4 => backend
                .signed_url(SignUrl::new(Method::Get, "panic", five))
                .await
                .map(drop),
            5 => backend.head(Head::new("panic")).await.map(drop),
            6 => backend.list(List::new("panic")).await.map(drop),
            7 => backend.copy(CopyObject::new("panic", "b")).await.map(drop),
            8 => backend.rename(Rename::new("panic", "b")).await.map(drop),
            9 => backend
                .delete_many(DeleteMany::new(["panic"]))
                .await
                .map(drop),
            10 => backend.custom(Custom::new("panic", "")).await.map(drop),
            11 => backend.health().await.map(drop),
            12 => backend.usage().await.map(drop),
            _ => backend.shutdown().await,
        };
        let error = error.unwrap_err();
        assert_eq!(
            error.kind(),
            ErrorKind::PluginFault,
            "operation {operation}: {error:?}"
        );
        assert!(
            error
                .cause()
                .is_some_and(|cause| cause.text.contains("told to")),
            "{error:?}"
        );
        assert!(
            error
                .fact("panic_location")
                .is_some_and(|at| at.contains("lib.rs")),
            "{error:?}"
        );
        assert!(
            number(&backend, "number").await > first,
            "operation {operation}: the instance is a new one"
        );
        assert!(memory.exists("witness").await.unwrap(), "others go on");
    }

    for key in ["panic-late", "panic-payload"] {
        let backend = misbehaving(&host, key, serde_json::json!({})).await;
        let error = backend.exists(key).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PluginFault, "{key}");
    }

    let backend = misbehaving(&host, "streams", serde_json::json!({})).await;
    let first = number(&backend, "number").await;
    let body = backend
        .download(Download::new("panic-stream"))
        .await
        .unwrap()
        .body;
    assert_eq!(
        body.collect(100).await.unwrap_err().kind(),
        ErrorKind::PluginFault
    );
    assert!(number(&backend, "number").await > first);

    let faults = |host: &Host| {
        let plugins = host.status().plugins;
        let misbehaving = plugins
            .into_iter()
            .find(|plugin| plugin.name == "misbehaving")
            .unwrap();
        misbehaving.faults.unwrap()
    };
    let before = faults(&host);
    let backend = misbehaving(&host, "drops", serde_json::json!({})).await;
    let released = backend
        .with(CallOptions::new().timeout(Duration::from_millis(20)))
        .exists("panic-drop")
        .await;
    assert_eq!(released.unwrap_err().kind(), ErrorKind::Timeout);
    assert!(backend.exists("panic-task").await.unwrap());
    assert!(backend.exists("panic-thread").await.unwrap());
    let after = faults(&host);
    assert_eq!(after.panics_in_drops, before.panics_in_drops + 1);
    assert_eq!(after.panics_in_tasks, before.panics_in_tasks + 2);
    assert!(backend.exists("fine").await.unwrap());
    assert!(memory.exists("witness").await.unwrap());
}

/// P-08: refused credentials end the instance; the next operation opens another.
#[tokio::test]
async fn refused_credentials_end_the_instance() {
    let _alone = alone();
    let folder = folder();
    let host = host(folder.path());
    let backend = misbehaving(
        &host,
        "expired",
        serde_json::json!({ "unauthenticated": 1 }),
    )
    .await;
    let first = number(&backend, "number").await;
    assert_eq!(
        backend.exists("a").await.unwrap_err().kind(),
        ErrorKind::Unauthenticated
    );
    assert!(backend.exists("a").await.unwrap());
    assert!(number(&backend, "number").await > first);
}

/// P-14: one good file among bad ones serves; each verdict is reported.
#[tokio::test]
async fn one_good_file_among_bad_ones_serves() {
    let _alone = alone();
    let folder = folder();
    let good = std::fs::read(artifacts().plugin("memory")).unwrap();
    std::fs::write(folder.path().join("cut.so"), &good[..good.len() / 2]).unwrap();
    let mut foreign = good.clone();
    foreign[18..20].copy_from_slice(&183u16.to_le_bytes());
    std::fs::write(folder.path().join("foreign.so"), foreign).unwrap();
    std::fs::write(folder.path().join("notes.txt"), "not a plugin").unwrap();
    let host = host(folder.path());
    let report = host.scan_report();
    let verdict = |name: &str| {
        let file = report
            .files
            .iter()
            .find(|file| file.path.ends_with(name))
            .unwrap();
        let codes: Vec<&str> = file.faults.iter().map(|fault| fault.code.name()).collect();
        (format!("{:?}", file.verdict()), codes.join(" "))
    };
    assert_eq!(
        verdict("libholdall_plugin_memory.so"),
        ("Accepted".into(), String::new())
    );
    assert_eq!(verdict("cut.so"), ("Refused".into(), "truncated".into()));
    assert_eq!(
        verdict("foreign.so"),
        ("Refused".into(), "arch_mismatch".into())
    );
    assert_eq!(
        verdict("notes.txt"),
        ("NotAPlugin".into(), "not_a_library".into())
    );
    misbehaving(&host, "panicking", serde_json::json!({ "panic": true })).await;
    let error = host.backend("panicking").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PluginFault);
    assert!(host.backend("memory").await.is_ok());
}

/// A plugin that never answers: the caller is let go at its deadline, others are served.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_that_never_answers_does_not_block_others() {
    let _alone = alone();
    let folder = folder();
    let host = host(folder.path());
    let backend = misbehaving(&host, "deaf", serde_json::json!({})).await;
    let started = Instant::now();
    let hurried = backend.with(CallOptions::new().timeout(Duration::from_millis(50)));
    let calls = join_all((0..100).map(|_| hurried.exists("hang"))).await;
    assert!(
        calls
            .into_iter()
            .all(|call| call.unwrap_err().kind() == ErrorKind::Timeout)
    );
    assert!(started.elapsed() < Duration::from_secs(60));
    assert!(backend.exists("fine").await.unwrap());
}

/// What a plugin logs arrives in the host's log, with the plugin and the request.
#[test]
fn logs_arrive_at_the_host() {
    let _alone = alone();
    use std::fmt::Write;
    use std::sync::Arc;
    use tracing::field::{Field, Visit};

    #[derive(Default)]
    struct Lines(Mutex<Vec<String>>);
    struct Line(String);
    impl Visit for Line {
        fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
            let _ = write!(self.0, "{}={value:?} ", field.name());
        }
    }
    struct Collect(Arc<Lines>);
    impl tracing::Subscriber for Collect {
        fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
            *metadata.level() <= tracing::Level::INFO
        }
        fn max_level_hint(&self) -> Option<tracing::level_filters::LevelFilter> {
            Some(tracing::level_filters::LevelFilter::INFO)
        }
        fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
            tracing::span::Id::from_u64(1)
        }
        fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
        fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
        fn event(&self, event: &tracing::Event<'_>) {
            let mut line = Line(format!("{} ", event.metadata().level()));
            event.record(&mut line);
            self.0.0.lock().unwrap().push(line.0);
        }
        fn enter(&self, _: &tracing::span::Id) {}
        fn exit(&self, _: &tracing::span::Id) {}
    }

    let lines = Arc::new(Lines::default());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let folder = folder();
    tracing::subscriber::with_default(Collect(lines.clone()), || {
        runtime.block_on(async {
            let host = host(folder.path());
            let backend = misbehaving(&host, "chatty", serde_json::json!({})).await;
            let named = backend.with(CallOptions::new().request_id("request-9"));
            assert!(named.exists("log").await.unwrap());
        });
    });
    let lines = lines.0.lock().unwrap().join("\n");
    for expected in [
        "an error of the misbehaving",
        "answer=42",
        "a warning of the misbehaving",
        "request-9",
        "plugin=\"misbehaving\"",
    ] {
        assert!(lines.contains(expected), "{expected} in:\n{lines}");
    }
    assert!(
        !lines.contains("a detail of the misbehaving"),
        "a level that is off is not sent:\n{lines}"
    );
}

/// The bytes that were judged are the bytes that are mapped: another thread changes the file all the time,
/// by renaming others over it and by writing into it, and nothing but the good bytes is ever loaded.
#[test]
fn a_file_that_changes_under_the_host_loads_whole_or_not_at_all() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let _alone = alone();
    let build = tempfile::tempdir().unwrap();
    let good = std::fs::read(holdall_c_plugin::build(build.path())).unwrap();
    let mut foreign = good.clone();
    foreign[18..20].copy_from_slice(&183u16.to_le_bytes());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("plugin.so");
    std::fs::write(&path, &good).unwrap();

    let done = AtomicBool::new(false);
    let (mut loaded, mut refused) = (0, 0);
    let mut hashes = std::collections::BTreeSet::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let aside = build.path().join("aside");
            while !done.load(Ordering::Relaxed) {
                for bytes in [&good[..], &good[..good.len() / 2], &foreign] {
                    std::fs::write(&aside, bytes).unwrap();
                    std::fs::rename(&aside, &path).unwrap();
                    // In place: a map of this file would end the process.
                    std::fs::write(&path, &bytes[..bytes.len() / 3]).unwrap();
                    std::fs::write(&path, &good).unwrap();
                    // Long enough for some to get through.
                    std::thread::sleep(Duration::from_millis(5));
                }
            }
        });
        for _ in 0..1000 {
            let host = Host::builder()
                .config(Config::default())
                .plugin_dir(folder.path())
                .build()
                .unwrap();
            for (plugin, outcome) in host.load_plugins() {
                match outcome {
                    Ok(()) => {
                        loaded += 1;
                        hashes.insert(plugin.sha256.unwrap());
                    }
                    Err(_) => refused += 1,
                }
            }
        }
        done.store(true, Ordering::Relaxed);
    });
    println!("{loaded} loaded, {refused} accepted by the scan and refused at the load");
    assert!(loaded > 0);
    assert_eq!(hashes.len(), 1, "only the good bytes");
}
