//! The conformance kit on the table in process and on the loaded file, through the host. The two
//! must agree with each other (each plugin's own tests run it on the Rust type).
//!
//! `HOLDALL_KIT_REPORT=FOLDER` keeps the reports as JSON.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "tests; a panic is the report"
)]

mod stage;

use holdall::StaticPlugin;
use holdall_conformance::{Level, Report, Status, run};
use holdall_e2e::artifacts;
use stage::{Config, HostStage};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// A-06 and F-05 count threads, memory and descriptors of the process.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn report(stage: HostStage) -> Report {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(run(std::sync::Arc::new(stage), |_| true))
}

/// Runs the whole kit on a stage, and keeps the report.
fn judged(stage: HostStage, library: &Path) -> Report {
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

fn judge(plugin: &'static StaticPlugin, library: &Path, config: Config) {
    let linked = judged(
        HostStage::new(Level::Linked, Some(plugin), library, config),
        library,
    );
    let loaded = judged(
        HostStage::new(Level::Loaded, None, library, config),
        library,
    );
    let disagreements = linked.disagreements(&loaded);
    assert!(disagreements.is_empty(), "{disagreements:#?}");
}

#[test]
fn memory_linked_and_loaded() {
    judge(
        &holdall_plugin_memory::PLUGIN,
        artifacts().plugin("memory"),
        |_, _| serde_json::json!({}),
    );
}

#[test]
fn local_linked_and_loaded() {
    judge(
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
    judged(
        HostStage::new(Level::Loaded, None, &library, |_, _| serde_json::json!({})),
        &library,
    );
}
