//! Every case of the kit on the services that need no server: a folder of this machine, and memory.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "tests; a panic is the report"
)]

use holdall_conformance::{Claims, DirectAccess, Harness, rust_stage};
use holdall_plugin_opendal::{Opendal, OpendalConfig, PLUGIN};
use serde_json::json;
use std::path::PathBuf;
use std::sync::Arc;

struct InMemory;

impl Harness for InMemory {
    type Config = OpendalConfig;

    fn config(&self, _store: u32) -> OpendalConfig {
        serde_json::from_value(json!({ "service": { "memory": {} } })).unwrap()
    }
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn staging(&self, store: u32) -> PathBuf {
        self.0.path().join(format!("staging-{store}"))
    }

    fn at(&self, store: u32, prefix: &str) -> OpendalConfig {
        let config = json!({ "service": { "fs": {
            "root": self.0.path().join(format!("store-{store}")).join(prefix),
            "atomic_write_dir": self.staging(store),
        } } });
        serde_json::from_value(config).unwrap()
    }
}

impl Harness for Folder {
    type Config = OpendalConfig;

    fn config(&self, store: u32) -> OpendalConfig {
        self.at(store, "")
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn direct_access(&self, store: u32) -> Option<Arc<dyn DirectAccess>> {
        Some(Arc::new(Staging(self.staging(store))))
    }

    fn scoped(&self, store: u32, prefix: &str) -> Option<OpendalConfig> {
        Some(self.at(store, prefix))
    }
}

/// Files that uploads left where they grew.
struct Staging(PathBuf);

impl DirectAccess for Staging {
    fn leftovers(&self) -> Vec<String> {
        let files = std::fs::read_dir(&self.0).into_iter().flatten().flatten();
        files
            .map(|file| file.path().display().to_string())
            .collect()
    }
}

mod memory {
    use super::*;
    holdall_conformance::conformance_tests!(rust_stage::<Opendal>(Claims::of(&PLUGIN), InMemory));
}

mod fs {
    use super::*;
    holdall_conformance::conformance_tests!(rust_stage::<Opendal>(
        Claims::of(&PLUGIN),
        Folder::new()
    ));
}
