//! The conformance kit on the Rust type. The end-to-end tests run it on the linked and on the loaded
//! plugin; the three must agree.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "tests; a panic is the report"
)]

use holdall_conformance::{Claims, DirectAccess, FolderStore, Harness, rust_stage};
use holdall_plugin_local::{Local, LocalConfig, PLUGIN};
use std::path::PathBuf;
use std::sync::Arc;

struct InFolder(tempfile::TempDir);

impl InFolder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn root(&self, store: u32) -> PathBuf {
        self.0.path().join(store.to_string())
    }
}

impl Harness for InFolder {
    type Config = LocalConfig;

    fn config(&self, store: u32) -> LocalConfig {
        serde_json::from_value(
            serde_json::json!({ "root": self.root(store), "durability": "none" }),
        )
        .unwrap()
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn direct_access(&self, store: u32) -> Option<Arc<dyn DirectAccess>> {
        let store = FolderStore::new(self.root(store)).staged_by_process();
        Some(Arc::new(store))
    }
}

holdall_conformance::conformance_tests!(rust_stage::<Local>(Claims::of(&PLUGIN), InFolder::new()));
