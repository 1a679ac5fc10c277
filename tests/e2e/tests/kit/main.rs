//! The conformance kit on the Rust type, on the table in process and on the loaded file, the latter
//! two through the host. The three must agree.
//!
//! `HOLDALL_KIT_REPORT=FOLDER` keeps the reports as JSON.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "tests; a panic is the report"
)]

mod gateway;
mod stage;

use holdall::StaticPlugin;
use holdall_conformance::{Harness, Level, Report, Stage, Status, run};
use holdall_e2e::artifacts;
use holdall_plugin_api::StorageBackend;
use stage::{Config, HostStage, Plain};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// A-06 and F-05 count threads, memory and descriptors of the process.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn report(stage: Arc<dyn Stage>) -> Report {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(run(stage, |_| true))
}

/// Runs the whole kit on a stage, and keeps the report.
fn judged(stage: Arc<dyn Stage>, library: &Path) -> Report {
    let report = report(stage);
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
    assert!(report.is_ok(), "failed or lied: see the report above");
    assert!(report.count(Status::Passed) > 80, "most cases apply");
    report
}

fn judge<B: StorageBackend>(plugin: &'static StaticPlugin, library: &Path, config: Config) {
    let rust = judged(Plain::<B>::new(plugin, config).stage(), library);
    let linked = HostStage::new(Level::Linked, Some(plugin), library, config);
    let linked = judged(Arc::new(linked), library);
    let loaded = HostStage::new(Level::Loaded, None, library, config);
    let loaded = judged(Arc::new(loaded), library);
    for other in [&rust, &loaded] {
        let disagreements = linked.disagreements(other);
        assert!(disagreements.is_empty(), "{disagreements:#?}");
    }
}

#[test]
fn memory_at_every_level() {
    judge::<holdall_plugin_memory::Memory>(
        &holdall_plugin_memory::PLUGIN,
        artifacts().plugin("memory"),
        |_, _| serde_json::json!({}),
    );
}

#[test]
fn local_at_every_level() {
    judge::<holdall_plugin_local::Local>(
        &holdall_plugin_local::PLUGIN,
        artifacts().plugin("local"),
        |root, store| serde_json::json!({ "root": root.join(format!("store-{store}")), "durability": "none" }),
    );
}

/// The tables are plain C: what gcc made from the header keeps the contract too.
#[test]
fn the_plugin_in_c_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let library = holdall_c_plugin::build(folder.path());
    let stage = HostStage::new(Level::Loaded, None, &library, |_, _| serde_json::json!({}));
    judged(Arc::new(stage), &library);
}
