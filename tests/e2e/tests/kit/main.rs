//! The conformance kit on the Rust type, on the table in process and on the loaded file, the latter
//! two through the host. The three must agree.
//!
//! `HOLDALL_KIT_REPORT=FOLDER` keeps the reports as JSON. `HOLDALL_KIT_FOLDER=FOLDER` puts the stores of
//! `local` there, on another file system (`scripts/test-filesystems`).
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "tests; a panic is the report"
)]

mod hardship;

use futures_util::future::BoxFuture;
use holdall::StaticPlugin;
use holdall_conformance::{
    Broken, Case, Claims, DirectAccess, FolderStore, Harness, Report, Stage, Status, run,
    rust_stage_from,
};
use holdall_e2e::artifacts;
use holdall_e2e::kit::{linked, loaded, served};
use holdall_plugin_api::StorageBackend;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// A-06 and F-05 count threads, memory and descriptors of the process.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn report(stage: Arc<dyn Stage>, wanted: impl Fn(&Case) -> bool) -> Report {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(run(stage, wanted))
}

/// Runs the whole kit on a stage, and keeps the report.
fn keep_report(stage: Arc<dyn Stage>, library: &Path) -> Report {
    let report = report(stage, |_| true);
    println!("{report}");
    if let Some(folder) = std::env::var_os("HOLDALL_KIT_REPORT") {
        let name = format!(
            "{}-{:?}.json",
            library.file_stem().unwrap().display(),
            report.level
        )
        .to_lowercase();
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(
            Path::new(&folder).join(name),
            format!("{:#}", report.to_json()),
        )
        .unwrap();
    }
    report
}

fn assert_sound(report: &Report) {
    assert!(report.is_ok(), "failed or lied: see the report above");
    assert!(report.count(Status::Passed) > 80, "most cases apply");
}

fn run_on_all_levels<B: StorageBackend, S: Harness<Config = Value>>(
    plugin: &'static StaticPlugin,
    library: &Path,
    stores: impl Fn() -> S,
) {
    let read = |config| serde_json::from_value(config).unwrap();
    let stage = rust_stage_from::<B, _>(Claims::of(plugin), stores(), read);
    let rust = keep_report(stage, library);
    let linked = keep_report(Arc::new(linked(plugin, stores())), library);
    let loaded = keep_report(Arc::new(loaded(library, stores())), library);
    [&rust, &linked, &loaded].into_iter().for_each(assert_sound);
    for other in [&rust, &loaded] {
        let disagreements = linked.disagreements(other);
        assert!(disagreements.is_empty(), "{disagreements:#?}");
    }
}

/// Stores that need no configuration: each instance has its own.
struct Bare;

impl Harness for Bare {
    type Config = Value;

    fn config(&self, _: u32) -> Value {
        json!({})
    }
}

#[test]
fn memory_at_every_level() {
    run_on_all_levels::<holdall_plugin_memory::Memory, _>(
        &holdall_plugin_memory::PLUGIN,
        artifacts().plugin("memory"),
        || Bare,
    );
}

/// Stores of the `local` plugin below a folder.
struct Below(tempfile::TempDir);

impl Below {
    fn new() -> Self {
        Self(match std::env::var_os("HOLDALL_KIT_FOLDER") {
            Some(folder) => tempfile::tempdir_in(folder).unwrap(),
            None => tempfile::tempdir().unwrap(),
        })
    }

    fn root(&self, store: u32) -> PathBuf {
        self.0.path().join(format!("store-{store}"))
    }
}

impl Harness for Below {
    type Config = Value;

    fn config(&self, store: u32) -> Value {
        json!({ "root": self.root(store), "durability": "none" })
    }
    fn broken(&self, how: Broken) -> Option<Value> {
        let missing = self.0.path().join("missing");
        (how == Broken::Container).then(|| json!({ "root": missing, "create_root": false }))
    }
    fn is_shared(&self) -> bool {
        true
    }
    fn direct_access(&self, store: u32) -> Option<Arc<dyn DirectAccess>> {
        let store = FolderStore::new(self.root(store)).staged_by_process();
        Some(Arc::new(store))
    }
    fn supplies(&self, case: &str) -> Option<BoxFuture<'_, Result<(), String>>> {
        let suffering = hardship::suffer(case)?;
        Some(Box::pin(async move {
            let done = tokio::task::spawn_blocking(suffering).await;
            done.unwrap_or_else(|panic| Err(panic.to_string()))
        }))
    }
}

#[test]
fn local_at_every_level() {
    run_on_all_levels::<holdall_plugin_local::Local, _>(
        &holdall_plugin_local::PLUGIN,
        artifacts().plugin("local"),
        Below::new,
    );
}

/// Group L once more, over the wire: the server in front of the host.
#[test]
fn signed_urls_behind_the_server() {
    for (library, stage) in [
        ("local", served(artifacts().plugin("local"), Below::new())),
        ("memory", served(artifacts().plugin("memory"), Bare)),
    ] {
        let report = report(Arc::new(stage), |case| case.group() == 'L');
        println!("{library} behind the server: {report}");
        assert!(report.is_ok(), "{report}");
        // All but the one about clocks, which no server of these tells.
        assert_eq!(report.count(Status::Passed), 17, "{report}");
    }
}

/// The tables are plain C: what gcc made from the header keeps the contract too.
#[test]
fn the_plugin_in_c_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let library = holdall_c_plugin::build(folder.path());
    assert_sound(&keep_report(Arc::new(loaded(&library, Bare)), &library));
}

#[test]
fn child() {
    holdall_e2e::kit::child();
}
