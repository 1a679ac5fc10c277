//! An account of an SSH server.

use holdall_conformance::{Broken, DirectAccess, FolderStore, Harness};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

#[derive(Clone)]
pub(crate) struct Account {
    pub(crate) server: Value,
    /// Each run has a folder of its own; a store is a folder in it.
    run: String,
}

impl Account {
    pub(crate) fn new(server: Value) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        Self {
            server,
            run: format!("run-{}", since.as_nanos()),
        }
    }

    /// The configuration of the store in this folder.
    pub(crate) fn below(&self, folder: &str) -> Value {
        let at = |name: &str| format!("{}/{folder}/{name}", self.run);
        json!({
            "host": self.server["host"],
            "port": self.server["port"],
            "username": self.server["user"],
            "host_key": self.server["host_key"],
            "key_file": self.server["key_file"],
            "root": self.server["root"],
            "objects": at("objects"),
            "staging": at("staging"),
            "durability": "none",
        })
    }

    /// A store as it is configured, and as the server's disk has it.
    pub(crate) fn store(&self, folder: &str) -> (Value, FolderStore) {
        (self.below(folder), self.folder(folder))
    }

    /// The same, as the server's disk has it.
    pub(crate) fn folder(&self, folder: &str) -> FolderStore {
        let root = Path::new(self.server["root"].as_str().unwrap());
        // Whether links are followed is the affair of the server.
        FolderStore::new(root.join(&self.run).join(folder)).without_links()
    }
}

impl Harness for Account {
    type Config = Value;

    fn config(&self, store: u32) -> Value {
        self.below(&store.to_string())
    }

    fn broken(&self, how: Broken) -> Option<Value> {
        let mut config = self.below("broken");
        match how {
            Broken::Credentials => config["key_file"] = self.server["other_key_file"].clone(),
            Broken::Container => config["root"] = "/no/such/directory".into(),
        }
        Some(config)
    }

    fn scoped(&self, store: u32, prefix: &str) -> Option<Value> {
        let mut config = self.config(store);
        let objects = config["objects"].as_str()?;
        config["objects"] = format!("{objects}/{}", prefix.trim_end_matches('/')).into();
        Some(config)
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn direct_access(&self, store: u32) -> Option<Arc<dyn DirectAccess>> {
        Some(Arc::new(self.folder(&store.to_string())))
    }
}
