//! The conformance kit on the Rust type. The end-to-end tests run it on the linked and on the loaded
//! plugin; the three must agree.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "tests; a panic is the report"
)]

use holdall_conformance::{Claims, DirectAccess, Harness};
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
    type Backend = Local;

    fn claims(&self) -> Claims {
        Claims::of(&PLUGIN)
    }

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
        Some(Arc::new(Folder(self.root(store))))
    }
}

/// The store, seen by another program.
struct Folder(PathBuf);

impl DirectAccess for Folder {
    fn leftovers(&self) -> Vec<String> {
        let mut left = Vec::new();
        for own in std::fs::read_dir(self.0.join("staging"))
            .into_iter()
            .flatten()
            .flatten()
        {
            for file in std::fs::read_dir(own.path())
                .into_iter()
                .flatten()
                .flatten()
            {
                left.push(file.path().display().to_string());
            }
        }
        left
    }

    fn put_foreign(&self, name: &str, bytes: &[u8]) -> bool {
        let path = self.0.join("objects").join(name);
        let folder = path
            .parent()
            .is_some_and(|folder| std::fs::create_dir_all(folder).is_ok());
        folder && std::fs::write(path, bytes).is_ok()
    }

    /// Keeps size and time, as a failing disk would.
    fn tamper(&self, key: &str) -> bool {
        let path = self.0.join("objects").join(key);
        let Ok(mut bytes) = std::fs::read(&path) else {
            return false;
        };
        let Ok(modified) = std::fs::metadata(&path).and_then(|facts| facts.modified()) else {
            return false;
        };
        let Some(byte) = bytes.first_mut() else {
            return false;
        };
        *byte ^= 1;
        let file = std::fs::File::options().write(true).open(&path);
        file.is_ok_and(|mut file| {
            std::io::Write::write_all(&mut file, &bytes).is_ok()
                && file.set_modified(modified).is_ok()
        })
    }

    fn objects_dir(&self) -> Option<PathBuf> {
        Some(self.0.join("objects"))
    }
}

holdall_conformance::conformance_tests!(InFolder::new().stage());
