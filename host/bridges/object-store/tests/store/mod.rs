//! A loaded plugin as an `ObjectStore`.

use holdall::config::Config;
use holdall::{Host, PluginRef, Registration};
use holdall_e2e::artifacts;
use holdall_object_store::BackendStore;
use std::path::PathBuf;

/// A store of its own for one test.
pub(crate) struct TestStore {
    pub(crate) store: BackendStore,
    pub(crate) host: Host,
    folder: tempfile::TempDir,
}

impl TestStore {
    pub(crate) async fn open(plugin: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let plugins = folder.path().join("plugins");
        std::fs::create_dir(&plugins).unwrap();
        artifacts().folder_of([artifacts().plugin(plugin)], &plugins);
        let host = Host::builder().config(Config::default());
        let host = host.plugin_dir(&plugins).build().unwrap();
        let config = match plugin {
            "local" => {
                serde_json::json!({ "root": folder.path().join("store"), "durability": "none" })
            }
            _ => serde_json::json!({}),
        };
        let registration = Registration::new(PluginRef::from(plugin)).config(config);
        host.register("store", registration).unwrap();
        let store = BackendStore::new(host.backend("store").await.unwrap());
        Self {
            store,
            host,
            folder,
        }
    }

    /// Paths below the root of every file of the store, with staged files that are open and have no
    /// name. Leaves out the lock file of this process.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let root = self.folder.path().join("store");
        let mut found = Vec::new();
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    found.push(path);
                }
            }
        }
        let open = std::fs::read_dir("/proc/self/fd").unwrap();
        let open = open.filter_map(|fd| std::fs::read_link(fd.ok()?.path()).ok());
        found.extend(open.filter(|target| target.starts_with(&root) && !target.exists()));
        found.retain(|path| path.extension().is_none_or(|end| end != "lock"));
        found.sort();
        let below = |path: PathBuf| path.strip_prefix(&root).unwrap().to_owned();
        found.into_iter().map(below).collect()
    }
}
