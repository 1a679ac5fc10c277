//! The whole kit on the loaded plugin in C: the tables are plain C, and mean the same there.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "tests; a panic is the report"
)]

mod kit;

use holdall_conformance::{Status, run};
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_plugin_in_c_keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let file = holdall_c_plugin::build(folder.path());
    let stage = kit::Loaded::new(holdall_c_plugin::NAME, &file, |_| json!({}));
    let report = run(stage, |_| true).await;
    println!("{report}");
    let count = |status| {
        report
            .results
            .iter()
            .filter(|result| result.status == status)
            .count()
    };
    assert_eq!(
        (
            count(Status::Failed),
            count(Status::Lied),
            count(Status::Skipped)
        ),
        (0, 0, 0)
    );
    assert!(
        count(Status::Passed) >= 90,
        "the kit asked less than it should"
    );
}
